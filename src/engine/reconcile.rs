//! One object, from what it says to what is said about it. A plan is made of reads only and is data; carrying it out is one
//! create or update; then it is read back.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Mutex,
    time::Duration,
};

use jiff::Timestamp;

use super::{
    Error, Fields, Key, Object,
    claims::{Claim, Claims},
    connection::Connections,
    deletion, entity,
    error::{Class, Doing, Result},
    host::Host,
    instance,
    kind::{Entry, Remote, Shape, decode},
    references::{self, Target},
    setting,
};
use crate::{
    api::{
        spec::Shared,
        status::{Drift, LastDrift, Provenance, Ready, Reason, Status, Verdict},
    },
    kinds::{self, instance::InstanceDetails},
    live::{Expectation, Seen},
    zitadel::{AddressPolicy, Client, Code, Config},
};

/// Everything that outlives a single reconcile.
pub struct Engine {
    /// Connections by Instance.
    pub connections: Connections,
    /// Who declares what.
    pub claims: Claims,
    /// What may be connected to.
    pub addresses: AddressPolicy,
    /// Makes clients; other than [`Client::new`] only where ZITADEL runs in the same process.
    pub connect: Box<dyn Fn(Config) -> crate::zitadel::Result<Client> + Send + Sync>,
    failures: Mutex<HashMap<Key, u32>>,
    /// What the annotation that asks for a reconcile said when it was last acted on.
    asked: Mutex<HashMap<Key, String>>,
}

impl Engine {
    /// An engine that connects over sockets to what `addresses` allow.
    pub fn new(addresses: AddressPolicy) -> Self {
        Self {
            connections: Connections::default(),
            claims: Claims::default(),
            addresses,
            connect: Box::new(Client::new),
            failures: Mutex::default(),
            asked: Mutex::default(),
        }
    }

    pub(super) fn client(&self, config: Config) -> crate::zitadel::Result<Client> {
        (self.connect)(config)
    }

    /// Takes note of the bindings of objects that nobody has reconciled yet, so that a younger object can't take what an older one has.
    pub fn remember_claims(&self, object: &Object) {
        let (Some(instance), Some(entry)) = (object.status.instance_id.clone(), kinds::find(object.key.kind)) else { return };
        let organization = object.status.organization_id.clone();
        let what = match (entry.shape(), object.status.id.clone()) {
            (Shape::Entity { .. }, Some(id)) => super::claims::What::Id(id),
            (Shape::Setting, _) => super::claims::What::Setting,
            _ => return,
        };
        self.claims.set(object, vec![Claim { instance, kind: object.key.kind, organization, what }]);
    }

    /// Forgets an object that is gone. Gives those that claimed the same.
    pub fn forget(&self, key: &Key) -> Vec<Key> {
        self.failed(key, false);
        if let Ok(mut asked) = self.asked.lock() {
            asked.remove(key);
        }
        if key.kind == "Instance" {
            self.connections.remove(key);
        }
        self.claims.release(key)
    }

    /// Whether the annotation asks for a reconcile that was not done yet.
    fn is_asked(&self, object: &Object) -> bool {
        let (Some(now), Ok(mut asked)) = (object.asked_at(), self.asked.lock()) else { return false };
        asked.insert(object.key.clone(), now.into()).as_deref() != Some(now)
    }

    /// Counts failures in a row.
    fn failed(&self, key: &Key, failed: bool) -> u32 {
        let Ok(mut failures) = self.failures.lock() else { return 0 };
        if !failed {
            failures.remove(key);
            return 0;
        }
        let n = failures.entry(key.clone()).or_default();
        *n = n.saturating_add(1);
        *n
    }
}

/// What a reconcile came to.
#[derive(Debug)]
pub struct Outcome {
    /// The status from now on.
    pub status: Status,
    /// Of an `Instance`: the rest of its status.
    pub details: Option<InstanceDetails>,
    /// What is worth an Event.
    pub notes: Vec<Note>,
    /// Look again after this.
    pub again: Option<Duration>,
    /// The remote side is settled: the object may go.
    pub release: bool,
    /// Other objects to look at.
    pub wake: Vec<Key>,
    /// Objects that this one waits for or depends on.
    pub references: Vec<Key>,
}

/// Something that users want to know happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Whether it is a warning.
    pub warning: bool,
    /// One word.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
}

impl Outcome {
    pub(super) fn of(object: &Object) -> Self {
        let status = object.status.clone();
        Self { status, details: None, notes: Vec::new(), again: None, release: false, wake: Vec::new(), references: Vec::new() }
    }

    pub(super) fn note(&mut self, warning: bool, reason: &'static str, message: String) {
        self.notes.push(Note { warning, reason, message });
    }

    pub(super) fn conclude(&mut self, object: &Object, verdict: &Verdict) {
        let former = object.status.condition("Ready").map(|c| c.reason.as_str());
        let fails = matches!(verdict.ready, Ready::Stalled);
        // A class of failure that begins is an Event, one that goes on is not.
        if fails && former != Some(verdict.reason.to_string().as_str()) {
            self.note(true, reason_word(verdict.reason), verdict.message.clone());
        }
        self.status.set(verdict, object.generation, Timestamp::now());
    }

    pub(super) fn fail(&mut self, engine: &Engine, object: &Object, error: &Error) {
        self.details.get_or_insert_with(|| object.details.clone());
        self.conclude(object, &error.verdict());
        self.again = Some(match error.class() {
            Class::Transient(Some(asked)) => asked,
            Class::Transient(None) => backoff(engine.failed(&object.key, true)),
            // Woken earlier by what it waits for.
            Class::Waiting | Class::Terminal => Duration::from_secs(600),
        });
    }
}

/// 0.2 s, doubling up to 2 minutes.
fn backoff(failures: u32) -> Duration {
    Duration::from_millis(200).saturating_mul(2u32.saturating_pow(failures.saturating_sub(1).min(12))).min(Duration::from_secs(120))
}

fn reason_word(reason: Reason) -> &'static str {
    match reason {
        Reason::AdoptionRefused => "AdoptionRefused",
        Reason::Conflict => "Conflict",
        Reason::InvalidSpec => "InvalidSpec",
        Reason::Forbidden => "Forbidden",
        Reason::Rejected => "Rejected",
        Reason::InstanceChanged => "InstanceChanged",
        Reason::LostByZitadel => "LostByZitadel",
        Reason::Unauthenticated => "Unauthenticated",
        _ => "Failed",
    }
}

/// What is to be done for an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What to do.
    pub action: Action,
    /// The declared fields that differ.
    pub changes: Vec<Drift>,
    /// What is there now.
    pub have: Option<Remote>,
    /// All fields as they will be.
    pub want: Fields,
    /// The id it has, or will be made under.
    pub id: String,
    /// Where it comes from, once this is done.
    pub provenance: Provenance,
}

impl Plan {
    /// What users see of it: an organization's own policy in place of an inherited one is something new.
    pub fn effect(&self) -> Action {
        match &self.have {
            Some(have) if self.action == Action::Update && !have.own => Action::Create,
            _ => self.action,
        }
    }
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is as declared.
    Nothing,
    /// Make it.
    Create,
    /// Change it.
    Update,
}

/// An object on its way through a reconcile.
pub(super) struct Job<'a> {
    pub(super) engine: &'a Engine,
    pub(super) host: &'a dyn Host,
    pub(super) entry: &'static dyn Entry,
    pub(super) object: &'a Object,
    pub(super) shared: Shared,
    pub(super) target: Target,
    /// The declared fields.
    pub(super) declared: Fields,
    pub(super) outcome: Outcome,
}

/// Brings an object and its remote side to agree, or says why not. Never fails: what goes wrong is in the outcome.
pub async fn reconcile(engine: &Engine, host: &dyn Host, object: &Object) -> Outcome {
    let mut outcome = Outcome::of(object);
    let Some(entry) = kinds::find(object.key.kind) else { return outcome };
    let suspended = object.spec.get("suspend").and_then(serde_json::Value::as_bool) == Some(true);
    if suspended && !(object.is_deleting && object.is_abandoned()) {
        let message = "spec.suspend is true: nothing is looked at, nothing is changed".into();
        outcome.wake = engine.claims.release(&object.key);
        outcome.details = Some(object.details.clone());
        outcome.conclude(object, &Verdict { ready: Ready::Unknown, reason: Reason::Suspended, message });
        return outcome;
    }
    if entry.shape() == Shape::Connection {
        return instance::reconcile(engine, host, object).await;
    }
    let shared: Shared = match decode(&object.spec) {
        Ok(shared) => shared,
        Err(e) if !object.is_deleting => {
            outcome.fail(engine, object, &e);
            return outcome;
        }
        Err(_) => Shared::default(),
    };
    let references = references::references(host, &object.key.namespace, &shared);
    let mut outcome = if object.is_deleting {
        deletion::reconcile(engine, host, entry, object, &shared, outcome).await
    } else {
        live(engine, host, entry, object, shared, outcome).await
    };
    outcome.references = references;
    outcome
}

/// An object that is not being deleted.
async fn live(engine: &Engine, host: &dyn Host, entry: &'static dyn Entry, object: &Object, shared: Shared, outcome: Outcome) -> Outcome {
    let mut job = match Job::new(engine, host, entry, object, shared, outcome, &ToBeMade::new()).await {
        Ok(job) => job,
        Err((mut outcome, e)) => {
            if !keeps_what_was_seen(object, &e) {
                outcome.fail(engine, object, &e);
            }
            return *outcome;
        }
    };
    let resync = job.target.connection.resync;
    if engine.is_asked(object) {
        job.target.connection.live.doubt_scope(entry, &job.target.at);
    }
    let result = match job.plan().await {
        Ok(plan) if job.shared.observes() => {
            job.observe(plan);
            Ok(())
        }
        Ok(plan) => job.carry_out(plan).await,
        Err(e) if keeps_what_was_seen(object, &e) => {
            let Job { mut outcome, .. } = job;
            outcome.again = Some(backoff(engine.failed(&object.key, true)));
            return outcome;
        }
        Err(e) => Err(e),
    };
    let Job { mut outcome, .. } = job;
    match result {
        Ok(()) => {
            engine.failed(&object.key, false);
            outcome.again = Some(resync);
        }
        Err(e) => outcome.fail(engine, object, &e),
    }
    outcome
}

/// Organizations that a plan for many objects will make, with the ids that they will have.
pub type ToBeMade = BTreeMap<Key, String>;

/// What a reconcile of an object would do now.
#[derive(Debug)]
pub struct Preview {
    /// What it would do.
    pub plan: Result<Plan>,
    /// What differs where the plan is refused.
    pub drift: Vec<Drift>,
    /// Objects whose claims this one has taken over: their plans have changed.
    pub wake: Vec<Key>,
    /// Organization it is in.
    pub organization: Option<String>,
}

/// What [`reconcile`] would do for an object that is neither an `Instance` nor suspended; reads only. What is in an
/// organization that is `to_be_made` is planned without a call.
pub async fn plan(engine: &Engine, host: &dyn Host, object: &Object, to_be_made: &ToBeMade) -> Preview {
    let failed = |e| Preview { plan: Err(e), drift: Vec::new(), wake: Vec::new(), organization: None };
    let Some(entry) = kinds::find(object.key.kind) else { return failed(Error::Invalid(format!("there is no kind {}", object.key.kind))) };
    let shared: Shared = match decode(&object.spec) {
        Ok(shared) => shared,
        Err(e) => return failed(e),
    };
    match Job::new(engine, host, entry, object, shared, Outcome::of(object), to_be_made).await {
        Err((_, e)) => failed(e),
        Ok(mut job) => {
            let plan = job.plan().await;
            let Job { outcome, target, .. } = job;
            Preview { plan, drift: outcome.status.drift, wake: outcome.wake, organization: target.at.organization }
        }
    }
}

/// While ZITADEL, or the way to it, is down, an object that was seen as declared stays what it was: the Instance says the rest.
fn keeps_what_was_seen(object: &Object, e: &Error) -> bool {
    let down = match e {
        Error::Waiting(_) => false,
        Error::Zitadel { source, .. } => source.is_transient() || source.code() == Some(Code::Unauthenticated),
        _ => return false,
    };
    down && object.status.is_ready() && object.status.observed_generation == Some(object.generation)
}

impl<'a> Job<'a> {
    /// Reads what is declared and resolves what it refers to.
    async fn new(
        engine: &'a Engine,
        host: &'a dyn Host,
        entry: &'static dyn Entry,
        object: &'a Object,
        shared: Shared,
        outcome: Outcome,
        to_be_made: &ToBeMade,
    ) -> Result<Self, (Box<Outcome>, Error)> {
        let resolved = match entry.desired(&object.spec, &object.key.name) {
            Ok(declared) => references::resolve(engine, host, entry, object, &shared, to_be_made).await.map(|target| (declared, target)),
            Err(e) => Err(e),
        };
        match resolved {
            Ok((declared, target)) => Ok(Self { engine, host, entry, object, shared, target, declared, outcome }),
            Err(e) => Err((Box::new(outcome), e)),
        }
    }

    /// What has to be done. Reads only.
    async fn plan(&mut self) -> Result<Plan> {
        let plan = match self.entry.shape() {
            Shape::Setting => setting::plan(self).await?,
            _ => entity::plan(self).await?,
        };
        if plan.action != Action::Nothing && !self.shared.observes() {
            self.entry.check(&self.target.at, &self.declared).await?;
        }
        Ok(plan)
    }

    /// A claim of this object.
    pub(super) fn claim(&self, what: super::claims::What) -> Claim {
        Claim {
            instance: self.target.connection.instance_id.clone(),
            kind: self.object.key.kind,
            organization: self.target.at.organization.clone(),
            what,
        }
    }

    /// Claims remote things. Who only observes claims nothing.
    pub(super) fn take(&mut self, claims: Vec<Claim>) -> Result<()> {
        if self.shared.observes() {
            self.outcome.wake.extend(self.engine.claims.release(&self.object.key));
            return Ok(());
        }
        let (winner, losers) = self.engine.claims.set(self.object, claims);
        self.outcome.wake.extend(losers);
        match winner {
            None => Ok(()),
            Some(winner) => Err(Error::Conflict(format!("{winner} declares the same and is older; delete one of the two"))),
        }
    }

    /// What is known of an id; an own write that does not show yet is waited for, and in the end reported.
    pub(super) async fn seen(&self, id: &str, confirm: bool) -> Result<Option<Remote>> {
        let (entry, target) = (self.entry, &self.target);
        match target.connection.live.get(entry, &target.at, id, confirm).await.doing(&format!("read {}", entry.noun()))? {
            Seen::Settled(remote) => Ok(remote.map(|r| *r)),
            Seen::Unsettled(age) if age > Duration::from_secs(60) => Err(Error::Lost(format!(
                "ZITADEL accepted {} {id} {} s ago and does not show it: its read side has lost it. Deleting it by id and making it anew brings it back",
                entry.noun(),
                age.as_secs()
            ))),
            Seen::Unsettled(_) => Err(Error::NotConverged(format!("what was written to {} does not show yet", entry.noun()))),
        }
    }

    /// The difference that a plan has to remove.
    pub(super) fn changes(&self, have: &Fields) -> Vec<Drift> {
        super::fields::diff(&self.declared, have, self.entry.sets())
    }

    /// Reports what would be done.
    fn observe(&mut self, plan: Plan) {
        let (object, noun) = (self.object, self.entry.noun());
        let message = match plan.action {
            Action::Nothing => format!("{noun} is as declared; only observed"),
            Action::Create => format!("{noun} is not there; only observed"),
            Action::Update => format!("{noun} differs in {}; only observed", names(&plan.changes)),
        };
        let ready = if plan.action == Action::Nothing { Ready::True } else { Ready::False };
        let reason = if plan.action == Action::Nothing { Reason::InSync } else { Reason::Observing };
        self.outcome.status.id = plan.have.map(|_| plan.id).filter(|id| !id.is_empty());
        self.outcome.status.organization_id.clone_from(&self.target.at.organization);
        self.outcome.status.drift = plan.changes;
        self.outcome.conclude(object, &Verdict { ready, reason, message });
    }

    /// Does what the plan says and reads back until it is so.
    async fn carry_out(&mut self, plan: Plan) -> Result<()> {
        let noun = self.entry.noun();
        if self.entry.shape() == Shape::Setting && plan.action != Action::Nothing {
            setting::remember(self, plan.provenance).await?;
        }
        let by = self.target.connection.live.take_editor(self.entry, &self.target.at, &plan.id);
        self.report_drift(&plan, by);
        let remote = match plan.action {
            Action::Nothing => plan.have.clone(),
            Action::Create => Some(self.write(&plan, None).await?),
            Action::Update => Some(self.write(&plan, plan.have.as_ref()).await?),
        };
        let Some(remote) = remote else { return Err(Error::NotConverged(format!("{noun} is not there"))) };
        let left = self.changes(&remote.state);
        let status = &mut self.outcome.status;
        // Some settings come without an id: they are the instance's.
        status.id = Some(remote.id.clone()).filter(|id| !id.is_empty()).or_else(|| Some(self.target.connection.instance_id.clone()));
        status.instance_id = Some(self.target.connection.instance_id.clone());
        status.organization_id.clone_from(&self.target.at.organization);
        status.provenance = Some(plan.provenance);
        status.drift.clone_from(&left);
        if left.is_empty() && remote.own {
            let message = format!("{noun} is as declared");
            self.outcome.conclude(self.object, &Verdict { ready: Ready::True, reason: Reason::InSync, message });
            return Ok(());
        }
        Err(Error::NotConverged(format!("{noun} still differs in {}", names(&left))))
    }

    /// What was as declared and is not any more, was changed by somebody.
    fn report_drift(&mut self, plan: &Plan, by: Option<String>) {
        let was_so = self.object.status.is_ready() && self.object.status.observed_generation == Some(self.object.generation);
        if !was_so || plan.action == Action::Nothing {
            return;
        }
        let by = by.filter(|b| !b.is_empty());
        let who = by.as_ref().map_or_else(String::new, |b| format!(" by {b}"));
        let fields: Vec<String> = plan.changes.iter().map(|c| c.field.clone()).collect();
        let noun = self.entry.noun();
        let message = match plan.action {
            Action::Create => format!("{noun} was deleted{who}; it is made again"),
            _ => format!("{} changed{who}; it is set back", names(&plan.changes)),
        };
        self.outcome.note(true, "Drift", message);
        self.outcome.status.last_drift = Some(LastDrift { at: format!("{:.0}", Timestamp::now()), fields, by, corrected: true });
    }

    /// One create or update, and the read that shows it.
    async fn write(&mut self, plan: &Plan, have: Option<&Remote>) -> Result<Remote> {
        let (entry, noun) = (self.entry, self.entry.noun());
        let live = self.target.connection.live.clone();
        let at = self.target.at.clone();
        let writer = live.writer(entry).await;
        let written = match have {
            None => entry.create(&at, &plan.id, &plan.want).await,
            Some(have) => entry.write(&at, have, &plan.want).await,
        };
        // Whatever the answer was: what we believed is not to be trusted any more.
        let written = written.inspect_err(|_| live.doubt_scope(entry, &at)).doing(&format!("{} {noun}", if have.is_none() { "create" } else { "change" }))?;
        let id = match (&written.id, entry.shape()) {
            (_, Shape::Setting) => String::new(),
            (Some(id), _) => id.clone(),
            (None, _) => plan.id.clone(),
        };
        live.expect(entry, &at, &id, Expectation::State(plan.want.clone(), written.version));
        drop(writer);
        let (reason, verb) = if have.is_none() { ("Created", "created") } else { ("Updated", "changed") };
        let what = if plan.changes.is_empty() || have.is_none() { String::new() } else { format!(": {}", names(&plan.changes)) };
        self.outcome.note(false, reason, format!("{noun} was {verb}{what}"));
        tracing::info!(kind = self.object.key.kind, namespace = self.object.key.namespace, name = self.object.key.name, id, fields = names(&plan.changes), reason, "written");
        self.settled(&id).await
    }

    /// Reads until our own write shows; the read side may lag.
    async fn settled(&mut self, id: &str) -> Result<Remote> {
        let noun = self.entry.noun();
        // What was made must not be forgotten if it never shows here.
        if !id.is_empty() {
            self.outcome.status.id = Some(id.into());
        }
        self.outcome.status.instance_id = Some(self.target.connection.instance_id.clone());
        self.outcome.status.organization_id.clone_from(&self.target.at.organization);
        let mut pause = Duration::from_millis(25);
        loop {
            match self.seen(id, true).await {
                Ok(Some(remote)) => return Ok(remote),
                Ok(None) => return Err(Error::NotConverged(format!("{noun} does not show yet"))),
                Err(Error::NotConverged(_)) if pause < Duration::from_secs(2) => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                Err(e) => return Err(e),
            }
        }
    }
}

/// The names of the fields that differ.
pub(super) fn names(changes: &[Drift]) -> String {
    changes.iter().map(|c| c.field.as_str()).collect::<Vec<_>>().join(", ")
}
