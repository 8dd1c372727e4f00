//! From the references of a spec to its Instance, with every consent that they need. Reads objects;
//! makes no call.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value;

use super::{
    binding,
    error::{Error, NoConsent, Purpose, Result, Waiting},
    host::Host,
};
use crate::{
    api::spec::{Namespaces, ObjectReference},
    contract::{
        Consent, Entry, Key, Object, Place, Reference, Registry, Role, SpecError,
        reference::{ById, Referent},
    },
};

/// The references of a kind can't lead in a circle; a registry that says otherwise ends here.
const MAX_DEPTH: usize = 8;

/// What a spec says that it is in.
pub enum Parent {
    /// The instance itself.
    Instance,
    /// What an object declares.
    Object(Arc<Object>, Entry),
    /// A remote thing by its id.
    Id(&'static Reference, String),
}

/// Where an object belongs, and that it may.
pub struct Lineage {
    /// The Instance object.
    pub instance: Key,
    /// What it is in.
    pub parent: Parent,
    /// Whether its namespace may act on the instance itself.
    pub instance_scope: bool,
}

/// The objects and consents that references lead to.
pub struct Consents<'a> {
    /// All kinds.
    pub registry: &'static Registry,
    /// Where the objects are.
    pub host: &'a dyn Host,
}

impl Consents<'_> {
    /// Resolves the references of an object, as far as no call is needed.
    pub fn lineage(&self, entry: Entry, namespace: &str, spec: &Value) -> Result<Lineage> {
        let lineage = self.walk(entry, namespace, spec, 0)?;
        if entry.reaches_others {
            self.act_on_instance(&lineage.instance, namespace)?;
        }
        for reference in entry.references.iter().filter(|r| r.role != Role::Parent) {
            match reference.read(spec, namespace)? {
                Some(Referent::Object(key)) => {
                    self.referred(entry, namespace, reference, &key)?;
                }
                Some(Referent::Id(_)) if reference.by_id == ById::InstanceScope => {
                    self.act_on_instance(&lineage.instance, namespace)?;
                }
                Some(Referent::Id(_) | Referent::Name(_)) | None => {}
            }
        }
        for reference in entry.reference_lists {
            for key in reference.read_all(spec, namespace)? {
                self.referred(entry, namespace, reference, &key)?;
            }
        }
        Ok(lineage)
    }

    fn walk(&self, entry: Entry, namespace: &str, spec: &Value, depth: usize) -> Result<Lineage> {
        if depth > MAX_DEPTH {
            return Err(SpecError::new("", "the references lead in a circle").into());
        }
        match parent_of(entry, namespace, spec)? {
            Some((reference, Referent::Object(key))) => {
                let (parent, kind) = self.referred(entry, namespace, reference, &key)?;
                let above = self.walk(kind, &parent.key.namespace, &parent.spec, depth + 1)?;
                let instance_scope = self.may_act_on_instance(&above.instance, namespace);
                let (instance, parent) = (above.instance, Parent::Object(parent, kind));
                Ok(Lineage { instance, parent, instance_scope })
            }
            Some((reference, Referent::Id(id) | Referent::Name(id))) => {
                let instance = named_instance(self.registry, namespace, spec)?;
                self.act_on_instance(&instance, namespace)?;
                let parent = Parent::Id(reference, id);
                Ok(Lineage { instance, parent, instance_scope: true })
            }
            None => {
                let instance = named_instance(self.registry, namespace, spec)?;
                let instance_scope = self.may_act_on_instance(&instance, namespace);
                // An id may be that of something dead, whose remains are others'.
                let names_id = spec.get("id").is_some_and(|id| !id.is_null());
                if self.registry.root() != Some(entry) || names_id {
                    self.act_on_instance(&instance, namespace)?;
                } else if !instance_scope && !self.may_declare(&instance, namespace) {
                    let purpose = Purpose::DeclareRoot;
                    return Err(missing(instance, "allowedNamespaces", namespace, purpose));
                }
                Ok(Lineage { instance, parent: Parent::Instance, instance_scope })
            }
        }
    }

    /// The object of a reference, if its `allowedNamespaces` let this namespace and kind use it.
    fn referred(
        &self,
        entry: Entry,
        namespace: &str,
        reference: &Reference,
        key: &Key,
    ) -> Result<(Arc<Object>, Entry)> {
        let object = self.host.object(key);
        if key.namespace != namespace {
            // The same words whether it exists or not: names in other namespaces are none of this
            // one's business.
            let purpose = match reference.consent {
                Consent::Implied => Purpose::Refer,
                Consent::Named => Purpose::ReferBy(entry.kind()),
            };
            let spec = object.as_ref().map(|o| &o.spec);
            let is_allowed = spec.is_some_and(|spec| {
                let allowed = namespaces(spec, "allowedNamespaces");
                self.allows(allowed.as_ref(), &key.namespace, namespace)
                    && covers_kind(spec, entry.kind(), reference.consent)
            });
            if !is_allowed {
                return Err(missing(key.clone(), "allowedNamespaces", namespace, purpose));
            }
        }
        let object = object.ok_or_else(|| Error::Waiting(Waiting::Missing(key.clone())))?;
        let kind = self.registry.find(key.kind).ok_or_else(|| {
            Error::Spec(SpecError::new(reference.field, format!("there is no kind {}", key.kind)))
        })?;
        Ok((object, kind))
    }

    fn allows(&self, allowed: Option<&Namespaces>, own: &str, namespace: &str) -> bool {
        Namespaces::allow(allowed, own, namespace, || self.host.namespace_labels(namespace))
    }

    /// Whether a namespace may declare what is at the root of places.
    pub fn may_declare(&self, instance: &Key, namespace: &str) -> bool {
        let object = self.host.object(instance);
        let allowed = object.and_then(|o| namespaces(&o.spec, "allowedNamespaces"));
        self.allows(allowed.as_ref(), &instance.namespace, namespace)
    }

    /// Whether a namespace may act on the instance itself.
    pub fn may_act_on_instance(&self, instance: &Key, namespace: &str) -> bool {
        let object = self.host.object(instance);
        let scope = object.and_then(|o| namespaces(&o.spec, "instanceScope"));
        self.allows(scope.as_ref(), &instance.namespace, namespace)
    }

    /// The same, or the consent that is missing.
    pub(super) fn act_on_instance(&self, instance: &Key, namespace: &str) -> Result<()> {
        if self.may_act_on_instance(instance, namespace) {
            return Ok(());
        }
        let purpose = Purpose::ActOnInstance;
        Err(missing(instance.clone(), "instanceScope", namespace, purpose))
    }

    /// The Instance object that an object belongs to, as far as its references tell, with or
    /// without consent.
    pub fn instance_of(&self, entry: Entry, namespace: &str, spec: &Value) -> Option<Key> {
        let (mut entry, mut namespace, mut spec) = (entry, namespace.to_owned(), spec.clone());
        for _ in 0..MAX_DEPTH {
            match parent_of(entry, &namespace, &spec).ok()? {
                Some((_, Referent::Object(key))) => {
                    let parent = self.host.object(&key)?;
                    entry = self.registry.find(key.kind)?;
                    (namespace, spec) = (parent.key.namespace.clone(), parent.spec.clone());
                }
                _ => return named_instance(self.registry, &namespace, &spec).ok(),
            }
        }
        None
    }

    /// The objects that an object refers to, directly and over its parents: it is woken when they
    /// change.
    pub fn references(&self, object: &Object) -> Vec<Key> {
        let Some(entry) = self.registry.find(object.key.kind) else { return Vec::new() };
        if entry.is_connection() {
            return Vec::new();
        }
        let (namespace, spec) = (&object.key.namespace, &object.spec);
        let mut found: Vec<Key> = self.instance_of(entry, namespace, spec).into_iter().collect();
        let (mut entry, mut namespace, mut spec) = (entry, namespace.clone(), spec.clone());
        for _ in 0..MAX_DEPTH {
            let referents = entry.references.iter();
            let read = referents.filter_map(|r| r.read(&spec, &namespace).ok().flatten());
            found.extend(read.filter_map(|referent| match referent {
                Referent::Object(key) => Some(key),
                Referent::Id(_) | Referent::Name(_) => None,
            }));
            let lists = entry.reference_lists.iter();
            found.extend(lists.filter_map(|r| r.read_all(&spec, &namespace).ok()).flatten());
            let Ok(Some((_, Referent::Object(key)))) = parent_of(entry, &namespace, &spec) else {
                break;
            };
            let (Some(parent), Some(kind)) = (self.host.object(&key), self.registry.find(key.kind))
            else {
                break;
            };
            entry = kind;
            (namespace, spec) = (parent.key.namespace.clone(), parent.spec.clone());
        }
        found
    }

    /// Whether an object needs this Instance: the one through which it was bound, or that it may
    /// use.
    pub fn needs(&self, object: &Object, instance: &Key) -> bool {
        self.needed_instance(object).as_ref() == Some(instance)
    }

    /// Whether what an object refers to has to wait for it. Anybody can write a name: what is
    /// allowed nothing holds up nobody.
    pub fn has_standing(&self, object: &Object) -> bool {
        self.needed_instance(object).is_some()
    }

    /// The Instance that an object needs for its deletion. Without consent it makes no call.
    fn needed_instance(&self, object: &Object) -> Option<Key> {
        let entry = self.registry.find(object.key.kind)?;
        let status = &object.status;
        if let (Some(bound), Some(_)) = (&status.instance, status.provenance) {
            let instance = Key {
                kind: self.registry.connection().description().kind,
                namespace: bound.namespace.clone(),
                name: bound.name.clone(),
            };
            let withdrawn = self.withdrawn(entry, object, &binding::place(status), &instance);
            return withdrawn.is_none().then_some(instance);
        }
        let lineage = self.lineage(entry, &object.key.namespace, &object.spec);
        lineage.ok().map(|lineage| lineage.instance)
    }

    /// The consent that an object lacks by now which was bound through an Instance. Where what it
    /// is in is not declared any more, nobody lends it: its namespace needs the consent of the
    /// Instance itself.
    pub(super) fn withdrawn(
        &self,
        entry: Entry,
        object: &Object,
        place: &Place,
        instance: &Key,
    ) -> Option<NoConsent> {
        let namespace = &object.key.namespace;
        match self.lineage(entry, namespace, &object.spec) {
            Ok(lineage) if lineage.instance == *instance => return None,
            Err(Error::NoConsent(consent)) if self.host.object(&consent.giver).is_some() => {
                return Some(*consent);
            }
            // It leads nowhere by now, or elsewhere, or can't be read.
            Ok(_) | Err(_) => {}
        }
        let is_instance_wide = place.organization.is_none() && self.registry.root() != Some(entry);
        let may_act = self.may_act_on_instance(instance, namespace);
        let may = may_act || (!is_instance_wide && self.may_declare(instance, namespace));
        let (field, purpose) = if is_instance_wide {
            ("instanceScope", Purpose::ActOnInstance)
        } else {
            ("allowedNamespaces", Purpose::DeclareRoot)
        };
        let (giver, namespace) = (instance.clone(), namespace.clone());
        (!may).then_some(NoConsent { giver, field, namespace, purpose })
    }

    /// What claims through an Instance count among: the Instance itself, or the first of those that
    /// are peers of each other, and of their peers.
    pub fn domain(&self, instance: &Key) -> Key {
        let (mut known, mut next) = (BTreeSet::from([instance.clone()]), vec![instance.clone()]);
        while let Some(of) = next.pop() {
            for peer in self.peers(&of) {
                let is_mutual = self.peers(&peer).contains(&of);
                if is_mutual && known.insert(peer.clone()) {
                    next.push(peer);
                }
            }
        }
        known.pop_first().unwrap_or_else(|| instance.clone())
    }

    fn peers(&self, instance: &Key) -> Vec<Key> {
        let named = self.host.object(instance).and_then(|o| o.spec.get("peers").cloned());
        let peers: Vec<ObjectReference> =
            named.and_then(|named| serde_json::from_value(named).ok()).unwrap_or_default();
        peers.iter().map(|r| instance_key(self.registry, &instance.namespace, Some(r))).collect()
    }
}

/// The object that an object is in, as its spec says. Of what is in the instance itself, or in what no
/// object declares, it is the Instance; of an Instance there is none.
pub fn parent(registry: &'static Registry, object: &Object) -> Option<Key> {
    let (entry, namespace) = (registry.find(object.key.kind)?, &object.key.namespace);
    if entry.is_connection() {
        return None;
    }
    match parent_of(entry, namespace, &object.spec).ok()? {
        Some((_, Referent::Object(key))) => Some(key),
        _ => named_instance(registry, namespace, &object.spec).ok(),
    }
}

/// The Instance that a spec names, or the default one.
fn named_instance(registry: &'static Registry, namespace: &str, spec: &Value) -> Result<Key> {
    let named = match spec.get("instanceRef").filter(|v| !v.is_null()) {
        Some(value) => Some(
            serde_json::from_value::<ObjectReference>(value.clone())
                .map_err(|e| SpecError::new("instanceRef", e.to_string()))?,
        ),
        None => None,
    };
    Ok(instance_key(registry, namespace, named.as_ref()))
}

fn instance_key(registry: &'static Registry, namespace: &str, r: Option<&ObjectReference>) -> Key {
    let (name, other) = r.map_or(("default", None), |r| (r.name.as_str(), r.namespace.as_deref()));
    Key {
        kind: registry.connection().description().kind,
        namespace: other.unwrap_or(namespace).to_owned(),
        name: name.to_owned(),
    }
}

/// The objects that the spec of an object itself names, what it is in included.
pub fn named(registry: &'static Registry, object: &Object) -> Vec<Key> {
    let Some(entry) = registry.find(object.key.kind) else { return Vec::new() };
    let (namespace, spec) = (&object.key.namespace, &object.spec);
    let read = entry.references.iter().filter_map(|r| r.read(spec, namespace).ok().flatten());
    let direct = read.filter_map(|referent| match referent {
        Referent::Object(key) => Some(key),
        Referent::Id(_) | Referent::Name(_) => None,
    });
    let lists = entry.reference_lists.iter().filter_map(|r| r.read_all(spec, namespace).ok());
    let mut found: Vec<Key> = parent(registry, object).into_iter().collect();
    for key in direct.chain(lists.flatten()) {
        if !found.contains(&key) {
            found.push(key);
        }
    }
    found
}

/// What a spec says that it is in: at most one of its parent references is set.
fn parent_of(
    entry: Entry,
    namespace: &str,
    spec: &Value,
) -> Result<Option<(&'static Reference, Referent)>, SpecError> {
    let mut found: Option<(&'static Reference, Referent)> = None;
    for reference in entry.parents() {
        if let Some(referent) = reference.read(spec, namespace)? {
            if let Some((first, _)) = &found {
                return Err(SpecError::exclusive(first.field, reference.field));
            }
            found = Some((reference, referent));
        }
    }
    Ok(found)
}

/// Which namespaces a field of a spec allows. Read by itself: a consent counts however wrong the
/// rest is, and one that can't be read is none.
fn namespaces(spec: &Value, field: &str) -> Option<Namespaces> {
    serde_json::from_value(spec.get(field)?.clone()).ok()
}

/// Whether the consent of an object covers a kind.
fn covers_kind(spec: &Value, kind: &str, consent: Consent) -> bool {
    match spec.pointer("/allowedNamespaces/kinds").filter(|v| !v.is_null()) {
        None => consent == Consent::Implied,
        Some(kinds) => kinds.as_array().is_some_and(|all| all.iter().any(|k| k == kind)),
    }
}

fn missing(giver: Key, field: &'static str, namespace: &str, purpose: Purpose) -> Error {
    NoConsent { giver, field, namespace: namespace.to_owned(), purpose }.into()
}
