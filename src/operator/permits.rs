//! How many objects of an Instance, and how many Instances of a namespace, are reconciled at once.
//!
//! Ten thousand at once would be most of the memory. One limit for all Instances together would let
//! those that do not answer hold up the others. Hence a limit for each, which is smaller the more
//! of them have something to do: 512 for one alone, 256 each for two, never less than 16. With any
//! number of Instances that hang, another one starts its own reconciles at once. Instances
//! themselves are limited by namespace in the same way.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use super::wakers::Wakers;
use crate::contract::Key;

/// Reconciles of one kind at once that the Instances divide among themselves. ZITADEL takes some
/// hundred writes until they are read back together.
const SHARED: usize = 512;
/// What one Instance may always have at once of one kind.
const LEAST: usize = 16;
/// What one Instance may have at most.
const MOST: usize = 256;

/// What shares a limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Group {
    /// The objects of an Instance.
    Connection(Key),
    /// The Instances of a namespace.
    Connections {
        /// The namespace.
        namespace: String,
    },
}

/// The queues by kind and group; those with neither permits nor waiting objects are not kept.
type Queues = HashMap<&'static str, HashMap<Group, Queue>>;

/// See the module.
pub(super) struct Permits {
    wakers: Arc<Wakers>,
    queues: Mutex<Queues>,
}

#[derive(Default)]
struct Queue {
    running: usize,
    waiting: BTreeSet<Key>,
}

/// Permission to reconcile an object; when it is dropped, waiting objects are woken.
pub(super) struct Permit {
    permits: Arc<Permits>,
    kind: &'static str,
    group: Group,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.change(self.kind, &self.group, |queue| {
            queue.running = queue.running.saturating_sub(1);
        });
    }
}

impl Permits {
    pub(super) fn new(wakers: Arc<Wakers>) -> Self {
        Self { wakers, queues: Mutex::default() }
    }

    /// Permission to reconcile an object of a group; `None`: it is woken when it may try again.
    pub(super) fn acquire(self: &Arc<Self>, group: &Group, key: &Key) -> Option<Permit> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let of_kind = queues.entry(key.kind).or_default();
        of_kind.entry(group.clone()).or_default();
        let limit = limit(of_kind.len());
        let queue = of_kind.get_mut(group)?;
        if queue.running >= limit {
            queue.waiting.insert(key.clone());
            return None;
        }
        queue.waiting.remove(key);
        queue.running += 1;
        Some(Permit { permits: self.clone(), kind: key.kind, group: group.clone() })
    }

    /// Forgets an object that is gone. It may have been woken in vain: others are in its place.
    pub(super) fn forget(&self, key: &Key) {
        for (kind, group) in self.waiting() {
            if kind == key.kind {
                self.change(kind, &group, |queue| {
                    queue.waiting.remove(key);
                });
            }
        }
    }

    /// Wakes what waits for an Instance and may start, in case it was woken in vain.
    pub(super) fn dispatch_all(&self, instance: &Key) {
        for (kind, of) in self.waiting() {
            if matches!(&of, Group::Connection(key) if key == instance) {
                self.change(kind, &of, |_| ());
            }
        }
    }

    /// Objects that wait, by kind.
    pub(super) fn depths(&self) -> HashMap<&'static str, usize> {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let depth =
            |of_kind: &HashMap<Group, Queue>| of_kind.values().map(|q| q.waiting.len()).sum();
        queues.iter().map(|(kind, of_kind)| (*kind, depth(of_kind))).collect()
    }

    /// Number of entries, for metrics.
    pub(super) fn len(&self) -> usize {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.values().map(HashMap::len).sum()
    }

    fn waiting(&self) -> Vec<(&'static str, Group)> {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = |(_, queue): &(&Group, &Queue)| !queue.waiting.is_empty();
        queues
            .iter()
            .flat_map(|(kind, of_kind)| {
                of_kind.iter().filter(waiting).map(|(group, _)| (*kind, group.clone()))
            })
            .collect()
    }

    /// Changes a queue, then dispatches what may start and removes the queue if it is empty.
    fn change(&self, kind: &'static str, group: &Group, change: impl FnOnce(&mut Queue)) {
        let next = {
            let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(of_kind) = queues.get_mut(kind) else { return };
            let limit = limit(of_kind.len());
            let Some(queue) = of_kind.get_mut(group) else { return };
            change(queue);
            let next = dispatch_next(queue, limit);
            if queue.running == 0 && queue.waiting.is_empty() {
                of_kind.remove(group);
            }
            next
        };
        for key in &next {
            self.wakers.wake(key);
        }
    }
}

fn limit(instances: usize) -> usize {
    (SHARED / instances.max(1)).clamp(LEAST, MOST)
}

/// Takes as many as may start. Some may be gone by then: hence all of them, each time.
fn dispatch_next(queue: &mut Queue, limit: usize) -> Vec<Key> {
    let free = limit.saturating_sub(queue.running);
    std::iter::from_fn(|| queue.waiting.pop_first()).take(free).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: &'static str, name: &str) -> Key {
        Key { kind, namespace: "ns".into(), name: name.into() }
    }

    fn permits() -> Arc<Permits> {
        Arc::new(Permits::new(Arc::new(Wakers::new())))
    }

    #[test]
    fn instances_that_hang_hold_up_no_other() {
        let permits = permits();
        let mut held = Vec::new();
        for n in 0..200 {
            let instance = Group::Connection(key("Instance", &n.to_string()));
            for p in 0..1000 {
                held.extend(permits.acquire(&instance, &key("Project", &format!("{n}-{p}"))));
            }
        }
        assert!(held.len() < 6000, "{} at once", held.len());
        let good = Group::Connection(key("Instance", "good"));
        let started =
            (0..1000).filter_map(|p| permits.acquire(&good, &key("Project", &p.to_string())));
        assert_eq!(started.collect::<Vec<_>>().len(), LEAST);
        assert!(permits.depths()["Project"] > 0);
    }

    #[test]
    fn a_queue_that_is_empty_is_not_kept() {
        let permits = permits();
        let instance = Group::Connection(key("Instance", "a"));
        let held: Vec<_> =
            (0..300).map(|p| permits.acquire(&instance, &key("Project", &p.to_string()))).collect();
        assert_eq!(held.iter().flatten().count(), MOST);
        assert_eq!((permits.len(), permits.depths()["Project"]), (1, 300 - MOST));
        drop(held);
        assert_eq!((permits.len(), permits.depths()["Project"]), (0, 0));
        let held: Vec<_> =
            (0..300).map(|p| permits.acquire(&instance, &key("Project", &p.to_string()))).collect();
        for p in 0..300 {
            permits.forget(&key("Project", &p.to_string()));
        }
        assert_eq!(permits.depths()["Project"], 0);
        drop(held);
        assert_eq!(permits.len(), 0);
    }
}
