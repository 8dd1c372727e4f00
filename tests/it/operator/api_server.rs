//! The API server on a bad day: whatever it answers in the middle of whatever is written, nothing is
//! made twice and everything comes to its end.

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{Api, api::DeleteParams};
use serde_json::json;

use crate::{
    intercept::{Fault, Interceptor},
    world::{World, eventually},
};

/// What meets a request, and how often.
const FAULTS: [(&str, Fault); 5] = [
    ("conflict", Fault::Refuse(409)),
    ("too-many-requests", Fault::Refuse(429)),
    ("internal", Fault::Refuse(500)),
    ("unavailable", Fault::Refuse(503)),
    ("gone", Fault::Refuse(410)),
];

/// Which requests, about the account with this name.
fn requests(name: &str) -> [(&'static str, String); 3] {
    [
        ("status", format!("/machineusers/{name}/status")),
        ("finalizer", format!("/machineusers/{name}?")),
        ("secret", format!("/secrets/{name}?")),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_write_is_answered_nothing_is_made_twice() {
    let mut world = World::bare("refused").await;
    let (client, interceptor) = Interceptor::client().await;
    world.operator_client = Some(client);
    world.start();
    world.connect().await;
    world.apply("Organization", "acme", json!({})).await;
    world.ready("Organization", "acme").await;
    let mut names = Vec::new();
    for (fault_name, fault) in FAULTS {
        for n in 0..requests("").len() {
            let (request, _) = requests("")[n];
            let name = format!("{fault_name}-{request}");
            let (_, path) = &requests(&name)[n];
            interceptor.add(&[path], fault, 3);
            let spec = json!({
                "organizationRef": {"name": "acme"},
                "secret": {"name": name},
                "deletionPolicy": "Delete",
            });
            world.apply("MachineUser", &name, spec).await;
            names.push(name);
        }
    }
    for name in &names {
        world.ready("MachineUser", name).await;
    }
    assert_eq!(world.count("user.machine.added"), names.len());
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
    for name in &names {
        let held = secrets.get(name).await.unwrap().data.unwrap();
        assert!(held.contains_key("clientSecret"), "{name}");
    }
    assert!(!interceptor.is_unused(), "all requests were refused");
    // The same on the way out.
    for name in &names {
        for (_, path) in requests(name) {
            interceptor.add(&[&path], Fault::Refuse(500), 2);
        }
        world.api("MachineUser").delete(name, &DeleteParams::default()).await.unwrap();
    }
    for name in &names {
        world.gone("MachineUser", name).await;
    }
    assert_eq!(world.count("user.removed"), names.len());
    world.stop().await;
}

/// The API server restarts: watches end, lists are refused for a while, connections hang.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_outage_of_the_api_server_all_is_seen_that_changed_meanwhile() {
    let mut world = World::bare("restarted").await;
    let (client, interceptor) = Interceptor::client().await;
    world.operator_client = Some(client);
    world.start();
    world.connect().await;
    world.apply("Organization", "acme", json!({})).await;
    let spec = json!({"organizationRef": {"name": "acme"}, "deletionPolicy": "Delete"});
    for name in ["stays", "goes", "changes"] {
        world.apply("Project", name, spec.clone()).await;
        world.ready("Project", name).await;
    }
    interceptor.add(&["/"], Fault::Refuse(503), u32::MAX);
    interceptor.cut();
    world.delete("Project", "goes").await;
    let mut changed = spec.clone();
    changed["name"] = json!("Changed");
    world.apply("Project", "changes", changed).await;
    world.apply("Project", "comes", spec).await;
    let before = world.events();
    interceptor.clear();
    world.gone("Project", "goes").await;
    for name in ["stays", "changes", "comes"] {
        world.ready("Project", name).await;
    }
    // One removed, one renamed, one created.
    assert_eq!(world.events() - before, 3);
    world.stop().await;
}

/// What is in a namespace that goes while it is created goes too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_that_is_deleted_during_creation_leaves_nothing() {
    let mut world = World::bare("short-lived").await;
    let second = world.another_namespace().await;
    world.start();
    world.connect().await;
    world
        .patch("Instance", "default", json!({"spec": {"allowedNamespaces": {"from": "All"}}}))
        .await;
    world.ready("Instance", "default").await;
    let instance = json!({"name": "default", "namespace": world.namespace});
    let spec = json!({"instanceRef": instance, "deletionPolicy": "Delete"});
    world.apply_in(&second, "Organization", "acme", spec).await;
    for n in 0..20 {
        let spec = json!({"organizationRef": {"name": "acme"}, "deletionPolicy": "Delete"});
        world.apply_in(&second, "Project", &format!("p{n}"), spec).await;
    }
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces.delete(&second, &DeleteParams::default()).await.unwrap();
    let get = async || namespaces.get_opt(&second).await.unwrap().is_some();
    eventually("the namespace is gone", get, |there| !there).await;
    assert_eq!(world.count("org.added"), world.count("org.removed"));
    world.stop().await;
}
