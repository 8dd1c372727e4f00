//! Organizations.

use std::collections::BTreeMap;

use super::{
    Stamp,
    table::{Row, Table},
};
use crate::store::{Event, Position};

/// The life of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Active,
    Inactive,
    Locked,
    Removed,
}

impl State {
    pub(crate) fn exists(self) -> bool {
        self != Self::Removed
    }
}

/// An organization. Removed ones stay in the table, as they do in ZITADEL's.
#[derive(Clone, Debug)]
pub(crate) struct Organization {
    pub(crate) id: String,
    pub(crate) position: Position,
    pub(crate) stamp: Stamp,
    pub(crate) state: State,
    pub(crate) name: String,
    pub(crate) primary_domain: String,
    /// Its domains, and whether they are verified.
    pub(crate) domains: BTreeMap<String, bool>,
}

impl Row for Organization {
    fn owner(&self) -> &str {
        &self.stamp.owner
    }

    fn position(&self) -> Position {
        self.position
    }
}

pub(super) fn apply(table: &mut Table<Organization>, position: Position, event: &Event) {
    let field = |name: &str| {
        event
            .payload
            .as_ref()
            .and_then(|payload| payload.get(name))
            .and_then(|value| value.as_str())
            .unwrap_or_default()
            .to_owned()
    };
    if event.event_type == "org.added" {
        table.insert(
            &event.aggregate_id,
            Organization {
                id: event.aggregate_id.clone(),
                position,
                stamp: Stamp::new(event),
                state: State::Active,
                name: field("name"),
                primary_domain: String::new(),
                domains: BTreeMap::new(),
            },
        );
        return;
    }
    let Some(organization) = table.get_mut(&event.aggregate_id) else {
        return;
    };
    match event.event_type {
        "org.changed" => organization.name = field("name"),
        "org.deactivated" => organization.state = State::Inactive,
        "org.reactivated" => organization.state = State::Active,
        "org.removed" => organization.state = State::Removed,
        "org.domain.primary.set" => organization.primary_domain = field("domain"),
        domain_event => {
            // Domains have a table of their own: the organization's dates stay.
            match domain_event {
                "org.domain.added" => organization.domains.insert(field("domain"), false),
                "org.domain.verified" => organization.domains.insert(field("domain"), true),
                "org.domain.removed" => organization.domains.remove(&field("domain")),
                _ => None,
            };
            return;
        }
    }
    organization.stamp.touch(event);
}
