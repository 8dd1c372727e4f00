//! A state of terraform's provider `zitadel/zitadel` as manifests. Asks nobody: what the state says
//! is taken for true, and the plan of what comes of it shows whether it is.

mod resources;
mod state;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::{
    ExportError, Exported, Selection,
    manifest::{self, place_of_setting},
    names::{INSTANCE, Names, kebab},
};
use crate::{
    contract::{
        EntityDescription, Entry, Fields, IdSource, Inputs, Registry, Role, reference::ById,
    },
    engine::host::OutputSecret,
};
use resources::{REFERENCES, RESOURCES, Resource, TOLD_BY_ZITADEL};
use state::Instance;

/// What a state comes to.
#[derive(Debug, Default)]
pub struct FromTerraform {
    /// Manifests, in a stable order.
    pub objects: Vec<Exported>,
    /// Secrets that the state holds.
    pub secrets: Vec<OutputSecret>,
    /// Addresses of resources that have no kind here.
    pub without_kind: Vec<String>,
    /// What there is to say besides.
    pub notes: BTreeSet<String>,
}

/// Reads a state as `terraform state pull` prints it, or `terraform show -json`. `keeps_secrets`:
/// whether there is a place for the secrets that it holds.
pub fn from_terraform(
    registry: &'static Registry,
    text: &str,
    selection: &Selection,
    keeps_secrets: bool,
) -> Result<FromTerraform, ExportError> {
    let instances = state::read(text).map_err(ExportError::State)?;
    let mut found = FromTerraform::default();
    let mut things = Vec::new();
    for instance in instances {
        let known = RESOURCES.iter().find(|r| r.terraform == instance.resource);
        match known.and_then(|resource| Some((resource, registry.find(resource.kind)?))) {
            Some((resource, entry)) if selection.has(entry) => {
                things.push(Thing { resource, entry, instance });
            }
            Some(_) => {}
            None => found.without_kind.push(instance.address),
        }
    }
    // What others refer to has its name first.
    let order = |thing: &Thing| registry.all().position(|entry| entry == thing.entry);
    things.sort_by_key(|thing| (order(thing), thing.instance.address.clone()));
    let mut writer = Writer {
        registry,
        selection,
        keeps_secrets,
        found,
        names: Names::default(),
        objects: HashMap::new(),
    };
    for thing in &things {
        writer.thing(thing)?;
    }
    let mut found = writer.found;
    found.objects.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

struct Thing {
    resource: &'static Resource,
    entry: Entry,
    instance: Instance,
}

impl Thing {
    fn text(&self, attribute: &str) -> Option<&str> {
        let text = self.instance.attributes.get(attribute)?.as_str()?;
        Some(text).filter(|text| !text.is_empty())
    }

    /// By what people know it, or terraform does.
    fn name(&self) -> &str {
        self.text(self.resource.named_by).unwrap_or(&self.instance.name)
    }
}

/// Why something can't be declared.
struct LeftOut(String);

/// Where an object is, once it has a name.
#[derive(Clone)]
struct Placed {
    name: String,
    /// The name of its organization's object.
    organization: Option<String>,
}

struct Writer<'a> {
    registry: &'static Registry,
    selection: &'a Selection,
    keeps_secrets: bool,
    found: FromTerraform,
    names: Names,
    /// By kind and id.
    objects: HashMap<(&'static str, String), Placed>,
}

impl Writer<'_> {
    fn thing(&mut self, thing: &Thing) -> Result<(), ExportError> {
        let Thing { entry, instance, .. } = thing;
        let entity = entry.as_entity();
        let mut spec = Map::new();
        let home = match self.refer(thing, &mut spec) {
            Ok(home) => home,
            Err(LeftOut(why)) => {
                self.found.notes.insert(format!("{} is left out: {why}", instance.address));
                return Ok(());
            }
        };
        self.fill(thing, &mut spec);
        let id = thing.text("id").unwrap_or_default();
        let has_id = entity.is_some_and(|e| e.id == IdSource::Chosen || e.is_key());
        if has_id && !id.is_empty() {
            spec.insert("id".into(), id.into());
        }
        let is_root = self.registry.root() == Some(*entry);
        let name = if entity.is_some() {
            let label = home.as_ref().map(|home| home.name.as_str()).filter(|_| !is_root);
            self.names.unique(entry.kind(), label, thing.name(), &instance.address)
        } else {
            home.as_ref().map_or_else(|| INSTANCE.to_owned(), |home| home.name.clone())
        };
        let organization = home.and_then(|home| home.organization);
        let organization = if is_root { Some(name.clone()) } else { organization };
        self.keep_secrets(thing, &name, &mut spec);
        let path = if entity.is_some() {
            manifest::place_of_entity(*entry, &name, organization.as_deref().filter(|_| !is_root))
        } else {
            place_of_setting(*entry, organization.as_deref())
        };
        let yaml = manifest::yaml(*entry, &name, spec, self.selection)?;
        self.found.objects.push(Exported { path, yaml });
        self.objects.insert((entry.kind(), id.to_owned()), Placed { name, organization });
        Ok(())
    }

    /// Writes what it refers to. Gives what it is in, if that is in the state.
    fn refer(
        &mut self,
        thing: &Thing,
        spec: &mut Map<String, Value>,
    ) -> Result<Option<Placed>, LeftOut> {
        let entry = thing.entry;
        let mut home = None;
        let mut parent = None;
        for (attribute, field) in REFERENCES {
            let reference = entry.references.iter().find(|r| r.field == field);
            let (Some(reference), Some(id)) = (reference, thing.text(attribute)) else { continue };
            let found = reference
                .kinds
                .iter()
                .find_map(|kind| Some((*kind, self.objects.get(&(*kind, id.to_owned()))?.clone())));
            let said = match &found {
                // Several kinds are told apart by their names.
                Some((kind, placed)) if reference.kinds.len() > 1 => {
                    (field, json!({"kind": kind, "name": placed.name}))
                }
                Some((_, placed)) => (field, json!({"name": placed.name})),
                None if reference.id_field.is_empty() => {
                    return Err(LeftOut(format!("its {attribute} {id} is not in the state")));
                }
                None => (reference.id_field, id.into()),
            };
            if found.is_none() && reference.by_id == ById::InstanceScope {
                self.found.notes.insert(format!(
                    "{} names what is not in the state: that needs the Instance's instanceScope",
                    reference.id_field
                ));
            }
            if reference.role == Role::Parent {
                // The innermost one tells all of it.
                if let Some(outer) = parent.replace(said.0) {
                    spec.remove(outer);
                }
                home = found.map(|(_, placed)| placed);
            }
            spec.insert(said.0.to_owned(), said.1);
        }
        let is_required = entry.parents().any(|reference| reference.required);
        if parent.is_none() && is_required {
            let why =
                "the state does not say in which organization it is: set org_id and refresh it";
            return Err(LeftOut(why.into()));
        }
        Ok(home)
    }

    /// Writes the fields, in the words of a spec.
    fn fill(&mut self, thing: &Thing, spec: &mut Map<String, Value>) {
        let Thing { resource, entry, instance } = thing;
        let mut given = spec.clone();
        let refers = |attribute: &str| REFERENCES.iter().any(|(of, _)| *of == attribute);
        let is_secret = |attribute: &str| resource.secrets.iter().any(|(of, _)| *of == attribute);
        let mut fields = BTreeMap::new();
        for (attribute, value) in &instance.attributes {
            let says_nothing = TOLD_BY_ZITADEL.contains(&attribute.as_str());
            if value.is_null() || refers(attribute) || is_secret(attribute) || says_nothing {
                continue;
            }
            if !is_plain(value) {
                self.not_carried_over(resource, attribute);
                continue;
            }
            let field = resource.fields.iter().find(|(of, _)| *of == attribute.as_str());
            let field = field.map_or_else(|| camel(attribute), |(_, field)| (*field).to_owned());
            fields.insert(attribute, (field.clone(), value));
            manifest::insert(&mut given, &field, value.clone());
        }
        // A spec of a key is none without it; its name comes later.
        if entry.as_entity().is_some_and(EntityDescription::is_key) {
            manifest::insert(&mut given, "secret", json!({"name": "secret"}));
        }
        // The words of ZITADEL are those of its answers too, which every kind can read.
        let desired = entry.desired(&Value::Object(given), thing.name(), &Inputs::default());
        let desired = desired.unwrap_or_else(|e| {
            self.found.notes.insert(format!("{}: {e}", instance.address));
            Fields::default()
        });
        for (path, value) in &desired {
            manifest::insert(spec, path, value.clone());
        }
        let has = |field: &str| {
            let below = format!("{field}.");
            desired.iter().any(|(path, _)| *path == *field || path.starts_with(&below))
        };
        for (attribute, (field, value)) in fields {
            let is_nothing = [json!([]), json!(""), json!(false)].contains(value);
            if !has(&field) && !is_nothing {
                self.not_carried_over(resource, attribute);
            }
        }
    }

    fn not_carried_over(&mut self, resource: &Resource, attribute: &str) {
        let note = format!("{}: {attribute} is not carried over", resource.terraform);
        self.found.notes.insert(note);
    }

    /// Declares the Secret, and keeps what the state holds for it.
    fn keep_secrets(&mut self, thing: &Thing, name: &str, spec: &mut Map<String, Value>) {
        let secrets = thing.resource.secrets;
        let held = secrets.iter().filter_map(|(attribute, key)| {
            Some(((*key).to_owned(), SecretString::from(thing.text(attribute)?)))
        });
        let data: BTreeMap<String, SecretString> = held.collect();
        let is_key = thing.entry.as_entity().is_some_and(EntityDescription::is_key);
        // A client id alone is no secret.
        let is_whole = !secrets.is_empty() && data.len() == secrets.len();
        if !is_whole && !is_key {
            return;
        }
        let name = format!("{name}-{}", kebab(thing.entry.kind()));
        if is_key || self.keeps_secrets {
            spec.insert("secret".into(), json!({"name": name}));
        }
        match (is_whole, self.keeps_secrets) {
            (true, true) => {
                let secret = OutputSecret { name, data, is_own: true, ..OutputSecret::default() };
                self.found.secrets.push(secret);
            }
            (true, false) => {
                self.found.notes.insert(
                    "the state holds secrets, which are left out: say where they go by --secrets-to"
                        .into(),
                );
            }
            (false, _) => {}
        }
    }
}

/// Whether a value has the form of a field: blocks of terraform do not.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.iter().all(|item| !item.is_array() && !item.is_object()),
        value => !value.is_object(),
    }
}

/// `project_role_check` as a field: `projectRoleCheck`.
fn camel(attribute: &str) -> String {
    let mut words = attribute.split('_');
    let mut field = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        field.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        field.push_str(letters.as_str());
    }
    field
}
