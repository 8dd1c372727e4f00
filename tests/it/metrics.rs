//! The metrics, as they are served.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{remote::entry, world::World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_and_what_is_declared_nowhere_are_counted() {
    let world = World::new("metrics").await;
    world.apply("Organization", "acme", json!({})).await;
    world.apply("Project", "p", json!({"organizationRef": {"name": "acme"}})).await;
    let home = world.ready("Organization", "acme").await["id"].as_str().unwrap().to_owned();
    world.ready("Project", "p").await;
    let fields = kastellan::contract::Fields::from(json!({"name": "by hand"}));
    entry("Project").create(&world.at(Some(home.as_str())), "by-hand", &fields).await.unwrap();
    // The account of Kastellan itself.
    let bad = json!({"organizationRef": {"name": "acme"}, "id": world.emulator().admin_id()});
    world.apply("MachineUser", "bad", bad).await;
    world.reason("MachineUser", "bad", "InvalidSpec").await;
    // It is in the next list.
    world.force("Project", "p").await;
    let wanted = [
        "kastellan_objects{kind=\"Project\",ready=\"True\",reason=\"InSync\"} 1",
        // ZITADEL's own.
        "kastellan_unmanaged{kind=\"Organization\"} 1",
        "kastellan_unmanaged{kind=\"Project\"} 1",
        "kastellan_zitadel_requests_total{access=\"write\"} 2",
        "kastellan_objects{kind=\"MachineUser\",ready=\"False\",reason=\"InvalidSpec\"} 1",
    ];
    let start = Instant::now();
    loop {
        let metrics = world.metrics().await;
        let missing: Vec<_> =
            wanted.iter().filter(|line| !metrics.lines().any(|l| l == **line)).collect();
        if missing.is_empty() {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{missing:?} in {metrics}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let metrics = world.metrics().await;
    let reads = metrics
        .lines()
        .find_map(|l| l.strip_prefix("kastellan_zitadel_requests_total{access=\"read\"} "))
        .unwrap();
    assert!(reads.parse::<u32>().unwrap() > 5, "{reads}");
    let lag = format!(
        "kastellan_feed_lag_seconds{{namespace=\"{}\",name=\"default\"}} ",
        world.namespace
    );
    for name in [
        "kastellan_reconciles_total",
        "kastellan_status_patches_total",
        "kastellan_errors_total{kind=\"MachineUser\",reason=\"InvalidSpec\",class=\"terminal\"} ",
        "kastellan_zitadel_request_duration_seconds_bucket{le=\"+Inf\",endpoint=\"/zitadel.project.v2.ProjectService/CreateProject\",method=\"POST\",code=\"ok\"} 1",
        "kastellan_not_ready_age_seconds{kind=\"MachineUser\"} ",
        "kastellan_memory_entries{table=\"objects\"} 4",
        &lag,
    ] {
        assert!(metrics.contains(name), "{name} in {metrics}");
    }
}
