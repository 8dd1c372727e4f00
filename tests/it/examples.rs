//! The examples are what they say they are: applied as they stand, all of them become Ready.

use std::{fs, path::Path};

use serde_json::Value;

use crate::world::World;

/// The documents of a folder's YAML files, in the order of their names.
pub(crate) fn documents(dir: &str) -> Vec<Value> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|f| f.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "yaml"))
        .collect();
    files.sort();
    files
        .iter()
        .flat_map(|f| {
            serde_saphyr::from_multiple::<Value>(&fs::read_to_string(f).unwrap()).unwrap()
        })
        .collect()
}

pub(crate) async fn become_ready(world: &World, documents: Vec<Value>) {
    world.secret("kastellan", "pat", &world.emulator().pat()).await;
    let mut applied = Vec::new();
    for mut document in documents {
        if document["kind"] == "ConfigMap" {
            world.config_map(&document).await;
            continue;
        }
        if document["kind"] == "Instance" {
            document["spec"]["issuer"] = world.issuer().into();
        }
        let (kind, name) = (
            document["kind"].as_str().unwrap().to_owned(),
            document["metadata"]["name"].as_str().unwrap().to_owned(),
        );
        for input in kastellan::kinds::REGISTRY.find(&kind).unwrap().inputs {
            if let Some(source) = input.read(&document["spec"]).unwrap() {
                world.secret(&source.name, &source.key, "S3cret-value").await;
            }
        }
        world.apply(&kind, &name, document["spec"].take()).await;
        applied.push((kind, name));
    }
    for (kind, name) in applied {
        world.ready(&kind, &name).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_becomes_ready() {
    let mut world = World::bare("examples").await;
    world.start();
    let documents = documents("examples");
    for entry in kastellan::kinds::REGISTRY.all() {
        let kind = entry.kind();
        assert!(documents.iter().any(|d| d["kind"] == kind), "{kind} has an example");
    }
    become_ready(&world, documents).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_tenant_becomes_ready() {
    let mut world = World::bare("tenant").await;
    world.start();
    become_ready(&world, documents("examples/tenant")).await;
}
