//! Projects: the management API, and the project service v2.

use serde_json::{Value, json};

use super::{
    Access, Answer, Call, Route,
    list::{self, IDS, PAGE, Page, TEXT_FILTER, TEXT_QUERY},
};
use crate::{
    auth::Held,
    clock,
    errors::ApiError,
    message::message,
    model::{organization::State, project::Project},
    proto::{EMPTY, Field, Message, NAME, OPTIONAL_NAME, SHORT},
};

mod commands;
mod listing;

pub(super) use commands::parent;
use commands::{add, create_v2, delete_v2, remove, set_active, update, update_v2};
use listing::search_v2;

const LABELING: &[&str] = &[
    "PRIVATE_LABELING_SETTING_UNSPECIFIED",
    "PRIVATE_LABELING_SETTING_ENFORCE_PROJECT_RESOURCE_OWNER_POLICY",
    "PRIVATE_LABELING_SETTING_ALLOW_LOGIN_USER_RESOURCE_OWNER_POLICY",
];
const STATES: &[&str] =
    &["PROJECT_STATE_UNSPECIFIED", "PROJECT_STATE_ACTIVE", "PROJECT_STATE_INACTIVE"];

const V1_FIELDS: &[Field] = &[
    Field::text("name").rules(NAME),
    Field::flag("projectRoleAssertion"),
    Field::flag("projectRoleCheck"),
    Field::flag("hasProjectCheck"),
    Field::choice("privateLabelingSetting", LABELING),
];
static ADD: Message = Message::new("AddProjectRequest", V1_FIELDS);
static UPDATE: Message = Message::new("UpdateProjectRequest", V1_FIELDS);
static NAME_QUERY: Message = Message::new(
    "ProjectNameQuery",
    &[Field::text("name").rules(SHORT), Field::choice("method", TEXT_QUERY)],
);
static OWNER_QUERY: Message =
    Message::new("ProjectResourceOwnerQuery", &[Field::text("resourceOwner").rules(SHORT)]);
static QUERY: Message = Message::one_of(
    "ProjectQuery",
    "query",
    &[
        Field::message("nameQuery", &NAME_QUERY),
        Field::message("projectResourceOwnerQuery", &OWNER_QUERY),
    ],
);
static LIST: Message = Message::new(
    "ListProjectsRequest",
    &[Field::message("query", &PAGE), Field::message("queries", &QUERY).repeated()],
);

static CREATE_V2: Message = Message::new(
    "CreateProjectRequest",
    &[
        Field::text("organizationId").rules(NAME),
        Field::text("projectId").rules(OPTIONAL_NAME),
        Field::text("name").rules(NAME),
        Field::flag("projectRoleAssertion"),
        Field::flag("authorizationRequired"),
        Field::flag("projectAccessRequired"),
        Field::choice("privateLabelingSetting", LABELING),
    ],
);
static UPDATE_V2: Message = Message::new(
    "UpdateProjectRequest",
    &[
        Field::text("projectId").rules(NAME),
        Field::text("name").rules(OPTIONAL_NAME),
        Field::flag("projectRoleAssertion"),
        Field::flag("projectRoleCheck"),
        Field::flag("authorizationRequired"),
        Field::flag("projectAccessRequired"),
        Field::choice("privateLabelingSetting", LABELING),
    ],
);
const PROJECT_ID: &[Field] = &[Field::text("projectId").rules(NAME)];
static GET_V2: Message = Message::new("GetProjectRequest", PROJECT_ID);
static DELETE_V2: Message = Message::new("DeleteProjectRequest", PROJECT_ID);
static DEACTIVATE_V2: Message = Message::new("DeactivateProjectRequest", PROJECT_ID);
static ACTIVATE_V2: Message = Message::new("ActivateProjectRequest", PROJECT_ID);
pub(super) static NAME_FILTER: Message = Message::new(
    "ProjectNameFilter",
    &[Field::text("projectName").rules(SHORT), Field::choice("method", TEXT_FILTER)],
);
static OWNER_FILTER: Message = Message::new(
    "ProjectOrganizationIDFilter",
    &[
        Field::text("organizationId").rules(SHORT),
        Field::choice("type", &["TYPE_UNSPECIFIED", "OWNED", "GRANTED", "OWNED_OR_GRANTED"]),
    ],
);
static STATE_FILTER: &[&str] = STATES;
static FILTER: Message = Message::one_of(
    "ProjectSearchFilter",
    "filter",
    &[
        Field::message("projectNameFilter", &NAME_FILTER),
        Field::message("inProjectIdsFilter", &IDS),
        Field::message("organizationIdFilter", &OWNER_FILTER),
        Field::choice("stateFilter", STATE_FILTER),
    ],
);
static LIST_V2: Message = Message::new(
    "ListProjectsRequest",
    &[
        Field::message("pagination", &PAGE),
        Field::choice(
            "sortingColumn",
            &[
                "PROJECT_FIELD_NAME_UNSPECIFIED",
                "PROJECT_FIELD_NAME_ID",
                "PROJECT_FIELD_NAME_CREATION_DATE",
                "PROJECT_FIELD_NAME_CHANGE_DATE",
                "PROJECT_FIELD_NAME_NAME",
            ],
        ),
        Field::message("filters", &FILTER).repeated(),
    ],
);

pub(super) fn routes() -> Vec<Route> {
    use Access::{Authenticated, Permission};
    vec![
        Route::post("/management/v1/projects", Permission("project.create"), &ADD, add),
        Route::search("/management/v1/projects/_search", Permission("project.read"), &LIST, search),
        Route::get("/management/v1/projects/{id}", Permission("project.read"), get).of_one("id"),
        Route::put("/management/v1/projects/{id}", Permission("project.write"), &UPDATE, update)
            .of_one("id"),
        Route::delete("/management/v1/projects/{id}", Permission("project.delete"), remove)
            .of_one("id"),
        Route::post(
            "/management/v1/projects/{id}/_deactivate",
            Permission("project.write"),
            &EMPTY,
            |call| {
                let id = call.param("id").to_owned();
                let details = set_active(call, &id, false, true)?;
                Ok(json!({ "details": details.0 }).into())
            },
        )
        .of_one("id"),
        Route::post(
            "/management/v1/projects/{id}/_reactivate",
            Permission("project.write"),
            &EMPTY,
            |call| {
                let id = call.param("id").to_owned();
                let details = set_active(call, &id, true, true)?;
                Ok(json!({ "details": details.0 }).into())
            },
        )
        .of_one("id"),
        Route::post(
            "/zitadel.project.v2.ProjectService/CreateProject",
            Authenticated,
            &CREATE_V2,
            create_v2,
        ),
        Route::search(
            "/zitadel.project.v2.ProjectService/GetProject",
            Permission("project.read"),
            &GET_V2,
            get_v2,
        ),
        Route::search(
            "/zitadel.project.v2.ProjectService/ListProjects",
            Permission("project.read"),
            &LIST_V2,
            search_v2,
        ),
        Route::post(
            "/zitadel.project.v2.ProjectService/UpdateProject",
            Authenticated,
            &UPDATE_V2,
            update_v2,
        ),
        Route::post(
            "/zitadel.project.v2.ProjectService/DeleteProject",
            Authenticated,
            &DELETE_V2,
            delete_v2,
        ),
        Route::post(
            "/zitadel.project.v2.ProjectService/DeactivateProject",
            Authenticated,
            &DEACTIVATE_V2,
            |call| {
                let id = call.request.text("projectId").to_owned();
                let (_, date) = set_active(call, &id, false, false)?;
                Ok(json!({ "changeDate": date }).into())
            },
        ),
        Route::post(
            "/zitadel.project.v2.ProjectService/ActivateProject",
            Authenticated,
            &ACTIVATE_V2,
            |call| {
                let id = call.request.text("projectId").to_owned();
                let (_, date) = set_active(call, &id, true, false)?;
                Ok(json!({ "changeDate": date }).into())
            },
        ),
    ]
}

fn missing(id: &'static str) -> ApiError {
    ApiError::not_found(id, "Project not found")
}

fn labeling(project: &Project) -> Option<&'static str> {
    let number = project.fields.number("privateLabelingSetting");
    let number = usize::try_from(number).ok().filter(|number| *number > 0)?;
    LABELING.get(number).copied()
}

fn state(project: &Project) -> &'static str {
    match project.state {
        State::Inactive => "PROJECT_STATE_INACTIVE",
        _ => "PROJECT_STATE_ACTIVE",
    }
}

fn view(project: &Project) -> Value {
    message! {
        "id" => &*project.id,
        "details" => project.stamp.details(),
        "name" => project.name(),
        "state" => state(project),
        "projectRoleAssertion" => project.fields.flag("projectRoleAssertion"),
        "projectRoleCheck" => project.fields.flag("projectRoleCheck"),
        "hasProjectCheck" => project.fields.flag("hasProjectCheck"),
        "privateLabelingSetting" => labeling(project),
    }
}

fn view_v2(project: &Project) -> Value {
    message! {
        "projectId" => &*project.id,
        "organizationId" => &*project.stamp.owner,
        "creationDate" => clock::text(project.stamp.created),
        "changeDate" => clock::text(project.stamp.changed),
        "name" => project.name(),
        "state" => state(project),
        "projectRoleAssertion" => project.fields.flag("projectRoleAssertion"),
        "authorizationRequired" => project.fields.flag("projectRoleCheck"),
        "projectAccessRequired" => project.fields.flag("hasProjectCheck"),
        "privateLabelingSetting" => labeling(project),
    }
}

fn read<'a>(call: &'a Call<'_>, id: &str) -> Result<&'a Project, ApiError> {
    call.state.read.projects.get(id).ok_or_else(|| missing("QUERY-fk2fs"))
}

fn get(call: &mut Call<'_>) -> Answer {
    let project = read(call, call.param("id"))?;
    if project.stamp.owner != call.organization {
        return Err(missing("MANAG-SFf2a"));
    }
    Ok(json!({ "project": view(project) }).into())
}

fn get_v2(call: &mut Call<'_>) -> Answer {
    let project = read(call, call.request.text("projectId"))?;
    call.permit_one("project.read", &project.stamp.owner, &project.id)?;
    Ok(json!({ "project": view_v2(project) }).into())
}

fn search(call: &mut Call<'_>) -> Answer {
    let queries = call.request.messages("queries");
    let wanted = |project: &&Project| {
        queries.iter().all(|query| {
            let name = query.message("nameQuery");
            let owner = query.message("projectResourceOwnerQuery");
            (!query.has("nameQuery") || list::matches(project.name(), &name, "name"))
                && (!query.has("projectResourceOwnerQuery")
                    || project.stamp.owner == owner.text("resourceOwner"))
        })
    };
    let projects = &call.state.read.projects;
    let held = call.held("project.read");
    let rows = projects
        .owned_by(&call.organization)
        .filter(|project| match &held {
            Held::For(ids) => ids.contains(&&*project.id),
            _ => true,
        })
        .filter(wanted);
    let (page, total) = Page::of(&call.request).cut(rows);
    Ok(message! {
        "details" => list::details(total, &call.state.read.latest("projects")),
        "result" => page.into_iter().map(view).collect::<Vec<_>>(),
    }
    .into())
}
