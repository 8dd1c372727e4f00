//! The cluster as the engine sees it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock},
};

use async_trait::async_trait;
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    core::{GroupVersionKind, PartialObjectMeta},
    runtime::{
        WatchStreamExt,
        reflector::{ObjectRef, Store},
        watcher::{self, watcher},
    },
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::{
    api::{self, FINALIZER, status::Status},
    engine::{
        Key, Object,
        host::{Host, Missing},
        kind::Shape,
        references::needs,
    },
    kinds,
};

pub(super) struct KubeHost {
    client: Client,
    resources: HashMap<&'static str, ApiResource>,
    stores: HashMap<&'static str, OnceLock<Store<DynamicObject>>>,
    namespaces: RwLock<HashMap<String, BTreeMap<String, String>>>,
    /// What we wrote and the watch may not have brought back yet: resource version and status.
    written: Mutex<HashMap<Key, (u64, Value)>>,
    /// Kinds of which the store is complete.
    listed: watch::Sender<HashSet<&'static str>>,
    /// What others were told of an object they refer to.
    told: Mutex<HashMap<Key, String>>,
    writing: Semaphore,
}

/// Writes to Kubernetes at once: it takes some hundreds a second, however many are under way, and
/// each has a connection.
const WRITES: usize = 6;

impl KubeHost {
    pub(super) fn new(client: Client) -> Self {
        let resource = |kind: &str, plural: &str| {
            ApiResource::from_gvk_with_plural(
                &GroupVersionKind::gvk(api::GROUP, api::VERSION, kind),
                plural,
            )
        };
        Self {
            client,
            resources: kinds::ALL
                .iter()
                .map(|e| (e.names().kind, resource(e.names().kind, e.names().plural)))
                .collect(),
            stores: kinds::ALL.iter().map(|e| (e.names().kind, OnceLock::new())).collect(),
            namespaces: RwLock::default(),
            written: Mutex::default(),
            told: Mutex::default(),
            listed: watch::Sender::default(),
            writing: Semaphore::new(WRITES),
        }
    }

    pub(super) fn resource(&self, kind: &str) -> Option<ApiResource> {
        self.resources.get(kind).cloned()
    }

    /// The API of one object's kind and namespace.
    pub(super) fn api(&self, key: &Key) -> Option<Api<DynamicObject>> {
        Some(Api::namespaced_with(
            self.client.clone(),
            &key.namespace,
            self.resources.get(key.kind)?,
        ))
    }

    /// Takes the store of a kind; once.
    pub(super) fn set_store(&self, kind: &'static str, store: Store<DynamicObject>) {
        if let Some(slot) = self.stores.get(kind) {
            slot.set(store).ok();
        }
    }

    fn store(&self, kind: &str) -> Option<&Store<DynamicObject>> {
        self.stores.get(kind)?.get()
    }

    /// A kind has been listed once.
    pub(super) fn kind_listed(&self, kind: &'static str) {
        self.listed.send_modify(|kinds| {
            kinds.insert(kind);
        });
    }

    /// Whether every kind has been listed once.
    pub(super) fn is_listed(&self) -> bool {
        self.listed.borrow().len() == self.resources.len()
    }

    /// Returns when every kind has been listed once.
    pub(super) async fn wait_until_listed(&self) {
        // The sender is this host's own.
        self.listed.subscribe().wait_for(|kinds| kinds.len() == self.resources.len()).await.ok();
    }

    /// The leave to write to Kubernetes: each request that is under way has a connection of its
    /// own, with its buffers.
    pub(super) async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.writing.acquire().await.ok()
    }

    fn stored(&self, key: &Key) -> Option<Arc<DynamicObject>> {
        self.store(key.kind)?
            .get(&ObjectRef::new_with(&key.name, self.resource(key.kind)?).within(&key.namespace))
    }

    /// Whether there is such an object.
    pub(super) fn is_there(&self, key: &Key) -> bool {
        self.stored(key).is_some()
    }

    /// Whether there is such an object and it is being deleted.
    pub(super) fn is_deleting(&self, key: &Key) -> bool {
        self.stored(key).is_some_and(|o| o.metadata.deletion_timestamp.is_some())
    }

    /// All objects.
    pub(super) fn keys(&self) -> Vec<Key> {
        let keys = |kind: &'static str| {
            let all = self.store(kind).map(Store::state).unwrap_or_default();
            all.into_iter().map(move |o| Key {
                kind,
                namespace: o.namespace().unwrap_or_default(),
                name: o.name_any(),
            })
        };
        kinds::ALL.iter().flat_map(|e| keys(e.names().kind)).collect()
    }

    /// How many objects there are, once all kinds have been listed.
    pub(super) fn count(&self) -> Option<usize> {
        self.is_listed()
            .then(|| self.stores.values().filter_map(OnceLock::get).map(Store::len).sum())
    }

    /// The newest of an object, also as the engine sees it.
    pub(super) fn newest(&self, key: &Key) -> Option<(Arc<DynamicObject>, Object)> {
        // Taken before the store is asked: what we wrote is forgotten only once the store has it.
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.stored(key)?;
        let object = convert(key.clone(), &found, written.get(key));
        Some((found, object))
    }

    /// An object that the watch has brought, when the store has it already.
    pub(super) fn arrived(&self, kind: &'static str, o: &DynamicObject) -> Object {
        let key = Key { kind, namespace: o.namespace().unwrap_or_default(), name: o.name_any() };
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.get(&key).is_some_and(|(ours, _)| *ours <= version(o)) {
            written.remove(&key);
        }
        convert(key.clone(), o, written.get(&key))
    }

    /// Writes a status by server-side apply; one that says what is there already is not written.
    /// Gives whether it was.
    pub(super) async fn write_status(
        &self,
        object: &Object,
        status: &Value,
    ) -> Result<bool, kube::Error> {
        let (Some(api), Some(resource)) =
            (self.api(&object.key), self.resources.get(object.key.kind))
        else {
            return Ok(false);
        };
        let body = json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": object.key.name, "namespace": object.key.namespace, "uid": object.uid},
            "status": status,
        });
        let params = PatchParams::apply(api::MANAGER).force();
        let _permit = self.permit().await;
        let after = match api.patch_status(&object.key.name, &params, &Patch::Apply(&body)).await {
            // An object that was written while another CRD was installed: server-side apply can't
            // read it, a merge need not.
            Err(kube::Error::Api(s)) if matches!(s.code, 422 | 500) => {
                let body = json!({"metadata": {"uid": object.uid}, "status": status});
                api.patch_status(&object.key.name, &PatchParams::default(), &Patch::Merge(body))
                    .await?
            }
            other => other?,
        };
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.insert(
            object.key.clone(),
            (version(&after), after.data.get("status").cloned().unwrap_or_default()),
        );
        Ok(true)
    }

    /// Whether what others act on has changed.
    pub(super) fn is_news(&self, key: &Key, signature: String) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(key.clone(), signature.clone()) != Some(signature)
    }

    /// Forgets an object that is gone.
    pub(super) fn forget(&self, key: &Key) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        self.written.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    async fn get<K>(&self, namespace: &str, name: &str) -> Result<K, Missing>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        match Api::<K>::namespaced(self.client.clone(), namespace).get_opt(name).await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(Missing::Object),
            Err(kube::Error::Api(s)) => Err(Missing::Unreadable(s.message.clone())),
            Err(_) => Err(Missing::Unreadable("Kubernetes does not answer".into())),
        }
    }
}

/// An object without what its metadata say.
#[derive(Default, Serialize, Deserialize)]
struct Content {
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

/// Makes one text of spec and status: as trees they take six times the memory.
pub(super) fn pack(o: &mut DynamicObject) {
    let mut part = |name: &str| o.data.get_mut(name).map(Value::take).unwrap_or_default();
    let content = Content { spec: part("spec"), status: part("status") };
    // Trees of JSON can always be written.
    o.data = Value::String(serde_json::to_string(&content).unwrap_or_default());
}

fn unpacked(o: &DynamicObject) -> Content {
    o.data.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// An object as the engine sees it, with the status that we wrote last.
fn convert(key: Key, o: &DynamicObject, written: Option<&(u64, Value)>) -> Object {
    let ours = written.filter(|(ours, _)| *ours > version(o)).map(|(_, status)| status);
    let content = unpacked(o);
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

/// A status that can't be read is none: it will be written anew.
fn lenient<T: DeserializeOwned + Default>(status: &Value) -> T {
    serde_json::from_value(status.clone()).unwrap_or_default()
}

#[async_trait]
impl Host for KubeHost {
    fn object(&self, key: &Key) -> Option<Arc<Object>> {
        self.newest(key).map(|(_, object)| Arc::new(object))
    }

    fn instances(&self) -> Vec<Arc<Object>> {
        let all = self.store("Instance").map(Store::state).unwrap_or_default();
        let key = |o: &DynamicObject| Key {
            kind: "Instance",
            namespace: o.namespace().unwrap_or_default(),
            name: o.name_any(),
        };
        all.iter().filter_map(|o| self.object(&key(o))).collect()
    }

    fn dependants(&self, instance: &Key) -> Vec<Key> {
        let entries = kinds::ALL.iter().filter(|e| e.shape() != Shape::Connection);
        let mut found = Vec::new();
        for kind in entries.map(|e| e.names().kind) {
            let Some(store) = self.store(kind) else { continue };
            for o in store.state() {
                if !o.finalizers().iter().any(|f| f == FINALIZER) {
                    continue;
                }
                let key =
                    Key { kind, namespace: o.namespace().unwrap_or_default(), name: o.name_any() };
                if self.object(&key).is_some_and(|object| needs(self, &object, instance)) {
                    found.push(key);
                }
            }
        }
        found
    }

    fn namespace_labels(&self, namespace: &str) -> BTreeMap<String, String> {
        self.namespaces
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(namespace)
            .cloned()
            .unwrap_or_default()
    }

    async fn secret(
        &self,
        namespace: &str,
        name: &str,
        key: &str,
    ) -> Result<SecretString, Missing> {
        let secret: Secret = self.get(namespace, name).await?;
        let bytes = secret.data.and_then(|mut d| d.remove(key)).ok_or(Missing::Key)?;
        String::from_utf8(bytes.0).map(Into::into).map_err(|_| Missing::Key)
    }

    async fn config_map(&self, namespace: &str, name: &str, key: &str) -> Result<String, Missing> {
        let map: ConfigMap = self.get(namespace, name).await?;
        map.data.and_then(|mut d| d.remove(key)).ok_or(Missing::Key)
    }

    async fn remember(&self, object: &Object, status: &Status) -> Result<(), String> {
        let status = serde_json::to_value(status).map_err(|e| e.to_string())?;
        self.write_status(object, &status).await.map(|_| ()).map_err(|e| e.to_string())
    }
}

/// Follows the labels of namespaces, for `allowedNamespaces` by selector.
pub(super) async fn follow_namespaces(client: Client, host: Arc<KubeHost>) {
    let events =
        watcher(Api::<PartialObjectMeta<Namespace>>::all(client), watcher::Config::default())
            .default_backoff();
    let mut events = std::pin::pin!(events);
    loop {
        match events.try_next().await {
            Ok(Some(watcher::Event::Apply(ns) | watcher::Event::InitApply(ns))) => {
                host.namespaces
                    .write()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(ns.name_any(), ns.labels().clone());
            }
            Ok(Some(watcher::Event::Delete(ns))) => {
                host.namespaces
                    .write()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(&ns.name_any());
            }
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(e) => tracing::debug!(error = %e, "the watch of namespaces starts anew"),
        }
    }
}
