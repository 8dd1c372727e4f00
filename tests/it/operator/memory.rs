//! Nothing is kept of what is gone.

use futures::future::join_all;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::{
    intercept::{Fault, Interceptor},
    world::World,
};

/// Entries of what is kept in memory: all of them zero.
fn is_empty(metrics: &str) -> bool {
    let entries = metrics.lines().filter(|l| l.starts_with("kastellan_memory_entries{"));
    let counts: Vec<&str> = entries.filter_map(|l| l.rsplit(' ').next()).collect();
    counts.len() > 8 && counts.iter().all(|n| *n == "0")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_kept_of_many_objects_that_came_and_went() {
    let world = World::new("many").await;
    for round in 0..2 {
        if round > 0 {
            world.connect().await;
        }
        world.apply("Organization", "acme", json!({"deletionPolicy": "Delete"})).await;
        let names: Vec<String> = (0..60).map(|n| format!("p{n}")).collect();
        let spec = json!({"organizationRef": {"name": "acme"}});
        join_all(names.iter().map(|name| world.apply("Project", name, spec.clone()))).await;
        for name in &names {
            world.ready("Project", name).await;
        }
        join_all(names.iter().map(|name| world.delete("Project", name))).await;
        world.delete("Organization", "acme").await;
        world.delete("Instance", "default").await;
        world.gone("Instance", "default").await;
        world.until_metrics("empty", is_empty).await;
        let metrics = world.metrics().await;
        let objects = metrics.lines().filter(|l| l.starts_with("kastellan_objects{"));
        assert!(objects.into_iter().all(|l| l.ends_with(" 0")), "{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_vanished_while_nobody_watched_is_forgotten() {
    let mut world = World::bare("vanished").await;
    let (client, interceptor) = Interceptor::client().await;
    world.operator_client = Some(client);
    world.start();
    world.connect().await;
    world.apply("Organization", "acme", json!({})).await;
    world
        .apply("Project", "old", json!({"organizationRef": {"name": "acme"}, "name": "one"}))
        .await;
    world.ready("Project", "old").await;

    let watches = ["/projects?", "watch="];
    interceptor.add(&watches, Fault::Hang, 1);
    interceptor.cut();
    let project = world.api("Project");
    let patch = json!({"metadata": {"finalizers": null}});
    project.patch("old", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    project.delete("old", &DeleteParams::default()).await.unwrap();
    world.gone("Project", "old").await;
    // The watch was away for too long, and lists again: no event tells of the deletion.
    interceptor.add(&watches, Fault::Expired, 1);
    interceptor.cut();
    world
        .until_metrics("forgotten", |m| {
            m.contains("kastellan_memory_entries{table=\"objects\"} 2\n")
                && m.contains("kastellan_memory_entries{table=\"reported\"} 2\n")
        })
        .await;
    // Its claim is free: what it created exists, and another object adopts it as it is.
    let young = json!({"organizationRef": {"name": "acme"}, "name": "one"});
    world.apply("Project", "young", young).await;
    world.ready("Project", "young").await;
}
