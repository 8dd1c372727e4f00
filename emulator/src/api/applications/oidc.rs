//! Clients of `OpenID` Connect: what is refused of them, and how they are made and changed.

use serde_json::{Map, Value, json};

use super::{
    super::Call,
    At,
    commands::{Made, chosen, configured, permit, project, push_client, reconfigure},
    compliance::Compliance,
    existing,
};
use crate::{
    errors::ApiError, model::application::Kind, parsers::address::Address, proto::Request,
    store::Event,
};

mod requests;

use requests::said;
pub(super) use requests::{
    ADD, APP_TYPES, AUTH_METHODS, CODE, CREATE_V2, DEVICE_CODE, GRANT_TYPES, IMPLICIT, NATIVE,
    NO_AUTHENTICATION, REFRESH, RESPONSE_TYPES_V2, Said, TOKEN_TYPES, UPDATE, UPDATE_V2,
    USER_AGENT,
};

/// Whether a configuration is one: its origins are origins, and the grants are those that the
/// responses need.
fn is_valid(fields: &Map<String, Value>) -> bool {
    let list =
        |name: &str| fields.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let origins = list("additionalOrigins").iter().filter_map(Value::as_str);
    let grants = list("grantTypes");
    let mut needed =
        list("responseTypes").iter().filter_map(|response| match response.as_i64()? {
            0 if grants.contains(&json!(DEVICE_CODE)) => Some(DEVICE_CODE),
            0 => Some(CODE),
            1 | 2 => Some(IMPLICIT),
            _ => None,
        });
    let mut origins =
        origins.map(|origin| Address::parse(origin).is_some_and(|address| address.is_origin()));
    let Some(first) = needed.next() else {
        return false;
    };
    origins.all(|is_origin| is_origin)
        && std::iter::once(first).chain(needed).all(|grant| grants.contains(&json!(grant)))
}

/// Refuses an address for the notice of a logout that is this machine's, or does not resolve.
fn check_logout(fields: &Map<String, Value>) -> Result<(), ApiError> {
    let address = fields.get("backChannelLogoutURI").and_then(Value::as_str).unwrap_or_default();
    if address.is_empty() {
        return Ok(());
    }
    let address = Address::parse(address).ok_or_else(|| {
        ApiError::invalid("PROJECT-iZL2Ac", "Errors.Project.App.Invalid.BackchannelLogoutURL")
    })?;
    if address.is_nowhere() {
        return Err(ApiError::invalid(
            "PROJECT-msNebo",
            "Errors.Project.App.Blocked.BackchannelLogoutURL",
        ));
    }
    Ok(())
}

/// Makes a client. Of the name nothing is cut off.
pub(super) fn add(
    call: &mut Call<'_>,
    at: &At,
    name: &str,
    request: &Request,
    by: Said,
) -> Result<Made, ApiError> {
    let configuration = said(request, by)?;
    let project = project(call, at)?;
    if !is_valid(&configuration) {
        return Err(ApiError::invalid("PROJECT-1n8df", "Application invalid"));
    }
    let id = chosen(call, at);
    // An id that was ever used stays taken.
    if call.state.write.applications.of_project(&at.project, &id).is_some() {
        return Err(ApiError::precondition("PROJECT-lxowmp", "Errors.Project.App.AlreadyExisting"));
    }
    permit(call, &project)?;
    check_logout(&configuration)?;
    push_client(call, &project, id, name, Kind::Oidc, configuration)
}

/// Changes the configuration of a client.
pub(super) fn update(
    call: &mut Call<'_>,
    at: &At,
    request: &Request,
    by: Said,
) -> Result<Event, ApiError> {
    let want = said(request, by)?;
    if !is_valid(&want) {
        return Err(ApiError::invalid("COMMAND-5m9fs", "OIDC configuration is invalid"));
    }
    configured(call, at, Kind::Oidc)?;
    check_logout(&want)?;
    reconfigure(call, at, Kind::Oidc, &want)
}

/// Its configuration once it is made.
pub(super) fn made(call: &Call<'_>, at: &At, id: &str) -> Compliance {
    let at = At { project: at.project.clone(), id: id.to_owned(), owner: None };
    let made = existing(call, &at, "COMMAND-2n8uU").ok();
    let configuration = made.and_then(|made| made.configuration(Kind::Oidc));
    configuration.map(Compliance::of).unwrap_or_default()
}
