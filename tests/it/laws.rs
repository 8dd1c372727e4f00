//! Laws, tried with random states of every kind that declares something in ZITADEL.

mod folders;

use kastellan::{
    contract::{Access, Fields, Inputs, Key, diff},
    engine::{decide::Action, report::Outcome},
};
use proptest::{prelude::*, test_runner::TestCaseError};
use serde_json::{Value, json};

use crate::{
    contract::merged,
    inprocess::Lab,
    remote::entry,
    samples::{Object, Placed, placed},
};

/// How often each law is tried a kind: `PROPTEST_CASES`, else 16.
pub(crate) fn cases() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(16);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// An object of this kind, and something live under it that was there before with a complete state.
struct Bench {
    lab: Lab,
    at: Access,
    /// Of an entity.
    id: String,
    scope: Value,
    kind: &'static str,
}

impl Bench {
    async fn new(p: Placed, live: &Fields) -> Self {
        let lab = Lab::new().await;
        for Object { kind, name, spec } in p.surroundings() {
            let outcome = lab.apply(kind, name, spec).await;
            assert!(outcome.status.is_ready(), "{outcome:?}");
        }
        let id = |kind: &str, name: &str| {
            let object =
                lab.objects().into_iter().find(|o| o.key.kind == kind && o.key.name == name);
            object.and_then(|o| o.status.id.clone()).expect("it exists")
        };
        let (place, connected) = p.located(id);
        let at = Access::anonymous(lab.client.clone(), place);
        let mut scope = p.scope();
        let mut id = String::new();
        if p.is_entity() {
            id = "before".into();
            let mut live = live.overlay(&connected);
            match p.natural_key() {
                Some(key) if !p.has_chosen_id() => {
                    scope[key] = json!(id);
                    live = live.overlay(&Fields::from(json!({key: id})));
                }
                None if p.is_keyed() => {
                    let (_, only) = connected.iter().next().expect("it connects something");
                    id = only.as_str().expect("an id").to_owned();
                }
                _ => {}
            }
            if p.has_chosen_id() {
                scope["id"] = json!(id);
            } else {
                scope["adoptionPolicy"] = json!("Always");
            }
            id = p.entry.create(&at, &id, &live).await.unwrap();
        } else {
            let have = p.entry.read(&at, "").await.unwrap().unwrap();
            if have.state != *live {
                // What is so already is refused as no change.
                p.entry.write(&at, &have, &have.state.overlay(live)).await.unwrap();
            }
        }
        // It was there long before.
        lab.engine.connections.all()[0].1.invalidate_all();
        Self { lab, at, id, scope, kind: p.entry.kind() }
    }

    /// The spec that declares this, and that it is here.
    fn spec(&self, declared: &Fields) -> Value {
        merged(declared.to().unwrap(), &self.scope)
    }

    fn put(&self, declared: &Fields) -> Key {
        self.lab.declare("ns", self.kind, "it", self.spec(declared))
    }

    async fn declare(&self, declared: &Fields) -> Outcome {
        self.lab.look(&self.put(declared)).await
    }

    async fn live(&self, p: Placed) -> Fields {
        p.entry.read(&self.at, &self.id).await.unwrap().expect("it exists").state
    }
}

/// Tries a law for every kind and place.
fn law<F, Fut>(holds: F)
where
    F: Fn(Placed, Fields, Fields, Fields) -> Fut,
    Fut: Future<Output = Result<(), TestCaseError>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    for p in placed() {
        let mut runner = proptest::test_runner::TestRunner::new(cases());
        let strategy = (p.complete(), p.some(), p.some());
        let result = runner.run(&strategy, |(live, first, second)| {
            runtime.block_on(holds(p, live, first, second))
        });
        if let Err(e) = result {
            panic!("{p:?}: {e}");
        }
    }
}

#[test]
fn undeclared_fields_survive_every_write() {
    law(|p, live, first, second| async move {
        let bench = Bench::new(p, &live).await;
        let mut expected = bench.live(p).await;
        for declared in [first, second] {
            let outcome = bench.declare(&declared).await;
            prop_assert!(outcome.status.is_ready(), "{:?}", outcome);
            expected = expected.overlay(&declared_with_name(&bench, &declared));
            let live = bench.live(p).await;
            prop_assert!(
                diff(&expected, &live, p.entry.lists).is_empty(),
                "{:?} is not {:?}",
                live,
                expected
            );
        }
        Ok(())
    });
}

/// An entity whose name is omitted has its object's.
fn declared_with_name(bench: &Bench, declared: &Fields) -> Fields {
    entry(bench.kind).desired(&bench.spec(declared), "it", &Inputs::default()).unwrap()
}

#[test]
fn applying_twice_is_applying_once() {
    law(|p, live, first, _| async move {
        let bench = Bench::new(p, &live).await;
        let outcome = bench.declare(&first).await;
        prop_assert!(outcome.status.is_ready(), "{:?}", outcome);
        let events = bench.lab.emulator.event_count();
        let again = bench.declare(&first).await;
        prop_assert!(again.status.is_ready() && again.events.is_empty(), "{:?}", again);
        prop_assert_eq!(bench.lab.emulator.event_count(), events);
        Ok(())
    });
}

#[test]
fn the_order_of_lists_that_are_sets_is_no_drift() {
    law(|p, live, first, _| async move {
        let bench = Bench::new(p, &live).await;
        prop_assert!(bench.declare(&first).await.status.is_ready());
        let turn = |(k, v): (&String, &Value)| {
            let mut v = v.clone();
            if let (true, Some(list)) = (p.is_set(k), v.as_array_mut()) {
                list.reverse();
            }
            (k.clone(), v)
        };
        let turned = Fields::from_map(first.iter().map(turn).collect());
        let events = bench.lab.emulator.event_count();
        let again = bench.declare(&turned).await;
        prop_assert!(again.status.is_ready() && again.events.is_empty(), "{:?}", again);
        prop_assert_eq!(bench.lab.emulator.event_count(), events);
        Ok(())
    });
}

#[test]
fn a_plan_writes_nothing_and_says_what_is_done() {
    law(|p, live, first, second| async move {
        let bench = Bench::new(p, &live).await;
        for declared in [first, second] {
            let key = bench.put(&declared);
            let (events, before) = (bench.lab.emulator.event_count(), bench.lab.status(&key));
            bench.lab.emulator.reset_calls();
            let plan = bench.lab.plan(&key).await.plan.unwrap();
            prop_assert_eq!(bench.lab.emulator.event_count(), events);
            prop_assert!(bench.lab.emulator.calls().iter().all(|c| !c.writes));
            prop_assert_eq!(bench.lab.status(&key), before);
            let outcome = bench.lab.look(&key).await;
            prop_assert!(outcome.status.is_ready(), "{:?}", outcome);
            prop_assert_eq!(
                bench.lab.emulator.event_count() > events,
                plan.action != Action::Nothing
            );
            let after = bench.live(p).await;
            prop_assert!(
                diff(&plan.want, &after, p.entry.lists).is_empty(),
                "{:?} is not {:?}",
                after,
                plan.want
            );
        }
        Ok(())
    });
}

#[test]
fn after_an_apply_the_plan_is_empty() {
    law(|p, live, first, second| async move {
        let bench = Bench::new(p, &live).await;
        for declared in [first, second] {
            let key = bench.put(&declared);
            prop_assert!(bench.lab.look(&key).await.status.is_ready());
            let plan = bench.lab.plan(&key).await.plan.unwrap();
            prop_assert!(plan.action == Action::Nothing && plan.changes.is_empty(), "{:?}", plan);
        }
        Ok(())
    });
}
