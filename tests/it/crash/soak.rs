//! The same history without kills, for as long as is asked: what is kept does not grow.

use std::time::{Duration, Instant};

use super::{History, Process};
use crate::world::{World, eventually};

/// What a process holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    /// Resident memory, in KiB.
    memory: u64,
    /// Open files and connections.
    files: usize,
    /// Entries of all that it remembers.
    entries: u64,
}

async fn held(operator: &Process) -> Held {
    let metrics = reqwest::get(format!("http://{}/metrics", operator.admin())).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let entries = metrics.lines().filter(|line| line.starts_with("kastellan_memory_entries{"));
    let entries = entries.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum();
    Held { memory: operator.resident(), files: operator.open_files(), entries }
}

/// By `make soak`: `KASTELLAN_SOAK_MINUTES` says how long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes as long as is asked: make soak"]
async fn what_is_kept_does_not_grow() {
    let minutes = super::number("KASTELLAN_SOAK_MINUTES").unwrap_or(60);
    let seed = super::number("KASTELLAN_CRASH_SEED").unwrap_or(1);
    let mut world = World::bare("soak").await;
    let second = world.another_namespace().await;
    let operator = Process::start(&world, &[&world.namespace, &second]);
    super::connect(&world).await;
    let mut history = History::begin(&world, second, seed).await;
    let start = Instant::now();
    let mut samples: Vec<Held> = Vec::new();
    eprintln!("minute  steps  memory KiB  open files  entries");
    while start.elapsed() < Duration::from_secs(60 * minutes) {
        history.step(&world).await;
        if start.elapsed() >= Duration::from_secs(60) * u32::try_from(samples.len()).unwrap() {
            let now = held(&operator).await;
            let Held { memory, files, entries } = now;
            eprintln!(
                "{:6}  {:5}  {memory:10}  {files:10}  {entries:7}",
                samples.len(),
                history.steps
            );
            samples.push(now);
        }
        // The emulator remembers all calls for the tests that look at them.
        world.emulator().reset_calls();
    }
    // A sixth of the time is enough to have met all that there is.
    let settled = &samples[samples.len() / 6..];
    let most = |of: fn(&Held) -> u64, part: &[Held]| part.iter().map(of).max().unwrap();
    let (first, last) = settled.split_at(settled.len() / 2);
    for (what, of) in [
        ("memory", (|held| held.memory) as fn(&Held) -> u64),
        ("open files", |held| held.files as u64),
        ("entries", |held| held.entries),
    ] {
        let (before, after) = (most(of, first), most(of, last));
        assert!(after <= before + before / 5 + 20, "{what}: {before}, then {after}: {samples:#?}");
    }

    world.emulator().faults().clear();
    history.delete_all(&world).await;
    history.settle(&world).await;
    let entries = async || held(&operator).await.entries;
    let now = samples[0].entries;
    eventually("nothing is remembered of what is gone", entries, |n| *n <= now).await;
}
