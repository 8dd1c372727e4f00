//! What is read of users.

use serde_json::{Value, json};

use super::{
    super::{
        Answer, Call,
        list::{self, PAGE, Page, TEXT_QUERY},
    },
    login_names, missing, people,
};
use crate::{
    errors::ApiError,
    message::message,
    model::{organization::State as Life, user::User},
    proto::{Field, Message, Request, SHORT},
    state::State,
};

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
pub(super) static EMAIL_QUERY: Message = Message::new(
    "EmailQuery",
    &[Field::text("emailAddress").rules(SHORT), Field::choice("method", TEXT_QUERY)],
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
        Field::message("emailQuery", &EMAIL_QUERY),
        Field::message("stateQuery", &STATE_QUERY),
        Field::message("typeQuery", &TYPE_QUERY),
    ],
);
pub(super) static SEARCH: Message = Message::new(
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

pub(super) fn state_name(user: &User) -> &'static str {
    match user.state {
        Life::Active if user.is_initial() => "USER_STATE_INITIAL",
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
pub(crate) fn view(state: &State, user: &User) -> Value {
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

/// A user as grants and memberships of the newer interfaces tell it.
pub(crate) fn short_view(state: &State, user: &User) -> Value {
    message! {
        "id" => &*user.id,
        "preferredLoginName" => login_names(&state.read, &state.instance_id, user).1,
        // Machines have none.
        "displayName" => user.human.then(|| user.display_name()),
        "organizationId" => &*user.stamp.owner,
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

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let user = read(call)?;
    Ok(json!({ "user": view(call.state, user) }).into())
}

/// Whether a user passes a query that both interfaces know.
pub(super) fn passes(state: &State, user: &User, query: &Request) -> bool {
    let name = query.message("userNameQuery");
    let login = query.message("loginNameQuery");
    let display = query.message("displayNameQuery");
    let email = query.message("emailQuery");
    let is = |names: &[&str], number: u64, have: &str| {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        names.get(index) == Some(&have)
    };
    (!query.has("userNameQuery") || list::matches(user.user_name(), &name, "userName"))
        && (!query.has("displayNameQuery")
            || list::matches(user.display_name(), &display, "displayName"))
        && (!query.has("emailQuery")
            || list::matches(user.fields.text("email"), &email, "emailAddress"))
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

pub(super) fn search(call: &mut Call<'_>) -> Answer {
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
