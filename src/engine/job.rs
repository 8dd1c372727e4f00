//! An object on its way through a reconcile: planned, carried out by one create or update, read
//! back.

use std::time::Duration;

use super::{
    Error, Fields, Object,
    claims::{Claim, What},
    entity,
    error::{Doing, Result},
    fields::diff,
    host::Host,
    instance,
    kind::{At, Entry, Remote, Shape, Written},
    news::News,
    outcome::Outcome,
    plan::{Action, Plan, ToBeMade},
    reconcile::Engine,
    references::{self, Target},
    setting,
};
use crate::{
    api::{
        spec::Shared,
        status::{Drift, Ready, Reason, Verdict},
    },
    live::{Expectation, remains},
    zitadel::{self, Code},
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
            Ok(declared) => references::resolve(engine, host, entry, object, &shared, to_be_made)
                .await
                .map(|target| (declared, target)),
            Err(e) => Err(e),
        };
        match resolved {
            Ok((declared, target)) => {
                Ok(Self { engine, host, entry, object, shared, target, declared, outcome })
            }
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
            self.outcome.wake.extend(self.engine.claims.watch(&self.object.key, claims));
            return Ok(());
        }
        let (winner, losers) = self.engine.claims.set(self.object, claims);
        self.outcome.wake.extend(losers);
        match winner {
            None => Ok(()),
            Some(winner) => Err(Error::Conflict(format!(
                "{winner} declares the same and is older; delete one of the two"
            ))),
        }
    }

    /// The difference that a plan has to remove.
    pub(super) fn changes(&self, have: &Fields) -> Vec<Drift> {
        diff(&self.declared, have, self.entry.sets())
    }

    /// Reports what would be done.
    pub(super) fn observe(&mut self, plan: Plan) {
        let (object, noun) = (self.object, self.entry.noun());
        self.notice(&plan);
        let message = match plan.action {
            Action::Nothing => format!("{noun} is as declared; only observed"),
            Action::Create => format!("{noun} is not there; only observed"),
            Action::Update => format!("{noun} differs in {}; only observed", names(&plan.changes)),
        };
        let ready = if plan.action == Action::Nothing { Ready::True } else { Ready::False };
        let reason =
            if plan.action == Action::Nothing { Reason::InSync } else { Reason::Observing };
        // What it was bound to while it was kept is not forgotten.
        if object.status.provenance.is_none() {
            self.outcome.status.id = plan.have.map(|_| plan.id).filter(|id| !id.is_empty());
            self.outcome.status.organization_id.clone_from(&self.target.at.organization);
        }
        self.outcome.status.drift = plan.changes;
        self.outcome.conclude(object, &Verdict { ready, reason, message });
    }

    /// Does what the plan says and reads back until it is so.
    pub(super) async fn carry_out(&mut self, plan: Plan) -> Result<()> {
        let noun = self.entry.noun();
        self.resist(&plan)?;
        if plan.action != Action::Nothing {
            let changed = instance::still_the_same(self.engine, &self.target.connection).await;
            changed.inspect_err(|_| self.outcome.wake.push(self.target.instance.clone()))?;
        }
        if self.entry.shape() == Shape::Setting && plan.action != Action::Nothing {
            setting::remember(self, plan.provenance).await?;
        }
        let remote = match plan.action {
            Action::Nothing => plan.have.clone(),
            Action::Create | Action::Update => Some(Box::pin(self.write(&plan)).await?),
        };
        let Some(remote) = remote else {
            return Err(Error::NotConverged(format!("{noun} is not there")));
        };
        let left = self.changes(&remote.state);
        let status = &mut self.outcome.status;
        // Some settings come without an id: they are the instance's.
        status.id = Some(remote.id.clone())
            .filter(|id| !id.is_empty())
            .or_else(|| Some(self.target.connection.instance_id.clone()));
        status.instance_id = Some(self.target.connection.instance_id.clone());
        status.organization_id.clone_from(&self.target.at.organization);
        status.provenance = Some(plan.provenance);
        status.drift.clone_from(&left);
        if left.is_empty() && remote.own {
            self.engine.memory.holds(&self.object.key)?;
            let message = format!("{noun} is as declared");
            self.outcome.conclude(
                self.object,
                &Verdict { ready: Ready::True, reason: Reason::InSync, message },
            );
            return Ok(());
        }
        Err(Error::NotConverged(format!("{noun} still differs in {}", names(&left))))
    }

    /// What was as declared and is not any more was changed by somebody: it is reported, and set
    /// back unless that is a fight.
    fn resist(&mut self, plan: &Plan) -> Result<()> {
        let (object, memory) = (self.object, &self.engine.memory);
        let was_ready = object.status.is_ready()
            && object.status.observed_generation == Some(object.generation);
        let was_changed = memory.was_changed(&object.key, object.generation, was_ready);
        if plan.action == Action::Nothing {
            return Ok(());
        }
        let is_bound = object.status.provenance.is_some() && self.entry.shape() != Shape::Setting;
        let former = object.status.id.as_ref().filter(|id| is_bound && **id != plan.id);
        let is_made_again = plan.action == Action::Create && former.is_some();
        if !was_changed && !is_made_again {
            return Ok(());
        }
        memory
            .may_correct(&object.key)
            .inspect_err(|_| self.outcome.status.drift.clone_from(&plan.changes))?;
        let (by, what) = self.tell(plan, former, true);
        if was_changed {
            self.engine.memory.corrects(&object.key, object.generation, by.as_deref(), &what);
        }
        Ok(())
    }

    /// One create or update, and the read that shows it.
    async fn write(&mut self, plan: &Plan) -> Result<Remote> {
        let (entry, noun) = (self.entry, self.entry.noun());
        let live = self.target.connection.live.clone();
        let at = self.target.at.clone();
        let writer = live.writer(entry).await;
        let renewed = self.renewed(plan).await?;
        let plan = match &renewed {
            Renewed::Needless(remote) => return Ok(remote.clone()),
            Renewed::Plan(plan) => plan,
        };
        let mut written = put(entry, &at, plan).await;
        let is_new = plan.effect() == Action::Create;
        if is_new && matches!(&written, Err(e) if e.code() == Some(Code::AlreadyExists)) {
            let prefixes = entry.events();
            if remains::are_left(&at, prefixes, &plan.id)
                .await
                .doing(&format!("look for what is left of {noun}"))?
            {
                entry
                    .delete(&at, &plan.id)
                    .await
                    .doing(&format!("remove what is left of {noun}"))?;
                let message = format!(
                    "{noun} had a former life in an organization that was deleted and made again; what was left of it was removed"
                );
                self.outcome.note(News::RemainsRemoved, message);
                written = put(entry, &at, plan).await;
            }
        }
        if let Err(e) = &written
            && let Some(lost) = self.contradiction(plan, e)
        {
            live.doubt_scope(entry, &at);
            return Err(lost);
        }
        // Whatever the answer was: what we believed is not to be trusted any more.
        let written = written
            .inspect_err(|_| live.doubt_scope(entry, &at))
            .doing(&format!("{} {noun}", if is_new { "create" } else { "change" }))?;
        let id = match (&written.id, entry.shape()) {
            (_, Shape::Setting) => String::new(),
            (Some(id), _) => id.clone(),
            (None, _) => plan.id.clone(),
        };
        live.expect(entry, &at, &id, Expectation::State(plan.want.clone(), written.version));
        drop(writer);
        let (news, verb) =
            if is_new { (News::Created, "created") } else { (News::Updated, "changed") };
        let what = if plan.changes.is_empty() || plan.have.is_none() {
            String::new()
        } else {
            format!(": {}", names(&plan.changes))
        };
        self.outcome.note(news, format!("{noun} was {verb}{what}"));
        tracing::info!(
            kind = self.object.key.kind,
            namespace = self.object.key.namespace,
            name = self.object.key.name,
            id,
            fields = names(&plan.changes),
            reason = %news,
            "written"
        );
        Box::pin(self.settled(&id)).await
    }

    /// A write replaces the whole, and what the plan was made of may be as old as the last poll of
    /// the feed, or where there is no feed, the last list: what others have changed meanwhile is
    /// not to be undone.
    async fn renewed(&self, plan: &Plan) -> Result<Renewed> {
        if plan.have.is_none() {
            return Ok(Renewed::Plan(Box::new(plan.clone())));
        }
        let (entry, target) = (self.entry, &self.target);
        target
            .connection
            .live
            .look(entry, &target.at, &plan.id)
            .await
            .doing(&format!("read {}", entry.noun()))?;
        let Some(have) = self.seen(&plan.id, false).await? else {
            return Err(Error::NotConverged(format!("{} has just gone", entry.noun())));
        };
        let changes = self.changes(&have.state);
        if changes.is_empty() && have.own {
            return Ok(Renewed::Needless(have));
        }
        let want = have.state.overlaid(&self.declared);
        Ok(Renewed::Plan(Box::new(Plan { changes, want, have: Some(have), ..plan.clone() })))
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

/// A plan after another look.
enum Renewed {
    Plan(Box<Plan>),
    /// Somebody was faster.
    Needless(Remote),
}

/// The one call of a plan.
async fn put(entry: &dyn Entry, at: &At, plan: &Plan) -> zitadel::Result<Written> {
    match &plan.have {
        None => entry.create(at, &plan.id, &plan.want).await,
        Some(have) => entry.write(at, have, &plan.want).await,
    }
}

/// The names of the fields that differ.
pub(super) fn names(changes: &[Drift]) -> String {
    changes.iter().map(|c| c.field.as_str()).collect::<Vec<_>>().join(", ")
}
