//! A client with the rights of the chart's service account, or with none.

use std::process::Command;

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
    config::{AuthInfo, Kubeconfig},
    core::GroupVersionKind,
};
use serde_json::{Value, json};

use crate::world::{self, eventually};

/// Installs the chart's service account and rights under the name of the namespace, and gives a
/// client that has them.
pub(super) async fn of_chart(
    admin: &Client,
    kubeconfig: &Kubeconfig,
    namespace: &str,
    watched: &[String],
) -> Client {
    for object in chart(namespace, watched) {
        let gvk: Vec<&str> = object["apiVersion"].as_str().unwrap().split('/').collect();
        let (group, version) = if gvk.len() == 2 { (gvk[0], gvk[1]) } else { ("", gvk[0]) };
        let kind = object["kind"].as_str().unwrap();
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
            Some(ns) => Api::namespaced_with(admin.clone(), ns, &resource),
            None => Api::all_with(admin.clone(), &resource),
        };
        let name = object["metadata"]["name"].as_str().unwrap();
        api.patch(name, &PatchParams::apply("chart").force(), &Patch::Apply(&object))
            .await
            .unwrap();
    }
    as_account(admin, kubeconfig, namespace, &format!("{namespace}-kastellan")).await
}

/// A client with no rights but those of everybody.
pub(super) async fn without_rights(
    admin: &Client,
    kubeconfig: &Kubeconfig,
    namespace: &str,
) -> Client {
    let account: ServiceAccount =
        serde_json::from_value(json!({"metadata": {"name": "nobody"}})).unwrap();
    let api: Api<ServiceAccount> = Api::namespaced(admin.clone(), namespace);
    api.create(&PostParams::default(), &account).await.unwrap();
    as_account(admin, kubeconfig, namespace, "nobody").await
}

async fn as_account(
    admin: &Client,
    kubeconfig: &Kubeconfig,
    namespace: &str,
    name: &str,
) -> Client {
    let api: Api<ServiceAccount> = Api::namespaced(admin.clone(), namespace);
    let request =
        TokenRequest { spec: Some(TokenRequestSpec::default()), ..TokenRequest::default() };
    let granted = api.create_token_request(name, &PostParams::default(), &request).await.unwrap();
    let mut config = world::config(kubeconfig.clone()).await;
    config.auth_info = AuthInfo {
        token: Some(granted.status.unwrap().token.unwrap().into()),
        ..AuthInfo::default()
    };
    config.default_namespace = namespace.into();
    let client = Client::try_from(config).unwrap();
    // The API server learns of an account a moment after it was created.
    eventually("known", async || client.apiserver_version().await.is_ok(), |known| *known).await;
    client
}

/// What the chart's templates of accounts and rights make.
pub(super) fn chart(namespace: &str, watched: &[String]) -> Vec<Value> {
    let helm = std::env::var("KASTELLAN_HELM").expect("`make test` builds helm");
    let namespaces = format!("operator.watchNamespaces={}", json!(watched));
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/kastellan");
    let output = Command::new(helm)
        .args(["template", namespace, chart, "--namespace", namespace, "--set-json", &namespaces])
        .args(["--show-only", "templates/rbac.yaml"])
        .args(["--show-only", "templates/serviceaccount.yaml"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let documents = text.split("\n---\n").filter(|d| d.contains("kind:"));
    documents.map(|d| serde_saphyr::from_str(d).unwrap()).collect()
}
