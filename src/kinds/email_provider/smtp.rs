//! A mail server.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{api::secret::SecretKeyReference, contract::Secrets};

/// A mail server, and how ZITADEL logs in to it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Smtp {
    /// Host and port, such as `smtp.example.com:587`.
    #[schemars(required, length(min = 1, max = 500), regex(pattern = r"^\S+:[0-9]{1,5}$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    /// Whether the connection is encrypted from the beginning; without it by STARTTLS, where the
    /// server has that. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<bool>,
    /// The address that e-mails come from.
    #[schemars(required, length(min = 1, max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    sender_address: Option<String>,
    /// The name that e-mails come from.
    #[schemars(required, length(min = 1, max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    sender_name: Option<String>,
    /// The address that answers go to; `""`: to the sender. Omitted: not managed.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to_address: Option<String>,
    /// The user to log in as; `""`: none. Omitted: not managed.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// How ZITADEL logs in to the server. It is changed by another provider that takes the place of
    /// the former one, under another id. Omitted: not managed, and of a new provider `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    authentication: Option<Authentication>,
    /// The password, for `authentication: Plain`. Another one is sent by another provider that takes
    /// the place of the former one: ZITADEL takes a password by an update, and goes on with the
    /// former. Omitted: not managed; needed to create one.
    #[serde(skip_serializing_if = "Option::is_none")]
    password_secret_ref: Option<SecretKeyReference>,
    /// For `authentication: XOAuth2`. ZITADEL 4.11 and later have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    xoauth2: Option<XOAuth2>,
}

/// How ZITADEL logs in to a mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum Authentication {
    /// Not at all.
    None,
    /// By user and password.
    Plain,
    /// By a token, which a token endpoint gives for a client's credentials.
    XOAuth2,
}

/// How to get a token for a mail server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct XOAuth2 {
    /// The URL of the token endpoint.
    #[schemars(required, length(min = 1, max = 200), regex(pattern = r"^https?://\S+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    token_endpoint: Option<String>,
    /// Scopes to ask for; their order means nothing.
    #[schemars(required, length(max = 20), inner(length(min = 1, max = 200)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<String>>,
    /// The client's id.
    #[schemars(required, length(min = 1, max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// The client's secret. Omitted: not managed; needed to create one.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret_ref: Option<SecretKeyReference>,
}

impl Smtp {
    /// What an update takes: the scalars. How ZITADEL logs in stays.
    pub(super) fn body(&self, description: Option<&str>) -> Value {
        json!({
            "description": description,
            "host": self.host,
            "tls": self.tls,
            "senderAddress": self.sender_address,
            "senderName": self.sender_name,
            "replyToAddress": self.reply_to_address,
            "user": self.user,
        })
    }

    /// How ZITADEL logs in, for a new provider. The password has the place that all versions know.
    pub(super) fn login(&self, secrets: &Secrets) -> Map<String, Value> {
        let (field, value) = match (self.authentication, &self.xoauth2) {
            (Some(Authentication::Plain), _) => ("password", json!(secrets.get("smtp.password"))),
            (Some(Authentication::XOAuth2), Some(xoauth2)) => {
                let credentials = json!({
                    "clientId": xoauth2.client_id,
                    "clientSecret": secrets.get("smtp.xoauth2.clientSecret"),
                });
                let value = json!({
                    "tokenEndpoint": xoauth2.token_endpoint,
                    "scopes": xoauth2.scopes,
                    "clientCredentials": credentials,
                });
                ("xoauth2", value)
            }
            _ => return Map::new(),
        };
        [(field.to_owned(), value)].into_iter().collect()
    }
}

/// A mail server in the admin API.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wire {
    #[serde(default)]
    host: String,
    #[serde(default)]
    tls: bool,
    #[serde(default)]
    sender_address: String,
    #[serde(default)]
    sender_name: String,
    #[serde(default)]
    reply_to_address: String,
    #[serde(default)]
    user: String,
    none: Option<Value>,
    plain: Option<Value>,
    xoauth2: Option<XOAuth2Wire>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct XOAuth2Wire {
    #[serde(default)]
    token_endpoint: String,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    client_credentials: ClientCredentials,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientCredentials {
    #[serde(default)]
    client_id: String,
}

impl From<Wire> for Smtp {
    fn from(w: Wire) -> Self {
        // Versions without XOAUTH2 do not say it: they log in where there is a user.
        let authentication = match (&w.xoauth2, &w.plain, &w.none) {
            (Some(_), ..) => Authentication::XOAuth2,
            (None, Some(_), _) => Authentication::Plain,
            (None, None, None) if !w.user.is_empty() => Authentication::Plain,
            (None, None, _) => Authentication::None,
        };
        Self {
            host: Some(w.host),
            tls: Some(w.tls),
            sender_address: Some(w.sender_address),
            sender_name: Some(w.sender_name),
            reply_to_address: Some(w.reply_to_address),
            user: Some(w.user),
            authentication: Some(authentication),
            password_secret_ref: None,
            xoauth2: w.xoauth2.map(|xoauth2| XOAuth2 {
                token_endpoint: Some(xoauth2.token_endpoint),
                scopes: Some(xoauth2.scopes),
                client_id: Some(xoauth2.client_credentials.client_id),
                client_secret_ref: None,
            }),
        }
    }
}
