//! Operators as processes of their own that share the Instances of a cluster.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use zitadel_emulator::Emulator;

use super::{
    processes::Process,
    takeover::{Dice, PROJECTS, churn, converges, spec},
};
use crate::{
    gate::{Deed, Entry, Log},
    world::{World, condition, eventually},
};

const LABEL: &str = "kastellan.dev/shard";

async fn shard(world: &World, name: String, shard: &str, log: &Log) -> Process {
    let arguments = match shard {
        "" => ["--lease-name=main".to_owned(), format!("--shard-selector=!{LABEL}")],
        shard => [format!("--lease-name={shard}"), format!("--shard-selector={LABEL}={shard}")],
    };
    Process::with(world, name, log, &arguments).await
}

async fn label(world: &World, instance: &str, shard: &str) {
    let labels = json!({"metadata": {"labels": {LABEL: shard}}});
    let api = world.api("Instance");
    api.patch(instance, &PatchParams::default(), &Patch::Merge(labels)).await.unwrap();
}

fn served_by(o: &Value) -> &str {
    let lease = o["status"]["servedBy"].as_str().unwrap_or_default();
    lease.split_once('/').map_or("", |(_, name)| name)
}

/// Writes to ZITADEL by somebody other than who had last written the status of the Instance.
fn strange(entries: &[Entry]) -> Vec<String> {
    let (mut owner, mut strange) = (None::<&str>, Vec::new());
    for entry in entries {
        if entry.target.contains("/instances/default/status") {
            owner = Some(&entry.who);
        } else if entry.deed == Deed::Zitadel && owner != Some(&entry.who) {
            strange.push(format!("{}: {}, it is {owner:?}'s", entry.who, entry.target));
        }
    }
    strange
}

/// What becomes of the operator that an Instance is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Former {
    Works,
    /// It stands still until the other one is at work, and then goes on.
    Paused,
    Killed,
    Stopped,
}

/// `KASTELLAN_MOVES` times, or a few.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_moves_between_shards_is_never_served_by_two() {
    let moves = std::env::var("KASTELLAN_MOVES").map_or(4, |n| n.parse().unwrap());
    let world = World::bare("shards").await;
    // Some writes are always under way.
    world.emulator().faults().latency(Duration::ZERO, Duration::from_millis(20));
    world.connect().await;
    label(&world, "default", "a").await;
    world.apply("Organization", "acme", json!({})).await;
    let log = Log::default();
    let names = ["a", "b"];
    let mut started = 0;
    let mut next = || {
        started += 1;
        format!("operator-{started}")
    };
    let mut shards =
        [shard(&world, next(), "a", &log).await, shard(&world, next(), "b", &log).await];
    world.ready("Organization", "acme").await;

    let (ends, round) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let mut times = Vec::new();
    let moving = async {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        for n in 0..moves {
            let (from, to) = (n % 2, 1 - n % 2);
            tokio::time::sleep(Duration::from_millis(dice.below(700))).await;
            let all = [Former::Works, Former::Paused, Former::Killed, Former::Stopped];
            // Each once at least, also of a few.
            let former = all[if n < 4 { n } else { usize::try_from(dice.below(4)).unwrap() }];
            match former {
                Former::Works => {}
                Former::Paused => shards[from].signal("-STOP"),
                Former::Killed => shards[from].signal("-KILL"),
                Former::Stopped => shards[from].signal("-TERM"),
            }
            label(&world, "default", names[to]).await;
            let start = std::time::Instant::now();
            world.until("Instance", "default", "moved", |o| served_by(o) == names[to]).await;
            times.push((former, start.elapsed()));
            // It is at work.
            let (who, from_now) = (shards[to].name.clone(), std::time::Instant::now());
            let is_its = |e: &&Entry| e.deed == Deed::Zitadel && e.who == who && e.at > from_now;
            let works = async || log.entries().iter().any(|e| is_its(&e));
            eventually("the other one at work", works, |works| *works).await;
            if former != Former::Works {
                if former == Former::Paused {
                    shards[from].signal("-CONT");
                }
                shards[from].end().await;
                shards[from] = shard(&world, next(), names[from], &log).await;
            }
            shards[from].ready("ok").await;
        }
        ends.store(true, Ordering::Relaxed);
    };
    tokio::join!(moving, churn(&world, &ends, &round));

    converges(&world, round.load(Ordering::Relaxed)).await;
    let entries = log.entries();
    let (writes, strange) =
        (entries.iter().filter(|e| e.deed == Deed::Zitadel).count(), strange(&entries));
    eprintln!("{moves} moves, {writes} writes to ZITADEL: {times:.2?}");
    assert!(strange.is_empty(), "{strange:#?}");
    // The log has all of them.
    assert_eq!(writes, world.emulator().calls().iter().filter(|c| c.writes).count());
}

#[test]
fn a_strange_write_is_seen_in_a_log() {
    let entry = |(who, deed): (&str, Deed)| {
        let target = if deed == Deed::Kubernetes { "/instances/default/status" } else { "" };
        let at = std::time::Instant::now();
        Entry { at, who: who.into(), deed, target: target.into() }
    };
    let (claim, write) = (Deed::Kubernetes, Deed::Zitadel);
    let of = |all: &[(&str, Deed)]| strange(&all.iter().copied().map(entry).collect::<Vec<_>>());
    assert_eq!(of(&[("a", claim), ("a", write), ("b", claim), ("b", write)]).len(), 0);
    assert_eq!(of(&[("a", claim), ("b", write), ("b", claim), ("a", write)]).len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_operator_serves_what_its_selector_selects_and_one_what_belongs_to_none() {
    let world = World::bare("sharing").await;
    let other = Emulator::start(zitadel_emulator::Options::default()).await.unwrap();
    world.connect().await;
    world.secret("other", "pat", &other.emulator().pat()).await;
    let mut eu = world.instance_spec();
    eu["issuer"] = json!(other.url());
    eu["credentials"]["personalAccessToken"]["secretRef"]["name"] = json!("other");
    world.apply("Instance", "eu", eu).await;
    label(&world, "eu", "eu").await;
    world.apply("Organization", "acme", json!({})).await;
    world.apply("Organization", "euro", json!({"instanceRef": {"name": "eu"}})).await;
    world.apply("Organization", "lost", json!({"instanceRef": {"name": "nowhere"}})).await;
    for n in 0..PROJECTS {
        world.apply("Project", &format!("p-{n}"), spec(1)).await;
    }
    let log = Log::default();
    let _main = shard(&world, "main".into(), "", &log).await;
    let _eu = shard(&world, "of-eu".into(), "eu", &log).await;
    world.ready("Organization", "acme").await;
    world.ready("Organization", "euro").await;
    let waits = |o: &Value| condition(o, "Ready")["reason"] == "WaitingForReference";
    world.until("Organization", "lost", "waiting", waits).await;
    // Each counts its own, and waits for nobody else's.
    let counted =
        |n: u32| move |o: &Value| o["status"]["objects"] == json!({"ready": n, "notReady": 0});
    world.until("Instance", "eu", "counted", counted(1)).await;
    let projects = u32::try_from(PROJECTS).unwrap();
    world.until("Instance", "default", "counted", counted(projects + 1)).await;
    let by = |who: &str, part: &str| {
        log.entries().iter().filter(|e| e.who == who && e.target.contains(part)).count()
    };
    for (who, theirs) in [
        ("main", ["/instances/eu", "/organizations/euro"]),
        ("of-eu", ["/instances/default", "/organizations/acme"]),
    ] {
        for part in theirs {
            assert_eq!(by(who, part), 0, "{who} leaves {part} alone");
        }
    }
    assert_eq!(by("of-eu", "/organizations/lost"), 0);

    // Nobody selects it any more: that is said, and nothing else is.
    label(&world, "eu", "us").await;
    let is_left = |o: &Value| {
        let ready = condition(o, "Ready");
        served_by(o).is_empty() && ready["reason"] == "NotServed" && ready["status"] == "Unknown"
    };
    world.until("Instance", "eu", "left", is_left).await;
    let before = log.entries().len();
    world
        .apply("Organization", "euro", json!({"instanceRef": {"name": "eu"}, "name": "Euro 2"}))
        .await;
    // The other one works all the while.
    world.apply("Project", "p-0", spec(2)).await;
    world.ready("Project", "p-0").await;
    let later = log.entries().split_off(before);
    assert!(later.iter().all(|e| e.who == "main" || e.deed == Deed::Read), "{later:?}");
    assert!(!later.iter().any(|e| e.target.contains("euro")), "{later:?}");
    // What nobody served, the next takes up at once.
    label(&world, "eu", "eu").await;
    let ready = world.ready("Organization", "euro").await;
    assert_eq!(ready["observedGeneration"], 2);
    world.ready("Instance", "eu").await;
}
