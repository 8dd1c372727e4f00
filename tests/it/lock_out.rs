//! What would lock everybody out is refused, until the object insists.

use std::time::Duration;

use kastellan::{api::ALLOW_LOCK_OUT, contract::Key, engine::report::Outcome};
use serde_json::{Value, json};

use crate::{
    inprocess::{Lab, key},
    line::{Reach, Strike},
    remote::{Place, entry},
};

/// The object is refused, and does nothing until it insists.
async fn is_refused(lab: &Lab, object: &Key, because: &str) {
    let events = lab.emulator.events().len();
    lab.look(object).await;
    let (reason, message) = lab.reason(object);
    assert_eq!(reason, "LockOut", "{message}");
    assert!(message.contains(because) && message.contains(ALLOW_LOCK_OUT), "{message}");
    assert_eq!(lab.emulator.events().len(), events, "nothing was written");
}

/// Declares an object that does not insist.
fn declare(lab: &Lab, kind: &str, name: &str, spec: Value) -> Key {
    let key = lab.declare("ns", kind, name, spec);
    lab.edit(&key, |o| o.annotations.clear());
    key
}

async fn insists(lab: &Lab, object: &Key) {
    lab.edit(object, |o| drop(o.annotations.insert(ALLOW_LOCK_OUT.into(), "true".into())));
    lab.look(object).await;
}

async fn exists(lab: &Lab, kind: &str, id: &str) -> bool {
    let at = lab.client_at(Place::instance());
    entry(kind).read(&at, id).await.unwrap().is_some()
}

#[tokio::test(start_paused = true)]
async fn a_login_without_a_way_in_is_refused() {
    let lab = Lab::new().await;
    let closed = json!({
        "allowUsernamePassword": false,
        "passwordlessType": "NotAllowed",
        "allowExternalIdp": false,
    });
    let policy = declare(&lab, "LoginPolicy", "login", closed);
    is_refused(&lab, &policy, "nobody could log in: passwords and passkeys").await;
    let drift = lab.status(&policy).drift;
    assert!(drift.iter().any(|d| d.field == "allowUsernamePassword"), "{drift:?}");
    insists(&lab, &policy).await;
    assert!(lab.status(&policy).is_ready(), "{:?}", lab.reason(&policy));
}

#[tokio::test(start_paused = true)]
async fn a_factor_that_nobody_may_have_is_not_asked_of_everybody() {
    let lab = Lab::new().await;
    // What is not declared counts too.
    let lists = json!({"secondFactors": [], "multiFactors": []});
    let policy = declare(&lab, "LoginPolicy", "login", lists.clone());
    lab.look(&policy).await;
    assert!(lab.status(&policy).is_ready(), "{:?}", lab.reason(&policy));
    lab.edit(&policy, |o| o.spec = json!({"forceMfa": true}));
    is_refused(&lab, &policy, "secondFactors and multiFactors").await;
    lab.edit(&policy, |o| o.spec = json!({"forceMfa": true, "secondFactors": ["Otp"]}));
    lab.look(&policy).await;
    assert!(lab.status(&policy).is_ready(), "{:?}", lab.reason(&policy));
}

#[tokio::test(start_paused = true)]
async fn the_last_owner_of_the_instance_stays_in_any_way() {
    let lab = Lab::new().await;
    declare(&lab, "Organization", "home", json!({}));
    let ada = declare(&lab, "MachineUser", "ada", json!({"organizationRef": {"name": "home"}}));
    let spec = json!({"userRef": {"name": "ada"}, "roles": ["IAM_OWNER"]});
    let owner = declare(&lab, "Administrator", "owner", spec);
    lab.settle().await;
    assert!(lab.status(&owner).is_ready(), "{:?}", lab.reason(&owner));
    let id = lab.status(&ada).id.unwrap();

    lab.edit(&owner, |o| o.spec["roles"] = json!(["IAM_OWNER_VIEWER"]));
    is_refused(&lab, &owner, "nobody but Kastellan itself").await;
    lab.edit(&ada, |o| o.spec["state"] = json!("Inactive"));
    is_refused(&lab, &ada, "nobody but Kastellan itself").await;
    lab.edit(&ada, |o| o.spec["state"] = json!("Active"));
    lab.delete(&owner);
    is_refused(&lab, &owner, "nobody but Kastellan itself").await;
    assert!(exists(&lab, "Administrator", &id).await);

    // With another one nobody is missed.
    lab.minnie(None);
    lab.look(&owner).await;
    assert!(lab.object(&owner).is_none(), "{:?}", lab.reason(&owner));
    assert!(!exists(&lab, "Administrator", &id).await);
}

#[tokio::test(start_paused = true)]
async fn the_last_owner_goes_where_somebody_insists() {
    let lab = Lab::new().await;
    declare(&lab, "Organization", "home", json!({}));
    declare(&lab, "MachineUser", "ada", json!({"organizationRef": {"name": "home"}}));
    let spec = json!({"userRef": {"name": "ada"}, "roles": ["IAM_OWNER"]});
    let owner = declare(&lab, "Administrator", "owner", spec);
    lab.settle().await;
    lab.delete(&owner);
    is_refused(&lab, &owner, "nobody but Kastellan itself").await;
    insists(&lab, &owner).await;
    assert!(lab.object(&owner).is_none(), "{:?}", lab.reason(&owner));
}

#[tokio::test(start_paused = true)]
async fn the_home_of_kastellans_own_account_stays_and_stays_active() {
    let lab = Lab::new().await;
    let home = lab.client.get::<Value>(None, "/auth/v1/users/me").await.unwrap();
    let home = home["user"]["details"]["resourceOwner"].as_str().unwrap().to_owned();
    let spec = json!({"id": home, "adoptionPolicy": "Always", "deletionPolicy": "Delete"});
    let organization = declare(&lab, "Organization", "home", spec);
    lab.look(&organization).await;
    assert!(lab.status(&organization).is_ready(), "{:?}", lab.reason(&organization));

    lab.edit(&organization, |o| o.spec["state"] = json!("Inactive"));
    is_refused(&lab, &organization, "the account that Kastellan itself acts as is in it").await;
    lab.edit(&organization, |o| o.spec.as_object_mut().unwrap().remove("state").map_or((), drop));
    lab.delete(&organization);
    is_refused(&lab, &organization, "the account that Kastellan itself acts as is in it").await;
    assert!(exists(&lab, "Organization", &home).await);
}

#[tokio::test(start_paused = true)]
async fn a_plan_says_so_before_anything_is_done() {
    let lab = Lab::new().await;
    let policy = declare(
        &lab,
        "LoginPolicy",
        "login",
        json!({
            "forceMfa": true, "secondFactors": [], "multiFactors": [],
        }),
    );
    let plan = format!("{:?}", lab.plan(&policy).await);
    assert!(plan.contains("LockOut"), "{plan}");
}

/// Two accounts who own the instance, by objects of this namespace.
async fn two_owners(lab: &Lab) -> [Key; 2] {
    lab.declare("ns", "Organization", "home", json!({"deletionPolicy": "Delete"}));
    let owners = ["ada", "bob"].map(|name| {
        lab.declare("ns", "MachineUser", name, json!({"organizationRef": {"name": "home"}}));
        let spec = json!({"userRef": {"name": name}, "roles": ["IAM_OWNER"]});
        declare(lab, "Administrator", name, spec)
    });
    lab.settle().await;
    owners
}

#[tokio::test(start_paused = true)]
async fn of_owners_who_go_at_the_same_time_one_stays() {
    let lab = Lab::new().await;
    let [ada, bob] = two_owners(&lab).await;
    // Each still reads the other one.
    lab.emulator.faults().lag(Duration::from_secs(10));
    lab.delete(&ada);
    lab.delete(&bob);
    let (first, second) = tokio::join!(lab.attempt(&ada), lab.attempt(&bob));
    let told = |outcome: &Outcome| {
        outcome.status.condition("Ready").map(|ready| ready.reason.clone()).unwrap_or_default()
    };
    assert!(first.release && !second.release, "{} {}", told(&first), told(&second));
    assert_eq!(told(&second), "LockOut");
    assert_eq!(lab.count("instance.member.removed"), 1);
}

#[tokio::test(start_paused = true)]
async fn the_organization_of_all_owners_stays() {
    let lab = Lab::new().await;
    two_owners(&lab).await;
    let home = key("Organization", "ns", "home");
    lab.edit(&home, |o| o.annotations.clear());
    lab.edit(&home, |o| o.spec["state"] = json!("Inactive"));
    is_refused(&lab, &home, "nobody but Kastellan itself").await;
    lab.minnie(None);
    lab.look(&home).await;
    assert!(lab.status(&home).is_ready(), "{:?}", lab.reason(&home));
}

#[tokio::test(start_paused = true)]
async fn the_only_provider_of_a_login_without_passwords_stays() {
    let lab = Lab::new().await;
    let provider = |name: &str| {
        let spec = json!({"jwt": {
            "issuer": "https://id.example", "jwtEndpoint": "https://id.example/jwt",
            "keysEndpoint": "https://id.example/keys", "headerName": "x-token",
        }});
        declare(&lab, "IdentityProvider", name, spec)
    };
    let (one, two) = (provider("one"), provider("two"));
    lab.settle().await;
    let offered = [&one, &two].map(|provider| lab.status(provider).id.unwrap());
    let spec = json!({
        "allowUsernamePassword": false, "passwordlessType": "NotAllowed",
        "allowExternalIdp": true, "identityProviderIds": offered,
    });
    let policy = declare(&lab, "LoginPolicy", "login", spec);
    lab.look(&policy).await;
    assert!(lab.status(&policy).is_ready(), "{:?}", lab.reason(&policy));

    lab.delete(&one);
    lab.look(&one).await;
    assert!(lab.object(&one).is_none(), "there is another one: {:?}", lab.reason(&one));
    lab.delete(&two);
    is_refused(&lab, &two, "no identity provider is offered").await;
    insists(&lab, &two).await;
    assert!(lab.object(&two).is_none(), "{:?}", lab.reason(&two));
}

#[tokio::test(start_paused = true)]
async fn an_account_that_may_not_see_the_owners_may_remove_its_own_users() {
    let lab = Lab::new().await;
    lab.declare("ns", "Organization", "home", json!({}));
    let ada = declare(&lab, "MachineUser", "ada", json!({"organizationRef": {"name": "home"}}));
    lab.settle().await;
    let pat = lab.emulator.add_user("keeper", "Keeper", &["IAM_ORG_MANAGER"]).pat;
    lab.act_as(&pat).await;
    lab.delete(&ada);
    lab.look(&ada).await;
    assert!(lab.object(&ada).is_none(), "{:?}", lab.reason(&ada));
}

#[tokio::test(start_paused = true)]
async fn where_it_can_not_be_asked_who_stays_nobody_goes() {
    let lab = Lab::new().await;
    let [ada, _] = two_owners(&lab).await;
    lab.delete(&ada);
    lab.line().strike(Reach::Reads, Strike::Error(500, 13));
    lab.look(&ada).await;
    assert_eq!(lab.count("instance.member.removed"), 0);
    lab.line().heal();
    lab.look(&key("Instance", "ns", "default")).await;
    lab.look(&ada).await;
    assert!(lab.object(&ada).is_none(), "{:?}", lab.reason(&ada));
}
