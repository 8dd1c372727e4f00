//! `apply --watch`: what changes in the folder or in ZITADEL is set right.

use std::{
    fs,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

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
    let policy = |link: &str| format!("kind: PrivacyPolicy\nmetadata: {{name: instance}}\nspec: {{tosLink: \"{link}\"}}\n");
    desk.write("a.yaml", &policy("https://one.example"));
    let errors = fs::File::create(desk.path().join("stderr")).unwrap();
    let mut watching = desk.command(&["apply", "-f", "a.yaml", "--watch"]).stdout(Stdio::null()).stderr(errors).spawn().unwrap();
    let minnie = desk.emulator().add_user("minnie.mouse", "Minnie Mouse", &["IAM_OWNER"]);
    let theirs = desk.client(&minnie.pat);
    let link = async || -> Value { theirs.get::<Value>(None, "/admin/v1/policies/privacy").await.unwrap()["policy"]["tosLink"].clone() };
    let said = || fs::read_to_string(desk.path().join("stderr")).unwrap();

    until("what the file says", async || link().await == "https://one.example").await;
    until("the watch", async || said().contains("watching")).await;
    let _: Value = theirs
        .write(reqwest::Method::PUT, None, "/admin/v1/policies/privacy", &json!({"tosLink": "https://minnie.example"}))
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
