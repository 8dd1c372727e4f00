//! Who calls, in which organization, and what they may do.

use axum::http::{HeaderMap, header};
use jiff::Timestamp;

use crate::{
    errors::{ApiError, Code},
    model::organization::State as Life,
    roles,
    state::{State, Token},
};

/// The header that names the organization a call acts in.
const ORGANIZATION: &str = "x-zitadel-orgid";

/// Whose token a call carries.
///
/// # Errors
/// 401 without a token, or with one that is unknown, expired, or not made for ZITADEL itself.
pub(crate) fn authenticate(state: &State, headers: &HeaderMap) -> Result<String, ApiError> {
    let token = bearer(headers)?;
    token_of(state, token)
        .filter(|token| token.for_zitadel)
        .map(|token| token.user.clone())
        .ok_or_else(bad_token)
}

pub(crate) fn bad_token() -> ApiError {
    ApiError::unauthenticated("AUTH-7fs1e", "Errors.Token.Invalid")
}

/// The bearer token of a call.
///
/// # Errors
/// 401 without one.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let text = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if text.is_empty() {
        return Err(ApiError::bare(Code::Unauthenticated, "auth header missing"));
    }
    text.strip_prefix("Bearer ")
        .ok_or_else(|| ApiError::unauthenticated("AUTH-7fs1e", "invalid auth header"))
}

/// A token that is good at this moment.
pub(crate) fn token_of<'a>(state: &'a State, token: &str) -> Option<&'a Token> {
    let token = state.tokens.get(token)?;
    let user = state.write.users.get(&token.user)?;
    let now = Timestamp::now();
    let organization = state.write.organizations.get(&user.stamp.owner)?;
    let personal_is_good = token
        .personal
        .as_ref()
        .is_none_or(|id| user.tokens.get(id).is_some_and(|token| !token.is_expired(now)));
    let good = personal_is_good
        && user.state == Life::Active
        && organization.state.exists()
        && token.expires.is_none_or(|expires| expires > now);
    good.then_some(token)
}

/// The organization a call acts in: the one it names, or the caller's own.
///
/// # Errors
/// 403 when there never was an organization of that id; a removed one is accepted.
pub(crate) fn organization(
    state: &State,
    headers: &HeaderMap,
    user: &str,
) -> Result<String, ApiError> {
    let named = headers.get(ORGANIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if named.is_empty() {
        return Ok(state
            .write
            .users
            .get(user)
            .map(|user| user.stamp.owner.clone())
            .unwrap_or_default());
    }
    // Anything that ever happened to an organization counts, even where it was never made.
    let known = state
        .store
        .of_aggregate(named)
        .iter()
        .filter_map(|position| state.store.get(*position))
        .any(|event| event.event_type == "org.added");
    if known {
        Ok(named.to_owned())
    } else {
        Err(ApiError::denied("AUTH-Bs7Ds", "Organisation doesn't exist"))
    }
}

/// The roles a user has in an organization: its own and the instance's.
pub(crate) fn roles_in(state: &State, user: &str, organization: &str) -> Option<Vec<String>> {
    let memberships: Vec<_> = [organization, &*state.instance_id]
        .into_iter()
        .filter_map(|scope| state.write.members.get(scope, user))
        .filter(|member| !member.removed)
        .collect();
    (!memberships.is_empty())
        .then(|| memberships.into_iter().flat_map(|member| member.roles.clone()).collect())
}

fn permits(roles: &[String], permission: &str) -> bool {
    roles.iter().any(|role| roles::permissions(role).any(|permitted| permitted == permission))
}

fn no_membership() -> ApiError {
    ApiError::not_found("AUTHZ-cdgFk", "membership not found")
}

/// The check before a call is looked at: the permission that its endpoint declares, in the
/// organization that it acts in.
///
/// # Errors
/// 404 for who is nobody there, 403 for who lacks the permission.
pub(crate) fn check(
    state: &State,
    user: &str,
    organization: &str,
    permission: &str,
) -> Result<(), ApiError> {
    let roles = roles_in(state, user, organization).ok_or_else(no_membership)?;
    if permits(&roles, permission) {
        Ok(())
    } else {
        Err(ApiError::denied("AUTH-5mWD2", "No matching permissions found"))
    }
}

/// The check inside a command or a query of the newer interfaces, in the resource's organization.
///
/// # Errors
/// As [`check`], with another id.
pub(crate) fn check_inside(
    state: &State,
    user: &str,
    organization: &str,
    permission: &str,
) -> Result<(), ApiError> {
    let roles = roles_in(state, user, organization).ok_or_else(no_membership)?;
    if permits(&roles, permission) {
        Ok(())
    } else {
        Err(ApiError::denied("AUTH-AWfge", "No matching permissions found"))
    }
}
