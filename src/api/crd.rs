//! CRDs from the Rust types of specs: structural schema, CEL rules, names, columns, and a default
//! for the status alone.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::schema::{OptionalEnum, OptionalIntOrString, StructuralSchemaRewriter};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{GROUP, VERSION};

/// How a kind is called.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    /// `Project`
    pub kind: &'static str,
    /// `projects`
    pub plural: &'static str,
    /// Short names; each starts with `z`, so that none collides with what other APIs have.
    pub short: &'static [&'static str],
}

/// A CEL rule on the spec.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// What must hold.
    pub rule: &'static str,
    /// What to do where it does not.
    pub message: &'static str,
}

/// The field can't be changed once it is there, nor added or removed.
const IMMUTABLE: [&str; 4] = ["instanceRef", "organizationRef", "organizationId", "id"];

/// The CRD of a kind with this spec and status.
pub fn crd<Spec: JsonSchema, Status: JsonSchema>(
    names: &Names,
    about: &str,
    rules: &[Rule],
) -> CustomResourceDefinition {
    let mut spec = schema::<Spec>();
    let mut validations: Vec<Value> =
        rules.iter().map(|r| json!({"rule": r.rule, "message": r.message})).collect();
    let has = |spec: &Value, field: &str| spec.pointer(&format!("/properties/{field}")).is_some();
    for field in IMMUTABLE.into_iter().filter(|f| has(&spec, f)) {
        validations.push(json!({
            "rule": format!("has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"),
            "message": format!("{field} is immutable: delete this object with deletionPolicy: Retain and make a new one"),
        }));
    }
    if has(&spec, "organizationRef") {
        validations.push(json!({
            "rule": "!(has(self.organizationRef) && has(self.organizationId))",
            "message": "organizationRef and organizationId exclude each other: remove one",
        }));
        validations.push(json!({
            "rule": "!(has(self.organizationRef) && has(self.instanceRef))",
            "message": "the Instance is the organization's where organizationRef is used: remove instanceRef",
        }));
    }
    set(&mut spec, "description", json!(about));
    set(&mut spec, "x-kubernetes-validations", Value::Array(validations));
    let mut status = schema::<Status>();
    set(&mut status, "default", json!({"observedGeneration": -1}));
    set(
        &mut status,
        "description",
        json!("What is known of the remote side. Written by Kastellan alone."),
    );
    let column = |name: &str, kind: &str, path: &str, priority: i32| json!({"name": name, "type": kind, "jsonPath": path, "priority": priority});
    let ready = |what: &str| format!(".status.conditions[?(@.type==\"Ready\")].{what}");
    let crd = json!({
        "metadata": {"name": format!("{}.{GROUP}", names.plural)},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": names.kind,
                "listKind": format!("{}List", names.kind),
                "plural": names.plural,
                "singular": names.kind.to_lowercase(),
                "shortNames": names.short,
                "categories": ["zitadel"],
            },
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
                "additionalPrinterColumns": [
                    column("Ready", "string", &ready("status"), 0),
                    column("Reason", "string", &ready("reason"), 0),
                    column("Id", "string", ".status.id", 0),
                    column("Age", "date", ".metadata.creationTimestamp", 0),
                    column("Instance", "string", ".status.instanceId", 1),
                    column("Organization", "string", ".status.organizationId", 1),
                    column("Message", "string", &ready("message"), 1),
                ],
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "description": about,
                    "required": ["spec"],
                    "properties": {"spec": spec, "status": status},
                }},
            }],
        },
    });
    // What is built above has the shape of a CRD; a test makes every kind's.
    serde_json::from_value(crd).unwrap_or_default()
}

fn schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::openapi3().with(|s| {
        s.inline_subschemas = true;
        s.meta_schema = None;
    });
    let generator = settings
        .with_transform(keep_field_descriptions)
        .with_transform(StructuralSchemaRewriter)
        .with_transform(OptionalEnum)
        .with_transform(OptionalIntOrString)
        .into_generator();
    let mut schema =
        serde_json::to_value(generator.into_root_schema_for::<T>()).unwrap_or_default();
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("title");
    }
    drop_formats(&mut schema);
    schema
}

/// A field says what leaving it out means; what its type says must not take that place.
fn keep_field_descriptions(schema: &mut schemars::Schema) {
    fn walk(schema: &mut Value) {
        let described = schema.get("description").is_some();
        for alternative in ["anyOf", "oneOf", "allOf"].into_iter().filter(|_| described) {
            for s in schema.get_mut(alternative).and_then(Value::as_array_mut).into_iter().flatten()
            {
                s.as_object_mut().map(|s| s.remove("description"));
            }
        }
        match schema {
            Value::Object(map) => map.values_mut().for_each(walk),
            Value::Array(list) => list.iter_mut().for_each(walk),
            _ => {}
        }
    }
    if let Some(map) = schema.as_object_mut() {
        map.values_mut().for_each(walk);
    }
}

/// Formats that Kubernetes does not know only bring warnings.
fn drop_formats(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("format").and_then(Value::as_str).is_some_and(|f| f.starts_with("uint")) {
                map.remove("format");
            }
            map.values_mut().for_each(drop_formats);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_formats),
        _ => {}
    }
}

fn set(schema: &mut Value, key: &str, value: Value) {
    if !schema.is_object() {
        *schema = Value::Object(Map::new());
    }
    if let Some(map) = schema.as_object_mut() {
        map.insert(key.into(), value);
    }
}
