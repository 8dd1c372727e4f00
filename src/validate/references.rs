//! Whether the objects of a folder fit together: references, consents, what is declared twice.
//! References are resolved by the engine's own functions. Pure.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt;
use serde_json::json;

use super::finding::{Finding, Severity, did_you_mean};
use crate::{
    api::{
        spec::{Namespaces, NamespacesFrom, Shared},
        status::Status,
    },
    engine::{
        Error, Key, Object,
        host::Host,
        kind::{Shape, decode},
        plan::ToBeMade,
        reconcile::Engine,
        references::{instance_of, organization_key, resolve},
    },
    files::{FileHost, Folder, Manifest, Place, environment::Environment},
    kinds::instance::InstanceDetails,
    zitadel::AddressPolicy,
};

pub(super) fn check(folder: &Folder, strict: bool) -> Vec<Finding> {
    let check = Check {
        folder,
        host: FileHost::new(folder, None, Environment::default()),
        severity: if strict { Severity::Error } else { Severity::Warning },
    };
    let has_instances = !check.host.instances().is_empty();
    let mut findings = Vec::new();
    let mut stand_ins = BTreeSet::new();
    // What can't be read was found by the schema.
    let objects: Vec<(&Manifest, Shared)> = folder
        .manifests
        .iter()
        .filter(|m| m.entry.shape() != Shape::Connection)
        .filter_map(|m| Some((m, decode(&m.object.spec).ok()?)))
        .collect();
    for (manifest, shared) in &objects {
        match check.instance_of(manifest, shared) {
            None => findings.extend(check.missing_organization(manifest, shared)),
            Some(instance) if check.host.object(&instance).is_none() => {
                // Without any Instance in the folder it comes from the environment or another
                // repository.
                if has_instances && shared.organization.organization_ref.is_none() {
                    findings.push(check.missing_instance(manifest, shared, &instance));
                }
                stand_ins.insert(instance);
            }
            Some(_) => {}
        }
    }
    // What is not in these files can't refuse anything here.
    for key in &stand_ins {
        check.host.put(consenting(key));
    }
    findings.extend(objects.iter().filter_map(|(m, shared)| check.consent(m, shared)));
    findings.extend(check.declared_twice(&objects));
    findings
}

struct Check<'a> {
    folder: &'a Folder,
    host: FileHost,
    /// Of what may well be declared elsewhere.
    severity: Severity,
}

impl Check<'_> {
    fn instance_of(&self, manifest: &Manifest, shared: &Shared) -> Option<Key> {
        instance_of(&self.host, &manifest.object.key.namespace, shared)
    }

    /// The Organization that an object refers to, if it refers to one.
    fn organization(manifest: &Manifest, shared: &Shared) -> Option<Key> {
        let reference = shared.organization.organization_ref.as_ref()?;
        Some(organization_key(&manifest.object.key.namespace, reference))
    }

    fn missing_organization(&self, manifest: &Manifest, shared: &Shared) -> Option<Finding> {
        let key = Self::organization(manifest, shared)?;
        // One that is there and can't be read was found by the schema.
        self.host
            .object(&key)
            .is_none()
            .then(|| self.missing(&key, manifest.document.value_at("/spec/organizationRef/name")))
    }

    fn missing_instance(&self, manifest: &Manifest, shared: &Shared, instance: &Key) -> Finding {
        let is_named = shared.common.instance_ref.is_some();
        let pointer = if is_named { "/spec/instanceRef/name" } else { "/spec" };
        let finding = self.missing(instance, manifest.document.key_at(pointer));
        if is_named {
            return finding;
        }
        finding.hint(
            "without instanceRef the Instance `default` of the same namespace is used; set spec.instanceRef to use another one",
        )
    }

    fn missing(&self, key: &Key, place: Place) -> Finding {
        let all = self.folder.manifests.iter().map(|m| &m.object.key);
        let names: Vec<String> = all
            .filter(|k| k.kind == key.kind)
            .map(|k| {
                if k.namespace == key.namespace {
                    k.name.clone()
                } else {
                    format!("{}/{}", k.namespace, k.name)
                }
            })
            .collect();
        let message = format!("{key} is not in these files");
        let finding =
            Finding { severity: self.severity, ..Finding::error("reference", message, place) };
        if names.is_empty() {
            return finding.hint("it must exist before this one can be applied");
        }
        finding.hint(did_you_mean(&key.name, names.iter().map(String::as_str).collect::<Vec<_>>()))
    }

    /// Whether everything that an object refers to lets it do so. Without a connection the engine
    /// resolves as far as the files go, and waits for nothing.
    fn consent(&self, manifest: &Manifest, shared: &Shared) -> Option<Finding> {
        let organization = Self::organization(manifest, shared);
        if organization.as_ref().is_some_and(|key| self.host.object(key).is_none()) {
            return None;
        }
        let engine = Engine::new(AddressPolicy::default());
        let (object, none) = (&manifest.object, ToBeMade::new());
        let resolved = resolve(&engine, &self.host, manifest.entry, object, shared, &none);
        let Some(Err(Error::NoConsent(message))) = resolved.now_or_never() else { return None };
        let references = ["/spec/organizationRef", "/spec/organizationId", "/spec/instanceRef"];
        let pointer = references.into_iter().find(|p| manifest.document.value.pointer(p).is_some());
        let place = manifest.document.key_at(pointer.unwrap_or("/spec"));
        let finding = Finding::error("reference", message, place);
        // A Namespace that is declared elsewhere may have the labels.
        let unknown = [Some(&object.key), organization.as_ref()]
            .into_iter()
            .flatten()
            .map(|key| &key.namespace)
            .find(|namespace| !self.folder.namespaces.contains_key(*namespace));
        let Some(namespace) = unknown.filter(|_| self.selects(manifest, shared)) else {
            return Some(finding);
        };
        let hint = format!(
            "the Namespace {namespace} is not in these files: add it, with its labels, to have them taken into account"
        );
        Some(Finding { severity: self.severity, ..finding.hint(hint) })
    }

    /// Whether a consent that an object needs goes by labels.
    fn selects(&self, manifest: &Manifest, shared: &Shared) -> bool {
        let asked = [Self::organization(manifest, shared), self.instance_of(manifest, shared)];
        asked.into_iter().flatten().filter_map(|key| self.host.object(&key)).any(|object| {
            ["allowedNamespaces", "instanceScope"].iter().any(|field| {
                let said =
                    object.spec.get(field).cloned().map(serde_json::from_value::<Namespaces>);
                matches!(said, Some(Ok(n)) if n.from == NamespacesFrom::Selector)
            })
        })
    }

    /// Two objects that declare the same in ZITADEL: the engine would let one of them win.
    fn declared_twice(&self, objects: &[(&Manifest, Shared)]) -> Vec<Finding> {
        let mut owners: BTreeMap<String, &Manifest> = BTreeMap::new();
        let mut findings = Vec::new();
        for (manifest, shared) in objects {
            for (what, pointer) in self.declared(manifest, shared) {
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
    fn declared(&self, manifest: &Manifest, shared: &Shared) -> Vec<(String, &'static str)> {
        if shared.observes() || shared.is_suspended() {
            return Vec::new();
        }
        let organization = Self::organization(manifest, shared);
        let scope = match (organization, self.instance_of(manifest, shared)) {
            (Some(organization), _) => organization.to_string(),
            (None, Some(instance)) => {
                let id = shared.organization.organization_id.as_ref();
                id.map_or_else(String::new, |id| format!("organization {id} of "))
                    + &instance.to_string()
            }
            (None, None) => return Vec::new(),
        };
        let own = &manifest.object.key;
        let kind = own.kind;
        match manifest.entry.shape() {
            Shape::Connection => Vec::new(),
            Shape::Setting => vec![(format!("{kind} of {scope}"), "/spec")],
            Shape::Entity { natural_key, .. } => {
                let desired = manifest.entry.desired(&manifest.object.spec, &own.name).ok();
                let name = desired.and_then(|f| f.text(natural_key).map(str::to_lowercase));
                let by_name = name.map(|n| (format!("{kind} named {n} in {scope}"), "/spec/name"));
                let id = shared.identity.id.as_ref();
                let by_id = id.map(|id| (format!("{kind} {id} in {scope}"), "/spec/id"));
                by_name.into_iter().chain(by_id).collect()
            }
        }
    }
}

/// In place of an Instance that is not in these files: one that lets everybody do everything.
fn consenting(key: &Key) -> Object {
    let all = json!({"from": "All"});
    Object {
        key: key.clone(),
        uid: None,
        generation: 0,
        created: 0,
        is_deleting: false,
        annotations: BTreeMap::new(),
        spec: json!({"allowedNamespaces": all, "instanceScope": all}),
        status: Status::default(),
        details: InstanceDetails::default(),
    }
}
