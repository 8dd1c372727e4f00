//! The cluster as the engine sees it, and what is written to it.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, Client, ResourceExt,
    api::{ObjectMeta, Patch, PatchParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use super::{
    metrics::Expiry, namespaces::Namespaces, output, packed::Packed, problem::Problem,
    references::References, stores::Stores,
};
use crate::{
    api::{self, FINALIZER, MANAGER, status::Status},
    contract::{EntityDescription, Entry, FileOrigin, Key, Object},
    engine::{
        consent::Consents,
        error::{Missing, OutputError},
        host::{HeldValue, Host, OutputSecret},
    },
    kinds::REGISTRY,
};

/// Writes to Kubernetes at once: it takes some hundreds a second, however many are under way, and
/// each has a connection with its buffers.
const WRITES: usize = 6;

/// See the module.
pub(super) struct KubeHost {
    pub(super) client: Client,
    pub(super) stores: Stores,
    pub(super) namespaces: Arc<Namespaces>,
    pub(super) references: References,
    /// Whether an object was seen that writes a Secret.
    pub(super) outputs: watch::Sender<bool>,
    writing: Semaphore,
}

impl KubeHost {
    /// `namespaces` are watched, or all if there are none.
    pub(super) fn new(client: Client, namespaces: &[String]) -> Self {
        Self {
            client,
            stores: Stores::new(namespaces),
            namespaces: Arc::default(),
            references: References::default(),
            outputs: watch::Sender::new(false),
            writing: Semaphore::new(WRITES),
        }
    }

    /// Whether there is such an object.
    pub(super) fn is_there(&self, key: &Key) -> bool {
        self.stores.get(key).is_some()
    }

    /// Whether there is such an object and it is being deleted.
    pub(super) fn is_deleting(&self, key: &Key) -> bool {
        self.stores.get(key).is_some_and(|o| o.metadata.deletion_timestamp.is_some())
    }

    /// When the keys and tokens end that objects hold.
    pub(super) fn expiries(&self) -> Vec<(Key, Expiry)> {
        let is_key = |e: &Entry| e.as_entity().is_some_and(EntityDescription::is_key);
        let keys = REGISTRY.all().filter(is_key);
        let objects = keys.flat_map(|entry| self.stores.state(entry.kind()));
        let expiry = |(key, object): (Key, Arc<Packed>)| {
            let status = object.content().status;
            let at = |field| status.pointer(field)?.as_str()?.parse().ok();
            let expires = at("/secret/expiresAt")?;
            Some((key, Expiry { expires, renews: at("/secret/rotatesAt") }))
        };
        objects.filter_map(expiry).collect()
    }

    /// Permission to write to Kubernetes.
    pub(super) async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.writing.acquire().await.ok()
    }

    /// The API of one object's kind and namespace.
    fn api(&self, key: &Key) -> Option<Api<Packed>> {
        let names = self.stores.names(key.kind)?;
        Some(Api::namespaced_with(self.client.clone(), &key.namespace, &names))
    }

    /// Patches metadata by a JSON patch.
    pub(super) async fn patch_metadata(
        &self,
        key: &Key,
        changes: Vec<Value>,
    ) -> Result<(), kube::Error> {
        let Some(api) = self.api(key) else { return Ok(()) };
        let patch: json_patch::Patch =
            serde_json::from_value(Value::Array(changes)).map_err(kube::Error::SerdeError)?;
        let _permit = self.permit().await;
        api.patch_metadata(&key.name, &managed(), &Patch::Json::<()>(patch)).await.map(|_| ())
    }

    /// Writes a status by server-side apply.
    pub(super) async fn write_status(
        &self,
        object: &Object,
        status: &Value,
    ) -> Result<(), kube::Error> {
        self.write_status_of(object, status, None).await
    }

    /// The same for an object that still has this resource version. `Err` with code 409: it has not.
    pub(super) async fn write_status_of(
        &self,
        object: &Object,
        status: &Value,
        version: Option<String>,
    ) -> Result<(), kube::Error> {
        let key = &object.key;
        let Some(api) = self.api(key) else { return Ok(()) };
        let metadata = ObjectMeta {
            name: Some(key.name.clone()),
            namespace: Some(key.namespace.clone()),
            uid: object.uid.clone(),
            resource_version: version,
            ..ObjectMeta::default()
        };
        let body = json!({
            "apiVersion": api::api_version(),
            "kind": key.kind,
            "metadata": metadata,
            "status": status,
        });
        let params = PatchParams::apply(MANAGER).force();
        let _permit = self.permit().await;
        let after = match api.patch_status(&key.name, &params, &Patch::Apply(&body)).await {
            // An object that was written while another CRD was installed: server-side apply can't
            // read it, a merge need not.
            Err(kube::Error::Api(s)) if matches!(s.code, 422 | 500) => {
                let metadata = ObjectMeta { name: None, namespace: None, ..metadata };
                let body = json!({"metadata": metadata, "status": status});
                api.patch_status(&key.name, &managed(), &Patch::Merge(body)).await?
            }
            other => other?,
        };
        self.stores.written(key, after);
        Ok(())
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

fn managed() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() }
}

#[async_trait]
impl Host for KubeHost {
    fn object(&self, key: &Key) -> Option<Arc<Object>> {
        self.stores.newest(key).map(|(_, object)| Arc::new(object))
    }

    fn dependants(&self, instance: &Key) -> Vec<Key> {
        let consents = Consents { registry: &REGISTRY, host: self };
        let entries = REGISTRY.all().filter(|e| !e.is_connection());
        let objects = entries.flat_map(|e| self.stores.state(e.kind()));
        let unsettled = objects.filter(|(_, o)| o.finalizers().iter().any(|f| f == FINALIZER));
        unsettled
            .map(|(key, _)| key)
            .filter(|key| self.object(key).is_some_and(|object| consents.needs(&object, instance)))
            .collect()
    }

    fn deleting_children(&self, parent: &Key) -> Vec<Key> {
        let is_unsettled = |key: &Key| {
            self.stores.get(key).is_some_and(|o| {
                let has_finalizer = o.finalizers().iter().any(|f| f == FINALIZER);
                has_finalizer && o.metadata.deletion_timestamp.is_some()
            })
        };
        let mut children = self.references.referrers(parent);
        children.retain(is_unsettled);
        children.sort();
        children
    }

    fn namespace_labels(&self, namespace: &str) -> BTreeMap<String, String> {
        self.namespaces.labels(namespace)
    }

    async fn secret(&self, namespace: &str, name: &str, key: &str) -> Result<HeldValue, Missing> {
        let secret: Secret = self.get(namespace, name).await?;
        let version = format!(
            "{}:{}",
            secret.metadata.uid.unwrap_or_default(),
            secret.metadata.resource_version.unwrap_or_default()
        );
        let bytes = secret.data.and_then(|mut d| d.remove(key)).ok_or(Missing::Key)?;
        let value = String::from_utf8(bytes.0).map_err(|_| Missing::Key)?;
        Ok(HeldValue { value: value.into(), version })
    }

    fn sends_unknown_secrets(&self) -> bool {
        true
    }

    async fn config_map(&self, namespace: &str, name: &str, key: &str) -> Result<String, Missing> {
        let map: ConfigMap = self.get(namespace, name).await?;
        map.data.and_then(|mut d| d.remove(key)).ok_or(Missing::Key)
    }

    async fn file(&self, namespace: &str, origin: &FileOrigin) -> Result<Vec<u8>, Missing> {
        let (name, key) = (&origin.source().name, &origin.source().key);
        let (text, bytes) = match origin {
            FileOrigin::ConfigMap(_) => {
                let map: ConfigMap = self.get(namespace, name).await?;
                (map.data, map.binary_data)
            }
            FileOrigin::Secret(_) => {
                let secret: Secret = self.get(namespace, name).await?;
                (None, secret.data)
            }
        };
        let bytes = bytes.and_then(|mut all| all.remove(key)).map(|bytes| bytes.0);
        let text = || text.and_then(|mut all| all.remove(key)).map(String::into_bytes);
        bytes.or_else(text).ok_or(Missing::Key)
    }

    async fn output(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<OutputSecret>, OutputError> {
        self.outputs.send_if_modified(|needed| !std::mem::replace(needed, true));
        output::read(&self.client, namespace, name).await
    }

    async fn write_output(
        &self,
        object: &Object,
        secret: &OutputSecret,
        dry_run: bool,
    ) -> Result<(), OutputError> {
        let _permit = self.permit().await;
        output::write(&self.client, object, secret, dry_run).await
    }

    async fn remember(&self, object: &Object, status: &Status) -> Result<(), String> {
        let status = serde_json::to_value(status).map_err(|e| e.to_string())?;
        self.write_status(object, &status).await.map_err(|e| Problem::from(&e).to_string())
    }
}
