//! YAML (and so JSON) as values that know where they stand in their file. Pure.

use std::{collections::HashMap, fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

use super::{
    malformed::{Malformed, explain, separate},
    place::{Place, Source},
};

/// One document of a file.
#[derive(Debug, Clone)]
pub struct Document {
    /// What it says.
    pub value: Value,
    source: Arc<Source>,
    /// By JSON pointer: where the key is, where the value is.
    spots: Arc<HashMap<String, Spot>>,
}

#[derive(Debug, Clone, Copy)]
struct Spot {
    key: Option<(usize, usize)>,
    value: (usize, usize),
}

impl Document {
    /// All documents of a file that can be read, and those that can't.
    pub fn all(source: &Arc<Source>) -> (Vec<Self>, Vec<Malformed>) {
        let whole = match Self::parse(source, &source.text, 0) {
            Ok(documents) => return (documents, Vec::new()),
            Err(e) => e,
        };
        // The parser stops at the first mistake; the documents after it are read one by one.
        let (mut documents, mut malformed) = (Vec::new(), Vec::new());
        for (lines_before, text) in separate(&source.text) {
            match Self::parse(source, text, lines_before) {
                Ok(some) => documents.extend(some),
                Err(e) => malformed.push(e),
            }
        }
        if malformed.is_empty() {
            malformed.push(whole);
        }
        (documents, malformed)
    }

    /// Reads the part of a file that begins after so many lines.
    fn parse(
        source: &Arc<Source>,
        text: &str,
        lines_before: usize,
    ) -> Result<Vec<Self>, Malformed> {
        // Somebody's own files: they may be large. What grows out of small ones (aliases, nesting)
        // stays limited.
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! { max_documents: usize::MAX, max_nodes: usize::MAX, max_events: usize::MAX },
        };
        let trees: Vec<Spanned<Tree>> = serde_saphyr::from_multiple_with_options(text, options)
            .map_err(|e| {
                let (line, column) =
                    e.location().map_or((1, 1), |l| (number(l.line()), number(l.column())));
                let (message, hint) = explain(e.without_snippet());
                let place = place(source, (line + lines_before, column));
                Malformed { message, hint, place, text: text.to_owned() }
            })?;
        Ok(trees
            .into_iter()
            .map(|tree| Self::of(source, tree, lines_before))
            .filter(|d| !d.value.is_null())
            .collect())
    }

    fn of(source: &Arc<Source>, tree: Spanned<Tree>, lines_before: usize) -> Self {
        let mut spots = HashMap::new();
        let value = flatten(tree, String::new(), None, &mut spots);
        for spot in spots.values_mut() {
            spot.value.0 += lines_before;
            if let Some((line, _)) = &mut spot.key {
                *line += lines_before;
            }
        }
        Self { value, source: source.clone(), spots: Arc::new(spots) }
    }

    /// The part of this document at a JSON pointer, as a document of its own.
    pub fn part(&self, pointer: &str) -> Option<Self> {
        let value = self.value.pointer(pointer)?.clone();
        let spots = self
            .spots
            .iter()
            .filter_map(|(p, spot)| Some((p.strip_prefix(pointer)?.to_owned(), *spot)));
        Some(Self { value, source: self.source.clone(), spots: Arc::new(spots.collect()) })
    }

    /// Where the value at a JSON pointer is; of what is not there, where its parent is.
    pub fn value_at(&self, pointer: &str) -> Place {
        self.at(pointer, |spot| spot.value)
    }

    /// Where the key that leads to a JSON pointer is.
    pub fn key_at(&self, pointer: &str) -> Place {
        self.at(pointer, |spot| spot.key.unwrap_or(spot.value))
    }

    fn at(&self, pointer: &str, which: impl Fn(&Spot) -> (usize, usize)) -> Place {
        if let Some(spot) = self.spots.get(pointer) {
            return place(&self.source, which(spot));
        }
        match pointer.rsplit_once('/') {
            // The name of what holds it says more than where its content begins.
            Some((parent, _)) => self.key_at(parent),
            None => place(&self.source, (1, 1)),
        }
    }
}

fn number(n: u64) -> usize {
    usize::try_from(n).unwrap_or(1).max(1)
}

fn place(source: &Arc<Source>, (line, column): (usize, usize)) -> Place {
    // At the end of a file there may be no line any more.
    let text = source.text.lines().nth(line - 1).unwrap_or("");
    Place {
        source: source.clone(),
        line,
        column,
        length: token(&text.chars().skip(column - 1).collect::<String>()),
    }
}

/// How long the key or scalar is that a line's rest begins with.
fn token(rest: &str) -> usize {
    let quoted = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
    let end = match quoted {
        Some(quote) => rest.chars().skip(1).position(|c| c == quote).map(|n| n + 2),
        None => rest
            .find(": ")
            .or_else(|| rest.find(" #"))
            .or_else(|| rest.find([',', ']', '}']))
            .map(|bytes| rest.get(..bytes).unwrap_or(rest).chars().count()),
    };
    let whole = rest.trim_end().trim_end_matches(':').chars().count();
    end.unwrap_or(whole).min(whole).max(1)
}

enum Tree {
    Scalar(Value),
    List(Vec<Spanned<Tree>>),
    Map(Vec<(Spanned<String>, Spanned<Tree>)>),
}

fn flatten(
    tree: Spanned<Tree>,
    pointer: String,
    key: Option<(usize, usize)>,
    spots: &mut HashMap<String, Spot>,
) -> Value {
    let value = match tree.value {
        Tree::Scalar(value) => value,
        Tree::List(list) => {
            let items = list.into_iter().enumerate();
            Value::Array(
                items
                    .map(|(i, item)| flatten(item, format!("{pointer}/{i}"), None, spots))
                    .collect(),
            )
        }
        Tree::Map(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                let at = (number(key.referenced.line()), number(key.referenced.column()));
                let below =
                    format!("{pointer}/{}", key.value.replace('~', "~0").replace('/', "~1"));
                map.insert(key.value, flatten(value, below, Some(at), spots));
            }
            Value::Object(map)
        }
    };
    let at = (number(tree.referenced.line()), number(tree.referenced.column()));
    spots.insert(pointer, Spot { key, value: at });
    value
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_bool<E>(self, v: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar(v.into()))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar(v.into()))
    }
    fn visit_u64<E>(self, v: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar(v.into()))
    }
    fn visit_f64<E>(self, v: f64) -> Result<Tree, E> {
        Ok(Tree::Scalar(Number::from_f64(v).map_or(Value::Null, Value::Number)))
    }
    fn visit_str<E>(self, v: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar(v.into()))
    }
    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Null))
    }
    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Null))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Tree::Map(entries))
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets what it does not expect has failed"
)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> (Vec<Document>, Vec<Malformed>) {
        Document::all(&Arc::new(Source::file("a.yaml", text)))
    }

    fn good(text: &str) -> Vec<Document> {
        let (documents, malformed) = read(text);
        assert!(malformed.is_empty(), "{malformed:?}");
        documents
    }

    #[test]
    fn values_know_their_place() {
        let documents = good("a: 1\n---\nb:\n  c: [x, \"y\"]\n  d/e: true\n");
        let [_, second] = &documents[..] else { panic!("{documents:?}") };
        assert_eq!(second.value, json!({"b": {"c": ["x", "y"], "d/e": true}}));
        let spot = |p: Place| (p.line, p.column, p.length);
        assert_eq!(spot(second.key_at("/b/c")), (4, 3, 1));
        assert_eq!(spot(second.value_at("/b/c/1")), (4, 10, 3));
        assert_eq!(spot(second.value_at("/b/d~1e")), (5, 8, 4));
        assert_eq!(
            spot(second.value_at("/b/missing")),
            (3, 1, 1),
            "what is missing is missed by its parent"
        );
    }

    #[test]
    fn a_file_may_hold_as_much_as_an_instance() {
        let text = "---\na: [1, 2, 3, 4, 5, 6, 7, 8, 9]\n".repeat(30_000);
        assert_eq!(good(&text).len(), 30_000);
    }

    #[test]
    fn empty_documents_are_none() {
        assert_eq!(good("---\n---\n# nothing\n").len(), 0);
    }

    #[test]
    fn a_mistake_hides_no_other_document() {
        let text =
            "a: [1\n---\nb: 1\nb: 2\n---\nc:\n  d: 3\n---\ntext: |\n  ---\n  x\n--- # e\ne: }\n";
        let (documents, malformed) = read(text);
        let lines: Vec<usize> = malformed.iter().map(|m| m.place.line).collect();
        assert_eq!(lines, [1, 4, 13]);
        let values: Vec<&Value> = documents.iter().map(|d| &d.value).collect();
        assert_eq!(values, [&json!({"c": {"d": 3}}), &json!({"text": "---\nx\n"})]);
        assert_eq!(documents[0].value_at("/c/d").line, 7, "lines count from the file's first");
    }

    #[test]
    fn mistakes_are_told_in_our_own_words() {
        for (text, said) in [
            ("a: 1\na: 2\n", "this key is there twice"),
            ("a: *b\n", "this alias names no anchor of the same document"),
            ("a: [1\n", "not YAML"),
            ("a: \"b\n", "not YAML"),
            ("a: b: c\n", "not YAML"),
            ("a: {{ .Values.a }}\n", ""),
            ("? [a]\n: b\n", "can't be read as a Kubernetes object"),
            ("a: !!binary x\n", ""),
        ] {
            let (_, malformed) = read(text);
            for m in &malformed {
                assert!(m.message.contains(said), "{text:?}: {} ({})", m.message, m.hint);
            }
            assert!(said.is_empty() || malformed.len() == 1, "{text:?}");
        }
    }

    #[test]
    fn a_part_is_a_document_of_its_own() {
        let list = good("items:\n- spec:\n    a: 1\n").remove(0);
        let item = list.part("/items/0").unwrap();
        assert_eq!(item.value_at("/spec/a").line, 3);
    }
}
