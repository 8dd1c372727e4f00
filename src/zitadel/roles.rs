//! The roles that ZITADEL has by default, and which of them is enough for what. Pure.

/// What a role is given in: it counts there and in everything below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The instance.
    Instance,
    /// One organization.
    Organization,
    /// One project. An account that has no other role can't connect.
    Project,
}

impl Level {
    /// All, from the outside in.
    pub const ALL: [Self; 3] = [Self::Instance, Self::Organization, Self::Project];

    /// In one word: `organization`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Organization => "organization",
            Self::Project => "project",
        }
    }
}

/// Of these the account needs one, to know which instance it is connected to.
pub const TO_CONNECT: [&str; 2] = ["iam.read", "policy.read"];
/// This the account needs for the event feed; without it everything is listed again now and then.
pub const FOR_FEED: &str = "events.read";

/// A role: `level name permission…` in the table.
#[derive(Debug, Clone, Copy)]
pub struct Role {
    /// What it is given in.
    pub level: Level,
    /// Its name, such as `ORG_OWNER`.
    pub name: &'static str,
    permissions: &'static str,
}

impl Role {
    /// What it permits.
    pub fn permissions(self) -> impl Iterator<Item = &'static str> {
        self.permissions.split(' ')
    }

    /// Whether it permits all of these.
    pub fn permits(self, all: &[&str]) -> bool {
        all.iter().all(|one| self.permissions().any(|permission| permission == *one))
    }
}

/// The table, which is generated: a line for each role.
const TABLE: &str = include_str!("roles.txt");

/// All roles in ZITADEL's order, but those `…_GLOBAL`, which are for what ZITADEL no longer has.
pub fn all() -> impl Iterator<Item = Role> {
    TABLE.lines().filter_map(|line| {
        let (level, rest) = line.split_once(' ')?;
        let (name, permissions) = rest.split_once(' ')?;
        let level = Level::ALL.into_iter().find(|l| l.as_str() == level)?;
        Some(Role { level, name, permissions })
    })
}

/// Whether a permission only lets one see something.
pub fn is_read(permission: &str) -> bool {
    permission.rsplit('.').next() == Some("read")
}

/// The role of a level that permits all of these, and of those the one that permits the fewest
/// other things, changes before reads. One that is not of a project has to be enough to connect
/// with, too.
pub fn smallest(level: Level, permissions: &[&str]) -> Option<Role> {
    let connects = |role: &Role| TO_CONNECT.iter().any(|one| role.permits(&[*one]));
    let changes = |role: Role| role.permissions().filter(|one| !is_read(one)).count();
    all()
        .filter(|role| role.level == level && role.permits(permissions))
        .filter(|role| level == Level::Project || connects(role))
        .min_by_key(|role| (changes(*role), role.permissions().count()))
}

/// The role in its organization that the account needs beside one in a project.
pub fn beside() -> Option<Role> {
    smallest(Level::Organization, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(level: Level, permissions: &[&str]) -> &'static str {
        smallest(level, permissions).map(|role| role.name).unwrap_or_default()
    }

    #[test]
    fn the_smallest_role_is_found_at_each_level() {
        let apps = ["project.app.read", "project.app.write", "project.app.delete"];
        assert_eq!(name(Level::Project, &apps), "PROJECT_OWNER");
        assert_eq!(name(Level::Organization, &apps), "");
        assert_eq!(name(Level::Instance, &apps), "IAM_ORG_MANAGER");
        assert_eq!(name(Level::Organization, &["policy.delete"]), "ORG_SETTINGS_MANAGER");
        assert_eq!(name(Level::Instance, &["no.such.permission"]), "");
        assert_eq!(beside().unwrap().name, "ORG_OWNER_VIEWER");
    }

    #[test]
    fn a_role_that_can_not_connect_is_not_enough() {
        let manages_users = all().find(|role| role.name == "IAM_USER_MANAGER").unwrap();
        assert!(manages_users.permits(&["user.write", "user.delete"]));
        assert_eq!(name(Level::Instance, &["user.write", "user.delete"]), "IAM_ORG_MANAGER");
    }
}
