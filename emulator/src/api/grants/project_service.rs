//! Projects that are granted to other organizations, through the project service v2: the project
//! and the organization that it is granted to name the grant.

use serde_json::{Value, json};

use super::{
    super::{
        Access, Answer, Call, Route, date,
        list::{self, ID, IDS, PAGE, Page},
        project_roles, projects,
    },
    existing_project,
    of_projects::{change, no_grant, push_added, push_removed, state_name, stepped},
};
use crate::{
    clock,
    errors::ApiError,
    message::message,
    model::{grant::Grant, organization::State as Life, project::Project},
    proto::{Field, Message, NAME, Request},
    state::State,
    store::Aggregate,
};

const ONE: &[Field] =
    &[Field::text("projectId").rules(NAME), Field::text("grantedOrganizationId").rules(NAME)];
const WITH_ROLES: &[Field] = &[
    Field::text("projectId").rules(NAME),
    Field::text("grantedOrganizationId").rules(NAME),
    Field::text("roleKeys").repeated(),
];
static CREATE: Message = Message::new("CreateProjectGrantRequest", WITH_ROLES);
static UPDATE: Message = Message::new("UpdateProjectGrantRequest", WITH_ROLES);
static DELETE: Message = Message::new("DeleteProjectGrantRequest", ONE);
static DEACTIVATE: Message = Message::new("DeactivateProjectGrantRequest", ONE);
static ACTIVATE: Message = Message::new("ActivateProjectGrantRequest", ONE);
static FILTER: Message = Message::one_of(
    "ProjectGrantSearchFilter",
    "filter",
    &[
        Field::message("projectNameFilter", &projects::NAME_FILTER),
        Field::message("roleKeyFilter", &project_roles::KEY_FILTER),
        Field::message("inProjectIdsFilter", &IDS),
        Field::message("organizationIdFilter", &ID),
        Field::message("grantedOrganizationIdFilter", &ID),
    ],
);
static LIST: Message = Message::new(
    "ListProjectGrantsRequest",
    &[
        Field::message("pagination", &PAGE),
        Field::choice(
            "sortingColumn",
            &[
                "PROJECT_GRANT_FIELD_NAME_UNSPECIFIED",
                "PROJECT_GRANT_FIELD_NAME_PROJECT_ID",
                "PROJECT_GRANT_FIELD_NAME_CREATION_DATE",
                "PROJECT_GRANT_FIELD_NAME_CHANGE_DATE",
            ],
        ),
        Field::message("filters", &FILTER).repeated(),
    ],
);

pub(super) fn routes() -> Vec<Route> {
    use Access::{Authenticated, Permission};
    vec![
        Route::post(
            "/zitadel.project.v2.ProjectService/CreateProjectGrant",
            Authenticated,
            &CREATE,
            create,
        ),
        Route::post(
            "/zitadel.project.v2.ProjectService/UpdateProjectGrant",
            Authenticated,
            &UPDATE,
            update,
        ),
        Route::post(
            "/zitadel.project.v2.ProjectService/DeleteProjectGrant",
            Authenticated,
            &DELETE,
            delete,
        ),
        Route::post(
            "/zitadel.project.v2.ProjectService/DeactivateProjectGrant",
            Authenticated,
            &DEACTIVATE,
            |call| step(call, false),
        ),
        Route::post(
            "/zitadel.project.v2.ProjectService/ActivateProjectGrant",
            Authenticated,
            &ACTIVATE,
            |call| step(call, true),
        ),
        Route::search(
            "/zitadel.project.v2.ProjectService/ListProjectGrants",
            Permission("project.grant.read"),
            &LIST,
            search,
        ),
    ]
}

// Commands.

/// Checks a permission for a grant or else for its project.
fn permit(call: &Call<'_>, permission: &str, grant: &Grant) -> Result<(), ApiError> {
    let owner = &grant.stamp.owner;
    call.permit_one(permission, owner, &grant.id)
        .or_else(|_| call.permit_one(permission, owner, &grant.project))
}

fn create(call: &mut Call<'_>) -> Answer {
    let granted = call.request.text("grantedOrganizationId").to_owned();
    let project = existing_project(call, call.request.text("projectId"))
        .map(|project| Aggregate::new("project", &*project.id, &*project.stamp.owner));
    let (_, event) = push_added(call, project, &granted, |call, project| {
        call.permit_one("project.grant.write", &project.owner, &project.id)
    })?;
    Ok(json!({ "creationDate": date(&event) }).into())
}

/// The write side's last grant of the project to the organization, which may be removed.
fn last(call: &Call<'_>) -> Option<Grant> {
    let (project, granted) =
        (call.request.text("projectId"), call.request.text("grantedOrganizationId"));
    let grants = call.state.write.grants.of_projects.iter();
    grants.filter(|grant| grant.project == project && grant.grantee == granted).last().cloned()
}

fn existing(call: &Call<'_>) -> Result<Grant, ApiError> {
    last(call)
        .filter(|grant| grant.state.exists())
        .filter(|grant| existing_project(call, &grant.project).is_some())
        .ok_or_else(no_grant)
}

/// Changes a grant. Unlike the management API, it leaves its user grants the roles that go.
fn update(call: &mut Call<'_>) -> Answer {
    let grant = existing(call)?;
    permit(call, "project.grant.write", &grant)?;
    let changed = match change(call, &grant, &call.request.texts("roleKeys"))? {
        None => clock::text(grant.stamp.changed),
        Some(draft) => date(&call.push(vec![draft])?),
    };
    Ok(json!({ "changeDate": changed }).into())
}

fn step(call: &mut Call<'_>, active: bool) -> Answer {
    projects::parent(call, call.request.text("projectId"), None)?;
    let grant = existing(call)?;
    if (grant.state == Life::Active) != active {
        permit(call, "project.grant.write", &grant)?;
    }
    let stamp = stepped(call, &grant, active)?;
    Ok(json!({ "changeDate": clock::text(stamp.changed) }).into())
}

/// Removes a grant, and all grants of roles of the project in the organization, by whatever project
/// grant these are.
fn delete(call: &mut Call<'_>) -> Answer {
    let Some(grant) = last(call) else {
        return Ok(json!({}).into());
    };
    let project = call.state.write.projects.get(&grant.project);
    let ended = project.filter(|project| !project.state.exists());
    let deleted = if !grant.state.exists() {
        clock::text(grant.stamp.changed)
    } else if let Some(project) = ended {
        clock::text(project.stamp.changed)
    } else {
        permit(call, "project.grant.delete", &grant)?;
        let event = push_removed(call, &grant, |user_grant| {
            user_grant.project == grant.project && user_grant.stamp.owner == grant.grantee
        })?;
        date(&event)
    };
    Ok(json!({ "deletionDate": deleted }).into())
}

// Queries.

fn passes(grant: &Grant, filter: &Request) -> bool {
    list::is_one_of(filter, "inProjectIdsFilter", &grant.project)
        && list::is(filter, "organizationIdFilter", &grant.stamp.owner)
        && list::is(filter, "grantedOrganizationIdFilter", &grant.grantee)
        // However the filter says to compare: the whole key counts.
        && (!filter.has("roleKeyFilter")
            || grant.roles.iter().any(|key| key == filter.message("roleKeyFilter").text("key")))
}

fn may_be_read(call: &Call<'_>, grant: &Grant) -> bool {
    let Grant { id, project, grantee, stamp, .. } = grant;
    [(&stamp.owner, id), (grantee, id), (&stamp.owner, project)]
        .into_iter()
        .any(|(owner, resource)| call.permit_one("project.grant.read", owner, resource).is_ok())
}

fn view(state: &State, grant: &Grant) -> Value {
    let read = &state.read;
    message! {
        "organizationId" => &*grant.stamp.owner,
        "creationDate" => clock::text(grant.stamp.created),
        "changeDate" => clock::text(grant.stamp.changed),
        "grantedOrganizationId" => &*grant.grantee,
        "grantedOrganizationName" =>
            read.organizations.get(&grant.grantee).map(|guest| guest.name.clone()),
        "grantedRoleKeys" => grant.roles.clone(),
        "projectId" => &*grant.project,
        "projectName" => read.projects.get(&grant.project).map(Project::name),
        "state" => state_name(grant),
    }
}

fn search(call: &mut Call<'_>) -> Answer {
    let page = Page::of_pagination(&call.request)?;
    let filters = call.request.messages("filters");
    // ZITADEL looks for the name in a table that this query does not have.
    if filters.iter().any(|filter| filter.has("projectNameFilter")) {
        return Err(ApiError::internal("QUERY-PP02n", "Errors.Internal"));
    }
    let grants = call.state.read.grants.of_projects.iter();
    let mut rows: Vec<_> =
        grants.filter(|grant| filters.iter().all(|filter| passes(grant, filter))).collect();
    match call.request.number("sortingColumn") {
        1 => page.sort(&mut rows, |grant| (grant.project.clone(), grant.position)),
        3 => page.sort(&mut rows, |grant| (grant.stamp.changed, grant.position)),
        _ => page.sort(&mut rows, |grant| grant.position),
    }
    let (rows, total) = page.cut(rows.into_iter());
    // The total counts what the caller may not see.
    let grants: Vec<_> = rows
        .into_iter()
        .filter(|grant| may_be_read(call, grant))
        .map(|grant| view(call.state, grant))
        .collect();
    Ok(message! { "pagination" => page.pagination(total), "projectGrants" => grants }.into())
}
