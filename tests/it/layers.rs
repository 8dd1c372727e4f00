//! The layers hold: what knows ZITADEL does not know Kubernetes, and only one module prints.

use std::{fs, path::Path};

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

#[test]
fn the_engine_and_what_works_on_files_name_no_kubernetes_client() {
    for (path, text) in all() {
        let inner = [
            "src/engine",
            "src/live",
            "src/kinds",
            "src/zitadel",
            "src/files",
            "src/validate",
            "src/export",
        ]
        .iter()
        .any(|p| path.starts_with(p));
        for word in ["kube::", "use kube", "crate::operator", "crate::cli"] {
            assert!(!(inner && text.contains(word)), "{path} names {word}");
        }
    }
}

#[test]
fn zitadel_knows_no_kinds() {
    for (path, text) in all().into_iter().filter(|(p, _)| p.starts_with("src/zitadel")) {
        for word in ["crate::kinds", "crate::engine", "crate::live", "crate::api"] {
            assert!(!text.contains(word), "{path} names {word}");
        }
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
    assert!(
        dockerfile.contains("cargo build ") && !dockerfile.contains("features"),
        "the image has the default features"
    );
    let manifest = read("Cargo.toml");
    let features = manifest.split("[features]").nth(1).unwrap().split("\n[").next().unwrap();
    assert!(
        features.contains("demo = ") && !features.contains("default"),
        "and there is none by default"
    );
}
