//! Where people log in with an account of theirs.

use serde_json::Value;

use super::{
    super::resource::{Field, Resource, filled, made, named},
    ORGANIZATION,
};

/// The fields of a type: what all have, and its own.
macro_rules! fields {
    ($form:literal; $($attribute:literal: $field:literal),*; $($own:expr),*) => {
        &[
            made("name", "name", filled),
            named("is_linking_allowed", "options.isLinkingAllowed"),
            named("is_creation_allowed", "options.isCreationAllowed"),
            named("is_auto_creation", "options.isAutoCreation"),
            named("is_auto_update", "options.isAutoUpdate"),
            made("auto_linking", "options.autoLinking", filled),
            $(named($attribute, concat!($form, ".", $field)),)*
            $($own,)*
        ]
    };
}

/// A type, of the instance and of organizations.
macro_rules! pair {
    ($name:literal, $fields:expr, $input:expr) => {
        [
            Resource {
                name: concat!("zitadel_idp_", $name),
                fields: $fields,
                input: $input,
                ..PROVIDER
            },
            Resource {
                name: concat!("zitadel_org_idp_", $name),
                within: &[ORGANIZATION],
                fields: $fields,
                input: $input,
                ..PROVIDER
            },
        ]
    };
}

/// Hashes tell terraform whether a secret that it does not keep is another one.
const PROVIDER: Resource = Resource {
    kind: "IdentityProvider",
    known: &["client_secret_hash", "private_key_hash", "bind_password_hash"],
    ..Resource::EMPTY
};

const OIDC: &[Field] = fields!(
    "oidc";
    "issuer": "issuer", "client_id": "clientId", "scopes": "scopes",
    "is_id_token_mapping": "isIdTokenMapping", "use_pkce": "usePkce";
);
const OAUTH: &[Field] = fields!(
    "oauth";
    "authorization_endpoint": "authorizationEndpoint", "token_endpoint": "tokenEndpoint",
    "user_endpoint": "userEndpoint", "id_attribute": "idAttribute", "client_id": "clientId",
    "scopes": "scopes", "use_pkce": "usePkce";
);
const JWT: &[Field] = fields!(
    "jwt";
    "issuer": "issuer", "jwt_endpoint": "jwtEndpoint", "keys_endpoint": "keysEndpoint",
    "header_name": "headerName", "audience": "audience";
);
const AZURE_AD: &[Field] = fields!(
    "azureAd";
    "client_id": "clientId", "scopes": "scopes", "email_verified": "emailVerified";
    made("tenant_type", "azureAd.tenant", tenant),
    // Where both say something, the id counts.
    made("tenant_id", "azureAd.tenant", filled)
);
const GITHUB: &[Field] = fields!("github"; "client_id": "clientId", "scopes": "scopes";);
const GITHUB_ES: &[Field] = fields!(
    "githubEnterprise";
    "authorization_endpoint": "authorizationEndpoint", "token_endpoint": "tokenEndpoint",
    "user_endpoint": "userEndpoint", "client_id": "clientId", "scopes": "scopes";
);
const GITLAB: &[Field] = fields!("gitlab"; "client_id": "clientId", "scopes": "scopes";);
const GITLAB_SELF_HOSTED: &[Field] = fields!(
    "gitlabSelfHosted";
    "issuer": "issuer", "client_id": "clientId", "scopes": "scopes";
);
const GOOGLE: &[Field] = fields!("google"; "client_id": "clientId", "scopes": "scopes";);
const APPLE: &[Field] = fields!(
    "apple";
    "client_id": "clientId", "team_id": "teamId", "key_id": "keyId", "scopes": "scopes";
);
const LDAP: &[Field] = fields!(
    "ldap";
    "servers": "servers", "start_tls": "startTls", "base_dn": "baseDn", "bind_dn": "bindDn",
    "user_base": "userBase", "user_object_classes": "userObjectClasses",
    "user_filters": "userFilters", "root_ca": "rootCa",
    "id_attribute": "attributes.idAttribute",
    "first_name_attribute": "attributes.firstNameAttribute",
    "last_name_attribute": "attributes.lastNameAttribute",
    "display_name_attribute": "attributes.displayNameAttribute",
    "nick_name_attribute": "attributes.nickNameAttribute",
    "preferred_username_attribute": "attributes.preferredUsernameAttribute",
    "email_attribute": "attributes.emailAttribute",
    "email_verified_attribute": "attributes.emailVerifiedAttribute",
    "phone_attribute": "attributes.phoneAttribute",
    "phone_verified_attribute": "attributes.phoneVerifiedAttribute",
    "preferred_language_attribute": "attributes.preferredLanguageAttribute",
    "avatar_url_attribute": "attributes.avatarUrlAttribute",
    "profile_attribute": "attributes.profileAttribute";
    made("timeout", "ldap.timeout", filled)
);
const SAML: &[Field] = fields!(
    "saml";
    "with_signed_request": "withSignedRequest",
    "transient_mapping_attribute_name": "transientMappingAttributeName",
    "federated_logout_enabled": "federatedLogoutEnabled";
    made("metadata_xml", "saml.metadataXml", filled),
    made("binding", "saml.binding", filled),
    made("name_id_format", "saml.nameIdFormat", filled),
    made("signature_algorithm", "saml.signatureAlgorithm", filled)
);

pub(super) const ALL: &[Resource] = PAIRS.as_flattened();

const PAIRS: &[[Resource; 2]] = &[
    pair!("oidc", OIDC, Some(("client_secret", "oidc.clientSecret"))),
    pair!("oauth", OAUTH, Some(("client_secret", "oauth.clientSecret"))),
    pair!("azure_ad", AZURE_AD, Some(("client_secret", "azureAd.clientSecret"))),
    pair!("github", GITHUB, Some(("client_secret", "github.clientSecret"))),
    pair!("github_es", GITHUB_ES, Some(("client_secret", "githubEnterprise.clientSecret"))),
    pair!("gitlab", GITLAB, Some(("client_secret", "gitlab.clientSecret"))),
    pair!(
        "gitlab_self_hosted",
        GITLAB_SELF_HOSTED,
        Some(("client_secret", "gitlabSelfHosted.clientSecret"))
    ),
    pair!("google", GOOGLE, Some(("client_secret", "google.clientSecret"))),
    pair!("apple", APPLE, Some(("private_key", "apple.privateKey"))),
    pair!("ldap", LDAP, Some(("bind_password", "ldap.bindPassword"))),
    pair!("saml", SAML, None),
];

/// The instance has none of these in terraform.
pub(super) const JWT_ONLY: &[Resource] =
    &[Resource { name: "zitadel_org_idp_jwt", within: &[ORGANIZATION], fields: JWT, ..PROVIDER }];

/// A kind of tenants, in Microsoft's word.
fn tenant(word: &Value) -> Option<Value> {
    let words = [
        ("AZURE_AD_TENANT_TYPE_COMMON", "common"),
        ("AZURE_AD_TENANT_TYPE_ORGANISATIONS", "organizations"),
        ("AZURE_AD_TENANT_TYPE_CONSUMERS", "consumers"),
    ];
    let known = words.into_iter().find(|(theirs, _)| word.as_str() == Some(*theirs));
    known.map(|(_, ours)| ours.into())
}
