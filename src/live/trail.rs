//! What the event log says of one thing, from the beginning.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::{
    log::{self, Event},
    query::MOST_TYPES,
};
use crate::{
    contract::{Entry, EventFilter, EventPlace, EventSubject, Place, Subject},
    zitadel::{Client, Result},
};

/// Events of one answer: as many as ZITADEL gives at most.
const PAGE: usize = 1000;

/// What happened to a thing. Values are omitted: some are secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// When.
    pub at: Timestamp,
    /// ZITADEL's type of the event.
    pub event: String,
    /// Id of who did it.
    pub editor: String,
    /// The name of who did it; empty: ZITADEL does not tell.
    pub editor_name: String,
    /// The names that the payload has.
    pub fields: Vec<String>,
}

/// All events of a thing that concern its kind, the oldest first. Fails where the account may not
/// read events.
pub async fn trail(
    client: &Client,
    instance_id: &str,
    entry: Entry,
    place: &Place,
    subject: &Subject,
) -> Result<Vec<Happened>> {
    let mut found: BTreeMap<(Timestamp, String, u64), Happened> = BTreeMap::new();
    for filter in entry.events.iter().filter(|f| f.subject != EventSubject::OnlyOne) {
        let aggregate = aggregate(filter, instance_id, place, subject);
        for types in filter.types.chunks(MOST_TYPES) {
            let mut query = Map::new();
            query.insert("aggregateTypes".into(), json!([filter.aggregate]));
            query.insert("eventTypes".into(), json!(types));
            query.extend(aggregate.map(|id| ("aggregateId".to_owned(), json!(id))));
            let events = all(client, query).await?.into_iter();
            found.extend(events.filter(|e| concerns(filter, e, place, subject)).map(|event| {
                let key = (event.creation_date, event.aggregate.id.clone(), event.sequence);
                (key, happened(event))
            }));
        }
    }
    Ok(found.into_values().collect())
}

/// The aggregate that has the events, where there is only one.
fn aggregate<'a>(
    filter: &EventFilter,
    instance_id: &'a str,
    place: &'a Place,
    subject: &'a Subject,
) -> Option<&'a str> {
    match filter.place {
        _ if filter.subject == EventSubject::Aggregate => subject.id(),
        _ if filter.aggregate == "instance" => Some(instance_id),
        EventPlace::Aggregate => place.organization.as_deref(),
        EventPlace::BelowAggregate | EventPlace::BelowPayload(_) => {
            place.parents.first().map(String::as_str)
        }
        EventPlace::Instance | EventPlace::Owner | EventPlace::Everywhere => None,
    }
}

/// Whether an event is about this thing.
fn concerns(filter: &EventFilter, event: &Event, place: &Place, subject: &Subject) -> bool {
    let (at, touched) = filter.touched(event.facts());
    let is_there = filter.place == EventPlace::Everywhere || at == *place;
    is_there && touched.is_none_or(|touched| touched == *subject)
}

/// All events that a query asks for.
async fn all(client: &Client, mut query: Map<String, Value>) -> Result<Vec<Event>> {
    query.extend([("asc".to_owned(), json!(true)), ("limit".to_owned(), json!(PAGE))]);
    let (mut all, mut known) = (Vec::new(), BTreeSet::new());
    let mut from: Option<Timestamp> = None;
    loop {
        query.extend(from.map(|from| ("from".to_owned(), json!(from.to_string()))));
        let page = log::search(client, &Value::Object(query.clone())).await?;
        let newest = page.last().map(|e| e.creation_date).filter(|_| page.len() >= PAGE);
        for event in page {
            if known.insert((event.creation_date, event.aggregate.id.clone(), event.sequence)) {
                all.push(event);
            }
        }
        let Some(newest) = newest else { return Ok(all) };
        // `from` is strictly greater-than and dates may repeat: step back by one microsecond. What
        // one date has beyond a page, nothing shows.
        let next = newest.checked_sub(SignedDuration::from_micros(1)).unwrap_or(newest);
        from = Some(if from.is_none_or(|from| next > from) { next } else { newest });
    }
}

fn happened(event: Event) -> Happened {
    Happened {
        at: event.creation_date,
        event: event.name().to_owned(),
        fields: event.payload_fields(),
        editor: event.editor.user_id,
        editor_name: event.editor.display_name,
    }
}
