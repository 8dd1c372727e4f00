//! Service providers of SAML: known by their metadata.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{
    super::Call,
    At,
    commands::{Made, configured, permit, project, push_provider, reconfigure},
    logins,
};
use crate::{
    errors::{ApiError, Code},
    model::application::Kind,
    parsers::xml,
    proto::{Field, Message, NAME, Request, Rule},
    store::Event,
};

const METADATA: &[Rule] = &[Rule::MaxBytes(500_000)];
const ADDRESS: &[Rule] = &[Rule::Length(0, 200)];

const CONFIGURATION: &[Field] = &[
    Field::bytes("metadataXml").rules(METADATA).in_group("metadata"),
    Field::text("metadataUrl").rules(ADDRESS).in_group("metadata"),
    Field::message("loginVersion", &logins::LOGIN),
];
pub(super) static ADD: Message = Message::new(
    "AddSAMLAppRequest",
    &[
        Field::text("name").rules(NAME),
        Field::bytes("metadataXml").rules(METADATA).in_group("metadata"),
        Field::text("metadataUrl").rules(ADDRESS).in_group("metadata"),
        Field::message("loginVersion", &logins::LOGIN),
    ],
);
pub(super) static UPDATE: Message = Message::new("UpdateSAMLAppConfigRequest", CONFIGURATION);
pub(super) static CREATE_V2: Message = Message::new(
    "CreateSAMLApplicationRequest",
    &[
        Field::bytes("metadataXml").rules(METADATA).in_group("metadata"),
        Field::text("metadataUrl").rules(&[Rule::Length(0, 2_048)]).in_group("metadata"),
        Field::message("loginVersion", &logins::LOGIN),
    ],
);
pub(super) static UPDATE_V2: Message =
    Message::new("UpdateSAMLApplicationConfigurationRequest", CONFIGURATION);

/// Refuses a request of this name that says nothing about the metadata.
pub(super) fn require_metadata(name: &str, request: &Request) -> Result<(), ApiError> {
    if request.has("metadataXml") || request.has("metadataUrl") {
        return Ok(());
    }
    Err(ApiError::bare(
        Code::InvalidArgument,
        format!("invalid {name}.Metadata: value is required"),
    ))
}

/// What a request says, under the names of events. Nothing is fetched: metadata that are to be
/// found elsewhere are missing.
fn said(
    request: &Request,
    unreachable: &'static str,
    malformed: &'static str,
) -> Result<Map<String, Value>, ApiError> {
    if !request.text("metadataUrl").is_empty() {
        return Err(ApiError::invalid(unreachable, "SAML metadata is missing"));
    }
    let metadata = request.text("metadataXml");
    let document = STANDARD.decode(metadata).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let root = document
        .and_then(|document| xml::root(&document))
        .filter(|root| root.name == "EntityDescriptor")
        .ok_or_else(|| ApiError::invalid(malformed, "SAML Metadata format error"))?;
    let mut fields = Map::from_iter([
        ("entityId".to_owned(), json!(root.attribute("entityID"))),
        ("metadata".to_owned(), json!(metadata)),
    ]);
    fields.extend(logins::said(request)?);
    Ok(fields)
}

/// Makes a service provider; its id is the server's.
pub(super) fn add(
    call: &mut Call<'_>,
    at: &At,
    name: &str,
    request: &Request,
) -> Result<Made, ApiError> {
    let project = project(call, at)?;
    permit(call, &project)?;
    let configuration = said(request, "SAML-wmqlo1", "SAML-bquso")?;
    push_provider(call, &project, name, configuration)
}

pub(super) fn update(call: &mut Call<'_>, at: &At, request: &Request) -> Result<Event, ApiError> {
    if request.text("metadataUrl").is_empty() && !request.has("metadataXml") {
        return Err(ApiError::invalid("COMMAND-5n9fs", "SAML configuration is invalid"));
    }
    configured(call, at, Kind::Saml)?;
    let want = said(request, "SAML-J3kg3", "SAML-3fk2b")?;
    reconfigure(call, at, Kind::Saml, &want)
}
