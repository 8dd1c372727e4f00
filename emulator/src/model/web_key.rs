//! The keys that sign tokens: each is in the key set from its creation to its removal, and one of
//! them signs.

use serde_json::{Value, json};

use super::{Fields, Side, Stamp, overlay};
use crate::store::{Event, Position};

/// A key.
#[derive(Clone, Debug)]
pub(crate) struct WebKey {
    pub(crate) id: String,
    pub(crate) stamp: Stamp,
    /// The last event: where its row is, as no query of all keys orders equals.
    pub(crate) touched: Position,
    pub(crate) state: State,
    fields: Fields,
}

/// The life of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It never signed.
    Initial,
    /// It signs.
    Active,
    /// It signed.
    Inactive,
    /// Only the write side still knows it.
    Removed,
}

/// What kind of key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Config {
    /// Thousands of bits, and bits of the hash.
    Rsa {
        bits: u64,
        hash: u64,
    },
    /// The name of the curve as ZITADEL has it.
    Ecdsa {
        curve: u64,
    },
    Ed25519,
}

impl Config {
    /// As the event of its creation holds it: its type, and its parameters.
    pub(crate) fn payload(self) -> (&'static str, Value) {
        match self {
            Self::Rsa { bits, hash } => {
                ("RSA", json!({"Bits": bits.to_string(), "Hasher": format!("SHA{hash}")}))
            }
            Self::Ecdsa { curve } => ("ECDSA", json!({"Curve": format!("P{curve}")})),
            Self::Ed25519 => ("ED25519", json!({})),
        }
    }

    fn of(fields: &Fields) -> Self {
        let config = fields.message("config");
        let number = |name: &str, prefix: &str| {
            let text = config.text(name);
            text.strip_prefix(prefix).unwrap_or(text).parse().unwrap_or_default()
        };
        match fields.text("configType") {
            "ECDSA" => Self::Ecdsa { curve: number("Curve", "P") },
            "ED25519" => Self::Ed25519,
            _ => Self::Rsa { bits: number("Bits", ""), hash: number("Hasher", "SHA") },
        }
    }

    /// The name of its algorithm in tokens and key sets.
    pub(crate) fn algorithm(self) -> String {
        match self {
            Self::Rsa { hash, .. } => format!("RS{hash}"),
            Self::Ecdsa { curve } => format!("ES{curve}"),
            Self::Ed25519 => "EdDSA".to_owned(),
        }
    }
}

impl WebKey {
    pub(crate) fn config(&self) -> Config {
        Config::of(&self.fields)
    }
}

/// All keys, oldest first.
#[derive(Default)]
pub(crate) struct WebKeys(Vec<WebKey>);

impl WebKeys {
    /// One that was ever made, as far as this side remembers.
    pub(crate) fn get(&self, id: &str) -> Option<&WebKey> {
        self.0.iter().find(|key| key.id == id)
    }

    /// All that are there, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &WebKey> {
        self.0.iter().filter(|key| key.state != State::Removed)
    }

    /// The one that signs.
    pub(crate) fn active(&self) -> Option<&WebKey> {
        self.iter().find(|key| key.state == State::Active)
    }

    /// Moves all dates back.
    pub(crate) fn age(&mut self, by: std::time::Duration) {
        for key in &mut self.0 {
            let stamp = &mut key.stamp;
            for date in [&mut stamp.created, &mut stamp.changed] {
                *date = date.checked_sub(by).unwrap_or_default();
            }
        }
    }

    pub(super) fn apply(&mut self, side: Side, position: Position, event: &Event) {
        let id = &event.aggregate_id;
        if event.event_type == "web_key.added" {
            let mut fields = Fields::default();
            overlay(&mut fields, event);
            self.0.push(WebKey {
                id: id.clone(),
                stamp: Stamp::new(event),
                touched: position,
                state: State::Initial,
                fields,
            });
            return;
        }
        if event.event_type == "web_key.removed" && side == Side::Read {
            self.0.retain(|key| key.id != *id);
            return;
        }
        let Some(key) = self.0.iter_mut().find(|key| key.id == *id) else { return };
        key.state = match event.event_type {
            "web_key.activated" => State::Active,
            "web_key.deactivated" => State::Inactive,
            _ => State::Removed,
        };
        key.touched = position;
        key.stamp.touch(event);
    }
}
