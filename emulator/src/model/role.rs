//! The roles of projects.

use std::collections::{BTreeMap, HashMap};

use super::{Fields, Stamp, overlay};
use crate::store::{Event, Position};

/// A role of a project.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) position: Position,
    pub(crate) stamp: Stamp,
    fields: Fields,
}

impl Role {
    pub(crate) fn key(&self) -> &str {
        self.fields.text("key")
    }

    pub(crate) fn display_name(&self) -> &str {
        self.fields.text("displayName")
    }

    pub(crate) fn group(&self) -> &str {
        self.fields.text("group")
    }

    pub(crate) fn fields(&self) -> &Fields {
        &self.fields
    }
}

/// All roles, by project and key.
#[derive(Default)]
pub(crate) struct Roles(HashMap<String, BTreeMap<String, Role>>);

impl Roles {
    pub(crate) fn get(&self, project: &str, key: &str) -> Option<&Role> {
        self.0.get(project)?.get(key)
    }

    /// A project's roles, by key.
    pub(crate) fn of_project(&self, project: &str) -> impl Iterator<Item = &Role> {
        self.0.get(project).into_iter().flat_map(BTreeMap::values)
    }

    pub(super) fn forget_project(&mut self, project: &str) {
        self.0.remove(project);
    }

    pub(super) fn forget_owner(&mut self, organization: &str) {
        self.0.retain(|_, roles| roles.values().all(|role| role.stamp.owner != organization));
    }

    /// Applies an event of a role; tells whether it is one.
    pub(super) fn apply(&mut self, position: Position, event: &Event) -> bool {
        let fields = Fields(event.payload.clone().unwrap_or_default());
        let key = fields.text("key").to_owned();
        let roles = match event.event_type {
            "project.role.added" | "project.role.changed" | "project.role.removed" => {
                self.0.entry(event.aggregate_id.clone()).or_default()
            }
            _ => return false,
        };
        match event.event_type {
            "project.role.added" => {
                roles.insert(key, Role { position, stamp: Stamp::new(event), fields });
            }
            "project.role.removed" => {
                roles.remove(&key);
            }
            _ => {
                if let Some(role) = roles.get_mut(&key) {
                    role.stamp.touch(event);
                    overlay(&mut role.fields, event);
                }
            }
        }
        true
    }
}
