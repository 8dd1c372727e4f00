//! Secrets and ConfigMaps that objects read: a watch of each one by its name, so that no right to
//! list them is needed.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, Client,
    api::WatchParams,
    core::{PartialObjectMeta, WatchEvent},
};
use tokio::task::AbortHandle;

use super::{
    attempts::Attempts, metrics::Metrics, problem::Problem, tasks::supervise, wakers::Wakers,
};
use crate::{
    api::spec::only_observes,
    contract::{FileOrigin, Key, Object, connection::CaSource},
    kinds::REGISTRY,
};

/// The longest pause before a watch that failed is tried again.
const LONGEST: Duration = Duration::from_mins(5);
/// The pause after a watch that the server ended.
const PAUSE: Duration = Duration::from_secs(1);

/// A Secret or ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Source {
    is_secret: bool,
    namespace: String,
    name: String,
}

/// The watches, by what is watched.
pub(super) struct Sources {
    client: Client,
    wakers: Arc<Wakers>,
    metrics: Arc<Metrics>,
    watched: Mutex<HashMap<Source, Watched>>,
}

struct Watched {
    readers: HashSet<Key>,
    task: AbortHandle,
}

impl Sources {
    pub(super) fn new(client: Client, wakers: Arc<Wakers>, metrics: Arc<Metrics>) -> Self {
        Self { client, wakers, metrics, watched: Mutex::default() }
    }

    /// Whether objects of a kind read any.
    pub(super) fn are_read_by(kind: &str) -> bool {
        let entry = REGISTRY.find(kind);
        entry.is_some_and(|entry| {
            entry.is_connection() || !entry.inputs.is_empty() || !entry.files.is_empty()
        })
    }

    /// Watches exactly what this object reads.
    pub(super) fn follow(self: &Arc<Self>, object: &Object) {
        let wanted = if object.is_deleting { HashSet::new() } else { sources(object) };
        self.replace(&object.key, wanted);
    }

    /// Forgets an object that is gone.
    pub(super) fn forget(self: &Arc<Self>, object: &Key) {
        self.replace(object, HashSet::new());
    }

    fn replace(self: &Arc<Self>, reader: &Key, wanted: HashSet<Source>) {
        let mut all = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|source, watched| {
            if !wanted.contains(source) {
                watched.readers.remove(reader);
            }
            if watched.readers.is_empty() {
                watched.task.abort();
            }
            !watched.readers.is_empty()
        });
        for source in wanted {
            let watched = all.entry(source.clone()).or_insert_with(|| {
                let task = tokio::spawn(self.clone().watch(source)).abort_handle();
                Watched { readers: HashSet::new(), task }
            });
            watched.readers.insert(reader.clone());
        }
    }

    /// Ends all watches.
    pub(super) fn stop(&self) {
        for (_, watched) in self.watched.lock().unwrap_or_else(PoisonError::into_inner).drain() {
            watched.task.abort();
        }
    }

    /// Number of entries, for metrics.
    pub(super) fn len(&self) -> usize {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn wake(&self, source: &Source) {
        let all = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        for reader in all.get(source).into_iter().flat_map(|w| &w.readers) {
            self.wakers.wake(reader);
        }
    }

    async fn watch(self: Arc<Self>, source: Source) {
        let kind = if source.is_secret { "Secret" } else { "ConfigMap" };
        let what = format!("watch {kind} {}/{}", source.namespace, source.name);
        supervise(self.metrics.clone(), "source", what.clone(), || async {
            let attempts = Attempts::new(what.clone(), self.metrics.clone(), LONGEST);
            if source.is_secret {
                self.watch_for_ever::<Secret>(&source, attempts).await;
            } else {
                self.watch_for_ever::<ConfigMap>(&source, attempts).await;
            }
        })
        .await;
    }

    async fn watch_for_ever<K: Watchable>(&self, source: &Source, mut attempts: Attempts) {
        let mut last = Last::default();
        loop {
            let pause = match self.watch_once::<K>(source, &mut last, &mut attempts).await {
                Ok(()) => PAUSE,
                Err(problem) => attempts.failed(&problem),
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Watches until the server ends it. Wakes the objects when the source's version is another
    /// one than the last.
    async fn watch_once<K: Watchable>(
        &self,
        source: &Source,
        last: &mut Last,
        attempts: &mut Attempts,
    ) -> Result<(), Problem> {
        let api = Api::<K>::namespaced(self.client.clone(), &source.namespace);
        // What happened since the last watch ended: a watch alone does not tell of a deletion.
        let found: Option<PartialObjectMeta<K>> =
            api.get_metadata_opt(&source.name).await.map_err(|e| Problem::from(&e))?;
        let version = found.and_then(|o| o.metadata.resource_version);
        let start = version.clone().unwrap_or_default();
        if last.is_news(version) {
            self.wake(source);
        }
        let params =
            WatchParams::default().fields(&format!("metadata.name={}", source.name)).timeout(290);
        let events = api.watch_metadata(&params, &start).await;
        let mut events = std::pin::pin!(events.map_err(|e| Problem::from(&e))?);
        attempts.succeeded();
        while let Some(event) = events.try_next().await.map_err(|e| Problem::from(&e))? {
            let version = match event {
                WatchEvent::Added(o) | WatchEvent::Modified(o) => o.metadata.resource_version,
                WatchEvent::Deleted(_) => None,
                WatchEvent::Bookmark(_) => continue,
                WatchEvent::Error(status) if status.code == 410 => return Ok(()),
                WatchEvent::Error(status) => return Err(Problem::from(&*status)),
            };
            if last.is_news(version) {
                self.wake(source);
            }
        }
        Ok(())
    }
}

trait Watchable:
    kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
    + Clone
    + std::fmt::Debug
    + serde::de::DeserializeOwned
    + Send
    + 'static
{
}

impl Watchable for Secret {}
impl Watchable for ConfigMap {}

/// What was last seen of a source: its version, or that it is not there.
#[derive(Default, PartialEq, Eq)]
enum Last {
    #[default]
    Unknown,
    Version(String),
    Absent,
}

impl Last {
    fn is_news(&mut self, version: Option<String>) -> bool {
        let now = version.map_or(Self::Absent, Self::Version);
        let is_news = *self != now;
        *self = now;
        is_news
    }
}

/// What an object reads. Who only observes sends nothing, and reads no secrets for that.
fn sources(object: &Object) -> HashSet<Source> {
    let source = |is_secret: bool, name: &str| Source {
        is_secret,
        namespace: object.key.namespace.clone(),
        name: name.to_owned(),
    };
    let Some(entry) = REGISTRY.find(object.key.kind) else { return HashSet::new() };
    if !entry.is_connection() {
        let inputs = entry.inputs.iter().filter(|_| !only_observes(&object.spec));
        let named = inputs.filter_map(|input| input.read(&object.spec).ok().flatten());
        let secrets = named.map(|value| source(true, &value.name));
        let files = entry.files.iter().filter_map(|file| file.read(&object.spec).ok().flatten());
        let files = files
            .map(|origin| source(matches!(origin, FileOrigin::Secret(_)), &origin.source().name));
        return secrets.chain(files).collect();
    }
    let Ok(spec) = REGISTRY.connection().read(&object.spec) else { return HashSet::new() };
    let credentials = source(true, &spec.credentials.secret().name);
    let ca = spec.ca.map(|ca| match ca {
        CaSource::Secret(value) => source(true, &value.name),
        CaSource::ConfigMap(value) => source(false, &value.name),
    });
    ca.into_iter().chain([credentials]).collect()
}
