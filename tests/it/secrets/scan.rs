//! No secret that ZITADEL ever issued is anywhere but in its Secret: not in the log, not at the
//! level trace, nor in statuses, Events, errors, plans, metrics or what is kept in memory.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs, io,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::Secret;
use kastellan::{
    contract::{self, Key},
    engine::{error::OutputError, report::sentence},
};
use kube::{Api, api::ListParams};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::format::FmtSpan;
use zitadel_emulator::{Action, Rule};

use crate::{
    cli::Desk,
    inprocess::{Lab, key},
    samples::{Object, Placed, placed},
    world::World,
};

/// Kinds that have a secret, wherever they can be.
fn issuers() -> impl Iterator<Item = Placed> {
    placed().into_iter().filter(|p| p.entry.as_entity().is_some_and(|e| e.issues.is_some()))
}

/// Its name, and that of its Secret.
fn name(p: Placed) -> String {
    p.entry.kind().to_lowercase()
}

fn spec(p: Placed) -> Value {
    let mut spec = p.scope();
    spec["secret"] = json!({"name": name(p)});
    spec
}

/// Everything that was said.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<String>>);

impl Told {
    fn add(&self, what: impl std::fmt::Debug) {
        writeln!(self.0.lock().unwrap(), "{what:?}").unwrap();
    }

    fn add_text(&self, text: &str) {
        *self.0.lock().unwrap() += text;
    }

    /// From now on it hears the log of this thread, at any level.
    fn listen(&self) -> DefaultGuard {
        let writer = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    /// Which of the secrets it holds, in any form.
    fn leaks<'a>(&self, secrets: impl IntoIterator<Item = &'a String>) -> Vec<String> {
        let told = self.0.lock().unwrap();
        let is_told = |secret: &&String| {
            told.contains(&**secret) || told.contains(STANDARD.encode(secret).trim_end_matches('='))
        };
        secrets.into_iter().filter(is_told).cloned().collect()
    }

    /// It holds none of them, and would have been found to.
    fn assert_silent(&self, secrets: &BTreeSet<String>) {
        assert_eq!(self.leaks(secrets), [""; 0]);
        for secret in secrets {
            assert!(secret.len() >= 20, "{secret} is found by chance");
            let canary = Self::default();
            let guard = canary.listen();
            tracing::trace!(secret, "a canary");
            drop(guard);
            assert_eq!(canary.leaks([secret]).len(), 1);
            let encoded = Self::default();
            encoded.add(STANDARD.encode(secret));
            assert_eq!(encoded.leaks([secret]).len(), 1);
        }
    }
}

impl io::Write for Told {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.add_text(&String::from_utf8_lossy(text));
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Looks at an object, and keeps all that is said of it.
async fn look(lab: &Lab, told: &Told, it: &Key) {
    told.add(lab.plan(it).await);
    let outcome = lab.look(it).await;
    if let Some(error) = &outcome.error {
        told.add_text(&sentence(error, kastellan::kinds::REGISTRY.find(it.kind).unwrap()));
    }
    told.add(&outcome);
    told.add_text(&serde_json::to_string(&outcome.status).unwrap());
    told.add(lab.objects());
    told.add(&*lab.host.outputs.lock().unwrap());
    for (_, connection) in lab.engine.connections.all() {
        connection.each(|kind, remote| told.add((kind, remote)));
    }
    tokio::time::sleep(Duration::from_secs(11)).await;
}

async fn look_often(lab: &Lab, told: &Told, it: &Key) {
    for _ in 0..4 {
        look(lab, told, it).await;
    }
}

/// Answers that hold a secret and can't be read, or that never arrive.
fn faults() -> Vec<Vec<Rule>> {
    let odd = |pointer: &str| {
        Rule::new(Action::Alter { pointer: pointer.to_owned(), value: Some(json!("odd")) })
    };
    let dates = ["/details/changeDate", "/details/creationDate", "/creationDate", "/changeDate"];
    vec![
        dates.map(odd).to_vec(),
        vec![odd("/details")],
        vec![Rule::new(Action::Truncate).path("*ecret*").times(1)],
        vec![Rule::new(Action::LoseAnswer).path("*ecret*").times(1)],
    ]
}

fn strike(lab: &Lab, rules: Vec<Rule>) {
    for rule in rules {
        lab.emulator.faults().add(rule);
    }
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_told_in_a_life_with_all_that_can_happen() {
    for p in issuers() {
        let (lab, told) = (Lab::new().await, Told::default());
        let guard = told.listen();
        lab.issued();
        for Object { kind, name, spec } in p.surroundings() {
            assert!(lab.apply(kind, name, spec).await.status.is_ready());
        }
        // Created while answers are odd, and then as it should be.
        let it = key(p.entry.kind(), "ns", "it");
        for rules in faults() {
            strike(&lab, rules);
            lab.declare("ns", it.kind, "it", spec(p));
            look_often(&lab, &told, &it).await;
            lab.emulator.faults().clear();
            look_often(&lab, &told, &it).await;
            assert!(lab.status(&it).is_ready(), "{p:?}: {:?}", lab.reason(&it));

            // Rotated, which fails in the same way.
            for (n, rules) in faults().into_iter().enumerate() {
                strike(&lab, rules);
                lab.edit(&it, |o| {
                    o.annotations.insert("kastellan.dev/renew-at".into(), n.to_string());
                });
                look_often(&lab, &told, &it).await;
                lab.emulator.faults().clear();
                look_often(&lab, &told, &it).await;
                assert!(lab.status(&it).is_ready(), "{p:?}: {:?}", lab.reason(&it));
            }

            // Somebody else issues one.
            lab.poll().await.unwrap();
            let status = lab.status(&it);
            let (place, _) = p.located(|kind, name| lab.status(&key(kind, "ns", name)).id.unwrap());
            let contract::Entry::Entity(kind) = p.entry.0 else { panic!("{p:?} is an entity") };
            kind.issue(&lab.minnie(&place), status.id.as_deref().unwrap()).await.unwrap();
            told.add(lab.poll().await.unwrap().touched);
            look_often(&lab, &told, &it).await;

            // Kubernetes does not take it, and then it is lost.
            let refused = OutputError::Failed("quota".into());
            *lab.host.output_error.lock().unwrap() = Some(refused);
            lab.host.outputs.lock().unwrap().clear();
            look_often(&lab, &told, &it).await;
            *lab.host.output_error.lock().unwrap() = None;
            look_often(&lab, &told, &it).await;
            let kept = Told::default();
            for secret in lab.host.outputs.lock().unwrap().values() {
                secret.data.values().for_each(|value| kept.add_text(value.expose_secret()));
            }
            assert_eq!(kept.leaks(&lab.issued()).len(), 1, "{p:?}: the scan finds the secret");

            lab.delete(&it);
            look(&lab, &told, &it).await;
            assert!(lab.object(&it).is_none());
            lab.host.outputs.lock().unwrap().clear();
        }
        drop(guard);
        let issued = lab.issued();
        assert!(issued.len() > 20, "{p:?}: {}", issued.len());
        told.assert_silent(&issued);
        assert_eq!(told.leaks([&lab.emulator.pat()]), [""; 0]);
        assert!(told.0.lock().unwrap().contains("DEBUG"), "the log was heard");
    }
}

/// The operator as a whole: its log at the level trace, what it writes to Kubernetes but for
/// Secrets, and its metrics.
#[tokio::test]
async fn no_secret_is_told_by_the_operator() {
    let told = Told::default();
    let guard = told.listen();
    let world = World::new("scan").await;
    for Object { kind, name, spec } in issuers().flat_map(Placed::surroundings) {
        world.apply(kind, name, spec).await;
    }
    let mut secrets: BTreeSet<String> = [world.emulator().pat()].into();
    let api: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
    let mut collect = async |p: Placed| {
        let data = api.get(&name(p)).await.unwrap().data.unwrap();
        let value = p.entry.as_entity().unwrap().issues.unwrap().value;
        secrets.insert(String::from_utf8(data[value].0.clone()).unwrap())
    };
    for p in issuers() {
        let (kind, it) = (p.entry.kind(), &*name(p));
        world.apply(kind, it, spec(p)).await;
        world.ready(kind, it).await;
        assert!(collect(p).await);
        let renew = json!({"metadata": {"annotations": {"kastellan.dev/renew-at": "now"}}});
        world.patch(kind, it, renew).await;
        world.noted(it, "SecretRotated", "").await;
        world.ready(kind, it).await;
        world.until(kind, it, "rotated", |o| o["status"]["secret"]["pending"].is_null()).await;
        collect(p).await;
        told.add_text(&world.get_in(&world.namespace, kind, it).await.to_string());
        told.add(world.notes(it).await);
    }
    told.add_text(&world.metrics().await);
    let all = api.list(&ListParams::default()).await.unwrap();
    for meta in all.items.iter().map(|secret| &secret.metadata) {
        told.add((&meta.labels, &meta.annotations));
    }
    drop(guard);
    assert!(secrets.len() > issuers().count(), "{}", secrets.len());
    told.assert_silent(&secrets);
    assert!(told.0.lock().unwrap().contains("TRACE"), "the log was heard");
}

/// The command line: plans in both forms, and the log at the level trace.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_told_on_the_command_line() {
    let desk = Desk::new().await;
    let objects =
        issuers().flat_map(Placed::surroundings).map(|o| (o.kind, o.name.to_owned(), o.spec));
    let issuers = issuers().map(|p| (p.entry.kind(), name(p), spec(p)));
    let mut all = Vec::new();
    for (kind, name, spec) in objects.chain(issuers) {
        if !all.iter().any(|(k, n, _)| *k == kind && *n == name) {
            all.push((kind, name, spec));
        }
    }
    let document = |(kind, name, spec): &(&str, String, Value)| {
        format!("kind: {kind}\nmetadata: {{name: {name}, namespace: default}}\nspec: {spec}\n")
    };
    desk.write("all.yaml", &all.iter().map(document).collect::<Vec<_>>().join("---\n"));
    let told = Told::default();
    let mut secrets: BTreeSet<String> = [desk.emulator().pat()].into();
    let trace = ["--log-level", "trace"];
    for round in 0..3 {
        for command in [
            &["plan", "-f", "all.yaml"][..],
            &["plan", "-f", "all.yaml", "-o", "json"],
            &["apply", "-f", "all.yaml", "--secrets-to", "dir:out"],
            &["plan", "-f", "all.yaml", "-o", "json"],
        ] {
            let ran = desk.run(&[command, &trace].concat()).await;
            assert_ne!(ran.code, 1, "{command:?}: {}", ran.stderr);
            assert!(ran.stderr.contains("TRACE"), "{command:?}: {}", ran.stderr);
            told.add_text(&ran.stdout);
            told.add_text(&ran.stderr);
        }
        for p in self::issuers() {
            let value = p.entry.as_entity().unwrap().issues.unwrap().value;
            let file = desk.path().join("out/default").join(name(p)).join(value);
            assert!(secrets.insert(fs::read_to_string(&file).unwrap()), "{p:?} {round}");
            fs::remove_file(file).unwrap();
        }
    }
    told.assert_silent(&secrets);
}
