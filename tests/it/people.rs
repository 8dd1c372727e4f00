//! People: what counts when their accounts are created is theirs from then on.

use kastellan::contract::{Access, Fields, Key};
use serde_json::{Value, json};

use crate::{
    inprocess::{Lab, key},
    remote::entry,
};

const PASSWORD: &str = "Secret-Passw0rd!";
const CHANGED: &str = "user.human.password.changed";

fn ada() -> Key {
    key("HumanUser", "ns", "ada")
}

fn spec() -> Value {
    json!({
        "organizationRef": {"name": "home"},
        "profile": {"givenName": "Ada"},
        "initial": {
            "profile": {"familyName": "Byron", "nickName": "A"},
            "email": "ada@example.com",
            "passwordSecretRef": {"name": "ada", "key": "password"},
        },
    })
}

async fn declared() -> Lab {
    let lab = Lab::new().await;
    lab.declare("ns", "Organization", "home", json!({}));
    lab.put_input("ada", &[("password", PASSWORD)]);
    lab.declare("ns", "HumanUser", "ada", spec());
    lab.settle().await;
    assert!(lab.status(&ada()).is_ready(), "{:?}", lab.reason(&ada()));
    lab
}

/// What the first event of the account says.
fn added(lab: &Lab) -> Value {
    let id = lab.status(&ada()).id.unwrap();
    let events = lab.emulator.events();
    let is_it =
        |e: &&zitadel_emulator::Event| e.aggregate_id == id && e.event_type == "user.human.added";
    Value::Object(events.iter().rev().find(is_it).unwrap().payload.clone().unwrap())
}

async fn nick_name(lab: &Lab) -> Value {
    let id = lab.status(&ada()).id.unwrap();
    let access = at(lab);
    let live = entry("HumanUser").read(&access, &id).await.unwrap().unwrap();
    live.state.get("profile.nickName").cloned().unwrap_or_default()
}

fn at(lab: &Lab) -> Access {
    lab.minnie(lab.status(&key("Organization", "ns", "home")).id.as_deref())
}

#[tokio::test(start_paused = true)]
async fn what_is_initial_is_in_the_account_and_is_the_persons_from_then_on() {
    let lab = declared().await;
    let first = added(&lab);
    assert_eq!(
        (&first["firstName"], &first["lastName"], &first["nickName"], &first["changeRequired"]),
        (&json!("Ada"), &json!("Byron"), &json!("A"), &json!(true))
    );
    assert_eq!(first["email"], "ada@example.com");
    assert!(first["encodedHash"].is_string(), "{first}");

    let (id, access) = (lab.status(&ada()).id.unwrap(), at(&lab));
    lab.poll().await.unwrap();
    let fields = Fields::from(json!({"profile": {"nickName": "Countess", "givenName": "Augusta"}}));
    entry("HumanUser").change(&access, &id, &fields).await;
    lab.follow().await;
    lab.settle().await;
    assert_eq!(nick_name(&lab).await, "Countess");
    let drift = lab.status(&ada()).last_drift.unwrap();
    assert_eq!(drift.fields, ["profile.givenName"]);

    let events = lab.emulator.events().len();
    lab.edit(&ada(), |o| o.spec["initial"]["email"] = json!("other@example.com"));
    lab.settle().await;
    assert!(lab.status(&ada()).is_ready(), "{:?}", lab.reason(&ada()));
    assert_eq!(lab.emulator.events().len(), events, "it is theirs");
}

#[tokio::test(start_paused = true)]
async fn a_password_is_sent_once_and_its_secret_needed_no_longer_than_that() {
    let lab = declared().await;
    let events = lab.emulator.events().len();
    lab.put_input("ada", &[("password", "Another-Passw0rd!")]);
    lab.settle().await;
    lab.lose_input("ada");
    lab.settle().await;
    assert!(lab.status(&ada()).is_ready(), "{:?}", lab.reason(&ada()));
    assert_eq!((lab.emulator.events().len(), lab.count(CHANGED)), (events, 0));

    // Who creates it again needs it again.
    let (id, access) = (lab.status(&ada()).id.unwrap(), at(&lab));
    lab.poll().await.unwrap();
    entry("HumanUser").delete(&access, &id).await.unwrap();
    lab.follow().await;
    lab.settle().await;
    let (reason, message) = lab.reason(&ada());
    assert_eq!(reason, "WaitingForReference", "{message}");
    assert!(message.contains("Secret ns/ada"), "{message}");
    lab.put_input("ada", &[("password", PASSWORD)]);
    lab.look(&ada()).await;
    lab.settle().await;
    assert!(lab.status(&ada()).is_ready(), "{:?}", lab.reason(&ada()));
    assert!(added(&lab)["encodedHash"].is_string());
}

#[tokio::test(start_paused = true)]
async fn a_password_that_the_policy_refuses_is_said_without_repeating_it() {
    let lab = Lab::new().await;
    lab.declare("ns", "Organization", "home", json!({}));
    lab.put_input("ada", &[("password", "hunter2")]);
    lab.declare("ns", "HumanUser", "ada", spec());
    lab.settle().await;
    let (_, message) = lab.reason(&ada());
    assert!(message.contains("Password is too short") && !message.contains("hunter2"), "{message}");
    assert_eq!(lab.count("user.human.added"), 0);
}
