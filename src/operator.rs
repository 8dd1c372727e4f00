//! The operator: watches and one controller of each kind, for all kinds alike. What is done with an
//! object is the engine's; here is what Kubernetes adds: watches, finalizers, status, events,
//! health, metrics, shutdown.
//!
//! The modules depend on earlier ones only, in this order: `selector`, `pauses`, `problem`, `packed`, `health`,
//! `metrics`; `attempts`, `tasks`, `wakers`, `references`, `followers`, `readiness`, `stores`; `snapshot`;
//! `permits`, `namespaces`, `sources`, `lease`, `connection`, `host`; `events`, `finalizer`, `shards`;
//! `context`; `report`, `watch`, `feed`, `overview`, `status_page`, `admin`, `sharing`; `reconcile`; `controller`.

mod admin;
mod attempts;
mod connection;
mod context;
mod controller;
mod events;
mod feed;
mod finalizer;
mod followers;
mod health;
mod host;
mod lease;
mod metrics;
mod namespaces;
mod options;
mod output;
mod outputs;
mod overview;
mod packed;
mod pauses;
mod permits;
mod problem;
mod readiness;
mod reconcile;
mod references;
mod report;
mod selector;
mod shards;
mod sharing;
mod snapshot;
mod sources;
mod status_page;
mod stores;
mod tasks;
mod wakers;
mod watch;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::{sync::watch::Receiver, task::JoinSet};

pub use self::{
    connection::Connection,
    lease::Options as LeaseOptions,
    options::Options,
    selector::selector,
    snapshot::{Objects, objects},
};
use self::{
    context::Context,
    lease::Role,
    problem::Problem,
    tasks::{catch_now, supervise},
};
use crate::{api, engine::consent::Consents, kinds::REGISTRY};

/// How long what is under way may take to end after the signal to stop: with releasing the Lease,
/// less than five seconds.
const DRAIN: Duration = Duration::from_secs(4);
/// How long releasing the Lease may take.
const RELEASE: Duration = Duration::from_millis(500);

/// Why the operator stopped, or did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The admin port is taken.
    #[error("can't listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// Another operator has taken the Lease since this one had it, or Instances while it had run
    /// out. What this one knows is not true any more: it starts again.
    #[error(
        "another operator has taken the Lease, or may have while it had run out: this one ends, and \
         looks at everything anew when it is started again"
    )]
    Deposed,
}

/// Runs until `stop` says true, then lets what is being written come to its end: for four seconds,
/// whatever state it is in. Ends too when another operator has taken its Lease.
pub async fn run(
    connection: Connection,
    options: Options,
    stop: Receiver<bool>,
) -> Result<(), Error> {
    let listener = tokio::net::TcpListener::bind(options.admin)
        .await
        .map_err(|e| Error::Listen(options.admin, e))?;
    let context = Arc::new(Context::new(&connection, options, stop));
    // What it starts ends with it.
    let _tasks = StopTasks(context.clone());
    let mut beside = JoinSet::new();
    beside.spawn(admin::serve(listener, context.clone()));
    tracing::info!(address = %context.options.admin, "health and metrics are served");
    let stopped = context.stopped();
    let mut work = Box::pin(work(context.clone(), &mut beside));
    let is_drained = tokio::select! {
        () = &mut work => true,
        () = context.lease.wait_until(|role| *role == Role::Deposed) => return Err(Error::Deposed),
        () = stopped => tokio::time::timeout(DRAIN, &mut work).await.is_ok(),
    };
    drop(work);
    // Nothing takes the Lease again.
    beside.shutdown().await;
    if is_drained {
        tracing::info!("drained");
        tokio::time::timeout(RELEASE, context.lease.release()).await.ok();
    } else {
        // A write that was under way may still take effect: nobody else may begin before that.
        tracing::warn!(
            "what was under way did not end in time; the next start looks at everything again"
        );
    }
    Ok(())
}

struct StopTasks(Arc<Context>);

impl Drop for StopTasks {
    fn drop(&mut self) {
        self.0.stop_tasks();
    }
}

/// Returns when the operator has to stop and all reconciles have ended.
async fn work(context: Arc<Context>, beside: &mut JoinSet<()>) {
    tokio::select! {
        () = wait_for_crds(&context) => {}
        () = context.stopped() => return,
    }
    start(beside, &context, "lease", "Lease".into(), |c| async move {
        c.lease.hold(c.health.clone(), c.metrics.clone()).await;
    });
    tokio::select! {
        () = context.lease.wait_until(|role| *role != Role::Starting) => {}
        () = context.stopped() => return,
    }
    // What is listed from now on is what the former leader left.
    let lists_count = context.lease.role() == Role::Leader;
    start(beside, &context, "namespaces", "Namespaces".into(), |c| async move {
        let (client, metrics) = (c.host.client.clone(), c.metrics.clone());
        let changed = |namespace| {
            let c = c.clone();
            async move { c.wake_namespace(namespace).await }
        };
        namespaces::follow(client, c.host.namespaces.clone(), metrics, changed).await;
    });
    start(beside, &context, "outputs", "Secrets".into(), outputs::follow);
    for watched in context.host.stores.watches() {
        let subject = format!("{} {}", watched.0, watched.1.as_deref().unwrap_or_default());
        start(beside, &context, "watch", subject, move |c| watch::run(c, watched.clone()));
    }
    start(beside, &context, "opening", "Reconciles".into(), move |c| open(c, lists_count));
    start(beside, &context, "shards", "Instances".into(), sharing::follow);
    let metrics = &context.metrics;
    let controllers = REGISTRY.all().map(|entry| {
        let (kind, context) = (entry.kind(), context.clone());
        let run = move || controller::run(context.clone(), kind);
        supervise(metrics.clone(), "controller", kind.to_owned(), run)
    });
    join_all(controllers).await;
}

/// Starts a task beside the controllers; when it panics, again.
fn start<F>(
    tasks: &mut JoinSet<()>,
    context: &Arc<Context>,
    task: &'static str,
    subject: String,
    run: impl Fn(Arc<Context>) -> F + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let (context, metrics) = (context.clone(), context.metrics.clone());
    tasks.spawn(supervise(metrics, task, subject, move || run(context.clone())));
}

/// Without a kind's CRD its watch could only fail: waits, and says for which.
async fn wait_for_crds(context: &Context) {
    let all = || REGISTRY.all().map(|e| e.plural);
    loop {
        let served = context.host.client.list_api_group_resources(&api::api_version()).await;
        let why = match served.as_ref().map_err(Problem::from) {
            Ok(served) => missing(all().filter(|p| !served.resources.iter().any(|r| r.name == *p))),
            Err(problem) if problem.code == Some(404) => missing(all()),
            Err(problem) => Some(format!("can't discover the custom resources: {problem}")),
        };
        let Some(why) = why else { break };
        if context.health.not_ready("start", why.clone()) {
            tracing::warn!(why, "not ready");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn missing<'a>(plurals: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: Vec<String> = plurals.map(|p| format!("{p}.{}", api::GROUP)).collect();
    let waits = format!("waiting for CustomResourceDefinitions: {}", names.join(", "));
    (!names.is_empty()).then_some(waits)
}

/// Lets objects be reconciled when all are known, while this process is the one that writes.
/// `lists_count`: nobody else wrote since the first lists began.
async fn open(context: Arc<Context>, mut lists_count: bool) {
    let stores = &context.host.stores;
    context.health.not_ready("start", "waiting for the first list of every kind".into());
    stores.wait_until_listed().await;
    context.health.not_ready("start", "waiting for the labels of namespaces".into());
    context.host.namespaces.wait_until_settled().await;
    context.health.ready("start");
    loop {
        context.lease.wait_until(|role| *role == Role::Leader).await;
        if !std::mem::replace(&mut lists_count, true) {
            // A watch may not have brought yet what the former leader wrote last, such as the id of
            // something that it created.
            stores.list_again();
            stores.wait_until_listed().await;
        }
        // Before anything is reconciled: a younger object can't take what an older one has.
        for (_, object) in stores.keys().iter().filter_map(|key| stores.newest(key)) {
            let remember = || {
                context.engine.remember_claims(&context.host, &object);
                // A parent that is being deleted waits for its children.
                let consents = Consents { registry: &REGISTRY, host: &context.host };
                context.host.references.set(&object.key, consents.references(&object));
            };
            catch_now(&context.metrics, "claims", &object.key.to_string(), remember);
        }
        context.shards.resume(&context.host);
        context.open(true);
        context.shards.changed();
        tracing::info!(objects = stores.len(), "ready");
        // Once more: what came meanwhile was not woken.
        let keys = stores.keys();
        context.wakers.wake_gradually(keys).await;
        context.lease.wait_until(|role| *role != Role::Leader).await;
        context.open(false);
    }
}
