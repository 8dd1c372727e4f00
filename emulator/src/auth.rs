//! Who calls, in which organization, and what they may do.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::{
    errors::{ApiError, Code},
    model::member::Member,
    roles::Level,
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
    token_of(state, &token)
        .filter(|token| token.for_zitadel)
        .map(|token| token.user.clone())
        .ok_or_else(bad_token)
}

pub(crate) fn bad_token() -> ApiError {
    ApiError::unauthenticated("AUTH-7fs1e", "Errors.Token.Invalid")
}

/// The bearer token of a call: what stands behind the word `Bearer`, wherever that stands.
///
/// # Errors
/// 401 without a header, and for one in which the word is not there exactly once, in this case of
/// letters and with a space behind it.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<String, ApiError> {
    let header = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    if header.is_empty() {
        return Err(ApiError::bare(Code::Unauthenticated, "auth header missing"));
    }
    let text = String::from_utf8_lossy(header);
    let mut parts = text.split("Bearer ").skip(1);
    match (parts.next(), parts.next()) {
        (Some(token), None) => Ok(token.to_owned()),
        _ => Err(ApiError::unauthenticated("AUTH-7fs1e", "invalid auth header")),
    }
}

/// A token that is good at this moment: not expired, not removed, and made after its user was last
/// deactivated or locked.
pub(crate) fn token_of<'a>(state: &'a State, token: &str) -> Option<&'a Token> {
    let token = state.tokens.get(token)?;
    let user = state.write.users.get(&token.user)?;
    let now = state.clock.now();
    let organization = state.write.organizations.get(&user.stamp.owner)?;
    let made = if token.personal {
        user.tokens.get(&token.id).filter(|token| !token.is_expired(now))?.position
    } else {
        token.made
    };
    let is_signed = |key: &String| state.read.web_keys.get(key).is_some();
    let good = user.state.exists()
        && token.key.as_ref().is_none_or(is_signed)
        && made > user.barred
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
        let own = state.write.users.get(user).map(|user| user.stamp.owner.clone());
        return refuse_if_told(state, own.unwrap_or_default());
    }
    // Anything that ever happened to an organization counts, even where it was never made.
    let known = state
        .store
        .of_aggregate(named)
        .iter()
        .filter_map(|position| state.store.get(*position))
        .any(|event| event.event_type == "org.added");
    if known { refuse_if_told(state, named.to_owned()) } else { Err(no_organization()) }
}

/// ZITADEL answers the same to any error of this check, one of its database too.
fn refuse_if_told(state: &State, organization: String) -> Result<String, ApiError> {
    if state.refused_organizations.contains(&organization) {
        return Err(no_organization());
    }
    Ok(organization)
}

fn no_organization() -> ApiError {
    ApiError::denied("AUTH-Bs7Ds", "Organisation doesn't exist")
}

/// A user's memberships that count in an organization: there, in its projects, in the grants of
/// projects by it or to it, and in the instance.
fn memberships<'a>(
    state: &'a State,
    user: &str,
    organization: &str,
) -> impl Iterator<Item = &'a Member> {
    let granted = move |member: &Member| {
        let grant = state.write.grants.of_projects.get(&member.scope);
        grant.is_some_and(|grant| grant.grantee == organization)
    };
    let members = state.write.members.of_user(user);
    members.filter(move |member| {
        member.level == Level::Instance
            || member.stamp.owner == organization
            || (member.level == Level::ProjectGrant && granted(member))
    })
}

/// How far a user holds a permission in an organization.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Held<'a> {
    /// The user is nobody there.
    Nobody,
    /// None of the roles carries it.
    No,
    /// For these resources only.
    For(Vec<&'a str>),
    Everywhere,
}

/// How far a user holds a permission in an organization.
pub(crate) fn held<'a>(
    state: &'a State,
    user: &str,
    organization: &str,
    permission: &str,
) -> Held<'a> {
    let mut known = false;
    let mut resources = Vec::new();
    for member in memberships(state, user, organization) {
        known = true;
        let carried = member.roles.iter().flat_map(|role| state.permissions(role));
        for carried in carried {
            let (name, resource) = carried.split_once(':').unwrap_or((carried, ""));
            match (member.level, resource) {
                _ if name != permission => {}
                (Level::Project | Level::ProjectGrant, _) => resources.push(member.scope.as_str()),
                (_, "") => return Held::Everywhere,
                (_, resource) => resources.push(resource),
            }
        }
    }
    match (known, resources.is_empty()) {
        (false, _) => Held::Nobody,
        (true, true) => Held::No,
        (true, false) => Held::For(resources),
    }
}

/// All permissions a user has in an organization, each once, as ZITADEL lists them.
///
/// # Errors
/// 404 for who is nobody there.
pub(crate) fn all_permissions(
    state: &State,
    user: &str,
    organization: &str,
) -> Result<Vec<String>, ApiError> {
    let mut known = false;
    let mut permissions = Vec::new();
    for member in memberships(state, user, organization) {
        known = true;
        for permission in member.roles.iter().flat_map(|role| state.permissions(role)) {
            let permission = match member.level {
                Level::Project | Level::ProjectGrant => format!("{permission}:{}", member.scope),
                Level::Instance | Level::Organization => permission.to_owned(),
            };
            if !permissions.contains(&permission) {
                permissions.push(permission);
            }
        }
    }
    if known { Ok(permissions) } else { Err(no_membership()) }
}

fn no_membership() -> ApiError {
    ApiError::not_found("AUTHZ-cdgFk", "membership not found")
}

fn denied(id: &'static str) -> ApiError {
    ApiError::denied(id, "No matching permissions found")
}

/// The check before a call is looked at: the permission that its endpoint declares, in the
/// organization that it acts in. `resource` is the id that an endpoint of one resource names.
///
/// # Errors
/// 404 for who is nobody there, 403 for who lacks the permission.
pub(crate) fn check(
    state: &State,
    user: &str,
    organization: &str,
    permission: &str,
    resource: Option<&str>,
) -> Result<(), ApiError> {
    match (held(state, user, organization, permission), resource) {
        (Held::Nobody, _) => Err(no_membership()),
        (Held::No, _) => Err(denied("AUTH-5mWD2")),
        (Held::For(resources), Some(resource)) if !resources.contains(&resource) => {
            Err(denied("AUTH-3jknH"))
        }
        (Held::For(_) | Held::Everywhere, _) => Ok(()),
    }
}

/// The check inside a command or a query of the newer interfaces, in the resource's organization.
///
/// # Errors
/// As [`check`], with other ids.
pub(crate) fn check_inside(
    state: &State,
    user: &str,
    organization: &str,
    permission: &str,
    resource: &str,
) -> Result<(), ApiError> {
    match held(state, user, organization, permission) {
        Held::Nobody => Err(no_membership()),
        Held::No => Err(denied("AUTH-AWfge")),
        Held::For(resources) if !resources.contains(&resource) => Err(denied("AUTH-Swrgg2")),
        Held::For(_) | Held::Everywhere => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: Option<&str>) -> Result<String, String> {
        let mut headers = HeaderMap::new();
        if let Some(value) = header.and_then(|text| text.parse().ok()) {
            headers.insert(header::AUTHORIZATION, value);
        }
        bearer(&headers).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn the_token_is_what_stands_behind_the_only_bearer() {
        assert_eq!(token(Some("Bearer abc")), Ok("abc".to_owned()));
        assert_eq!(token(Some("Basic Bearer abc")), Ok("abc".to_owned()));
        assert_eq!(token(Some("xBearer abc")), Ok("abc".to_owned()));
        assert_eq!(token(Some("Bearer  abc")), Ok(" abc".to_owned()));
        assert_eq!(token(Some("Bearer ")), Ok(String::new()));
    }

    #[test]
    fn any_other_header_is_refused_with_an_id_and_none_without() {
        for header in [
            "abc",
            "Basic abc",
            "bearer abc",
            "BEARER abc",
            "Bearer",
            "Bearer\tabc",
            "Bearer a Bearer b",
        ] {
            assert!(
                token(Some(header)).is_err_and(|error| error.contains("AUTH-7fs1e")),
                "{header}"
            );
        }
        for header in [None, Some("")] {
            assert!(token(header).is_err_and(|error| error.contains("id: None")), "{header:?}");
        }
    }
}
