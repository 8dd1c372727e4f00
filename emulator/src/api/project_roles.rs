//! The roles of projects: the management API, and the project service v2.

use serde_json::{Value, json};

use super::{
    Access, Answer, Call, Route, cascade_details, date,
    list::{self, PAGE, Page, TEXT_FILTER, TEXT_QUERY},
};
use crate::{
    clock,
    errors::ApiError,
    message::message,
    model::role::Role,
    proto::{Field, Message, NAME, OPTIONAL_NAME, Request, SHORT},
};

mod commands;

use commands::{add, add_several, change, push_added, remove};

static ADD: Message = Message::new(
    "AddProjectRoleRequest",
    &[
        Field::text("roleKey").rules(NAME),
        Field::text("displayName").rules(NAME),
        Field::text("group").rules(SHORT),
    ],
);
static ROLE: Message = Message::new(
    "BulkAddProjectRolesRequest_Role",
    &[
        Field::text("key").rules(NAME),
        Field::text("displayName").rules(NAME),
        Field::text("group").rules(SHORT),
    ],
);
static ADD_SEVERAL: Message =
    Message::new("BulkAddProjectRolesRequest", &[Field::message("roles", &ROLE).repeated()]);
static UPDATE: Message = Message::new(
    "UpdateProjectRoleRequest",
    &[Field::text("displayName").rules(NAME), Field::text("group").rules(SHORT)],
);
static KEY_QUERY: Message = Message::new(
    "RoleKeyQuery",
    &[Field::text("key").rules(SHORT), Field::choice("method", TEXT_QUERY)],
);
static DISPLAY_NAME_QUERY: Message = Message::new(
    "RoleDisplayNameQuery",
    &[Field::text("displayName").rules(SHORT), Field::choice("method", TEXT_QUERY)],
);
static QUERY: Message = Message::one_of(
    "RoleQuery",
    "query",
    &[
        Field::message("keyQuery", &KEY_QUERY),
        Field::message("displayNameQuery", &DISPLAY_NAME_QUERY),
    ],
);
static SEARCH: Message = Message::new(
    "ListProjectRolesRequest",
    &[Field::message("query", &PAGE), Field::message("queries", &QUERY).repeated()],
);

static ADD_V2: Message = Message::new(
    "AddProjectRoleRequest",
    &[
        Field::text("projectId").rules(NAME),
        Field::text("roleKey").rules(NAME),
        Field::text("displayName").rules(NAME),
        Field::text("group").rules(SHORT),
    ],
);
static UPDATE_V2: Message = Message::new(
    "UpdateProjectRoleRequest",
    &[
        Field::text("projectId").rules(NAME),
        Field::text("roleKey").rules(NAME),
        Field::text("displayName").rules(OPTIONAL_NAME),
        Field::text("group").rules(SHORT),
    ],
);
static REMOVE_V2: Message = Message::new(
    "RemoveProjectRoleRequest",
    &[Field::text("projectId").rules(NAME), Field::text("roleKey").rules(NAME)],
);
pub(super) static KEY_FILTER: Message = Message::new(
    "ProjectRoleKeyFilter",
    &[Field::text("key").rules(SHORT), Field::choice("method", TEXT_FILTER)],
);
static DISPLAY_NAME_FILTER: Message = Message::new(
    "ProjectRoleDisplayNameFilter",
    &[Field::text("displayName").rules(SHORT), Field::choice("method", TEXT_FILTER)],
);
static FILTER: Message = Message::one_of(
    "ProjectRoleSearchFilter",
    "filter",
    &[
        Field::message("roleKeyFilter", &KEY_FILTER),
        Field::message("displayNameFilter", &DISPLAY_NAME_FILTER),
    ],
);
static LIST_V2: Message = Message::new(
    "ListProjectRolesRequest",
    &[
        Field::text("projectId").rules(NAME),
        Field::message("pagination", &PAGE),
        Field::choice(
            "sortingColumn",
            &[
                "PROJECT_ROLE_FIELD_NAME_UNSPECIFIED",
                "PROJECT_ROLE_FIELD_NAME_KEY",
                "PROJECT_ROLE_FIELD_NAME_CREATION_DATE",
                "PROJECT_ROLE_FIELD_NAME_CHANGE_DATE",
            ],
        ),
        Field::message("filters", &FILTER).repeated(),
    ],
);

pub(super) fn routes() -> Vec<Route> {
    use Access::{Authenticated, Permission};
    const WRITE: Access = Permission("project.role.write");
    let of_management = [
        Route::post("/management/v1/projects/{id}/roles", WRITE, &ADD, add),
        Route::post("/management/v1/projects/{id}/roles/_bulk", WRITE, &ADD_SEVERAL, add_several),
        Route::search(
            "/management/v1/projects/{id}/roles/_search",
            Permission("project.role.read"),
            &SEARCH,
            search,
        ),
        // A key may hold slashes.
        Route::put("/management/v1/projects/{id}/roles/{*key}", WRITE, &UPDATE, |call| {
            let at = At::path(call);
            let (owner, event) = change(call, &at)?;
            Ok(json!({ "details": cascade_details(&event, &owner) }).into())
        }),
        Route::delete(
            "/management/v1/projects/{id}/roles/{*key}",
            Permission("project.role.delete"),
            |call| {
                let at = At::path(call);
                let details = match remove(call, &at)? {
                    Some((owner, event)) => cascade_details(&event, &owner),
                    None => json!({ "resourceOwner": call.organization }),
                };
                Ok(json!({ "details": details }).into())
            },
        ),
    ];
    let of_guest = Route::get(
        "/management/v1/granted_projects/{id}/grants/{grant}/roles/_search",
        Permission("project.role.read"),
        search_granted,
    );
    let of_service = [
        Route::post(
            "/zitadel.project.v2.ProjectService/AddProjectRole",
            Authenticated,
            &ADD_V2,
            |call| {
                let at = At::request(call);
                let event = push_added(call, &at)?;
                Ok(json!({ "creationDate": date(&event) }).into())
            },
        ),
        Route::post(
            "/zitadel.project.v2.ProjectService/UpdateProjectRole",
            Authenticated,
            &UPDATE_V2,
            |call| {
                let at = At::request(call);
                let (_, event) = change(call, &at)?;
                Ok(json!({ "changeDate": date(&event) }).into())
            },
        ),
        Route::post(
            "/zitadel.project.v2.ProjectService/RemoveProjectRole",
            Authenticated,
            &REMOVE_V2,
            |call| {
                let at = At::request(call);
                let removed = remove(call, &at)?;
                Ok(message! { "removalDate" => removed.map(|(_, event)| date(&event)) }.into())
            },
        ),
        Route::search(
            "/zitadel.project.v2.ProjectService/ListProjectRoles",
            Authenticated,
            &LIST_V2,
            search_v2,
        ),
    ];
    let of_management = of_management.into_iter().chain([of_guest]);
    of_management.map(|route| route.of_one("id")).chain(of_service).collect()
}

/// Which role is meant, in a project of which organization.
struct At {
    project: String,
    key: String,
    /// The newer interface takes a project of any organization.
    owner: Option<String>,
}

impl At {
    fn path(call: &Call<'_>) -> Self {
        Self {
            project: call.param("id").to_owned(),
            key: call.param("key").to_owned(),
            owner: Some(call.organization.clone()),
        }
    }

    fn request(call: &Call<'_>) -> Self {
        Self {
            project: call.request.text("projectId").to_owned(),
            key: call.request.text("roleKey").to_owned(),
            owner: None,
        }
    }
}

fn view(role: &Role) -> Value {
    message! {
        "key" => role.key(),
        "details" => role.stamp.details(),
        "displayName" => role.display_name(),
        "group" => role.group(),
    }
}

fn passes(role: &Role, query: &Request, [key, display_name]: [&str; 2]) -> bool {
    let by_name = query.message(display_name);
    (!query.has(key) || list::matches(role.key(), &query.message(key), "key"))
        && (!query.has(display_name) || list::matches(role.display_name(), &by_name, "displayName"))
}

fn search(call: &mut Call<'_>) -> Answer {
    let queries = call.request.messages("queries");
    let names = ["keyQuery", "displayNameQuery"];
    let roles = call.state.read.roles.of_project(call.param("id"));
    let rows = roles
        .filter(|role| role.stamp.owner == call.organization)
        .filter(|role| queries.iter().all(|query| passes(role, query, names)));
    let (page, total) = Page::of(&call.request).cut(rows);
    Ok(message! {
        "details" => list::details(total, &call.state.read.latest("roles")),
        "result" => page.into_iter().map(view).collect::<Vec<_>>(),
    }
    .into())
}

/// Lists the roles that a project is granted with, for the organization that it is granted to.
fn search_granted(call: &mut Call<'_>) -> Answer {
    let read = &call.state.read;
    let grant = read.grants.of_projects.get(call.param("grant"));
    let grant = grant
        .filter(|grant| grant.grantee == call.organization)
        .ok_or_else(|| ApiError::not_found("QUERY-n98GGs", "Errors.ProjectGrant.NotFound"))?;
    let rows = read
        .roles
        .of_project(call.param("id"))
        .filter(|role| grant.roles.iter().any(|key| key == role.key()));
    let (page, total) = Page::of(&call.request).cut(rows);
    Ok(message! {
        "details" => list::details(total, &read.latest("roles")),
        "result" => page.into_iter().map(view).collect::<Vec<_>>(),
    }
    .into())
}

fn search_v2(call: &mut Call<'_>) -> Answer {
    let page = Page::of_pagination(&call.request)?;
    let filters = call.request.messages("filters");
    let names = ["roleKeyFilter", "displayNameFilter"];
    let project = call.request.text("projectId");
    let roles = call.state.read.roles.of_project(project);
    let mut rows: Vec<_> =
        roles.filter(|role| filters.iter().all(|filter| passes(role, filter, names))).collect();
    match call.request.number("sortingColumn") {
        1 => page.sort(&mut rows, |role| role.key().to_owned()),
        3 => page.sort(&mut rows, |role| (role.stamp.changed, role.position)),
        _ => page.sort(&mut rows, |role| role.position),
    }
    let (rows, total) = page.cut(rows.into_iter());
    // The total counts what the caller may not see.
    let roles: Vec<_> = rows
        .into_iter()
        .filter(|role| call.permit_one("project.role.read", &role.stamp.owner, project).is_ok())
        .map(|role| {
            message! {
                "projectId" => project,
                "key" => role.key(),
                "creationDate" => clock::text(role.stamp.created),
                "changeDate" => clock::text(role.stamp.changed),
                "displayName" => role.display_name(),
                "group" => role.group(),
            }
        })
        .collect();
    Ok(message! { "pagination" => page.pagination(total), "projectRoles" => roles }.into())
}
