//! Projects: the management API, and the project service v2.

use serde_json::{Map, Value, json};

use super::{
    Access, Answer, Call, Route, change_details, creation_details, date,
    list::{self, PAGE, Page, TEXT_FILTER, TEXT_QUERY},
};
use crate::{
    clock,
    errors::ApiError,
    message::message,
    model::{difference, organization::State, project::Project},
    proto::{Field, Message, NAME, OPTIONAL_NAME, Request, Rule, SHORT},
    store::{Aggregate, Draft},
};

const LABELING: &[&str] = &[
    "PRIVATE_LABELING_SETTING_UNSPECIFIED",
    "PRIVATE_LABELING_SETTING_ENFORCE_PROJECT_RESOURCE_OWNER_POLICY",
    "PRIVATE_LABELING_SETTING_ALLOW_LOGIN_USER_RESOURCE_OWNER_POLICY",
];
const STATES: &[&str] = &["PROJECT_STATE_UNSPECIFIED", "PROJECT_STATE_ACTIVE", "PROJECT_STATE_INACTIVE"];

/// A project's fields in events, in the management API, and in the service v2.
const FIELDS: [(&str, &str, &str); 5] = [
    ("name", "name", "name"),
    ("projectRoleAssertion", "projectRoleAssertion", "projectRoleAssertion"),
    ("projectRoleCheck", "projectRoleCheck", "authorizationRequired"),
    ("hasProjectCheck", "hasProjectCheck", "projectAccessRequired"),
    ("privateLabelingSetting", "privateLabelingSetting", "privateLabelingSetting"),
];

const V1_FIELDS: &[Field] = &[
    Field::text("name").rules(NAME),
    Field::flag("projectRoleAssertion"),
    Field::flag("projectRoleCheck"),
    Field::flag("hasProjectCheck"),
    Field::choice("privateLabelingSetting", LABELING),
];
static ADD: Message = Message::new("AddProjectRequest", V1_FIELDS);
static UPDATE: Message = Message::new("UpdateProjectRequest", V1_FIELDS);
static NAME_QUERY: Message = Message::new("ProjectNameQuery", &[Field::text("name").rules(SHORT), Field::choice("method", TEXT_QUERY)]);
static OWNER_QUERY: Message = Message::new("ProjectResourceOwnerQuery", &[Field::text("resourceOwner").rules(SHORT)]);
static QUERY: Message = Message::one_of(
    "ProjectQuery",
    "query",
    &[Field::message("nameQuery", &NAME_QUERY), Field::message("projectResourceOwnerQuery", &OWNER_QUERY)],
);
static LIST: Message = Message::new("ListProjectsRequest", &[Field::message("query", &PAGE), Field::message("queries", &QUERY).repeated()]);

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
static NAME_FILTER: Message =
    Message::new("ProjectNameFilter", &[Field::text("projectName").rules(SHORT), Field::choice("method", TEXT_FILTER)]);
static IDS_FILTER: Message = Message::new("InIDsFilter", &[Field::text("ids").repeated()]);
static OWNER_FILTER: Message = Message::new(
    "ProjectOrganizationIDFilter",
    &[Field::text("organizationId").rules(SHORT), Field::choice("type", &["TYPE_UNSPECIFIED", "OWNED", "GRANTED", "OWNED_OR_GRANTED"])],
);
static STATE_FILTER: &[&str] = STATES;
static FILTER: Message = Message::one_of(
    "ProjectSearchFilter",
    "filter",
    &[
        Field::message("projectNameFilter", &NAME_FILTER),
        Field::message("inProjectIdsFilter", &IDS_FILTER),
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
        )
        .rules(&[Rule::Defined]),
        Field::message("filters", &FILTER).repeated(),
    ],
);

pub(super) fn routes() -> Vec<Route> {
    use Access::{Authenticated, Permission};
    vec![
        Route::post("/management/v1/projects", Permission("project.create"), &ADD, add),
        Route::search("/management/v1/projects/_search", Permission("project.read"), &LIST, search),
        Route::get("/management/v1/projects/{id}", Permission("project.read"), get),
        Route::put("/management/v1/projects/{id}", Permission("project.write"), &UPDATE, update),
        Route::delete("/management/v1/projects/{id}", Permission("project.delete"), remove),
        Route::post("/management/v1/projects/{id}/_deactivate", Permission("project.write"), &crate::proto::EMPTY, |call| {
            let id = call.param("id").to_owned();
            let details = set_active(call, &id, false, true)?;
            Ok(json!({ "details": details.0 }).into())
        }),
        Route::post("/management/v1/projects/{id}/_reactivate", Permission("project.write"), &crate::proto::EMPTY, |call| {
            let id = call.param("id").to_owned();
            let details = set_active(call, &id, true, true)?;
            Ok(json!({ "details": details.0 }).into())
        }),
        Route::post("/zitadel.project.v2.ProjectService/CreateProject", Authenticated, &CREATE_V2, create_v2),
        Route::search("/zitadel.project.v2.ProjectService/GetProject", Authenticated, &GET_V2, get_v2),
        Route::search("/zitadel.project.v2.ProjectService/ListProjects", Authenticated, &LIST_V2, search_v2),
        Route::post("/zitadel.project.v2.ProjectService/UpdateProject", Authenticated, &UPDATE_V2, update_v2),
        Route::post("/zitadel.project.v2.ProjectService/DeleteProject", Authenticated, &DELETE_V2, delete_v2),
        Route::post("/zitadel.project.v2.ProjectService/DeactivateProject", Authenticated, &DEACTIVATE_V2, |call| {
            let id = call.request.text("projectId").to_owned();
            let (_, date) = set_active(call, &id, false, false)?;
            Ok(json!({ "changeDate": date }).into())
        }),
        Route::post("/zitadel.project.v2.ProjectService/ActivateProject", Authenticated, &ACTIVATE_V2, |call| {
            let id = call.request.text("projectId").to_owned();
            let (_, date) = set_active(call, &id, true, false)?;
            Ok(json!({ "changeDate": date }).into())
        }),
    ]
}

// Commands.

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

/// As [`said`], with what was left out as its zero value.
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

fn missing(id: &'static str) -> ApiError {
    ApiError::not_found(id, "Project not found")
}

fn push_added(call: &mut Call<'_>, id: &str, owner: &str, fields: Map<String, Value>) -> Result<crate::store::Event, ApiError> {
    let name = call.request.text("name").to_owned();
    let payload = fields.into_iter().filter(|(_, value)| !crate::model::is_zero(value)).collect();
    call.push(vec![Draft::new(&Aggregate::new("project", id, owner), "project.added").payload(payload).take(
        "project_names",
        unique(owner, &name),
        TAKEN,
    )])
}

fn add(call: &mut Call<'_>) -> Answer {
    let id = call.state.clock.id();
    let owner = call.organization.clone();
    let fields = said(&call.request, false);
    let event = push_added(call, &id, &owner, fields)?;
    Ok(json!({ "id": id, "details": creation_details(&event) }).into())
}

fn create_v2(call: &mut Call<'_>) -> Answer {
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
    call.permit("project.create", &owner)?;
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

/// Changes a project; tells its details and the date of its last change.
fn change(call: &mut Call<'_>, id: &str, owner: Option<&str>, want: &Map<String, Value>) -> Result<(Value, String), ApiError> {
    let project = existing(call, id, owner).ok_or_else(|| missing("COMMAND-3M9sd"))?.clone();
    call.permit("project.write", &project.stamp.owner)?;
    let changes = difference(&project.fields, want);
    if changes.is_empty() {
        return Ok((project.stamp.change_details(), clock::text(project.stamp.changed)));
    }
    let owner = &project.stamp.owner;
    let mut draft = Draft::new(&Aggregate::new("project", id, &**owner), "project.changed");
    if let Some(name) = changes.get("name").and_then(Value::as_str) {
        draft = draft.release("project_names", unique(owner, project.name())).take("project_names", unique(owner, name), TAKEN);
    }
    let event = call.push(vec![draft.payload(changes)])?;
    Ok((change_details(&event), date(&event)))
}

fn update(call: &mut Call<'_>) -> Answer {
    let id = call.param("id").to_owned();
    let owner = call.organization.clone();
    let want = said_in_full(&call.request);
    let (details, _) = change(call, &id, Some(&owner), &want)?;
    Ok(json!({ "details": details }).into())
}

fn update_v2(call: &mut Call<'_>) -> Answer {
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

fn set_active(call: &mut Call<'_>, id: &str, active: bool, in_organization: bool) -> Result<(Value, String), ApiError> {
    let organization = call.organization.clone();
    let owner = in_organization.then_some(organization.as_str());
    let place = if active { "COMMAND-3M9sd" } else { "COMMAND-112M9" };
    let ever = call.state.write.projects.get(id).filter(|project| owner.is_none_or(|owner| project.stamp.owner == owner));
    let Some(project) = ever else {
        return Err(missing("COMMA-U1nza"));
    };
    if !project.state.exists() {
        return Err(missing(place));
    }
    if active && project.state != State::Inactive {
        return Err(ApiError::precondition("COMMAND-5M9bs", "Project is not deactivated"));
    }
    if !active && project.state != State::Active {
        return Err(ApiError::precondition("COMMAND-mki55", "Project is not active"));
    }
    let owner = project.stamp.owner.clone();
    call.permit("project.write", &owner)?;
    let event_type = if active { "project.reactivated" } else { "project.deactivated" };
    let event = call.push(vec![Draft::new(&Aggregate::new("project", id, owner), event_type)])?;
    Ok((change_details(&event), date(&event)))
}

fn removal(project: &Project) -> Draft {
    let owner = &project.stamp.owner;
    Draft::new(&Aggregate::new("project", &*project.id, &**owner), "project.removed")
        .release("project_names", unique(owner, project.name()))
}

fn remove(call: &mut Call<'_>) -> Answer {
    let owner = call.organization.clone();
    let draft = existing(call, call.param("id"), Some(&owner)).map(removal).ok_or_else(|| missing("COMMAND-3M9sd"))?;
    let event = call.push(vec![draft])?;
    Ok(json!({ "details": change_details(&event) }).into())
}

fn delete_v2(call: &mut Call<'_>) -> Answer {
    let id = call.request.text("projectId").to_owned();
    let Some(project) = call.state.write.projects.get(&id).cloned() else {
        return Ok(json!({}).into());
    };
    if !project.state.exists() {
        return Ok(json!({ "deletionDate": clock::text(project.stamp.changed) }).into());
    }
    call.permit("project.delete", &project.stamp.owner)?;
    let event = call.push(vec![removal(&project)])?;
    Ok(json!({ "deletionDate": date(&event) }).into())
}

// Queries.

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
    call.permit("project.read", &project.stamp.owner)?;
    Ok(json!({ "project": view_v2(project) }).into())
}

fn search(call: &mut Call<'_>) -> Answer {
    let queries = call.request.messages("queries");
    let wanted = |project: &&Project| {
        queries.iter().all(|query| {
            let name = query.message("nameQuery");
            let owner = query.message("projectResourceOwnerQuery");
            (!query.has("nameQuery") || list::matches(project.name(), &name, "name"))
                && (!query.has("projectResourceOwnerQuery") || project.stamp.owner == owner.text("resourceOwner"))
        })
    };
    let projects = &call.state.read.projects;
    let rows = projects.owned_by(&call.organization).filter(wanted);
    let (page, total) = Page::of(&call.request).cut(rows);
    Ok(message! {
        "details" => list::details(total, &call.state.read.latest("projects")),
        "result" => page.into_iter().map(view).collect::<Vec<_>>(),
    }
    .into())
}

fn passes(project: &Project, filter: &Request) -> bool {
    let name = filter.message("projectNameFilter");
    let owner = filter.message("organizationIdFilter");
    let ids = filter.message("inProjectIdsFilter");
    (!filter.has("projectNameFilter") || list::matches(project.name(), &name, "projectName"))
        && (!filter.has("organizationIdFilter")
            // No project of the emulator is granted to anybody.
            || owner.number("type") != 2 && project.stamp.owner == owner.text("organizationId"))
        && (!filter.has("inProjectIdsFilter") || ids.list("ids").iter().any(|id| id.as_str() == Some(&*project.id)))
        && (!filter.has("stateFilter")
            || STATES.get(usize::try_from(filter.number("stateFilter")).unwrap_or_default()) == Some(&state(project)))
}

fn search_v2(call: &mut Call<'_>) -> Answer {
    let page = Page::of_pagination(&call.request)?;
    let filters = call.request.messages("filters");
    let projects = &call.state.read.projects;
    let passes = |project: &&Project| filters.iter().all(|filter| passes(project, filter));
    let owner = filters.iter().find(|filter| filter.has("organizationIdFilter")).map(|filter| filter.message("organizationIdFilter"));
    let mut rows: Vec<_> = match &owner {
        Some(owner) => projects.owned_by(owner.text("organizationId")).filter(passes).collect(),
        None => projects.iter().filter(passes).collect(),
    };
    match call.request.number("sortingColumn") {
        1 => page.sort(&mut rows, |project| project.id.clone()),
        3 => page.sort(&mut rows, |project| (project.stamp.changed, project.position)),
        4 => page.sort(&mut rows, |project| (project.name().to_owned(), project.position)),
        _ => page.sort(&mut rows, |project| project.position),
    }
    let (rows, total) = page.cut(rows.into_iter());
    // The total counts what the caller may not see.
    let projects: Vec<_> =
        rows.into_iter().filter(|project| call.permit("project.read", &project.stamp.owner).is_ok()).map(view_v2).collect();
    Ok(message! {
        "pagination" => page.pagination(total),
        "projects" => projects,
    }
    .into())
}
