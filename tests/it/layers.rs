//! The layers hold: imports lead down, without circles; what knows ZITADEL does not know Kubernetes;
//! no kind is a special case; only one module prints.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

fn sources(dir: &Path, into: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, into);
        } else {
            into.push((
                path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display().to_string(),
                fs::read_to_string(&path).unwrap(),
            ));
        }
    }
}

fn all() -> Vec<(String, String)> {
    let mut all = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    all
}

/// The layers: each may use those that are named beside it, and no others.
const LAYERS: [(&str, &[&str]); 12] = [
    ("zitadel", &[]),
    ("api", &[]),
    ("contract", &["api", "zitadel"]),
    ("kinds", &["api", "contract", "zitadel"]),
    ("live", &["api", "contract", "zitadel"]),
    ("engine", &["api", "contract", "live", "zitadel"]),
    ("files", &["api", "contract", "engine", "kinds"]),
    ("validate", &["api", "contract", "engine", "files", "kinds"]),
    ("export", &["api", "contract", "live", "zitadel"]),
    ("terraform", &["contract", "export"]),
    ("operator", &["api", "contract", "engine", "kinds", "live", "zitadel"]),
    (
        "cli",
        &[
            "api",
            "contract",
            "engine",
            "export",
            "files",
            "kinds",
            "live",
            "operator",
            "terraform",
            "validate",
            "zitadel",
        ],
    ),
];

/// Without comments and tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.fold(String::new(), |all, line| all + line + "\n")
}

/// The words of what comes after each `prefix` up to the end of its statement, as far as they are
/// the first of a path.
fn imported(code: &str, prefix: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rest in code.split(prefix).skip(1) {
        let Some(list) = rest.strip_prefix('{') else {
            let word = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
            found.insert(word.to_owned());
            continue;
        };
        let (mut depth, mut word) = (0, String::new());
        for c in list.chars() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                _ => {}
            }
            if c.is_alphanumeric() || c == '_' {
                word.push(c);
            } else if depth == 0 && !word.is_empty() && c != '{' {
                found.insert(std::mem::take(&mut word));
            } else {
                word.clear();
            }
        }
        found.insert(word);
    }
    found
}

#[test]
fn imports_lead_to_the_layers_below() {
    let names: Vec<&str> = LAYERS.map(|(name, _)| name).to_vec();
    let mut seen = BTreeSet::new();
    for (path, text) in all() {
        let layer = path.strip_prefix("src/").unwrap();
        let layer = layer.split(['/', '.']).next().unwrap();
        let Some((layer, allowed)) = LAYERS.into_iter().find(|(name, _)| *name == layer) else {
            assert!(["lib", "main"].contains(&layer), "{path} is of no layer");
            continue;
        };
        for used in imported(&code(&text), "crate::") {
            let is_layer = names.contains(&used.as_str()) && used != layer;
            seen.insert((layer, used.clone()));
            assert!(!is_layer || allowed.contains(&used.as_str()), "{path} uses {used}");
        }
    }
    for (layer, allowed) in LAYERS {
        for used in allowed {
            assert!(seen.contains(&(layer, (*used).to_owned())), "{layer} does not use {used}");
        }
    }
}

/// No kind is a special case.
#[test]
fn the_engine_and_the_live_side_name_no_kind() {
    let kinds: Vec<&str> = kastellan::kinds::REGISTRY.all().map(|e| e.kind()).collect();
    let generic = ["src/engine", "src/live", "src/contract", "src/export", "src/validate"];
    for (path, text) in all().into_iter().filter(|(p, _)| generic.iter().any(|g| p.starts_with(g)))
    {
        // The heading of a column is none.
        let text = code(&text).replace("column(\"Organization\"", "");
        for kind in kinds.iter().filter(|kind| **kind != "Instance") {
            assert!(!text.contains(&format!("\"{kind}\"")), "{path} names {kind}");
        }
    }
}

#[test]
fn only_the_operator_and_the_command_line_know_a_kubernetes_client() {
    let outer = ["src/operator", "src/cli", "src/main.rs"];
    // The form of a CRD is a type of the client's library.
    let inner = |path: &str| !outer.iter().any(|o| path.starts_with(o));
    for (path, text) in all().into_iter().filter(|(p, _)| inner(p)) {
        for word in ["kube::Client", "kube::Api", "kube::api", "kube::runtime", "kube::client"] {
            assert!(!code(&text).contains(word), "{path} names {word}");
        }
    }
}

/// The modules of each folder depend on each other in one direction.
#[test]
fn no_module_imports_itself_by_way_of_its_neighbours() {
    for (layer, _) in LAYERS {
        let folder = format!("src/{layer}/");
        let mut left: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (path, text) in all() {
            let Some(rest) = path.strip_prefix(&folder) else { continue };
            let depth = rest.matches('/').count() + 1;
            let module = rest.split(['/', '.']).next().unwrap().to_owned();
            // From a folder in the folder, `super::super::` leads to the neighbours.
            let prefix = format!("use {}", "super::".repeat(depth));
            let mut used = imported(&code(&text), &prefix);
            used.extend(imported(&code(&text), &format!("crate::{layer}::")));
            used.remove(&module);
            left.entry(module).or_default().extend(used);
        }
        loop {
            let leaf = left.iter().find(|(_, of)| of.iter().all(|other| !left.contains_key(other)));
            let Some(leaf) = leaf.map(|(name, _)| name.clone()) else { break };
            left.remove(&leaf);
        }
        assert!(left.is_empty(), "a circle in {folder}: {left:#?}");
    }
}

#[test]
fn only_the_output_prints() {
    for (path, text) in all() {
        let printing =
            ["println!", "print!", "eprintln!", "eprint!"].iter().any(|p| text.contains(p));
        assert!(!printing || path.starts_with("src/cli/output"), "{path} prints");
    }
}

#[test]
fn the_image_is_built_without_the_demo() {
    let read =
        |file: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let dockerfile = read("Dockerfile");
    assert!(dockerfile.contains("scripts/build-release ") && !dockerfile.contains("cargo build"));
    assert!(dockerfile.contains("\nARG FEATURES=\n"), "who builds it may ask for more");
    let script = read("scripts/build-release");
    assert!(
        script.contains("cargo build ") && script.contains(" --features \"${FEATURES:-}\" "),
        "the image has the default features"
    );
    let manifest = read("Cargo.toml");
    let features = manifest.split("[features]").nth(1).unwrap().split("\n[").next().unwrap();
    assert!(
        features.contains("demo = ") && !features.contains("default"),
        "and there is none by default"
    );
}
