//! ZITADEL's event log, `POST /admin/v1/events/_search`: what changed, when, and by whom.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::{
    contract::{EventFilter, Version, event::EventFacts},
    zitadel::{Client, Result},
};

/// An event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    #[serde(default)]
    pub(super) editor: Editor,
    pub(super) aggregate: Aggregate,
    /// Counts within the aggregate.
    #[serde(default, deserialize_with = "sequence")]
    pub(super) sequence: u64,
    pub(super) creation_date: Timestamp,
    #[serde(rename = "type")]
    kind: Type,
    #[serde(default)]
    payload: Value,
}

/// Who caused an event.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Editor {
    #[serde(default)]
    pub(super) user_id: String,
    #[serde(default)]
    pub(super) display_name: String,
}

/// What an event happened to.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Aggregate {
    pub(super) id: String,
    #[serde(rename = "type")]
    kind: Type,
    #[serde(default)]
    pub(super) resource_owner: String,
}

#[derive(Deserialize)]
struct Type {
    #[serde(rename = "type")]
    name: String,
}

impl Event {
    /// Type of the event.
    pub(super) fn name(&self) -> &str {
        &self.kind.name
    }

    /// Whether it is one that a filter names.
    pub(super) fn matches(&self, filter: &EventFilter) -> bool {
        self.aggregate.kind.name == filter.aggregate && filter.types.contains(&self.name())
    }

    /// The names that its payload has.
    pub(super) fn payload_fields(&self) -> Vec<String> {
        self.payload.as_object().into_iter().flat_map(|fields| fields.keys().cloned()).collect()
    }

    /// How new what it touched is by it.
    pub(super) fn version(&self) -> Version {
        let owner = Some(self.aggregate.resource_owner.clone()).filter(|owner| !owner.is_empty());
        Version { aggregate: owner, changed: self.creation_date }
    }

    /// What it says of the thing that it touched.
    pub(super) fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            aggregate: &self.aggregate.id,
            owner: &self.aggregate.resource_owner,
            payload: &self.payload,
        }
    }
}

/// uint64 is text in ZITADEL's JSON.
fn sequence<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

/// The events that a query asks for. Fails where the account may not read events.
pub(super) async fn search(client: &Client, query: &Value) -> Result<Vec<Event>> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        events: Vec<Event>,
    }
    let answer: Answer = client.query(None, "/admin/v1/events/_search", query).await?;
    Ok(answer.events)
}
