//! What is to be done for the objects of a folder, and what became of it: data.

use std::sync::Arc;

use crate::{
    api::status::{Drift, Reason},
    engine::{
        Key, Object,
        news::Note,
        plan::{Action, Plan},
    },
};

/// What is to be done for an object.
#[derive(Debug)]
pub struct Planned {
    /// The object.
    pub object: Arc<Object>,
    /// What is to be done.
    pub step: Step,
    /// The organization it is in, where it is in one.
    pub organization: Option<String>,
}

/// What is to be done, or why not.
#[derive(Debug)]
pub enum Step {
    /// This.
    Do(Box<Plan>),
    /// It is only observed: this would be done.
    Observe(Box<Plan>),
    /// Nothing at all, because it is suspended.
    Suspended,
    /// It can't be done.
    Fail(Failure),
}

/// Why an object is not as declared.
#[derive(Debug, Clone)]
pub struct Failure {
    /// In one word.
    pub reason: Reason,
    /// For people.
    pub message: String,
    /// What differs, where that is why.
    pub drift: Vec<Drift>,
    /// It was not looked at, because its Instance can't be used. That is told once, of the
    /// Instance.
    pub is_unconnected: bool,
}

/// An object was carried out, or was not.
#[derive(Debug)]
pub struct Done {
    /// The object.
    pub key: Key,
    /// What happened.
    pub notes: Vec<Note>,
    /// Fields that were changed, as they were before.
    pub changes: Vec<Drift>,
    /// Whether something was written.
    pub action: Action,
    /// Why it is not as declared.
    pub failure: Option<Failure>,
}
