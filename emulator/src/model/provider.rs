//! Identity providers of the instance and of organizations.

use super::{
    Fields, Stamp, overlay,
    table::{Row, Table},
};
use crate::store::{Event, Position};

/// An identity provider.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    pub(crate) id: String,
    position: Position,
    pub(crate) stamp: Stamp,
    /// What events call its kind: `google`, `oidc`.
    pub(crate) kind: &'static str,
    pub(crate) fields: Fields,
}

impl Row for Provider {
    fn owner(&self) -> &str {
        &self.stamp.owner
    }

    fn position(&self) -> Position {
        self.position
    }
}

/// Applies an event of a provider; tells whether it is one.
pub(super) fn apply(table: &mut Table<Provider>, position: Position, event: &Event) -> bool {
    let Some(change) = ["instance.idp.", "org.idp."]
        .into_iter()
        .find_map(|prefix| event.event_type.strip_prefix(prefix))
    else {
        return false;
    };
    let mut fields = Fields::default();
    overlay(&mut fields, event);
    let id = fields.text("id").to_owned();
    if let Some(kind) = change.strip_suffix(".added") {
        let stamp = Stamp::new(event);
        table.insert(&id, Provider { id: id.clone(), position, stamp, kind, fields });
    } else if change == "removed" {
        table.remove(&id);
    }
    true
}
