//! Users: machines, with their keys, personal access tokens and secrets, and people.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    Fields, Side, Stamp,
    organization::State,
    overlay,
    table::{Row, Table},
};
use crate::store::{Event, Position};

/// A user. On the write side removed ones stay.
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
    pub(crate) human: bool,
    /// The user that another organization made under the same id. Only the write side has it.
    pub(crate) namesake: Option<Box<Self>>,
}

impl User {
    fn added(position: Position, event: &Event) -> Self {
        let mut fields = Fields::default();
        overlay(&mut fields, event);
        Self {
            id: event.aggregate_id.clone(),
            position,
            stamp: Stamp::new(event),
            state: State::Active,
            fields,
            keys: BTreeMap::new(),
            tokens: BTreeMap::new(),
            barred: position,
            human: event.event_type == "user.human.added",
            namesake: None,
        }
    }

    /// The user of this id that an organization made.
    pub(crate) fn of(&self, organization: &str) -> Option<&Self> {
        if self.stamp.owner == organization {
            return Some(self);
        }
        self.namesake.as_ref()?.of(organization)
    }

    /// The user of this id that was made last.
    pub(crate) fn latest(&self) -> &Self {
        self.namesake.as_ref().map_or(self, |namesake| namesake.latest())
    }

    fn of_mut(&mut self, organization: &str) -> Option<&mut Self> {
        if self.stamp.owner == organization {
            return Some(self);
        }
        self.namesake.as_mut()?.of_mut(organization)
    }

    fn add_namesake(&mut self, user: Self) {
        match &mut self.namesake {
            Some(namesake) => namesake.add_namesake(user),
            None => self.namesake = Some(Box::new(user)),
        }
    }

    fn end(&mut self, event: &Event) {
        self.state = State::Removed;
        self.stamp.touch(event);
        if let Some(namesake) = &mut self.namesake {
            namesake.end(event);
        }
    }

    pub(crate) fn user_type(&self) -> &'static str {
        if self.human { "TYPE_HUMAN" } else { "TYPE_MACHINE" }
    }

    pub(crate) fn user_name(&self) -> &str {
        self.fields.text("userName")
    }

    /// What others see of it, also in the event feed.
    pub(crate) fn display_name(&self) -> &str {
        self.fields.text(if self.human { "displayName" } else { "name" })
    }

    /// Whether somebody has to choose a password before the account can be used.
    pub(crate) fn is_initial(&self) -> bool {
        self.fields.flag("isInitial")
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

/// A key, of a user or of an application, or a personal access token.
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
    pub(super) fn new(id: &str, fields: &Fields, position: Position, event: &Event) -> Self {
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
    if matches!(event.event_type, "user.machine.added" | "user.human.added") {
        let user = User::added(position, event);
        match table.get_mut(id).filter(|former| former.state.exists()) {
            // The read side's table refuses a second user under the same id.
            Some(_) if side == Side::Read => {}
            Some(former) => former.add_namesake(user),
            None => table.insert(id, user),
        }
        return;
    }
    if event.event_type == "user.removed" {
        // Whoever of this id is removed, all are.
        if side == Side::Read {
            table.remove(id);
        } else if let Some(user) = table.get_mut(id) {
            user.end(event);
        }
        return;
    }
    let Some(user) = table.get_mut(id).and_then(|user| user.of_mut(&event.resource_owner)) else {
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
        "user.machine.changed"
        | "user.username.changed"
        | "user.machine.secret.set"
        | "user.human.profile.changed" => {
            overlay(&mut user.fields, event);
        }
        "user.human.email.changed" | "user.human.phone.changed" => {
            overlay(&mut user.fields, event);
            let is_mail = event.event_type == "user.human.email.changed";
            user.fields.0.remove(if is_mail { "emailVerified" } else { "phoneVerified" });
        }
        "user.human.phone.removed" => {
            user.fields.0.remove("phone");
            user.fields.0.remove("phoneVerified");
        }
        "user.human.password.changed" => {
            overlay(&mut user.fields, event);
            let date = crate::clock::text(event.creation_date);
            user.fields.0.insert("passwordChanged".to_owned(), date.into());
            user.fields.0.remove("isInitial");
            return;
        }
        "user.domain.claimed" => {
            user.fields.0.insert("userName".to_owned(), fields.text("userName").into());
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
        "user.human.email.verified" => {
            user.fields.0.insert("emailVerified".to_owned(), true.into());
        }
        "user.human.phone.verified" => {
            user.fields.0.insert("phoneVerified".to_owned(), true.into());
        }
        "user.human.initialization.code.added" => {
            user.fields.0.insert("isInitial".to_owned(), true.into());
            return;
        }
        // A code, or what is noted of somebody, is no part of the user.
        "user.human.email.code.added"
        | "user.human.phone.code.added"
        | "user.human.email.verification.failed"
        | "user.human.phone.verification.failed"
        | "user.metadata.set" => return,
        _ => {}
    }
    user.stamp.touch(event);
}
