//! What a projection of ZITADEL skips, for good: it is told apart from "not there" and "not there
//! yet", healed where nothing can hang on it, and else reported; never a loop.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::inprocess::{Lab, key};

/// Looks at an object for two and a half minutes.
async fn wait(lab: &Lab, key: &kastellan::contract::Key) {
    for _ in 0..30 {
        tokio::time::advance(Duration::from_secs(5)).await;
        lab.look(key).await;
    }
}

/// An organization, and in it the project `ghost`, which ZITADEL has accepted and does not show;
/// its id.
async fn ghost(lab: &Lab) -> String {
    lab.apply("Organization", "home", json!({})).await;
    lab.emulator.faults().lose_next("project.added");
    lab.apply("Project", "ghost", json!({"organizationRef": {"name": "home"}})).await;
    lab.object(&key("Project", "ns", "ghost")).unwrap().derived_id()
}

#[tokio::test(start_paused = true)]
async fn a_ghost_of_ours_is_recreated_under_its_id_once_something_later_shows() {
    let lab = Lab::new().await;
    let id = ghost(&lab).await;
    lab.apply("Project", "later", json!({"organizationRef": {"name": "home"}})).await;
    let ghost = key("Project", "ns", "ghost");
    wait(&lab, &ghost).await;
    assert!(lab.status(&ghost).is_ready(), "{:?}", lab.reason(&ghost));
    assert_eq!(lab.status(&ghost).id, Some(id));
    // ZITADEL's own, the ghost, the later one, the ghost again.
    assert_eq!((lab.count("project.added"), lab.count("project.removed")), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn a_ghost_is_only_reported_while_the_read_side_may_merely_lag() {
    let lab = Lab::new().await;
    ghost(&lab).await;
    let ghost = key("Project", "ns", "ghost");
    wait(&lab, &ghost).await;
    assert_eq!(lab.reason(&ghost).0, "LostByZitadel");
    assert_eq!((lab.count("project.added"), lab.count("project.removed")), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_ghost_that_somebody_has_touched_is_only_reported() {
    let lab = Lab::new().await;
    let id = ghost(&lab).await;
    lab.apply("Project", "later", json!({"organizationRef": {"name": "home"}})).await;
    let (ghost, home) =
        (key("Project", "ns", "ghost"), lab.status(&key("Organization", "ns", "home")).id);
    let minnie = lab.minnie(home.as_deref());
    let (path, body) = (
        format!("/management/v1/projects/{id}"),
        json!({"name": "ghost", "hasProjectCheck": true}),
    );
    minnie.client.write::<Value>(Method::PUT, minnie.organization(), &path, &body).await.unwrap();
    wait(&lab, &ghost).await;
    let (reason, message) = lab.reason(&ghost);
    assert_eq!(reason, "LostByZitadel");
    assert!(message.contains(&id), "{message}");
    assert_eq!(lab.count("project.removed"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_ghost_that_is_lost_again_is_not_made_a_third_time() {
    let lab = Lab::new().await;
    ghost(&lab).await;
    lab.apply("Project", "later", json!({"organizationRef": {"name": "home"}})).await;
    lab.emulator.faults().lose_next("project.added");
    let ghost = key("Project", "ns", "ghost");
    wait(&lab, &ghost).await;
    lab.apply("Project", "latest", json!({"organizationRef": {"name": "home"}})).await;
    wait(&lab, &ghost).await;
    assert_eq!(lab.reason(&ghost).0, "LostByZitadel");
    assert_eq!(lab.count("project.removed"), 1);
}

/// Every kind whose writes are refused where they change nothing.
#[tokio::test(start_paused = true)]
async fn a_change_that_is_lost_is_reported_and_not_written_again_and_again() {
    let links = |link: &str| json!({"tosLink": link});
    let domains = |must: bool| json!({"userLoginMustBeDomain": must});
    let cases = [
        (
            "SecurityPolicy",
            "instance.policy.security.set",
            json!({"enableImpersonation": false}),
            json!({"enableImpersonation": true}),
        ),
        (
            "PrivacyPolicy",
            "instance.policy.privacy.changed",
            links("https://a.example"),
            links("https://b.example"),
        ),
        ("DomainPolicy", "instance.policy.domain.changed", domains(false), domains(true)),
        ("Organization", "org.changed", json!({"name": "One"}), json!({"name": "Two"})),
        (
            "Project",
            "project.changed",
            json!({"projectRoleCheck": false}),
            json!({"projectRoleCheck": true}),
        ),
        (
            "Restrictions",
            "restrictions.set",
            json!({"disallowPublicOrgRegistration": false}),
            json!({"disallowPublicOrgRegistration": true}),
        ),
    ];
    for (kind, event, former, mut latter) in cases {
        let mut lab = Lab::new().await;
        let mut former = former;
        if kind == "Project" {
            lab.apply("Organization", "home", json!({})).await;
            for spec in [&mut former, &mut latter] {
                spec["organizationRef"] = json!({"name": "home"});
            }
        }
        lab.apply(kind, "it", former).await;
        let it = key(kind, "ns", "it");
        assert!(lab.status(&it).is_ready(), "{kind}: {:?}", lab.reason(&it));
        lab.emulator.faults().lose_next(event);
        let before = lab.count(event);
        lab.apply(kind, "it", latter).await;
        for life in 0..2 {
            wait(&lab, &it).await;
            let (reason, message) = lab.reason(&it);
            assert_eq!(reason, "LostByZitadel", "{kind} in life {life}: {message}");
            assert!(
                message.contains("by hand") && !message.contains("Deleting"),
                "{kind} in life {life}: {message}"
            );
            assert_eq!(lab.count(event), before + 1, "{kind} in life {life}");
            lab.restart();
            lab.look(&key("Instance", "ns", "default")).await;
            if kind == "Project" {
                lab.look(&key("Organization", "ns", "home")).await;
            }
        }
    }
}
