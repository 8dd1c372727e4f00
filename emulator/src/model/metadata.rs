//! The metadata of organizations and of users: values by key.

use std::collections::{BTreeMap, HashMap};

use super::{Fields, Side, Stamp};
use crate::store::Event;

/// An entry as it stands.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) stamp: Stamp,
    /// Base64 of its value.
    pub(crate) value: String,
}

/// What has metadata: the type and the id of its aggregate, and the organization that owns it.
type Holder = (String, String, String);

/// All metadata.
#[derive(Default)]
pub(crate) struct Metadata {
    entries: HashMap<Holder, BTreeMap<String, Entry>>,
    /// The last event about any entry.
    last: HashMap<Holder, Stamp>,
}

fn holder(kind: &str, id: &str, owner: &str) -> Holder {
    (kind.to_owned(), id.to_owned(), owner.to_owned())
}

impl Metadata {
    /// All entries, by their keys.
    pub(crate) fn of(&self, kind: &str, id: &str, owner: &str) -> BTreeMap<&str, &Entry> {
        let entries = self.entries.get(&holder(kind, id, owner));
        entries.into_iter().flatten().map(|(key, entry)| (key.as_str(), entry)).collect()
    }

    /// The last event about any of them.
    pub(crate) fn last(&self, kind: &str, id: &str, owner: &str) -> Option<&Stamp> {
        self.last.get(&holder(kind, id, owner))
    }

    /// Drops what a user has.
    pub(super) fn forget_user(&mut self, user: &str) {
        self.entries.retain(|(kind, id, _), _| kind != "user" || id != user);
    }

    /// Drops what an organization has, and its users.
    pub(super) fn forget(&mut self, organization: &str) {
        self.entries.retain(|(.., owner), _| owner != organization);
    }

    /// Applies an event, if it is about metadata. What becomes of those who have it is nothing that
    /// the write side heeds: it remembers what they had.
    pub(super) fn apply(&mut self, side: Side, event: &Event) -> bool {
        if side == Side::Read {
            match event.event_type {
                "user.removed" => self.forget_user(&event.aggregate_id),
                "org.removed" => self.forget(&event.aggregate_id),
                _ => {}
            }
        }
        let Some((_, what)) = event.event_type.split_once(".metadata.") else { return false };
        let holder = holder(event.aggregate_type, &event.aggregate_id, &event.resource_owner);
        let payload = Fields(event.payload.clone().unwrap_or_default());
        let (key, value) = (payload.text("key").to_owned(), payload.text("value").to_owned());
        let stamp = Stamp::new(event);
        self.last.insert(holder.clone(), stamp.clone());
        let entries = self.entries.entry(holder).or_default();
        if what == "set" {
            let entry = entries.entry(key).or_insert(Entry { stamp, value: String::new() });
            entry.stamp.touch(event);
            entry.value = value;
        } else {
            entries.remove(&key);
        }
        true
    }
}
