//! `apply --watch`: what changes in the folder or in ZITADEL is corrected.

use std::{fs, process::Stdio};

use serde_json::{Value, json};
use zitadel_emulator::Outage;

use super::{Desk, until};

#[tokio::test(flavor = "multi_thread")]
async fn watching_corrects_what_changes_on_either_side() {
    let desk = Desk::new().await;
    let policy = |link: &str| {
        format!(
            "kind: PrivacyPolicy\nmetadata: {{name: instance}}\nspec: {{tosLink: \"{link}\"}}\n"
        )
    };
    desk.write("a.yaml", &policy("https://one.example"));
    let watching = desk.start(&["apply", "-f", "a.yaml", "--watch"]);
    let minnie = desk.emulator().add_user("minnie.mouse", "Minnie Mouse", &["IAM_OWNER"]);
    let theirs = desk.client(&minnie.pat);
    let link = async || -> Value {
        theirs.get::<Value>(None, "/admin/v1/policies/privacy").await.unwrap()["policy"]["tosLink"]
            .clone()
    };
    let said = || watching.said();

    until("what the file says", async || link().await == "https://one.example").await;
    until("the watch", async || said().contains("watching")).await;
    let _: Value = theirs
        .write(
            reqwest::Method::PUT,
            None,
            "/admin/v1/policies/privacy",
            &json!({"tosLink": "https://minnie.example"}),
        )
        .await
        .unwrap();
    until("the correction", async || link().await == "https://one.example").await;
    until("who did it", async || said().contains("tosLink changed by Minnie Mouse")).await;

    desk.write("a.yaml", &policy("https://two.example"));
    until("what the file says now", async || link().await == "https://two.example").await;
    assert!(
        !said().contains("changed by Minnie Mouse; reverted\n~ PrivacyPolicy default/instance: the privacy policy was changed: tosLink\n!"),
        "an edit is no drift"
    );
    desk.write("a.yaml", &policy("https://three.example").replace("tosLink", "tosLnk"));
    until("the mistake", async || said().contains("did you mean tosLink?")).await;
    assert_eq!(link().await, "https://two.example");
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_takes_up_an_instance_that_can_be_reached_only_later() {
    let (desk, other) = (Desk::new().await, Desk::new().await);
    for (namespace, there) in [("here", &desk), ("later", &other)] {
        let metadata = format!("metadata: {{name: default, namespace: {namespace}}}");
        let credentials = "{personalAccessToken: {secretRef: {name: kastellan, key: pat}}}";
        let instance = format!(
            "kind: Instance\n{metadata}\nspec: {{issuer: \"{}\", pollInterval: 1s, credentials: {credentials}}}\n",
            there.zitadel.url()
        );
        desk.write(
            &format!("{namespace}.yaml"),
            &format!(
                "{instance}---\nkind: Restrictions\n{metadata}\nspec: {{allowedLanguages: [en]}}\n"
            ),
        );
        desk.write(&format!("secrets/{namespace}/kastellan/pat"), &there.emulator().pat());
    }
    other.emulator().faults().down(Outage::Reset);
    let mut command = desk.command(&[
        "apply",
        "-f",
        "here.yaml",
        "-f",
        "later.yaml",
        "--secret-dir",
        "secrets",
        "--watch",
    ]);
    command
        .env_remove("ZITADEL_ISSUER")
        .env_remove("ZITADEL_TOKEN")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut watching = command.spawn().unwrap();
    until("what can be done", async || desk.writes() == 1).await;
    other.emulator().faults().up();
    until("the rest", async || other.writes() == 1).await;
    watching.kill().unwrap();
    watching.wait().unwrap();
}

/// An Instance file, and a folder of Secrets for it.
fn instance(desk: &Desk) {
    let credentials = "{personalAccessToken: {secretRef: {name: kastellan, key: pat}}}";
    let instance = format!(
        "kind: Instance\nmetadata: {{name: default}}\nspec: {{issuer: \"{}\", pollInterval: 1s, credentials: {credentials}}}\n",
        desk.zitadel.url()
    );
    desk.write("tenant/instance.yaml", &instance);
    desk.write("secrets/kastellan/pat", &desk.emulator().pat());
}

fn restrictions(languages: &str) -> String {
    format!(
        "kind: Restrictions\nmetadata: {{name: r}}\nspec: {{allowedLanguages: [{languages}]}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_goes_on_while_files_are_missing() {
    let desk = Desk::new().await;
    instance(&desk);
    desk.write("tenant/r.yaml", &restrictions("en"));
    let args = ["apply", "-f", "tenant", "--secret-dir", "secrets", "--watch"];
    let mut command = desk.command(&args);
    command.env_remove("ZITADEL_ISSUER").env_remove("ZITADEL_TOKEN");
    let mut watching = desk.start_command(command);
    until("the watch", async || watching.said().contains("watching the files")).await;
    assert_eq!(desk.writes(), 1);

    fs::remove_file(desk.path().join("tenant/instance.yaml")).unwrap();
    let kept = "Instance default/default is not in the files any more, and is still needed; what it said before stays in force";
    until("that the Instance stays", async || watching.said().contains(kept)).await;
    desk.write("tenant/r.yaml", &restrictions("en, de"));
    until("what the file says now", async || desk.writes() == 2).await;

    fs::rename(desk.path().join("tenant"), desk.path().join("away")).unwrap();
    until("the missing folder", async || watching.said().contains("tenant can't be read")).await;
    fs::create_dir(desk.path().join("tenant")).unwrap();
    until("the empty folder", async || watching.said().contains("there are 0 objects")).await;
    fs::remove_dir(desk.path().join("tenant")).unwrap();
    fs::rename(desk.path().join("away"), desk.path().join("tenant")).unwrap();
    until("the end of it", async || watching.said().contains("the files are right again")).await;

    instance(&desk);
    desk.write("tenant/r.yaml", &restrictions("en, fr"));
    until("what the file says at last", async || desk.writes() == 3).await;
    watching.signal("TERM");
    assert_eq!(watching.end().await, 0, "{}", watching.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_says_when_and_what_stays_and_ends_gracefully() {
    let desk = Desk::new().await;
    let policy = "kind: PrivacyPolicy\nmetadata: {name: p}\nspec: {tosLink: https://a.example}\n";
    desk.write("tenant/r.yaml", &restrictions("en"));
    desk.write("tenant/p.yaml", policy);
    for signal in ["TERM", "INT"] {
        desk.write("tenant/p.yaml", policy);
        let mut watching = desk.start(&["apply", "-f", "tenant", "--watch"]);
        until("the watch", async || watching.said().contains("watching the files")).await;
        fs::remove_file(desk.path().join("tenant/p.yaml")).unwrap();
        let stays =
            "PrivacyPolicy default/p is not in the files any more; in ZITADEL it stays as it is";
        until("what stays", async || watching.said().contains(stays)).await;
        watching.signal(signal);
        assert_eq!(watching.end().await, 0, "{signal}: {}", watching.said());
        let said = watching.said();
        assert!(said.contains("stopped watching"), "{signal}: {said}");
        for line in said.lines() {
            let time = line.split(' ').next().unwrap();
            assert!(time.parse::<jiff::Timestamp>().is_ok(), "no time: {line}");
        }
    }
}
