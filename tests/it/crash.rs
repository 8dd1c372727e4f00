//! A real operator process is killed at random moments of a random history, while ZITADEL loses
//! answers and lags: in the end the instance is exactly what is declared. Nothing is there twice,
//! nothing is lost, nothing is left over.
//!
//! `KASTELLAN_CRASH_KILLS` says how often it is killed; `KASTELLAN_CRASH_SEED` repeats the history of
//! a seed that was printed, if not its every moment.

mod history;
mod latency;
mod process;
mod soak;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Secret;
use kastellan::{contract::EntityDescription, kinds::REGISTRY};
use kube::{Api, api::ListParams};
use serde_json::{Value, json};

use self::{
    history::{History, Slot},
    process::Process,
};
use crate::{
    remote::{Place, entry},
    samples::placed,
    world::{World, eventually},
};

/// Where something is, and which.
type Thing = (&'static str, Place, String);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_moment_it_dies_at_the_instance_becomes_what_is_declared() {
    let kills = number("KASTELLAN_CRASH_KILLS").unwrap_or(6);
    let seed = number("KASTELLAN_CRASH_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("{kills} kills; KASTELLAN_CRASH_SEED={seed} repeats this history");

    let mut world = World::bare("crash").await;
    let second = world.another_namespace().await;
    let mut operator = Process::start(&world, &[&world.namespace, &second]);
    connect(&world).await;
    let mut history = History::begin(&world, second, seed).await;
    let before = things(&world, &history).await;

    let mut next = history.pause();
    while operator.kills < kills {
        history.step(&world).await;
        if next.is_over() {
            operator.kill_and_start();
            next = history.pause();
        }
    }

    world.emulator().faults().clear();
    history.resume_all(&world).await;
    history.assert_exact(&world, &before).await;
    eprintln!(
        "{kills} kills, {} steps: {}",
        history.steps,
        history.taken.iter().map(|(what, n)| format!("{n} {what}")).collect::<Vec<_>>().join(", ")
    );
}

/// A number that a variable gives.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// An Instance that both namespaces may use.
async fn connect(world: &World) {
    world.connect().await;
    let open = json!({"spec": {"allowedNamespaces": {"from": "All"}}});
    world.patch("Instance", "default", open).await;
}

/// All that there is of the kinds and at the places of a history.
async fn things(world: &World, history: &History) -> BTreeSet<Thing> {
    let mut found = BTreeSet::new();
    for (kind, place) in history.places() {
        for remote in entry(kind).list(&world.at(place)).await {
            found.insert((kind, remote.place.clone(), remote.id().unwrap().to_owned()));
        }
    }
    found
}

impl History {
    /// In the end the instance is what is declared, and the Secrets are those of what is there.
    /// Changes by others show with the feed, and Kubernetes removes Secrets in its own time.
    async fn assert_exact(&self, world: &World, before: &BTreeSet<Thing>) {
        let differs = async || {
            let declared = self.settle(world).await;
            difference(world, self, before, &declared).await
        };
        eventually("as declared", differs, Option::is_none).await;
    }
}

/// What is not as it is declared.
async fn difference(
    world: &World,
    history: &History,
    before: &BTreeSet<Thing>,
    declared: &[(&Slot, Value)],
) -> Option<String> {
    let mut expected = before.clone();
    let mut secrets = BTreeSet::new();
    for (slot, status) in declared {
        let id = status["id"].as_str().unwrap_or_default().to_owned();
        let variant = history.variant(slot);
        let Some(at) = slot.place(world).await else { continue };
        if slot.is_entity() {
            expected.insert((slot.kind, at.clone(), id.clone()));
            for former in status["secret"]["previous"].as_array().into_iter().flatten() {
                let id = former["id"].as_str().unwrap().to_owned();
                expected.insert((slot.kind, at.clone(), id));
            }
        }
        let mut differs = slot.differs(world, &at, &id, variant).await;
        if slot.has_secret {
            let namespace = history.namespace(slot, world);
            let secret = slot.secret_differs(world, namespace, &id, variant).await;
            differs = differs.or(secret);
            secrets.insert((namespace.to_owned(), slot.name.clone()));
        }
        if let Some(differs) = differs {
            return Some(format!("{}: {differs}", slot.name));
        }
    }
    let now = things(world, history).await;
    let lost: Vec<_> = expected.difference(&now).collect();
    let more: Vec<_> = now.difference(&expected).collect();
    if !(lost.is_empty() && more.is_empty()) {
        let mut told = Vec::new();
        for (kind, place, id) in more {
            told.push((kind, world.live(kind, place, id).await));
        }
        return Some(format!("lost: {lost:?}; there twice, or left over: {told:?}"));
    }
    let mut found = BTreeSet::new();
    for namespace in history.namespaces(world) {
        let api: Api<Secret> = Api::namespaced(world.client.clone(), namespace);
        let ours = ListParams::default().labels("app.kubernetes.io/managed-by=kastellan");
        for secret in api.list(&ours).await.unwrap() {
            found.insert((namespace.to_owned(), secret.metadata.name.unwrap()));
        }
    }
    (found != secrets).then(|| format!("there are the Secrets {found:#?}, not {secrets:#?}"))
}

/// Every kind that can be in several places has a slot in each.
#[test]
fn every_kind_has_a_part_in_the_history() {
    let slots = history::slots();
    let mut of_kind: BTreeMap<&str, usize> = BTreeMap::new();
    for slot in &slots {
        *of_kind.entry(slot.kind).or_default() += 1;
    }
    for p in placed() {
        assert!(of_kind.contains_key(p.entry.kind()) || history::is_surrounding(p), "{p:?}");
    }
    let keys = REGISTRY.all().filter(|e| e.as_entity().is_some_and(EntityDescription::is_key));
    for key in keys {
        assert!(of_kind.contains_key(key.kind()), "{}", key.kind());
    }
}
