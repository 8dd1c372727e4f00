//! The plan for an entity: which remote object is this, and what differs.

use super::{
    Error,
    claims::What,
    error::{Doing, Result},
    job::{Job, names},
    kind::{Remote, Shape},
    news::News,
    plan::{Action, Plan},
};
use crate::api::{
    spec::AdoptionPolicy,
    status::Provenance::{self, Adopted, Created},
};

/// How often something that was deleted behind our back may have been made again without the status
/// knowing.
const LIVES: usize = 3;

/// Finds the remote object by binding, by id, by derived id, by name; in that order. Reads only.
pub(super) async fn plan(job: &mut Job<'_>) -> Result<Plan> {
    let given = job.shared.identity.id.clone();
    if let Some(id) = &given
        && !id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    {
        return Err(Error::Invalid(format!(
            "spec.id: {id:?} is no id: letters, digits, - and _ are allowed"
        )));
    }
    if job.target.to_be_made {
        let id = given.unwrap_or_else(|| job.object.derived_id());
        take(job, &id)?;
        return Ok(create(job, id));
    }
    let status = &job.object.status;
    let provenance = status.provenance.unwrap_or(Created);
    // Only what was bound counts: an observed object's id is a report.
    if let (Some(bound), true) = (status.id.clone(), status.provenance.is_some()) {
        take(job, &bound)?;
        let same_organization = status.organization_id == job.target.at.organization;
        if same_organization && let Some(remote) = job.seen(&bound, true).await? {
            return owned(job, remote, provenance);
        }
        // It was deleted behind our back, or its organization was. An id that is dead is not used
        // again, unless it was asked for.
        let id = given.unwrap_or_else(|| job.object.id_after(&bound));
        return made(job, id).await;
    }
    if let Some(id) = given {
        take(job, &id)?;
        return match job.seen(&id, true).await? {
            Some(remote) => owned(job, remote, Adopted),
            None => Ok(create(job, id)),
        };
    }
    let mut id = job.object.derived_id();
    for _ in 0..LIVES {
        if let Some(remote) = job.seen(&id, false).await? {
            take(job, &id)?;
            return owned(job, remote, Created);
        }
        id = job.object.id_after(&id);
    }
    by_name(job).await
}

/// Claims an id, and the declared name with it: whoever wants the same name is in the way of both.
fn take(job: &mut Job<'_>, id: &str) -> Result<()> {
    let name = match job.entry.shape() {
        Shape::Entity { natural_key, .. } => {
            job.declared.text(natural_key).map(|name| job.claim(What::name(name)))
        }
        _ => None,
    };
    job.take([job.claim(What::Id(id.to_owned()))].into_iter().chain(name).collect())
}

/// Something of this name, or nothing.
async fn by_name(job: &mut Job<'_>) -> Result<Plan> {
    let id = job.object.derived_id();
    let Shape::Entity { natural_key, .. } = job.entry.shape() else { return Ok(create(job, id)) };
    let Some(name) = job.declared.text(natural_key).map(ToOwned::to_owned) else {
        return Ok(create(job, id));
    };
    let found =
        job.target.connection.live.find(job.entry, &job.target.at, natural_key, &name).await;
    match found.doing(&format!("look for {}", job.entry.noun()))? {
        Some(remote) => {
            take(job, &remote.id)?;
            let thing = job.claim(What::Id(remote.id.clone()));
            let adopted = adopt(job, remote);
            if adopted.is_err() {
                // It may become like what is declared.
                job.engine.claims.watch(&job.object.key, vec![thing]);
            }
            adopted
        }
        None => {
            take(job, &id)?;
            Ok(create(job, id))
        }
    }
}

/// Takes over what somebody else made, if the policy says so.
fn adopt(job: &mut Job<'_>, remote: Remote) -> Result<Plan> {
    if job.shared.observes() {
        return owned(job, remote, Adopted);
    }
    organization_consent(job)?;
    let policy = job.shared.identity.adoption_policy.unwrap_or(AdoptionPolicy::IfIdentical);
    let changes = job.changes(&remote.state);
    let noun = job.entry.noun();
    let refused = match policy {
        AdoptionPolicy::Always => None,
        AdoptionPolicy::IfIdentical if changes.is_empty() => None,
        AdoptionPolicy::IfIdentical => Some(format!(
            "{noun} {} exists and differs in {}; make them alike, or set adoptionPolicy: Always to have it changed, or choose another name",
            remote.id,
            names(&changes)
        )),
        AdoptionPolicy::Never => Some(format!(
            "{noun} {} exists and adoptionPolicy is Never; choose another name, or another policy",
            remote.id
        )),
    };
    match refused {
        Some(message) => {
            job.outcome.status.drift = changes;
            Err(Error::AdoptionRefused(message))
        }
        None => {
            job.outcome.note(
                News::Adopted,
                format!("{noun} {} was there and is kept from now on", remote.id),
            );
            owned(job, remote, Adopted)
        }
    }
}

/// To adopt an Organization is to act on the instance.
fn organization_consent(job: &Job<'_>) -> Result<()> {
    if job.target.instance_scope || job.target.at.organization.is_some() {
        return Ok(());
    }
    Err(Error::NoConsent(format!(
        "{} exists; {} does not let the namespace {} adopt it: its spec.instanceScope would have to",
        job.entry.noun(),
        job.target.instance,
        job.object.key.namespace
    )))
}

/// The plan for what is there and ours.
fn owned(job: &Job<'_>, remote: Remote, provenance: Provenance) -> Result<Plan> {
    // Calls by id reach any organization: what is written must be in the declared one.
    if remote.organization != job.target.at.organization {
        return Err(Error::Invalid(format!(
            "{} {} is in the organization {}, not in the declared one",
            job.entry.noun(),
            remote.id,
            remote.organization.as_deref().unwrap_or("(none)")
        )));
    }
    if provenance == Adopted {
        organization_consent(job)?;
    }
    let changes = job.changes(&remote.state);
    let action = if changes.is_empty() { Action::Nothing } else { Action::Update };
    Ok(Plan {
        action,
        changes,
        want: remote.state.overlaid(&job.declared),
        id: remote.id.clone(),
        have: Some(remote),
        provenance,
    })
}

/// The plan for what has to be made again: it may be there already, from a reconcile whose end was
/// lost.
async fn made(job: &mut Job<'_>, id: String) -> Result<Plan> {
    take(job, &id)?;
    match job.seen(&id, false).await? {
        Some(remote) => owned(job, remote, Created),
        None => Ok(create(job, id)),
    }
}

fn create(job: &Job<'_>, id: String) -> Plan {
    Plan {
        action: Action::Create,
        changes: job.changes(&super::Fields::default()),
        have: None,
        want: job.declared.clone(),
        id,
        provenance: Created,
    }
}
