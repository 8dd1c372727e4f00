//! Two operators on one cluster: one writes, the other says so.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kastellan::operator::LeaseOptions;
use kube::Api;
use serde_json::json;

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
    let other = "another operator is at work: first holds the Lease kastellan";
    second.until_readyz("waiting for the first", |text| text.contains(other)).await;
    first.apply("Organization", "acme", json!({})).await;
    first.ready("Organization", "acme").await;
    let metrics = second.until_metrics("listed", |m| m.contains("table=\"objects\"} 2")).await;
    for count in ["kastellan_reconciles_total{", "kastellan_status_patches_total{"] {
        assert!(!metrics.contains(count), "{count} in {metrics}");
    }

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
    first.until_readyz("waiting for the second", |text| text.contains("second holds")).await;
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
