//! Secrets, personal access tokens and keys of machine users: the management API, and the user
//! service v2.

use aws_lc_rs::digest;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Access, Answer, Call, Route, change_details, creation_details,
    list::{self, LIST, Page},
    users::{aggregate, existing, missing, preferred_login_name},
};
use crate::{
    clock,
    errors::ApiError,
    keys::{self, KeyFile, Pair},
    message::message,
    model::user::{Credential, User},
    proto::{EMPTY, Field, Message, Request, Rule},
    state::{State, Token},
    store::{Aggregate, Draft, Event},
};

mod service;

/// The scopes of every personal access token.
pub(crate) const TOKEN_SCOPES: [&str; 4] =
    ["openid", "profile", "urn:zitadel:iam:user:metadata", "urn:zitadel:iam:user:resourceowner"];
/// What stands for "never".
const NEVER: &str = "9999-12-31T23:59:59Z";

static ADD_TOKEN: Message =
    Message::new("AddPersonalAccessTokenRequest", &[Field::date("expirationDate")]);
static ADD_KEY: Message = Message::new(
    "AddMachineKeyRequest",
    &[
        Field::choice("type", &["KEY_TYPE_UNSPECIFIED", "KEY_TYPE_JSON"])
            .rules(&[Rule::Defined, Rule::NotFirst]),
        Field::date("expirationDate"),
        Field::bytes("publicKey"),
    ],
);

pub(super) fn routes() -> Vec<Route> {
    const READ: Access = Access::Permission("user.read");
    const WRITE: Access = Access::Permission("user.write");
    let mut routes = vec![
        Route::put("/management/v1/users/{id}/secret", WRITE, &EMPTY, set_secret),
        Route::delete("/management/v1/users/{id}/secret", WRITE, remove_secret),
        Route::post("/management/v1/users/{id}/pats", WRITE, &ADD_TOKEN, add_token),
        Route::search("/management/v1/users/{id}/pats/_search", READ, &LIST, search_tokens),
        Route::get("/management/v1/users/{id}/pats/{token}", READ, get_token),
        Route::delete("/management/v1/users/{id}/pats/{token}", WRITE, remove_token),
        Route::post("/management/v1/users/{id}/keys", WRITE, &ADD_KEY, add_key),
        Route::search("/management/v1/users/{id}/keys/_search", READ, &LIST, search_keys),
        Route::get("/management/v1/users/{id}/keys/{key}", READ, get_key),
        Route::delete("/management/v1/users/{id}/keys/{key}", WRITE, remove_key),
    ];
    routes.extend(service::routes());
    routes
}

fn no_user(id: &'static str) -> ApiError {
    ApiError::precondition(id, "User could not be found")
}

// Secrets.

/// How a secret is kept.
pub(crate) fn hash(secret: &str) -> String {
    let digest = digest::digest(&digest::SHA256, secret.as_bytes());
    format!("$sha256${}", STANDARD.encode(digest.as_ref()))
}

/// A random text of letters and digits.
pub(crate) fn random_text(length: usize) -> String {
    use rand::{Rng as _, distr::Alphanumeric};
    rand::rng().sample_iter(Alphanumeric).take(length).map(char::from).collect()
}

/// Gives a user a new secret.
fn push_secret(call: &mut Call<'_>, user: &Aggregate) -> Result<(String, Event), ApiError> {
    let secret = random_text(64);
    let draft = Draft::new(user, "user.machine.secret.set").with("hashedSecret", hash(&secret));
    let event = call.push(vec![draft])?;
    Ok((secret, event))
}

fn set_secret(call: &mut Call<'_>) -> Answer {
    let known = call.state.write.users.get(call.param("id"));
    if !known.is_some_and(|user| user.state.exists()) {
        return Err(missing("QUERY-Dfbg2"));
    }
    let user = existing(call, call.param("id"))
        .filter(|user| !user.human)
        .ok_or_else(|| ApiError::precondition("COMMAND-x8910n", "Errors.User.NotExisting"))?;
    let client = preferred_login_name(&call.state.write, &call.state.instance_id, user);
    let user = aggregate(user);
    let (secret, event) = push_secret(call, &user)?;
    Ok(json!({
        "clientId": client,
        "clientSecret": secret,
        "details": creation_details(&event),
    })
    .into())
}

/// Takes a user's secret.
fn push_secret_removed(call: &mut Call<'_>, user: &User) -> Result<Event, ApiError> {
    if user.hashed_secret().is_none() {
        return Err(ApiError::precondition("COMMAND-coi82n", "Secret doesn't exist"));
    }
    let draft =
        Draft::new(&aggregate(user), "user.machine.secret.removed").payload(serde_json::Map::new());
    call.push(vec![draft])
}

fn remove_secret(call: &mut Call<'_>) -> Answer {
    let user = existing(call, call.param("id"))
        .ok_or_else(|| ApiError::precondition("COMMAND-x7s802", "Errors.User.NotExisting"))?
        .clone();
    let event = push_secret_removed(call, &user)?;
    Ok(json!({ "details": change_details(&event) }).into())
}

// Keys and tokens.

/// The expiry that a request asks for.
pub(super) fn expiry(request: &Request, now: Timestamp) -> Result<String, ApiError> {
    match request.date("expirationDate") {
        None => Ok(NEVER.to_owned()),
        Some(date) if date <= now => Err(expired()),
        Some(date) => Ok(clock::text(date)),
    }
}

pub(super) fn expired() -> ApiError {
    ApiError::invalid("DOMAIN-dv3t5", "Errors.AuthNKey.ExpireBeforeNow")
}

/// A new key, the server's work.
pub(super) fn new_pair() -> Result<Pair, ApiError> {
    Pair::generate().map_err(|error| ApiError::internal("EMU-1", error.to_string()))
}

/// The event that makes a personal access token.
pub(crate) fn token_added(user: &Aggregate, token: &str, expires: &str) -> Draft {
    Draft::new(user, "user.pat.added")
        .with("tokenId", token)
        .with("expiration", expires)
        .with("scopes", TOKEN_SCOPES.to_vec())
}

/// Makes a secret text stand for a personal access token.
pub(crate) fn register_token(
    state: &mut State,
    secret: &str,
    user: &str,
    token: &str,
    scopes: &[&str],
) {
    let issued = state.clock.now();
    state.tokens.insert(
        secret.to_owned(),
        Token {
            key: None,
            user: user.to_owned(),
            id: token.to_owned(),
            personal: true,
            issued,
            expires: None,
            made: 0,
            for_zitadel: true,
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        },
    );
}

/// A new secret text of a token.
pub(crate) fn new_token() -> String {
    URL_SAFE_NO_PAD.encode(random_text(48))
}

/// A token or a key that was made.
struct Made {
    id: String,
    /// The token, or the file with the private key if the server made that.
    secret: Option<String>,
    event: Event,
}

/// Makes a token for the user that `find` tells, once the request is checked.
fn push_token(
    call: &mut Call<'_>,
    find: impl FnOnce(&Call<'_>) -> Result<Aggregate, ApiError>,
) -> Result<Made, ApiError> {
    let expires = expiry(&call.request, call.state.clock.now())?;
    let user = find(call)?;
    let id = call.state.clock.id();
    let event = call.push(vec![token_added(&user, &id, &expires)])?;
    let secret = new_token();
    register_token(call.state, &secret, &user.id, &id, &TOKEN_SCOPES);
    Ok(Made { id, secret: Some(secret), event })
}

/// The user of a token that is to be made.
fn token_user(user: Option<&User>) -> Result<&User, ApiError> {
    let user = user.ok_or_else(|| no_user("COMMAND-Dggw2"))?;
    if user.human {
        return Err(ApiError::precondition("COMMAND-Df2f1", "Not allowed for this user type"));
    }
    Ok(user)
}

fn add_token(call: &mut Call<'_>) -> Answer {
    let made =
        push_token(call, |call| token_user(existing(call, call.param("id"))).map(aggregate))?;
    Ok(json!({
        "tokenId": made.id,
        "token": made.secret,
        "details": creation_details(&made.event),
    })
    .into())
}

fn no_token() -> ApiError {
    ApiError::not_found("COMMAND-4m77G", "Personal Access Token not found")
}

fn push_token_removed(call: &mut Call<'_>, user: &Aggregate) -> Result<Event, ApiError> {
    let draft = Draft::new(user, "user.pat.removed").with("tokenId", call.param("token"));
    call.push(vec![draft])
}

fn remove_token(call: &mut Call<'_>) -> Answer {
    let user = existing(call, call.param("id"))
        .filter(|user| user.tokens.contains_key(call.param("token")))
        .map(aggregate)
        .ok_or_else(no_token)?;
    let event = push_token_removed(call, &user)?;
    Ok(json!({ "details": change_details(&event) }).into())
}

/// The event that makes a key.
pub(crate) fn key_added(user: &Aggregate, key: &str, expires: &str, public: &str) -> Draft {
    Draft::new(user, "user.machine.key.added")
        .with("keyId", key)
        .with("type", 1)
        .with("expirationDate", expires)
        .with("publicKey", STANDARD.encode(public))
}

/// Makes a key for the user that `find` tells, once the request is checked.
fn push_key(
    call: &mut Call<'_>,
    find: impl FnOnce(&Call<'_>) -> Result<Aggregate, ApiError>,
) -> Result<Made, ApiError> {
    let given = given_key(call.request.text("publicKey"))?;
    let expires = expiry(&call.request, call.state.clock.now())?;
    let user = find(call)?;
    let id = call.state.clock.id();
    let (public, file) = match given {
        Some(public) => (public, None),
        None => {
            let pair = new_pair()?;
            let file = KeyFile {
                r#type: "serviceaccount".to_owned(),
                key_id: id.clone(),
                key: pair.private,
                expiration_date: expires.clone(),
                user_id: user.id.clone(),
            };
            (pair.public, serde_json::to_string(&file).ok())
        }
    };
    let event = call.push(vec![key_added(&user, &id, &expires, &public)])?;
    Ok(Made { id, secret: file.map(|file| STANDARD.encode(file)), event })
}

/// The public key that a request brings.
fn given_key(bytes: &str) -> Result<Option<String>, ApiError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let public = STANDARD
        .decode(bytes)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|text| keys::is_public_key(text));
    let message = "Public key is not a valid RSA public key in PKIX format with PEM encoding";
    public.map(Some).ok_or_else(|| ApiError::invalid("COMMAND-5F3h1", message))
}

/// The user of a key that is to be made.
fn key_user(user: Option<&User>) -> Result<&User, ApiError> {
    user.filter(|user| !user.human).ok_or_else(|| no_user("COMMAND-bnipwm1"))
}

fn add_key(call: &mut Call<'_>) -> Answer {
    let made = push_key(call, |call| key_user(existing(call, call.param("id"))).map(aggregate))?;
    Ok(message! {
        "keyId" => made.id,
        "keyDetails" => made.secret,
        "details" => creation_details(&made.event),
    }
    .into())
}

fn no_key() -> ApiError {
    ApiError::not_found("COMMAND-4m77G", "Machine key not found")
}

fn push_key_removed(call: &mut Call<'_>, user: &Aggregate) -> Result<Event, ApiError> {
    let draft = Draft::new(user, "user.machine.key.removed").with("keyId", call.param("key"));
    call.push(vec![draft])
}

fn remove_key(call: &mut Call<'_>) -> Answer {
    let user = existing(call, call.param("id"))
        .filter(|user| user.keys.contains_key(call.param("key")))
        .map(aggregate)
        .ok_or_else(no_key)?;
    let event = push_key_removed(call, &user)?;
    Ok(json!({ "details": change_details(&event) }).into())
}

// Queries.

fn token_view(token: &Credential) -> Value {
    message! {
        "id" => &*token.id,
        "details" => token.stamp.details(),
        "expirationDate" => &*token.expires,
        "scopes" => TOKEN_SCOPES.to_vec(),
    }
}

pub(super) fn key_view(key: &Credential) -> Value {
    message! {
        "id" => &*key.id,
        "details" => key.stamp.details(),
        "type" => "KEY_TYPE_JSON",
        "expirationDate" => &*key.expires,
    }
}

fn get_token(call: &mut Call<'_>) -> Answer {
    let user = call.state.read.users.get(call.param("id"));
    let token = user
        .filter(|user| user.stamp.owner == call.organization)
        .and_then(|user| user.tokens.get(call.param("token")))
        .ok_or_else(|| ApiError::not_found("QUERY-fRunu", "Errors.PersonalAccessToken.NotFound"))?;
    Ok(json!({ "token": token_view(token) }).into())
}

fn get_key(call: &mut Call<'_>) -> Answer {
    let user = call.state.read.users.get(call.param("id"));
    let key = user
        .filter(|user| user.stamp.owner == call.organization)
        .and_then(|user| user.keys.get(call.param("key")))
        .ok_or_else(|| ApiError::not_found("QUERY-Dgr3g", "Errors.AuthNKey.NotFound"))?;
    Ok(json!({ "key": key_view(key) }).into())
}

fn search_tokens(call: &mut Call<'_>) -> Answer {
    let user = call.state.read.users.get(call.param("id"));
    let user = user.filter(|user| user.stamp.owner == call.organization);
    let rows = user.into_iter().flat_map(|user| user.tokens.values());
    let (page, total) = Page::of(&call.request).cut(rows);
    Ok(message! {
        "details" => list::details(total, &call.state.read.latest("pats")),
        "result" => page.into_iter().map(token_view).collect::<Vec<_>>(),
    }
    .into())
}

fn search_keys(call: &mut Call<'_>) -> Answer {
    let user = call.state.read.users.get(call.param("id"));
    let user = user.filter(|user| user.stamp.owner == call.organization);
    let rows = user.into_iter().flat_map(|user| user.keys.values());
    let (page, total) = Page::of(&call.request).cut(rows);
    Ok(message! {
        "details" => list::details(total, &call.state.read.latest("keys")),
        "result" => page.into_iter().map(key_view).collect::<Vec<_>>(),
    }
    .into())
}
