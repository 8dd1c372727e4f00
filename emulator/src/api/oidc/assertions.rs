//! Assertions: texts that users and clients sign to tell who they are.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::Validation;
use serde_json::Value;

use crate::{
    keys,
    model::user::{Credential, User},
    state::State,
};

/// The user that an assertion speaks for.
pub(super) fn verified<'a>(state: &'a State, assertion: &str, issuer: &str) -> Option<&'a User> {
    let header = jsonwebtoken::decode_header(assertion).ok()?;
    let user = state.write.users.get(claimed(assertion)?.get("sub")?.as_str()?)?;
    let user = Some(user).filter(|user| user.state.exists())?;
    let key = user.keys.get(header.kid.as_deref()?)?;
    proves(state, assertion, key, &user.id, issuer).then_some(user)
}

/// What an assertion claims, true or not.
pub(super) fn claimed(assertion: &str) -> Option<Value> {
    let part = assertion.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// Whether an assertion comes from somebody: signed by this key of theirs, made for this instance,
/// not expired, not older than an hour.
pub(super) fn proves(
    state: &State,
    assertion: &str,
    key: &Credential,
    who: &str,
    issuer: &str,
) -> bool {
    claims_proven(state, assertion, key, who, issuer).is_some()
}

fn claims_proven(
    state: &State,
    assertion: &str,
    key: &Credential,
    who: &str,
    issuer: &str,
) -> Option<()> {
    let now = state.clock.now();
    let algorithm = jsonwebtoken::decode_header(assertion).ok()?.alg;
    let public = STANDARD.decode(&key.public_key).ok()?;
    let mut rules = Validation::new(algorithm);
    // Expiry is checked against the clock of this server.
    rules.validate_exp = false;
    rules.set_audience(&[issuer]);
    rules.set_issuer(&[who]);
    rules.sub = Some(who.to_owned());
    rules.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    let verification = keys::verification(&public, algorithm)?;
    let claims = jsonwebtoken::decode::<Value>(assertion, &verification, &rules).ok()?.claims;
    let seconds = now.as_second();
    let age = seconds - claims.get("iat")?.as_i64()?;
    let expires = claims.get("exp")?.as_i64()?;
    let timely = (-1..=3_600).contains(&age) && expires + 1 > seconds && !key.is_expired(now);
    timely.then_some(())
}
