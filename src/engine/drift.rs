//! What somebody else changed is told: in an Event, and in `status.lastDrift`.

use jiff::Timestamp;

use super::{
    job::{Job, names},
    kind::Shape,
    news::News,
    plan::{Action, Plan},
};
use crate::api::status::{Drift, LastDrift, Reason};

impl Job<'_> {
    /// Tells of what somebody else did. `former`: the id of what is gone. Gives who it was, and
    /// what was changed.
    pub(super) fn tell(
        &mut self,
        plan: &Plan,
        former: Option<&String>,
        corrected: bool,
    ) -> (Option<String>, String) {
        let noun = self.entry.noun();
        let about = former.unwrap_or(&plan.id);
        let by = self
            .target
            .connection
            .live
            .take_editor(self.entry, &self.target.at, about)
            .filter(|by| !by.is_empty());
        let who = by.as_ref().map_or_else(String::new, |b| format!(" by {b}"));
        let fields: Vec<String> = plan.changes.iter().map(|c| c.field.clone()).collect();
        let (what, happened, remedy) = match (plan.action, former) {
            (Action::Create, Some(former)) => (
                noun.into(),
                format!("{noun} {former} was deleted"),
                format!("made again as {}", plan.id),
            ),
            (Action::Create, None) => {
                (noun.into(), format!("{noun} was deleted"), "made again".into())
            }
            _ if fields.is_empty() => {
                (noun.into(), format!("{noun} was reset"), "made again".into())
            }
            _ => (
                names(&plan.changes),
                format!("{} changed", names(&plan.changes)),
                "set back".to_owned(),
            ),
        };
        let remedy = if corrected { &remedy } else { "only observed" };
        self.outcome.note(News::Drift, format!("{happened}{who}; {remedy}"));
        self.outcome.status.last_drift = Some(LastDrift {
            at: format!("{:.0}", Timestamp::now()),
            fields,
            by: by.clone(),
            corrected,
        });
        (by, what)
    }

    /// What is only observed was changed by somebody where it differs in another way than when it
    /// was last seen.
    pub(super) fn notice(&mut self, plan: &Plan) {
        let status = &self.object.status;
        let seen = |r: &str| {
            [Reason::InSync, Reason::Observing].iter().any(|known| known.to_string() == r)
        };
        let was_seen = status.observed_generation == Some(self.object.generation)
            && status.condition("Ready").is_some_and(|c| seen(&c.reason));
        let new: Vec<Drift> =
            plan.changes.iter().filter(|c| !status.drift.contains(c)).cloned().collect();
        if was_seen && !new.is_empty() {
            let is_entity = self.entry.shape() != Shape::Setting;
            let former = status.id.as_ref().filter(|id| is_entity && **id != plan.id);
            self.tell(&Plan { changes: new, ..plan.clone() }, former, false);
        }
    }
}
