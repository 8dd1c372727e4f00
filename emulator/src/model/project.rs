//! Projects.

use super::{
    Fields, Side, Stamp,
    organization::State,
    overlay,
    table::{Row, Table},
};
use crate::store::{Event, Position};

/// A project. On the write side removed ones stay, as their events do.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    pub(crate) id: String,
    pub(crate) position: Position,
    pub(crate) stamp: Stamp,
    pub(crate) state: State,
    pub(crate) fields: Fields,
}

impl Project {
    pub(crate) fn name(&self) -> &str {
        self.fields.text("name")
    }
}

impl Row for Project {
    fn owner(&self) -> &str {
        &self.stamp.owner
    }

    fn position(&self) -> Position {
        self.position
    }
}

pub(super) fn apply(
    table: &mut Table<Project>,
    side: Side,
    position: Position,
    event: &Event,
) -> &'static str {
    let id = &event.aggregate_id;
    match event.event_type {
        // The read side's table refuses a second project under the same id.
        "project.added" if side == Side::Read && table.get(id).is_some() => {}
        "project.added" => {
            let mut fields = Fields::default();
            overlay(&mut fields, event);
            table.insert(
                id,
                Project {
                    id: id.clone(),
                    position,
                    stamp: Stamp::new(event),
                    state: State::Active,
                    fields,
                },
            );
        }
        "project.removed" if side == Side::Read => {
            table.remove(id);
        }
        kind => {
            let Some(project) = table.get_mut(id) else {
                return "projects";
            };
            match kind {
                "project.changed" => overlay(&mut project.fields, event),
                "project.deactivated" => project.state = State::Inactive,
                "project.reactivated" => project.state = State::Active,
                "project.removed" => project.state = State::Removed,
                _ => {}
            }
            project.stamp.touch(event);
        }
    }
    "projects"
}
