//! From one instance of a resource to the thing of ZITADEL that it stands for. Pure.

use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::{resource::Resource, resources, state::Instance};
use crate::contract::{
    Entry, Fields, IdSource, Inputs, Place, Registry, Remote, Role, SecretInput, Subject,
    fields::below,
    secret::{Values, declared},
};

/// An instance, and what it is.
pub(super) struct Found<'a> {
    /// The instance.
    pub(super) instance: &'a Instance,
    /// How its type is described.
    pub(super) resource: &'static Resource,
    /// Its kind.
    pub(super) entry: Entry,
    /// Its attributes, those of its block among them.
    attributes: Map<String, Value>,
}

/// Why an instance is nothing here.
pub(super) enum Unfit {
    /// Its type has no kind.
    NoKind,
    /// Something else.
    Because(String),
}

impl<'a> Found<'a> {
    /// What an instance is.
    pub(super) fn of(registry: &Registry, instance: &'a Instance) -> Result<Self, Unfit> {
        if resources::of(&instance.resource).next().is_none() {
            return Err(Unfit::NoKind);
        }
        let block = |resource: &Resource| match resource.block {
            None => Some(None),
            Some(name) => instance.attributes.get(name)?.get(0)?.as_object().map(Some),
        };
        let fitting = resources::of(&instance.resource).find_map(|r| Some((r, block(r)?)));
        let because = |why: &str| Err(Unfit::Because(why.to_owned()));
        let Some((resource, block)) = fitting else {
            return because("the state does not say which kind it is");
        };
        let Some(entry) = registry.find(resource.kind) else { return Err(Unfit::NoKind) };
        let mut attributes = instance.attributes.clone();
        attributes.extend(block.into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
        let found = Self { instance, resource, entry, attributes };
        match resource.except.filter(|attribute| found.text(attribute).is_some()) {
            Some(attribute) => because(&format!("with {attribute} it has no counterpart")),
            None => Ok(found),
        }
    }

    /// An attribute that says something.
    pub(super) fn text(&self, attribute: &str) -> Option<&str> {
        let text = self.attributes.get(attribute)?.as_str();
        text.filter(|text| !text.is_empty())
    }

    /// The thing at the place of what it is in, to which it refers so.
    pub(super) fn thing(
        &self,
        mut place: Place,
        parent: Option<(&'static str, Value)>,
    ) -> Result<Remote, String> {
        let (mut spec, mut inputs) = (Map::new(), Inputs::default());
        for field in self.resource.fields {
            let value = self.attributes.get(field.attribute).and_then(field.value);
            let (path, Some(value)) = (field.path(), value) else { continue };
            let referred = self.entry.references.iter();
            let mut referred = referred.filter(|r| r.role != Role::Parent && r.id_field == path);
            match (referred.next(), &value) {
                (Some(reference), Value::String(id)) => inputs.insert(reference.field, id.clone()),
                _ => {
                    spec.insert(path, value);
                }
            }
        }
        if let Some(entry) = self.resource.entry {
            let key = self.text(entry.key);
            let key = key.ok_or_else(|| format!("the state does not say its {}", entry.key))?;
            let value = (entry.of)(self.text(entry.value).unwrap_or_default());
            spec.insert(below(entry.map, key), value.into());
        }
        // One that only names what it connects is nothing without that.
        let mut required = self.entry.references.iter();
        let required =
            required.find(|r| r.role != Role::Parent && r.required && inputs.id(r.field).is_none());
        if let Some(reference) = required {
            return Err(format!("the state does not say its {}", reference.id_field));
        }
        spec.extend(parent.map(|(field, value)| (field.to_owned(), value)));
        if self.is_key() {
            // What it is called shows when everything has its name.
            spec.insert("secret.name".into(), "secret".into());
        }
        let spec = Fields::from_map(spec).to::<Value>().map_err(|e| e.to_string())?;
        let state = self.entry.desired(&spec, "", &inputs).map_err(|e| e.to_string())?;
        place = self.entry.place_below(place, &spec);
        let subject = self.subject(&state)?;
        // What is addressed below something else is so by its id.
        for below in self.entry.references.iter().filter(|r| r.role == Role::Below) {
            place = place.below(state.text(below.id_field).unwrap_or_default());
        }
        Ok(Remote { subject, place, state, reported: Fields::default(), own: true, version: None })
    }

    fn subject(&self, state: &Fields) -> Result<Subject, String> {
        let Some(entity) = self.entry.as_entity() else { return Ok(Subject::Setting) };
        let id = match entity.id {
            IdSource::Key => entity.natural_key.of(state),
            IdSource::Chosen | IdSource::Server => self.text("id").map(ToOwned::to_owned),
        };
        let id = id.filter(|id| !id.is_empty()).ok_or("the state does not say its id")?;
        Ok(Subject::Entity(id))
    }

    /// Whether it is nothing but a secret.
    pub(super) fn is_key(&self) -> bool {
        self.entry.as_entity().is_some_and(crate::contract::EntityDescription::is_key)
    }

    /// The attributes that say something, and that nothing here stands for.
    pub(super) fn lacking(&self) -> impl Iterator<Item = &str> {
        let says = |value: &Value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(list) => !list.is_empty(),
            Value::Object(map) => !map.is_empty(),
            Value::Bool(true) | Value::Number(_) => true,
        };
        let lacking = self.attributes.iter();
        let lacking =
            lacking.filter(move |(name, value)| says(value) && !self.resource.knows(name));
        lacking.map(|(name, _)| name.as_str())
    }

    /// What ZITADEL got that nobody can read back: the field, and the value that the state holds.
    pub(super) fn input(&self) -> Option<(&'static SecretInput, SecretString)> {
        let (attribute, field) = self.resource.input?;
        let input = self.entry.inputs.iter().find(|input| input.field == field)?;
        Some((input, self.text(attribute)?.into()))
    }

    /// Whether the state holds its secret.
    pub(super) fn has_secret(&self) -> bool {
        self.resource.secret.is_some_and(|secret| self.text(secret.attribute).is_some())
    }

    /// What its Secret holds: the keys that the kind has by default, as far as the state says.
    pub(super) fn secret(&self, name: &str) -> Vec<(String, SecretString)> {
        let (Some(secret), Some(issues)) =
            (self.resource.secret, self.entry.as_entity().and_then(|entity| entity.issues))
        else {
            return Vec::new();
        };
        let text = |attribute: &str| self.text(attribute).map(SecretString::from);
        let of_its_own =
            secret.values.iter().filter_map(|(attribute, value)| Some((*value, text(attribute)?)));
        let value = text(secret.attribute).map(|text| (issues.value, text));
        let values: Values = of_its_own.chain(value).collect();
        let declared = declared(issues, &json!({"secret": {"name": name}}));
        let templates = declared.ok().flatten().map(|declared| declared.templates);
        let rendered = templates.into_iter().flatten();
        rendered.filter_map(|(key, template)| Some((key, template.render(&values)?))).collect()
    }
}
