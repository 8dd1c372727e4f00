//! Directories: LDAP.

#![expect(clippy::struct_field_names, reason = "the names of fields are ZITADEL's")]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::codec::{decode_text, encode_text};
use crate::{api::secret::SecretKeyReference, kinds::lifetime::Lifetime};

/// A directory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ldap {
    /// URLs of the servers, such as `ldaps://ldap.example.com:636`, in the order in which they are
    /// tried.
    #[schemars(
        required,
        length(min = 1, max = 20),
        inner(length(min = 1, max = 200), regex(pattern = r"^ldaps?://\S+$"))
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    servers: Option<Vec<String>>,
    /// Whether a connection by `ldap://` is encrypted by STARTTLS. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    start_tls: Option<bool>,
    /// The entry below which everything is, such as `dc=example,dc=com`.
    #[schemars(required, length(min = 1, max = 200), regex(pattern = r"^\S(.*\S)?$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    base_dn: Option<String>,
    /// The entry that ZITADEL logs in as to look for people.
    #[schemars(required, length(min = 1, max = 200), regex(pattern = r"^\S(.*\S)?$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    bind_dn: Option<String>,
    /// The password that it logs in by. Omitted: not managed; needed to create a provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    bind_password_secret_ref: Option<SecretKeyReference>,
    /// What names people below the base, such as `dn`.
    #[schemars(required, length(min = 1, max = 200), regex(pattern = r"^\S(.*\S)?$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    user_base: Option<String>,
    /// Classes of which people are, such as `inetOrgPerson`; their order means nothing.
    #[schemars(required, length(min = 1, max = 20), inner(length(min = 1, max = 200)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    user_object_classes: Option<Vec<String>>,
    /// Attributes of which one has to be what was entered as login name, such as `uid`; their order
    /// means nothing.
    #[schemars(required, length(min = 1, max = 20), inner(length(min = 1, max = 200)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    user_filters: Option<Vec<String>>,
    /// How long an answer is waited for, such as `10s`. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<Lifetime>,
    /// Which attribute says what of people.
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<Attributes>,
    /// The certificate of the authority that issued those of the servers, in PEM; `""`: one that the
    /// host of ZITADEL trusts. Omitted: not managed.
    #[schemars(length(max = 20_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    root_ca: Option<String>,
}

/// Which attribute says what of people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Attributes {
    /// What tells them apart, for ever; `""`: none. Omitted: not managed.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    id_attribute: Option<String>,
    /// The given name; `""`: none. Omitted: not managed.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    first_name_attribute: Option<String>,
    /// The family name; `""`: none. Omitted: not managed.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    last_name_attribute: Option<String>,
    /// The name that is shown; `""`: none. Omitted: not managed.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name_attribute: Option<String>,
    /// The nick name; `""`: none. Omitted: not managed.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    nick_name_attribute: Option<String>,
    /// The user name; `""`: none. Omitted: not managed.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_username_attribute: Option<String>,
    /// The e-mail address; `""`: none. Omitted: not managed.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    email_attribute: Option<String>,
    /// Whether the e-mail address is verified; `""`: none. Omitted: not managed.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified_attribute: Option<String>,
    /// The phone number; `""`: none. Omitted: not managed.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_attribute: Option<String>,
    /// Whether the phone number is verified; `""`: none. Omitted: not managed.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_verified_attribute: Option<String>,
    /// The preferred language; `""`: none. Omitted: not managed.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_language_attribute: Option<String>,
    /// The URL of a picture; `""`: none. Omitted: not managed.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url_attribute: Option<String>,
    /// The URL of a page about the person; `""`: none. Omitted: not managed.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    profile_attribute: Option<String>,
}

/// A directory as a request has it.
pub(super) fn encode(fields: &mut Map<String, Value>) {
    encode_text(fields, "rootCa");
    let timeout = fields.get("timeout").cloned();
    let timeout = timeout.and_then(|timeout| serde_json::from_value::<Lifetime>(timeout).ok());
    if let Some(timeout) = timeout {
        fields.insert("timeout".into(), timeout.wire().into());
    }
}

/// A directory of an answer, as it is declared.
pub(super) fn decode(fields: &mut Map<String, Value>) {
    decode_text(fields, "rootCa");
}
