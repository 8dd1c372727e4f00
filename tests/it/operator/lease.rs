//! Two operators on one cluster: one writes, the other stands by.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kastellan::operator::LeaseOptions;
use kube::Api;
use serde_json::json;
use zitadel_emulator::{Action, Rule};

use crate::{
    intercept::{Fault, Interceptor},
    world::World,
};

fn lease(world: &World, identity: &str) -> LeaseOptions {
    LeaseOptions {
        namespace: Some(world.namespace.clone()),
        name: "kastellan".into(),
        identity: identity.into(),
        duration: Duration::from_secs(3),
        shares: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_operator_writes_nothing_until_the_first_has_ended() {
    let mut first = World::bare("lease").await;
    first.lease = Some(lease(&first, "first"));
    first.start();
    first.connect().await;
    first.ready("Instance", "default").await;

    let mut second = World::bare("second").await;
    second.namespace = first.namespace.clone();
    second.lease = Some(lease(&first, "second"));
    second.start();
    // It is ready to take over, so that a rollout goes on.
    second.until_readyz("on standby", |t| t == "standby: first holds the Lease kastellan\n").await;
    first.apply("Organization", "acme", json!({})).await;
    first.ready("Organization", "acme").await;
    let metrics = second.until_metrics("listed", |m| m.contains("table=\"objects\"} 2")).await;
    for count in ["kastellan_reconciles_total{", "kastellan_status_patches_total{"] {
        assert!(!metrics.contains(count), "{count} in {metrics}");
    }
    assert!(metrics.contains("kastellan_leader 0"), "{metrics}");
    assert!(first.metrics().await.contains("kastellan_leader 1"));

    // One that ends gives its Lease back.
    first.stop().await;
    second.until_readyz("ready", |text| text == "ok\n").await;
    let api: Api<Lease> = Api::namespaced(first.client.clone(), &first.namespace);
    let spec = api.get("kastellan").await.unwrap().spec.unwrap();
    assert_eq!(spec.holder_identity.as_deref(), Some("second"));
    first.apply("Organization", "beta", json!({})).await;
    first.ready("Organization", "beta").await;

    // One that is killed gives nothing back: its Lease expires.
    second.kill();
    first.start();
    first.until_readyz("on standby", |text| text.starts_with("standby: second holds")).await;
    first.until_readyz("ready", |text| text == "ok\n").await;
    first.apply("Organization", "gamma", json!({})).await;
    first.ready("Organization", "gamma").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_cannot_renew_its_lease_writes_nothing_until_it_can() {
    let mut world = World::bare("renew").await;
    let (client, interceptor) = Interceptor::client().await;
    world.operator_client = Some(client);
    world.lease = Some(lease(&world, "first"));
    world.start();
    world.connect().await;
    world.ready("Instance", "default").await;
    interceptor.add(&["/leases"], Fault::Refuse(500), u32::MAX);
    world.until_readyz("the Lease is lost", |text| text.contains("can't hold the Lease")).await;
    let before = world.events();
    world.apply("Organization", "acme", json!({})).await;
    world.until_metrics("listed", |m| m.contains("table=\"objects\"} 2")).await;
    assert_eq!(world.events(), before);
    interceptor.clear();
    world.ready("Organization", "acme").await;
    world.until_readyz("ready", |text| text == "ok\n").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_under_way_when_the_lease_cannot_be_renewed_is_aborted() {
    let mut world = World::bare("abort").await;
    let (client, interceptor) = Interceptor::client().await;
    world.operator_client = Some(client);
    world.lease = Some(lease(&world, "first"));
    world.start();
    world.connect().await;
    world.apply("Organization", "acme", json!({})).await;
    world.ready("Organization", "acme").await;
    let create = "/zitadel.project.v2.ProjectService/CreateProject";
    let faults = world.emulator().faults();
    faults.add(Rule::new(Action::Delay { milliseconds: 600_000 }).path(create));
    world.apply("Project", "p", json!({"organizationRef": {"name": "acme"}})).await;
    world.until("Project", "p", "begun", |o| o["metadata"]["finalizers"].is_array()).await;
    let start = Instant::now();
    interceptor.add(&["/leases"], Fault::Hang, u32::MAX);
    let aborted = format!("endpoint=\"{create}\",method=\"POST\",code=\"no_answer\"");
    world.until_metrics("aborted", |m| m.contains(&aborted)).await;
    // Of itself a call ends after 30 seconds.
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    let o = world.api("Project").get("p").await.unwrap();
    assert!(o.data["status"].get("conditions").is_none(), "it was not reported: {o:#?}");
    faults.clear();
    interceptor.clear();
    interceptor.cut();
    world.ready("Project", "p").await;
    assert_eq!(world.count("project.added"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_whose_watch_is_late_knows_what_the_former_leader_wrote() {
    let mut first = World::bare("late").await;
    first.lease = Some(lease(&first, "first"));
    first.start();
    first.connect().await;
    first.ready("Instance", "default").await;
    let mut second = World::bare("second").await;
    second.namespace = first.namespace.clone();
    second.lease = Some(lease(&first, "second"));
    let (client, interceptor) = Interceptor::client().await;
    // Its watches bring nothing: all that it ever knows is in its lists.
    interceptor.add(&["/organizations?", "watch=true"], Fault::Hang, u32::MAX);
    second.operator_client = Some(client);
    second.start();
    second.until_readyz("on standby", |text| text.starts_with("standby: first holds")).await;
    first.apply("Organization", "acme", json!({})).await;
    let status = first.ready("Organization", "acme").await;
    assert_eq!(status["provenance"], "Created");
    first.stop().await;
    let is_known = "kind=\"Organization\",ready=\"True\",reason=\"InSync\"} 1";
    second.until_metrics("taken over", |m| m.contains(is_known)).await;
    assert_eq!(first.ready("Organization", "acme").await["provenance"], "Created");
    assert_eq!(first.count("org.added"), 1);
}
