//! From things of ZITADEL to manifests that refer to each other: their names, and what is in what.
//! Pure.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::{
    Result,
    manifest::{Exported, Home},
    names::{Names, kebab},
};
use crate::contract::{Entry, Fields, NaturalKey, Place, Reference, Registry, Remote, Role};

/// Names of objects, by the kind and the id of what they declare.
type ByKindAndId = HashMap<(&'static str, String), String>;

/// Manifests, as they come to be. What others are in or refer to comes before them.
pub(crate) struct Assembly {
    registry: &'static Registry,
    /// Namespace that is written into the manifests.
    namespace: Option<String>,
    /// What is found by its name, as its id is another one elsewhere.
    without_id: Option<String>,
    objects: Vec<Exported>,
    names: Names,
    /// The places that things make, and how what is there refers to them.
    homes: BTreeMap<Place, Home>,
    /// The names of what is exported, by kind and id.
    exported: ByKindAndId,
}

impl Assembly {
    /// Nothing but the instance itself.
    pub(crate) fn new(registry: &'static Registry, namespace: Option<String>) -> Self {
        Self {
            registry,
            namespace,
            without_id: None,
            objects: Vec::new(),
            names: Names::default(),
            homes: [(Place::instance(), Home::instance())].into(),
            exported: ByKindAndId::new(),
        }
    }

    /// What has this id is written without it.
    pub(crate) fn omit_id(&mut self, id: &str) {
        self.without_id = Some(id.to_owned());
    }

    /// The manifests, in a stable order.
    pub(crate) fn end(mut self) -> Vec<Exported> {
        self.objects.sort_by(|a, b| a.path.cmp(&b.path));
        self.objects
    }

    /// The places that there are.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        self.homes.keys()
    }

    /// Whether what makes this place was added.
    pub(crate) fn has_home(&self, place: &Place) -> bool {
        self.homes.contains_key(place)
    }

    /// The kind of what makes a place.
    pub(crate) fn kind_of(&self, place: &Place) -> Option<&'static str> {
        self.homes.get(place).map(|home| home.kind)
    }

    /// How what is at a place refers to what makes it; `None`: it is the instance itself.
    pub(crate) fn reference_to(&self, place: &Place) -> Option<(&'static str, Value)> {
        self.homes.get(place).and_then(|home| home.reference.clone())
    }

    /// The name of the Secret of a thing that is added.
    pub(crate) fn secret_name(&mut self, entry: Entry, remote: &Remote) -> Option<String> {
        let home = self.homes.get(&home_of(entry, &remote.place)).cloned()?;
        let (name, id) = (self.name(entry, remote, &home)?, remote.id()?);
        Some(self.names.unique("Secret", Some(&name), &kebab(entry.kind()), id))
    }

    /// Adds a thing, and the place that it makes; its manifest only if that is wanted.
    pub(crate) fn add(&mut self, entry: Entry, remote: &Remote, is_wanted: bool) -> Result<()> {
        let Some(home) = self.homes.get(&home_of(entry, &remote.place)).cloned() else {
            return Ok(());
        };
        let (Some(id), Some(name)) = (remote.id(), self.name(entry, remote, &home)) else {
            // A policy that is inherited is not the organization's own.
            if remote.own && is_wanted {
                let remote = self.referring(entry, remote);
                let namespace = self.namespace.as_deref();
                self.objects.push(Exported::setting(entry, &remote, &home, namespace)?);
            }
            return Ok(());
        };
        let parent =
            self.registry.all().flat_map(|e| e.parents()).find(|r| r.kinds.contains(&entry.kind()));
        if let Some(reference) = parent {
            let place = self.registry.place_below(entry, &remote.place, id);
            let home = home.below(entry.kind(), reference, &name, id, is_wanted);
            self.homes.insert(place, home);
        }
        if is_wanted {
            self.exported.insert((entry.kind(), id.to_owned()), name.clone());
            let id = Some(id).filter(|id| self.without_id.as_deref() != Some(*id));
            let remote = self.referring(entry, remote);
            let namespace = self.namespace.as_deref();
            let is_root = self.registry.root() == Some(entry);
            let object = Exported::entity(entry, &remote, id, &name, &home, is_root, namespace)?;
            self.objects.push(object);
        }
        Ok(())
    }

    /// The name of an entity's object. Of one that nobody has named the id has to do.
    fn name(&mut self, entry: Entry, remote: &Remote, home: &Home) -> Option<String> {
        let natural = self.natural_name(entry, entry.as_entity()?.natural_key, remote);
        Some(self.names.unique(entry.kind(), home.label(), &natural, remote.id()?))
    }

    /// By what people know a thing; of what connects others, by what they know those.
    fn natural_name(&self, entry: Entry, natural_key: NaturalKey, remote: &Remote) -> String {
        let parts = natural_key.fields().iter().filter_map(|field| {
            let text = remote.state.text(field)?;
            let referred = self.exported_name(entry, field, text);
            Some(referred.map_or(text, |(_, _, name)| name))
        });
        parts.collect::<Vec<_>>().join(" ")
    }

    /// The object of what has this id, by the reference that could give it: its kind and its name.
    fn exported_name(
        &self,
        entry: Entry,
        id_field: &str,
        id: &str,
    ) -> Option<(&Reference, &'static str, &str)> {
        let reference = entry.references.iter().find(|r| r.id_field == id_field)?;
        self.name_of(reference, id).map(|(kind, name)| (reference, kind, name))
    }

    /// The kind and the name of the object of what has this id and can be referred to so.
    pub(crate) fn name_of(&self, reference: &Reference, id: &str) -> Option<(&'static str, &str)> {
        let named = |kind: &&'static str| {
            Some((*kind, self.exported.get(&(*kind, id.to_owned()))?.as_str()))
        };
        reference.kinds.iter().find_map(named)
    }

    /// The same, with references to what is exported in place of its ids.
    fn referring(&self, entry: Entry, remote: &Remote) -> Remote {
        let mut fields: Map<String, Value> = Map::new();
        for (field, value) in &remote.state {
            let referred = value.as_str().and_then(|id| self.exported_name(entry, field, id));
            let Some((reference, kind, name)) = referred else {
                fields.insert(field.clone(), value.clone());
                continue;
            };
            fields.insert(format!("{}.name", reference.field), name.into());
            // The first kind is meant where none is named.
            if reference.kinds.first() != Some(&kind) {
                fields.insert(format!("{}.kind", reference.field), kind.into());
            }
        }
        for reference in entry.reference_lists {
            let Some(Value::Array(ids)) = fields.remove(reference.id_field) else { continue };
            let name = |id: &Value| self.name_of(reference, id.as_str()?).map(|(_, name)| name);
            let named = ids.iter().filter_map(name).map(|name| json!({"name": name}));
            let named: Vec<Value> = named.collect();
            let others: Vec<Value> = ids.iter().filter(|id| name(id).is_none()).cloned().collect();
            // That there is none is said once.
            if !others.is_empty() || named.is_empty() {
                fields.insert(reference.id_field.to_owned(), others.into());
            }
            if !named.is_empty() {
                fields.insert(reference.field.to_owned(), named.into());
            }
        }
        Remote { state: Fields::from_map(fields), ..remote.clone() }
    }
}

/// The place of what something is in: what it is only addressed below is not that.
pub(crate) fn home_of(entry: Entry, place: &Place) -> Place {
    let below = entry.references.iter().filter(|r| r.role == Role::Below).count();
    let below = below + entry.keyed_by.len();
    let mut place = place.clone();
    place.parents.truncate(place.parents.len().saturating_sub(below));
    place
}
