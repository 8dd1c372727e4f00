//! Secrets that objects give to ZITADEL, and that nobody can read back: sent when they are another
//! one, never at rest, and nowhere told. A mail server's password stands for all of them.

use kastellan::{
    api::status::Provenance,
    contract::{Access, Fields, Key},
    engine::{events::EventReason, report::Outcome},
    zitadel::Path as ZitadelPath,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    contract::merged,
    inprocess::{Crash, Lab, key},
    remote::{Place, entry},
    world::{World, condition},
};

const ADDED: &str = "instance.smtp.config.added";
const REMOVED: &str = "instance.smtp.config.removed";

/// A mail server that is logged in to by the password in the Secret `mail`.
fn smtp(more: &Value) -> Value {
    let server = json!({
        "host": "smtp.example.com:587",
        "senderAddress": "noreply@example.com",
        "senderName": "Example",
        "user": "mailer",
        "authentication": "Plain",
        "passwordSecretRef": {"name": "mail", "key": "password"},
    });
    merged(json!({"state": "Active", "smtp": server}), more)
}

fn it() -> Key {
    key("EmailProvider", "ns", "main")
}

fn id(lab: &Lab) -> String {
    lab.status(&it()).id.unwrap()
}

/// An active provider with the password `first`.
async fn lab_with(more: &Value) -> Lab {
    let lab = Lab::new().await;
    lab.put_input("mail", &[("password", "first")]);
    lab.declare("ns", "EmailProvider", "main", smtp(more));
    lab.settle().await;
    assert!(lab.status(&it()).is_ready(), "{:?}", lab.reason(&it()));
    assert!(lab.emulator.has_secret(&id(&lab), "first"));
    lab
}

fn change(lab: &Lab, more: &Value) {
    lab.edit(&it(), |o| {
        o.spec = smtp(more);
        o.generation += 1;
    });
}

/// Somebody else, with all rights.
fn minnie(lab: &Lab) -> Access {
    lab.minnie(None)
}

async fn call(by: &Access, method: Method, path: &'static str, id: &str, body: Value) {
    let path = ZitadelPath::new(path, &[id]).unwrap();
    by.client.write::<Value>(method, None, &path, &body).await.unwrap();
}

/// Somebody else sets the password of the one that is active.
async fn set_password(lab: &Lab, by: &Access) {
    let path = "/admin/v1/email/smtp/{}/password";
    call(by, Method::PUT, path, &id(lab), json!({"password": "theirs"})).await;
}

/// The object is looked at again and again, and nothing is written.
async fn assert_at_rest(lab: &Lab) {
    let events = lab.events();
    for _ in 0..3 {
        lab.follow().await;
        let outcome = lab.look(&it()).await;
        assert!(outcome.status.is_ready() && outcome.events.is_empty(), "{outcome:?}");
    }
    assert_eq!(lab.events(), events, "at rest nothing is written");
}

/// What happened, in words.
fn told(outcome: &Outcome) -> Vec<(EventReason, &str)> {
    outcome.events.iter().map(|e| (e.reason, e.message.as_str())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_sent_at_creation_and_not_again() {
    let lab = lab_with(&json!({})).await;
    let applied = lab.status(&it()).secrets_applied;
    assert_eq!(applied.get("smtp.password").map(String::as_str), Some("uid:1"));
    assert_eq!(lab.count(ADDED), 1);
    assert_at_rest(&lab).await;
}

#[tokio::test(start_paused = true)]
async fn another_secret_is_sent_once_and_in_effect() {
    let lab = lab_with(&json!({})).await;
    let former = id(&lab);
    lab.put_input("mail", &[("password", "second")]);
    let outcome = lab.look(&it()).await;
    let changed = (EventReason::Updated, "the e-mail provider was changed: smtp.password");
    assert_eq!(told(&outcome), [changed]);
    assert!(lab.emulator.has_secret(&id(&lab), "second"), "mails are sent by it");
    assert_ne!(id(&lab), former, "ZITADEL can't change a password: another provider has it");
    assert_eq!((lab.count(ADDED), lab.count(REMOVED)), (2, 1));
    let status = lab.status(&it());
    assert_eq!(status.secrets_applied["smtp.password"], "uid:2");
    assert_eq!((status.provenance, status.replaces), (Some(Provenance::Created), None));
    assert_eq!(status.last_drift, None, "it was nobody else");
    let live = entry("EmailProvider").list(&lab.client_at(Place::instance())).await;
    let [only] = &live[..] else { panic!("{live:?}") };
    assert_eq!(only.state.text("state"), Some("Active"), "something was active all the time");
    assert_at_rest(&lab).await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_of_another_version_and_the_same_value_is_not_sent() {
    let lab = lab_with(&json!({})).await;
    let events = lab.events();
    lab.put_input("mail", &[("password", "first"), ("other", "x")]);
    let outcome = lab.look(&it()).await;
    assert!(outcome.status.is_ready() && outcome.events.is_empty(), "{outcome:?}");
    assert_eq!(lab.events(), events);
    assert_eq!(lab.status(&it()).secrets_applied["smtp.password"], "uid:2");
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_what_was_sent_is_known_by_its_version() {
    let mut lab = lab_with(&json!({})).await;
    let events = lab.events();
    lab.restart();
    lab.settle().await;
    assert_eq!(lab.events(), events);
    assert_at_rest(&lab).await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_missing_is_waited_for_and_nothing_is_written() {
    let lab = Lab::new().await;
    let other = json!({"http": {"endpoint": "https://203.0.113.7/hook"}});
    lab.declare("ns", "EmailProvider", "other", other);
    lab.declare("ns", "EmailProvider", "main", smtp(&json!({})));
    lab.settle().await;
    let (reason, message) = lab.reason(&it());
    assert_eq!(reason, "WaitingForReference");
    assert!(message.contains("Secret ns/mail: it does not exist"), "{message}");
    assert!(
        lab.status(&key("EmailProvider", "ns", "other")).is_ready(),
        "others are not concerned"
    );
    lab.put_input("mail", &[("pass", "first")]);
    lab.settle().await;
    let (_, message) = lab.reason(&it());
    assert!(message.contains("no text under the key password"), "{message}");
    assert_eq!(lab.count(ADDED), 0);

    lab.put_input("mail", &[("password", "first")]);
    lab.settle().await;
    assert!(lab.status(&it()).is_ready());

    // Of what exists nothing is changed either.
    lab.lose_input("mail");
    change(&lab, &json!({"smtp": {"host": "other.example.com:587"}}));
    let events = lab.events();
    lab.settle().await;
    assert_eq!(lab.reason(&it()).0, "WaitingForReference");
    assert_eq!(lab.events(), events);
}

#[tokio::test(start_paused = true)]
async fn a_secret_of_another_namespace_is_not_read() {
    let lab = Lab::new().await;
    lab.label("other", "x", "y");
    lab.edit(&key("Instance", "ns", "default"), |o| {
        o.spec["allowedNamespaces"] = json!({"from": "All"});
        o.spec["instanceScope"] = json!({"from": "All"});
    });
    lab.put_input("mail", &[("password", "first")]);
    let spec =
        merged(smtp(&json!({})), &json!({"instanceRef": {"name": "default", "namespace": "ns"}}));
    let there = lab.declare("other", "EmailProvider", "main", spec);
    lab.settle().await;
    let (reason, message) = lab.reason(&there);
    assert_eq!(reason, "WaitingForReference", "{message}");
    assert!(message.contains("Secret other/mail"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_set_is_told_and_corrected_once() {
    let lab = lab_with(&json!({})).await;
    let minnie = minnie(&lab);
    lab.poll().await.unwrap();
    set_password(&lab, &minnie).await;
    let changes = lab.poll().await.unwrap();
    let concerned: Vec<Key> = changes.touched.iter().flat_map(|t| lab.concerned(t)).collect();
    assert!(concerned.contains(&it()), "{concerned:?}");
    let outcome = lab.look(&it()).await;
    assert!(outcome.status.is_ready(), "{outcome:?}");
    let (reason, message) = told(&outcome)[0];
    assert_eq!(reason, EventReason::Drift);
    assert_eq!(message, "smtp.password changed by minnie.mouse; reverted");
    let drift = outcome.status.last_drift.unwrap();
    assert_eq!(drift.fields, ["smtp.password"]);
    assert_eq!((drift.by.as_deref(), drift.corrected), (Some("minnie.mouse"), true));
    assert!(lab.emulator.has_secret(&id(&lab), "first"));
    assert_eq!(lab.count(ADDED), 2);
    assert_at_rest(&lab).await;
}

#[tokio::test(start_paused = true)]
async fn an_update_that_carries_a_password_is_drift_too() {
    let lab = lab_with(&json!({})).await;
    let minnie = minnie(&lab);
    lab.poll().await.unwrap();
    let body = json!({
        "senderAddress": "noreply@example.com", "senderName": "Example", "description": "main",
        "host": "smtp.example.com:587", "user": "mailer", "password": "theirs",
    });
    call(&minnie, Method::PUT, "/admin/v1/email/smtp/{}", &id(&lab), body).await;
    lab.follow().await;
    let status = lab.status(&it());
    assert_eq!(status.last_drift.unwrap().fields, ["smtp.password"]);
    assert!(lab.emulator.has_secret(&id(&lab), "first"));
    assert_at_rest(&lab).await;
}

#[tokio::test(start_paused = true)]
async fn other_fields_change_in_place_and_leave_the_secret_out() {
    let lab = lab_with(&json!({})).await;
    let former = id(&lab);
    change(&lab, &json!({"smtp": {"host": "other.example.com:587", "tls": true}}));
    lab.settle().await;
    assert!(lab.status(&it()).is_ready(), "{:?}", lab.reason(&it()));
    assert_eq!(id(&lab), former);
    assert!(lab.emulator.has_secret(&former, "first"));
    let changed = lab.emulator.events();
    let changed = changed.iter().filter(|e| e.event_type == "instance.smtp.config.changed");
    let changed: Vec<_> = changed.collect();
    let [only] = &changed[..] else { panic!("{changed:?}") };
    assert!(!only.payload.as_ref().unwrap().contains_key("password"), "{only:?}");
}

#[tokio::test(start_paused = true)]
async fn observing_needs_no_secret_and_tells_what_others_set() {
    let lab = lab_with(&json!({})).await;
    let minnie = minnie(&lab);
    change(&lab, &json!({"mode": "Observe"}));
    lab.lose_input("mail");
    lab.settle().await;
    assert!(lab.status(&it()).is_ready(), "{:?}", lab.reason(&it()));
    lab.poll().await.unwrap();
    let events = lab.events();
    set_password(&lab, &minnie).await;
    lab.poll().await.unwrap();
    let outcome = lab.look(&it()).await;
    let expected = "smtp.password changed by minnie.mouse; only observed";
    assert_eq!(told(&outcome), [(EventReason::Drift, expected)]);
    assert!(lab.look(&it()).await.events.is_empty(), "it is told once");
    assert_eq!(lab.events(), events + 1, "nothing is written");
}

#[tokio::test(start_paused = true)]
async fn what_is_adopted_gets_the_secret_and_stays_adopted() {
    let lab = Lab::new().await;
    let body = json!({
        "senderAddress": "noreply@example.com", "senderName": "Example", "description": "main",
        "host": "smtp.example.com:587", "user": "mailer", "password": "theirs",
    });
    let made: Value =
        lab.client.write(Method::POST, None, "/admin/v1/email/smtp", &body).await.unwrap();
    lab.put_input("mail", &[("password", "first")]);
    lab.declare("ns", "EmailProvider", "main", smtp(&json!({"adoptionPolicy": "Always"})));
    lab.settle().await;
    let status = lab.status(&it());
    assert!(status.is_ready(), "{:?}", lab.reason(&it()));
    assert_eq!(status.provenance, Some(Provenance::Adopted));
    assert_ne!(status.id.as_deref(), made["id"].as_str());
    assert!(lab.emulator.has_secret(&id(&lab), "first"));
    assert_eq!(lab.count(REMOVED), 1);
    assert_at_rest(&lab).await;
}

#[tokio::test(start_paused = true)]
async fn without_its_secret_none_is_created_that_needs_one() {
    let lab = Lab::new().await;
    let mut spec = smtp(&json!({}));
    spec["smtp"].as_object_mut().unwrap().remove("passwordSecretRef");
    lab.declare("ns", "EmailProvider", "main", spec);
    lab.settle().await;
    let (reason, message) = lab.reason(&it());
    assert_eq!(reason, "InvalidSpec");
    assert!(message.contains("spec.smtp.passwordSecretRef: has to be set"), "{message}");
    assert_eq!(lab.count(ADDED), 0);
}

/// Between any two calls of a replacement: in the end there is one, with the secret.
#[tokio::test(start_paused = true)]
async fn a_replacement_that_is_cut_off_comes_to_its_end() {
    for sent in [false, true] {
        for after in 0.. {
            let mut lab = lab_with(&json!({})).await;
            lab.put_input("mail", &[("password", "second")]);
            if !lab.crash(&it(), Crash { after, sent }).await {
                assert!(after > 3, "it takes some calls");
                break;
            }
            // Once until it is connected again.
            lab.settle().await;
            lab.settle().await;
            let told = format!("after {after} calls, sent: {sent}");
            assert!(lab.status(&it()).is_ready(), "{told}: {:?}", lab.reason(&it()));
            let live = entry("EmailProvider").list(&lab.client_at(Place::instance())).await;
            let [only] = &live[..] else { panic!("{told}: {live:?}") };
            assert_eq!(only.id(), Some(&*id(&lab)), "{told}");
            assert_eq!(only.state.text("state"), Some("Active"), "{told}");
            assert!(lab.emulator.has_secret(&id(&lab), "second"), "{told}");
            assert_eq!(lab.status(&it()).replaces, None, "{told}");
        }
    }
}

/// The same, and then it is deleted: nothing is left.
#[tokio::test(start_paused = true)]
async fn what_is_deleted_while_it_is_replaced_leaves_nothing() {
    for sent in [false, true] {
        for after in 0.. {
            let mut lab = lab_with(&json!({})).await;
            lab.put_input("mail", &[("password", "second")]);
            if !lab.crash(&it(), Crash { after, sent }).await {
                break;
            }
            lab.delete(&it());
            lab.settle().await;
            let told = format!("after {after} calls, sent: {sent}");
            assert!(lab.object(&it()).is_none(), "{told}");
            let live = entry("EmailProvider").list(&lab.client_at(Place::instance())).await;
            assert!(live.is_empty(), "{told}: {live:?}");
        }
    }
}

/// Somebody else gives the same name to a provider of theirs while a replacement is cut off: it is
/// neither taken over nor deleted.
#[tokio::test(start_paused = true)]
async fn what_a_stranger_makes_while_one_is_replaced_stays_theirs() {
    for sent in [false, true] {
        for after in 0.. {
            let mut lab = lab_with(&json!({})).await;
            lab.put_input("mail", &[("password", "second")]);
            if !lab.crash(&it(), Crash { after, sent }).await {
                break;
            }
            let theirs = json!({
                "description": "main",
                "smtp": {
                    "host": "theirs.example.com:25",
                    "senderAddress": "a@theirs.example.com",
                    "senderName": "Theirs",
                },
            });
            let theirs = Fields::from(theirs);
            let theirs = entry("EmailProvider").create(&minnie(&lab), "", &theirs).await.unwrap();
            lab.settle().await;
            lab.settle().await;
            let told = format!("after {after} calls, sent: {sent}");
            assert_ne!(lab.status(&it()).id.as_ref(), Some(&theirs), "{told}");
            lab.delete(&it());
            lab.settle().await;
            assert!(lab.object(&it()).is_none(), "{told}: {:?}", lab.reason(&it()));
            let there = entry("EmailProvider").read(&minnie(&lab), &theirs).await.unwrap();
            assert!(there.is_some(), "{told}: it was not declared");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_is_active_at_a_time_and_two_that_want_it_are_in_conflict() {
    let lab = lab_with(&json!({})).await;
    let hook = json!({"state": "Active", "http": {"endpoint": "https://203.0.113.7/hook"}});
    let other = lab.declare("ns", "EmailProvider", "other", hook);
    lab.settle().await;
    let (reason, message) = lab.reason(&other);
    assert_eq!(reason, "Conflict");
    assert!(message.contains("EmailProvider ns/main"), "{message}");
    assert!(lab.status(&it()).is_ready());

    // The first lets go of it: the other one takes it.
    change(&lab, &json!({"state": "Inactive"}));
    lab.settle().await;
    assert!(lab.status(&other).is_ready(), "{:?}", lab.reason(&other));
    assert!(lab.status(&it()).is_ready(), "{:?}", lab.reason(&it()));

    // What was in conflict is nobody's heir.
    lab.delete(&other);
    lab.settle().await;
    assert!(lab.object(&other).is_none());
    let live = entry("EmailProvider").list(&lab.client_at(Place::instance())).await;
    assert_eq!(live.len(), 1, "{live:?}");
}

#[tokio::test(start_paused = true)]
async fn somebody_else_activates_another_one_and_it_is_reverted() {
    let lab = lab_with(&json!({})).await;
    let minnie = minnie(&lab);
    let body = json!({"endpoint": "https://203.0.113.7/hook", "description": "theirs"});
    let made: Value =
        lab.client.write(Method::POST, None, "/admin/v1/email/http", &body).await.unwrap();
    lab.follow().await;
    let made = made["id"].as_str().unwrap();
    call(&minnie, Method::POST, "/admin/v1/email/{}/_activate", made, json!({})).await;
    lab.poll().await.unwrap();
    let outcome = lab.look(&it()).await;
    assert!(outcome.status.is_ready(), "{outcome:?}");
    let drift = outcome.status.last_drift.unwrap();
    assert_eq!(drift.fields, ["state"]);
    assert_eq!(drift.by.as_deref(), Some("minnie.mouse"));
    assert_at_rest(&lab).await;
}

/// Values are in no status, Event, plan or error.
#[tokio::test(start_paused = true)]
async fn a_secret_is_told_nowhere() {
    const SECRET: &str = "correct-horse-battery";
    let lab = Lab::new().await;
    lab.put_input("mail", &[("password", SECRET)]);
    lab.declare("ns", "EmailProvider", "main", smtp(&json!({})));
    let plan = lab.plan(&it()).await;
    assert!(!format!("{plan:?}").contains(SECRET));
    let outcome = lab.look(&it()).await;
    assert!(outcome.status.is_ready(), "{outcome:?}");
    assert!(!format!("{outcome:?}").contains(SECRET));
    assert!(!serde_json::to_string(&outcome.status).unwrap().contains(SECRET));
    // Refused, too.
    let refused = json!({"endpoint": "https://nowhere.invalid/hook"});
    lab.declare("ns", "EmailProvider", "bad", json!({"http": refused}));
    lab.put_input("mail", &[("password", &format!("{SECRET}-2"))]);
    change(&lab, &json!({"smtp": {"senderAddress": " "}}));
    let outcome = lab.look(&it()).await;
    assert!(!outcome.status.is_ready(), "{outcome:?}");
    assert!(!format!("{outcome:?}").contains(SECRET));
}

/// Who may declare a mail server need not be one who may have what Kastellan logs in by.
#[tokio::test(start_paused = true)]
async fn what_an_instance_logs_in_by_is_sent_to_nobody() {
    let lab = Lab::new().await;
    let more = json!({"smtp": {"passwordSecretRef": {"name": "s", "key": "k"}}});
    lab.declare("ns", "EmailProvider", "main", smtp(&more));
    lab.settle().await;
    let (reason, message) = lab.reason(&it());
    assert_eq!(reason, "InvalidSpec");
    assert!(message.contains("Instance ns/default logs in by"), "{message}");
    assert_eq!(lab.count(ADDED), 0);
}

/// The token of an SMS provider has a call of its own: it changes in place.
#[tokio::test(start_paused = true)]
async fn a_secret_that_an_update_changes_is_changed_in_place() {
    const SET: &str = "instance.sms.configtwilio.token.changed";
    let lab = Lab::new().await;
    lab.put_input("sms", &[("token", "first")]);
    let twilio = json!({"sid": "AC1", "tokenSecretRef": {"name": "sms", "key": "token"}});
    let sms = lab.declare("ns", "SmsProvider", "main", json!({"twilio": twilio}));
    lab.settle().await;
    assert!(lab.status(&sms).is_ready(), "{:?}", lab.reason(&sms));
    let id = lab.status(&sms).id.unwrap();
    assert!(lab.emulator.has_secret(&id, "first"));
    assert_eq!(lab.count(SET), 0, "it was created with it");

    lab.put_input("sms", &[("token", "second")]);
    lab.settle().await;
    assert_eq!(lab.status(&sms).id.as_deref(), Some(&*id));
    assert!(lab.emulator.has_secret(&id, "second"));
    assert_eq!(lab.count(SET), 1);

    let minnie = minnie(&lab);
    lab.poll().await.unwrap();
    let path = "/admin/v1/sms/twilio/{}/token";
    call(&minnie, Method::PUT, path, &id, json!({"token": "theirs"})).await;
    assert!(lab.emulator.has_secret(&id, "theirs"));
    lab.follow().await;
    assert!(lab.emulator.has_secret(&id, "second"));
    let drift = lab.status(&sms).last_drift.unwrap();
    assert_eq!(drift.fields, ["twilio.token"]);
    assert_eq!((drift.by.as_deref(), drift.corrected), (Some("minnie.mouse"), true));
    assert_eq!(lab.count(SET), 3);
    lab.follow().await;
    assert_eq!(lab.count(SET), 3, "it is corrected once");
}

/// An update of an identity provider takes its secret with the rest: it changes in place.
#[tokio::test(start_paused = true)]
async fn the_secret_of_an_identity_provider_is_changed_in_place() {
    const CHANGED: &str = "instance.idp.oidc.changed";
    let lab = Lab::new().await;
    lab.put_input("idp", &[("secret", "first")]);
    let oidc = json!({
        "issuer": "https://issuer.example.com",
        "clientId": "zitadel",
        "clientSecretRef": {"name": "idp", "key": "secret"},
    });
    let idp = lab.declare("ns", "IdentityProvider", "main", json!({"oidc": oidc}));
    lab.settle().await;
    assert!(lab.status(&idp).is_ready(), "{:?}", lab.reason(&idp));
    let id = lab.status(&idp).id.unwrap();
    assert!(lab.emulator.has_secret(&id, "first"));

    lab.edit(&idp, |o| o.spec["oidc"]["usePkce"] = json!(true));
    lab.settle().await;
    assert_eq!(lab.count(CHANGED), 1);
    lab.put_input("idp", &[("secret", "second")]);
    lab.settle().await;
    assert_eq!(lab.status(&idp).id.as_deref(), Some(&*id));
    assert!(lab.emulator.has_secret(&id, "second"));
    assert_eq!(lab.count(CHANGED), 2);

    let minnie = minnie(&lab);
    lab.poll().await.unwrap();
    let theirs = json!({
        "name": "main",
        "issuer": "https://issuer.example.com",
        "clientId": "zitadel",
        "clientSecret": "theirs",
        "usePkce": true,
    });
    call(&minnie, Method::PUT, "/admin/v1/idps/generic_oidc/{}", &id, theirs).await;
    assert!(lab.emulator.has_secret(&id, "theirs"));
    lab.follow().await;
    assert!(lab.emulator.has_secret(&id, "second"));
    let drift = lab.status(&idp).last_drift.unwrap();
    assert_eq!(drift.fields, ["oidc.clientSecret"]);
    assert_eq!((drift.by.as_deref(), drift.corrected), (Some("minnie.mouse"), true));
    assert_eq!(lab.count(CHANGED), 4);
    lab.follow().await;
    assert_eq!(lab.count(CHANGED), 4, "it is corrected once");
}

/// In a cluster the Secret is watched.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_comes_or_changes_is_seen_at_once() {
    let world = World::new("inputs").await;
    world.apply("EmailProvider", "main", smtp(&json!({}))).await;
    let message = world.reason("EmailProvider", "main", "WaitingForReference").await;
    assert!(message.contains("/mail: it does not exist"), "{message}");
    world.secret("mail", "password", "first").await;
    let status = world.ready("EmailProvider", "main").await;
    let first = status["id"].as_str().unwrap().to_owned();
    assert!(world.emulator().has_secret(&first, "first"));

    world.secret("mail", "password", "second").await;
    let is_other =
        |o: &Value| o["status"]["id"] != first && condition(o, "Ready")["status"] == "True";
    let o = world.until("EmailProvider", "main", "another one", is_other).await;
    let second = o["status"]["id"].as_str().unwrap();
    assert!(world.emulator().has_secret(second, "second"));
    world.noted("main", "Updated", "smtp.password").await;
    assert_eq!(world.count(REMOVED), 1);
}
