//! Domains that ZITADEL wants to be proved: asked for once, looked for at growing pauses, Ready when
//! they are verified.

use std::time::Duration;

use kastellan::{
    api::{RECONCILE_AT, status::ChallengeStatus},
    contract::Key,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    cli::Desk,
    inprocess::{Lab, key},
};

const ASKED: &str = "org.domain.verification.added";
const MISSED: &str = "org.domain.verification.failed";
const DOMAIN: &str = "/management/v1/orgs/me/domains/acme.example";

fn it() -> Key {
    key("OrganizationDomain", "ns", "acme.example")
}

fn declare(lab: &Lab, more: &Value) {
    let mut spec = json!({"organizationRef": {"name": "home"}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    lab.declare("ns", "OrganizationDomain", "acme.example", spec);
}

/// An organization whose domains have to be proved, and one domain of it.
async fn declared(more: Value) -> Lab {
    let lab = Lab::new().await;
    lab.declare("ns", "Organization", "home", json!({}));
    let policy = json!({"organizationRef": {"name": "home"}, "validateOrgDomains": true});
    lab.declare("ns", "DomainPolicy", "home", policy);
    lab.settle().await;
    declare(&lab, &more);
    lab.settle().await;
    lab
}

fn challenge(lab: &Lab) -> ChallengeStatus {
    lab.status(&it()).challenge.unwrap()
}

fn publish(lab: &Lab) {
    let ChallengeStatus { location, token, .. } = challenge(lab);
    lab.emulator.publish(&location, &token);
}

/// Looks when it is due, as often as it is, for so long.
async fn wait(lab: &Lab, time: Duration) {
    let end = tokio::time::Instant::now() + time;
    loop {
        let pause = lab.look(&it()).await.requeue_after.unwrap();
        if tokio::time::Instant::now() + pause > end {
            return tokio::time::sleep_until(end).await;
        }
        tokio::time::sleep(pause).await;
    }
}

/// Somebody asks for a look at once.
async fn ask(lab: &Lab, at: &str) {
    lab.edit(&it(), |o| {
        o.annotations.insert(RECONCILE_AT.to_owned(), at.to_owned());
    });
    lab.look(&it()).await;
}

/// Somebody else calls ZITADEL.
async fn others(lab: &Lab, method: Method, path: &str, body: Value) {
    let organization = lab.status(&key("Organization", "ns", "home")).id;
    let at = lab.minnie(organization.as_deref());
    at.client.write::<Value>(method, at.organization(), path, &body).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_domain_is_asked_for_once_and_ready_when_it_is_verified() {
    let mut lab = declared(json!({"verification": "Dns", "primary": true})).await;
    let (reason, message) = lab.reason(&it());
    let ChallengeStatus { way, location, token, requested_at } = challenge(&lab);
    assert_eq!((reason.as_str(), way.as_str()), ("NotVerified", "Dns"));
    assert_eq!(location, "_zitadel-challenge.acme.example");
    let what = format!("ZITADEL looks for {token} in a TXT record of {location}.");
    assert!(message.contains(&what) && requested_at.is_some(), "{message}");
    assert!(lab.status(&it()).condition("Reconciling").is_some());
    assert_eq!(lab.status(&it()).reported.verified, Some(false));

    // Who has just been told has published nothing yet. From then on it is looked for ever less often.
    assert_eq!((lab.count(ASKED), lab.count(MISSED)), (1, 0));
    let status = lab.status(&it());
    wait(&lab, Duration::from_hours(1)).await;
    assert_eq!(lab.count(MISSED), 5);
    wait(&lab, Duration::from_hours(23)).await;
    assert!((24..32).contains(&lab.count(MISSED)), "{}", lab.count(MISSED));
    assert_eq!(lab.status(&it()), status, "the status says the same");
    assert_eq!(lab.count(ASKED), 1);

    // A restart knows what was asked for, and looks once.
    let missed = lab.count(MISSED);
    lab.restart();
    lab.settle().await;
    assert_eq!((lab.count(ASKED), lab.count(MISSED)), (1, missed + 1));

    // Something else is not it.
    lab.emulator.publish(&location, "another text");
    ask(&lab, "1").await;
    assert_eq!(lab.reason(&it()).0, "NotVerified");
    let made_primary = lab.count("org.domain.primary.set");
    publish(&lab);
    ask(&lab, "2").await;
    lab.settle().await;
    let status = lab.status(&it());
    assert!(status.is_ready() && status.challenge.is_none(), "{:?}", lab.reason(&it()));
    assert_eq!(status.reported.verified, Some(true));
    assert_eq!(lab.count("org.domain.primary.set"), made_primary + 1);
    let events = lab.events();
    for at in ["3", "4"] {
        ask(&lab, at).await;
    }
    assert_eq!(lab.events(), events, "no write at rest");
}

#[tokio::test(start_paused = true)]
async fn whoever_changes_the_way_or_asks_for_another_text_gets_another_one() {
    let lab = declared(json!({"verification": "Dns"})).await;
    let first = challenge(&lab);
    declare(&lab, &json!({"verification": "Http"}));
    lab.settle().await;
    let second = challenge(&lab);
    let address =
        format!("https://acme.example/.well-known/zitadel-challenge/{}.txt", second.token);
    assert_eq!((second.way.as_str(), &second.location), ("Http", &address));
    assert!(second.token != first.token && lab.reason(&it()).1.contains(&address));
    assert_eq!(lab.count(ASKED), 2);

    // In the console: what was asked for before does not count any more.
    let kind = json!({"type": "DOMAIN_VALIDATION_TYPE_HTTP"});
    others(&lab, Method::POST, &format!("{DOMAIN}/validation/_generate"), kind).await;
    lab.follow().await;
    lab.settle().await;
    assert_eq!(lab.count(ASKED), 4);
    let third = challenge(&lab);
    assert!(third.token != second.token);
    wait(&lab, Duration::from_mins(10)).await;
    assert_eq!((lab.count(ASKED), challenge(&lab)), (4, third));
    publish(&lab);
    ask(&lab, "now").await;
    assert!(lab.status(&it()).is_ready(), "{:?}", lab.reason(&it()));

    // It was removed, and is proved again.
    others(&lab, Method::DELETE, DOMAIN, json!({})).await;
    lab.follow().await;
    lab.settle().await;
    assert_eq!((lab.reason(&it()).0.as_str(), lab.count(ASKED)), ("NotVerified", 5));
    let drift = lab.status(&it()).last_drift.unwrap();
    assert_eq!(drift.fields, ["domain"], "{drift:?}");
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_no_proof_gets_none_and_who_only_observes_asks_for_none() {
    let lab = declared(json!({})).await;
    assert!(lab.status(&it()).is_ready(), "{:?}", lab.reason(&it()));
    declare(&lab, &json!({"verification": "Dns", "mode": "Observe"}));
    lab.settle().await;
    let (reason, message) = lab.reason(&it());
    assert!(reason == "Observing" && message.contains("verified"), "{reason}: {message}");
    assert_eq!((lab.count(ASKED), lab.count(MISSED)), (0, 0));
    declare(&lab, &json!({"verification": "Dns"}));
    lab.settle().await;
    assert_eq!(lab.count(ASKED), 1);
    // Nobody asks any more.
    declare(&lab, &json!({}));
    lab.settle().await;
    let status = lab.status(&it());
    assert!(status.is_ready() && status.challenge.is_none());
}

#[tokio::test(start_paused = true)]
async fn where_nobody_asks_for_a_proof_none_is_asked_for() {
    let lab = Lab::new().await;
    lab.declare("ns", "Organization", "home", json!({}));
    declare(&lab, &json!({"verification": "Dns"}));
    lab.settle().await;
    assert!(lab.status(&it()).is_ready(), "{:?}", lab.reason(&it()));
    assert_eq!((lab.count(ASKED), lab.count(MISSED)), (0, 0));
}

/// It has no status: what was asked for is told once.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_asks_once_and_looks_each_time() {
    let desk = Desk::new().await;
    let policy = "kind: Organization\nmetadata: {name: home}\nspec: {}\n---\nkind: DomainPolicy\n\
                  metadata: {name: home}\nspec: {organizationRef: {name: home}, validateOrgDomains: true}\n";
    desk.write("all/policy.yaml", policy);
    let run = async |command: &str| {
        let ran = desk.run(&[command, "-f", "all"]).await;
        (ran.code, ran.text().split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let (code, said) = run("apply").await;
    assert_eq!(code, 0, "{said}");
    let domain = "kind: OrganizationDomain\nmetadata: {name: acme.example}\n\
                  spec: {organizationRef: {name: home}, verification: Dns}\n";
    desk.write("all/domain.yaml", domain);
    let (code, said) = run("apply").await;
    let token = said.split("ZITADEL looks for ").nth(1).and_then(|rest| rest.split(' ').next());
    let token = token.unwrap_or_else(|| panic!("{code}: {said}"));
    assert_eq!(code, 1, "{said}");
    let (code, said) = run("apply").await;
    let earlier = "what was asked for earlier is not where ZITADEL looks for it";
    assert!(code == 1 && said.contains(earlier), "{code}: {said}");
    let (code, said) = run("plan").await;
    assert!(code == 2 && said.contains("verified"), "{code}: {said}");
    desk.emulator().publish("_zitadel-challenge.acme.example", token);
    let (code, said) = run("apply").await;
    assert_eq!(code, 0, "{said}");
    let (code, said) = run("plan").await;
    assert_eq!(code, 0, "{said}");
    let events = desk.emulator().events();
    assert_eq!(events.iter().filter(|e| e.event_type == ASKED).count(), 1);
}
