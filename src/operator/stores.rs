//! The objects of all kinds, as the watches brought them, with the statuses that were written
//! since. No I/O.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use kube::{
    ResourceExt,
    api::{ApiResource, DynamicObject},
    core::GroupVersionKind,
    runtime::{
        reflector::{ObjectRef, Store, store::Writer},
        watcher::Event,
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    api,
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
    /// What was written and the watch may not have brought back yet: resource version and status.
    written: Mutex<HashMap<Key, (u64, Value)>>,
    /// What of an object matters to others, as they were last told.
    signatures: Mutex<HashMap<Key, u64>>,
}

struct KindStore {
    resource: ApiResource,
    writer: Mutex<Writer<DynamicObject>>,
    reader: Store<DynamicObject>,
}

impl Stores {
    /// Empty stores; `namespaces` are watched, or all if there are none.
    pub(super) fn new(namespaces: &[String]) -> Self {
        let mut stores = HashMap::new();
        let mut unlisted = HashSet::new();
        for names in REGISTRY.all() {
            let gvk = GroupVersionKind::gvk(api::GROUP, api::VERSION, names.kind());
            let resource = ApiResource::from_gvk_with_plural(&gvk, names.plural);
            let mut writer = Writer::<DynamicObject>::new(resource.clone());
            // The store takes part of its objects from each watch and is never replaced as a whole.
            writer.apply_watcher_event(&Event::Init);
            writer.apply_watcher_event(&Event::InitDone);
            let reader = writer.as_reader();
            stores.insert(names.kind(), KindStore { resource, writer: Mutex::new(writer), reader });
            if namespaces.is_empty() {
                unlisted.insert((names.kind(), None));
            }
            unlisted.extend(namespaces.iter().map(|ns| (names.kind(), Some(ns.clone()))));
        }
        Self {
            kinds: stores,
            unlisted: watch::Sender::new(unlisted),
            written: Mutex::default(),
            signatures: Mutex::default(),
        }
    }

    pub(super) fn resource(&self, kind: &str) -> Option<&ApiResource> {
        Some(&self.kinds.get(kind)?.resource)
    }

    pub(super) fn resources(&self) -> impl Iterator<Item = (&'static str, ApiResource)> {
        self.kinds.iter().map(|(kind, store)| (*kind, store.resource.clone()))
    }

    pub(super) fn reader(&self, kind: &str) -> Option<Store<DynamicObject>> {
        Some(self.kinds.get(kind)?.reader.clone())
    }

    /// Puts an object into its store, packed. Returns it as the engine sees it.
    pub(super) fn insert(&self, kind: &'static str, mut o: DynamicObject) -> Option<Object> {
        pack(&mut o);
        let (key, version) = (key_of(kind, &o), version(&o));
        let event = Event::Apply(o);
        self.apply(kind, &event);
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.get(&key).is_some_and(|(ours, _)| *ours <= version) {
            written.remove(&key);
        }
        let Event::Apply(o) = event else { return None };
        Some(convert(key.clone(), &o, written.get(&key)))
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
        self.signatures.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    fn apply(&self, kind: &str, event: &Event<DynamicObject>) {
        if let Some(store) = self.kinds.get(kind) {
            let mut writer = store.writer.lock().unwrap_or_else(PoisonError::into_inner);
            writer.apply_watcher_event(event);
        }
    }

    /// The watches that are needed, before they have listed anything.
    pub(super) fn watches(&self) -> Vec<Watched> {
        self.unlisted.borrow().iter().cloned().collect()
    }

    /// A watch has listed its objects.
    pub(super) fn listed(&self, watched: &Watched) {
        self.unlisted.send_if_modified(|unlisted| unlisted.remove(watched));
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
    pub(super) fn get(&self, key: &Key) -> Option<Arc<DynamicObject>> {
        let store = self.kinds.get(key.kind)?;
        let reference = ObjectRef::new_with(&key.name, store.resource.clone());
        store.reader.get(&reference.within(&key.namespace))
    }

    /// The newest of an object, also as the engine sees it.
    pub(super) fn newest(&self, key: &Key) -> Option<(Arc<DynamicObject>, Object)> {
        // Taken before the store is asked: what was written is forgotten only once the store has
        // it.
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.get(key)?;
        let object = convert(key.clone(), &found, written.get(key));
        Some((found, object))
    }

    /// All objects of a kind.
    pub(super) fn state(&self, kind: &'static str) -> Vec<(Key, Arc<DynamicObject>)> {
        let all = self.kinds.get(kind).map(|store| store.reader.state()).unwrap_or_default();
        all.into_iter().map(|o| (key_of(kind, &o), o)).collect()
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
    pub(super) fn written(&self, key: &Key, after: &DynamicObject) {
        let status = after.data.get("status").cloned().unwrap_or_default();
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.insert(key.clone(), (version(after), status));
    }

    /// Whether what others act on has changed.
    pub(super) fn is_news(&self, key: &Key, signature: u64) -> bool {
        let mut all = self.signatures.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(key.clone(), signature) != Some(signature)
    }

    /// Number of entries of what is remembered, for metrics.
    pub(super) fn remembered(&self) -> [(&'static str, usize); 2] {
        [
            ("written", self.written.lock().unwrap_or_else(PoisonError::into_inner).len()),
            ("signatures", self.signatures.lock().unwrap_or_else(PoisonError::into_inner).len()),
        ]
    }
}

/// Which object it is.
pub(super) fn key_of(kind: &'static str, o: &DynamicObject) -> Key {
    Key { kind, namespace: o.namespace().unwrap_or_default(), name: o.name_any() }
}

/// An object without what its metadata say.
#[derive(Default, Serialize, Deserialize)]
struct Content {
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

/// Drops what nobody reads and makes one text of spec and status: as trees they take six times the
/// memory, and they would be most of it.
fn pack(o: &mut DynamicObject) {
    o.metadata.managed_fields = None;
    o.annotations_mut().remove("kubectl.kubernetes.io/last-applied-configuration");
    let mut part = |name: &str| o.data.get_mut(name).map(Value::take).unwrap_or_default();
    let content = Content { spec: part("spec"), status: part("status") };
    // Trees of JSON can always be written.
    o.data = Value::String(serde_json::to_string(&content).unwrap_or_default());
}

fn unpack(o: &DynamicObject) -> Content {
    o.data.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// An object as the engine sees it, with the status that was written last.
fn convert(key: Key, o: &DynamicObject, written: Option<&(u64, Value)>) -> Object {
    let ours = written.filter(|(ours, _)| *ours > version(o)).map(|(_, status)| status);
    let content = unpack(o);
    let status = ours.cloned().unwrap_or(content.status);
    Object {
        uid: o.uid(),
        generation: o.metadata.generation.unwrap_or_default(),
        created: o.creation_timestamp().map_or(0, |t| t.0.as_second()),
        is_deleting: o.metadata.deletion_timestamp.is_some(),
        annotations: o.annotations().clone(),
        spec: if content.spec.is_null() { json!({}) } else { content.spec },
        details: lenient(&status),
        status: lenient(&status),
        key,
    }
}

/// Resource versions of one resource are comparable numbers.
fn version(o: &DynamicObject) -> u64 {
    o.resource_version().and_then(|v| v.parse().ok()).unwrap_or_default()
}

/// A status that can't be read is none: it will be written again.
fn lenient<T: DeserializeOwned + Default>(status: &Value) -> T {
    serde_json::from_value(status.clone()).unwrap_or_default()
}
