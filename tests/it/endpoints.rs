//! A server that lacks what a kind is read and written by, as an older release may: what needs it
//! says so, everything else goes on, and all is well when the server has it.

use std::collections::BTreeSet;

use kastellan::contract::Key;
use serde_json::Value;

use crate::{
    inprocess::Lab,
    samples::{Object, Placed, placed},
};

/// The kind with all that it needs, which is Ready.
async fn surrounded(p: Placed) -> (Lab, Vec<Key>) {
    let lab = Lab::new().await;
    let declare = |Object { kind, name, spec }: Object| lab.declare("ns", kind, name, spec);
    let others: Vec<Key> = p.surroundings().into_iter().map(declare).collect();
    lab.settle().await;
    (lab, others)
}

fn declare(lab: &Lab, p: Placed) -> Key {
    let mut spec = p.scope();
    for (path, schema) in p.managed() {
        let [value, _] = p.values(&path, &schema);
        let steps = path.split('.').rev();
        let part = steps.fold(value, |inner, step| serde_json::json!({step: inner}));
        merge(&mut spec, part);
    }
    lab.declare("ns", p.entry.kind(), "it", spec)
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

fn routes(lab: &Lab, from: usize) -> BTreeSet<String> {
    lab.emulator.calls().into_iter().skip(from).map(|call| call.route).collect()
}

/// A pattern for the paths of a route.
fn pattern(route: &str) -> String {
    let segment = |s: &str| if s.starts_with('{') { "*".to_owned() } else { s.to_owned() };
    route.split('/').map(segment).collect::<Vec<_>>().join("/")
}

#[tokio::test(start_paused = true)]
async fn what_a_server_has_no_endpoints_for_is_rejected_and_all_else_goes_on() {
    let mut wrong = Vec::new();
    // ZITADEL answers one or the other, by the interface: each kind meets one of them.
    for (p, status) in placed().into_iter().zip([404, 501].into_iter().cycle()) {
        if let Err(told) = without_endpoints(p, status).await {
            wrong.push(format!("{p:?}, {status}: {told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn without_endpoints(p: Placed, status: u16) -> Result<(), String> {
    // What it needs, and nothing else does, is seen by its being made; then by its being made on a
    // server that lacks that, until there is no other way.
    let mut own: BTreeSet<String> = BTreeSet::new();
    for _ in 0..5 {
        let (lab, others) = surrounded(p).await;
        let before = lab.emulator.calls().len();
        let shared = routes(&lab, 0);
        for route in &own {
            lab.emulator.faults().missing(&pattern(route), status);
        }
        let it = declare(&lab, p);
        lab.look(&it).await;
        if lab.status(&it).is_ready() {
            let more = &routes(&lab, before) - &shared;
            if more.is_subset(&own) {
                return Err(format!("it needs nothing of its own: {more:?}"));
            }
            own.extend(more);
            continue;
        }
        let (reason, message) = lab.reason(&it);
        // The older form of this one lacks some fields.
        if p.entry.kind() == "DomainPolicy" && message.contains("still differs in") {
            own.extend(&routes(&lab, before) - &shared);
            continue;
        }
        let says = format!("{reason}: {message}");
        let is_stalled = lab.status(&it).condition("Stalled").is_some();
        if reason != "Rejected" || !message.contains("no such endpoint") || !is_stalled {
            return Err(format!("Stalled: {is_stalled}, {says} (without {own:?})"));
        }
        lab.settle().await;
        let not_ready = others.iter().find(|other| !lab.status(other).is_ready());
        if let Some(other) = not_ready {
            return Err(format!("{other} is not Ready: {:?}", lab.reason(other)));
        }
        lab.emulator.faults().clear();
        lab.settle().await;
        if !lab.status(&it).is_ready() {
            return Err(format!("afterwards: {:?}", lab.reason(&it)));
        }
        return Ok(());
    }
    Err(format!("there is always another way: {own:?}"))
}
