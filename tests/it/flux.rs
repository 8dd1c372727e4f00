//! Flux: its own kustomize-controller applies the examples by the Kustomizations of
//! `docs/tasks/gitops.md`. `make test-gitops` builds it and runs these.

mod controller;

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Resource,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use self::controller::{Files, Flux, files};
use crate::{
    examples::documents,
    remote::entry,
    world::{World, condition, establish, is_current},
};

/// The part of the page on Flux.
fn part() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tasks/gitops.md");
    let page = fs::read_to_string(path).unwrap();
    page.split("\n## ").find(|part| part.starts_with("Flux\n")).unwrap().to_owned()
}

/// The documents of its block that contains something.
fn page(what: &str) -> Vec<Value> {
    let part = part();
    let blocks = part.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let block = blocks.filter(|block| block.contains(what)).last().unwrap();
    serde_saphyr::from_multiple(block).unwrap()
}

/// A message begins and ends as the page shows it, in which `…` stands for what is omitted.
fn assert_shown(message: &str) {
    let part = part();
    let shown = part.split('*').skip(1).step_by(2);
    let is_it = |shown: &str| {
        let (begin, end) = shown.split_once('…').unwrap_or((shown, ""));
        message.starts_with(begin) && message.trim_end().ends_with(end)
    };
    assert!(shown.into_iter().any(is_it), "the page shows another message: {message}");
}

/// The Kustomizations of the page: of `examples/tenant` and of `examples/onboarding`.
fn kustomizations() -> [Value; 2] {
    page("kind: Kustomization").try_into().unwrap()
}

/// The same, where the CRDs are there already.
fn independent() -> [Value; 2] {
    kustomizations().map(|mut kustomization| {
        kustomization["spec"].as_object_mut().unwrap().remove("dependsOn").unwrap();
        kustomization
    })
}

/// A Kustomization with further fields of its spec.
fn with(kustomization: &Value, fields: &Value) -> Value {
    let mut kustomization = kustomization.clone();
    kustomization["spec"].as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    kustomization
}

/// The examples where the page's Kustomizations look for them; the Instance is this world's.
fn git(world: &World) -> Files {
    let mut git = files("examples/tenant", "zitadel/tenant");
    let instance = git.get_mut("zitadel/tenant/00-instance.yaml").unwrap();
    *instance = instance.replace("http://localhost:8080", &world.issuer());
    assert!(instance.contains(&world.issuer()));
    git.extend(files("examples/onboarding", "zitadel/onboarding"));
    git
}

/// An operator that looks after the namespace of the examples, with the pauses that it has by itself.
async fn world(flux: &Flux) -> World {
    let mut world = World::on(flux.client.clone(), "flux").await;
    world.namespace = "acme".into();
    world.deletion_pause = Duration::from_secs(10);
    world.start();
    world
}

/// All there is, and both Kustomizations are Ready with what is in Git.
async fn converged() -> (Flux, World, Files) {
    let flux = Flux::start().await;
    let crds = kastellan::kinds::REGISTRY.all().map(|entry| entry.crd());
    futures::future::join_all(crds.map(async |crd| establish(&flux.client, &crd).await)).await;
    let world = world(&flux).await;
    world.secret("kastellan", "pat", &world.emulator().pat()).await;
    let git = git(&world);
    let revision = flux.push(&git).await;
    for kustomization in independent() {
        flux.apply(&kustomization).await;
    }
    for name in ["tenant", "onboarding"] {
        flux.ready(name, &revision).await;
    }
    (flux, world, git)
}

/// Kinds and names of the objects in a folder.
fn objects(folder: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let documents = documents(folder).into_iter();
    documents.map(|d| (text(&d["kind"]), text(&d["metadata"]["name"]))).collect()
}

/// Which of these are not Ready now.
async fn not_ready(world: &World, objects: &[(String, String)]) -> Vec<String> {
    let mut not_ready = Vec::new();
    for (kind, name) in objects {
        let o = world.get_in("acme", kind, name).await;
        if condition(&o, "Ready")["status"] != "True" || !is_current(&o) {
            not_ready.push(format!("{kind}/acme/{name}"));
        }
    }
    not_ready
}

/// All objects, and the Secrets that were written, by kind and name: their version and who wrote
/// which fields.
async fn versions(world: &World) -> BTreeMap<String, Value> {
    let mut versions = BTreeMap::new();
    let mut note = |kind: &str, meta: &kube::api::ObjectMeta| {
        let value = json!([meta.resource_version, meta.managed_fields]);
        versions.insert(format!("{kind}/acme/{}", meta.name.as_ref().unwrap()), value);
    };
    for entry in kastellan::kinds::REGISTRY.all() {
        for o in world.api(entry.kind()).list(&ListParams::default()).await.unwrap() {
            note(entry.kind(), o.meta());
        }
    }
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), "acme");
    for secret in secrets.list(&ListParams::default()).await.unwrap() {
        note("Secret", secret.meta());
    }
    versions
}

/// When Flux applied the objects of the examples last, it changed none of them.
fn assert_unchanged(flux: &Flux) {
    let applies = flux.applies();
    for folder in ["examples/tenant", "examples/onboarding"] {
        let names = objects(folder).into_iter().map(|(kind, name)| format!("{kind}/acme/{name}"));
        let expected: BTreeMap<String, String> =
            names.map(|name| (name, "unchanged".to_owned())).collect();
        let last = applies.iter().rfind(|apply| apply.keys().eq(expected.keys()));
        assert_eq!(last, Some(&expected));
    }
}

#[ignore = "`make test-gitops` builds what it needs"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kustomization_is_ready_when_its_objects_are_and_not_before() {
    let flux = Flux::start().await;
    let world = world(&flux).await;
    let [tenant, onboarding] = kustomizations();
    let (tenants, onboardings) = (objects("examples/tenant"), objects("examples/onboarding"));
    let mut git = git(&world);
    git.extend(files("crds", "kastellan"));
    let people = git.get_mut("zitadel/onboarding/40-people.yaml").unwrap();
    *people = people.replace("userLoginName: minnie.mouse", "userRef: {name: goofy}");
    assert!(people.contains("goofy"));
    let revision = flux.push(&git).await;

    // In any order, and before the CRDs.
    let soon = json!({"timeout": "30s"});
    flux.apply(&with(&onboarding, &soon)).await;
    flux.apply(&with(&tenant, &soon)).await;
    for name in ["tenant", "onboarding"] {
        let said = flux.refused(name, "DependencyNotReady").await;
        assert_eq!(
            said,
            "dependency 'flux-system/kastellan' not found: kustomizations.kustomize.toolkit.fluxcd.io \"kastellan\" not found"
        );
    }
    let mut kastellan = with(&tenant, &json!({"path": "./kastellan"}));
    kastellan["metadata"]["name"] = "kastellan".into();
    kastellan["spec"].as_object_mut().unwrap().remove("dependsOn").unwrap();
    flux.apply(&kastellan).await;
    flux.ready("kastellan", &revision).await;

    // The Instance has no credentials.
    for (name, objects) in [("tenant", &tenants), ("onboarding", &onboardings)] {
        let said = flux.failed(name, &revision, "HealthCheckFailed").await;
        assert!(said.starts_with("timeout waiting for: ["), "{said}");
        for (kind, name) in objects {
            let part = format!("{kind}/acme/{name} status: 'InProgress'");
            assert!(said.contains(&part), "{part}: {said}");
        }
    }
    flux.apply(&tenant).await;
    flux.checks("tenant", &revision).await;
    world.secret("kastellan", "pat", &world.emulator().pat()).await;
    flux.ready("tenant", &revision).await;
    assert_eq!(not_ready(&world, &tenants).await, [""; 0]);

    // One account is not there.
    for (kind, name) in onboardings.iter().filter(|(_, name)| name != "orders-manager") {
        world.ready(kind, name).await;
    }
    world.ready("ProjectRole", "orders-manager").await;
    flux.reconcile(&["onboarding"]).await;
    let said = flux.failed("onboarding", &revision, "HealthCheckFailed").await;
    let waits = "timeout waiting for: [UserGrant/acme/orders-manager status: 'InProgress']";
    assert_eq!(said, waits);
    assert_shown(&said);
    flux.apply(&onboarding).await;
    flux.checks("onboarding", &revision).await;
    world.apply("MachineUser", "goofy", json!({"organizationRef": {"name": "acme"}})).await;
    flux.ready("onboarding", &revision).await;
    assert_eq!(not_ready(&world, &onboardings).await, [""; 0]);
}

/// What a terminal shows, whenever that is.
fn timeless(text: &str) -> Vec<String> {
    let since = |word: &str| {
        let digits = word.trim_end_matches(['s', 'm', 'h', 'd']);
        digits.len() < word.len() && digits.starts_with(|c: char| c.is_ascii_digit())
    };
    let is_id =
        |word: &str| word.len() > 15 && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    let revision =
        |word: &str| word.split_once("@sha1:").map(|(branch, _)| format!("{branch}@sha1:…"));
    let word = |word: &str| match word {
        word if since(word) || is_id(word) => "…".to_owned(),
        word => revision(word).unwrap_or_else(|| word.to_owned()),
    };
    let line = |line: &str| line.split_whitespace().map(word).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect()
}

/// The page shows it; `UPDATE=1` writes it there.
#[ignore = "`make test-gitops` builds what it needs"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_synced_is_shown_as_on_the_page() {
    let (flux, ..) = converged().await;
    let commands = [
        "get kustomizations --namespace flux-system",
        "get organizations,projects,projectroles,machineusers,oidcapplications,apiapplications,usergrants --namespace acme",
    ];
    let shown = commands
        .map(|command| format!("$ kubectl {command}\n{}\n", flux.kubectl(command).trim_end()))
        .concat();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tasks/gitops.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("```console\n").unwrap();
    let (there, after) = rest.split_once("```").unwrap();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, format!("{before}```console\n{shown}```{after}")).unwrap();
    } else {
        assert_eq!(timeless(there), timeless(&shown), "UPDATE=1 writes it");
    }
}

#[ignore = "`make test-gitops` builds what it needs"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_changes_what_the_other_writes() {
    let (flux, world, _) = converged().await;
    let before = versions(&world).await;
    for _ in 0..2 {
        flux.reconcile(&["tenant", "onboarding"]).await;
        assert_unchanged(&flux);
    }
    assert_eq!(versions(&world).await, before);

    // Somebody changes something in ZITADEL, and it is corrected.
    let shop = world.ready("Project", "shop").await;
    let text = |field: &str| shop[field].as_str().unwrap();
    let difference = json!({"projectRoleCheck": false});
    world.tamper("Project", Some(text("organizationId")), text("id"), difference).await;
    world
        .until("Project", "shop", "corrected", |o| o["status"]["lastDrift"]["corrected"] == true)
        .await;
    world.ready("Project", "shop").await;
    flux.reconcile(&["tenant", "onboarding"]).await;
    assert_unchanged(&flux);

    // What kubectl writes into an object Flux takes out again; what others write it leaves.
    let annotate = async |manager: &str, value: Value| {
        let patch = json!({"metadata": {"annotations": {"kastellan.dev/reconcile-at": value}}});
        let params = PatchParams { field_manager: Some(manager.into()), ..Default::default() };
        world.api("Project").patch("shop", &params, &Patch::Merge(patch)).await.unwrap();
    };
    let annotation = async || {
        let shop = world.get_in("acme", "Project", "shop").await;
        shop["metadata"]["annotations"]["kastellan.dev/reconcile-at"].clone()
    };
    annotate("kubectl-annotate", "now".into()).await;
    flux.reconcile(&["tenant"]).await;
    assert_eq!(annotation().await, Value::Null);
    annotate("a-script", "now".into()).await;
    flux.reconcile(&["tenant"]).await;
    assert_eq!(annotation().await, "now");
    assert_unchanged(&flux);
}

#[ignore = "`make test-gitops` builds what it needs"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_object_makes_its_kustomization_fail_and_is_named() {
    let (flux, world, mut git) = converged().await;
    let project = |name: &str, fields: &str| {
        format!(
            "apiVersion: zitadel.kastellan.dev/v1alpha1\nkind: Project\nmetadata: {{name: {name}, namespace: acme}}\nspec:\n  organizationRef: {{name: acme}}\n  {fields}\n"
        )
    };

    // The API server refuses it, and with it all that is new.
    let file = "zitadel/tenant/40-more.yaml";
    let more = [project("more", "name: More"), project("wrong", "organizationId: \"4711\"")];
    git.insert(file.into(), more.join("---\n"));
    let revision = flux.push(&git).await;
    let said = flux.failed("tenant", &revision, "ReconciliationFailed").await;
    assert!(said.contains("organizationRef and organizationId exclude each other"), "{said}");
    assert_shown(&said);
    assert_eq!(world.get_in("acme", "Project", "more").await, Value::Null);
    assert_eq!(not_ready(&world, &objects("examples/tenant")).await, [""; 0]);

    // The operator refuses it.
    let more = [project("more", "name: More"), project("wrong", "name: Shop")];
    git.insert(file.into(), more.join("---\n"));
    let revision = flux.push(&git).await;
    let said = flux.failed("tenant", &revision, "HealthCheckFailed").await;
    assert_eq!(
        said,
        "failed early due to stalled resources: [Project/acme/wrong status: 'Failed']"
    );
    assert_shown(&said);
    let part = part();
    let command = part.lines().find_map(|line| line.strip_prefix("    kubectl ")).unwrap();
    let printed = flux.kubectl(command);
    let line = printed.lines().find(|line| line.contains("/wrong ")).unwrap();
    assert!(line.contains("Conflict") && line.contains("acme/shop"), "{printed}");
    world.ready("Project", "more").await;

    // It is put right.
    let more = [project("more", "name: More"), project("wrong", "name: Right")];
    git.insert(file.into(), more.join("---\n"));
    let revision = flux.push(&git).await;
    flux.ready("tenant", &revision).await;
    let before = world.ready("Project", "wrong").await["id"].clone();

    // With `force`, Flux takes any refusal for a field that can't be changed: it deletes the object,
    // and what it has instead is refused as well.
    let [tenant, _] = independent();
    flux.apply(&with(&tenant, &json!({"force": true}))).await;
    git.insert(file.into(), project("wrong", "organizationId: \"4711\""));
    let revision = flux.push(&git).await;
    let said = flux.failed("tenant", &revision, "ReconciliationFailed").await;
    assert!(said.starts_with("Project/acme/wrong dry-run failed"), "{said}");
    assert_eq!(world.get_in("acme", "Project", "wrong").await, Value::Null);
    let organization = world.ready("Organization", "acme").await["id"].clone();
    let (organization, id) = (organization.as_str().unwrap(), before.as_str().unwrap());
    assert!(world.live("Project", Some(organization), id).await.is_none());
}

#[ignore = "`make test-gitops` builds what it needs"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pruned_goes_in_zitadel_too() {
    let (flux, world, mut git) = converged().await;
    let organization = world.ready("Organization", "acme").await["id"].clone();
    let organization = organization.as_str().unwrap();
    let at = world.at(Some(organization));
    let names = async |kind: &str| {
        let all = entry(kind).list(&at).await;
        let mut names: Vec<String> =
            all.iter().map(|r| r.state.get("name").unwrap().as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names("Project").await, ["Intranet", "Orders", "Shop"]);

    // Some go: an object, and a folder's objects of which some need others.
    let accounts = git.remove("zitadel/onboarding/30-accounts.yaml").unwrap();
    let projects = git.get_mut("zitadel/tenant/30-projects.yaml").unwrap();
    *projects = projects.split("---\n").next().unwrap().into();
    let revision = flux.push(&git).await;
    for name in ["tenant", "onboarding"] {
        flux.ready(name, &revision).await;
    }
    world.gone("Project", "intranet").await;
    for document in serde_saphyr::from_multiple::<Value>(&accounts).unwrap() {
        let text = |pointer: &str| document.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        world.gone(&text("/kind"), &text("/metadata/name")).await;
    }
    assert_eq!(names("Project").await, ["Orders", "Shop"]);
    assert_eq!(names("MachineUser").await, [""; 0]);

    // What others need goes first. Flux does not wait for it; the Instance stays for the others.
    let [_, onboarding] = independent();
    flux.apply(&with(&onboarding, &json!({"deletionPolicy": "WaitForTermination"}))).await;
    flux.ready("onboarding", &revision).await;
    flux.delete("tenant").await;
    flux.gone("tenant").await;
    for (kind, name) in objects("examples/tenant") {
        if !["Instance", "Organization"].contains(&&*kind) {
            world.gone(&kind, &name).await;
        }
    }
    world.gone("Organization", "acme").await;
    world
        .until("Instance", "default", "waiting for the others", |o| {
            let ready = condition(o, "Ready");
            let message = ready["message"].as_str().unwrap();
            ready["reason"] == "Deleting" && message.contains("and 6 more still need it")
        })
        .await;
    assert!(part().contains("*… and 6 more still need it*"));
    assert_eq!(names("Project").await, ["Orders"]);

    // Then the others; for these it waits.
    flux.delete("onboarding").await;
    flux.gone("onboarding").await;
    for (kind, name) in objects("examples/onboarding") {
        assert_eq!(world.get_in("acme", &kind, &name).await, Value::Null, "{kind} {name}");
    }
    for (kind, name) in objects("examples/tenant") {
        world.gone(&kind, &name).await;
    }
    assert_eq!(names("Project").await, [""; 0]);
    // An Organization is kept.
    assert!(world.live("Organization", None, organization).await.is_some());
}

#[ignore = "`make test-gitops` builds what it needs"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_suspended_or_observed_is_as_it_should_be_where_flux_is_told_so() {
    let (flux, world, mut git) = converged().await;
    let projects = git.get_mut("zitadel/tenant/30-projects.yaml").unwrap();
    *projects = projects
        .replace("  name: Shop\n", "  name: Shop\n  suspend: true\n")
        .replace("  name: Intranet\n", "  name: Inside\n  mode: Observe\n");
    let [tenant, _] = independent();
    flux.apply(&with(&tenant, &json!({"timeout": "30s"}))).await;
    let revision = flux.push(&git).await;
    let said = flux.failed("tenant", &revision, "HealthCheckFailed").await;
    for name in ["shop", "intranet"] {
        assert!(said.contains(&format!("Project/acme/{name} status: 'InProgress'")), "{said}");
    }
    world.reason("Project", "shop", "Suspended").await;
    world.reason("Project", "intranet", "Observing").await;

    let [told] = page("healthCheckExprs").try_into().unwrap();
    flux.apply(&with(&tenant, &told["spec"])).await;
    flux.ready("tenant", &revision).await;
}

#[ignore = "`make test-gitops` builds what it needs"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_with_two_dollars_survives_flux_variables() {
    let (flux, world, mut git) = converged().await;
    let web = async || {
        let o = world.get_in("acme", "OidcApplication", "orders-web").await;
        o["spec"]["secret"]["data"]["OIDC_ISSUER"].clone()
    };
    assert_eq!(web().await, "${issuer}");
    let [_, onboarding] = independent();
    let [variables] = page("postBuild").try_into().unwrap();
    let applications = git.get_mut("zitadel/onboarding/20-applications.yaml").unwrap();
    *applications = applications.replace("acme.example", "${domain}");
    flux.apply(&with(&onboarding, &variables["spec"])).await;
    let revision = flux.push(&git).await;
    let said = flux.failed("onboarding", &revision, "BuildFailed").await;
    assert!(said.contains("orders-web': envsubst error: variable substitution failed"), "{said}");
    assert_eq!(web().await, "${issuer}");

    let applications = git.get_mut("zitadel/onboarding/20-applications.yaml").unwrap();
    for name in ["issuer", "clientId", "clientSecret"] {
        *applications = applications.replace(&format!("${{{name}}}"), &format!("$${{{name}}}"));
    }
    let revision = flux.push(&git).await;
    flux.ready("onboarding", &revision).await;
    assert_eq!(web().await, "${issuer}");
    let o = world.get_in("acme", "OidcApplication", "orders-web").await;
    assert_eq!(o["spec"]["redirectUris"], json!(["https://orders.acme.example/auth/callback"]));
}
