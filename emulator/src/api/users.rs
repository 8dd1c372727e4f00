//! Users: the management API, and the user service v2.

use serde_json::json;

use super::{Access, Answer, Call, Route, cascade_details, change_details, grants, members};
use crate::{
    errors::ApiError,
    message::message,
    model::{difference, user::User},
    proto::{Field, Message, NAME, OPTIONAL_NAME, Request, Rule},
    roles::Level,
    state::State,
    store::{Aggregate, Draft},
};

mod names;
mod people;
mod queries;
mod states;
mod v2;

use names::{TAKEN, is_scoped, login_names, unique, user_name_change};
pub(super) use names::{claims, preferred_login_name, user_name_changes};
pub(super) use people::{ADD as ADD_PERSON, add_to as add_person};
use queries::{SEARCH, get, search};
pub(super) use queries::{TYPES, short_view, view};
pub(super) use v2::may_read;

const TOKEN_TYPES: &[&str] = &["ACCESS_TOKEN_TYPE_BEARER", "ACCESS_TOKEN_TYPE_JWT"];
static ADD: Message = Message::new(
    "AddMachineUserRequest",
    &[
        Field::text("userName").rules(NAME),
        Field::text("name").rules(NAME),
        Field::text("description").rules(&[Rule::Length(0, 500)]),
        Field::choice("accessTokenType", TOKEN_TYPES),
        Field::text("userId").rules(OPTIONAL_NAME),
    ],
);
static UPDATE: Message = Message::new(
    "UpdateMachineRequest",
    &[
        Field::text("name").rules(NAME),
        Field::text("description").rules(&[Rule::Length(0, 500)]),
        Field::choice("accessTokenType", TOKEN_TYPES),
    ],
);
static UPDATE_USER_NAME: Message =
    Message::new("UpdateUserNameRequest", &[Field::text("userName").rules(NAME)]);
pub(super) fn routes() -> Vec<Route> {
    use Access::Permission;
    const READ: Access = Permission("user.read");
    const WRITE: Access = Permission("user.write");
    let mut routes = vec![
        Route::post("/management/v1/users/machine", WRITE, &ADD, add),
        Route::search("/management/v1/users/_search", READ, &SEARCH, search),
        Route::get("/management/v1/users/_is_unique", READ, |call| {
            // It is read, not asked of what keeps names unique: letters in another case are others.
            let scoped = is_scoped(&call.state.read, &call.state.instance_id, &call.organization);
            let (name, email) = (call.query("userName"), call.query("email"));
            let is_met = call.state.read.users.iter().any(|user| {
                (name.is_empty() || user.user_name() == name)
                    && (email.is_empty() || (user.human && user.fields.text("email") == email))
                    && (!scoped || user.stamp.owner == call.organization)
            });
            Ok(message! { "isUnique" => !is_met }.into())
        }),
        Route::get(
            "/management/v1/global/users/_by_login_name",
            Permission("user.global.read"),
            queries::by_login_name,
        ),
        Route::get("/management/v1/users/{id}", READ, get),
        Route::delete("/management/v1/users/{id}", Permission("user.delete"), remove),
        Route::put("/management/v1/users/{id}/machine", WRITE, &UPDATE, update),
        Route::put(
            "/management/v1/users/{id}/username",
            WRITE,
            &UPDATE_USER_NAME,
            update_user_name,
        ),
    ];
    routes.extend(states::routes());
    routes.extend(v2::routes());
    routes.extend(people::routes());
    routes
}

// Commands.

pub(super) fn missing(id: &'static str) -> ApiError {
    ApiError::not_found(id, "User could not be found")
}

pub(super) fn aggregate(user: &User) -> Aggregate {
    Aggregate::new("user", &*user.id, &*user.stamp.owner)
}

/// The events that make a machine user.
pub(crate) fn creation(state: &State, id: &str, organization: &str, request: &Request) -> Draft {
    let scoped = is_scoped(&state.write, &state.instance_id, organization);
    let name = request.text("userName");
    let mut draft = Draft::new(&Aggregate::new("user", id, organization), "user.machine.added")
        .with("userName", name)
        .with("name", request.text("name"))
        .take("usernames", unique(name, organization, scoped), TAKEN);
    if !request.text("description").is_empty() {
        draft = draft.with("description", request.text("description"));
    }
    if request.number("accessTokenType") > 0 {
        draft = draft.with("accessTokenType", request.number("accessTokenType"));
    }
    draft
}

fn add(call: &mut Call<'_>) -> Answer {
    let id = match call.request.text("userId") {
        "" => call.state.clock.id(),
        id => id.to_owned(),
    };
    if existing(call, &id).is_some() {
        return Err(ApiError::precondition("COMMAND-k2una", "Errors.User.AlreadyExisting"));
    }
    let draft = creation(call.state, &id, &call.organization, &call.request);
    let event = call.push(vec![draft])?;
    Ok(json!({ "userId": id, "details": change_details(&event) }).into())
}

/// The write side's user, if it exists in the organization that the call acts in.
pub(super) fn existing<'a>(call: &'a Call<'_>, id: &str) -> Option<&'a User> {
    existing_in(call.state, id, &call.organization)
}

/// The write side's user, if it exists in an organization: an id that another one uses is free.
pub(super) fn existing_in<'a>(state: &'a State, id: &str, organization: &str) -> Option<&'a User> {
    state.write.users.get(id)?.of(organization).filter(|user| user.state.exists())
}

fn update(call: &mut Call<'_>) -> Answer {
    let user = existing(call, call.param("id")).filter(|user| !user.human);
    let user = user.ok_or_else(|| missing("COMMAND-5M0od"))?.clone();
    let request = &call.request;
    let want = serde_json::Map::from_iter([
        ("name".to_owned(), json!(request.text("name"))),
        ("description".to_owned(), json!(request.text("description"))),
        ("accessTokenType".to_owned(), json!(request.number("accessTokenType"))),
    ]);
    let changes = difference(&user.fields, &want);
    if changes.is_empty() {
        return Err(ApiError::precondition("COMMAND-2n8vs", "Errors.User.NotChanged"));
    }
    let draft = Draft::new(&aggregate(&user), "user.machine.changed").payload(changes);
    let event = call.push(vec![draft])?;
    Ok(json!({ "details": change_details(&event) }).into())
}

fn update_user_name(call: &mut Call<'_>) -> Answer {
    let user = existing(call, call.param("id")).ok_or_else(|| missing("COMMAND-5N9ds"))?.clone();
    let name = call.request.text("userName").trim().to_owned();
    if user.user_name() == name {
        return Err(ApiError::precondition("COMMAND-6m9gs", "Username not changed"));
    }
    let draft = user_name_change(call.state, &user, &name);
    let event = call.push(vec![draft])?;
    Ok(json!({ "details": change_details(&event) }).into())
}

fn remove(call: &mut Call<'_>) -> Answer {
    let user = existing(call, call.param("id")).ok_or_else(|| missing("COMMAND-m9od"))?.clone();
    let event = call.push(removal(call.state, &user))?;
    Ok(json!({ "details": cascade_details(&event, &user.stamp.owner) }).into())
}

/// The events that remove a user, its grants and its memberships.
pub(super) fn removal(state: &State, user: &User) -> Vec<Draft> {
    let organization = &user.stamp.owner;
    let scoped = is_scoped(&state.write, &state.instance_id, organization);
    let removed = Draft::new(&aggregate(user), "user.removed")
        .release("usernames", unique(user.user_name(), organization, scoped));
    let grants = grants::removals_of_user(state, &user.id);
    std::iter::once(removed).chain(grants).chain(cascade(state, &user.id)).collect()
}

/// The events by which a user leaves everything it is a member of.
pub(crate) fn cascade(state: &State, user: &str) -> Vec<Draft> {
    let members = state.write.members.of_user(user);
    members
        .map(|member| {
            let scope = &member.scope;
            let draft = match member.level {
                Level::Instance => {
                    Draft::new(&Aggregate::instance(scope), "instance.member.cascade.removed")
                }
                Level::Organization => {
                    Draft::new(&Aggregate::organization(scope), "org.member.cascade.removed")
                }
                Level::Project => Draft::new(
                    &Aggregate::new("project", &**scope, &*member.stamp.owner),
                    "project.member.cascade.removed",
                ),
                Level::ProjectGrant => Draft::new(
                    &Aggregate::new("project", &*member.aggregate, &*member.stamp.owner),
                    "project.grant.member.cascade.removed",
                )
                .with("grantId", &**scope)
                .release("project_grant_member", members::unique(scope, user)),
            };
            draft.with("userId", user)
        })
        .collect()
}
