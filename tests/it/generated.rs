//! Files that are generated from the registry are current. `UPDATE=1 cargo test generated` writes them anew.

use std::{fs, path::Path};

fn check(path: &Path, want: &str) {
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, want).unwrap();
    }
    let have = fs::read_to_string(path).unwrap_or_default();
    assert!(have == want, "{} is not what the code generates: run `make generate`", path.display());
}

#[test]
fn generated_crds_are_current() {
    let files = kastellan::kinds::crd_files();
    // A chart can't reach outside its folder, so it has copies.
    for dir in ["crds", "charts/kastellan/files/crds"] {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
        for (name, text) in &files {
            check(&dir.join(name), text);
        }
        let there = fs::read_dir(&dir).unwrap().count();
        assert_eq!(there, files.len(), "{} holds a file a kind and nothing else", dir.display());
    }
}
