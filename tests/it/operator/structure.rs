//! The modules of the operator depend on each other in one direction.

use std::{collections::BTreeMap, fs, path::Path};

/// What each module of the operator imports of the others.
fn imports() -> BTreeMap<String, Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/operator");
    let files: BTreeMap<String, String> = fs::read_dir(folder)
        .unwrap()
        .map(|f| f.unwrap().path())
        .map(|f| (f.file_stem().unwrap().to_str().unwrap().into(), fs::read_to_string(f).unwrap()))
        .collect();
    let of = |text: &str| {
        let text = text.split("#[cfg(test)]").next().unwrap();
        assert!(!text.contains("crate::operator"), "one's neighbours are in `super`");
        let used = text.split("use super::").skip(1).filter_map(|rest| rest.split(';').next());
        let words: Vec<&str> =
            used.flat_map(|list| list.split(|c: char| !c.is_alphanumeric() && c != '_')).collect();
        files.keys().filter(|name| words.contains(&name.as_str())).cloned().collect()
    };
    files.iter().map(|(name, text)| (name.clone(), of(text))).collect()
}

#[test]
fn no_module_of_the_operator_imports_itself_by_way_of_others() {
    let mut left = imports();
    assert!(left["controller"].contains(&"context".to_owned()), "imports are found: {left:?}");
    loop {
        let leaves: Vec<String> = left
            .iter()
            .filter(|(_, of)| of.iter().all(|other| !left.contains_key(other)))
            .map(|(name, _)| name.clone())
            .collect();
        if leaves.is_empty() {
            break;
        }
        left.retain(|name, _| !leaves.contains(name));
    }
    assert!(left.is_empty(), "a circle: {left:#?}");
}

#[test]
fn no_module_of_the_operator_imports_the_whole() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/operator");
    for file in fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()) {
        let text = fs::read_to_string(&file).unwrap();
        for whole in ["super::Options", "super::{Options", "    Options,\n"] {
            assert!(!text.contains(whole), "{} names {whole}", file.display());
        }
        let lines = text.split("#[cfg(test)]").next().unwrap().lines().count();
        assert!(lines <= 300, "{} has {lines} lines", file.display());
    }
}
