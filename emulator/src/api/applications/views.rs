//! Applications as reads tell them.

use serde_json::{Value, json};

use super::{apis, compliance, compliance::Compliance, logins, oidc};
use crate::{
    clock,
    message::message,
    model::{
        Fields,
        application::{Application, Kind},
        organization::State as Life,
    },
    parsers::{address::Address, duration},
};

/// Which interface tells it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Management,
    Service,
}

/// An application as the management API tells it.
pub(super) fn view(application: &Application) -> Value {
    let state = match application.state {
        Life::Inactive => "APP_STATE_INACTIVE",
        _ => "APP_STATE_ACTIVE",
    };
    let mut view = message! {
        "id" => &*application.id,
        "details" => application.stamp.details(),
        "state" => state,
        "name" => &*application.name,
    };
    add_configuration(&mut view, application, By::Management);
    view
}

/// The state of an application in the service v2.
pub(super) fn state_v2(application: &Application) -> &'static str {
    match application.state {
        Life::Inactive => "APPLICATION_STATE_INACTIVE",
        _ => "APPLICATION_STATE_ACTIVE",
    }
}

/// An application as the service v2 tells it.
pub(super) fn view_v2(application: &Application) -> Value {
    let mut view = message! {
        "applicationId" => &*application.id,
        "creationDate" => clock::text(application.stamp.created),
        "changeDate" => clock::text(application.stamp.changed),
        "state" => state_v2(application),
        "name" => &*application.name,
        "projectId" => &*application.project,
    };
    add_configuration(&mut view, application, By::Service);
    view
}

fn add_configuration(view: &mut Value, application: &Application, by: By) {
    let (Some(view), Some((kind, fields))) = (view.as_object_mut(), application.seen()) else {
        return;
    };
    let (name, configuration) = match (kind, by) {
        (Kind::Oidc, By::Management) => ("oidcConfig", oidc_view(fields, by)),
        (Kind::Oidc, By::Service) => ("oidcConfiguration", oidc_view(fields, by)),
        (Kind::Api, By::Management) => ("apiConfig", api_view(fields)),
        (Kind::Api, By::Service) => ("apiConfiguration", api_view(fields)),
        (Kind::Saml, By::Management) => ("samlConfig", saml_view(fields)),
        (Kind::Saml, By::Service) => ("samlConfiguration", saml_view(fields)),
    };
    view.insert(name.to_owned(), configuration);
}

/// The name of an enum's value, unless it is the first.
fn named(names: &[&'static str], number: u64) -> Option<&'static str> {
    let index = usize::try_from(number).ok().filter(|index| *index > 0)?;
    names.get(index).copied()
}

fn api_view(fields: &Fields) -> Value {
    message! {
        "clientId" => fields.text("clientId"),
        "authMethodType" => named(apis::AUTH_METHODS, fields.number("authMethodType")),
    }
}

fn saml_view(fields: &Fields) -> Value {
    message! { "metadataXml" => fields.text("metadata"), "loginVersion" => logins::view(fields) }
}

/// The problems of a configuration as the management API tells them.
pub(super) fn problems(compliance: &Compliance) -> Vec<Value> {
    let problems = compliance.problems.iter();
    problems.map(|key| json!({ "key": key, "localizedMessage": compliance::text(key) })).collect()
}

/// The problems of a configuration as the service v2 tells them.
pub(super) fn problems_v2(compliance: &Compliance) -> Vec<Value> {
    compliance.problems.iter().map(|key| json!({ "key": key })).collect()
}

/// The names of a list of types, whose first one has the number -1.
fn types(fields: &Fields, name: &str, names: &[&'static str], first: i64) -> Vec<&'static str> {
    let numbers = fields.list(name).iter().filter_map(Value::as_i64);
    numbers.filter_map(|number| names.get(usize::try_from(number - first).ok()?).copied()).collect()
}

/// The origins from which a client may call: those of its addresses, and those that are added.
fn origins(fields: &Fields) -> Vec<String> {
    let mut origins = Vec::new();
    for address in fields.texts("redirectUris") {
        let Some(address) = Address::parse(&address) else {
            return Vec::new();
        };
        origins.push(address.origin());
    }
    origins.extend(fields.texts("additionalOrigins"));
    let mut seen = Vec::new();
    origins.retain(|origin| {
        let new = !seen.contains(origin);
        seen.push(origin.clone());
        new
    });
    origins
}

fn oidc_view(fields: &Fields, by: By) -> Value {
    let service = by == By::Service;
    let [kind, broken, dev] = if service {
        ["applicationType", "nonCompliant", "developmentMode"]
    } else {
        ["appType", "noneCompliant", "devMode"]
    };
    let compliance = Compliance::of(fields);
    let problems = if service { problems_v2(&compliance) } else { problems(&compliance) };
    let skew = fields.0.get("clockSkew").and_then(Value::as_i64).unwrap_or_default();
    message! {
        "redirectUris" => fields.texts("redirectUris"),
        "responseTypes" => types(fields, "responseTypes", oidc::RESPONSE_TYPES_V2, -1),
        "grantTypes" => types(fields, "grantTypes", oidc::GRANT_TYPES, 0),
        kind => named(oidc::APP_TYPES, fields.number("applicationType")),
        "clientId" => fields.text("clientId"),
        "authMethodType" => named(oidc::AUTH_METHODS, fields.number("authMethodType")),
        "postLogoutRedirectUris" => fields.texts("postLogoutRedirectUris"),
        broken => !problems.is_empty(),
        "complianceProblems" => problems,
        dev => fields.flag("devMode"),
        "accessTokenType" => named(oidc::TOKEN_TYPES, fields.number("accessTokenType")),
        "accessTokenRoleAssertion" => fields.flag("accessTokenRoleAssertion"),
        "idTokenRoleAssertion" => fields.flag("idTokenRoleAssertion"),
        "idTokenUserinfoAssertion" => fields.flag("idTokenUserinfoAssertion"),
        "clockSkew" => duration::text(skew),
        "additionalOrigins" => fields.texts("additionalOrigins"),
        "allowedOrigins" => origins(fields),
        "skipNativeAppSuccessPage" => fields.flag("skipNativeAppSuccessPage"),
        "backChannelLogoutUri" => fields.text("backChannelLogoutURI"),
        "loginVersion" => logins::view(fields),
    }
}
