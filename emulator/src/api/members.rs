//! Members of the instance (admin API) and of organizations (management API).

use serde_json::{Value, json};

use super::{
    Access, Answer, Call, Route, change_details, creation_details,
    list::{self, LIST, PAGE, Page},
};
use crate::{
    errors::ApiError,
    message::message,
    model::{member::Member, organization::State as Life},
    proto::{Field, Message, NAME, Request, SHORT},
    roles,
    state::State,
    store::{Aggregate, Draft},
};

const ADD: &[Field] = &[Field::text("userId").rules(NAME), Field::text("roles").repeated()];
static ADD_ORGANIZATION: Message = Message::new("AddOrgMemberRequest", ADD);
static ADD_INSTANCE: Message = Message::new("AddIAMMemberRequest", ADD);
static UPDATE: Message = Message::new("UpdateMemberRequest", &[Field::text("roles").repeated()]);
static USER_QUERY: Message = Message::new("UserIDQuery", &[Field::text("userId").rules(SHORT)]);
static QUERY: Message =
    Message::one_of("SearchQuery", "query", &[Field::message("userIdQuery", &USER_QUERY)]);
static SEARCH: Message = Message::new(
    "ListMembersRequest",
    &[Field::message("query", &PAGE), Field::message("queries", &QUERY).repeated()],
);

pub(super) fn routes() -> Vec<Route> {
    use Access::Permission;
    vec![
        Route::search(
            "/management/v1/orgs/members/roles/_search",
            Permission("org.member.read"),
            &LIST,
            |_| Ok(json!({ "result": roles::of_organization().collect::<Vec<_>>() }).into()),
        ),
        Route::search(
            "/management/v1/orgs/me/members/_search",
            Permission("org.member.read"),
            &SEARCH,
            |call| {
                let scope = call.organization.clone();
                search(call, &scope)
            },
        ),
        Route::post(
            "/management/v1/orgs/me/members",
            Permission("org.member.write"),
            &ADD_ORGANIZATION,
            |call| {
                let scope = call.organization.clone();
                let user = call.request.text("userId").to_owned();
                let wanted = call.request.texts("roles");
                if wanted.is_empty() {
                    return Err(ApiError::invalid("ORG-4Mlfs", "Errors.Invalid.Argument"));
                }
                let draft = addition_to(call, &scope, &user, wanted)?;
                let event = call.push(vec![draft])?;
                Ok(json!({ "details": creation_details(&event) }).into())
            },
        ),
        Route::put(
            "/management/v1/orgs/me/members/{user}",
            Permission("org.member.write"),
            &UPDATE,
            update_organization,
        ),
        Route::delete(
            "/management/v1/orgs/me/members/{user}",
            Permission("org.member.delete"),
            |call| {
                let scope = call.organization.clone();
                remove(call, &Aggregate::organization(&scope), "org.member.removed")
            },
        ),
        Route::search(
            "/admin/v1/members/roles/_search",
            Permission("iam.member.read"),
            &LIST,
            |call| {
                let names: Vec<_> = roles::of_instance().collect();
                let seen = crate::clock::text(call.state.clock.date());
                Ok(json!({ "details": list::details(names.len(), &seen), "roles": names }).into())
            },
        ),
        Route::search(
            "/admin/v1/members/_search",
            Permission("iam.member.read"),
            &SEARCH,
            |call| {
                let scope = call.state.instance_id.clone();
                search(call, &scope)
            },
        ),
        Route::post(
            "/admin/v1/members",
            Permission("iam.member.write"),
            &ADD_INSTANCE,
            add_instance,
        ),
        Route::put(
            "/admin/v1/members/{user}",
            Permission("iam.member.write"),
            &UPDATE,
            update_instance,
        ),
        Route::delete("/admin/v1/members/{user}", Permission("iam.member.delete"), |call| {
            let instance = call.state.instance();
            remove(call, &instance, "instance.member.removed")
        }),
        Route::search(
            "/management/v1/users/{id}/memberships/_search",
            Permission("user.membership.read"),
            &LIST,
            |call| {
                let user = call.param("id").to_owned();
                memberships(call, &user)
            },
        ),
    ]
}

// Commands.

fn are_of_organization(wanted: &[String]) -> bool {
    wanted.iter().all(|role| roles::of_organization().any(|known| known == role))
}

fn are_of_instance(wanted: &[String]) -> bool {
    wanted.iter().all(|role| roles::of_instance().any(|known| known == role))
}

fn user_exists(state: &State, user: &str) -> bool {
    state.write.users.get(user).is_some_and(|user| user.state != Life::Removed)
}

fn standing<'a>(call: &'a Call<'_>, scope: &str, user: &str) -> Option<&'a Member> {
    call.state.write.members.get(scope, user).filter(|member| !member.removed)
}

/// The event that makes a user a member of an organization, by default its owner.
///
/// # Errors
/// 400 for roles of another level or a user that does not exist, 409 for who is a member already.
pub(super) fn addition_to(
    call: &Call<'_>,
    organization: &str,
    user: &str,
    wanted: Vec<String>,
) -> Result<Draft, ApiError> {
    let wanted = if wanted.is_empty() { vec!["ORG_OWNER".to_owned()] } else { wanted };
    if !are_of_organization(&wanted) {
        return Err(ApiError::invalid("Org-4N8es", "Errors.Org.MemberInvalid"));
    }
    if !user_exists(call.state, user) {
        return Err(ApiError::precondition("ORG-GoXOn", "User could not be found"));
    }
    if standing(call, organization, user).is_some() {
        return Err(ApiError::exists("ORG-poWwe", "Errors.Org.Member.AlreadyExists"));
    }
    Ok(Draft::new(&Aggregate::organization(organization), "org.member.added")
        .with("userId", user)
        .with("roles", wanted))
}

fn add_instance(call: &mut Call<'_>) -> Answer {
    let user = call.request.text("userId").to_owned();
    let wanted = call.request.texts("roles");
    if !are_of_instance(&wanted) {
        return Err(ApiError::invalid("INSTANCE-4m0fS", "Member is invalid"));
    }
    if !user_exists(call.state, &user) {
        return Err(ApiError::precondition("INSTA-GSXOn", "User could not be found"));
    }
    if standing(call, &call.state.instance_id, &user).is_some() {
        return Err(ApiError::exists("INSTA-pFDwe", "Errors.Instance.Member.AlreadyExists"));
    }
    // A member without roles is accepted, and its event says so.
    let wanted = if wanted.is_empty() { Value::Null } else { json!(wanted) };
    let draft = Draft::new(&call.state.instance(), "instance.member.added")
        .with("userId", user)
        .with("roles", wanted);
    let event = call.push(vec![draft])?;
    Ok(json!({ "details": creation_details(&event) }).into())
}

fn update(call: &mut Call<'_>, scope: &Aggregate, event_type: &'static str) -> Answer {
    let user = call.param("user").to_owned();
    let wanted = call.request.texts("roles");
    let Some(member) = standing(call, &scope.id, &user) else {
        return Err(ApiError::not_found("Org-D8JxR", "Errors.NotFound"));
    };
    if member.roles == wanted {
        return Ok(json!({ "details": member.stamp.change_details() }).into());
    }
    let draft = Draft::new(scope, event_type).with("userId", user).with("roles", wanted);
    let event = call.push(vec![draft])?;
    Ok(json!({ "details": change_details(&event) }).into())
}

fn update_organization(call: &mut Call<'_>) -> Answer {
    let wanted = call.request.texts("roles");
    if wanted.is_empty() {
        return Err(ApiError::invalid("Org-LiaZi", "Errors.Org.MemberInvalid"));
    }
    if !are_of_organization(&wanted) {
        return Err(ApiError::invalid("INST-m9fG8", "Errors.Org.MemberInvalid"));
    }
    let organization = Aggregate::organization(&call.organization);
    update(call, &organization, "org.member.changed")
}

fn update_instance(call: &mut Call<'_>) -> Answer {
    let wanted = call.request.texts("roles");
    if wanted.is_empty() {
        return Err(ApiError::invalid("INSTANCE-LiaZi", "Member is invalid"));
    }
    if !are_of_instance(&wanted) {
        return Err(ApiError::invalid("INSTANCE-3m9fs", "Member is invalid"));
    }
    let instance = call.state.instance();
    if standing(call, &instance.id, call.param("user")).is_none() {
        return Err(ApiError::not_found("INSTANCE-D8JxR", "Errors.NotFound"));
    }
    update(call, &instance, "instance.member.changed")
}

fn remove(call: &mut Call<'_>, scope: &Aggregate, event_type: &'static str) -> Answer {
    let user = call.param("user").to_owned();
    match call.state.write.members.get(&scope.id, &user) {
        None => Ok(json!({ "details": { "resourceOwner": scope.id } }).into()),
        Some(member) if member.removed => {
            Ok(json!({ "details": member.stamp.change_details() }).into())
        }
        Some(_) => {
            let draft = Draft::new(scope, event_type).with("userId", user);
            let event = call.push(vec![draft])?;
            Ok(json!({ "details": change_details(&event) }).into())
        }
    }
}

// Queries.

fn view(state: &State, member: &Member) -> Option<Value> {
    let user = state.read.users.get(&member.user)?;
    let seen = super::users::view(state, user);
    Some(message! {
        "userId" => &*member.user,
        "details" => member.stamp.details(),
        "roles" => member.roles.clone(),
        "preferredLoginName" => seen.get("preferredLoginName").cloned(),
        "displayName" => user.display_name(),
        "email" => user.fields.text("email"),
        "firstName" => user.fields.text("firstName"),
        "lastName" => user.fields.text("lastName"),
        "userType" => user.user_type(),
        "userResourceOwner" => &*user.stamp.owner,
    })
}

fn passes(member: &Member, query: &Request) -> bool {
    !query.has("userIdQuery") || member.user == query.message("userIdQuery").text("userId")
}

fn search(call: &mut Call<'_>, scope: &str) -> Answer {
    let queries = call.request.messages("queries");
    let members = call.state.read.members.of_scope(scope);
    let rows = members
        .into_iter()
        .filter(|member| queries.iter().all(|query| passes(member, query)))
        .filter_map(|member| view(call.state, member));
    let (page, total) = Page::of(&call.request).cut(rows);
    Ok(message! {
        "details" => list::details(total, &call.state.read.latest("members")),
        "result" => page,
    }
    .into())
}

/// Where a user is a member.
pub(super) fn memberships(call: &mut Call<'_>, user: &str) -> Answer {
    let state = &*call.state;
    let instance_name = state.read.instance.fields.text("name");
    let mut members: Vec<_> = state.read.members.of_user(user);
    members.sort_by_key(|member| (member.stamp.owner == state.instance_id, member.position));
    let rows = members.into_iter().map(|member| {
        let scope = &member.stamp.owner;
        let organization = state.read.organizations.get(scope);
        message! {
            "userId" => &*member.user,
            "details" => member.stamp.details(),
            "roles" => member.roles.clone(),
            "displayName" => organization.map_or(instance_name, |org| &*org.name),
            "iam" => organization.is_none(),
            "orgId" => organization.map(|org| &*org.id),
        }
    });
    let (page, total) = Page::of(&call.request).cut(rows);
    Ok(message! {
        "details" => list::details(total, &state.read.latest("members")),
        "result" => page,
    }
    .into())
}
