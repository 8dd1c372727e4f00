//! CRDs from the Rust types of specs: structural schema, CEL rules, names, columns, and a default
//! for the status alone.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion,
};
use kube::core::schema::{OptionalEnum, OptionalIntOrString, StructuralSchemaRewriter};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{Description, EntityDescription, IdSource, List, ListOrder, Reference, Role};
use crate::api::{GROUP, VERSION, VERSIONS, Version};

/// A CEL rule on the spec.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// What must hold.
    pub rule: &'static str,
    /// What to do where it does not.
    pub message: &'static str,
}

/// The CRD of a kind with this spec and status: what the API server stores of it, without what is
/// empty or a default. Otherwise two who apply the same file conflict with each other.
///
/// `wide`: columns besides those that all kinds have, by name and path, which `kubectl get -o wide`
/// shows.
///
/// # Panics
/// Where the types of a kind have no schema: a test makes the CRD of every kind.
pub fn crd<Spec: JsonSchema, Status: JsonSchema>(
    kind: &Description,
    entity: Option<&EntityDescription>,
    wide: &[(&str, &str)],
) -> CustomResourceDefinition {
    let mut spec = schema::<Spec>();
    let validations = validations(kind, entity, &spec);
    let effective_name = entity.and_then(|e| effective_name(e, &spec));
    let about = kind.about;
    set(&mut spec, "description", json!(about));
    set(&mut spec, "x-kubernetes-validations", Value::Array(validations));
    let mut status = schema::<Status>();
    set(&mut status, "default", json!({"observedGeneration": -1}));
    set(
        &mut status,
        "description",
        json!("What is known of the remote side. Written by Kastellan alone."),
    );
    let column =
        |name: &str, kind: &str, path: &str| json!({"name": name, "type": kind, "jsonPath": path});
    let wide_column = |name: &str, path: &str| json!({"name": name, "type": "string", "jsonPath": path, "priority": 1});
    let ready = |what: &str| format!(".status.conditions[?(@.type==\"Ready\")].{what}");
    let all = [
        column("Ready", "string", &ready("status")),
        column("Reason", "string", &ready("reason")),
        column("Id", "string", ".status.id"),
        column("Age", "date", ".metadata.creationTimestamp"),
        wide_column("Instance", ".status.instanceId"),
        wide_column("Organization", ".status.organizationId"),
    ];
    let message = wide_column("Message", &ready("message"));
    let wide = wide.iter().map(|(name, path)| wide_column(name, path));
    let columns: Vec<Value> = all.into_iter().chain(wide).chain([message]).collect();
    let mut schema = json!({
        "type": "object",
        "description": about,
        "required": ["spec"],
        "properties": {"spec": spec, "status": status},
    });
    if let Some(rule) = effective_name {
        set(&mut schema, "x-kubernetes-validations", json!([rule]));
    }
    let crd = json!({
        "metadata": {"name": format!("{}.{GROUP}", kind.plural)},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.kind,
                "listKind": format!("{}List", kind.kind),
                "plural": kind.plural,
                "singular": kind.kind.to_lowercase(),
                "shortNames": [kind.short],
                "categories": ["zitadel"],
            },
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
                "additionalPrinterColumns": columns,
                "schema": {"openAPIV3Schema": schema},
            }],
        },
    });
    with_versions(as_crd(crd), VERSIONS)
}

/// The CRD with these versions: each with the schema, columns and subresources of its first. Without
/// a webhook the API server changes nothing of an object but its `apiVersion`, so no other is
/// possible.
#[must_use]
pub fn with_versions(
    mut crd: CustomResourceDefinition,
    versions: &[Version],
) -> CustomResourceDefinition {
    let first = crd.spec.versions.first().cloned();
    let version = |version: &Version| {
        let Version { name, served, stored } = *version;
        let same = first.clone()?;
        Some(CustomResourceDefinitionVersion { name: name.into(), served, storage: stored, ..same })
    };
    crd.spec.versions = versions.iter().filter_map(version).collect();
    crd
}

#[expect(clippy::expect_used, reason = "what is built here has the shape of a CRD")]
fn as_crd(crd: Value) -> CustomResourceDefinition {
    serde_json::from_value(crd).expect("a custom resource definition")
}

/// The CEL rules of a spec.
fn validations(kind: &Description, entity: Option<&EntityDescription>, spec: &Value) -> Vec<Value> {
    let has = |field: &str| spec.pointer(&format!("/properties/{field}")).is_some();
    let mut all: Vec<Value> = kind.rules.iter().map(|r| rule(r.rule, r.message)).collect();
    all.extend(kind.lists.iter().filter_map(unique_items));
    all.extend(forms(kind.forms));
    for r in kind.references.iter().filter(|r| r.required) {
        let given: Vec<String> = r.fields().map(|field| format!("has(self.{field})")).collect();
        let others: Vec<&str> = r.fields().skip(1).collect();
        let message = match &others[..] {
            [] => format!("set {}", r.field),
            _ => {
                format!("set {}, or {} for what is not declared here", r.field, others.join(" or "))
            }
        };
        all.push(rule(&given.join(" || "), &message));
    }
    let key = entity.filter(|e| e.id == IdSource::Key).and_then(|e| e.natural_key.field());
    let references = kind.references.iter().flat_map(Reference::fields);
    let keys = kind.keyed_by.iter().copied();
    let immutable = ["instanceRef", "id"].into_iter().chain(key).chain(keys).chain(references);
    for field in immutable.filter(|f| has(f)) {
        all.push(rule(
            &format!(
                "has(self.{field}) == has(oldSelf.{field}) && \
                 (!has(self.{field}) || self.{field} == oldSelf.{field})"
            ),
            &format!(
                "{field} is immutable: delete this object with deletionPolicy: Retain and create a \
                 new one"
            ),
        ));
    }
    let is_parent = |r: &&Reference| r.role == Role::Parent;
    let parents: Vec<&str> = kind.references.iter().filter(is_parent).map(|r| r.field).collect();
    exclusive(&mut all, &parents);
    for r in kind.references {
        let fields: Vec<&str> = r.fields().filter(|f| has(f)).collect();
        exclusive(&mut all, &fields);
        let object = r.field;
        if r.role == Role::Parent {
            all.push(rule(
                &format!("!(has(self.{object}) && has(self.instanceRef))"),
                &format!(
                    "with {object} the Instance follows from what it names: remove instanceRef"
                ),
            ));
        }
    }
    all
}

/// Exactly one form, for ever.
fn forms(forms: &[&str]) -> Vec<Value> {
    if forms.is_empty() {
        return Vec::new();
    }
    let has: Vec<String> = forms.iter().map(|form| format!("has(self.{form})")).collect();
    let one = rule(
        &format!("[{}].filter(x, x).size() == 1", has.join(", ")),
        &format!("set exactly one of {}", forms.join(", ")),
    );
    let stays = forms.iter().map(|form| {
        rule(
            &format!("has(self.{form}) == has(oldSelf.{form})"),
            &format!(
                "{form} can't come or go: delete this object with deletionPolicy: Retain and \
                 create a new one"
            ),
        )
    });
    [one].into_iter().chain(stays).collect()
}

fn rule(rule: &str, message: &str) -> Value {
    json!({"rule": rule, "message": message})
}

/// At most one of these may be set.
fn exclusive(rules: &mut Vec<Value>, fields: &[&str]) {
    for (n, one) in fields.iter().enumerate() {
        for other in fields.iter().skip(n + 1) {
            rules.push(rule(
                &format!("!(has(self.{one}) && has(self.{other}))"),
                &format!("{one} and {other} exclude each other: remove one"),
            ));
        }
    }
}

/// Items of a set may not repeat. Not a set of the schema: server-side apply would drop `[]`, which
/// is a declaration.
fn unique_items(list: &List) -> Option<Value> {
    if list.order != ListOrder::Set {
        return None;
    }
    let mut absent = String::new();
    let mut path = String::from("self");
    for step in list.path.split('.') {
        path = format!("{path}.{step}");
        absent = format!("{absent}!has({path}) || ");
    }
    Some(json!({
        "rule": format!("{absent}{path}.all(x, {path}.exists_one(y, x == y))"),
        "message": format!("{}: items must be unique", list.path),
    }))
}

/// The name of an object stands for its natural key where that is omitted, and may be longer.
fn effective_name(entity: &EntityDescription, spec: &Value) -> Option<Value> {
    let field = entity.natural_key.field()?;
    let is_required = spec["required"].as_array().is_some_and(|all| all.iter().any(|f| f == field));
    let longest = spec.pointer(&format!("/properties/{field}/maxLength"))?.as_u64()?;
    (!is_required && longest < 253).then(|| {
        json!({
            "rule": format!("has(self.spec.{field}) || self.metadata.name.size() <= {longest}"),
            "message": format!(
                "set spec.{field}: metadata.name stands for it and has more than {longest} characters"
            ),
        })
    })
}

#[expect(clippy::expect_used, reason = "schemas of Rust types are JSON")]
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
    let schema = generator.into_root_schema_for::<T>();
    let mut schema = serde_json::to_value(schema).expect("a schema");
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
