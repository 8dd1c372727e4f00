//! Whether the objects of a folder fit together: references, consents, what is declared twice.
//! Pure.

use std::collections::{BTreeMap, HashMap};

use super::finding::{Finding, Severity, did_you_mean};
use crate::{
    api::spec::{Namespaces, ObjectReference, Shared},
    engine::{
        Key,
        kind::{Shape, decode},
        references::organization_key,
    },
    files::{Folder, Manifest},
};

pub(super) fn check(folder: &Folder, strict: bool) -> Vec<Finding> {
    let by_key: HashMap<&Key, &Manifest> =
        folder.manifests.iter().map(|m| (&m.object.key, m)).collect();
    let severity = if strict { Severity::Error } else { Severity::Warning };
    let mut findings = Vec::new();
    for manifest in folder.manifests.iter().filter(|m| m.entry.shape() != Shape::Connection) {
        // What can't be read was found by the schema.
        let Ok(shared) = decode::<Shared>(&manifest.object.spec) else { continue };
        findings.extend(organization(folder, &by_key, manifest, &shared, severity));
        findings.extend(instance(folder, &by_key, manifest, &shared, severity));
    }
    findings.extend(twice(folder));
    findings
}

fn organization(
    folder: &Folder,
    by_key: &HashMap<&Key, &Manifest>,
    manifest: &Manifest,
    shared: &Shared,
    severity: Severity,
) -> Option<Finding> {
    let reference = shared.organization.organization_ref.as_ref()?;
    let key = organization_key(&manifest.object.key.namespace, reference);
    let place = manifest.document.value_at("/spec/organizationRef/name");
    let Some(target) = by_key.get(&key) else {
        return Some(missing(folder, &key, reference, place, severity));
    };
    let allowed: Option<Namespaces> = target
        .object
        .spec
        .get("allowedNamespaces")
        .and_then(|n| serde_json::from_value(n.clone()).ok());
    let own = &manifest.object.key.namespace;
    let may = Namespaces::allow(allowed.as_ref(), &key.namespace, own, || {
        folder.namespaces.get(own).cloned().unwrap_or_default()
    });
    (!may).then(|| {
        Finding::error(
            "reference",
            format!("{key} does not allow the namespace {own}"),
            manifest.document.key_at("/spec/organizationRef"),
        )
        .hint(format!(
            "its spec.allowedNamespaces ({}) would have to",
            target.document.key_at("/spec/allowedNamespaces")
        ))
    })
}

/// The Instance is asked for only where the folder has some: else it comes from the environment or
/// another repository.
fn instance(
    folder: &Folder,
    by_key: &HashMap<&Key, &Manifest>,
    manifest: &Manifest,
    shared: &Shared,
    severity: Severity,
) -> Option<Finding> {
    if shared.organization.organization_ref.is_some()
        || !by_key.keys().any(|k| k.kind == "Instance")
    {
        return None;
    }
    let named = shared.common.instance_ref.as_ref();
    let (name, namespace) =
        named.map_or(("default", None), |r| (r.name.as_str(), r.namespace.as_deref()));
    let key = Key {
        kind: "Instance",
        namespace: namespace.unwrap_or(&manifest.object.key.namespace).into(),
        name: name.into(),
    };
    if by_key.contains_key(&key) {
        return None;
    }
    let pointer = if named.is_some() { "/spec/instanceRef/name" } else { "/spec" };
    let reference = ObjectReference { name: name.into(), namespace: None };
    let mut finding =
        missing(folder, &key, &reference, manifest.document.key_at(pointer), severity);
    if named.is_none() {
        finding.hint = Some(
            "without instanceRef the Instance `default` of the same namespace is meant; set spec.instanceRef to use another one".into(),
        );
    }
    Some(finding)
}

fn missing(
    folder: &Folder,
    key: &Key,
    reference: &ObjectReference,
    place: crate::files::Place,
    severity: Severity,
) -> Finding {
    let all = folder.manifests.iter().map(|m| &m.object.key).filter(|k| k.kind == key.kind);
    let names: Vec<String> = all
        .map(|k| {
            if k.namespace == key.namespace {
                k.name.clone()
            } else {
                format!("{}/{}", k.namespace, k.name)
            }
        })
        .collect();
    let finding = Finding {
        severity,
        ..Finding::error("reference", format!("{key} is not in these files"), place)
    };
    if names.is_empty() {
        return finding.hint("it must be there before this one can be applied");
    }
    finding
        .hint(did_you_mean(&reference.name, names.iter().map(String::as_str).collect::<Vec<_>>()))
}

/// Two objects for one remote thing: the engine would let one of them win.
fn twice(folder: &Folder) -> Vec<Finding> {
    let mut owners: BTreeMap<String, &Manifest> = BTreeMap::new();
    let mut findings = Vec::new();
    for manifest in &folder.manifests {
        for (what, pointer) in declared(manifest) {
            match owners.get(&what) {
                Some(first) if first.object.key != manifest.object.key => {
                    let place = manifest.document.key_at(pointer);
                    let message = format!(
                        "{} and {} declare the same",
                        manifest.object.key, first.object.key
                    );
                    findings.push(Finding::error("duplicate", message, place).hint(format!(
                        "the other one is at {}; delete one of the two",
                        first.document.key_at(pointer)
                    )));
                }
                _ => {
                    owners.insert(what, manifest);
                }
            }
        }
    }
    findings
}

/// What an object declares, as far as it can be told offline, and what of it says so.
fn declared(manifest: &Manifest) -> Vec<(String, &'static str)> {
    let Ok(shared) = decode::<Shared>(&manifest.object.spec) else { return Vec::new() };
    if shared.observes() || shared.is_suspended() {
        return Vec::new();
    }
    let own = &manifest.object.key;
    let scope = match (
        &shared.organization.organization_ref,
        &shared.organization.organization_id,
        &shared.common.instance_ref,
    ) {
        (Some(r), ..) => organization_key(&own.namespace, r).to_string(),
        (None, Some(id), _) => format!("organization {id}"),
        (None, None, Some(r)) => {
            format!("instance {}/{}", r.namespace.as_deref().unwrap_or(&own.namespace), r.name)
        }
        (None, None, None) => format!("instance {}/default", own.namespace),
    };
    let kind = own.kind;
    match manifest.entry.shape() {
        Shape::Connection => Vec::new(),
        Shape::Setting => vec![(format!("{kind} of {scope}"), "/spec")],
        Shape::Entity { natural_key, .. } => {
            let name = manifest
                .entry
                .desired(&manifest.object.spec, &own.name)
                .ok()
                .and_then(|f| f.text(natural_key).map(str::to_lowercase));
            let by_name = name.map(|n| (format!("{kind} named {n} in {scope}"), "/spec/name"));
            let by_id =
                shared.identity.id.map(|id| (format!("{kind} {id} in {scope}"), "/spec/id"));
            by_name.into_iter().chain(by_id).collect()
        }
    }
}
