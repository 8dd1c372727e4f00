//! At rest nothing is written, on either side.

use serde_json::json;

use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_forced_reconciles_of_everything_write_nothing() {
    let world = World::new("rest").await;
    world.apply("Organization", "acme", json!({})).await;
    let in_organization = |more: serde_json::Value| {
        let mut spec = json!({"organizationRef": {"name": "acme"}});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    let objects = [
        ("Organization", "acme", json!({})),
        ("Project", "shop", in_organization(json!({"projectRoleCheck": true}))),
        (
            "SecurityPolicy",
            "it",
            json!({"embeddedIframe": {"allowedOrigins": ["https://b.example", "https://a.example"]}}),
        ),
        ("Restrictions", "it", json!({"allowedLanguages": ["de", "en"]})),
        ("PrivacyPolicy", "it", json!({"tosLink": "https://a.example"})),
        ("PrivacyPolicy", "acme", in_organization(json!({"helpLink": "https://b.example"}))),
        ("DomainPolicy", "it", json!({"userLoginMustBeDomain": true})),
        ("DomainPolicy", "acme", in_organization(json!({"userLoginMustBeDomain": false}))),
    ];
    for (kind, name, spec) in &objects {
        world.apply(kind, name, spec.clone()).await;
    }
    for (kind, name, _) in &objects {
        world.ready(kind, name).await;
    }
    let mut all: Vec<(&str, &str)> = objects.iter().map(|(kind, name, _)| (*kind, *name)).collect();
    all.push(("Instance", "default"));
    // The domain policy changed the account's login name, which the Instance tells.
    world.force("Instance", "default").await;
    world
        .until("Instance", "default", "counted", |o| {
            o["status"]["objects"]["ready"] == objects.len()
        })
        .await;
    let events = world.events();
    for _ in 0..5 {
        // Each time it is compared twice.
        for (kind, name) in &all {
            let (asked, afterwards) = world.force(kind, name).await;
            assert_eq!(asked, afterwards, "{kind} {name}: no patch of the status");
        }
    }
    assert_eq!(world.events(), events, "no event in ZITADEL");
}
