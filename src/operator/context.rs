//! What all controllers share.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::watch;

use super::{
    connection::Connection,
    followers::Followers,
    health::Health,
    host::KubeHost,
    lease::{Lease, Role},
    metrics::{Metrics, Snapshot},
    options::Options,
    permits::Permits,
    readiness::Readiness,
    shards::Shards,
    sources::Sources,
    wakers::Wakers,
};
use crate::{api::instance::Objects, contract::Key, engine::Engine, kinds::REGISTRY};

pub(super) struct Context {
    pub(super) engine: Engine,
    pub(super) host: KubeHost,
    /// This process, as Events name it.
    pub(super) reporter: String,
    pub(super) metrics: Arc<Metrics>,
    pub(super) health: Arc<Health>,
    pub(super) lease: Lease,
    pub(super) shards: Shards,
    pub(super) wakers: Arc<Wakers>,
    pub(super) permits: Arc<Permits>,
    pub(super) readiness: Readiness,
    pub(super) followers: Followers,
    pub(super) sources: Arc<Sources>,
    pub(super) options: Options,
    /// Instances and Organizations that this process has reconciled.
    reconciled: Mutex<HashSet<Key>>,
    /// Objects by Instance. Counted now and then, not when the status is written: each writing
    /// would be a reason to count.
    counted: Mutex<HashMap<Key, Objects>>,
    /// All objects are known, and this process is the one that writes.
    is_open: AtomicBool,
    stop: watch::Receiver<bool>,
}

impl Context {
    pub(super) fn new(
        connection: &Connection,
        options: Options,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let fence = connection.fence.clone();
        let lease = Lease::new(connection.reads.clone(), fence.clone(), options.lease.clone());
        let mut engine =
            Engine::new(&REGISTRY, options.addresses.clone()).with_pauses(options.deletion_pause);
        engine.fence = fence;
        engine.editors = options.editors;
        let metrics = Arc::new(Metrics::new(engine.requests.clone()));
        // From here on nothing is written past the fence.
        let client = connection.fenced();
        let host = KubeHost::new(client.clone(), &options.namespaces);
        let wakers = Arc::new(Wakers::new());
        let pod = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME"));
        Self {
            engine,
            host,
            reporter: pod.unwrap_or_else(|_| "kastellan".into()),
            health: Arc::default(),
            shards: Shards::new(options.shard.clone(), lease.id()),
            lease,
            permits: Arc::new(Permits::new(wakers.clone())),
            readiness: Readiness::new(metrics.clone()),
            followers: Followers::default(),
            sources: Arc::new(Sources::new(client, wakers.clone(), metrics.clone())),
            wakers,
            metrics,
            options,
            reconciled: Mutex::default(),
            counted: Mutex::default(),
            is_open: AtomicBool::new(false),
            stop,
        }
    }

    /// Has an object reconciled soon.
    pub(super) fn wake(&self, key: &Key) {
        self.wakers.wake(key);
    }

    /// Has everything reconciled that refers to this object.
    pub(super) fn wake_referrers(&self, key: &Key) {
        self.host.references.referrers(key).iter().for_each(|referrer| self.wake(referrer));
    }

    /// Has everything reconciled that refers to this object and is not Ready, or waits for the return
    /// of ZITADEL, however long it would still wait.
    pub(super) fn wake_failing_referrers(&self, key: &Key) {
        let referrers = self.host.references.referrers(key);
        let failing = referrers.iter().filter(|referrer| !self.readiness.is_settled(referrer));
        failing.for_each(|referrer| self.wake(referrer));
    }

    /// Has everything reconciled to which the labels of a namespace may matter: what is in it, and
    /// what refers to that.
    pub(super) async fn wake_namespace(&self, namespace: String) {
        let keys = self.host.stores.keys();
        let inside: HashSet<Key> = keys.into_iter().filter(|k| k.namespace == namespace).collect();
        let referrers = inside.iter().flat_map(|key| self.host.references.referrers(key));
        let all: HashSet<Key> = referrers.chain(inside.iter().cloned()).collect();
        self.wakers.wake_gradually(all.into_iter().collect()).await;
    }

    /// Whether something that is referred to is there and was not reconciled yet since this process
    /// started: it wakes whoever refers to it when it was.
    pub(super) fn waits_for(&self, to: &[Key]) -> bool {
        let reconciled = self.reconciled.lock().unwrap_or_else(PoisonError::into_inner);
        to.iter().any(|key| !reconciled.contains(key) && self.host.is_there(key))
    }

    /// An object to which others refer was reconciled.
    pub(super) fn was_reconciled(&self, key: &Key) {
        if self.reconciled.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone()) {
            self.wake_referrers(key);
        }
    }

    /// Forgets an object that is gone, and wakes those for whom that is news.
    pub(super) fn forget(&self, key: &Key) {
        let claimants = self.engine.forget(key);
        self.host.stores.remove(key);
        self.readiness.forget(key);
        self.permits.forget(key);
        self.shards.forget(key);
        if Sources::are_read_by(key.kind) {
            self.sources.forget(key);
        }
        self.reconciled.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        // An Instance of the same name that is created later has its own objects.
        self.counted.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        // What it referred to may itself be waiting for this in order to go.
        let former = self.host.references.remove(key);
        let deleting = former.into_iter().filter(|k| self.host.is_deleting(k));
        claimants.into_iter().chain(deleting).for_each(|other| self.wake(&other));
    }

    /// Counts the objects of an Instance, once all have been reconciled. Returns whether that is
    /// new.
    pub(super) fn count(&self, instance: &Key) -> bool {
        if !self.is_open() {
            return false;
        }
        let mut objects = Objects::default();
        for key in self.host.references.referrers(instance) {
            match self.readiness.is_known_ready(&key) {
                Some(true) => objects.ready += 1,
                Some(false) => objects.not_ready += 1,
                None => return false,
            }
        }
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        self.host.is_there(instance) && counted.insert(instance.clone(), objects) != Some(objects)
    }

    /// What was counted last.
    pub(super) fn counted(&self, instance: &Key) -> Option<Objects> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner).get(instance).copied()
    }

    /// Whether objects may be reconciled: all are known, and this process is the one that writes.
    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    pub(super) fn open(&self, is_open: bool) {
        self.is_open.store(is_open, Ordering::Release);
    }

    /// Forgets what was found out about an Instance and what belongs to it: another operator serves
    /// it.
    pub(super) fn hand_over(&self, instance: &Key) {
        let mut keys = self.host.references.referrers(instance);
        keys.push(instance.clone());
        for key in &keys {
            self.engine.hand_over(key);
            self.readiness.forget(key);
            self.permits.forget(key);
            if Sources::are_read_by(key.kind) {
                self.sources.forget(key);
            }
            self.reconciled.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        }
        self.counted.lock().unwrap_or_else(PoisonError::into_inner).remove(instance);
        self.shards.forget(instance);
    }

    /// Returns when the operator has to stop.
    pub(super) fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stop = self.stop.clone();
        async move {
            stop.wait_for(|stop| *stop).await.ok();
        }
    }

    /// Ends what runs beside the controllers.
    pub(super) fn stop_tasks(&self) {
        self.followers.stop();
        self.sources.stop();
    }

    /// All metrics as text.
    pub(super) fn render_metrics(&self) -> String {
        let count =
            |set: &Mutex<HashSet<Key>>| set.lock().unwrap_or_else(PoisonError::into_inner).len();
        let lags = self.followers.lags();
        let tables = vec![
            ("references", self.host.references.len()),
            ("followers", lags.len()),
            ("permits", self.permits.len()),
            ("served", self.shards.len()),
            ("sources", self.sources.len()),
            ("reported", self.readiness.len()),
            ("reconciled", count(&self.reconciled)),
            ("counted", self.counted.lock().unwrap_or_else(PoisonError::into_inner).len()),
            ("objects", self.host.stores.len()),
            ("written", self.host.stores.written_len()),
        ];
        self.metrics.render(Snapshot {
            not_ready: self.readiness.oldest_not_ready(),
            queues: self.permits.depths(),
            lags,
            instances: self.readiness.of_kind(REGISTRY.connection().description().kind),
            expiries: self.host.expiries(),
            tables,
            is_leader: self.lease.role() == Role::Leader,
        })
    }
}

/// Whether an object is a connection.
pub(super) fn is_connection(key: &Key) -> bool {
    REGISTRY.connection().description().kind == key.kind
}
