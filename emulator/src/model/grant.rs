//! Grants: a project to another organization, roles of a project to a user.

use super::{
    Fields, Side, Stamp,
    organization::State,
    table::{Row, Table},
};
use crate::store::{Event, Position};

/// A grant. On the write side removed ones stay.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) id: String,
    pub(crate) position: Position,
    pub(crate) stamp: Stamp,
    pub(crate) state: State,
    pub(crate) project: String,
    /// The organization that a project is granted to, or the user that has the roles.
    pub(crate) grantee: String,
    /// The project grant that a user grant goes through.
    pub(crate) through: String,
    pub(crate) roles: Vec<String>,
}

impl Row for Grant {
    fn owner(&self) -> &str {
        &self.stamp.owner
    }

    fn position(&self) -> Position {
        self.position
    }
}

/// All grants.
#[derive(Default)]
pub(crate) struct Grants {
    pub(crate) of_projects: Table<Grant>,
    pub(crate) of_users: Table<Grant>,
}

impl Grants {
    /// What belonged to a project, an organization or a user leaves the read side without events;
    /// tells the ids of the project grants that did.
    pub(super) fn forget(&mut self, gone: impl Fn(&Grant) -> bool) -> Vec<String> {
        let [of_projects, _] = [&mut self.of_projects, &mut self.of_users].map(|table| {
            let ids: Vec<_> =
                table.iter().filter(|grant| gone(grant)).map(|grant| grant.id.clone()).collect();
            for id in &ids {
                table.remove(id);
            }
            ids
        });
        of_projects
    }

    /// Applies an event of a project grant; tells whether it is one.
    pub(super) fn apply_project(&mut self, side: Side, position: Position, event: &Event) -> bool {
        let Some(change) = event.event_type.strip_prefix("project.grant.") else {
            return false;
        };
        let id = payload(event).text("grantId").to_owned();
        if change == "removed" && side == Side::Read {
            // Its user grants were removed by events of their own.
            self.of_projects.remove(&id);
        } else {
            apply(&mut self.of_projects, &id, change, position, event);
        }
        true
    }

    pub(super) fn apply_user(&mut self, side: Side, position: Position, event: &Event) {
        let change = event.event_type.strip_prefix("user.grant.").unwrap_or_default();
        let id = &event.aggregate_id;
        if matches!(change, "removed" | "cascade.removed") && side == Side::Read {
            self.of_users.remove(id);
        } else {
            apply(&mut self.of_users, id, change, position, event);
        }
    }
}

fn payload(event: &Event) -> Fields {
    Fields(event.payload.clone().unwrap_or_default())
}

fn apply(table: &mut Table<Grant>, id: &str, change: &str, position: Position, event: &Event) {
    let fields = payload(event);
    if change == "added" {
        let of_user = event.aggregate_type == "usergrant";
        let (project, grantee, project_grant) = if of_user {
            (fields.text("projectId"), fields.text("userId"), fields.text("grantId"))
        } else {
            (&*event.aggregate_id, fields.text("grantedOrgId"), "")
        };
        let grant = Grant {
            id: id.to_owned(),
            position,
            stamp: Stamp::new(event),
            state: State::Active,
            project: project.to_owned(),
            grantee: grantee.to_owned(),
            through: project_grant.to_owned(),
            roles: fields.texts("roleKeys"),
        };
        table.insert(id, grant);
        return;
    }
    let Some(grant) = table.get_mut(id) else {
        return;
    };
    match change {
        "changed" | "cascade.changed" => grant.roles = fields.texts("roleKeys"),
        "deactivated" => grant.state = State::Inactive,
        "reactivated" => grant.state = State::Active,
        "removed" | "cascade.removed" => grant.state = State::Removed,
        _ => {}
    }
    grant.stamp.touch(event);
}
