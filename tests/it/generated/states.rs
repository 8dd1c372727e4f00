//! Objects as the operator leaves them in the cluster, one for each state: what GitOps tools judge
//! health by. `tests/gitops` asks those tools.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};
use zitadel_emulator::{Action, Rule};

use super::check;
use crate::world::{World, condition, eventually, is_current};

/// Keys whose values differ each time, and what stands for them.
const VARYING: [(&str, &str); 8] = [
    ("uid", "00000000-0000-0000-0000-000000000000"),
    ("resourceVersion", "1"),
    ("creationTimestamp", "2026-01-01T00:00:00Z"),
    ("deletionTimestamp", "2026-01-01T00:00:00Z"),
    ("lastTransitionTime", "2026-01-01T00:00:00Z"),
    ("at", "2026-01-01T00:00:00Z"),
    ("lastEventAt", "2026-01-01T00:00:00Z"),
    ("namespace", "team"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_states_are_current() {
    let mut world = World::bare("states").await;
    let project = |spec: Value| {
        let mut all = json!({"organizationRef": {"name": "acme"}});
        all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        all
    };

    // Nobody looks yet.
    world.apply("Project", "shop", project(json!({}))).await;
    let is_there = |o: &Value| o["status"]["observedGeneration"] == -1;
    save(&world, "just-created", "Project", "shop", is_there).await;

    world.start();
    world.connect().await;
    world.ready("Instance", "default").await;
    let waits = |o: &Value| is_said(o, "WaitingForReference");
    save(&world, "waiting-for-a-reference", "Project", "shop", waits).await;
    let is_ready = |o: &Value| is_said(o, "InSync");
    save(&world, "instance-ready", "Instance", "default", is_ready).await;

    world.apply("Organization", "acme", json!({"deletionPolicy": "Delete"})).await;
    save(&world, "ready", "Project", "shop", is_ready).await;

    // A new spec that nobody has looked at, on what was as declared.
    world.stop().await;
    world.apply("Project", "shop", project(json!({"projectRoleCheck": true}))).await;
    save(&world, "changed", "Project", "shop", |o| !is_current(o)).await;
    world.apply("Project", "shop", project(json!({}))).await;
    world.start();
    world.ready("Project", "shop").await;

    // Of two that are made in the same second, either may count as the older one.
    let made = world.get_in(&world.namespace, "Project", "shop").await;
    let made: Timestamp = made["metadata"]["creationTimestamp"].as_str().unwrap().parse().unwrap();
    let now = async || Timestamp::now().as_second();
    eventually("another second", now, |now| *now > made.as_second()).await;
    world.apply("Project", "twin", project(json!({"name": "shop"}))).await;
    save(&world, "conflict", "Project", "twin", |o| is_said(o, "Conflict")).await;
    world.delete("Project", "twin").await;
    world.gone("Project", "twin").await;

    let unavailable = Action::Status { status: 503 };
    let path = "/zitadel.project.v2.ProjectService/CreateProject";
    world.emulator().faults().add(Rule::new(unavailable).path(path));
    world.apply("Project", "late", project(json!({}))).await;
    let fails = |o: &Value| condition(o, "Reconciling")["reason"] == "Unreachable" && is_current(o);
    save(&world, "failing", "Project", "late", fails).await;
    world.emulator().faults().clear();
    world.ready("Project", "late").await;

    let observed = json!({"name": "shop", "mode": "Observe", "projectRoleCheck": true});
    world.apply("Project", "watched", project(observed)).await;
    save(&world, "observing-a-difference", "Project", "watched", |o| is_said(o, "Observing")).await;
    world.apply("Project", "watched", project(json!({"name": "shop", "mode": "Observe"}))).await;
    save(&world, "observing-no-difference", "Project", "watched", is_ready).await;

    world.apply("Project", "late", project(json!({"suspend": true}))).await;
    let is_suspended = |o: &Value| is_said(o, "Suspended");
    save(&world, "suspended", "Project", "late", is_suspended).await;
    world.delete("Project", "late").await;
    let is_held = |o: &Value| is_suspended(o) && is_deleting(o) && says(o, "its deletion waits");
    save(&world, "deleting-suspended", "Project", "late", is_held).await;

    // That project, whose deletion waits, goes first.
    world.delete("Organization", "acme").await;
    let waits = |o: &Value| is_said(o, "Deleting") && is_deleting(o);
    save(&world, "deleting-waiting", "Organization", "acme", waits).await;

    // It counts its objects by the way.
    let has_counted = |o: &Value| o["status"]["objects"].is_object();
    world.until("Instance", "default", "has counted", has_counted).await;
    world.secret("kastellan", "pat", "nobody's").await;
    let stands =
        |o: &Value| condition(o, "Stalled")["reason"] == "Unauthenticated" && is_current(o);
    save(&world, "instance-refused", "Instance", "default", stands).await;
}

/// Waits for a state and compares it with the file.
async fn save(world: &World, state: &str, kind: &str, name: &str, is_so: impl Fn(&Value) -> bool) {
    let mut object = world.until(kind, name, state, is_so).await;
    object["metadata"].as_object_mut().unwrap().remove("managedFields");
    let text = object
        .to_string()
        .replace(&world.namespace, "team")
        .replace(&world.issuer(), "https://auth.example.com");
    let mut object: Value = serde_json::from_str(&text).unwrap();
    settle(&mut object);
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gitops/states");
    let text = serde_json::to_string_pretty(&object).unwrap() + "\n";
    check(&dir.join(format!("{state}.json")), &text);
}

/// Replaces what differs each time.
fn settle(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let varying = VARYING.iter().find(|(varying, _)| varying == key);
                match (varying, value.is_string()) {
                    (Some((_, fixed)), true) => *value = json!(fixed),
                    // An Instance counts its objects now and then.
                    _ if key == "objects" => *value = json!({"ready": 1, "notReady": 0}),
                    // A token that is refused may be so to the feed first.
                    _ if key == "feed" => *value = json!({"mode": "Following"}),
                    _ => settle(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(settle),
        Value::String(text) => *text = without_ids(text),
        _ => {}
    }
}

/// The text with every id replaced: UUIDs, and the numbers that ZITADEL gives.
fn without_ids(text: &str) -> String {
    let (mut out, mut run) = (String::new(), String::new());
    for c in text.chars().map(Some).chain([None]) {
        if let Some(c) = c.filter(|c| c.is_ascii_hexdigit() || *c == '-') {
            run.push(c);
            continue;
        }
        let is_uuid = run.len() == 36 && run.matches('-').count() == 4;
        let is_number = run.len() > 10 && run.chars().all(|c| c.is_ascii_digit());
        out += match (is_uuid, is_number) {
            (true, _) => "00000000-0000-0000-0000-000000000001",
            (_, true) => "100000000000000001",
            _ => &run,
        };
        run.clear();
        out.extend(c);
    }
    out
}

fn is_said(o: &Value, reason: &str) -> bool {
    condition(o, "Ready")["reason"] == reason && is_current(o)
}

fn says(o: &Value, part: &str) -> bool {
    condition(o, "Ready")["message"].as_str().is_some_and(|m| m.contains(part))
}

fn is_deleting(o: &Value) -> bool {
    o["metadata"]["deletionTimestamp"].is_string()
}
