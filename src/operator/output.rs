//! Secrets that objects write: as the engine asks for them, and a watch that tells of changes.
//! None of it needs the right to list Secrets.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams, WatchParams},
    core::{PartialObjectMeta, WatchEvent},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::{attempts::Attempts, context::Context, problem::Problem, tasks::supervise};
use crate::{
    api,
    contract::{Key, Object},
    engine::{error::OutputError, host::OutputSecret},
    kinds::REGISTRY,
};

/// Who a Secret's fields belong to, beside what others write into it.
const MANAGER: &str = "kastellan-secret";
/// The label of all Secrets that are an object's own.
const LABEL: (&str, &str) = ("app.kubernetes.io/managed-by", "kastellan");
/// The longest pause before a watch that failed is tried again.
const LONGEST: Duration = Duration::from_mins(5);

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
    let params = PatchParams { dry_run, force, ..PatchParams::apply(MANAGER) };
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
    metadata.insert("labels".into(), json!(labels));
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

/// Tells people, and the watch, whose a Secret is.
const OWNER: &str = "kastellan.dev/owner";

fn error(e: &kube::Error) -> OutputError {
    match e {
        kube::Error::Api(status) if status.code == 403 => {
            OutputError::Forbidden(status.message.clone())
        }
        _ => OutputError::Failed(Problem::from(e).to_string()),
    }
}

/// Watches the Secrets that are objects' own, once one is declared: in these namespaces, or in all
/// if there are none. Wakes the objects.
pub(super) async fn follow(context: Arc<Context>) {
    let mut needed = context.host.outputs.subscribe();
    if needed.wait_for(|needed| *needed).await.is_err() {
        return;
    }
    let mut namespaces: Vec<Option<String>> =
        context.options.namespaces.iter().cloned().map(Some).collect();
    if namespaces.is_empty() {
        namespaces.push(None);
    }
    let of = |namespace: Option<String>| {
        let (context, metrics) = (context.clone(), context.metrics.clone());
        let subject = namespace.clone().unwrap_or_else(|| "all namespaces".into());
        supervise(metrics, "outputs", subject, move || watch(context.clone(), namespace.clone()))
    };
    futures::future::join_all(namespaces.into_iter().map(of)).await;
}

async fn watch(context: Arc<Context>, namespace: Option<String>) {
    let api: Api<Secret> = match &namespace {
        Some(namespace) => Api::namespaced(context.host.client.clone(), namespace),
        None => Api::all(context.host.client.clone()),
    };
    let what = format!("watch Secrets of {}", namespace.as_deref().unwrap_or("all namespaces"));
    let mut attempts = Attempts::new(what, context.metrics.clone(), LONGEST);
    loop {
        let pause = match watch_once(&context, &api, &mut attempts).await {
            Ok(()) => Duration::ZERO,
            Err(problem) => attempts.failed(&problem),
        };
        tokio::time::sleep(pause).await;
    }
}

/// Watches until the server ends it. Without a version to start from it begins with everything that
/// there is; what is gone by then is noticed when its object is looked at.
async fn watch_once(
    context: &Context,
    api: &Api<Secret>,
    attempts: &mut Attempts,
) -> Result<(), Problem> {
    let params = WatchParams::default().labels(&format!("{}={}", LABEL.0, LABEL.1)).timeout(290);
    let mut last = String::new();
    loop {
        let events = api.watch_metadata(&params, &last).await;
        let mut events = std::pin::pin!(events.map_err(|e| Problem::from(&e))?);
        attempts.succeeded();
        while let Some(event) = events.try_next().await.map_err(|e| Problem::from(&e))? {
            match event {
                WatchEvent::Added(secret) | WatchEvent::Modified(secret) => {
                    last = secret.metadata.resource_version.clone().unwrap_or_default();
                    wake(context, &secret);
                }
                WatchEvent::Deleted(secret) => {
                    last = secret.metadata.resource_version.clone().unwrap_or_default();
                    wake(context, &secret);
                }
                WatchEvent::Bookmark(bookmark) => last = bookmark.metadata.resource_version,
                WatchEvent::Error(status) if status.code == 410 => return Ok(()),
                WatchEvent::Error(status) => return Err(Problem::from(&*status)),
            }
        }
    }
}

/// Wakes the object that a Secret says to be of.
fn wake(context: &Context, secret: &PartialObjectMeta<Secret>) {
    let Some((kind, name)) = secret.annotations().get(OWNER).and_then(|o| o.split_once('/')) else {
        return;
    };
    let (Some(entry), Some(namespace)) = (REGISTRY.find(kind), secret.namespace()) else { return };
    context.wake(&Key { kind: entry.kind(), namespace, name: name.to_owned() });
}
