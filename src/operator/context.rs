//! What all controllers share.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use kube::{Client, core::DynamicObject, runtime::reflector::ObjectRef};
use tokio::{sync::mpsc, task::AbortHandle};

use super::{Options, admin::Health, host::KubeHost, metrics::Metrics, sources::Sources};
use crate::{
    engine::{Key, kind::Entry, reconcile::Engine},
    kinds::{self, instance::Objects},
};

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
    followers: Mutex<HashMap<Key, AbortHandle>>,
}

/// Who refers to whom.
#[derive(Default)]
struct References {
    of: HashMap<Key, Vec<Key>>,
    to: HashMap<Key, HashSet<Key>>,
}

impl Context {
    pub(super) fn new(client: Client, options: Options) -> (Arc<Self>, Vec<(&'static dyn Entry, Wake)>) {
        let (mut wakers, mut wakes) = (HashMap::new(), Vec::new());
        for entry in kinds::ALL {
            let (sender, receiver) = mpsc::unbounded_channel();
            wakers.insert(entry.names().kind, sender);
            wakes.push((*entry, receiver));
        }
        let context = Arc::new(Self {
            engine: Engine::new(options.addresses.clone()).with_grace(options.grace),
            host: Arc::new(KubeHost::new(client.clone())),
            reporter: std::env::var("HOSTNAME").unwrap_or_else(|_| "kastellan".into()),
            metrics: Arc::default(),
            health: Arc::default(),
            sources: Sources::default(),
            wakers,
            references: Mutex::default(),
            followers: Mutex::default(),
            client,
            options,
        });
        (context, wakes)
    }

    /// Has an object reconciled soon.
    pub(super) fn wake(&self, key: &Key) {
        let (Some(waker), Some(resource)) = (self.wakers.get(key.kind), self.host.resource(key.kind)) else { return };
        // The controller is gone only while everything stops.
        waker.send(ObjectRef::new_with(&key.name, resource).within(&key.namespace)).ok();
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
        let former = self.references.lock().unwrap_or_else(PoisonError::into_inner).of.get(key).cloned().unwrap_or_default();
        self.refer(key, Vec::new());
        self.references.lock().unwrap_or_else(PoisonError::into_inner).of.remove(key);
        former
    }

    /// Has everything reconciled that refers to this object.
    pub(super) fn wake_referrers(&self, key: &Key) {
        let referrers: Vec<Key> = {
            let r = self.references.lock().unwrap_or_else(PoisonError::into_inner);
            r.to.get(key).into_iter().flatten().cloned().collect()
        };
        for referrer in referrers {
            self.wake(&referrer);
        }
    }

    /// How many objects belong to an Instance.
    pub(super) fn census(&self, instance: &Key) -> Objects {
        let r = self.references.lock().unwrap_or_else(PoisonError::into_inner);
        let mut objects = Objects::default();
        for key in r.to.get(instance).into_iter().flatten() {
            if self.metrics.is_ready(key) {
                objects.ready += 1;
            } else {
                objects.not_ready += 1;
            }
        }
        objects
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
