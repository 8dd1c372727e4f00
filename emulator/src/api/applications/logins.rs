//! Which login an application sends its users to.

use serde_json::{Map, Value, json};

use crate::{
    errors::{ApiError, Code},
    model::Fields,
    parsers::address::Address,
    proto::{EMPTY, Field, Message, Request},
};

static SECOND: Message = Message::new("LoginV2", &[Field::text("baseUri")]);
pub(super) static LOGIN: Message = Message::new(
    "LoginVersion",
    &[
        Field::message("loginV1", &EMPTY).in_group("version"),
        Field::message("loginV2", &SECOND).in_group("version"),
    ],
);

/// What a request says about the login: nothing is that of the instance.
pub(super) fn said(request: &Request) -> Result<[(String, Value); 2], ApiError> {
    let login = request.message("loginVersion");
    let second = login.message("loginV2");
    let address = second.text("baseUri").trim();
    if Address::parse(address).is_none() {
        return Err(ApiError::bare(Code::Internal, format!("parse \"{address}\": invalid URL")));
    }
    let version = match (login.has("loginV1"), login.has("loginV2")) {
        (true, _) => 1,
        (_, true) => 2,
        _ => 0,
    };
    Ok([("loginVersion".to_owned(), version.into()), ("loginBaseURI".to_owned(), address.into())])
}

/// The login as reads tell it.
pub(super) fn view(fields: &Fields) -> Option<Value> {
    match fields.number("loginVersion") {
        1 => Some(json!({ "loginV1": Map::new() })),
        2 => Some(json!({ "loginV2": { "baseUri": fields.text("loginBaseURI") } })),
        _ => None,
    }
}
