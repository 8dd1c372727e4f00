//! Has objects reconciled: a channel to the controller of each kind.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::packed::{Names, Packed};
use crate::{contract::Key, kinds::REGISTRY};

/// Objects that are woken at once where all are.
const BATCH: usize = 64;
/// The pause after them.
const PAUSE: Duration = Duration::from_millis(10);

type Reference = ObjectRef<Packed>;

/// See the module.
pub(super) struct Wakers(HashMap<&'static str, (Names, Mutex<UnboundedSender<Reference>>)>);

impl Wakers {
    pub(super) fn new() -> Self {
        let waker = |names: Names| (names.kind, (names, Mutex::new(unbounded_channel().0)));
        Self(REGISTRY.all().map(Names::of).map(waker).collect())
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
        let Some((names, sender)) = self.0.get(key.kind) else { return };
        let reference = ObjectRef::new_with(&key.name, *names).within(&key.namespace);
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
