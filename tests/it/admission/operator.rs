//! The rules are in nobody's way but theirs whom they are for.

use serde_json::json;

use super::{Ruled, all_rules};
use crate::{
    examples::{become_ready, documents},
    world::{World, eventually},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_works_under_all_rules_and_deletes_what_was_there_before_them() {
    let mut world = World::bare("ruled").await;
    // What no rule would let in, from before: an operator has never seen it.
    world.apply("Organization", "old", json!({"deletionPolicy": "Delete"})).await;
    world.apply("Project", "old", json!({"organizationRef": {"name": "old"}})).await;
    let spec =
        json!({"projectRef": {"name": "old"}, "devMode": true, "redirectUris": ["http://x/"]});
    world.apply("OidcApplication", "old", spec).await;
    world.apply("MachineUser", "old", json!({"organizationRef": {"name": "old"}})).await;
    let spec = json!({"userRef": {"name": "old"}, "lifetime": "8760h", "secret": {"name": "old"}});
    world.apply("MachineKey", "old", spec).await;
    world.apply("Restrictions", "old", json!({"disallowPublicOrgRegistration": false})).await;

    let ruled = Ruled { client: world.client.clone(), namespace: world.namespace.clone() };
    ruled.set(&[&ruled.namespace], all_rules()).await;
    ruled.apply("Restrictions", "new", json!({})).await.unwrap_err();
    world.start();
    world.connect().await;
    let old =
        ["Restrictions", "MachineKey", "MachineUser", "OidcApplication", "Project", "Organization"];
    for kind in old {
        world.ready(kind, "old").await;
    }
    for kind in old {
        world.delete(kind, "old").await;
        world.gone(kind, "old").await;
    }

    ruled.mark(&ruled.namespace, json!({"labels": {"kastellan-test": "owner"}})).await;
    let allowed = async || {
        let (namespace, kind) = (&ruled.namespace, "Restrictions");
        ruled.try_metadata(namespace, kind, "probe", json!({}), json!({}), true).await
    };
    eventually("an owner", allowed, Result::is_ok).await.unwrap();
    become_ready(&world, documents("examples")).await;
    for entry in kastellan::kinds::REGISTRY.all().collect::<Vec<_>>().into_iter().rev() {
        for document in documents("examples").iter().filter(|d| d["kind"] == entry.kind()) {
            let name = document["metadata"]["name"].as_str().unwrap();
            world.delete(entry.kind(), name).await;
            world.gone(entry.kind(), name).await;
        }
    }
}
