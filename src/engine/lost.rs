//! What ZITADEL accepted and does not show: it may come yet, or it is lost, for a projection of
//! ZITADEL can skip an event for good. That is told apart, healed where that is safe, and else
//! reported.

use std::time::Duration;

use super::{
    Error,
    error::{Doing, Result},
    instance,
    job::{Job, names},
    kind::{Remote, Shape},
    news::News,
    plan::{Action, Plan},
};
use crate::{
    api::status::Provenance,
    live::{Expectation, Seen, remains},
    zitadel::{self, Code},
};

/// How long reads may lag.
const HIDDEN: Duration = Duration::from_secs(60);

impl Job<'_> {
    /// What is known of an id; an own write that does not show yet is waited for, and in the end
    /// reported.
    pub(super) async fn seen(&self, id: &str, confirm: bool) -> Result<Option<Remote>> {
        let (entry, target) = (self.entry, &self.target);
        match target
            .connection
            .live
            .get(entry, &target.at, id, confirm)
            .await
            .doing(&format!("read {}", entry.noun()))?
        {
            Seen::Settled(remote) => Ok(remote.map(|r| *r)),
            Seen::Unsettled { age, shows: true } if age > HIDDEN => Err(Error::Lost(format!(
                "ZITADEL accepted a change of {} {} s ago and still shows it as it was: its read side has lost the change. Changing it by hand, and back, brings it to light",
                entry.noun(),
                age.as_secs()
            ))),
            Seen::Unsettled { age, .. } if age > HIDDEN => Err(Error::Lost(format!(
                "ZITADEL accepted {} {id} {} s ago and does not show it: its read side has lost it. Deleting it by id and making it anew brings it back",
                entry.noun(),
                age.as_secs()
            ))),
            Seen::Unsettled { .. } => Err(Error::NotConverged(format!(
                "what was written to {} does not show yet",
                entry.noun()
            ))),
        }
    }

    /// What an answer tells that contradicts what can be read: then, unless reads merely lag, the
    /// read side has lost something.
    pub(super) fn contradiction(&self, plan: &Plan, e: &zitadel::Error) -> Option<Error> {
        let noun = self.entry.noun();
        let message = if plan.effect() == Action::Create && e.code() == Some(Code::AlreadyExists) {
            format!(
                "ZITADEL refuses to make {noun}, because it exists, and yet shows none of this name or of the id {}: its read side has lost it. It is not made under another name. Deleting it by its id brings it back",
                plan.id
            )
        } else if e.id().is_some_and(|id| self.entry.unchanged().contains(&id)) {
            format!(
                "ZITADEL says that {noun} is as declared already, and yet shows another {}: its read side has lost a change. Changing that by hand, and back, brings it to light",
                names(&plan.changes)
            )
        } else {
            return None;
        };
        (self.engine.memory.refused_for(&self.object.key) > HIDDEN).then_some(Error::Lost(message))
    }

    /// What ZITADEL accepted and does not show is deleted and can be made anew, once, if nothing
    /// can hang on it yet.
    pub(super) async fn heal(&mut self) -> Result<bool> {
        let (entry, at, connection) =
            (self.entry, self.target.at.clone(), self.target.connection.clone());
        let status = &self.object.status;
        let is_ours = status.provenance != Some(Provenance::Adopted) && !self.shared.observes();
        if !is_ours || !matches!(entry.shape(), Shape::Entity { precious: false, .. }) {
            return Ok(false);
        }
        let id = status.id.clone().unwrap_or_else(|| self.object.derived_id());
        let doing = format!("find out what became of {}", entry.noun());
        let shown = connection.live.newest(entry, &at).await.doing(&doing)?;
        let harmless =
            remains::may_be_made_anew(&at, entry.events(), &id, &connection.account.id, shown)
                .await
                .doing(&doing)?;
        if !harmless || !self.engine.memory.may_make_anew(&self.object.key) {
            return Ok(false);
        }
        instance::still_the_same(self.engine, &connection).await?;
        let _writer = connection.live.writer(entry).await;
        entry.delete(&at, &id).await.doing(&format!("delete {}", entry.noun()))?;
        connection.live.expect(entry, &at, &id, Expectation::Gone);
        let message = format!(
            "ZITADEL accepted {} {id} and has lost it from its read side; it is made anew",
            entry.noun()
        );
        self.outcome.note(News::MadeAnew, message);
        Ok(true)
    }
}
