//! Applications. The older types are one kind each; the newer one has a block for each kind.

use serde_json::{Value, json};

use super::{
    super::resource::{Field, Resource, SecretAttribute, activity, filled, made, named, same},
    ORGANIZATION, PROJECT,
};

const APPLICATION: Resource =
    Resource { within: &[ORGANIZATION, PROJECT], known: &["app_id"], ..Resource::EMPTY };
const V2: Resource = Resource { name: "zitadel_application_v2", ..APPLICATION };

pub(super) const ALL: &[Resource] = &[
    Resource { name: "zitadel_application_oidc", ..OIDC },
    Resource { name: "zitadel_application_api", ..API },
    Resource { name: "zitadel_application_saml", ..SAML },
    Resource { name: V2.name, block: Some("oidc"), ..OIDC },
    Resource { name: V2.name, block: Some("api"), ..API },
    Resource { name: V2.name, block: Some("saml"), ..SAML },
];

const CLIENT: Option<SecretAttribute> = Some(SecretAttribute {
    attribute: "client_secret",
    values: &[("client_id", "clientId"), ("id", "appId"), ("project_id", "projectId")],
});

const STATE: Field = made("state", "state", activity);

const OIDC: Resource = Resource {
    kind: "OidcApplication",
    fields: &[
        same("name"),
        same("redirect_uris"),
        same("post_logout_redirect_uris"),
        same("additional_origins"),
        same("response_types"),
        same("grant_types"),
        made("app_type", "applicationType", filled),
        made("auth_method_type", "authMethod", filled),
        made("access_token_type", "accessTokenType", filled),
        same("access_token_role_assertion"),
        same("id_token_role_assertion"),
        same("id_token_userinfo_assertion"),
        made("clock_skew", "clockSkew", filled),
        same("dev_mode"),
        same("skip_native_app_success_page"),
        same("back_channel_logout_uri"),
        made("login_version", "loginVersion", login_version),
        STATE,
    ],
    secret: CLIENT,
    // There is one version of OpenID Connect; what does not comply is ZITADEL's to say.
    known: &["app_id", "version", "none_compliant", "compliance_problems"],
    ..APPLICATION
};

const API: Resource = Resource {
    kind: "ApiApplication",
    fields: &[same("name"), made("auth_method_type", "authMethod", filled), STATE],
    secret: CLIENT,
    ..APPLICATION
};

const SAML: Resource = Resource {
    kind: "SamlApplication",
    fields: &[
        same("name"),
        named("metadata_xml", "metadata.xml"),
        made("login_version", "loginVersion", login_version),
        STATE,
    ],
    // ZITADEL keeps what it fetched from an address, not the address.
    except: Some("metadata_url"),
    ..APPLICATION
};

/// Blocks of at most one entry: `[{"login_v1": true, "login_v2": []}]`. None is what the instance
/// has, which may change.
fn login_version(value: &Value) -> Option<Value> {
    let version = value.get(0)?;
    let second = version.get("login_v2").and_then(Value::as_array).filter(|v2| !v2.is_empty());
    match (second, version.get("login_v1").and_then(Value::as_bool)) {
        (Some(second), _) => {
            let base_uri = second.first().and_then(|v2| v2.get("base_uri")?.as_str());
            Some(json!({"version": "V2", "baseUri": base_uri.unwrap_or_default()}))
        }
        (None, Some(true)) => Some(json!({"version": "V1", "baseUri": ""})),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blocks_of_a_login_version_are_one_word() {
        for (value, expected) in [
            (json!([]), None),
            (json!([{"login_v1": false, "login_v2": []}]), None),
            (json!([{"login_v1": true, "login_v2": []}]), Some(("V1", ""))),
            (json!([{"login_v1": false, "login_v2": [{"base_uri": ""}]}]), Some(("V2", ""))),
            (json!([{"login_v2": [{"base_uri": "https://a"}]}]), Some(("V2", "https://a"))),
            (json!([{"login_v2": [null]}]), Some(("V2", ""))),
        ] {
            let expected = expected.map(|(v, uri)| json!({"version": v, "baseUri": uri}));
            assert_eq!(login_version(&value), expected, "{value}");
        }
    }
}
