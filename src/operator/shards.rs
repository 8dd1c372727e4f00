//! Which Instances this process serves, where several operators share them.
//!
//! An operator serves the Instances whose labels its selector selects, and all that belongs to
//! them. Labels change, and two operators see that at different moments: hence the status of an
//! Instance names the Lease by which it is served. Whoever it names serves it, until it has let
//! what is under way come to its end and taken its name out. Another one puts in its own before it
//! begins: if no name is there, or the Lease of that name is held by nobody. A holder whose Lease
//! ran out, even if it gets it back, ends, and finds the other name when it is started again.
//!
//! What is declared for an Instance that does not exist is left to the operator that selects what
//! has no labels.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use kube::{
    ResourceExt,
    core::{Selector, SelectorExt},
};
use tokio::sync::Notify;

use super::{host::KubeHost, lease::LeaseId, packed::Packed};
use crate::{
    contract::{Key, Object},
    kinds::REGISTRY,
};

/// See the module.
pub(super) struct Shards {
    selector: Selector,
    /// What a status says while this process, or one that stands by for it, serves the Instance.
    /// `None`: there is no Lease, and whoever selects an Instance serves it.
    lease: Option<LeaseId>,
    /// The CRD is older than this process, and what a status says of the Lease is dropped.
    is_dropped: AtomicBool,
    served: Mutex<HashMap<Key, Served>>,
    pub(super) changed: Arc<Notify>,
}

/// An Instance that this process serves.
#[derive(Default)]
struct Served {
    /// Reconciles that are under way.
    running: usize,
    /// None begins any more.
    is_leaving: bool,
}

/// Permission to reconcile what belongs to an Instance.
pub(super) struct Serving<'a>(Option<(&'a Shards, Key)>);

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        let Some((shards, instance)) = self.0.take() else { return };
        let mut all = shards.served.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(served) = all.get_mut(&instance) else { return };
        served.running = served.running.saturating_sub(1);
        if served.is_leaving && served.running == 0 {
            shards.changed.notify_one();
        }
    }
}

impl Shards {
    pub(super) fn new(selector: Selector, lease: Option<LeaseId>) -> Self {
        let is_dropped = AtomicBool::new(false);
        Self { selector, lease, is_dropped, served: Mutex::default(), changed: Arc::default() }
    }

    /// Permission to reconcile an Instance, or what belongs to it; without one, what belongs to
    /// none. `None`: another operator does.
    pub(super) fn enter(&self, host: &KubeHost, instance: Option<&Key>) -> Option<Serving<'_>> {
        let Some(instance) = instance.filter(|key| host.is_there(key)) else {
            return self.selector.matches(&BTreeMap::new()).then_some(Serving(None));
        };
        let mut all = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        let served = all.get_mut(instance).filter(|served| !served.is_leaving)?;
        served.running += 1;
        Some(Serving(Some((self, instance.clone()))))
    }

    /// Whether this process serves an Instance; without one, what belongs to none.
    pub(super) fn serves(&self, host: &KubeHost, instance: Option<&Key>) -> bool {
        self.enter(host, instance).is_some()
    }

    /// Something about an Instance changed, or about this process.
    pub(super) fn changed(&self) {
        self.changed.notify_one();
    }

    /// What the status of an Instance says while this process serves it.
    pub(super) fn claim(&self) -> Option<String> {
        self.lease.as_ref().map(LeaseId::to_string)
    }

    /// Goes on with what this process, or the one before it, has served. All objects are known.
    pub(super) fn resume(&self, host: &KubeHost) {
        let all = instances(host);
        let mine = all.iter().filter(|found| self.selects(found) && self.is_mine(found));
        for found in mine {
            self.serve(&found.object.key);
        }
    }

    /// Forgets an Instance that is gone.
    pub(super) fn forget(&self, instance: &Key) {
        self.served.lock().unwrap_or_else(PoisonError::into_inner).remove(instance);
    }

    /// Number of entries, for metrics.
    pub(super) fn len(&self) -> usize {
        self.served.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn selects(&self, found: &Found) -> bool {
        self.selector.matches(found.o.labels())
    }

    pub(super) fn is_mine(&self, found: &Found) -> bool {
        !self.claims() || found.object.details.served_by == self.claim()
    }

    /// Whether a status says who serves an Instance.
    pub(super) fn claims(&self) -> bool {
        self.lease.is_some() && !self.is_dropped.load(Ordering::Relaxed)
    }

    /// Lets what belongs to an Instance be reconciled. Returns whether it was not before.
    pub(super) fn serve(&self, instance: &Key) -> bool {
        let mut all = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        let former = all.get(instance).is_some_and(|served| !served.is_leaving);
        all.entry(instance.clone()).or_default().is_leaving = false;
        !former
    }

    fn is_served(&self, instance: &Key) -> bool {
        self.served.lock().unwrap_or_else(PoisonError::into_inner).contains_key(instance)
    }

    /// Begins nothing more with an Instance. Returns whether nothing is under way either; the last
    /// to end has it looked at again.
    pub(super) fn leave(&self, instance: &Key) -> bool {
        let mut all = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(served) = all.get_mut(instance) else { return true };
        served.is_leaving = true;
        served.running == 0
    }

    /// What is to be done with an Instance.
    pub(super) fn step(&self, found: &Found, is_stale: bool) -> Step {
        let (is_selected, is_mine) = (self.selects(found), self.is_mine(found));
        if is_selected && is_mine {
            if is_stale { Step::Nothing } else { Step::Serve }
        } else if self.is_served(&found.object.key) || (self.claims() && is_mine) {
            Step::Leave
        } else if is_selected {
            self.other(found).map_or(Step::Claim, Step::Await)
        } else {
            Step::Nothing
        }
    }

    /// Whether a claim that was written is there. Alone, this process needs none.
    pub(super) fn is_kept(&self, host: &KubeHost, instance: &Key) -> bool {
        let newest = host.stores.newest(instance);
        let is_kept = newest.is_none_or(|(_, object)| object.details.served_by == self.claim());
        if !is_kept {
            let is_alone = self.selector.selects_all();
            self.is_dropped.store(is_alone, Ordering::Relaxed);
            self.changed();
            tracing::warn!(
                is_alone,
                "the CustomResourceDefinition of Instances is older than this operator and has no \
                 status.servedBy: upgrade it; with a selector nothing is served until then"
            );
        }
        is_kept
    }

    /// The Lease by which another operator serves an Instance. Those of another namespace are
    /// nothing that could be read.
    fn other(&self, found: &Found) -> Option<LeaseId> {
        let other = found.object.details.served_by.as_deref().and_then(LeaseId::parse)?;
        let is_near = self.lease.as_ref().is_some_and(|own| own.namespace == other.namespace);
        is_near.then_some(other)
    }
}

/// See `Shards::step`.
pub(super) enum Step {
    Nothing,
    Serve,
    /// Once what is under way has come to its end, another one may serve it.
    Leave,
    Claim,
    /// Another one serves it while it holds this Lease.
    Await(LeaseId),
}

/// An Instance as it is known.
pub(super) struct Found {
    pub(super) o: Arc<Packed>,
    pub(super) object: Object,
}

pub(super) fn instances(host: &KubeHost) -> Vec<Found> {
    let all = host.stores.state(REGISTRY.connection().description().kind).into_iter();
    let newest = all.filter_map(|(key, _)| host.stores.newest(&key));
    newest.map(|(o, object)| Found { o, object }).collect()
}
