//! What `kastellan tree`, `why`, `events` and `plan --cluster` know: the custom resources of a cluster
//! as they are.

use std::collections::BTreeMap;

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use super::output::{self, Result};
use crate::{
    api::status::Reason,
    contract::{Key, Object},
    kinds::REGISTRY,
    operator::{self, Objects},
};

/// Which cluster, and where in it.
#[derive(clap::Args)]
pub(super) struct Place {
    /// Namespace. Omitted: that of the kubeconfig's context.
    #[arg(short, long, value_name = "NAMESPACE", help_heading = "Cluster")]
    pub(super) namespace: Option<String>,
    /// Context of the kubeconfig. Omitted: the current one; inside a cluster, the service account.
    #[arg(long, value_name = "CONTEXT", help_heading = "Cluster")]
    pub(super) context: Option<String>,
}

impl Place {
    /// Whether it says anything.
    pub(super) fn is_given(&self) -> bool {
        self.namespace.is_some() || self.context.is_some()
    }
}

/// The custom resources of a cluster.
pub(super) struct Cluster {
    pub(super) objects: BTreeMap<Key, Object>,
    /// The namespace that is meant where none is named.
    pub(super) namespace: String,
    pub(super) client: Client,
}

impl Cluster {
    /// Reads all of them: what something refers to may be anywhere. Who may not list everywhere sees
    /// the namespace alone.
    pub(super) async fn read(place: &Place) -> Result<Self> {
        let hint = "KUBECONFIG or ~/.kube/config says which cluster; --context names another one";
        let fail = |e: &dyn std::fmt::Display| {
            output::fail(format!("no connection to Kubernetes: {e}"), Some(hint))
        };
        let config = match &place.context {
            None => Config::infer().await.map_err(|e| fail(&e))?,
            Some(context) => {
                let options =
                    KubeConfigOptions { context: Some(context.clone()), ..Default::default() };
                let kubeconfig = Kubeconfig::read().map_err(|e| fail(&e))?;
                let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
                config.map_err(|e| fail(&e))?
            }
        };
        let own = config.default_namespace.clone();
        let client = Client::try_from(config).map_err(|e| fail(&e))?;
        let namespace = place.namespace.clone().unwrap_or(own);
        let found = match operator::objects(&client, None).await {
            Err(kube::Error::Api(e)) if e.code == 403 => {
                output::warn(format!(
                    "only the namespace {namespace} is looked at: you may not list the resources \
                     of all ({})",
                    e.message
                ));
                operator::objects(&client, Some(&namespace)).await
            }
            found => found,
        };
        let Objects { found, unknown } = found.map_err(|e| {
            output::fail(
                format!("the resources can't be read: {e}"),
                Some("listing all kinds of zitadel.kastellan.dev has to be allowed"),
            )
        })?;
        let install = "install them: helm upgrade --install, or kubectl apply -f crds/";
        if unknown.len() == REGISTRY.all().count() {
            let what = "the cluster has no custom resource definitions of Kastellan";
            return Err(output::fail(what, Some(install)));
        }
        if !unknown.is_empty() {
            let unknown = unknown.join(", ");
            output::warn(format!("the cluster does not know {unknown}; {install}"));
        }
        let objects = found.into_iter().map(|object| (object.key.clone(), object)).collect();
        Ok(Self { objects, namespace, client })
    }

    /// An object as people see it from a namespace: without the namespace that they are in.
    pub(super) fn name(&self, key: &Key) -> String {
        let Key { kind, namespace, name } = key;
        if *namespace == self.namespace {
            format!("{kind}/{name}")
        } else {
            format!("{kind}/{name} in {namespace}")
        }
    }
}

/// The kind that a word means: its name, its plural or its short name, regardless of case.
pub(super) fn kind(word: &str) -> Option<&'static str> {
    let is_it = |name: &str| name.eq_ignore_ascii_case(word);
    let mut all = REGISTRY.all();
    all.find(|e| is_it(e.kind()) || is_it(e.plural) || is_it(e.short)).map(|e| e.kind())
}

/// The object that `KIND/NAME` means.
pub(super) fn key(cluster: &Cluster, text: &str) -> Result<Key> {
    let (word, name) = text.split_once('/').ok_or_else(|| {
        output::fail(format!("{text} is no object"), Some("name it as KIND/NAME: Project/shop"))
    })?;
    let kind = kind(word).ok_or_else(|| {
        let hint = "`kubectl api-resources --categories=zitadel` lists the kinds";
        output::fail(format!("there is no kind {word}"), Some(hint))
    })?;
    let key = Key { kind, namespace: cluster.namespace.clone(), name: name.to_owned() };
    if cluster.objects.contains_key(&key) {
        return Ok(key);
    }
    let mut elsewhere = cluster.objects.keys().filter(|k| k.kind == kind && k.name == name);
    let hint = match elsewhere.next() {
        Some(other) => format!("there is one in {}: --namespace {0}", other.namespace),
        None => format!("`kubectl get {} --all-namespaces` lists all", kind.to_lowercase()),
    };
    Err(output::fail(format!("{key} does not exist"), Some(&hint)))
}

/// How an object is, in a few words; `None`: as declared.
pub(super) fn trouble(object: &Object) -> Option<String> {
    let status = &object.status;
    if object.is_deleting {
        return Some(said(object, "is being deleted"));
    }
    if status.observed_generation != Some(object.generation) {
        return Some("the operator has not looked at it yet".into());
    }
    (!status.is_ready()).then(|| said(object, "nothing is said of it"))
}

fn said(object: &Object, otherwise: &str) -> String {
    let ready = object.status.condition("Ready");
    ready.map_or_else(|| otherwise.into(), |ready| format!("{}: {}", ready.reason, ready.message))
}

/// The reason of an object that is not as declared.
pub(super) fn reason(object: &Object) -> Option<Reason> {
    object.status.reason().filter(|reason| *reason != Reason::InSync)
}
