//! The event feed: what changed, when, and by whom.

use std::{collections::HashMap, sync::LazyLock};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Access, Answer, Call, Route};
use crate::{
    clock,
    message::message,
    proto::{EMPTY, Field, Message, Request, Rule, SHORT},
    store::{Event, Position},
};

/// The types of events and aggregates that ZITADEL knows, with what it calls them.
const EVENT_TYPES: &str = include_str!("../data/event_types.tsv");
const AGGREGATE_TYPES: &str = include_str!("../data/aggregate_types.tsv");

/// The greatest number of events of one answer, and the usual one.
const MOST: usize = 1_000;

static RANGE: Message = Message::new(
    "ListEventsRequest_creation_date_range",
    &[Field::date("since"), Field::date("until")],
);
static SEARCH: Message = Message::new(
    "ListEventsRequest",
    &[
        Field::number("sequence"),
        Field::number("limit"),
        Field::flag("asc"),
        Field::text("editorUserId").rules(SHORT),
        Field::text("eventTypes").repeated().rules(&[Rule::MaxItems(30)]),
        Field::text("aggregateId").rules(SHORT),
        Field::text("aggregateTypes").repeated().rules(&[Rule::MaxItems(10)]),
        Field::text("resourceOwner").rules(SHORT),
        Field::date("creationDate"),
        Field::message("range", &RANGE).in_group("creation_date_filter"),
        Field::date("from").in_group("creation_date_filter"),
    ],
);

pub(super) fn routes() -> Vec<Route> {
    use Access::Permission;
    const READ: Access = Permission("events.read");
    vec![
        Route::search("/admin/v1/events/_search", READ, &SEARCH, search),
        Route::search("/admin/v1/events/types/_search", READ, &EMPTY, |_| {
            Ok(json!({ "eventTypes": all(EVENT_TYPES, "EventTypes") }).into())
        }),
        Route::search("/admin/v1/aggregates/types/_search", READ, &EMPTY, |_| {
            Ok(json!({ "aggregateTypes": all(AGGREGATE_TYPES, "AggregateTypes") }).into())
        }),
    ]
}

fn all(table: &'static str, prefix: &str) -> Vec<Value> {
    table
        .lines()
        .filter_map(|line| line.split('\t').next())
        .map(|name| named(table, prefix, name))
        .collect()
}

/// A type with its name in the default language, or the key of that where there is none.
fn named(table: &'static str, prefix: &str, name: &str) -> Value {
    let key = format!("{prefix}.{name}");
    let text = names(table).get(name).copied().unwrap_or(&key);
    json!({ "type": name, "localized": { "key": key, "localizedMessage": text } })
}

/// The names of a table's types, by type.
fn names(table: &'static str) -> &'static HashMap<&'static str, &'static str> {
    static EVENTS: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| by_type(EVENT_TYPES));
    static AGGREGATES: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| by_type(AGGREGATE_TYPES));
    if table == AGGREGATE_TYPES { &AGGREGATES } else { &EVENTS }
}

fn by_type(table: &'static str) -> HashMap<&'static str, &'static str> {
    table.lines().filter_map(|line| line.split_once('\t')).collect()
}

/// What a search wants.
struct Wanted<'a> {
    request: &'a Request,
    after: Option<Timestamp>,
    before: Option<Timestamp>,
}

impl<'a> Wanted<'a> {
    fn of(request: &'a Request) -> Self {
        let (mut after, mut before) = (None, None);
        if request.has("range") {
            let range = request.message("range");
            after = range.date("since");
            before = range.date("until");
        } else {
            let from = request.date("from").or_else(|| request.date("creationDate"));
            if request.flag("asc") {
                after = from;
            } else {
                before = from;
            }
        }
        Self { request, after, before }
    }

    fn holds(&self, event: &Event) -> bool {
        let same = |field: &str, have: &str| {
            let want = self.request.text(field);
            want.is_empty() || want == have
        };
        let among = |field: &str, have: &str| {
            let want = self.request.list(field);
            want.is_empty() || want.iter().any(|want| want.as_str() == Some(have))
        };
        self.after.is_none_or(|after| event.creation_date > after)
            && self.before.is_none_or(|before| event.creation_date < before)
            && event.sequence > self.request.number("sequence")
            && same("editorUserId", &event.editor.user_id)
            && same("aggregateId", &event.aggregate_id)
            && same("resourceOwner", &event.resource_owner)
            && among("eventTypes", event.event_type)
            && among("aggregateTypes", event.aggregate_type)
    }
}

fn search(call: &mut Call<'_>) -> Answer {
    let late = call.state.store.uncommitted();
    let store = &call.state.store;
    let wanted = Wanted::of(&call.request);
    let limit = match usize::try_from(call.request.number("limit")) {
        Ok(limit @ 1..=MOST) => limit,
        _ => MOST,
    };
    let holds = |position: &Position| {
        !late.contains(position) && store.get(*position).is_some_and(|event| wanted.holds(event))
    };
    let first = wanted.after.map_or(0, |after| store.after(after));
    let aggregate = call.request.text("aggregateId");
    // An aggregate's own index, or the part of the log behind the date.
    let positions: Box<dyn DoubleEndedIterator<Item = Position>> = if aggregate.is_empty() {
        Box::new(first..store.len())
    } else {
        Box::new(store.of_aggregate(aggregate).iter().copied())
    };
    let found: Vec<Position> = if call.request.flag("asc") {
        positions.filter(holds).take(limit).collect()
    } else {
        positions.rev().filter(holds).take(limit).collect()
    };
    let events: Vec<_> =
        found.into_iter().filter_map(|position| store.get(position)).map(view).collect();
    Ok(message! { "events" => events }.into())
}

fn view(event: &Event) -> Value {
    let editor = message! {
        "userId" => &*event.editor.user_id,
        "displayName" => &*event.editor.display_name,
        "service" => &*event.editor.service,
    };
    let aggregate = json!({
        "id": event.aggregate_id,
        "type": named(AGGREGATE_TYPES, "AggregateTypes", event.aggregate_type),
        "resourceOwner": event.resource_owner,
    });
    message! {
        "editor" => editor,
        "aggregate" => aggregate,
        "sequence" => event.sequence.to_string(),
        "creationDate" => clock::text(event.creation_date),
        "payload" => event.payload.clone().map(Value::Object),
        "type" => named(EVENT_TYPES, "EventTypes", event.event_type),
    }
}
