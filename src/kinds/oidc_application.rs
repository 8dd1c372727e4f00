//! `OidcApplication`: a client of OpenID Connect.

mod wire;
mod words;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    application::{
        self, Application, Calls,
        login::{self, LoginVersion},
    },
    lifetime::Lifetime,
    project::{self, ProjectScope},
    wire::Activity,
};
use crate::{
    api::{
        secret::SecretScope,
        spec::{Common, Identity},
    },
    contract::{Description, EntityDescription, Inputs, Issues, Kind, List, SpecError, crd::Rule},
};
use words::{AccessTokenType, ApplicationType, AuthMethod, GrantType, ResponseType};

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OidcApplication {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    identity: Identity,
    #[serde(flatten)]
    project: ProjectScope,
    #[serde(flatten)]
    secret: SecretScope,
    #[serde(flatten)]
    state: OidcApplicationState,
}

/// The fields that can be managed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OidcApplicationState {
    /// Name, unique in the project among applications of all kinds, regardless of case. Omitted:
    /// the name of this object.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^\S(.*\S)?$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Addresses to which users may return from the login, exactly. ZITADEL can't empty the list
    /// once there is something in it. Omitted: not managed.
    #[schemars(length(max = 100), inner(length(min = 1, max = 500), regex(pattern = r"^\S+$")))]
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_uris: Option<Vec<String>>,
    /// Addresses to which users may return from the logout, exactly. ZITADEL can't empty the list
    /// once there is something in it. Omitted: not managed.
    #[schemars(length(max = 100), inner(length(min = 1, max = 500), regex(pattern = r"^\S+$")))]
    #[serde(skip_serializing_if = "Option::is_none")]
    post_logout_redirect_uris: Option<Vec<String>>,
    /// Origins that may call ZITADEL from a browser, besides those of `redirectUris`, exactly, such
    /// as `https://app.example.com`. ZITADEL can't empty the list once there is something in it.
    /// Omitted: not managed.
    #[schemars(
        length(max = 100),
        inner(length(min = 1, max = 500), regex(pattern = r"^[^/?#\s]+://[^/?#\s]+$"))
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_origins: Option<Vec<String>>,
    /// What the authorization endpoint may answer, exactly. Each needs its grant in `grantTypes`:
    /// `Code` needs `AuthorizationCode` or `DeviceCode`, the others need `Implicit`. Omitted: not
    /// managed, and of a new application `[Code]`.
    #[schemars(length(min = 1, max = 3))]
    #[serde(skip_serializing_if = "Option::is_none")]
    response_types: Option<Vec<ResponseType>>,
    /// How tokens may be asked for, exactly. Omitted: not managed, and of a new application
    /// `[AuthorizationCode]`.
    #[schemars(length(min = 1, max = 5))]
    #[serde(skip_serializing_if = "Option::is_none")]
    grant_types: Option<Vec<GrantType>>,
    /// Where it runs. Omitted: not managed, and of a new application `Web`.
    #[serde(skip_serializing_if = "Option::is_none")]
    application_type: Option<ApplicationType>,
    /// How it authenticates itself. Omitted: not managed, and of a new application `Basic`.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_method: Option<AuthMethod>,
    /// Form of its access tokens. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token_type: Option<AccessTokenType>,
    /// Whether access tokens hold the user's roles. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token_role_assertion: Option<bool>,
    /// Whether id tokens hold the user's roles. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token_role_assertion: Option<bool>,
    /// Whether id tokens hold what the user info endpoint tells. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token_userinfo_assertion: Option<bool>,
    /// How far the application's clock may be behind, from `0s` to `5s`. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_skew: Option<Lifetime>,
    /// Whether it may do what the standard forbids, such as redirects to plain HTTP. Omitted: not
    /// managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    dev_mode: Option<bool>,
    /// Whether users of a native application return to it without a page in between. Omitted: not
    /// managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    skip_native_app_success_page: Option<bool>,
    /// Address that is told of logouts, which has to resolve to a public one; `""`: none. Omitted:
    /// not managed.
    #[schemars(length(max = 500), regex(pattern = r"^\S*$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    back_channel_logout_uri: Option<String>,
    /// Which login its users see. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    login_version: Option<LoginVersion>,
    /// Whether it can be used. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Activity>,
    #[schemars(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[schemars(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    compliance_problems: Option<Vec<String>>,
}

impl Kind for OidcApplication {
    type State = OidcApplicationState;
    const DESCRIPTION: Description = Description {
        kind: "OidcApplication",
        plural: "oidcapplications",
        short: "zoidc",
        about: "An application of a project whose users log in by OpenID Connect.",
        noun: "the OIDC application",
        references: &[project::PARENT],
        events: &[
            application::EVENTS,
            application::events(
                &[
                    "project.application.config.oidc.added",
                    "project.application.config.oidc.changed",
                    "project.application.config.oidc.secret.changed",
                ],
                &["project.application.config.oidc.added"],
            ),
        ],
        lists: &[
            List::filled("redirectUris"),
            List::filled("postLogoutRedirectUris"),
            List::filled("additionalOrigins"),
            List::set("responseTypes"),
            List::set("grantTypes"),
        ],
        reported: &["clientId", "complianceProblems"],
        rules: &[
            login::RULE,
            Rule {
                rule: "!has(self.clockSkew) || duration(self.clockSkew) <= duration('5s')",
                message: "clockSkew must be at most 5s",
            },
        ],
        unchanged: application::UNCHANGED,
        permissions: application::PERMISSIONS,
        ..Description::EMPTY
    };

    fn desired(&self, name: &str, _: &Inputs) -> Result<OidcApplicationState, SpecError> {
        let name = self.state.name.clone().unwrap_or_else(|| name.into());
        Ok(OidcApplicationState { name: Some(name), ..self.state.clone() })
    }
}

impl Application for OidcApplication {
    const DATA: EntityDescription = EntityDescription {
        defaults: &[
            ("applicationType", "Web"),
            ("authMethod", "Basic"),
            ("accessTokenType", "Bearer"),
            ("clockSkew", "0s"),
            ("loginVersion.version", "Instance"),
            ("state", "Active"),
        ],
        // An id that was ever used stays taken.
        exists: &["PROJECT-lxowmp"],
        rivals: &["ApiApplication", "SamlApplication"],
        issues: Some(&ISSUES),
        ..application::LISTED
    };
    type Configuration = wire::Configuration;
    const CALLS: Calls = Calls {
        field: "oidcConfig",
        field_v2: "oidcConfiguration",
        heeds_id: true,
        word: "APPLICATION_TYPE_OIDC",
        add: "/management/v1/projects/{}/apps/oidc",
        configure: "/management/v1/projects/{}/apps/{}/oidc_config",
        issue: Some("/management/v1/projects/{}/apps/{}/oidc_config/_generate_client_secret"),
    };

    fn read_as(
        name: String,
        state: Option<Activity>,
        read: wire::Configuration,
    ) -> OidcApplicationState {
        wire::state(name, state, read)
    }

    fn name(state: &OidcApplicationState) -> Option<&str> {
        state.name.as_deref()
    }

    fn activity(state: &OidcApplicationState) -> Option<Activity> {
        state.state
    }

    fn configuration(state: &OidcApplicationState) -> Map<String, Value> {
        wire::configuration(state, "appType", "devMode")
    }

    fn configuration_v2(state: &OidcApplicationState) -> Map<String, Value> {
        wire::configuration(state, "applicationType", "developmentMode")
    }

    fn client(state: &OidcApplicationState) -> (Option<&str>, bool) {
        let has_secret = matches!(state.auth_method, Some(AuthMethod::Basic | AuthMethod::Post));
        (state.client_id.as_deref(), has_secret)
    }
}

const ISSUES: Issues = application::issues(&["project.application.config.oidc.secret.changed"]);
