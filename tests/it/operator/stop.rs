//! SIGTERM ends the operator within five seconds, whatever it waits for.

use std::{
    process::{Command, Stdio},
    time::Instant,
};

use kube::{Client, Config};
use serde_json::json;
use tokio::net::TcpListener;
use zitadel_emulator::{Action, Rule};

use super::alone::stops_in_time;
use crate::{
    intercept::{Fault, Interceptor},
    world::{World, eventually},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_stops_in_time_while_the_api_server_does_not_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap();
    let closed = {
        let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
        other.local_addr().unwrap()
    };
    for (address, state) in [(silent, "an API server that hangs"), (closed, "a closed port")] {
        let mut world = World::bare("unreachable").await;
        let url = format!("http://{address}").parse().unwrap();
        world.operator_client = Some(Client::try_from(Config::new(url)).unwrap());
        world.start();
        world.until_readyz("not ready", |text| text.contains('\n') && text != "ok\n").await;
        stops_in_time(&mut world, state).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_ends_in_time_and_well_after_sigterm() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("config");
    let content = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "clusters": [{"name": "it", "cluster": {"server": format!("http://{}", silent.local_addr().unwrap())}}],
        "users": [{"name": "it", "user": {}}],
    });
    std::fs::write(&kubeconfig, content.to_string()).unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_kastellan"))
        .args(["operator", "--admin-address", &free.to_string()])
        .env("KUBECONFIG", kubeconfig)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let livez = format!("http://{free}/livez");
    eventually("alive", async || reqwest::get(&livez).await.is_ok(), |alive| *alive).await;
    let start = Instant::now();
    let kill = Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let ended = tokio::task::spawn_blocking(move || process.wait().unwrap()).await.unwrap();
    assert!(
        ended.success() && start.elapsed().as_secs() < 5,
        "{ended} after {:?}",
        start.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_stops_in_time_before_the_first_lists() {
    let mut world = World::bare("unlisted").await;
    let (client, interceptor) = Interceptor::client().await;
    interceptor.add(&["/projects?"], Fault::Hang, u32::MAX);
    world.operator_client = Some(client);
    world.start();
    world.until_readyz("waiting for lists", |text| text.contains("first list")).await;
    stops_in_time(&mut world, "waiting for the first lists").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_stops_in_time_while_zitadel_hangs_and_ends_a_write_that_is_under_way() {
    let mut world = World::new("hanging").await;
    world.apply("Organization", "acme", json!({})).await;
    world.ready("Organization", "acme").await;
    // It takes a second, and is reported.
    world.emulator().faults().add(
        Rule::new(Action::DelayAnswer { milliseconds: 1000 })
            .path("/zitadel.project.v2.ProjectService/CreateProject")
            .times(1),
    );
    world.apply("Project", "slow", json!({"organizationRef": {"name": "acme"}})).await;
    while world.count("project.added") == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    stops_in_time(&mut world, "during a write").await;
    let status =
        world.until("Project", "slow", "reported", |o| o["status"]["id"].is_string()).await;
    assert_eq!(status["status"]["provenance"], "Created");

    world.start();
    world
        .until_metrics("everything was reconciled", |m| {
            m.contains("kastellan_objects{kind=\"Project\",ready=\"True\",reason=\"InSync\"} 1")
        })
        .await;
    world.emulator().faults().add(Rule::new(Action::Delay { milliseconds: 600_000 }));
    world.apply("Project", "hangs", json!({"organizationRef": {"name": "acme"}})).await;
    world.until("Project", "hangs", "under way", |o| o["metadata"]["finalizers"].is_array()).await;
    stops_in_time(&mut world, "a hanging ZITADEL").await;
}
