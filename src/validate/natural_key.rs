//! The name that an entity will have in ZITADEL, which may come from `metadata.name`: it has to
//! satisfy the schema of its field whichever way it is declared. Pure.

use serde_json::Value;

use super::schema::{self, dotted};
use crate::{
    contract::Inputs,
    files::{Manifest, finding::Finding},
};

/// What is wrong with the effective natural key of an object.
pub(super) fn check(manifest: &Manifest, schema: &Value) -> Vec<Finding> {
    let Some(entity) = manifest.entry.as_entity() else { return Vec::new() };
    let Some(natural_key) = entity.natural_key.field() else { return Vec::new() };
    let (spec, name) = (&manifest.object.spec, &manifest.object.key.name);
    // What can't be read was found by the schema.
    let Ok(desired) = manifest.entry.desired(spec, name, &Inputs::default()) else {
        return Vec::new();
    };
    let Some(key) = desired.text(natural_key) else { return Vec::new() };
    let path = natural_key.replace('.', "/");
    let pointer = format!("/spec/{path}");
    let is_written = manifest.document.value.pointer(&pointer).is_some_and(|v| !v.is_null());
    let field = dotted(&pointer);
    let mut findings = Vec::new();
    let place = manifest.document.value_at(if is_written { &pointer } else { "/metadata/name" });
    if !key.is_empty() && key.trim().is_empty() {
        let message = format!("{field} is blank");
        findings.push(Finding::error("schema", message, place).hint("name it visibly"));
    } else if !is_written {
        let below = format!("/properties/{}", natural_key.replace('.', "/properties/"));
        let Some(schema) = schema.pointer(&below) else { return findings };
        for problem in schema::text_problems(key, schema) {
            let message = format!(
                "metadata.name {problem}; {field} is omitted, so that it is the name in ZITADEL too"
            );
            let finding = Finding::error("schema", message, place.clone());
            findings.push(finding.hint(format!("set {field}")));
        }
    }
    findings
}
