//! What can be said of manifests without a ZITADEL and without a cluster: whether the API server
//! would accept them, and whether they fit together. Pure.
//!
//! Schema and rules are those of the generated CRDs, so that what is said here and what the API
//! server says are the same.

mod natural_key;
mod references;
mod rules;
mod schema;

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use serde_json::{Value, json};

pub use crate::files::finding::{Finding, Severity};
use rules::Judge;

use crate::{
    contract::{Entry, Inputs},
    files::{Document, Folder, Manifest, place::Source},
    kinds::REGISTRY,
};

/// The schemas of the specs, by kind.
static SCHEMAS: LazyLock<HashMap<&str, Value>> =
    LazyLock::new(|| REGISTRY.all().map(|e| (e.kind(), spec_schema(e))).collect());

/// Everything that is to be said of a folder, in the order of files and lines. `strict`: what may
/// well be declared elsewhere is an error too.
pub fn check(folder: &Folder, strict: bool) -> Vec<Finding> {
    let mut findings = folder.findings.clone();
    let mut judge = Judge::default();
    for manifest in &folder.manifests {
        if let Some(schema) = SCHEMAS.get(manifest.object.key.kind) {
            findings.extend(object(manifest, schema, &mut judge));
        }
    }
    findings.extend(references::check(folder, strict));
    findings.sort_by(|a, b| a.order().cmp(&b.order()));
    findings.dedup();
    findings
}

/// What is wrong with a value as a field of an Instance's spec: what comes from elsewhere is checked
/// as if a manifest said it.
pub fn field_of_connection(field: &str, value: &str) -> Vec<String> {
    let schemas = SCHEMAS.get(REGISTRY.connection().description().kind).into_iter();
    let mut spec = json!({
        "issuer": "https://auth.example.com",
        "credentials": {"personalAccessToken": {"secretRef": {"name": "name", "key": "key"}}},
    });
    if let Some(spec) = spec.as_object_mut() {
        spec.insert(field.into(), value.into());
    }
    let text = json!({"spec": spec}).to_string();
    let (documents, _) = Document::all(&Arc::new(Source::file(field, text)));
    let mut findings = Vec::new();
    for (document, schema) in documents.iter().flat_map(|d| schemas.clone().map(move |s| (d, s))) {
        schema::check(document, "/spec", &spec, schema, &mut findings);
        Judge::default().check(document, "/spec", &spec, schema, &mut findings);
    }
    findings.into_iter().map(|f| f.message).collect()
}

fn object(manifest: &Manifest, schema: &Value, judge: &mut Judge) -> Vec<Finding> {
    let document = &manifest.document;
    let Some(spec) = document.value.get("spec") else {
        let message = "spec is missing".to_owned();
        return vec![
            Finding::error("required", message, document.key_at("/kind"))
                .hint("every object of this API has a spec, if only an empty one: `spec: {}`"),
        ];
    };
    let mut findings = Vec::new();
    schema::check(document, "/spec", spec, schema, &mut findings);
    judge.check(document, "/spec", spec, schema, &mut findings);
    findings.extend(natural_key::check(manifest, schema));
    if findings.is_empty()
        && let Err(e) = manifest.entry.desired(spec, &manifest.object.key.name, &Inputs::default())
    {
        findings.push(Finding::error("schema", e.to_string(), document.key_at("/spec")));
    }
    findings
}

/// The schema of a kind's spec, as the API server has it.
#[allow(clippy::expect_used, reason = "without its schema every manifest would pass")]
fn spec_schema(entry: Entry) -> Value {
    let crd = serde_json::to_value(entry.crd()).expect("a CRD is JSON");
    crd.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec")
        .cloned()
        .expect("every CRD has a version with a schema of its spec")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_from_elsewhere_are_checked_as_an_instances() {
        assert!(field_of_connection("issuer", "https://auth.example.com").is_empty());
        assert!(field_of_connection("address", "http://localhost:8080/").is_empty());
        for (field, value) in [
            ("issuer", "https://auth.example.com/path"),
            ("issuer", "auth.example.com"),
            ("issuer", "ftp://auth.example.com"),
            ("issuer", ""),
            ("address", "localhost:8080"),
        ] {
            let problems = field_of_connection(field, value);
            assert!(problems.iter().any(|p| p.contains(field)), "{value:?}: {problems:?}");
        }
    }
}
