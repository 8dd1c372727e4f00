//! Which questions the event feed is asked, so that every kind hears of its events. Pure.
//!
//! ZITADEL takes ten types of aggregates and thirty types of events a query. Most aggregates are
//! asked for as a whole, in one query; those that also carry every login are asked for by exact
//! types, and only while a kind that needs them is in use.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Value, json};

use crate::contract::{Entry, EventFilter, Registry};

/// Most aggregate types of a query (11: 400, recording `events-filters`).
const MOST_AGGREGATES: usize = 10;
/// Most event types of a query (31: 400, recording `events-filters`).
pub(super) const MOST_TYPES: usize = 30;
/// Aggregates that carry every login.
const BUSY: [&str; 3] = ["user", "session", "oidc_session"];

/// A question to the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EventQuery {
    aggregates: Vec<&'static str>,
    /// Empty: all of the aggregates.
    types: Vec<&'static str>,
    /// Kinds that hear of their events by it.
    kinds: BTreeSet<&'static str>,
}

impl EventQuery {
    /// The queries that all kinds together need; the first one is always asked.
    pub(super) fn all(registry: &Registry) -> Vec<Self> {
        let mut quiet: BTreeMap<&str, BTreeSet<&'static str>> = BTreeMap::new();
        let mut busy: BTreeMap<(&str, &str), BTreeSet<&'static str>> = BTreeMap::new();
        for entry in registry.all() {
            for filter in entry.events {
                if BUSY.contains(&filter.aggregate) {
                    for event in filter.types {
                        let key = (filter.aggregate, *event);
                        busy.entry(key).or_default().insert(entry.kind());
                    }
                } else {
                    quiet.entry(filter.aggregate).or_default().insert(entry.kind());
                }
            }
        }
        let quiet: Vec<_> = quiet.into_iter().collect();
        let busy: Vec<_> = busy.into_iter().collect();
        let by_aggregate = quiet.chunks(MOST_AGGREGATES).map(|some| Self {
            aggregates: some.iter().map(|(aggregate, _)| *aggregate).collect(),
            types: Vec::new(),
            kinds: some.iter().flat_map(|(_, kinds)| kinds.iter().copied()).collect(),
        });
        let by_type = busy.chunks(MOST_TYPES).map(|some| Self {
            aggregates: some
                .iter()
                .map(|((aggregate, _), _)| *aggregate)
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            types: some.iter().map(|((_, event), _)| *event).collect(),
            kinds: some.iter().flat_map(|(_, kinds)| kinds.iter().copied()).collect(),
        });
        by_aggregate.chain(by_type).collect()
    }

    /// The query for all that has become of what there is of a kind.
    pub(super) fn past(registry: &Registry, entry: Entry) -> Self {
        let own = entry.events.iter().map(|filter| (filter.aggregate, filter.types));
        let around = removals(registry, entry).map(|filter| (filter.aggregate, filter.removes));
        let asked: Vec<_> = own.chain(around).collect();
        let aggregates: BTreeSet<_> = asked.iter().map(|(aggregate, _)| *aggregate).collect();
        let types: BTreeSet<_> =
            asked.iter().flat_map(|(_, types)| types.iter().copied()).collect();
        Self {
            aggregates: aggregates.into_iter().collect(),
            types: types.into_iter().collect(),
            kinds: BTreeSet::from([entry.kind()]),
        }
    }

    /// Whether it has to be asked while these kinds are in use.
    pub(super) fn is_needed(&self, in_use: &HashSet<&'static str>) -> bool {
        self.types.is_empty() || self.kinds.iter().any(|kind| in_use.contains(kind))
    }

    /// Whether a kind hears of its events by it.
    pub(super) fn serves(&self, kind: &str) -> bool {
        self.kinds.contains(kind)
    }

    /// The body of a request, with what it asks for besides.
    pub(super) fn body(&self, mut more: Value) -> Value {
        if let Some(body) = more.as_object_mut() {
            body.insert("aggregateTypes".into(), json!(self.aggregates));
            if !self.types.is_empty() {
                body.insert("eventTypes".into(), json!(self.types));
            }
        }
        more
    }
}

/// The events that remove what a kind is in.
pub(super) fn removals(
    registry: &Registry,
    entry: Entry,
) -> impl Iterator<Item = EventFilter> + use<> {
    let filters = registry.ancestors(entry).into_iter().flat_map(|entry| entry.events);
    filters.filter(|filter| !filter.removes.is_empty()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::REGISTRY;

    #[test]
    fn all_kinds_together_need_at_most_two_queries_within_the_limits() {
        let queries = EventQuery::all(&REGISTRY);
        assert!(queries.len() <= 2, "{queries:?}");
        for query in &queries {
            assert!(query.aggregates.len() <= MOST_AGGREGATES && query.types.len() <= MOST_TYPES);
        }
        for entry in REGISTRY.all().filter(|e| !e.is_connection()) {
            assert!(queries.iter().any(|q| q.serves(entry.kind())), "{entry:?}");
        }
    }

    #[test]
    fn the_past_of_a_kind_is_one_query_within_the_limits() {
        let told = REGISTRY.all().filter(|e| e.as_entity().is_some_and(|e| e.ended_by.is_some()));
        for entry in told {
            let query = EventQuery::past(&REGISTRY, entry);
            assert!(query.aggregates.len() <= MOST_AGGREGATES && query.types.len() <= MOST_TYPES);
            assert!(query.types.contains(&"org.removed"), "{query:?}");
        }
    }

    #[test]
    fn logins_are_never_asked_for() {
        for query in EventQuery::all(&REGISTRY) {
            let is_busy = query.aggregates.iter().any(|a| BUSY.contains(a));
            assert!(!is_busy || !query.types.is_empty(), "{query:?}");
            assert_eq!(query.is_needed(&HashSet::new()), !is_busy, "{query:?}");
        }
    }
}
