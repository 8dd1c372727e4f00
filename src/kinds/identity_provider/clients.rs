//! Providers at which ZITADEL is a client: of OpenID Connect, OAuth 2.0, and what is built on these.

#![expect(clippy::struct_field_names, reason = "the names of fields are ZITADEL's")]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::api::secret::SecretKeyReference;

/// A client of a provider whose addresses ZITADEL knows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Client {
    /// The client's id.
    #[schemars(required, length(min = 1, max = 200), regex(pattern = r"^\S(.*\S)?$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// The client's secret. Omitted: not managed; needed to create a provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret_ref: Option<SecretKeyReference>,
    /// Scopes to ask for; their order means nothing. ZITADEL can't empty the list once it is not
    /// empty. Omitted: not managed, and a new provider has ZITADEL's own.
    #[schemars(length(max = 20), inner(length(min = 1, max = 100)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<String>>,
}

/// Any provider of OpenID Connect.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Oidc {
    /// The URL of the provider, below which its discovery document is.
    #[schemars(required, length(min = 1, max = 200), regex(pattern = r"^https?://\S+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(flatten)]
    client: Client,
    /// Whether what is known of a person is taken from the id token, and not from the userinfo
    /// endpoint. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    is_id_token_mapping: Option<bool>,
    /// Whether PKCE is used. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    use_pkce: Option<bool>,
}

/// Where a provider of OAuth 2.0 answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Endpoints {
    /// The URL at which people log in.
    #[schemars(required, length(min = 1, max = 200), regex(pattern = r"^https?://\S+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_endpoint: Option<String>,
    /// The URL that gives tokens for codes.
    #[schemars(required, length(min = 1, max = 200), regex(pattern = r"^https?://\S+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    token_endpoint: Option<String>,
    /// The URL that says who has logged in.
    #[schemars(required, length(min = 1, max = 200), regex(pattern = r"^https?://\S+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    user_endpoint: Option<String>,
}

/// Any provider of OAuth 2.0.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OAuth {
    #[serde(flatten)]
    endpoints: Endpoints,
    /// The field of the answer of `userEndpoint` that tells people apart, such as `id`.
    #[schemars(required, length(min = 1, max = 200), regex(pattern = r"^\S(.*\S)?$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    id_attribute: Option<String>,
    #[serde(flatten)]
    client: Client,
    /// Whether PKCE is used. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    use_pkce: Option<bool>,
}

/// A GitHub Enterprise Server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct GithubEnterprise {
    #[serde(flatten)]
    endpoints: Endpoints,
    #[serde(flatten)]
    client: Client,
}

/// A GitLab of one's own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct GitlabSelfHosted {
    /// The URL of the GitLab.
    #[schemars(required, length(min = 1, max = 200), regex(pattern = r"^https?://\S+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(flatten)]
    client: Client,
}

/// Microsoft Entra ID.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AzureAd {
    #[serde(flatten)]
    client: Client,
    /// Who may log in: `common` (everybody with an account of Microsoft), `organizations` (of work
    /// or school), `consumers` (private ones), or the id of a tenant. Omitted: not managed, and of a
    /// new provider `common`.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^\S+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    /// Whether e-mail addresses count as verified. Microsoft does not say whether they are: who
    /// controls a tenant can give its users any address. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
}

/// Sign in with Apple.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Apple {
    /// The identifier of the service, which Apple calls Services ID.
    #[schemars(required, length(min = 1, max = 200), regex(pattern = r"^\S(.*\S)?$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// The team's id.
    #[schemars(required, length(min = 10, max = 10), regex(pattern = r"^\S+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    team_id: Option<String>,
    /// The id of the private key.
    #[schemars(required, length(min = 10, max = 10), regex(pattern = r"^\S+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    /// The private key, as the file that Apple gives holds it. Omitted: not managed; needed to
    /// create a provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    private_key_secret_ref: Option<SecretKeyReference>,
    /// Scopes to ask for; their order means nothing. ZITADEL can't empty the list once it is not
    /// empty. Omitted: not managed, and a new provider has ZITADEL's own.
    #[schemars(length(max = 20), inner(length(min = 1, max = 100)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<String>>,
}

/// Something that logs people in and hands over a JWT.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Jwt {
    /// Who issues the JWT, as its `iss` says.
    #[schemars(required, length(min = 1, max = 200), regex(pattern = r"^https?://\S+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    /// The URL at which people log in.
    #[schemars(required, length(min = 1, max = 200), regex(pattern = r"^https?://\S+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt_endpoint: Option<String>,
    /// The URL of the keys by which the JWT is verified.
    #[schemars(required, length(min = 1, max = 200), regex(pattern = r"^https?://\S+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    keys_endpoint: Option<String>,
    /// The HTTP header that holds the JWT.
    #[schemars(required, length(min = 1, max = 200), regex(pattern = r"^\S+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    header_name: Option<String>,
    /// Whom the JWT has to be for, as its `aud` says; `""`: not looked at. Omitted: not managed.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    audience: Option<String>,
}

/// Tenants that have a name: ours, which is Microsoft's, and ZITADEL's.
const TENANTS: [(&str, &str); 3] = [
    ("common", "AZURE_AD_TENANT_TYPE_COMMON"),
    ("organizations", "AZURE_AD_TENANT_TYPE_ORGANISATIONS"),
    ("consumers", "AZURE_AD_TENANT_TYPE_CONSUMERS"),
];

/// The tenant as a request has it.
pub(super) fn encode_tenant(fields: &mut Map<String, Value>) {
    let Some(tenant) = fields.get("tenant").and_then(Value::as_str) else { return };
    let named = TENANTS.iter().find(|(name, _)| *name == tenant);
    let tenant = match named {
        Some((_, word)) => json!({ "tenantType": word }),
        None => json!({ "tenantId": tenant }),
    };
    fields.insert("tenant".into(), tenant);
}

/// The tenant of an answer, as it is declared.
pub(super) fn decode_tenant(fields: &mut Map<String, Value>) {
    let Some(tenant) = fields.remove("tenant") else { return };
    let id = tenant.get("tenantId").and_then(Value::as_str);
    let word = tenant.get("tenantType").and_then(Value::as_str);
    let named = || TENANTS.iter().find(|(_, known)| Some(*known) == word).map(|(name, _)| *name);
    if let Some(tenant) = id.or_else(named) {
        fields.insert("tenant".into(), tenant.into());
    }
}
