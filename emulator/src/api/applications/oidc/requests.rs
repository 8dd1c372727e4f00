//! What requests say about clients of `OpenID` Connect.

use serde_json::{Map, Value, json};

use super::super::logins;
use crate::{
    errors::ApiError,
    proto::{Field, Message, NAME, Request, Rule},
};

pub(in super::super) const RESPONSE_TYPES: &[&str] = &[
    "OIDC_RESPONSE_TYPE_CODE",
    "OIDC_RESPONSE_TYPE_ID_TOKEN",
    "OIDC_RESPONSE_TYPE_ID_TOKEN_TOKEN",
];
/// The service v2 counts from an unspecified one on.
pub(in super::super) const RESPONSE_TYPES_V2: &[&str] = &[
    "OIDC_RESPONSE_TYPE_UNSPECIFIED",
    "OIDC_RESPONSE_TYPE_CODE",
    "OIDC_RESPONSE_TYPE_ID_TOKEN",
    "OIDC_RESPONSE_TYPE_ID_TOKEN_TOKEN",
];
pub(in super::super) const GRANT_TYPES: &[&str] = &[
    "OIDC_GRANT_TYPE_AUTHORIZATION_CODE",
    "OIDC_GRANT_TYPE_IMPLICIT",
    "OIDC_GRANT_TYPE_REFRESH_TOKEN",
    "OIDC_GRANT_TYPE_DEVICE_CODE",
    "OIDC_GRANT_TYPE_TOKEN_EXCHANGE",
];
pub(in super::super) const CODE: i64 = 0;
pub(in super::super) const IMPLICIT: i64 = 1;
pub(in super::super) const REFRESH: i64 = 2;
pub(in super::super) const DEVICE_CODE: i64 = 3;
pub(in super::super) const APP_TYPES: &[&str] =
    &["OIDC_APP_TYPE_WEB", "OIDC_APP_TYPE_USER_AGENT", "OIDC_APP_TYPE_NATIVE"];
pub(in super::super) const USER_AGENT: u64 = 1;
pub(in super::super) const NATIVE: u64 = 2;
pub(in super::super) const AUTH_METHODS: &[&str] = &[
    "OIDC_AUTH_METHOD_TYPE_BASIC",
    "OIDC_AUTH_METHOD_TYPE_POST",
    "OIDC_AUTH_METHOD_TYPE_NONE",
    "OIDC_AUTH_METHOD_TYPE_PRIVATE_KEY_JWT",
];
pub(in super::super) const NO_AUTHENTICATION: u64 = 2;
const VERSIONS: &[&str] = &["OIDC_VERSION_1_0"];
pub(in super::super) const TOKEN_TYPES: &[&str] =
    &["OIDC_TOKEN_TYPE_BEARER", "OIDC_TOKEN_TYPE_JWT"];

const SKEW: &[Rule] = &[Rule::UpTo(5)];
/// Rules of the enums that the service v2 checks one by one when it creates.
const EACH: &[Rule] = &[Rule::Defined];
const EACH_SPECIFIED: &[Rule] = &[Rule::Defined, Rule::NotFirst];

/// The fields of a configuration, as each interface names the few that they name differently.
macro_rules! configuration {
    ($responses:expr, $response_rules:expr, $grant_rules:expr, $kind:expr, $dev:expr
     $(, $more:expr)*) => {
        &[
            $($more,)*
            Field::text("redirectUris").repeated(),
            Field::choice("responseTypes", $responses).repeated().rules($response_rules),
            Field::choice("grantTypes", GRANT_TYPES).repeated().rules($grant_rules),
            Field::choice($kind, APP_TYPES),
            Field::choice("authMethodType", AUTH_METHODS),
            Field::text("postLogoutRedirectUris").repeated(),
            Field::choice("version", VERSIONS),
            Field::flag($dev),
            Field::choice("accessTokenType", TOKEN_TYPES),
            Field::flag("accessTokenRoleAssertion"),
            Field::flag("idTokenRoleAssertion"),
            Field::flag("idTokenUserinfoAssertion"),
            Field::duration("clockSkew").rules(SKEW),
            Field::text("additionalOrigins").repeated(),
            Field::flag("skipNativeAppSuccessPage"),
            Field::text("backChannelLogoutUri"),
            Field::message("loginVersion", &logins::LOGIN),
        ]
    };
}

pub(in super::super) static ADD: Message = Message::new(
    "AddOIDCAppRequest",
    configuration!(RESPONSE_TYPES, &[], &[], "appType", "devMode", Field::text("name").rules(NAME)),
);
pub(in super::super) static UPDATE: Message = Message::new(
    "UpdateOIDCAppConfigRequest",
    configuration!(RESPONSE_TYPES, &[], &[], "appType", "devMode"),
);
pub(in super::super) static CREATE_V2: Message = Message::new(
    "CreateOIDCApplicationRequest",
    configuration!(RESPONSE_TYPES_V2, EACH_SPECIFIED, EACH, "applicationType", "developmentMode"),
);
pub(in super::super) static UPDATE_V2: Message = Message::new(
    "UpdateOIDCApplicationConfigurationRequest",
    configuration!(RESPONSE_TYPES_V2, &[], &[], "applicationType", "developmentMode"),
);

/// Fields that the service v2 keeps where an update omits them: their names in events, in the
/// management API and in the service v2.
const KEPT: [(&str, &str, &str); 9] = [
    ("applicationType", "appType", "applicationType"),
    ("authMethodType", "authMethodType", "authMethodType"),
    ("devMode", "devMode", "developmentMode"),
    ("accessTokenType", "accessTokenType", "accessTokenType"),
    ("accessTokenRoleAssertion", "accessTokenRoleAssertion", "accessTokenRoleAssertion"),
    ("idTokenRoleAssertion", "idTokenRoleAssertion", "idTokenRoleAssertion"),
    ("idTokenUserinfoAssertion", "idTokenUserinfoAssertion", "idTokenUserinfoAssertion"),
    ("skipNativeAppSuccessPage", "skipNativeAppSuccessPage", "skipNativeAppSuccessPage"),
    ("backChannelLogoutURI", "backChannelLogoutUri", "backChannelLogoutUri"),
];

/// Which request it is that says something about a configuration.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Said {
    Management,
    Creation,
    Update,
}

impl Said {
    fn message(self) -> &'static Message {
        match self {
            Self::Management => &UPDATE,
            Self::Creation => &CREATE_V2,
            Self::Update => &UPDATE_V2,
        }
    }
}

/// What a request says about a configuration, under the names of events. Lists of addresses that
/// are empty say nothing; types that are omitted say what is usual.
pub(super) fn said(request: &Request, by: Said) -> Result<Map<String, Value>, ApiError> {
    let mut fields = Map::new();
    for (event, management, service) in KEPT {
        let name = if by == Said::Management { management } else { service };
        let value = request.0.get(name).cloned();
        let omitted = || (by != Said::Update).then(|| by.message().zero(name));
        if let Some(value) = value.or_else(omitted) {
            fields.insert(event.to_owned(), value);
        }
    }
    for name in ["redirectUris", "postLogoutRedirectUris", "additionalOrigins"] {
        let list = request.texts(name);
        let trimmed: Vec<_> = list.iter().map(|text| text.trim()).collect();
        if !trimmed.is_empty() {
            fields.insert(name.to_owned(), json!(trimmed));
        }
    }
    let first = i64::from(by != Said::Management);
    fields.insert(
        "responseTypes".to_owned(),
        types(request, "responseTypes", first, RESPONSE_TYPES.len()),
    );
    fields.insert("grantTypes".to_owned(), types(request, "grantTypes", 0, GRANT_TYPES.len()));
    let skew = request.0.get("clockSkew").cloned().unwrap_or(json!(0));
    fields.insert("clockSkew".to_owned(), skew);
    fields.extend(logins::said(request)?);
    if let Some(address) = fields.get_mut("backChannelLogoutURI") {
        *address = json!(address.as_str().unwrap_or_default().trim());
    }
    Ok(fields)
}

/// The numbers of a list of types in events: those of the request, whose first one is at `first`.
/// A number that is not declared counts as the first, as does an empty list.
fn types(request: &Request, name: &str, first: i64, count: usize) -> Value {
    let list = request.list(name).iter().filter_map(Value::as_i64);
    let list: Vec<_> = list
        .map(|number| number - first)
        .map(|number| match usize::try_from(number) {
            Ok(index) if index >= count => 0,
            Err(_) if number < -first => 0,
            _ => number,
        })
        .collect();
    if list.is_empty() { json!([0]) } else { json!(list) }
}
