//! One operator at a time: a Lease that is held while this process writes.
//!
//! It keeps two processes from fighting; it does not fence off a write that is under way when the
//! Lease is lost.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::{
    api::coordination::v1::{Lease as Object, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{Api, Client, api::PostParams};
use tokio::{sync::watch, time::Instant};

use super::{attempts::Attempts, health::Health, metrics::Metrics, problem::Problem};
use crate::api::MANAGER;

/// Which Lease is held, and as whom.
#[derive(Debug, Clone)]
pub struct Options {
    /// Namespace of the Lease; `None`: the client's default.
    pub namespace: Option<String>,
    /// Name of the Lease.
    pub name: String,
    /// This process. Two that run at the same time have different ones.
    pub identity: String,
    /// How long after the last renewal another process may take it.
    pub duration: Duration,
}

/// The Lease of this process; without options it always counts as held.
pub(super) struct Lease {
    options: Option<Options>,
    /// Until when it is held.
    until: Mutex<Option<Instant>>,
    held: watch::Sender<bool>,
}

/// What a Lease of somebody else looked like, and since when it has not changed by our own clock:
/// the other's clock may differ.
type Seen = Option<(String, Instant)>;

/// How an attempt came out.
enum Attempt {
    Held,
    /// By another process.
    Taken(String),
    /// Somebody else wrote it at the same time.
    Again,
}

impl Lease {
    pub(super) fn new(options: Option<Options>) -> Self {
        let held = watch::Sender::new(options.is_none());
        Self { options, until: Mutex::default(), held }
    }

    /// Whether this process may write now.
    pub(super) fn is_held(&self) -> bool {
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        self.options.is_none() || until.is_some_and(|until| Instant::now() < until)
    }

    /// Returns when it is held, or not held any more.
    pub(super) async fn wait_until(&self, held: bool) {
        // The sender is its own.
        self.held.subscribe().wait_for(|now| *now == held).await.ok();
    }

    fn set(&self, until: Option<Instant>) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
        let held = until.is_some();
        match (self.held.send_replace(held), held) {
            (false, true) => tracing::info!("this operator holds the Lease"),
            (true, false) => tracing::info!("this operator does not hold the Lease any more"),
            _ => {}
        }
    }

    /// Takes it, or waits until it can be taken, and renews it until it is aborted.
    pub(super) async fn hold(&self, client: Client, health: Arc<Health>, metrics: Arc<Metrics>) {
        let Some(options) = &self.options else { return };
        health.not_ready("lease", format!("waiting for the Lease {}", options.name));
        let api = api(&client, options);
        let pause = options.duration / 3;
        let what = format!("hold the Lease {}", options.name);
        let mut attempts = Attempts::new(what, metrics, pause);
        let mut seen = None;
        let mut other = None;
        loop {
            let start = Instant::now();
            let attempt = tokio::time::timeout(pause, attempt(&api, options, &mut seen)).await;
            let pause = match attempt {
                Ok(Ok(Attempt::Held)) => {
                    attempts.succeeded();
                    other = None;
                    // A little earlier than others may take it.
                    self.set(Some(start + options.duration.mul_f64(0.9)));
                    health.ready("lease");
                    pause
                }
                Ok(Ok(Attempt::Taken(identity))) => {
                    attempts.succeeded();
                    self.set(None);
                    health.not_ready("lease", format!("another operator is at work: {identity} holds the Lease {}; this one writes nothing", options.name));
                    if other.as_ref() != Some(&identity) {
                        tracing::error!(
                            lease = options.name,
                            holder = identity,
                            "another operator is at work; this one writes nothing until that one has ended"
                        );
                    }
                    other = Some(identity);
                    pause
                }
                Ok(Ok(Attempt::Again)) => Duration::from_millis(100),
                Ok(Err(problem)) => self.failed(&mut attempts, &health, &problem),
                Err(_) => {
                    let e = kube::Error::Service("the API server does not answer".into());
                    self.failed(&mut attempts, &health, &Problem::from(&e))
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    fn failed(&self, attempts: &mut Attempts, health: &Health, problem: &Problem) -> Duration {
        if !self.is_held() {
            self.set(None);
            health.not_ready("lease", format!("can't {}: {problem}", attempts.what()));
        }
        attempts.failed(problem)
    }

    /// Lets the next process take it at once.
    pub(super) async fn release(&self, client: &Client) {
        let Some(options) = self.options.as_ref().filter(|_| self.is_held()) else { return };
        self.set(None);
        let api = api(client, options);
        let Ok(Some(mut lease)) = api.get_opt(&options.name).await else { return };
        if let Some(spec) = lease.spec.as_mut().filter(|s| holder(s) == Some(&options.identity)) {
            spec.holder_identity = None;
            if let Err(e) = api.replace(&options.name, &params(), &lease).await {
                tracing::debug!(error = %Problem::from(&e), "the Lease was not released");
            }
        }
    }
}

async fn attempt(api: &Api<Object>, me: &Options, seen: &mut Seen) -> Result<Attempt, Problem> {
    let found = api.get_opt(&me.name).await.map_err(|e| Problem::from(&e))?;
    let mut lease = found.unwrap_or_else(|| Object {
        metadata: ObjectMeta { name: Some(me.name.clone()), ..ObjectMeta::default() },
        spec: None,
    });
    let former = lease.spec.take().unwrap_or_default();
    let version = lease.metadata.resource_version.clone();
    let is_mine = holder(&former) == Some(&me.identity);
    if let Some(identity) = holder(&former).filter(|_| !is_mine) {
        let version = version.clone().unwrap_or_default();
        let since = match seen {
            Some((last, since)) if *last == version => *since,
            _ => seen.insert((version, Instant::now())).1,
        };
        let life = former.lease_duration_seconds.and_then(|s| u64::try_from(s).ok());
        if since.elapsed() < life.map_or(me.duration, Duration::from_secs) {
            return Ok(Attempt::Taken(identity.clone()));
        }
        tracing::warn!(lease = me.name, holder = identity, "the Lease of another operator expired");
    }
    let now = MicroTime(Timestamp::now());
    let transitions = former.lease_transitions.unwrap_or_default();
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(me.identity.clone()),
        lease_duration_seconds: Some(i32::try_from(me.duration.as_secs()).unwrap_or(i32::MAX)),
        acquire_time: former.acquire_time.filter(|_| is_mine).or_else(|| Some(now.clone())),
        renew_time: Some(now),
        lease_transitions: Some(if is_mine { transitions } else { transitions.saturating_add(1) }),
        ..former
    });
    // With its resource version, so that of two that take it at the same time one fails.
    let written = match version {
        Some(_) => api.replace(&me.name, &params(), &lease).await,
        None => api.create(&params(), &lease).await,
    };
    match written.map_err(|e| Problem::from(&e)) {
        Ok(_) => Ok(Attempt::Held),
        Err(problem) if problem.code == Some(409) => Ok(Attempt::Again),
        Err(problem) => Err(problem),
    }
}

fn holder(spec: &LeaseSpec) -> Option<&String> {
    spec.holder_identity.as_ref().filter(|identity| !identity.is_empty())
}

fn api(client: &Client, options: &Options) -> Api<Object> {
    match &options.namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::default_namespaced(client.clone()),
    }
}

fn params() -> PostParams {
    PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() }
}
