//! Grants of projects to organizations and of roles to users (management API): creation and
//! reading, and what happens to them when a role, a project or a user goes.

use serde_json::{Value, json};

use super::{Access, Answer, Call, Route, creation_details, users};
use crate::{
    errors::ApiError,
    message::message,
    model::{grant::Grant, organization::State as Life, project::Project},
    proto::{Field, Message, NAME},
    state::State,
    store::{Aggregate, Draft},
};

static ADD_PROJECT_GRANT: Message = Message::new(
    "AddProjectGrantRequest",
    &[Field::text("grantedOrgId").rules(NAME), Field::text("roleKeys").repeated()],
);
static ADD_USER_GRANT: Message = Message::new(
    "AddUserGrantRequest",
    &[
        Field::text("projectId").rules(NAME),
        Field::text("projectGrantId"),
        Field::text("roleKeys").repeated(),
    ],
);

pub(super) fn routes() -> Vec<Route> {
    use Access::Permission;
    vec![
        Route::post(
            "/management/v1/projects/{id}/grants",
            Permission("project.grant.write"),
            &ADD_PROJECT_GRANT,
            add_project_grant,
        ),
        Route::get(
            "/management/v1/projects/{id}/grants/{grant}",
            Permission("project.grant.read"),
            get_project_grant,
        ),
        Route::post(
            "/management/v1/users/{id}/grants",
            Permission("user.grant.write"),
            &ADD_USER_GRANT,
            add_user_grant,
        ),
        Route::get(
            "/management/v1/users/{id}/grants/{grant}",
            Permission("user.grant.read"),
            get_user_grant,
        ),
    ]
}

// Commands.

fn user_grant(grant: &Grant) -> Aggregate {
    Aggregate::new("usergrant", &*grant.id, &*grant.stamp.owner)
}

/// A draft with the keys of roles, which an empty list omits.
fn with_roles(draft: Draft, roles: &[String]) -> Draft {
    if roles.is_empty() { draft } else { draft.with("roleKeys", roles.to_vec()) }
}

fn existing_project<'a>(call: &'a Call<'_>, id: &str) -> Option<&'a Project> {
    call.state.write.projects.get(id).filter(|project| project.state.exists())
}

fn add_project_grant(call: &mut Call<'_>) -> Answer {
    let granted = call.request.text("grantedOrgId").to_owned();
    let roles = call.request.texts("roleKeys");
    let project = existing_project(call, call.param("id"))
        .filter(|project| project.stamp.owner == call.organization)
        .map(|project| Aggregate::new("project", &*project.id, &*project.stamp.owner))
        .ok_or_else(|| ApiError::precondition("COMMAND-m9gsd", "Project not found"))?;
    if granted == project.owner {
        return Err(ApiError::precondition("PROJECT-ckUpbvboAH", "Project Grant is invalid"));
    }
    let write = &call.state.write;
    if !write.organizations.get(&granted).is_some_and(|owner| owner.state.exists()) {
        return Err(ApiError::precondition("COMMAND-3m9gg", "Organisation not found"));
    }
    if roles.iter().any(|key| write.roles.get(&project.id, key).is_none()) {
        return Err(ApiError::precondition("COMMAND-6m9gd", "Errors.Project.Role.NotFound"));
    }
    let id = call.state.clock.id();
    let draft = Draft::new(&project, "project.grant.added")
        .with("grantId", &*id)
        .with("grantedOrgId", &*granted)
        .take("project_grant", format!("{granted}:{}", project.id), "Project Grant already exists");
    let event = call.push(vec![with_roles(draft, &roles)])?;
    Ok(json!({ "grantId": id, "details": creation_details(&event) }).into())
}

/// The roles that an organization may give to users, and the project grant that it has them by.
fn available(call: &Call<'_>, project: &str) -> Result<(Vec<String>, String), ApiError> {
    let write = &call.state.write;
    let named = call.request.text("projectGrantId");
    let project = existing_project(call, project);
    if let Some(project) = project.filter(|project| project.stamp.owner == call.organization) {
        // The grant that is named is not checked here.
        let roles = write.roles.of_project(&project.id).map(|role| role.key().to_owned());
        return Ok((roles.collect(), named.to_owned()));
    }
    let grant = write.grants.of_projects.iter().find(|grant| {
        grant.state.exists()
            && project.is_some_and(|project| grant.project == project.id)
            && grant.grantee == call.organization
            && (named.is_empty() || grant.id == named)
    });
    let missing = || ApiError::precondition("COMMAND-4m9ff", "Project Grant not found");
    grant.map(|grant| (grant.roles.clone(), grant.id.clone())).ok_or_else(missing)
}

fn add_user_grant(call: &mut Call<'_>) -> Answer {
    let user = call.param("id").to_owned();
    let project = call.request.text("projectId").to_owned();
    let roles = call.request.texts("roleKeys");
    if !call.state.write.users.get(&user).is_some_and(|user| user.state.exists()) {
        return Err(ApiError::precondition("COMMAND-4f8sg", "User could not be found"));
    }
    let (available, project_grant) = available(call, &project)?;
    if roles.iter().any(|key| !available.contains(key)) {
        return Err(ApiError::precondition("COMMAND-mm9F4", "Errors.Project.Role.NotFound"));
    }
    let id = call.state.clock.id();
    let owner = call.organization.clone();
    let mut draft = Draft::new(&Aggregate::new("usergrant", &*id, &*owner), "user.grant.added")
        .with("userId", &*user)
        .with("projectId", &*project)
        .take(
            "user_grant",
            format!("{owner}:{user}:{project}:{project_grant}"),
            "User grant already exists",
        );
    if !project_grant.is_empty() {
        draft = draft.with("grantId", project_grant);
    }
    let event = call.push(vec![with_roles(draft, &roles)])?;
    Ok(json!({ "userGrantId": id, "details": creation_details(&event) }).into())
}

/// The user grants that queries show: not those of an inactive project or project grant. In the
/// order in which they were made.
fn shown(state: &State) -> impl Iterator<Item = &Grant> {
    state.read.grants.of_users.iter().filter(|grant| {
        let project = state.read.projects.get(&grant.project);
        let behind = state.read.grants.of_projects.get(&grant.through);
        project.is_some_and(|project| project.state == Life::Active)
            && (grant.through.is_empty() || behind.is_none_or(|grant| grant.state == Life::Active))
    })
}

/// The events that take a role out of the grants that hold it: project grants first.
pub(super) fn without_role(state: &State, project: &Aggregate, key: &str) -> Vec<Draft> {
    let rest = |grant: &Grant| -> Vec<String> {
        grant.roles.iter().filter(|role| *role != key).cloned().collect()
    };
    let holds =
        |grant: &&Grant| grant.project == project.id && grant.roles.iter().any(|role| role == key);
    // Which grants these are the read side tells, what is in them the write side.
    let of_projects = state.read.grants.of_projects.iter().filter(holds);
    let of_projects = of_projects
        .filter_map(|grant| state.write.grants.of_projects.get(&grant.id))
        .filter(|grant| grant.state.exists())
        .map(|grant| {
            let draft = Draft::new(project, "project.grant.cascade.changed");
            with_roles(draft.with("grantId", &*grant.id), &rest(grant))
        });
    let of_users = shown(state)
        .filter(holds)
        .filter_map(|grant| state.write.grants.of_users.get(&grant.id))
        .filter(|grant| grant.state.exists())
        .map(|grant| {
            let draft = Draft::new(&user_grant(grant), "user.grant.cascade.changed");
            with_roles(draft.payload(serde_json::Map::new()), &rest(grant))
        });
    of_projects.chain(of_users).collect()
}

/// The events that remove the user grants of a project or of a user.
fn removals(state: &State, wanted: impl Fn(&Grant) -> bool) -> Vec<Draft> {
    shown(state)
        .filter(|grant| wanted(grant))
        .filter_map(|grant| state.write.grants.of_users.get(&grant.id))
        .filter(|grant| grant.state.exists())
        .map(|grant| {
            let Grant { grantee: user, project, through, stamp, .. } = grant;
            Draft::new(&user_grant(grant), "user.grant.cascade.removed")
                .release("user_grant", format!("{}:{user}:{project}:{through}", stamp.owner))
        })
        .collect()
}

pub(super) fn removals_of_project(state: &State, project: &str) -> Vec<Draft> {
    removals(state, |grant| grant.project == project)
}

pub(super) fn removals_of_user(state: &State, user: &str) -> Vec<Draft> {
    removals(state, |grant| grant.grantee == user)
}

// Queries.

fn get_project_grant(call: &mut Call<'_>) -> Answer {
    let read = &call.state.read;
    let missing = || ApiError::not_found("QUERY-n98GGs", "Errors.ProjectGrant.NotFound");
    let grant = read
        .grants
        .of_projects
        .get(call.param("grant"))
        .filter(|grant| grant.project == call.param("id"))
        .filter(|grant| [&grant.stamp.owner, &grant.grantee].contains(&&call.organization))
        .ok_or_else(missing)?;
    let organization = |id: &str| read.organizations.get(id).map(|owner| owner.name.clone());
    let view = message! {
        "grantId" => &*grant.id,
        "grantedOrgId" => &*grant.grantee,
        "grantedOrgName" => organization(&grant.grantee),
        "grantedRoleKeys" => grant.roles.clone(),
        "state" => if grant.state == Life::Inactive {
            "PROJECT_GRANT_STATE_INACTIVE"
        } else {
            "PROJECT_GRANT_STATE_ACTIVE"
        },
        "projectId" => &*grant.project,
        "projectName" => read.projects.get(&grant.project).map(Project::name),
        "projectOwnerId" => &*grant.stamp.owner,
        "projectOwnerName" => organization(&grant.stamp.owner),
        "details" => grant.stamp.details(),
    };
    Ok(json!({ "projectGrant": view }).into())
}

fn get_user_grant(call: &mut Call<'_>) -> Answer {
    let missing = || ApiError::not_found("QUERY-wIPkA", "User grant not found");
    let grant = call
        .state
        .read
        .grants
        .of_users
        .get(call.param("grant"))
        .filter(|grant| grant.grantee == call.param("id"))
        .filter(|grant| grant.stamp.owner == call.organization)
        .ok_or_else(missing)?;
    let view = user_grant_view(call.state, grant).ok_or_else(missing)?;
    Ok(json!({ "userGrant": view }).into())
}

fn user_grant_view(state: &State, grant: &Grant) -> Option<Value> {
    let read = &state.read;
    let user = read.users.get(&grant.grantee)?;
    let owner = read.organizations.get(&grant.stamp.owner)?;
    let home = read.organizations.get(&user.stamp.owner)?;
    let names = users::view(state, user);
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
        "orgId" => &*owner.id,
        "orgName" => &*owner.name,
        "orgDomain" => &*owner.primary_domain,
        "projectId" => &*grant.project,
        "projectName" => read.projects.get(&grant.project).map(Project::name),
        "projectGrantId" => &*grant.through,
        "preferredLoginName" => names.get("preferredLoginName").cloned(),
        "userType" => user.user_type(),
        "grantedOrgId" => &*home.id,
        "grantedOrgName" => &*home.name,
        "grantedOrgDomain" => &*home.primary_domain,
    })
}
