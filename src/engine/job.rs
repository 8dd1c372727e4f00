//! An object on its way through a reconcile: planned, carried out by one create or update, read back.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Error, Fields, Object,
    claims::{Claim, What},
    entity,
    error::{Doing, Result},
    fields::diff,
    host::Host,
    kind::{Entry, Remote, Shape},
    outcome::Outcome,
    plan::{Action, Plan, ToBeMade},
    reconcile::Engine,
    references::{self, Target},
    setting,
};
use crate::{
    api::{
        spec::Shared,
        status::{Drift, LastDrift, Ready, Reason, Verdict},
    },
    live::{Expectation, Seen},
};

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

impl<'a> Job<'a> {
    /// Reads what is declared and resolves what it refers to.
    pub(super) async fn new(
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
    pub(super) async fn plan(&mut self) -> Result<Plan> {
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
    pub(super) fn claim(&self, what: What) -> Claim {
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
        diff(&self.declared, have, self.entry.sets())
    }

    /// Reports what would be done.
    pub(super) fn observe(&mut self, plan: Plan) {
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
    pub(super) async fn carry_out(&mut self, plan: Plan) -> Result<()> {
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
        let written = written
            .inspect_err(|_| live.doubt_scope(entry, &at))
            .doing(&format!("{} {noun}", if have.is_none() { "create" } else { "change" }))?;
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
        tracing::info!(
            kind = self.object.key.kind,
            namespace = self.object.key.namespace,
            name = self.object.key.name,
            id,
            fields = names(&plan.changes),
            reason,
            "written"
        );
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
