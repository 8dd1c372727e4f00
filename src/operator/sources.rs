//! Secrets and ConfigMaps that Instances refer to: a watch of each one by its name, so that no
//! right to list them is needed.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client, api::WatchParams, core::WatchEvent};
use tokio::task::AbortHandle;

use super::context::Context;
use crate::{
    engine::{Key, Object, kind::decode},
    kinds::instance::Instance,
};

/// A Secret or ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Source {
    is_secret: bool,
    namespace: String,
    name: String,
}

/// The watches, by what is watched.
#[derive(Default)]
pub(super) struct Sources(Mutex<HashMap<Source, Watched>>);

struct Watched {
    instances: HashSet<Key>,
    task: AbortHandle,
}

impl Sources {
    /// Watches exactly what this Instance refers to.
    pub(super) fn follow(&self, context: &Arc<Context>, instance: &Object) {
        let wanted = if instance.is_deleting { HashSet::new() } else { sources(instance) };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|source, watched| {
            if !wanted.contains(source) {
                watched.instances.remove(&instance.key);
            }
            if watched.instances.is_empty() {
                watched.task.abort();
            }
            !watched.instances.is_empty()
        });
        for source in wanted {
            let watched = all.entry(source.clone()).or_insert_with(|| {
                let task = tokio::spawn(watch(context.clone(), source));
                Watched { instances: HashSet::new(), task: task.abort_handle() }
            });
            watched.instances.insert(instance.key.clone());
        }
    }

    pub(super) fn stop(&self) {
        for watched in self.0.lock().unwrap_or_else(PoisonError::into_inner).values() {
            watched.task.abort();
        }
    }

    fn instances(&self, source: &Source) -> Vec<Key> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(source).map(|w| w.instances.iter().cloned().collect()).unwrap_or_default()
    }
}

fn sources(instance: &Object) -> HashSet<Source> {
    let Ok(Instance { credentials: c, ca, .. }) = decode::<Instance>(&instance.spec) else {
        return HashSet::new();
    };
    let source = |is_secret: bool, name: String| Source {
        is_secret,
        namespace: instance.key.namespace.clone(),
        name,
    };
    let secrets = [
        c.private_key.map(|k| k.secret_ref),
        c.personal_access_token.map(|k| k.secret_ref),
        c.client_credentials.map(|k| k.secret_ref),
    ];
    let (ca_secret, ca_map) = ca.map_or((None, None), |ca| (ca.secret_ref, ca.config_map_ref));
    let secrets = secrets.into_iter().chain([ca_secret]).flatten().map(|r| source(true, r.name));
    secrets.chain(ca_map.map(|r| source(false, r.name))).collect()
}

/// What was last seen of a source: its version, or that it is not there.
#[derive(Default, PartialEq, Eq)]
struct Last {
    seen: bool,
    version: Option<String>,
}

/// Wakes the Instances when the version of the source changes; a new watch tells the present one
/// again, which is no news.
async fn watch(context: Arc<Context>, source: Source) {
    let mut last = Last::default();
    loop {
        let client = context.client.clone();
        let result = if source.is_secret {
            one_watch::<Secret>(&context, client, &source, &mut last).await
        } else {
            one_watch::<ConfigMap>(&context, client, &source, &mut last).await
        };
        if let Err(e) = result {
            tracing::debug!(namespace = source.namespace, name = source.name, error = %e, "the watch of a Secret or ConfigMap starts anew");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Until the server ends it.
async fn one_watch<K>(
    context: &Arc<Context>,
    client: Client,
    source: &Source,
    last: &mut Last,
) -> Result<(), kube::Error>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let api = Api::<K>::namespaced(client, &source.namespace);
    let params =
        WatchParams::default().fields(&format!("metadata.name={}", source.name)).timeout(290);
    let mut events = std::pin::pin!(api.watch_metadata(&params, "").await?);
    while let Some(event) = events.try_next().await? {
        let version = match event {
            WatchEvent::Added(o) | WatchEvent::Modified(o) => o.metadata.resource_version,
            WatchEvent::Deleted(_) => None,
            WatchEvent::Bookmark(_) => continue,
            WatchEvent::Error(_) => return Ok(()),
        };
        // The first one is what the Instance has just read, or what it waits for.
        let now = Last { seen: true, version };
        if *last != now {
            *last = now;
            for instance in context.sources.instances(source) {
                context.wake(&instance);
            }
        }
    }
    Ok(())
}
