//! Objects move to another version of the API as `docs/compatibility.md` says, and nobody notices:
//! no object changes, nothing is written to ZITADEL. On an API server whose CRDs can be changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::Command,
};

use axum::http::{Request, header::CONTENT_LENGTH};
use futures::FutureExt;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kastellan::{
    api::{GROUP, VERSION, Version},
    contract::crd::with_versions,
    kinds::REGISTRY,
};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams},
    client::{Body, ClientBuilder},
    config::Kubeconfig,
    core::GroupVersionKind,
};
use serde_json::{Value, json};
use tower::util::MapRequestLayer;

use crate::{
    apiserver,
    examples::{become_ready, documents},
    world::{World, config, establish, eventually, own_cluster},
};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/compatibility.md");
const NEXT: &str = "v1beta1";

const fn version(name: &'static str, served: bool, stored: bool) -> Version {
    Version { name, served, stored }
}

/// The versions of the CRDs of one release after the other, as the document has them.
const TODAY: &[Version] = &[version(VERSION, true, true)];
const ADDED: &[Version] = &[version(VERSION, true, true), version(NEXT, true, false)];
const STORED: &[Version] = &[version(VERSION, true, false), version(NEXT, true, true)];
const RETIRED: &[Version] = &[version(VERSION, false, false), version(NEXT, true, true)];
const REMOVED: &[Version] = &[version(NEXT, true, true)];

/// A client that says another version wherever the code names its own: what is sent by a release
/// whose constant `VERSION` is that one. In answers nobody reads the version.
async fn speaking(kubeconfig: Kubeconfig, version: &'static str) -> Client {
    let translated = move |request: Request<Body>| {
        let (mut head, body) = request.into_parts();
        let (own, other) = (format!("{GROUP}/{VERSION}"), format!("{GROUP}/{version}"));
        head.uri = head.uri.to_string().replace(&own, &other).parse().unwrap();
        let body = axum::body::to_bytes(axum::body::Body::new(body), usize::MAX);
        let body = body.now_or_never().expect("requests are in memory").unwrap();
        let body = match std::str::from_utf8(&body) {
            Ok(text) => text.replace(&own, &other).into_bytes(),
            Err(_) => body.to_vec(),
        };
        head.headers.remove(CONTENT_LENGTH);
        Request::from_parts(head, Body::from(body))
    };
    let builder = ClientBuilder::try_from(config(kubeconfig).await).unwrap();
    builder.with_layer(&MapRequestLayer::new(translated)).build()
}

/// All objects of the world as they are read in a version, by kind and name.
async fn objects(world: &World, version: &str) -> BTreeMap<(String, String), Value> {
    let mut all = BTreeMap::new();
    for entry in REGISTRY.all() {
        let kind = GroupVersionKind::gvk(GROUP, version, entry.kind());
        let resource = ApiResource::from_gvk_with_plural(&kind, entry.plural);
        let api: Api<DynamicObject> =
            Api::namespaced_with(world.client.clone(), &world.namespace, &resource);
        for object in api.list(&ListParams::default()).await.unwrap() {
            let mut object = serde_json::to_value(object).unwrap();
            let metadata = object["metadata"].as_object_mut().unwrap();
            metadata.remove("managedFields");
            let name = metadata["name"].as_str().unwrap().to_owned();
            object.as_object_mut().unwrap().remove("apiVersion");
            all.insert((entry.kind().to_owned(), name), object);
        }
    }
    all
}

/// Applies the CRDs of all kinds with these versions, and waits until they are served so.
async fn release(client: &Client, versions: &[Version]) {
    let crds: Vec<_> = REGISTRY.all().map(|e| with_versions(e.crd(), versions)).collect();
    futures::future::join_all(crds.iter().map(|crd| establish(client, crd))).await;
    for version in [VERSION, NEXT] {
        let is_meant = versions.iter().any(|v| v.name == version && v.served);
        let api_version = format!("{GROUP}/{version}");
        let served = async || {
            let found = client.list_api_group_resources(&api_version).await;
            let found = found.map(|all| all.resources).unwrap_or_default();
            REGISTRY.all().filter(|e| found.iter().any(|r| r.name == e.plural)).count()
        };
        let count = if is_meant { REGISTRY.len() } else { 0 };
        eventually(&format!("{version} served: {is_meant}"), served, |n| *n == count).await;
    }
}

/// Why the API server refuses the CRD of a kind with these versions.
async fn refused(world: &World, kind: &str, versions: &[Version]) -> String {
    let crd = with_versions(REGISTRY.find(kind).unwrap().crd(), versions);
    let name = crd.metadata.name.clone().unwrap();
    let api: Api<CustomResourceDefinition> = Api::all(world.client.clone());
    let params = PatchParams::apply("kastellan-tests").force();
    match api.patch(&name, &params, &Patch::Apply(&crd)).await {
        Err(kube::Error::Api(status)) => status.message.clone(),
        other => panic!("not refused: {other:?}"),
    }
}

/// Those that are asked for a look at what is really there.
const LOOKED_AT: [(&str, &str); 4] = [
    ("Organization", "example"),
    ("Project", "example"),
    ("MachineUser", "example"),
    ("PrivacyPolicy", "example"),
];

fn is_looked_at(key: &(String, String)) -> bool {
    LOOKED_AT.contains(&(key.0.as_str(), key.1.as_str()))
}

/// Nothing is written when objects are compared with what is really there, and no other has changed
/// since.
async fn at_rest(world: &World, since: &BTreeMap<(String, String), Value>, events: usize) {
    for (kind, name) in LOOKED_AT {
        let (asked, afterwards) = world.force(kind, name).await;
        assert_eq!(asked, afterwards, "{kind} {name}");
    }
    let now = objects(world, VERSION).await;
    for (key, object) in since {
        if !is_looked_at(key) {
            assert_eq!(object, &now[key], "{key:?}");
        }
    }
    assert_eq!(world.events(), events, "no event in ZITADEL");
}

/// The script of the document, run with the API server's own kubectl.
fn migrate(kubeconfig: &Kubeconfig) {
    let text = fs::read_to_string(DOCUMENT).unwrap();
    let script = text.split("```bash\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let testenv = apiserver::tool("KASTELLAN_TESTENV", "testenv").unwrap();
    symlink(fs::canonicalize(testenv).unwrap(), dir.path().join("kubectl")).unwrap();
    let config = dir.path().join("kubeconfig");
    fs::write(&config, serde_saphyr::to_string(kubeconfig).unwrap()).unwrap();
    let path = format!("{}:/usr/bin:/bin", dir.path().display());
    let mut command = Command::new("bash");
    command
        .args(["-c", script])
        .current_dir(dir.path())
        .env("PATH", path)
        .env("KUBECONFIG", config);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

async fn stored_versions(world: &World) -> Vec<Vec<String>> {
    let all = Api::<CustomResourceDefinition>::all(world.client.clone());
    let all = all.list(&ListParams::default()).await.unwrap();
    let ours = all.items.into_iter().filter(|crd| crd.spec.group == GROUP);
    ours.map(|crd| crd.status.unwrap().stored_versions.unwrap_or_default()).collect()
}

fn resource_version(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().unwrap()
}

async fn rename(world: &World, name: &str) {
    let spec = json!({"organizationRef": {"name": "example"}, "name": name});
    world.apply("Project", "example", spec).await;
    world.ready("Project", "example").await;
}

/// What older API servers do not know would be refused there.
#[test]
fn rules_of_the_crds_use_no_more_of_cel_than_the_documentation_says() {
    let text = fs::read_to_string(DOCUMENT).unwrap();
    let row = text.lines().find(|line| line.contains("x-kubernetes-validations")).unwrap();
    let names = row.split('`').skip(1).step_by(2).skip(1).map(ToOwned::to_owned);
    let function = regex::Regex::new(r"([a-zA-Z_]+)\(").unwrap();
    let mut used = BTreeSet::new();
    for entry in REGISTRY.all() {
        let crd = serde_json::to_value(entry.crd()).unwrap();
        let mut todo = vec![&crd];
        while let Some(value) = todo.pop() {
            match value {
                Value::Object(map) => {
                    let rule = map.get("rule").and_then(Value::as_str).unwrap_or_default();
                    used.extend(function.captures_iter(rule).map(|found| found[1].to_owned()));
                    todo.extend(map.values());
                }
                Value::Array(all) => todo.extend(all),
                _ => {}
            }
        }
    }
    assert_eq!(names.collect::<BTreeSet<_>>(), used);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it changes every CRD seven times, which takes minutes: make test-versions"]
async fn all_objects_move_to_another_version_and_nothing_is_written_because_of_it() {
    if !Path::new(&apiserver::tool("KASTELLAN_TESTENV", "testenv").unwrap_or_default()).exists() {
        eprintln!("not tested: there is no kubectl");
        return;
    }
    let Some((client, server)) = own_cluster().await else {
        eprintln!("not tested: the CRDs of KASTELLAN_TEST_KUBECONFIG are everybody's");
        return;
    };
    let kubeconfig = server.kubeconfig.clone();
    release(&client, TODAY).await;
    let mut world = World::on(client.clone(), "versions").await;
    world.start();
    become_ready(&world, documents("examples")).await;
    // What the Instance tells of its account may have changed by a domain policy.
    world.force("Instance", "default").await;
    world
        .until("Instance", "default", "counted", |o| {
            let objects = &o["status"]["objects"];
            objects["ready"].as_u64().is_some_and(|ready| ready >= 30)
                && objects["notReady"].as_u64().unwrap_or_default() == 0
        })
        .await;
    let events = world.events();

    // The version is added, while an operator is at work that does not know of it.
    let before = objects(&world, VERSION).await;
    release(&client, ADDED).await;
    at_rest(&world, &before, events).await;
    assert_eq!(objects(&world, VERSION).await, objects(&world, NEXT).await);
    // What is written in one version is read in the other, and carried out.
    let next = speaking(kubeconfig.clone(), NEXT).await;
    world.client = next.clone();
    rename(&world, "By the next version").await;
    world.client = client.clone();
    rename(&world, "By this version").await;

    // The next release stores in it, and its operator speaks it.
    world.stop().await;
    let (before, events) = (objects(&world, VERSION).await, world.events());
    release(&client, STORED).await;
    world.operator_client = Some(next.clone());
    world.start();
    at_rest(&world, &before, events).await;
    rename(&world, "Renamed").await;
    // Back to the release before, whose CRDs know both, and forward again; not to the first.
    release(&client, ADDED).await;
    release(&client, STORED).await;
    let why = refused(&world, "Project", TODAY).await;
    assert!(why.contains("status.storedVersions") && why.contains(NEXT), "{why}");
    let why = refused(&world, "Project", REMOVED).await;
    assert!(why.contains("status.storedVersions") && why.contains(VERSION), "{why}");

    // The administrator rewrites what is stored: once.
    let (before, events) = (objects(&world, VERSION).await, world.events());
    migrate(&kubeconfig);
    let after = objects(&world, VERSION).await;
    for (key, object) in &after {
        let mut same = before[key].clone();
        // What was written since the version is stored is so already.
        let is_rewritten = resource_version(&same) != resource_version(object);
        assert!(is_rewritten || is_looked_at(key), "{key:?} is rewritten");
        same["metadata"]["resourceVersion"] = object["metadata"]["resourceVersion"].clone();
        assert_eq!(&same, object, "nothing but that");
    }
    migrate(&kubeconfig);
    at_rest(&world, &after, events).await;
    assert!(stored_versions(&world).await.iter().all(|stored| *stored == [NEXT]));

    // The old version is not served any more, and at last it is gone.
    world.client = next;
    for versions in [RETIRED, REMOVED] {
        let events = world.events();
        let before = objects(&world, NEXT).await;
        release(&client, versions).await;
        at_rest(&world, &before, events).await;
    }
    rename(&world, "Renamed again").await;
    goes_with_its_owner(&world).await;
    world.stop().await;
}

/// A Secret that was written in the old version's time goes when its object does.
async fn goes_with_its_owner(world: &World) {
    let secrets: Api<k8s_openapi::api::core::v1::Secret> =
        Api::namespaced(world.client.clone(), &world.namespace);
    let all = secrets.list(&ListParams::default()).await.unwrap().items;
    let owned = all.iter().find_map(|secret| {
        let owner = secret.metadata.owner_references.as_ref()?.first()?;
        Some((secret.metadata.name.clone()?, owner.clone()))
    });
    let (name, owner) = owned.expect("an example has a Secret of its own");
    assert_eq!(owner.api_version, format!("{GROUP}/{NEXT}"));
    world.delete(&owner.kind, &owner.name).await;
    world.gone(&owner.kind, &owner.name).await;
    let there = async || secrets.get_opt(&name).await.unwrap().is_some();
    eventually("the Secret is gone", there, |there| !there).await;
}
