//! Objects that were written while an older CRD was installed, on an API server of their own, whose
//! CRDs can be changed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{
    remote::entry,
    world::{World, condition, establish, eventually},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_an_older_crd_let_pass_stalls_alone() {
    let Some((client, _server)) = crate::world::own_cluster().await else {
        eprintln!("not tested: the CRDs of KASTELLAN_TEST_KUBECONFIG are everybody's");
        return;
    };
    for kind in kastellan::kinds::REGISTRY.all() {
        establish(&client, &kind.crd()).await;
    }
    // The older one knew no types.
    let mut older = entry("Project").crd();
    older.spec.versions[0].schema =
        serde_json::from_value(json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}})).unwrap();
    let name = older.metadata.name.clone().unwrap();
    Api::<CustomResourceDefinition>::all(client.clone())
        .replace(&name, &PostParams::default(), &with_version(&client, older).await)
        .await
        .unwrap();
    let mut world = World::on(client.clone(), "older").await;
    for (name, spec) in [
        ("wrong-type", json!({"organizationRef": {"name": "acme"}, "projectRoleCheck": "yes"})),
        ("no-reference", json!({"name": 7})),
        ("good", json!({"organizationRef": {"name": "acme"}})),
    ] {
        let body = json!({"apiVersion": kastellan::api::api_version(), "kind": "Project", "metadata": {"name": name}, "spec": spec});
        // The API server takes a moment to serve the older schema.
        let mut tries = 0;
        while let Err(e) = world
            .api("Project")
            .patch(name, &PatchParams::apply("git").force(), &Patch::Apply(&body))
            .await
        {
            tries += 1;
            assert!(tries < 200, "{e}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    establish(&client, &entry("Project").crd()).await;
    world.start();
    world.connect().await;
    world.apply("Organization", "acme", json!({})).await;
    world.ready("Project", "good").await;
    let o = world
        .until("Project", "wrong-type", "stalled", |o| {
            condition(o, "Stalled")["reason"] == "InvalidSpec"
        })
        .await;
    let message = condition(&o, "Stalled")["message"].to_string();
    assert!(message.contains("projectRoleCheck") && message.contains("boolean"), "{message}");
    let o = world
        .until("Project", "no-reference", "stalled", |o| {
            condition(o, "Stalled")["reason"] == "InvalidSpec"
        })
        .await;
    assert!(condition(&o, "Stalled")["message"].to_string().contains("spec.name"), "{o}");
    // Mended, it goes on. (A server-side apply is what the API server refuses here.)
    world.patch("Project", "wrong-type", json!({"spec": {"projectRoleCheck": true}})).await;
    world.ready("Project", "wrong-type").await;

    says_that_it_does_not_know_a_field_of_a_newer_crd(&world).await;
    world.stop().await;
}

/// While an upgrade is under way, the CRDs are newer than the operator.
async fn says_that_it_does_not_know_a_field_of_a_newer_crd(world: &World) {
    let mut newer = serde_json::to_value(entry("Project").crd()).unwrap();
    let fields = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    newer.pointer_mut(fields).unwrap()["brandNew"] = json!({"type": "boolean"});
    establish(&world.client, &serde_json::from_value(newer).unwrap()).await;
    let spec = json!({"organizationRef": {"name": "acme"}, "brandNew": true});
    // The API server takes a moment to serve the newer schema.
    let declare = async || world.try_apply("Project", "newer", spec.clone()).await;
    eventually("the newer field is served", declare, Result::is_ok).await.unwrap();
    // So does its watch: until then the object comes without the field.
    let touched = std::sync::atomic::AtomicU32::new(0);
    let look = async || {
        let at = touched.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string();
        let touch = json!({"metadata": {"annotations": {"kastellan.dev/reconcile-at": at}}});
        world.patch("Project", "newer", touch).await;
        let object = world.get_in(&world.namespace, "Project", "newer").await;
        condition(&object, "Ready")["message"].to_string()
    };
    let what = "spec.brandNew: this version of Kastellan does not know";
    eventually("the field is named", look, |message| message.contains(what)).await;
    // Its deletion needs no field.
    world.delete("Project", "newer").await;
    world.gone("Project", "newer").await;
}

async fn with_version(
    client: &kube::Client,
    mut crd: CustomResourceDefinition,
) -> CustomResourceDefinition {
    let there = Api::<CustomResourceDefinition>::all(client.clone())
        .get(crd.metadata.name.as_deref().unwrap())
        .await
        .unwrap();
    crd.metadata.resource_version = there.metadata.resource_version;
    crd
}
