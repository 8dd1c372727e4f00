//! Every fault, for every kind, in everything that is done: it is waited out with few calls, it is
//! said, nothing is made twice, nothing is taken for deleted, and afterwards all is as declared.
//!
//! By default a sample: one kind for each fault, act and length, the same each time. `SEED=n` takes
//! another one, `FAULT=part of a name` those with such a name, `FAULTS=all` all.

mod cell;
mod faults;
mod operator;

use std::{
    fmt::Write as _,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use kastellan::{contract::EntityDescription, kinds::REGISTRY};

use self::faults::{Act, FAULTS, Fault};
use crate::{
    remote::Entry,
    samples::{Placed, placed},
};

/// How long faults last: shorter than any pause, and long.
const LASTS: [Duration; 2] = [Duration::from_secs(4), Duration::from_mins(1)];

/// Every kind that declares something, with keys, in everything that it can be in.
fn everything() -> Vec<Placed> {
    let keys = REGISTRY.all().filter(|e| e.as_entity().is_some_and(EntityDescription::is_key));
    let keys = keys.map(|entry| {
        let parent = Entry(entry).parents().next();
        Placed { entry: Entry(entry), form: None, parent }
    });
    placed().into_iter().chain(keys).collect()
}

struct Cell {
    fault: &'static Fault,
    placed: Placed,
    act: Act,
    lasts: Duration,
}

fn cells() -> Vec<Cell> {
    let kinds = everything();
    let of_act = Act::ALL.map(|act| {
        let possible = kinds.iter().filter(|p| cell::is_possible(**p, act)).copied();
        (act, possible.collect::<Vec<_>>())
    });
    let mut all = Vec::new();
    for fault in &FAULTS {
        for (act, kinds) in of_act.iter().filter(|(act, _)| fault.concerns(*act)) {
            for lasts in LASTS {
                let cell = |placed: &Placed| Cell { fault, placed: *placed, act: *act, lasts };
                all.extend(kinds.iter().map(cell));
            }
        }
    }
    all
}

/// One kind for each fault and act, by the seed; or all.
fn chosen(seed: u64) -> Vec<Cell> {
    let mut all = cells();
    if std::env::var("FAULTS").is_ok_and(|which| which == "all") {
        return all;
    }
    if let Ok(part) = std::env::var("FAULT") {
        all.retain(|c| name(c).contains(&part));
        return all;
    }
    let rank = |c: &Cell| {
        let mut hasher = DefaultHasher::new();
        (seed, name(c)).hash(&mut hasher);
        hasher.finish()
    };
    all.sort_by_cached_key(|c| (c.fault.name, c.act as usize, c.lasts, rank(c)));
    all.dedup_by_key(|c| (c.fault.name, c.act as usize, c.lasts));
    all
}

fn name(c: &Cell) -> String {
    format!("{} / {:?} / {:?} / {:?}", c.fault.name, c.placed, c.act, c.lasts)
}

#[tokio::test(start_paused = true)]
async fn every_fault_is_waited_out_whatever_is_being_done() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or(7);
    let (mut failed, mut count) = (Vec::new(), 0);
    for c in chosen(seed) {
        count += 1;
        // The last one is seen if it does not end.
        eprintln!("{}", name(&c));
        // Nothing hangs for ever.
        let run = cell::run(c.fault, c.placed, c.act, c.lasts);
        let ended = tokio::time::timeout(Duration::from_hours(1), run).await;
        if let Err(told) = ended.unwrap_or_else(|_| Err("it does not end".into())) {
            let told = format!("{}: {told}", name(&c));
            eprintln!("{told}");
            failed.push(told);
        }
    }
    assert!(failed.is_empty(), "SEED={seed}: {} of {count}:\n{}", failed.len(), failed.join("\n"));
}

/// The table of the documentation: what is said by a project, what is sent, how long it takes.
pub(crate) async fn table() -> String {
    let project = placed().into_iter().find(|p| p.entry.kind() == "Project").unwrap();
    let mut text = "| Fault | A write meets it | A read meets it | The feed meets it | Calls | Right again |\n\
                    |---|---|---|---|--:|--:|\n"
        .to_owned();
    for fault in &FAULTS {
        let mut says = Vec::new();
        for act in [Act::Create, Act::List, Act::Feed] {
            let lasts = LASTS[usize::from(fault.is_whole || act == Act::Feed)];
            says.push(if fault.concerns(act) {
                let seen = cell::run(fault, project, act, lasts).await;
                let (ready, reason, message) = seen.unwrap_or_else(|e| panic!("{e}")).says;
                match (ready.as_str(), message.as_str()) {
                    ("True", _) => "nothing: it is `Ready`".to_owned(),
                    (_, "") if reason.is_empty() => "nothing yet".to_owned(),
                    (_, "") => format!("`{reason}`"),
                    _ => format!("`{reason}`: *{}*", message.replace("struck", "…")),
                }
            } else {
                String::new()
            });
        }
        let within = fault.right_within.as_secs();
        let calls = fault.calls;
        let says = says.join(" | ");
        writeln!(text, "| {} | {says} | {calls} | {within} s |", fault.name).unwrap();
    }
    text
}
