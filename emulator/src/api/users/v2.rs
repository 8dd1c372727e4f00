//! Users through the user service v2.

use serde_json::{Map, Value, json};

use super::{
    super::{
        Access, Answer, Call, Route, cascade_details, date,
        list::{self, PAGE, Page},
    },
    TOKEN_TYPES, aggregate, creation, existing_in, login_names, missing, people,
    queries::{SORTING_COLUMNS, machine_view, newer, passes, sort, state_name},
    removal, user_name_change,
};
use crate::{
    clock,
    errors::{ApiError, Code},
    message::message,
    model::{difference, user::User},
    proto::{Field, Message, NAME, OPTIONAL_NAME, Rule},
    store::Draft,
};

static CREATE_MACHINE: Message = Message::new(
    "CreateUserRequest_Machine",
    &[
        Field::text("name").rules(NAME),
        Field::text("description").rules(&[Rule::Length(0, 500)]),
        Field::choice("accessTokenType", TOKEN_TYPES),
    ],
);
static CREATE: Message = Message::new(
    "CreateUserRequest",
    &[
        Field::text("organizationId").rules(NAME),
        Field::text("userId").rules(OPTIONAL_NAME),
        Field::text("username").rules(OPTIONAL_NAME),
        Field::message("machine", &CREATE_MACHINE).in_group("user_type"),
        Field::message("human", &people::PERSON).in_group("user_type"),
    ],
);
static UPDATE_MACHINE: Message = Message::new(
    "UpdateUserRequest_Machine",
    &[
        Field::text("name").rules(OPTIONAL_NAME),
        Field::text("description").rules(&[Rule::Length(0, 500)]),
        Field::choice("accessTokenType", TOKEN_TYPES),
    ],
);
static UPDATE: Message = Message::new(
    "UpdateUserRequest",
    &[
        Field::text("username").rules(OPTIONAL_NAME),
        Field::message("machine", &UPDATE_MACHINE).in_group("user_type"),
        Field::message("human", &people::CHANGED_PERSON).in_group("user_type"),
    ],
);
static LIST: Message = Message::new(
    "ListUsersRequest",
    &[
        Field::message("query", &PAGE),
        Field::choice("sortingColumn", SORTING_COLUMNS),
        Field::message("queries", &newer::QUERY).repeated(),
    ],
);

pub(super) fn routes() -> Vec<Route> {
    use Access::Authenticated;
    vec![
        Route::post("/v2/users/new", Authenticated, &CREATE, create),
        Route::search("/v2/users", Authenticated, &LIST, search),
        Route::get("/v2/users/{id}", Authenticated, get),
        Route::patch("/v2/users/{id}", Authenticated, &UPDATE, update),
        Route::delete("/v2/users/{id}", Authenticated, remove),
    ]
}

// Commands.

fn create(call: &mut Call<'_>) -> Answer {
    let (machine, human) = (call.request.has("machine"), call.request.has("human"));
    if machine == human {
        let reason = if machine { "oneof is already set" } else { "value is required" };
        return Err(ApiError::bare(
            Code::InvalidArgument,
            format!("invalid CreateUserRequest.UserType: {reason}"),
        ));
    }
    let organization = call.request.text("organizationId").to_owned();
    let owner = call.state.write.organizations.get(&organization);
    if !owner.is_some_and(|owner| owner.state.exists()) {
        return Err(ApiError::precondition("COMMAND-QXPGs", "Organisation not found"));
    }
    let id = match call.request.text("userId") {
        "" => call.state.clock.id(),
        id => id.to_owned(),
    };
    let person = call.request.message("human");
    let (drafts, codes) = if human {
        let name = call.request.text("username").to_owned();
        people::creation(call, &id, &organization, &name, &person)?
    } else {
        call.permit("user.write", &organization)?;
        (vec![machine_creation(call, &id, &organization)?], people::Codes::default())
    };
    let event = call.push(drafts)?;
    Ok(message! {
        "id" => &*id,
        "creationDate" => date(&event),
        "emailCode" => codes.email,
        "phoneCode" => codes.phone,
    }
    .into())
}

fn machine_creation(call: &Call<'_>, id: &str, organization: &str) -> Result<Draft, ApiError> {
    if existing_in(call.state, id, organization).is_some() {
        return Err(ApiError::precondition("COMMAND-k2una", "Errors.User.AlreadyExisting"));
    }
    let mut machine = call.request.message("machine");
    let name = match call.request.text("username") {
        "" => id,
        name => name,
    };
    machine.0.insert("userName".to_owned(), json!(name));
    Ok(creation(call.state, id, organization, &machine))
}

/// The write side's user of this id, in whatever organization.
fn existing<'a>(call: &'a Call<'_>, place: &'static str) -> Result<&'a User, ApiError> {
    let user = call.state.write.users.get(call.param("id")).map(User::latest);
    user.filter(|user| user.state.exists()).ok_or_else(|| missing(place))
}

fn update(call: &mut Call<'_>) -> Answer {
    let (machine, human) = (call.request.has("machine"), call.request.has("human"));
    if machine == human {
        return Err(ApiError::bare(Code::Unimplemented, "user type is not implemented"));
    }
    let user = existing(call, "COMMAND-ugjs0upun6")?.clone();
    if user.human != human {
        return Err(missing("COMMAND-ugjs0upun6"));
    }
    if human {
        let (name, request) = (call.request.text("username"), call.request.message("human"));
        let (drafts, codes) = people::changes(call, &user, name, &request)?;
        let changed = if drafts.is_empty() {
            people::last_change(call, &user, &request)
        } else {
            date(&call.push(drafts)?)
        };
        return Ok(message! {
            "changeDate" => changed,
            "emailCode" => codes.email,
            "phoneCode" => codes.phone,
        }
        .into());
    }
    call.permit("user.write", &user.stamp.owner)?;
    let mut drafts = Vec::new();
    if call.request.has("username") && call.request.text("username") != user.user_name() {
        drafts.push(user_name_change(call.state, &user, call.request.text("username")));
    }
    // What is omitted is kept.
    let want: Map<_, _> = call.request.message("machine").0;
    let changes = difference(&user.fields, &want);
    if !changes.is_empty() {
        drafts.push(Draft::new(&aggregate(&user), "user.machine.changed").payload(changes));
    }
    let changed =
        if drafts.is_empty() { clock::text(user.stamp.changed) } else { date(&call.push(drafts)?) };
    Ok(json!({ "changeDate": changed }).into())
}

fn remove(call: &mut Call<'_>) -> Answer {
    let user = call.state.write.users.get(call.param("id")).map(User::latest);
    let owner = user.map(|user| user.stamp.owner.clone()).unwrap_or_default();
    call.permit("user.delete", &owner)?;
    let user = existing(call, "COMMAND-bd4ir1mblj")?.clone();
    let event = call.push(removal(call.state, &user))?;
    Ok(json!({ "details": cascade_details(&event, &user.stamp.owner) }).into())
}

// Queries.

fn view(call: &Call<'_>, user: &User) -> Value {
    let state = &call.state;
    let (names, preferred) = login_names(&state.read, &state.instance_id, user);
    message! {
        "userId" => &*user.id,
        "details" => user.stamp.details(),
        "state" => state_name(user),
        "username" => user.user_name(),
        "loginNames" => names,
        "preferredLoginName" => preferred,
        "machine" => (!user.human).then(|| machine_view(user)),
        "human" => user.human.then(|| people::view_v2(user)),
    }
}

/// Everybody sees oneself.
pub(in crate::api) fn may_read(call: &Call<'_>, user: &User) -> Result<(), ApiError> {
    if user.id == call.user {
        return Ok(());
    }
    call.permit("user.read", &user.stamp.owner)
}

fn get(call: &mut Call<'_>) -> Answer {
    let user = call.state.read.users.get(call.param("id"));
    let user = user.ok_or_else(|| missing("QUERY-Dfbg2"))?;
    may_read(call, user)?;
    Ok(json!({ "details": user.stamp.details(), "user": view(call, user) }).into())
}

fn search(call: &mut Call<'_>) -> Answer {
    let page = Page::of(&call.request);
    let queries = call.request.messages("queries");
    // Unlike other lists, this one counts only what the caller may see.
    let mut rows: Vec<_> = call
        .state
        .read
        .users
        .iter()
        .filter(|user| queries.iter().all(|query| passes(call.state, user, query)))
        .filter(|user| may_read(call, user).is_ok())
        .collect();
    sort(&page, &mut rows, call.request.number("sortingColumn"));
    let (page, total) = page.cut(rows.into_iter());
    Ok(message! {
        "details" => message! {
            "totalResult" => list::count(total),
            "timestamp" => call.state.read.latest("users"),
        },
        "result" => page.into_iter().map(|user| view(call, user)).collect::<Vec<_>>(),
    }
    .into())
}
