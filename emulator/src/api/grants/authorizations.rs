//! Roles that are granted to users, through the authorization service v2.

use serde_json::{Value, json};

use super::{
    super::{
        Access, Answer, Call, Route, date,
        list::{self, ID, IDS, PAGE, Page, TEXT_FILTER},
        users,
    },
    of_users::{Wanted, aggregate, existing, place_of_step, push_removed, stepped},
    with_roles,
};
use crate::{
    clock,
    errors::ApiError,
    message::message,
    model::{
        grant::Grant, organization::Organization, organization::State as Life, project::Project,
        user::User,
    },
    proto::{Field, Message, NAME, Request, Rule, SHORT},
    store::Draft,
};

const ROLE_KEYS: Field =
    Field::text("roleKeys").repeated().rules(&[Rule::Unique, Rule::EachLength(1, 200)]);
static CREATE: Message = Message::new(
    "CreateAuthorizationRequest",
    &[
        Field::text("userId").rules(NAME),
        Field::text("projectId").rules(NAME),
        Field::text("organizationId").rules(NAME),
        ROLE_KEYS,
    ],
);
static UPDATE: Message =
    Message::new("UpdateAuthorizationRequest", &[Field::text("id").rules(NAME), ROLE_KEYS]);
const ONE: &[Field] = &[Field::text("id").rules(NAME)];
static DELETE: Message = Message::new("DeleteAuthorizationRequest", ONE);
static ACTIVATE: Message = Message::new("ActivateAuthorizationRequest", ONE);
static DEACTIVATE: Message = Message::new("DeactivateAuthorizationRequest", ONE);
const STATES: &[&str] = &["STATE_UNSPECIFIED", "STATE_ACTIVE", "STATE_INACTIVE"];
static STATE_QUERY: Message = Message::new(
    "StateQuery",
    &[Field::choice("state", STATES).rules(&[Rule::Defined, Rule::NotFirst])],
);
static LOGIN_NAME_QUERY: Message = Message::new(
    "UserPreferredLoginNameQuery",
    &[Field::text("loginName").rules(NAME), Field::choice("method", TEXT_FILTER)],
);
static DISPLAY_NAME_QUERY: Message = Message::new(
    "UserDisplayNameQuery",
    &[Field::text("displayName").rules(NAME), Field::choice("method", TEXT_FILTER)],
);
static PROJECT_NAME_QUERY: Message = Message::new(
    "ProjectNameQuery",
    &[Field::text("name").rules(SHORT), Field::choice("method", TEXT_FILTER)],
);
static ROLE_QUERY: Message = Message::new(
    "RoleKeyQuery",
    &[Field::text("key").rules(SHORT), Field::choice("method", TEXT_FILTER)],
);
static FILTER: Message = Message::one_of(
    "AuthorizationsSearchFilter",
    "filter",
    &[
        Field::message("authorizationIds", &IDS),
        Field::message("organizationId", &ID),
        Field::message("state", &STATE_QUERY),
        Field::message("inUserIds", &IDS),
        Field::message("userOrganizationId", &ID),
        Field::message("userPreferredLoginName", &LOGIN_NAME_QUERY),
        Field::message("userDisplayName", &DISPLAY_NAME_QUERY),
        Field::message("projectId", &ID),
        Field::message("projectName", &PROJECT_NAME_QUERY),
        Field::message("roleKey", &ROLE_QUERY),
        Field::message("projectGrantId", &ID),
    ],
);
static LIST: Message = Message::new(
    "ListAuthorizationsRequest",
    &[
        Field::message("pagination", &PAGE),
        Field::choice(
            "sortingColumn",
            &[
                "AUTHORIZATION_FIELD_NAME_UNSPECIFIED",
                "AUTHORIZATION_FIELD_NAME_CREATED_DATE",
                "AUTHORIZATION_FIELD_NAME_CHANGED_DATE",
                "AUTHORIZATION_FIELD_NAME_ID",
                "AUTHORIZATION_FIELD_NAME_USER_ID",
                "AUTHORIZATION_FIELD_NAME_PROJECT_ID",
                "AUTHORIZATION_FIELD_NAME_ORGANIZATION_ID",
                "AUTHORIZATION_FIELD_NAME_USER_ORGANIZATION_ID",
            ],
        ),
        Field::message("filters", &FILTER).repeated(),
    ],
);

pub(super) fn routes() -> Vec<Route> {
    use Access::Authenticated;
    vec![
        Route::post(
            "/zitadel.authorization.v2.AuthorizationService/CreateAuthorization",
            Authenticated,
            &CREATE,
            create,
        ),
        Route::post(
            "/zitadel.authorization.v2.AuthorizationService/UpdateAuthorization",
            Authenticated,
            &UPDATE,
            update,
        ),
        Route::post(
            "/zitadel.authorization.v2.AuthorizationService/DeleteAuthorization",
            Authenticated,
            &DELETE,
            delete,
        ),
        Route::post(
            "/zitadel.authorization.v2.AuthorizationService/ActivateAuthorization",
            Authenticated,
            &ACTIVATE,
            |call| step(call, true),
        ),
        Route::post(
            "/zitadel.authorization.v2.AuthorizationService/DeactivateAuthorization",
            Authenticated,
            &DEACTIVATE,
            |call| step(call, false),
        ),
        Route::search(
            "/zitadel.authorization.v2.AuthorizationService/ListAuthorizations",
            Authenticated,
            &LIST,
            search,
        ),
    ]
}

// Commands.

/// Checks a permission in the organization of a grant: for the project grant that it goes through,
/// if there is one, else for the project.
fn permit(
    call: &Call<'_>,
    permission: &str,
    owner: &str,
    project: &str,
    through: &str,
) -> Result<(), ApiError> {
    call.permit_one(permission, owner, if through.is_empty() { project } else { through })
}

fn permit_grant(call: &Call<'_>, permission: &str, grant: &Grant) -> Result<(), ApiError> {
    permit(call, permission, &grant.stamp.owner, &grant.project, &grant.through)
}

fn create(call: &mut Call<'_>) -> Answer {
    let wanted = Wanted {
        user: call.request.text("userId").to_owned(),
        project: call.request.text("projectId").to_owned(),
        owner: call.request.text("organizationId").to_owned(),
        through: String::new(),
        roles: call.request.texts("roleKeys"),
    };
    let through = wanted.check(call)?;
    permit(call, "user.grant.write", &wanted.owner, &wanted.project, &through)?;
    let (id, event) = wanted.add(call, &through)?;
    Ok(json!({ "id": id, "creationDate": date(&event) }).into())
}

/// Changes a grant. Who asks for what is so already needs no permission.
fn update(call: &mut Call<'_>) -> Answer {
    let grant = existing(call, call.request.text("id"), "COMMAND-3M9sd")?;
    let roles = call.request.texts("roleKeys");
    if grant.roles == roles {
        return Ok(json!({ "changeDate": clock::text(grant.stamp.changed) }).into());
    }
    let wanted = Wanted::of(&grant, roles);
    let through = wanted.check(call)?;
    permit(call, "user.grant.write", &wanted.owner, &wanted.project, &through)?;
    let draft = Draft::new(&aggregate(&grant), "user.grant.cascade.changed");
    let draft = with_roles(draft.payload(serde_json::Map::new()), &wanted.roles);
    let event = call.push(vec![draft])?;
    Ok(json!({ "changeDate": date(&event) }).into())
}

fn step(call: &mut Call<'_>, active: bool) -> Answer {
    let grant = existing(call, call.request.text("id"), place_of_step(active))?;
    if (grant.state == Life::Active) != active {
        permit_grant(call, "user.grant.write", &grant)?;
    }
    let stamp = stepped(call, &grant, active)?;
    Ok(json!({ "changeDate": clock::text(stamp.changed) }).into())
}

fn delete(call: &mut Call<'_>) -> Answer {
    let grant = call.state.write.grants.of_users.get(call.request.text("id")).cloned();
    let date = match grant {
        None => clock::NO_DATE.to_owned(),
        Some(grant) if !grant.state.exists() => clock::text(grant.stamp.changed),
        Some(grant) => {
            permit_grant(call, "user.grant.delete", &grant)?;
            date(&push_removed(call, &grant)?)
        }
    };
    Ok(json!({ "deletionDate": date }).into())
}

// Queries.

/// A grant with what it is about.
struct Listed<'a> {
    grant: &'a Grant,
    user: &'a User,
    organization: &'a Organization,
    project: Option<&'a Project>,
}

impl Listed<'_> {
    fn state(&self) -> &'static str {
        if self.grant.state == Life::Inactive { "STATE_INACTIVE" } else { "STATE_ACTIVE" }
    }

    /// Everybody sees one's own grants.
    fn may_be_read(&self, call: &Call<'_>) -> bool {
        self.grant.grantee == call.user || permit_grant(call, "user.grant.read", self.grant).is_ok()
    }

    fn passes(&self, filter: &Request) -> bool {
        let Self { grant, user, .. } = self;
        let text = |name: &str, field: &str, have: Option<&str>| {
            !filter.has(name)
                || have.is_some_and(|have| list::matches(have, &filter.message(name), field))
        };
        let state = usize::try_from(filter.message("state").number("state"));
        list::is_one_of(filter, "authorizationIds", &grant.id)
            && list::is_one_of(filter, "inUserIds", &grant.grantee)
            && list::is(filter, "organizationId", &grant.stamp.owner)
            && list::is(filter, "userOrganizationId", &user.stamp.owner)
            && list::is(filter, "projectId", &grant.project)
            && list::is(filter, "projectGrantId", &grant.through)
            && (!filter.has("state")
                || state.is_ok_and(|state| STATES.get(state) == Some(&self.state())))
            // It is the user name that is compared, and only people have a display name.
            && text("userPreferredLoginName", "loginName", Some(user.user_name()))
            && text("userDisplayName", "displayName", user.human.then(|| user.display_name()))
            && text("projectName", "name", self.project.map(Project::name))
            // However the filter says to compare: the whole key counts.
            && (!filter.has("roleKey")
                || grant.roles.iter().any(|key| key == filter.message("roleKey").text("key")))
    }

    fn view(&self, call: &Call<'_>) -> Value {
        let Self { grant, user, organization, project } = self;
        let roles = call.state.read.roles.of_project(&grant.project);
        let roles: Vec<_> = roles
            .filter(|role| grant.roles.iter().any(|key| key == role.key()))
            .map(|role| {
                message! {
                    "key" => role.key(),
                    "displayName" => role.display_name(),
                    "group" => role.group(),
                }
            })
            .collect();
        message! {
            "id" => &*grant.id,
            "creationDate" => clock::text(grant.stamp.created),
            "changeDate" => clock::text(grant.stamp.changed),
            "project" => message! {
                "id" => &*grant.project,
                "name" => project.map(Project::name),
                "organizationId" => project.map(|project| &*project.stamp.owner),
            },
            "organization" => message! {
                "id" => &*organization.id,
                "name" => &*organization.name,
            },
            "user" => users::short_view(call.state, user),
            "state" => self.state(),
            "roles" => roles,
        }
    }
}

fn search(call: &mut Call<'_>) -> Answer {
    let page = Page::of_pagination(&call.request)?;
    let filters = call.request.messages("filters");
    let read = &call.state.read;
    let all = read.grants.of_users.iter().filter_map(|grant| {
        Some(Listed {
            grant,
            user: read.users.get(&grant.grantee)?,
            organization: read.organizations.get(&grant.stamp.owner)?,
            project: read.projects.get(&grant.project),
        })
    });
    let mut rows: Vec<_> =
        all.filter(|listed| filters.iter().all(|filter| listed.passes(filter))).collect();
    let text = |text: &str, listed: &Listed<'_>| (text.to_owned(), listed.grant.position);
    match call.request.number("sortingColumn") {
        2 => page.sort(&mut rows, |listed| (listed.grant.stamp.changed, listed.grant.position)),
        3 => page.sort(&mut rows, |listed| text(&listed.grant.id, listed)),
        4 => page.sort(&mut rows, |listed| text(&listed.grant.grantee, listed)),
        5 => page.sort(&mut rows, |listed| text(&listed.grant.project, listed)),
        6 => page.sort(&mut rows, |listed| text(&listed.grant.stamp.owner, listed)),
        7 => page.sort(&mut rows, |listed| text(&listed.user.stamp.owner, listed)),
        _ => page.sort(&mut rows, |listed| listed.grant.position),
    }
    let (rows, total) = page.cut(rows.into_iter());
    // The total counts what the caller may not see.
    let authorizations: Vec<_> = rows
        .iter()
        .filter(|listed| listed.may_be_read(call))
        .map(|listed| listed.view(call))
        .collect();
    Ok(message! {
        "pagination" => page.pagination(total),
        "authorizations" => authorizations,
    }
    .into())
}
