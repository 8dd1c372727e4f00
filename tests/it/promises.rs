//! What the status and the documentation promise, where it is hardest to keep: in failures of a
//! part, and when somebody changes their mind.

use kastellan::{
    api::status::{Provenance, Reason},
    contract::{Fields, Key, Place},
    engine::events::EventReason,
};
use serde_json::{Value, json};
use zitadel_emulator::{Action, Rule};

use crate::{
    inprocess::{Crash, Lab, key},
    modes::change,
    remote::entry,
};

fn instance() -> Key {
    key("Instance", "ns", "default")
}

/// An organization and a project in it, Ready, and the organization's id.
async fn tenant(lab: &Lab) -> (Key, Key, String) {
    let home = lab.declare("ns", "Organization", "home", json!({}));
    let shop = lab.declare("ns", "Project", "shop", in_home(json!({"projectRoleCheck": true})));
    lab.settle().await;
    assert!(lab.status(&shop).is_ready(), "{:?}", lab.reason(&shop));
    let id = lab.status(&home).id.unwrap();
    (home, shop, id)
}

fn in_home(mut fields: Value) -> Value {
    fields["organizationRef"] = json!({"name": "home"});
    fields
}

#[tokio::test(start_paused = true)]
async fn ready_does_not_outlive_a_read_that_fails_while_the_instance_answers() {
    let lab = Lab::new().await;
    let (_, shop, home) = tenant(&lab).await;
    let at = lab.minnie(Some(home.as_str()));
    let id = lab.status(&shop).id.unwrap();
    change("Project", &at, &id, json!({"projectRoleCheck": false})).await;
    for path in ["/management/v1/projects/*", "/zitadel.project.v2.ProjectService/*"] {
        lab.emulator.faults().add(Rule::new(Action::Status { status: 500 }).path(path));
    }
    lab.poll().await.unwrap();
    let outcome = lab.look(&shop).await;
    assert!(!outcome.status.is_ready(), "{:?}", lab.reason(&shop));
    assert!(outcome.error.is_some());
    lab.emulator.faults().clear();
    lab.settle().await;
    assert!(lab.status(&shop).is_ready(), "{:?}", lab.reason(&shop));
}

#[tokio::test(start_paused = true)]
async fn one_entry_that_cannot_be_read_spoils_no_other() {
    let lab = Lab::new().await;
    let (_, shop, _) = tenant(&lab).await;
    let odd =
        Action::Alter { pointer: "/result/-".into(), value: Some(json!({"id": 7, "name": []})) };
    let rule = Rule::new(odd).path("/management/v1/projects/_search");
    lab.emulator.faults().add(rule);
    let other = lab.declare("ns", "Project", "other", in_home(json!({})));
    lab.engine.connections.all()[0].1.invalidate_all();
    lab.settle().await;
    for key in [&shop, &other] {
        assert!(lab.status(key).is_ready(), "{:?}", lab.reason(key));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_in_an_observed_organization_is_managed() {
    let lab = Lab::new().await;
    let (_, _, home) = tenant(&lab).await;
    lab.lose(&key("Organization", "ns", "home"));
    let observed = json!({"name": "home", "id": home, "mode": "Observe"});
    let observed = lab.declare("ns", "Organization", "home", observed);
    let inside = lab.declare("ns", "Project", "inside", in_home(json!({})));
    lab.settle().await;
    assert_eq!(lab.status(&observed).provenance, None);
    assert!(lab.status(&inside).is_ready(), "{:?}", lab.reason(&inside));
}

/// ZITADEL answers `AUTH-Bs7Ds` to any error of its look-up of the organization.
#[tokio::test(start_paused = true)]
async fn a_thing_whose_organization_is_refused_is_not_taken_for_deleted() {
    let lab = Lab::new().await;
    let (_, shop, home) = tenant(&lab).await;
    lab.emulator.faults().refuse_organization(&home);
    lab.engine.connections.all()[0].1.invalidate_all();
    lab.look(&shop).await;
    assert!(!lab.status(&shop).is_ready());
    lab.delete(&shop);
    for _ in 0..3 {
        let outcome = lab.look(&shop).await;
        assert!(!outcome.release, "it waits: {outcome:?}");
    }
    assert_eq!(lab.count("project.removed") + lab.count("project.added"), 1 + 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_still_where_its_reference_led_before_is_told_and_not_made_again() {
    let lab = Lab::new().await;
    let (home, shop, _) = tenant(&lab).await;
    let former = lab.status(&shop).id.unwrap();
    let made = lab.count("project.added");
    // The object comes to mean another organization; the former one is still there.
    lab.lose(&home);
    lab.declare("ns", "Organization", "home", json!({"name": "Another"}));
    lab.settle().await;
    let (reason, message) = lab.reason(&shop);
    assert_eq!(reason, Reason::ReferenceChanged.to_string(), "{message}");
    assert!(message.contains(&former) && message.contains("still in"), "{message}");
    assert_eq!(lab.count("project.added"), made);
    // Gone there, it is made where it is declared.
    let organization = lab.status(&shop).organization_id.unwrap();
    let path = format!("/v2/organizations/{organization}");
    let nothing = json!({});
    lab.client.write::<Value>(reqwest::Method::DELETE, None, &path, &nothing).await.unwrap();
    lab.poll().await.unwrap();
    lab.settle().await;
    assert!(lab.status(&shop).is_ready(), "{:?}", lab.reason(&shop));
    assert_eq!(lab.count("project.added"), made + 1);
}

#[tokio::test(start_paused = true)]
async fn a_login_name_is_looked_up_once() {
    let lab = Lab::new().await;
    tenant(&lab).await;
    let grant = json!({
        "organizationRef": {"name": "home"}, "projectRef": {"name": "shop"},
        "userLoginName": "ada", "roleKeys": [],
    });
    let grant = lab.declare("ns", "UserGrant", "ada", grant);
    lab.settle().await;
    let (reason, message) = lab.reason(&grant);
    assert_eq!(reason, Reason::WaitingForReference.to_string(), "{message}");
    assert!(message.contains("userLoginName ada"), "{message}");
    let ada = lab.emulator.add_user("ada", "Ada", &[]);
    lab.settle().await;
    assert!(lab.status(&grant).is_ready(), "{:?}", lab.reason(&grant));
    assert_eq!(lab.status(&grant).resolved["userLoginName"], ada.id);

    // Somebody else gets the name: the grant is still the former one's.
    let path = format!("/management/v1/users/{}/username", ada.id);
    let renamed = json!({"userName": "ada.byron"});
    let at = lab.client.get::<Value>(None, "/auth/v1/users/me").await.unwrap();
    let organization = at["user"]["details"]["resourceOwner"].as_str();
    lab.client.write::<Value>(reqwest::Method::PUT, organization, &path, &renamed).await.unwrap();
    lab.emulator.add_user("ada", "Another", &[]);
    let before = lab.status(&grant);
    lab.emulator.reset_calls();
    lab.settle().await;
    assert_eq!((lab.status(&grant).id, lab.status(&grant).resolved), (before.id, before.resolved));
    let calls = lab.emulator.calls();
    assert!(!calls.iter().any(|c| c.path.contains("/v2/users")), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_created_under_a_given_id_is_ours_wherever_the_operator_dies() {
    for sent in [false, true] {
        for after in 0..12 {
            let mut lab = Lab::new().await;
            lab.declare("ns", "Organization", "home", json!({}));
            lab.settle().await;
            let shop = lab.declare("ns", "Project", "shop", in_home(json!({"id": "given"})));
            if !lab.crash(&shop, Crash { after, sent }).await {
                continue;
            }
            lab.settle().await;
            assert!(lab.status(&shop).is_ready(), "{:?}", lab.reason(&shop));
            assert_eq!(lab.status(&shop).provenance, Some(Provenance::Created), "{after} {sent}");
            assert_eq!(lab.count("project.added"), 1 + 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn events_of_roles_touch_the_role_and_not_its_project() {
    let lab = Lab::new().await;
    let (_, shop, home) = tenant(&lab).await;
    let project = lab.status(&shop).id.unwrap();
    let at = lab.minnie(Some(home.as_str()));
    lab.poll().await.unwrap();
    let at = at.at(Place::organization(&home).below(&project));
    let reader = Fields::from(json!({"key": "reader", "displayName": "Reader"}));
    entry("ProjectRole").create(&at, "reader", &reader).await.unwrap();
    let touched = lab.poll().await.unwrap().touched;
    let [role] = &touched.iter().collect::<Vec<_>>()[..] else { panic!("{touched:?}") };
    assert_eq!((role.kind, &role.place), ("ProjectRole", &at.place));
    assert_eq!(role.subject.as_ref().and_then(|s| s.id()), Some("reader"));
}

#[tokio::test(start_paused = true)]
async fn a_suspended_instance_stops_everything_and_says_so_also_after_a_restart() {
    for restart in [false, true] {
        let mut lab = Lab::new().await;
        let (_, shop, _) = tenant(&lab).await;
        let mut spec = Lab::instance_spec();
        spec["suspend"] = json!(true);
        lab.declare("ns", "Instance", "default", spec);
        if restart {
            lab.restart();
        }
        lab.look(&instance()).await;
        lab.emulator.reset_calls();
        let changed = in_home(json!({"projectRoleCheck": false}));
        lab.declare("ns", "Project", "shop", changed);
        lab.settle().await;
        let (_, message) = lab.reason(&shop);
        assert!(!lab.status(&shop).is_ready() && message.contains("suspend"), "{message}");
        lab.delete(&shop);
        assert!(!lab.look(&shop).await.release);
        assert_eq!(lab.emulator.calls().len(), 0, "restart: {restart}");
        // And then all goes on.
        lab.declare("ns", "Instance", "default", Lab::instance_spec());
        lab.settle().await;
        assert_eq!(lab.count("project.removed"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn while_a_new_address_fails_the_former_one_gets_no_call() {
    let lab = Lab::new().await;
    let (_, shop, _) = tenant(&lab).await;
    // Its Secret is not accepted there.
    lab.put_up_fake();
    let mut spec = Lab::instance_spec();
    spec["address"] = json!("http://fake");
    lab.declare("ns", "Instance", "default", spec);
    // Before and after anybody has looked at the Instance.
    for look in [false, true] {
        if look {
            lab.look(&instance()).await;
        }
        lab.emulator.reset_calls();
        lab.declare("ns", "Project", "shop", in_home(json!({"projectRoleCheck": look})));
        lab.look(&shop).await;
        assert_eq!(lab.emulator.calls().len(), 0, "looked at: {look}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_instance_says_what_that_says_now() {
    let lab = Lab::bare();
    let home = lab.declare("ns", "Organization", "home", json!({}));
    lab.look(&home).await;
    assert!(lab.reason(&home).1.contains("does not exist"), "{:?}", lab.reason(&home));
    let mut spec = Lab::instance_spec();
    spec["credentials"]["personalAccessToken"]["secretRef"]["name"] = json!("none");
    lab.declare("ns", "Instance", "default", spec.clone());
    lab.settle().await;
    assert!(lab.reason(&home).1.contains("none"), "{:?}", lab.reason(&home));
    spec["suspend"] = json!(true);
    lab.declare("ns", "Instance", "default", spec);
    lab.settle().await;
    assert!(lab.reason(&home).1.contains("suspend"), "{:?}", lab.reason(&home));
}

#[tokio::test(start_paused = true)]
async fn an_account_without_a_role_is_told_what_to_do() {
    let lab = Lab::bare();
    lab.emulator.set_roles(&lab.emulator.admin_id(), &[]);
    lab.declare("ns", "Instance", "default", Lab::instance_spec());
    lab.look(&instance()).await;
    let (reason, message) = lab.reason(&instance());
    assert!(reason == "Forbidden" && message.contains("role"), "{reason}: {message}");
}

#[tokio::test(start_paused = true)]
async fn what_is_retained_is_told_and_what_never_was_is_not() {
    let lab = Lab::new().await;
    let (_, shop, _) = tenant(&lab).await;
    lab.edit(&shop, |o| o.spec["deletionPolicy"] = json!("Retain"));
    lab.delete(&shop);
    let outcome = lab.look(&shop).await;
    let is_told = |e: &kastellan::engine::events::EventRecord| {
        e.reason == EventReason::RetainedInZitadel && e.message.contains("Retain")
    };
    assert!(outcome.events.iter().any(is_told), "{outcome:?}");
    let never = in_home(json!({"name": "shop", "adoptionPolicy": "Never"}));
    let never = lab.declare("ns", "Project", "never", never);
    lab.look(&never).await;
    lab.delete(&never);
    let outcome = lab.look(&never).await;
    assert!(outcome.release && outcome.events.is_empty(), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_suspended_object_that_is_being_deleted_says_so() {
    let lab = Lab::new().await;
    let (_, shop, _) = tenant(&lab).await;
    lab.edit(&shop, |o| o.spec["suspend"] = json!(true));
    lab.delete(&shop);
    lab.look(&shop).await;
    let (reason, message) = lab.reason(&shop);
    assert!(reason == "Suspended" && message.contains("delet"), "{reason}: {message}");
}
