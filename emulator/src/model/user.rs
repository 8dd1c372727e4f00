//! Machine users, with their keys, personal access tokens and secrets.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    Fields, Side, Stamp,
    organization::State,
    overlay,
    table::{Row, Table},
};
use crate::store::{Event, Position};

/// A machine user. On the write side removed ones stay.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) position: Position,
    pub(crate) stamp: Stamp,
    pub(crate) state: State,
    pub(crate) fields: Fields,
    pub(crate) keys: BTreeMap<String, Credential>,
    pub(crate) tokens: BTreeMap<String, Credential>,
    /// When the user was last deactivated or locked: tokens from before stay useless for ever.
    pub(crate) barred: Position,
}

impl User {
    pub(crate) fn user_name(&self) -> &str {
        self.fields.text("userName")
    }

    /// What others see of it, also in the event feed.
    pub(crate) fn display_name(&self) -> &str {
        self.fields.text("name")
    }

    pub(crate) fn hashed_secret(&self) -> Option<&str> {
        Some(self.fields.text("hashedSecret")).filter(|secret| !secret.is_empty())
    }
}

impl Row for User {
    fn owner(&self) -> &str {
        &self.stamp.owner
    }

    fn position(&self) -> Position {
        self.position
    }
}

/// A key or a personal access token.
#[derive(Clone, Debug)]
pub(crate) struct Credential {
    pub(crate) id: String,
    pub(crate) position: Position,
    pub(crate) stamp: Stamp,
    pub(crate) expires: String,
    /// Base64 of a PEM; empty for tokens.
    pub(crate) public_key: String,
}

impl Credential {
    fn new(id: &str, fields: &Fields, position: Position, event: &Event) -> Self {
        let expires = [fields.text("expirationDate"), fields.text("expiration")].concat();
        Self {
            id: id.to_owned(),
            position,
            stamp: Stamp::new(event),
            expires,
            public_key: fields.text("publicKey").to_owned(),
        }
    }

    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.parse::<Timestamp>().is_ok_and(|expires| expires <= now)
    }
}

/// The table that an event of a user belongs to.
pub(super) fn table_of(event_type: &str) -> &'static str {
    match event_type {
        "user.pat.added" | "user.pat.removed" => "pats",
        "user.machine.key.added" | "user.machine.key.removed" => "keys",
        _ => "users",
    }
}

pub(super) fn apply(table: &mut Table<User>, side: Side, position: Position, event: &Event) {
    let id = &event.aggregate_id;
    if event.event_type == "user.machine.added" {
        let mut fields = Fields::default();
        overlay(&mut fields, event);
        table.insert(
            id,
            User {
                id: id.clone(),
                position,
                stamp: Stamp::new(event),
                state: State::Active,
                fields,
                keys: BTreeMap::new(),
                tokens: BTreeMap::new(),
                barred: position,
            },
        );
        return;
    }
    if event.event_type == "user.removed" && side == Side::Read {
        table.remove(id);
        return;
    }
    let Some(user) = table.get_mut(id) else {
        return;
    };
    let fields = Fields(event.payload.clone().unwrap_or_default());
    match event.event_type {
        "user.pat.added" => {
            let id = fields.text("tokenId");
            user.tokens.insert(id.to_owned(), Credential::new(id, &fields, position, event));
            return;
        }
        "user.machine.key.added" => {
            let id = fields.text("keyId");
            user.keys.insert(id.to_owned(), Credential::new(id, &fields, position, event));
            return;
        }
        "user.pat.removed" => {
            user.tokens.remove(fields.text("tokenId"));
            return;
        }
        "user.machine.key.removed" => {
            user.keys.remove(fields.text("keyId"));
            return;
        }
        "user.machine.changed" | "user.username.changed" | "user.machine.secret.set" => {
            overlay(&mut user.fields, event);
        }
        "user.machine.secret.removed" => {
            user.fields.0.remove("hashedSecret");
        }
        "user.deactivated" | "user.locked" => {
            let inactive = event.event_type == "user.deactivated";
            user.state = if inactive { State::Inactive } else { State::Locked };
            user.barred = position;
        }
        "user.reactivated" | "user.unlocked" => user.state = State::Active,
        "user.removed" => user.state = State::Removed,
        _ => {}
    }
    user.stamp.touch(event);
}
