//! APIs: applications that introspect tokens.

use serde_json::{Map, Value};

use super::{
    super::Call,
    At,
    commands::{Made, chosen, permit, project, push_client, reconfigure},
};
use crate::{
    errors::ApiError,
    model::application::Kind,
    proto::{Field, Message, NAME, Request},
    store::Event,
};

pub(super) const AUTH_METHODS: &[&str] =
    &["API_AUTH_METHOD_TYPE_BASIC", "API_AUTH_METHOD_TYPE_PRIVATE_KEY_JWT"];

const CONFIGURATION: &[Field] = &[Field::choice("authMethodType", AUTH_METHODS)];
pub(super) static ADD: Message = Message::new(
    "AddAPIAppRequest",
    &[Field::text("name").rules(NAME), Field::choice("authMethodType", AUTH_METHODS)],
);
pub(super) static UPDATE: Message = Message::new("UpdateAPIAppConfigRequest", CONFIGURATION);
pub(super) static CREATE_V2: Message = Message::new("CreateAPIApplicationRequest", CONFIGURATION);
pub(super) static UPDATE_V2: Message =
    Message::new("UpdateAPIApplicationConfigurationRequest", CONFIGURATION);

fn said(request: &Request) -> Map<String, Value> {
    Map::from_iter([("authMethodType".to_owned(), request.number("authMethodType").into())])
}

/// Makes an API. An id that exists is not refused: what is made under it is hardly seen, but takes
/// its name.
pub(super) fn add(
    call: &mut Call<'_>,
    at: &At,
    name: &str,
    request: &Request,
) -> Result<Made, ApiError> {
    let project = project(call, at)?;
    let id = chosen(call, at);
    permit(call, &project)?;
    push_client(call, &project, id, name, Kind::Api, said(request))
}

pub(super) fn update(call: &mut Call<'_>, at: &At, request: &Request) -> Result<Event, ApiError> {
    reconfigure(call, at, Kind::Api, &said(request))
}
