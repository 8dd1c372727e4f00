//! Files that are generated from the registry are current. `UPDATE=1 cargo test generated` writes
//! them anew.

mod docs;
mod permissions;

use std::{fs, path::Path};

fn check(path: &Path, want: &str) {
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, want).unwrap();
    }
    let have = fs::read_to_string(path).unwrap_or_default();
    assert!(have == want, "{} is not what the code generates: run `make generate`", path.display());
}

/// The part of a page between two marks.
fn check_part(page: &Path, mark: &str, want: &str) {
    let text = fs::read_to_string(page).unwrap();
    let (begin, end) = (format!("<!-- {mark} -->\n"), format!("<!-- /{mark} -->"));
    let (before, rest) = text.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    check(page, &format!("{before}{begin}{want}{end}{after}"));
}

#[test]
fn generated_crds_are_current() {
    let files = kastellan::kinds::REGISTRY.crd_files().unwrap();
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

#[test]
fn the_table_of_roles_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/zitadel/roles.txt");
    check(&path, &permissions::table());
}

#[test]
fn generated_documentation_is_current() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    check(&docs.join("reference.md"), &docs::reference());
    check(&docs.join("reasons.md"), &docs::reasons());
    check(&docs.join("permissions.md"), &permissions::page());
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    check_part(&readme, "kinds", &docs::kinds());
}

#[tokio::test(start_paused = true)]
#[ignore = "takes minutes, and was not seen to end: the table is not in the page yet"]
async fn the_generated_table_of_faults_is_current() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reliability.md");
    check_part(&page, "faults", &crate::matrix::table().await);
}

#[test]
fn links_of_the_documentation_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "charts/kastellan/README.md"]
        .map(|page| root.join(page))
        .to_vec();
    for dir in [root.join("docs"), root.join("docs/tasks")] {
        pages.extend(
            fs::read_dir(dir)
                .unwrap()
                .map(|e| e.unwrap().path())
                .filter(|p| p.extension().is_some_and(|e| e == "md")),
        );
    }
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|t| !t.contains("://")) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let there =
                if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(there.exists(), "{}: {target} is not there", page.display());
            if !anchor.is_empty() {
                let headings = fs::read_to_string(&there).unwrap();
                let is_there =
                    headings.lines().filter(|l| l.starts_with('#')).any(|l| slug(l) == anchor);
                assert!(is_there, "{}: {target} has no such heading", page.display());
            }
        }
    }
}

/// Whatever `docs/security.md` says is proved is proved by tests that exist.
#[test]
fn the_tests_that_the_security_model_names_exist() {
    fn collect(dir: &Path, into: &mut String) {
        for entry in fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()) {
            if entry.is_dir() {
                collect(&entry, into);
            } else if entry.extension().is_some_and(|e| e == "rs") {
                *into += &fs::read_to_string(entry).unwrap();
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    for dir in ["src", "tests"] {
        collect(&root.join(dir), &mut code);
    }
    let text = fs::read_to_string(root.join("docs/security.md")).unwrap();
    let names = text.split('`').skip(1).step_by(2).filter(|name| name.matches('_').count() > 1);
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        assert!(code.contains(&format!("fn {name}(")), "docs/security.md: there is no {name}");
    }
}

/// The anchor of a heading, as GitHub and mdBook make it.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}
