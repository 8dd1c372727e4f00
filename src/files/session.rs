//! A folder and its connections: planned and applied by the same engine that the operator uses.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt, stream};
use serde_json::{Value, json};

use super::{
    FileHost, Folder,
    environment::Environment,
    manifest::NAMESPACE,
    output::Outlet,
    step::{Failure, Need},
};
use crate::{
    api::{
        instance::InstanceDetails,
        status::{Reason, Status},
    },
    contract::{Key, Object},
    engine::{
        Engine, Error,
        consent::Consents,
        error::{OutputError, Waiting},
        host::Host,
        reconcile::reconcile,
        report::Outcome,
        unmanaged::{Unmanaged, unmanaged},
    },
    kinds::REGISTRY,
};

/// Instances that are connected at once.
const CONNECT_AT_ONCE: usize = 16;

/// The pauses after which a server that is down is asked once more.
const BLIPS: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(700)];

/// A folder, the engine, and what is between them.
pub struct Session {
    pub(super) engine: Engine,
    pub(super) host: FileHost,
    /// Instances that are not declared but come from the environment; all mean the same.
    implied: Vec<Key>,
}

/// Why a folder can't be worked with.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NoConnection {
    /// No Instance and nothing in the environment.
    #[error(
        "nothing says where ZITADEL is: there is no Instance in these files, and neither --issuer nor ZITADEL_ISSUER is given"
    )]
    Nowhere,
    /// An issuer without credentials.
    #[error(
        "the issuer is given, but neither the environment variable ZITADEL_TOKEN nor a key file"
    )]
    NoCredentials,
    /// Several Instances and one environment.
    #[error("the environment names one ZITADEL, and these files have {0} Instances")]
    Ambiguous(usize),
}

impl Session {
    /// A session of a folder. `engine` says how to connect.
    pub fn new(
        folder: &Folder,
        secret_dir: Option<PathBuf>,
        environment: &Environment,
        engine: Engine,
    ) -> Result<Self, NoConnection> {
        let host = FileHost::new(folder, secret_dir, environment.clone());
        let implied = connect_by(&host, environment)?;
        Ok(Self { engine, host, implied })
    }

    /// Writes the Secrets that objects declare to there.
    pub fn write_secrets_to(&mut self, outlet: Arc<Outlet>) {
        self.host.secrets_to = Some(outlet);
    }

    /// Sends the secrets that objects name to what exists too, where nobody knows whether it has
    /// them.
    pub fn send_secrets(&mut self) {
        self.host.sends_secrets = true;
    }

    /// Goes on with another state of the folder, with the same connections; what is remembered of
    /// objects that stay is kept. An Instance that is gone from the files stays in force while an
    /// object needs it. On an error nothing has changed.
    pub fn renew(
        &mut self,
        folder: &Folder,
        secret_dir: Option<PathBuf>,
        environment: &Environment,
    ) -> Result<Renewed, NoConnection> {
        let mut host = FileHost::new(folder, secret_dir, environment.clone());
        host.secrets_to.clone_from(&self.host.secrets_to);
        host.sends_secrets = self.host.sends_secrets;
        host.hashes = self.host.hashes.clone();
        let needed = needed(&host);
        let is_gone = |o: &Arc<Object>| host.object(&o.key).is_none();
        let (instances, others): (Vec<_>, Vec<_>) =
            self.host.objects().into_iter().filter(is_gone).partition(|o| is_connection(o));
        let mut renewed = Renewed::default();
        for instance in instances {
            if needed.contains(&instance.key) && !self.implied.contains(&instance.key) {
                renewed.kept.push(instance.key.clone());
                host.put((*instance).clone());
            }
        }
        let implied = connect_by(&host, environment)?;
        host.remember_from(&self.host);
        for former in self.instances().iter().filter(|i| host.object(&i.key).is_none()) {
            self.engine.forget(&former.key);
        }
        for gone in others {
            self.engine.forget(&gone.key);
            renewed.gone.push(gone.key.clone());
        }
        self.host = host;
        self.implied = implied;
        Ok(renewed)
    }

    /// The engine, with its connections.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What is in ZITADEL and declared nowhere, as far as it was seen.
    pub fn unmanaged(&self) -> Vec<Unmanaged> {
        unmanaged(&self.engine, &self.host)
    }

    /// The Instances of this session.
    pub fn instances(&self) -> Vec<Arc<Object>> {
        self.host.objects().into_iter().filter(|o| is_connection(o)).collect()
    }

    /// Objects that are not Instances.
    pub fn count(&self) -> usize {
        self.host.objects().len() - self.instances().len()
    }

    /// How many Instances can't be used.
    pub fn unconnected(&self) -> usize {
        self.instances().iter().filter(|i| self.engine.connections.get(&i.key).is_none()).count()
    }

    /// Connects all Instances, each within this time. Returns those that could not be connected.
    pub async fn connect(&self, limit: Duration) -> Vec<(Key, Failure)> {
        // The implied ones all mean the same: the first is connected, the others follow it.
        let (first, same) = match self.implied.split_first() {
            Some((first, same)) => (Some(first), same),
            None => (None, &[][..]),
        };
        let instances = self.instances().into_iter().filter(|i| !same.contains(&i.key));
        let mut failed: Vec<(Key, Failure)> = stream::iter(instances)
            .map(|instance| self.connect_one(instance, limit))
            .buffered(CONNECT_AT_ONCE)
            .filter_map(async |failed| failed)
            .collect()
            .await;
        let connection = first.and_then(|first| self.engine.connections.get(first));
        for key in same {
            match (&connection, failed.first().cloned()) {
                (Some(connection), _) => {
                    self.engine.connections.insert(key.clone(), connection.clone());
                }
                (None, Some((_, failure))) => failed.push((key.clone(), failure)),
                (None, None) => {}
            }
        }
        failed
    }

    /// Only reads: it can be cancelled at any moment.
    async fn connect_one(&self, instance: Arc<Object>, limit: Duration) -> Option<(Key, Failure)> {
        let key = instance.key.clone();
        let Ok(outcome) = tokio::time::timeout(limit, self.reconcile_one(&instance)).await else {
            let message = format!("it did not answer within {} s", limit.as_secs_f32().ceil());
            let reason = Reason::Unreachable;
            return Some((key, Failure { reason, message, drift: Vec::new(), need: Need::Object }));
        };
        self.host.report(&instance, &outcome);
        let is_connected = self.engine.connections.get(&key).is_some() && outcome.status.is_ready();
        (!is_connected).then(|| (key, failure(&outcome, &instance)))
    }

    /// Reconciles an Instance; a moment without a server is waited out.
    async fn reconcile_one(&self, instance: &Object) -> Outcome {
        for pause in BLIPS {
            let outcome = reconcile(&self.engine, &self.host, instance).await;
            if !outcome.awaits_return {
                return outcome;
            }
            tokio::time::sleep(pause).await;
        }
        reconcile(&self.engine, &self.host, instance).await
    }

    /// How often the feeds are asked.
    pub fn poll_interval(&self) -> Duration {
        self.engine
            .connections
            .all()
            .iter()
            .map(|(_, c)| c.spec.poll)
            .min()
            .unwrap_or(Duration::from_secs(5))
    }

    /// How often everything is compared, whatever the feeds say.
    pub fn resync_interval(&self) -> Duration {
        self.engine
            .connections
            .all()
            .iter()
            .map(|(_, c)| c.spec.resync)
            .min()
            .unwrap_or(Duration::from_mins(10))
    }

    /// The Instances whose event feed can't be read, and why.
    pub fn without_feed(&self) -> Vec<String> {
        let all = self.engine.connections.all().into_iter();
        all.filter_map(|(key, c)| Some((key, c.feed_status()?.reason?)))
            .map(|(key, why)| format!("{key} has no event feed ({why})"))
            .collect()
    }

    /// Asks the feeds whether somebody else has changed something. `Err`: an Instance does not
    /// answer.
    pub async fn is_touched(&self) -> Result<bool, String> {
        let mut touched = false;
        for (key, connection) in self.engine.connections.all() {
            match connection.poll_feed().await {
                Ok(changes) => touched |= changes.restarted || !changes.touched.is_empty(),
                // Without a feed the full comparison has to do.
                Err(e) if e.is_transient() => return Err(format!("{key}: {e}")),
                Err(_) => {}
            }
        }
        Ok(touched)
    }
}

/// What became of a folder that changed.
#[derive(Debug, Default)]
pub struct Renewed {
    /// Objects that are not in it any more.
    pub gone: Vec<Key>,
    /// Instances that are not in it any more, and stay in force.
    pub kept: Vec<Key>,
}

/// The Instances that objects of a folder need.
fn needed(host: &FileHost) -> BTreeSet<Key> {
    let objects = host.objects();
    let consents = Consents { registry: &REGISTRY, host };
    let of = |o: &Arc<Object>| {
        consents.instance_of(REGISTRY.find(o.key.kind)?, &o.key.namespace, &o.spec)
    };
    objects.iter().filter(|o| !is_connection(o)).filter_map(of).collect()
}

/// Lets the environment stand for an Instance, or for parts of the one that is declared. Returns the
/// Instances that it stands for.
fn connect_by(host: &FileHost, environment: &Environment) -> Result<Vec<Key>, NoConnection> {
    let objects = host.objects();
    let declared: Vec<&Arc<Object>> = objects.iter().filter(|o| is_connection(o)).collect();
    match (&declared[..], environment.is_set()) {
        ([], true) if environment.issuer.is_none() => Err(NoConnection::Nowhere),
        ([], true) if !environment.has_credentials() => Err(NoConnection::NoCredentials),
        ([], true) => {
            let mut keys: Vec<Key> = needed(host).into_iter().collect();
            if keys.is_empty() {
                keys.push(Key {
                    kind: REGISTRY.connection().description().kind,
                    namespace: NAMESPACE.into(),
                    name: "default".into(),
                });
            }
            for key in &keys {
                host.put(implied(key, &keys, environment));
            }
            Ok(keys)
        }
        ([], false) => Err(NoConnection::Nowhere),
        (_, false) => Ok(Vec::new()),
        ([one], true) => {
            host.put(Object { spec: environment.overlay(&one.spec), ..(***one).clone() });
            Ok(Vec::new())
        }
        (several, true) => Err(NoConnection::Ambiguous(several.len())),
    }
}

pub(super) fn is_connection(object: &Object) -> bool {
    REGISTRY.find(object.key.kind).is_some_and(|e| e.is_connection())
}

/// An Instance that the environment stands for. Who may set the environment may declare anything.
/// All lead to the same ZITADEL: the first and each of the others are peers.
fn implied(key: &Key, all: &[Key], environment: &Environment) -> Object {
    let is_peer =
        |other: &&Key| *other != key && (all.first() == Some(key) || all.first() == Some(*other));
    let peer = |k: &Key| json!({"name": k.name, "namespace": k.namespace});
    let peers: Vec<Value> = all.iter().filter(is_peer).map(peer).collect();
    let anyone = json!({"from": "All"});
    let spec = json!({"allowedNamespaces": anyone, "instanceScope": anyone, "peers": peers});
    Object {
        key: key.clone(),
        uid: None,
        generation: 0,
        created: 0,
        is_deleting: false,
        annotations: BTreeMap::new(),
        spec: environment.overlay(&spec),
        status: Status::default(),
        details: InstanceDetails::default(),
    }
}

/// What a status says about why its object is not as declared.
pub(super) fn failure(outcome: &Outcome, object: &Object) -> Failure {
    let status = &outcome.status;
    let ready = status.condition("Ready");
    let value = match &outcome.error {
        Some(Error::Waiting(Waiting::Value { kind, .. })) => Some(*kind),
        _ => None,
    };
    Failure {
        reason: status.reason().unwrap_or(Reason::NotConverged),
        message: ready.map_or_else(|| "nothing is known of it yet".into(), |c| c.message.clone()),
        drift: status.drift.clone(),
        need: match (value, is_connection(object)) {
            _ if matches!(outcome.error, Some(Error::Output(OutputError::NotDelivered(_)))) => {
                Need::Delivery
            }
            (Some(_), true) => Need::Value,
            (Some("Secret"), false) => Need::Secret,
            _ => Need::Object,
        },
    }
}
