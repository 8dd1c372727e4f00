//! Secrets that objects write, as the engine asks for them.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::problem::Problem;
use crate::{
    api,
    contract::{Key, Object},
    engine::{error::OutputError, host::OutputSecret},
};

/// Tells people, and the watch, whose a Secret is.
pub(super) const OWNER: &str = "kastellan.dev/owner";
/// The label of all Secrets that are an object's own.
pub(super) const LABEL: (&str, &str) = ("app.kubernetes.io/managed-by", "kastellan");

/// A Secret as it is.
pub(super) async fn read(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Option<OutputSecret>, OutputError> {
    let api = Api::<Secret>::namespaced(client.clone(), namespace);
    let found = api.get_opt(name).await.map_err(|e| error(&e))?;
    Ok(found.map(|secret| OutputSecret {
        name: name.to_owned(),
        labels: secret.labels().clone(),
        annotations: secret.annotations().clone(),
        kind: secret.type_,
        // What is no text was not written here.
        data: secret
            .data
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key, String::from_utf8(value.0).ok()?.into())))
            .collect(),
        is_own: false,
        goes_with_owner: false,
    }))
}

/// Writes a Secret by server-side apply: keys and labels that others have stay theirs.
pub(super) async fn write(
    client: &Client,
    object: &Object,
    secret: &OutputSecret,
    dry_run: bool,
) -> Result<(), OutputError> {
    let api = Api::<Secret>::namespaced(client.clone(), &object.key.namespace);
    // A key that somebody else wrote into a Secret of theirs stays theirs.
    let force = secret.is_own;
    // A manager for each object: several may write into one Secret, and what one of them applies
    // is all that its manager has there.
    let manager = format!("kastellan-secret-{}", object.uid.as_deref().unwrap_or_default());
    let params = PatchParams { dry_run, force, ..PatchParams::apply(&manager) };
    let patch = Patch::Apply(body(object, secret));
    api.patch(&secret.name, &params, &patch).await.map(|_| ()).map_err(|e| error(&e))
}

fn body(object: &Object, secret: &OutputSecret) -> Value {
    let mut labels = secret.labels.clone();
    let mut metadata = Map::new();
    if secret.is_own {
        labels.insert(LABEL.0.to_owned(), LABEL.1.to_owned());
    }
    if secret.goes_with_owner
        && let Some(uid) = &object.uid
    {
        let owner = json!({
            "apiVersion": api::api_version(),
            "kind": object.key.kind,
            "name": object.key.name,
            "uid": uid,
        });
        metadata.insert("ownerReferences".into(), json!([owner]));
    }
    metadata.insert("name".into(), json!(secret.name));
    // An empty map would be a field of its own, for two to have a conflict about.
    if !labels.is_empty() {
        metadata.insert("labels".into(), json!(labels));
    }
    let mut annotations = secret.annotations.clone();
    if secret.is_own {
        let Key { kind, name, .. } = &object.key;
        annotations.insert(OWNER.to_owned(), format!("{kind}/{name}"));
    }
    metadata.insert("annotations".into(), json!(annotations));
    // Not `stringData`: of that, server-side apply would never take a key away again.
    let encoded = |value: &SecretString| STANDARD.encode(value.expose_secret());
    let data: BTreeMap<&str, String> =
        secret.data.iter().map(|(key, value)| (key.as_str(), encoded(value))).collect();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": secret.kind.as_deref().unwrap_or("Opaque"),
        "data": data,
    })
}

fn error(e: &kube::Error) -> OutputError {
    match e {
        kube::Error::Api(status) if status.code == 403 => {
            OutputError::Forbidden(status.message.clone())
        }
        _ => OutputError::Failed(Problem::from(e).to_string()),
    }
}
