//! What the account of a connection has to be permitted. Pure data.

use super::{Description, Place};
use crate::zitadel::roles::{self, Level, Role};

/// Permissions that the account needs for what is in something of one level.
#[derive(Debug, Clone, Copy)]
pub struct Permissions {
    /// What they are needed in.
    pub level: Level,
    /// In how many things it is below the organization, at least.
    pub depth: usize,
    /// What it takes to see what it is in, and to read, create, change and delete it.
    pub needed: &'static [&'static str],
}

impl Permissions {
    /// For what is in the instance itself.
    pub const fn in_instance(needed: &'static [&'static str]) -> Self {
        Self { level: Level::Instance, depth: 0, needed }
    }

    /// For what is in an organization.
    pub const fn in_organization(needed: &'static [&'static str]) -> Self {
        Self { level: Level::Organization, depth: 0, needed }
    }

    /// For what is in a project.
    pub const fn in_project(needed: &'static [&'static str]) -> Self {
        Self { level: Level::Project, depth: 1, needed }
    }

    /// For what is in something in a project that reaches into another organization, where who has a
    /// role in one of them alone may do nothing.
    pub const fn between_organizations(needed: &'static [&'static str]) -> Self {
        Self { level: Level::Instance, depth: 2, needed }
    }

    /// Those by which it is seen.
    pub fn reads(&self) -> impl Iterator<Item = &'static str> {
        self.needed.iter().copied().filter(|permission| roles::is_read(permission))
    }

    /// The roles that permit this and the fewest other things, from the inside out.
    pub fn roles(&self) -> Vec<Role> {
        let levels = Level::ALL.into_iter().rev().filter(|level| *level <= self.level);
        levels.filter_map(|level| self.role(level)).collect()
    }

    /// The one of a level.
    pub fn role(&self, level: Level) -> Option<Role> {
        roles::smallest(level, self.needed)
    }
}

impl Description {
    /// What is needed at a place, which may be addressed below what it is in.
    pub fn permissions_at(&self, place: &Place) -> Option<&'static Permissions> {
        let level = match &place.organization {
            None => Level::Instance,
            Some(_) if place.parents.is_empty() => Level::Organization,
            Some(_) => Level::Project,
        };
        let counts = |p: &&Permissions| p.level <= level && p.depth <= place.parents.len();
        self.permissions.iter().filter(counts).max_by_key(|p| (p.depth, p.level))
    }
}
