//! A watch of the Secrets that objects wrote: whatever others do to them is noticed. It does not need
//! the right to list Secrets.

use std::{sync::Arc, time::Duration};

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt,
    api::WatchParams,
    core::{PartialObjectMeta, WatchEvent},
};

use super::{
    attempts::Attempts,
    context::Context,
    output::{LABEL, OWNER},
    problem::Problem,
    tasks::supervise,
};
use crate::{contract::Key, kinds::REGISTRY};

/// The longest pause before a watch that failed is tried again.
const LONGEST: Duration = Duration::from_mins(5);

/// Watches the Secrets that are objects' own, once one is declared: in these namespaces, or in all
/// if there are none. Wakes the objects.
pub(super) async fn follow(context: Arc<Context>) {
    let mut needed = context.host.outputs.subscribe();
    if needed.wait_for(|needed| *needed).await.is_err() {
        return;
    }
    let mut namespaces: Vec<Option<String>> =
        context.options.namespaces.iter().cloned().map(Some).collect();
    if namespaces.is_empty() {
        namespaces.push(None);
    }
    let of = |namespace: Option<String>| {
        let (context, metrics) = (context.clone(), context.metrics.clone());
        let subject = namespace.clone().unwrap_or_else(|| "all namespaces".into());
        supervise(metrics, "outputs", subject, move || watch(context.clone(), namespace.clone()))
    };
    futures::future::join_all(namespaces.into_iter().map(of)).await;
}

async fn watch(context: Arc<Context>, namespace: Option<String>) {
    let api: Api<Secret> = match &namespace {
        Some(namespace) => Api::namespaced(context.host.client.clone(), namespace),
        None => Api::all(context.host.client.clone()),
    };
    let what = format!("watch Secrets of {}", namespace.as_deref().unwrap_or("all namespaces"));
    let mut attempts = Attempts::new(what, context.metrics.clone(), LONGEST);
    loop {
        let pause = match watch_once(&context, &api, &mut attempts).await {
            Ok(()) => Duration::ZERO,
            Err(problem) => attempts.failed(&problem),
        };
        tokio::time::sleep(pause).await;
    }
}

/// Watches until the server ends it. Without a version to start from it begins with everything that
/// there is; what is gone by then is noticed when its object is looked at.
async fn watch_once(
    context: &Context,
    api: &Api<Secret>,
    attempts: &mut Attempts,
) -> Result<(), Problem> {
    let params = WatchParams::default().labels(&format!("{}={}", LABEL.0, LABEL.1)).timeout(290);
    let mut last = String::new();
    loop {
        let events = api.watch_metadata(&params, &last).await;
        let mut events = std::pin::pin!(events.map_err(|e| Problem::from(&e))?);
        attempts.succeeded();
        while let Some(event) = events.try_next().await.map_err(|e| Problem::from(&e))? {
            match event {
                WatchEvent::Added(secret)
                | WatchEvent::Modified(secret)
                | WatchEvent::Deleted(secret) => {
                    last = secret.metadata.resource_version.clone().unwrap_or_default();
                    wake(context, &secret);
                }
                WatchEvent::Bookmark(bookmark) => last = bookmark.metadata.resource_version,
                WatchEvent::Error(status) if status.code == 410 => return Ok(()),
                WatchEvent::Error(status) => return Err(Problem::from(&*status)),
            }
        }
    }
}

/// Wakes the object that a Secret says to be of.
fn wake(context: &Context, secret: &PartialObjectMeta<Secret>) {
    let Some((kind, name)) = secret.annotations().get(OWNER).and_then(|o| o.split_once('/')) else {
        return;
    };
    let (Some(entry), Some(namespace)) = (REGISTRY.find(kind), secret.namespace()) else { return };
    context.wake(&Key { kind: entry.kind(), namespace, name: name.to_owned() });
}
