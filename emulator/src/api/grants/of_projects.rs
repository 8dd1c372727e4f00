//! Projects that are granted to other organizations.

use serde_json::{Map, Value, json};

use super::{
    super::{
        Access, Answer, Call, Route, cascade_details, creation_details,
        list::{self, PAGE, Page, TEXT_QUERY},
        projects,
    },
    existing_project, missing, reductions, removals, set_active, with_roles,
};
use crate::{
    auth::Held,
    errors::ApiError,
    message::message,
    model::{Stamp, grant::Grant, organization::State as Life, project::Project},
    proto::{EMPTY, Field, Message, NAME, Request, SHORT},
    state::State,
    store::{Aggregate, Draft, Event},
};

static ADD: Message = Message::new(
    "AddProjectGrantRequest",
    &[Field::text("grantedOrgId").rules(NAME), Field::text("roleKeys").repeated()],
);
static UPDATE: Message =
    Message::new("UpdateProjectGrantRequest", &[Field::text("roleKeys").repeated()]);
static ROLE_QUERY: Message = Message::new(
    "GrantRoleKeyQuery",
    &[Field::text("roleKey").rules(SHORT), Field::choice("method", TEXT_QUERY)],
);
static NAME_QUERY: Message = Message::new(
    "GrantProjectNameQuery",
    &[Field::text("name").rules(SHORT), Field::choice("method", TEXT_QUERY)],
);
static QUERY: Message = Message::one_of(
    "ProjectGrantQuery",
    "query",
    &[Field::message("roleKeyQuery", &ROLE_QUERY), Field::message("projectNameQuery", &NAME_QUERY)],
);
static SEARCH: Message = Message::new(
    "ListProjectGrantsRequest",
    &[Field::message("query", &PAGE), Field::message("queries", &QUERY).repeated()],
);

pub(super) fn routes() -> Vec<Route> {
    use Access::Permission;
    const READ: Access = Permission("project.grant.read");
    const WRITE: Access = Permission("project.grant.write");
    let routes = vec![
        Route::post("/management/v1/projects/{id}/grants", WRITE, &ADD, add),
        Route::search("/management/v1/projects/{id}/grants/_search", READ, &SEARCH, |call| {
            let (project, owner) = (call.param("id").to_owned(), call.organization.clone());
            search(call, |grant| grant.project == project && grant.stamp.owner == owner)
        }),
        Route::search("/management/v1/projectgrants/_search", READ, &SEARCH, |call| {
            let owner = call.organization.clone();
            // Who may read the grants of some projects finds none: the ids of those projects are
            // taken for ids of grants.
            let ids = match call.held("project.grant.read") {
                Held::For(ids) => Some(ids.into_iter().map(str::to_owned).collect::<Vec<_>>()),
                _ => None,
            };
            search(call, |grant| {
                grant.stamp.owner == owner && ids.as_ref().is_none_or(|ids| ids.contains(&grant.id))
            })
        }),
        Route::search(
            "/management/v1/granted_projects/_search",
            Permission("project.read"),
            &SEARCH,
            |call| {
                let guest = call.organization.clone();
                search(call, |grant| grant.grantee == guest)
            },
        ),
        Route::get("/management/v1/projects/{id}/grants/{grant}", READ, |call| {
            Ok(json!({ "projectGrant": view(call.state, read(call)?) }).into())
        }),
        Route::get(
            "/management/v1/granted_projects/{id}/grants/{grant}",
            Permission("project.read"),
            |call| Ok(json!({ "grantedProject": view(call.state, read(call)?) }).into()),
        ),
        Route::put("/management/v1/projects/{id}/grants/{grant}", WRITE, &UPDATE, update),
        Route::post(
            "/management/v1/projects/{id}/grants/{grant}/_deactivate",
            WRITE,
            &EMPTY,
            |call| step(call, false),
        ),
        Route::post(
            "/management/v1/projects/{id}/grants/{grant}/_reactivate",
            WRITE,
            &EMPTY,
            |call| step(call, true),
        ),
        Route::delete(
            "/management/v1/projects/{id}/grants/{grant}",
            Permission("project.grant.delete"),
            remove,
        ),
    ];
    let of_project = |route: &Route| route.path.starts_with("/management/v1/projects/");
    routes
        .into_iter()
        .map(|route| if of_project(&route) { route.of_one("id") } else { route })
        .collect()
}

// Commands.

fn project(grant: &Grant) -> Aggregate {
    Aggregate::new("project", &*grant.project, &*grant.stamp.owner)
}

/// A project is granted to an organization once.
fn unique(project: &str, granted: &str) -> String {
    format!("{granted}:{project}")
}

/// Refuses an organization or roles that do not exist.
fn check(call: &Call<'_>, project: &str, granted: &str, roles: &[String]) -> Result<(), ApiError> {
    let write = &call.state.write;
    if !write.organizations.get(granted).is_some_and(|owner| owner.state.exists()) {
        return Err(ApiError::precondition("COMMAND-3m9gg", "Organisation not found"));
    }
    if roles.iter().any(|key| write.roles.get(project, key).is_none()) {
        return Err(ApiError::precondition("COMMAND-6m9gd", "Errors.Project.Role.NotFound"));
    }
    Ok(())
}

/// Grants a project, which is somewhere in the write side's, to an organization. `permit` comes
/// behind the checks of what is named and before the last one. Returns the id of the grant.
pub(super) fn push_added(
    call: &mut Call<'_>,
    project: Option<Aggregate>,
    granted: &str,
    permit: impl FnOnce(&Call<'_>, &Aggregate) -> Result<(), ApiError>,
) -> Result<(String, Event), ApiError> {
    let roles = call.request.texts("roleKeys");
    let project =
        project.ok_or_else(|| ApiError::precondition("COMMAND-m9gsd", "Project not found"))?;
    check(call, &project.id, granted, &roles)?;
    permit(call, &project)?;
    if granted == project.owner {
        return Err(ApiError::precondition("PROJECT-ckUpbvboAH", "Project Grant is invalid"));
    }
    let id = call.state.clock.id();
    let draft = Draft::new(&project, "project.grant.added")
        .with("grantId", &*id)
        .with("grantedOrgId", granted)
        .take("project_grant", unique(&project.id, granted), "Project Grant already exists");
    let event = call.push(vec![with_roles(draft, &roles)])?;
    Ok((id, event))
}

fn add(call: &mut Call<'_>) -> Answer {
    let granted = call.request.text("grantedOrgId").to_owned();
    let project = existing_project(call, call.param("id"))
        .filter(|project| project.stamp.owner == call.organization)
        .map(|project| Aggregate::new("project", &*project.id, &*project.stamp.owner));
    let (id, event) = push_added(call, project, &granted, |_, _| Ok(()))?;
    Ok(json!({ "grantId": id, "details": creation_details(&event) }).into())
}

pub(super) fn no_grant() -> ApiError {
    missing("PROJECT-D8JxR", "Project Grant not found")
}

/// The write side's grant of a project of the organization that the call acts in.
fn existing(call: &Call<'_>) -> Result<Grant, ApiError> {
    let grant = call.state.write.grants.of_projects.get(call.param("grant"));
    grant
        .filter(|grant| grant.state.exists() && grant.project == call.param("id"))
        .filter(|grant| grant.stamp.owner == call.organization)
        .filter(|grant| existing_project(call, &grant.project).is_some())
        .cloned()
        .ok_or_else(no_grant)
}

/// The event that gives a grant other roles, unless it has just these.
pub(super) fn change(
    call: &Call<'_>,
    grant: &Grant,
    wanted: &[String],
) -> Result<Option<Draft>, ApiError> {
    check(call, &grant.project, &grant.grantee, wanted)?;
    let draft = Draft::new(&project(grant), "project.grant.changed").with("grantId", &*grant.id);
    Ok((grant.roles != wanted).then(|| with_roles(draft, wanted)))
}

fn update(call: &mut Call<'_>) -> Answer {
    let grant = existing(call)?;
    let wanted = call.request.texts("roleKeys");
    let Some(draft) = change(call, &grant, &wanted)? else {
        return Ok(json!({ "details": grant.stamp.change_details() }).into());
    };
    // What the organization loses, its users lose.
    let lost = |role: &str| !wanted.iter().any(|wanted| wanted == role);
    let through = |user_grant: &Grant| user_grant.through == grant.id;
    let kept = |role: &str| !(lost(role) && grant.roles.iter().any(|had| had == role));
    let mut drafts = vec![draft];
    drafts.extend(reductions(call.state, through, kept));
    let event = call.push(drafts)?;
    Ok(json!({ "details": cascade_details(&event, &grant.stamp.owner) }).into())
}

/// Takes a grant to a state; returns when it came there.
pub(super) fn stepped(call: &mut Call<'_>, grant: &Grant, active: bool) -> Result<Stamp, ApiError> {
    let event = if active { "project.grant.reactivated" } else { "project.grant.deactivated" };
    let draft = Draft::new(&project(grant), event).with("grantId", &*grant.id);
    set_active(call, grant, active, draft)
}

fn step(call: &mut Call<'_>, active: bool) -> Answer {
    projects::parent(call, call.param("id"), Some(&call.organization))?;
    let grant = existing(call)?;
    let stamp = stepped(call, &grant, active)?;
    Ok(json!({ "details": stamp.change_details() }).into())
}

/// Removes a grant, and the user grants that pass.
pub(super) fn push_removed(
    call: &mut Call<'_>,
    grant: &Grant,
    wanted: impl Fn(&Grant) -> bool,
) -> Result<Event, ApiError> {
    let mut drafts = vec![
        Draft::new(&project(grant), "project.grant.removed")
            .with("grantId", &*grant.id)
            .release("project_grant", unique(&grant.project, &grant.grantee)),
    ];
    drafts.extend(removals(call.state, wanted));
    call.push(drafts)
}

fn remove(call: &mut Call<'_>) -> Answer {
    let grant = existing(call)?;
    let event = push_removed(call, &grant, |user_grant| user_grant.through == grant.id)?;
    Ok(json!({ "details": cascade_details(&event, &grant.stamp.owner) }).into())
}

// Queries.

/// The read side's grant, for the organizations on both of its ends.
fn read<'a>(call: &'a Call<'_>) -> Result<&'a Grant, ApiError> {
    let grant = call.state.read.grants.of_projects.get(call.param("grant"));
    grant
        .filter(|grant| grant.project == call.param("id"))
        .filter(|grant| [&grant.stamp.owner, &grant.grantee].contains(&&call.organization))
        .ok_or_else(|| missing("QUERY-n98GGs", "Errors.ProjectGrant.NotFound"))
}

pub(super) fn state_name(grant: &Grant) -> &'static str {
    if grant.state == Life::Inactive {
        "PROJECT_GRANT_STATE_INACTIVE"
    } else {
        "PROJECT_GRANT_STATE_ACTIVE"
    }
}

fn view(state: &State, grant: &Grant) -> Value {
    let read = &state.read;
    let organization = |id: &str| read.organizations.get(id).map(|owner| owner.name.clone());
    message! {
        "grantId" => &*grant.id,
        "grantedOrgId" => &*grant.grantee,
        "grantedOrgName" => organization(&grant.grantee),
        "grantedRoleKeys" => grant.roles.clone(),
        "state" => state_name(grant),
        "projectId" => &*grant.project,
        "projectName" => read.projects.get(&grant.project).map(Project::name),
        "projectOwnerId" => &*grant.stamp.owner,
        "projectOwnerName" => organization(&grant.stamp.owner),
        "details" => grant.stamp.details(),
    }
}

fn passes(state: &State, grant: &Grant, query: &Request) -> bool {
    let role = query.message("roleKeyQuery");
    let name = query.message("projectNameQuery");
    let project = state.read.projects.get(&grant.project).map(Project::name).unwrap_or_default();
    // However the query says to compare: the whole key counts.
    (!query.has("roleKeyQuery") || grant.roles.iter().any(|key| key == role.text("roleKey")))
        && (!query.has("projectNameQuery") || list::matches(project, &name, "name"))
}

/// Lists grants by their ids, whatever the direction.
fn search(call: &mut Call<'_>, wanted: impl Fn(&Grant) -> bool) -> Answer {
    let queries = call.request.messages("queries");
    let state = &*call.state;
    let mut rows: Vec<_> = state
        .read
        .grants
        .of_projects
        .iter()
        .filter(|grant| wanted(grant))
        .filter(|grant| queries.iter().all(|query| passes(state, grant, query)))
        .collect();
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    let (page, total) = Page::of(&call.request).cut(rows.into_iter());
    Ok(message! {
        "details" => list::details(total, &state.read.latest("grants")),
        "result" => page.into_iter().map(|grant| view(state, grant)).collect::<Vec<_>>(),
    }
    .into())
}

/// What the project service v2 adds to a project that it lists because of a grant.
pub(crate) fn granted_view(state: &State, grant: &Grant) -> Map<String, Value> {
    let guest = state.read.organizations.get(&grant.grantee);
    let view = message! {
        "creationDate" => crate::clock::text(grant.stamp.created),
        "changeDate" => crate::clock::text(grant.stamp.changed),
        "grantedOrganizationId" => &*grant.grantee,
        "grantedOrganizationName" => guest.map(|guest| guest.name.clone()),
        "grantedState" => if grant.state == Life::Inactive {
            "GRANTED_PROJECT_STATE_INACTIVE"
        } else {
            "GRANTED_PROJECT_STATE_ACTIVE"
        },
    };
    view.as_object().cloned().unwrap_or_default()
}
