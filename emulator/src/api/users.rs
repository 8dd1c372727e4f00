//! Machine users, their keys, personal access tokens and secrets (management API).

use aws_lc_rs::digest;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Access, Answer, Call, Route, change_details, creation_details,
    list::{self, LIST, PAGE, Page, TEXT_QUERY},
};
use crate::{
    clock,
    errors::ApiError,
    keys::{self, KeyFile, Pair},
    message::message,
    model::{
        Model, difference,
        organization::State as Life,
        user::{Credential, User},
    },
    proto::{EMPTY, Field, Message, NAME, OPTIONAL_NAME, Request, Rule, SHORT},
    state::{State, Token},
    store::{Aggregate, Draft},
};

const TOKEN_TYPES: &[&str] = &["ACCESS_TOKEN_TYPE_BEARER", "ACCESS_TOKEN_TYPE_JWT"];
/// The scopes of every personal access token.
pub(crate) const TOKEN_SCOPES: [&str; 4] = ["openid", "profile", "urn:zitadel:iam:user:metadata", "urn:zitadel:iam:user:resourceowner"];
/// What stands for "never".
const NEVER: &str = "9999-12-31T23:59:59Z";

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
static UPDATE_USER_NAME: Message = Message::new("UpdateUserNameRequest", &[Field::text("userName").rules(NAME)]);
static ADD_TOKEN: Message = Message::new("AddPersonalAccessTokenRequest", &[Field::date("expirationDate")]);
static ADD_KEY: Message = Message::new(
    "AddMachineKeyRequest",
    &[
        Field::choice("type", &["KEY_TYPE_UNSPECIFIED", "KEY_TYPE_JSON"]).rules(&[Rule::Defined, Rule::NotFirst]),
        Field::date("expirationDate"),
        Field::text("publicKey"),
    ],
);
static USER_NAME_QUERY: Message =
    Message::new("UserNameQuery", &[Field::text("userName").rules(SHORT), Field::choice("method", TEXT_QUERY)]);
static TYPE_QUERY: Message = Message::new("TypeQuery", &[Field::choice("type", &["TYPE_UNSPECIFIED", "TYPE_HUMAN", "TYPE_MACHINE"])]);
static QUERY: Message =
    Message::one_of("SearchQuery", "query", &[Field::message("userNameQuery", &USER_NAME_QUERY), Field::message("typeQuery", &TYPE_QUERY)]);
static SEARCH: Message = Message::new("ListUsersRequest", &[Field::message("query", &PAGE), Field::message("queries", &QUERY).repeated()]);

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
        Route::put("/management/v1/users/{id}/username", WRITE, &UPDATE_USER_NAME, update_user_name),
        Route::post("/management/v1/users/{id}/_deactivate", WRITE, &EMPTY, |call| {
            step(call, "user.deactivated", |state| match state {
                Life::Removed => Err(missing("COMMAND-3M9ds")),
                Life::Inactive => Err(ApiError::precondition("COMMAND-5M0sf", "User already inactive")),
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
                Life::Removed => Err(missing("COMMAND-M0dse")),
                Life::Locked => Ok(()),
                _ => Err(ApiError::precondition("COMMAND-4M0ds", "User is not locked")),
            })
        }),
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
                owner.domains.keys().find_map(|domain| former.strip_suffix(&format!("@{domain}"))).unwrap_or(former).to_owned()
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

fn missing(id: &'static str) -> ApiError {
    ApiError::not_found(id, "User could not be found")
}

fn no_user(id: &'static str) -> ApiError {
    ApiError::precondition(id, "User could not be found")
}

fn aggregate(user: &User) -> Aggregate {
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
fn existing<'a>(call: &'a Call<'_>, id: &str) -> Option<&'a User> {
    call.state.write.users.get(id).filter(|user| user.state.exists() && user.stamp.owner == call.organization)
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

fn step(call: &mut Call<'_>, event_type: &'static str, check: impl Fn(Life) -> Result<(), ApiError>) -> Answer {
    let Some(user) = existing(call, call.param("id")) else {
        check(Life::Removed)?;
        return Err(missing("COMMAND-0"));
    };
    check(user.state)?;
    let draft = Draft::new(&aggregate(user), event_type);
    let event = call.push(vec![draft])?;
    Ok(json!({ "details": change_details(&event) }).into())
}

fn remove(call: &mut Call<'_>) -> Answer {
    let user = existing(call, call.param("id")).ok_or_else(|| missing("COMMAND-m9od"))?.clone();
    let organization = &user.stamp.owner;
    let scoped = is_scoped(&call.state.write, &call.state.instance_id, organization);
    let mut drafts =
        vec![Draft::new(&aggregate(&user), "user.removed").release("usernames", unique(user.user_name(), organization, scoped))];
    let memberships: Vec<_> = call.state.write.members.of_user(&user.id).map(|member| member.stamp.owner.clone()).collect();
    for scope in memberships {
        let draft = if scope == call.state.instance_id {
            Draft::new(&call.state.instance(), "instance.member.cascade.removed")
        } else {
            Draft::new(&Aggregate::organization(&scope), "org.member.cascade.removed")
        };
        drafts.push(draft.with("userId", &*user.id));
    }
    let position = call.state.store.len();
    call.push(drafts)?;
    let event = call.state.store.get(position).cloned();
    Ok(json!({ "details": event.as_ref().map(change_details) }).into())
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

fn set_secret(call: &mut Call<'_>) -> Answer {
    let user = existing(call, call.param("id")).ok_or_else(|| missing("QUERY-Dfbg2"))?.clone();
    let secret = random_text(64);
    let draft = Draft::new(&aggregate(&user), "user.machine.secret.set").with("hashedSecret", hash(&secret));
    let event = call.push(vec![draft])?;
    Ok(json!({
        "clientId": user.user_name(),
        "clientSecret": secret,
        "details": creation_details(&event),
    })
    .into())
}

fn remove_secret(call: &mut Call<'_>) -> Answer {
    let user = existing(call, call.param("id")).ok_or_else(|| ApiError::precondition("COMMAND-x7s802", "Errors.User.NotExisting"))?.clone();
    if user.hashed_secret().is_none() {
        return Err(ApiError::precondition("COMMAND-coi82n", "Secret doesn't exist"));
    }
    let draft = Draft::new(&aggregate(&user), "user.machine.secret.removed").payload(serde_json::Map::new());
    let event = call.push(vec![draft])?;
    Ok(json!({ "details": change_details(&event) }).into())
}

// Keys and tokens.

/// The expiry that a request asks for.
fn expiry(request: &Request) -> Result<String, ApiError> {
    match request.date("expirationDate") {
        None => Ok(NEVER.to_owned()),
        Some(date) if date <= Timestamp::now() => Err(ApiError::invalid("DOMAIN-dv3t5", "Errors.AuthNKey.ExpireBeforeNow")),
        Some(date) => Ok(clock::text(date)),
    }
}

/// The event that makes a personal access token.
pub(crate) fn token_added(user: &Aggregate, token: &str, expires: &str) -> Draft {
    Draft::new(user, "user.pat.added").with("tokenId", token).with("expiration", expires).with("scopes", TOKEN_SCOPES.to_vec())
}

/// Makes a secret text stand for a personal access token.
pub(crate) fn register_token(state: &mut State, secret: &str, user: &str, token: &str) {
    state.tokens.insert(
        secret.to_owned(),
        Token {
            user: user.to_owned(),
            personal: Some(token.to_owned()),
            expires: None,
            for_zitadel: true,
            scopes: TOKEN_SCOPES.map(str::to_owned).to_vec(),
        },
    );
}

/// A new secret text of a token.
pub(crate) fn new_token() -> String {
    URL_SAFE_NO_PAD.encode(random_text(48))
}

fn add_token(call: &mut Call<'_>) -> Answer {
    let user = existing(call, call.param("id")).map(aggregate).ok_or_else(|| no_user("COMMAND-Dggw2"))?;
    let expires = expiry(&call.request)?;
    let token = call.state.clock.id();
    let event = call.push(vec![token_added(&user, &token, &expires)])?;
    let secret = new_token();
    register_token(call.state, &secret, &user.id, &token);
    Ok(json!({
        "tokenId": token,
        "token": secret,
        "details": creation_details(&event),
    })
    .into())
}

fn remove_token(call: &mut Call<'_>) -> Answer {
    let token = call.param("token").to_owned();
    let gone = || ApiError::not_found("COMMAND-4m77G", "Personal Access Token not found");
    let user = existing(call, call.param("id")).filter(|user| user.tokens.contains_key(&token)).map(aggregate).ok_or_else(gone)?;
    let draft = Draft::new(&user, "user.pat.removed").with("tokenId", token);
    let event = call.push(vec![draft])?;
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

fn add_key(call: &mut Call<'_>) -> Answer {
    let user = existing(call, call.param("id")).map(aggregate).ok_or_else(|| no_user("COMMAND-bnipwm1"))?;
    let expires = expiry(&call.request)?;
    let key = call.state.clock.id();
    let given = call.request.text("publicKey");
    let (public, file) = if given.is_empty() {
        let pair = Pair::generate().map_err(|error| ApiError::internal("EMU-1", error.to_string()))?;
        let file = KeyFile {
            r#type: "serviceaccount".to_owned(),
            key_id: key.clone(),
            key: pair.private,
            expiration_date: expires.clone(),
            user_id: user.id.clone(),
        };
        (pair.public, serde_json::to_string(&file).ok())
    } else {
        let public = STANDARD.decode(given).ok().and_then(|bytes| String::from_utf8(bytes).ok()).filter(|text| keys::is_public_key(text));
        let public = public.ok_or_else(|| {
            ApiError::invalid("COMMAND-5F3h1", "Public key is not a valid RSA public key in PKIX format with PEM encoding")
        })?;
        (public, None)
    };
    let event = call.push(vec![key_added(&user, &key, &expires, &public)])?;
    Ok(message! {
        "keyId" => key,
        "keyDetails" => file.map(|file| STANDARD.encode(file)),
        "details" => creation_details(&event),
    }
    .into())
}

fn remove_key(call: &mut Call<'_>) -> Answer {
    let key = call.param("key").to_owned();
    let gone = || ApiError::not_found("COMMAND-4m77G", "Machine key not found");
    let user = existing(call, call.param("id")).filter(|user| user.keys.contains_key(&key)).map(aggregate).ok_or_else(gone)?;
    let draft = Draft::new(&user, "user.machine.key.removed").with("keyId", key);
    let event = call.push(vec![draft])?;
    Ok(json!({ "details": change_details(&event) }).into())
}

// Queries.

/// A user as the older interfaces tell it.
pub(super) fn view(state: &State, user: &User) -> Value {
    let organization = state.read.organizations.get(&user.stamp.owner);
    let scoped = is_scoped(&state.read, &state.instance_id, &user.stamp.owner);
    let name = user.user_name();
    let (names, preferred) = match organization {
        Some(organization) if scoped => (
            organization.domains.iter().filter(|(_, verified)| **verified).map(|(domain, _)| format!("{name}@{domain}")).collect(),
            format!("{name}@{}", organization.primary_domain),
        ),
        _ => (vec![name.to_owned()], name.to_owned()),
    };
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
        "userName" => name,
        "loginNames" => names,
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
            (!query.has("userNameQuery") || list::matches(user.user_name(), &name, "userName"))
                && (!query.has("typeQuery") || query.message("typeQuery").number("type") != 1)
        })
    };
    let rows = call.state.read.users.owned_by(&call.organization);
    let (page, total) = Page::of(&call.request).cut(rows.filter(wanted));
    let result: Vec<_> = page.into_iter().map(|user| view(call.state, user)).collect();
    Ok(message! {
        "details" => list::details(total, &call.state.read.latest("users")),
        "result" => result,
    }
    .into())
}

fn token_view(token: &Credential) -> Value {
    message! {
        "id" => &*token.id,
        "details" => token.stamp.details(),
        "expirationDate" => &*token.expires,
        "scopes" => TOKEN_SCOPES.to_vec(),
    }
}

fn key_view(key: &Credential) -> Value {
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
