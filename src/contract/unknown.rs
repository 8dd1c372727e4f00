//! Fields that this version does not know: a newer CustomResourceDefinition lets them pass. Pure.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::{Map, Value};

use super::{Entry, SpecError};

/// Refuses a spec with a field that would be passed over in silence.
pub fn refuse_unknown(entry: Entry, spec: &Value) -> Result<(), SpecError> {
    match find("", spec, &schema(entry)) {
        None => Ok(()),
        Some(field) => Err(SpecError::new(
            &field,
            "this version of Kastellan does not know the field: the CustomResourceDefinition is a newer one; \
             upgrade Kastellan, or remove the field",
        )),
    }
}

/// The schema of a kind's spec, which is made once.
fn schema(entry: Entry) -> Arc<Value> {
    static SCHEMAS: Mutex<BTreeMap<&'static str, Arc<Value>>> = Mutex::new(BTreeMap::new());
    let make = || {
        let crd = serde_json::to_value(entry.crd()).unwrap_or_default();
        let path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
        Arc::new(crd.pointer(path).cloned().unwrap_or_default())
    };
    let mut schemas = SCHEMAS.lock().unwrap_or_else(PoisonError::into_inner);
    schemas.entry(entry.kind()).or_insert_with(make).clone()
}

/// The path of the first field that the schema does not have.
fn find(path: &str, value: &Value, schema: &Value) -> Option<String> {
    if let Value::Array(items) = value {
        let of = schema.get("items")?;
        let each = |(n, item)| find(&format!("{path}[{n}]"), item, of);
        return items.iter().enumerate().find_map(each);
    }
    let (properties, all) =
        (schema.get("properties").and_then(Value::as_object), value.as_object());
    let any = schema.get("additionalProperties").filter(|any| any.is_object());
    all.into_iter().flat_map(Map::iter).find_map(|(name, value)| {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match properties.and_then(|known| known.get(name)).or(any) {
            Some(schema) => find(&path, value, schema),
            None if properties.is_none() => None,
            None => Some(path),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_unknown_field_is_named_wherever_it_is() {
        let schema = json!({"properties": {
            "name": {"type": "string"},
            "deep": {"properties": {"known": {"type": "boolean"}}},
            "list": {"items": {"properties": {"known": {"type": "boolean"}}}},
            "map": {"additionalProperties": {"type": "string"}},
            "free": {"x-kubernetes-preserve-unknown-fields": true},
        }});
        for (spec, unknown) in [
            (json!({"name": "a", "deep": {"known": true}, "map": {"any": "b"}}), None),
            (json!({"free": {"any": {"thing": 1}}, "list": [{"known": true}]}), None),
            (json!({"name": {"of": "another type"}}), None),
            (json!({"brandNew": 1}), Some("brandNew")),
            (json!({"deep": {"known": true, "new": 1}}), Some("deep.new")),
            (json!({"list": [{}, {"new": 1}]}), Some("list[1].new")),
        ] {
            assert_eq!(find("", &spec, &schema).as_deref(), unknown, "{spec}");
        }
    }
}
