//! A provider in any answer.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{IdentityProviderState, form::Form};
use crate::{
    contract::{Fields, Place, RemoteEntity},
    kinds::wire::Details,
};

/// A provider, as it is declared.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Wire")]
pub(super) struct Answer(RemoteEntity<IdentityProviderState>);

impl From<Answer> for RemoteEntity<IdentityProviderState> {
    fn from(Answer(read): Answer) -> Self {
        read
    }
}

#[derive(Debug, Deserialize)]
struct Wire {
    id: String,
    #[serde(default)]
    details: Details,
    #[serde(default)]
    name: String,
    #[serde(default)]
    owner: String,
    #[serde(default)]
    config: Map<String, Value>,
}

/// Why an answer is none of a provider that can be declared.
#[derive(Debug, thiserror::Error)]
enum Unknown {
    /// ZITADEL has types that no form stands for.
    #[error("a type that is not known")]
    Type,
    #[error("a configuration that is not known")]
    Configuration(#[from] serde_json::Error),
}

impl TryFrom<Wire> for Answer {
    type Error = Unknown;

    fn try_from(wire: Wire) -> Result<Self, Unknown> {
        let Wire { id, details, name, owner, mut config } = wire;
        let form = Form::of(&config).ok_or(Unknown::Type)?;
        let options = taken(&mut config, "options");
        let [read, omitted] = form.decoded(taken(&mut config, form.config));
        let zero = Fields::from(json!({
            "name": "",
            "options": {
                "isLinkingAllowed": false,
                "isCreationAllowed": false,
                "isAutoCreation": false,
                "isAutoUpdate": false,
                "autoLinking": "Unspecified",
            },
            form.field: omitted,
        }));
        let live = Fields::from(json!({"name": name, "options": options, form.field: read}));
        let state = zero.overlay(&live.select(&zero)).to()?;
        let version = details.version();
        let place = match details.resource_owner {
            Some(organization) if owner == "IDP_OWNER_TYPE_ORG" => {
                Place::organization(organization)
            }
            _ => Place::instance(),
        };
        Ok(Self(RemoteEntity { id, place, state, version }))
    }
}

fn taken(fields: &mut Map<String, Value>, name: &str) -> Map<String, Value> {
    match fields.remove(name) {
        Some(Value::Object(taken)) => taken,
        _ => Map::new(),
    }
}
