//! Roles that are granted to users.

use serde_json::{Value, json};

use super::{
    super::{
        Access, Answer, Call, Route, change_details, creation_details,
        list::{self, PAGE, Page, TEXT_QUERY},
        users,
    },
    missing, set_active, with_roles,
};
use crate::{
    auth::Held,
    errors::ApiError,
    message::message,
    model::{Stamp, grant::Grant, organization::State as Life, project::Project, user::User},
    proto::{EMPTY, Field, Message, NAME, Request, SHORT},
    state::State,
    store::{Aggregate, Draft, Event},
};

static ADD: Message = Message::new(
    "AddUserGrantRequest",
    &[
        Field::text("projectId").rules(NAME),
        Field::text("projectGrantId"),
        Field::text("roleKeys").repeated(),
    ],
);
static UPDATE: Message =
    Message::new("UpdateUserGrantRequest", &[Field::text("roleKeys").repeated()]);
static REMOVE: Message =
    Message::new("BulkRemoveUserGrantRequest", &[Field::text("grantId").repeated()]);
static USER_QUERY: Message =
    Message::new("UserGrantUserIDQuery", &[Field::text("userId").rules(SHORT)]);
static PROJECT_QUERY: Message =
    Message::new("UserGrantProjectIDQuery", &[Field::text("projectId").rules(SHORT)]);
static ROLE_QUERY: Message = Message::new(
    "UserGrantRoleKeyQuery",
    &[Field::text("roleKey").rules(SHORT), Field::choice("method", TEXT_QUERY)],
);
static PROJECT_GRANT_QUERY: Message =
    Message::new("UserGrantProjectGrantIDQuery", &[Field::text("projectGrantId").rules(SHORT)]);
/// A query for a text.
macro_rules! text_query {
    ($name:literal, $field:literal) => {
        Message::new(
            $name,
            &[Field::text($field).rules(SHORT), Field::choice("method", TEXT_QUERY)],
        )
    };
}

static USER_NAME_QUERY: Message = text_query!("UserGrantUserNameQuery", "userName");
static FIRST_NAME_QUERY: Message = text_query!("UserGrantFirstNameQuery", "firstName");
static LAST_NAME_QUERY: Message = text_query!("UserGrantLastNameQuery", "lastName");
static EMAIL_QUERY: Message = text_query!("UserGrantEmailQuery", "email");
static ORGANIZATION_QUERY: Message = text_query!("UserGrantOrgNameQuery", "orgName");
static DOMAIN_QUERY: Message = text_query!("UserGrantOrgDomainQuery", "orgDomain");
static PROJECT_NAME_QUERY: Message = text_query!("UserGrantProjectNameQuery", "projectName");
static DISPLAY_NAME_QUERY: Message = text_query!("UserGrantDisplayNameQuery", "displayName");
static TYPE_QUERY: Message =
    Message::new("UserGrantUserTypeQuery", &[Field::choice("type", users::TYPES)]);
static GRANTED_QUERY: Message =
    Message::new("UserGrantWithGrantedQuery", &[Field::flag("withGranted")]);
static QUERY: Message = Message::one_of(
    "UserGrantQuery",
    "query",
    &[
        Field::message("userIdQuery", &USER_QUERY),
        Field::message("projectIdQuery", &PROJECT_QUERY),
        Field::message("roleKeyQuery", &ROLE_QUERY),
        Field::message("withGrantedQuery", &GRANTED_QUERY),
        Field::message("projectGrantIdQuery", &PROJECT_GRANT_QUERY),
        Field::message("userNameQuery", &USER_NAME_QUERY),
        Field::message("firstNameQuery", &FIRST_NAME_QUERY),
        Field::message("lastNameQuery", &LAST_NAME_QUERY),
        Field::message("emailQuery", &EMAIL_QUERY),
        Field::message("orgNameQuery", &ORGANIZATION_QUERY),
        Field::message("orgDomainQuery", &DOMAIN_QUERY),
        Field::message("projectNameQuery", &PROJECT_NAME_QUERY),
        Field::message("displayNameQuery", &DISPLAY_NAME_QUERY),
        Field::message("userTypeQuery", &TYPE_QUERY),
    ],
);
static SEARCH: Message = Message::new(
    "ListUserGrantsRequest",
    &[Field::message("query", &PAGE), Field::message("queries", &QUERY).repeated()],
);

pub(super) fn routes() -> Vec<Route> {
    use Access::Permission;
    const READ: Access = Permission("user.grant.read");
    const WRITE: Access = Permission("user.grant.write");
    vec![
        Route::post("/management/v1/users/{id}/grants", WRITE, &ADD, add),
        Route::search("/management/v1/users/grants/_search", READ, &SEARCH, search),
        Route::delete_by(
            "/management/v1/user_grants/_bulk",
            Permission("user.grant.delete"),
            &REMOVE,
            remove_several,
        ),
        Route::get("/management/v1/users/{id}/grants/{grant}", READ, get),
        Route::put("/management/v1/users/{id}/grants/{grant}", WRITE, &UPDATE, update),
        Route::post(
            "/management/v1/users/{id}/grants/{grant}/_deactivate",
            WRITE,
            &EMPTY,
            |call| step(call, false),
        ),
        Route::post(
            "/management/v1/users/{id}/grants/{grant}/_reactivate",
            WRITE,
            &EMPTY,
            |call| step(call, true),
        ),
        Route::delete(
            "/management/v1/users/{id}/grants/{grant}",
            Permission("user.grant.delete"),
            remove,
        ),
    ]
}

// Commands.

pub(super) fn aggregate(grant: &Grant) -> Aggregate {
    Aggregate::new("usergrant", &*grant.id, &*grant.stamp.owner)
}

/// Refuses who may grant the roles of some projects or project grants, but not of this one.
fn permit(call: &Call<'_>, permission: &str, project: &str, through: &str) -> Result<(), ApiError> {
    match call.held(permission) {
        Held::For(ids) if !ids.contains(&project) && !ids.contains(&through) => {
            Err(ApiError::denied("EVENT-Shu7e", "User has no permissions on this project"))
        }
        _ => Ok(()),
    }
}

/// A user has one grant per project, organization and project grant.
fn unique(owner: &str, user: &str, project: &str, through: &str) -> String {
    format!("{owner}:{user}:{project}:{through}")
}

/// An event that ends a grant.
pub(super) fn release(grant: &Grant, event_type: &'static str) -> Draft {
    let Grant { grantee: user, project, through, stamp, .. } = grant;
    let name = unique(&stamp.owner, user, project, through);
    Draft::new(&aggregate(grant), event_type).release("user_grant", name)
}

/// The roles that an organization may give to users, and the project grant that it has them by.
fn available(
    call: &Call<'_>,
    owner: &str,
    project: &str,
    named: &str,
) -> Result<(Vec<String>, String), ApiError> {
    let write = &call.state.write;
    let project = write.projects.get(project);
    if let Some(project) = project.filter(|project| project.stamp.owner == owner) {
        if !project.state.exists() {
            return Err(ApiError::precondition("COMMAND-3n77S", "Project not found"));
        }
        // The project grant that is named is not checked here.
        let roles = write.roles.of_project(&project.id).map(|role| role.key().to_owned());
        return Ok((roles.collect(), named.to_owned()));
    }
    let project = project.filter(|project| project.state.exists());
    let grant = write.grants.of_projects.iter().find(|grant| {
        grant.state.exists()
            && project.is_some_and(|project| grant.project == project.id)
            && grant.grantee == owner
            && (named.is_empty() || grant.id == named)
    });
    let missing = || ApiError::precondition("COMMAND-4m9ff", "Project Grant not found");
    grant.map(|grant| (grant.roles.clone(), grant.id.clone())).ok_or_else(missing)
}

/// What is asked for: roles of a project to a user, in an organization.
pub(super) struct Wanted {
    pub(super) user: String,
    pub(super) project: String,
    pub(super) owner: String,
    /// The project grant that is named.
    pub(super) through: String,
    pub(super) roles: Vec<String>,
}

impl Wanted {
    /// Other roles for the user of a grant.
    pub(super) fn of(grant: &Grant, roles: Vec<String>) -> Self {
        Self {
            user: grant.grantee.clone(),
            project: grant.project.clone(),
            owner: grant.stamp.owner.clone(),
            through: grant.through.clone(),
            roles,
        }
    }

    /// Refuses a user, a project or roles that do not exist, and returns the project grant that
    /// the organization has the project by.
    pub(super) fn check(&self, call: &Call<'_>) -> Result<String, ApiError> {
        if !call.state.write.users.get(&self.user).is_some_and(|user| user.state.exists()) {
            return Err(ApiError::precondition("COMMAND-4f8sg", "User could not be found"));
        }
        let (available, through) = available(call, &self.owner, &self.project, &self.through)?;
        if !self.roles.iter().all(|key| available.contains(key)) {
            let message = "Errors.Project.Role.NotFound";
            return Err(ApiError::precondition("COMMAND-mm9F4", message));
        }
        Ok(through)
    }

    /// Makes the grant; returns its id and its event.
    pub(super) fn add(
        &self,
        call: &mut Call<'_>,
        through: &str,
    ) -> Result<(String, Event), ApiError> {
        let Self { user, project, owner, roles, .. } = self;
        let id = call.state.clock.id();
        let name = unique(owner, user, project, through);
        let mut draft =
            Draft::new(&Aggregate::new("usergrant", &*id, &**owner), "user.grant.added")
                .with("userId", &**user)
                .with("projectId", &**project)
                .take("user_grant", name, "User grant already exists");
        if !through.is_empty() {
            draft = draft.with("grantId", through);
        }
        let event = call.push(vec![with_roles(draft, roles)])?;
        Ok((id, event))
    }
}

fn add(call: &mut Call<'_>) -> Answer {
    let wanted = Wanted {
        user: call.param("id").to_owned(),
        project: call.request.text("projectId").to_owned(),
        owner: call.organization.clone(),
        through: call.request.text("projectGrantId").to_owned(),
        roles: call.request.texts("roleKeys"),
    };
    permit(call, "user.grant.write", &wanted.project, &wanted.through)?;
    let through = wanted.check(call)?;
    let (id, event) = wanted.add(call, &through)?;
    Ok(json!({ "userGrantId": id, "details": creation_details(&event) }).into())
}

/// The write side's grant, in whatever organization.
pub(super) fn existing(call: &Call<'_>, id: &str, place: &'static str) -> Result<Grant, ApiError> {
    let grant = call.state.write.grants.of_users.get(id);
    grant
        .filter(|grant| grant.state.exists())
        .cloned()
        .ok_or_else(|| missing(place, "User grant not found"))
}

/// Changes a grant, even one of another organization.
fn update(call: &mut Call<'_>) -> Answer {
    let grant = existing(call, call.param("grant"), "COMMAND-3M9sd")?;
    permit(call, "user.grant.write", &grant.project, &grant.through)?;
    let wanted = call.request.texts("roleKeys");
    if grant.roles == wanted {
        let message = "User grant has not been changed";
        return Err(ApiError::precondition("COMMAND-Rs8fy", message));
    }
    Wanted::of(&grant, wanted.clone()).check(call)?;
    let roles = if wanted.is_empty() { Value::Null } else { json!(wanted) };
    let draft = Draft::new(&aggregate(&grant), "user.grant.changed")
        .with("userId", &*grant.grantee)
        .with("roleKeys", roles);
    let event = call.push(vec![draft])?;
    Ok(json!({ "details": change_details(&event) }).into())
}

fn own(call: &Call<'_>, id: &str, place: &'static str) -> Result<Grant, ApiError> {
    let grant = existing(call, id, place)?;
    if grant.stamp.owner == call.organization {
        Ok(grant)
    } else {
        Err(missing(place, "User grant not found"))
    }
}

fn step(call: &mut Call<'_>, active: bool) -> Answer {
    let grant = own(call, call.param("grant"), place_of_step(active))?;
    if (grant.state == Life::Active) != active {
        permit(call, "user.grant.write", &grant.project, &grant.through)?;
    }
    let stamp = stepped(call, &grant, active)?;
    Ok(json!({ "details": stamp.change_details() }).into())
}

/// Which of ZITADEL's commands takes a grant to a state.
pub(super) fn place_of_step(active: bool) -> &'static str {
    if active { "COMMAND-Lp0gs" } else { "COMMAND-3M9sd" }
}

/// Takes a grant to a state; returns when it came there.
pub(super) fn stepped(call: &mut Call<'_>, grant: &Grant, active: bool) -> Result<Stamp, ApiError> {
    let event = if active { "user.grant.reactivated" } else { "user.grant.deactivated" };
    let draft = Draft::new(&aggregate(grant), event);
    set_active(call, grant, active, draft)
}

/// Removes a grant.
pub(super) fn push_removed(call: &mut Call<'_>, grant: &Grant) -> Result<Event, ApiError> {
    call.push(vec![removed(grant)])
}

fn removed(grant: &Grant) -> Draft {
    release(grant, "user.grant.removed")
        .with("userId", &*grant.grantee)
        .with("projectId", &*grant.project)
}

/// Removes all of some grants, or none; the answer tells nothing.
fn remove_several(call: &mut Call<'_>) -> Answer {
    let ids = call.request.texts("grantId");
    if ids.is_empty() {
        return Err(ApiError::invalid("COMMAND-5M0sd", "Errors.UserGrant.IDMissing"));
    }
    let mut drafts = Vec::new();
    for id in ids {
        if id.is_empty() {
            return Err(ApiError::invalid("COMMAND-J9sc5", "Errors.UserGrant.IDMissing"));
        }
        let grant = own(call, &id, "COMMAND-1My0t")?;
        permit(call, "user.grant.delete", &grant.project, &grant.through)?;
        drafts.push(removed(&grant));
    }
    call.push(drafts)?;
    Ok(json!({}).into())
}

fn remove(call: &mut Call<'_>) -> Answer {
    let grant = own(call, call.param("grant"), "COMMAND-1My0t")?;
    permit(call, "user.grant.delete", &grant.project, &grant.through)?;
    let event = push_removed(call, &grant)?;
    Ok(json!({ "details": change_details(&event) }).into())
}

// Queries.

fn get(call: &mut Call<'_>) -> Answer {
    let gone = || missing("QUERY-wIPkA", "User grant not found");
    let grant = call.state.read.grants.of_users.get(call.param("grant"));
    let grant = grant
        .filter(|grant| grant.grantee == call.param("id"))
        .filter(|grant| grant.stamp.owner == call.organization)
        .ok_or_else(gone)?;
    let view = view(call.state, grant).ok_or_else(gone)?;
    Ok(json!({ "userGrant": view }).into())
}

/// A grant, of whose project's and project grant's state nothing shows.
fn view(state: &State, grant: &Grant) -> Option<Value> {
    let read = &state.read;
    let user = read.users.get(&grant.grantee)?;
    let owner = read.organizations.get(&grant.stamp.owner)?;
    let home = read.organizations.get(&user.stamp.owner)?;
    let seen = users::view(state, user);
    Some(message! {
        "id" => &*grant.id,
        "details" => grant.stamp.details(),
        "roleKeys" => grant.roles.clone(),
        "state" => if grant.state == Life::Inactive {
            "USER_GRANT_STATE_INACTIVE"
        } else {
            "USER_GRANT_STATE_ACTIVE"
        },
        "userId" => &*user.id,
        "userName" => user.user_name(),
        // Machines have none of these.
        "firstName" => user.human.then(|| user.fields.text("firstName")),
        "lastName" => user.human.then(|| user.fields.text("lastName")),
        "email" => user.human.then(|| user.fields.text("email")),
        "displayName" => user.human.then(|| user.display_name()),
        "orgId" => &*owner.id,
        "orgName" => &*owner.name,
        "orgDomain" => &*owner.primary_domain,
        "projectId" => &*grant.project,
        "projectName" => read.projects.get(&grant.project).map(Project::name),
        "projectGrantId" => &*grant.through,
        "preferredLoginName" => seen.get("preferredLoginName").cloned(),
        "userType" => user.user_type(),
        "grantedOrgId" => &*home.id,
        "grantedOrgName" => &*home.name,
        "grantedOrgDomain" => &*home.primary_domain,
    })
}

/// Whether a grant passes the queries about what it names. What only people have, no machine meets.
fn names_pass(state: &State, grant: &Grant, query: &Request) -> bool {
    let read = &state.read;
    let user = read.users.get(&grant.grantee);
    let person = |field| Some(user.filter(|user| user.human)?.fields.text(field));
    let owner = read.organizations.get(&grant.stamp.owner);
    let meets = |name: &str, field: &str, have: Option<&str>| {
        have.is_some_and(|have| list::matches(have, &query.message(name), field))
    };
    query.0.keys().all(|name| match name.as_str() {
        "userNameQuery" => meets(name, "userName", user.map(User::user_name)),
        "firstNameQuery" => meets(name, "firstName", person("firstName")),
        "lastNameQuery" => meets(name, "lastName", person("lastName")),
        "emailQuery" => meets(name, "email", person("email")),
        "displayNameQuery" => meets(name, "displayName", person("displayName")),
        "orgNameQuery" => meets(name, "orgName", owner.map(|owner| &*owner.name)),
        "orgDomainQuery" => meets(name, "orgDomain", owner.map(|owner| &*owner.primary_domain)),
        "projectNameQuery" => {
            meets(name, "projectName", read.projects.get(&grant.project).map(Project::name))
        }
        "userTypeQuery" => usize::try_from(query.message(name).number("type"))
            .is_ok_and(|number| users::TYPES.get(number).copied() == user.map(User::user_type)),
        _ => true,
    })
}

fn passes(grant: &Grant, query: &Request) -> bool {
    let role = query.message("roleKeyQuery");
    (!query.has("userIdQuery") || grant.grantee == query.message("userIdQuery").text("userId"))
        && (!query.has("projectIdQuery")
            || grant.project == query.message("projectIdQuery").text("projectId"))
        && (!query.has("projectGrantIdQuery")
            || grant.through == query.message("projectGrantIdQuery").text("projectGrantId"))
        // However the query says to compare: the whole key counts.
        && (!query.has("roleKeyQuery")
            || grant.roles.iter().any(|key| key == role.text("roleKey")))
}

/// Lists the grants of an organization and, if asked for, those that others gave in its projects.
fn search(call: &mut Call<'_>) -> Answer {
    let queries = call.request.messages("queries");
    let state = &*call.state;
    let others = queries.iter().any(|query| query.message("withGrantedQuery").flag("withGranted"));
    let own_project = |grant: &Grant| {
        let project = state.read.projects.get(&grant.project);
        project.is_some_and(|project| project.stamp.owner == call.organization)
    };
    let mut rows: Vec<_> = state
        .read
        .grants
        .of_users
        .iter()
        .filter(|grant| grant.stamp.owner == call.organization || others && own_project(grant))
        .filter(|grant| queries.iter().all(|query| passes(grant, query)))
        .filter(|grant| queries.iter().all(|query| names_pass(state, grant, query)))
        .collect();
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    let views = rows.into_iter().filter_map(|grant| view(state, grant));
    let (page, total) = Page::of(&call.request).cut(views);
    Ok(message! {
        "details" => list::details(total, &state.read.latest("grants")),
        "result" => page,
    }
    .into())
}
