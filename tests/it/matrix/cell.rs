//! One fault, one kind, one act: what is said and sent while it lasts, and what becomes of it.

use std::time::Duration;

use kastellan::contract::{Access, Fields, Inputs, Key, Remote, diff};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    faults::{Act, Fault},
    operator::{Operator, instance},
};
use crate::{
    inprocess::{Lab, key},
    samples::{Object, Placed},
};

/// How long after all is right nothing more may be written.
const QUIET: Duration = Duration::from_secs(12);

/// The pause between polls of the feed.
const POLL: Duration = Duration::from_secs(5);

/// How long something is looked for that an attempt may have made.
const SEARCH: Duration = Duration::from_secs(12);

/// What was seen of a fault.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Condition Ready of the object (of the feed: of the Instance) while it lasts: status, reason,
    /// message.
    pub(crate) says: (String, String, String),
    /// What was sent while it lasted, for so many objects.
    pub(crate) calls: usize,
    objects: usize,
    /// From its end until all is right.
    pub(crate) right_after: Duration,
}

/// What a kind needs, settled, and an object of it.
struct Bench {
    lab: Lab,
    p: Placed,
    it: Key,
    spec: Value,
    at: Access,
    /// Things of the kind that were ever made, without the object.
    made: usize,
}

impl Bench {
    async fn new(p: Placed) -> Self {
        let lab = Lab::new().await;
        for Object { kind, name, mut spec } in p.surroundings() {
            if ["ApiApplication", "OidcApplication"].contains(&kind) {
                // What has keys of its own.
                spec["authMethod"] = "PrivateKeyJwt".into();
            }
            lab.declare("ns", kind, name, spec);
        }
        lab.settle().await;
        let id = |kind: &str, name: &str| lab.status(&key(kind, "ns", name)).id.unwrap();
        let (place, _) = p.located(id);
        let at = Access::anonymous(lab.client.clone(), place);
        let it = key(p.entry.kind(), "ns", "it");
        let mut spec = p.scope();
        spec["deletionPolicy"] = "Delete".into();
        if p.is_key() {
            spec["secret"] = json!({"name": "it"});
        } else {
            let live = if p.is_setting() { p.entry.read(&at, "").await.unwrap() } else { None };
            let state = live.map(|live| live.state).unwrap_or_default();
            merge(&mut spec, &other_than(p, &state).to().unwrap());
        }
        let made = made(&lab, p);
        Self { lab, p, it, spec, at, made }
    }

    /// The field that is changed, and the value that it gets.
    fn change(&self) -> Option<(String, Value)> {
        let fields = if self.p.is_key() { return None } else { self.p.managed() };
        let is_plain = |(path, schema): &(&String, &Value)| {
            !path.contains('.') && schema["type"] == "boolean" || path.as_str() == "roles"
        };
        let chosen = fields.iter().find(is_plain).or_else(|| fields.iter().next());
        let declared = Fields::from(self.spec.clone());
        chosen.map(|(path, schema)| (path.clone(), another(self.p, path, schema, &declared)))
    }

    fn declare(&self, spec: Value) {
        self.lab.declare("ns", self.p.entry.kind(), "it", spec);
    }

    /// The spec, with a field changed.
    fn changed(&self) -> Option<Value> {
        let (path, value) = self.change()?;
        let change: Value = Fields::from_map([(path, value)].into_iter().collect()).to().unwrap();
        let mut spec = self.spec.clone();
        merge(&mut spec, &change);
        Some(spec)
    }

    async fn live(&self) -> Option<Remote> {
        let id = self.lab.object(&self.it)?.status.id.clone()?;
        self.p.entry.read(&self.at, &id).await.unwrap()
    }

    /// What is declared and not so.
    async fn differs(&self) -> Option<String> {
        let Some(object) = self.lab.object(&self.it) else { return Some("is gone".into()) };
        let Some(live) = self.live().await else { return Some("is not in ZITADEL".into()) };
        if self.p.is_key() {
            return None;
        }
        let name = &object.key.name;
        let declared = self.p.entry.desired(&object.spec, name, &Inputs::default()).unwrap();
        let (_, ids) =
            self.p.located(|kind, name| self.lab.status(&key(kind, "ns", name)).id.unwrap());
        let declared = declared.overlay(&ids);
        let changes = diff(&declared, &live.state, self.p.entry.lists);
        (!changes.is_empty()).then(|| format!("differs: {changes:?}"))
    }
}

fn merge(into: &mut Value, from: &Value) {
    for (name, value) in from.as_object().into_iter().flatten() {
        if value.is_object() && into[name].is_object() {
            merge(&mut into[name], value);
        } else {
            into[name] = value.clone();
        }
    }
}

/// Each field with a value that it does not have.
fn other_than(p: Placed, have: &Fields) -> Fields {
    let fields = p.managed().into_iter().map(|(path, schema)| {
        let value = another(p, &path, &schema, have);
        (path, value)
    });
    Fields::from_map(fields.collect())
}

fn another(p: Placed, path: &str, schema: &Value, have: &Fields) -> Value {
    p.values(path, schema).into_iter().find(|value| have.get(path) != Some(value)).unwrap()
}

fn made(lab: &Lab, p: Placed) -> usize {
    let creates = p.entry.events.iter().flat_map(|filter| filter.creates);
    creates.map(|event| lab.count(event)).sum()
}

macro_rules! ensure {
    ($so:expr, $($told:tt)*) => {
        if !$so {
            return Err(format!($($told)*));
        }
    };
}

/// Whether something of the kind can be changed so.
pub(crate) fn is_possible(p: Placed, act: Act) -> bool {
    match act {
        Act::Update | Act::Feed => !p.is_key() && !p.managed().is_empty(),
        Act::Create | Act::Delete | Act::List => true,
    }
}

/// Tries it; `Err` says what is wrong.
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
pub(crate) async fn run(
    fault: &Fault,
    p: Placed,
    act: Act,
    lasts: Duration,
) -> Result<Seen, String> {
    let mut bench = Bench::new(p).await;
    if act != Act::Create {
        bench.declare(bench.spec.clone());
        bench.lab.settle().await;
        let it = (&bench.it, bench.lab.reason(&bench.it));
        ensure!(bench.lab.status(it.0).is_ready(), "before the fault: {it:?}");
    }
    let id = bench.lab.object(&bench.it).and_then(|o| o.status.id.clone());
    if act == Act::List {
        bench.lab.restart();
        if !fault.is_whole {
            bench.lab.look(&instance()).await;
        }
    }
    let lab = &bench.lab;
    let mut operator = Operator::start(lab);
    if act != Act::List {
        operator.work(Duration::from_secs(11)).await;
    }
    fault.begin(lab, act);
    let sent = lab.line().sent();
    match act {
        Act::Create => bench.declare(bench.spec.clone()),
        Act::Update => bench.declare(bench.changed().unwrap()),
        Act::Delete => lab.delete(&bench.it),
        Act::List => {}
        Act::Feed => {
            let (path, value) = bench.change().unwrap();
            let change = Fields::from_map([(path, value)].into_iter().collect());
            // Their account may be of this kind.
            let before = made(lab, p);
            let theirs = lab.minnie(&bench.at.place);
            bench.made += made(lab, p) - before;
            p.entry.change(&theirs, id.as_deref().unwrap_or_default(), &change).await;
        }
    }
    if act != Act::Feed {
        operator.wake(&bench.it);
    }
    let mut seen = Seen::default();
    let known = known_within(fault, act).min(lasts);
    operator.work(known).await;
    let speaker = if act == Act::Feed { instance() } else { bench.it.clone() };
    seen.says = ("True".into(), "InSync".into(), "gone".into());
    if let Some(object) = lab.object(&speaker) {
        let ready = object.status.condition("Ready").cloned();
        seen.says = ready.map(|c| (c.status, c.reason, c.message)).unwrap_or_default();
        if act == Act::Feed && !fault.is_whole && seen.says.0 == "True" {
            let feed = object.details.feed.clone().unwrap();
            seen.says =
                (String::new(), format!("{:?}", feed.mode), feed.reason.unwrap_or_default());
        }
    }
    operator.work(lasts.saturating_sub(known)).await;
    seen.calls = lab.line().sent() - sent;
    seen.objects = lab.objects().len();
    Fault::end(lab);
    ensure!(fault.is_met(lab), "no request met it");
    let ended = Instant::now();
    let is_right = |lab: &Lab| match lab.object(&bench.it) {
        None => act == Act::Delete,
        Some(o) => {
            let is_current = o.status.observed_generation == Some(o.generation);
            act != Act::Delete && o.status.is_ready() && is_current
        }
    };
    // Longer than it may take, to tell late from never.
    let limit = fault.right_within.max(lasts) * 3 + Duration::from_secs(130);
    let after = operator.until(limit, is_right).await;
    let reason = || lab.object(&bench.it).map(|_| lab.reason(&bench.it));
    ensure!(after.is_some(), "not right within {limit:?}: {:?}", reason());
    if act != Act::Delete {
        // Somebody else's change shows with the next poll.
        while let Some(differs) = bench.differs().await {
            ensure!(ended.elapsed() < limit, "{differs}, and says {:?}", reason());
            operator.work(Duration::from_millis(100)).await;
        }
    }
    let all_right = |lab: &Lab| lab.objects().iter().all(|o| o.status.is_ready() && !o.is_deleting);
    let rest = operator.until(limit, all_right).await;
    let others = || {
        let failing = lab.objects().into_iter().filter(|o| !o.status.is_ready());
        failing.map(|o| (o.key.to_string(), lab.reason(&o.key))).collect::<Vec<_>>()
    };
    ensure!(rest.is_some(), "the others are not right again: {:?}", others());
    seen.right_after = ended.elapsed();
    let events = lab.events();
    operator.work(QUIET).await;
    ensure!(lab.events() == events, "it goes on writing");
    let expected = bench.made + usize::from(!p.is_setting());
    let is_made = made(lab, p);
    let is_exact = if p.is_key() { is_made >= expected } else { is_made == expected };
    ensure!(p.is_setting() || is_exact, "made {is_made} times, not {expected}");
    if p.is_key() {
        // One whose secret nobody got to know is deleted, and another one made.
        let there = p.entry.list(&bench.at).await.len();
        ensure!(there == usize::from(act != Act::Delete), "there are {there}");
    }
    if act == Act::Delete {
        let left = match &id {
            Some(id) if !p.is_setting() => p.entry.read(&bench.at, id).await.unwrap(),
            _ => None,
        };
        ensure!(left.is_none(), "it is still there: {left:?}");
    } else {
        let status = lab.status(&bench.it);
        ensure!(act == Act::Create || status.id == id, "{id:?} became {:?}", status.id);
        let is_drift = status.last_drift.is_some();
        ensure!(is_drift == (act == Act::Feed), "drift: {:?}", status.last_drift);
    }
    drop(operator);
    judge(fault, p, act, lasts, &seen)?;
    Ok(seen)
}

/// How long until it is said. What only the feed meets shows with the next poll.
fn known_within(fault: &Fault, act: Act) -> Duration {
    fault.known_within + if act == Act::Feed { POLL } else { Duration::ZERO }
}

/// Whether what was seen is as the fault's row promises.
fn judge(fault: &Fault, p: Placed, act: Act, lasts: Duration, seen: &Seen) -> Result<(), String> {
    let (ready, reason, message) = &seen.says;
    // What was Ready stays so while nothing of ZITADEL answers.
    let is_outage = fault.is_whole || fault.says == ["Unreachable"];
    let stays = is_outage && act == Act::List && ready == "True";
    let known = known_within(fault, act);
    // Where nothing else tells one from another, whether an attempt has made one is looked for.
    let is_sought = p.is_key() || p.entry.as_entity().is_some_and(|e| !e.is_unique);
    let is_looked_for = is_sought && act == Act::Create;
    let is_early = known > lasts + Duration::from_secs(1);
    let is_said = fault.says.is_empty()
        || is_early
        || stays
        || is_looked_for && reason == "NotConverged"
        || fault.says.contains(&reason.as_str()) && !message.is_empty()
        || act == Act::Feed && reason == "Polling" && !message.is_empty();
    ensure!(is_said, "within {known:?} it says {:?}", seen.says);
    let minutes = usize::try_from(lasts.as_secs().div_ceil(60)).unwrap();
    let askers = if fault.is_whole { 1 } else { seen.objects };
    let most = fault.calls * minutes * askers;
    ensure!(seen.calls <= most, "{} calls in {lasts:?}, not {most}", seen.calls);
    // Pauses grow as long as it lasts; only of an outage of the whole the end is told.
    let grown = if fault.grows { lasts * 11 / 10 } else { Duration::ZERO };
    let poll = if act == Act::Feed { 2 * POLL + Duration::from_secs(1) } else { Duration::ZERO };
    let looking = if is_looked_for { SEARCH } else { Duration::ZERO };
    let within = fault.right_within.max(grown).max(poll) + looking;
    ensure!(seen.right_after <= within, "right after {:?}, not {within:?}", seen.right_after);
    Ok(())
}
