//! What networks and servers do: nothing is lost, nothing is made twice, and it heals by itself.

use std::time::Duration;

use serde_json::json;
use zitadel_emulator::{Action, Outage, Rule};

use crate::{
    inprocess::Lab,
    line::{Reach, Strike},
    world::{World, condition},
};

const CREATE_PROJECT: &str = "/zitadel.project.v2.ProjectService/CreateProject";

async fn with_organization(name: &str) -> (World, String) {
    let world = World::new(name).await;
    world.apply("Organization", "acme", json!({})).await;
    let id = world.ready("Organization", "acme").await["id"].as_str().unwrap().to_owned();
    (world, id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_to_a_create_makes_nothing_twice() {
    let (world, _) = with_organization("lost").await;
    for (n, action) in
        [Action::LoseAnswer, Action::LoseAnswerWith { status: 504 }, Action::Truncate]
            .into_iter()
            .enumerate()
    {
        world.emulator().faults().add(Rule::new(action).path(CREATE_PROJECT).times(1));
        let name = format!("p{n}");
        world.apply("Project", &name, json!({"organizationRef": {"name": "acme"}})).await;
        let status = world.ready("Project", &name).await;
        assert_eq!(status["provenance"], "Created");
        assert_eq!(world.count("project.added"), n + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn pauses_that_grew_are_not_those_of_another_declaration() {
    let lab = Lab::new().await;
    lab.declare("ns", "Organization", "acme", json!({}));
    lab.settle().await;
    lab.line().strike(Reach::Writes, Strike::Error(500, 13));
    let spec = json!({"organizationRef": {"name": "acme"}});
    let shop = lab.declare("ns", "Project", "shop", spec.clone());
    let mut pauses = Vec::new();
    for _ in 0..8 {
        pauses.push(lab.look(&shop).await.requeue_after.unwrap());
    }
    assert!(pauses.is_sorted() && pauses[7] > Duration::from_secs(20), "{pauses:?}");
    lab.declare("ns", "Project", "shop", spec);
    assert_eq!(lab.look(&shop).await.requeue_after, Some(pauses[0]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_to_an_update_changes_nothing_twice() {
    let (world, _) = with_organization("update").await;
    world.apply("Project", "p", json!({"organizationRef": {"name": "acme"}})).await;
    world.ready("Project", "p").await;
    world.emulator().faults().add(Rule::new(Action::LoseAnswer).method("PUT").times(1));
    world
        .apply(
            "Project",
            "p",
            json!({"organizationRef": {"name": "acme"}, "projectRoleCheck": true}),
        )
        .await;
    world.ready("Project", "p").await;
    assert_eq!(world.count("project.changed"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_that_pass_are_waited_out() {
    let (world, _) = with_organization("pass").await;
    let actions = [
        Action::TooManyRequests { retry_after: Some(1) },
        Action::TooManyRequests { retry_after: None },
        Action::Status { status: 500 },
        Action::Status { status: 502 },
        Action::Unavailable,
        Action::Reset,
        Action::Delay { milliseconds: 300 },
        Action::DelayAnswer { milliseconds: 300 },
    ];
    for (n, action) in actions.into_iter().enumerate() {
        world.emulator().faults().add(Rule::new(action.clone()).path(CREATE_PROJECT).times(2));
        world.emulator().faults().add(Rule::new(action).path("/management/v1/projects").times(2));
        let name = format!("p{n}");
        world.apply("Project", &name, json!({"organizationRef": {"name": "acme"}})).await;
        world.ready("Project", &name).await;
        assert_eq!(world.count("project.added"), n + 1);
        world.emulator().faults().clear();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_that_lag_are_neither_drift_nor_absence() {
    let world = World::new("lag").await;
    world.emulator().faults().lag(Duration::from_millis(400));
    world.apply("Organization", "acme", json!({})).await;
    world.apply("Project", "p", json!({"organizationRef": {"name": "acme"}})).await;
    world.apply("SecurityPolicy", "it", json!({"enableImpersonation": true})).await;
    world
        .apply(
            "PrivacyPolicy",
            "it",
            json!({"organizationRef": {"name": "acme"}, "tosLink": "https://a.example"}),
        )
        .await;
    for (kind, name) in [
        ("Organization", "acme"),
        ("Project", "p"),
        ("SecurityPolicy", "it"),
        ("PrivacyPolicy", "it"),
    ] {
        world.ready(kind, name).await;
    }
    world
        .apply(
            "Project",
            "p",
            json!({"organizationRef": {"name": "acme"}, "projectRoleCheck": true}),
        )
        .await;
    world.ready("Project", "p").await;
    world.apply("SecurityPolicy", "it", json!({"enableImpersonation": false})).await;
    world.ready("SecurityPolicy", "it").await;
    for (event, times) in [
        ("project.added", 1),
        ("project.changed", 1),
        ("instance.policy.security.set", 2),
        ("org.policy.privacy.added", 1),
        ("org.policy.privacy.changed", 0),
    ] {
        assert_eq!(world.count(event), times, "{event}");
    }
    for name in ["p", "it"] {
        assert!(
            !world.notes(name).await.iter().any(|(reason, _)| reason == "Drift"),
            "our own write is no drift"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_zitadel_is_down_what_was_seen_stays_and_afterwards_all_goes_on() {
    let (world, _) = with_organization("outage").await;
    world.apply("Project", "p", json!({"organizationRef": {"name": "acme"}})).await;
    world.ready("Project", "p").await;
    world.emulator().faults().down(Outage::Unavailable);
    world
        .patch(
            "Project",
            "p",
            json!({"metadata": {"annotations": {"kastellan.dev/reconcile-at": "1"}}}),
        )
        .await;
    world.apply("Project", "q", json!({"organizationRef": {"name": "acme"}})).await;
    world.reason("Project", "q", "Unreachable").await;
    let p = world.api("Project").get("p").await.unwrap();
    assert_eq!(condition(&serde_json::to_value(p).unwrap(), "Ready")["status"], "True");
    world.emulator().faults().up();
    world.ready("Project", "q").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_while_zitadel_is_down_changes_nothing_of_what_was_seen() {
    let (mut world, _) = with_organization("dark").await;
    world.apply("Project", "p", json!({"organizationRef": {"name": "acme"}})).await;
    world.ready("Project", "p").await;
    world.stop().await;
    world.emulator().faults().down(Outage::Reset);
    let before = world.api("Project").get("p").await.unwrap();
    world.start();
    world.reason("Instance", "default", "Unreachable").await;
    world.apply("Project", "q", json!({"organizationRef": {"name": "acme"}})).await;
    world.reason("Project", "q", "WaitingForReference").await;
    assert_eq!(world.api("Project").get("p").await.unwrap().data, before.data);
    world.emulator().faults().up();
    world.ready("Project", "q").await;
    world
        .until("Instance", "default", "counted", |o| {
            o["status"]["objects"] == json!({"ready": 3, "notReady": 0})
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reference_that_appears_later_is_taken_up() {
    let world = World::new("later").await;
    world.apply("Project", "p", json!({"organizationRef": {"name": "acme"}})).await;
    let message = world.reason("Project", "p", "WaitingForReference").await;
    assert!(message.contains("Organization") && message.contains("acme"), "{message}");
    world.apply("Organization", "acme", json!({})).await;
    world.ready("Project", "p").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_at_any_moment_makes_nothing_twice() {
    let (mut world, _) = with_organization("restart").await;
    world.emulator().faults().latency(Duration::ZERO, Duration::from_millis(30));
    for n in 0..10 {
        world
            .apply("Project", &format!("p{n}"), json!({"organizationRef": {"name": "acme"}}))
            .await;
    }
    for _ in 0..5 {
        tokio::task::yield_now().await;
        world.kill();
        world.start();
    }
    for n in 0..10 {
        world.ready("Project", &format!("p{n}")).await;
    }
    assert_eq!(world.count("project.added"), 10);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_without_the_newer_endpoints_are_served_by_the_older_ones() {
    let world = World::bare("older").await;
    let mut world = world;
    world.emulator().faults().missing("/zitadel.project.v2", 404);
    world.emulator().faults().missing("/zitadel.instance.v2", 404);
    world.emulator().faults().missing("/admin/v1/policies/domain", 404);
    world.emulator().faults().missing("/admin/v1/orgs/*/policies/domain", 501);
    world.start();
    world.connect().await;
    world.apply("Organization", "acme", json!({})).await;
    world
        .apply(
            "Project",
            "p",
            json!({"organizationRef": {"name": "acme"}, "projectRoleCheck": true}),
        )
        .await;
    world.apply("DomainPolicy", "it", json!({"userLoginMustBeDomain": true})).await;
    world
        .apply(
            "DomainPolicy",
            "acme",
            json!({"organizationRef": {"name": "acme"}, "userLoginMustBeDomain": false}),
        )
        .await;
    for (kind, name) in [
        ("Organization", "acme"),
        ("Project", "p"),
        ("DomainPolicy", "it"),
        ("DomainPolicy", "acme"),
    ] {
        world.ready(kind, name).await;
    }
    // The id is the server's there; it is bound all the same.
    world
        .apply("Project", "p", json!({"organizationRef": {"name": "acme"}, "name": "renamed"}))
        .await;
    world.ready("Project", "p").await;
    assert_eq!(world.count("project.added"), 1);

    let id = world.ready("Organization", "acme").await["id"].as_str().unwrap().to_owned();
    world.emulator().faults().missing(&format!("/v2/organizations/{id}"), 404);
    world.apply("Organization", "acme", json!({"name": "renamed"})).await;
    world.ready("Organization", "acme").await;
    assert_eq!(world.count("org.changed"), 1);

    // What there is no other way for is missing to those who need it.
    world.emulator().faults().missing("/admin/v1/restrictions", 404);
    world.apply("Restrictions", "it", json!({"disallowPublicOrgRegistration": true})).await;
    world.reason("Restrictions", "it", "Rejected").await;
    world.apply("Project", "p", json!({"organizationRef": {"name": "acme"}, "name": "last"})).await;
    world.ready("Project", "p").await;
}
