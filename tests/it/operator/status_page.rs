//! The status page: there when it is asked for, and nothing on it but what may be shown.

use kastellan::contract::Fields;
use reqwest::StatusCode;
use serde_json::json;

use crate::{
    remote::{Access, InPlace, entry},
    world::{World, eventually},
};

const SCRIPT: &str = "<script>alert(1)</script>";
const ESCAPED: &str = "&lt;script&gt;alert(1)&lt;/script&gt;";

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_a_status_page_that_was_not_asked_for() {
    let mut world = World::bare("status-off").await;
    world.start();
    world.until_readyz("ready", |text| text == "ok\n").await;
    assert_eq!(world.status_page().await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_page_shows_what_statuses_say_as_text_and_no_value() {
    let mut world = World::bare("status-on").await;
    world.status_page = true;
    world.start();
    world.connect().await;
    world.apply("Organization", "home", json!({"name": "Home"})).await;
    let home = world.ready("Organization", "home").await["id"].as_str().unwrap().to_owned();
    let organization = json!({"name": "home"});
    world
        .apply(
            "Project",
            "shop",
            json!({"organizationRef": organization, "projectRoleCheck": true}),
        )
        .await;
    let id = world.ready("Project", "shop").await["id"].as_str().unwrap().to_owned();
    // Somebody whose name is an attack changes what is declared.
    let other = world.emulator().add_user(SCRIPT, SCRIPT, &["IAM_OWNER"]);
    let at = Access::anonymous(world.zitadel_as(&other.pat), Some(home.as_str()).place());
    entry("Project").change(&at, &id, &Fields::from(json!({"projectRoleCheck": false}))).await;
    world
        .until("Project", "shop", "reverted", |o| o["status"]["lastDrift"]["corrected"] == true)
        .await;
    // A tenant's attack, in a message.
    let grant = json!({"organizationRef": {"name": "home"}, "projectRef": {"name": "shop"}, "userLoginName": SCRIPT.replace("alert", "tenant"), "roleKeys": []});
    world.apply("UserGrant", "nobody", grant).await;
    let message = world.reason("UserGrant", "nobody", "WaitingForReference").await;
    assert!(message.contains("<script>tenant(1)"), "{message}");
    // Both values of what differs are in the status.
    let links = json!({"organizationRef": organization, "mode": "Observe", "tosLink": "https://declared.example/hush"});
    world.apply("PrivacyPolicy", "links", links).await;
    world.reason("PrivacyPolicy", "links", "Observing").await;

    let wanted = [
        "<td class=\"short\">PrivacyPolicy</td>",
        "<td>tosLink</td>",
        "Observing",
        "<td>projectRoleCheck</td>",
        ESCAPED,
        "&lt;script&gt;tenant(1)&lt;/script&gt;",
        "Following, answered ",
        &format!("<td>{}</td>", world.issuer()),
        &format!("{}/default", world.namespace),
    ];
    let get = async || world.status_page().await.text().await.unwrap();
    let is_there = |page: &String| wanted.iter().all(|part| page.contains(part));
    let page = eventually("the page shows everything", get, is_there).await;
    assert!(!page.contains("<script"), "{page}");
    for secret in ["hush", "S3cret-value", world.emulator().pat().as_str(), other.pat.as_str()] {
        assert!(!page.contains(secret), "{secret}: {page}");
    }
    for elsewhere in ["src=", "href=", "url(", "@import"] {
        assert!(!page.contains(elsewhere), "{elsewhere}: {page}");
    }

    let answer = world.status_page().await;
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    let policy = header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{policy}");
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("content-type"), "text/html; charset=utf-8");
    let posted = reqwest::Client::new().post(answer.url().clone()).send().await.unwrap();
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
    if let Ok(file) = std::env::var("KASTELLAN_STATUS_PAGE_TO") {
        std::fs::write(file, page).unwrap();
    }
}
