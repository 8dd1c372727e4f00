//! The write side's memory: an append-only list of events, and the unique names that they claim.

use std::collections::{HashMap, HashSet, VecDeque};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::errors::ApiError;

/// Something that happened, as the event feed tells it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// What kind of thing it happened to: `org`, `project`, `instance`, `user`, `restrictions`.
    pub aggregate_type: &'static str,
    /// The id of that thing.
    pub aggregate_id: String,
    /// The organization (or the instance) that owns it.
    pub resource_owner: String,
    /// The number of this event among those of its aggregate, from 1 on.
    pub sequence: u64,
    /// When its transaction began. All events of one transaction share it.
    pub creation_date: Timestamp,
    /// Who did it.
    pub editor: Editor,
    /// What happened, for example `project.changed`.
    pub event_type: &'static str,
    /// The fields that were set, under ZITADEL's internal names.
    pub payload: Option<Map<String, Value>>,
}

/// Who caused an event.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Editor {
    /// The user's id; empty for what the server did by itself.
    pub user_id: String,
    /// The user's name at that time.
    pub display_name: String,
    /// Always `zitadel`.
    pub service: String,
}

impl Editor {
    /// The server itself.
    pub(crate) fn server() -> Self {
        Self { service: "zitadel".to_owned(), ..Self::default() }
    }
}

/// The thing an event belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Aggregate {
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    pub(crate) owner: String,
}

impl Aggregate {
    pub(crate) fn new(kind: &'static str, id: impl Into<String>, owner: impl Into<String>) -> Self {
        Self { kind, id: id.into(), owner: owner.into() }
    }

    /// An organization: it owns itself.
    pub(crate) fn organization(id: &str) -> Self {
        Self::new("org", id, id)
    }

    /// The instance: it owns itself.
    pub(crate) fn instance(id: &str) -> Self {
        Self::new("instance", id, id)
    }
}

/// What an event does to the names that must be unique. They compare without regard to case.
#[derive(Clone, Debug)]
pub(crate) enum Claim {
    /// Take a name on behalf of an organization; the message is for those who come too late.
    Take { space: &'static str, name: String, owner: String, taken: &'static str },
    /// Give a name back.
    Release { space: &'static str, name: String },
    /// Give back all that an organization took.
    ReleaseAll { owner: String },
}

/// An event that is about to be appended.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) aggregate: Aggregate,
    pub(crate) event_type: &'static str,
    pub(crate) payload: Option<Map<String, Value>>,
    pub(crate) claims: Vec<Claim>,
}

impl Draft {
    pub(crate) fn new(aggregate: &Aggregate, event_type: &'static str) -> Self {
        Self { aggregate: aggregate.clone(), event_type, payload: None, claims: Vec::new() }
    }

    /// Adds a field to the payload.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.payload.get_or_insert_default().insert(name.to_owned(), value.into());
        self
    }

    /// Sets the whole payload, which may be empty but there.
    pub(crate) fn payload(mut self, payload: Map<String, Value>) -> Self {
        self.payload = Some(payload);
        self
    }

    /// Takes a unique name.
    pub(crate) fn take(
        mut self,
        space: &'static str,
        name: impl Into<String>,
        taken: &'static str,
    ) -> Self {
        let owner = self.aggregate.owner.clone();
        self.claims.push(Claim::Take { space, name: name.into(), owner, taken });
        self
    }

    /// Gives a unique name back.
    pub(crate) fn release(mut self, space: &'static str, name: impl Into<String>) -> Self {
        self.claims.push(Claim::Release { space, name: name.into() });
        self
    }

    /// Gives back all names of the aggregate's organization.
    pub(crate) fn release_all(mut self) -> Self {
        let owner = self.aggregate.owner.clone();
        self.claims.push(Claim::ReleaseAll { owner });
        self
    }
}

/// Names that stay taken when their organization is removed.
const KEPT: [&str; 4] = ["project_role", "project_grant", "user_grant", "appname"];

/// The position of an event in the log: also the order in which things were made.
pub(crate) type Position = usize;

/// The log.
#[derive(Clone, Default)]
pub(crate) struct Store {
    events: Vec<Event>,
    /// Sequence and owner of each aggregate: the first event settles who owns it.
    aggregates: HashMap<(&'static str, String), (u64, String)>,
    by_aggregate: HashMap<String, Vec<Position>>,
    names: HashMap<(&'static str, String), String>,
    /// Events that are committed late: not in the feed before their time.
    late: VecDeque<(Position, Instant)>,
}

impl Store {
    /// Appends the events of one transaction, all of them or none.
    ///
    /// # Errors
    /// 409 when a unique name is taken.
    pub(crate) fn append(
        &mut self,
        editor: &Editor,
        date: Timestamp,
        drafts: Vec<Draft>,
        visible: Option<Instant>,
    ) -> Result<std::ops::Range<Position>, ApiError> {
        self.settle(drafts.iter().flat_map(|draft| &draft.claims))?;
        let first = self.events.len();
        for draft in drafts {
            let Aggregate { kind, id, owner } = draft.aggregate;
            let (sequence, settled) =
                self.aggregates.entry((kind, id.clone())).or_insert((0, owner.clone()));
            *sequence += 1;
            // The first event settles who owns an aggregate, except for users.
            let owner = if kind == "user" { owner } else { settled.clone() };
            let position = self.events.len();
            self.by_aggregate.entry(id.clone()).or_default().push(position);
            if let Some(visible) = visible {
                self.late.push_back((position, visible));
            }
            self.events.push(Event {
                aggregate_type: kind,
                aggregate_id: id,
                resource_owner: owner,
                sequence: *sequence,
                creation_date: date,
                editor: editor.clone(),
                event_type: draft.event_type,
                payload: draft.payload,
            });
        }
        Ok(first..self.events.len())
    }

    /// Applies the claims of a transaction: what is released first, then what is taken.
    fn settle<'a>(
        &mut self,
        claims: impl Iterator<Item = &'a Claim> + Clone,
    ) -> Result<(), ApiError> {
        let key = |space: &'static str, name: &str| (space, lower(name));
        let released: Vec<_> = claims
            .clone()
            .filter_map(|claim| match claim {
                Claim::Release { space, name } => Some(key(space, name)),
                _ => None,
            })
            .collect();
        let mut wanted = HashSet::new();
        for claim in claims.clone() {
            if let Claim::Take { space, name, taken, .. } = claim {
                let key = key(space, name);
                let free = !self.names.contains_key(&key) || released.contains(&key);
                if !free || !wanted.insert(key) {
                    return Err(ApiError::exists("V3-DKcYh", *taken));
                }
            }
        }
        for name in released {
            self.names.remove(&name);
        }
        for claim in claims {
            match claim {
                Claim::ReleaseAll { owner } => {
                    self.names.retain(|(space, _), of| of != owner || KEPT.contains(space));
                }
                Claim::Take { space, name, owner, .. } => {
                    self.names.insert(key(space, name), owner.clone());
                }
                Claim::Release { .. } => {}
            }
        }
        Ok(())
    }

    /// Whether a unique name is free.
    pub(crate) fn is_free(&self, space: &'static str, name: &str) -> bool {
        !self.names.contains_key(&(space, lower(name)))
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn get(&self, position: Position) -> Option<&Event> {
        self.events.get(position)
    }

    pub(crate) fn all(&self) -> &[Event] {
        &self.events
    }

    /// The positions of an aggregate's events, oldest first.
    pub(crate) fn of_aggregate(&self, id: &str) -> &[Position] {
        self.by_aggregate.get(id).map_or(&[], Vec::as_slice)
    }

    /// The first position whose date is later than the given one.
    pub(crate) fn after(&self, date: Timestamp) -> Position {
        self.events.partition_point(|event| event.creation_date <= date)
    }

    /// The events that are not committed yet, at this moment.
    pub(crate) fn uncommitted(&mut self) -> Vec<Position> {
        let now = Instant::now();
        self.late.retain(|(_, visible)| *visible > now);
        self.late.iter().map(|(position, _)| *position).collect()
    }

    /// Gives an aggregate, and all it owns, another id.
    pub(crate) fn rename(&mut self, former: &str, now: &str) {
        for event in &mut self.events {
            for id in [&mut event.aggregate_id, &mut event.resource_owner] {
                if id == former {
                    now.clone_into(id);
                }
            }
        }
        self.aggregates = std::mem::take(&mut self.aggregates)
            .into_iter()
            .map(|((kind, id), (sequence, owner))| {
                let renamed = |id: String| if id == former { now.to_owned() } else { id };
                ((kind, renamed(id)), (sequence, renamed(owner)))
            })
            .collect();
        if let Some(positions) = self.by_aggregate.remove(former) {
            self.by_aggregate.insert(now.to_owned(), positions);
        }
    }
}

/// Go's `strings.ToLower`: each letter by itself, and never as more than one.
fn lower(text: &str) -> String {
    text.chars()
        .map(|c| {
            let mut lower = c.to_lowercase();
            match (lower.next(), lower.next()) {
                (Some(only), None) => only,
                (Some(first), Some(_)) => first,
                _ => c,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_compare_letter_by_letter_without_regard_to_case() {
        assert_eq!(lower("ÀB"), "àb");
        assert_eq!(lower("ΟΔΟΣ"), "οδοσ");
        assert_eq!(lower("İ"), "i");
    }
}
