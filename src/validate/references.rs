//! Whether the objects of a folder fit together: references, consents, what is declared twice.
//! References are resolved by the engine's own functions. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::files::finding::{Finding, Severity, did_you_mean};
use crate::{
    api::{
        instance::InstanceDetails,
        spec::{Namespaces, NamespacesFrom, is_suspended, only_observes},
        status::Status,
    },
    contract::{Inputs, Key, NaturalKey, Object, reference::Referent},
    engine::{Error, consent::Consents, host::Host, report},
    files::{FileHost, Folder, Manifest, Place, environment::Environment},
    kinds::REGISTRY,
};

pub(super) fn check(folder: &Folder, strict: bool) -> Vec<Finding> {
    let check = Check {
        folder,
        host: FileHost::new(folder, None, Environment::default()),
        severity: if strict { Severity::Error } else { Severity::Warning },
    };
    let objects: Vec<&Manifest> =
        folder.manifests.iter().filter(|m| !m.entry.is_connection()).collect();
    let has_instances = objects.len() < folder.manifests.len();
    let mut findings = Vec::new();
    let mut stand_ins = BTreeSet::new();
    for manifest in &objects {
        findings.extend(check.missing_references(manifest));
        // An object that refers to something has that one's Instance.
        let Some(instance) = check.instance_of(manifest) else { continue };
        if check.host.object(&instance).is_none() {
            // Without any Instance in the folder it comes from the environment or another
            // repository.
            if has_instances && references(manifest).is_empty() {
                findings.push(check.missing_instance(manifest, &instance));
            }
            stand_ins.insert(instance);
        }
    }
    // What is not in these files can't refuse anything here.
    for key in &stand_ins {
        check.host.put(consenting(key));
    }
    findings.extend(objects.iter().filter_map(|m| check.consent(m)));
    findings.extend(check.declared_twice(&objects));
    findings
}

struct Check<'a> {
    folder: &'a Folder,
    host: FileHost,
    /// Of what may well be declared elsewhere.
    severity: Severity,
}

/// The objects that an object refers to, with the path in the spec that does. What can't be read was
/// found by the schema.
fn references(manifest: &Manifest) -> Vec<(String, Key)> {
    let (spec, namespace) = (&manifest.object.spec, &manifest.object.key.namespace);
    let read = |field: &str, referent| match referent {
        Referent::Object(key) => Some((field.to_owned(), key)),
        Referent::Id(_) | Referent::Name(_) => None,
    };
    let all = manifest.entry.references.iter();
    let single = all.filter_map(|r| read(r.field, r.read(spec, namespace).ok()??));
    let lists = manifest.entry.reference_lists.iter();
    let listed = lists.flat_map(|r| {
        let keys = r.read_all(spec, namespace).unwrap_or_default().into_iter().enumerate();
        keys.map(|(n, key)| (format!("{}/{n}", r.field), key))
    });
    single.chain(listed).collect()
}

impl Check<'_> {
    fn consents(&self) -> Consents<'_> {
        Consents { registry: &REGISTRY, host: &self.host }
    }

    fn instance_of(&self, manifest: &Manifest) -> Option<Key> {
        let object = &manifest.object;
        self.consents().instance_of(manifest.entry, &object.key.namespace, &object.spec)
    }

    fn missing_references(&self, manifest: &Manifest) -> Vec<Finding> {
        let missing = references(manifest).into_iter();
        missing
            .filter(|(_, key)| self.host.object(key).is_none())
            .map(|(field, key)| {
                self.missing(&key, manifest.document.value_at(&format!("/spec/{field}/name")))
            })
            .collect()
    }

    fn missing_instance(&self, manifest: &Manifest, instance: &Key) -> Finding {
        let is_named = manifest.object.spec.get("instanceRef").is_some_and(|v| !v.is_null());
        let pointer = if is_named { "/spec/instanceRef/name" } else { "/spec" };
        let finding = self.missing(instance, manifest.document.key_at(pointer));
        if is_named {
            return finding;
        }
        finding.hint(
            "without instanceRef the Instance `default` of the same namespace is used; set \
             spec.instanceRef to use another one",
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

    /// Whether everything that an object refers to lets it do so.
    fn consent(&self, manifest: &Manifest) -> Option<Finding> {
        let object = &manifest.object;
        let referred = references(manifest);
        if referred.iter().any(|(_, key)| self.host.object(key).is_none()) {
            return None;
        }
        let (namespace, spec) = (&object.key.namespace, &object.spec);
        let resolved = self.consents().lineage(manifest.entry, namespace, spec);
        let Err(error @ Error::NoConsent(_)) = resolved else { return None };
        let fields = manifest.entry.references.iter().flat_map(|r| [r.field, r.id_field]);
        let fields = fields.chain(manifest.entry.reference_lists.iter().map(|r| r.field));
        let mut pointers = fields.chain(["instanceRef"]).map(|field| format!("/spec/{field}"));
        let pointer = pointers.find(|p| manifest.document.value.pointer(p).is_some());
        let place = manifest.document.key_at(pointer.as_deref().unwrap_or("/spec"));
        let message = report::sentence(&error, manifest.entry);
        let finding = Finding::error("reference", message, place);
        // A Namespace that is declared elsewhere may have the labels.
        let unknown = [&object.key]
            .into_iter()
            .chain(referred.iter().map(|(_, key)| key))
            .map(|key| &key.namespace)
            .find(|namespace| !self.folder.namespaces.contains_key(*namespace));
        let Some(namespace) = unknown.filter(|_| self.selects(manifest)) else {
            return Some(finding);
        };
        let hint = format!(
            "the Namespace {namespace} is not in these files: add it, with its labels, to have them \
             taken into account"
        );
        Some(Finding { severity: self.severity, ..finding.hint(hint) })
    }

    /// Whether a consent that an object needs goes by labels.
    fn selects(&self, manifest: &Manifest) -> bool {
        let asked = self.consents().references(&manifest.object);
        asked.iter().filter_map(|key| self.host.object(key)).any(|object| {
            ["allowedNamespaces", "instanceScope"].iter().any(|field| {
                let said =
                    object.spec.get(field).cloned().map(serde_json::from_value::<Namespaces>);
                matches!(said, Some(Ok(n)) if n.from == NamespacesFrom::Selector)
            })
        })
    }

    /// Two objects that declare the same in ZITADEL: the engine would let one of them win.
    fn declared_twice(&self, objects: &[&Manifest]) -> Vec<Finding> {
        let mut owners: BTreeMap<String, &Manifest> = BTreeMap::new();
        let mut findings = Vec::new();
        for manifest in objects {
            for (what, pointer) in self.declared(manifest) {
                match owners.get(&what) {
                    Some(first) if first.object.key != manifest.object.key => {
                        let place = manifest.document.key_at(&pointer);
                        let message = format!(
                            "{} and {} declare the same",
                            manifest.object.key, first.object.key
                        );
                        findings.push(Finding::error("duplicate", message, place).hint(format!(
                            "the other one is at {}; delete one of the two",
                            first.document.key_at(&pointer)
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
    fn declared(&self, manifest: &Manifest) -> Vec<(String, String)> {
        let (entry, object) = (manifest.entry, &manifest.object);
        if only_observes(&object.spec) || is_suspended(&object.spec) {
            return Vec::new();
        }
        let Some(instance) = self.instance_of(manifest) else { return Vec::new() };
        let instance = self.consents().domain(&instance);
        let namespace = &object.key.namespace;
        let parents = entry.parents().filter_map(|r| {
            Some(match r.read(&object.spec, namespace).ok()?? {
                Referent::Object(key) => key.to_string(),
                Referent::Id(id) | Referent::Name(id) => {
                    format!("{} {id} of {instance}", r.kinds.join(" or "))
                }
            })
        });
        let place = parents.last().unwrap_or_else(|| instance.to_string());
        let kind = entry.kind();
        let Some(entity) = entry.as_entity() else {
            let keys = entry.place_below(crate::contract::Place::instance(), &object.spec).parents;
            return vec![(format!("{kind} {keys:?} of {place}"), "/spec".to_owned())];
        };
        let by_name = match entity.natural_key {
            NaturalKey::Field(key) => {
                let desired = entry.desired(&object.spec, &object.key.name, &Inputs::default());
                let name = desired.ok().and_then(|f| f.text(key).map(str::to_lowercase));
                name.map(|n| (format!("{kind} named {n} in {place}"), format!("/spec/{key}")))
            }
            NaturalKey::References(fields) => {
                let referents = fields.iter().map(|id_field| {
                    let reference = entry.references.iter().find(|r| r.id_field == *id_field);
                    reference.and_then(|r| r.read(&object.spec, namespace).ok().flatten())
                });
                Some((
                    format!("{kind} of {:?} in {place}", referents.collect::<Vec<_>>()),
                    "/spec".into(),
                ))
            }
        };
        let id = object.spec.get("id").and_then(Value::as_str);
        let by_id = id.map(|id| (format!("{kind} {id} of {instance}"), "/spec/id".to_owned()));
        by_name.into_iter().chain(by_id).collect()
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
