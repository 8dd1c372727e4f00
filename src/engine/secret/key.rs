//! Keys and tokens: things that are nothing but a secret. Another one is created before one ends,
//! and takes its place in the Secret; the former one stays valid until it ends by itself.
//!
//! A call that creates one can't be repeated, and what it answers can't be asked for again. So the
//! status holds, before the call, the very moment at which the new one will end, to the microsecond:
//! by that it is found again, and deleted, if nobody got to know its secret.

use jiff::{SignedDuration, Timestamp, Unit};
use serde_json::json;

use super::{Made, SecretStage};
use crate::{
    api::{
        RENEW_AT,
        secret::{FormerKey, SecretStatus},
        status::{Provenance, Status},
    },
    contract::{Entry, Fields, NaturalKey, Place, Remote, Secrets, Subject},
    engine::{
        binding::Binding,
        decide::Plan,
        decide_secret::{Cause, SecretRefusal},
        error::{Doing, Error, NotConverged, OutputError, Result, WhileDoing},
        report::Outcome,
    },
    live::Connection,
    zitadel,
};

/// When a key ends: the field of its state that tells it from others.
pub(super) const EXPIRES_AT: &str = "expiresAt";
/// How many former ones are kept at most, however often another one is asked for.
const MOST: usize = 10;

impl SecretStage<'_> {
    /// Who gets a key of something gets its rights.
    pub(super) fn may_have_keys(&self) -> Result<()> {
        let target = self.writer.target;
        let is_own_account = target.place.is_within(&target.connection.account.id);
        match (is_own_account, target.owns.parent) {
            _ if !self.is_key() => Ok(()),
            (true, _) => Err(self.refused(SecretRefusal::OwnAccount)),
            (false, false) => Err(self.refused(SecretRefusal::ParentNotOwned)),
            (false, true) => Ok(()),
        }
    }

    /// What the Secret of an object holds whose status does not tell. Anybody who writes Secrets can
    /// write a name into one: in what another namespace lends, only what this object was about to
    /// create is its own.
    pub(in crate::engine) async fn held(&self) -> Result<Option<Binding>> {
        let target = self.writer.target;
        let found = match self.find().await {
            // A plan needs no place to write to.
            Err(Error::Output(OutputError::NowhereToWrite)) => None,
            found => found?,
        };
        let mark = found.and_then(|(_, mark)| mark);
        let Some((id, mark)) = mark.and_then(|mark| Some((mark.id.clone()?, mark))) else {
            return Ok(None);
        };
        let status = &self.writer.object.status;
        let is_created = match pending(status) {
            Some(at) => self.ending_at(at).await?.as_ref() == Some(&id),
            None => target.owns.place && mark.at.is_some(),
        };
        if !is_created && !target.owns.place {
            return Ok(None);
        }
        let provenance = if is_created { Provenance::Created } else { Provenance::Adopted };
        Ok(Some(Binding { provenance, ..target.created(id) }))
    }

    /// Creates what does not exist, or not any more.
    pub(in crate::engine) async fn create(
        &self,
        plan: &Plan,
        outcome: &mut Outcome,
    ) -> Result<Remote> {
        if let Some(remote) = self.settle(outcome).await? {
            return Ok(remote);
        }
        outcome.status.id = None;
        let cause = if plan.former.is_some() { Cause::Gone } else { Cause::First };
        let kind = self.find().await?.and_then(|(secret, _)| secret.kind);
        self.another(cause, kind, outcome).await
    }

    /// Creates another one and writes it into the Secret.
    pub(super) async fn another(
        &self,
        cause: Cause,
        kind: Option<String>,
        outcome: &mut Outcome,
    ) -> Result<Remote> {
        let (host, object) = (self.writer.host, self.writer.object);
        let name = self.declared.spec.name.clone();
        let known = self.known(outcome).unwrap_or_default();
        let now = Timestamp::now();
        let expires_at = end(now, self.declared.lifetime.whole);
        // What can't be written is not created.
        let draft =
            self.made(self.made_of("-", &expires_at, kind.clone())?, Some("-".into()), None)?;
        host.write_output(object, &draft, true).await?;
        let before = outcome.status.clone();
        if outcome.status.id.is_none() {
            outcome.creating(self.writer.target, None);
        }
        outcome.status.secret = Some(SecretStatus {
            name: name.clone(),
            pending: Some(now.to_string()),
            pending_expires_at: Some(expires_at.clone()),
            ..known.clone()
        });
        host.remember(object, &outcome.status).await.map_err(Error::Host)?;
        self.writer.engine.memory.attempt(&object.key);
        let (id, secret) = match self.call(&expires_at).await {
            Ok(created) => created,
            Err(e) => {
                if matches!(&e, Error::Zitadel { source, .. } | Error::NamesMissing { source } if source.had_no_effect())
                {
                    outcome.status = before;
                    host.remember(object, &outcome.status).await.map_err(Error::Host)?;
                }
                return Err(e);
            }
        };
        let at = now.to_string();
        self.write(self.made_of(&id, &expires_at, kind)?, Some(secret), Some(at.clone())).await?;
        tracing::info!(id, cause = ?cause, "created a key");
        outcome.status.secret = Some(SecretStatus {
            name: name.clone(),
            issued_at: Some(at),
            expires_at: Some(expires_at),
            renewed_for: object.annotations.get(RENEW_AT).cloned(),
            previous: with_former(outcome, &known),
            ..SecretStatus::default()
        });
        outcome.bind(self.writer.target, &id, Provenance::Created);
        outcome.secret_issued(&name, &cause);
        self.writer.read_back(&Subject::Entity(id)).await
    }

    async fn call(&self, expires_at: &str) -> Result<(String, secrecy::SecretString)> {
        let (entry, target) = (self.writer.entry, self.writer.target);
        let session = target.connection.begin_write(entry, &target.place).await?;
        let want = Fields::from(json!({ EXPIRES_AT: expires_at }));
        let written = session.create("", &want, &Secrets::default()).await;
        let missing = entry.as_entity().map_or(&[][..], |entity| entity.missing);
        let written = written.map_err(|e| match e.id() {
            Some(id) if missing.contains(&id) => Error::NamesMissing { source: e },
            _ => Error::Zitadel { doing: Doing::Thing("create"), source: e },
        })?;
        written.id.zip(written.secret).ok_or_else(|| {
            let what = "no id, or no secret".into();
            let source = zitadel::Error::Malformed { endpoint: "(create)".into(), what };
            Error::Zitadel { doing: Doing::Thing("create"), source }
        })
    }

    /// Settles what an attempt left behind that was cut off. Returns what the Secret holds by now,
    /// if that is what it created.
    pub(super) async fn settle(&self, outcome: &mut Outcome) -> Result<Option<Remote>> {
        let Some(known) = self.known(outcome) else { return Ok(None) };
        let Some(at) = pending(&outcome.status).map(ToOwned::to_owned) else { return Ok(None) };
        let (entry, target) = (self.writer.entry, self.writer.target);
        let mark = self.find().await?.and_then(|(_, mark)| mark);
        let settled = SecretStatus { pending: None, pending_expires_at: None, ..known.clone() };
        match self.ending_at(&at).await? {
            Some(id) if mark.as_ref().is_some_and(|mark| mark.id.as_ref() == Some(&id)) => {
                let previous = with_former(outcome, &settled);
                outcome.bind(target, &id, Provenance::Created);
                outcome.status.secret = Some(SecretStatus {
                    issued_at: mark.and_then(|mark| mark.at),
                    renewed_for: self.writer.object.annotations.get(RENEW_AT).cloned(),
                    previous,
                    ..settled
                });
                return self.writer.read_back(&Subject::Entity(id)).await.map(Some);
            }
            Some(id) => {
                let session = target.connection.begin_write(entry, &target.place).await?;
                session.delete(&id).await.doing("delete")?;
                tracing::info!(id, "deleted what nobody got to know");
            }
            None if self.writer.engine.memory.is_sought(&self.writer.object.key) => {
                return Err(Error::NotConverged(NotConverged::Sought));
            }
            None => {}
        }
        outcome.status.secret = Some(settled);
        Ok(None)
    }

    /// Removes the records of those that have ended, and the oldest where there are too many.
    pub(super) async fn sweep(&self, outcome: &mut Outcome) -> Result<()> {
        let Some(status) = &mut outcome.status.secret else { return Ok(()) };
        let (entry, target) = (self.writer.entry, self.writer.target);
        let now = Timestamp::now();
        let has_ended =
            |former: &FormerKey| former.expires_at.parse().is_ok_and(|at: Timestamp| at <= now);
        let is_over = |previous: &[FormerKey]| {
            let too_many = (previous.len() > MOST).then_some(0);
            previous.iter().position(has_ended).or(too_many)
        };
        let mut ended = Vec::new();
        while let Some(at) = is_over(&status.previous) {
            if let Some(FormerKey { id, .. }) = status.previous.get(at) {
                let session = target.connection.begin_write(entry, &target.place).await?;
                session.delete(id).await.doing_other("delete what has ended")?;
                tracing::info!(id, "deleted the record of a former key");
            }
            ended.push(status.previous.remove(at));
        }
        for former in ended.iter().filter(|former| !has_ended(former)) {
            outcome.key_ended(former);
        }
        Ok(())
    }

    fn made_of(&self, id: &str, expires_at: &str, kind: Option<String>) -> Result<Made> {
        let remote = Remote {
            subject: Subject::from(id),
            place: self.writer.target.place.clone(),
            state: Fields::from(json!({ EXPIRES_AT: expires_at })),
            reported: Fields::default(),
            own: true,
            version: None,
        };
        let values = self.values(&remote)?;
        let inputs = self.inputs(&values);
        Ok(Made { values, inputs, kind, id: id.to_owned() })
    }

    async fn ending_at(&self, at: &str) -> Result<Option<String>> {
        let target = self.writer.target;
        ending_at(&target.connection, self.writer.entry, &target.place, at).await
    }
}

/// The ids of what has to go with a key: former ones that are still valid, and one that was about
/// to be created.
pub(in crate::engine) async fn remains(
    connection: &Connection,
    entry: Entry,
    place: &Place,
    status: &Status,
) -> Result<Vec<String>> {
    let previous = status.secret.iter().flat_map(|secret| &secret.previous);
    let mut ids: Vec<String> = previous.map(|former| former.id.clone()).collect();
    if let Some(at) = pending(status) {
        ids.extend(ending_at(connection, entry, place, at).await?);
    }
    Ok(ids)
}

/// The former keys, and the one that was in use. What was adopted is not ours to remove.
fn with_former(outcome: &Outcome, known: &SecretStatus) -> Vec<FormerKey> {
    let mut previous = known.previous.clone();
    let status = &outcome.status;
    if let (Some(id), Some(expires_at)) = (&status.id, &known.expires_at)
        && status.provenance == Some(Provenance::Created)
    {
        previous.push(FormerKey { id: id.clone(), expires_at: expires_at.clone() });
    }
    previous
}

/// When the one ends that was about to be created.
fn pending(status: &Status) -> Option<&str> {
    status.secret.as_ref()?.pending_expires_at.as_deref()
}

/// The id of what ends at this very moment.
async fn ending_at(
    connection: &Connection,
    entry: Entry,
    place: &Place,
    at: &str,
) -> Result<Option<String>> {
    connection.invalidate_collection(entry, place);
    let found = connection.find(entry, place, NaturalKey::Field(EXPIRES_AT), at).await;
    let found = found.doing("look for")?;
    Ok(found.iter().find(|remote| remote.place == *place).and_then(Remote::id).map(Into::into))
}

/// When what begins now ends, to the microsecond: as much as ZITADEL keeps.
fn end(now: Timestamp, lifetime: SignedDuration) -> String {
    let end = now.checked_add(lifetime).unwrap_or(Timestamp::MAX);
    end.round(Unit::Microsecond).unwrap_or(end).to_string()
}
