//! Has objects reconciled: a channel to the controller of each kind.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use kube::{
    api::{ApiResource, DynamicObject},
    runtime::reflector::ObjectRef,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::contract::Key;

/// Objects that are woken at once where all are.
const BATCH: usize = 64;
/// The pause after them.
const PAUSE: Duration = Duration::from_millis(10);

type Reference = ObjectRef<DynamicObject>;

/// See the module.
pub(super) struct Wakers(HashMap<&'static str, (ApiResource, Mutex<UnboundedSender<Reference>>)>);

impl Wakers {
    pub(super) fn new(resources: impl Iterator<Item = (&'static str, ApiResource)>) -> Self {
        let entry = |(kind, resource)| (kind, (resource, Mutex::new(unbounded_channel().0)));
        Self(resources.map(entry).collect())
    }

    /// What is woken from now on comes from here.
    pub(super) fn connect(&self, kind: &str) -> Option<UnboundedReceiver<Reference>> {
        let (_, sender) = self.0.get(kind)?;
        let (new, receiver) = unbounded_channel();
        *sender.lock().unwrap_or_else(PoisonError::into_inner) = new;
        Some(receiver)
    }

    /// Has an object reconciled soon.
    pub(super) fn wake(&self, key: &Key) {
        let Some((resource, sender)) = self.0.get(key.kind) else { return };
        let reference = ObjectRef::new_with(&key.name, resource.clone()).within(&key.namespace);
        // Without a controller nothing is reconciled, and when one starts everything is woken.
        sender.lock().unwrap_or_else(PoisonError::into_inner).send(reference).ok();
    }

    /// Has many objects reconciled soon, not ten thousand at once.
    pub(super) async fn wake_gradually(&self, keys: Vec<Key>) {
        for batch in keys.chunks(BATCH) {
            for key in batch {
                self.wake(key);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
