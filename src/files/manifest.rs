//! An object of this API in a file. Pure.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::document::Document;
use crate::{
    api::{instance::InstanceDetails, status::Status},
    contract::{Entry, Key, Object},
    files::finding::{Finding, did_you_mean},
};

/// The namespace of manifests that name none.
pub const NAMESPACE: &str = "default";

/// An object of this API in a file.
#[derive(Clone)]
pub struct Manifest {
    /// Its kind.
    pub entry: Entry,
    /// The object.
    pub object: Arc<Object>,
    /// The document that declares it.
    pub document: Document,
}

impl Manifest {
    /// Reads a document of this kind, and adds what is wrong with it apart from its spec.
    pub(super) fn read(entry: Entry, document: Document, findings: &mut Vec<Finding>) -> Self {
        check_metadata(&document, findings);
        let object = Arc::new(object(entry, &document, findings));
        Self { entry, object, document }
    }

    /// Has the binding and the age of the same object of a cluster, which is in this namespace there.
    pub fn bind(&mut self, live: &Object) {
        let mut status = binding(live.status.clone());
        if let Some(instance) =
            status.instance.as_mut().filter(|i| i.namespace == live.key.namespace)
        {
            instance.namespace.clone_from(&self.object.key.namespace);
        }
        let object = Arc::make_mut(&mut self.object);
        object.uid.clone_from(&live.uid);
        object.created = live.created;
        object.status = status;
    }
}

/// What a status says of which thing an object is bound to.
fn binding(status: Status) -> Status {
    Status {
        id: status.id,
        instance_id: status.instance_id,
        instance: status.instance,
        parents: status.parents,
        organization_id: status.organization_id,
        provenance: status.provenance,
        original: status.original,
        ..Status::default()
    }
}

/// `metadata.name`, or nothing.
pub(super) fn name(document: &Document) -> String {
    document.value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("").into()
}

/// `metadata.namespace`, or the namespace of manifests that name none.
pub(super) fn namespace(document: &Document) -> String {
    document
        .value
        .pointer("/metadata/namespace")
        .and_then(Value::as_str)
        .unwrap_or(NAMESPACE)
        .into()
}

/// A part of a document that has a type of its own; its default where it is absent, and with a
/// finding where it has another type.
pub(super) fn typed<T: DeserializeOwned + Default>(
    document: &Document,
    pointer: &str,
    what: &str,
    findings: &mut Vec<Finding>,
) -> T {
    match document.value.pointer(pointer) {
        None | Some(Value::Null) => T::default(),
        Some(value) => serde_json::from_value(value.clone()).unwrap_or_else(|e| {
            let message = format!("{what} can't be read: {e}");
            findings.push(Finding::error("metadata", message, document.key_at(pointer)));
            T::default()
        }),
    }
}

/// The engine's view of a document. What was read from a cluster (it has a UID) brings its binding
/// and its age along.
fn object(entry: Entry, document: &Document, findings: &mut Vec<Finding>) -> Object {
    let text = |pointer| document.value.pointer(pointer).and_then(Value::as_str);
    let created =
        text("/metadata/creationTimestamp").and_then(|t| t.parse::<jiff::Timestamp>().ok());
    let uid = text("/metadata/uid").map(ToOwned::to_owned);
    let status: Status = if uid.is_some() {
        typed(document, "/status", "status", findings)
    } else {
        Status::default()
    };
    let spec = document.value.get("spec").cloned().unwrap_or(Value::Null);
    let mut hasher = DefaultHasher::new();
    spec.to_string().hash(&mut hasher);
    let [a, b, c, d, ..] = hasher.finish().to_le_bytes();
    Object {
        key: Key { kind: entry.kind(), namespace: namespace(document), name: name(document) },
        uid,
        generation: i64::from(u32::from_le_bytes([a, b, c, d])),
        created: created.map_or(0, jiff::Timestamp::as_second),
        is_deleting: false,
        annotations: typed(document, "/metadata/annotations", "metadata.annotations", findings),
        spec,
        status: binding(status),
        details: InstanceDetails::default(),
    }
}

fn check_metadata(document: &Document, findings: &mut Vec<Finding>) {
    let hint = "use lower case letters, digits and - (in names also .), beginning and ending with a letter or digit";
    let (name, namespace) = (name(document), namespace(document));
    if name.is_empty() {
        findings.push(Finding::error(
            "metadata",
            "metadata.name is missing",
            document.key_at("/metadata/name"),
        ));
    } else if name.len() > 253 || !name.split('.').all(is_label) {
        let place = document.value_at("/metadata/name");
        let message = format!("metadata.name can't be {name:?}");
        findings.push(Finding::error("metadata", message, place).hint(hint));
    }
    if namespace.len() > 63 || !is_label(&namespace) {
        let place = document.value_at("/metadata/namespace");
        let message = format!("metadata.namespace can't be {namespace:?}");
        findings.push(Finding::error("metadata", message, place).hint(hint));
    }
    let known = ["apiVersion", "kind", "metadata", "spec", "status"];
    let fields = document.value.as_object().into_iter().flat_map(|map| map.keys());
    for key in fields.filter(|k| !known.contains(&k.as_str())) {
        let finding = Finding::error(
            "unknown-field",
            format!("there is no field {key}"),
            document.key_at(&format!("/{key}")),
        );
        findings.push(finding.hint(did_you_mean(key, known)));
    }
}

/// Whether Kubernetes takes this as a label of a host name (RFC 1123).
fn is_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    !text.is_empty()
        && text.starts_with(inner)
        && text.ends_with(inner)
        && text.chars().all(|c| inner(c) || c == '-')
}
