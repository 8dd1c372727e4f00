//! A panic is counted and said, and ends nothing but what panicked.

use serde_json::json;

use crate::{
    intercept::{Fault, Interceptor},
    world::{World, condition},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconcile_that_panics_is_said_and_tried_again_and_holds_up_no_other() {
    let mut world = World::bare("panic").await;
    let (client, interceptor) = Interceptor::client().await;
    world.operator_client = Some(client);
    interceptor.add(&["/secrets/boom"], Fault::Panic, u32::MAX);
    world.start();
    let mut spec = world.instance_spec();
    spec["credentials"]["personalAccessToken"]["secretRef"]["name"] = "boom".into();
    world.secret("boom", "pat", &world.emulator().pat()).await;
    world.apply("Instance", "boom", spec).await;
    world
        .until("Instance", "boom", "told of the panic", |o| {
            condition(o, "Ready")["message"].as_str().is_some_and(|m| m.contains("internal error"))
        })
        .await;
    world
        .until_metrics("the panic is counted", |text| {
            text.contains("kastellan_panics_total{task=\"reconcile\"}")
        })
        .await;
    world.connect().await;
    world.ready("Instance", "default").await;
    interceptor.clear();
    world.ready("Instance", "boom").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_panics_starts_again() {
    let mut world = World::bare("watches").await;
    let (client, interceptor) = Interceptor::client().await;
    world.operator_client = Some(client);
    world.start();
    world.connect().await;
    world.ready("Instance", "default").await;
    let watches = [
        ("watch", ["/organizations?", "watch="]),
        ("source", ["/secrets?", "watch="]),
        ("namespaces", ["/api/v1/namespaces?", "watch="]),
    ];
    for (_, parts) in &watches {
        interceptor.add(parts, Fault::Panic, 1);
    }
    interceptor.cut();
    world
        .until_metrics("the panics are counted", |text| {
            watches.iter().all(|(task, _)| {
                text.contains(&format!("kastellan_panics_total{{task=\"{task}\"}} 1"))
            })
        })
        .await;
    world.apply("Organization", "acme", json!({})).await;
    world.ready("Organization", "acme").await;
    world.secret("kastellan", "pat", "wrong").await;
    world.reason("Instance", "default", "Unauthenticated").await;
}
