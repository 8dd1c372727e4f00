//! What is to be done for the objects of a folder, and what became of it: data.

use std::sync::Arc;

pub use crate::contract::Cut;
use crate::{
    api::status::{Drift, Reason},
    contract::{Key, Object, Place},
    engine::{decide::Plan, events::EventRecord},
};

/// What is to be done for an object.
#[derive(Debug)]
pub struct Planned {
    /// The object.
    pub object: Arc<Object>,
    /// What is to be done.
    pub step: Step,
    /// Where it is, as far as that is known.
    pub place: Option<Place>,
    /// What it takes from others.
    pub cuts: Vec<Cut>,
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
    /// What has to be there first.
    pub need: Need,
}

/// What an object that is not as declared needs first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// What the reason says.
    Object,
    /// A value of a Secret or `ConfigMap`, to be connected by.
    Value,
    /// A value of a Secret, for ZITADEL.
    Secret,
    /// A place for what was issued.
    Delivery,
    /// Its Instance. It was not looked at, because that can't be used; which is said once, of the
    /// Instance.
    Connection,
}

impl Failure {
    /// It was not looked at, because its Instance can't be used.
    pub fn is_unconnected(&self) -> bool {
        self.need == Need::Connection
    }
}

/// An object that was applied, or was not.
#[derive(Debug)]
pub struct Done {
    /// The object.
    pub key: Key,
    /// What happened.
    pub events: Vec<EventRecord>,
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
