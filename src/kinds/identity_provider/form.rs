//! The forms of a provider: where each is created and changed, how it differs in requests and
//! answers, and which secret it has.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{AUTO_LINKING, IdentityProviderState, clients, codec::encode_word, directory, saml};
use crate::{
    contract::{Required, SecretInput, Secrets},
    zitadel::{Error, Result},
};

/// A form.
pub(super) struct Form {
    /// Its field in specs.
    pub(super) field: &'static str,
    /// Its field in answers.
    pub(super) config: &'static str,
    /// Where it is created: at the instance, in an organization.
    pub(super) paths: [&'static str; 2],
    /// Where it is changed.
    pub(super) one: [&'static str; 2],
    /// Whether the instance's is changed by `POST`, which no other is.
    pub(super) is_posted: bool,
    /// What ZITADEL omits from its answers.
    zero: fn() -> Value,
    encode: fn(&mut Map<String, Value>),
    decode: fn(&mut Map<String, Value>),
}

/// A form at a path; the parts in which it is special follow.
macro_rules! form {
    ($field:literal, $config:literal, $path:literal, $zero:tt) => {
        form!($field, $config, $path, $zero, is_posted: false)
    };
    ($field:literal, $config:literal, $path:literal, $zero:tt, $($special:ident: $value:expr),*) => {
        Form {
            field: $field,
            config: $config,
            paths: [concat!("/admin/v1/idps/", $path), concat!("/management/v1/idps/", $path)],
            one: [
                concat!("/admin/v1/idps/", $path, "/{}"),
                concat!("/management/v1/idps/", $path, "/{}"),
            ],
            zero: || json!($zero),
            $($special: $value,)*
            ..SAME
        }
    };
}

/// What has one form in specs, requests and answers.
const SAME: Form = Form {
    field: "",
    config: "",
    paths: ["", ""],
    one: ["", ""],
    is_posted: false,
    zero: || Value::Null,
    encode: |_| (),
    decode: |_| (),
};

static FORMS: [Form; 12] = [
    form!("oidc", "oidc", "generic_oidc", {
        "issuer": "", "clientId": "", "scopes": [], "isIdTokenMapping": false, "usePkce": false,
    }),
    form!("oauth", "oauth", "oauth", {
        "authorizationEndpoint": "", "tokenEndpoint": "", "userEndpoint": "", "idAttribute": "",
        "clientId": "", "scopes": [], "usePkce": false,
    }),
    form!("jwt", "jwt", "generic_jwt", {
        "issuer": "", "jwtEndpoint": "", "keysEndpoint": "", "headerName": "", "audience": "",
    }),
    form!(
        "azureAd", "azureAd", "azure",
        {"clientId": "", "scopes": [], "tenant": "common", "emailVerified": false},
        encode: clients::encode_tenant,
        decode: clients::decode_tenant
    ),
    form!("github", "github", "github", {"clientId": "", "scopes": []}),
    form!("githubEnterprise", "githubEs", "github_es", {
        "authorizationEndpoint": "", "tokenEndpoint": "", "userEndpoint": "",
        "clientId": "", "scopes": [],
    }),
    form!("gitlab", "gitlab", "gitlab", {"clientId": "", "scopes": []}, is_posted: true),
    form!(
        "gitlabSelfHosted", "gitlabSelfHosted", "gitlab_self_hosted",
        {"issuer": "", "clientId": "", "scopes": []},
        is_posted: true
    ),
    form!("google", "google", "google", {"clientId": "", "scopes": []}),
    form!("apple", "apple", "apple", {"clientId": "", "teamId": "", "keyId": "", "scopes": []}),
    form!(
        "ldap", "ldap", "ldap",
        {
            "servers": [], "startTls": false, "baseDn": "", "bindDn": "", "userBase": "",
            "userObjectClasses": [], "userFilters": [], "timeout": "0s", "rootCa": "",
            "attributes": {
                "idAttribute": "", "firstNameAttribute": "", "lastNameAttribute": "",
                "displayNameAttribute": "", "nickNameAttribute": "",
                "preferredUsernameAttribute": "", "emailAttribute": "",
                "emailVerifiedAttribute": "", "phoneAttribute": "", "phoneVerifiedAttribute": "",
                "preferredLanguageAttribute": "", "avatarUrlAttribute": "", "profileAttribute": "",
            },
        },
        encode: directory::encode,
        decode: directory::decode
    ),
    form!(
        "saml", "saml", "saml",
        {
            "metadataXml": "", "binding": "Unspecified", "withSignedRequest": false,
            "nameIdFormat": "Persistent", "transientMappingAttributeName": "",
            "federatedLogoutEnabled": false, "signatureAlgorithm": "Unspecified",
        },
        encode: saml::encode,
        decode: saml::decode
    ),
];

/// The secret of a form, by the name that events have for the form and for the secret.
macro_rules! secret {
    ($form:literal, $field:literal by $reference:literal, [$($event:expr),*], $payload:literal) => {
        SecretInput {
            field: concat!($form, ".", $field),
            reference: concat!($form, ".", $reference),
            required: Required::Always,
            events: &[$($event),*],
            payload: &[$payload],
            ..SecretInput::EMPTY
        }
    };
    ($form:literal, $event:literal, $payload:literal) => {
        secret!(
            $form,
            "clientSecret" by "clientSecretRef",
            [
                concat!("instance.idp.", $event, ".changed"),
                concat!("org.idp.", $event, ".changed")
            ],
            $payload
        )
    };
}

/// What ZITADEL takes and never shows.
pub(super) const INPUTS: &[SecretInput] = &[
    secret!("oidc", "oidc", "clientSecret"),
    secret!("oauth", "oauth", "clientSecret"),
    secret!("azureAd", "azure", "client_secret"),
    secret!("github", "github", "clientSecret"),
    secret!("githubEnterprise", "github_enterprise", "clientSecret"),
    secret!("gitlab", "gitlab", "client_secret"),
    secret!("gitlabSelfHosted", "gitlab_self_hosted", "client_secret"),
    secret!("google", "google", "clientSecret"),
    secret!(
        "apple",
        "privateKey" by "privateKeySecretRef",
        ["instance.idp.apple.changed", "org.idp.apple.changed"],
        "privateKey"
    ),
    secret!(
        "ldap",
        "bindPassword" by "bindPasswordSecretRef",
        ["instance.idp.ldap.v2.changed", "org.idp.ldap.changed"],
        "bindPassword"
    ),
];

impl Form {
    /// The form of an answer's configuration.
    pub(super) fn of(config: &Map<String, Value>) -> Option<&'static Self> {
        FORMS.iter().find(|form| config.contains_key(form.config))
    }

    /// What an answer says, as it is declared, and as it is where the answer omits something.
    pub(super) fn decoded(&self, mut fields: Map<String, Value>) -> [Value; 2] {
        (self.decode)(&mut fields);
        [Value::Object(fields), (self.zero)()]
    }

    /// Adds the secret to a request.
    pub(super) fn add_secret(&self, body: &mut Map<String, Value>, secrets: &Secrets) {
        for input in INPUTS {
            let (form, name) = input.field.split_once('.').unwrap_or_default();
            let value = secrets.get(input.field).filter(|_| form == self.field);
            if let Some(value) = value {
                // Keys are bytes.
                let is_key = name == "privateKey";
                let value = if is_key { STANDARD.encode(value) } else { value.to_owned() };
                body.insert(name.to_owned(), value.into());
            }
        }
    }
}

/// What a request says of a provider, but for its secret.
pub(super) fn body(want: &IdentityProviderState) -> Result<(&'static Form, Map<String, Value>)> {
    let malformed = || Error::Malformed {
        endpoint: "(an identity provider)".into(),
        what: "it has no form".into(),
    };
    let Ok(Value::Object(mut fields)) = serde_json::to_value(want) else { return Err(malformed()) };
    let form = FORMS.iter().find(|form| fields.contains_key(form.field)).ok_or_else(malformed)?;
    let Some(Value::Object(mut body)) = fields.remove(form.field) else { return Err(malformed()) };
    (form.encode)(&mut body);
    if let Some(name) = fields.remove("name") {
        body.insert("name".into(), name);
    }
    if let Some(Value::Object(mut options)) = fields.remove("options") {
        encode_word(&mut options, "autoLinking", AUTO_LINKING);
        body.insert("providerOptions".into(), options.into());
    }
    Ok((form, body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{contract::Kind, kinds::identity_provider::IdentityProvider};

    #[test]
    fn each_form_has_an_entry() {
        let entries = FORMS.each_ref().map(|form| form.field);
        assert_eq!(IdentityProvider::DESCRIPTION.forms, entries);
    }

    fn round_trip(field: &str, declared: &Value, sent: &Value) {
        let form = FORMS.iter().find(|form| form.field == field).unwrap();
        let want: IdentityProviderState = serde_json::from_value(json!({field: declared})).unwrap();
        let (_, body) = body(&want).unwrap();
        assert_eq!(Value::Object(body.clone()), *sent);
        let [read, _] = form.decoded(body);
        let read: IdentityProviderState = serde_json::from_value(json!({field: read})).unwrap();
        assert_eq!(read, want);
    }

    #[test]
    fn what_is_declared_has_the_form_of_requests() {
        for (declared, sent) in [
            ("common", json!({"tenantType": "AZURE_AD_TENANT_TYPE_COMMON"})),
            ("organizations", json!({"tenantType": "AZURE_AD_TENANT_TYPE_ORGANISATIONS"})),
            ("9d0f7c1e", json!({"tenantId": "9d0f7c1e"})),
        ] {
            round_trip("azureAd", &json!({"tenant": declared}), &json!({"tenant": sent}));
        }
        round_trip(
            "saml",
            &json!({"metadataXml": "<a/>", "binding": "Post", "nameIdFormat": "Transient"}),
            &json!({
                "metadataXml": "PGEvPg==",
                "binding": "SAML_BINDING_POST",
                "nameIdFormat": "SAML_NAME_ID_FORMAT_TRANSIENT",
            }),
        );
        let ldap: IdentityProviderState =
            serde_json::from_value(json!({"ldap": {"timeout": "1m"}})).unwrap();
        assert_eq!(body(&ldap).unwrap().1["timeout"], "60s");
        let options = json!({"github": {}, "options": {"autoLinking": "Email"}});
        let options: IdentityProviderState = serde_json::from_value(options).unwrap();
        let sent = &body(&options).unwrap().1["providerOptions"];
        assert_eq!(sent["autoLinking"], "AUTO_LINKING_OPTION_EMAIL");
    }

    #[test]
    fn only_the_own_secret_is_sent() {
        let secrets = [("apple.privateKey", "key".into()), ("google.clientSecret", "x".into())];
        let secrets: Secrets = secrets.into_iter().collect();
        let sent = |field: &str| {
            let mut body = Map::new();
            FORMS.iter().find(|form| form.field == field).unwrap().add_secret(&mut body, &secrets);
            Value::Object(body)
        };
        assert_eq!(sent("apple"), json!({"privateKey": "a2V5"}));
        assert_eq!(sent("google"), json!({"clientSecret": "x"}));
        assert_eq!(sent("github"), json!({}));
    }
}
