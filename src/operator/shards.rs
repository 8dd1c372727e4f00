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
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use kube::{
    ResourceExt,
    core::{Selector, SelectorExt},
};
use tokio::sync::Notify;

use super::{
    context::Context,
    host::KubeHost,
    lease::{LeaseId, Others},
    packed::Packed,
    problem::Problem,
};
use crate::{
    api::instance::{InstanceDetails, InstanceStatus},
    contract::{Key, Object},
    engine::report::as_left,
    kinds::REGISTRY,
};

/// How long a round of lists may take before it is asked for again.
const LISTS: Duration = Duration::from_secs(30);
/// The pause before it is tried again whether a status can say who serves an Instance.
const DROPPED: Duration = Duration::from_secs(30);
/// The pause before a failed write to Kubernetes is repeated.
const RETRY: Duration = Duration::from_secs(2);

/// See the module.
pub(super) struct Shards {
    selector: Selector,
    /// What a status says while this process, or one that stands by for it, serves the Instance.
    /// `None`: there is no Lease, and whoever selects an Instance serves it.
    lease: Option<LeaseId>,
    /// The CRD is older than this process, and what a status says of the Lease is dropped.
    is_dropped: AtomicBool,
    served: Mutex<HashMap<Key, Served>>,
    changed: Arc<Notify>,
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
        mine.for_each(|found| self.serve(&found.object.key));
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

    fn is_mine(&self, found: &Found) -> bool {
        !self.claims() || found.object.details.served_by == self.claim()
    }

    /// Whether a status says who serves an Instance.
    fn claims(&self) -> bool {
        self.lease.is_some() && !self.is_dropped.load(Ordering::Relaxed)
    }

    /// Whether it is served, and `true` if something of it is still under way.
    fn running(&self, instance: &Key) -> Option<bool> {
        let all = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(instance).map(|served| served.running > 0)
    }

    fn serve(&self, instance: &Key) {
        let mut all = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(instance.clone()).or_default().is_leaving = false;
    }

    fn leave(&self, instance: &Key) {
        let mut all = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(served) = all.get_mut(instance) {
            served.is_leaving = true;
        }
    }

    /// What is to be done with an Instance.
    fn step(&self, found: &Found, is_stale: bool) -> Step {
        let running = self.running(&found.object.key);
        match (self.selects(found) && self.is_mine(found), running) {
            (true, _) if !is_stale => Step::Serve,
            (false, Some(true)) => Step::Drain,
            (false, Some(false)) => Step::Leave,
            (false, None) if self.selects(found) => match self.other(found) {
                Some(other) => Step::Await(other),
                None => Step::Claim,
            },
            (false, None) if self.claims() && self.is_mine(found) => Step::Leave,
            _ => Step::Nothing,
        }
    }

    /// Whether a claim that was written is there. Alone, this process needs none.
    fn is_kept(&self, host: &KubeHost, instance: &Key) -> bool {
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

/// See [`Shards::step`].
enum Step {
    Nothing,
    Serve,
    /// Nothing begins any more; what is under way comes to its end.
    Drain,
    /// Nothing is under way any more: another one may serve it.
    Leave,
    Claim,
    /// Another one serves it while it holds this Lease.
    Await(LeaseId),
}

/// An Instance as it is known.
struct Found {
    o: Arc<Packed>,
    object: Object,
}

fn instances(host: &KubeHost) -> Vec<Found> {
    let all = host.stores.state(REGISTRY.connection().description().kind).into_iter();
    let newest = all.filter_map(|(key, _)| host.stores.newest(&key));
    newest.map(|(o, object)| Found { o, object }).collect()
}

/// Serves what is to be served and leaves the rest, until it is aborted.
pub(super) async fn follow(context: Arc<Context>) {
    let mut others = Others::new(context.host.client.clone());
    // What others served until now: what they wrote last is not known yet.
    let mut stale = HashSet::new();
    let changed = context.shards.changed.clone();
    loop {
        let mut again = None;
        if context.is_open() {
            for found in instances(&context.host) {
                let pause = one(&context, &found, &mut others, &mut stale).await;
                again = [again, pause].into_iter().flatten().min();
            }
        }
        if !stale.is_empty() && lists_again(&context).await {
            stale.clear();
            changed.notify_one();
        }
        let pause = async {
            match again {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = changed.notified() => {}
            () = pause => {}
        }
    }
}

/// One step with one Instance. Returns when to look at it again, if nothing tells.
async fn one(
    context: &Context,
    found: &Found,
    others: &mut Others,
    stale: &mut HashSet<Key>,
) -> Option<Duration> {
    let (shards, key) = (&context.shards, &found.object.key);
    let mut step = shards.step(found, stale.contains(key));
    if let Step::Await(other) = &step {
        match others.left(other).await {
            Ok(left) if left.is_zero() => {
                tracing::info!(instance = %key, lease = %other, "its operator has ended");
                step = Step::Claim;
            }
            Ok(left) => return Some(left.min(others.look())),
            Err(problem) => {
                tracing::warn!(instance = %key, lease = %other, error = %problem, "can't see whether another operator serves this Instance");
                return Some(others.look());
            }
        }
    }
    let written = match step {
        Step::Nothing | Step::Await(_) => return None,
        Step::Serve => {
            if shards.running(key).is_none() {
                begin(context, key);
            } else {
                shards.serve(key);
            }
            return None;
        }
        // The last of what is under way tells.
        Step::Drain => {
            shards.leave(key);
            return None;
        }
        Step::Leave => leave(context, found).await,
        Step::Claim => {
            let claimed = claim(context, found).await;
            if claimed.is_ok() && !shards.is_kept(&context.host, key) {
                return Some(DROPPED);
            }
            if claimed.is_ok() {
                stale.insert(key.clone());
            }
            claimed
        }
    };
    let problem = Problem::from(&written.err()?);
    // Somebody changed it meanwhile: the watch tells, or has told.
    if problem.is_expected() {
        tracing::debug!(instance = %key, error = %problem, "who serves it could not be written");
    } else {
        tracing::warn!(instance = %key, error = %problem, "who serves it could not be written");
    }
    Some(RETRY)
}

/// From now on this process serves an Instance.
fn begin(context: &Context, instance: &Key) {
    tracing::info!(instance = %instance, "this operator serves the Instance");
    context.shards.serve(instance);
    context.wake(instance);
    context.wake_referrers(instance);
}

/// Takes down that this process serves an Instance, if nobody changed it since it was seen.
async fn claim(context: &Context, found: &Found) -> Result<(), kube::Error> {
    let details =
        InstanceDetails { served_by: context.shards.claim(), ..found.object.details.clone() };
    let status = InstanceStatus { common: found.object.status.clone(), details };
    let status = serde_json::to_value(status).map_err(kube::Error::SerdeError)?;
    context.host.write_status_of(&found.object, &status, found.o.resource_version()).await
}

/// Leaves an Instance to whoever selects it.
async fn leave(context: &Context, found: &Found) -> Result<(), kube::Error> {
    let key = &found.object.key;
    context.shards.leave(key);
    if context.shards.claims() && context.shards.is_mine(found) {
        let details = InstanceDetails { served_by: None, ..found.object.details.clone() };
        let status = InstanceStatus { common: as_left(&found.object), details };
        let status = serde_json::to_value(status).map_err(kube::Error::SerdeError)?;
        context.host.write_status(&found.object, &status).await?;
    }
    tracing::info!(instance = %key, "this operator does not serve the Instance any more");
    context.hand_over(key);
    Ok(())
}

/// Lists all objects again. `false`: that takes too long, or this process may not go on.
async fn lists_again(context: &Context) -> bool {
    let stores = &context.host.stores;
    stores.list_again();
    let listed = tokio::time::timeout(LISTS, stores.wait_until_listed()).await;
    listed.is_ok() && context.is_open()
}
