//! The plan for a setting: it is always there; what its declared fields held before us is kept.

use super::{
    Error, Fields,
    claims::What,
    error::Result,
    job::Job,
    news::News,
    plan::{Action, Plan},
};
use crate::api::status::{Provenance, Status};

/// Reads the setting, and keeps the original values of fields that are about to be managed.
pub(super) async fn plan(job: &mut Job<'_>) -> Result<Plan> {
    job.take(vec![job.claim(What::Setting)])?;
    if job.target.to_be_made {
        let changes = job.changes(&Fields::default());
        return Ok(Plan {
            action: Action::Create,
            changes,
            want: job.declared.clone(),
            have: None,
            id: String::new(),
            provenance: Provenance::Created,
        });
    }
    let Some(remote) = job.seen("", true).await? else {
        return Err(Error::NotConverged(format!("{} can't be read", job.entry.noun())));
    };
    let changes = job.changes(&remote.state);
    let action = if changes.is_empty() && remote.own { Action::Nothing } else { Action::Update };
    let provenance = former(job).and_then(|s| s.provenance).unwrap_or(if remote.own {
        Provenance::Adopted
    } else {
        Provenance::Created
    });
    if !job.shared.observes() {
        keep_originals(job, &remote.state);
    }
    Ok(Plan {
        action,
        changes,
        want: remote.state.overlaid(&job.declared),
        have: Some(remote),
        id: String::new(),
        provenance,
    })
}

/// What is remembered, if it is of this very setting: an organization that was made again under
/// another id has a new one.
fn former<'a>(job: &Job<'a>) -> Option<&'a Status> {
    let status = &job.object.status;
    (status.instance_id.is_none() || status.organization_id == job.target.at.organization)
        .then_some(status)
}

/// Adds the live values of newly declared fields to the originals, and releases those that are no
/// longer declared.
fn keep_originals(job: &mut Job<'_>, live: &Fields) {
    let former =
        former(job).and_then(|s| s.original.clone()).map(Fields::from_map).unwrap_or_default();
    let kept = former.restricted(&job.declared);
    let released: Vec<&str> =
        former.iter().map(|(k, _)| k.as_str()).filter(|k| kept.get(k).is_none()).collect();
    if !released.is_empty() {
        let message =
            format!("no longer declared, and left as ZITADEL has it: {}", released.join(", "));
        job.outcome.note(News::Released, message);
    }
    job.outcome.status.original = Some(live.restricted(&job.declared).overlaid(&kept).into_map());
}

/// The originals have to be in the status before the first write: after a crash in between nobody
/// could tell them any more.
pub(super) async fn remember(job: &mut Job<'_>, provenance: Provenance) -> Result<()> {
    if job.outcome.status.original == job.object.status.original {
        return Ok(());
    }
    let status = &mut job.outcome.status;
    status.instance_id = Some(job.target.connection.instance_id.clone());
    status.organization_id.clone_from(&job.target.at.organization);
    status.provenance = Some(provenance);
    job.host.remember(job.object, status).await.map_err(Error::Host)
}
