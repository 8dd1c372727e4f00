//! The API server: a process of its own, its client, what is seen of the projects, and the requests
//! that it counts.

use std::{
    collections::{BTreeMap, HashMap},
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::{
    api::core::v1::{Namespace, Secret},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kastellan::{api, kinds::REGISTRY};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::GroupVersionKind,
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};

use crate::Result;

/// Where everything is declared.
pub(crate) const NAMESPACE: &str = "bench";
/// Requests of this program at once.
const AT_ONCE: usize = 8;

/// What is seen of a project.
#[derive(Clone, Default)]
pub(crate) struct Project {
    /// Ready, and the status speaks of the present spec.
    pub(crate) ready: bool,
    /// ZITADEL has lost it, and that is said.
    pub(crate) lost: bool,
    pub(crate) generation: i64,
    pub(crate) id: String,
    pub(crate) organization: String,
    /// `lastDrift.by`, where there was one.
    pub(crate) by: Option<String>,
}

pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) kubeconfig: PathBuf,
    projects: Arc<Mutex<HashMap<String, Project>>>,
    /// Objects of other kinds, and whether they are Ready.
    others: Arc<Mutex<HashMap<(&'static str, String), bool>>>,
    /// Holds the pipe: the API server ends with this process.
    _server: Option<Child>,
}

fn resource(kind: &str) -> Result<ApiResource> {
    let entry = REGISTRY.find(kind).ok_or("no such kind")?;
    Ok(ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk(api::GROUP, api::VERSION, kind),
        entry.plural,
    ))
}

impl Cluster {
    /// A fresh API server with all CRDs and the namespace.
    pub(crate) async fn start() -> Result<Self> {
        let (kubeconfig, server) = server()?;
        let config = kube::Config::from_custom_kubeconfig(
            Kubeconfig::read_from(&kubeconfig)?,
            &KubeConfigOptions::default(),
        )
        .await?;
        let client = Client::try_from(config)?;
        let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
        for entry in REGISTRY.all() {
            let crd = entry.crd();
            let name = crd.name_any();
            crds.patch(&name, &PatchParams::apply("kastellan-bench").force(), &Patch::Apply(&crd))
                .await?;
            let established = kube::runtime::wait::await_condition(
                crds.clone(),
                &name,
                kube::runtime::conditions::is_crd_established(),
            );
            tokio::time::timeout(Duration::from_secs(30), established).await??;
        }
        let namespace: Namespace =
            serde_json::from_value(json!({"metadata": {"name": NAMESPACE}}))?;
        Api::all(client.clone()).create(&PostParams::default(), &namespace).await?;
        Ok(Self {
            client,
            kubeconfig,
            projects: Arc::default(),
            others: Arc::default(),
            _server: server,
        })
    }

    pub(crate) fn api(&self, kind: &str) -> Result<Api<DynamicObject>> {
        Ok(Api::namespaced_with(self.client.clone(), NAMESPACE, &resource(kind)?))
    }

    /// Follows the projects from now on.
    pub(crate) fn follow(&self) -> Result<()> {
        let (api, projects) = (self.api("Project")?, self.projects.clone());
        tokio::spawn(async move {
            let mut events =
                std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
            while let Some(event) = events.next().await {
                let mut projects = projects.lock().unwrap_or_else(PoisonError::into_inner);
                match event {
                    Ok(watcher::Event::Apply(o) | watcher::Event::InitApply(o)) => {
                        projects.insert(o.name_any(), seen(&o));
                    }
                    Ok(watcher::Event::Delete(o)) => {
                        projects.remove(&o.name_any());
                    }
                    Ok(watcher::Event::Init) => projects.clear(),
                    Ok(watcher::Event::InitDone) | Err(_) => {}
                }
            }
        });
        Ok(())
    }

    /// Follows objects of another kind from now on.
    pub(crate) fn follow_others(&self, kind: &'static str) -> Result<()> {
        let (api, others) = (self.api(kind)?, self.others.clone());
        tokio::spawn(async move {
            let mut events =
                std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
            while let Some(event) = events.next().await {
                if let Ok(watcher::Event::Apply(o) | watcher::Event::InitApply(o)) = event {
                    let mut others = others.lock().unwrap_or_else(PoisonError::into_inner);
                    others.insert((kind, o.name_any()), seen(&o).ready);
                }
            }
        });
        Ok(())
    }

    /// How many objects of other kinds are Ready.
    pub(crate) fn others_ready(&self) -> usize {
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.values().filter(|ready| **ready).count()
    }

    pub(crate) fn projects(&self) -> std::sync::MutexGuard<'_, HashMap<String, Project>> {
        self.projects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn secret(&self, name: &str, key: &str, value: &str) -> Result<()> {
        let secret: Secret = serde_json::from_value(
            json!({"metadata": {"name": name}, "stringData": {key: value}}),
        )?;
        Api::namespaced(self.client.clone(), NAMESPACE)
            .create(&PostParams::default(), &secret)
            .await?;
        Ok(())
    }

    /// Declares objects of one kind.
    pub(crate) async fn create(
        &self,
        kind: &str,
        objects: impl IntoIterator<Item = (String, Value)>,
    ) -> Result<()> {
        let api = self.api(kind)?;
        let all = objects.into_iter().map(|(name, spec)| {
            let api = api.clone();
            async move {
                let body = json!({"apiVersion": api::api_version(), "kind": kind, "metadata": {"name": name}, "spec": spec});
                let object: DynamicObject = serde_json::from_value(body)?;
                api.create(&PostParams::default(), &object).await?;
                Result::Ok(())
            }
        });
        futures::stream::iter(all).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        Ok(())
    }

    /// Changes the specs of projects. By PUT, which the operator never uses: so its PATCH can be
    /// counted.
    pub(crate) async fn change(
        &self,
        objects: Vec<DynamicObject>,
        field: &str,
        value: &Value,
    ) -> Result<()> {
        let api = self.api("Project")?;
        let all = objects.into_iter().map(|mut o| {
            let api = api.clone();
            async move {
                if let Some(spec) = o.data.get_mut("spec").and_then(Value::as_object_mut) {
                    spec.insert(field.to_owned(), value.clone());
                }
                api.replace(&o.name_any(), &PostParams::default(), &o).await?;
                Result::Ok(())
            }
        });
        futures::stream::iter(all).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        Ok(())
    }

    /// Requests about our kinds and about Events, as the API server counts them, whoever made them.
    pub(crate) async fn requests(&self) -> Result<BTreeMap<String, u64>> {
        let scraped = self.client.request_text(scrape("/metrics")?).await?;
        let mut counts = BTreeMap::new();
        for line in scraped.lines().filter_map(|l| l.strip_prefix("apiserver_request_total{")) {
            let Some((labels, count)) = line.rsplit_once("} ") else { continue };
            let label = |name: &str| {
                labels
                    .split(&format!("{name}=\""))
                    .nth(1)
                    .and_then(|l| l.split('"').next())
                    .unwrap_or_default()
            };
            if ![api::GROUP, "events.k8s.io"].contains(&label("group")) {
                continue;
            }
            let (resource, sub) = (label("resource"), label("subresource"));
            let slash = if sub.is_empty() { "" } else { "/" };
            let count: f64 = count.parse()?;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter")]
            let count = count as u64;
            *counts.entry(format!("{} {resource}{slash}{sub}", label("verb"))).or_default() +=
                count;
        }
        Ok(counts)
    }
}

fn scrape(path: &str) -> Result<http::Request<Vec<u8>>> {
    Ok(http::Request::get(path).body(Vec::new())?)
}

fn seen(o: &DynamicObject) -> Project {
    let status = o.data.get("status").cloned().unwrap_or_default();
    let generation = o.metadata.generation.unwrap_or_default();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let conditions = status.get("conditions").and_then(Value::as_array);
    let condition =
        conditions.into_iter().flatten().find(|c| c.get("type") == Some(&json!("Ready")));
    let says =
        |field: &str, value: &str| condition.is_some_and(|c| c.get(field) == Some(&json!(value)));
    Project {
        lost: says("reason", "LostByZitadel"),
        ready: says("status", "True")
            && status.get("observedGeneration").and_then(Value::as_i64) == Some(generation),
        generation,
        id: status.get("id").map(text).unwrap_or_default(),
        organization: status.get("organizationId").map(text).unwrap_or_default(),
        by: status.pointer("/lastDrift").map(|d| d.get("by").map(text).unwrap_or_default()),
    }
}

/// The API server of `KASTELLAN_TESTENV`, or the one of `KASTELLAN_TEST_KUBECONFIG`; never
/// somebody's own.
fn server() -> Result<(PathBuf, Option<Child>)> {
    if let Ok(path) = std::env::var("KASTELLAN_TEST_KUBECONFIG") {
        return Ok((path.into(), None));
    }
    let program = std::env::var("KASTELLAN_TESTENV")
        .map_err(|_| "run this by `make bench`: it builds the API server")?;
    let mut child = Command::new(program)
        .args(["-until-eof"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no pipe")?).lines();
    let ready = lines.next().ok_or("the API server did not start")??;
    let path = ready
        .split("KUBECONFIG=")
        .nth(1)
        .and_then(|r| r.split(' ').next())
        .ok_or("the API server says no KUBECONFIG")?
        .to_owned();
    // The rest of its talk goes nowhere, but its pipe stays open.
    std::thread::spawn(move || lines.for_each(drop));
    Ok((path.into(), Some(child)))
}
