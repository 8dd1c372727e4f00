//! Clients that prove who they are: at the introspection of tokens, and with a code at the token
//! endpoint.

use axum::{
    body::Bytes,
    http::{StatusCode, request::Parts},
    response::Response,
};
use serde_json::{Value, json};

use super::{
    Asked, FOR_ZITADEL, Refused,
    assertions::{claimed, proves},
    claims_of,
};
use crate::{
    api::credentials,
    auth,
    errors::json_response,
    message::message,
    model::{
        Fields,
        application::{Application, Kind},
        organization::State as Life,
    },
    state::{State, Token},
};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The last second of the year 9999, which no date of ours reaches.
const NEVER: i64 = 253_402_300_799;

/// A client as the read side knows it.
struct Client<'a> {
    id: String,
    application: &'a Application,
    kind: Kind,
    fields: &'a Fields,
}

impl Client<'_> {
    fn has_secret(&self, secret: &str) -> bool {
        self.fields.text("hashedSecret") == credentials::hash(secret)
    }

    /// Whether an assertion is signed by a key of the client, shown in lists or not.
    fn signed(&self, state: &State, assertion: &str, issuer: &str) -> bool {
        let header = jsonwebtoken::decode_header(assertion).ok();
        let key = header.and_then(|header| state.read.keys.get(header.kid.as_deref()?));
        let key = key.filter(|key| key.client == self.id);
        key.is_some_and(|key| proves(state, assertion, &key.credential, &self.id, issuer))
    }
}

/// The client of an id, if it, its project and its organization are active.
fn client<'a>(state: &'a State, id: &str) -> Option<Client<'a>> {
    let read = &state.read;
    let (application, (kind, fields)) = read
        .applications
        .iter()
        .find_map(|application| Some((application, application.of_client(id)?)))?;
    let project = read.projects.get(&application.project)?;
    let organization = read.organizations.get(&application.stamp.owner)?;
    let active = [application.state, project.state, organization.state]
        .into_iter()
        .all(|state| state == Life::Active);
    active.then(|| Client { id: id.to_owned(), application, kind, fields })
}

/// How a client says who it is.
struct Credentials<'a> {
    id: String,
    secret: String,
    assertion: &'a str,
}

impl<'a> Credentials<'a> {
    fn of(asked: &'a Asked<'_>) -> Result<Self, Refused> {
        let assertion = asked.get("client_assertion");
        let (id, secret) = match asked.client() {
            Err(_) if !assertion.is_empty() => (String::new(), String::new()),
            client => client?,
        };
        if !assertion.is_empty() && asked.get("client_assertion_type") != JWT_BEARER {
            return Err(Refused::new("invalid_request", "invalid client_assertion_type"));
        }
        Ok(Self { id, secret, assertion })
    }

    /// The id of the client, be it that of the assertion.
    fn client_id(&self) -> String {
        if self.assertion.is_empty() {
            return self.id.clone();
        }
        let claims = claimed(self.assertion).unwrap_or_default();
        claims.get("iss").and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

pub(super) fn introspect(state: &mut State, parts: &Parts, body: &Bytes) -> Response {
    let asked = Asked::new(state, parts, body);
    match introspected(state, &asked) {
        Ok(body) => json_response(StatusCode::OK, &body),
        Err(refused) => refused.response(),
    }
}

/// Whatever means of authentication a client is meant for, its secret and its keys are taken.
fn introspected(state: &State, asked: &Asked<'_>) -> Result<Value, Refused> {
    let given = Credentials::of(asked)?;
    if given.secret.is_empty() && given.assertion.is_empty() {
        return Err(Refused::new("invalid_client", "client must be authenticated"));
    }
    let token = asked.get("token");
    if token.is_empty() {
        return Err(Refused::new("invalid_request", "token missing"));
    }
    let client = client(state, &given.client_id())
        .filter(|client| {
            if given.assertion.is_empty() {
                client.has_secret(&given.secret)
            } else {
                client.signed(state, given.assertion, &asked.issuer)
            }
        })
        .ok_or_else(|| Refused::new("unauthorized_client", ""))?;
    let live = auth::token_of(state, token).and_then(|token| live(state, &client, token, asked));
    Ok(live.unwrap_or_else(|| json!({ "active": false })))
}

/// What is told of a token that is alive and meant for the client: a personal access token always
/// is.
fn live(state: &State, client: &Client<'_>, token: &Token, asked: &Asked<'_>) -> Option<Value> {
    let user = state.read.users.get(&token.user)?;
    let project = &client.application.project;
    let audience = if token.personal {
        vec![client.id.clone(), project.clone()]
    } else {
        let zitadel = state.read.instance.fields.text("projectId").to_owned();
        let of_project = format!("urn:zitadel:iam:org:project:id:{project}:aud");
        let meant =
            |scope: &String| *scope == of_project || (*project == zitadel && scope == FOR_ZITADEL);
        token.scopes.iter().any(meant).then(|| vec![project.clone()])?
    };
    let expires = match user.tokens.get(&token.id) {
        Some(personal) => personal.expires.parse().ok(),
        None => token.expires,
    };
    let issued = token.issued.as_second();
    let mut body = message! {
        "active" => true,
        "scope" => token.scopes.join(" "),
        "token_type" => "Bearer",
        "exp" => expires.map_or(NEVER, jiff::Timestamp::as_second),
        "iat" => issued,
        "nbf" => issued,
        "aud" => audience,
        "iss" => &*asked.issuer,
        "jti" => &*token.id,
    };
    let told = claims_of(state, user, &token.scopes);
    if let (Some(body), Some(told)) = (body.as_object_mut(), told.as_object()) {
        body.extend(told.clone());
        if let Some(name) = told.get("preferred_username") {
            body.insert("username".to_owned(), name.clone());
        }
    }
    Some(body)
}

/// Why a code is of no use: nobody logs in, so none exists. But first the client is looked at.
pub(super) fn by_code(state: &State, asked: &Asked<'_>) -> Refused {
    let given = match Credentials::of(asked) {
        Ok(given) => given,
        Err(refused) => return refused,
    };
    let client = client(state, &given.client_id()).filter(|client| client.kind == Kind::Oidc);
    let Some(client) = client else {
        return Refused::new("invalid_client", "no active client not found");
    };
    let refusal = match client.fields.number("authMethodType") {
        2 => None,
        3 if client.signed(state, given.assertion, &asked.issuer) => None,
        3 => Some("invalid assertion"),
        _ if given.secret.is_empty() => Some("empty client secret"),
        _ if client.has_secret(&given.secret) => None,
        _ => Some("invalid secret"),
    };
    if let Some(refusal) = refusal {
        return Refused::new("invalid_client", refusal);
    }
    if !client.fields.list("grantTypes").contains(&json!(0)) {
        return Refused::new("unauthorized_client", "grant_type not allowed");
    }
    Refused::new("invalid_request", "Errors.User.Code.Invalid")
}
