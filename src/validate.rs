//! What can be said of manifests without a ZITADEL and without a cluster: whether the API server
//! would take them, and whether they fit together. Pure.
//!
//! Schema and rules are those of the generated CRDs, so that what is said here and what the API
//! server says are the same.

pub mod finding;
mod references;
mod rules;
mod schema;

use std::{collections::HashMap, sync::LazyLock};

use serde_json::Value;

pub use finding::{Finding, Severity};
use rules::Judge;

use crate::{
    engine::kind::Entry,
    files::{Folder, Manifest},
    kinds,
};

/// Everything that is to be said of a folder, in the order of files and lines. `strict`: what may
/// well be declared elsewhere is an error too.
pub fn check(folder: &Folder, strict: bool) -> Vec<Finding> {
    static SCHEMAS: LazyLock<HashMap<&str, Value>> =
        LazyLock::new(|| kinds::ALL.iter().map(|e| (e.names().kind, spec_schema(*e))).collect());
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

fn object(manifest: &Manifest, schema: &Value, judge: &mut Judge) -> Vec<Finding> {
    let Some(spec) = manifest.document.value.get("spec") else {
        let message = "spec is missing".to_owned();
        return vec![
            Finding::error("required", message, manifest.document.key_at("/kind"))
                .hint("every object of this API has a spec, if only an empty one: `spec: {}`"),
        ];
    };
    let mut findings = Vec::new();
    schema::check(&manifest.document, "/spec", spec, schema, &mut findings);
    judge.check(&manifest.document, "/spec", spec, schema, &mut findings);
    if findings.is_empty()
        && let Err(e) = manifest.entry.desired(spec, &manifest.object.key.name)
    {
        findings.push(Finding::error("schema", e.to_string(), manifest.document.key_at("/spec")));
    }
    findings
}

/// The schema of a kind's spec, as the API server has it.
fn spec_schema(entry: &dyn Entry) -> Value {
    let crd = serde_json::to_value(entry.crd()).unwrap_or_default();
    crd.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec")
        .cloned()
        .unwrap_or_default()
}
