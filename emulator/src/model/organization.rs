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
    /// Its domains.
    pub(crate) domains: BTreeMap<String, Domain>,
}

/// A domain of an organization.
#[derive(Clone, Debug)]
pub(crate) struct Domain {
    pub(crate) position: Position,
    pub(crate) stamp: Stamp,
    pub(crate) verified: bool,
    /// The number of the kind of proof that was asked for last; 0: none was.
    pub(crate) challenge: u64,
    /// The hash of what has to be found.
    pub(crate) code: String,
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
        "org.domain.primary.set" => {
            let former = std::mem::replace(&mut organization.primary_domain, field("domain"));
            for name in [former, field("domain")] {
                if let Some(domain) = organization.domains.get_mut(&name) {
                    domain.stamp.touch(event);
                }
            }
        }
        // Domains have a table of their own: the organization's dates stay.
        "org.domain.added" => {
            let stamp = Stamp::new(event);
            let domain =
                Domain { position, stamp, verified: false, challenge: 0, code: String::new() };
            organization.domains.insert(field("domain"), domain);
            return;
        }
        "org.domain.removed" => {
            organization.domains.remove(&field("domain"));
            return;
        }
        // The read side does not know it.
        "org.domain.verification.failed" => return,
        domain_event => {
            if let Some(domain) = organization.domains.get_mut(&field("domain")) {
                domain.stamp.touch(event);
                domain.verified |= domain_event == "org.domain.verified";
                let payload = event.payload.as_ref();
                let challenge = payload.and_then(|payload| payload.get("validationType"));
                domain.challenge =
                    challenge.and_then(serde_json::Value::as_u64).unwrap_or(domain.challenge);
                let code =
                    payload.and_then(|payload| payload.get("validationCode")?.get("Crypted"));
                if let Some(code) = code.and_then(serde_json::Value::as_str) {
                    code.clone_into(&mut domain.code);
                }
            }
            return;
        }
    }
    organization.stamp.touch(event);
}
