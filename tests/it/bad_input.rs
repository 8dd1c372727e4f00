//! Bad input is refused by the API server with a message that says what to do, or stalls that
//! object alone.

use kastellan::contract::Fields;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::{
    remote::entry,
    world::{World, condition},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_server_refuses_what_a_schema_can_tell() {
    let mut world = World::bare("refused").await;
    let _ = world.another_namespace().await;
    let instance = |change: Value| {
        let mut spec = json!({"issuer": "https://auth.example.com", "credentials": {"personalAccessToken": {"secretRef": {"name": "a", "key": "b"}}}});
        spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        spec
    };
    let both = json!({"personalAccessToken": {"secretRef": {"name": "a", "key": "b"}}, "privateKey": {"secretRef": {"name": "a", "key": "b"}}});
    let cases = [
        ("Project", json!({"organizationRef": {"name": "a"}, "nonsense": 1}), "nonsense"),
        (
            "Project",
            json!({"organizationRef": {"name": "a"}, "name": "n".repeat(201)}),
            "may not be more than 200",
        ),
        ("Project", json!({"organizationRef": {"name": "a"}, "name": ""}), "at least 1 chars"),
        (
            "Project",
            json!({"organizationRef": {"name": "a"}, "projectRoleCheck": "yes"}),
            "projectRoleCheck",
        ),
        (
            "Project",
            json!({"organizationRef": {"name": "a"}, "privateLabelingSetting": "Nope"}),
            "EnforceProjectResourceOwnerPolicy",
        ),
        ("Project", json!({"name": "a"}), "set organizationRef"),
        // An id that no call may carry.
        ("Project", json!({"organizationId": "../../admin"}), "organizationId"),
        (
            "Project",
            json!({"organizationRef": {"name": "a"}, "organizationId": "1"}),
            "exclude each other",
        ),
        (
            "Project",
            json!({"organizationRef": {"name": "a"}, "instanceRef": {"name": "b"}}),
            "remove instanceRef",
        ),
        ("PrivacyPolicy", json!({"supportEmail": "nobody"}), "must be an e-mail address"),
        ("Restrictions", json!({"allowedLanguages": ["en", "en"]}), "items must be unique"),
        ("Instance", instance(json!({"credentials": {}})), "exactly one of"),
        ("Instance", instance(json!({"credentials": both})), "exactly one of"),
        ("Instance", instance(json!({"issuer": "auth.example.com"})), "must be a URL"),
        ("Instance", instance(json!({"pollInterval": "soon"})), "pollInterval"),
    ];
    for (kind, spec, part) in cases {
        let refused = world
            .try_apply(kind, "bad", spec.clone())
            .await
            .expect_err(&format!("{kind} {spec} is refused"));
        assert!(refused.contains(part), "{kind} {spec}: {refused}");
    }
    for (kind, spec) in [
        ("PrivacyPolicy", json!({"supportEmail": ""})),
        ("PrivacyPolicy", json!({"supportEmail": "help@example.com", "tosLink": null})),
        ("Project", json!({"organizationId": "1", "name": "n".repeat(200)})),
        ("Instance", instance(json!({}))),
    ] {
        world.try_apply(kind, "good", spec).await.unwrap();
    }
    let immutable =
        world.try_apply("Project", "good", json!({"organizationId": "2"})).await.unwrap_err();
    assert!(immutable.contains("immutable"), "{immutable}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_zitadel_can_tell_stalls_that_object_alone() {
    let world = World::new("stalls").await;
    let events = world.events();
    world.apply("Restrictions", "it", json!({"allowedLanguages": ["en", "tlh"]})).await;
    let message = world.reason("Restrictions", "it", "InvalidSpec").await;
    assert!(message.contains("tlh") && message.contains("supports"), "{message}");
    world.apply("Restrictions", "it", json!({"allowedLanguages": ["de", "fr"]})).await;
    let o = world
        .until("Restrictions", "it", "told of the default language", |o| {
            condition(o, "Ready")["message"]
                .as_str()
                .is_some_and(|m| m.contains("default language en"))
        })
        .await;
    assert_eq!(condition(&o, "Stalled")["status"], "True");
    assert_eq!(world.events(), events, "nothing was written");
    world.apply("Organization", "acme", json!({})).await;
    world.ready("Organization", "acme").await;
    world.apply("Restrictions", "it", json!({"allowedLanguages": ["en", "de"]})).await;
    world.ready("Restrictions", "it").await;
}

/// Objects that were stored while an older CRD was installed may be anything. The CRDs are
/// everybody's here, so that the older one is played by a status and a spec that today's schema
/// lets pass and today's code can't read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_cannot_be_read_stalls_alone() {
    let world = World::new("unreadable").await;
    world.apply("Organization", "acme", json!({})).await;
    world.ready("Organization", "acme").await;
    // The id of something in another organization.
    let other = world.at(None);
    let other =
        entry("Organization").create(&other, "o", &Fields::from(json!({"name": "O"}))).await;
    let at = world.at(Some(other.unwrap().as_str()));
    entry("Project").create(&at, "theirs", &Fields::from(json!({"name": "T"}))).await.unwrap();
    let bad = json!({"organizationRef": {"name": "acme"}, "id": "theirs"});
    world.apply("Project", "bad", bad).await;
    let message = world.reason("Project", "bad", "InvalidSpec").await;
    assert!(message.contains("theirs"), "{message}");
    // A status that means nothing.
    let patch = json!({"status": {"original": {"x": 1}, "observedGeneration": -7}});
    world
        .api("Organization")
        .patch_status("acme", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
    world.apply("Project", "good", json!({"organizationRef": {"name": "acme"}})).await;
    world.ready("Project", "good").await;
    world.ready("Organization", "acme").await;
}
