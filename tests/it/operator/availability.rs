//! What hangs, fails or is missing holds up nothing else.

use std::collections::BTreeMap;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{DynamicObject, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use zitadel_emulator::{Action, Emulator, Rule, Running};

use crate::{
    intercept::{Fault, Interceptor},
    world::{World, condition, eventually},
};

const EVENTS: &str = "/admin/v1/events/_search";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_instances_that_hang_hold_up_no_other() {
    let world = World::new("good").await;
    world.apply("Organization", "good", json!({})).await;
    world.ready("Organization", "good").await;
    let slow: Vec<Running> = join_all((0..20).map(|n| slow(&world, n))).await;
    for n in 0..slow.len() {
        world.ready("Organization", &format!("slow-{n}")).await;
    }
    for zitadel in &slow {
        let hang = Rule::new(Action::Delay { milliseconds: 600_000 });
        zitadel.emulator().faults().add(hang);
    }
    // More than were once reconciled at once.
    for n in 0..slow.len() {
        let spec = json!({"organizationRef": {"name": format!("slow-{n}")}});
        let names: Vec<String> = (0..28).map(|p| format!("slow-{n}-{p}")).collect();
        join_all(names.iter().map(|name| world.apply("Project", name, spec.clone()))).await;
    }
    let projects = async || world.api("Project").list(&ListParams::default()).await.unwrap().items;
    let has_begun = |o: &&DynamicObject| o.metadata.finalizers.is_some();
    let begun = async || projects().await.iter().filter(has_begun).count();
    eventually("under way", begun, |n| *n >= 400).await;
    world.apply("Project", "good", json!({"organizationRef": {"name": "good"}})).await;
    world.ready("Project", "good").await;
    // It did not wait for any of those that hang. They may say by now that their ZITADEL is down.
    let ended = projects().await.into_iter().filter(|o| {
        let ready = condition(&serde_json::to_value(o).unwrap(), "Ready");
        o.metadata.name.as_deref() != Some("good") && ready["status"] == "True"
    });
    assert_eq!(ended.count(), 0);
    let metrics = world.metrics().await;
    assert!(metrics.contains("kastellan_queue_depth{kind=\"Project\"} "), "{metrics}");
}

/// An Instance and an Organization at a ZITADEL of their own.
async fn slow(world: &World, n: usize) -> Running {
    let zitadel = Emulator::start(zitadel_emulator::Options::default()).await.unwrap();
    let name = format!("slow-{n}");
    world.secret(&name, "pat", &zitadel.emulator().pat()).await;
    let mut spec = world.instance_spec();
    spec["issuer"] = zitadel.url().into();
    spec["credentials"]["personalAccessToken"]["secretRef"]["name"] = name.as_str().into();
    world.apply("Instance", &name, spec).await;
    world.apply("Organization", &name, json!({"instanceRef": {"name": name}})).await;
    zitadel
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_that_keeps_failing_is_said_and_does_not_stop_the_comparison() {
    let world = World::new("feed-fails").await;
    world.patch("Instance", "default", json!({"spec": {"resyncInterval": "10s"}})).await;
    world.apply("Organization", "acme", json!({})).await;
    world
        .apply(
            "Project",
            "p",
            json!({"organizationRef": {"name": "acme"}, "projectRoleCheck": true}),
        )
        .await;
    let home = world.ready("Organization", "acme").await["id"].as_str().unwrap().to_owned();
    let id = world.ready("Project", "p").await["id"].as_str().unwrap().to_owned();
    let is = |mode: &'static str| move |o: &Value| o["status"]["feed"]["mode"] == mode;
    world.until("Instance", "default", "following", is("Following")).await;
    for action in [Action::Status { status: 500 }, Action::Truncate] {
        world.emulator().faults().add(Rule::new(action).path(EVENTS));
        let o = world.until("Instance", "default", "polling", is("Polling")).await;
        assert!(o["status"]["feed"]["reason"].is_string(), "{o}");
        assert_eq!(condition(&o, "Ready")["status"], "True");
        let drift = world.ready("Project", "p").await["lastDrift"].clone();
        world.tamper("Project", Some(home.as_str()), &id, json!({"projectRoleCheck": false})).await;
        world
            .until("Project", "p", "corrected", |o| {
                o["status"]["lastDrift"] != drift && o["status"]["lastDrift"]["corrected"] == true
            })
            .await;
        world.emulator().faults().clear();
        world.until("Instance", "default", "following", is("Following")).await;
    }
    let metrics = world.metrics().await;
    let lag =
        format!("kastellan_feed_lag_seconds{{namespace=\"{}\",name=\"default\"}}", world.namespace);
    assert!(metrics.contains(&lag), "{metrics}");
}

/// Sets the label `team` of a namespace, or removes it.
async fn label(world: &World, namespace: &str, team: Option<&str>) {
    let api: Api<Namespace> = Api::all(world.client.clone());
    let patch = json!({"metadata": {"labels": BTreeMap::from([("team", team)])}});
    api.patch(namespace, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_of_namespaces_are_waited_for_and_a_change_takes_effect_at_once() {
    let mut world = World::bare("labels").await;
    let tenant = world.another_namespace().await;
    let guest = world.another_namespace().await;
    label(&world, &tenant, Some("blue")).await;
    world.start();
    world.secret("kastellan", "pat", &world.emulator().pat()).await;
    let mut spec = world.instance_spec();
    let blue = json!({"matchLabels": {"team": "blue"}});
    spec["allowedNamespaces"] = json!({"from": "Selector", "selector": blue});
    world.apply("Instance", "default", spec).await;
    let instance = json!({"name": "default", "namespace": world.namespace});
    let lent = json!({"instanceRef": instance, "allowedNamespaces": {"from": "All"}});
    world.apply_in(&tenant, "Organization", "acme", lent).await;
    world.ready_in(&tenant, "Organization", "acme").await;
    // In another namespace than the one whose labels matter.
    let of_acme = json!({"organizationRef": {"name": "acme", "namespace": tenant}});
    world.apply_in(&guest, "Project", "p", of_acme).await;
    world.ready_in(&guest, "Project", "p").await;
    world.stop().await;

    let before = world.get_in(&tenant, "Organization", "acme").await;
    let (client, interceptor) = Interceptor::client().await;
    interceptor.add(&["/api/v1/namespaces?"], Fault::Hang, 1);
    world.operator_client = Some(client);
    world.start();
    world.until_readyz("waiting for labels", |t| t.contains("the labels of namespaces")).await;
    interceptor.cut();
    world.until_readyz("ready", |text| text == "ok\n").await;
    world
        .until_metrics("everything was reconciled", |m| {
            m.contains("kastellan_objects{kind=\"Project\",ready=\"True\",reason=\"InSync\"} 1")
        })
        .await;
    assert_eq!(world.get_in(&tenant, "Organization", "acme").await["status"], before["status"]);

    label(&world, &tenant, None).await;
    world.reason_in(&tenant, "Organization", "acme", "Forbidden").await;
    world.reason_in(&guest, "Project", "p", "Forbidden").await;
    label(&world, &tenant, Some("blue")).await;
    world.ready_in(&tenant, "Organization", "acme").await;
    world.ready_in(&guest, "Project", "p").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_right_to_read_namespaces_the_operator_works() {
    let mut world = World::bare("no-labels").await;
    let (client, interceptor) = Interceptor::client().await;
    interceptor.add(&["/api/v1/namespaces?"], Fault::Refuse(403), u32::MAX);
    world.operator_client = Some(client);
    world.start();
    world.connect().await;
    world.ready("Instance", "default").await;
    world.apply("Organization", "acme", json!({})).await;
    world.ready("Organization", "acme").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_written_as_the_field_manager_kastellan() {
    let world = World::new("manager").await;
    world.apply("Organization", "acme", json!({})).await;
    world.ready("Organization", "acme").await;
    let o = serde_json::to_value(world.api("Organization").get("acme").await.unwrap()).unwrap();
    let managers = o["metadata"]["managedFields"].as_array().unwrap();
    let mut names: Vec<_> = managers.iter().map(|m| m["manager"].as_str().unwrap()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names, ["git", "kastellan"], "{managers:#?}");
}

/// By this the operator tells it from a missing permission.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_server_says_that_a_namespace_is_terminating_by_a_cause() {
    let world = World::bare("terminating").await;
    world.apply("Organization", "acme", json!({})).await;
    world
        .patch("Organization", "acme", json!({"metadata": {"finalizers": ["kastellan.dev/test"]}}))
        .await;
    let api: Api<Namespace> = Api::all(world.client.clone());
    api.delete(&world.namespace, &kube::api::DeleteParams::default()).await.unwrap();
    let refused = eventually(
        "refused",
        async || world.try_create("Organization", "late", json!({})).await.err(),
        Option::is_some,
    )
    .await
    .unwrap();
    let kube::Error::Api(status) = refused else { panic!("{refused}") };
    let causes = status.details.clone().unwrap().causes;
    assert!(causes.iter().any(|c| c.reason == "NamespaceTerminating"), "{status:?}");
    world.patch("Organization", "acme", json!({"metadata": {"finalizers": null}})).await;
}
