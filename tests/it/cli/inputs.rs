//! Manifests that are in no file: from stdin, and from kustomize.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
    process::Command,
};

use serde_json::Value;

use super::{Desk, Ran, snapshots::snapshot, until};
use crate::apiserver::tool;

const API: &str = "apiVersion: zitadel.kastellan.dev/v1alpha1\n";
const TENANT: &str = "kind: Organization\nmetadata: {name: acme}\nspec: {name: ACME}\n";

/// A folder of programs, with nothing else in PATH.
fn programs(desk: &Desk) -> PathBuf {
    let dir = desk.path().join("bin");
    fs::create_dir_all(&dir).unwrap();
    dir
}

fn script(desk: &Desk, name: &str, text: &str) {
    let path = programs(desk).join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The kubectl that `make tools` builds.
fn kubectl(desk: &Desk) {
    let testenv = tool("KASTELLAN_TESTENV", "testenv").expect("`make tools` has built it");
    symlink(fs::canonicalize(testenv).unwrap(), programs(desk).join("kubectl")).unwrap();
}

fn command(desk: &Desk, args: &[&str]) -> Command {
    let mut command = desk.command(args);
    command.env("PATH", programs(desk));
    command
}

async fn run(desk: &Desk, args: &[&str]) -> Ran {
    Desk::output(command(desk, args), None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_come_from_stdin() {
    let desk = Desk::new().await;
    let text = format!("{API}{TENANT}");
    let piped =
        async |args: &[&str], text: &str| Desk::output(desk.command(args), Some(text)).await;
    snapshot("plan-stdin", &piped(&["plan", "-f", "-"], &text).await);
    let wrong = text.replace("spec: {name", "spec: {nmae");
    snapshot("validate-stdin", &piped(&["validate", "-f", "-"], &wrong).await);
    let json = piped(&["validate", "-f", "-", "-o", "json"], &wrong).await;
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json[0]["file"], "<stdin>");
    let sarif = piped(&["validate", "-f", "-", "-o", "sarif"], &wrong).await;
    let sarif: Value = serde_json::from_str(&sarif.stdout).unwrap();
    let place = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(
        (&place["artifactLocation"]["uri"], &place["region"]["startLine"]),
        (&"stdin".into(), &4.into())
    );
    snapshot("plan-stdin-empty", &piped(&["plan", "-f", "-"], "").await);

    // Together with files.
    desk.write(
        "shop.yaml",
        "kind: Project\nmetadata: {name: shop}\nspec: {organizationRef: {name: acme}}\n",
    );
    let ran = piped(&["apply", "-f", "shop.yaml", "-f", "-"], &text).await;
    assert_eq!(ran.code, 0, "{}", ran.text());
    assert!(ran.stderr.contains("2 created"), "{}", ran.text());
    assert_eq!(piped(&["plan", "-f", "-"], &text).await.code, 0);

    snapshot("plan-stdin-twice", &piped(&["plan", "-f", "-", "-f", "-"], &text).await);
    snapshot("apply-watch-stdin", &piped(&["apply", "-f", "-", "--watch"], &text).await);
    let mut command = desk.command(&["plan", "-f", "-"]);
    command.stdin(fs::File::options().read(true).write(true).open("/dev/ptmx").unwrap());
    snapshot("plan-stdin-terminal", &Desk::output(command, None).await);
}

/// A base, and what production makes of it.
fn overlays(desk: &Desk) {
    desk.write("base/tenant.yaml", TENANT);
    let write = |file: &str, text: &str| {
        let path = desk.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("base/kustomization.yaml", "resources: [tenant.yaml]\n");
    // By itself it would be a second object of the same name.
    desk.write("production/patch.yaml", &TENANT.replace("name: ACME", "name: ACME Production"));
    write(
        "production/kustomization.yml",
        "resources: [../base]\nnamespace: tenant\npatches: [{path: patch.yaml}]\n",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_with_a_kustomization_is_built() {
    let desk = Desk::new().await;
    overlays(&desk);
    kubectl(&desk);
    let ran = run(&desk, &["plan", "-f", "production"]).await;
    snapshot("plan-kustomization", &ran);
    // Its kustomization means the folder.
    let again = run(&desk, &["plan", "-f", "./production/kustomization.yml"]).await;
    assert_eq!(again.text(), ran.text());
    assert_eq!(run(&desk, &["apply", "-f", "production"]).await.code, 0);
    assert_eq!(run(&desk, &["plan", "-f", "production"]).await.code, 0);
    // In the folder itself.
    let mut here = command(&desk, &["plan", "-f", "."]);
    here.current_dir(desk.path().join("production"));
    assert_eq!(Desk::output(here, None).await.code, 0);

    // What is below a folder is built too; it is not guessed which of two is meant.
    fs::create_dir(desk.path().join("all")).unwrap();
    for folder in ["base", "production"] {
        fs::rename(desk.path().join(folder), desk.path().join("all").join(folder)).unwrap();
    }
    let ran = run(&desk, &["plan", "-f", "all", "-f", "all/production"]).await;
    snapshot("plan-kustomization-twice", &ran);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_what_was_built_has_no_line_in_a_file() {
    let desk = Desk::new().await;
    overlays(&desk);
    kubectl(&desk);
    desk.write("base/tenant.yaml", &TENANT.replace("name: ACME", "nmae: ACME"));
    snapshot("validate-kustomization", &run(&desk, &["validate", "-f", "base"]).await);
    let sarif = run(&desk, &["validate", "-f", "base", "-o", "sarif"]).await;
    let sarif: Value = serde_json::from_str(&sarif.stdout).unwrap();
    let place = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "base/kustomization.yaml");
    assert_eq!(place.get("region"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_built_is_an_error() {
    let desk = Desk::new().await;
    overlays(&desk);
    for command in ["plan", "apply", "validate"] {
        let ran = run(&desk, &[command, "-f", "production"]).await;
        snapshot("kustomization-without-kustomize", &ran);
    }
    kubectl(&desk);
    fs::remove_file(desk.path().join("base/tenant.yaml")).unwrap();
    let ran = run(&desk, &["plan", "-f", "base"]).await;
    assert_eq!(ran.code, 1);
    let said =
        "error: kubectl kustomize failed in base: exit status: 1: error: accumulating resources";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);

    // kustomize itself comes first. It is told no secret.
    script(&desk, "kustomize", "echo \"$@ ${ZITADEL_TOKEN-no token}\" >&2; exit 7");
    snapshot("kustomization-that-fails", &run(&desk, &["plan", "-f", "production"]).await);
    assert!(desk.emulator().calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_built_is_watched() {
    let desk = Desk::new().await;
    overlays(&desk);
    kubectl(&desk);
    let watch = desk.start_command(command(&desk, &["apply", "-f", "production", "--watch"]));
    until("the first apply", async || watch.said().contains("watching the files")).await;
    desk.write("base/tenant.yaml", "kind: Organization\nmetadata: {name: acme}\nspec: {}\n---\nkind: PrivacyPolicy\nmetadata: {name: acme}\nspec: {organizationRef: {name: acme}, helpLink: https://help.acme.example}\n");
    until("the change of a base", async || watch.said().contains("PrivacyPolicy tenant/acme: "))
        .await;
}
