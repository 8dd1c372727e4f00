//! The keys of applications.

use super::super::{
    Fields, Side,
    table::{Row, Table},
    user::Credential,
};
use crate::store::{Event, Position};

/// A key of an application.
#[derive(Clone, Debug)]
pub(crate) struct ApplicationKey {
    pub(crate) credential: Credential,
    pub(crate) project: String,
    pub(crate) application: String,
    pub(crate) client: String,
    /// Whether lists show it: not while the application authenticates by other means.
    pub(crate) enabled: bool,
}

impl Row for ApplicationKey {
    fn owner(&self) -> &str {
        &self.credential.stamp.owner
    }

    fn position(&self) -> Position {
        self.credential.position
    }
}

/// Applies an event of a key.
pub(in crate::model) fn apply(
    table: &mut Table<ApplicationKey>,
    position: Position,
    event: &Event,
) {
    let fields = Fields(event.payload.clone().unwrap_or_default());
    let id = fields.text("keyId");
    if event.event_type == "project.application.oidc.key.removed" {
        table.remove(id);
        return;
    }
    let key = ApplicationKey {
        credential: Credential::new(id, &fields, position, event),
        project: event.aggregate_id.clone(),
        application: fields.text("applicationId").to_owned(),
        client: fields.text("clientId").to_owned(),
        enabled: true,
    };
    table.insert(id, key);
}

/// Follows what happens to applications and projects: their keys go with them, and a change of the
/// means of authentication shows or hides them. The read side looks at the id of the application
/// alone.
pub(in crate::model) fn follow(table: &mut Table<ApplicationKey>, side: Side, event: &Event) {
    let fields = Fields(event.payload.clone().unwrap_or_default());
    let application = fields.text("appId");
    // By signed JWT: the last means of OpenID Connect, the last of APIs.
    let by_key = match event.event_type {
        "project.application.config.oidc.changed" => 3,
        "project.application.config.api.changed" => 1,
        "project.application.removed" | "project.removed" => 0,
        _ => return,
    };
    let ends = event.event_type.ends_with(".removed");
    if !ends && !fields.has("authMethodType") {
        return;
    }
    let concerned: Vec<_> = table
        .iter()
        .filter(|key| match event.event_type {
            "project.removed" => key.project == event.aggregate_id,
            _ => {
                let here = side == Side::Read || key.project == event.aggregate_id;
                here && key.application == application
            }
        })
        .map(|key| key.credential.id.clone())
        .collect();
    for id in concerned {
        if ends {
            table.remove(&id);
        } else if let Some(key) = table.get_mut(&id) {
            key.enabled = fields.number("authMethodType") == by_key;
        }
    }
}
