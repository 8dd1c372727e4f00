//! Which permissions a role carries: ZITADEL's default mapping, for the roles of instances,
//! organizations and projects.

const ORGANIZATION_WIDE: &[&str] = &[
    "org.read",
    "org.global.read",
    "org.write",
    "org.delete",
    "org.member.read",
    "org.member.write",
    "org.member.delete",
    "org.idp.read",
    "org.idp.write",
    "org.idp.delete",
    "org.action.read",
    "org.action.write",
    "org.action.delete",
    "org.flow.read",
    "org.flow.write",
    "org.flow.delete",
    "org.feature.read",
    "org.feature.write",
    "org.feature.delete",
    "user.read",
    "user.global.read",
    "user.write",
    "user.delete",
    "user.grant.read",
    "user.grant.write",
    "user.grant.delete",
    "user.membership.read",
    "user.credential.write",
    "user.passkey.write",
    "user.feature.read",
    "user.feature.write",
    "user.feature.delete",
    "policy.read",
    "policy.write",
    "policy.delete",
    "project.read",
    "project.create",
    "project.write",
    "project.delete",
    "project.member.read",
    "project.member.write",
    "project.member.delete",
    "project.role.read",
    "project.role.write",
    "project.role.delete",
    "project.app.read",
    "project.app.write",
    "project.grant.read",
    "project.grant.write",
    "project.grant.delete",
    "project.grant.member.read",
    "project.grant.member.write",
    "project.grant.member.delete",
    "session.read",
    "session.delete",
    "group.create",
    "group.write",
    "group.read",
    "group.delete",
    "group.user.write",
    "group.user.read",
    "group.user.delete",
];

const INSTANCE_WIDE: &[&str] = &[
    "iam.read",
    "iam.write",
    "iam.policy.read",
    "iam.policy.write",
    "iam.policy.delete",
    "iam.member.read",
    "iam.member.write",
    "iam.member.delete",
    "iam.idp.read",
    "iam.idp.write",
    "iam.idp.delete",
    "iam.action.read",
    "iam.action.write",
    "iam.action.delete",
    "iam.flow.read",
    "iam.flow.write",
    "iam.flow.delete",
    "iam.feature.read",
    "iam.feature.write",
    "iam.feature.delete",
    "iam.restrictions.read",
    "iam.restrictions.write",
    "iam.web_key.write",
    "iam.web_key.delete",
    "iam.web_key.read",
    "iam.debug.write",
    "iam.debug.read",
    "org.create",
    "project.app.delete",
    "events.read",
    "milestones.read",
    "session.write",
    "action.target.read",
    "action.target.write",
    "action.target.delete",
    "action.execution.read",
    "action.execution.write",
    "userschema.read",
    "userschema.write",
    "userschema.delete",
];

const VIEWER: &[&str] = &[
    "iam.read",
    "iam.policy.read",
    "iam.member.read",
    "iam.idp.read",
    "iam.action.read",
    "iam.flow.read",
    "iam.restrictions.read",
    "iam.feature.read",
    "iam.web_key.read",
    "iam.debug.read",
    "org.read",
    "org.member.read",
    "org.idp.read",
    "org.action.read",
    "org.flow.read",
    "org.feature.read",
    "user.read",
    "user.global.read",
    "user.grant.read",
    "user.membership.read",
    "user.feature.read",
    "policy.read",
    "project.read",
    "project.member.read",
    "project.role.read",
    "project.app.read",
    "project.grant.read",
    "project.grant.member.read",
    "events.read",
    "milestones.read",
    "action.target.read",
    "action.execution.read",
    "userschema.read",
    "session.read",
    "group.read",
    "group.user.read",
];

const USER_MANAGER: &[&str] = &[
    "org.read",
    "org.global.read",
    "org.member.read",
    "org.member.delete",
    "user.read",
    "user.global.read",
    "user.write",
    "user.delete",
    "user.grant.read",
    "user.grant.write",
    "user.grant.delete",
    "user.membership.read",
    "user.passkey.write",
    "user.feature.read",
    "user.feature.write",
    "user.feature.delete",
    "project.read",
    "project.member.read",
    "project.role.read",
    "project.app.read",
    "project.grant.read",
    "project.grant.write",
    "project.grant.delete",
    "project.grant.member.read",
    "session.read",
    "session.delete",
];

const LOGIN_CLIENT: &[&str] = &[
    "iam.read",
    "iam.policy.read",
    "iam.member.read",
    "iam.member.write",
    "iam.idp.read",
    "iam.feature.read",
    "iam.restrictions.read",
    "org.read",
    "org.member.read",
    "org.member.write",
    "org.idp.read",
    "org.feature.read",
    "user.read",
    "user.write",
    "user.grant.read",
    "user.grant.write",
    "user.membership.read",
    "user.credential.write",
    "user.passkey.write",
    "user.feature.read",
    "policy.read",
    "project.read",
    "project.member.read",
    "project.member.write",
    "project.role.read",
    "project.app.read",
    "project.grant.read",
    "project.grant.member.read",
    "project.grant.member.write",
    "session.read",
    "session.write",
    "session.link",
    "session.delete",
    "userschema.read",
];

const ORGANIZATION_USER_MANAGER: &[&str] = &[
    "org.read",
    "user.read",
    "user.global.read",
    "user.write",
    "user.delete",
    "user.grant.read",
    "user.grant.write",
    "user.grant.delete",
    "user.membership.read",
    "user.feature.read",
    "user.feature.write",
    "user.feature.delete",
    "policy.read",
    "project.read",
    "project.role.read",
    "session.read",
    "session.delete",
    "group.read",
    "group.user.read",
];

const ORGANIZATION_VIEWER: &[&str] = &[
    "org.read",
    "org.member.read",
    "org.idp.read",
    "org.action.read",
    "org.flow.read",
    "org.feature.read",
    "user.read",
    "user.global.read",
    "user.grant.read",
    "user.membership.read",
    "user.feature.read",
    "policy.read",
    "project.read",
    "project.member.read",
    "project.role.read",
    "project.app.read",
    "project.grant.read",
    "project.grant.member.read",
    "project.grant.user.grant.read",
    "group.read",
    "group.user.read",
];

const SETTINGS_MANAGER: &[&str] = &[
    "org.read",
    "org.write",
    "org.member.read",
    "org.idp.read",
    "org.idp.write",
    "org.idp.delete",
    "org.feature.read",
    "org.feature.write",
    "org.feature.delete",
    "policy.read",
    "policy.write",
    "policy.delete",
];

const USER_PERMISSION_EDITOR: &[&str] = &[
    "org.read",
    "org.member.read",
    "user.read",
    "user.global.read",
    "user.grant.read",
    "user.grant.write",
    "user.grant.delete",
    "policy.read",
    "project.read",
    "project.member.read",
    "project.role.read",
    "project.app.read",
    "project.grant.read",
    "project.grant.member.read",
    "group.read",
    "group.user.read",
];

const PROJECT_PERMISSION_EDITOR: &[&str] = &[
    "org.read",
    "org.member.read",
    "user.read",
    "user.global.read",
    "user.grant.read",
    "user.grant.write",
    "user.grant.delete",
    "policy.read",
    "project.read",
    "project.member.read",
    "project.role.read",
    "project.app.read",
    "project.grant.read",
    "project.grant.write",
    "project.grant.delete",
    "project.grant.member.read",
];

/// `:self` is a permission for one resource, and there is none of that id.
const PROJECT_CREATOR: &[&str] =
    &["user.global.read", "policy.read", "project.read:self", "project.create"];
const SELF_MANAGER: &[&str] = &["policy.read", "user.self.delete"];
const SELF_MANAGER_GLOBAL: &[&str] = &["org.create", "policy.read", "user.self.delete"];
const ADMIN_IMPERSONATOR: &[&str] = &["admin.impersonation", "impersonation"];
const IMPERSONATOR: &[&str] = &["impersonation"];

const PROJECT_OWNER: &[&str] = &[
    "org.global.read",
    "policy.read",
    "project.read",
    "project.write",
    "project.delete",
    "project.member.read",
    "project.member.write",
    "project.member.delete",
    "project.role.read",
    "project.role.write",
    "project.role.delete",
    "project.app.read",
    "project.app.write",
    "project.app.delete",
    "project.grant.read",
    "project.grant.write",
    "project.grant.delete",
    "project.grant.member.read",
    "project.grant.member.write",
    "project.grant.member.delete",
    "user.read",
    "user.global.read",
    "user.grant.read",
    "user.grant.write",
    "user.grant.delete",
    "user.membership.read",
];

const PROJECT_VIEWER: &[&str] = &[
    "policy.read",
    "project.read",
    "project.member.read",
    "project.role.read",
    "project.app.read",
    "project.grant.read",
    "project.grant.member.read",
    "user.read",
    "user.global.read",
    "user.grant.read",
    "user.membership.read",
];

const PROJECT_OWNER_GLOBAL: &[&str] = &[
    "org.global.read",
    "policy.read",
    "project.read",
    "project.write",
    "project.delete",
    "project.member.read",
    "project.member.write",
    "project.member.delete",
    "project.role.read",
    "project.role.write",
    "project.role.delete",
    "project.app.read",
    "project.app.write",
    "project.app.delete",
    "user.global.read",
    "user.grant.read",
    "user.grant.write",
    "user.grant.delete",
    "user.membership.read",
];

const PROJECT_VIEWER_GLOBAL: &[&str] = &[
    "policy.read",
    "project.read",
    "project.member.read",
    "project.role.read",
    "project.app.read",
    "project.grant.read",
    "project.grant.member.read",
    "user.global.read",
    "user.grant.read",
    "user.membership.read",
];

const PROJECT_GRANT_OWNER: &[&str] = &[
    "policy.read",
    "org.global.read",
    "project.read",
    "project.grant.read",
    "project.grant.member.read",
    "project.grant.member.write",
    "project.grant.member.delete",
    "user.read",
    "user.global.read",
    "user.grant.read",
    "user.grant.write",
    "user.grant.delete",
    "user.membership.read",
];

const PROJECT_GRANT_VIEWER: &[&str] = &[
    "policy.read",
    "project.read",
    "project.grant.read",
    "project.grant.member.read",
    "user.read",
    "user.global.read",
    "user.grant.read",
    "user.membership.read",
];

/// A role and the lists of permissions it carries.
type Role = (&'static str, &'static [&'static [&'static str]]);

/// The roles of the instance, in ZITADEL's order.
const OF_INSTANCE: &[Role] = &[
    ("IAM_OWNER", &[ORGANIZATION_WIDE, INSTANCE_WIDE]),
    ("IAM_OWNER_VIEWER", &[VIEWER]),
    ("IAM_ORG_MANAGER", &[ORGANIZATION_WIDE, &["org.create", "project.app.delete"]]),
    ("IAM_USER_MANAGER", &[USER_MANAGER]),
    ("IAM_ADMIN_IMPERSONATOR", &[ADMIN_IMPERSONATOR]),
    ("IAM_END_USER_IMPERSONATOR", &[IMPERSONATOR]),
    ("IAM_LOGIN_CLIENT", &[LOGIN_CLIENT]),
];

/// The roles of an organization, in ZITADEL's order.
const OF_ORGANIZATION: &[Role] = &[
    ("ORG_OWNER", &[ORGANIZATION_WIDE]),
    ("ORG_USER_MANAGER", &[ORGANIZATION_USER_MANAGER]),
    ("ORG_OWNER_VIEWER", &[ORGANIZATION_VIEWER]),
    ("ORG_SETTINGS_MANAGER", &[SETTINGS_MANAGER]),
    ("ORG_USER_PERMISSION_EDITOR", &[USER_PERMISSION_EDITOR]),
    ("ORG_PROJECT_PERMISSION_EDITOR", &[PROJECT_PERMISSION_EDITOR]),
    ("ORG_PROJECT_CREATOR", &[PROJECT_CREATOR]),
    ("ORG_ADMIN_IMPERSONATOR", &[ADMIN_IMPERSONATOR]),
    ("ORG_END_USER_IMPERSONATOR", &[IMPERSONATOR]),
    ("ORG_USER_SELF_MANAGER", &[SELF_MANAGER]),
];

/// The roles of a project, in ZITADEL's order.
const OF_PROJECT: &[Role] = &[
    ("PROJECT_OWNER", &[PROJECT_OWNER]),
    ("PROJECT_OWNER_VIEWER", &[PROJECT_VIEWER]),
    ("PROJECT_OWNER_GLOBAL", &[PROJECT_OWNER_GLOBAL]),
    ("PROJECT_OWNER_VIEWER_GLOBAL", &[PROJECT_VIEWER_GLOBAL]),
];

/// The roles of a project grant, in ZITADEL's order; a project takes them too, without listing them.
const OF_PROJECT_GRANT: &[Role] = &[
    ("PROJECT_GRANT_OWNER", &[PROJECT_GRANT_OWNER]),
    ("PROJECT_GRANT_OWNER_VIEWER", &[PROJECT_GRANT_VIEWER]),
];

/// A role of organizations that no list of roles shows.
const EVERYWHERE: Role = ("SELF_MANAGEMENT_GLOBAL", &[SELF_MANAGER_GLOBAL]);

/// What a member can be a member of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The instance: its roles count in all organizations.
    Instance,
    /// An organization.
    Organization,
    /// A project.
    Project,
    /// The grant of a project to an organization.
    ProjectGrant,
}

impl Level {
    fn roles(self) -> &'static [Role] {
        match self {
            Self::Instance => OF_INSTANCE,
            Self::Organization => OF_ORGANIZATION,
            Self::Project => OF_PROJECT,
            Self::ProjectGrant => OF_PROJECT_GRANT,
        }
    }

    /// The names of the roles that a list of roles shows.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        self.roles().iter().map(|(name, _)| *name)
    }

    /// Whether all of these can be given at this level.
    pub(crate) fn accepts(self, roles: &[String]) -> bool {
        let own = roles.iter().all(|role| {
            self.names().any(|name| name == role)
                || (self == Self::Project && Self::ProjectGrant.names().any(|name| name == role))
        });
        own || (self == Self::Organization && roles.iter().all(|role| role == EVERYWHERE.0))
    }
}

/// What a role permits.
pub(crate) fn permissions(role: &str) -> impl Iterator<Item = &'static str> {
    tables()
        .filter(move |(_, (name, _))| *name == role)
        .flat_map(|(_, (_, lists))| lists.iter().flat_map(|list| list.iter().copied()))
}

fn tables() -> impl Iterator<Item = (Level, &'static Role)> {
    let levels = [Level::Instance, Level::Organization, Level::Project, Level::ProjectGrant];
    levels
        .into_iter()
        .flat_map(|level| level.roles().iter().map(move |role| (level, role)))
        .chain(std::iter::once((Level::Organization, &EVERYWHERE)))
}

/// A role that ZITADEL has by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultRole {
    /// What one is a member of who has it.
    pub level: Level,
    /// Its name, such as `ORG_OWNER`.
    pub name: &'static str,
    /// What it permits.
    pub permissions: Vec<&'static str>,
}

/// All roles that ZITADEL has by default, in its order.
pub fn default_roles() -> Vec<DefaultRole> {
    let role = |(level, (name, _)): (Level, &Role)| DefaultRole {
        level,
        name,
        permissions: permissions(name).collect(),
    };
    tables().map(role).collect()
}
