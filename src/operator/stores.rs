//! The objects of all kinds, as the watches brought them, with the statuses that were written
//! since. No I/O.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use kube::{
    ResourceExt,
    runtime::{
        reflector::{ObjectRef, Store, store::Writer},
        watcher::Event,
    },
};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::watch;

use super::packed::{Content, Names, Packed, lenient};
use crate::{
    contract::{Key, Object},
    kinds::REGISTRY,
};

/// A watch: the kind and, where only some namespaces are watched, the namespace.
pub(super) type Watched = (&'static str, Option<String>);

/// See the module.
pub(super) struct Stores {
    kinds: HashMap<&'static str, KindStore>,
    /// Watches that have not listed their objects yet.
    unlisted: watch::Sender<HashSet<Watched>>,
    /// All watches.
    watches: HashSet<Watched>,
    /// How often all were asked to list their objects again.
    round: watch::Sender<u64>,
    /// What was written and the watch has not brought back yet.
    written: Mutex<HashMap<Key, Packed>>,
}

struct KindStore {
    names: Names,
    writer: Mutex<Writer<Packed>>,
    reader: Store<Packed>,
}

impl Stores {
    /// Empty stores; `namespaces` are watched, or all if there are none.
    pub(super) fn new(namespaces: &[String]) -> Self {
        let mut stores = HashMap::new();
        let mut unlisted = HashSet::new();
        for names in REGISTRY.all().map(Names::of) {
            let mut writer = Writer::<Packed>::new(names);
            // The store takes part of its objects from each watch and is never replaced as a whole.
            writer.apply_watcher_event(&Event::Init);
            writer.apply_watcher_event(&Event::InitDone);
            let reader = writer.as_reader();
            let kind = names.kind;
            stores.insert(kind, KindStore { names, writer: Mutex::new(writer), reader });
            if namespaces.is_empty() {
                unlisted.insert((kind, None));
            }
            unlisted.extend(namespaces.iter().map(|ns| (kind, Some(ns.clone()))));
        }
        Self {
            kinds: stores,
            watches: unlisted.clone(),
            unlisted: watch::Sender::new(unlisted),
            round: watch::Sender::new(0),
            written: Mutex::default(),
        }
    }

    pub(super) fn names(&self, kind: &str) -> Option<Names> {
        Some(self.kinds.get(kind)?.names)
    }

    pub(super) fn reader(&self, kind: &str) -> Option<Store<Packed>> {
        Some(self.kinds.get(kind)?.reader.clone())
    }

    /// Puts an object into its store.
    pub(super) fn insert(&self, key: &Key, o: Packed) {
        let version = o.version();
        self.apply(key.kind, &Event::Apply(o));
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.get(key).is_some_and(|ours| ours.version() <= version) {
            written.remove(key);
        }
    }

    /// Removes an object and what is remembered of it.
    pub(super) fn remove(&self, key: &Key) {
        if let Some(o) = self.get(key) {
            self.apply(key.kind, &Event::Delete((*o).clone()));
        }
        self.forget(key);
    }

    /// Forgets what is remembered of an object that is gone.
    pub(super) fn forget(&self, key: &Key) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    fn apply(&self, kind: &str, event: &Event<Packed>) {
        if let Some(store) = self.kinds.get(kind) {
            let mut writer = store.writer.lock().unwrap_or_else(PoisonError::into_inner);
            writer.apply_watcher_event(event);
        }
    }

    /// The watches that are needed.
    pub(super) fn watches(&self) -> Vec<Watched> {
        self.watches.iter().cloned().collect()
    }

    /// Has all watches list their objects again.
    pub(super) fn list_again(&self) {
        self.unlisted.send_modify(|unlisted| {
            unlisted.clone_from(&self.watches);
            self.round.send_modify(|round| *round += 1);
        });
    }

    /// In which round of lists a list begins, and when the next one is wanted.
    pub(super) fn rounds(&self) -> watch::Receiver<u64> {
        self.round.subscribe()
    }

    /// A watch has listed its objects; the list was begun in this round.
    pub(super) fn listed(&self, watched: &Watched, round: u64) {
        self.unlisted
            .send_if_modified(|unlisted| *self.round.borrow() == round && unlisted.remove(watched));
    }

    /// Whether every watch has listed its objects.
    pub(super) fn is_listed(&self) -> bool {
        self.unlisted.borrow().is_empty()
    }

    /// Returns when every watch has listed its objects.
    pub(super) async fn wait_until_listed(&self) {
        // The sender is its own.
        self.unlisted.subscribe().wait_for(HashSet::is_empty).await.ok();
    }

    /// An object as the watch brought it.
    pub(super) fn get(&self, key: &Key) -> Option<Arc<Packed>> {
        let store = self.kinds.get(key.kind)?;
        let reference = ObjectRef::new_with(&key.name, store.names);
        store.reader.get(&reference.within(&key.namespace))
    }

    /// The newest of an object, also as the engine sees it.
    pub(super) fn newest(&self, key: &Key) -> Option<(Arc<Packed>, Object)> {
        // Taken before the store is asked: what was written is forgotten only once the store has
        // it.
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.get(key)?;
        let object = convert(key.clone(), &found, written.get(key));
        Some((found, object))
    }

    /// All objects of a kind.
    pub(super) fn state(&self, kind: &'static str) -> Vec<(Key, Arc<Packed>)> {
        let all = self.kinds.get(kind).map(|store| store.reader.state()).unwrap_or_default();
        all.into_iter().map(|o| (o.key(kind), o)).collect()
    }

    /// What the newest statuses of a kind say, by namespace and name.
    pub(super) fn said<T: DeserializeOwned + Default>(&self, kind: &'static str) -> Vec<Said<T>> {
        let mut all = self.state(kind);
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        let said = |(key, o): (Key, Arc<Packed>)| {
            let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            let newer = written.get(&key).filter(|ours| ours.version() > o.version());
            Said {
                status: newer.unwrap_or(&o).status(),
                generation: o.metadata.generation.unwrap_or_default(),
                is_deleting: o.metadata.deletion_timestamp.is_some(),
                key,
            }
        };
        all.into_iter().map(said).collect()
    }

    /// All objects.
    pub(super) fn keys(&self) -> Vec<Key> {
        let kinds = REGISTRY.all().map(|e| e.kind());
        kinds.flat_map(|kind| self.state(kind)).map(|(key, _)| key).collect()
    }

    /// How many objects there are.
    pub(super) fn len(&self) -> usize {
        self.kinds.values().map(|store| store.reader.len()).sum()
    }

    /// A status was written; `after` is the object afterwards.
    pub(super) fn written(&self, key: &Key, after: Packed) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        // The watch may have been faster than the answer.
        if self.get(key).is_some_and(|o| o.version() < after.version()) {
            written.insert(key.clone(), after);
        }
    }

    /// Number of statuses that are remembered, for metrics.
    pub(super) fn written_len(&self) -> usize {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// What is read of an object without its spec.
pub(super) struct Said<T> {
    pub(super) key: Key,
    pub(super) generation: i64,
    pub(super) is_deleting: bool,
    pub(super) status: T,
}

/// An object as the engine sees it, with the status that was written last.
pub(super) fn convert(key: Key, o: &Packed, written: Option<&Packed>) -> Object {
    let Content { spec, status } = o.content();
    let newer = written.filter(|ours| ours.version() > o.version());
    let status = newer.map_or(status, |ours| ours.content().status);
    Object {
        uid: o.uid(),
        generation: o.metadata.generation.unwrap_or_default(),
        created: o.creation_timestamp().map_or(0, |t| t.0.as_second()),
        is_deleting: o.metadata.deletion_timestamp.is_some(),
        annotations: o.annotations().clone(),
        spec: if spec.is_null() { json!({}) } else { spec },
        details: lenient(&status),
        status: lenient(&status),
        key,
    }
}
