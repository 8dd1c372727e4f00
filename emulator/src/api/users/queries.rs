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
    proto::{Field, Message, NAME, Request, Rule, SHORT},
    state::State,
};

/// The states of the older interface, in the order of their numbers, which is that of sorting.
const STATES: &[&str] = &[
    "USER_STATE_UNSPECIFIED",
    "USER_STATE_ACTIVE",
    "USER_STATE_INACTIVE",
    "USER_STATE_DELETED",
    "USER_STATE_LOCKED",
    "USER_STATE_SUSPEND",
    "USER_STATE_INITIAL",
];
/// The states of the newer interface.
const STATES_V2: &[&str] = &[
    "USER_STATE_UNSPECIFIED",
    "USER_STATE_ACTIVE",
    "USER_STATE_INACTIVE",
    "USER_STATE_DELETED",
    "USER_STATE_LOCKED",
    "USER_STATE_INITIAL",
];
pub(in super::super) const TYPES: &[&str] = &["TYPE_UNSPECIFIED", "TYPE_HUMAN", "TYPE_MACHINE"];
static TYPE_QUERY: Message = Message::new("TypeQuery", &[Field::choice("type", TYPES)]);
static IDS_QUERY: Message = Message::new("InUserIDQuery", &[Field::text("userIds").repeated()]);
static EMAILS_QUERY: Message =
    Message::new("InUserEmailsQuery", &[Field::text("userEmails").repeated()]);
static EMAIL_QUERY: Message = Message::new(
    "EmailQuery",
    &[Field::text("emailAddress").rules(SHORT), Field::choice("method", TEXT_QUERY)],
);

/// A query for a text.
macro_rules! text_query {
    ($name:literal, $field:literal, $rules:expr) => {
        Message::new(
            $name,
            &[Field::text($field).rules($rules), Field::choice("method", TEXT_QUERY)],
        )
    };
}

/// The queries of an interface: the rules of its texts, its states, and what it alone has.
macro_rules! queries {
    ($texts:expr, $states:expr $(, $more:expr)*) => {
        use super::{EMAIL_QUERY, EMAILS_QUERY, Field, IDS_QUERY, Message, TEXT_QUERY, TYPE_QUERY};

        static USER_NAME: Message = text_query!("UserNameQuery", "userName", $texts);
        static FIRST_NAME: Message = text_query!("FirstNameQuery", "firstName", $texts);
        static LAST_NAME: Message = text_query!("LastNameQuery", "lastName", $texts);
        static NICK_NAME: Message = text_query!("NickNameQuery", "nickName", $texts);
        static DISPLAY_NAME: Message = text_query!("DisplayNameQuery", "displayName", $texts);
        static LOGIN_NAME: Message = text_query!("LoginNameQuery", "loginName", $texts);
        static STATE: Message = Message::new("StateQuery", &[Field::choice("state", $states)]);
        static OR: Message =
            Message::new("OrQuery", &[Field::message("queries", &QUERY).repeated()]);
        static AND: Message =
            Message::new("AndQuery", &[Field::message("queries", &QUERY).repeated()]);
        static NOT: Message = Message::new("NotQuery", &[Field::message("query", &QUERY)]);
        pub(in super::super) static QUERY: Message = Message::one_of(
            "SearchQuery",
            "query",
            &[
                Field::message("userNameQuery", &USER_NAME),
                Field::message("firstNameQuery", &FIRST_NAME),
                Field::message("lastNameQuery", &LAST_NAME),
                Field::message("nickNameQuery", &NICK_NAME),
                Field::message("displayNameQuery", &DISPLAY_NAME),
                Field::message("emailQuery", &EMAIL_QUERY),
                Field::message("stateQuery", &STATE),
                Field::message("typeQuery", &TYPE_QUERY),
                Field::message("loginNameQuery", &LOGIN_NAME),
                Field::message("inUserIdsQuery", &IDS_QUERY),
                Field::message("orQuery", &OR),
                Field::message("andQuery", &AND),
                Field::message("notQuery", &NOT),
                Field::message("inUserEmailsQuery", &EMAILS_QUERY),
                $($more,)*
            ],
        );
    };
}

mod older {
    use super::{SHORT, STATES};

    static OWNER: Message =
        Message::new("ResourceOwnerQuery", &[Field::text("orgID").rules(SHORT)]);
    queries!(SHORT, STATES, Field::message("resourceOwner", &OWNER));
}

pub(super) mod newer {
    use super::{NAME, Rule, STATES_V2};

    static ORGANIZATION: Message =
        Message::new("OrganizationIdQuery", &[Field::text("organizationId").rules(NAME)]);
    static PHONE: Message = text_query!("PhoneQuery", "number", &[Rule::Length(0, 20)]);
    queries!(
        NAME,
        STATES_V2,
        Field::message("organizationIdQuery", &ORGANIZATION),
        Field::message("phoneQuery", &PHONE)
    );
}

pub(super) static SEARCH: Message = Message::new(
    "ListUsersRequest",
    &[
        Field::message("query", &PAGE),
        Field::choice("sortingColumn", SORTING_COLUMNS),
        Field::message("queries", &older::QUERY).repeated(),
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

/// A user of any organization by a login name.
pub(super) fn by_login_name(call: &mut Call<'_>) -> Answer {
    let name = call.query("loginName");
    let state = &*call.state;
    let user = state
        .read
        .users
        .iter()
        .find(|user| login_names(&state.read, &state.instance_id, user).0.contains(&name))
        .ok_or_else(|| missing("QUERY-Dfbg2"))?;
    Ok(json!({ "user": view(state, user) }).into())
}

/// Whether a user passes a query. What only people have, no machine meets.
pub(super) fn passes(state: &State, user: &User, query: &Request) -> bool {
    let is = |names: &[&str], number: u64, have: &str| {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        names.get(index) == Some(&have)
    };
    let of_person = |name: &str, field: &str, have: &str| {
        let have = Some(user.fields.text(have)).filter(|have| user.human && !have.is_empty());
        have.is_some_and(|have| list::matches(have, &query.message(name), field))
    };
    let any = |name: &str, field: &str, have: &str| {
        query.message(name).list(field).iter().any(|want| want.as_str() == Some(have))
    };
    let all = |name: &str| query.message(name).messages("queries");
    query.0.keys().all(|name| match name.as_str() {
        "userNameQuery" => list::matches(user.user_name(), &query.message(name), "userName"),
        "loginNameQuery" => {
            let login = query.message(name);
            let names = login_names(&state.read, &state.instance_id, user).0;
            names.iter().any(|name| list::matches(name, &login, "loginName"))
        }
        "firstNameQuery" => of_person(name, "firstName", "firstName"),
        "lastNameQuery" => of_person(name, "lastName", "lastName"),
        "nickNameQuery" => of_person(name, "nickName", "nickName"),
        "displayNameQuery" => of_person(name, "displayName", "displayName"),
        "emailQuery" => of_person(name, "emailAddress", "email"),
        "phoneQuery" => of_person(name, "number", "phone"),
        "typeQuery" => is(TYPES, query.message(name).number("type"), user.user_type()),
        // The number counts for both interfaces as the older one has it: who asks the newer one for
        // the initial ones finds nobody.
        "stateQuery" => is(STATES, query.message(name).number("state"), state_name(user)),
        "inUserIdsQuery" => any(name, "userIds", &user.id),
        "inUserEmailsQuery" => user.human && any(name, "userEmails", user.fields.text("email")),
        "organizationIdQuery" => user.stamp.owner == query.message(name).text("organizationId"),
        "resourceOwner" => user.stamp.owner == query.message(name).text("orgID"),
        "orQuery" => all(name).iter().any(|query| passes(state, user, query)),
        "andQuery" => all(name).iter().all(|query| passes(state, user, query)),
        "notQuery" => !passes(state, user, &query.message(name).message("query")),
        _ => true,
    })
}

/// Sorts users by a column; by their ids if none is named. What only people have is greater for a
/// machine than for anybody.
pub(super) fn sort(page: &Page, rows: &mut [&User], column: u64) {
    let of_person = |user: &&User, field: &str| {
        let text = user.fields.text(field).to_lowercase();
        (!user.human || text.is_empty(), text)
    };
    match column {
        1 => page.sort(rows, |user| user.user_name().to_lowercase()),
        2 => page.sort(rows, |user| of_person(user, "firstName")),
        3 => page.sort(rows, |user| of_person(user, "lastName")),
        4 => page.sort(rows, |user| of_person(user, "nickName")),
        5 => page.sort(rows, |user| of_person(user, "displayName")),
        6 => page.sort(rows, |user| of_person(user, "email")),
        7 => page.sort(rows, |user| STATES.iter().position(|state| *state == state_name(user))),
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
