//! What is printed gets out, or the command says that it did not.

use std::{fs, process::Stdio};

use super::Desk;

const BAD: &str = "kind: Organization\nmetadata: {name: acme}\nspec: {names: ACME}\n";
const GOOD: &str = "kind: Organization\nmetadata: {name: acme}\nspec: {name: ACME}\n";
/// Every way to data on stdout.
const ALL: [&[&str]; 12] = [
    &["export"],
    &["diff", "good.yaml", "other.yaml"],
    &["plan", "-f", "good.yaml"],
    &["plan", "-f", "good.yaml", "-o", "json"],
    &["plan", "-f", "good.yaml", "-o", "markdown"],
    &["validate", "-f", "bad.yaml"],
    &["validate", "-f", "bad.yaml", "-o", "json"],
    &["validate", "-f", "bad.yaml", "-o", "sarif"],
    &["crds"],
    &["completions", "bash"],
    &["man"],
    &["--help"],
];

#[tokio::test(flavor = "multi_thread")]
async fn output_that_can_not_be_written_is_an_error() {
    let desk = Desk::new().await;
    desk.write("good.yaml", GOOD);
    desk.write("other.yaml", &GOOD.replace("ACME", "Other"));
    desk.write("bad.yaml", BAD);
    for args in ALL {
        let mut command = desk.command(args);
        command.stdout(fs::File::options().write(true).open("/dev/full").unwrap());
        let ran = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains("could not be written to stdout"), "{args:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_is_no_error() {
    let desk = Desk::new().await;
    desk.write("good.yaml", GOOD);
    desk.write("other.yaml", &GOOD.replace("ACME", "Other"));
    desk.write("bad.yaml", BAD);
    for args in ALL {
        let mut command = desk.command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let ran =
            tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        let code = match args[0] {
            "plan" | "diff" => 2,
            "validate" => 1,
            _ => 0,
        };
        assert_eq!(ran.status.code(), Some(code), "{args:?}: {said}");
        assert!(!said.contains("stdout") && !said.contains("panicked"), "{args:?}: {said}");
    }
}
