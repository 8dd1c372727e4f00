//! Laws of folders: what the command line makes of files, in this process.

use std::{fs, sync::Arc};

use kastellan::{
    api::ALLOW_LOCK_OUT,
    contract::{Access, Fields, Inputs, Place, diff},
    engine::{
        decide::{Action, Plan},
        plan::Preview,
        report::sentence,
    },
    export::{Exported, Selection, export},
    files::{
        Folder,
        environment::Environment,
        session::Session,
        step::{Done, Planned, Step},
    },
    kinds::REGISTRY,
    validate,
};
use proptest::{prelude::*, test_runner::TestCaseError};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Bench, Placed, law};
use crate::{
    contract::merged,
    inprocess::{Lab, key},
    remote::entry,
    samples::{INPUT, Object, place_below},
};

/// A folder, and the ZITADEL that it is for.
struct Shelf<'a> {
    dir: TempDir,
    lab: &'a Lab,
}

impl<'a> Shelf<'a> {
    fn new(lab: &'a Lab) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), lab }
    }

    /// What an export wrote.
    fn exported(lab: &'a Lab, objects: &[Exported]) -> Self {
        let shelf = Self::new(lab);
        for object in objects {
            let path = shelf.dir.path().join(&object.path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, &object.yaml).unwrap();
        }
        shelf
    }

    /// Puts these objects in the place of all that was there.
    fn put(&self, objects: &[Value]) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        fs::write(self.dir.path().join("all.json"), list.to_string()).unwrap();
    }

    /// As a command begins: nothing is known but what is in the files.
    async fn session(&self) -> Session {
        let mut folder = Folder::read(self.dir.path()).unwrap();
        assert_eq!(folder.findings, []);
        for manifest in &mut folder.manifests {
            let annotations = &mut Arc::make_mut(&mut manifest.object).annotations;
            annotations.insert(ALLOW_LOCK_OUT.into(), "true".into());
        }
        let connects = folder.manifests.iter().any(|m| m.object.key.kind == "Instance");
        let environment = Environment {
            issuer: Some("http://localhost".into()),
            token: Some(self.lab.emulator.pat().into()),
            ..Environment::default()
        };
        let environment = if connects { Environment::default() } else { environment };
        let session = Session::new(&folder, None, &environment, self.lab.another_engine()).unwrap();
        let failed = session.connect(std::time::Duration::from_secs(30)).await;
        assert!(failed.is_empty(), "{failed:?}");
        session
    }

    async fn plan(&self) -> Vec<Planned> {
        self.session().await.plan().await
    }

    /// What there is to do.
    async fn left(&self) -> Vec<Planned> {
        let is_done =
            |p: &Planned| matches!(&p.step, Step::Do(plan) if plan.action == Action::Nothing);
        self.plan().await.into_iter().filter(|p| !is_done(p)).collect()
    }

    /// Gives what was not done.
    async fn apply(&self) -> Vec<Done> {
        let mut failed = Vec::new();
        let (_go, never) = tokio::sync::watch::channel(false);
        self.session()
            .await
            .apply(never, |done| failed.extend(done.result.failure().is_some().then_some(done)))
            .await;
        failed
    }

    async fn export(&self) -> Vec<Exported> {
        let session = self.session().await;
        let connections = session.engine().connections.all();
        // People are exported where their kind is named.
        let kinds = REGISTRY.all().map(|entry| entry.kind().to_owned()).collect();
        let all = Selection { kinds, ..Selection::default() };
        let found = export(&REGISTRY, &connections[0].1, &all).await.unwrap();
        assert_eq!(found.missing, [""; 0]);
        found.objects
    }
}

#[test]
fn what_is_exported_plans_to_nothing_and_makes_the_same_elsewhere() {
    law(|p, live, _, _| async move {
        let bench = Bench::new(p, &live).await;
        let before = bench.lab.emulator.event_count();
        let exported = Shelf::new(&bench.lab).export().await;
        let mentions = |o: &&Exported| {
            // An id that the server chose is in no manifest.
            let is_named = p.is_keyed() && p.natural_key().is_some();
            let is_told = !p.is_entity() || p.has_chosen_id() || is_named;
            o.yaml.contains(&format!("kind: {}\n", p.entry.kind()))
                && (!is_told || o.yaml.contains(&bench.id))
        };
        prop_assert!(exported.iter().any(|o| mentions(&o)), "{:?}", exported);
        let first = Shelf::exported(&bench.lab, &exported);
        let findings = validate::check(&Folder::read(first.dir.path()).unwrap(), true);
        prop_assert!(findings.is_empty(), "{:?}", findings);
        prop_assert_eq!(format!("{:?}", first.left().await), "[]");
        prop_assert_eq!(format!("{:?}", first.apply().await), "[]");
        prop_assert_eq!(bench.lab.emulator.event_count(), before);

        if p.secrets().next().is_some() {
            // What has to have a secret is made elsewhere when somebody has added it.
            return Ok(());
        }
        let elsewhere = Lab::bare();
        let second = Shelf::exported(&elsewhere, &exported);
        prop_assert_eq!(format!("{:?}", second.apply().await), "[]");
        prop_assert_eq!(second.export().await, exported);
        // What is in something whose id the server chose is in another place there.
        let is_server_s =
            |o: &Object| !Placed { entry: entry(o.kind), form: None, parent: None }.has_chosen_id();
        if p.parents().iter().any(is_server_s) {
            return Ok(());
        }
        let there = Access { client: elsewhere.client.clone(), ..bench.at.clone() };
        let meant = bench.live(p).await;
        let made = match p.entry.as_entity().map(|e| e.natural_key) {
            Some(key) => {
                let all = p.entry.list(&there).await;
                let made = all.into_iter().find(|r| key.of(&r.state) == key.of(&meant));
                made.expect("it was made").state
            }
            None => p.entry.read(&there, "").await.unwrap().unwrap().state,
        };
        prop_assert!(
            diff(&meant, &made, p.entry.lists).is_empty(),
            "{:?} is not {:?}",
            made,
            meant
        );
        Ok(())
    });
}

#[test]
fn however_it_is_edited_and_renamed_it_is_one_remote_object() {
    law(|p, first, second, third| async move {
        let lab = Lab::bare();
        let shelf = Shelf::new(&lab);
        let homes = p.surroundings().into_iter();
        let homes = homes.map(|o| manifest(o.kind, o.name, &o.spec));
        let values: Value = p.secrets().map(|input| (input.field, "S3cret-value")).collect();
        let homes: Vec<Value> = homes.chain([secret(INPUT, &values)]).collect();
        let mut found = Vec::new();
        for (step, declared) in [first, second, third].iter().enumerate() {
            let mut spec = merged(declared.to().unwrap(), &p.scope());
            if let Some(natural_key) = p.natural_key() {
                let names = if p.has_chosen_id() { ["It", "It", "It, renamed"] } else { ["It"; 3] };
                spec[natural_key] = json!(names[step]);
            }
            let declared = p.entry.desired(&spec, "it", &Inputs::default()).unwrap();
            if p.is_entity() && !p.has_chosen_id() {
                // Files don't tell that it was created by them: its id follows from no UID.
                spec["adoptionPolicy"] = json!("Always");
            }
            let it = manifest(p.entry.kind(), "it", &spec);
            shelf.put(&[&homes[..], &[it]].concat());
            prop_assert_eq!(format!("{:?}", shelf.apply().await), "[]");
            prop_assert_eq!(format!("{:?}", shelf.left().await), "[]");
            let all = things(&lab, p).await;
            let alike =
                all.iter().find(|(_, live)| diff(&declared, live, p.entry.lists).is_empty());
            prop_assert!(alike.is_some(), "{:?} is not among {:?}", declared, all);
            let ids: Vec<String> = all.iter().map(|(id, _)| id.clone()).collect();
            found.push((ids, alike.map(|(id, _)| id.clone())));
        }
        prop_assert_eq!(&found[0], &found[1]);
        prop_assert_eq!(&found[1], &found[2]);
        Ok(())
    });
}

/// All of a kind, at the place; of a setting the one.
async fn things(lab: &Lab, p: Placed) -> Vec<(String, Fields)> {
    let mut at = Access::anonymous(lab.client.clone(), Place::instance());
    for Object { kind, .. } in p.parents() {
        let all = entry(kind).list(&at).await;
        let natural_key = entry(kind).as_entity().unwrap().natural_key;
        let home = all.into_iter().find(|r| match natural_key.field() {
            Some(field) => r.state.text(field) == Some("Home"),
            // There is only one.
            None => true,
        });
        at = at.at(place_below(kind, &at.place, home.expect("it exists").id().unwrap()));
    }
    if p.entry.is_setting() {
        let at = at.at(p.below(at.place.clone()));
        let remote = p.entry.read(&at, "").await.unwrap().unwrap();
        return vec![(String::new(), remote.state)];
    }
    let me: Value = lab.client.get(None, "/auth/v1/users/me").await.unwrap();
    let is_own = |id: Option<&str>| id == me["user"]["id"].as_str();
    let all = p.entry.list(&at).await.into_iter().filter(|remote| !is_own(remote.id()));
    let mut all: Vec<_> =
        all.map(|remote| (remote.id().unwrap().to_owned(), remote.state)).collect();
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    all
}

fn manifest(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": kastellan::api::api_version(), "kind": kind, "metadata": {"name": name, "namespace": "ns"}, "spec": spec})
}

fn secret(name: &str, values: &Value) -> Value {
    let metadata = json!({"name": name, "namespace": "ns"});
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values})
}

#[test]
fn the_operator_and_the_command_line_come_to_the_same_plan() {
    law(|p, live, first, second| async move {
        if p.secrets().next().is_some() {
            // The operator knows what it sent; the command line sends what it is told to send.
            return Ok(());
        }
        let mut bench = Bench::new(p, &live).await;
        // Two objects: one that names an id, and a younger one that looks for a name, or declares
        // the same setting.
        let younger = |declared: &Fields| {
            let mut spec = bench.spec(declared);
            if spec.as_object_mut().unwrap().remove("id").is_some() {
                spec["adoptionPolicy"] = json!("Always");
            }
            spec
        };
        let (one, other) = (younger(&second), younger(&first));
        let mut states =
            vec![(first.clone(), one.clone()), (second, other), (first, one)].into_iter();
        while let Some((declared, spec)) = states.next() {
            let key = bench.put(&declared);
            let younger = bench.lab.declare("ns", bench.kind, "a-younger-one", spec);
            // Age decides, whatever names and UIDs say.
            bench.lab.edit(&younger, |o| o.uid = Some("0".into()));
            bench.lab.restart();
            compare(&bench.lab).await?;
            bench.lab.look(&key).await;
            bench.lab.look(&younger).await;
            if states.len() == 1 {
                // Somebody else takes it away, where that is possible.
                let _ = p.entry.delete(&bench.at, &bench.id).await;
            }
        }
        Ok(())
    });
}

/// Compares what an operator that has just started would do with what the command line would do
/// with the same objects, as `kubectl get -o json` gives them.
async fn compare(lab: &Lab) -> Result<(), TestCaseError> {
    lab.look(&key("Instance", "ns", "default")).await;
    let before = lab.emulator.event_count();
    let shelf = Shelf::new(lab);
    let objects = lab.objects();
    let secret = secret("s", &json!({"k": lab.emulator.pat()}));
    let printed = objects.iter().map(|o| {
        let mut printed = manifest(o.key.kind, &o.key.name, &o.spec);
        let created = jiff::Timestamp::from_second(o.created).unwrap();
        printed["metadata"]["uid"] = json!(o.uid);
        printed["metadata"]["creationTimestamp"] = json!(created.to_string());
        printed["status"] = json!(o.status);
        printed
    });
    shelf.put(&printed.chain([secret]).collect::<Vec<_>>());
    for object in &objects {
        // Who declares what has to be known before anybody's plan counts.
        lab.plan(&object.key).await;
    }
    for planned in shelf.plan().await {
        let Preview { plan, drift, place, .. } = lab.plan(&planned.object.key).await;
        let theirs: Result<&Plan, _> = match &planned.step {
            Step::Do(plan) => Ok(plan),
            Step::Fail(failure) => {
                Err((failure.reason, failure.message.clone(), failure.drift.clone()))
            }
            step => panic!("{step:?}"),
        };
        let kind = REGISTRY.find(planned.object.key.kind).unwrap();
        let ours = plan.as_ref().map_err(|e| (e.reason(), sentence(e, kind), drift));
        prop_assert_eq!(theirs, ours, "{}", planned.object.key);
        prop_assert_eq!(&planned.place, &place);
    }
    prop_assert_eq!(lab.emulator.event_count(), before);
    Ok(())
}
