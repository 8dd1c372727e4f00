//! Settings that act on time: what is due of them, and what the annotation asks for. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::error::Result;
use crate::{
    api::{RENEW_AT, spec::only_observes, status::RotationStatus},
    contract::{Entry, Object, Remote, Schedule, entry::Declared},
};

/// How long at most until the times in a status are looked at again.
const LONGEST_SLEEP: Duration = Duration::from_hours(24);
/// The pause before another step that is due already: reads may lag behind the one before.
pub(super) const BETWEEN_STEPS: Duration = Duration::from_secs(1);

/// What is due of an object's setting, and what is said of it; `None`: its kind does not act on
/// time.
pub(super) fn schedule(
    entry: Entry,
    object: &Object,
    declared: Declared<'_>,
    have: &Remote,
) -> Result<Option<Schedule>> {
    let Entry::Setting(kind) = entry else { return Ok(None) };
    if !entry.takes_time {
        return Ok(None);
    }
    let Some(mut schedule) = kind.schedule(have, declared)? else { return Ok(None) };
    if !only_observes(&object.spec) {
        let asked = object.annotations.get(RENEW_AT).cloned();
        schedule.rotation.renewed_for = asked.or_else(|| known(object)?.renewed_for.clone());
        let replaces =
            replaced(object).filter(|id| schedule.rotation.key_id.as_deref() == Some(id));
        schedule.rotation.replaces = replaces.map(ToOwned::to_owned);
    }
    Ok(Some(schedule))
}

/// The key that is to be replaced: the one that was in use when the annotation began to say what it
/// says. What it said when the object was first looked at asks for nothing.
pub(super) fn replaced(object: &Object) -> Option<&str> {
    let known = known(object)?;
    match object.annotations.get(RENEW_AT) {
        Some(asked) if known.renewed_for.as_ref() != Some(asked) => known.key_id.as_deref(),
        _ => known.replaces.as_deref(),
    }
}

fn known(object: &Object) -> Option<&RotationStatus> {
    object.status.rotation.as_ref()
}

/// When to look again.
pub(super) fn requeue_after(schedule: &Schedule, now: Timestamp) -> Option<Duration> {
    if schedule.due.is_some() {
        return Some(BETWEEN_STEPS);
    }
    let left = now.duration_until(schedule.next?);
    Some(Duration::try_from(left).unwrap_or_default().clamp(BETWEEN_STEPS, LONGEST_SLEEP))
}
