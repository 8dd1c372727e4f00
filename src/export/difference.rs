//! What tells one instance from another: two sets of manifests, compared by what they declare in
//! ZITADEL. Ids are another one's in every instance, and secrets nobody can read: neither counts. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Selection, manifest::sets_itself};
use crate::contract::{Entry, Fields, ListOrder};

/// Fields of every spec that say how to work with an object, and nothing of what is to be so.
const HOW: [&str; 7] =
    ["instanceRef", "deletionPolicy", "mode", "suspend", "adoptionPolicy", "id", "secret"];

/// An object of one side.
#[derive(Debug, Clone)]
pub struct Declared {
    /// Its kind.
    pub entry: Entry,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its spec.
    pub spec: Value,
}

/// An object that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Its kind.
    pub kind: &'static str,
    /// Its namespace; `None`: everything on its side is in the same one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// How it differs.
    pub what: What,
}

/// How an object differs.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Only the first side has it.
    OnlyFrom,
    /// Only the second side has it.
    OnlyTo,
    /// Both have it, and these fields differ.
    Fields(Vec<Change>),
}

/// A field that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Its path in the spec.
    pub field: String,
    /// What the first side says; null: nothing.
    pub from: Value,
    /// What the second side says; null: nothing.
    pub to: Value,
}

/// What was compared.
#[derive(Debug, Default)]
pub struct Comparison {
    /// What differs, by kind, namespace and name.
    pub differences: Vec<Difference>,
    /// How many objects are the same on both sides.
    pub same: usize,
}

type Side = BTreeMap<(&'static str, Option<String>, String), Fields>;

/// Compares two sides, as far as the kinds go that are selected.
pub fn compare(from: &[Declared], to: &[Declared], selection: &Selection) -> Comparison {
    let (from, to) = (side(from, selection), side(to, selection));
    let keys: BTreeSet<_> = from.keys().chain(to.keys()).collect();
    let mut comparison = Comparison::default();
    for key in keys {
        let what = match (from.get(key), to.get(key)) {
            (Some(from), Some(to)) => What::Fields(changes(from, to)),
            (Some(_), None) => What::OnlyFrom,
            (None, _) => What::OnlyTo,
        };
        if what == What::Fields(Vec::new()) {
            comparison.same += 1;
            continue;
        }
        let (kind, namespace, name) = key.clone();
        comparison.differences.push(Difference { kind, namespace, name, what });
    }
    comparison
}

/// What counts of one side.
fn side(all: &[Declared], selection: &Selection) -> Side {
    let namespaces: BTreeSet<&str> = all.iter().map(|d| d.namespace.as_str()).collect();
    let counts = |d: &&Declared| selection.wants(d.entry) && !d.entry.is_key();
    let namespace = |d: &Declared| (namespaces.len() > 1).then(|| d.namespace.clone());
    let key = |d: &Declared| (d.entry.kind(), namespace(d), d.name.clone());
    all.iter().filter(counts).map(|d| (key(d), fields(d))).collect()
}

/// The fields that count, in a form that is the same for the same content.
fn fields(declared: &Declared) -> Fields {
    let entry = declared.entry;
    let mut without: Vec<String> = HOW.map(ToOwned::to_owned).to_vec();
    for reference in entry.references.iter().chain(entry.reference_lists) {
        without.push(reference.id_field.to_owned());
        without.push(format!("{}.namespace", reference.field));
    }
    let inputs = entry.inputs.iter().map(|input| input.reference);
    let files = entry.files.iter().map(|file| file.field);
    let rest = entry.options.iter().chain(entry.initial).copied();
    without.extend(inputs.chain(files).chain(rest).map(ToOwned::to_owned));
    let paths: Vec<&str> = without.iter().map(String::as_str).filter(|p| !p.is_empty()).collect();
    let fields = Fields::from(declared.spec.clone()).without(&paths);
    let is_list = |path: &str| entry.reference_lists.iter().any(|r| r.field == path);
    let is_set =
        |path: &str| entry.lists.iter().any(|l| l.path == path && l.order == ListOrder::Set);
    let counts = |(path, value): &(&String, &Value)| !sets_itself(entry, path, value);
    let in_one_form = |(path, value): (&String, &Value)| {
        let mut value = value.clone();
        if let Value::Array(list) = &mut value {
            if is_list(path) {
                for reference in list.iter_mut().filter_map(Value::as_object_mut) {
                    reference.remove("namespace");
                }
            }
            if is_set(path) || is_list(path) {
                list.sort_by_key(ToString::to_string);
            }
        }
        (path.clone(), value)
    };
    Fields::from_map(fields.iter().filter(counts).map(in_one_form).collect())
}

fn changes(from: &Fields, to: &Fields) -> Vec<Change> {
    let paths: BTreeSet<&String> = from.iter().chain(to.iter()).map(|(path, _)| path).collect();
    let value = |of: &Fields, path: &str| of.get(path).cloned().unwrap_or_default();
    let change = |path: &String| Change {
        field: path.clone(),
        from: value(from, path),
        to: value(to, path),
    };
    paths.into_iter().map(change).filter(|change| change.from != change.to).collect()
}
