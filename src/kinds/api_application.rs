//! `ApiApplication`: an API that asks ZITADEL what tokens mean.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    application::{self, Application, Calls},
    project::{self, ProjectScope},
    wire::Activity,
};
use crate::{
    api::{
        secret::SecretScope,
        spec::{Common, Identity},
    },
    contract::{Description, EntityDescription, Inputs, Issues, Kind, SpecError},
};

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ApiApplication {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    identity: Identity,
    #[serde(flatten)]
    project: ProjectScope,
    #[serde(flatten)]
    secret: SecretScope,
    #[serde(flatten)]
    state: ApiApplicationState,
}

/// The fields that can be managed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiApplicationState {
    /// Name, unique in the project among applications of all kinds, regardless of case. Omitted:
    /// the name of this object.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^\S(.*\S)?$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// How it authenticates itself. Omitted: not managed, and of a new application `Basic`.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_method: Option<AuthMethod>,
    /// Whether it can be used. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Activity>,
    #[schemars(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
}

/// How an API authenticates itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum AuthMethod {
    /// By a secret, in a header.
    #[default]
    #[serde(alias = "API_AUTH_METHOD_TYPE_BASIC")]
    Basic,
    /// By a signature with a key.
    #[serde(alias = "API_AUTH_METHOD_TYPE_PRIVATE_KEY_JWT")]
    PrivateKeyJwt,
}

impl AuthMethod {
    fn wire(self) -> &'static str {
        match self {
            Self::Basic => "API_AUTH_METHOD_TYPE_BASIC",
            Self::PrivateKeyJwt => "API_AUTH_METHOD_TYPE_PRIVATE_KEY_JWT",
        }
    }
}

impl Kind for ApiApplication {
    type State = ApiApplicationState;
    const DESCRIPTION: Description = Description {
        kind: "ApiApplication",
        plural: "apiapplications",
        short: "zapi",
        about: "An application of a project that asks ZITADEL what tokens mean (an API).",
        noun: "the API application",
        references: &[project::PARENT],
        events: &[
            application::EVENTS,
            application::events(
                &[
                    "project.application.config.api.added",
                    "project.application.config.api.changed",
                    "project.application.config.api.secret.changed",
                ],
                &["project.application.config.api.added"],
            ),
        ],
        reported: &["clientId"],
        unchanged: application::UNCHANGED,
        permissions: application::PERMISSIONS,
        ..Description::EMPTY
    };

    fn desired(&self, name: &str, _: &Inputs) -> Result<ApiApplicationState, SpecError> {
        let name = self.state.name.clone().unwrap_or_else(|| name.into());
        Ok(ApiApplicationState { name: Some(name), ..self.state.clone() })
    }
}

/// A configuration in the management API, which omits what is the zero value.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Configuration {
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    auth_method_type: AuthMethod,
}

impl Application for ApiApplication {
    const DATA: EntityDescription = EntityDescription {
        defaults: &[("authMethod", "Basic"), ("state", "Active")],
        rivals: &["OidcApplication", "SamlApplication"],
        takes_ids_twice: true,
        issues: Some(&ISSUES),
        ..application::LISTED
    };
    type Configuration = Configuration;
    const CALLS: Calls = Calls {
        field: "apiConfig",
        field_v2: "apiConfiguration",
        heeds_id: true,
        word: "APPLICATION_TYPE_API",
        add: "/management/v1/projects/{}/apps/api",
        configure: "/management/v1/projects/{}/apps/{}/api_config",
        issue: Some("/management/v1/projects/{}/apps/{}/api_config/_generate_client_secret"),
    };

    fn read_as(name: String, state: Option<Activity>, read: Configuration) -> ApiApplicationState {
        ApiApplicationState {
            name: Some(name),
            auth_method: Some(read.auth_method_type),
            state,
            client_id: Some(read.client_id),
        }
    }

    fn name(state: &ApiApplicationState) -> Option<&str> {
        state.name.as_deref()
    }

    fn activity(state: &ApiApplicationState) -> Option<Activity> {
        state.state
    }

    fn configuration(state: &ApiApplicationState) -> Map<String, Value> {
        let auth_method = json!(state.auth_method.map(AuthMethod::wire));
        Map::from_iter([("authMethodType".to_owned(), auth_method)])
    }

    fn client(state: &ApiApplicationState) -> (Option<&str>, bool) {
        (state.client_id.as_deref(), state.auth_method == Some(AuthMethod::Basic))
    }
}

const ISSUES: Issues = application::issues(&["project.application.config.api.secret.changed"]);
