//! What a reconcile would do, as data. The command line prints it, tests compare it.

use super::{
    context::Engine,
    decide::{Action, Plan},
    error::{Error, Result},
    host::Host,
    reconcile::Pass,
    report::{self, Outcome},
    resolve::PlannedIds,
};
use crate::{
    api::status::{Drift, Status},
    contract::{Cut, Entry, Key, Object, Place, SpecError},
};

/// What a reconcile of an object would do now.
#[derive(Debug)]
pub struct Preview {
    /// What it would do.
    pub plan: Result<Plan>,
    /// What differs where the plan is refused.
    pub drift: Vec<Drift>,
    /// Objects whose claims this one has taken over: their plans have changed.
    pub wake: Vec<Key>,
    /// Where it is; `None`: that is not known.
    pub place: Option<Place>,
    /// What its status would be, as far as others refer to it by that.
    pub status: Option<Status>,
    /// The Instance that it is planned with.
    instance: Option<Key>,
}

impl Preview {
    fn failed(error: Error) -> Self {
        Self {
            plan: Err(error),
            drift: Vec::new(),
            wake: Vec::new(),
            place: None,
            status: None,
            instance: None,
        }
    }

    /// What the change would take from others. What can't be counted is no reason to plan nothing.
    pub async fn cuts(&self, engine: &Engine, entry: Entry) -> Vec<Cut> {
        let connection = self.instance.as_ref().and_then(|key| engine.connections.get(key));
        let (Ok(plan), Some(connection)) = (&self.plan, connection) else { return Vec::new() };
        match (entry, &plan.have) {
            (Entry::Entity(kind), Some(have)) if plan.action == Action::Update => {
                let access = connection.access(have.place.clone());
                kind.cuts(&access, have, &plan.want).await.unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    /// The place and the id of what it would create.
    pub fn planned(&self) -> Option<(Place, String)> {
        match &self.plan {
            Ok(plan) if plan.action == Action::Create && plan.have.is_none() => {
                Some((self.place.clone()?, plan.id()?.to_owned()))
            }
            _ => None,
        }
    }
}

/// What [`reconcile`](super::reconcile::reconcile) would do for an object that is neither a
/// connection nor suspended; reads only. What is in something that is only `planned` yet is planned
/// without a call.
pub async fn plan(
    engine: &Engine,
    host: &dyn Host,
    object: &Object,
    planned: &PlannedIds,
) -> Preview {
    let Some(entry) = engine.registry.find(object.key.kind) else {
        let error = SpecError::new("", format!("there is no kind {}", object.key.kind));
        return Preview::failed(error.into());
    };
    let mut pass = match Pass::begin(engine, host, entry, object, planned).await {
        Ok(pass) => pass,
        Err(e) => return Preview::failed(e),
    };
    let mut outcome = Outcome::of(object);
    let plan = pass.plan(&mut outcome).await;
    let target = &pass.target;
    let plan = plan.map_err(|e| e.explained(entry, &target.place));
    let status = plan.as_ref().ok().and_then(|plan| report::as_planned(object, target, plan));
    Preview {
        drift: outcome.status.drift,
        wake: outcome.wake,
        place: Some(target.place.clone()),
        instance: Some(target.instance.clone()),
        plan,
        status,
    }
}
