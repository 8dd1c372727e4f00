//! Machine users (management API).

use serde_json::{Value, json};

use super::{
    Access, Answer, Call, Route, change_details,
    list::{self, PAGE, Page, TEXT_QUERY},
};
use crate::{
    errors::ApiError,
    message::message,
    model::{Model, difference, organization::State as Life, user::User},
    proto::{EMPTY, Field, Message, NAME, OPTIONAL_NAME, Request, Rule, SHORT},
    roles::Level,
    state::State,
    store::{Aggregate, Draft},
};

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
static USER_NAME_QUERY: Message = Message::new(
    "UserNameQuery",
    &[Field::text("userName").rules(SHORT), Field::choice("method", TEXT_QUERY)],
);
static TYPE_QUERY: Message = Message::new(
    "TypeQuery",
    &[Field::choice("type", &["TYPE_UNSPECIFIED", "TYPE_HUMAN", "TYPE_MACHINE"])],
);
static LOGIN_NAME_QUERY: Message = Message::new(
    "LoginNameQuery",
    &[Field::text("loginName").rules(SHORT), Field::choice("method", TEXT_QUERY)],
);
static QUERY: Message = Message::one_of(
    "SearchQuery",
    "query",
    &[
        Field::message("userNameQuery", &USER_NAME_QUERY),
        Field::message("loginNameQuery", &LOGIN_NAME_QUERY),
        Field::message("typeQuery", &TYPE_QUERY),
    ],
);
static SEARCH: Message = Message::new(
    "ListUsersRequest",
    &[
        Field::message("query", &PAGE),
        Field::choice(
            "sortingColumn",
            &["USER_FIELD_NAME_UNSPECIFIED", "USER_FIELD_NAME_USER_NAME"],
        ),
        Field::message("queries", &QUERY).repeated(),
    ],
);

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
        Route::post("/management/v1/users/{id}/_deactivate", WRITE, &EMPTY, |call| {
            step(call, "user.deactivated", |state| match state {
                Life::Removed => Err(missing("COMMAND-3M9ds")),
                Life::Inactive => {
                    Err(ApiError::precondition("COMMAND-5M0sf", "User already inactive"))
                }
                _ => Ok(()),
            })
        }),
        Route::post("/management/v1/users/{id}/_reactivate", WRITE, &EMPTY, |call| {
            step(call, "user.reactivated", |state| match state {
                Life::Removed => Err(missing("COMMAND-4M0sd")),
                Life::Inactive => Ok(()),
                _ => Err(ApiError::precondition("COMMAND-6M0sf", "User is not inactive")),
            })
        }),
        Route::post("/management/v1/users/{id}/_lock", WRITE, &EMPTY, |call| {
            step(call, "user.locked", |state| match state {
                Life::Removed => Err(missing("COMMAND-5M9fs")),
                Life::Active => Ok(()),
                _ => Err(ApiError::precondition("COMMAND-3NN8v", "User is not active or initial")),
            })
        }),
        Route::post("/management/v1/users/{id}/_unlock", WRITE, &EMPTY, |call| {
            step(call, "user.unlocked", |state| match state {
                Life::Removed => Err(missing("COMMAND-M0dos")),
                Life::Locked => Ok(()),
                _ => Err(ApiError::precondition("COMMAND-4M0ds", "User is not locked")),
            })
        }),
    ]
}

// Names.

const TAKEN: &str = "User already exists";

fn is_scoped(model: &Model, instance: &str, organization: &str) -> bool {
    State::login_must_be_domain(model, instance, organization)
}

/// What has to be unique: the name in the instance or, where login names carry the domain, in the
/// organization.
fn unique(user_name: &str, organization: &str, scoped: bool) -> String {
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
    call.state
        .write
        .users
        .get(id)
        .filter(|user| user.state.exists() && user.stamp.owner == call.organization)
}

fn update(call: &mut Call<'_>) -> Answer {
    let user = existing(call, call.param("id")).ok_or_else(|| missing("COMMAND-5M0od"))?.clone();
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
    let organization = &user.stamp.owner;
    let scoped = is_scoped(&call.state.write, &call.state.instance_id, organization);
    let draft = Draft::new(&aggregate(&user), "user.username.changed")
        .with("userName", &*name)
        .release("usernames", unique(user.user_name(), organization, scoped))
        .take("usernames", unique(&name, organization, scoped), TAKEN);
    let event = call.push(vec![draft])?;
    Ok(json!({ "details": change_details(&event) }).into())
}

fn step(
    call: &mut Call<'_>,
    event_type: &'static str,
    check: impl Fn(Life) -> Result<(), ApiError>,
) -> Answer {
    let Some(user) = existing(call, call.param("id")) else {
        check(Life::Removed)?;
        return Err(missing("COMMAND-0"));
    };
    check(user.state)?;
    let draft = Draft::new(&aggregate(user), event_type);
    let event = call.push(vec![draft])?;
    Ok(json!({ "details": change_details(&event) }).into())
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
            };
            draft.with("userId", user)
        })
        .collect()
}

fn remove(call: &mut Call<'_>) -> Answer {
    let user = existing(call, call.param("id")).ok_or_else(|| missing("COMMAND-m9od"))?.clone();
    let organization = &user.stamp.owner;
    let scoped = is_scoped(&call.state.write, &call.state.instance_id, organization);
    let mut drafts = vec![
        Draft::new(&aggregate(&user), "user.removed")
            .release("usernames", unique(user.user_name(), organization, scoped)),
    ];
    drafts.extend(cascade(call.state, &user.id));
    let position = call.state.store.len();
    call.push(drafts)?;
    let event = call.state.store.get(position).cloned();
    Ok(json!({ "details": event.as_ref().map(change_details) }).into())
}

// Queries.

/// The name that a user logs in with: where the domain policy says so, it carries the
/// organization's domain.
pub(super) fn preferred_login_name(model: &Model, instance: &str, user: &User) -> String {
    let name = user.user_name();
    match model.organizations.get(&user.stamp.owner) {
        Some(organization) if is_scoped(model, instance, &user.stamp.owner) => {
            format!("{name}@{}", organization.primary_domain)
        }
        _ => name.to_owned(),
    }
}

/// All names that a user can log in with.
fn login_names(state: &State, user: &User) -> Vec<String> {
    let name = user.user_name();
    match state.read.organizations.get(&user.stamp.owner) {
        Some(organization) if is_scoped(&state.read, &state.instance_id, &user.stamp.owner) => {
            organization
                .domains
                .iter()
                .filter(|(_, verified)| **verified)
                .map(|(domain, _)| format!("{name}@{domain}"))
                .collect()
        }
        _ => vec![name.to_owned()],
    }
}

/// A user as the older interfaces tell it.
pub(super) fn view(state: &State, user: &User) -> Value {
    let preferred = preferred_login_name(&state.read, &state.instance_id, user);
    let token_type = user.fields.number("accessTokenType");
    let machine = message! {
        "name" => user.display_name(),
        "description" => user.fields.text("description"),
        "hasSecret" => user.hashed_secret().is_some(),
        "accessTokenType" => (token_type > 0).then_some("ACCESS_TOKEN_TYPE_JWT"),
    };
    message! {
        "id" => &*user.id,
        "details" => user.stamp.details(),
        "state" => match user.state {
            Life::Inactive => "USER_STATE_INACTIVE",
            Life::Locked => "USER_STATE_LOCKED",
            Life::Removed => "USER_STATE_DELETED",
            Life::Active => "USER_STATE_ACTIVE",
        },
        "userName" => user.user_name(),
        "loginNames" => login_names(state, user),
        "preferredLoginName" => preferred,
        "machine" => machine,
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

fn search(call: &mut Call<'_>) -> Answer {
    let queries = call.request.messages("queries");
    let wanted = |user: &&User| {
        queries.iter().all(|query| {
            let name = query.message("userNameQuery");
            let login = query.message("loginNameQuery");
            (!query.has("userNameQuery") || list::matches(user.user_name(), &name, "userName"))
                && (!query.has("loginNameQuery")
                    || login_names(call.state, user)
                        .iter()
                        .any(|name| list::matches(name, &login, "loginName")))
                && (!query.has("typeQuery") || query.message("typeQuery").number("type") != 1)
        })
    };
    let page = Page::of(&call.request);
    let mut rows: Vec<_> =
        call.state.read.users.owned_by(&call.organization).filter(wanted).collect();
    if call.request.number("sortingColumn") == 1 {
        page.sort(&mut rows, |user| (user.user_name().to_lowercase(), user.position));
    }
    let (page, total) = page.cut(rows.into_iter());
    let result: Vec<_> = page.into_iter().map(|user| view(call.state, user)).collect();
    Ok(message! {
        "details" => list::details(total, &call.state.read.latest("users")),
        "result" => result,
    }
    .into())
}
