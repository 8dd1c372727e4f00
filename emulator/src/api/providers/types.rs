//! The types of identity providers: what tells one from another.

use serde_json::Value;

use super::special::{ATTRIBUTES, Special, TENANT};
use crate::{
    message::message,
    model::provider::Provider,
    proto::{Field, Message, NAME, Rule, SHORT},
};

/// A type of identity providers.
pub(super) struct Type {
    /// What events call it.
    pub(super) name: &'static str,
    /// What answers call it, with a prefix.
    pub(super) word: &'static str,
    /// The field of its configuration in answers.
    pub(super) config: &'static str,
    /// Where it is created: at the instance, at an organization.
    pub(super) paths: [&'static str; 2],
    /// Where it is changed.
    pub(super) one: [&'static str; 2],
    /// Whether the instance's are changed by `POST`.
    pub(super) is_posted: bool,
    pub(super) added: [&'static str; 2],
    pub(super) changed: [&'static str; 2],
    pub(super) add: Message,
    pub(super) change: Message,
    /// What must hold more than blanks, which are taken off: the ids that refuse it at a creation and
    /// at a change.
    pub(super) filled: &'static [(&'static str, Refusals, Refusals)],
    /// What refuses a change of what is not there.
    pub(super) missing: Refusals,
    /// Texts of requests and answers, and their names in events.
    pub(super) texts: &'static [(&'static str, &'static str)],
    /// The same of flags.
    pub(super) flags: &'static [(&'static str, &'static str)],
    /// The same of what no answer shows.
    pub(super) secret: Option<(&'static str, &'static str)>,
    pub(super) special: Special,
}

/// Ids of errors: of the instance, of an organization.
pub(super) type Refusals = [&'static str; 2];

pub(super) const AUTO_LINKING: &[&str] = &[
    "AUTO_LINKING_OPTION_UNSPECIFIED",
    "AUTO_LINKING_OPTION_USERNAME",
    "AUTO_LINKING_OPTION_EMAIL",
];
const BINDING: &[&str] = &[
    "SAML_BINDING_UNSPECIFIED",
    "SAML_BINDING_POST",
    "SAML_BINDING_REDIRECT",
    "SAML_BINDING_ARTIFACT",
];
pub(super) const NAME_ID_FORMAT: &[&str] = &[
    "SAML_NAME_ID_FORMAT_UNSPECIFIED",
    "SAML_NAME_ID_FORMAT_EMAIL_ADDRESS",
    "SAML_NAME_ID_FORMAT_PERSISTENT",
    "SAML_NAME_ID_FORMAT_TRANSIENT",
];
const SIGNATURE: &[&str] = &[
    "SAML_SIGNATURE_UNSPECIFIED",
    "SAML_SIGNATURE_RSA_SHA1",
    "SAML_SIGNATURE_RSA_SHA256",
    "SAML_SIGNATURE_RSA_SHA512",
];

/// What a provider may do with users.
static OPTIONS_MESSAGE: Message = Message::new(
    "Options",
    &[
        Field::flag("isLinkingAllowed"),
        Field::flag("isCreationAllowed"),
        Field::flag("isAutoCreation"),
        Field::flag("isAutoUpdate"),
        Field::choice("autoLinking", AUTO_LINKING),
    ],
);
const OPTIONS: Field = Field::message("providerOptions", &OPTIONS_MESSAGE);
const SCOPES: Field =
    Field::text("scopes").repeated().rules(&[Rule::MaxItems(20), Rule::EachLength(1, 100)]);
const CLIENT: Field = Field::text("clientId").rules(NAME);
const ISSUER: Field = Field::text("issuer").rules(NAME);
const TEN: &[Rule] = &[Rule::Length(10, 10)];
const LIST: &[Rule] = &[Rule::Items(1, 20), Rule::EachLength(1, 200)];

/// A text that has to be there.
const fn name(name: &'static str) -> Field {
    Field::text(name).rules(NAME)
}

/// The requests of a type, with a secret that a change may omit, of at most so many characters.
macro_rules! requests {
    ($name:literal, [$($head:expr),*], $secret:literal to $most:literal, [$($tail:expr),*]) => {
        requests!(
            $name,
            [$($head,)* Field::text($secret).rules(&[Rule::Length(1, $most)]), $($tail),*],
            [$($head,)* Field::text($secret).rules(&[Rule::Length(0, $most)]), $($tail),*]
        )
    };
    ($name:literal, [$($field:expr),*]) => {
        requests!($name, [$($field),*], [$($field),*])
    };
    ($name:literal, [$($add:expr),*], [$($change:expr),*]) => {{
        const ADD: &[Field] = &[$($add),*];
        const CHANGE: &[Field] = &[$($change),*];
        [
            Message::new(concat!("Add", $name, "ProviderRequest"), ADD),
            Message::new(concat!("Update", $name, "ProviderRequest"), CHANGE),
        ]
    }};
}

/// The same id of the instance and of organizations, but for what it begins with.
macro_rules! both {
    () => {
        ["", ""]
    };
    ($id:literal) => {
        [concat!("INST-", $id), concat!("ORG-", $id)]
    };
}

/// What must hold more than blanks: at a creation, and at a change too where that has an id.
macro_rules! filled {
    ($($field:literal: $add:literal $(, $change:literal)?);* $(;)?) => {
        &[$(($field, both!($add), both!($($change)?))),*]
    };
}

/// A type by its names in events and paths; what it is otherwise follows.
macro_rules! provider {
    ($name:literal, $word:literal, $config:literal, $path:literal, $requests:expr, $of:expr) => {{
        let [add, change] = $requests;
        let Own { filled, missing, texts, flags, secret, special, is_posted, name_at_instance } =
            $of;
        Type {
            name: $name,
            word: $word,
            config: $config,
            paths: [concat!("/admin/v1/idps/", $path), concat!("/management/v1/idps/", $path)],
            one: [
                concat!("/admin/v1/idps/", $path, "/{id}"),
                concat!("/management/v1/idps/", $path, "/{id}"),
            ],
            is_posted,
            added: [
                match name_at_instance {
                    Some([added, _]) => added,
                    None => concat!("instance.idp.", $name, ".added"),
                },
                concat!("org.idp.", $name, ".added"),
            ],
            changed: [
                match name_at_instance {
                    Some([_, changed]) => changed,
                    None => concat!("instance.idp.", $name, ".changed"),
                },
                concat!("org.idp.", $name, ".changed"),
            ],
            add,
            change,
            filled,
            missing,
            texts,
            flags,
            secret,
            special,
        }
    }};
}

/// What a type does not get by its names.
struct Own {
    filled: &'static [(&'static str, Refusals, Refusals)],
    missing: Refusals,
    texts: &'static [(&'static str, &'static str)],
    flags: &'static [(&'static str, &'static str)],
    secret: Option<(&'static str, &'static str)>,
    special: Special,
    is_posted: bool,
    /// The instance's events, where they are not named like an organization's: added, changed.
    name_at_instance: Option<[&'static str; 2]>,
}

const OWN: Own = Own {
    filled: &[],
    missing: ["", ""],
    texts: &[("clientId", "clientId")],
    flags: &[],
    secret: Some(("clientSecret", "clientSecret")),
    special: Special::Client,
    is_posted: false,
    name_at_instance: None,
};

pub(super) static TYPES: [Type; 12] = [
    provider!(
        "oidc",
        "OIDC",
        "oidc",
        "generic_oidc",
        requests!(
            "GenericOIDC",
            [name("name"), ISSUER, CLIENT],
            "clientSecret" to 1_000,
            [SCOPES, OPTIONS, Field::flag("isIdTokenMapping"), Field::flag("usePkce")]
        ),
        Own {
            filled: filled! {
                "name": "Sgtj5", "Dvf4f";
                "issuer": "Hz6zj", "BDfr3";
                "clientId": "fb5jm", "Db3bs";
                "clientSecret": "Sfdf4";
            },
            missing: both!("Dg331"),
            texts: &[("issuer", "issuer"), ("clientId", "clientId")],
            flags: &[("isIdTokenMapping", "idTokenMapping"), ("usePkce", "usePKCE")],
            ..OWN
        }
    ),
    provider!(
        "oauth",
        "OAUTH",
        "oauth",
        "oauth",
        requests!(
            "GenericOAuth",
            [name("name"), CLIENT],
            "clientSecret" to 200,
            [
                name("authorizationEndpoint"),
                name("tokenEndpoint"),
                name("userEndpoint"),
                SCOPES,
                name("idAttribute"),
                OPTIONS,
                Field::flag("usePkce")
            ]
        ),
        Own {
            filled: filled! {
                "name": "D32ef", "Sf3gh";
                "clientId": "Dbgzf", "SHJ3ui";
                "clientSecret": "DF4ga";
                "authorizationEndpoint": "B23bs", "SVrgh";
                "tokenEndpoint": "D2gj8", "DJKeio";
                "userEndpoint": "Fb8jk", "ILSJi";
                "idAttribute": "sdf3f", "JKD3h";
            },
            missing: ["INST-D3r1s", "ORG-JNsd3"],
            texts: &[
                ("clientId", "clientId"),
                ("authorizationEndpoint", "authorizationEndpoint"),
                ("tokenEndpoint", "tokenEndpoint"),
                ("userEndpoint", "userEndpoint"),
                ("idAttribute", "idAttribute"),
            ],
            flags: &[("usePkce", "usePKCE")],
            ..OWN
        }
    ),
    provider!(
        "google",
        "GOOGLE",
        "google",
        "google",
        requests!(
            "Google",
            [Field::text("name").rules(SHORT), CLIENT],
            "clientSecret" to 200,
            [SCOPES, OPTIONS]
        ),
        Own {
            filled: filled! { "clientId": "D3fvs", "ds432"; "clientSecret": "W2vqs" },
            missing: ["INST-D3r1s", "ORG-Dqrg1"],
            ..OWN
        }
    ),
    provider!(
        "github",
        "GITHUB",
        "github",
        "github",
        requests!(
            "GitHub",
            [Field::text("name").rules(SHORT), CLIENT],
            "clientSecret" to 200,
            [SCOPES, OPTIONS]
        ),
        Own {
            filled: filled! { "clientId": "Jdsgf", "fdh5z"; "clientSecret": "dsgz3" },
            missing: both!("Dr1gs"),
            ..OWN
        }
    ),
    provider!(
        "github_enterprise",
        "GITHUB_ES",
        "githubEs",
        "github_es",
        requests!(
            "GitHubEnterpriseServer",
            [name("name"), CLIENT],
            "clientSecret" to 200,
            [
                name("authorizationEndpoint"),
                name("tokenEndpoint"),
                name("userEndpoint"),
                SCOPES,
                OPTIONS
            ]
        ),
        Own {
            filled: filled! {
                "name": "Dg4td", "shj42";
                "clientId": "dgj53", "sdh73";
                "clientSecret": "Ghjjs";
                "authorizationEndpoint": "sani2", "acx2w";
                "tokenEndpoint": "agj42", "dgj6q";
                "userEndpoint": "sd5hn", "ybj62";
            },
            missing: both!("GBr42"),
            texts: &[
                ("clientId", "clientId"),
                ("authorizationEndpoint", "authorizationEndpoint"),
                ("tokenEndpoint", "tokenEndpoint"),
                ("userEndpoint", "userEndpoint"),
            ],
            ..OWN
        }
    ),
    provider!(
        "gitlab",
        "GITLAB",
        "gitlab",
        "gitlab",
        requests!(
            "GitLab",
            [Field::text("name").rules(SHORT), CLIENT],
            "clientSecret" to 200,
            [SCOPES, OPTIONS]
        ),
        Own {
            filled: filled! { "clientId": "adsg2", "D12t6"; "clientSecret": "GD1j2" },
            missing: both!("HBReq"),
            texts: &[("clientId", "client_id")],
            secret: Some(("clientSecret", "client_secret")),
            is_posted: true,
            ..OWN
        }
    ),
    provider!(
        "gitlab_self_hosted",
        "GITLAB_SELF_HOSTED",
        "gitlabSelfHosted",
        "gitlab_self_hosted",
        requests!(
            "GitLabSelfHosted",
            [ISSUER, name("name"), CLIENT],
            "clientSecret" to 200,
            [SCOPES, OPTIONS]
        ),
        Own {
            filled: filled! {
                "name": "jw4ZT", "DG4H";
                "issuer": "AST4S", "SD4eb";
                "clientId": "DBZHJ", "GHWE3";
                "clientSecret": "SDGJ4";
            },
            missing: both!("D2tg1"),
            texts: &[("issuer", "issuer"), ("clientId", "client_id")],
            secret: Some(("clientSecret", "client_secret")),
            is_posted: true,
            ..OWN
        }
    ),
    provider!(
        "azure",
        "AZURE_AD",
        "azureAd",
        "azure",
        requests!(
            "AzureAD",
            [name("name"), CLIENT],
            "clientSecret" to 200,
            [Field::message("tenant", &TENANT), Field::flag("emailVerified"), SCOPES, OPTIONS]
        ),
        Own {
            filled: filled! { "name": "sdf3g", "fh3h1"; "clientId": "Fhbr2", "dmitg"; "clientSecret": "Dzh3g" },
            missing: both!("BHz3q"),
            texts: &[("clientId", "client_id")],
            flags: &[("emailVerified", "isEmailVerified")],
            secret: Some(("clientSecret", "client_secret")),
            special: Special::Tenant,
            ..OWN
        }
    ),
    provider!(
        "apple",
        "APPLE",
        "apple",
        "apple",
        requests!(
            "Apple",
            [
                Field::text("name").rules(SHORT),
                CLIENT,
                Field::text("teamId").rules(TEN),
                Field::text("keyId").rules(TEN),
                Field::bytes("privateKey").rules(&[Rule::Bytes(1, 5_000)]),
                SCOPES,
                OPTIONS
            ],
            [
                Field::text("name").rules(SHORT),
                CLIENT,
                Field::text("teamId").rules(TEN),
                Field::text("keyId").rules(TEN),
                Field::bytes("privateKey").rules(&[Rule::Bytes(0, 5_000)]),
                SCOPES,
                OPTIONS
            ]
        ),
        Own {
            filled: filled! {
                "clientId": "jkn3w", "SFm4l";
                "teamId": "Ffg32", "SG34t";
                "keyId": "GDjm5", "Gh4z2";
            },
            missing: both!("SG3bh"),
            texts: &[("clientId", "clientId"), ("teamId", "teamId"), ("keyId", "keyId")],
            secret: Some(("privateKey", "privateKey")),
            ..OWN
        }
    ),
    provider!(
        "jwt",
        "JWT",
        "jwt",
        "generic_jwt",
        requests!(
            "JWT",
            [
                name("name"),
                ISSUER,
                name("jwtEndpoint"),
                name("keysEndpoint"),
                name("headerName"),
                OPTIONS,
                Field::text("audience").rules(SHORT)
            ]
        ),
        Own {
            filled: filled! {
                "name": "JLKef", "JKLS2";
                "issuer": "WNJK3", "JKs3f";
                "jwtEndpoint": "NJKSD", "NJKS2";
                "keysEndpoint": "NJKE3", "SJk2d";
                "headerName": "2rlks", "SJK2f";
            },
            missing: both!("Bhju5"),
            texts: &[
                ("issuer", "issuer"),
                ("jwtEndpoint", "jwtEndpoint"),
                ("keysEndpoint", "keysEndpoint"),
                ("headerName", "headerName"),
                ("audience", "audience"),
            ],
            secret: None,
            ..OWN
        }
    ),
    provider!(
        "ldap",
        "LDAP",
        "ldap",
        "ldap",
        requests!(
            "LDAP",
            [
                name("name"),
                Field::text("servers").repeated().rules(LIST),
                Field::flag("startTls"),
                name("baseDn"),
                name("bindDn")
            ],
            "bindPassword" to 200,
            [
                name("userBase"),
                Field::text("userObjectClasses").repeated().rules(LIST),
                Field::text("userFilters").repeated().rules(LIST),
                Field::duration("timeout"),
                Field::message("attributes", &ATTRIBUTES),
                OPTIONS,
                Field::bytes("rootCa")
            ]
        ),
        Own {
            filled: filled! {
                "name": "SAfdd", "Sffgd";
                "baseDn": "sv31s", "vb3ss";
                "bindDn": "sdgf4", "hbere";
                "bindPassword": "AEG2w";
                "userBase": "SAD5n", "DG45z";
            },
            missing: both!("ASF3F"),
            texts: &[("baseDn", "baseDN"), ("bindDn", "bindDN"), ("userBase", "userBase")],
            flags: &[("startTls", "startTLS")],
            secret: Some(("bindPassword", "bindPassword")),
            special: Special::Directory,
            name_at_instance: Some(["instance.idp.ldap.v2.added", "instance.idp.ldap.v2.changed"]),
            ..OWN
        }
    ),
    provider!(
        "saml",
        "SAML",
        "saml",
        "saml",
        requests!(
            "SAML",
            [
                name("name"),
                Field::bytes("metadataXml").rules(&[Rule::MaxBytes(500_000)]).in_group("metadata"),
                Field::text("metadataUrl").rules(SHORT).in_group("metadata"),
                Field::choice("binding", BINDING),
                Field::flag("withSignedRequest"),
                OPTIONS,
                Field::choice("nameIdFormat", NAME_ID_FORMAT),
                Field::text("transientMappingAttributeName").rules(SHORT),
                Field::flag("federatedLogoutEnabled"),
                Field::choice("signatureAlgorithm", SIGNATURE)
            ]
        ),
        Own {
            filled: filled! { "name": "o07zjotgnd", "q2s9rak7o9" },
            missing: ["INST-D3r1s", "ORG-z82dddndql"],
            texts: &[],
            flags: &[("withSignedRequest", "withSignedRequest")],
            secret: None,
            special: Special::Saml,
            ..OWN
        }
    ),
];

impl Type {
    /// The type of a provider.
    pub(super) fn of(provider: &Provider) -> Option<&'static Self> {
        TYPES.iter().find(|of| of.name == provider.kind)
    }

    /// The configuration in answers.
    pub(super) fn view(&self, provider: &Provider) -> Value {
        let fields = &provider.fields;
        let mut view = message! { "scopes" => fields.texts("scopes") };
        if let Some(view) = view.as_object_mut() {
            let texts = self.texts.iter().map(|(name, event)| (*name, fields.text(event)));
            view.extend(
                texts
                    .filter(|(_, text)| !text.is_empty())
                    .map(|(name, text)| (name.to_owned(), text.into())),
            );
            let set = self.flags.iter().filter(|(_, event)| fields.flag(event));
            view.extend(set.map(|(name, _)| ((*name).to_owned(), true.into())));
            self.special.view(fields, view);
        }
        view
    }
}
