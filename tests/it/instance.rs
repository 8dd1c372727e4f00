//! Instances: credentials of every kind, good and bad; hosts; another instance behind the same
//! address.

use serde_json::json;
use zitadel_emulator::Outage;

use crate::world::{World, condition};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_token_connects_and_the_status_says_to_what() {
    let world = World::new("token").await;
    let status = world.ready("Instance", "default").await;
    assert_eq!(status["instanceId"], world.emulator().instance_id());
    assert_eq!(status["account"]["scope"], "instance");
    assert_eq!(status["feed"]["mode"], "Following");
    assert!(status["version"].is_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_file_connects_and_expired_tokens_are_renewed() {
    let mut world = World::bare("key").await;
    world.start();
    world.secret("kastellan", "key.json", &world.emulator().key_file()).await;
    let spec = json!({"issuer": world.issuer(), "pollInterval": "1s", "credentials": {"privateKey": {"secretRef": {"name": "kastellan", "key": "key.json"}}}});
    world.apply("Instance", "default", spec).await;
    world.ready("Instance", "default").await;
    world.emulator().faults().expire_tokens();
    world.apply("Organization", "acme", json!({})).await;
    world.ready("Organization", "acme").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_is_said_and_a_new_secret_is_taken_up_at_once() {
    let mut world = World::bare("wrong").await;
    world.start();
    world.secret("kastellan", "pat", "wrong").await;
    world.apply("Instance", "default", world.instance_spec()).await;
    world.apply("Organization", "acme", json!({})).await;
    world.reason("Instance", "default", "Unauthenticated").await;
    world.reason("Organization", "acme", "WaitingForReference").await;
    world.secret("kastellan", "pat", &world.emulator().pat()).await;
    world.ready("Instance", "default").await;
    world.ready("Organization", "acme").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_secrets_and_keys_are_named_and_waited_for() {
    let mut world = World::bare("missing").await;
    world.start();
    world.apply("Instance", "default", world.instance_spec()).await;
    let message = world.reason("Instance", "default", "WaitingForReference").await;
    assert!(
        message.contains("Secret")
            && message.contains("kastellan")
            && message.contains("does not exist"),
        "{message}"
    );
    world.secret("kastellan", "other", "x").await;
    let o = world
        .until("Instance", "default", "missing a key", |o| {
            condition(o, "Ready")["message"].as_str().is_some_and(|m| m.contains("key pat"))
        })
        .await;
    assert_eq!(condition(&o, "Reconciling")["status"], "True");
    world.secret("kastellan", "pat", &world.emulator().pat()).await;
    world.ready("Instance", "default").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_key_file_is_said_without_repeating_it() {
    let mut world = World::bare("nokey").await;
    world.start();
    world.secret("kastellan", "key.json", "{\"keyId\": \"1\", \"key\": \"s3cret\"}").await;
    let spec = json!({"issuer": world.issuer(), "credentials": {"privateKey": {"secretRef": {"name": "kastellan", "key": "key.json"}}}});
    world.apply("Instance", "default", spec).await;
    let message = world.reason("Instance", "default", "Unauthenticated").await;
    assert!(message.contains("key file") && !message.contains("s3cret"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_selects_no_instance_is_told_from_a_wrong_path() {
    let mut world = World::bare("host").await;
    world.start();
    world.secret("kastellan", "pat", &world.emulator().pat()).await;
    let mut spec = world.instance_spec();
    // 127.0.0.1 reaches the server, but the instance is `localhost`.
    spec["issuer"] = world.zitadel.url().replace("localhost", "127.0.0.1").into();
    world.apply("Instance", "default", spec.clone()).await;
    let message = world.reason("Instance", "default", "InvalidSpec").await;
    assert!(message.contains("issuer"), "{message}");
    // The way out: say both.
    spec["issuer"] = "http://localhost".into();
    spec["address"] = world.zitadel.url().replace("localhost", "127.0.0.1").into();
    world.apply("Instance", "default", spec).await;
    world.ready("Instance", "default").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_address_is_said_and_tried_again() {
    let mut world = World::bare("down").await;
    world.start();
    world.emulator().faults().down(Outage::Reset);
    world.connect().await;
    world.reason("Instance", "default", "Unreachable").await;
    world.emulator().faults().up();
    world.ready("Instance", "default").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_not_allowed_is_never_connected_to() {
    let mut world = World::bare("allowed").await;
    world.start();
    world.secret("kastellan", "pat", &world.emulator().pat()).await;
    let mut spec = world.instance_spec();
    spec["issuer"] = "http://169.254.169.254".into();
    world.apply("Instance", "default", spec).await;
    let message = world
        .until("Instance", "default", "refused", |o| condition(o, "Stalled")["status"] == "True")
        .await;
    assert!(message["status"].to_string().contains("not an allowed address"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_instance_behind_the_same_address_gets_no_write() {
    let mut world = World::new("another").await;
    world.apply("Organization", "acme", json!({})).await;
    world.ready("Organization", "acme").await;
    world.stop().await;
    world.emulator().faults().new_instance();
    let events = world.events();
    world.start();
    world.reason("Instance", "default", "InstanceChanged").await;
    world.apply("Organization", "acme", json!({"name": "New"})).await;
    world
        .until("Organization", "acme", "waiting", |o| condition(o, "Ready")["status"] == "False")
        .await;
    assert_eq!(world.events(), events);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organizations_owner_keeps_its_organization_and_is_told_what_it_may_not() {
    let mut world = World::bare("owner").await;
    world.start();
    let user = world.emulator().add_user("owner", "owner", &["ORG_OWNER"]);
    world.secret("kastellan", "pat", &user.pat).await;
    world.apply("Instance", "default", world.instance_spec()).await;
    let status = world.ready("Instance", "default").await;
    let scope = status["account"]["scope"].as_str().unwrap().to_owned();
    let id =
        scope.strip_prefix("organization ").expect("the scope names the organization").to_owned();
    assert_eq!(
        status["instanceId"],
        world.emulator().instance_id(),
        "found without the right to read the instance"
    );
    world
        .until("Instance", "default", "polling", |o| o["status"]["feed"]["mode"] == "Polling")
        .await;
    world.apply("Project", "mine", json!({"organizationId": id})).await;
    world.ready("Project", "mine").await;
    world.apply("Restrictions", "not-mine", json!({"disallowPublicOrgRegistration": true})).await;
    let message = world.reason("Restrictions", "not-mine", "Forbidden").await;
    assert!(message.contains("permission"), "{message}");
    world.ready("Project", "mine").await;
}
