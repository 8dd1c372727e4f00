//! Login policies: what an organization's first own one keeps, and what comes and goes without an
//! event of the policy. What all settings do is in `contract` and `laws`.

use kastellan::{
    contract::{Key, Place},
    live::Touched,
    zitadel::Path,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    inprocess::Lab,
    remote::{Access, InPlace, entry},
};

const KIND: &str = "LoginPolicy";

/// Somebody else's call.
async fn by_minnie(lab: &Lab, at: impl InPlace, method: Method, path: &str, body: Value) -> Value {
    let Access { client, place, .. } = lab.minnie(at);
    client.write(method, place.organization.as_deref(), path, &body).await.unwrap()
}

/// An identity provider of the instance.
async fn provider(lab: &Lab, name: &str) -> String {
    let body = json!({"name": name, "clientId": "client", "clientSecret": "secret"});
    let made = by_minnie(lab, None, Method::POST, "/admin/v1/idps/google", body).await;
    made["id"].as_str().unwrap().to_owned()
}

/// An organization, and its id.
async fn home(lab: &Lab) -> String {
    let home = lab.declare("ns", "Organization", "home", json!({}));
    lab.settle().await;
    lab.status(&home).id.unwrap()
}

fn own(lab: &Lab, fields: &Value) -> Key {
    let mut spec = json!({"organizationRef": {"name": "home"}});
    spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    lab.declare("ns", KIND, "own", spec)
}

async fn live(lab: &Lab, at: impl InPlace, fields: &[&str]) -> Vec<Value> {
    let access = Access::anonymous(lab.client.clone(), at.place());
    let read = entry(KIND).read(&access, "").await.unwrap().unwrap();
    fields.iter().map(|field| read.state.get(field).cloned().unwrap()).collect()
}

const LISTS: [&str; 3] = ["secondFactors", "multiFactors", "identityProviderIds"];

#[tokio::test]
async fn the_first_own_policy_keeps_what_was_inherited() {
    let lab = Lab::new().await;
    let (home, linked) = (home(&lab).await, provider(&lab, "linked").await);
    let instance = lab.apply(KIND, "default", json!({"identityProviderIds": [linked]})).await;
    assert!(instance.status.is_ready(), "{instance:?}");

    let key = own(&lab, &json!({"allowRegister": false, "passwordCheckLifetime": "1h30m"}));
    assert!(lab.look(&key).await.status.is_ready());
    assert_eq!(
        live(&lab, Some(&*home), &LISTS).await,
        [json!(["Otp", "U2f"]), json!(["U2fWithVerification"]), json!([linked])]
    );
    let scalars = ["allowRegister", "allowUsernamePassword", "passwordCheckLifetime"];
    assert_eq!(live(&lab, Some(&*home), &scalars).await, [json!(false), json!(true), json!("90m")]);
    let added = lab
        .emulator
        .events()
        .iter()
        .rev()
        .take(6)
        .fold(0, |n, event| n + usize::from(event.event_type == "org.policy.login.added"));
    assert_eq!(added, 1, "it is one call");
}

#[tokio::test]
async fn a_factor_that_was_added_before_there_was_a_policy_is_made_visible() {
    let lab = Lab::new().await;
    let home = home(&lab).await;
    let path = "/management/v1/policies/login/second_factors";
    let factor = json!({"type": "SECOND_FACTOR_TYPE_OTP_EMAIL"});
    by_minnie(&lab, Some(&*home), Method::POST, path, factor).await;

    let key = own(&lab, &json!({"allowRegister": false}));
    assert!(lab.look(&key).await.status.is_ready());
    assert_eq!(live(&lab, Some(&*home), &LISTS[..1]).await, [json!(["Otp", "U2f"])]);

    let key = own(&lab, &json!({"secondFactors": ["OtpEmail", "Otp"]}));
    let outcome = lab.look(&key).await;
    assert!(outcome.status.is_ready(), "{outcome:?}");
    assert_eq!(live(&lab, Some(&*home), &LISTS[..1]).await, [json!(["Otp", "OtpEmail"])]);
}

#[tokio::test]
async fn a_provider_that_is_deleted_wakes_the_policies_of_all_organizations() {
    let lab = Lab::new().await;
    let (home, shared) = (home(&lab).await, provider(&lab, "shared").await);
    let key = own(&lab, &json!({"identityProviderIds": [shared], "forceMfa": true}));
    assert!(lab.look(&key).await.status.is_ready());
    lab.poll().await.unwrap();
    assert_eq!(live(&lab, Some(&*home), &LISTS[2..]).await, [json!([shared])]);

    let path = Path::new("/admin/v1/idps/templates/{}", &[&shared]).unwrap();
    let Access { client, .. } = lab.minnie(None);
    client.write::<Value>(Method::DELETE, None, &path, &()).await.unwrap();
    let touched = lab.poll().await.unwrap().touched;
    let at_home = |t: &&Touched| t.kind == KIND && t.place == Place::organization(&*home);
    let at_home = touched.iter().find(at_home).expect("the policy of the organization is touched");
    assert_eq!(lab.concerned(at_home), std::slice::from_ref(&key));

    // It can't be offered any more, and the message says which one.
    lab.look(&key).await;
    let (reason, message) = lab.reason(&key);
    assert!(message.contains("identityProviderIds") && message.contains(&shared), "{message}");
    assert_eq!(reason, "InvalidSpec");
    let key = own(&lab, &json!({"identityProviderIds": [], "forceMfa": true}));
    assert!(lab.look(&key).await.status.is_ready());
}

const PROVIDER: &str = "IdentityProvider";

/// An object for a provider.
fn declare_provider(lab: &Lab, namespace: &str, name: &str) -> Key {
    let google = json!({"clientId": "c", "clientSecretRef": {"name": "idp", "key": "secret"}});
    lab.declare(namespace, PROVIDER, name, json!({"google": google}))
}

#[tokio::test]
async fn a_policy_offers_what_objects_declare_and_what_has_an_id() {
    let lab = Lab::new().await;
    lab.put_input("idp", &[("secret", "s3cret")]);
    let (home, other) = (home(&lab).await, provider(&lab, "other").await);
    let offers = json!({"identityProviders": [{"name": "shared"}], "identityProviderIds": [other]});
    let key = own(&lab, &offers);
    lab.settle().await;
    let (reason, message) = lab.reason(&key);
    assert_eq!(reason, "WaitingForReference");
    assert!(message.contains("IdentityProvider ns/shared"), "{message}");

    let shared = declare_provider(&lab, "ns", "shared");
    lab.settle().await;
    assert!(lab.status(&key).is_ready(), "{:?}", lab.reason(&key));
    let mut both = vec![lab.status(&shared).id.unwrap(), other];
    both.sort();
    assert_eq!(live(&lab, Some(&*home), &LISTS[2..]).await, [json!(both)]);

    // None of them is declared any more, and that is a declaration.
    let key = own(&lab, &json!({"identityProviders": []}));
    lab.settle().await;
    assert!(lab.status(&key).is_ready(), "{:?}", lab.reason(&key));
    assert_eq!(live(&lab, Some(&*home), &LISTS[2..]).await, [json!([])]);
}

#[tokio::test]
async fn a_provider_of_another_namespace_is_offered_if_it_allows_it() {
    let lab = Lab::new().await;
    home(&lab).await;
    lab.edit(&crate::inprocess::key("Instance", "ns", "default"), |o| {
        o.spec["allowedNamespaces"] = json!({"from": "All"});
        o.spec["instanceScope"] = json!({"from": "All"});
    });
    lab.label("other", "x", "y");
    let named = json!({"identityProviders": [{"name": "theirs", "namespace": "other"}]});
    let key = own(&lab, &named);
    lab.settle().await;
    let (reason, message) = lab.reason(&key);
    assert_eq!(reason, "Forbidden", "{message}");
    assert!(message.contains("allowedNamespaces"), "{message}");

    let jwt = json!({
        "issuer": "https://portal.example",
        "jwtEndpoint": "https://portal.example/jwt",
        "keysEndpoint": "https://portal.example/keys",
        "headerName": "x-jwt",
    });
    let theirs = json!({
        "instanceRef": {"name": "default", "namespace": "ns"},
        "allowedNamespaces": {"from": "All"},
        "jwt": jwt,
    });
    lab.declare("other", PROVIDER, "theirs", theirs);
    lab.settle().await;
    assert!(lab.status(&key).is_ready(), "{:?}", lab.reason(&key));
}

#[tokio::test]
async fn a_provider_goes_after_the_policies_that_name_it() {
    let lab = Lab::new().await;
    lab.put_input("idp", &[("secret", "s3cret")]);
    home(&lab).await;
    let shared = declare_provider(&lab, "ns", "shared");
    let key = own(&lab, &json!({"identityProviders": [{"name": "shared"}]}));
    lab.settle().await;
    assert!(lab.status(&key).is_ready(), "{:?}", lab.reason(&key));

    lab.delete(&shared);
    lab.delete(&key);
    lab.look(&shared).await;
    assert!(lab.object(&shared).is_some(), "the policy goes first");
    lab.settle().await;
    assert!(lab.object(&key).is_none() && lab.object(&shared).is_none());
    let position = |of: &str| {
        let events = lab.emulator.events();
        events.iter().position(|event| event.event_type == of).expect(of)
    };
    assert!(position("org.policy.login.removed") < position("instance.idp.removed"));
}

#[tokio::test]
async fn the_calls_of_one_write_are_all_our_own() {
    let lab = Lab::new().await;
    let (home, mine) = (home(&lab).await, provider(&lab, "mine").await);
    let key = own(&lab, &json!({"allowRegister": false}));
    assert!(lab.look(&key).await.status.is_ready());
    lab.poll().await.unwrap();

    let key = own(
        &lab,
        &json!({
            "allowRegister": true,
            "secondFactors": ["OtpSms", "U2f"],
            "multiFactors": [],
            "identityProviderIds": [mine],
        }),
    );
    assert!(lab.look(&key).await.status.is_ready());
    assert_eq!(
        live(&lab, Some(&*home), &LISTS).await,
        [json!(["U2f", "OtpSms"]), json!([]), json!([mine])]
    );
    let touched = lab.poll().await.unwrap().touched;
    assert!(touched.iter().all(|t| t.kind != KIND), "{touched:?}");
}
