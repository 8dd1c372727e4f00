//! The contract of a kind: what every kind does, in everything that it can be in. What is declared
//! follows from the schemas.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use futures::future::join_all;
use kastellan::contract::{Fields, Place, diff};
use serde_json::{Value, json};

use crate::{
    samples::{Object, Placed, placed},
    world::{World, condition},
};

/// What is declared of a kind, and what others do to it.
pub(crate) struct Case {
    pub(crate) p: Placed,
    /// What is declared first.
    pub(crate) declared: Value,
    /// Other values of the same fields.
    pub(crate) changed: Value,
    /// What somebody else makes of them.
    pub(crate) tampered: Value,
    /// The fields that are never declared, with values that somebody gave them.
    undeclared: Value,
}

impl Case {
    pub(crate) fn new(p: Placed) -> Self {
        let names = match p.natural_key() {
            Some(key) if !p.is_keyed() => ["One", "Two", "Three"].map(|name| json!({key: name})),
            _ => [const { Value::Null }; 3].map(|_| json!({})),
        };
        let [mut declared, mut changed, mut tampered] = names;
        let mut undeclared = json!({});
        let fields = p.managed().into_iter().filter(|(path, _)| p.natural_key() != Some(path));
        for (n, (path, schema)) in fields.enumerate() {
            let [first, second] = p.values(&path, &schema);
            let nested = |value| nested(&path, value);
            if n % 2 == 0 || p.requires(&path) {
                declared = merged(declared, &nested(first.clone()));
                changed = merged(changed, &nested(second.clone()));
                tampered = merged(tampered, &nested(one_apart(&first, second)));
            } else {
                undeclared = merged(undeclared, &nested(first));
            }
        }
        Self { p, declared, changed, tampered, undeclared }
    }

    pub(crate) fn kind(&self) -> &'static str {
        self.p.entry.kind()
    }

    pub(crate) fn spec(&self, more: &Value) -> Value {
        merged(self.p.scope(), more)
    }

    /// A world with what this is in and refers to, the place, and the fields that say what it
    /// connects.
    async fn world(&self) -> (World, Place, Fields) {
        let world = World::new(&self.kind().to_lowercase()).await;
        let mut ids: HashMap<(String, String), String> = HashMap::new();
        for Object { kind, name, spec } in self.p.surroundings() {
            world.apply(kind, name, spec).await;
            let status = world.ready(kind, name).await;
            ids.insert((kind.to_owned(), name.to_owned()), status["id"].as_str().unwrap().into());
        }
        let id = |kind: &str, name: &str| ids[&(kind.to_owned(), name.to_owned())].clone();
        let (place, connected) = self.p.located(id);
        (world, place, connected)
    }

    /// Waits until the live thing has these fields: what others changed is noticed by the next poll
    /// of the feed.
    async fn has(&self, world: &World, place: &Place, id: &str, fields: &Value) {
        let want = Fields::from(fields.clone());
        let start = Instant::now();
        loop {
            let live = world.live(self.kind(), place, id).await;
            let live = live.unwrap_or_else(|| panic!("{} {id} exists", self.kind()));
            let left = diff(&want, &live.state, self.p.entry.lists);
            if left.is_empty() {
                return;
            }
            assert!(start.elapsed().as_secs() < 60, "{:?}: {left:?}", self.p);
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Waits until what somebody else did was reverted; the report says who it was.
    async fn is_reverted(&self, world: &World) {
        let o = world
            .until(self.kind(), "it", "reverted", |o| {
                o["status"]["lastDrift"]["corrected"] == true
                    && condition(o, "Ready")["status"] == "True"
            })
            .await;
        assert_eq!(o["status"]["lastDrift"]["by"], "minnie.mouse", "{:?}: {o}", self.p);
    }
}

/// The first list with one element more or less, on the way to the second; what is no list, as it
/// is. Where each element is a call of its own, a stranger who takes many of them is reverted after
/// each, and that is a fight.
fn one_apart(first: &Value, second: Value) -> Value {
    let (Some(have), Some(want)) = (first.as_array(), second.as_array()) else { return second };
    match want.iter().find(|v| !have.contains(v)) {
        Some(more) => have.iter().chain([more]).cloned().collect(),
        None => {
            let less = have.iter().position(|v| !want.contains(v));
            let rest = have.iter().enumerate().filter(|(n, _)| Some(*n) != less);
            rest.map(|(_, v)| v.clone()).collect()
        }
    }
}

/// `a.b: v` as `{a: {b: v}}`.
fn nested(path: &str, value: Value) -> Value {
    path.rsplit('.').fold(value, |inner, name| json!({name: inner}))
}

/// Two JSON objects as one; the second wins.
pub(crate) fn merged(mut a: Value, b: &Value) -> Value {
    match (a.as_object_mut(), b.as_object()) {
        (Some(x), Some(y)) => {
            for (k, v) in y {
                let old = x.remove(k).unwrap_or_default();
                x.insert(k.clone(), merged(old, v));
            }
            a
        }
        _ => b.clone(),
    }
}

async fn of_entities(behaviour: impl AsyncFn(Case)) {
    let entities = placed().into_iter().filter(|p| p.is_entity());
    join_all(entities.map(|p| behaviour(Case::new(p)))).await;
}

async fn of_settings(behaviour: impl AsyncFn(Case)) {
    let settings = placed().into_iter().filter(|p| !p.is_entity());
    join_all(settings.map(|p| behaviour(Case::new(p)))).await;
}

/// Create, no-op, spec change with rename, drift, deletion behind our back; undeclared fields stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entities_live() {
    of_entities(async |case| {
        let (world, place, connected) = case.world().await;
        let kind = case.kind();
        world.apply(kind, "it", case.spec(&case.declared)).await;
        let status = world.ready(kind, "it").await;
        let id = status["id"].as_str().unwrap().to_owned();
        if case.p.is_keyed() {
            let key = connected.iter().next().map_or(json!("it"), |(_, key)| key.clone());
            assert_eq!(id, key, "the key is the object's name, or what it connects");
        } else if case.p.has_chosen_id() {
            let uid = world.api(kind).get("it").await.unwrap().metadata.uid.unwrap();
            assert_eq!(id, uid, "the id is derived from the UID");
        }
        assert_eq!(status["provenance"], "Created");
        case.has(&world, &place, &id, &case.declared).await;

        // Somebody sets what is not declared: it stays through all that follows.
        world.tamper(kind, &place, &id, case.undeclared.clone()).await;

        // Asked again, nothing is written.
        let events = world.events();
        world.force(kind, "it").await;
        assert_eq!(world.events(), events, "{kind}: a no-op writes nothing");

        // A change of the spec changes the same thing; a new name renames it.
        world.apply(kind, "it", case.spec(&case.changed)).await;
        let status = world.ready(kind, "it").await;
        assert_eq!(status["id"], id, "it is the same one");
        case.has(&world, &place, &id, &merged(case.undeclared.clone(), &case.changed)).await;

        // A change by somebody else is reverted.
        world.apply(kind, "it", case.spec(&case.declared)).await;
        world.ready(kind, "it").await;
        world.tamper(kind, &place, &id, case.tampered.clone()).await;
        case.is_reverted(&world).await;
        world.noted("it", "Drift", "by minnie.mouse").await;
        case.has(&world, &place, &id, &merged(case.undeclared.clone(), &case.declared)).await;

        // Deleted behind our back, it is recreated; a dead id is not used again.
        case.p.entry.delete(&world.at(&place), &id).await.unwrap();
        world.noted("it", "Drift", "recreated").await;
        let status = world.ready(kind, "it").await;
        assert_eq!(status["id"] == id, case.p.is_keyed(), "{kind}");
        case.has(&world, &place, status["id"].as_str().unwrap(), &case.declared).await;
    })
    .await;
}

/// Something of the name exists: identical, different, and with each policy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entities_are_adopted() {
    of_entities(async |case| {
        let (world, place, connected) = case.world().await;
        let (kind, entry) = (case.kind(), case.p.entry);
        // Names count regardless of case; a key is one in this very form.
        let (named, id) = match case.p.natural_key() {
            Some(key) if case.p.is_keyed() => (json!({key: "it"}), "it".to_owned()),
            Some(key) => (json!({key: "ONE"}), "before".to_owned()),
            None => {
                let only = connected.iter().next().and_then(|(_, id)| id.as_str());
                (json!({}), only.unwrap_or_default().to_owned())
            }
        };
        let there = if case.p.is_keyed() {
            case.changed.clone()
        } else {
            merged(case.changed.clone(), &named)
        };
        let state = Fields::from(merged(there.clone(), &named)).overlay(&connected);
        let id = entry.create(&world.at(&place), &id, &state).await.unwrap();

        // It differs: it is refused, the difference is shown, nothing is written.
        let events = world.events();
        world.apply(kind, "it", case.spec(&case.declared)).await;
        let message = world.reason(kind, "it", "AdoptionRefused").await;
        assert!(message.contains(&id) && message.contains("adoptionPolicy"), "{message}");
        let o = world
            .until(kind, "it", "stalled with its difference", |o| {
                condition(o, "Stalled")["status"] == "True"
            })
            .await;
        let drift = o["status"]["drift"].as_array().unwrap().iter().map(|d| d["field"].as_str());
        let declared = Fields::from(case.declared.clone());
        assert!(drift.eq(declared.iter().map(|(path, _)| Some(path.as_str()))), "{o}");
        assert_eq!(world.events(), events);

        // Never: not even what is identical.
        let never = merged(there.clone(), &json!({"adoptionPolicy": "Never"}));
        world.apply(kind, "it", case.spec(&never)).await;
        world.reason(kind, "it", "AdoptionRefused").await;

        // Identical: it is taken over without a write but of the secrets, which nobody can compare.
        let events = events + case.p.secrets().count();
        world.apply(kind, "it", case.spec(&there)).await;
        let status = world.ready(kind, "it").await;
        assert_eq!((&status["id"], &status["provenance"]), (&json!(id), &json!("Adopted")));
        assert_eq!(status["drift"], Value::Null, "what was refused before is no difference now");
        assert_eq!(world.events(), events);

        // What was adopted stays when the object goes.
        world.delete(kind, "it").await;
        world.gone(kind, "it").await;
        assert_eq!(world.events(), events);

        // Always: it is taken over and changed.
        let always = merged(case.declared.clone(), &json!({"adoptionPolicy": "Always"}));
        world.apply(kind, "it", case.spec(&always)).await;
        assert_eq!(world.ready(kind, "it").await["id"], id);
        case.has(&world, &place, &id, &case.declared).await;
        world.delete(kind, "it").await;
        world.gone(kind, "it").await;
        if !case.p.has_chosen_id() {
            return;
        }

        // By id, without asking the policy.
        let by_id = json!({"id": id, "adoptionPolicy": "Never"});
        world.apply(kind, "it", case.spec(&merged(case.changed.clone(), &by_id))).await;
        assert_eq!(world.ready(kind, "it").await["provenance"], "Adopted");
        case.has(&world, &place, &id, &case.changed).await;
    })
    .await;
}

/// Deletion with each policy, and by default.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entities_end() {
    of_entities(async |case| {
        let (world, place, _) = case.world().await;
        let kind = case.kind();
        let by_default = !case.p.entry.as_entity().unwrap().retain_by_default;
        let policies = [(None, by_default), (Some("Delete"), true), (Some("Retain"), false)];
        for (n, (policy, goes)) in policies.into_iter().enumerate() {
            let name = format!("it-{n}");
            let mut more = case.declared.clone();
            if let Some(natural_key) = case.p.natural_key() {
                more[natural_key] = json!(name);
            }
            if let Some(policy) = policy {
                more["deletionPolicy"] = json!(policy);
            }
            world.apply(kind, &name, case.spec(&more)).await;
            let id = world.ready(kind, &name).await["id"].as_str().unwrap().to_owned();
            world.delete(kind, &name).await;
            world.gone(kind, &name).await;
            let left = world.live(kind, &place, &id).await;
            assert_eq!(left.is_none(), goes, "{kind} with {policy:?}");
        }
    })
    .await;
}

/// Write, no-op, spec change, drift; undeclared fields stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_are_kept() {
    of_settings(async |case| {
        let (world, place, _) = case.world().await;
        let kind = case.kind();
        let is_own = case.p.parent.is_some();
        if !is_own {
            world.tamper(kind, &place, "", case.undeclared.clone()).await;
        }
        world.apply(kind, "it", case.spec(&case.declared)).await;
        world.ready(kind, "it").await;
        if is_own {
            world.tamper(kind, &place, "", case.undeclared.clone()).await;
        }
        case.has(&world, &place, "", &merged(case.undeclared.clone(), &case.declared)).await;

        let events = world.events();
        world.force(kind, "it").await;
        assert_eq!(world.events(), events, "{kind}: a no-op writes nothing");

        world.apply(kind, "it", case.spec(&case.changed)).await;
        world.ready(kind, "it").await;
        case.has(&world, &place, "", &merged(case.undeclared.clone(), &case.changed)).await;

        world.apply(kind, "it", case.spec(&case.declared)).await;
        world.ready(kind, "it").await;
        world.tamper(kind, &place, "", case.tampered.clone()).await;
        case.is_reverted(&world).await;
        case.has(&world, &place, "", &merged(case.undeclared.clone(), &case.declared)).await;

        // The organization's own policy is reset behind our back: it is recreated.
        if is_own {
            case.p.entry.delete(&world.at(&place), "").await.unwrap();
            let start = Instant::now();
            while !world.live(kind, &place, "").await.unwrap().own {
                assert!(start.elapsed().as_secs() < 60, "{kind}: its own policy is recreated");
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        }

        // What is no longer declared is released with the value that it has. Where there is only one
        // field, nothing else can be declared.
        if case.undeclared == json!({}) {
            return;
        }
        world.ready(kind, "it").await;
        world.apply(kind, "it", case.spec(&case.undeclared)).await;
        world.ready(kind, "it").await;
        let fields = Fields::from(case.declared.clone());
        let (field, _) = fields.iter().next().unwrap();
        world.noted("it", "FieldsReleased", field).await;
        case.has(&world, &place, "", &case.declared).await;
    })
    .await;
}

/// Retain and restore.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_end() {
    of_settings(async |case| {
        let (world, place, _) = case.world().await;
        let (kind, entry, at) = (case.kind(), case.p.entry, world.at(&place));
        let is_own = case.p.parent.is_some();
        let before = world.live(kind, &place, "").await.unwrap();
        let policies = [(None, is_own), (Some("Retain"), false), (Some("Delete"), true)];
        for (policy, restored) in policies {
            // From a clean start each time: as it was found.
            let live = world.live(kind, &place, "").await.unwrap();
            if !restored && !is_own && live.state != before.state {
                entry.write(&at, &live, &before.state).await.unwrap();
            }
            if !restored && is_own && live.own {
                entry.delete(&at, "").await.unwrap();
            }
            let found = world.live(kind, &place, "").await.unwrap();
            let mut spec = case.spec(&case.declared);
            if let Some(policy) = policy {
                spec["deletionPolicy"] = json!(policy);
            }
            world.apply(kind, "it", spec).await;
            world.ready(kind, "it").await;
            case.has(&world, &place, "", &case.declared).await;
            world.delete(kind, "it").await;
            world.gone(kind, "it").await;
            let after = world.live(kind, &place, "").await.unwrap();
            if restored {
                let (after, found) = ((after.state, after.own), (found.state, found.own));
                assert_eq!(after, found, "{:?} with {policy:?}", case.p);
            } else {
                case.has(&world, &place, "", &case.declared).await;
            }
        }
    })
    .await;
}
