//! The CEL rules of a schema, judged by the same language as in the API server. Pure.

use std::{collections::HashMap, sync::Arc};

use cel::{Context, Program};
use jiff::SignedDuration;
use serde_json::Value;

use crate::files::Document;
use crate::files::finding::Finding;

/// Judges by rules; each is compiled once, and the language's functions are set up once.
pub(super) struct Judge {
    programs: HashMap<String, Option<Program>>,
    functions: Context<'static, 'static>,
}

impl Default for Judge {
    fn default() -> Self {
        let mut functions = Context::default();
        // The library's own needs another calendar; all that rules do with durations is to compare
        // them.
        let declared = functions.add_function("duration", |text: Arc<String>| {
            text.parse::<SignedDuration>()
                .map_or(cel::Value::Null, |d| cel::Value::Float(d.as_secs_f64()))
        });
        debug_assert!(declared.is_ok());
        Self { programs: HashMap::new(), functions }
    }
}

impl Judge {
    /// Adds the rules that do not hold at `pointer` and below. Rules about changes (`oldSelf`) have
    /// nothing to compare with here.
    pub(super) fn check(
        &mut self,
        document: &Document,
        pointer: &str,
        value: &Value,
        schema: &Value,
        findings: &mut Vec<Finding>,
    ) {
        for rule in
            schema.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten()
        {
            let text = |key: &str| rule.get(key).and_then(Value::as_str);
            // A test makes sure that every rule of every kind has both.
            let (Some(rule), Some(message)) = (text("rule"), text("message")) else { continue };
            if !rule.contains("oldSelf") && !self.holds(rule, value) {
                findings.push(Finding::error(
                    "rule",
                    message,
                    document.key_at(&subject(document, pointer, rule)),
                ));
            }
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        for (key, schema) in properties.into_iter().flatten() {
            if let Some(value) = value.get(key) {
                self.check(document, &format!("{pointer}/{key}"), value, schema, findings);
            }
        }
        for (i, item) in value.as_array().into_iter().flatten().enumerate() {
            if let Some(schema) = schema.get("items") {
                self.check(document, &format!("{pointer}/{i}"), item, schema, findings);
            }
        }
    }

    /// A rule that can't be evaluated holds: a value of the wrong type is found by the schema.
    fn holds(&mut self, rule: &str, value: &Value) -> bool {
        let program =
            self.programs.entry(rule.to_owned()).or_insert_with(|| Program::compile(rule).ok());
        let mut context = self.functions.new_inner_scope();
        let known = context.add_variable("self", without_nulls(value)).is_ok();
        let answer = program.as_ref().filter(|_| known).and_then(|p| p.execute(&context).ok());
        !matches!(answer, Some(cel::Value::Bool(false)))
    }
}

/// What is null is not there, as for the API server.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .filter(|(_, v)| !v.is_null())
            .map(|(k, v)| (k.clone(), without_nulls(v)))
            .collect(),
        other => other.clone(),
    }
}

/// The first field that a rule mentions and that is there, or its nearest parent.
fn subject(document: &Document, pointer: &str, rule: &str) -> String {
    let mentioned = rule.split("self.").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len());
        let steps = rest
            .get(..end)?
            .split('.')
            .filter(|s| !matches!(*s, "matches" | "size" | "filter" | "all" | "exists" | ""));
        Some(steps.collect::<Vec<_>>())
    });
    let mentioned: Vec<Vec<&str>> = mentioned.collect();
    let depth = mentioned.iter().map(Vec::len).max().unwrap_or(0);
    let at = |steps: &[&str]| format!("{pointer}/{}", steps.join("/"));
    let paths = (0..depth).flat_map(|less| {
        mentioned
            .iter()
            .filter_map(move |m| m.get(..m.len().checked_sub(less)?))
            .filter(|m| !m.is_empty())
            .map(at)
    });
    paths
        .into_iter()
        .find(|p| document.value.pointer(p).is_some())
        .unwrap_or_else(|| pointer.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_rule_of_every_kind_can_be_judged() {
        fn rules(schema: &Value, into: &mut Vec<String>) {
            match schema {
                Value::Object(map) => {
                    let own = map
                        .get("x-kubernetes-validations")
                        .and_then(Value::as_array)
                        .into_iter()
                        .flatten();
                    into.extend(own.map(|r| {
                        assert!(r["message"].is_string(), "{r}");
                        r["rule"].as_str().unwrap().to_owned()
                    }));
                    map.values().for_each(|v| rules(v, into));
                }
                Value::Array(list) => list.iter().for_each(|v| rules(v, into)),
                _ => {}
            }
        }
        for entry in crate::kinds::REGISTRY.all() {
            let mut all = Vec::new();
            rules(&serde_json::to_value(entry.crd()).unwrap(), &mut all);
            assert!(!all.is_empty());
            for rule in all {
                assert!(Program::compile(&rule).is_ok(), "{}: {rule}", entry.kind());
            }
        }
    }

    #[test]
    fn a_rule_is_about_what_is_there() {
        assert!(
            !Judge::default().holds("has(self.a) || has(self.b)", &json!({"a": null})),
            "null is not there"
        );
        assert!(
            Judge::default().holds("self.a == 'x'", &json!({})),
            "what can't be judged is not accused"
        );
    }
}
