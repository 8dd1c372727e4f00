//! Labels of namespaces, for the selectors of `allowedNamespaces` and `instanceScope`.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, ResourceExt,
    core::PartialObjectMeta,
    runtime::watcher::{self, Event, watcher},
};
use tokio::sync::watch;

use super::{attempts::Attempts, metrics::Metrics, problem::Problem};

type Labels = BTreeMap<String, String>;

/// Failures in a row after which the labels count as unknown.
const GIVE_UP: u32 = 5;
/// The longest pause between attempts.
const LONGEST: Duration = Duration::from_mins(1);

/// The labels of all namespaces, as far as they may be read.
#[derive(Default)]
pub(super) struct Namespaces {
    labels: RwLock<HashMap<String, Labels>>,
    /// Whether they were listed once, or can't be.
    settled: watch::Sender<bool>,
}

impl Namespaces {
    /// The labels of a namespace; none where it is not known.
    pub(super) fn labels(&self, namespace: &str) -> Labels {
        let all = self.labels.read().unwrap_or_else(PoisonError::into_inner);
        all.get(namespace).cloned().unwrap_or_default()
    }

    /// Returns when they were listed once, or can't be.
    pub(super) async fn wait_until_settled(&self) {
        // The sender is its own.
        self.settled.subscribe().wait_for(|settled| *settled).await.ok();
    }

    /// Sets the labels of a namespace. Returns whether they are others than before.
    fn set(&self, namespace: String, labels: Labels) -> bool {
        let mut all = self.labels.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = all.get(&namespace).map_or(!labels.is_empty(), |former| *former != labels);
        all.insert(namespace, labels);
        is_new
    }

    fn remove(&self, namespace: &str) {
        self.labels.write().unwrap_or_else(PoisonError::into_inner).remove(namespace);
    }

    fn retain(&self, listed: &HashSet<String>) {
        let mut all = self.labels.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|namespace, _| listed.contains(namespace));
    }

    fn is_settled(&self) -> bool {
        *self.settled.borrow()
    }
}

/// Follows the labels. `changed` is told the namespaces whose labels changed.
pub(super) async fn follow<F: Future<Output = ()>>(
    client: Client,
    namespaces: Arc<Namespaces>,
    metrics: Arc<Metrics>,
    changed: impl Fn(String) -> F,
) {
    let api = Api::<PartialObjectMeta<Namespace>>::all(client);
    let what = "watch the labels of namespaces".into();
    let mut attempts = Attempts::new(what, metrics, LONGEST);
    let mut failures = 0;
    loop {
        let mut listed = HashSet::new();
        let mut events = watcher(api.clone(), watcher::Config::default()).boxed();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    if let Some(name) = apply(&namespaces, &mut listed, event)
                        && namespaces.is_settled()
                    {
                        changed(name).await;
                    }
                }
                Err(e) => {
                    let problem = Problem::from(&e);
                    if problem.is_expired() {
                        continue;
                    }
                    failures += 1;
                    if (problem.is_permanent() || failures >= GIVE_UP)
                        && !namespaces.settled.send_replace(true)
                    {
                        tracing::warn!(error = %problem, "labels of namespaces can't be read: selectors in allowedNamespaces and instanceScope match nothing");
                    }
                    let pause = attempts.failed(&problem);
                    tokio::time::sleep(pause).await;
                    // What was refused tells nothing when it is granted: only a new list does.
                    if problem.is_permanent() {
                        break;
                    }
                    continue;
                }
            }
            failures = 0;
            attempts.succeeded();
        }
    }
}

/// Takes an event over. Returns a namespace whose labels changed.
fn apply(
    namespaces: &Namespaces,
    listed: &mut HashSet<String>,
    event: Event<PartialObjectMeta<Namespace>>,
) -> Option<String> {
    let (name, labels) = match event {
        Event::Init => {
            listed.clear();
            return None;
        }
        Event::InitApply(ns) => {
            listed.insert(ns.name_any());
            (ns.name_any(), ns.labels().clone())
        }
        Event::InitDone => {
            namespaces.retain(listed);
            namespaces.settled.send_replace(true);
            return None;
        }
        Event::Apply(ns) => (ns.name_any(), ns.labels().clone()),
        Event::Delete(ns) => {
            namespaces.remove(&ns.name_any());
            return None;
        }
    };
    namespaces.set(name.clone(), labels).then_some(name)
}
