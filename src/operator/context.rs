//! What all controllers share.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kube::{Client, core::DynamicObject, runtime::reflector::ObjectRef};
use tokio::{sync::mpsc, task::AbortHandle};

use super::{Options, admin::Health, host::KubeHost, metrics::Metrics, sources::Sources};
use crate::{
    engine::{Key, kind::Entry, reconcile::Engine},
    kinds::{self, instance::Objects},
};

/// Reconciles of one kind and Instance at once: what ZITADEL takes of writes until they are looked
/// at together.
const SLOTS: usize = 256;

/// Objects that are woken at once where all are.
const WOKEN: usize = 64;
/// The pause after them.
const PAUSE: Duration = Duration::from_millis(10);

/// Wakes the objects of one kind.
pub(super) type Wake = mpsc::UnboundedReceiver<ObjectRef<DynamicObject>>;

pub(super) struct Context {
    pub(super) client: Client,
    pub(super) engine: Engine,
    pub(super) host: Arc<KubeHost>,
    /// This process, as Events name it.
    pub(super) reporter: String,
    pub(super) metrics: Arc<Metrics>,
    pub(super) health: Arc<Health>,
    pub(super) sources: Sources,
    pub(super) options: Options,
    wakers: HashMap<&'static str, mpsc::UnboundedSender<ObjectRef<DynamicObject>>>,
    references: Mutex<References>,
    /// Instances and Organizations that this process has looked at.
    looked_at: Mutex<HashSet<Key>>,
    /// Reconciles of one kind that an Instance has under way, and what waits for its turn.
    slots: Mutex<HashMap<(Key, &'static str), Slots>>,
    /// Objects by Instance. Counted now and then, not when the status is written: each writing
    /// would be a reason to count.
    counted: Mutex<HashMap<Key, Objects>>,
    followers: Mutex<HashMap<Key, AbortHandle>>,
}

/// Who refers to whom.
#[derive(Default)]
struct References {
    of: HashMap<Key, Vec<Key>>,
    to: HashMap<Key, HashSet<Key>>,
}

#[derive(Default)]
struct Slots {
    taken: usize,
    waiting: BTreeSet<Key>,
}

/// The leave to reconcile an object; dropped, it goes to the next.
pub(super) struct Slot {
    context: Arc<Context>,
    of: (Key, &'static str),
}

impl Drop for Slot {
    fn drop(&mut self) {
        {
            let mut all = self.context.slots.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(slots) = all.get_mut(&self.of) {
                slots.taken -= 1;
            }
        }
        self.context.hand_on(&self.of);
    }
}

impl Context {
    pub(super) fn new(
        client: Client,
        options: Options,
    ) -> (Arc<Self>, Vec<(&'static dyn Entry, Wake)>) {
        let (mut wakers, mut wakes) = (HashMap::new(), Vec::new());
        for entry in kinds::ALL {
            let (sender, receiver) = mpsc::unbounded_channel();
            wakers.insert(entry.names().kind, sender);
            wakes.push((*entry, receiver));
        }
        let engine = Engine::new(options.addresses.clone()).with_grace(options.grace);
        let context = Arc::new(Self {
            metrics: Arc::new(Metrics::new(engine.requests.clone())),
            engine,
            host: Arc::new(KubeHost::new(client.clone())),
            reporter: std::env::var("HOSTNAME").unwrap_or_else(|_| "kastellan".into()),
            health: Arc::default(),
            sources: Sources::default(),
            wakers,
            references: Mutex::default(),
            looked_at: Mutex::default(),
            slots: Mutex::default(),
            counted: Mutex::default(),
            followers: Mutex::default(),
            client,
            options,
        });
        (context, wakes)
    }

    /// Has an object reconciled soon.
    pub(super) fn wake(&self, key: &Key) {
        let (Some(waker), Some(resource)) =
            (self.wakers.get(key.kind), self.host.resource(key.kind))
        else {
            return;
        };
        // The controller is gone only while everything stops.
        waker.send(ObjectRef::new_with(&key.name, resource).within(&key.namespace)).ok();
    }

    /// Has many objects reconciled soon, not ten thousand at once.
    pub(super) async fn wake_some(&self, keys: Vec<Key>) {
        for some in keys.chunks(WOKEN) {
            for key in some {
                self.wake(key);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Keeps what an object refers to.
    pub(super) fn refer(&self, key: &Key, to: Vec<Key>) {
        let mut r = self.references.lock().unwrap_or_else(PoisonError::into_inner);
        if r.of.get(key).is_some_and(|former| *former == to) {
            return;
        }
        for former in r.of.remove(key).unwrap_or_default() {
            if let Some(set) = r.to.get_mut(&former) {
                set.remove(key);
            }
        }
        for target in &to {
            r.to.entry(target.clone()).or_default().insert(key.clone());
        }
        r.of.insert(key.clone(), to);
    }

    /// Forgets an object. Gives what it referred to.
    pub(super) fn unrefer(&self, key: &Key) -> Vec<Key> {
        let former = self
            .references
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .of
            .get(key)
            .cloned()
            .unwrap_or_default();
        self.refer(key, Vec::new());
        self.references.lock().unwrap_or_else(PoisonError::into_inner).of.remove(key);
        former
    }

    /// Whether something that is referred to is there and was not looked at yet since this process
    /// started: it wakes whoever refers to it when it was.
    pub(super) fn waits(&self, to: &[Key]) -> bool {
        let is_new = |key: &Key| {
            !self.looked_at.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
        };
        to.iter().any(|key| is_new(key) && self.host.is_there(key))
    }

    /// An object was looked at.
    pub(super) fn looked_at(&self, key: &Key) {
        if self.looked_at.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone()) {
            self.wake_referrers(key);
        }
    }

    /// An object is gone.
    pub(super) fn forget(&self, key: &Key) {
        self.looked_at.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        // An Instance of the same name that is made later has its own objects.
        self.counted.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// The leave to reconcile an object of an Instance; `None`: it is woken when its turn has come.
    /// Ten thousand at once would be most of the memory; a limit for all Instances together would
    /// let one that does not answer hold up the others.
    pub(super) fn slot(self: &Arc<Self>, instance: &Key, key: &Key) -> Option<Slot> {
        let of = (instance.clone(), key.kind);
        let mut all = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = all.entry(of.clone()).or_default();
        if slots.taken >= SLOTS {
            slots.waiting.insert(key.clone());
            return None;
        }
        slots.taken += 1;
        Some(Slot { context: self.clone(), of })
    }

    /// Wakes as many as there are free slots. Some may be gone meanwhile: hence all of them, at
    /// each occasion.
    fn hand_on(&self, of: &(Key, &'static str)) {
        let next: Vec<Key> = {
            let mut all = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(slots) = all.get_mut(of) else { return };
            std::iter::from_fn(|| slots.waiting.pop_first())
                .take(SLOTS.saturating_sub(slots.taken))
                .collect()
        };
        for key in &next {
            self.wake(key);
        }
    }

    /// Wakes what waits for its turn and whose turn has come, should it have been passed over.
    pub(super) fn hand_on_all(&self, instance: &Key) {
        let all: Vec<_> = self
            .slots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .keys()
            .filter(|of| of.0 == *instance)
            .cloned()
            .collect();
        for of in &all {
            self.hand_on(of);
        }
    }

    /// What refers to this object.
    pub(super) fn referrers(&self, key: &Key) -> Vec<Key> {
        let r = self.references.lock().unwrap_or_else(PoisonError::into_inner);
        r.to.get(key).into_iter().flatten().cloned().collect()
    }

    /// Has everything reconciled that refers to this object.
    pub(super) fn wake_referrers(&self, key: &Key) {
        self.referrers(key).iter().for_each(|referrer| self.wake(referrer));
    }

    /// Has everything reconciled that refers to this object and is not Ready, however long it would
    /// still wait.
    pub(super) fn wake_failing(&self, key: &Key) {
        self.referrers(key)
            .iter()
            .filter(|referrer| !self.metrics.is_ready(referrer))
            .for_each(|referrer| self.wake(referrer));
    }

    /// Counts the objects of an Instance, once all have been looked at. Gives whether that is new.
    pub(super) fn count(&self, instance: &Key) -> bool {
        if self.host.count().is_none_or(|all| self.metrics.count() < all) {
            return false;
        }
        let mut objects = Objects::default();
        for key in self.referrers(instance) {
            if self.metrics.is_ready(&key) {
                objects.ready += 1;
            } else {
                objects.not_ready += 1;
            }
        }
        self.counted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(instance.clone(), objects)
            != Some(objects)
    }

    /// What was counted last.
    pub(super) fn counted(&self, instance: &Key) -> Option<Objects> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner).get(instance).copied()
    }

    /// Runs one task for an Instance at a time.
    pub(super) fn follow_once(self: &Arc<Self>, instance: &Key) {
        let mut followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        if followers.get(instance).is_none_or(AbortHandle::is_finished) {
            let task = tokio::spawn(super::feed::follow(self.clone(), instance.clone()));
            followers.insert(instance.clone(), task.abort_handle());
        }
    }

    /// Ends what runs beside the controllers.
    pub(super) fn stop_tasks(&self) {
        for task in self.followers.lock().unwrap_or_else(PoisonError::into_inner).values() {
            task.abort();
        }
        self.sources.stop();
    }
}
