//! Secrets, personal access tokens and keys of machine users through the user service v2: of users
//! of any organization.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    super::{
        Access, Answer, Call, Route, date,
        list::{self, ID, PAGE, Page, TIME},
        users::{aggregate, may_read},
    },
    key_user, no_key, no_token, push_key, push_key_removed, push_secret, push_secret_removed,
    push_token, push_token_removed, token_user,
};
use crate::{
    clock,
    errors::ApiError,
    message::message,
    model::user::{Credential, User},
    proto::{EMPTY, Field, Message, Request, Rule},
    store::Aggregate,
};

static ADD_KEY: Message = Message::new(
    "AddKeyRequest",
    &[Field::date("expirationDate").rules(&[Rule::Required]), Field::bytes("publicKey")],
);
static ADD_TOKEN: Message = Message::new(
    "AddPersonalAccessTokenRequest",
    &[Field::date("expirationDate").rules(&[Rule::Required])],
);
static KEY_FILTER: Message = Message::one_of(
    "KeysSearchFilter",
    "filter",
    &[
        Field::message("keyIdFilter", &ID),
        Field::message("userIdFilter", &ID),
        Field::message("organizationIdFilter", &ID),
        Field::message("createdDateFilter", &TIME),
        Field::message("expirationDateFilter", &TIME),
    ],
);
static TOKEN_FILTER: Message = Message::one_of(
    "PersonalAccessTokensSearchFilter",
    "filter",
    &[
        Field::message("tokenIdFilter", &ID),
        Field::message("userIdFilter", &ID),
        Field::message("organizationIdFilter", &ID),
        Field::message("createdDateFilter", &TIME),
        Field::message("expirationDateFilter", &TIME),
    ],
);
static LIST_KEYS: Message = Message::new(
    "ListKeysRequest",
    &[
        Field::message("pagination", &PAGE),
        Field::choice(
            "sortingColumn",
            &[
                "KEY_FIELD_NAME_UNSPECIFIED",
                "KEY_FIELD_NAME_CREATED_DATE",
                "KEY_FIELD_NAME_ID",
                "KEY_FIELD_NAME_USER_ID",
                "KEY_FIELD_NAME_ORGANIZATION_ID",
                "KEY_FIELD_NAME_KEY_EXPIRATION_DATE",
            ],
        ),
        Field::message("filters", &KEY_FILTER).repeated(),
    ],
);
static LIST_TOKENS: Message = Message::new(
    "ListPersonalAccessTokensRequest",
    &[
        Field::message("pagination", &PAGE),
        Field::choice(
            "sortingColumn",
            &[
                "PERSONAL_ACCESS_TOKEN_FIELD_NAME_UNSPECIFIED",
                "PERSONAL_ACCESS_TOKEN_FIELD_NAME_CREATED_DATE",
                "PERSONAL_ACCESS_TOKEN_FIELD_NAME_ID",
                "PERSONAL_ACCESS_TOKEN_FIELD_NAME_USER_ID",
                "PERSONAL_ACCESS_TOKEN_FIELD_NAME_ORGANIZATION_ID",
                "PERSONAL_ACCESS_TOKEN_FIELD_NAME_EXPIRATION_DATE",
            ],
        ),
        Field::message("filters", &TOKEN_FILTER).repeated(),
    ],
);

pub(super) fn routes() -> Vec<Route> {
    use Access::Authenticated;
    vec![
        Route::post("/v2/users/{id}/secret", Authenticated, &EMPTY, add_secret),
        Route::delete("/v2/users/{id}/secret", Authenticated, remove_secret),
        Route::post("/v2/users/{id}/pats", Authenticated, &ADD_TOKEN, add_token),
        Route::delete("/v2/users/{id}/pats/{token}", Authenticated, remove_token),
        Route::search("/v2/users/pats/search", Authenticated, &LIST_TOKENS, |call| {
            search(call, "tokenIdFilter", |user| user.tokens.values())
        }),
        Route::post("/v2/users/{id}/keys", Authenticated, &ADD_KEY, add_key),
        Route::delete("/v2/users/{id}/keys/{key}", Authenticated, remove_key),
        Route::search("/v2/users/keys/search", Authenticated, &LIST_KEYS, |call| {
            search(call, "keyIdFilter", |user| user.keys.values())
        }),
    ]
}

// Commands.

/// The write side's user, whether it exists or not, in whatever organization.
fn known<'a>(call: &'a Call<'_>) -> Option<&'a User> {
    call.state.write.users.get(call.param("id")).map(User::latest)
}

fn existing<'a>(call: &'a Call<'_>) -> Option<&'a User> {
    known(call).filter(|user| user.state.exists())
}

/// Everybody may change one's own.
fn permitted(call: &Call<'_>, user: &User) -> Result<Aggregate, ApiError> {
    if user.id != call.user {
        call.permit_one("user.write", &user.stamp.owner, &user.id)?;
    }
    Ok(aggregate(user))
}

/// The machine user of a secret. The permission is checked before it is seen that a user is
/// removed, and after it is seen that there never was one.
fn secret_user(call: &Call<'_>, place: &'static str) -> Result<User, ApiError> {
    let gone = || ApiError::precondition(place, "Errors.User.NotExisting");
    let user = known(call).filter(|user| !user.human).ok_or_else(gone)?;
    permitted(call, user)?;
    if user.state.exists() { Ok(user.clone()) } else { Err(gone()) }
}

fn add_secret(call: &mut Call<'_>) -> Answer {
    let user = secret_user(call, "COMMAND-x8910n")?;
    let (secret, event) = push_secret(call, &aggregate(&user))?;
    Ok(json!({ "creationDate": date(&event), "clientSecret": secret }).into())
}

fn remove_secret(call: &mut Call<'_>) -> Answer {
    let user = secret_user(call, "COMMAND-x7s802")?;
    let event = push_secret_removed(call, &user)?;
    Ok(json!({ "deletionDate": date(&event) }).into())
}

fn add_token(call: &mut Call<'_>) -> Answer {
    let made = push_token(call, |call| permitted(call, token_user(existing(call))?))?;
    Ok(json!({
        "creationDate": date(&made.event),
        "tokenId": made.id,
        "token": made.secret,
    })
    .into())
}

fn remove_token(call: &mut Call<'_>) -> Answer {
    let user = existing(call).filter(|user| user.tokens.contains_key(call.param("token")));
    let user = permitted(call, user.ok_or_else(no_token)?)?;
    let event = push_token_removed(call, &user)?;
    Ok(json!({ "deletionDate": date(&event) }).into())
}

fn add_key(call: &mut Call<'_>) -> Answer {
    let made = push_key(call, |call| permitted(call, key_user(existing(call))?))?;
    Ok(message! {
        "creationDate" => date(&made.event),
        "keyId" => made.id,
        "keyContent" => made.secret,
    }
    .into())
}

fn remove_key(call: &mut Call<'_>) -> Answer {
    let user = existing(call).filter(|user| user.keys.contains_key(call.param("key")));
    let user = permitted(call, user.ok_or_else(no_key)?)?;
    let event = push_key_removed(call, &user)?;
    Ok(json!({ "deletionDate": date(&event) }).into())
}

// Queries.

/// A key or a token, and whose it is.
struct Listed<'a> {
    user: &'a User,
    credential: &'a Credential,
}

impl Listed<'_> {
    fn passes(&self, filter: &Request, id: &str) -> bool {
        let Credential { stamp, expires, .. } = self.credential;
        list::is(filter, id, &self.credential.id)
            && list::is(filter, "userIdFilter", &self.user.id)
            && list::is(filter, "organizationIdFilter", &stamp.owner)
            && list::is_then(filter, "createdDateFilter", stamp.created)
            && list::is_then(
                filter,
                "expirationDateFilter",
                expires.parse().unwrap_or(Timestamp::MAX),
            )
    }

    fn view(&self) -> Value {
        let Credential { id, stamp, expires, .. } = self.credential;
        json!({
            "creationDate": clock::text(stamp.created),
            "changeDate": clock::text(stamp.changed),
            "id": id,
            "userId": self.user.id,
            "organizationId": stamp.owner,
            "expirationDate": expires,
        })
    }
}

/// Lists what users have, each as one may see the user.
fn search<'u, I: Iterator<Item = &'u Credential> + 'u>(
    call: &'u mut Call<'_>,
    id: &str,
    of_user: impl Fn(&'u User) -> I,
) -> Answer {
    let call = &*call;
    let page = Page::of_pagination(&call.request)?;
    let filters = call.request.messages("filters");
    let users = call.state.read.users.iter();
    let mut rows: Vec<_> = users
        .flat_map(|user| of_user(user).map(move |credential| Listed { user, credential }))
        .filter(|listed| filters.iter().all(|filter| listed.passes(filter, id)))
        .collect();
    let text = |text: &str, listed: &Listed<'_>| (text.to_owned(), listed.credential.position);
    match call.request.number("sortingColumn") {
        2 => page.sort(&mut rows, |listed| text(&listed.credential.id, listed)),
        3 => page.sort(&mut rows, |listed| text(&listed.user.id, listed)),
        4 => page.sort(&mut rows, |listed| text(&listed.credential.stamp.owner, listed)),
        5 => page.sort(&mut rows, |listed| text(&listed.credential.expires, listed)),
        _ => page.sort(&mut rows, |listed| listed.credential.position),
    }
    let (rows, total) = page.cut(rows.into_iter());
    // The total counts what the caller may not see.
    let result: Vec<_> = rows
        .iter()
        .filter(|listed| may_read(call, listed.user).is_ok())
        .map(Listed::view)
        .collect();
    Ok(message! { "pagination" => page.pagination(total), "result" => result }.into())
}
