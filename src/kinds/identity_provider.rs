//! `IdentityProvider`: where people log in with an account of theirs, in the instance or in an
//! organization, by the admin API and the management API. There is one form for each type that
//! ZITADEL has. An update replaces the scalars and the options, and keeps the secret and scopes that
//! are omitted.

use futures::{Stream, TryStreamExt};
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    organization, way_in,
    wire::{self, Created, found},
};
use crate::{
    api::spec::{Adoption, AllowedNamespaces, Common, OrganizationScope},
    contract::{
        Access, Description, Entity, EntityDescription, EventFilter, EventPlace, EventSubject,
        IdSource, Inputs, Kind, List, ListOrder, NaturalKey, Permissions, Reference, RemoteEntity,
        Role, Row, Secrets, SpecError, Written, reference::ById,
    },
    zitadel::{Path, Result, page},
};

mod answer;
mod clients;
mod codec;
mod directory;
mod events;
mod form;
mod saml;

use answer::Answer;
use clients::{Apple, AzureAd, Client, GithubEnterprise, GitlabSelfHosted, Jwt, OAuth, Oidc};
use codec::Words;
use directory::Ldap;
use form::Form;
use saml::Saml;

const ONE: [&str; 2] = ["/admin/v1/idps/templates/{}", "/management/v1/idps/templates/{}"];
const ALL: [&str; 2] =
    ["/admin/v1/idps/templates/_search", "/management/v1/idps/templates/_search"];

/// The reference of what offers several.
pub(super) const OFFERED: Reference = Reference {
    field: "identityProviders",
    id_field: "identityProviderIds",
    by_id: ById::Anyone,
    kinds: &["IdentityProvider"],
    role: Role::Input,
    ..Reference::PARENT
};

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdentityProvider {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    adoption: Adoption,
    #[serde(flatten)]
    organization: OrganizationScope,
    /// Namespaces whose login policies may offer this provider. Omitted: only its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_namespaces: Option<AllowedNamespaces>,
    #[serde(flatten)]
    state: IdentityProviderState,
}

/// The fields that can be managed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdentityProviderState {
    /// What it is called, on the button of the login too; by this one that exists is found among
    /// those of its type. Omitted: the name of this object.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^\S(.*\S)?$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What becomes of people who log in by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<ProviderOptions>,
    /// Any provider of OpenID Connect.
    #[serde(skip_serializing_if = "Option::is_none")]
    oidc: Option<Oidc>,
    /// Any provider of OAuth 2.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    oauth: Option<OAuth>,
    /// Something that logs people in and hands over a JWT.
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt: Option<Jwt>,
    /// Microsoft Entra ID, formerly Azure AD.
    #[serde(skip_serializing_if = "Option::is_none")]
    azure_ad: Option<AzureAd>,
    /// GitHub.
    #[serde(skip_serializing_if = "Option::is_none")]
    github: Option<Client>,
    /// A GitHub Enterprise Server.
    #[serde(skip_serializing_if = "Option::is_none")]
    github_enterprise: Option<GithubEnterprise>,
    /// GitLab.
    #[serde(skip_serializing_if = "Option::is_none")]
    gitlab: Option<Client>,
    /// A GitLab of one's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    gitlab_self_hosted: Option<GitlabSelfHosted>,
    /// Google.
    #[serde(skip_serializing_if = "Option::is_none")]
    google: Option<Client>,
    /// Sign in with Apple.
    #[serde(skip_serializing_if = "Option::is_none")]
    apple: Option<Apple>,
    /// A directory, such as Active Directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    ldap: Option<Ldap>,
    /// An identity provider of SAML.
    #[serde(skip_serializing_if = "Option::is_none")]
    saml: Option<Saml>,
}

/// What becomes of people who log in by a provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ProviderOptions {
    /// Whether people may link an account of theirs with a user that exists. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    is_linking_allowed: Option<bool>,
    /// Whether people may create a user. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    is_creation_allowed: Option<bool>,
    /// Whether a user is created for who has none, without asking. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    is_auto_creation: Option<bool>,
    /// Whether the user gets what the provider says of the person at each login. Omitted: not
    /// managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    is_auto_update: Option<bool>,
    /// By what a user that exists is found and offered for linking. Who controls the provider's
    /// accounts can then ask to be linked with users of that name. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    auto_linking: Option<AutoLinking>,
}

/// By what a user that exists is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum AutoLinking {
    /// Not at all.
    #[serde(alias = "AUTO_LINKING_OPTION_UNSPECIFIED")]
    Unspecified,
    /// By the user name.
    #[serde(alias = "AUTO_LINKING_OPTION_USERNAME")]
    Username,
    /// By the e-mail address.
    #[serde(alias = "AUTO_LINKING_OPTION_EMAIL")]
    Email,
}

const AUTO_LINKING: Words = &[
    ("Unspecified", "AUTO_LINKING_OPTION_UNSPECIFIED"),
    ("Username", "AUTO_LINKING_OPTION_USERNAME"),
    ("Email", "AUTO_LINKING_OPTION_EMAIL"),
];

impl Kind for IdentityProvider {
    type State = IdentityProviderState;
    const DESCRIPTION: Description = Description {
        kind: "IdentityProvider",
        plural: "identityproviders",
        short: "zidp",
        about: "Where people log in with an account of theirs: for all organizations, or with \
                organizationRef or organizationId for that one. A LoginPolicy says who is offered \
                it.",
        noun: "the identity provider",
        references: &[organization::PARENT],
        forms: &[
            "oidc",
            "oauth",
            "jwt",
            "azureAd",
            "github",
            "githubEnterprise",
            "gitlab",
            "gitlabSelfHosted",
            "google",
            "apple",
            "ldap",
            "saml",
        ],
        inputs: form::INPUTS,
        events: &[
            EventFilter {
                aggregate: "instance",
                types: events::OF_INSTANCE,
                creates: events::CREATES_IN_INSTANCE,
                removes: &[],
                place: EventPlace::Instance,
                subject: EventSubject::Payload("id"),
            },
            EventFilter {
                aggregate: "org",
                types: events::OF_ORGANIZATION,
                creates: events::CREATES_IN_ORGANIZATION,
                removes: &[],
                place: EventPlace::Aggregate,
                subject: EventSubject::Payload("id"),
            },
        ],
        lists: &[
            List::filled("oidc.scopes"),
            List::filled("oauth.scopes"),
            List::filled("azureAd.scopes"),
            List::filled("github.scopes"),
            List::filled("githubEnterprise.scopes"),
            List::filled("gitlab.scopes"),
            List::filled("gitlabSelfHosted.scopes"),
            List::filled("google.scopes"),
            List::filled("apple.scopes"),
            List { order: ListOrder::Ordered, ..List::set("ldap.servers") },
            List::set("ldap.userObjectClasses"),
            List::set("ldap.userFilters"),
        ],
        permissions: &[
            Permissions::in_instance(&["iam.idp.read", "iam.idp.write", "iam.idp.delete"]),
            Permissions::in_organization(&[
                "org.read",
                "org.idp.read",
                "org.idp.write",
                "org.idp.delete",
            ]),
        ],
        ..Description::EMPTY
    };

    fn desired(
        &self,
        name: &str,
        _: &Inputs,
    ) -> std::result::Result<IdentityProviderState, SpecError> {
        let name = self.state.name.clone().unwrap_or_else(|| name.into());
        Ok(IdentityProviderState { name: Some(name), ..self.state.clone() })
    }

    async fn locks_out(
        access: &Access,
        id: Option<&str>,
        want: Option<&IdentityProviderState>,
    ) -> Result<Option<&'static str>> {
        match (id, want) {
            (Some(id), None) => way_in::needs_provider(access, id).await,
            _ => Ok(None),
        }
    }
}

impl Entity for IdentityProvider {
    const ENTITY: EntityDescription = EntityDescription {
        id: IdSource::Server,
        natural_key: NaturalKey::Field("name"),
        defaults: &[
            ("options.autoLinking", "Unspecified"),
            ("azureAd.tenant", "common"),
            ("ldap.timeout", "0s"),
            ("saml.binding", "Unspecified"),
            ("saml.nameIdFormat", "Persistent"),
            ("saml.signatureAlgorithm", "Unspecified"),
        ],
        is_unique: false,
        ..EntityDescription::NAMED
    };

    fn list(
        access: &Access,
    ) -> impl Stream<Item = Result<Row<RemoteEntity<IdentityProviderState>>>> + Send + 'static {
        // An organization sees the instance's too.
        let own = json!({"queries": [{"ownerTypeQuery": {"ownerType": "IDP_OWNER_TYPE_ORG"}}]});
        let organization = access.organization();
        let filters = if organization.is_some() { own } else { json!({}) };
        page::rows::<Answer>(&access.client, organization, here(access, ALL), filters)
            .map_ok(|row| row.map(RemoteEntity::from))
    }

    async fn read(
        access: &Access,
        id: &str,
    ) -> Result<Option<RemoteEntity<IdentityProviderState>>> {
        #[derive(Deserialize)]
        struct Read {
            idp: Answer,
        }
        let path = Path::new(here(access, ONE), &[id])?;
        let answer: Result<Read> = access.client.get(access.organization(), &path).await;
        Ok(found(answer)?.map(|read| read.idp.into()))
    }

    async fn create(access: &Access, id: &str, want: &IdentityProviderState) -> Result<Written> {
        Self::create_with(access, id, want, &Secrets::default()).await
    }

    async fn create_with(
        access: &Access,
        _: &str,
        want: &IdentityProviderState,
        secrets: &Secrets,
    ) -> Result<Written> {
        let (form, mut body) = form::body(want)?;
        form.add_secret(&mut body, secrets);
        let path = Path::from(here(access, form.paths));
        let created: Created =
            access.client.write(Method::POST, access.organization(), &path, &body).await?;
        Ok(created.written())
    }

    async fn update(
        access: &Access,
        have: &RemoteEntity<IdentityProviderState>,
        want: &IdentityProviderState,
    ) -> Result<Written> {
        Self::update_with(access, have, want, &Secrets::default()).await
    }

    async fn update_with(
        access: &Access,
        have: &RemoteEntity<IdentityProviderState>,
        want: &IdentityProviderState,
        secrets: &Secrets,
    ) -> Result<Written> {
        let (form, mut body) = form::body(want)?;
        if secrets.is_empty() && form::body(&have.state)?.1 == body {
            return Ok(Written::default());
        }
        form.add_secret(&mut body, secrets);
        let path = Path::new(here(access, form.one), &[&have.id])?;
        wire::write(access, method(access, form), &path, &body.into()).await
    }

    async fn delete(access: &Access, id: &str) -> Result<()> {
        wire::delete(access, &Path::new(here(access, ONE), &[id])?).await
    }
}

/// By which method a provider is changed.
fn method(access: &Access, form: &Form) -> Method {
    let is_posted = form.is_posted && access.organization().is_none();
    if is_posted { Method::POST } else { Method::PUT }
}

/// The path for the instance's, or for an organization's.
fn here(access: &Access, [instance, organization]: [&'static str; 2]) -> &'static str {
    if access.organization().is_some() { organization } else { instance }
}
