//! From what is in ZITADEL to the manifest that declares it. Pure.

use serde_json::{Map, Value};

use super::{
    Selection,
    names::{INSTANCE, kebab},
};
use crate::{
    api,
    engine::{
        error::{Error, Result},
        kind::{Entry, Remote},
    },
};

/// A manifest, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Path of its file, below the folder.
    pub path: String,
    /// The manifest.
    pub yaml: String,
}

/// The organization that something is in.
#[derive(Debug, Clone)]
pub(super) struct Home {
    /// Name of its object, and of its folder.
    label: String,
    /// How what is in it refers to it; `None` for the organization itself.
    reference: Option<(&'static str, Value)>,
}

impl Home {
    /// Of an Organization.
    pub(super) fn itself(label: &str) -> Self {
        Self { label: label.into(), reference: None }
    }

    /// Of what is in one: by reference, or by `id` where the Organization is not exported.
    pub(super) fn of(label: &str, id: Option<&str>) -> Self {
        let reference = match id {
            Some(id) => ("organizationId", id.into()),
            None => ("organizationRef", serde_json::json!({"name": label})),
        };
        Self { label: label.into(), reference: Some(reference) }
    }
}

impl Exported {
    /// An entity. Without `id` it is found by its name.
    pub(super) fn entity(
        entry: &dyn Entry,
        remote: &Remote,
        id: Option<&str>,
        name: &str,
        home: Option<Home>,
        selection: &Selection,
    ) -> Result<Self> {
        let mut spec = Map::new();
        if let Some(id) = id {
            spec.insert("id".into(), id.into());
        }
        let sets_itself = |field: &str, value: &Value| match value {
            Value::Bool(on) => !on,
            Value::String(text) => {
                text.is_empty() || entry.defaults().contains(&(field, text.as_str()))
            }
            Value::Array(list) => list.is_empty(),
            _ => false,
        };
        let path = match &home {
            Some(Home { label, reference: None }) => {
                format!("organizations/{label}/{}.yaml", kebab(entry.names().kind))
            }
            Some(Home { label, .. }) => {
                let short = name.strip_prefix(&format!("{label}-")).unwrap_or(name);
                format!("organizations/{label}/{}/{short}.yaml", entry.names().plural)
            }
            None => format!("instance/{}/{name}.yaml", entry.names().plural),
        };
        refer(&mut spec, home);
        fill(&mut spec, entry, remote, |field, value| !sets_itself(field, value));
        Ok(Self { path, yaml: yaml(entry, name, spec, selection)? })
    }

    /// A setting of the instance, or an organization's own.
    pub(super) fn setting(
        entry: &dyn Entry,
        remote: &Remote,
        home: Option<Home>,
        selection: &Selection,
    ) -> Result<Self> {
        let mut spec = Map::new();
        let (dir, name) = match &home {
            Some(home) => (format!("organizations/{}", home.label), home.label.clone()),
            None => ("instance".to_owned(), INSTANCE.to_owned()),
        };
        let path = format!("{dir}/{}.yaml", kebab(entry.names().kind));
        refer(&mut spec, home);
        fill(&mut spec, entry, remote, |_, _| true);
        Ok(Self { path, yaml: yaml(entry, &name, spec, selection)? })
    }
}

fn refer(spec: &mut Map<String, Value>, home: Option<Home>) {
    if let Some((field, value)) = home.and_then(|h| h.reference) {
        spec.insert(field.into(), value);
    }
}

/// Adds the fields, nested as a spec has them. Lists whose order means nothing are sorted, so that
/// the same content is the same text.
fn fill(
    spec: &mut Map<String, Value>,
    entry: &dyn Entry,
    remote: &Remote,
    wanted: impl Fn(&str, &Value) -> bool,
) {
    for (path, value) in &remote.state {
        if !wanted(path, value) {
            continue;
        }
        let mut value = value.clone();
        if let (Value::Array(list), true) = (&mut value, entry.sets().contains(&path.as_str())) {
            list.sort_by_key(ToString::to_string);
        }
        let mut steps: Vec<&str> = path.split('.').collect();
        let Some(last) = steps.pop() else { continue };
        let mut at = &mut *spec;
        for step in steps {
            let next = at.entry(step).or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(map) = next else { return };
            at = map;
        }
        at.insert(last.into(), value);
    }
}

fn yaml(
    entry: &dyn Entry,
    name: &str,
    spec: Map<String, Value>,
    selection: &Selection,
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
    let metadata = Metadata { name, namespace: selection.namespace.as_deref() };
    let manifest =
        Manifest { api_version: api::api_version(), kind: entry.names().kind, metadata, spec };
    let mut text = serde_saphyr::to_string(&manifest).map_err(|e| {
        Error::Invalid(format!("{} {name} can't be written as YAML: {e}", entry.names().kind))
    })?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}
