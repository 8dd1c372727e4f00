//! Grants of projects to organizations and of roles to users, and what happens to them when a role,
//! a project or a user goes.

use super::{Call, Route};
use crate::{
    errors::ApiError,
    model::{Stamp, grant::Grant, organization::State as Life, project::Project},
    state::State,
    store::{Aggregate, Draft},
};

mod authorizations;
mod of_projects;
mod of_users;
mod project_service;

pub(super) use of_projects::granted_view;

pub(super) fn routes() -> Vec<Route> {
    let mut routes = of_projects::routes();
    routes.extend(project_service::routes());
    routes.extend(of_users::routes());
    routes.extend(authorizations::routes());
    routes
}

fn existing_project<'a>(call: &'a Call<'_>, id: &str) -> Option<&'a Project> {
    call.state.write.projects.get(id).filter(|project| project.state.exists())
}

/// A draft with the keys of roles, which an empty list omits.
fn with_roles(draft: Draft, roles: &[String]) -> Draft {
    if roles.is_empty() { draft } else { draft.with("roleKeys", roles.to_vec()) }
}

/// The roles of a grant that pass.
fn roles(grant: &Grant, passes: impl Fn(&str) -> bool) -> Vec<String> {
    grant.roles.iter().filter(|role| passes(role)).cloned().collect()
}

/// Takes a grant to a state; nothing happens to one that is there.
fn set_active(
    call: &mut Call<'_>,
    grant: &Grant,
    active: bool,
    draft: Draft,
) -> Result<Stamp, ApiError> {
    let wanted = if active { Life::Active } else { Life::Inactive };
    if grant.state == wanted {
        return Ok(grant.stamp.clone());
    }
    Ok(Stamp::new(&call.push(vec![draft])?))
}

// Cascades. Which grants they reach the read side tells; what is in those, the write side.

fn known<'a>(
    state: &'a State,
    wanted: impl Fn(&Grant) -> bool + 'a,
) -> impl Iterator<Item = &'a Grant> {
    let read = state.read.grants.of_users.iter().filter(move |grant| wanted(grant));
    read.filter_map(|grant| state.write.grants.of_users.get(&grant.id))
        .filter(|grant| grant.state.exists())
}

/// The events that leave the user grants that pass with those of their roles that pass.
fn reductions(
    state: &State,
    wanted: impl Fn(&Grant) -> bool,
    kept: impl Fn(&str) -> bool,
) -> Vec<Draft> {
    known(state, |grant| wanted(grant) && grant.roles.iter().any(|role| !kept(role)))
        .map(|grant| {
            let draft = Draft::new(&of_users::aggregate(grant), "user.grant.cascade.changed");
            with_roles(draft.payload(serde_json::Map::new()), &roles(grant, &kept))
        })
        .collect()
}

/// The events that remove the user grants that pass.
fn removals(state: &State, wanted: impl Fn(&Grant) -> bool) -> Vec<Draft> {
    known(state, wanted)
        .map(|grant| of_users::release(grant, "user.grant.cascade.removed"))
        .collect()
}

/// The events that take a role out of the grants that hold it: project grants first.
pub(super) fn without_role(state: &State, project: &Aggregate, key: &str) -> Vec<Draft> {
    let kept = |role: &str| role != key;
    let of_projects = state.read.grants.of_projects.iter();
    let mut drafts: Vec<_> = of_projects
        .filter(|grant| grant.project == project.id && grant.roles.iter().any(|role| role == key))
        .filter_map(|grant| state.write.grants.of_projects.get(&grant.id))
        .filter(|grant| grant.state.exists())
        .map(|grant| {
            let draft = Draft::new(project, "project.grant.cascade.changed");
            with_roles(draft.with("grantId", &*grant.id), &roles(grant, kept))
        })
        .collect();
    drafts.extend(reductions(state, |grant| grant.project == project.id, kept));
    drafts
}

pub(super) fn removals_of_project(state: &State, project: &str) -> Vec<Draft> {
    removals(state, |grant| grant.project == project)
}

pub(super) fn removals_of_user(state: &State, user: &str) -> Vec<Draft> {
    removals(state, |grant| grant.grantee == user)
}

fn missing(id: &'static str, message: &'static str) -> ApiError {
    ApiError::not_found(id, message)
}
