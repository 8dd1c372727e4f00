//! A folder and its connections: planned and carried out by the same engine that the operator uses.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};

use super::{
    FileHost, Folder,
    environment::Environment,
    order,
    step::{Done, Failure, Planned, Step},
};
use crate::{
    api::{
        spec::Shared,
        status::{Drift, Ready, Reason, Status, Verdict},
    },
    engine::{
        Error, Key, Object,
        connection::Connection,
        host::Host,
        kind::{Shape, decode},
        plan::{self, Action, Preview, ToBeMade},
        reconcile::{Engine, reconcile},
        references::instance_of,
    },
    kinds::{self, instance::InstanceDetails},
    live::feed::ReportEditors,
};

/// Objects that are worked on at once. Calls are limited by the connection; many in flight let one
/// list show many writes.
const AT_ONCE: usize = 512;
/// How long an object is tried that fails for reasons that pass.
const PATIENCE: Duration = Duration::from_secs(20);

/// A folder, the engine, and what is between them.
pub struct Session {
    engine: Engine,
    host: FileHost,
    /// Instances that are not declared but come from the environment; all mean the same.
    implied: Vec<Key>,
}

/// What a folder can't be worked with for.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NoConnection {
    /// No Instance and nothing in the environment.
    #[error(
        "nothing says where ZITADEL is: there is no Instance in these files, and ZITADEL_ISSUER is not set"
    )]
    Nowhere,
    /// An issuer without credentials.
    #[error("ZITADEL_ISSUER is set, but neither ZITADEL_TOKEN nor ZITADEL_KEY_FILE")]
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
        let mut session = Self { engine, host, implied: Vec::new() };
        session.connect_by(environment)?;
        Ok(session)
    }

    /// The same connections with another folder: what is remembered of objects that stay is kept.
    pub fn renewed(
        self,
        folder: &Folder,
        secret_dir: Option<PathBuf>,
        environment: &Environment,
    ) -> Result<Self, NoConnection> {
        let host = FileHost::new(folder, secret_dir, environment.clone());
        host.remember_from(&self.host);
        for gone in self
            .host
            .objects()
            .iter()
            .filter(|o| host.object(&o.key).is_none() && o.key.kind != "Instance")
        {
            self.engine.forget(&gone.key);
        }
        let mut session = Self { engine: self.engine, host, implied: Vec::new() };
        session.connect_by(environment)?;
        Ok(session)
    }

    /// Lets the environment stand for an Instance, or for parts of the one that there is.
    fn connect_by(&mut self, environment: &Environment) -> Result<(), NoConnection> {
        let objects = self.host.objects();
        let declared: Vec<&Arc<Object>> = objects.iter().filter(|o| is_connection(o)).collect();
        match (&declared[..], environment.is_set()) {
            ([], true) if environment.issuer.is_none() => return Err(NoConnection::Nowhere),
            ([], true) if !environment.has_credentials() => {
                return Err(NoConnection::NoCredentials);
            }
            ([], true) => {
                let needed: BTreeSet<Key> = objects
                    .iter()
                    .filter_map(|o| {
                        instance_of(&self.host, &o.key.namespace, &decode::<Shared>(&o.spec).ok()?)
                    })
                    .collect();
                self.implied = needed.into_iter().collect();
                if self.implied.is_empty() {
                    self.implied.push(Key {
                        kind: "Instance",
                        namespace: super::folder::NAMESPACE.into(),
                        name: "default".into(),
                    });
                }
                for key in &self.implied {
                    self.host.put(implied(key, environment));
                }
            }
            ([], false) => return Err(NoConnection::Nowhere),
            (_, false) => {}
            ([one], true) => {
                self.host.put(Object { spec: environment.overlay(&one.spec), ..(***one).clone() })
            }
            (several, true) => return Err(NoConnection::Ambiguous(several.len())),
        }
        Ok(())
    }

    /// The engine, with its connections.
    pub fn engine(&self) -> &Engine {
        &self.engine
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

    /// Connects all Instances. Gives those that could not be.
    pub async fn connect(&self) -> Vec<(Key, Failure)> {
        let mut failed = Vec::new();
        for instance in self.instances() {
            let alias = self
                .implied
                .first()
                .filter(|first| self.implied.contains(&instance.key) && **first != instance.key);
            if let Some(connection) = alias.and_then(|first| self.engine.connections.get(first)) {
                self.engine.connections.put(instance.key.clone(), connection);
                continue;
            }
            let outcome = reconcile(&self.engine, &self.host, &instance).await;
            self.host.report(&instance, &outcome);
            if self.engine.connections.get(&instance.key).is_none() || !outcome.status.is_ready() {
                failed.push((instance.key.clone(), failure(&outcome.status)));
            }
        }
        failed
    }

    /// What is to be done for every object, in the order of references. Reads only.
    pub async fn plan(&self) -> Vec<Planned> {
        let mut all = Vec::new();
        let mut to_be_made = ToBeMade::new();
        for level in order::levels(&self.host, &self.host.objects()) {
            let planned = self.plan_level(&level, &to_be_made).await;
            for p in planned.iter().filter(|p| p.object.key.kind == "Organization") {
                self.tell_dependants(p, &mut to_be_made);
            }
            all.extend(planned);
        }
        all
    }

    /// Others refer to an organization by what is known of it: that has to be so in a plan too.
    fn tell_dependants(&self, planned: &Planned, to_be_made: &mut ToBeMade) {
        let object = &planned.object;
        let mut status = object.status.clone();
        match &planned.step {
            Step::Do(plan) if plan.action == Action::Create => {
                to_be_made.insert(object.key.clone(), plan.id.clone());
                return;
            }
            Step::Do(plan) | Step::Observe(plan) if plan.have.is_some() => {
                let shared: Shared = decode(&object.spec).unwrap_or_default();
                let connection = instance_of(&self.host, &object.key.namespace, &shared)
                    .and_then(|i| self.engine.connections.get(&i));
                status.id = Some(plan.id.clone());
                status.instance_id = connection.map(|c| c.instance_id.clone());
            }
            Step::Do(_) | Step::Observe(_) => return,
            Step::Suspended => status.set(
                &verdict(Reason::Suspended, "it is suspended"),
                object.generation,
                jiff::Timestamp::now(),
            ),
            Step::Fail(f) => status.set(
                &verdict(f.reason, &f.message),
                object.generation,
                jiff::Timestamp::now(),
            ),
        }
        self.host.put(Object { status, ..(**object).clone() });
    }

    async fn plan_level(&self, level: &[Arc<Object>], to_be_made: &ToBeMade) -> Vec<Planned> {
        let level: Vec<&Arc<Object>> = level.iter().filter(|o| !is_connection(o)).collect();
        let mut planned: Vec<Planned> = Vec::new();
        let mut again: BTreeSet<Key> = BTreeSet::new();
        let previews = stream::iter(level)
            .map(|o| async move { (o.clone(), self.preview(o, to_be_made).await) })
            .buffered(AT_ONCE);
        let mut previews = std::pin::pin!(previews);
        while let Some((object, preview)) = previews.next().await {
            let Some(preview) = preview else {
                planned.push(Planned { object, step: Step::Suspended, organization: None });
                continue;
            };
            again.extend(preview.wake.iter().cloned());
            planned.push(read(object, preview));
        }
        // Who lost a claim to one that was looked at later has to be told.
        for p in planned.iter_mut().filter(|p| again.contains(&p.object.key)) {
            if let Some(preview) = self.preview(&p.object, to_be_made).await {
                *p = read(p.object.clone(), preview);
            }
        }
        planned
    }

    async fn preview(&self, object: &Object, to_be_made: &ToBeMade) -> Option<Preview> {
        if decode::<Shared>(&object.spec).is_ok_and(|s| s.is_suspended()) {
            return None;
        }
        Some(plan::plan(&self.engine, &self.host, object, to_be_made).await)
    }

    /// Brings every object and its remote side to agree, in the order of references; `tell` hears
    /// of each.
    pub async fn apply(&self, mut tell: impl FnMut(Done)) {
        for level in order::levels(&self.host, &self.host.objects()) {
            // Plans first: claims are settled in one order, and there is something to show.
            let planned = self.plan_level(&level, &ToBeMade::new()).await;
            let all = stream::iter(planned).map(|p| self.carry_out(p)).buffered(AT_ONCE);
            let mut all = std::pin::pin!(all);
            while let Some(done) = all.next().await {
                tell(done);
            }
        }
    }

    async fn carry_out(&self, planned: Planned) -> Done {
        let key = planned.object.key.clone();
        let (action, changes) = match planned.step {
            Step::Do(plan) => (plan.effect(), plan.changes),
            Step::Fail(failure) if failure.is_unconnected => {
                return Done {
                    key,
                    notes: Vec::new(),
                    changes: Vec::new(),
                    action: Action::Nothing,
                    failure: Some(failure),
                };
            }
            _ => (Action::Nothing, Vec::new()),
        };
        let begun = Instant::now();
        let mut notes = Vec::new();
        loop {
            let Some(object) = self.host.object(&key) else {
                return Done { key, notes, changes, action, failure: None };
            };
            let outcome = reconcile(&self.engine, &self.host, &object).await;
            self.host.report(&object, &outcome);
            notes.extend(outcome.notes.clone());
            let failed = outcome
                .status
                .condition("Stalled")
                .or_else(|| outcome.status.condition("Reconciling"))
                .is_some();
            if !failed {
                return Done { key, notes, changes, action, failure: None };
            }
            let failure = failure(&outcome.status);
            let passes = outcome.status.condition("Reconciling").is_some()
                && failure.reason != Reason::WaitingForReference;
            let pause = outcome.again.unwrap_or(PATIENCE).min(Duration::from_secs(5));
            if !passes || begun.elapsed() + pause > PATIENCE {
                return Done {
                    key,
                    notes,
                    changes,
                    action: Action::Nothing,
                    failure: Some(failure),
                };
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// How often the feeds are asked.
    pub fn poll_interval(&self) -> Duration {
        self.engine
            .connections
            .all()
            .iter()
            .map(|(_, c)| c.poll)
            .min()
            .unwrap_or(Duration::from_secs(5))
    }

    /// How often everything is compared, whatever the feeds say.
    pub fn resync_interval(&self) -> Duration {
        self.engine
            .connections
            .all()
            .iter()
            .map(|(_, c)| c.resync)
            .min()
            .unwrap_or(Duration::from_mins(10))
    }

    /// The Instances whose event feed can't be read, and why.
    pub fn without_feed(&self) -> Vec<String> {
        let all = self.engine.connections.all();
        let status = |(key, c): (Key, Arc<Connection>)| Some((key, c.live.feed_status()?.reason?));
        all.into_iter()
            .filter_map(status)
            .map(|(key, why)| format!("{key} has no event feed ({why})"))
            .collect()
    }

    /// Asks the feeds whether somebody else has changed something. `Err`: an Instance does not
    /// answer.
    pub async fn is_touched(&self) -> Result<bool, String> {
        let mut touched = false;
        for (key, connection) in self.engine.connections.all() {
            match connection.live.poll_feed(&connection.client, ReportEditors::Name).await {
                Ok(news) => touched |= news.anew || !news.touched.is_empty(),
                // Without a feed the full comparison has to do.
                Err(e) if e.is_transient() => return Err(format!("{key}: {e}")),
                Err(_) => {}
            }
        }
        Ok(touched)
    }
}

fn is_connection(object: &Object) -> bool {
    kinds::find(object.key.kind).is_some_and(|e| e.shape() == Shape::Connection)
}

/// The Instance that the environment stands for. Who may set the environment may declare anything.
fn implied(key: &Key, environment: &Environment) -> Object {
    let all =
        serde_json::json!({"allowedNamespaces": {"from": "All"}, "instanceScope": {"from": "All"}});
    Object {
        key: key.clone(),
        uid: None,
        generation: 0,
        created: 0,
        is_deleting: false,
        annotations: BTreeMap::new(),
        spec: environment.overlay(&all),
        status: Status::default(),
        details: InstanceDetails::default(),
    }
}

fn read(object: Arc<Object>, preview: Preview) -> Planned {
    let observes = decode::<Shared>(&object.spec).is_ok_and(|s| s.observes());
    let step = match preview.plan {
        Ok(plan) if observes => Step::Observe(Box::new(plan)),
        Ok(plan) => Step::Do(Box::new(plan)),
        Err(e) => Step::Fail(refused(&e, preview.drift)),
    };
    Planned { object, step, organization: preview.organization }
}

fn verdict(reason: Reason, message: &str) -> Verdict {
    Verdict { ready: Ready::Stalled, reason, message: message.into() }
}

fn refused(e: &Error, drift: Vec<Drift>) -> Failure {
    Failure {
        reason: e.reason(),
        message: e.to_string(),
        drift,
        is_unconnected: matches!(e, Error::NotConnected(_)),
    }
}

fn failure(status: &Status) -> Failure {
    let ready = status.condition("Ready");
    let reason = ready
        .and_then(|c| Reason::ALL.into_iter().find(|r| r.to_string() == c.reason))
        .unwrap_or(Reason::NotConverged);
    Failure {
        reason,
        message: ready.map(|c| c.message.clone()).unwrap_or_default(),
        drift: status.drift.clone(),
        is_unconnected: false,
    }
}
