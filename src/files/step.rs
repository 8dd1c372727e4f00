//! What is to be done for the objects of a folder, and what became of it: data.

use std::sync::Arc;

use crate::{
    api::status::{Drift, Reason},
    engine::{Key, Object, news::Note, plan::Plan},
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
    /// It was not looked at, because its Instance can't be used. That is said once, of the
    /// Instance.
    pub is_unconnected: bool,
}

/// An object that was applied, or was not.
#[derive(Debug)]
pub struct Done {
    /// The object.
    pub key: Key,
    /// What happened.
    pub notes: Vec<Note>,
    /// What became of it.
    pub result: Applied,
}

/// What became of an object.
#[derive(Debug, Clone)]
pub enum Applied {
    /// It was as declared already.
    Unchanged,
    /// It was created, and is as declared.
    Created,
    /// It was changed, and is as declared.
    Changed,
    /// It is only observed: nothing was written, whether or not it is as declared.
    Observed,
    /// It is suspended: nothing was looked at.
    Suspended,
    /// Something was written, and it is not as declared.
    Incomplete(Failure),
    /// Nothing was written, and it is not as declared.
    Failed(Failure),
    /// The command was stopped before it was done; a write that was under way may have taken
    /// effect.
    Stopped,
}

impl Applied {
    /// Why it is not as declared.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Incomplete(failure) | Self::Failed(failure) => Some(failure),
            _ => None,
        }
    }
}
