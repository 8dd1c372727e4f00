//! One operator at a time: a Lease that is held while this process writes.
//!
//! Each write is guarded by its [`Fence`], which closes a third of the Lease's length before
//! another process may take the Lease: what is under way then is aborted, and what is on its way
//! has so long to arrive.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use k8s_openapi::{
    api::coordination::v1::{Lease as Object, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{Api, Client, api::PostParams};
use tokio::{sync::watch, time::Instant};

use super::{attempts::Attempts, health::Health, metrics::Metrics, problem::Problem};
use crate::{api::MANAGER, zitadel::Fence};

/// Parts of a Lease's length: after so much without renewal nothing is written any more; so often
/// it is renewed; so long an attempt may take; so often one that stands by looks whether it was
/// given back.
const VALID: f64 = 2.0 / 3.0;
const RENEWAL: f64 = 1.0 / 5.0;
const ATTEMPT: f64 = 1.0 / 3.0;
const LOOK: f64 = 1.0 / 30.0;

/// How often to look at the Lease of another operator.
pub(super) const LOOK_AT_OTHERS: Duration = Duration::from_millis(500);

/// A Lease, among all of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct LeaseId {
    pub(super) namespace: String,
    name: String,
}

impl LeaseId {
    /// As it displays itself. `None`: no Lease can have such a name.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_name = |text: &str| {
            let is_part = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
            text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(is_part)
        };
        let (namespace, name) = text.split_once('/')?;
        let is_id = is_name(namespace) && is_name(name);
        is_id.then(|| Self { namespace: namespace.into(), name: name.into() })
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

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
    /// Whether operators with other Leases may take Instances over once this one has run out.
    pub shares: bool,
}

/// What a process is among those that want the same Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    /// Not known yet.
    Starting,
    /// It writes.
    Leader,
    /// Another one does.
    Standby {
        /// Which.
        leader: String,
    },
    /// It can't take the Lease, or renew it. Nobody else is known to have it.
    Unable,
    /// It was the leader, and another one has been since, or may have been.
    Deposed,
}

/// The Lease of this process; without options it always counts as held.
pub(super) struct Lease {
    client: Client,
    options: Option<Options>,
    role: watch::Sender<Role>,
    /// Open while it is held.
    pub(super) fence: Fence,
}

/// What a Lease of somebody else looked like, and since when it has not changed by our own clock:
/// the other's clock may differ.
type Seen = Option<(String, Instant)>;

/// How an attempt came out.
enum Attempt {
    Held,
    /// By another process.
    Taken {
        leader: String,
        /// How long it is valid at least.
        left: Duration,
    },
    /// Somebody else wrote it at the same time.
    Again,
    /// It was ours, and is not any more.
    Lost,
}

impl Lease {
    pub(super) fn new(client: Client, fence: Fence, options: Option<Options>) -> Self {
        let role = if options.is_some() {
            fence.close();
            Role::Starting
        } else {
            Role::Leader
        };
        Self { client, options, role: watch::Sender::new(role), fence }
    }

    /// Whether this process may write now.
    pub(super) fn is_held(&self) -> bool {
        self.fence.is_open()
    }

    /// Which Lease it is, if there is one.
    pub(super) fn id(&self) -> Option<LeaseId> {
        let options = self.options.as_ref()?;
        let namespace = options.namespace.as_deref().unwrap_or(self.client.default_namespace());
        Some(LeaseId { namespace: namespace.into(), name: options.name.clone() })
    }

    /// What is known of this process.
    pub(super) fn role(&self) -> Role {
        self.role.borrow().clone()
    }

    /// In one line who else holds it, if this process stands by.
    pub(super) fn standby(&self) -> Option<String> {
        match (&*self.role.borrow(), &self.options) {
            (Role::Standby { leader }, Some(options)) => {
                Some(format!("standby: {leader} holds the Lease {}", options.name))
            }
            _ => None,
        }
    }

    /// Returns once the role is such a one.
    pub(super) async fn wait_until(&self, is_it: impl Fn(&Role) -> bool) {
        // The sender is its own.
        self.role.subscribe().wait_for(is_it).await.ok();
    }

    fn set(&self, role: Role) {
        let former = self.role.send_replace(role.clone());
        if former == role {
            return;
        }
        match role {
            Role::Leader => tracing::info!("this operator holds the Lease"),
            Role::Standby { leader } => {
                tracing::info!(
                    leader,
                    "standby: another operator holds the Lease; this one writes nothing"
                );
            }
            Role::Unable | Role::Deposed if former == Role::Leader => {
                tracing::warn!("this operator does not hold the Lease any more");
            }
            _ => {}
        }
    }

    /// Takes it, or waits until it can be taken, and renews it until it is aborted, or another
    /// process has it.
    pub(super) async fn hold(&self, health: Arc<Health>, metrics: Arc<Metrics>) {
        let Some(options) = &self.options else { return };
        if self.role() == Role::Starting {
            health.not_ready("lease", format!("waiting for the Lease {}", options.name));
        }
        let part = |part: f64| options.duration.mul_f64(part);
        let api = api(&self.client, options);
        let what = format!("hold the Lease {}", options.name);
        let mut attempts = Attempts::new(what, metrics, part(RENEWAL));
        let mut seen = None;
        let mut was_held = false;
        loop {
            let start = Instant::now();
            let attempt = attempt(&api, options, was_held, &mut seen);
            let pause = match tokio::time::timeout(part(ATTEMPT), attempt).await {
                Ok(Ok(Attempt::Held)) => {
                    attempts.succeeded();
                    // Another shard may have taken Instances over meanwhile, and what is under way
                    // does not know.
                    if was_held && options.shares && !self.is_held() {
                        self.fence.close();
                        return self.set(Role::Deposed);
                    }
                    was_held = true;
                    // Others count from later on.
                    self.fence.open_until(start + part(VALID));
                    self.set(Role::Leader);
                    health.ready("lease");
                    part(RENEWAL)
                }
                Ok(Ok(Attempt::Taken { leader, left })) => {
                    attempts.succeeded();
                    self.set(Role::Standby { leader });
                    health.ready("lease");
                    part(LOOK).min(left)
                }
                Ok(Ok(Attempt::Lost)) => {
                    self.fence.close();
                    return self.set(Role::Deposed);
                }
                Ok(Ok(Attempt::Again)) => part(LOOK),
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
            self.set(Role::Unable);
            health.not_ready("lease", format!("can't {}: {problem}", attempts.what()));
        }
        attempts.failed(problem)
    }

    /// Lets the next process take it at once. Nothing may be under way any more.
    pub(super) async fn release(&self) {
        let Some(options) = self.options.as_ref().filter(|_| self.is_held()) else { return };
        self.fence.close();
        let api = api(&self.client, options);
        let Ok(Some(mut lease)) = api.get_opt(&options.name).await else { return };
        if let Some(spec) = lease.spec.as_mut().filter(|s| holder(s) == Some(&options.identity)) {
            spec.holder_identity = None;
            match api.replace(&options.name, &params(), &lease).await {
                Ok(_) => tracing::info!("the Lease is released"),
                Err(e) => {
                    tracing::debug!(error = %Problem::from(&e), "the Lease was not released");
                }
            }
        }
    }
}

async fn attempt(
    api: &Api<Object>,
    me: &Options,
    was_held: bool,
    seen: &mut Seen,
) -> Result<Attempt, Problem> {
    let found = api.get_opt(&me.name).await.map_err(|e| Problem::from(&e))?;
    let mut lease = found.unwrap_or_else(|| Object {
        metadata: ObjectMeta { name: Some(me.name.clone()), ..ObjectMeta::default() },
        spec: None,
    });
    let former = lease.spec.take().unwrap_or_default();
    let version = lease.metadata.resource_version.clone();
    let is_mine = holder(&former) == Some(&me.identity);
    // Others may have written meanwhile, whoever holds it now.
    if was_held && !is_mine {
        return Ok(Attempt::Lost);
    }
    if let Some(leader) = holder(&former).filter(|_| !is_mine) {
        let left = left(Some(&former), version.clone(), seen, me.duration);
        if !left.is_zero() {
            return Ok(Attempt::Taken { leader: leader.clone(), left });
        }
        tracing::warn!(lease = me.name, holder = leader, "the Lease of another operator expired");
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

/// How long a Lease of another process is valid at least; one that does not say its length is taken
/// for one of the `unknown`.
fn left(
    spec: Option<&LeaseSpec>,
    version: Option<String>,
    seen: &mut Seen,
    unknown: Duration,
) -> Duration {
    let version = version.unwrap_or_default();
    let since = match seen {
        Some((last, since)) if *last == version => *since,
        _ => seen.insert((version, Instant::now())).1,
    };
    let life = spec.and_then(|spec| u64::try_from(spec.lease_duration_seconds?).ok());
    life.map_or(unknown, Duration::from_secs).saturating_sub(since.elapsed())
}

/// The Leases of other operators, as far as they are asked for.
pub(super) struct Others {
    client: Client,
    /// The length of a Lease that does not say it.
    length: Duration,
    seen: HashMap<LeaseId, Seen>,
}

impl Others {
    pub(super) fn new(client: Client, own: Option<&Options>) -> Self {
        let length = own.map_or(Duration::ZERO, |own| own.duration);
        Self { client, length, seen: HashMap::new() }
    }

    /// How long somebody holds a Lease at least. Of one that was deleted it is not known: its
    /// holder may not have noticed.
    pub(super) async fn left(&mut self, id: &LeaseId) -> Result<Duration, Problem> {
        let api = Api::<Object>::namespaced(self.client.clone(), &id.namespace);
        let found = api.get_opt(&id.name).await.map_err(|e| Problem::from(&e))?;
        let version = found.as_ref().and_then(|lease| lease.metadata.resource_version.clone());
        let spec = found.and_then(|lease| lease.spec);
        if spec.as_ref().is_some_and(|spec| holder(spec).is_none()) {
            return Ok(Duration::ZERO);
        }
        let seen = self.seen.entry(id.clone()).or_default();
        Ok(left(spec.as_ref(), version, seen, self.length))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_lease_is_asked_for() {
        let id = LeaseId::parse("kastellan-system/kastellan-eu").expect("a name");
        assert_eq!(id.to_string(), "kastellan-system/kastellan-eu");
        for text in ["", "kastellan", "a/", "/a", "a/b/c", "a/../secrets/b", "a/..", "a/b?x=y"] {
            assert_eq!(LeaseId::parse(text), None, "{text}");
        }
    }
}
