//! What ZITADEL issues gets into a Secret, stays known there, and is nowhere else.

mod clients;
mod keys;
mod scan;

use std::time::Duration;

use kastellan::{
    api::status::{Provenance, Reason},
    contract::Key,
    engine::{error::OutputError, events::EventReason, host::OutputSecret},
    zitadel::Credentials,
};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::inprocess::{Crash, Lab, key};

/// A service account `bot` whose Secret is `bot-secret`, with more in its spec.
fn bot(more: &Value) -> Value {
    let mut spec = json!({"organizationRef": {"name": "home"}, "secret": {"name": "bot-secret"}});
    for (field, value) in more.as_object().unwrap() {
        match (field.as_str(), value) {
            ("secret", Value::Object(more)) => {
                spec["secret"].as_object_mut().unwrap().extend(more.clone());
            }
            _ => spec[field] = value.clone(),
        }
    }
    spec
}

fn it() -> Key {
    key("MachineUser", "ns", "bot")
}

async fn lab_with(more: Value) -> Lab {
    let lab = Lab::new().await;
    lab.declare("ns", "Organization", "home", json!({}));
    lab.declare("ns", "MachineUser", "bot", bot(&more));
    lab.settle().await;
    lab
}

fn change(lab: &Lab, more: &Value) {
    lab.edit(&it(), |o| {
        o.spec = bot(more);
        o.generation += 1;
    });
}

fn secret(lab: &Lab) -> Option<OutputSecret> {
    let at = ("ns".to_owned(), "bot-secret".to_owned());
    lab.host.outputs.lock().unwrap().get(&at).cloned()
}

/// A key of the Secret.
fn value(lab: &Lab, key: &str) -> String {
    secret(lab).unwrap().data[key].expose_secret().to_owned()
}

fn edit_secret(lab: &Lab, edit: impl FnOnce(&mut OutputSecret)) {
    let at = ("ns".to_owned(), "bot-secret".to_owned());
    edit(lab.host.outputs.lock().unwrap().get_mut(&at).unwrap());
}

fn lose_secret(lab: &Lab) {
    lab.host.outputs.lock().unwrap().clear();
}

/// Whether somebody can log in with these.
async fn logs_in(lab: &Lab, client_id: &str, secret: &str) -> bool {
    let credentials =
        Credentials::ClientCredentials { client_id: client_id.into(), secret: secret.into() };
    let client = lab.client_as(credentials);
    client.get::<Value>(None, "/auth/v1/users/me").await.is_ok()
}

/// The Secret is such that its client logs in, and the object says so.
async fn assert_good(lab: &Lab) -> String {
    assert!(lab.status(&it()).is_ready(), "{:?}", lab.reason(&it()));
    let status = lab.status(&it()).secret.unwrap();
    assert!(status.pending.is_none() && status.issued_at.is_some(), "{status:?}");
    let secret = value(lab, "clientSecret");
    assert!(logs_in(lab, &value(lab, "clientId"), &secret).await);
    secret
}

fn issued(lab: &Lab) -> usize {
    lab.count("user.machine.secret.set")
}

/// Time passes, and the object is looked at again.
async fn later(lab: &Lab) -> Vec<EventReason> {
    tokio::time::sleep(Duration::from_secs(11)).await;
    let outcome = lab.look(&it()).await;
    outcome.events.iter().map(|e| e.reason).collect()
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_issued_once_and_its_client_logs_in() {
    let lab = lab_with(json!({})).await;
    assert_good(&lab).await;
    assert_eq!(value(&lab, "issuer"), "http://localhost");
    assert_eq!(issued(&lab), 1);
    let events = lab.emulator.event_count();
    for _ in 0..3 {
        assert_eq!(later(&lab).await, []);
    }
    assert_eq!(lab.emulator.event_count(), events, "at rest nothing is written");
}

#[tokio::test(start_paused = true)]
async fn where_user_names_hold_the_domain_the_client_id_does_too() {
    let lab = Lab::new().await;
    let home = json!({"organizationRef": {"name": "home"}});
    let mut policy = home.clone();
    policy["userLoginMustBeDomain"] = json!(true);
    lab.declare("ns", "Organization", "home", json!({}));
    lab.declare("ns", "DomainPolicy", "home", policy);
    lab.settle().await;
    lab.declare("ns", "MachineUser", "bot", bot(&json!({})));
    lab.settle().await;
    assert_good(&lab).await;
    assert_eq!(value(&lab, "clientId"), "bot@home.localhost");
    let reported = lab.status(&it()).reported;
    assert_eq!(reported.client_id.as_deref(), Some("bot@home.localhost"));
    change(&lab, &json!({"userName": "robot"}));
    later(&lab).await;
    assert_good(&lab).await;
    assert_eq!(value(&lab, "clientId"), "robot@home.localhost");
    assert_eq!(issued(&lab), 1);
}

#[tokio::test(start_paused = true)]
async fn the_secret_of_somebody_else_is_not_touched_and_nothing_is_created_for_it() {
    let lab = Lab::new().await;
    let theirs = OutputSecret { name: "bot-secret".into(), ..OutputSecret::default() };
    let at = ("ns".to_owned(), "bot-secret".to_owned());
    lab.host.outputs.lock().unwrap().insert(at, theirs);
    lab.declare("ns", "Organization", "home", json!({}));
    lab.declare("ns", "MachineUser", "bot", bot(&json!({})));
    lab.settle().await;
    let (reason, message) = lab.reason(&it());
    assert_eq!(reason, Reason::Conflict.to_string());
    assert!(message.contains("not managed by this object"), "{message}");
    assert!(secret(&lab).unwrap().data.is_empty());
    assert_eq!(lab.count("user.machine.added"), 1, "there is one from the beginning");

    // With what it has, if that is asked for.
    edit_secret(&lab, |s| {
        s.data.insert("theirs".into(), "x".into());
    });
    change(&lab, &json!({"secret": {"policy": "Merge"}}));
    lab.settle().await;
    assert_good(&lab).await;
    assert_eq!(value(&lab, "theirs"), "x");
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_write_secrets_nothing_is_created() {
    let lab = Lab::new().await;
    *lab.host.output_error.lock().unwrap() = Some(OutputError::Forbidden("no".into()));
    lab.declare("ns", "Organization", "home", json!({}));
    lab.declare("ns", "MachineUser", "bot", bot(&json!({})));
    lab.settle().await;
    let (reason, message) = lab.reason(&it());
    assert_eq!(reason, Reason::Forbidden.to_string());
    assert!(message.contains("rbac.writeSecrets"), "{message}");
    assert_eq!(lab.count("user.machine.added"), 1, "there is one from the beginning");
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_written_is_not_issued() {
    let lab = lab_with(json!({})).await;
    let former = assert_good(&lab).await;
    lose_secret(&lab);
    *lab.host.output_error.lock().unwrap() = Some(OutputError::Failed("quota".into()));
    later(&lab).await;
    for _ in 0..5 {
        later(&lab).await;
    }
    assert_eq!(issued(&lab), 1);
    assert!(logs_in(&lab, "bot", &former).await, "the former one still works");
    *lab.host.output_error.lock().unwrap() = None;
    later(&lab).await;
    assert_good(&lab).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_or_was_edited_is_issued_again_after_a_moment() {
    for edited in [false, true] {
        let lab = lab_with(json!({})).await;
        let former = assert_good(&lab).await;
        if edited {
            edit_secret(&lab, |s| {
                s.data.insert("clientSecret".into(), "mine".into());
            });
        } else {
            lose_secret(&lab);
        }
        let outcome = lab.look(&it()).await;
        assert_eq!(outcome.status.reason(), Some(Reason::SecretMissing));
        assert_eq!(issued(&lab), 1, "tools move and restore Secrets");
        assert_eq!(later(&lab).await, [EventReason::SecretReissued]);
        assert_ne!(assert_good(&lab).await, former);
        assert!(!logs_in(&lab, "bot", &former).await, "the former one is over");
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_recreated_gets_a_secret_of_its_own_even_after_an_error() {
    for fails in [false, true] {
        let lab = lab_with(json!({})).await;
        let former = assert_good(&lab).await;
        let status = lab.status(&it());
        let minnie = lab.minnie(status.organization_id.as_deref());
        let path = format!("/management/v1/users/{}", status.id.unwrap());
        let at = minnie.organization();
        minnie.client.write::<Value>(Method::DELETE, at, &path, &json!({})).await.unwrap();
        lab.poll().await.unwrap();
        if fails {
            let error = OutputError::Failed("quota".into());
            *lab.host.output_error.lock().unwrap() = Some(error);
            lab.look(&it()).await;
            assert!(!lab.status(&it()).is_ready());
            *lab.host.output_error.lock().unwrap() = None;
        }
        lab.settle().await;
        assert_ne!(assert_good(&lab).await, former);
        assert_eq!(issued(&lab), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_in_time_is_kept_and_what_is_older_is_not() {
    let lab = lab_with(json!({})).await;
    let former = assert_good(&lab).await;
    let backup = secret(&lab).unwrap();
    lose_secret(&lab);
    lab.look(&it()).await;
    let at = ("ns".to_owned(), "bot-secret".to_owned());
    lab.host.outputs.lock().unwrap().insert(at.clone(), backup.clone());
    assert_eq!(later(&lab).await, []);
    assert_eq!(assert_good(&lab).await, former);

    // A backup from before the last one.
    lab.edit(&it(), |o| {
        o.annotations.insert("kastellan.dev/renew-at".into(), "now".into());
    });
    assert_eq!(later(&lab).await, [EventReason::SecretRotated]);
    assert_ne!(assert_good(&lab).await, former);
    assert_eq!(later(&lab).await, [], "asked once, done once");
    lab.host.outputs.lock().unwrap().insert(at, backup);
    lab.look(&it()).await;
    assert_eq!(later(&lab).await, [EventReason::SecretReissued]);
    assert_good(&lab).await;
}

#[tokio::test(start_paused = true)]
async fn where_the_spec_says_stall_nothing_is_ended() {
    let lab = lab_with(json!({"secret": {"onMissing": "Stall"}})).await;
    assert_good(&lab).await;
    lose_secret(&lab);
    later(&lab).await;
    later(&lab).await;
    assert_eq!(lab.reason(&it()).0, Reason::SecretMissing.to_string());
    assert_eq!(issued(&lab), 1);
    change(&lab, &json!({"secret": {"onMissing": "Reissue"}}));
    later(&lab).await;
    assert_good(&lab).await;
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_issued_is_replaced_and_they_are_named() {
    let lab = lab_with(json!({})).await;
    assert_good(&lab).await;
    lab.poll().await.unwrap();
    let id = lab.status(&it()).id.unwrap();
    let organization = lab.status(&it()).organization_id;
    let minnie = lab.minnie(organization.as_deref());
    let path = format!("/management/v1/users/{id}/secret");
    let (at, nothing) = (minnie.organization(), json!({}));
    minnie.client.write::<Value>(Method::PUT, at, &path, &nothing).await.unwrap();
    let changes = lab.poll().await.unwrap();
    assert!(changes.touched.iter().any(|t| lab.concerned(t).contains(&it())), "it is woken");
    let outcome = lab.look(&it()).await;
    let told = outcome.events.iter().find(|e| e.reason == EventReason::SecretReissued).unwrap();
    assert!(told.message.contains("by minnie.mouse"), "{}", told.message);
    assert_good(&lab).await;
    // Our own is no reason for another one.
    lab.poll().await.unwrap();
    assert_eq!(later(&lab).await, []);
    assert_eq!(issued(&lab), 3);
}

#[tokio::test(start_paused = true)]
async fn it_is_rotated_when_it_is_time() {
    let lab = lab_with(json!({"secret": {"rotateAfter": "2h"}})).await;
    let former = assert_good(&lab).await;
    let outcome = lab.look(&it()).await;
    let pause = outcome.requeue_after.unwrap();
    assert!(pause > Duration::from_secs(7_000) && pause <= Duration::from_secs(7_200), "{pause:?}");
    lab.edit(&it(), |o| {
        let long_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(3);
        o.status.secret.as_mut().unwrap().issued_at = Some(long_ago.to_string());
    });
    assert_eq!(later(&lab).await, [EventReason::SecretRotated]);
    assert_ne!(assert_good(&lab).await, former);
}

#[tokio::test(start_paused = true)]
async fn keys_change_without_a_new_secret_where_it_can_be_read() {
    let lab = lab_with(json!({})).await;
    let former = assert_good(&lab).await;
    let data = json!({"id": "${clientId}", "secret": "${clientSecret}", "url": "${issuer}/x?c=${clientId:url}"});
    change(&lab, &json!({"secret": {"data": data, "labels": {"team": "blue"}}}));
    assert_eq!(later(&lab).await, []);
    let now = secret(&lab).unwrap();
    assert_eq!(now.data.keys().collect::<Vec<_>>(), ["id", "secret", "url"]);
    assert_eq!(now.labels["team"], "blue");
    assert_eq!(value(&lab, "secret"), former);
    // A new name is a new client id.
    change(&lab, &json!({"userName": "robot", "secret": {"data": data}}));
    later(&lab).await;
    assert_eq!(value(&lab, "url"), "http://localhost/x?c=robot");
    assert!(logs_in(&lab, "robot", &former).await);
    assert_eq!(issued(&lab), 1);
    // Where only something made of it is left, it can't be read any more.
    change(
        &lab,
        &json!({"userName": "robot", "secret": {"data": {"b": "${clientSecret:base64}"}}}),
    );
    later(&lab).await;
    change(&lab, &json!({"userName": "robot", "secret": {"data": data}}));
    assert_eq!(later(&lab).await, [EventReason::SecretReissued]);
    assert!(logs_in(&lab, "robot", &value(&lab, "secret")).await);
}

#[tokio::test(start_paused = true)]
async fn the_secret_of_what_was_adopted_is_not_ended_unless_that_is_said() {
    let lab = Lab::new().await;
    let home = lab.declare("ns", "Organization", "home", json!({}));
    lab.settle().await;
    let organization = lab.status(&home).id.unwrap();
    let account = json!({"userName": "bot", "name": "bot"});
    let made: Value = lab
        .client
        .write(Method::POST, Some(&organization), "/management/v1/users/machine", &account)
        .await
        .unwrap();
    let path = format!("/management/v1/users/{}/secret", made["userId"].as_str().unwrap());
    let theirs: Value =
        lab.client.write(Method::PUT, Some(&organization), &path, &json!({})).await.unwrap();
    let theirs = theirs["clientSecret"].as_str().unwrap();
    lab.declare("ns", "MachineUser", "bot", bot(&json!({})));
    lab.settle().await;
    assert_eq!(lab.status(&it()).provenance, Some(Provenance::Adopted));
    let (reason, message) = lab.reason(&it());
    assert_eq!(reason, Reason::AdoptionRefused.to_string());
    assert!(message.contains("would end the present one"), "{message}");
    assert!(logs_in(&lab, "bot", theirs).await);
    change(&lab, &json!({"secret": {"onMissing": "Reissue"}}));
    lab.settle().await;
    assert_good(&lab).await;
    assert!(!logs_in(&lab, "bot", theirs).await);
}

/// Whenever the operator dies: in the end the Secret is right, and no other one works.
#[tokio::test(start_paused = true)]
async fn a_crash_between_any_two_calls_leaves_no_client_without_a_secret_that_works() {
    for rotates in [false, true] {
        for sent in [false, true] {
            for after in 0.. {
                let mut lab = Lab::new().await;
                lab.declare("ns", "Organization", "home", json!({}));
                lab.declare("ns", "MachineUser", "bot", bot(&json!({})));
                if rotates {
                    lab.settle().await;
                    lab.edit(&it(), |o| {
                        o.annotations.insert("kastellan.dev/renew-at".into(), "now".into());
                    });
                } else {
                    lab.look(&key("Organization", "ns", "home")).await;
                }
                if !lab.crash(&it(), Crash { after, sent }).await {
                    assert!(after > 0, "it takes some calls");
                    break;
                }
                lab.settle().await;
                tokio::time::sleep(Duration::from_secs(11)).await;
                lab.settle().await;
                assert_good(&lab).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_can_not_be_is_refused_before_anything_is_asked() {
    for (data, says) in [
        (json!({"data": {"a": "${clientSecrets}"}}), "is not known"),
        (json!({"data": {"a": "${clientId:rot13}"}}), "the filters are"),
        (json!({"data": {"../a": "x"}}), "make a key of a Secret"),
        (json!({"type": "kubernetes.io/service-account-token"}), "for Kubernetes alone"),
        (json!({"annotations": {"issued.kastellan.dev/1": "{}"}}), "for Kastellan alone"),
        (json!({"labels": {"app.kubernetes.io/managed-by": "me"}}), "for Kastellan alone"),
        (json!({"rotateAfter": "5m"}), "at least 1h"),
    ] {
        let lab = lab_with(json!({"secret": data})).await;
        let (reason, message) = lab.reason(&it());
        assert_eq!(reason, Reason::InvalidSpec.to_string(), "{message}");
        assert!(message.contains(says), "{message}");
        assert_eq!(lab.count("user.machine.added"), 1, "there is one from the beginning");
    }
}

#[tokio::test(start_paused = true)]
async fn the_value_is_in_the_secret_and_nowhere_else() {
    let lab = lab_with(json!({})).await;
    let secret = assert_good(&lab).await;
    lose_secret(&lab);
    let outcome = lab.look(&it()).await;
    let told = format!("{outcome:?} {:?}", lab.objects());
    assert!(!told.contains(&secret));
    let plan = format!("{:?}", lab.plan(&it()).await);
    assert!(!plan.contains(&secret));
}
