//! How long what somebody else changes lasts, of every kind at once.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;

use super::{History, Process};
use crate::world::World;

/// Each of them is followed by as much time without.
const ROUND: Duration = Duration::from_secs(20);

/// By `make latency`: `KASTELLAN_LATENCY_ROUNDS` says how often. With the `pollInterval` that an
/// Instance has where nothing is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: make latency"]
async fn what_others_change_is_reverted_and_they_are_named() {
    let rounds = super::number("KASTELLAN_LATENCY_ROUNDS").unwrap_or(4);
    let mut world = World::bare("latency").await;
    let second = world.another_namespace().await;
    let _operator = Process::start(&world, &[&world.namespace, &second]);
    super::connect(&world).await;
    world.patch("Instance", "default", json!({"spec": {"pollInterval": null}})).await;
    let mut history = History::begin(&world, second, 1).await;
    history.declare_all(&world).await;
    history.settle(&world).await;

    let mut lasted: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    let mut wrongly = Vec::new();
    for _ in 0..rounds {
        for (kind, how_long, by) in history.changes(&world, ROUND).await {
            lasted.entry(kind).or_default().push(how_long);
            if by != "minnie.mouse" {
                wrongly.push((kind, by));
            }
        }
        history.settle(&world).await;
    }
    eprintln!("| Kind | Changes | Half within | 99 of 100 within |\n|---|--:|--:|--:|");
    let mut all = Vec::new();
    for (kind, times) in lasted {
        eprintln!("{}", row(&format!("`{kind}`"), &times));
        all.extend(times);
    }
    eprintln!("{}", row("all", &all));
    assert_eq!(wrongly, [], "of {} changes", all.len());
}

/// A row of the table.
fn row(name: &str, times: &[Duration]) -> String {
    let mut times = times.to_vec();
    times.sort();
    let within = |share: usize| {
        let rank = (times.len() * share).div_ceil(100).max(1) - 1;
        format!("{:.1} s", times[rank].as_secs_f64())
    };
    format!("| {name} | {} | {} | {} |", times.len(), within(50), within(99))
}
