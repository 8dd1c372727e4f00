//! All types of resources that are a kind: one entry for each form of each type. Attributes and
//! words as in the documentation of terraform's provider `zitadel/zitadel`.

mod access;
mod applications;
mod entities;
mod identity_providers;
mod keys;
mod messages;
mod metadata;
mod policies;
mod providers;

use super::resource::{Parent, Resource};

const ORGANIZATION: Parent = Parent { attribute: "org_id", kind: "Organization" };
const PROJECT: Parent = Parent { attribute: "project_id", kind: "Project" };

/// The entries of a type.
pub(super) fn of(name: &str) -> impl Iterator<Item = &'static Resource> {
    all().filter(move |resource| resource.name == name)
}

/// All entries.
pub(super) fn all() -> impl Iterator<Item = &'static Resource> {
    [
        entities::ALL,
        identity_providers::ALL,
        identity_providers::JWT_ONLY,
        applications::ALL,
        keys::ALL,
        access::ALL,
        policies::ALL,
        messages::ALL,
        metadata::ALL,
        providers::ALL,
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::{contract::Entry, kinds::REGISTRY};

    /// The paths of a schema, and of what is below them.
    fn paths(schema: &Value, at: &str, into: &mut BTreeSet<String>) {
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
            paths(schema, &path, into);
            into.insert(path);
        }
    }

    fn spec(entry: Entry) -> Value {
        let crd = serde_json::to_value(entry.crd()).unwrap();
        crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
    }

    #[test]
    fn each_entry_fits_its_kind() {
        for resource in all() {
            let name = resource.name;
            let entry = REGISTRY.find(resource.kind).expect(name);
            let mut known = BTreeSet::new();
            paths(&spec(entry), "", &mut known);
            for path in resource.fields.iter().map(super::super::resource::Field::path) {
                let is_made = path == "loginVersion" && known.contains(&path);
                assert!(is_made || known.contains(&path), "{name}: there is no {path}");
            }
            if let Some(entry) = resource.entry {
                assert!(known.contains(entry.map), "{name}: there is no {}", entry.map);
            }
            let issues = entry.as_entity().and_then(|entity| entity.issues);
            assert_eq!(resource.secret.is_some(), issues.is_some(), "{name}");
            if let Some((_, field)) = resource.input {
                assert!(entry.inputs.iter().any(|i| i.field == field), "{name}: no {field}");
            }
            for (_, value) in resource.secret.iter().flat_map(|secret| secret.values) {
                assert!(issues.unwrap().values.contains(value), "{name}: no template has {value}");
            }
            for parent in resource.within.iter().filter(|parent| !parent.kind.is_empty()) {
                assert!(REGISTRY.find(parent.kind).is_some(), "{name}: {}", parent.kind);
            }
        }
    }

    /// The state of the tests, from which everything is exported and planned.
    const STATE: &str = include_str!("../../tests/it/cli/terraform/state.json");

    #[test]
    fn each_type_is_tested() {
        for resource in all() {
            let name = format!("\"type\": \"{}\"", resource.name);
            assert!(STATE.contains(&name), "{name}");
        }
    }

    #[test]
    fn each_kind_has_an_entry() {
        for entry in REGISTRY.all().filter(|e| !e.is_connection()) {
            assert!(all().any(|r| r.kind == entry.kind()), "{}", entry.kind());
        }
    }
}
