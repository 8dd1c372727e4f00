//! A value against a structural schema: the part of `OpenAPI` that CRDs use. Pure.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::files::Document;
use crate::files::finding::{Finding, did_you_mean};

/// Adds what is wrong with the value at `pointer`.
pub(super) fn check(
    document: &Document,
    pointer: &str,
    value: &Value,
    schema: &Value,
    findings: &mut Vec<Finding>,
) {
    let mut walk = Walk { document, findings };
    walk.value(pointer, value, schema);
}

struct Walk<'a> {
    document: &'a Document,
    findings: &'a mut Vec<Finding>,
}

impl Walk<'_> {
    fn wrong(&mut self, pointer: &str, what: &str) {
        let message = format!("{} {what}", dotted(pointer));
        self.findings.push(Finding::error("schema", message, self.document.value_at(pointer)));
    }

    fn mistyped(&mut self, pointer: &str, expected: &str, value: &Value) {
        self.wrong(pointer, &format!("must be {}, and is {}", named(expected), shown(value)));
        // YAML reads some text as another type: no, 1.10, 0x1F.
        if let (Some(finding), "string", Value::Bool(_) | Value::Number(_)) =
            (self.findings.last_mut(), expected, value)
        {
            finding.hint = Some("put it in quotes".into());
        }
    }

    fn value(&mut self, pointer: &str, value: &Value, schema: &Value) {
        if value.is_null() && schema.get("nullable").and_then(Value::as_bool) == Some(true) {
            return;
        }
        if let Some(allowed) =
            schema.get("enum").and_then(Value::as_array).filter(|all| !all.contains(value))
        {
            let names: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
            let message = format!("{} can't be {value}", dotted(pointer));
            let hint = value.as_str().map_or_else(
                || format!("there is {}", names.join(", ")),
                |word| did_you_mean(word, names.iter().copied()),
            );
            self.findings.push(
                Finding::error("schema", message, self.document.value_at(pointer)).hint(hint),
            );
            return;
        }
        let Some(expected) = schema.get("type").and_then(Value::as_str) else { return };
        match (expected, value) {
            ("object", Value::Object(map)) => self.object(pointer, map, schema),
            ("array", Value::Array(list)) => self.list(pointer, list, schema),
            ("string", Value::String(text)) => self.text(pointer, text, schema),
            ("boolean", Value::Bool(_)) => {}
            ("integer", Value::Number(n)) if n.is_i64() || n.is_u64() => {
                self.number(pointer, n, schema);
            }
            ("number", Value::Number(n)) => self.number(pointer, n, schema),
            _ => self.mistyped(pointer, expected, value),
        }
    }

    fn object(&mut self, pointer: &str, map: &Map<String, Value>, schema: &Value) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let additional = schema.get("additionalProperties").filter(|a| a.is_object());
        let open = schema.get("x-kubernetes-preserve-unknown-fields").and_then(Value::as_bool)
            == Some(true);
        let most = limit(schema, "maxProperties", usize::MAX);
        if map.len() > most {
            let what = format!("has {} entries; the maximum is {most}", map.len());
            self.wrong(pointer, &what);
        }
        for (key, value) in map {
            let below = below(pointer, key);
            if let Some(schema) = properties.and_then(|p| p.get(key)).or(additional) {
                self.value(&below, value, schema);
            } else if !open {
                let names = properties.into_iter().flat_map(Map::keys).map(String::as_str);
                let hint = did_you_mean(key, names.collect::<Vec<_>>());
                self.findings.push(
                    Finding::error(
                        "unknown-field",
                        format!("there is no field {}", dotted(&below)),
                        self.document.key_at(&below),
                    )
                    .hint(hint),
                );
            }
        }
        for required in schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if map.get(required).is_none_or(Value::is_null) {
                let message = format!("{} is missing", dotted(&below(pointer, required)));
                self.findings.push(Finding::error(
                    "required",
                    message,
                    self.document.key_at(pointer),
                ));
            }
        }
    }

    fn list(&mut self, pointer: &str, list: &[Value], schema: &Value) {
        if list.len() > limit(schema, "maxItems", usize::MAX) {
            self.wrong(
                pointer,
                &format!(
                    "has {} entries; the maximum is {}",
                    list.len(),
                    limit(schema, "maxItems", 0)
                ),
            );
        }
        if list.len() < limit(schema, "minItems", 0) {
            self.wrong(
                pointer,
                &format!(
                    "has {} entries; the minimum is {}",
                    list.len(),
                    limit(schema, "minItems", 0)
                ),
            );
        }
        let is_set = schema.get("x-kubernetes-list-type").and_then(Value::as_str) == Some("set");
        let mut seen = BTreeSet::new();
        for (i, item) in list.iter().enumerate() {
            let below = format!("{pointer}/{i}");
            if is_set && !seen.insert(item.to_string()) {
                self.wrong(&below, &format!("is there already: {item}; this list is a set"));
            }
            if let Some(schema) = schema.get("items") {
                self.value(&below, item, schema);
            }
        }
    }

    fn text(&mut self, pointer: &str, text: &str, schema: &Value) {
        for problem in text_problems(text, schema) {
            self.wrong(pointer, &problem);
        }
    }

    fn number(&mut self, pointer: &str, n: &serde_json::Number, schema: &Value) {
        let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
        let Some(value) = n.as_f64() else { return };
        if let Some(least) = bound("minimum").filter(|least| value < *least) {
            self.wrong(pointer, &format!("is {n}; the minimum is {least}"));
        }
        if let Some(most) = bound("maximum").filter(|most| value > *most) {
            self.wrong(pointer, &format!("is {n}; the maximum is {most}"));
        }
    }
}

/// What is wrong with a text; each completes "the field …".
pub(super) fn text_problems(text: &str, schema: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let length = text.chars().count();
    let (least, most) = (limit(schema, "minLength", 0), limit(schema, "maxLength", usize::MAX));
    if length > most {
        problems.push(format!("has {length} characters; the maximum is {most}"));
    }
    if length < least {
        problems.push(format!("has {length} characters; the minimum is {least}"));
    }
    // A pattern that this library can't read is for the API server to judge.
    let pattern = schema.get("pattern").and_then(Value::as_str);
    if let Some((pattern, regex)) = pattern.and_then(|p| Some((p, regex::Regex::new(p).ok()?)))
        && !regex.is_match(text)
    {
        problems.push(format!("is {text:?}, which does not match {pattern}"));
    }
    problems
}

fn below(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// `/spec/a/0/b` as people write it: `spec.a[0].b`.
pub(super) fn dotted(pointer: &str) -> String {
    let steps = pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~"));
    let text: String = steps
        .map(|step| {
            if step.bytes().all(|b| b.is_ascii_digit()) {
                format!("[{step}]")
            } else {
                format!(".{step}")
            }
        })
        .collect();
    text.trim_start_matches('.').to_owned()
}

fn limit(schema: &Value, key: &str, default: usize) -> usize {
    schema.get(key).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok()).unwrap_or(default)
}

fn named(kind: &str) -> &'static str {
    match kind {
        "object" => "an object",
        "array" => "a list",
        "string" => "text",
        "boolean" => "true or false",
        "integer" => "a whole number",
        _ => "a number",
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".into(),
        Value::Array(_) => "a list".into(),
        Value::Null => "null".into(),
        Value::String(text) => format!("the text {text:?}"),
        other => other.to_string(),
    }
}
