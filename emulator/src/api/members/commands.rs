//! What changes members, in the order in which ZITADEL checks it.

use serde_json::{Value, json};

use super::{super::Call, Place};
use crate::{
    errors::ApiError,
    model::{Model, Stamp, member::Member, organization::State as Life},
    roles::Level,
    state::State,
    store::Draft,
};

/// The words in which a level refuses, and its events.
struct Words {
    invalid: &'static str,
    /// A new member without roles; the instance takes one.
    no_roles: Option<&'static str>,
    /// A new member with a role of another level.
    wrong_roles: &'static str,
    no_user: &'static str,
    exists: fn() -> ApiError,
    no_roles_left: &'static str,
    wrong_roles_now: &'static str,
    missing: &'static str,
    permissions: [&'static str; 2],
    events: [&'static str; 3],
}

static OF_INSTANCE: Words = Words {
    invalid: "Member is invalid",
    no_roles: None,
    wrong_roles: "INSTANCE-4m0fS",
    no_user: "INSTA-GSXOn",
    exists: || ApiError::exists("INSTA-pFDwe", "Errors.Instance.Member.AlreadyExists"),
    no_roles_left: "INSTANCE-LiaZi",
    wrong_roles_now: "INSTANCE-3m9fs",
    missing: "INSTANCE-D8JxR",
    permissions: ["iam.member.write", "iam.member.delete"],
    events: ["instance.member.added", "instance.member.changed", "instance.member.removed"],
};

static OF_ORGANIZATION: Words = Words {
    invalid: "Errors.Org.MemberInvalid",
    no_roles: Some("ORG-4Mlfs"),
    wrong_roles: "Org-4N8es",
    no_user: "ORG-GoXOn",
    exists: || ApiError::exists("ORG-poWwe", "Errors.Org.Member.AlreadyExists"),
    no_roles_left: "Org-LiaZi",
    wrong_roles_now: "INST-m9fG8",
    missing: "Org-D8JxR",
    permissions: ["org.member.write", "org.member.delete"],
    events: ["org.member.added", "org.member.changed", "org.member.removed"],
};

static OF_PROJECT: Words = Words {
    invalid: "Project member is invalid",
    no_roles: Some("PROJECT-W8m4l"),
    wrong_roles: "PROJECT-3m9ds",
    no_user: "COMMAND-uXHNj",
    exists: || ApiError::exists("PROJECT-PtXi1", "Project member already exists"),
    no_roles_left: "PROJECT-LiaZi",
    wrong_roles_now: "PROJECT-3m9d",
    missing: "PROJECT-D8JxR",
    permissions: ["project.member.write", "project.member.delete"],
    events: ["project.member.added", "project.member.changed", "project.member.removed"],
};

static OF_PROJECT_GRANT: Words = Words {
    invalid: "Errors.Project.Grant.Member.Invalid",
    no_roles: Some("PROJECT-8fi7G"),
    wrong_roles: "PROJECT-m9gKK",
    no_user: "COMMAND-uXHNj",
    exists: || ApiError::not_found("PROJECT-37fug", "Errors.AlreadyExists"),
    no_roles_left: "PROJECT-109fs",
    wrong_roles_now: "PROJECT-m0sDf",
    missing: "PROJECT-37fug",
    permissions: ["project.grant.member.write", "project.grant.member.delete"],
    events: [
        "project.grant.member.added",
        "project.grant.member.changed",
        "project.grant.member.removed",
    ],
};

impl Words {
    fn of(level: Level) -> &'static Self {
        match level {
            Level::Instance => &OF_INSTANCE,
            Level::Organization => &OF_ORGANIZATION,
            Level::Project => &OF_PROJECT,
            Level::ProjectGrant => &OF_PROJECT_GRANT,
        }
    }

    /// Refuses a new member whose roles, user or place are not in order.
    fn check_new(
        &self,
        state: &State,
        place: &Place,
        user: &str,
        roles: &[String],
    ) -> Result<(), ApiError> {
        if let Some(id) = self.no_roles.filter(|_| roles.is_empty()) {
            return Err(ApiError::invalid(id, self.invalid));
        }
        if !place.level.accepts(roles) {
            return Err(ApiError::invalid(self.wrong_roles, self.invalid));
        }
        if !state.write.users.get(user).is_some_and(|user| user.state != Life::Removed) {
            return Err(ApiError::precondition(self.no_user, "User could not be found"));
        }
        Ok(())
    }

    fn check_absent(&self, state: &State, place: &Place, user: &str) -> Result<(), ApiError> {
        // Who adds to a project grant from elsewhere than the owning organization misses a member
        // here; the name that its event takes refuses then.
        match standing(state, place, user).filter(|member| place.is_in(&member.stamp.owner)) {
            Some(_) => Err((self.exists)()),
            None => Ok(()),
        }
    }
}

/// A member that was not removed.
fn standing<'a>(state: &'a State, place: &Place, user: &str) -> Option<&'a Member> {
    let member = state.write.members.get(&place.id, user).filter(|member| !member.removed)?;
    let in_place = place.level == Level::ProjectGrant || place.is_in(&member.stamp.owner);
    in_place.then_some(member)
}

/// Checks a permission for a place in an organization; it counts in the one that a project is
/// granted to.
fn permit(call: &Call<'_>, place: &Place, permission: &str, owner: &str) -> Result<(), ApiError> {
    let grant = place.grant(&call.state.write);
    call.permit_one(permission, grant.map_or(owner, |grant| &grant.grantee), &place.id)
}

/// The organization that a place is in; the place has to exist.
fn owner(call: &Call<'_>, place: &Place) -> Result<String, ApiError> {
    match place.level {
        Level::Instance => Ok(place.id.clone()),
        Level::Organization => {
            let organization = call.state.write.organizations.get(&place.id);
            if organization.is_some_and(|organization| organization.state.exists()) {
                Ok(place.id.clone())
            } else {
                Err(ApiError::precondition("COMMAND-QXPGs", "Organisation not found"))
            }
        }
        Level::Project => call
            .state
            .write
            .projects
            .get(&place.id)
            .filter(|project| project.state.exists())
            .map(|project| project.stamp.owner.clone())
            .filter(|owner| place.is_in(owner))
            .ok_or_else(|| ApiError::precondition("COMMAND-EbFMN", "Project not found")),
        Level::ProjectGrant => place
            .grant(&call.state.write)
            .map(|grant| grant.stamp.owner.clone())
            .ok_or_else(|| ApiError::not_found("PROJECT-D8JxR", "Project Grant not found")),
    }
}

/// The event that makes a user a member of an organization that is made by the same transaction;
/// by default its owner.
///
/// # Errors
/// 400 for roles of another level or a user that does not exist, 409 for who is a member already.
pub(in crate::api) fn addition_to(
    call: &Call<'_>,
    organization: &str,
    user: &str,
    roles: Vec<String>,
) -> Result<Draft, ApiError> {
    let roles = if roles.is_empty() { vec!["ORG_OWNER".to_owned()] } else { roles };
    let words = &OF_ORGANIZATION;
    let place = Place { level: Level::Organization, id: organization.to_owned(), owner: None };
    words.check_new(call.state, &place, user, &roles)?;
    words.check_absent(call.state, &place, user)?;
    Ok(added(words, &call.state.write, &place, organization, user, &roles))
}

/// As [`addition_to`], for a user that the same transaction makes.
///
/// # Errors
/// 400 for roles of another level.
pub(in crate::api) fn addition_of_new(
    call: &Call<'_>,
    organization: &str,
    user: &str,
    roles: Vec<String>,
) -> Result<Draft, ApiError> {
    let roles = if roles.is_empty() { vec!["ORG_OWNER".to_owned()] } else { roles };
    let words = &OF_ORGANIZATION;
    let place = Place { level: Level::Organization, id: organization.to_owned(), owner: None };
    if !place.level.accepts(&roles) {
        return Err(ApiError::invalid(words.wrong_roles, words.invalid));
    }
    Ok(added(words, &call.state.write, &place, organization, user, &roles))
}

fn added(
    words: &Words,
    model: &Model,
    place: &Place,
    owner: &str,
    user: &str,
    roles: &[String],
) -> Draft {
    // A member without roles is accepted, and its event says so.
    let roles = if roles.is_empty() { Value::Null } else { json!(roles) };
    let [event_type, ..] = words.events;
    place.event(model, owner, event_type, user).with("roles", roles)
}

/// The name that a member of a project grant takes.
pub(in crate::api) fn unique(grant: &str, user: &str) -> String {
    format!("{grant}:{user}")
}

/// Adds a member.
pub(in crate::api) fn add(
    call: &mut Call<'_>,
    place: &Place,
    user: &str,
    roles: &[String],
) -> Result<Stamp, ApiError> {
    let words = Words::of(place.level);
    let [write, _] = words.permissions;
    let owner = match place.level {
        Level::Instance | Level::Organization => {
            let owner = owner(call, place)?;
            permit(call, place, write, &owner)?;
            words.check_new(call.state, place, user, roles)?;
            words.check_absent(call.state, place, user)?;
            owner
        }
        Level::Project => {
            words.check_new(call.state, place, user, roles)?;
            let owner = owner(call, place)?;
            permit(call, place, write, &owner)?;
            words.check_absent(call.state, place, user)?;
            owner
        }
        Level::ProjectGrant => {
            words.check_new(call.state, place, user, roles)?;
            let owner = owner(call, place)?;
            words.check_absent(call.state, place, user)?;
            permit(call, place, write, &owner)?;
            owner
        }
    };
    let draft = added(words, &call.state.write, place, &owner, user, roles);
    let draft = if place.level == Level::ProjectGrant {
        let name = unique(&place.id, user);
        draft.take("project_grant_member", name, "Project member already exists")
    } else {
        draft
    };
    Ok(Stamp::new(&call.push(vec![draft])?))
}

/// Changes a member's roles.
pub(in crate::api) fn change(
    call: &mut Call<'_>,
    place: &Place,
    user: &str,
    roles: Vec<String>,
) -> Result<Stamp, ApiError> {
    let words = Words::of(place.level);
    if roles.is_empty() {
        return Err(ApiError::invalid(words.no_roles_left, words.invalid));
    }
    if !place.level.accepts(&roles) {
        return Err(ApiError::invalid(words.wrong_roles_now, words.invalid));
    }
    let member = standing(call.state, place, user)
        .ok_or_else(|| ApiError::not_found(words.missing, "Errors.NotFound"))?
        .clone();
    let [write, _] = words.permissions;
    permit(call, place, write, &member.stamp.owner)?;
    if member.roles == roles {
        return Ok(member.stamp);
    }
    let [_, event_type, _] = words.events;
    let draft = place.event(&call.state.write, &member.stamp.owner, event_type, user);
    let draft = draft.with("roles", roles);
    Ok(Stamp::new(&call.push(vec![draft])?))
}

/// Removes a member; tells of the last change of one that is removed already, and of nothing for
/// one that never was.
pub(in crate::api) fn remove(
    call: &mut Call<'_>,
    place: &Place,
    user: &str,
) -> Result<Option<Stamp>, ApiError> {
    let words = Words::of(place.level);
    let [_, delete] = words.permissions;
    if place.level == Level::Instance {
        call.permit_one(delete, &place.id, &place.id)?;
    }
    let Some(member) = standing(call.state, place, user) else {
        let former = call.state.write.members.get(&place.id, user);
        return Ok(former.map(|member| member.stamp.clone()));
    };
    let owner = member.stamp.owner.clone();
    permit(call, place, delete, &owner)?;
    let [.., event_type] = words.events;
    let draft = place.event(&call.state.write, &owner, event_type, user);
    let draft = if place.level == Level::ProjectGrant {
        draft.release("project_grant_member", unique(&place.id, user))
    } else {
        draft
    };
    Ok(Some(Stamp::new(&call.push(vec![draft])?)))
}
