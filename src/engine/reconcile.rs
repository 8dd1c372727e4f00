//! The reconcile of one object, from what it says to what is said about it, in five stages.

use secrecy::ExposeSecret;
use tokio::time::Instant;
use tracing::{
    Instrument, Span,
    field::{Empty, display},
};

use super::{
    apply::{Writer, refuse_drafts},
    connect,
    context::Engine,
    decide::{self, Action, Declared, Plan, fields},
    delete,
    error::{Class, Error, NoConsent, NotConverged, Purpose, Result, WhileDoing},
    host::Host,
    inputs::{self, SecretChange, SendCause, SentFacts},
    lock_out,
    observe::{self, provenance},
    ownership::Claim,
    proof,
    report::{Outcome, Remedy, setting_id},
    resolve::{self, PlannedIds, Target},
    schedule::schedule,
    secret::SecretStage,
};
use crate::{
    api::{
        spec::is_suspended,
        status::{Drift, Provenance, Reason},
    },
    contract::{
        EntityDescription, Entry, Fields, NaturalKey, Object, Remote, SecretInput, SpecError,
        Subject, refuse_unknown,
    },
    zitadel::span::{SPANS, failed},
};

/// Brings an object and its remote side to agree, or says why not. Never fails: what goes wrong is
/// in the outcome. Callers give it a span with kind, namespace and name.
///
/// The parts are in boxes, so that hundreds that wait take the room of the part that they are in,
/// not of the largest.
pub async fn reconcile(engine: &Engine, host: &dyn Host, object: &Object) -> Outcome {
    let begun = Instant::now();
    let key = &object.key;
    let span = tracing::info_span!(
        target: SPANS,
        "reconcile",
        otel.name = %format_args!("reconcile {}", key.kind),
        otel.status_code = Empty,
        kastellan.kind = key.kind,
        k8s.namespace.name = key.namespace,
        kastellan.name = key.name,
        kastellan.reason = Empty,
        kastellan.events = Empty,
        "error.type" = Empty,
    );
    let outcome = Box::pin(stages(engine, host, object).instrument(span.clone())).await;
    record(&span, &outcome);
    tracing::debug!(
        reason = outcome.status.reason().map(tracing::field::display),
        released = outcome.release,
        requeue_after = ?outcome.requeue_after,
        duration = ?begun.elapsed(),
        "reconciled"
    );
    outcome
}

/// What came of it. Waiting for something else is no error.
fn record(span: &Span, outcome: &Outcome) {
    if span.is_disabled() {
        return;
    }
    span.record("kastellan.reason", outcome.status.reason().map(display));
    let events: Vec<String> = outcome.events.iter().map(|e| e.reason.to_string()).collect();
    span.record("kastellan.events", (!events.is_empty()).then(|| events.join(",")));
    let error = outcome.error.as_ref().map(Error::class);
    if let Some(class) = error.filter(|class| *class != Class::Waiting) {
        failed(span, class.as_str());
    }
}

/// Somebody else's change that is being reverted.
struct FoundDrift {
    by: Option<String>,
    /// It was not found before.
    is_new: bool,
}

async fn stages(engine: &Engine, host: &dyn Host, object: &Object) -> Outcome {
    let Some(entry) = engine.registry.find(object.key.kind) else { return Outcome::of(object) };
    let inherited = engine.memory.take_inherited(&object.key);
    let inherits = inherited.is_some();
    let heir = inherited.map(|status| Object { status, ..object.clone() });
    let object = heir.as_ref().unwrap_or(object);
    let mut outcome = Outcome::of(object);
    if inherits {
        outcome.inherited();
    }
    if is_suspended(&object.spec) && !(object.is_deleting && object.is_abandoned()) {
        if entry.is_connection() {
            engine.connections.remove(&object.key);
        }
        outcome.wake = engine.claims.release(&object.key);
        outcome.suspended(object);
        return outcome;
    }
    if entry.is_connection() {
        Box::pin(connect::reconcile(engine, host, object, &mut outcome)).await;
    } else if object.is_deleting {
        Box::pin(delete::reconcile(engine, host, entry, object, &mut outcome)).await;
    } else {
        Box::pin(manage(engine, host, entry, object, &mut outcome)).await;
    }
    outcome
}

/// An object that is not being deleted.
async fn manage(
    engine: &Engine,
    host: &dyn Host,
    entry: Entry,
    object: &Object,
    outcome: &mut Outcome,
) {
    let begun = Instant::now();
    let mut pass = match Pass::begin(engine, host, entry, object, &PlannedIds::new()).await {
        Ok(pass) => pass,
        Err(e) => return fail(engine, entry, object, outcome, e),
    };
    if engine.is_asked(object) {
        engine.memory.proof_forgotten(&object.key);
        pass.target.connection.invalidate_collection(entry, &pass.target.place);
    }
    let result = pass.run(outcome).await;
    let result = result.map_err(|e| e.explained(entry, &pass.target.place));
    match result {
        // Looked at again when something changes on either side, and with everything else of its
        // Instance.
        Ok(()) => engine.memory.succeeded(&object.key),
        Err(e) => {
            let connection = &pass.target.connection;
            let is_unknown = was_seen(object) && outcome.status.is_ready();
            if is_unknown && is_outage(&e) && !connection.answers_since(begun).await {
                tracing::debug!(error = ?e, "the instance is down: the status stays");
                outcome.wake.push(pass.target.instance.clone());
                return outcome.unchanged(&e, engine.memory.failed(object));
            }
            if e.is_about_credentials() || matches!(e, Error::InstanceChanged { .. }) {
                outcome.wake.push(pass.target.instance.clone());
                if matches!(e, Error::InstanceChanged { .. }) {
                    engine.connections.remove_connection(connection);
                }
            }
            fail(engine, entry, object, outcome, e);
        }
    }
}

/// Whether an object was seen as declared, as it is now.
fn was_seen(object: &Object) -> bool {
    object.status.is_ready() && object.status.observed_generation == Some(object.generation)
}

/// Whether it may be the instance that is down, or does not accept the credentials.
fn is_outage(e: &Error) -> bool {
    match e {
        Error::Zitadel { source, .. } => source.is_transient() || e.is_about_credentials(),
        _ => false,
    }
}

fn fail(engine: &Engine, entry: Entry, object: &Object, outcome: &mut Outcome, e: Error) {
    // While its Instance is not connected, what was seen as declared stays what it was: the
    // Instance says the rest. Suspended, it says so itself.
    let is_away =
        matches!(&e, Error::NotConnected { reason, .. } if *reason != Some(Reason::Suspended));
    if is_away && was_seen(object) {
        return outcome.unchanged(&e, engine.memory.failed(object));
    }
    if matches!(e, Error::NoConsent(_)) {
        // Without consent it owns nothing, and stands in nobody's way.
        outcome.wake.extend(engine.claims.release(&object.key));
    }
    tracing::debug!(reason = %e.reason(), class = e.class().as_str(), error = ?e, "not as declared");
    // To look for what an attempt has left is not another one.
    let failures = match e {
        Error::NotConverged(NotConverged::Sought) => 0,
        _ => engine.memory.failed(object),
    };
    outcome.failed(object, entry.noun, e, failures);
}

/// An object on its way through the stages.
pub(super) struct Pass<'a> {
    pub(super) engine: &'a Engine,
    pub(super) host: &'a dyn Host,
    pub(super) entry: Entry,
    pub(super) object: &'a Object,
    pub(super) target: Target,
}

impl<'a> Pass<'a> {
    /// Resolves what an object declares and refers to.
    pub(super) async fn begin(
        engine: &'a Engine,
        host: &'a dyn Host,
        entry: Entry,
        object: &'a Object,
        planned: &PlannedIds,
    ) -> Result<Self> {
        refuse_unknown(entry, &object.spec)?;
        let mut target = resolve::resolve(engine, host, entry, object, planned).await?;
        tracing::debug!(instance = %target.instance, place = %target.place, "resolved");
        if !target.shared.observes() {
            let connections = &engine.connections;
            target.inputs = inputs::read(connections, host, entry, object, false).await?;
        }
        Ok(Self { engine, host, entry, object, target })
    }

    async fn run(&mut self, outcome: &mut Outcome) -> Result<()> {
        let replaced = self.writer().settle_replacement(outcome).await?;
        if let (Some(id), Some(binding)) = (replaced, &mut self.target.binding) {
            binding.id = id;
        }
        let plan = match self.plan(outcome).await {
            Err(e @ Error::Lost(_)) if self.recreates(outcome).await => {
                tracing::debug!(error = ?e, "deleted what was lost");
                self.plan(outcome).await?
            }
            plan => plan?,
        };
        if self.target.shared.observes() {
            self.observe(plan, outcome).await;
            return Ok(());
        }
        self.carry_out(plan, outcome).await
    }

    /// What has to be done. Reads only; claims what it finds.
    pub(super) async fn plan(&mut self, outcome: &mut Outcome) -> Result<Plan> {
        let plan = match self.entry {
            Entry::Setting(kind) => {
                let plan = self.plan_setting(outcome).await?;
                if plan.action != Action::Nothing && !self.target.shared.observes() {
                    let access = self.target.connection.access(self.target.place.clone());
                    kind.check(&access, &self.target.declared).await?;
                    let declared = self.target.declared(self.object);
                    let drafts = if self.target.is_planned {
                        Ok(Vec::new())
                    } else {
                        kind.drafts(&access, declared).await
                    };
                    if let Err(e) = refuse_drafts(drafts.doing("read the draft of")?) {
                        outcome.differs(plan.changes);
                        return Err(e);
                    }
                }
                plan
            }
            _ => self.plan_entity(outcome).await?,
        };
        if plan.action != Action::Nothing && !self.target.shared.observes() {
            let access = self.target.connection.access(self.target.place.clone());
            let (id, want) = (plan.id(), Some(&plan.want));
            if let Err(e) = lock_out::refuse(self.entry, self.object, &access, id, want).await {
                outcome.differs(plan.changes);
                return Err(e);
            }
        }
        tracing::debug!(
            action = ?plan.action,
            id = plan.id(),
            fields = plan.changed_fields().join(", "),
            provenance = ?plan.provenance,
            "decided"
        );
        Ok(plan)
    }

    async fn plan_entity(&mut self, outcome: &mut Outcome) -> Result<Plan> {
        let Some(entity) = self.entry.as_entity() else {
            return Ok(decide::planned_setting(&self.declared()));
        };
        if entity.is_key() && self.target.binding.is_none() && !self.target.is_planned {
            let secret = SecretStage::of(self.writer())?;
            let held = match &secret {
                Some(secret) => secret.held().await?,
                None => None,
            };
            drop(secret);
            self.target.binding = held;
        }
        let (engine, entry, object, target) = (self.engine, self.entry, self.object, &self.target);
        let found = observe::entity(engine, entry, entity, object, target).await?;
        tracing::debug!(found = ?found, "observed");
        if !matches!(&found, observe::Found::Named(all) if all.len() > 1) {
            self.claim(found.id(), outcome)?;
        }
        let account = &self.target.connection.account.id;
        if found.id() == Some(account) && !self.target.shared.observes() {
            return Err(Error::OwnAccount { id: account.clone() });
        }
        let provenance = provenance(&found, &self.target);
        let mut plan = decide::entity(found.clone(), provenance, &self.declared());
        let is_created = matches!(&plan, Ok(plan) if plan.action == Action::Create);
        if is_created && entry.inputs.iter().any(|input| input.initial) {
            let connections = &engine.connections;
            self.target.inputs = inputs::read(connections, self.host, entry, object, true).await?;
        }
        plan =
            plan.and_then(|plan| self.with_secrets(plan, entity)).map(|plan| self.unproven(plan));
        if matches!(plan, Err(Error::AdoptionRefused(_) | Error::NoConsent(_))) {
            self.watch(&found, outcome);
        }
        if let Err(Error::AdoptionRefused(_) | Error::CannotEmpty { .. }) = &plan
            && let Some(remote) = found.remote()
        {
            outcome.differs(self.declared().changes(&remote.state));
        }
        plan
    }

    /// The same plan, where what exists is to be proved first.
    fn unproven(&self, mut plan: Plan) -> Plan {
        let lacks = |have| proof::lacks(self.entry, self.object, have);
        if let Some(lacks) = plan.have.as_ref().and_then(lacks) {
            plan.action = Action::Update;
            plan.changes.push(lacks);
        }
        plan
    }

    /// The same plan with the secrets that are to be sent.
    fn with_secrets(&self, plan: Plan, entity: &EntityDescription) -> Result<Plan> {
        let Target { connection, place, inputs, .. } = &self.target;
        let secrets = match &plan.have {
            Some(have) => {
                let memory = &self.engine.memory;
                let key = &self.object.key;
                let facts = SentFacts {
                    applied: &self.object.status.secrets_applied,
                    sends_unknown: self.host.sends_unknown_secrets(),
                };
                inputs::changes(
                    inputs,
                    facts,
                    |s| memory.was_sent(key, s.input.field, s.value.expose_secret()),
                    |secret| connection.secret_editor(self.entry, place, &have.subject, secret),
                )
            }
            None => {
                let form = self.entry.form(&plan.want);
                let is_missing = |input: &&SecretInput| {
                    input.is_required(form, &plan.want)
                        && !inputs.iter().any(|s| s.input.field == input.field)
                };
                if let Some(input) = self.entry.inputs.iter().find(is_missing)
                    && !self.target.shared.observes()
                {
                    let what = "has to be set to create it: ZITADEL takes none without";
                    return Err(SpecError::new(input.reference, what).into());
                }
                inputs::at_creation(inputs)
            }
        };
        Ok(plan.sending(secrets, entity.by_another))
    }

    async fn plan_setting(&mut self, outcome: &mut Outcome) -> Result<Plan> {
        self.claim(None, outcome)?;
        if self.target.is_planned {
            return Ok(decide::planned_setting(&self.declared()));
        }
        let Target { connection, place, .. } = &self.target;
        let was_creating = self.object.status.creating.is_some();
        if was_creating {
            // What an attempt has created has to be seen.
            connection.invalidate(self.entry, place, &Subject::Setting);
        }
        let remote = observe::setting(self.entry, &self.target).await?;
        let schedule =
            schedule(self.entry, self.object, self.target.declared(self.object), &remote)?;
        if let Some(schedule) = &schedule {
            outcome.scheduled(schedule);
            if was_creating
                && schedule.due.as_ref().is_some_and(|due| due.creates)
                && self.engine.memory.is_sought(&self.object.key)
            {
                return Err(Error::NotConverged(NotConverged::Sought));
            }
        }
        let former = self.target.binding.as_ref().filter(|b| b.place == self.target.place);
        let former = former.map(|b| b.provenance);
        if !self.target.shared.observes() && !self.entry.takes_time {
            self.keep_originals(former, &remote.state, outcome);
        }
        Ok(decide::setting(remote, former, &self.declared(), schedule.as_ref()))
    }

    /// Adds the live values of newly declared fields to the originals, and releases those that are
    /// no longer declared. What another Instance object has led to is not remembered.
    fn keep_originals(&self, former: Option<Provenance>, live: &Fields, outcome: &mut Outcome) {
        let declared = &self.target.declared;
        let original = former.and_then(|_| self.object.status.original.clone());
        let original = original.map(Fields::from_map).unwrap_or_default();
        let kept = original.select(declared);
        let released: Vec<String> = original
            .iter()
            .map(|(field, _)| field.clone())
            .filter(|field| kept.get(field).is_none())
            .collect();
        outcome.originals(live.found(declared, self.entry.maps).overlay(&kept), &released);
    }

    fn declared(&self) -> Declared<'_> {
        let (target, object) = (&self.target, self.object);
        let is_root = self.engine.registry.root() == Some(self.entry);
        let needs_consent = is_root && !target.instance_scope;
        Declared {
            fields: &target.declared,
            initial: &target.initial,
            lists: self.entry.lists,
            place: &target.place,
            fixed: match self.entry.as_entity().map(|e| e.natural_key) {
                Some(NaturalKey::References(fields)) => fields,
                _ => &[],
            },
            observes: target.shared.observes(),
            adoption: target.shared.adoption_policy(),
            may_not_adopt: needs_consent.then(|| NoConsent {
                giver: target.instance.clone(),
                field: "instanceScope",
                namespace: object.key.namespace.clone(),
                purpose: Purpose::AdoptRoot,
            }),
        }
    }

    fn claims(&self, id: Option<&str>) -> Vec<Claim> {
        let Target { declared, place, .. } = &self.target;
        let things = Engine::things(self.entry, declared, place, id);
        let claim =
            |thing| Claim { domain: self.target.domain.clone(), kind: self.entry.kind(), thing };
        things.into_iter().map(claim).collect()
    }

    /// Claims remote things. Who only observes claims nothing.
    fn claim(&self, id: Option<&str>, outcome: &mut Outcome) -> Result<()> {
        let (key, claims) = (&self.object.key, self.claims(id));
        if self.target.shared.observes() {
            outcome.wake.extend(self.engine.claims.watch(key, claims));
            return Ok(());
        }
        let (winner, losers) = self.engine.claims.set(self.object, claims);
        outcome.wake.extend(losers);
        winner.map_or(Ok(()), |winner| Err(Error::Conflict { winner }))
    }

    /// What was refused may become like what is declared, or be allowed.
    fn watch(&self, found: &observe::Found, outcome: &mut Outcome) {
        if let Some(id) = found.id() {
            let claims = self.claims(Some(id));
            outcome.wake.extend(self.engine.claims.watch(&self.object.key, claims));
        }
    }

    /// Reports what would be done, and what somebody else changed since it was last looked at.
    async fn observe(&self, plan: Plan, outcome: &mut Outcome) {
        let status = &self.object.status;
        let is_current = status.observed_generation == Some(self.object.generation);
        let was_seen = matches!(status.reason(), Some(Reason::InSync | Reason::Observing));
        let is_new = |change: &&Drift| !status.drift.contains(change);
        let new: Vec<Drift> = plan.changes.iter().filter(is_new).cloned().collect();
        let set = self.secrets_set_by_others(&plan);
        if is_current && was_seen && !(new.is_empty() && set.is_empty()) {
            let former = match (&plan.have, &self.entry) {
                (None, Entry::Entity(_)) => status.id.clone(),
                _ => None,
            };
            let by = self.editor(&plan, former.as_deref()).await;
            let told = Plan { changes: new, secrets: set, former, ..plan.clone() };
            outcome.drifted(self.entry.noun, &told, by, Remedy::None);
        }
        outcome.observed(self.object, self.entry.noun, &self.target, plan);
    }

    /// The declared secrets that somebody else set. It is told once: nothing is sent that could make
    /// it undone.
    fn secrets_set_by_others(&self, plan: &Plan) -> Vec<SecretChange> {
        let Target { connection, place, .. } = &self.target;
        let (entry, subject) = (self.entry, &plan.subject);
        let declared =
            entry.inputs.iter().filter(|i| matches!(i.read(&self.object.spec), Ok(Some(_))));
        let set = declared.filter_map(|input| {
            let by = connection.secret_editor(entry, place, subject, input.field)?;
            connection.forget_secret_editor(entry, place, subject, input.field);
            let cause = SendCause::Drift(by);
            Some(SecretChange { field: input.field, cause, by_another: false })
        });
        set.collect()
    }

    /// Does what the plan says and reads back until it is so.
    async fn carry_out(&self, plan: Plan, outcome: &mut Outcome) -> Result<()> {
        let drift = self.drift(&plan, outcome).await?;
        let secret = SecretStage::of(self.writer())?;
        let before = outcome.events.len();
        // Whatever comes of it, it is not as it was seen; a step that is due just because time has
        // passed makes no difference to what is declared.
        let is_in_step = plan.due.is_some() && plan.changes.is_empty();
        if plan.action != Action::Nothing && !is_in_step && self.object.status.is_ready() {
            let is_new = plan.action == Action::Create;
            outcome.updating(self.object, self.entry.noun, is_new);
        }
        let written = self.write(&plan, secret.as_ref(), outcome).await;
        if let Some(drift) = drift.filter(|drift| drift.is_new || written.is_ok()) {
            let after = outcome.events.split_off(before);
            let remedy = if written.is_ok() { Remedy::Done } else { Remedy::Pending };
            outcome.drifted(self.entry.noun, &plan, drift.by, remedy);
            outcome.events.extend(after);
        }
        let remote = written?;
        if plan.adopts
            && self.target.binding.is_none()
            && let Some(id) = remote.id()
        {
            outcome.adopted(self.entry.noun, id);
        }
        let left = self.declared().changes(&remote.state);
        let id = remote.id().map_or_else(|| setting_id(&self.target), ToOwned::to_owned);
        outcome.bind(&self.target, &id, plan.provenance);
        outcome.reported(&remote);
        outcome.differs(left.clone());
        let remote = match Box::pin(self.writer().prove(&remote, outcome)).await? {
            Some(proved) => proved,
            None => remote,
        };
        let left = self.declared().changes(&remote.state);
        outcome.reported(&remote);
        outcome.differs(left.clone());
        let schedule =
            schedule(self.entry, self.object, self.target.declared(self.object), &remote)?;
        if let Some(schedule) = &schedule {
            outcome.scheduled(schedule);
        }
        if !left.is_empty() || !remote.own {
            let fields = fields(&left);
            return Err(match schedule.zip(outcome.requeue_after) {
                Some((schedule, left)) => {
                    let at = schedule.next.filter(|_| schedule.due.is_none());
                    Error::Scheduled { fields, at, left }
                }
                None => Error::NotConverged(NotConverged::Differs { fields }),
            });
        }
        self.engine.memory.hold(&self.object.key)?;
        outcome.secrets_applied(&self.target.inputs);
        outcome.files_applied(&self.target.files);
        if let Some(secret) = secret {
            Box::pin(secret.ensure(&remote, plan.provenance, outcome)).await?;
        }
        outcome.in_sync(self.object, self.entry.noun);
        Ok(())
    }

    async fn write(
        &self,
        plan: &Plan,
        secret: Option<&SecretStage<'_>>,
        outcome: &mut Outcome,
    ) -> Result<Remote> {
        if let (Some(secret), Action::Create) = (secret, plan.action) {
            secret.admit().await?;
        }
        match (plan.action, &plan.have) {
            (Action::Nothing, Some(remote)) => Ok(remote.clone()),
            (_, Some(remote)) if plan.waits => Ok(remote.clone()),
            // What belongs to nobody yet is not changed.
            (_, Some(remote)) if proof::lacks(self.entry, self.object, remote).is_some() => {
                Ok(remote.clone())
            }
            (_, None) if let Some(key) = secret.filter(|secret| secret.is_key()) => {
                Box::pin(key.create(plan, outcome)).await
            }
            _ => Box::pin(self.writer().apply(plan, outcome)).await,
        }
    }

    /// What was as declared and is not any more was changed by somebody: it is reverted unless that
    /// is a fight.
    async fn drift(&self, plan: &Plan, outcome: &mut Outcome) -> Result<Option<FoundDrift>> {
        let (object, memory) = (self.object, &self.engine.memory);
        let (key, generation) = (&object.key, object.generation);
        // Another file is another declaration, as another spec is.
        let is_same = object.status.files_applied == self.target.files.fingerprints();
        let was_changed = memory.was_changed(key, generation, was_seen(object)) && is_same;
        if !plan.is_drift() {
            return Ok(None);
        }
        let is_recreated = plan.former.as_deref().is_some_and(|former| plan.id() != Some(former));
        if !was_changed && !is_recreated {
            return Ok(None);
        }
        memory.may_correct(key).inspect_err(|_| outcome.differs(plan.changes.clone()))?;
        let by = self.editor(plan, plan.former.as_deref()).await;
        if was_changed {
            let what = plan.drifted(self.entry.noun);
            memory.correct(key, generation, by.as_deref(), &what);
        }
        Ok(Some(FoundDrift { by, is_new: was_changed }))
    }

    fn writer(&self) -> Writer<'_> {
        let Self { engine, host, entry, object, target } = self;
        Writer { engine, host: *host, entry: *entry, object, target }
    }

    /// Who changed a thing, or the one that it was.
    async fn editor(&self, plan: &Plan, former: Option<&str>) -> Option<String> {
        let subject = former.map_or_else(|| plan.subject.clone(), Subject::from);
        let Target { connection, place, .. } = &self.target;
        connection.take_editor(self.entry, place, &subject).await.filter(|by| !by.is_empty())
    }

    /// Whether what ZITADEL lost was deleted, and can be created again.
    async fn recreates(&self, outcome: &mut Outcome) -> bool {
        let (entry, target) = (self.entry, &self.target);
        let Some(entity) = entry.as_entity() else { return false };
        let adopted = target.binding.as_ref().is_some_and(|b| b.provenance == Provenance::Adopted);
        let is_given = target.shared.identity.id.is_some();
        if adopted || is_given || entity.retain_by_default || target.shared.observes() {
            return false;
        }
        let bound = target.binding.as_ref().map(|b| b.id.clone());
        let id = bound.unwrap_or_else(|| self.object.derived_id());
        match self.writer().recreate_lost(&id, outcome).await {
            Ok(is_deleted) => is_deleted,
            // It is reported as lost all the same, and tried again.
            Err(e) => {
                tracing::debug!(error = ?e, "not recreated");
                false
            }
        }
    }
}
