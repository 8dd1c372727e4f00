//! Two operators as processes of their own, one of which takes over from the other again and again:
//! `KASTELLAN_TAKEOVERS` times, or a few.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};

use super::processes::{LEASE, Process};
use crate::{
    gate::{Deed, Entry, Log},
    world::{World, condition, eventually, is_current},
};

/// Objects that are changed all the time.
pub(super) const PROJECTS: usize = 12;

/// How a leader is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Loss {
    /// It stands still until another one is at work, and then goes on.
    Paused,
    /// It can't reach the API server until another one is at work; ZITADEL it can.
    Cut,
    Killed,
    /// It is asked to end.
    Stopped,
}

/// Numbers that look random and are the same each time.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

struct Pair {
    processes: [Process; 2],
    log: Log,
    started: u32,
}

impl Pair {
    /// Starts those again that have ended, as a kubelet does.
    async fn revive(&mut self, world: &World) {
        for n in 0..2 {
            if self.processes[n].ended().is_some() {
                self.started += 1;
                let name = format!("operator-{}", self.started);
                self.processes[n] = Process::start(world, name, &self.log).await;
            }
        }
    }

    /// Who leads, and who stands by, once it is so.
    async fn settle(&mut self, world: &World) -> (usize, usize) {
        let start = Instant::now();
        loop {
            self.revive(world).await;
            let leader = self.log.leader().map(|(name, _)| name);
            let leads = |p: &Process| Some(&p.name) == leader.as_ref();
            if let Some(leader) = self.processes.iter().position(leads) {
                let standby = 1 - leader;
                let words = format!("standby: {}", self.processes[leader].name);
                if self.processes[standby].is_ready(&words).await {
                    return (leader, standby);
                }
            }
            assert!(start.elapsed() < Duration::from_secs(90), "no leader with a standby");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub(super) fn spec(round: u32) -> Value {
    json!({
        "organizationRef": {"name": "acme"},
        "projectRoleAssertion": round.is_multiple_of(2),
        "projectRoleCheck": round.is_multiple_of(3),
    })
}

/// Changes, deletes and creates objects until it is told to end.
pub(super) async fn churn(world: &World, ends: &AtomicBool, round: &AtomicU32) {
    while !ends.load(Ordering::Relaxed) {
        let round = round.fetch_add(1, Ordering::Relaxed);
        let name = format!("p-{}", round as usize % PROJECTS);
        // A deletion is not waited for: one that is declared while it goes, goes all the same.
        if round.is_multiple_of(7) {
            world.api("Project").delete(&name, &DeleteParams::default()).await.ok();
        } else {
            world.apply("Project", &name, spec(round)).await;
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}

/// What was written by one that another one had begun to write after.
fn late(entries: &[Entry]) -> Vec<String> {
    let (mut former, mut current, mut late) = (HashSet::new(), None::<&str>, Vec::new());
    for entry in entries.iter().filter(|e| matches!(e.deed, Deed::Kubernetes | Deed::Zitadel)) {
        if current == Some(&*entry.who) {
            continue;
        }
        if former.contains(&*entry.who) {
            late.push(format!("{}: {:?} {}", entry.who, entry.deed, entry.target));
            continue;
        }
        former.extend(current.replace(&entry.who));
    }
    late
}

#[test]
fn a_late_write_is_seen_in_a_log() {
    let entry = |who: &str| Entry {
        at: Instant::now(),
        who: who.into(),
        deed: Deed::Zitadel,
        target: String::new(),
    };
    let writers = |names: &str| names.chars().map(|c| entry(&c.to_string())).collect::<Vec<_>>();
    assert_eq!(late(&writers("aabbbc")).len(), 0);
    assert_eq!(late(&writers("aababbca")).len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_take_over_from_each_other_and_no_former_leader_writes() {
    let takeovers = std::env::var("KASTELLAN_TAKEOVERS").map_or(4, |n| n.parse().unwrap());
    let world = World::bare("takeover").await;
    // Some writes are always under way.
    world.emulator().faults().latency(Duration::ZERO, Duration::from_millis(20));
    world.connect().await;
    world.apply("Organization", "acme", json!({})).await;
    let log = Log::default();
    let first = Process::start(&world, "operator-1".into(), &log).await;
    first.ready("ok").await;
    world.ready("Organization", "acme").await;
    let second = Process::start(&world, "operator-2".into(), &log).await;
    let mut pair = Pair { processes: [first, second], log, started: 2 };

    let (ends, round) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let mut times: BTreeMap<Loss, Vec<Duration>> = BTreeMap::new();
    let losses = async {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        for n in 0..takeovers {
            let (leader, _) = pair.settle(&world).await;
            // At any moment between two renewals, and of a reconcile.
            tokio::time::sleep(Duration::from_millis(dice.below(700))).await;
            let all = [Loss::Paused, Loss::Cut, Loss::Killed, Loss::Stopped];
            // Each kind once at least, also of a few.
            let other = usize::try_from(dice.below(4)).unwrap();
            let loss = all[usize::try_from(n).ok().filter(|n| *n < 4).unwrap_or(other)];
            times.entry(loss).or_default().push(lose(&mut pair, leader, loss, &mut dice).await);
        }
        ends.store(true, Ordering::Relaxed);
    };
    tokio::join!(losses, churn(&world, &ends, &round));

    converges(&world, round.load(Ordering::Relaxed)).await;
    let entries = pair.log.entries();
    let late = late(&entries);
    let count = |deed: Deed| entries.iter().filter(|e| e.deed == deed).count();
    for (loss, times) in &mut times {
        times.sort();
        let (half, most) = (times[times.len() / 2], times[times.len() - 1]);
        eprintln!("{loss:?}: {} times, p50 {half:.2?}, most {most:.2?}", times.len());
    }
    eprintln!(
        "{takeovers} takeovers, {} terms, {} writes to ZITADEL, {} to Kubernetes, {} by a former leader",
        count(Deed::Lease),
        count(Deed::Zitadel),
        count(Deed::Kubernetes),
        late.len(),
    );
    assert!(late.is_empty(), "{late:#?}");
    // The log has all of them.
    let writes = world.emulator().calls().iter().filter(|c| c.writes).count();
    assert_eq!(count(Deed::Zitadel), writes);
    for (loss, times) in times {
        let most = times[times.len() - 1];
        assert!(most < LEASE + SLACK, "{loss:?}: {most:?}");
    }
}

/// What a takeover may take beyond the Lease: two seconds are promised, on a machine that has
/// nothing else to do.
const SLACK: Duration = Duration::from_secs(8);

/// Has the leader lost, and waits until the other one is at work. Returns how long that took.
async fn lose(pair: &mut Pair, leader: usize, loss: Loss, dice: &mut Dice) -> Duration {
    let name = pair.processes[leader].name.clone();
    let start = Instant::now();
    match loss {
        Loss::Paused => pair.processes[leader].signal("-STOP"),
        Loss::Cut => pair.processes[leader].gate.cut(),
        Loss::Killed => pair.processes[leader].signal("-KILL"),
        Loss::Stopped => pair.processes[leader].signal("-TERM"),
    }
    let log = pair.log.clone();
    let has_written = async || {
        let entries = log.entries();
        let wrote = |e: &&Entry| e.at > start && e.who != name && e.deed != Deed::Lease;
        let wrote = |e: &&Entry| wrote(e) && e.deed != Deed::Read;
        entries.iter().find(wrote).map(|e| e.at)
    };
    let at = eventually(&format!("another one after {loss:?}"), has_written, Option::is_some).await;
    match loss {
        Loss::Paused => {
            tokio::time::sleep(Duration::from_millis(dice.below(300))).await;
            pair.processes[leader].signal("-CONT");
        }
        Loss::Cut => pair.processes[leader].gate.mend(),
        Loss::Killed | Loss::Stopped => {}
    }
    let status = pair.processes[leader].end().await;
    // One that is not the leader any more ends by itself, and says that this was not meant.
    let code = match loss {
        Loss::Paused | Loss::Cut => Some(1),
        Loss::Killed => None,
        Loss::Stopped => Some(0),
    };
    assert_eq!(status.code(), code, "{loss:?}: {status}");
    at.unwrap() - start
}

/// Everything is as declared: in Kubernetes and in ZITADEL.
pub(super) async fn converges(world: &World, rounds: u32) {
    for n in 0..PROJECTS {
        let name = format!("p-{n}");
        // What is just being deleted is declared again when it is gone.
        let apply = async || {
            world.apply("Project", &name, spec(rounds + u32::try_from(n).unwrap())).await;
            let found = world.api("Project").get_opt(&name).await.unwrap();
            found.is_some_and(|o| o.metadata.deletion_timestamp.is_none())
        };
        eventually(&format!("{name} declared"), apply, |declared| *declared).await;
    }
    let projects = async || {
        let all = world.api("Project").list(&ListParams::default()).await.unwrap();
        all.items.into_iter().map(|o| serde_json::to_value(o).unwrap()).collect::<Vec<Value>>()
    };
    let are_ready = |all: &Vec<Value>| {
        let is_ready = |o: &Value| condition(o, "Ready")["status"] == "True" && is_current(o);
        all.len() == PROJECTS && all.iter().all(is_ready)
    };
    let all = eventually("all Ready", projects, are_ready).await;
    let acme = world.ready("Organization", "acme").await["id"].as_str().unwrap().to_owned();
    let mut ids = HashSet::new();
    for o in all {
        let id = o["status"]["id"].as_str().unwrap().to_owned();
        let live = world.live("Project", Some(&*acme), &id).await.unwrap();
        for field in ["projectRoleAssertion", "projectRoleCheck"] {
            let read = live.state.get(field).cloned().unwrap_or(json!(false));
            assert_eq!(read, o["spec"][field], "{field}: {live:?}");
        }
        ids.insert(id);
    }
    // Nothing was made twice, and nothing was left.
    let (added, removed) = (world.count("project.added"), world.count("project.removed"));
    assert_eq!(added - removed, PROJECTS, "{added} created, {removed} deleted");
    assert_eq!(ids.len(), PROJECTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_takeover_costs_the_calls_of_a_start_and_no_writes() {
    let world = World::bare("warm").await;
    world.connect().await;
    world.apply("Organization", "acme", json!({})).await;
    for n in 0..PROJECTS {
        world.apply("Project", &format!("p-{n}"), spec(1)).await;
    }
    let log = Log::default();
    let in_sync = format!("kind=\"Project\",ready=\"True\",reason=\"InSync\"}} {PROJECTS}");
    let all_seen = async |p: &Process| p.metrics("all seen", |m| m.contains(&in_sync)).await;
    let count = |who: &str, deed: Deed| {
        log.entries().iter().filter(|e| e.who == who && e.deed == deed).count()
    };
    let mut first = Process::start(&world, "first".into(), &log).await;
    all_seen(&first).await;
    // The Instance counts its objects when all have been seen; then all has been said.
    world.until("Instance", "default", "counted", |o| o["status"]["objects"]["ready"] == 13).await;
    first.signal("-TERM");
    first.end().await;
    let mut second = Process::start(&world, "second".into(), &log).await;
    all_seen(&second).await;
    let third = Process::start(&world, "third".into(), &log).await;
    third.ready("standby: second").await;
    assert_eq!(count("third", Deed::Read), 0, "a standby asks nothing of ZITADEL");
    let start = Instant::now();
    second.signal("-TERM");
    all_seen(&third).await;
    let took = start.elapsed();
    second.end().await;
    let (of_start, of_takeover) = (count("second", Deed::Read), count("third", Deed::Read));
    eprintln!(
        "a start: {of_start} calls; a takeover: {of_takeover} calls, {took:.2?} until all was compared"
    );
    assert!(of_takeover <= of_start, "{of_takeover} calls, and {of_start} of a start");
    for who in ["second", "third"] {
        assert_eq!((count(who, Deed::Zitadel), count(who, Deed::Kubernetes)), (0, 0), "{who}");
    }
}
