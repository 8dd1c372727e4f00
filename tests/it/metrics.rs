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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_is_counted_as_ready_by_its_name_until_it_is_suspended() {
    let world = World::new("instance-ready").await;
    let line = |ready: u8| {
        let namespace = &world.namespace;
        format!("kastellan_instance_ready{{namespace=\"{namespace}\",name=\"default\"}} {ready}")
    };
    let says = async |line: &str| {
        world.until_metrics(line, |now| now.lines().any(|l| l == line)).await;
    };
    says(&line(1)).await;
    world.secret("kastellan", "pat", "nobody's").await;
    says(&line(0)).await;
    let mut spec = world.instance_spec();
    spec["suspend"] = json!(true);
    world.apply("Instance", "default", spec).await;
    let gone = |now: &str| !now.contains("kastellan_instance_ready{");
    world.until_metrics("no suspended Instance", gone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_long_something_has_not_been_ready_outlives_the_operator_and_is_not_about_observers() {
    let mut world = World::new("not-ready").await;
    world.apply("Organization", "acme", json!({})).await;
    world.ready("Organization", "acme").await;
    let observed = json!({"organizationRef": {"name": "acme"}, "mode": "Observe"});
    world.apply("Project", "observed", observed).await;
    world.reason("Project", "observed", "Observing").await;
    // It has not been Ready since long before this process.
    let spec = json!({"organizationRef": {"name": "nobody"}});
    world.apply("MachineUser", "waits", spec).await;
    world.reason("MachineUser", "waits", "WaitingForReference").await;
    world.stop().await;
    let mut status = serde_json::to_value(world.api("MachineUser").get("waits").await.unwrap());
    let conditions = &mut status.as_mut().unwrap()["status"]["conditions"];
    for condition in conditions.as_array_mut().unwrap() {
        condition["lastTransitionTime"] = json!("2026-01-01T00:00:00Z");
    }
    let patch = json!({"status": {"conditions": conditions}});
    let params = kube::api::PatchParams::default();
    let patch = kube::api::Patch::Merge(patch);
    world.api("MachineUser").patch_status("waits", &params, &patch).await.unwrap();
    world.start();
    let age = |now: &str, kind: &str| {
        let start = format!("kastellan_not_ready_age_seconds{{kind=\"{kind}\"}} ");
        now.lines().find_map(|l| l.strip_prefix(&start)?.parse::<u64>().ok())
    };
    let observing = "kastellan_objects{kind=\"Project\",ready=\"False\",reason=\"Observing\"} 1";
    let is_old = |now: &str| {
        now.contains(observing) && age(now, "MachineUser").is_some_and(|age| age > 86_400)
    };
    let metrics = world.until_metrics("not Ready for days", is_old).await;
    assert_eq!(age(&metrics, "Project"), None, "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_version_is_told_and_the_memory_of_the_process_is_that_which_linux_tells() {
    let world = World::new("memory").await;
    let metrics = world.metrics().await;
    let bytes = metrics.lines().find_map(|l| l.strip_prefix("process_resident_memory_bytes "));
    let bytes: u64 = bytes.expect(&metrics).parse().unwrap();
    let build = format!("kastellan_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
    assert!(metrics.lines().any(|line| line == build), "{metrics}");
    // More than nothing, and given in bytes: in kibibytes it would be below this.
    assert!(bytes > 10 << 20, "{bytes}");
}
