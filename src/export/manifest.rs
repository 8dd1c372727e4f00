//! From what is in ZITADEL to the manifest that declares it. Pure.

use serde_json::{Map, Value, json};

use super::{
    ExportError, Result,
    names::{INSTANCE, kebab},
};
use crate::{
    api,
    contract::{Entry, IdSource, ListOrder, Reference, Remote, fields::insert},
};

/// A manifest, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Path of its file, below the folder.
    pub path: String,
    /// The manifest.
    pub yaml: String,
}

/// What something is in.
#[derive(Debug, Clone)]
pub(super) struct Home {
    /// Kind of what it is in; empty: the instance itself.
    pub(super) kind: &'static str,
    /// Name of the organization's object and folder; `None`: the instance itself.
    organization: Option<String>,
    /// Name of the object of what it is in.
    name: Option<String>,
    /// How what is in it refers to it.
    pub(super) reference: Option<(&'static str, Value)>,
}

impl Home {
    /// The instance itself.
    pub(super) fn instance() -> Self {
        Self { kind: "", organization: None, name: None, reference: None }
    }

    /// Of what is in the thing with this name: by reference, or by `id` where the thing is not
    /// exported.
    pub(super) fn below(
        &self,
        kind: &'static str,
        reference: &'static Reference,
        name: &str,
        id: &str,
        is_exported: bool,
    ) -> Self {
        Self {
            kind,
            organization: Some(self.organization.clone().unwrap_or_else(|| name.to_owned())),
            name: Some(name.to_owned()),
            reference: Some(if is_exported {
                let is_implied = reference.kinds.first() == Some(&kind);
                let object = if is_implied {
                    json!({"name": name})
                } else {
                    json!({"kind": kind, "name": name})
                };
                (reference.field, object)
            } else {
                (reference.id_field, id.into())
            }),
        }
    }

    /// The name of what it is, as a part of the names of what is in it.
    pub(super) fn label(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The same in the folder of the organization, whose name does not need to be said.
    fn short(&self) -> &str {
        let name = self.name.as_deref().unwrap_or_default();
        self.organization.as_deref().map_or(name, |organization| short(organization, name))
    }
}

/// Whether ZITADEL sets this by itself in what it creates, so that it needs no mention.
pub(super) fn sets_itself(entry: Entry, field: &str, value: &Value) -> bool {
    let Some(entity) = entry.as_entity() else { return false };
    match value {
        Value::Bool(on) => !on,
        Value::String(text) => text.is_empty() || entity.defaults.contains(&(field, text.as_str())),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// A name in the folder of an organization.
fn short<'a>(organization: &str, name: &'a str) -> &'a str {
    name.strip_prefix(organization).and_then(|rest| rest.strip_prefix('-')).unwrap_or(name)
}

impl Exported {
    /// An entity. Without `id` it is found by its name. `makes_home`: others are in it, in a folder
    /// of its own.
    pub(super) fn entity(
        entry: Entry,
        remote: &Remote,
        id: Option<&str>,
        name: &str,
        home: &Home,
        makes_home: bool,
        namespace: Option<&str>,
    ) -> Result<Self> {
        let mut spec = Map::new();
        let entity = entry.as_entity();
        // What has a key for its id, or is found by it, is told by that.
        let has_id = entity.is_some_and(|e| e.id == IdSource::Chosen || e.is_key());
        if let Some(id) = id.filter(|_| has_id) {
            spec.insert("id".into(), id.into());
        }
        let path = match &home.organization {
            None if makes_home => format!("organizations/{name}/{}.yaml", kebab(entry.kind())),
            None => format!("instance/{}/{name}.yaml", entry.plural),
            Some(organization) => {
                let short = short(organization, name);
                format!("organizations/{organization}/{}/{short}.yaml", entry.plural)
            }
        };
        refer(&mut spec, home);
        fill(&mut spec, entry, remote, |field, value| !sets_itself(entry, field, value));
        Ok(Self { path, yaml: yaml(entry, name, spec, namespace)? })
    }

    /// A setting of the instance, or an organization's own.
    pub(super) fn setting(
        entry: Entry,
        remote: &Remote,
        home: &Home,
        namespace: Option<&str>,
    ) -> Result<Self> {
        let mut spec = Map::new();
        let (dir, name) = match (&home.organization, &home.name) {
            (Some(organization), Some(name)) => (format!("organizations/{organization}"), &**name),
            _ => ("instance".to_owned(), INSTANCE),
        };
        let keys = entry.keys(&remote.place);
        spec.extend(
            entry.keyed_by.iter().zip(keys).map(|(field, key)| ((*field).into(), json!(key))),
        );
        let keys: Vec<String> = keys.iter().map(|key| kebab(key)).collect();
        let (path, name) = match &keys.join("-")[..] {
            // Of what is in the organization there are many.
            "" if home.organization.as_deref().is_some_and(|organization| organization != name) => {
                (format!("{dir}/{}/{}.yaml", entry.plural, home.short()), name.to_owned())
            }
            "" => (format!("{dir}/{}.yaml", kebab(entry.kind())), name.to_owned()),
            keys => (format!("{dir}/{}/{keys}.yaml", entry.plural), format!("{name}-{keys}")),
        };
        refer(&mut spec, home);
        fill(&mut spec, entry, remote, |_, _| true);
        Ok(Self { path, yaml: yaml(entry, &name, spec, namespace)? })
    }
}

fn refer(spec: &mut Map<String, Value>, home: &Home) {
    if let Some((field, value)) = &home.reference {
        spec.insert((*field).into(), value.clone());
    }
}

/// Adds the fields, nested as a spec has them. Lists whose order means nothing are sorted, so that
/// the same content is the same text.
fn fill(
    spec: &mut Map<String, Value>,
    entry: Entry,
    remote: &Remote,
    wanted: impl Fn(&str, &Value) -> bool,
) {
    let is_set =
        |path: &str| entry.lists.iter().any(|l| l.path == path && l.order == ListOrder::Set);
    for (path, value) in &remote.state {
        // What a file holds is not here to be declared.
        let is_file = entry.files.iter().any(|file| file.field == path);
        if is_file || !wanted(path, value) {
            continue;
        }
        let mut value = value.clone();
        if let (Value::Array(list), true) = (&mut value, is_set(path)) {
            list.sort_by_key(ToString::to_string);
        }
        insert(spec, path, value);
    }
}

fn yaml(
    entry: Entry,
    name: &str,
    spec: Map<String, Value>,
    namespace: Option<&str>,
) -> Result<String> {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Manifest<'a> {
        api_version: String,
        kind: &'a str,
        metadata: Metadata<'a>,
        spec: Map<String, Value>,
    }
    #[derive(serde::Serialize)]
    struct Metadata<'a> {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<&'a str>,
    }
    let metadata = Metadata { name, namespace };
    let manifest = Manifest { api_version: api::api_version(), kind: entry.kind(), metadata, spec };
    let mut text = serde_saphyr::to_string(&manifest).map_err(|e| ExportError::Yaml {
        name: format!("{} {name}", entry.kind()),
        problem: e.to_string(),
    })?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}
