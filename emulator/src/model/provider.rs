//! Identity providers of the instance and of organizations.

use serde_json::Value;

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
    /// What events call its type: `google`, `oidc`.
    pub(crate) kind: &'static str,
    pub(crate) fields: Fields,
}

impl Provider {
    /// The secret by which it logs in, encrypted, as events tell it.
    pub(crate) fn secret(&self) -> Option<&Value> {
        let names = ["clientSecret", "client_secret", "privateKey", "bindPassword"];
        names.into_iter().find_map(|name| self.fields.0.get(name))
    }
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
        // The instance's directories are in the second version of their events.
        let kind = kind.strip_suffix(".v2").unwrap_or(kind);
        table.insert(&id, Provider { id: id.clone(), position, stamp, kind, fields });
    } else if change == "removed" {
        table.remove(&id);
    } else if let Some(provider) = table.get_mut(&id) {
        overlay(&mut provider.fields, event);
        provider.stamp.touch(event);
    }
    true
}
