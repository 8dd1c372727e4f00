//! A plan as data: what a reconcile would do. The command line prints it, tests compare it.

use std::collections::BTreeMap;

use super::{
    Error, Fields, Key, Object,
    error::Result,
    host::Host,
    job::Job,
    kind::{Remote, decode},
    outcome::Outcome,
    reconcile::Engine,
};
use crate::{
    api::{
        spec::Shared,
        status::{Drift, Provenance},
    },
    kinds,
};

/// What is to be done for an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What to do.
    pub action: Action,
    /// The declared fields that differ.
    pub changes: Vec<Drift>,
    /// What is there now.
    pub have: Option<Remote>,
    /// All fields as they will be.
    pub want: Fields,
    /// The id it has, or will be made under.
    pub id: String,
    /// Where it comes from, once this is done.
    pub provenance: Provenance,
}

impl Plan {
    /// What users see of it: an organization's own policy in place of an inherited one is something
    /// new.
    pub fn effect(&self) -> Action {
        match &self.have {
            Some(have) if self.action == Action::Update && !have.own => Action::Create,
            _ => self.action,
        }
    }
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is as declared.
    Nothing,
    /// Make it.
    Create,
    /// Change it.
    Update,
}

/// Organizations that a plan for many objects will make, with the ids that they will have.
pub type ToBeMade = BTreeMap<Key, String>;

/// What a reconcile of an object would do now.
#[derive(Debug)]
pub struct Preview {
    /// What it would do.
    pub plan: Result<Plan>,
    /// What differs where the plan is refused.
    pub drift: Vec<Drift>,
    /// Objects whose claims this one has taken over: their plans have changed.
    pub wake: Vec<Key>,
    /// Organization it is in.
    pub organization: Option<String>,
}

/// What [`reconcile`](super::reconcile::reconcile) would do for an object that is neither an
/// `Instance` nor suspended; reads only. What is in an organization that is `to_be_made` is planned
/// without a call.
pub async fn plan(
    engine: &Engine,
    host: &dyn Host,
    object: &Object,
    to_be_made: &ToBeMade,
) -> Preview {
    let failed =
        |e| Preview { plan: Err(e), drift: Vec::new(), wake: Vec::new(), organization: None };
    let Some(entry) = kinds::find(object.key.kind) else {
        return failed(Error::Invalid(format!("there is no kind {}", object.key.kind)));
    };
    let shared: Shared = match decode(&object.spec) {
        Ok(shared) => shared,
        Err(e) => return failed(e),
    };
    match Job::new(engine, host, entry, object, shared, Outcome::of(object), to_be_made).await {
        Err((_, e)) => failed(e),
        Ok(mut job) => {
            let plan = job.plan().await;
            let Job { outcome, target, .. } = job;
            Preview {
                plan,
                drift: outcome.status.drift,
                wake: outcome.wake,
                organization: target.at.organization,
            }
        }
    }
}
