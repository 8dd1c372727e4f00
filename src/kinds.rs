//! THE REGISTRY: a line a kind. CRDs, controllers, RBAC, the command line and the tests follow from it.

use crate::engine::kind::{EntityEntry, Entry, SettingEntry};

pub mod domain_policy;
pub mod instance;
pub mod organization;
mod policy;
pub mod privacy_policy;
pub mod project;
pub mod restrictions;
pub mod security_policy;
mod wire;

/// All kinds; what others refer to comes first.
pub static ALL: &[&dyn Entry] = &[
    &instance::ENTRY,
    &EntityEntry::<organization::Organization>::new(),
    &SettingEntry::<security_policy::SecurityPolicy>::new(),
    &SettingEntry::<restrictions::Restrictions>::new(),
    &SettingEntry::<privacy_policy::PrivacyPolicy>::new(),
    &SettingEntry::<domain_policy::DomainPolicy>::new(),
    &EntityEntry::<project::Project>::new(),
];

/// The entry of a kind by its name.
pub fn find(kind: &str) -> Option<&'static dyn Entry> {
    ALL.iter().copied().find(|e| e.names().kind == kind)
}
