//! Reading specs, and what can be wrong with them. Pure.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Files;

/// What does not fit in a spec, field by field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError(Vec<Problem>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    /// Path below `spec`; empty: the spec as a whole.
    field: String,
    what: String,
}

impl SpecError {
    /// Something is wrong with a field; an empty one stands for the whole spec.
    pub fn new(field: &str, what: impl Into<String>) -> Self {
        Self(vec![Problem { field: field.to_owned(), what: what.into() }])
    }

    /// Two fields of which one may be set.
    pub fn exclusive(a: &str, b: &str) -> Self {
        Self::new("", format!("{a} and {b} exclude each other; remove one"))
    }

    /// Two fields of which one has to be set.
    pub fn one_of(object: &str, id: &str) -> Self {
        Self::new("", format!("set {object}, or {id} for what is not declared here"))
    }

    /// A value that is no id of ZITADEL.
    pub fn not_an_id(field: &str, value: &Value) -> Self {
        let text = value.as_str().map_or_else(|| value.to_string(), |text| format!("{text:?}"));
        Self::new(
            field,
            format!("{text} is not an id: 1 to 200 letters, digits, - and _ are allowed"),
        )
    }
}

impl std::fmt::Display for SpecError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (n, Problem { field, what }) in self.0.iter().enumerate() {
            let (separator, dot) =
                (if n == 0 { "" } else { "; " }, if field.is_empty() { "" } else { "." });
            write!(f, "{separator}spec{dot}{field}: {what}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SpecError {}

/// Reads a spec. An error names the fields that don't fit, which serde alone can't where fields are
/// flattened.
pub fn decode<T: DeserializeOwned>(spec: &Value) -> Result<T, SpecError> {
    serde_json::from_value(spec.clone()).map_err(|all| {
        let alone = |(field, value): (&String, &Value)| {
            let one = Value::Object([(field.clone(), value.clone())].into_iter().collect());
            let e = serde_json::from_value::<T>(one).err()?;
            let what = e.to_string();
            (!what.starts_with("missing field")).then(|| Problem { field: field.clone(), what })
        };
        let found: Vec<Problem> =
            spec.as_object().into_iter().flatten().filter_map(alone).collect();
        if found.is_empty() { SpecError::new("", all.to_string()) } else { SpecError(found) }
    })
}

/// What a kind gets besides its spec: the ids of what it refers to, and the files that it names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs {
    ids: BTreeMap<&'static str, String>,
    lists: BTreeMap<&'static str, Vec<String>>,
    /// The files; empty where none was read, as offline.
    pub files: Files,
}

impl Inputs {
    /// Adds the id that a reference resolved to.
    pub fn insert(&mut self, field: &'static str, id: String) {
        self.ids.insert(field, id);
    }

    /// Adds an id that an item of a list of references resolved to.
    pub fn push(&mut self, field: &'static str, id: String) {
        self.lists.entry(field).or_default().push(id);
    }

    /// The ids that the list of references of this field resolved to, as far as it did.
    pub fn ids(&self, field: &str) -> &[String] {
        self.lists.get(field).map_or(&[], Vec::as_slice)
    }

    /// The id that the reference of this field resolved to; `None`: omitted, or not resolved, as
    /// offline.
    pub fn id(&self, field: &str) -> Option<&str> {
        self.ids.get(field).map(String::as_str)
    }
}
