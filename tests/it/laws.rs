//! Laws, tried with random states of every kind that declares something in ZITADEL.

mod folders;

use std::collections::BTreeMap;

use kastellan::engine::{
    Fields,
    kind::{At, Entry, Scope, Shape},
    plan::Action,
};
use proptest::{prelude::*, sample::subsequence, test_runner::TestCaseError};
use serde_json::{Value, json};

use crate::inprocess::Lab;

/// How often each law is tried a kind: `PROPTEST_CASES`, else 64.
fn cases() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(64);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Any value of a field that ZITADEL takes, from the field's schema, or by its name where the
/// schema says too little.
fn value(path: &str, schema: &Value) -> BoxedStrategy<Value> {
    if let Some(choices) = schema["enum"].as_array() {
        return prop::sample::select(choices.clone()).boxed();
    }
    match (path, schema["type"].as_str()) {
        (_, Some("boolean")) => any::<bool>().prop_map(Value::from).boxed(),
        ("name", _) => "[A-Za-z]{1,12}".prop_map(Value::from).boxed(),
        ("supportEmail", _) => {
            prop_oneof![Just(json!("")), "[a-z]{1,5}@[a-z]{1,5}\\.example".prop_map(Value::from)]
                .boxed()
        }
        ("allowedLanguages", _) => prop_oneof![
            Just(json!([])),
            subsequence(vec!["de", "fr", "it"], 0..=3).prop_map(|mut l| {
                l.push("en");
                json!(l)
            })
        ]
        .boxed(),
        ("embeddedIframe.allowedOrigins", _) => {
            subsequence(vec!["https://a.example", "https://b.example", "https://c.example"], 0..=3)
                .prop_shuffle()
                .prop_map(|l| json!(l))
                .boxed()
        }
        (_, Some("string")) => prop_oneof![
            Just(json!("")),
            "https://[a-z]{1,5}\\.example/\\{\\{\\.Lang\\}\\}".prop_map(Value::from)
        ]
        .boxed(),
        (_, other) => panic!("no values are known for {path} of type {other:?}"),
    }
}

/// The fields of a kind that can be managed, with their schemas: what its spec has beyond what all
/// specs share.
fn managed(entry: &dyn Entry) -> BTreeMap<String, Value> {
    fn leaves(path: &str, schema: &Value, into: &mut BTreeMap<String, Value>) {
        match schema["properties"].as_object() {
            Some(properties) => {
                for (name, schema) in properties {
                    leaves(
                        &if path.is_empty() { name.clone() } else { format!("{path}.{name}") },
                        schema,
                        into,
                    );
                }
            }
            None => {
                into.insert(path.to_owned(), schema.clone());
            }
        }
    }
    const SHARED: [&str; 9] = [
        "instanceRef",
        "deletionPolicy",
        "mode",
        "suspend",
        "id",
        "adoptionPolicy",
        "organizationRef",
        "organizationId",
        "allowedNamespaces",
    ];
    let crd = serde_json::to_value(entry.crd()).unwrap();
    let mut spec =
        crd.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec").unwrap().clone();
    spec["properties"].as_object_mut().unwrap().retain(|k, _| !SHARED.contains(&k.as_str()));
    let mut found = BTreeMap::new();
    leaves("", &spec, &mut found);
    found
}

/// A complete state.
fn complete(entry: &'static dyn Entry) -> impl Strategy<Value = BTreeMap<String, Value>> {
    managed(entry)
        .into_iter()
        .map(|(path, schema)| value(&path, &schema).prop_map(move |v| (path.clone(), v)))
        .collect::<Vec<_>>()
        .prop_map(|all| all.into_iter().collect())
}

/// Some of the fields, with other values.
fn some(entry: &'static dyn Entry) -> impl Strategy<Value = BTreeMap<String, Value>> {
    let fields: Vec<String> = managed(entry).into_keys().collect();
    let n = fields.len();
    (complete(entry), subsequence(fields, 1..=n))
        .prop_map(|(all, keep)| all.into_iter().filter(|(k, _)| keep.contains(k)).collect())
}

fn fields(map: &BTreeMap<String, Value>) -> Fields {
    Fields::from_map(map.clone().into_iter().collect())
}

/// A kind that is declared in the instance, or in an organization.
#[derive(Clone, Copy)]
struct Placed {
    entry: &'static dyn Entry,
    in_organization: bool,
}

fn placed() -> Vec<Placed> {
    let entries = kastellan::kinds::ALL.iter().filter(|e| e.shape() != Shape::Connection);
    entries
        .flat_map(|&entry| {
            let places: &[bool] = match entry.scope() {
                Scope::Instance => &[false],
                Scope::Organization => &[true],
                Scope::Either => &[false, true],
            };
            places.iter().map(move |&in_organization| Placed { entry, in_organization })
        })
        .collect()
}

/// An object of this kind, and something live under it that was there before with a complete state.
struct Bench {
    lab: Lab,
    at: At,
    id: String,
    scope: Value,
    kind: &'static str,
}

impl Bench {
    async fn new(p: Placed, live: &Fields) -> Self {
        let lab = Lab::new().await;
        let kind = p.entry.names().kind;
        let (organization, mut scope) = if p.in_organization {
            let outcome = lab.apply("Organization", "home", json!({"name": "Home"})).await;
            (
                Some(outcome.status.id.expect("the organization is made")),
                json!({"organizationRef": {"name": "home"}}),
            )
        } else {
            (None, json!({}))
        };
        let at = At { client: lab.client.clone(), organization };
        let mut id = String::new();
        if matches!(p.entry.shape(), Shape::Entity { .. }) {
            p.entry.create(&at, "before", live).await.unwrap();
            id = "before".into();
            scope["id"] = json!(id);
        } else {
            let have = p.entry.read(&at, "").await.unwrap().unwrap();
            if have.state != *live {
                // What is so already is refused as no change.
                p.entry.write(&at, &have, &have.state.overlaid(live)).await.unwrap();
            }
        }
        Self { lab, at, id, scope, kind }
    }

    fn put(&self, declared: &Fields) -> kastellan::engine::Key {
        let mut spec: Value = declared.to().unwrap();
        spec.as_object_mut().unwrap().extend(self.scope.as_object().unwrap().clone());
        self.lab.declare("ns", self.kind, "it", spec)
    }

    async fn declare(&self, declared: &Fields) -> kastellan::engine::outcome::Outcome {
        self.lab.look(&self.put(declared)).await
    }

    async fn live(&self, p: Placed) -> Fields {
        p.entry.read(&self.at, &self.id).await.unwrap().expect("it is there").state
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
        let strategy = (complete(p.entry), some(p.entry), some(p.entry));
        let result = runner.run(&strategy, |(live, first, second)| {
            runtime.block_on(holds(p, fields(&live), fields(&first), fields(&second)))
        });
        if let Err(e) = result {
            panic!("{} (in an organization: {}): {e}", p.entry.names().kind, p.in_organization);
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
            expected = expected.overlaid(&declared_with_name(&bench, &declared));
            let live = bench.live(p).await;
            prop_assert!(
                kastellan::engine::fields::diff(&expected, &live, p.entry.sets()).is_empty(),
                "{:?} is not {:?}",
                live,
                expected
            );
        }
        Ok(())
    });
}

/// An entity whose name is left out has its object's.
fn declared_with_name(bench: &Bench, declared: &Fields) -> Fields {
    let mut spec: Value = declared.to().unwrap();
    spec.as_object_mut().unwrap().extend(bench.scope.as_object().unwrap().clone());
    kastellan::kinds::find(bench.kind).unwrap().desired(&spec, "it").unwrap()
}

#[test]
fn applying_twice_is_applying_once() {
    law(|p, live, first, _| async move {
        let bench = Bench::new(p, &live).await;
        let outcome = bench.declare(&first).await;
        prop_assert!(outcome.status.is_ready(), "{:?}", outcome);
        let events = bench.lab.emulator.event_count();
        let again = bench.declare(&first).await;
        prop_assert!(again.status.is_ready() && again.notes.is_empty(), "{:?}", again);
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
            if let (true, Some(list)) = (p.entry.sets().contains(&k.as_str()), v.as_array_mut()) {
                list.reverse();
            }
            (k.clone(), v)
        };
        let turned = Fields::from_map(first.iter().map(turn).collect());
        let events = bench.lab.emulator.event_count();
        let again = bench.declare(&turned).await;
        prop_assert!(again.status.is_ready() && again.notes.is_empty(), "{:?}", again);
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
                kastellan::engine::fields::diff(&plan.want, &after, p.entry.sets()).is_empty(),
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
