//! SAML.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::codec::{Words, decode_text, encode_text, encode_word};

/// An identity provider of SAML. ZITADEL has a key pair of its own for each; what it says of itself
/// is at `/idps/<id>/saml/metadata` of its address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Saml {
    /// What the provider says of itself: the metadata document, an `EntityDescriptor`. From a URL
    /// ZITADEL would fetch it once and keep what it found: declare what is found there.
    #[schemars(required, length(min = 1, max = 100_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata_xml: Option<String>,
    /// How requests get to the provider. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    binding: Option<Binding>,
    /// Whether requests are signed. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    with_signed_request: Option<bool>,
    /// Which kind of name for a person is asked for. Omitted: not managed, and of a new provider
    /// `Persistent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    name_id_format: Option<NameIdFormat>,
    /// The attribute that tells people apart where `nameIdFormat` is `Transient`; `""`: none.
    /// Omitted: not managed.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    transient_mapping_attribute_name: Option<String>,
    /// Whether logging out of ZITADEL logs out of the provider too. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    federated_logout_enabled: Option<bool>,
    /// By which algorithm requests are signed. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    signature_algorithm: Option<SignatureAlgorithm>,
}

/// How requests get to the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum Binding {
    /// As ZITADEL likes.
    #[serde(alias = "SAML_BINDING_UNSPECIFIED")]
    Unspecified,
    /// By a form that is sent.
    #[serde(alias = "SAML_BINDING_POST")]
    Post,
    /// By a redirect.
    #[serde(alias = "SAML_BINDING_REDIRECT")]
    Redirect,
    /// By a reference that the provider resolves.
    #[serde(alias = "SAML_BINDING_ARTIFACT")]
    Artifact,
}

/// Which kind of name a person has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum NameIdFormat {
    /// Any.
    #[serde(alias = "SAML_NAME_ID_FORMAT_UNSPECIFIED")]
    Unspecified,
    /// The e-mail address.
    #[serde(alias = "SAML_NAME_ID_FORMAT_EMAIL_ADDRESS")]
    EmailAddress,
    /// One that stays the same.
    #[serde(alias = "SAML_NAME_ID_FORMAT_PERSISTENT")]
    Persistent,
    /// Another one for each session.
    #[serde(alias = "SAML_NAME_ID_FORMAT_TRANSIENT")]
    Transient,
}

/// By which algorithm requests are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum SignatureAlgorithm {
    /// As ZITADEL likes.
    #[serde(alias = "SAML_SIGNATURE_UNSPECIFIED")]
    Unspecified,
    /// RSA with SHA-1.
    #[serde(alias = "SAML_SIGNATURE_RSA_SHA1")]
    RsaSha1,
    /// RSA with SHA-256.
    #[serde(alias = "SAML_SIGNATURE_RSA_SHA256")]
    RsaSha256,
    /// RSA with SHA-512.
    #[serde(alias = "SAML_SIGNATURE_RSA_SHA512")]
    RsaSha512,
}

const BINDINGS: Words = &[
    ("Unspecified", "SAML_BINDING_UNSPECIFIED"),
    ("Post", "SAML_BINDING_POST"),
    ("Redirect", "SAML_BINDING_REDIRECT"),
    ("Artifact", "SAML_BINDING_ARTIFACT"),
];
const NAME_ID_FORMATS: Words = &[
    ("Unspecified", "SAML_NAME_ID_FORMAT_UNSPECIFIED"),
    ("EmailAddress", "SAML_NAME_ID_FORMAT_EMAIL_ADDRESS"),
    ("Persistent", "SAML_NAME_ID_FORMAT_PERSISTENT"),
    ("Transient", "SAML_NAME_ID_FORMAT_TRANSIENT"),
];
const SIGNATURE_ALGORITHMS: Words = &[
    ("Unspecified", "SAML_SIGNATURE_UNSPECIFIED"),
    ("RsaSha1", "SAML_SIGNATURE_RSA_SHA1"),
    ("RsaSha256", "SAML_SIGNATURE_RSA_SHA256"),
    ("RsaSha512", "SAML_SIGNATURE_RSA_SHA512"),
];

/// A provider as a request has it.
pub(super) fn encode(fields: &mut Map<String, Value>) {
    encode_text(fields, "metadataXml");
    encode_word(fields, "binding", BINDINGS);
    encode_word(fields, "nameIdFormat", NAME_ID_FORMATS);
    encode_word(fields, "signatureAlgorithm", SIGNATURE_ALGORITHMS);
}

/// A provider of an answer, as it is declared.
pub(super) fn decode(fields: &mut Map<String, Value>) {
    decode_text(fields, "metadataXml");
}
