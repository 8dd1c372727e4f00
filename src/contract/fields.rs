//! The fields of a remote thing as data, and the difference between two sides. Pure.

use std::collections::{BTreeMap, btree_map};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::api::status::Drift;

/// Values by path (`embeddedIframe.enabled`); in a path, a dot or a backslash that belongs to a name
/// has a backslash before it. A list is one value; what is not there is not managed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(BTreeMap<String, Value>);

impl Fields {
    /// The fields that are set in a state; absent and `null` ones are none. Fails for what is no
    /// JSON.
    pub fn of(state: &impl Serialize) -> Result<Self, serde_json::Error> {
        serde_json::to_value(state).map(Self::from)
    }

    /// The state that these fields make.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        let mut root = Map::new();
        for (path, value) in &self.0 {
            insert(&mut root, path, value.clone());
        }
        serde_json::from_value(Value::Object(root))
    }

    /// These fields, with those of `over` in their place.
    #[must_use]
    pub fn overlay(&self, over: &Self) -> Self {
        let mut all = self.0.clone();
        all.extend(over.0.clone());
        Self(all)
    }

    /// These fields, with what is declared in place of what differs: the order of a set stays.
    #[must_use]
    pub fn changed(&self, changes: &[Drift]) -> Self {
        let mut all = self.0.clone();
        all.extend(changes.iter().map(|c| (c.field.clone(), c.declared.clone())));
        Self(all)
    }

    /// These fields without those at the paths, and those.
    #[must_use]
    pub fn split(mut self, paths: &[&str]) -> (Self, Self) {
        let taken = paths.iter().filter_map(|path| self.0.remove_entry(*path)).collect();
        (self, Self(taken))
    }

    /// These fields without those at the paths and below them.
    #[must_use]
    pub fn without(self, paths: &[&str]) -> Self {
        self.divide(paths).0
    }

    /// These fields without those at the paths and below them, and those alone.
    #[must_use]
    pub fn divide(self, paths: &[&str]) -> (Self, Self) {
        let is_at = |field: &str, path: &str| {
            field.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let all = self.0.into_iter();
        let (inside, outside) =
            all.partition(|(field, _)| paths.iter().any(|path| is_at(field, path)));
        (Self(outside), Self(inside))
    }

    /// What the fields hold that `like` has too. Below one of these maps what is not there is empty.
    #[must_use]
    pub fn found(&self, like: &Self, maps: &[&str]) -> Self {
        let is_entry = |path: &str| {
            let mut below = maps.iter().filter_map(|map| path.strip_prefix(map));
            below.any(|rest| rest.starts_with('.'))
        };
        let empty = |path: &str| is_entry(path).then(|| "".into());
        let live = |path: &String| self.0.get(path).cloned().or_else(|| empty(path));
        Self(like.0.keys().filter_map(|path| Some((path.clone(), live(path)?))).collect())
    }

    /// Only the fields that `like` has too.
    #[must_use]
    pub fn select(&self, like: &Self) -> Self {
        Self(
            self.0
                .iter()
                .filter(|(k, _)| like.0.contains_key(*k))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
        )
    }

    /// The value at a path.
    pub fn get(&self, path: &str) -> Option<&Value> {
        self.0.get(path)
    }

    /// The text at a path.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.get(path)?.as_str()
    }

    /// Whether the value at a path is this word, or this answer to a question: `true`.
    pub fn says(&self, path: &str, word: &str) -> bool {
        match self.get(path) {
            Some(Value::String(text)) => text == word,
            Some(Value::Bool(answer)) => answer.to_string() == word,
            _ => false,
        }
    }

    /// Paths and values in order.
    pub fn iter(&self) -> btree_map::Iter<'_, String, Value> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As a JSON object of paths.
    pub fn into_map(self) -> Map<String, Value> {
        self.0.into_iter().collect()
    }

    /// From a JSON object of paths.
    pub fn from_map(map: Map<String, Value>) -> Self {
        Self(map.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a Fields {
    type Item = (&'a String, &'a Value);
    type IntoIter = btree_map::Iter<'a, String, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl From<Value> for Fields {
    fn from(value: Value) -> Self {
        let mut fields = BTreeMap::new();
        flatten("", value, &mut fields);
        Self(fields)
    }
}

fn flatten(path: &str, value: Value, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Null => {}
        Value::Object(map) => {
            for (name, value) in map {
                flatten(&below(path, &name), value, into);
            }
        }
        leaf => {
            into.insert(path.into(), leaf);
        }
    }
}

/// The path of what has this name below another one.
pub fn below(path: &str, name: &str) -> String {
    let name = name.replace('\\', r"\\").replace('.', r"\.");
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

/// Sets what is at a path. What is below a value is not set.
pub fn insert(root: &mut Map<String, Value>, path: &str, value: Value) {
    let mut steps = steps(path);
    let Some(last) = steps.pop() else { return };
    let mut at = root;
    for step in steps {
        match at.entry(step).or_insert_with(|| Value::Object(Map::new())) {
            Value::Object(map) => at = map,
            _ => return,
        }
    }
    at.insert(last, value);
}

/// The names along a path.
fn steps(path: &str) -> Vec<String> {
    let (mut steps, mut step) = (Vec::new(), String::new());
    let mut characters = path.chars();
    while let Some(c) = characters.next() {
        match c {
            '.' => steps.push(std::mem::take(&mut step)),
            '\\' => step.extend(characters.next()),
            c => step.push(c),
        }
    }
    steps.push(step);
    steps
}

/// What is special about a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct List {
    /// Its path.
    pub path: &'static str,
    /// What its order means.
    pub order: ListOrder,
    /// Whether ZITADEL can make it empty once it is not.
    pub can_be_emptied: bool,
}

/// What the order of a list means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListOrder {
    /// Nothing: it is a set.
    Set,
    /// Something: another order is another value.
    Ordered,
    /// Nothing: its items are told apart by this field.
    KeyedBy(&'static str),
}

impl List {
    /// A set that can be emptied.
    pub const fn set(path: &'static str) -> Self {
        Self { path, order: ListOrder::Set, can_be_emptied: true }
    }

    /// A set that ZITADEL keeps as it is where it is to be empty.
    pub const fn filled(path: &'static str) -> Self {
        Self { can_be_emptied: false, ..Self::set(path) }
    }

    /// Whether a difference is one that can't be written: the list is to become empty.
    pub fn refuses(&self, change: &Drift) -> bool {
        let is_empty = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
        !self.can_be_emptied
            && self.path == change.field
            && is_empty(&change.declared)
            && !is_empty(&change.live)
    }
}

/// What differs between the declared fields and the live ones. What is not there is no text: to
/// declare that there is none is no difference then.
pub fn diff(want: &Fields, have: &Fields, lists: &[List]) -> Vec<Drift> {
    let is_unordered =
        |path: &str| lists.iter().any(|l| l.path == path && l.order != ListOrder::Ordered);
    want.iter()
        .filter_map(|(field, declared)| {
            let live = have.get(field).unwrap_or(&Value::Null);
            let same = if is_unordered(field) {
                as_set(declared) == as_set(live)
            } else {
                declared == live || (live.is_null() && *declared == "")
            };
            (!same).then(|| Drift {
                field: field.clone(),
                declared: declared.clone(),
                live: live.clone(),
            })
        })
        .collect()
}

fn as_set(list: &Value) -> Vec<String> {
    let mut items: Vec<String> =
        list.as_array().into_iter().flatten().map(ToString::to_string).collect();
    items.sort();
    items.dedup();
    items
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn leaf() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<bool>().prop_map(Value::from),
            "[a-z]{0,3}".prop_map(Value::from),
            prop::collection::vec("[a-c]", 0..3).prop_map(Value::from)
        ]
    }

    fn fields() -> impl Strategy<Value = Fields> {
        prop::collection::btree_map("[a-c]|d\\.[ab]", leaf(), 0..5).prop_map(Fields)
    }

    proptest! {
        #[test]
        fn nothing_differs_from_itself(x in fields()) {
            prop_assert!(diff(&x, &x, &[]).is_empty());
        }

        #[test]
        fn what_is_overlaid_no_longer_differs_and_the_rest_stays(have in fields(), want in fields()) {
            let after = have.overlay(&want);
            prop_assert!(diff(&want, &after, &[]).is_empty());
            for (k, v) in &have {
                if want.get(k).is_none() {
                    prop_assert_eq!(after.get(k), Some(v));
                }
            }
        }

        #[test]
        fn fields_survive_the_way_to_a_state_and_back(x in fields()) {
            let state: Value = x.to().unwrap();
            prop_assert_eq!(Fields::from(state), x);
        }
    }

    #[test]
    fn order_is_a_difference_only_where_it_means_something() {
        let (a, b) =
            (Fields::from(json!({"x": ["1", "2"]})), Fields::from(json!({"x": ["2", "1"]})));
        assert_eq!(diff(&a, &b, &[List::set("x")]), []);
        assert_eq!(diff(&a, &b, &[]).len(), 1);
    }

    #[test]
    fn what_differs_is_written_and_the_order_of_a_set_stays() {
        let have = Fields::from(json!({"x": ["1", "2"], "y": ["1", "2"], "z": "a"}));
        let want = Fields::from(json!({"x": ["2", "1"], "y": ["1"], "z": "b"}));
        let changes = diff(&want, &have, &[List::set("x"), List::set("y")]);
        let written = Fields::from(json!({"x": ["1", "2"], "y": ["1"], "z": "b"}));
        assert_eq!(have.changed(&changes), written);
    }

    #[test]
    fn a_list_that_can_not_be_emptied_refuses_only_that() {
        let refused = |declared: Value, live: Value| {
            let (want, have) =
                (Fields::from(json!({"x": declared})), Fields::from(json!({"x": live})));
            let changes = diff(&want, &have, &[List::filled("x")]);
            let is_refused = |list: List| changes.iter().any(|change| list.refuses(change));
            assert!(!is_refused(List::set("x")) && !is_refused(List::filled("y")));
            is_refused(List::filled("x"))
        };
        assert!(refused(json!([]), json!(["1"])));
        assert!(!refused(json!([]), json!([])));
        assert!(!refused(json!(["2"]), json!(["1"])));
        assert!(!refused(json!(["1"]), json!([])));
    }

    #[test]
    fn a_name_may_hold_what_separates_names() {
        for name in ["a.b", r"a\b", r"a\.b", ".", r"\", "a..b."] {
            let state = json!({"entries": {name: "x", "plain": "y"}, "a": {"b": "z"}});
            let fields = Fields::from(state.clone());
            assert_eq!(fields.text(&below("entries", name)), Some("x"), "{name}");
            assert_eq!(fields.to::<Value>().unwrap(), state, "{name}");
        }
        assert_eq!(below("entries", "a.b"), r"entries.a\.b");
    }

    #[test]
    fn what_is_not_there_is_as_good_as_empty() {
        let declare = |text: &str| Fields::from(json!({"entries": {"a": text}}));
        let have = Fields::from(json!({"entries": {"b": "y"}}));
        assert_eq!(diff(&declare(""), &have, &[]), []);
        assert_eq!(diff(&declare("x"), &have, &[]).len(), 1);
        let found = |have: &Fields| have.found(&declare("x"), &["entries"]);
        assert_eq!((found(&have), found(&declare("y"))), (declare(""), declare("y")));
        assert_eq!(diff(&found(&have), &declare("x"), &[]).len(), 1, "it can be put back");
        assert!(have.found(&declare("x"), &["entri"]).is_empty(), "of a map alone");
    }

    #[test]
    fn null_is_not_declared_and_empty_is() {
        let f = Fields::from(json!({"a": null, "b": [], "c": false, "d": {"e": null}}));
        assert_eq!(f.iter().map(|(k, _)| k.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    }
}
