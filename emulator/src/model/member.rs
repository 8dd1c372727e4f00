//! Members: who has which roles in an organization or in the instance.

use std::collections::BTreeMap;

use super::{Side, Stamp};
use crate::store::{Event, Position};

/// A user's roles in one organization or in the instance.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) position: Position,
    pub(crate) stamp: Stamp,
    pub(crate) user: String,
    pub(crate) roles: Vec<String>,
    /// Removed members stay on the write side.
    pub(crate) removed: bool,
}

/// All members, by the id of organization or instance, and user.
#[derive(Default)]
pub(crate) struct Members {
    by_scope: BTreeMap<(String, String), Member>,
    scopes_by_user: BTreeMap<(String, String), ()>,
}

impl Members {
    /// A member; a removed one as well.
    pub(crate) fn get(&self, scope: &str, user: &str) -> Option<&Member> {
        self.by_scope.get(&(scope.to_owned(), user.to_owned()))
    }

    /// The members of an organization or of the instance, oldest first.
    pub(crate) fn of_scope(&self, scope: &str) -> Vec<&Member> {
        let mut members: Vec<_> = range(&self.by_scope, scope).map(|(_, member)| member).filter(|member| !member.removed).collect();
        members.sort_by_key(|member| member.position);
        members
    }

    /// Where a user is a member.
    pub(crate) fn of_user<'a>(&'a self, user: &'a str) -> impl Iterator<Item = &'a Member> {
        range(&self.scopes_by_user, user).filter_map(|((user, scope), ())| self.get(scope, user)).filter(|member| !member.removed)
    }

    pub(super) fn forget_scope(&mut self, scope: &str) {
        let gone: Vec<_> = range(&self.by_scope, scope).map(|((_, user), _)| user.clone()).collect();
        for user in gone {
            self.forget(scope, &user);
        }
    }

    pub(super) fn forget_user(&mut self, user: &str) {
        let gone: Vec<_> = range(&self.scopes_by_user, user).map(|((_, scope), ())| scope.clone()).collect();
        for scope in gone {
            self.forget(&scope, user);
        }
    }

    fn forget(&mut self, scope: &str, user: &str) {
        self.by_scope.remove(&(scope.to_owned(), user.to_owned()));
        self.scopes_by_user.remove(&(user.to_owned(), scope.to_owned()));
    }

    pub(super) fn apply(&mut self, side: Side, position: Position, event: &Event) {
        let payload = event.payload.clone().unwrap_or_default();
        let user = payload.get("userId").and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        let roles = || {
            payload
                .get("roles")
                .and_then(|value| value.as_array())
                .into_iter()
                .flatten()
                .filter_map(|role| role.as_str().map(str::to_owned))
                .collect()
        };
        let scope = &event.aggregate_id;
        if event.event_type.ends_with(".added") {
            self.scopes_by_user.insert((user.clone(), scope.clone()), ());
            self.by_scope
                .insert((scope.clone(), user.clone()), Member { position, stamp: Stamp::new(event), user, roles: roles(), removed: false });
        } else if event.event_type.ends_with(".removed") && side == Side::Read {
            self.forget(scope, &user);
        } else if let Some(member) = self.by_scope.get_mut(&(scope.clone(), user)) {
            member.stamp.touch(event);
            if event.event_type.ends_with(".removed") {
                member.removed = true;
            } else {
                member.roles = roles();
            }
        }
    }
}

/// The entries whose first key is the given one.
fn range<'a, 'b, V>(
    map: &'a BTreeMap<(String, String), V>,
    first: &'b str,
) -> impl Iterator<Item = (&'a (String, String), &'a V)> + use<'a, 'b, V> {
    map.range((first.to_owned(), String::new())..).take_while(move |((key, _), _)| key == first)
}
