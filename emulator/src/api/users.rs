//! Users (management API).

use serde_json::{Value, json};

use super::{
    Access, Answer, Call, Route, cascade_details, change_details, grants,
    list::{self, PAGE, Page, TEXT_QUERY},
    people,
};
use crate::{
    errors::ApiError,
    message::message,
    model::{Model, difference, organization::State as Life, user::User},
    proto::{Field, Message, NAME, OPTIONAL_NAME, Request, Rule, SHORT},
    state::State,
    store::{Aggregate, Draft},
};

pub(super) const TOKEN_TYPES: &[&str] = &["ACCESS_TOKEN_TYPE_BEARER", "ACCESS_TOKEN_TYPE_JWT"];
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
pub(super) static USER_NAME_QUERY: Message = Message::new(
    "UserNameQuery",
    &[Field::text("userName").rules(SHORT), Field::choice("method", TEXT_QUERY)],
);
pub(super) static LOGIN_NAME_QUERY: Message = Message::new(
    "LoginNameQuery",
    &[Field::text("loginName").rules(SHORT), Field::choice("method", TEXT_QUERY)],
);
pub(super) static DISPLAY_NAME_QUERY: Message = Message::new(
    "DisplayNameQuery",
    &[Field::text("displayName").rules(SHORT), Field::choice("method", TEXT_QUERY)],
);
pub(super) const STATES: &[&str] = &[
    "USER_STATE_UNSPECIFIED",
    "USER_STATE_ACTIVE",
    "USER_STATE_INACTIVE",
    "USER_STATE_DELETED",
    "USER_STATE_LOCKED",
    "USER_STATE_INITIAL",
];
pub(super) static STATE_QUERY: Message =
    Message::new("StateQuery", &[Field::choice("state", STATES)]);
pub(super) const TYPES: &[&str] = &["TYPE_UNSPECIFIED", "TYPE_HUMAN", "TYPE_MACHINE"];
pub(super) static TYPE_QUERY: Message = Message::new("TypeQuery", &[Field::choice("type", TYPES)]);
static QUERY: Message = Message::one_of(
    "SearchQuery",
    "query",
    &[
        Field::message("userNameQuery", &USER_NAME_QUERY),
        Field::message("loginNameQuery", &LOGIN_NAME_QUERY),
        Field::message("displayNameQuery", &DISPLAY_NAME_QUERY),
        Field::message("stateQuery", &STATE_QUERY),
        Field::message("typeQuery", &TYPE_QUERY),
    ],
);
static SEARCH: Message = Message::new(
    "ListUsersRequest",
    &[
        Field::message("query", &PAGE),
        Field::choice("sortingColumn", SORTING_COLUMNS),
        Field::message("queries", &QUERY).repeated(),
    ],
);
pub(super) const SORTING_COLUMNS: &[&str] = &[
    "USER_FIELD_NAME_UNSPECIFIED",
    "USER_FIELD_NAME_USER_NAME",
    "USER_FIELD_NAME_FIRST_NAME",
    "USER_FIELD_NAME_LAST_NAME",
    "USER_FIELD_NAME_NICK_NAME",
    "USER_FIELD_NAME_DISPLAY_NAME",
    "USER_FIELD_NAME_EMAIL",
    "USER_FIELD_NAME_STATE",
    "USER_FIELD_NAME_TYPE",
    "USER_FIELD_NAME_CREATION_DATE",
];

pub(super) fn routes() -> Vec<Route> {
    use Access::Permission;
    const READ: Access = Permission("user.read");
    const WRITE: Access = Permission("user.write");
    vec![
        Route::post("/management/v1/users/machine", WRITE, &ADD, add),
        Route::search("/management/v1/users/_search", READ, &SEARCH, search),
        Route::get("/management/v1/users/_is_unique", READ, |call| {
            let scoped = is_scoped(&call.state.write, &call.state.instance_id, &call.organization);
            let name = unique(&call.query("userName"), &call.organization, scoped);
            Ok(message! { "isUnique" => call.state.store.is_free("usernames", &name) }.into())
        }),
        Route::get("/management/v1/users/{id}", READ, get),
        Route::delete("/management/v1/users/{id}", Permission("user.delete"), remove),
        Route::put("/management/v1/users/{id}/machine", WRITE, &UPDATE, update),
        Route::put(
            "/management/v1/users/{id}/username",
            WRITE,
            &UPDATE_USER_NAME,
            update_user_name,
        ),
    ]
}

// Names.

pub(super) const TAKEN: &str = "User already exists";

pub(super) fn is_scoped(model: &Model, instance: &str, organization: &str) -> bool {
    State::login_must_be_domain(model, instance, organization)
}

/// What has to be unique: the name in the instance or, where login names carry the domain, in the
/// organization.
pub(super) fn unique(user_name: &str, organization: &str, scoped: bool) -> String {
    if scoped { format!("{user_name}{organization}") } else { user_name.to_owned() }
}

/// The events by which the user names of an organization follow a change of its domain policy:
/// they lose the domain when login names begin to carry it, and gain it when these cease to.
pub(super) fn user_name_changes(state: &State, organization: &str, scoped: bool) -> Vec<Draft> {
    let Some(owner) = state.write.organizations.get(organization) else {
        return Vec::new();
    };
    state
        .write
        .users
        .owned_by(organization)
        .filter(|user| user.state.exists())
        .map(|user| {
            let former = user.user_name();
            let now = if scoped {
                owner
                    .domains
                    .keys()
                    .find_map(|domain| former.strip_suffix(&format!("@{domain}")))
                    .unwrap_or(former)
                    .to_owned()
            } else {
                format!("{former}@{}", owner.primary_domain)
            };
            Draft::new(&aggregate(user), "user.username.changed")
                .with("userName", &*now)
                .release("usernames", unique(former, organization, !scoped))
                .take("usernames", unique(&now, organization, scoped), TAKEN)
        })
        .collect()
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

/// The event that gives a user another name.
pub(super) fn user_name_change(state: &State, user: &User, name: &str) -> Draft {
    let organization = &user.stamp.owner;
    let scoped = is_scoped(&state.write, &state.instance_id, organization);
    Draft::new(&aggregate(user), "user.username.changed")
        .with("userName", name)
        .release("usernames", unique(user.user_name(), organization, scoped))
        .take("usernames", unique(name, organization, scoped), TAKEN)
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
    let memberships = state.write.members.of_user(&user.id).into_iter().map(|member| {
        let scope = &member.stamp.owner;
        let draft = if *scope == state.instance_id {
            Draft::new(&state.instance(), "instance.member.cascade.removed")
        } else {
            Draft::new(&Aggregate::organization(scope), "org.member.cascade.removed")
        };
        draft.with("userId", &*user.id)
    });
    let grants = grants::removals_of_user(state, &user.id);
    std::iter::once(removed).chain(grants).chain(memberships).collect()
}

// Queries.

/// The login names of a user, and the preferred one.
pub(super) fn login_names(model: &Model, instance: &str, user: &User) -> (Vec<String>, String) {
    let organization = model.organizations.get(&user.stamp.owner);
    let scoped = is_scoped(model, instance, &user.stamp.owner);
    let name = user.user_name();
    match organization {
        Some(organization) if scoped => (
            organization
                .domains
                .iter()
                .filter(|(_, verified)| **verified)
                .map(|(domain, _)| format!("{name}@{domain}"))
                .collect(),
            format!("{name}@{}", organization.primary_domain),
        ),
        _ => (vec![name.to_owned()], name.to_owned()),
    }
}

pub(super) fn state_name(user: &User) -> &'static str {
    match user.state {
        Life::Active => "USER_STATE_ACTIVE",
        Life::Inactive => "USER_STATE_INACTIVE",
        Life::Locked => "USER_STATE_LOCKED",
        Life::Removed => "USER_STATE_DELETED",
    }
}

/// What only machines have.
pub(super) fn machine_view(user: &User) -> Value {
    let token_type = user.fields.number("accessTokenType");
    message! {
        "name" => user.display_name(),
        "description" => user.fields.text("description"),
        "hasSecret" => user.hashed_secret().is_some(),
        "accessTokenType" => (token_type > 0).then_some("ACCESS_TOKEN_TYPE_JWT"),
    }
}

/// A user as the older interfaces tell it.
pub(super) fn view(state: &State, user: &User) -> Value {
    let (names, preferred) = login_names(&state.read, &state.instance_id, user);
    message! {
        "id" => &*user.id,
        "details" => user.stamp.details(),
        "state" => state_name(user),
        "userName" => user.user_name(),
        "loginNames" => names,
        "preferredLoginName" => preferred,
        "machine" => (!user.human).then(|| machine_view(user)),
        "human" => user.human.then(|| people::view(user)),
    }
}

/// The read side's user, in the organization that the call acts in.
fn read<'a>(call: &'a Call<'_>) -> Result<&'a User, ApiError> {
    let user = call.state.read.users.get(call.param("id")).ok_or_else(|| missing("QUERY-Dfbg2"))?;
    if user.stamp.owner != call.organization {
        return Err(missing("MANAG-fpo4B"));
    }
    Ok(user)
}

fn get(call: &mut Call<'_>) -> Answer {
    let user = read(call)?;
    Ok(json!({ "user": view(call.state, user) }).into())
}

/// Whether a user passes a query that both interfaces know.
pub(super) fn passes(state: &State, user: &User, query: &Request) -> bool {
    let name = query.message("userNameQuery");
    let login = query.message("loginNameQuery");
    let display = query.message("displayNameQuery");
    let is = |names: &[&str], number: u64, have: &str| {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        names.get(index) == Some(&have)
    };
    (!query.has("userNameQuery") || list::matches(user.user_name(), &name, "userName"))
        && (!query.has("displayNameQuery")
            || list::matches(user.display_name(), &display, "displayName"))
        && (!query.has("typeQuery")
            || is(TYPES, query.message("typeQuery").number("type"), user.user_type()))
        && (!query.has("stateQuery")
            || is(STATES, query.message("stateQuery").number("state"), state_name(user)))
        && (!query.has("loginNameQuery")
            || login_names(&state.read, &state.instance_id, user)
                .0
                .iter()
                .any(|name| list::matches(name, &login, "loginName")))
}

/// Sorts users by a column; by their ids if none is named.
pub(super) fn sort(page: &Page, rows: &mut [&User], column: u64) {
    let text = |user: &&User, field: &str| user.fields.text(field).to_lowercase();
    match column {
        1 => page.sort(rows, |user| user.user_name().to_lowercase()),
        2 => page.sort(rows, |user| text(user, "firstName")),
        3 => page.sort(rows, |user| text(user, "lastName")),
        4 => page.sort(rows, |user| text(user, "nickName")),
        5 => page.sort(rows, |user| user.display_name().to_lowercase()),
        6 => page.sort(rows, |user| text(user, "email")),
        7 => page.sort(rows, |user| state_name(user)),
        8 => page.sort(rows, |user| user.user_type()),
        9 => page.sort(rows, |user| user.position),
        _ => page.sort(rows, |user| user.id.clone()),
    }
}

fn search(call: &mut Call<'_>) -> Answer {
    let queries = call.request.messages("queries");
    let wanted = |user: &&User| queries.iter().all(|query| passes(call.state, user, query));
    let rows = call.state.read.users.owned_by(&call.organization);
    let mut rows: Vec<_> = rows.filter(wanted).collect();
    let page = Page::of(&call.request);
    sort(&page, &mut rows, call.request.number("sortingColumn"));
    let (page, total) = page.cut(rows.into_iter());
    let result: Vec<_> = page.into_iter().map(|user| view(call.state, user)).collect();
    Ok(message! {
        "details" => list::details(total, &call.state.read.latest("users")),
        "result" => result,
    }
    .into())
}
