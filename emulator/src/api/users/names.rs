//! The names of users: unique in the instance or, where login names carry the domain, in the
//! organization.

use super::aggregate;
use crate::{
    model::{Model, user::User},
    state::State,
    store::Draft,
};

pub(super) const TAKEN: &str = "User already exists";

pub(super) fn is_scoped(model: &Model, instance: &str, organization: &str) -> bool {
    State::login_must_be_domain(model, instance, organization)
}

/// What has to be unique: the name in the instance or, where login names carry the domain, in the
/// organization.
pub(super) fn unique(user_name: &str, organization: &str, scoped: bool) -> String {
    if scoped { format!("{user_name}{organization}") } else { user_name.to_owned() }
}

/// The events by which the user names of an organization follow a change of its domain policy:
/// they lose the domain when login names begin to carry it, and gain it when these cease to.
pub(crate) fn user_name_changes(state: &State, organization: &str, scoped: bool) -> Vec<Draft> {
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
                owner
                    .domains
                    .keys()
                    .find_map(|domain| former.strip_suffix(&format!("@{domain}")))
                    .unwrap_or(former)
                    .to_owned()
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

/// The events by which an organization takes the user names that others have under a domain which
/// it has now: they get a temporary one.
pub(crate) fn claims(state: &mut State, organization: &str, domain: &str) -> Vec<Draft> {
    let suffix = format!("@{}", domain.to_lowercase());
    let is_claimed = |user: &&User| {
        user.state.exists()
            && user.stamp.owner != organization
            && user.user_name().to_lowercase().ends_with(&suffix)
    };
    let claimed: Vec<User> = state.write.users.iter().filter(is_claimed).cloned().collect();
    let claim = |user: User| {
        let name = format!("{}@temporary.{}", state.clock.id(), state.domain);
        let origin = format!("http://{}:8080", state.domain);
        Draft { event_type: "user.domain.claimed", ..user_name_change(state, &user, &name) }
            .with("triggerOrigin", origin)
    };
    claimed.into_iter().map(claim).collect()
}

/// The event that gives a user another name.
pub(super) fn user_name_change(state: &State, user: &User, name: &str) -> Draft {
    let organization = &user.stamp.owner;
    let scoped = is_scoped(&state.write, &state.instance_id, organization);
    Draft::new(&aggregate(user), "user.username.changed")
        .with("userName", name)
        .release("usernames", unique(user.user_name(), organization, scoped))
        .take("usernames", unique(name, organization, scoped), TAKEN)
}

/// The name that a user logs in with: where the domain policy says so, it carries the
/// organization's domain.
pub(crate) fn preferred_login_name(model: &Model, instance: &str, user: &User) -> String {
    login_names(model, instance, user).1
}

/// The login names of a user, and the preferred one.
pub(crate) fn login_names(model: &Model, instance: &str, user: &User) -> (Vec<String>, String) {
    let organization = model.organizations.get(&user.stamp.owner);
    let scoped = is_scoped(model, instance, &user.stamp.owner);
    let name = user.user_name();
    match organization {
        Some(organization) if scoped => (
            organization
                .domains
                .iter()
                .filter(|(_, known)| known.verified)
                .map(|(domain, _)| format!("{name}@{domain}"))
                .collect(),
            format!("{name}@{}", organization.primary_domain),
        ),
        _ => (vec![name.to_owned()], name.to_owned()),
    }
}
