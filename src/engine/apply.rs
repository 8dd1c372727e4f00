//! Stage 4: the writes. The only file of the engine that writes to ZITADEL, by the one protocol of
//! [`Connection::begin_write`]; then it reads until the write shows.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret;

use super::{
    context::Engine,
    decide::{Action, Plan, fields},
    error::{Doing, Error, Lost, NotConverged, Result, WhileDoing},
    host::Host,
    inputs::{self, InputSecret, SecretChange},
    lock_out,
    observe::{self, MAX_LAG, current},
    report::{Outcome, Removed, setting_id},
    resolve::Target,
    schedule::schedule,
};
use crate::{
    api::status::Provenance,
    contract::{
        Entry, Fields, Files, IdSource, Moment, NO_FILE, Object, Place, Remote, Secrets, Subject,
        diff, entry::Declared,
    },
    live::{self, Absence, Connection, WriteSession},
    zitadel::{self, Code},
};

/// The first pause before a read is repeated; doubled each time, up to the second.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// What a write needs to know.
pub struct Writer<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// Where the objects are.
    pub host: &'a dyn Host,
    /// The kind.
    pub entry: Entry,
    /// The object.
    pub object: &'a Object,
    /// Where it goes.
    pub target: &'a Target,
}

impl Writer<'_> {
    /// Carries out a plan. Returns what was read back; what is said of it goes into the outcome.
    pub async fn apply(&self, plan: &Plan, outcome: &mut Outcome) -> Result<Remote> {
        self.remember(plan, outcome).await?;
        let (connection, place) = (&self.target.connection, &self.target.place);
        let session = connection.begin_write(self.entry, place).await?;
        let renewed = match plan.have {
            Some(_) => self.renew(&session, plan).await?,
            None => Renewed::Plan(Box::new(plan.clone())),
        };
        let plan = match renewed {
            Renewed::Needless(remote) => return Ok(*remote),
            Renewed::Plan(plan) => plan,
        };
        if plan.by_another {
            return self.replace(session, &plan, outcome).await;
        }
        let declared = self.target.declared(self.object);
        // Somebody may have begun a draft since it was planned.
        let drafts = session.drafts(declared).await.doing("read the draft of")?;
        refuse_drafts(drafts)?;
        // What was planned is as old as what it was planned of.
        let access = self.target.connection.acting(self.target.place.clone());
        let id = plan.subject.id();
        lock_out::refuse(self.entry, self.object, &access, id, Some(&plan.want)).await?;
        let secrets = inputs::values(&self.target.inputs, &plan.secrets);
        let mut written = call(&session, &plan, &secrets, declared).await;
        if plan.effect() == Action::Create
            && matches!(&written, Err(e) if self.means_exists(e))
            && self.remove_leftover(&session, &plan, outcome).await?
        {
            written = call(&session, &plan, &secrets, declared).await;
        }
        if let Err(e) = &written
            && e.had_no_effect()
        {
            self.forget(outcome).await?;
        }
        if let Err(e) = &written
            && let Some(lost) = self.contradiction(&plan, e)
        {
            return Err(lost);
        }
        let verb = if plan.effect() == Action::Create { "create" } else { "change" };
        let missing = self.entry.as_entity().map_or(&[][..], |entity| entity.missing);
        let written = written.map_err(|e| match e.id() {
            Some(id) if missing.contains(&id) => Error::NamesMissing { source: e },
            _ => Error::Zitadel { doing: Doing::Thing(verb), source: e },
        })?;
        drop(session);
        let subject = match (&plan.subject, written.id) {
            (Subject::Entity(_) | Subject::New, Some(id)) => Subject::Entity(id),
            (subject, _) => subject.clone(),
        };
        outcome.written(self.entry.noun, &plan);
        self.note_sent(&plan.secrets, outcome);
        tracing::info!(id = subject.id(), fields = plan.done(), "{verb}d", verb = verb);
        self.keep_unforeseen_id(&subject, &plan, outcome).await?;
        let remote = self.read_back(&subject).await?;
        // What never shows is not bound: it may be created again under the same id.
        if let Some(id) = subject.id() {
            outcome.bind(self.target, id, plan.provenance);
        }
        Ok(remote)
    }

    /// What has to survive a crash between the call and the end of this reconcile is in the status
    /// before the call: the former values of a setting, that what is created under an id which does
    /// not follow from the object's UID is ours, and the name of what must not be created twice, or
    /// is created in the place of what was deleted.
    async fn remember(&self, plan: &Plan, outcome: &mut Outcome) -> Result<()> {
        let is_new_here = outcome.status.original != self.object.status.original;
        let entity = self.entry.as_entity();
        let has_own_id = entity.is_some_and(|e| e.id == IdSource::Chosen)
            && self.target.shared.identity.id.is_none();
        let name = entity.and_then(|entity| entity.natural_key.of(&plan.want));
        match &plan.subject {
            Subject::Setting if is_new_here || plan.due.is_some() => {
                outcome.bind(self.target, &setting_id(self.target), plan.provenance);
                if let Some(due) = plan.due.as_ref().filter(|due| due.creates) {
                    outcome.status.creating = Some(due.what.clone());
                    self.engine.memory.attempt(&self.object.key);
                }
            }
            Subject::Entity(id) if plan.action == Action::Create => {
                let is_noted = entity.is_some_and(|entity| entity.takes_ids_twice)
                    || (has_own_id && plan.former.is_some());
                if !has_own_id {
                    outcome.bind(self.target, id, plan.provenance);
                } else if is_noted && self.target.binding.is_none() {
                    outcome.creating(self.target, None);
                }
                if is_noted {
                    outcome.status.creating = name;
                    self.engine.memory.attempt(&self.object.key);
                }
            }
            // What an attempt has created was found by its name, and may get another one now.
            Subject::Entity(id) if self.object.status.creating.is_some() => {
                outcome.bind(self.target, id, plan.provenance);
            }
            Subject::New => {
                outcome.creating(self.target, name);
                self.engine.memory.attempt(&self.object.key);
            }
            _ => return Ok(()),
        }
        if outcome.status == self.object.status {
            return Ok(());
        }
        self.host.remember(self.object, &outcome.status).await.map_err(Error::Host)
    }

    /// What was not created is not ours, whatever was noted before the call.
    async fn forget(&self, outcome: &mut Outcome) -> Result<()> {
        if self.entry.is_setting() || outcome.status.provenance == self.object.status.provenance {
            return Ok(());
        }
        outcome.unbind(self.object);
        self.host.remember(self.object, &outcome.status).await.map_err(Error::Host)
    }

    /// The id in the answer counts: one that was not asked for must not be forgotten.
    async fn keep_unforeseen_id(
        &self,
        subject: &Subject,
        plan: &Plan,
        outcome: &mut Outcome,
    ) -> Result<()> {
        match subject.id() {
            Some(id) if plan.id().is_some_and(|planned| planned != id) => {
                outcome.bind(self.target, id, plan.provenance);
                self.host.remember(self.object, &outcome.status).await.map_err(Error::Host)
            }
            _ => Ok(()),
        }
    }

    /// A write replaces the whole, and what the plan was made of may be as old as the last poll of
    /// the feed, or without a feed, the last list: what others have changed meanwhile is not to be
    /// undone.
    async fn renew(&self, session: &WriteSession<'_>, plan: &Plan) -> Result<Renewed> {
        let seen = session.read(&plan.subject).await.doing("read")?;
        let Some(have) = current(&plan.subject, seen)? else {
            return Err(Error::NotConverged(NotConverged::JustGone));
        };
        let declared = &self.target.declared;
        let changes = diff(declared, &have.state, self.entry.lists);
        let schedule = schedule(self.entry, self.object, self.target.declared(self.object), &have)?;
        let is_needless = match &schedule {
            Some(schedule) => schedule.due.is_none(),
            None => changes.is_empty() && plan.secrets.is_empty() && have.own,
        };
        if is_needless {
            return Ok(Renewed::Needless(Box::new(have)));
        }
        let want = have.state.changed(&changes);
        let by_another = self.entry.as_entity().map_or(&[][..], |entity| entity.by_another);
        let due = schedule.and_then(|schedule| schedule.due);
        let renewed = Plan { changes, want, due, have: Some(have), ..plan.clone() };
        Ok(Renewed::Plan(Box::new(renewed.sending(plan.secrets.clone(), by_another))))
    }

    /// Keeps which secrets were sent: they are not sent again.
    pub(super) fn note_sent(&self, changes: &[SecretChange], outcome: &mut Outcome) {
        let is_sent = |s: &&InputSecret| changes.iter().any(|c| c.field == s.input.field);
        let sent: Vec<&InputSecret> = self.target.inputs.iter().filter(is_sent).collect();
        for secret in &sent {
            let (key, field) = (&self.object.key, secret.input.field);
            self.engine.memory.secret_sent(key, field, secret.value.expose_secret());
        }
        outcome.secrets_sent(&sent);
    }

    fn means_exists(&self, e: &zitadel::Error) -> bool {
        let known = self.entry.as_entity().map_or(&[][..], |entity| entity.exists);
        e.code() == Some(Code::AlreadyExists) || e.id().is_some_and(|id| known.contains(&id))
    }

    /// Removes what an organization of the same id left behind. Returns whether there was any.
    async fn remove_leftover(
        &self,
        session: &WriteSession<'_>,
        plan: &Plan,
        outcome: &mut Outcome,
    ) -> Result<bool> {
        if plan.subject == Subject::New {
            return Ok(false);
        }
        let (target, root) = (self.target, self.engine.registry.root());
        let access = target.connection.access(target.place.clone());
        let root = root.map_or(&[][..], |root| root.events);
        match live::is_leftover(&access, root, self.entry.events, &plan.subject).await {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            // Without permission to read events it can't be told, and is looked for again.
            Err(e) if e.code() == Some(Code::PermissionDenied) => return Ok(false),
            Err(e) => return Err(e).doing("look for what is left of"),
        }
        remove(session, &plan.subject).await.doing("remove what is left of")?;
        outcome.leftover_removed(self.entry.noun);
        Ok(true)
    }

    /// What an answer tells that contradicts what can be read: unless reads merely lag, the read
    /// side has lost something, or the account does not see all.
    fn contradiction(&self, plan: &Plan, e: &zitadel::Error) -> Option<Error> {
        let lost = match plan.id() {
            _ if plan.subject == Subject::New && self.means_exists(e) => {
                Error::Taken { source: e.clone() }
            }
            id if plan.effect() == Action::Create && self.means_exists(e) => {
                let id = id.map_or_else(|| setting_id(self.target), ToOwned::to_owned);
                Error::Lost(Lost::RefusedAsExisting { id })
            }
            _ if e.id().is_some_and(|id| self.entry.unchanged.contains(&id)) => {
                Error::Lost(Lost::RefusedAsUnchanged { fields: plan.changed_fields() })
            }
            _ => return None,
        };
        let age = self.engine.memory.refused_for(&self.object.key);
        (age > MAX_LAG).then_some(lost)
    }

    /// Reads until the own write shows; the read side may lag.
    pub(super) async fn read_back(&self, subject: &Subject) -> Result<Remote> {
        let mut pause = FIRST_PAUSE;
        loop {
            let seen = observe::read(self.entry, self.target, subject, Absence::Confirmed).await;
            match seen {
                Ok(Some(remote)) => return Ok(remote),
                Ok(None) => return Err(Error::NotConverged(NotConverged::Absent)),
                Err(Error::NotConverged(_)) if pause < LAST_PAUSE => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// Deletes what ZITADEL accepted and does not show, so that it can be created again: once, if
    /// nothing can depend on it yet. Returns whether it was.
    pub async fn recreate_lost(&self, id: &str, outcome: &mut Outcome) -> Result<bool> {
        let Target { connection, place, .. } = self.target;
        let verb = "find out what became of";
        let shown = connection.newest_change(self.entry, place).await.doing(verb)?;
        let (client, account) = (&connection.client, &connection.account.id);
        let events = self.entry.events;
        let is_harmless = live::may_be_recreated(client, events, id, account, shown).await;
        if !is_harmless.doing(verb)? || !self.engine.memory.may_recreate(&self.object.key) {
            return Ok(false);
        }
        let session = connection.begin_write(self.entry, place).await?;
        session.delete(id).await.doing("delete")?;
        outcome.recreated(self.entry.noun, id);
        Ok(true)
    }
}

/// A plan after another look.
enum Renewed {
    Plan(Box<Plan>),
    /// Somebody was faster.
    Needless(Box<Remote>),
}

/// The one call of a plan.
async fn call(
    session: &WriteSession<'_>,
    plan: &Plan,
    secrets: &Secrets,
    declared: Declared<'_>,
) -> zitadel::Result<crate::contract::Written> {
    match (&plan.have, &plan.subject) {
        (Some(have), Subject::Setting) => session.write_declared(have, &plan.want, declared).await,
        (Some(have), _) => session.update(have, &plan.want, secrets).await,
        (None, Subject::Entity(id)) => session.create(id, &plan.want, secrets).await,
        (None, Subject::New) => session.create("", &plan.want, secrets).await,
        (None, Subject::Setting) => Err(zitadel::Error::Malformed {
            endpoint: "(no call)".into(),
            what: "a setting that was not read".into(),
        }),
    }
}

/// What somebody drafts is not published by us.
pub(super) fn refuse_drafts(fields: Vec<String>) -> Result<()> {
    if fields.is_empty() { Ok(()) } else { Err(Error::Drafted { fields }) }
}

async fn remove(session: &WriteSession<'_>, subject: &Subject) -> zitadel::Result<()> {
    match subject {
        Subject::Setting => session.reset().await,
        Subject::Entity(id) => session.delete(id).await,
        Subject::New => Ok(()),
    }
}

/// The end of a remote side.
pub struct Remover<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The kind.
    pub entry: Entry,
    /// The connection that the object was bound through.
    pub connection: &'a Connection,
    /// The object.
    pub object: &'a Object,
    /// Where the thing is.
    pub place: &'a Place,
    /// Whether Kastellan created it.
    pub provenance: Provenance,
}

impl Remover<'_> {
    /// Deletes an entity; resets an organization's own setting that was created by us, or gives a
    /// setting its former values back.
    pub async fn remove(&self, id: &str, original: Fields) -> Result<Removed> {
        let done = match self.entry {
            Entry::Setting(_) => self.restore(original).await,
            _ => self.delete(id).await,
        };
        match done {
            // What was in something went with it, whatever ZITADEL says to calls for it.
            Err(e) => match self.gone().await {
                Some(id) => Ok(Removed::WithPlace { id }),
                None => Err(e),
            },
            done => done,
        }
    }

    /// The id of what it was in, if that does not exist any more: its organization, or of a setting
    /// something in that.
    async fn gone(&self) -> Option<String> {
        let (registry, connection) = (self.engine.registry, self.connection);
        let organization = self.place.organization.as_ref()?;
        let is_gone = observe::organization_is_gone(registry, connection, organization).await;
        if is_gone.unwrap_or(false) {
            return Some(organization.clone());
        }
        if !self.entry.is_setting() {
            return None;
        }
        let keys = self.entry.keyed_by.len();
        let mut at = self.place.clone();
        at.parents.truncate(at.parents.len().saturating_sub(keys));
        let id = at.parents.pop()?;
        let kinds = self.entry.parents().flat_map(|parent| parent.kinds);
        for kind in kinds.filter_map(|kind| registry.find(kind)) {
            if !observe::is_gone(connection, kind, &at, &id).await.unwrap_or(false) {
                return None;
            }
        }
        Some(id)
    }

    async fn delete(&self, id: &str) -> Result<Removed> {
        let session = self.connection.begin_write(self.entry, self.place).await?;
        session.delete(id).await.doing("delete")?;
        tracing::info!(id, "deleted");
        Ok(Removed::Deleted { id: id.to_owned() })
    }

    async fn restore(&self, original: Fields) -> Result<Removed> {
        let session = self.connection.begin_write(self.entry, self.place).await?;
        if self.provenance == Provenance::Created {
            session.reset().await.doing("reset")?;
            tracing::info!("reset");
            return Ok(Removed::Reset);
        }
        let subject = Subject::Setting;
        let seen = session.read(&subject).await.doing("read")?;
        let Some(have) = current(&subject, seen)? else { return Ok(Removed::Unchanged) };
        // Nobody has the files that were there before.
        let is_file = |field: &str| self.entry.files.iter().any(|file| file.field == field);
        let gone = original.iter().filter(|(field, value)| is_file(field) && **value != NO_FILE);
        let gone: Vec<&str> = gone.map(|(field, _)| field.as_str()).collect();
        let original = original.clone().without(&gone);
        let changes = diff(&original, &have.state, self.entry.lists);
        // Reset by somebody else meanwhile: there is nothing to give back.
        if changes.is_empty() || !have.own {
            return Ok(Removed::Unchanged);
        }
        let want = have.state.changed(&changes);
        let files = Files::default();
        let moment = Moment { now: Timestamp::now(), replaces: None };
        let declared =
            Declared { spec: &self.object.spec, fields: &original, files: &files, moment };
        refuse_drafts(session.drafts(declared).await.doing("read the draft of")?)?;
        session.write_declared(&have, &want, declared).await.doing("restore")?;
        let fields = fields(&changes);
        tracing::info!(fields = fields.join(", "), "restored");
        Ok(Removed::Restored { fields })
    }
}
