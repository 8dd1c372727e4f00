//! What needs an API server of its own: an operator of all namespaces would meddle with the other
//! tests', and CRDs are everybody's.

use std::time::Instant;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kastellan::{kinds, operator::LeaseOptions};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams},
    config::Kubeconfig,
};
use serde_json::json;

use super::chart_account::{of_chart, without_rights};
use crate::world::{World, establish, eventually, own_cluster};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_with_the_charts_rights_on_a_cluster_of_its_own() {
    let Some((client, server)) = own_cluster().await else {
        eprintln!("not tested: there is only one given cluster");
        return;
    };
    waits_for_crds_and_stops_meanwhile(&client).await;
    for entry in kinds::REGISTRY.all() {
        establish(&client, &entry.crd()).await;
    }
    says_which_rights_are_missing_and_stops_meanwhile(&client, &server.kubeconfig).await;
    for namespaces in [0, 1, 3] {
        works_with_the_charts_rights(&client, &server.kubeconfig, namespaces).await;
    }
    says_that_a_crd_was_deleted_and_goes_on_when_it_is_back(&client).await;
}

/// Stops the operator, and sees that it takes less than the five seconds that are promised.
pub(super) async fn stops_in_time(world: &mut World, state: &str) {
    let start = Instant::now();
    world.stop().await;
    let took = start.elapsed().as_secs_f32();
    assert!(took < 5.0, "{state}: stopped after {took} s");
}

async fn waits_for_crds_and_stops_meanwhile(client: &Client) {
    let mut world = World::on(client.clone(), "no-crds").await;
    world.start();
    world
        .until_readyz("waiting for CRDs", |text| {
            text.contains("waiting for CustomResourceDefinitions: ")
                && text.contains("projects.zitadel.kastellan.dev")
        })
        .await;
    stops_in_time(&mut world, "waiting for CRDs").await;
}

async fn says_which_rights_are_missing_and_stops_meanwhile(
    client: &Client,
    kubeconfig: &Kubeconfig,
) {
    let mut world = World::on(client.clone(), "no-rights").await;
    world.operator_client = Some(without_rights(client, kubeconfig, &world.namespace).await);
    world.lease = Some(lease());
    world.start();
    let wanted = [
        format!(
            "can't list and watch projects.zitadel.kastellan.dev in namespace {}: 403: ",
            world.namespace
        ),
        "cannot list resource \"projects\"".into(),
        "can't hold the Lease kastellan: 403: ".into(),
    ];
    let text = world
        .until_readyz("the rights that are missing", |text| wanted.iter().all(|w| text.contains(w)))
        .await;
    assert!(text.lines().all(|line| line.len() < 400), "{text}");
    world
        .until_metrics("refusals are counted", |text| {
            text.contains("kastellan_kubernetes_errors_total{code=\"403\"}")
        })
        .await;
    stops_in_time(&mut world, "without rights").await;
}

fn lease() -> LeaseOptions {
    LeaseOptions {
        namespace: None,
        name: "kastellan".into(),
        identity: "test".into(),
        duration: std::time::Duration::from_secs(5),
        shares: false,
    }
}

/// `namespaces`: how many are watched; 0: all.
async fn works_with_the_charts_rights(client: &Client, kubeconfig: &Kubeconfig, namespaces: usize) {
    let mut world = World::on(client.clone(), &format!("watch-{namespaces}")).await;
    let mut watched = vec![world.namespace.clone()];
    while watched.len() < namespaces {
        watched.push(world.another_namespace().await);
    }
    if namespaces == 0 {
        watched.clear();
    }
    let operator = of_chart(client, kubeconfig, &world.namespace, &watched).await;
    world.operator_client = Some(operator);
    world.lease = Some(LeaseOptions { name: format!("{}-kastellan", world.namespace), ..lease() });
    world.watched = Some(watched.clone());
    world.start();
    world.until_readyz(&format!("ready with {namespaces}"), |text| text == "ok\n").await;
    world.connect().await;
    world.ready("Instance", "default").await;
    world
        .patch("Instance", "default", json!({"spec": {"allowedNamespaces": {"from": "All"}}}))
        .await;
    let instance = json!({"name": "default", "namespace": world.namespace});
    for (n, namespace) in watched.iter().enumerate().skip(1) {
        let name = format!("acme-{n}");
        let spec = json!({"instanceRef": instance, "deletionPolicy": "Delete"});
        world.apply_in(namespace, "Organization", &name, spec).await;
        world.ready_in(namespace, "Organization", &name).await;
    }
    world.apply("Organization", "acme", json!({"deletionPolicy": "Delete"})).await;
    world.ready("Organization", "acme").await;
    world.noted("acme", "Created", "").await;
    // A changed Secret is taken up: the right to watch it is there.
    world.secret("kastellan", "pat", "wrong").await;
    world.reason("Instance", "default", "Unauthenticated").await;
    world.secret("kastellan", "pat", &world.emulator().pat()).await;
    world.ready("Instance", "default").await;
    writes_secrets(&world).await;
    world.delete("Organization", "acme").await;
    world.gone("Organization", "acme").await;
    for (n, namespace) in watched.iter().enumerate().skip(1) {
        world.delete_in(namespace, "Organization", &format!("acme-{n}")).await;
    }
    world.delete("Instance", "default").await;
    world.gone("Instance", "default").await;
    world.stop().await;
}

/// A Secret for what ZITADEL issues: written, restored, and gone with its object.
async fn writes_secrets(world: &World) {
    let spec = json!({"organizationRef": {"name": "acme"}, "secret": {"name": "bot"}});
    world.apply("MachineUser", "bot", spec).await;
    let status = world.ready("MachineUser", "bot").await;
    assert_eq!(status["secret"]["name"], "bot");
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
    let first = secrets.get("bot").await.unwrap();
    let owner = first.metadata.owner_references.as_ref().unwrap()[0].clone();
    assert_eq!((&*owner.kind, &*owner.name), ("MachineUser", "bot"));
    let keys = first.data.as_ref().unwrap().keys();
    assert!(keys.eq(["clientId", "clientSecret", "issuer"]), "{first:?}");

    // What is deleted is issued again, what is edited too: the operator hears of both.
    secrets.delete("bot", &DeleteParams::default()).await.unwrap();
    let issued = |former: Secret| async move {
        let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
        let is_another = |now: &Option<Secret>| {
            now.as_ref().is_some_and(|now| now.data.is_some() && now.data != former.data)
        };
        let find = async || secrets.get_opt("bot").await.unwrap();
        eventually("another Secret", find, is_another).await.unwrap()
    };
    let second = issued(first).await;
    let edit = json!({"stringData": {"clientSecret": "mine"}});
    let edited = secrets.patch("bot", &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
    assert_ne!(edited.data, second.data);
    issued(edited).await;
    world.noted("bot", "SecretReissued", "").await;
    world.ready("MachineUser", "bot").await;

    // A key is made here, and another one as the annotation asks; metrics say when it ends and is renewed.
    let spec = json!({"userRef": {"name": "bot"}, "secret": {"name": "key"}});
    world.apply("MachineKey", "key", spec).await;
    let before = world.ready("MachineKey", "key").await;
    let first = secrets.get("key").await.unwrap();
    assert!(first.data.as_ref().unwrap().keys().eq(["key.json"]), "{first:?}");
    let asked = json!({"metadata": {"annotations": {"kastellan.dev/renew-at": "now"}}});
    world.patch("MachineKey", "key", asked).await;
    let find = async || secrets.get("key").await.unwrap();
    eventually("another key", find, |now| now.data != first.data).await;
    world.noted("key", "SecretRotated", "").await;
    let after = world.ready("MachineKey", "key").await;
    assert_eq!(after["secret"]["previous"][0]["id"], before["id"]);
    for (metric, field) in [("expiry", "expiresAt"), ("renewal", "rotatesAt")] {
        let at = after["secret"][field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let line = format!(
            "kastellan_secret_{metric}_timestamp_seconds{{kind=\"MachineKey\",namespace=\"{}\",name=\"key\"}} {}",
            world.namespace,
            at.as_second()
        );
        world.until_metrics(&line, |now| now.lines().any(|l| l == line)).await;
    }
    world.delete("MachineKey", "key").await;
    world.gone("MachineKey", "key").await;

    // Several write into one that is somebody's.
    world.secret("shared", "theirs", "v").await;
    for name in ["one", "two"] {
        let data = json!({format!("{name}-id"): "${clientId}", format!("{name}-secret"): "${clientSecret}"});
        let secret = json!({"name": "shared", "policy": "Merge", "data": data});
        let spec = json!({"organizationRef": {"name": "acme"}, "secret": secret});
        world.apply("MachineUser", name, spec).await;
        world.ready("MachineUser", name).await;
    }
    let shared = secrets.get("shared").await.unwrap().data.unwrap();
    assert!(shared.keys().eq(["one-id", "one-secret", "theirs", "two-id", "two-secret"]));

    // One that was there before is refused.
    world.secret("theirs", "k", "v").await;
    let spec = json!({"organizationRef": {"name": "acme"}, "secret": {"name": "theirs"}});
    world.apply("MachineUser", "other", spec).await;
    world.reason("MachineUser", "other", "Conflict").await;
    for name in ["bot", "other", "one", "two"] {
        world.delete("MachineUser", name).await;
        world.gone("MachineUser", name).await;
    }
}

async fn says_that_a_crd_was_deleted_and_goes_on_when_it_is_back(client: &Client) {
    let mut world = World::on(client.clone(), "crd-deleted").await;
    world.start();
    world.connect().await;
    world.ready("Instance", "default").await;
    world.apply("Restrictions", "it", json!({"disallowPublicOrgRegistration": true})).await;
    world.ready("Restrictions", "it").await;
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    crds.delete("restrictions.zitadel.kastellan.dev", &DeleteParams::default()).await.unwrap();
    world
        .until_readyz("the CRD that is missing", |text| {
            text.contains("can't list and watch restrictions.zitadel.kastellan.dev")
                && text.contains("404")
        })
        .await;
    let crd = kinds::REGISTRY.find("Restrictions").unwrap().crd();
    eventually(
        "deleted",
        async || crds.get_opt(crd.metadata.name.as_ref().unwrap()).await.unwrap().is_none(),
        |gone| *gone,
    )
    .await;
    establish(client, &crd).await;
    let start = Instant::now();
    eventually(
        "accepted",
        async || {
            world
                .try_apply("Restrictions", "it", json!({"disallowPublicOrgRegistration": false}))
                .await
        },
        Result::is_ok,
    )
    .await
    .unwrap();
    world.ready("Restrictions", "it").await;
    world.until_readyz("ready again", |text| text == "ok\n").await;
    assert!(start.elapsed().as_secs() < 20, "reconciled again at once");
    world.stop().await;
}
