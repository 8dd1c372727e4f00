//! What some types of identity providers have that is neither text nor flag: tenants, directories,
//! service providers.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{
    KEY,
    types::{NAME_ID_FORMAT, Refusals},
};
use crate::{
    api::credentials,
    errors::{ApiError, Code},
    message::message,
    model::{Fields, notification::encrypted},
    parsers::{certificate, duration, xml},
    proto::{Field, Message, Request, SHORT},
};

/// What is special about a type.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    /// Nothing: it is a client.
    Client,
    /// Azure AD: it may be of one tenant.
    Tenant,
    /// LDAP.
    Directory,
    /// SAML.
    Saml,
}

const TENANT_TYPES: &[&str] = &[
    "AZURE_AD_TENANT_TYPE_COMMON",
    "AZURE_AD_TENANT_TYPE_ORGANISATIONS",
    "AZURE_AD_TENANT_TYPE_CONSUMERS",
];
/// The same in events.
const TENANTS: [&str; 3] = ["common", "organizations", "consumers"];
pub(super) static TENANT: Message = Message::new(
    "AzureADTenant",
    &[
        Field::choice("tenantType", TENANT_TYPES).in_group("type"),
        Field::text("tenantId").rules(SHORT).in_group("type"),
    ],
);

/// The attributes of a directory, by their names in requests and in events.
const ATTRIBUTE_NAMES: [(&str, &str); 13] = [
    ("idAttribute", "idAttribute"),
    ("firstNameAttribute", "firstNameAttribute"),
    ("lastNameAttribute", "lastNameAttribute"),
    ("displayNameAttribute", "displayNameAttribute"),
    ("nickNameAttribute", "nickNameAttribute"),
    ("preferredUsernameAttribute", "preferredUsernameAttribute"),
    ("emailAttribute", "emailAttribute"),
    ("emailVerifiedAttribute", "emailVerifiedAttribute"),
    ("phoneAttribute", "phoneAttribute"),
    ("phoneVerifiedAttribute", "phoneVerifiedAttribute"),
    ("preferredLanguageAttribute", "preferredLanguageAttribute"),
    ("avatarUrlAttribute", "avatarURLAttribute"),
    ("profileAttribute", "profileAttribute"),
];
pub(super) static ATTRIBUTES: Message = Message::new(
    "LDAPAttributes",
    &[
        Field::text("idAttribute").rules(SHORT),
        Field::text("firstNameAttribute").rules(SHORT),
        Field::text("lastNameAttribute").rules(SHORT),
        Field::text("displayNameAttribute").rules(SHORT),
        Field::text("nickNameAttribute").rules(SHORT),
        Field::text("preferredUsernameAttribute").rules(SHORT),
        Field::text("emailAttribute").rules(SHORT),
        Field::text("emailVerifiedAttribute").rules(SHORT),
        Field::text("phoneAttribute").rules(SHORT),
        Field::text("phoneVerifiedAttribute").rules(SHORT),
        Field::text("preferredLanguageAttribute").rules(SHORT),
        Field::text("avatarUrlAttribute").rules(SHORT),
        Field::text("profileAttribute").rules(SHORT),
    ],
);

/// The bindings of SAML in events, in the order of their numbers.
const BINDINGS: [&str; 4] = [
    "",
    "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
    "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect",
    "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact",
];
const BINDING_WORDS: [&str; 4] =
    ["", "SAML_BINDING_POST", "SAML_BINDING_REDIRECT", "SAML_BINDING_ARTIFACT"];
/// The algorithms of signatures in events, in the order of their numbers.
const SIGNATURES: [&str; 4] = [
    "",
    "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
];
const SIGNATURE_WORDS: [&str; 4] = [
    "SAML_SIGNATURE_UNSPECIFIED",
    "SAML_SIGNATURE_RSA_SHA1",
    "SAML_SIGNATURE_RSA_SHA256",
    "SAML_SIGNATURE_RSA_SHA512",
];
/// The number of the format that counts where none was ever said.
const PERSISTENT: u64 = 2;

/// The entry with a number.
fn numbered<'a>(words: &[&'a str], number: u64) -> &'a str {
    usize::try_from(number).ok().and_then(|number| words.get(number)).copied().unwrap_or_default()
}

/// What stands for a word of an event.
fn word<'a>(events: &[&str], words: &[&'a str], text: &str) -> &'a str {
    events.iter().zip(words).find(|(event, _)| **event == text).map_or("", |(_, word)| word)
}

impl Special {
    /// What is checked of a request before anything else.
    pub(super) fn check_rules(self, message: &Message, request: &Request) -> Result<(), ApiError> {
        let has_metadata = request.has("metadataXml") || request.has("metadataUrl");
        if self == Self::Saml && !has_metadata {
            let text = format!("invalid {}.Metadata: value is required", message.name);
            return Err(ApiError::bare(Code::InvalidArgument, text));
        }
        Ok(())
    }

    /// What a request says, under the names of events.
    pub(super) fn said(
        self,
        request: &Request,
        is_new: bool,
        at: usize,
    ) -> Result<Map<String, Value>, ApiError> {
        match self {
            Self::Client => Ok(Map::new()),
            Self::Tenant => Ok(Map::from_iter([("tenant".to_owned(), json!(tenant(request)))])),
            Self::Directory => directory(request),
            Self::Saml => saml(request, is_new, at),
        }
    }

    /// Fields that a creation tells even if they are empty.
    pub(super) fn tells_empty(self, field: &str) -> bool {
        self == Self::Directory && ["rootCA", "startTLS", "timeout"].contains(&field)
    }

    /// Fields that a change tells whenever they are said.
    pub(super) fn tells_unchanged(self, field: &str) -> bool {
        self == Self::Saml && field == "nameIDFormat"
    }

    /// What a creation makes besides.
    pub(super) fn made(self) -> Map<String, Value> {
        if self != Self::Saml {
            return Map::new();
        }
        Map::from_iter([
            ("key".to_owned(), encrypted(&credentials::random_text(32), KEY)),
            ("certificate".to_owned(), json!(STANDARD.encode(credentials::random_text(32)))),
        ])
    }

    /// Adds to the view of a provider.
    pub(super) fn view(self, fields: &Fields, view: &mut Map<String, Value>) {
        let own = match self {
            Self::Client => return,
            Self::Tenant => {
                let tenant = fields.text("tenant");
                let tenant = match word(&TENANTS, TENANT_TYPES, tenant) {
                    "" => json!({ "tenantId": tenant }),
                    word => json!({ "tenantType": word }),
                };
                json!({ "tenant": tenant })
            }
            Self::Directory => directory_view(fields),
            Self::Saml => saml_view(fields),
        };
        if let Value::Object(own) = own {
            view.extend(own);
        }
    }
}

fn tenant(request: &Request) -> String {
    let tenant = request.message("tenant");
    if tenant.has("tenantId") {
        return tenant.text("tenantId").to_owned();
    }
    numbered(&TENANTS, tenant.number("tenantType")).to_owned()
}

fn directory(request: &Request) -> Result<Map<String, Value>, ApiError> {
    let root = request.text("rootCa");
    if !root.is_empty() && !STANDARD.decode(root).is_ok_and(|pem| certificate::is_pem(&pem)) {
        return Err(ApiError::invalid("INST-cwqVVdBwKt", "Errors.Invalid.Argument"));
    }
    let attributes = request.message("attributes");
    let mut said = Map::from_iter([
        ("servers".to_owned(), json!(request.texts("servers"))),
        ("userObjectClasses".to_owned(), json!(request.texts("userObjectClasses"))),
        ("userFilters".to_owned(), json!(request.texts("userFilters"))),
        ("timeout".to_owned(), json!(nanos(request))),
        ("rootCA".to_owned(), if root.is_empty() { Value::Null } else { json!(root) }),
    ]);
    let attributes = ATTRIBUTE_NAMES.map(|(name, event)| (event, attributes.text(name).to_owned()));
    said.extend(attributes.map(|(event, text)| (event.to_owned(), text.into())));
    Ok(said)
}

fn nanos(request: &Request) -> i64 {
    request.0.get("timeout").and_then(Value::as_i64).unwrap_or_default()
}

fn directory_view(fields: &Fields) -> Value {
    let timeout = fields.0.get("timeout").and_then(Value::as_i64).unwrap_or_default();
    let attributes =
        ATTRIBUTE_NAMES.into_iter().filter(|(_, event)| !fields.text(event).is_empty());
    let attributes: Map<String, Value> =
        attributes.map(|(name, event)| (name.to_owned(), fields.text(event).into())).collect();
    message! {
        "servers" => fields.texts("servers"),
        "userObjectClasses" => fields.texts("userObjectClasses"),
        "userFilters" => fields.texts("userFilters"),
        "timeout" => (timeout != 0).then(|| duration::text(timeout)),
        "attributes" => attributes,
        "rootCa" => fields.text("rootCA"),
    }
}

/// Nothing is fetched: metadata that are to be found elsewhere are missing.
fn saml(request: &Request, is_new: bool, at: usize) -> Result<Map<String, Value>, ApiError> {
    let refusal = |[add, change]: [Refusals; 2], text| {
        let ids = if is_new { add } else { change };
        ApiError::invalid(ids.get(at).copied().unwrap_or_default(), text)
    };
    let metadata = request.text("metadataXml");
    if metadata.is_empty() && !request.text("metadataUrl").is_empty() {
        let ids = [["INST-8vam1khq22", "ORG-ipzxvf3cv2"], ["INST-iijz4h01if", "ORG-iijz4h01if"]];
        return Err(refusal(ids, "SAML metadata is missing"));
    }
    if metadata.is_empty() {
        let ids = [["INST-3bi3esi16t", "ORG-3bi3esi16t"], ["INST-iw1rxnf4sf", "ORG-iw1rxnf4sf"]];
        return Err(refusal(ids, "Errors.Invalid.Argument"));
    }
    let document = STANDARD.decode(metadata).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let root = document.and_then(|document| xml::root(&document));
    if root.is_none_or(|root| root.name != "EntityDescriptor") {
        let ids = ["INST-SF3rwhgh", "ORG-SF3rwhgh"];
        return Err(refusal([ids, ids], "SAML Metadata format error"));
    }
    let mut said = Map::from_iter([
        ("metadata".to_owned(), json!(metadata)),
        ("binding".to_owned(), json!(numbered(&BINDINGS, request.number("binding")))),
        (
            "transientMappingAttributeName".to_owned(),
            json!(request.text("transientMappingAttributeName")),
        ),
        ("federatedLogoutEnabled".to_owned(), json!(request.flag("federatedLogoutEnabled"))),
        (
            "signatureAlgorithm".to_owned(),
            json!(numbered(&SIGNATURES, request.number("signatureAlgorithm"))),
        ),
    ]);
    // What is not said of it is kept.
    if request.has("nameIdFormat") {
        said.insert("nameIDFormat".to_owned(), json!(request.number("nameIdFormat")));
    }
    Ok(said)
}

fn saml_view(fields: &Fields) -> Value {
    let format =
        if fields.has("nameIDFormat") { fields.number("nameIDFormat") } else { PERSISTENT };
    let mut view = message! {
        "metadataXml" => fields.text("metadata"),
        "binding" => word(&BINDINGS, &BINDING_WORDS, fields.text("binding")),
    };
    if let Some(view) = view.as_object_mut() {
        let shown = [
            ("nameIdFormat", json!(numbered(NAME_ID_FORMAT, format))),
            ("transientMappingAttributeName", json!(fields.text("transientMappingAttributeName"))),
            ("federatedLogoutEnabled", json!(fields.flag("federatedLogoutEnabled"))),
            (
                "signatureAlgorithm",
                json!(word(&SIGNATURES, &SIGNATURE_WORDS, fields.text("signatureAlgorithm"))),
            ),
        ];
        view.extend(shown.map(|(name, value)| (name.to_owned(), value)));
    }
    view
}
