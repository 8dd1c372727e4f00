//! What somebody has to publish before ZITADEL believes that a thing belongs to who declares it: it is
//! asked for once, its text is in the status, and it is looked for at growing pauses.

use super::{
    apply::Writer,
    error::{Error, NotConverged, Result, WhileDoing},
    report::Outcome,
};
use crate::{
    api::status::{ChallengeStatus, Drift},
    contract::{Challenge, Entry, Object, Proof, Remote, Subject, Verified},
};

/// How a thing is to be proved, where its spec asks for that.
pub(super) fn declared(entry: Entry, object: &Object) -> Option<(&'static Proof, &str)> {
    let proof = entry.as_entity()?.proof?;
    Some((proof, object.spec.get(proof.field)?.as_str()?))
}

/// What is said of a thing that is to be proved and is not.
pub(super) fn lacks(entry: Entry, object: &Object, remote: &Remote) -> Option<Drift> {
    let (proof, _) = declared(entry, object)?;
    let field = proof.proved.to_owned();
    let is_proved = remote.reported.says(proof.proved, "true");
    (!is_proved).then(|| Drift { field, declared: true.into(), live: false.into() })
}

impl Writer<'_> {
    /// Has a thing proved. Returns what was read after that; `None`: nothing had to be done.
    pub(super) async fn prove(
        &self,
        remote: &Remote,
        outcome: &mut Outcome,
    ) -> Result<Option<Remote>> {
        let (entry, object, memory) = (self.entry, self.object, &self.engine.memory);
        let (Some((proof, way)), Some(id)) = (declared(entry, object), remote.id()) else {
            outcome.status.challenge = None;
            return Ok(None);
        };
        if lacks(entry, object, remote).is_none() {
            outcome.status.challenge = None;
            return Ok(None);
        }
        let known = outcome.status.challenge.take().filter(|known| known.way == way);
        let is_asked = remote.reported.says(proof.asked, way);
        let current = known.and_then(|known| still_counts(known, is_asked, remote));
        // Without a status nobody can tell what was asked for: it may be published all the same.
        let may_ask = !is_asked || self.host.keeps_statuses();
        if current.is_none() && may_ask {
            self.ask(id, way, outcome).await?;
        } else {
            outcome.status.challenge = current;
        }
        let wanted = outcome.status.challenge.as_ref();
        let wanted =
            wanted.map(|c| (format!("{} {}", proof.place(way), c.location), c.token.clone()));
        if let Some(left) = memory.proof_due_in(&object.key) {
            return Err(Error::Unproven { wanted, left });
        }
        let session = self.target.connection.begin_write(entry, &self.target.place).await?;
        let verified = session.verify(id).await.doing("verify")?;
        drop(session);
        match verified {
            Verified::Yes => {
                tracing::info!(id, "verified");
                let now = self.read_back(&Subject::from(id)).await?;
                if lacks(entry, object, &now).is_some() {
                    return Err(Error::NotConverged(NotConverged::Pending));
                }
                self.target.connection.remember_own(entry, &now);
                outcome.status.challenge = None;
                Ok(Some(now))
            }
            Verified::No => {
                memory.proof_missed(&object.key);
                let left = memory.proof_due_in(&object.key).unwrap_or_default();
                Err(Error::Unproven { wanted, left })
            }
            // Asked for again with the next look.
            Verified::NotAsked => {
                outcome.status.challenge = None;
                Err(Error::NotConverged(NotConverged::Pending))
            }
        }
    }

    /// Has ZITADEL ask for a proof. Its text is told once: it is in the status before anything else is
    /// done.
    async fn ask(&self, id: &str, way: &str, outcome: &mut Outcome) -> Result<()> {
        let session = self.target.connection.begin_write(self.entry, &self.target.place).await?;
        let challenge = session.challenge(id, way).await.doing("ask for a proof of")?;
        drop(session);
        tracing::info!(id, way, "asked for a proof");
        let Challenge { location, token } = challenge;
        let challenge = ChallengeStatus { way: way.into(), location, token, requested_at: None };
        outcome.status.challenge = Some(challenge.clone());
        self.engine.memory.proof_asked(&self.object.key);
        self.host.remember(self.object, &outcome.status).await.map_err(Error::Host)?;
        let shown = self.read_back(&Subject::from(id)).await?;
        let proof = self.entry.as_entity().and_then(|entity| entity.proof);
        let is_asked = proof.is_some_and(|proof| shown.reported.says(proof.asked, way));
        if is_asked {
            self.target.connection.remember_own(self.entry, &shown);
        }
        outcome.status.challenge = still_counts(challenge, is_asked, &shown);
        Ok(())
    }
}

/// What was asked for, unless something else was since then. What does not show yet counts.
fn still_counts(
    known: ChallengeStatus,
    is_asked: bool,
    remote: &Remote,
) -> Option<ChallengeStatus> {
    let changed = remote.version.as_ref().map(|version| version.changed.to_string());
    match &known.requested_at {
        Some(at) => (is_asked && changed.as_ref() == Some(at)).then_some(known),
        None if is_asked => Some(ChallengeStatus { requested_at: changed, ..known }),
        None => Some(known),
    }
}
