//! What changes the keys of applications.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::super::{
    super::{Answer, Call, creation_details, credentials, date},
    At, aggregate,
    commands::permit,
    existing,
};
use crate::{
    errors::ApiError,
    model::application::Kind,
    proto::Request,
    store::{Aggregate, Draft, Event},
};

/// The key file of an application.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyFile {
    r#type: &'static str,
    key_id: String,
    key: String,
    app_id: String,
    client_id: String,
}

/// Makes a key for an application that authenticates by one. Returns its id, its file and its
/// event.
fn push_added(
    call: &mut Call<'_>,
    at: &At,
    expires: impl Fn(&Request, Timestamp) -> Result<String, ApiError>,
) -> Result<(String, String, Event), ApiError> {
    let application = existing(call, at, "COMMAND-sak25")
        .map_err(|_| ApiError::precondition("COMMAND-sak25", "Application not found"))?;
    let by_key = |kind| {
        let fields = application.configuration(kind)?;
        let means = if kind == Kind::Oidc { 3 } else { 1 };
        (fields.number("authMethodType") == means).then(|| fields.text("clientId").to_owned())
    };
    // Where an API was made under the id of another client, the former counts.
    let client = [Kind::Api, Kind::Oidc]
        .into_iter()
        .find(|kind| application.configuration(*kind).is_some())
        .and_then(by_key)
        .ok_or_else(|| {
            ApiError::precondition("COMMAND-Dff54", "Chosen Auth Method does not require a key")
        })?;
    let project = aggregate(application);
    let expires = expires(&call.request, call.state.clock.now())?;
    permit(call, &project)?;
    let pair = credentials::new_pair()?;
    let file = KeyFile {
        r#type: "application",
        key_id: call.state.clock.id(),
        key: pair.private,
        app_id: at.id.clone(),
        client_id: client,
    };
    let draft = Draft::new(&project, "project.application.oidc.key.added")
        .with("applicationId", &*file.app_id)
        .with("clientId", &*file.client_id)
        .with("keyId", &*file.key_id)
        .with("type", 1)
        .with("expirationDate", expires)
        .with("publicKey", STANDARD.encode(pair.public));
    let event = call.push(vec![draft])?;
    let details = serde_json::to_string(&file)
        .map_err(|error| ApiError::internal("EMU-1", error.to_string()))?;
    Ok((file.key_id, STANDARD.encode(details), event))
}

pub(super) fn add(call: &mut Call<'_>) -> Answer {
    let at = At::path(call);
    let (id, details, event) = push_added(call, &at, credentials::expiry)?;
    Ok(json!({ "id": id, "details": creation_details(&event), "keyDetails": details }).into())
}

/// Makes a key; it has to expire.
pub(super) fn create(call: &mut Call<'_>) -> Answer {
    let at = At::request(call);
    let (id, details, event) = push_added(call, &at, |request, now| {
        if !request.has("expirationDate") {
            return Err(credentials::expired());
        }
        credentials::expiry(request, now)
    })?;
    Ok(json!({ "keyId": id, "creationDate": date(&event), "keyDetails": details }).into())
}

pub(super) fn remove(call: &mut Call<'_>, at: &At, key: &str) -> Result<Event, ApiError> {
    let key = call
        .state
        .write
        .keys
        .get(key)
        .filter(|key| key.project == at.project && key.application == at.id)
        .filter(|key| at.owner.as_ref().is_none_or(|own| key.credential.stamp.owner == *own))
        .ok_or_else(|| ApiError::not_found("COMMAND-4m77G", "Application key not found"))?;
    let project = Aggregate::new("project", &*key.project, &*key.credential.stamp.owner);
    let id = key.credential.id.clone();
    permit(call, &project)?;
    call.push(vec![Draft::new(&project, "project.application.oidc.key.removed").with("keyId", id)])
}
