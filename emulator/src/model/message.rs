//! The texts of messages that the instance and organizations have of their own.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{Fields, Side, Stamp};
use crate::store::Event;

/// A text as it stands.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) stamp: Stamp,
    /// Its words, under the keys of events.
    pub(crate) words: Fields,
    /// Whether it is there. The write side remembers the words of one that was reset.
    pub(crate) exists: bool,
}

/// Whose it is, which message, in which language.
type Key = (String, String, String);

/// All texts.
#[derive(Default)]
pub(crate) struct Texts {
    texts: HashMap<Key, Text>,
    /// The last event about any text, by whose that is.
    last: HashMap<String, Stamp>,
}

impl Texts {
    pub(crate) fn get(&self, owner: &str, template: &str, language: &str) -> Option<&Text> {
        self.texts.get(&(owner.to_owned(), template.to_owned(), language.to_owned()))
    }

    /// The last event about any text of an owner.
    pub(crate) fn last(&self, owner: &str) -> Option<&Stamp> {
        self.last.get(owner)
    }

    /// Drops what an owner has.
    pub(super) fn forget(&mut self, owner: &str) {
        self.texts.retain(|(of, ..), _| of != owner);
    }

    /// Applies an event, if it is about texts.
    pub(super) fn apply(&mut self, side: Side, event: &Event) -> bool {
        let Some((_, what)) = event.event_type.split_once(".customtext.") else { return false };
        let payload = Fields(event.payload.clone().unwrap_or_default());
        let [template, language] = ["template", "language"].map(|name| payload.text(name));
        let owner = event.aggregate_id.clone();
        let stamp = Stamp::new(event);
        self.last.insert(owner.clone(), stamp.clone());
        let key = (owner, template.to_owned(), language.to_owned());
        match what {
            "set" => {
                let made = || Text { stamp, words: Fields::default(), exists: true };
                let text = self.texts.entry(key).or_insert_with(made);
                text.exists = true;
                text.stamp.touch(event);
                text.words.0.insert(payload.text("key").to_owned(), json!(payload.text("text")));
            }
            "removed" => {
                if let Some(text) = self.texts.get_mut(&key) {
                    text.stamp.touch(event);
                    text.words.0.remove(payload.text("key"));
                }
            }
            _ if side == Side::Read => {
                self.texts.remove(&key);
            }
            _ => {
                if let Some(text) = self.texts.get_mut(&key) {
                    text.exists = false;
                }
            }
        }
        true
    }
}

/// The words that a text has, or an empty one for each that it does not have.
pub(crate) fn word<'a>(text: Option<&'a Text>, key: &str) -> &'a str {
    text.and_then(|text| text.words.0.get(key)).and_then(Value::as_str).unwrap_or_default()
}
