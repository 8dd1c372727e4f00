//! What things are by the events of their past. Of a kind that ZITADEL lists for one place at a time,
//! a start would need as many calls as there are places; the event log tells of a thousand things at
//! once.
//!
//! It is believed that something is so, and never that something is not: ZITADEL may keep events for
//! a limited time, and what was created before has no beginning. A list tells.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{
    cursor::Cursor,
    log::Event,
    query::{EventQuery, removals},
};
use crate::{
    contract::{Entry, EventFilter, Place, Registry, Remote, Subject, Version},
    zitadel::{Client, Result},
};

/// So many places are listed, and then as many pages of events are read, if there are no more: it
/// costs at most twice the calls of the lists.
const FEW: usize = 10;

/// How far the past of a kind was asked for.
#[derive(Default)]
pub(super) struct Past {
    /// Places that were to be listed so far.
    places: HashSet<Place>,
    is_read: bool,
}

impl Past {
    /// A place is to be listed. Whether it is time to read the past of the kind instead: once.
    pub(super) fn is_due(&mut self, place: &Place) -> bool {
        self.places.insert(place.clone());
        let is_due = !self.is_read && self.places.len() > FEW;
        self.is_read |= is_due;
        is_due
    }
}

/// What exists of a kind by its events; `None`: there are too many of them.
pub(super) async fn read(
    client: &Client,
    registry: &Registry,
    entry: Entry,
) -> Result<Option<Vec<Remote>>> {
    let query = EventQuery::past(registry, entry);
    let events = Cursor::beginning().advance(client, &query, FEW).await?;
    Ok(events.map(|events| replay(registry, entry, &events)))
}

/// What is left after these events.
fn replay(registry: &Registry, entry: Entry, events: &[Event]) -> Vec<Remote> {
    let Entry::Entity(kind) = entry else { return Vec::new() };
    let Some(ends) = kind.entity().ended_by else { return Vec::new() };
    let around: Vec<EventFilter> = removals(registry, entry).collect();
    let mut things: HashMap<(Place, String), (Value, Version)> = HashMap::new();
    for event in events {
        for filter in entry.events.iter().filter(|filter| event.matches(filter)) {
            let (place, Some(Subject::Entity(id))) = filter.touched(event.facts()) else {
                continue;
            };
            let key = (place, id);
            let version = event.version();
            if event.name() == ends {
                things.remove(&key);
            } else if filter.creates.contains(&event.name()) {
                things.insert(key, (event.facts().payload.clone(), version));
            } else if let Some((payload, changed)) = things.get_mut(&key) {
                overlay(payload, event.facts().payload);
                *changed = version;
            }
        }
        for filter in &around {
            if event.matches(filter)
                && filter.removes.contains(&event.name())
                && let (_, Some(Subject::Entity(gone))) = filter.touched(event.facts())
            {
                things.retain(|(place, _), _| !place.is_within(&gone));
            }
        }
    }
    let told = things.into_iter();
    told.filter_map(|((place, id), (payload, version))| kind.told(id, place, version, payload))
        .collect()
}

fn overlay(payload: &mut Value, changes: &Value) {
    if let (Some(payload), Some(changes)) = (payload.as_object_mut(), changes.as_object()) {
        payload.extend(changes.clone());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::REGISTRY;

    fn event(name: &str, payload: &Value) -> Event {
        serde_json::from_value(json!({
            "aggregate": {"id": "p", "type": {"type": "project"}, "resourceOwner": "o"},
            "sequence": "1", "creationDate": "2026-01-01T00:00:00Z",
            "type": {"type": name}, "payload": payload,
        }))
        .unwrap()
    }

    fn told(events: &[Event]) -> Vec<(String, Value)> {
        let told = replay(&REGISTRY, REGISTRY.find("ProjectRole").unwrap(), events);
        let fields = |remote: &Remote| remote.state.to().unwrap();
        told.iter().map(|remote| (remote.id().unwrap().to_owned(), fields(remote))).collect()
    }

    #[test]
    fn nothing_is_told_of_what_began_before_the_log_does() {
        let added = event("project.role.added", &json!({"key": "a", "displayName": "A"}));
        let changed = event("project.role.changed", &json!({"key": "a", "group": "g"}));
        let lone = event("project.role.changed", &json!({"key": "b", "group": "g"}));
        let removed = event("project.role.removed", &json!({"key": "a"}));
        let is = json!({"key": "a", "displayName": "A", "group": "g"});
        assert_eq!(told(&[lone, added, changed]), [("a".to_owned(), is)]);
        let added = event("project.role.added", &json!({"key": "a", "displayName": "A"}));
        assert_eq!(told(&[added, removed]), []);
    }

    #[test]
    fn the_log_is_read_once_and_only_after_some_lists() {
        let mut past = Past::default();
        let place = |n: usize| Place::organization(n.to_string());
        for n in 0..FEW {
            assert!(!past.is_due(&place(n)) && !past.is_due(&place(n)));
        }
        assert!(past.is_due(&place(FEW)));
        assert!(!past.is_due(&place(FEW + 1)));
    }
}
