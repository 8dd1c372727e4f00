//! `apply --watch`: what changes in the folder or in ZITADEL is set right.

use std::{
    fs,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use zitadel_emulator::Outage;

use super::Desk;

/// Waits for a condition, and says what for where it never comes.
async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_sets_right_what_changes_on_either_side() {
    let desk = Desk::new().await;
    let policy = |link: &str| {
        format!(
            "kind: PrivacyPolicy\nmetadata: {{name: instance}}\nspec: {{tosLink: \"{link}\"}}\n"
        )
    };
    desk.write("a.yaml", &policy("https://one.example"));
    let errors = fs::File::create(desk.path().join("stderr")).unwrap();
    let mut watching = desk
        .command(&["apply", "-f", "a.yaml", "--watch"])
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()
        .unwrap();
    let minnie = desk.emulator().add_user("minnie.mouse", "Minnie Mouse", &["IAM_OWNER"]);
    let theirs = desk.client(&minnie.pat);
    let link = async || -> Value {
        theirs.get::<Value>(None, "/admin/v1/policies/privacy").await.unwrap()["policy"]["tosLink"]
            .clone()
    };
    let said = || fs::read_to_string(desk.path().join("stderr")).unwrap();

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
        !said().contains("changed by Minnie Mouse; set back\n~ PrivacyPolicy default/instance: the privacy policy was changed: tosLink\n!"),
        "an edit is no drift"
    );
    desk.write("a.yaml", &policy("https://three.example").replace("tosLink", "tosLnk"));
    until("the mistake", async || said().contains("did you mean tosLink?")).await;
    assert_eq!(link().await, "https://two.example");

    watching.kill().unwrap();
    watching.wait().unwrap();
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
