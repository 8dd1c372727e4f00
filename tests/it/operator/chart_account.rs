//! A client with the rights of the chart's service account, or with none.

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{
    Api, Client,
    api::PostParams,
    config::{AuthInfo, Kubeconfig},
};
use serde_json::{Value, json};

use crate::{
    chart::{install, render},
    world::{self, eventually},
};

/// Installs the chart's service account and rights under the name of the namespace, and gives a
/// client that has them.
pub(super) async fn of_chart(
    admin: &Client,
    kubeconfig: &Kubeconfig,
    namespace: &str,
    watched: &[String],
) -> Client {
    install(admin, &chart(namespace, watched)).await;
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

/// A token of a service account.
pub(crate) async fn token(admin: &Client, namespace: &str, name: &str) -> String {
    let api: Api<ServiceAccount> = Api::namespaced(admin.clone(), namespace);
    let request =
        TokenRequest { spec: Some(TokenRequestSpec::default()), ..TokenRequest::default() };
    let granted = api.create_token_request(name, &PostParams::default(), &request).await.unwrap();
    granted.status.unwrap().token.unwrap()
}

async fn as_account(
    admin: &Client,
    kubeconfig: &Kubeconfig,
    namespace: &str,
    name: &str,
) -> Client {
    let mut config = world::config(kubeconfig.clone()).await;
    config.auth_info =
        AuthInfo { token: Some(token(admin, namespace, name).await.into()), ..AuthInfo::default() };
    config.default_namespace = namespace.into();
    let client = Client::try_from(config).unwrap();
    // The API server learns of an account a moment after it was created.
    eventually("known", async || client.apiserver_version().await.is_ok(), |known| *known).await;
    client
}

/// What the chart's templates of accounts and rights make.
pub(super) fn chart(namespace: &str, watched: &[String]) -> Vec<Value> {
    let values = json!({"operator.watchNamespaces": watched});
    render(namespace, &values, &["rbac.yaml", "serviceaccount.yaml"])
}
