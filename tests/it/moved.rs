//! What becomes of what is declared when its cluster is lost and all of it is applied to another
//! one: it is found in ZITADEL by its names. `docs/operations.md` says the same to users.

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{DeleteParams, ObjectMeta, PostParams},
};
use serde_json::{Value, json};

use crate::{
    examples::{become_ready, documents},
    world::{World, namespace},
};

const SECRETS: [&str; 3] = ["orders-web", "orders-api", "orders-import"];

/// Kinds and names of all that is declared.
fn declared() -> impl Iterator<Item = (String, String, Value)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let folders = ["examples/tenant", "examples/onboarding"].into_iter().flat_map(documents);
    folders.map(move |mut d| (text(&d["kind"]), text(&d["metadata"]["name"]), d["spec"].take()))
}

fn secrets(world: &World) -> Api<Secret> {
    Api::namespaced(world.client.clone(), &world.namespace)
}

/// What is in the Secrets that were issued.
async fn held(world: &World) -> Vec<Secret> {
    let all = SECRETS.iter().map(async |name| secrets(world).get(name).await.unwrap());
    futures::future::join_all(all).await
}

/// The other cluster, where all is applied again: another namespace, of which nobody knows
/// anything; and nobody looks after the former. `restored`: the Secrets that came from a backup.
async fn apply_elsewhere(world: &mut World, restored: &[Secret]) {
    world.kill();
    world.namespace = namespace(&world.client, "moved").await;
    for secret in restored {
        let metadata = ObjectMeta {
            name: secret.metadata.name.clone(),
            labels: secret.metadata.labels.clone(),
            annotations: secret.metadata.annotations.clone(),
            ..ObjectMeta::default()
        };
        let copy = Secret { metadata, data: secret.data.clone(), ..Secret::default() };
        secrets(world).create(&PostParams::default(), &copy).await.unwrap();
    }
    world.secret("kastellan", "pat", &world.emulator().pat()).await;
    world.start();
    for (kind, name, mut spec) in declared() {
        if kind == "Instance" {
            spec["issuer"] = world.issuer().into();
        }
        world.apply(&kind, &name, spec).await;
    }
}

/// All but these are Ready, adopted under the ids that they had.
async fn are_found(world: &World, former: &str, but: &[(&str, &str)]) {
    for (kind, name, _) in declared().filter(|(kind, ..)| kind != "Instance") {
        if but.contains(&(&*kind, &*name)) {
            continue;
        }
        let status = world.ready(&kind, &name).await;
        let was = world.get_in(former, &kind, &name).await;
        assert_eq!(status["provenance"], "Adopted", "{kind} {name}");
        assert_eq!(status["id"], was["status"]["id"], "{kind} {name}");
    }
}

async fn tenant(name: &str) -> World {
    let mut world = World::bare(name).await;
    world.start();
    become_ready(&world, documents("examples/tenant")).await;
    world.emulator().add_user("minnie.mouse", "minnie.mouse", &[]);
    become_ready(&world, documents("examples/onboarding")).await;
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_another_cluster_everything_is_found_and_secrets_from_a_backup_count() {
    let mut world = tenant("lost").await;
    let (former, events, kept) = (world.namespace.clone(), world.events(), held(&world).await);
    apply_elsewhere(&mut world, &kept).await;
    are_found(&world, &former, &[("MachineKey", "orders-import")]).await;
    // Nobody says whose the key's Secret is.
    world.reason("MachineKey", "orders-import", "Conflict").await;
    assert_eq!(world.events(), events, "nothing is written");
    let values = |all: Vec<Secret>| all.into_iter().map(|s| s.data).collect::<Vec<_>>();
    assert_eq!(values(held(&world).await), values(kept));

    secrets(&world).delete("orders-import", &DeleteParams::default()).await.unwrap();
    world.ready("MachineKey", "orders-import").await;
    assert_eq!(world.count("user.machine.key.added"), 2, "the former one is valid until its end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_another_cluster_without_the_secrets_keys_are_new_and_client_secrets_are_asked_for() {
    let mut world = tenant("lost").await;
    let (former, events) = (world.namespace.clone(), world.events());
    apply_elsewhere(&mut world, &[]).await;
    let clients = [("OidcApplication", "orders-web"), ("ApiApplication", "orders-api")];
    are_found(&world, &former, &[&clients[..], &[("MachineKey", "orders-import")]].concat()).await;
    assert_eq!(world.ready("MachineKey", "orders-import").await["provenance"], "Created");
    for (kind, name) in clients {
        world.reason(kind, name, "AdoptionRefused").await;
    }
    assert_eq!(world.events(), events, "but for the key nothing is written");

    for (kind, name) in clients {
        world.patch(kind, name, json!({"spec": {"secret": {"onMissing": "Reissue"}}})).await;
        world.ready(kind, name).await;
    }
    // All Secrets are there again.
    held(&world).await;
}
