//! Branding: what is particular about `LabelPolicy`. There is one draft for all, and users see what was
//! last activated; pictures and fonts come from ConfigMaps and Secrets, and are compared by what they
//! hold.

use kastellan::{
    contract::{Access, Fields, Key},
    engine::{events::EventReason, report::Outcome},
    zitadel::file::File,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    inprocess::{Lab, key},
    remote::{Place, entry},
    world::World,
};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\none";
const OTHER_PNG: &[u8] = b"\x89PNG\r\n\x1a\ntwo";
const LOGO_ADDED: &str = "instance.policy.label.logo.added";
const LOGO_REMOVED: &str = "instance.policy.label.logo.removed";
const CHANGED: &str = "instance.policy.label.changed";
const ACTIVATED: &str = "instance.policy.label.activated";

fn it() -> Key {
    key("LabelPolicy", "ns", "brand")
}

fn from_map(key: &str) -> Value {
    json!({"configMapRef": {"name": "brand", "key": key}})
}

/// An instance with its own branding.
async fn lab_with(spec: &Value) -> Lab {
    let lab = Lab::new().await;
    lab.put_file("brand", "logo.png", PNG);
    lab.declare("ns", "LabelPolicy", "brand", spec.clone());
    lab.settle().await;
    lab
}

async fn ready_with(spec: &Value) -> Lab {
    let lab = lab_with(spec).await;
    assert!(lab.status(&it()).is_ready(), "{:?}", lab.reason(&it()));
    lab
}

fn change(lab: &Lab, spec: &Value) {
    lab.edit(&it(), |o| {
        o.spec = spec.clone();
        o.generation += 1;
    });
}

/// What users see.
async fn active(lab: &Lab) -> Fields {
    let live = entry("LabelPolicy").read(&lab.client_at(Place::instance()), "").await;
    live.unwrap().unwrap().state
}

/// Somebody drafts something.
async fn draft(by: &Access, fields: &Value) {
    let path = "/admin/v1/policies/label/_preview";
    let read: Value = by.client.get(None, path).await.unwrap();
    let mut body = read["policy"].clone();
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let path = "/admin/v1/policies/label";
    by.client.write::<Value>(Method::PUT, None, path, &body).await.unwrap();
}

async fn activate(by: &Access) {
    let path = "/admin/v1/policies/label/_activate";
    by.client.write::<Value>(Method::POST, None, path, &json!({})).await.unwrap();
}

async fn upload(by: &Access, bytes: &'static [u8]) {
    let path = "/assets/v1/instance/policy/label/logo";
    by.client.upload(None, path, &File::new(bytes)).await.unwrap();
}

/// The object is looked at again and again: nothing is written, and no file is fetched.
async fn assert_at_rest(lab: &Lab) {
    let events = lab.events();
    lab.emulator.reset_calls();
    for _ in 0..3 {
        lab.follow().await;
        let outcome = lab.look(&it()).await;
        assert!(outcome.status.is_ready() && outcome.events.is_empty(), "{outcome:?}");
    }
    assert_eq!(lab.events(), events, "at rest nothing is written");
    let fetched = lab.emulator.calls().into_iter().filter(|c| c.path.starts_with("/assets/"));
    assert_eq!(fetched.count(), 0, "at rest no file is fetched");
}

fn contested(lab: &Lab, outcome: &Outcome) -> String {
    let (reason, message) = lab.reason(&it());
    assert_eq!(reason, "Contested", "{message} {outcome:?}");
    message
}

#[tokio::test(start_paused = true)]
async fn what_is_declared_is_activated_once() {
    let lab = ready_with(&json!({"primaryColor": "#123456", "themeMode": "Dark"})).await;
    let live = active(&lab).await;
    assert_eq!(live.text("primaryColor"), Some("#123456"));
    assert_eq!(live.text("themeMode"), Some("Dark"));
    assert_eq!(live.text("backgroundColor"), Some("#fafafa"), "what is omitted stays");
    // One activation is the setup's.
    assert_eq!((lab.count(CHANGED), lab.count(ACTIVATED)), (1, 2));
    assert_at_rest(&lab).await;
}

#[tokio::test(start_paused = true)]
async fn what_somebody_drafts_besides_is_not_published_and_named() {
    let lab = ready_with(&json!({"primaryColor": "#123456"})).await;
    let minnie = lab.minnie(None);
    draft(&minnie, &json!({"fontColor": "#010203", "primaryColor": "#999999"})).await;
    upload(&minnie, PNG).await;
    lab.follow().await;
    assert!(lab.look(&it()).await.status.is_ready(), "a draft alone disturbs nobody");
    change(&lab, &json!({"primaryColor": "#abcdef"}));
    let events = lab.events();
    let message = contested(&lab, &lab.look(&it()).await);
    assert!(message.contains("fontColor, logo in a draft"), "{message}");
    assert!(message.contains("publishDrafts"), "{message}");
    assert_eq!(lab.events(), events, "nothing is written");
    assert_eq!(active(&lab).await.text("primaryColor"), Some("#123456"));
    // Who publishes it makes way.
    activate(&minnie).await;
    lab.follow().await;
    lab.settle().await;
    assert!(lab.status(&it()).is_ready(), "{:?}", lab.reason(&it()));
    let live = active(&lab).await;
    assert_eq!(live.text("primaryColor"), Some("#abcdef"));
    assert_eq!(live.text("fontColor"), Some("#010203"));
}

#[tokio::test(start_paused = true)]
async fn a_draft_is_published_along_where_that_is_allowed() {
    let lab = ready_with(&json!({"primaryColor": "#123456"})).await;
    let minnie = lab.minnie(None);
    draft(&minnie, &json!({"fontColor": "#010203", "primaryColor": "#999999"})).await;
    upload(&minnie, OTHER_PNG).await;
    change(&lab, &json!({"primaryColor": "#abcdef", "publishDrafts": true}));
    lab.settle().await;
    assert!(lab.status(&it()).is_ready(), "{:?}", lab.reason(&it()));
    let live = active(&lab).await;
    assert_eq!(live.text("primaryColor"), Some("#abcdef"), "what is declared counts");
    assert_eq!(live.text("fontColor"), Some("#010203"));
    assert_eq!(live.text("logo"), Some(&*File::new(OTHER_PNG).fingerprint()));
    assert_at_rest(&lab).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_is_uploaded_once_and_again_when_it_is_another_one() {
    let lab = ready_with(&json!({"logo": from_map("logo.png")})).await;
    assert_eq!(active(&lab).await.text("logo"), Some(&*File::new(PNG).fingerprint()));
    assert_eq!((lab.count(LOGO_ADDED), lab.count(CHANGED)), (1, 0));
    assert_at_rest(&lab).await;
    lab.put_file("brand", "logo.png", OTHER_PNG);
    let outcome = lab.look(&it()).await;
    let told: Vec<_> = outcome.events.iter().map(|e| (e.reason, e.message.as_str())).collect();
    assert_eq!(told, [(EventReason::Updated, "the label policy was changed: logo")]);
    assert_eq!(active(&lab).await.text("logo"), Some(&*File::new(OTHER_PNG).fingerprint()));
    assert_eq!(lab.count(LOGO_ADDED), 2);
    assert_at_rest(&lab).await;
}

#[tokio::test(start_paused = true)]
async fn a_foreign_upload_is_reverted_and_attributed() {
    let lab = ready_with(&json!({"logo": from_map("logo.png")})).await;
    let minnie = lab.minnie(None);
    upload(&minnie, OTHER_PNG).await;
    activate(&minnie).await;
    assert_eq!(active(&lab).await.text("logo"), Some(&*File::new(OTHER_PNG).fingerprint()));
    lab.follow().await;
    lab.settle().await;
    assert_eq!(active(&lab).await.text("logo"), Some(&*File::new(PNG).fingerprint()));
    let drift = lab.status(&it()).last_drift.unwrap();
    assert_eq!(drift.fields, ["logo"]);
    assert_eq!(drift.by.as_deref(), Some("minnie.mouse"));
    assert!(drift.corrected);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_a_draft_takes_away_is_uploaded_again() {
    let lab = ready_with(&json!({"logo": from_map("logo.png")})).await;
    let minnie = lab.minnie(None);
    // ZITADEL deletes it at once, although the active policy names it still.
    let path = "/admin/v1/policies/label/logo";
    minnie.client.write::<Value>(Method::DELETE, None, path, &()).await.unwrap();
    assert_eq!(active(&lab).await.text("logo"), Some("gone"));
    lab.follow().await;
    lab.settle().await;
    assert_eq!(active(&lab).await.text("logo"), Some(&*File::new(PNG).fingerprint()));
    assert_at_rest(&lab).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_is_removed_once_and_only_where_there_is_one() {
    let none = json!({"logo": {"none": true}});
    let lab = ready_with(&none).await;
    assert_eq!(lab.count(LOGO_REMOVED), 0, "there was none");
    change(&lab, &json!({"logo": from_map("logo.png")}));
    lab.settle().await;
    assert_ne!(active(&lab).await.text("logo"), Some("none"));
    change(&lab, &none);
    lab.settle().await;
    assert_eq!(active(&lab).await.text("logo"), Some("none"));
    assert_eq!(lab.count(LOGO_REMOVED), 1);
    assert_at_rest(&lab).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_missing_is_waited_for_and_nothing_is_written() {
    let spec = json!({"primaryColor": "#123456", "logo": from_map("other.png")});
    let lab = lab_with(&spec).await;
    let (reason, message) = lab.reason(&it());
    assert_eq!(reason, "WaitingForReference", "{message}");
    assert!(message.contains("ConfigMap ns/brand") && message.contains("other.png"), "{message}");
    assert_eq!(lab.count(CHANGED), 0);
    lab.put_file("brand", "other.png", PNG);
    lab.settle().await;
    assert!(lab.status(&it()).is_ready(), "{:?}", lab.reason(&it()));
}

#[tokio::test(start_paused = true)]
async fn what_zitadel_would_not_take_is_said_before_any_call() {
    let large = [PNG, &vec![0; 512 * 1024]].concat();
    for (bytes, part) in [
        (&large[..], "at most 524288"),
        (b"s3cret token", "PNG, JPEG, GIF, WebP, SVG or ICO; it is of a format that is not known"),
        (b"wOF2\0", "it is font/woff2"),
        (b"", "it is of a format that is not known"),
    ] {
        let lab = Lab::new().await;
        lab.put_file("brand", "logo.png", bytes);
        lab.declare("ns", "LabelPolicy", "brand", json!({"logo": from_map("logo.png")}));
        let events = lab.events();
        lab.settle().await;
        let (reason, message) = lab.reason(&it());
        assert_eq!(reason, "InvalidSpec", "{message}");
        assert!(message.contains("spec.logo") && message.contains(part), "{message}");
        assert!(!message.contains("s3cret"), "{message}");
        assert_eq!(lab.events(), events, "nothing is written");
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_instance_logs_in_by_is_no_logo() {
    let logo = json!({"logo": {"secretRef": {"name": "s", "key": "k"}}});
    let lab = lab_with(&logo).await;
    let (reason, message) = lab.reason(&it());
    assert_eq!(reason, "InvalidSpec", "{message}");
    assert!(message.contains("logs in by"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn an_organization_keeps_what_it_inherited_with_its_first_own_policy() {
    let lab = ready_with(&json!({"logo": from_map("logo.png"), "warnColor": "#101010"})).await;
    let home = lab.declare("ns", "Organization", "home", json!({"name": "Home"}));
    let own = json!({"organizationRef": {"name": "home"}, "primaryColor": "#222222"});
    let brand = lab.declare("ns", "LabelPolicy", "home", own);
    lab.settle().await;
    assert!(lab.status(&brand).is_ready(), "{:?}", lab.reason(&brand));
    let id = lab.status(&home).id.unwrap();
    let at = lab.client_at(Place::organization(id));
    let live = entry("LabelPolicy").read(&at, "").await.unwrap().unwrap();
    assert!(live.own);
    assert_eq!(live.state.text("primaryColor"), Some("#222222"));
    assert_eq!(live.state.text("warnColor"), Some("#101010"));
    assert_eq!(live.state.text("logo"), Some(&*File::new(PNG).fingerprint()));
    assert_eq!(lab.count("org.policy.label.activated"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_there_before_comes_back_when_the_object_goes() {
    let spec = json!({
        "primaryColor": "#123456",
        "logo": from_map("logo.png"),
        "deletionPolicy": "Delete",
    });
    let lab = ready_with(&spec).await;
    lab.delete(&it());
    lab.settle().await;
    assert!(lab.object(&it()).is_none(), "{:?}", lab.reason(&it()));
    let live = active(&lab).await;
    assert_eq!(live.text("primaryColor"), Some("#5469d4"));
    assert_eq!(live.text("logo"), Some("none"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_config_map_that_changes_wakes_the_object() {
    let mut world = World::new("branding").await;
    world.start();
    let map = |text: &str| {
        let logo = format!("<svg xmlns='http://www.w3.org/2000/svg'><!-- {text} --></svg>");
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "brand"},
            "data": {"logo.svg": logo},
        })
    };
    let logo = json!({"logo": {"configMapRef": {"name": "brand", "key": "logo.svg"}}});
    world.apply("LabelPolicy", "brand", logo).await;
    world.reason("LabelPolicy", "brand", "WaitingForReference").await;
    world.config_map(&map("one")).await;
    world.ready("LabelPolicy", "brand").await;
    assert_eq!(world.count(LOGO_ADDED), 1);
    world.config_map(&map("two")).await;
    let added = async || world.count(LOGO_ADDED);
    crate::world::eventually("the other logo", added, |count| *count == 2).await;
}
