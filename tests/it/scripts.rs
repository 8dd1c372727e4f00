//! The scripts of the build, with programs in the place of those that they call.

use std::{
    fs,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
};

/// A program that stands for `go`: it says what `go build -v` says, and waits in between until a file
/// is there.
const GO: &str = r#"#!/bin/sh
case $1 in
list) printf 'a/b\nc/d\ne\nf\n' ;;
build)
  printf 'go: downloading example.com/a v1.0.0\na/b\nc/d\n'
  until [ -e "$GO_ON" ]; do sleep 0.05; done
  printf '# e\n./e.go:1:1: it is broken\n'
  exit 3 ;;
esac
"#;

fn build(dir: &Path) -> Child {
    let go = dir.join("go");
    fs::write(&go, GO).unwrap();
    fs::set_permissions(&go, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", dir.display(), std::env::var("PATH").unwrap());
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/go-build"))
        .args(["API server", ".", "a/b", "-trimpath"])
        .envs([("PATH", path.as_str()), ("GO_BUILD_INTERVAL", "1")])
        .env("GO_ON", dir.join("go-on"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_go_build_says_how_far_it_is_and_passes_on_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let mut building = build(dir.path());
    let mut stderr = building.stderr.take().unwrap();
    let (mut said, mut buffer) = (String::new(), [0; 1024]);
    // While it still builds; without progress this reads until the end of the test's time.
    while !said.contains("API server: 2 of at most 4 packages compiled, 1 modules downloaded") {
        let n = stderr.read(&mut buffer).unwrap();
        assert!(n > 0, "{said}");
        said.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    fs::write(dir.path().join("go-on"), "").unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert!(said.contains("# e\n./e.go:1:1: it is broken\n"), "{said}");
    assert_eq!(building.wait().unwrap().code(), Some(3), "{said}");
}
