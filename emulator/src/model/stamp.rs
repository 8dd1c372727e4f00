//! When things were made and changed.

use jiff::Timestamp;
use serde_json::Value;

use crate::{clock, message::message, store::Event};

/// When a thing was made and changed, by which event, and whose it is.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    pub(crate) created: Timestamp,
    pub(crate) changed: Timestamp,
    pub(crate) sequence: u64,
    pub(crate) owner: String,
}

impl Stamp {
    pub(crate) fn new(event: &Event) -> Self {
        Self {
            created: event.creation_date,
            changed: event.creation_date,
            sequence: event.sequence,
            owner: event.resource_owner.clone(),
        }
    }

    pub(crate) fn touch(&mut self, event: &Event) {
        self.changed = event.creation_date;
        self.sequence = event.sequence;
    }

    /// `details` as reads tell them.
    pub(crate) fn details(&self) -> Value {
        message! {
            "sequence" => self.sequence.to_string(),
            "creationDate" => clock::text(self.created),
            "changeDate" => clock::text(self.changed),
            "resourceOwner" => &*self.owner,
        }
    }

    /// `details` as changes tell them.
    pub(crate) fn change_details(&self) -> Value {
        message! {
            "sequence" => self.sequence.to_string(),
            "changeDate" => clock::text(self.changed),
            "resourceOwner" => &*self.owner,
        }
    }

    /// `details` as creations through the older interfaces tell them.
    pub(crate) fn creation_details(&self) -> Value {
        message! {
            "sequence" => self.sequence.to_string(),
            "creationDate" => clock::text(self.changed),
            "resourceOwner" => &*self.owner,
        }
    }
}
