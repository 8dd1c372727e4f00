//! What a team brings along, from `examples/onboarding`: an OAuth client logs in by what is in the
//! Secrets, whatever happens to them meanwhile.

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, api::DeleteParams};
use serde_json::{Value, json};

use crate::{
    examples::{become_ready, documents},
    world::{World, eventually},
};

/// A Secret's values.
async fn secret(world: &World, name: &str) -> Option<Value> {
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
    let data = secrets.get_opt(name).await.unwrap()?.data?;
    let text = |bytes: Vec<u8>| Value::from(String::from_utf8(bytes).unwrap());
    Some(data.into_iter().map(|(key, value)| (key, text(value.0))).collect())
}

async fn post(world: &World, path: &str, form: &[(&str, &str)]) -> Value {
    let client = reqwest::Client::new();
    let url = format!("{}{path}", world.issuer());
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = client.post(url).header("content-type", "application/x-www-form-urlencoded");
    let answer = request.body(body).send().await.unwrap();
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

/// An access token for a project, by the key in the Secret `orders-import` (JWT profile).
async fn token(world: &World, project: &str) -> String {
    let held = secret(world, "orders-import").await.unwrap();
    let file: Value = serde_json::from_str(held["key.json"].as_str().unwrap()).unwrap();
    let now = Timestamp::now().as_second();
    let claims = json!({
        "iss": file["userId"], "sub": file["userId"], "aud": world.issuer(), "iat": now,
        "exp": now + 60,
    });
    let header = Header {
        kid: Some(file["keyId"].as_str().unwrap().into()),
        ..Header::new(Algorithm::RS256)
    };
    let key = EncodingKey::from_rsa_pem(file["key"].as_str().unwrap().as_bytes()).unwrap();
    let assertion = jsonwebtoken::encode(&header, &claims, &key).unwrap();
    let scope = format!("openid urn:zitadel:iam:org:project:id:{project}:aud");
    let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    let form = [("grant_type", grant), ("scope", &scope), ("assertion", &assertion)];
    let answer = post(world, "/oauth/v2/token", &form).await;
    answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// The API asks what a token means, by what is in the Secret `orders-api`.
async fn introspected(world: &World, token: &str) -> Value {
    let held = secret(world, "orders-api").await.unwrap();
    let text = |key: &str| held[key].as_str().unwrap().to_owned();
    let (id, secret) = (text("clientId"), text("clientSecret"));
    let form = [("client_id", &*id), ("client_secret", &*secret), ("token", token)];
    post(world, "/oauth/v2/introspect", &form).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_logs_in_by_what_is_in_the_secrets_whatever_happens() {
    let mut world = World::bare("onboarding").await;
    world.start();
    become_ready(&world, documents("examples/tenant")).await;
    world.emulator().add_user("minnie.mouse", "minnie.mouse", &[]);
    become_ready(&world, documents("examples/onboarding")).await;
    let project = world.ready("Project", "orders").await["id"].as_str().unwrap().to_owned();
    let account = world.ready("MachineUser", "orders-import").await["id"].clone();
    let works = async |world: &World| {
        let token = token(world, &project).await;
        let answer = introspected(world, &token).await;
        assert_eq!((&answer["active"], &answer["sub"]), (&json!(true), &account), "{answer}");
    };
    works(&world).await;
    let web = secret(&world, "orders-web").await.unwrap();
    let keys: Vec<&String> = web.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", "OIDC_ISSUER"]);

    // The project has another name.
    world.patch("Project", "orders", json!({"spec": {"name": "Sales"}})).await;
    world.ready("Project", "orders").await;
    works(&world).await;

    // The Secrets go, and the operator with them.
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
    let before = [secret(&world, "orders-api").await, secret(&world, "orders-import").await];
    world.kill();
    for name in ["orders-api", "orders-import"] {
        secrets.delete(name, &DeleteParams::default()).await.unwrap();
    }
    world.start();
    let now = async || [secret(&world, "orders-api").await, secret(&world, "orders-import").await];
    let are_back = |now: &[Option<Value>; 2]| now.iter().all(Option::is_some) && *now != before;
    eventually("the Secrets are back", now, are_back).await;
    works(&world).await;

    // All of it goes in an order that works.
    for document in documents("examples/onboarding") {
        let text = |pointer: &str| document.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        world.delete(&text("/kind"), &text("/metadata/name")).await;
    }
    for document in documents("examples/onboarding") {
        let text = |pointer: &str| document.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        world.gone(&text("/kind"), &text("/metadata/name")).await;
    }
    world.stop().await;
}
