//! Which permissions and roles the account needs, from the kinds and from ZITADEL's table of roles.

use kastellan::{
    contract::{Entry, Permissions},
    kinds::REGISTRY,
    zitadel::roles::{self, FOR_FEED, Level, Role, TO_CONNECT},
};

use super::docs::{HEAD, anchor, line};

/// `src/zitadel/roles.txt`: ZITADEL's roles, as the emulator has them.
pub(super) fn table() -> String {
    let mut text =
        "# Generated from the emulator's table of roles by `make generate`; do not edit.\n"
            .to_owned();
    for role in zitadel_emulator::default_roles() {
        let level = match role.level {
            zitadel_emulator::Level::Instance => Level::Instance,
            zitadel_emulator::Level::Organization => Level::Organization,
            zitadel_emulator::Level::Project => Level::Project,
            zitadel_emulator::Level::ProjectGrant => continue,
        };
        if !role.name.ends_with("_GLOBAL") {
            let permissions = role.permissions.join(" ");
            line(&mut text, &format!("{} {} {permissions}", level.as_str(), role.name));
        }
    }
    text
}

/// What the reference says about a kind.
pub(super) fn of_kind(entry: Entry) -> String {
    if entry.is_connection() {
        let needed = list(&TO_CONNECT, "or");
        return format!(
            "\nPermissions: {needed}; for the event feed `{FOR_FEED}`. \
             [Roles](permissions.md#to-connect)."
        );
    }
    let needed = entry.permissions.iter().map(|permissions| {
        let place = match entry.permissions {
            [_] => String::new(),
            _ => format!(" in the {}", permissions.level.as_str()),
        };
        let (needed, roles) = (list(permissions.needed, "and"), roles_of(permissions));
        format!("\nPermissions{place}: {needed}. Role: {roles}.")
    });
    let by_name = entry.references.iter().filter_map(|reference| reference.by_name);
    let by_name = by_name.map(|by| format!("\n`{}` also needs `{}`.", by.field, by.permission));
    needed.chain(by_name).collect::<Vec<_>>().join("\n")
}

/// `ORG_OWNER` in the organization, or `IAM_OWNER` in the instance
fn roles_of(permissions: &Permissions) -> String {
    let beside = |level| roles::beside().filter(|_| level == Level::Project);
    let role = |role: Role| {
        let beside = beside(role.level).map(|beside| format!(" besides `{}`", beside.name));
        let beside = beside.unwrap_or_default();
        format!("`{}` in the {}{beside}", role.name, role.level.as_str())
    };
    permissions.roles().into_iter().map(role).collect::<Vec<_>>().join(", or ")
}

/// `docs/permissions.md`
pub(super) fn page() -> String {
    let name = |role: Option<Role>| role.map(|role| role.name).unwrap_or_default();
    let mut text = format!(
        "{HEAD}\n# Permissions\n\n\
         What the account of an Instance has to be permitted, and which of ZITADEL's roles permit that and the fewest other things.\n\
         An account can have several roles. Where a permission is missing, the objects concerned say `Forbidden`, which permissions they\n\
         need and which roles have them. Nothing is written then, and nothing counts as deleted.\n\n\
         ## To connect\n\n\
         - {}, in the organization that the account itself is in: to know which instance it is. All roles below have one of\n  them, but those of projects.\n\
         - `{FOR_FEED}`, for the event feed: `{}` in the instance at least. Without it everything is listed again each\n  `resyncInterval`.\n\n\
         ## For each kind\n\n\
         One of the roles of a row is enough, with these exceptions: one in the project is needed besides `{}` in its organization;\n\
         and to name something by its id instead of an object, the account also has to be permitted to read that.\n\n\
         | Kind | In | Permissions | In the project | In the organization | In the instance |\n|---|---|---|---|---|---|\n",
        list(&TO_CONNECT, "or"),
        name(roles::smallest(Level::Instance, &[FOR_FEED])),
        name(roles::beside()),
    );
    for entry in REGISTRY.all().filter(|e| !e.is_connection()) {
        for permissions in entry.permissions {
            let role = |level: Level| {
                let role = (level <= permissions.level).then(|| permissions.role(level)).flatten();
                role.map_or_else(|| "–".to_owned(), |role| format!("`{}`", role.name))
            };
            let [instance, organization, project] = Level::ALL.map(role);
            let kind = format!("[`{}`](reference.md#{})", entry.kind, anchor(entry.kind));
            let (level, needed) = (permissions.level.as_str(), list(permissions.needed, "and"));
            let row = format!(
                "| {kind} | {level} | {needed} | {project} | {organization} | {instance} |"
            );
            line(&mut text, &row);
        }
    }
    text
}

/// `` `a`, `b` and `c` ``
fn list(all: &[&str], word: &str) -> String {
    let all: Vec<String> = all.iter().map(|one| format!("`{one}`")).collect();
    match all.as_slice() {
        [several @ .., last] if !several.is_empty() => {
            format!("{} {word} {last}", several.join(", "))
        }
        _ => all.concat(),
    }
}
