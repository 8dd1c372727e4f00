//! Members: who has which roles in the instance, in an organization, in a project, or in the grant
//! of a project.

use std::collections::{BTreeMap, BTreeSet};

use super::{Fields, Side, Stamp};
use crate::{
    roles::Level,
    store::{Event, Position},
};

/// A user's roles in one place.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) level: Level,
    /// The id of instance, organization, project or project grant.
    pub(crate) scope: String,
    /// The id of what its events are about: for a project grant the project.
    pub(crate) aggregate: String,
    pub(crate) position: Position,
    pub(crate) stamp: Stamp,
    pub(crate) user: String,
    pub(crate) roles: Vec<String>,
    /// Removed members stay on the write side.
    pub(crate) removed: bool,
}

/// All members, by the id of their scope, and user.
#[derive(Default)]
pub(crate) struct Members {
    by_scope: BTreeMap<(String, String), Member>,
    by_user: BTreeMap<String, BTreeSet<String>>,
}

/// What an event does to a member.
#[derive(PartialEq, Eq)]
enum Change {
    Added,
    Changed,
    Removed,
}

impl Change {
    fn of(event_type: &str) -> Option<Self> {
        let (_, change) = event_type.split_once(".member.")?;
        match change {
            "added" => Some(Self::Added),
            "changed" => Some(Self::Changed),
            "removed" | "cascade.removed" => Some(Self::Removed),
            _ => None,
        }
    }
}

impl Members {
    /// A member; a removed one as well.
    pub(crate) fn get(&self, scope: &str, user: &str) -> Option<&Member> {
        self.by_scope.get(&(scope.to_owned(), user.to_owned()))
    }

    /// The members of one place, oldest first.
    pub(crate) fn of_scope(&self, scope: &str) -> Vec<&Member> {
        let mut members: Vec<_> = self
            .by_scope
            .range((scope.to_owned(), String::new())..)
            .take_while(|((of, _), _)| of == scope)
            .map(|(_, member)| member)
            .filter(|member| !member.removed)
            .collect();
        members.sort_by_key(|member| member.position);
        members
    }

    /// Where a user is a member, in the order of the ids.
    pub(crate) fn of_user(&self, user: &str) -> impl Iterator<Item = &Member> {
        let scopes = self.by_user.get(user).into_iter().flatten();
        scopes.filter_map(move |scope| self.get(scope, user)).filter(|member| !member.removed)
    }

    /// All members, oldest first.
    pub(crate) fn all(&self) -> Vec<&Member> {
        let mut members: Vec<_> = self.by_scope.values().filter(|member| !member.removed).collect();
        members.sort_by_key(|member| member.position);
        members
    }

    pub(super) fn forget_scope(&mut self, scope: &str) {
        let members = self.of_scope(scope);
        let users: Vec<_> = members.into_iter().map(|member| member.user.clone()).collect();
        for user in users {
            self.forget(scope, &user);
        }
    }

    /// What an end of a project brings: its grants end with it.
    pub(super) fn forget_project(&mut self, project: &str) {
        let ends = |member: &&Member| {
            matches!(member.level, Level::Project | Level::ProjectGrant)
                && member.aggregate == project
        };
        let scopes: Vec<_> =
            self.by_scope.values().filter(ends).map(|member| member.scope.clone()).collect();
        for scope in scopes {
            self.forget_scope(&scope);
        }
    }

    pub(super) fn forget_user(&mut self, user: &str) {
        for scope in self.by_user.remove(user).into_iter().flatten() {
            self.by_scope.remove(&(scope, user.to_owned()));
        }
    }

    fn forget(&mut self, scope: &str, user: &str) {
        self.by_scope.remove(&(scope.to_owned(), user.to_owned()));
        if let Some(scopes) = self.by_user.get_mut(user) {
            scopes.remove(scope);
        }
    }

    pub(super) fn apply(&mut self, side: Side, position: Position, event: &Event) {
        let fields = Fields(event.payload.clone().unwrap_or_default());
        let user = fields.text("userId").to_owned();
        let roles = fields.texts("roles");
        let level = match event.aggregate_type {
            "project" if event.event_type.starts_with("project.grant.") => Level::ProjectGrant,
            "project" => Level::Project,
            "org" => Level::Organization,
            _ => Level::Instance,
        };
        let scope = if level == Level::ProjectGrant {
            fields.text("grantId").to_owned()
        } else {
            event.aggregate_id.clone()
        };
        match Change::of(event.event_type) {
            None => {}
            Some(Change::Added) => {
                self.by_user.entry(user.clone()).or_default().insert(scope.clone());
                let member = Member {
                    level,
                    scope: scope.clone(),
                    aggregate: event.aggregate_id.clone(),
                    position,
                    stamp: Stamp::new(event),
                    user: user.clone(),
                    roles,
                    removed: false,
                };
                self.by_scope.insert((scope, user), member);
            }
            Some(Change::Removed) if side == Side::Read => self.forget(&scope, &user),
            Some(change) => {
                if let Some(member) = self.by_scope.get_mut(&(scope, user)) {
                    member.stamp.touch(event);
                    member.removed = change == Change::Removed;
                    if change == Change::Changed {
                        member.roles = roles;
                    }
                }
            }
        }
    }
}
