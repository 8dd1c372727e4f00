//! What is to be done for the objects of a folder. Reads ZITADEL; writes nothing.

use std::{collections::BTreeSet, sync::Arc};

use futures::{StreamExt, stream};

use super::{
    order,
    session::{Session, is_connection},
    step::{Failure, Planned, Step},
};
use crate::{
    api::{
        spec::Shared,
        status::{Drift, Ready, Reason, Verdict},
    },
    engine::{
        Error, Key, Object,
        kind::decode,
        plan::{self, Action, Preview, ToBeMade},
        references::instance_of,
    },
};

/// Objects that are worked on at once. Calls are limited by the connection; many in flight let one
/// list show many writes.
pub(super) const AT_ONCE: usize = 512;

impl Session {
    /// What is to be done for every object, in the order of references. Reads only.
    pub async fn plan(&self) -> Vec<Planned> {
        let mut all = Vec::new();
        let mut to_be_made = ToBeMade::new();
        for level in order::levels(&self.host, &self.host.objects()) {
            let planned = self.plan_level(&level, &to_be_made).await;
            for p in planned.iter().filter(|p| p.object.key.kind == "Organization") {
                self.tell_dependants(p, &mut to_be_made);
            }
            all.extend(planned);
        }
        all
    }

    /// Others refer to an organization by its status: in a plan too it says what is known.
    fn tell_dependants(&self, planned: &Planned, to_be_made: &mut ToBeMade) {
        let object = &planned.object;
        let mut status = object.status.clone();
        match &planned.step {
            Step::Do(plan) if plan.action == Action::Create => {
                to_be_made.insert(object.key.clone(), plan.id.clone());
                return;
            }
            Step::Do(plan) | Step::Observe(plan) if plan.have.is_some() => {
                // Without this it could not have been planned.
                let Ok(shared) = decode::<Shared>(&object.spec) else { return };
                let connection = instance_of(&self.host, &object.key.namespace, &shared)
                    .and_then(|i| self.engine.connections.get(&i));
                status.id = Some(plan.id.clone());
                status.instance_id = connection.map(|c| c.instance_id.clone());
            }
            Step::Do(_) | Step::Observe(_) => return,
            Step::Suspended => status.set(
                &verdict(Reason::Suspended, "it is suspended"),
                object.generation,
                jiff::Timestamp::now(),
            ),
            Step::Fail(f) => status.set(
                &verdict(f.reason, &f.message),
                object.generation,
                jiff::Timestamp::now(),
            ),
        }
        self.host.put(Object { status, ..(**object).clone() });
    }

    pub(super) async fn plan_level(
        &self,
        level: &[Arc<Object>],
        to_be_made: &ToBeMade,
    ) -> Vec<Planned> {
        let level: Vec<&Arc<Object>> = level.iter().filter(|o| !is_connection(o)).collect();
        let mut planned: Vec<Planned> = Vec::new();
        let mut again: BTreeSet<Key> = BTreeSet::new();
        let previews = stream::iter(level)
            .map(|o| async move { (o.clone(), self.preview(o, to_be_made).await) })
            .buffered(AT_ONCE);
        let mut previews = std::pin::pin!(previews);
        while let Some((object, preview)) = previews.next().await {
            let Some(preview) = preview else {
                planned.push(Planned { object, step: Step::Suspended, organization: None });
                continue;
            };
            again.extend(preview.wake.iter().cloned());
            planned.push(read(object, preview));
        }
        // The plan of an object that lost a claim to a later one has changed.
        for p in planned.iter_mut().filter(|p| again.contains(&p.object.key)) {
            if let Some(preview) = self.preview(&p.object, to_be_made).await {
                *p = read(p.object.clone(), preview);
            }
        }
        planned
    }

    pub(super) async fn preview(&self, object: &Object, to_be_made: &ToBeMade) -> Option<Preview> {
        if decode::<Shared>(&object.spec).is_ok_and(|s| s.is_suspended()) {
            return None;
        }
        Some(plan::plan(&self.engine, &self.host, object, to_be_made).await)
    }
}

fn read(object: Arc<Object>, preview: Preview) -> Planned {
    let observes = decode::<Shared>(&object.spec).is_ok_and(|s| s.observes());
    let step = match preview.plan {
        Ok(plan) if observes => Step::Observe(Box::new(plan)),
        Ok(plan) => Step::Do(Box::new(plan)),
        Err(e) => Step::Fail(refused(&e, preview.drift)),
    };
    Planned { object, step, organization: preview.organization }
}

fn verdict(reason: Reason, message: &str) -> Verdict {
    Verdict { ready: Ready::Stalled, reason, message: message.into() }
}

fn refused(e: &Error, drift: Vec<Drift>) -> Failure {
    Failure {
        reason: e.reason(),
        message: e.to_string(),
        drift,
        is_unconnected: matches!(e, Error::NotConnected(_)),
    }
}
