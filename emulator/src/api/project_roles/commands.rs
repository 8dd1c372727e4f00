//! What changes the roles of projects.

use serde_json::{Map, Value, json};

use super::{
    super::{Answer, Call, creation_details, grants, projects},
    At,
};
use crate::{
    errors::ApiError,
    model::{difference, is_zero},
    proto::Request,
    store::{Aggregate, Draft, Event},
};

/// The project as an aggregate, if the caller may write roles in it.
fn project(call: &Call<'_>, at: &At) -> Result<Aggregate, ApiError> {
    let project = projects::parent(call, &at.project, at.owner.as_deref())?;
    call.permit_one("project.role.write", &project.owner, &project.id)?;
    Ok(project)
}

/// A key is unique in its project without regard to case. Nothing but the removal of the role
/// gives it back, so it outlives the project.
fn unique(project: &str, key: &str) -> String {
    format!("{key}:{project}")
}

fn addition(project: &Aggregate, key: &str, request: &Request) -> Draft {
    let said = ["displayName", "group"].map(|name| (name.to_owned(), json!(request.text(name))));
    let mut payload: Map<_, _> = said.into_iter().filter(|(_, value)| !is_zero(value)).collect();
    payload.insert("key".to_owned(), json!(key));
    Draft::new(project, "project.role.added").payload(payload).take(
        "project_role",
        unique(&project.id, key),
        "Role already exists",
    )
}

pub(super) fn push_added(call: &mut Call<'_>, at: &At) -> Result<Event, ApiError> {
    let project = project(call, at)?;
    let draft = addition(&project, &at.key, &call.request);
    call.push(vec![draft])
}

pub(super) fn add(call: &mut Call<'_>) -> Answer {
    let key = call.request.text("roleKey").to_owned();
    let at = At { key, ..At::path(call) };
    let event = push_added(call, &at)?;
    Ok(json!({ "details": creation_details(&event) }).into())
}

pub(super) fn add_several(call: &mut Call<'_>) -> Answer {
    let project = project(call, &At::path(call))?;
    let drafts: Vec<_> = call
        .request
        .messages("roles")
        .iter()
        .map(|role| addition(&project, role.text("key"), role))
        .collect();
    if !drafts.is_empty() {
        call.push(drafts)?;
    }
    Ok(json!({ "details": { "resourceOwner": project.owner } }).into())
}

/// Changes a role; returns the owner of its project and the last event of the role. Both
/// interfaces replace what is omitted by its zero value.
pub(super) fn change(call: &mut Call<'_>, at: &At) -> Result<(String, Event), ApiError> {
    let project = project(call, at)?;
    let role = call.state.write.roles.get(&at.project, &at.key);
    let role = role.ok_or_else(|| ApiError::not_found("COMMAND-vv8M9", "Role doesn't exist"))?;
    let want = ["displayName", "group"]
        .map(|name| (name.to_owned(), json!(call.request.text(name))))
        .into_iter()
        .collect();
    let mut changes = difference(role.fields(), &want);
    let event = if changes.is_empty() {
        last_event(call, at).ok_or_else(|| ApiError::internal("EMU-2", "the role has no event"))?
    } else {
        changes.insert("key".to_owned(), json!(at.key));
        call.push(vec![Draft::new(&project, "project.role.changed").payload(changes)])?
    };
    Ok((project.owner, event))
}

/// Removes a role, also from the grants that hold it, as far as the read side knows them. Returns
/// the owner of the project and the last event, if there ever was such a project.
pub(super) fn remove(call: &mut Call<'_>, at: &At) -> Result<Option<(String, Event)>, ApiError> {
    let role = call.state.write.roles.get(&at.project, &at.key);
    let role = role.filter(|role| at.owner.as_ref().is_none_or(|own| role.stamp.owner == *own));
    let Some(owner) = role.map(|role| role.stamp.owner.clone()) else {
        let last = last_event(call, at);
        return Ok(last.map(|event| (event.resource_owner.clone(), event)));
    };
    call.permit_one("project.role.delete", &owner, &at.project)?;
    let project = Aggregate::new("project", &*at.project, &*owner);
    let mut drafts = vec![
        Draft::new(&project, "project.role.removed")
            .with("key", &*at.key)
            .release("project_role", unique(&at.project, &at.key)),
    ];
    drafts.extend(grants::without_role(call.state, &project, &at.key));
    let event = call.push(drafts)?;
    Ok(Some((owner, event)))
}

/// The last event of a role, whether it exists or not: its own events, and the beginning and the
/// end of its project.
fn last_event(call: &Call<'_>, at: &At) -> Option<Event> {
    let store = &call.state.store;
    let positions = store.of_aggregate(&at.project).iter().rev();
    positions
        .filter_map(|position| store.get(*position))
        .filter(|event| at.owner.as_ref().is_none_or(|owner| event.resource_owner == *owner))
        .find(|event| match event.event_type {
            "project.added" | "project.removed" => true,
            "project.role.added" | "project.role.changed" | "project.role.removed" => {
                let key = event.payload.as_ref().and_then(|payload| payload.get("key"));
                key.and_then(Value::as_str) == Some(&*at.key)
            }
            _ => false,
        })
        .cloned()
}
