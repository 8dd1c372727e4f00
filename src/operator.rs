//! The operator: one watch and one controller a kind, for all kinds alike. What is done with an
//! object is the engine's; here is what Kubernetes adds: watches, finalizers, status, events,
//! health, metrics, shutdown.

mod admin;
mod context;
mod controller;
mod events;
mod feed;
mod host;
mod metrics;
mod reconcile;
mod sources;

use std::{net::SocketAddr, sync::Arc};

use futures::future::join_all;
use kube::Client;
use tokio::sync::watch;

use crate::{api, kinds, live::feed::ReportEditors, zitadel::AddressPolicy};
use context::Context;

/// What the operator is told when it starts.
#[derive(Debug, Clone)]
pub struct Options {
    /// Namespaces to watch; empty: all.
    pub namespaces: Vec<String>,
    /// What may be connected to.
    pub addresses: AddressPolicy,
    /// Where health and metrics are served.
    pub admin: SocketAddr,
    /// How editors are named in reports.
    pub editors: ReportEditors,
    /// Whether what is declared nowhere is counted.
    pub count_unmanaged: bool,
    /// How long a deletion waits for another object that declares the same thing.
    pub grace: std::time::Duration,
}

/// Why the operator stopped, or did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No way to the API server.
    #[error("no connection to Kubernetes: {0}")]
    Kubernetes(#[from] Box<kube::Error>),
    /// The admin port is taken.
    #[error("can't listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
}

/// Runs until `stop` says true, then lets what is being written come to its end.
pub async fn run(
    client: Client,
    options: Options,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Error> {
    let listener = tokio::net::TcpListener::bind(options.admin)
        .await
        .map_err(|e| Error::Listen(options.admin, e))?;
    let (context, wakes) = Context::new(client.clone(), options);
    let admin =
        tokio::spawn(admin::serve(listener, context.health.clone(), context.metrics.clone()));
    tracing::info!(address = %context.options.admin, "health and metrics are served");
    tokio::select! {
        () = wait_for_crds(&client, &context) => {}
        _ = stop.wait_for(|s| *s) => return Ok(()),
    }
    let namespaces = tokio::spawn(host::follow_namespaces(client.clone(), context.host.clone()));
    let controllers = wakes
        .into_iter()
        .map(|(entry, wake)| controller::run(context.clone(), entry, wake, stop.clone()));
    let readiness = tokio::spawn(report_ready(context.clone()));
    join_all(controllers).await;
    tracing::info!("drained");
    for task in [admin, namespaces, readiness] {
        task.abort();
    }
    context.stop_tasks();
    Ok(())
}

/// Without a kind's CRD its watch could only fail: wait, and say for which.
async fn wait_for_crds(client: &Client, context: &Arc<Context>) {
    loop {
        let missing: Vec<String> = match client.list_api_group_resources(&api::api_version()).await
        {
            Ok(served) => {
                let is_served = |plural: &str| served.resources.iter().any(|r| r.name == plural);
                kinds::ALL
                    .iter()
                    .map(|e| e.names().plural)
                    .filter(|p| !is_served(p))
                    .map(|p| format!("{p}.{}", api::GROUP))
                    .collect()
            }
            Err(kube::Error::Api(s)) if s.code == 404 => {
                kinds::ALL.iter().map(|e| format!("{}.{}", e.names().plural, api::GROUP)).collect()
            }
            Err(e) => vec![format!("(Kubernetes does not answer: {e})")],
        };
        if missing.is_empty() {
            return;
        }
        let waiting = format!("waiting for CustomResourceDefinitions: {}", missing.join(", "));
        if context.health.waiting_for(&waiting) {
            tracing::warn!(missing = missing.join(", "), "waiting for CustomResourceDefinitions");
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}

/// Ready as soon as every kind has been listed once.
async fn report_ready(context: Arc<Context>) {
    context.health.waiting_for("waiting for the first list of every kind");
    context.host.wait_until_listed().await;
    context.health.ready();
    tracing::info!("ready");
    context.wake_some(context.host.keys()).await;
}
