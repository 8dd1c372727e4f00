//! What changes projects.

use serde_json::{Map, Value, json};

use super::{
    super::{
        Answer, Call, applications, cascade_details, change_details, creation_details, date, grants,
    },
    missing,
};
use crate::{
    clock,
    errors::ApiError,
    model::{difference, is_zero, organization::State as Life, project::Project},
    proto::Request,
    state::State,
    store::{Aggregate, Draft, Event},
};

/// A project's fields in events, in the management API, and in the service v2.
const FIELDS: [(&str, &str, &str); 5] = [
    ("name", "name", "name"),
    ("projectRoleAssertion", "projectRoleAssertion", "projectRoleAssertion"),
    ("projectRoleCheck", "projectRoleCheck", "authorizationRequired"),
    ("hasProjectCheck", "hasProjectCheck", "projectAccessRequired"),
    ("privateLabelingSetting", "privateLabelingSetting", "privateLabelingSetting"),
];

/// What a request says about the fields of a project, under the names of events.
fn said(request: &Request, v2: bool) -> Map<String, Value> {
    FIELDS
        .iter()
        .filter_map(|(event, v1_name, v2_name)| {
            let name = if v2 { v2_name } else { v1_name };
            let value = request.0.get(*name)?;
            Some(((*event).to_owned(), value.clone()))
        })
        .collect()
}

/// As [`said`], with what was omitted as its zero value.
fn said_in_full(request: &Request) -> Map<String, Value> {
    let mut fields = Map::from_iter([
        ("projectRoleAssertion".to_owned(), json!(false)),
        ("projectRoleCheck".to_owned(), json!(false)),
        ("hasProjectCheck".to_owned(), json!(false)),
        ("privateLabelingSetting".to_owned(), json!(0)),
    ]);
    fields.extend(said(request, false));
    fields
}

/// A project's name is unique within its organization.
fn unique(owner: &str, name: &str) -> String {
    format!("{owner}:{name}")
}

const TAKEN: &str = "Project already exists on organization";

fn push_added(
    call: &mut Call<'_>,
    id: &str,
    owner: &str,
    fields: Map<String, Value>,
) -> Result<Event, ApiError> {
    let name = call.request.text("name").to_owned();
    let payload = fields.into_iter().filter(|(_, value)| !is_zero(value)).collect();
    call.push(vec![
        Draft::new(&Aggregate::new("project", id, owner), "project.added").payload(payload).take(
            "project_names",
            unique(owner, &name),
            TAKEN,
        ),
    ])
}

pub(super) fn add(call: &mut Call<'_>) -> Answer {
    let id = call.state.clock.id();
    let owner = call.organization.clone();
    let fields = said(&call.request, false);
    let event = push_added(call, &id, &owner, fields)?;
    Ok(json!({ "id": id, "details": creation_details(&event) }).into())
}

pub(super) fn create_v2(call: &mut Call<'_>) -> Answer {
    let owner = call.request.text("organizationId").to_owned();
    let id = match call.request.text("projectId") {
        "" => call.state.clock.id(),
        id => id.to_owned(),
    };
    // The write side looks among the projects of this organization only: an id that another one
    // uses is not refused, and what is created under it is never seen.
    if existing(call, &id, Some(&owner)).is_some() {
        return Err(ApiError::exists("COMMAND-opamwu", "Errors.Project.AlreadyExisting"));
    }
    call.permit_one("project.create", &owner, &id)?;
    let fields = said(&call.request, true);
    let event = push_added(call, &id, &owner, fields)?;
    Ok(json!({ "projectId": id, "creationDate": date(&event) }).into())
}

/// The write side's project, if it exists, and in the given organization if one is given.
fn existing<'a>(call: &'a Call<'_>, id: &str, owner: Option<&str>) -> Option<&'a Project> {
    call.state
        .write
        .projects
        .get(id)
        .filter(|project| project.state.exists())
        .filter(|project| owner.is_none_or(|owner| project.stamp.owner == owner))
}

/// The project that something is about to be made in, as an aggregate.
pub(in crate::api) fn parent(
    call: &Call<'_>,
    id: &str,
    owner: Option<&str>,
) -> Result<Aggregate, ApiError> {
    let project = existing(call, id, owner)
        .ok_or_else(|| ApiError::precondition("COMMAND-EbFMN", "Project not found"))?;
    Ok(Aggregate::new("project", &*project.id, &*project.stamp.owner))
}

/// Changes a project; tells its details and the date of its last change.
fn change(
    call: &mut Call<'_>,
    id: &str,
    owner: Option<&str>,
    want: &Map<String, Value>,
) -> Result<(Value, String), ApiError> {
    let project = existing(call, id, owner).ok_or_else(|| missing("COMMAND-3M9sd"))?.clone();
    call.permit_one("project.write", &project.stamp.owner, id)?;
    let changes = difference(&project.fields, want);
    if changes.is_empty() {
        return Ok((project.stamp.change_details(), clock::text(project.stamp.changed)));
    }
    let owner = &project.stamp.owner;
    let mut draft = Draft::new(&Aggregate::new("project", id, &**owner), "project.changed");
    if let Some(name) = changes.get("name").and_then(Value::as_str) {
        draft = draft.release("project_names", unique(owner, project.name())).take(
            "project_names",
            unique(owner, name),
            TAKEN,
        );
    }
    let event = call.push(vec![draft.payload(changes)])?;
    Ok((change_details(&event), date(&event)))
}

pub(super) fn update(call: &mut Call<'_>) -> Answer {
    let id = call.param("id").to_owned();
    let owner = call.organization.clone();
    let want = said_in_full(&call.request);
    let (details, _) = change(call, &id, Some(&owner), &want)?;
    Ok(json!({ "details": details }).into())
}

pub(super) fn update_v2(call: &mut Call<'_>) -> Answer {
    let id = call.request.text("projectId").to_owned();
    let mut want = said(&call.request, true);
    // An older name of `authorizationRequired`.
    if let Some(check) = call.request.0.get("projectRoleCheck")
        && !call.request.has("authorizationRequired")
    {
        want.insert("projectRoleCheck".to_owned(), check.clone());
    }
    let (_, date) = change(call, &id, None, &want)?;
    Ok(json!({ "changeDate": date }).into())
}

pub(super) fn set_active(
    call: &mut Call<'_>,
    id: &str,
    active: bool,
    in_organization: bool,
) -> Result<(Value, String), ApiError> {
    let organization = call.organization.clone();
    let owner = in_organization.then_some(organization.as_str());
    let place = if active { "COMMAND-3M9sd" } else { "COMMAND-112M9" };
    let project = existing(call, id, owner).ok_or_else(|| missing(place))?;
    if active && project.state != Life::Inactive {
        return Err(ApiError::precondition("COMMAND-5M9bs", "Project is not deactivated"));
    }
    if !active && project.state != Life::Active {
        return Err(ApiError::precondition("COMMAND-mki55", "Project is not active"));
    }
    let owner = project.stamp.owner.clone();
    call.permit_one("project.write", &owner, id)?;
    let event_type = if active { "project.reactivated" } else { "project.deactivated" };
    let event = call.push(vec![Draft::new(&Aggregate::new("project", id, owner), event_type)])?;
    Ok((change_details(&event), date(&event)))
}

/// The events that remove a project and the grants of its roles to users.
fn removal(state: &State, project: &Project) -> Vec<Draft> {
    let owner = &project.stamp.owner;
    let removed = Draft::new(&Aggregate::new("project", &*project.id, &**owner), "project.removed")
        .release("project_names", unique(owner, project.name()));
    let removed = applications::entities_of_project(state, &project.id)
        .fold(removed, |removed, entity| removed.release(applications::ENTITIES, entity));
    std::iter::once(removed).chain(grants::removals_of_project(state, &project.id)).collect()
}

pub(super) fn remove(call: &mut Call<'_>) -> Answer {
    let owner = call.organization.clone();
    let drafts = existing(call, call.param("id"), Some(&owner))
        .map(|project| removal(call.state, project))
        .ok_or_else(|| missing("COMMAND-3M9sd"))?;
    let event = call.push(drafts)?;
    Ok(json!({ "details": cascade_details(&event, &owner) }).into())
}

pub(super) fn delete_v2(call: &mut Call<'_>) -> Answer {
    let id = call.request.text("projectId").to_owned();
    let Some(project) = call.state.write.projects.get(&id).cloned() else {
        return Ok(json!({}).into());
    };
    if !project.state.exists() {
        return Ok(json!({ "deletionDate": clock::text(project.stamp.changed) }).into());
    }
    call.permit_one("project.delete", &project.stamp.owner, &id)?;
    let event = call.push(removal(call.state, &project))?;
    Ok(json!({ "deletionDate": date(&event) }).into())
}
