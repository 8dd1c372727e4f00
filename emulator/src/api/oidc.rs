//! What is no gRPC: tokens, discovery, health, and the one page of the login that settings change.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{credentials, host, settings::LANGUAGES, users};
use crate::{
    auth,
    errors::json_response,
    message::message,
    model::{organization::State as Life, user::User, web_key::WebKey},
    signing::Signer,
    state::{State, Token},
};

mod assertions;
mod introspection;

use assertions::verified;

/// The scope that makes a token good for ZITADEL's own interfaces.
const FOR_ZITADEL: &str = "urn:zitadel:iam:org:project:id:zitadel:aud";

/// The scope that asks whose a user is.
const OWNER: &str = "urn:zitadel:iam:user:resourceowner";

/// A route outside gRPC.
pub(crate) struct Page {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// Whether it is served on the instance's host only.
    pub(crate) of_instance: bool,
    pub(crate) handler: fn(&mut State, &Parts, &Bytes) -> Response,
}

pub(crate) const fn page(
    method: Method,
    path: &'static str,
    handler: fn(&mut State, &Parts, &Bytes) -> Response,
) -> Page {
    Page { method, path, of_instance: true, handler }
}

/// All routes outside gRPC.
pub(crate) fn pages() -> Vec<Page> {
    let anywhere = |path, handler| Page { of_instance: false, ..page(Method::GET, path, handler) };
    vec![
        anywhere("/debug/healthz", |_, _, _| "ok".into_response()),
        anywhere("/debug/ready", |_, _, _| json_response(StatusCode::OK, &json!("ok"))),
        page(Method::GET, "/.well-known/openid-configuration", discovery),
        page(Method::GET, "/oauth/v2/keys", key_set),
        page(Method::POST, "/oauth/v2/token", token),
        page(Method::POST, "/oauth/v2/introspect", introspection::introspect),
        page(Method::GET, "/oidc/v1/userinfo", user_info),
        page(Method::POST, "/oidc/v1/userinfo", user_info),
        page(Method::GET, "/ui/login/register/org", registration),
        page(Method::POST, "/ui/login/register/org", |_, _, _| html("")),
    ]
}

/// What `application/x-www-form-urlencoded` says.
pub(crate) fn form(body: &[u8]) -> Vec<(String, String)> {
    body.split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let mut half = || decode(halves.next().unwrap_or_default());
            (half(), half())
        })
        .collect()
}

fn decode(text: &[u8]) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1;
        match (byte, digit(text.get(at)), digit(text.get(at + 1))) {
            (b'+', ..) => bytes.push(b' '),
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 2;
            }
            (byte, ..) => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The instance's address as the caller knows it.
pub(crate) fn issuer(state: &State, parts: &Parts) -> String {
    let scheme = parts
        .headers
        .get("x-forwarded-proto")
        .and_then(|value| value.to_str().ok())
        .unwrap_or("http");
    let host = host(&parts.headers, &parts.uri).unwrap_or(&state.domain);
    format!("{scheme}://{host}")
}

fn discovery(state: &mut State, parts: &Parts, _: &Bytes) -> Response {
    let issuer = issuer(state, parts);
    let at = |path: &str| format!("{issuer}{path}");
    let clients = ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"];
    let body = json!({
        "issuer": issuer,
        "authorization_endpoint": at("/oauth/v2/authorize"),
        "token_endpoint": at("/oauth/v2/token"),
        "introspection_endpoint": at("/oauth/v2/introspect"),
        "userinfo_endpoint": at("/oidc/v1/userinfo"),
        "revocation_endpoint": at("/oauth/v2/revoke"),
        "end_session_endpoint": at("/oidc/v1/end_session"),
        "device_authorization_endpoint": at("/oauth/v2/device_authorization"),
        "jwks_uri": at("/oauth/v2/keys"),
        "scopes_supported": ["openid", "profile", "email", "phone", "address", "offline_access"],
        "response_types_supported": ["code", "id_token", "id_token token"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "grant_types_supported": [
            "authorization_code", "implicit", "refresh_token", "client_credentials",
            JWT_PROFILE, "urn:ietf:params:oauth:grant-type:device_code",
        ],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported":
            ["EdDSA", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512"],
        "request_object_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": clients,
        "token_endpoint_auth_signing_alg_values_supported": ["RS256"],
        "revocation_endpoint_auth_methods_supported": clients,
        "revocation_endpoint_auth_signing_alg_values_supported": ["RS256"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt"],
        "introspection_endpoint_auth_signing_alg_values_supported": ["RS256"],
        "claims_supported": [
            "sub", "aud", "exp", "iat", "iss", "auth_time", "nonce", "acr", "amr", "c_hash",
            "at_hash", "act", "scopes", "client_id", "azp", "preferred_username", "name",
            "family_name", "given_name", "locale", "email", "email_verified", "phone_number",
            "phone_number_verified",
        ],
        "code_challenge_methods_supported": ["S256"],
        "ui_locales_supported": LANGUAGES,
        "request_parameter_supported": true,
        "request_uri_parameter_supported": false,
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
    });
    json_response(StatusCode::OK, &body)
}

fn key_set(state: &mut State, _: &Parts, _: &Bytes) -> Response {
    state.catch_up();
    let mut keys: Vec<WebKey> = state.read.web_keys.iter().cloned().collect();
    keys.sort_by_key(|key| key.touched);
    let signers = keys.iter().filter_map(|key| state.signer(key));
    let keys: Vec<Value> = signers.map(|signer| signer.public()).collect();
    let mut response = json_response(StatusCode::OK, &json!({ "keys": keys }));
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("max-age=300, must-revalidate"),
    );
    response
}

// Tokens.

const JWT_PROFILE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// An OAuth error: its name and its description.
struct Refused(&'static str, String);

impl Refused {
    fn new(error: &'static str, description: impl Into<String>) -> Self {
        Self(error, description.into())
    }

    fn response(self) -> Response {
        let body = json!({ "error": self.0, "error_description": self.1 });
        json_response(StatusCode::BAD_REQUEST, &body)
    }
}

/// Name and password of HTTP Basic, whose own name may be in any case of letters.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = text.split_at_checked("Basic ".len())?;
    let text = scheme.eq_ignore_ascii_case("Basic ").then(|| STANDARD.decode(encoded))?.ok()?;
    let text = String::from_utf8(text).ok()?;
    text.split_once(':').map(|(name, password)| (name.to_owned(), password.to_owned()))
}

/// The request to the token endpoint, or to that of introspection.
struct Asked<'a> {
    form: Vec<(String, String)>,
    headers: &'a HeaderMap,
    issuer: String,
}

impl<'a> Asked<'a> {
    fn new(state: &State, parts: &'a Parts, body: &Bytes) -> Self {
        Self { form: form(body), headers: &parts.headers, issuer: issuer(state, parts) }
    }

    fn get(&self, name: &str) -> &str {
        self.form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }

    /// Client id and secret, from the header or from the form.
    fn client(&self) -> Result<(String, String), Refused> {
        let (id, secret) = match basic(self.headers) {
            Some((id, secret)) => (decode(id.as_bytes()), decode(secret.as_bytes())),
            None => (self.get("client_id").to_owned(), self.get("client_secret").to_owned()),
        };
        if id.is_empty() {
            let description = "client_id or client_assertion must be provided";
            return Err(Refused::new("invalid_request", description));
        }
        Ok((id, secret))
    }
}

fn token(state: &mut State, parts: &Parts, body: &Bytes) -> Response {
    let asked = Asked::new(state, parts, body);
    let user = match asked.get("grant_type") {
        "" => Err(Refused::new("invalid_request", "grant_type missing")),
        JWT_PROFILE => by_assertion(state, &asked),
        "client_credentials" => by_secret(state, &asked),
        "authorization_code" => Err(introspection::by_code(state, &asked)),
        other => Err(Refused::new("unsupported_grant_type", format!("\"{other}\" not supported"))),
    };
    user.and_then(|user| issue(state, &user, &asked)).unwrap_or_else(Refused::response)
}

fn by_assertion(state: &State, asked: &Asked<'_>) -> Result<String, Refused> {
    let assertion = asked.get("assertion");
    if assertion.is_empty() {
        return Err(Refused::new("invalid_request", "assertion missing"));
    }
    let user = verified(state, assertion, &asked.issuer)
        .ok_or_else(|| Refused::new("invalid_grant", "invalid assertion"))?;
    active(user)
}

/// The id of a user that may log in.
fn active(user: &User) -> Result<String, Refused> {
    if user.state == Life::Active {
        Ok(user.id.clone())
    } else {
        Err(Refused::new("invalid_request", "Errors.User.NotActive"))
    }
}

fn by_secret(state: &State, asked: &Asked<'_>) -> Result<String, Refused> {
    let (id, secret) = asked.client()?;
    let id = id.to_lowercase();
    let named = |user: &&User| {
        let name = users::preferred_login_name(&state.write, &state.instance_id, user);
        user.state.exists() && name.to_lowercase() == id
    };
    let user = state
        .write
        .users
        .iter()
        .find(named)
        .ok_or_else(|| Refused::new("invalid_client", "client not found"))?;
    let kept = user
        .hashed_secret()
        .ok_or_else(|| Refused::new("invalid_request", "Errors.User.Machine.Secret.NotExisting"))?;
    if kept != credentials::hash(&secret) {
        return Err(Refused::new("invalid_request", "Errors.User.Machine.Secret.Invalid"));
    }
    active(user)
}

fn issue(state: &mut State, user: &str, asked: &Asked<'_>) -> Result<Response, Refused> {
    let scopes: Vec<String> = asked.get("scope").split_whitespace().map(str::to_owned).collect();
    let lifetime = i64::try_from(state.token_lifetime.as_secs()).unwrap_or(i64::MAX);
    let now = state.clock.now();
    let expires = now.as_second().saturating_add(lifetime);
    let id = state.clock.id();
    let claims = json!({
        "iss": asked.issuer,
        "sub": user,
        "aud": [user],
        "iat": now.as_second(),
        "exp": expires,
        "jti": id,
    });
    let wants_jwt =
        state.write.users.get(user).is_some_and(|user| user.fields.number("accessTokenType") == 1);
    let wants_id = scopes.iter().any(|scope| scope == "openid");
    let signing = if wants_jwt || wants_id { Some(signing(state)?) } else { None };
    let signed = |signing: &Signing| {
        let token = signing.signer.sign(&claims);
        token.ok_or_else(|| Refused::new("server_error", "the key can't sign"))
    };
    let id_token = signing.as_ref().filter(|_| wants_id).map(signed).transpose()?;
    let signing = signing.filter(|_| wants_jwt);
    let access = match &signing {
        Some(signing) => signed(signing)?,
        None => credentials::new_token(),
    };
    let expires = now.checked_add(state.token_lifetime).unwrap_or(Timestamp::MAX);
    state.tokens.insert(
        access.clone(),
        Token {
            user: user.to_owned(),
            id,
            personal: false,
            key: signing.map(|signing| signing.key),
            issued: now,
            expires: Some(expires),
            made: state.store.len(),
            for_zitadel: scopes.iter().any(|scope| scope == FOR_ZITADEL),
            scopes,
        },
    );
    let body = message! {
        "access_token" => access,
        "token_type" => "Bearer",
        "expires_in" => lifetime.saturating_sub(1).max(0),
        "id_token" => id_token,
    };
    let mut response = json_response(StatusCode::OK, &body);
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The key that signs, by its id.
struct Signing {
    key: String,
    signer: Arc<Signer>,
}

fn signing(state: &mut State) -> Result<Signing, Refused> {
    state.catch_up();
    let none = || Refused::new("server_error", "no key signs");
    let key = state.read.web_keys.active().cloned().ok_or_else(none)?;
    let signer = state.signer(&key).ok_or_else(none)?;
    Ok(Signing { key: key.id, signer })
}

fn user_info(state: &mut State, parts: &Parts, body: &Bytes) -> Response {
    let given =
        form(body).into_iter().chain(form(parts.uri.query().unwrap_or_default().as_bytes()));
    let given = given.into_iter().find(|(name, _)| name == "access_token");
    let bearer = auth::bearer(&parts.headers).ok().or(given.map(|(_, token)| token));
    let Some(bearer) = bearer.filter(|token| !token.is_empty()) else {
        let body = json!({
            "error": "invalid_request",
            "error_description": "access token missing",
        });
        return json_response(StatusCode::UNAUTHORIZED, &body);
    };
    let token = auth::token_of(state, &bearer);
    let user = token.and_then(|token| state.read.users.get(&token.user));
    let (Some(token), Some(user)) = (token, user) else {
        let body = json!({
            "error": "access_denied",
            "error_description": "access token invalid",
        });
        return json_response(StatusCode::UNAUTHORIZED, &body);
    };
    json_response(StatusCode::OK, &claims_of(state, user, &token.scopes))
}

/// What a token with these scopes tells of its user.
fn claims_of(state: &State, user: &User, scopes: &[String]) -> Value {
    let profile = scopes.iter().any(|scope| scope == "profile");
    let organization = state.read.organizations.get(&user.stamp.owner);
    let organization = organization.filter(|_| scopes.iter().any(|scope| scope == OWNER));
    let seen = users::view(state, user);
    message! {
        "sub" => &*user.id,
        "name" => profile.then(|| user.display_name()),
        "preferred_username" => profile
            .then(|| seen.get("preferredLoginName").cloned())
            .flatten(),
        "updated_at" => profile.then(|| user.stamp.changed.as_second()),
        "urn:zitadel:iam:user:resourceowner:id" => organization.map(|of| &*of.id),
        "urn:zitadel:iam:user:resourceowner:name" => organization.map(|of| &*of.name),
        "urn:zitadel:iam:user:resourceowner:primary_domain" =>
            organization.map(|of| &*of.primary_domain),
    }
}

// The login.

fn html(text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], Body::from(text)).into_response()
}

/// The page on which anybody may make an organization, unless the restrictions forbid it.
fn registration(state: &mut State, _: &Parts, _: &Bytes) -> Response {
    let forbidden = state
        .read
        .restrictions
        .as_ref()
        .is_some_and(|restrictions| restrictions.fields.flag("disallowPublicOrgRegistration"));
    if forbidden {
        StatusCode::NOT_FOUND.into_response()
    } else {
        html("<!DOCTYPE html>\n<title>Organization Registration</title>\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded() {
        let pairs = form(b"a=1+2&b=%C3%A4%zz&c&=d");
        let pairs: Vec<_> =
            pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("a", "1 2"), ("b", "ä%zz"), ("c", ""), ("", "d")]);
    }
}
