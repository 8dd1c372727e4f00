//! Members of all levels through one service v2.

use serde_json::{Value, json};

use super::{
    Access, Answer, Call, Route,
    list::{PAGE, Page},
    members::{self, Place, dated, user_of},
    users,
};
use crate::{
    clock,
    errors::ApiError,
    message::message,
    model::member::Member,
    proto::{Field, Message, NAME, Request, Rule, SHORT},
    roles::Level,
};

const PLACES: &[Field] = &[
    Field::flag("instance").rules(&[Rule::True]),
    Field::text("organizationId").rules(&[Rule::LengthIfSet(1, 200)]),
    Field::text("projectId").rules(&[Rule::LengthIfSet(1, 200)]),
];
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
static IDS: Message = Message::new("InIDsFilter", &[Field::text("ids").repeated()]);
static ID: Message = Message::new("IDFilter", &[Field::text("id").rules(SHORT)]);
static ROLE: Message = Message::new("RoleFilter", &[Field::text("roleKey").rules(SHORT)]);
static RESOURCE_FILTER: Message = Message::one_of(
    "ResourceFilter",
    "resource",
    &[Field::flag("instance"), Field::text("organizationId"), Field::text("projectId")],
);
static FILTER: Message = Message::one_of(
    "AdministratorSearchFilter",
    "filter",
    &[
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
        .ok_or_else(|| ApiError::invalid(refusal, "Errors.Invalid.Argument"))
}

fn passes(call: &Call<'_>, member: &Member, filter: &Request) -> bool {
    let ids = filter.message("inUserIdsFilter");
    let user = user_of(call.state, member);
    let resource = filter.message("resource");
    let at = |level, field: &str| {
        !resource.has(field) || (member.level == level && member.scope == resource.text(field))
    };
    (!filter.has("inUserIdsFilter")
        || ids.list("ids").iter().any(|id| id.as_str() == Some(&*member.user)))
        && (!filter.has("userOrganizationId")
            || user.is_some_and(|user| {
                user.stamp.owner == filter.message("userOrganizationId").text("id")
            }))
        && (!filter.has("role")
            || member.roles.iter().any(|role| role == filter.message("role").text("roleKey")))
        && (!resource.flag("instance") || member.level == Level::Instance)
        && at(Level::Organization, "organizationId")
        && at(Level::Project, "projectId")
}

/// Whether the caller may see a member.
fn is_visible(call: &Call<'_>, member: &Member) -> bool {
    let permission = match member.level {
        Level::Instance => "iam.member.read",
        Level::Organization => "org.member.read",
        Level::Project => "project.member.read",
    };
    call.permit_one(permission, &member.stamp.owner, &member.scope).is_ok()
}

fn view(call: &Call<'_>, member: &Member) -> Value {
    let state = &*call.state;
    let user = user_of(state, member).map(|user| {
        message! {
            "id" => &*user.id,
            "preferredLoginName" =>
                users::preferred_login_name(&state.read, &state.instance_id, user),
            "organizationId" => &*user.stamp.owner,
        }
    });
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
    message! {
        "creationDate" => clock::text(member.stamp.created),
        "changeDate" => clock::text(member.stamp.changed),
        "user" => user,
        "instance" => member.level == Level::Instance,
        "organization" => organization.filter(|_| member.level == Level::Organization),
        "project" => project.filter(|_| member.level == Level::Project),
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
