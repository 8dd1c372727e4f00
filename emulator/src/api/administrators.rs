//! Members of all levels through one service v2.

use serde_json::{Value, json};

use super::{
    Access, Answer, Call, Route,
    list::{self, ID, IDS, PAGE, Page, TEXT_FILTER, TIME},
    members::{self, Place, dated, user_of},
    users,
};
use crate::{
    clock,
    errors::ApiError,
    message::message,
    model::{grant::Grant, member::Member, project::Project, user::User},
    proto::{Field, Message, NAME, Request, Rule, SHORT},
    roles::Level,
};

const PLACES: &[Field] = &[
    Field::flag("instance").rules(&[Rule::True]),
    Field::text("organizationId").rules(&[Rule::LengthIfSet(1, 200)]),
    Field::text("projectId").rules(&[Rule::LengthIfSet(1, 200)]),
    Field::message("projectGrant", &PROJECT_GRANT),
];
static PROJECT_GRANT: Message = Message::new(
    "ResourceType_ProjectGrant",
    &[Field::text("projectId").rules(NAME), Field::text("organizationId").rules(NAME)],
);
static PROJECT_GRANT_FILTER: Message = Message::new(
    "ResourceFilter_ProjectGrant",
    &[Field::text("projectId"), Field::text("organizationId")],
);
static RESOURCE: Message = Message::one_of("ResourceType", "resource", PLACES);
const WRITE: &[Field] = &[
    Field::text("userId").rules(NAME),
    Field::message("resource", &RESOURCE),
    Field::text("roles").repeated().rules(&[Rule::EachLength(1, 200)]),
];
static CREATE: Message = Message::new("CreateAdministratorRequest", WRITE);
static UPDATE: Message = Message::new("UpdateAdministratorRequest", WRITE);
static DELETE: Message = Message::new(
    "DeleteAdministratorRequest",
    &[Field::text("userId").rules(NAME), Field::message("resource", &RESOURCE)],
);
static ROLE: Message = Message::new("RoleFilter", &[Field::text("roleKey").rules(SHORT)]);
static RESOURCE_FILTER: Message = Message::one_of(
    "ResourceFilter",
    "resource",
    &[
        Field::flag("instance"),
        Field::text("organizationId"),
        Field::text("projectId"),
        Field::message("projectGrant", &PROJECT_GRANT_FILTER),
    ],
);
static LOGIN_NAME: Message = Message::new(
    "UserPreferredLoginNameFilter",
    &[Field::text("preferredLoginName").rules(NAME), Field::choice("method", TEXT_FILTER)],
);
static DISPLAY_NAME: Message = Message::new(
    "UserDisplayNameFilter",
    &[Field::text("displayName").rules(NAME), Field::choice("method", TEXT_FILTER)],
);
static AND: Message = Message::new("AndFilter", &[Field::message("queries", &FILTER).repeated()]);
static OR: Message = Message::new("OrFilter", &[Field::message("queries", &FILTER).repeated()]);
static NOT: Message = Message::new("NotFilter", &[Field::message("query", &FILTER)]);
static FILTER: Message = Message::one_of(
    "AdministratorSearchFilter",
    "filter",
    &[
        Field::message("creationDate", &TIME),
        Field::message("changeDate", &TIME),
        Field::message("userPreferredLoginName", &LOGIN_NAME),
        Field::message("userDisplayName", &DISPLAY_NAME),
        Field::message("and", &AND),
        Field::message("or", &OR),
        Field::message("not", &NOT),
        Field::message("inUserIdsFilter", &IDS),
        Field::message("userOrganizationId", &ID),
        Field::message("resource", &RESOURCE_FILTER),
        Field::message("role", &ROLE),
    ],
);
static LIST: Message = Message::new(
    "ListAdministratorsRequest",
    &[
        Field::message("pagination", &PAGE),
        Field::choice(
            "sortingColumn",
            &[
                "ADMINISTRATOR_FIELD_NAME_UNSPECIFIED",
                "ADMINISTRATOR_FIELD_NAME_USER_ID",
                "ADMINISTRATOR_FIELD_NAME_CREATION_DATE",
                "ADMINISTRATOR_FIELD_NAME_CHANGE_DATE",
            ],
        ),
        Field::message("filters", &FILTER).repeated(),
    ],
);

pub(super) fn routes() -> Vec<Route> {
    use Access::Authenticated;
    vec![
        Route::post(
            "/zitadel.internal_permission.v2.InternalPermissionService/CreateAdministrator",
            Authenticated,
            &CREATE,
            |call| {
                let place = place(call, "ADMIN-IbPp47HDP5")?;
                let user = call.request.text("userId").to_owned();
                let roles = call.request.texts("roles");
                let stamp = members::add(call, &place, &user, &roles)?;
                dated("creationDate", Some(&stamp))
            },
        ),
        Route::post(
            "/zitadel.internal_permission.v2.InternalPermissionService/UpdateAdministrator",
            Authenticated,
            &UPDATE,
            |call| {
                let place = place(call, "ADMIN-i0V2IbdloZ")?;
                let user = call.request.text("userId").to_owned();
                let roles = call.request.texts("roles");
                let stamp = members::change(call, &place, &user, roles)?;
                dated("changeDate", Some(&stamp))
            },
        ),
        Route::post(
            "/zitadel.internal_permission.v2.InternalPermissionService/DeleteAdministrator",
            Authenticated,
            &DELETE,
            |call| {
                let place = place(call, "ADMIN-3UOjLtuohh")?;
                let user = call.request.text("userId").to_owned();
                let stamp = members::remove(call, &place, &user)?;
                dated("deletionDate", stamp.as_ref())
            },
        ),
        Route::search(
            "/zitadel.internal_permission.v2.InternalPermissionService/ListAdministrators",
            Authenticated,
            &LIST,
            search,
        ),
    ]
}

/// The place that a request names.
fn place(call: &Call<'_>, refusal: &'static str) -> Result<Place, ApiError> {
    let resource = call.request.message("resource");
    let named = |level, field: &str| {
        resource.has(field).then(|| Place {
            level,
            id: resource.text(field).to_owned(),
            owner: None,
        })
    };
    resource
        .flag("instance")
        .then(|| members::instance(call))
        .or_else(|| named(Level::Organization, "organizationId"))
        .or_else(|| named(Level::Project, "projectId"))
        .or_else(|| {
            let grant = resource.message("projectGrant");
            resource.has("projectGrant").then(|| {
                members::project_grant(call, grant.text("projectId"), grant.text("organizationId"))
            })
        })
        .ok_or_else(|| ApiError::invalid(refusal, "Errors.Invalid.Argument"))
}

/// The grant of a project that somebody is a member of.
fn granted<'a>(call: &'a Call<'_>, member: &Member) -> Option<&'a Grant> {
    let grant = call.state.read.grants.of_projects.get(&member.scope);
    grant.filter(|_| member.level == Level::ProjectGrant)
}

fn passes(call: &Call<'_>, member: &Member, filter: &Request) -> bool {
    let all = |name: &str| filter.message(name).messages("queries");
    match filter.0.keys().next().map(String::as_str) {
        Some("and") => all("and").iter().all(|filter| passes(call, member, filter)),
        Some("or") => all("or").iter().any(|filter| passes(call, member, filter)),
        Some("not") => !passes(call, member, &filter.message("not").message("query")),
        _ => passes_one(call, member, filter),
    }
}

/// As [`passes`], for a filter that holds no others. However one for a name says to compare: the
/// whole name counts.
fn passes_one(call: &Call<'_>, member: &Member, filter: &Request) -> bool {
    let user = user_of(call.state, member);
    let state = &*call.state;
    let person = user.filter(|user| user.human);
    let is_named = |name: &str, field: &str, have: Option<&str>| {
        !filter.has(name) || have == Some(filter.message(name).text(field))
    };
    let login = user.map(|user| users::preferred_login_name(&state.read, &state.instance_id, user));
    let resource = filter.message("resource");
    let at = |level, field: &str| {
        !resource.has(field) || (member.level == level && member.scope == resource.text(field))
    };
    list::is_one_of(filter, "inUserIdsFilter", &member.user)
        && list::is_then(filter, "creationDate", member.stamp.created)
        && list::is_then(filter, "changeDate", member.stamp.changed)
        && is_named("userPreferredLoginName", "preferredLoginName", login.as_deref())
        && is_named("userDisplayName", "displayName", person.map(User::display_name))
        && (!filter.has("userOrganizationId")
            || user.is_some_and(|user| {
                user.stamp.owner == filter.message("userOrganizationId").text("id")
            }))
        && (!filter.has("role")
            || member.roles.iter().any(|role| role == filter.message("role").text("roleKey")))
        && (!resource.flag("instance") || member.level == Level::Instance)
        && at(Level::Organization, "organizationId")
        && at(Level::Project, "projectId")
        && (!resource.has("projectGrant")
            || granted(call, member).is_some_and(|grant| {
                let wanted = resource.message("projectGrant");
                grant.project == wanted.text("projectId")
                    && grant.grantee == wanted.text("organizationId")
            }))
}

/// Whether the caller may see a member.
fn is_visible(call: &Call<'_>, member: &Member) -> bool {
    let permission = match member.level {
        Level::Instance => "iam.member.read",
        Level::Organization => "org.member.read",
        Level::Project => "project.member.read",
        Level::ProjectGrant => "project.grant.member.read",
    };
    call.permit_one(permission, &member.stamp.owner, &member.scope).is_ok()
}

fn view(call: &Call<'_>, member: &Member) -> Value {
    let state = &*call.state;
    let user = user_of(state, member).map(|user| users::short_view(state, user));
    let organization = state
        .read
        .organizations
        .get(&member.scope)
        .map(|organization| json!({ "id": organization.id, "name": organization.name }));
    let project = state.read.projects.get(&member.scope).map(|project| {
        json!({
            "id": project.id,
            "name": project.name(),
            "organizationId": project.stamp.owner,
        })
    });
    let project_grant = granted(call, member).map(|grant| {
        message! {
            "id" => &*grant.id,
            "projectId" => &*grant.project,
            "projectName" => state.read.projects.get(&grant.project).map(Project::name),
            "organizationId" => &*grant.stamp.owner,
            "grantedOrganizationId" => &*grant.grantee,
        }
    });
    message! {
        "creationDate" => clock::text(member.stamp.created),
        "changeDate" => clock::text(member.stamp.changed),
        "user" => user,
        "instance" => member.level == Level::Instance,
        "organization" => organization.filter(|_| member.level == Level::Organization),
        "project" => project.filter(|_| member.level == Level::Project),
        "projectGrant" => project_grant,
        "roles" => member.roles.clone(),
    }
}

fn search(call: &mut Call<'_>) -> Answer {
    let page = Page::of_pagination(&call.request)?;
    let filters = call.request.messages("filters");
    let mut rows: Vec<_> = call
        .state
        .read
        .members
        .all()
        .into_iter()
        .filter(|member| user_of(call.state, member).is_some())
        .filter(|member| filters.iter().all(|filter| passes(call, member, filter)))
        .collect();
    match call.request.number("sortingColumn") {
        1 => page.sort(&mut rows, |member| (member.user.clone(), member.position)),
        3 => page.sort(&mut rows, |member| (member.stamp.changed, member.position)),
        _ => page.sort(&mut rows, |member| member.position),
    }
    let (rows, total) = page.cut(rows.into_iter());
    // The total counts what the caller may not see.
    let administrators: Vec<_> = rows
        .into_iter()
        .filter(|member| is_visible(call, member))
        .map(|member| view(call, member))
        .collect();
    Ok(message! {
        "pagination" => page.pagination(total),
        "administrators" => administrators,
    }
    .into())
}
