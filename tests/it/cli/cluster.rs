//! `kastellan tree`, `kastellan why` and `kastellan events`, against a real API server.

use std::process::Command;

use serde_json::{Value, json};
use zitadel_emulator::{Emulator, Options};

use super::{Ran, snapshots::snapshot};
use crate::{apiserver, world::World};

/// What a command says of the namespace of a world.
async fn run(world: &World, args: &[&str]) -> Ran {
    run_with(world, args, &[]).await
}

/// The same, with variables of the environment.
async fn run_with(world: &World, args: &[&str], env: &[(&str, String)]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("config");
    std::fs::write(&kubeconfig, serde_json::to_string(&apiserver::shared().kubeconfig).unwrap())
        .unwrap();
    // As kubectl starts a plugin: by a name of its own.
    let plugin = folder.path().join("kubectl-kastellan");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_kastellan"), &plugin).unwrap();
    let mut command = Command::new(plugin);
    command.args(args).env("KUBECONFIG", kubeconfig).envs(env.iter().map(|(k, v)| (*k, v)));
    if args.first() != Some(&"plan") || args.contains(&"--cluster") {
        command.args(["--namespace", &world.namespace]);
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ran {
        code: output.status.code().unwrap(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

/// The same wherever and whenever it runs.
fn shown(world: &World, name: &str, ran: &Ran) {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(&world.namespace, "NAMESPACE");
    settings.add_filter(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID");
    settings.add_filter(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME");
    settings.bind(|| snapshot(name, ran));
}

async fn declared() -> World {
    let world = World::new("tree").await;
    world.apply("Organization", "acme", json!({"name": world.namespace})).await;
    let in_acme = |more: Value| {
        let mut spec = json!({"organizationRef": {"name": "acme"}});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    world.apply("Project", "shop", in_acme(json!({"name": "Shop"}))).await;
    let role = json!({"projectRef": {"name": "shop"}, "displayName": "Reader"});
    world.apply("ProjectRole", "reader", role).await;
    let lost = json!({"projectRef": {"name": "lost"}, "displayName": "Nobody"});
    world.apply("ProjectRole", "nobody", lost).await;
    for (kind, name) in [("Organization", "acme"), ("Project", "shop"), ("ProjectRole", "reader")] {
        world.ready(kind, name).await;
    }
    world.reason("ProjectRole", "nobody", "WaitingForReference").await;
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_what_is_drawn_with_its_state() {
    let world = declared().await;
    shown(&world, "tree", &run(&world, &["tree"]).await);
    shown(&world, "tree-of-one", &run(&world, &["tree", "zproject/shop"]).await);
    let ran = run(&world, &["tree", "Project/nothing"]).await;
    shown(&world, "tree-of-nothing", &ran);
    shown(&world, "tree-of-no-kind", &run(&world, &["tree", "pod/x"]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_is_explained_down_to_the_cause() {
    let world = declared().await;
    shown(&world, "why-waiting", &run(&world, &["why", "projectroles/nobody"]).await);
    let project = world.ready("Project", "shop").await;
    let organization = project["organizationId"].as_str().unwrap().to_owned();
    let id = project["id"].as_str().unwrap().to_owned();
    world.tamper("Project", Some(organization.as_str()), &id, json!({"name": "Webshop"})).await;
    world.until("Project", "shop", "drift", |o| o["status"]["lastDrift"]["by"].is_string()).await;
    world.ready("Project", "shop").await;
    shown(&world, "why-changed", &run(&world, &["why", "Project/shop"]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_events_of_what_is_behind_an_object_are_shown_with_who_caused_them() {
    let world = declared().await;
    let project = world.ready("Project", "shop").await;
    let organization = project["organizationId"].as_str().unwrap().to_owned();
    let id = project["id"].as_str().unwrap().to_owned();
    world.tamper("Project", Some(organization.as_str()), &id, json!({"name": "Webshop"})).await;
    world.until("Project", "shop", "drift", |o| o["status"]["lastDrift"]["by"].is_string()).await;
    world.ready("Project", "shop").await;
    shown(&world, "events", &run(&world, &["events", "Project/shop"]).await);
    // A role shares the aggregate with its project.
    shown(&world, "events-of-a-role", &run(&world, &["events", "projectroles/reader"]).await);
    let newest = ["events", "Project/shop", "--limit", "1"];
    shown(&world, "events-newest", &run(&world, &newest).await);
    let ran = run(&world, &[&newest[..], &["-o", "json"]].concat()).await;
    let data: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (&data["older"], &data["events"][0]["by"]["isKastellan"]),
        (&json!(2), &json!(true))
    );
    shown(&world, "events-not-bound", &run(&world, &["events", "ProjectRole/nobody"]).await);
    shown(&world, "events-of-nothing", &run(&world, &["events", "Project/nothing"]).await);
    shown(&world, "events-of-an-instance", &run(&world, &["events", "Instance/default"]).await);
}

/// With an account of one's own, wherever that leads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_shown_to_who_may_read_them_and_of_the_instance_that_it_is() {
    let world = declared().await;
    let as_who = async |issuer: Option<String>, token: String| {
        let mut env = vec![("ZITADEL_TOKEN", token)];
        env.extend(issuer.map(|issuer| ("ZITADEL_ISSUER", issuer)));
        run_with(&world, &["events", "Project/shop"], &env).await
    };
    let viewer = world.emulator().add_user("viewer", "Viewer", &["IAM_OWNER_VIEWER"]).pat;
    let ran = as_who(Some(world.issuer()), viewer).await;
    assert_eq!((ran.code, ran.stdout.contains("project.added")), (0, true), "{}", ran.text());
    let owner = world.emulator().add_user("owner", "Owner", &["ORG_OWNER"]).pat;
    shown(&world, "events-forbidden", &as_who(Some(world.issuer()), owner).await);
    shown(&world, "events-token-without-issuer", &as_who(None, "token".into()).await);
    let other = Emulator::start(Options::default()).await.unwrap();
    let mut ran = as_who(Some(other.url()), other.emulator().pat()).await;
    ran.stderr = ran.stderr.replace(&other.emulator().instance_id(), "THIS");
    ran.stderr = ran.stderr.replace(&world.emulator().instance_id(), "ITS OWN");
    shown(&world, "events-of-another-instance", &ran);
}

/// What is bound is known by its binding: changed, given another name, or recreated by nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_knows_what_the_operator_has_created() {
    let world = declared().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tenant.yaml");
    let write = |project: Value, namespace: Value| {
        let object = |kind: &str, name: &str, spec: Value| {
            let metadata = json!({"name": name, "namespace": namespace});
            json!({"apiVersion": kastellan::api::api_version(), "kind": kind, "metadata": metadata, "spec": spec})
        };
        let acme = object("Organization", "acme", json!({"name": world.namespace}));
        let mut spec = json!({"organizationRef": {"name": "acme"}});
        spec.as_object_mut().unwrap().extend(project.as_object().unwrap().clone());
        let all = [acme, object("Project", "shop", spec)];
        std::fs::write(&file, all.map(|o| o.to_string()).join("\n---\n")).unwrap();
    };
    let plan = async |more: &[&str]| {
        let env = [("ZITADEL_ISSUER", world.issuer()), ("ZITADEL_TOKEN", world.emulator().pat())];
        let args = [&["plan", "-f", file.to_str().unwrap()], more].concat();
        run_with(&world, &args, &env).await
    };
    let events = world.events();
    for namespace in [json!(world.namespace), Value::Null] {
        write(json!({"name": "Shop"}), namespace.clone());
        assert_eq!(plan(&["--cluster"]).await.code, 0);
        write(json!({"name": "Webshop", "projectRoleCheck": true}), namespace.clone());
        let of = if namespace.is_null() { "plan-of-the-cluster" } else { "plan-of-a-namespace" };
        shown(&world, of, &plan(&["--cluster"]).await);
    }
    // Without it these are new, or somebody else's.
    shown(&world, "plan-without-the-cluster", &plan(&[]).await);
    assert_eq!(world.events(), events);
}
