//! The chart grants what the operator uses and nothing else, as the API server's audit log tells.

mod rights;

use std::{collections::BTreeSet, fs, path::Path};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kastellan::{kinds::REGISTRY, operator::LeaseOptions};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
    config::Kubeconfig,
};
use serde_json::{Value, json};
use zitadel_emulator::{Emulator, Options, Running};

use super::chart_account::{chart, of_chart};
use crate::{
    apiserver,
    examples::documents,
    world::{World, connect, establish},
};
use rights::{Right, granted, mistakes, used};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chart_grants_what_is_used_and_nothing_else() {
    let Some((server, log)) = tokio::task::spawn_blocking(apiserver::audited).await.unwrap() else {
        eprintln!("not tested: the given cluster keeps no audit log for us");
        return;
    };
    let client = connect(server.kubeconfig.clone()).await;
    for entry in REGISTRY.all() {
        establish(&client, &entry.crd()).await;
    }
    for watched in [0, 1, 3] {
        let (granted, used) = everything(&client, &server.kubeconfig, &log, watched).await;
        assert!(used.len() > 3 * REGISTRY.len(), "{used:?}");
        let found = mistakes(&granted, &used, watched > 0);
        assert!(found.is_empty(), "with {watched} watched namespaces:\n{}", found.join("\n"));
    }
}

/// Has an operator with the chart's rights do all that it can, in each of so many watched namespaces,
/// or in two where it watches all. Returns what it was granted and what it asked for.
async fn everything(
    client: &Client,
    kubeconfig: &Kubeconfig,
    log: &Path,
    watched: usize,
) -> (BTreeSet<Right>, BTreeSet<Right>) {
    let mut world = World::on(client.clone(), &format!("rights-{watched}")).await;
    let mut namespaces = vec![world.namespace.clone()];
    while namespaces.len() < [2, watched][usize::from(watched > 0)] {
        namespaces.push(world.another_namespace().await);
    }
    let names = if watched == 0 { Vec::new() } else { namespaces.clone() };
    let release = format!("{}-kastellan", world.namespace);
    world.operator_client = Some(of_chart(client, kubeconfig, &world.namespace, &names).await);
    world.watched = Some(names.clone());
    world.lease = Some(LeaseOptions {
        namespace: None,
        name: release.clone(),
        identity: "test".into(),
        duration: std::time::Duration::from_secs(5),
        shares: false,
    });
    world.start();
    world.until_readyz("ready", |text| text == "ok\n").await;
    for namespace in &namespaces {
        let zitadel = Emulator::start(Options::default()).await.unwrap();
        all_kinds(&world, namespace, &zitadel).await;
    }
    world.stop().await;
    let account = format!("system:serviceaccount:{}:{release}", world.namespace);
    let log = fs::read_to_string(log).unwrap();
    (granted(&chart(&world.namespace, &names), &release), used(&log, &account))
}

/// One object of each kind, from the examples: created, Ready and deleted.
async fn all_kinds(world: &World, namespace: &str, zitadel: &Running) {
    let pat = json!({"pat": zitadel.emulator().pat()});
    put::<Secret>(world, namespace, json!({"metadata": {"name": "kastellan"}, "stringData": pat}))
        .await;
    let ca = json!({"ca.crt": include_str!("least_rights/ca.crt")});
    put::<ConfigMap>(world, namespace, json!({"metadata": {"name": "ca"}, "data": ca})).await;
    let mut declared = Vec::new();
    for mut document in documents("examples") {
        let kind = document["kind"].as_str().unwrap().to_owned();
        if kind == "ConfigMap" {
            let brand = json!({"metadata": document["metadata"], "data": document["data"]});
            put::<ConfigMap>(world, namespace, brand).await;
            continue;
        }
        let name = document["metadata"]["name"].as_str().unwrap().to_owned();
        let mut spec = document["spec"].take();
        if kind == "Instance" {
            spec["issuer"] = zitadel.url().into();
            spec["ca"] = json!({"configMapRef": {"name": "ca", "key": "ca.crt"}});
        }
        for input in REGISTRY.find(&kind).unwrap().inputs {
            if let Some(source) = input.read(&spec).unwrap() {
                let held = json!({source.key.as_str(): "S3cret-value"});
                let secret = json!({"metadata": {"name": source.name}, "stringData": held});
                put::<Secret>(world, namespace, secret).await;
            }
        }
        world.apply_in(namespace, &kind, &name, spec).await;
        declared.push((kind, name));
    }
    for (kind, name) in &declared {
        world.ready_in(namespace, kind, name).await;
    }
    // What others refer to comes first in the registry.
    let order = |kind: &str| REGISTRY.all().position(|e| e.kind() == kind);
    declared.sort_by_key(|(kind, _)| std::cmp::Reverse(order(kind)));
    for (kind, name) in &declared {
        world.delete_in(namespace, kind, name).await;
    }
}

async fn put<K>(world: &World, namespace: &str, object: Value)
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + serde::Serialize,
{
    let object: K = serde_json::from_value(object).unwrap();
    let name = object.meta().name.clone().unwrap();
    let api: Api<K> = Api::namespaced(world.client.clone(), namespace);
    api.patch(&name, &PatchParams::apply("tests").force(), &Patch::Apply(object)).await.unwrap();
}
