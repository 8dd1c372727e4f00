//! What a setting does because of the time: step by step, with pauses between the steps. Pure.

use jiff::Timestamp;

use crate::api::status::RotationStatus;

/// When a setting is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    /// The time.
    pub now: Timestamp,
    /// The key that is to be replaced, as somebody has asked for another one while it was in use.
    pub replaces: Option<&'a str>,
}

/// What a setting has to do, and what is said of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// The step that is due now; `None`: nothing, even where fields differ.
    pub due: Option<Due>,
    /// When the next one is due; `None`: never, as things are.
    pub next: Option<Timestamp>,
    /// What the status says of it.
    pub rotation: RotationStatus,
}

/// A step that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// What is so after it, in words.
    pub what: String,
    /// Whether it creates something whose id is not known before.
    pub creates: bool,
}
