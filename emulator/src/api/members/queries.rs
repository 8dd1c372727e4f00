//! Lists of members, and of what a user is a member of.

use serde_json::Value;

use super::{
    super::{
        Answer, Call,
        list::{self, Page},
        users,
    },
    Place,
};
use crate::{
    message::message,
    model::{member::Member, project::Project, user::User},
    proto::Request,
    roles::Level,
    state::State,
};

/// The read side's user of a member.
pub(in crate::api) fn user_of<'a>(state: &'a State, member: &Member) -> Option<&'a User> {
    state.read.users.get(&member.user)
}

fn view(state: &State, member: &Member) -> Option<Value> {
    let user = user_of(state, member)?;
    Some(message! {
        "userId" => &*member.user,
        "details" => member.stamp.details(),
        "roles" => member.roles.clone(),
        "preferredLoginName" => users::preferred_login_name(&state.read, &state.instance_id, user),
        "displayName" => user.display_name(),
        "email" => user.fields.text("email"),
        "firstName" => user.fields.text("firstName"),
        "lastName" => user.fields.text("lastName"),
        "userType" => user.user_type(),
        "userResourceOwner" => &*user.stamp.owner,
    })
}

/// Machine users have no first name, last name or e-mail address that a query could meet.
fn passes(state: &State, member: &Member, query: &Request) -> bool {
    let user = user_of(state, member).filter(|user| user.human);
    let meets = |name: &str, field: &str| {
        let query = query.message(name);
        user.is_some_and(|user| list::matches(user.fields.text(field), &query, field))
    };
    let id = query.message("userIdQuery");
    (!query.has("userIdQuery") || member.user == id.text("userId"))
        && (!query.has("firstNameQuery") || meets("firstNameQuery", "firstName"))
        && (!query.has("lastNameQuery") || meets("lastNameQuery", "lastName"))
        && (!query.has("emailQuery") || meets("emailQuery", "email"))
}

pub(super) fn search(call: &mut Call<'_>, place: &Place) -> Answer {
    let queries = call.request.messages("queries");
    let grant = place.grant(&call.state.read);
    let granted = grant.is_some_and(|grant| place.is_in(&grant.grantee));
    let mut members = call.state.read.members.of_scope(&place.id);
    // Where no order is asked for, the database tells them by its key.
    members.sort_by(|a, b| a.user.cmp(&b.user));
    let rows = members
        .into_iter()
        .filter(|member| member.level == place.level)
        .filter(|member| granted || place.is_in(&member.stamp.owner))
        .filter(|member| queries.iter().all(|query| passes(call.state, member, query)))
        .filter_map(|member| view(call.state, member));
    let (page, total) = Page::of(&call.request).cut(rows);
    Ok(message! {
        "details" => list::details(total, &call.state.read.latest("members")),
        "result" => page,
    }
    .into())
}

/// Whether a membership passes a query.
fn is_asked_for(member: &Member, query: &Request) -> bool {
    let id = |name: &str, field: &str| query.message(name).text(field).to_owned();
    let at = |level| member.level == level;
    query.0.keys().all(|name| match name.as_str() {
        "orgQuery" => at(Level::Organization) && member.scope == id(name, "orgId"),
        // The grants of a project are of the project, too.
        "projectQuery" => {
            (at(Level::Project) || at(Level::ProjectGrant))
                && member.aggregate == id(name, "projectId")
        }
        "projectGrantQuery" => {
            at(Level::ProjectGrant) && member.scope == id(name, "projectGrantId")
        }
        "iamQuery" => at(Level::Instance),
        _ => true,
    })
}

/// Where a user is a member.
pub(in crate::api) fn memberships(call: &mut Call<'_>, user: &str) -> Answer {
    let state = &*call.state;
    let queries = call.request.messages("queries");
    let members = state.read.members.of_user(user);
    let mut members: Vec<_> =
        members.filter(|member| queries.iter().all(|query| is_asked_for(member, query))).collect();
    members.sort_by_key(|member| {
        let level = match member.level {
            Level::Organization => 0,
            Level::Instance => 1,
            Level::Project => 2,
            Level::ProjectGrant => 3,
        };
        (level, member.position)
    });
    let rows = members.into_iter().map(|member| {
        let scope = &*member.scope;
        let name = match member.level {
            Level::Instance => Some(state.read.instance.fields.text("name")),
            Level::Organization => {
                state.read.organizations.get(scope).map(|organization| &*organization.name)
            }
            Level::Project | Level::ProjectGrant => {
                state.read.projects.get(&member.aggregate).map(Project::name)
            }
        };
        message! {
            "userId" => &*member.user,
            "details" => member.stamp.details(),
            "roles" => member.roles.clone(),
            "displayName" => name,
            "iam" => member.level == Level::Instance,
            "orgId" => (member.level == Level::Organization).then_some(scope),
            "projectId" => (member.level == Level::Project).then_some(scope),
            "projectGrantId" => (member.level == Level::ProjectGrant).then_some(scope),
        }
    });
    let (page, total) = Page::of(&call.request).cut(rows);
    Ok(message! {
        "details" => list::details(total, &state.read.latest("members")),
        "result" => page,
    }
    .into())
}
