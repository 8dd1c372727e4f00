//! A namespace of the shared API server, an emulated ZITADEL, and an operator between them.

use std::{
    net::{SocketAddr, TcpListener},
    sync::atomic::{AtomicU16, AtomicU32, Ordering},
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::core::v1::{ConfigMap, Namespace, Secret},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kastellan::{
    contract::{Fields, Remote},
    kinds,
    live::ReportEditors,
    operator::{self, LeaseOptions, Options},
    zitadel::{AddressPolicy, Client as Zitadel, Config, Credentials},
};
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::{GroupVersionKind, Selector},
};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle};
use zitadel_emulator::{Emulator, Running};

use crate::{
    apiserver,
    remote::{Access, InPlace, entry},
    samples::INPUT,
};

/// How long anything may take. Far more than it needs, for machines that are busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client of the test API server, with all CRDs there.
pub(crate) async fn cluster() -> Client {
    static CRDS: tokio::sync::Mutex<bool> = tokio::sync::Mutex::const_new(false);
    let kubeconfig =
        tokio::task::spawn_blocking(|| apiserver::shared().kubeconfig.clone()).await.unwrap();
    let client = connect(kubeconfig).await;
    let mut done = CRDS.lock().await;
    if !*done {
        for entry in kinds::REGISTRY.all() {
            establish(&client, &entry.crd()).await;
        }
        *done = true;
    }
    client
}

/// An API server that nobody else uses, where one can be had; it ends with what is given beside the
/// client.
pub(crate) async fn own_cluster() -> Option<(Client, apiserver::Server)> {
    let server = tokio::task::spawn_blocking(apiserver::own).await.unwrap()?;
    Some((connect(server.kubeconfig.clone()).await, server))
}

pub(crate) async fn connect(kubeconfig: Kubeconfig) -> Client {
    Client::try_from(config(kubeconfig).await).unwrap()
}

/// What a client is made of.
pub(crate) async fn config(kubeconfig: Kubeconfig) -> kube::Config {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap()
}

/// Installs a CRD and waits until it is served.
pub(crate) async fn establish(client: &Client, crd: &CustomResourceDefinition) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = crd.metadata.name.clone().unwrap();
    api.patch(&name, &PatchParams::apply("kastellan-tests").force(), &Patch::Apply(crd))
        .await
        .unwrap();
    let established = kube::runtime::wait::await_condition(
        api,
        &name,
        kube::runtime::conditions::is_crd_established(),
    );
    tokio::time::timeout(PATIENCE, established).await.expect("the CRD is established").unwrap();
}

/// A running operator.
struct Operator {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// See the module.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) zitadel: Running,
    more: Vec<String>,
    operator: Option<Operator>,
    /// Where the operator serves its metrics.
    admin: Option<SocketAddr>,
    /// The token of somebody else with all rights.
    minnie: String,
    /// How many events a fresh instance has.
    fresh: usize,
    /// How long deletions wait for successors; before the operator starts.
    pub(crate) deletion_pause: Duration,
    /// The operator's client, where it is not the tests' own; before it starts.
    pub(crate) operator_client: Option<Client>,
    /// Whether the operator serves its status page; before it starts.
    pub(crate) status_page: bool,
    /// The operator's Lease; before it starts.
    pub(crate) lease: Option<LeaseOptions>,
    /// The namespaces that the operator watches, where they are not this world's own.
    pub(crate) watched: Option<Vec<String>>,
}

/// A namespace that nobody else uses.
pub(crate) async fn namespace(client: &Client, name: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("{name}-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let ns = Namespace {
        metadata: kube::api::ObjectMeta { name: Some(name.clone()), ..Default::default() },
        ..Default::default()
    };
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &ns).await.unwrap();
    name
}

pub(crate) fn resource(kind: &str) -> ApiResource {
    let entry = kinds::REGISTRY.find(kind).unwrap();
    ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk(kastellan::api::GROUP, kastellan::api::VERSION, kind),
        entry.plural,
    )
}

impl World {
    /// Everything up, and an Instance `default` that is Ready.
    pub(crate) async fn new(name: &str) -> Self {
        let mut world = Self::bare(name).await;
        world.start();
        world.connect().await;
        world.ready("Instance", "default").await;
        world
    }

    /// Without an operator and without an Instance.
    pub(crate) async fn bare(name: &str) -> Self {
        Self::on(cluster().await, name).await
    }

    /// The same, on another API server than the shared one.
    pub(crate) async fn on(client: Client, name: &str) -> Self {
        let namespace = namespace(&client, name).await;
        let zitadel = Emulator::start(zitadel_emulator::Options::default()).await.unwrap();
        let minnie =
            zitadel.emulator().add_user("minnie.mouse", "minnie.mouse", &["IAM_OWNER"]).pat;
        let fresh = zitadel.emulator().event_count();
        Self {
            client,
            namespace,
            zitadel,
            more: Vec::new(),
            operator: None,
            admin: None,
            minnie,
            fresh,
            deletion_pause: Duration::ZERO,
            operator_client: None,
            status_page: false,
            lease: None,
            watched: None,
        }
    }

    /// Another namespace for the operator to watch; before it starts.
    pub(crate) async fn another_namespace(&mut self) -> String {
        let name = namespace(&self.client, "more").await;
        self.more.push(name.clone());
        name
    }

    /// Starts the operator.
    pub(crate) fn start(&mut self) {
        let (stop, stopped) = watch::channel(false);
        let namespaces = self
            .watched
            .clone()
            .unwrap_or_else(|| self.more.iter().chain([&self.namespace]).cloned().collect());
        let admin = free_address();
        self.admin = Some(admin);
        let options = Options {
            count_unmanaged: true,
            shard: Selector::default(),
            namespaces,
            addresses: AddressPolicy::new(["127.0.0.1".into(), "localhost".into()]),
            admin,
            status_page: self.status_page,
            editors: ReportEditors::Name,
            deletion_pause: self.deletion_pause,
            lease: self.lease.clone(),
        };
        let client = self.operator_client.clone().unwrap_or_else(|| self.client.clone());
        let task =
            tokio::spawn(
                async move { operator::run(client.into(), options, stopped).await.unwrap() },
            );
        self.operator = Some(Operator { stop, task });
    }

    /// Stops the operator as SIGTERM does.
    pub(crate) async fn stop(&mut self) {
        if let Some(o) = self.operator.take() {
            o.stop.send(true).unwrap();
            tokio::time::timeout(PATIENCE, o.task).await.expect("the operator drains").unwrap();
        }
    }

    /// Kills the operator.
    pub(crate) fn kill(&mut self) {
        if let Some(o) = self.operator.take() {
            o.task.abort();
        }
    }

    /// Where the operator serves its metrics.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin.unwrap()
    }

    /// What the operator answers to a request for its status page.
    pub(crate) async fn status_page(&self) -> reqwest::Response {
        reqwest::get(format!("http://{}/status", self.admin.unwrap())).await.unwrap()
    }

    /// What the operator serves under `/metrics`; empty: nothing yet.
    pub(crate) async fn metrics(&self) -> String {
        self.served("metrics").await
    }

    /// What the operator answers under `/readyz`; empty: nothing yet.
    pub(crate) async fn readyz(&self) -> String {
        self.served("readyz").await
    }

    async fn served(&self, path: &str) -> String {
        match reqwest::get(format!("http://{}/{path}", self.admin.unwrap())).await {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// Waits until what the operator serves under `/readyz` or `/metrics` is as it should be.
    pub(crate) async fn until_readyz(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        eventually(what, async || self.readyz().await, |text| is_so(text)).await
    }

    /// The same for `/metrics`.
    pub(crate) async fn until_metrics(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        eventually(what, async || self.metrics().await, |text| is_so(text)).await
    }

    pub(crate) fn emulator(&self) -> &Emulator {
        self.zitadel.emulator()
    }

    /// The Secret and the Instance `default`, and the Secret that other objects read.
    pub(crate) async fn connect(&self) {
        self.secret("kastellan", "pat", &self.emulator().pat()).await;
        let fields = kinds::REGISTRY.all().flat_map(|entry| entry.inputs).map(|i| i.field);
        let values: Vec<(&str, &str)> = fields.map(|field| (field, "S3cret-value")).collect();
        self.secrets(INPUT, &values).await;
        self.apply("Instance", "default", self.instance_spec()).await;
    }

    /// The spec of an Instance by personal access token.
    pub(crate) fn instance_spec(&self) -> Value {
        json!({
            "issuer": self.issuer(),
            "credentials": {"personalAccessToken": {"secretRef": {"name": "kastellan", "key": "pat"}}},
            "pollInterval": "1s",
        })
    }

    /// The emulator by the host name that selects its instance.
    pub(crate) fn issuer(&self) -> String {
        self.zitadel.url()
    }

    pub(crate) async fn secret(&self, name: &str, key: &str, value: &str) {
        self.secrets(name, &[(key, value)]).await;
    }

    /// A Secret with these values.
    pub(crate) async fn secrets(&self, name: &str, values: &[(&str, &str)]) {
        let data: serde_json::Map<String, Value> =
            values.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        let secret: Secret =
            serde_json::from_value(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}))
                .unwrap();
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        api.patch(name, &PatchParams::apply("tests").force(), &Patch::Apply(&secret))
            .await
            .unwrap();
    }

    /// A ConfigMap as it is written down.
    pub(crate) async fn config_map(&self, document: &Value) {
        let name = document["metadata"]["name"].as_str().unwrap();
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        let map: ConfigMap = serde_json::from_value(document.clone()).unwrap();
        let params = PatchParams::apply("tests").force();
        api.patch(name, &params, &Patch::Apply(&map)).await.unwrap();
    }

    pub(crate) fn api(&self, kind: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource(kind))
    }

    /// Declares an object; as GitOps does, by server-side apply.
    pub(crate) async fn apply(&self, kind: &str, name: &str, spec: Value) {
        self.try_apply(kind, name, spec).await.unwrap();
    }

    /// The same, where the API server may refuse it; then with its message.
    pub(crate) async fn try_apply(
        &self,
        kind: &str,
        name: &str,
        spec: Value,
    ) -> Result<DynamicObject, String> {
        let body = json!({"apiVersion": kastellan::api::api_version(), "kind": kind, "metadata": {"name": name}, "spec": spec});
        let params = PatchParams {
            field_validation: Some(kube::api::ValidationDirective::Strict),
            ..PatchParams::apply("git").force()
        };
        match self.api(kind).patch(name, &params, &Patch::Apply(body)).await {
            Ok(o) => Ok(o),
            Err(kube::Error::Api(s)) => Err(s.message.clone()),
            Err(e) => panic!("{e}"),
        }
    }

    /// Declares an object in another namespace.
    pub(crate) async fn apply_in(&self, namespace: &str, kind: &str, name: &str, spec: Value) {
        self.apply_annotated(namespace, kind, name, &json!({}), spec).await;
    }

    /// The same with annotations.
    pub(crate) async fn apply_annotated(
        &self,
        namespace: &str,
        kind: &str,
        name: &str,
        annotations: &Value,
        spec: Value,
    ) {
        let metadata = json!({"name": name, "annotations": annotations});
        let body = json!({"apiVersion": kastellan::api::api_version(), "kind": kind, "metadata": metadata, "spec": spec});
        let params = PatchParams::apply("git").force();
        self.api_in(namespace, kind).patch(name, &params, &Patch::Apply(body)).await.unwrap();
    }

    /// An object in another namespace; null if it is not there.
    pub(crate) async fn get_in(&self, namespace: &str, kind: &str, name: &str) -> Value {
        let found = self.api_in(namespace, kind).get_opt(name).await.unwrap();
        found.map(|o| serde_json::to_value(o).unwrap()).unwrap_or_default()
    }

    pub(crate) async fn delete_in(&self, namespace: &str, kind: &str, name: &str) {
        self.api_in(namespace, kind).delete(name, &DeleteParams::default()).await.unwrap();
        let get = async || self.get_in(namespace, kind, name).await;
        eventually(&format!("{kind} {namespace}/{name} gone"), get, Value::is_null).await;
    }

    pub(crate) async fn ready_in(&self, namespace: &str, kind: &str, name: &str) {
        self.reason_in(namespace, kind, name, "InSync").await;
    }

    /// Waits until an object in another namespace says this reason in its present generation.
    pub(crate) async fn reason_in(&self, namespace: &str, kind: &str, name: &str, reason: &str) {
        let get = async || self.get_in(namespace, kind, name).await;
        eventually(&format!("{kind} {namespace}/{name} {reason}"), get, |o| {
            condition(o, "Ready")["reason"] == reason && is_current(o)
        })
        .await;
    }

    pub(crate) fn api_in(&self, namespace: &str, kind: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &resource(kind))
    }

    /// Creates an object, where the API server may refuse it.
    pub(crate) async fn try_create(
        &self,
        kind: &str,
        name: &str,
        spec: Value,
    ) -> Result<DynamicObject, kube::Error> {
        let o = DynamicObject::new(name, &resource(kind)).data(json!({"spec": spec}));
        self.api(kind).create(&PostParams::default(), &o).await
    }

    /// Merges something into an object.
    pub(crate) async fn patch(&self, kind: &str, name: &str, patch: Value) {
        self.api(kind).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    pub(crate) async fn delete(&self, kind: &str, name: &str) {
        self.api(kind).delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Waits until the object is as it should be; shows it where that does not come.
    pub(crate) async fn until(
        &self,
        kind: &str,
        name: &str,
        what: &str,
        is_so: impl Fn(&Value) -> bool,
    ) -> Value {
        let start = Instant::now();
        loop {
            let found = match self.api(kind).get_opt(name).await {
                // A connection that ends says nothing of the object.
                Err(kube::Error::Service(_)) if start.elapsed() < PATIENCE => continue,
                found => {
                    found.unwrap().map(|o| serde_json::to_value(o).unwrap()).unwrap_or_default()
                }
            };
            if is_so(&found) {
                return found;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{kind} {name} is not {what}: {}",
                serde_json::to_string_pretty(&found["status"]).unwrap()
            );
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Waits until the object is Ready in its present generation, and gives its status.
    pub(crate) async fn ready(&self, kind: &str, name: &str) -> Value {
        self.until(kind, name, "Ready", |o| {
            condition(o, "Ready")["status"] == "True" && is_current(o)
        })
        .await["status"]
            .clone()
    }

    /// Waits until the object says this reason in its present generation, and gives the message.
    pub(crate) async fn reason(&self, kind: &str, name: &str, reason: &str) -> String {
        let o = self
            .until(kind, name, reason, |o| {
                condition(o, "Ready")["reason"] == reason && is_current(o)
            })
            .await;
        condition(&o, "Ready")["message"].as_str().unwrap().to_owned()
    }

    /// Has an object compared with what is really there, twice: when the second has begun, the
    /// first has ended. Gives the object as it was after the first request, and after all.
    pub(crate) async fn force(&self, kind: &str, name: &str) -> (Value, Value) {
        static TIMES: AtomicU32 = AtomicU32::new(0);
        let mut versions = Vec::new();
        for _ in 0..2 {
            let reads =
                || self.emulator().calls().iter().filter(|c| !c.path.contains("/events/")).count();
            let (before, at) = (reads(), TIMES.fetch_add(1, Ordering::Relaxed).to_string());
            versions.push(serde_json::to_value(self.api(kind).get(name).await.unwrap()).unwrap());
            self.patch(
                kind,
                name,
                json!({"metadata": {"annotations": {"kastellan.dev/reconcile-at": at}}}),
            )
            .await;
            versions.push(serde_json::to_value(self.api(kind).get(name).await.unwrap()).unwrap());
            let start = Instant::now();
            while reads() == before {
                assert!(start.elapsed() < PATIENCE, "{kind} {name} is looked at when asked");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        (versions[1].clone(), versions[2].clone())
    }

    /// Waits until the object is gone.
    pub(crate) async fn gone(&self, kind: &str, name: &str) {
        self.until(kind, name, "gone", Value::is_null).await;
    }

    /// A client of the emulated ZITADEL: the administrator's, or somebody else's.
    pub(crate) fn zitadel_as(&self, pat: &str) -> Zitadel {
        let mut config =
            Config::new(self.issuer().parse().unwrap(), Credentials::token(&pat.into()).unwrap());
        config.addresses = AddressPolicy::any();
        Zitadel::new(config).unwrap()
    }

    /// Where things of this place are.
    pub(crate) fn at(&self, place: impl InPlace) -> Access {
        Access::anonymous(self.zitadel_as(&self.emulator().pat()), place.place())
    }

    /// Somebody else with all rights, at a place.
    pub(crate) fn minnie_at(&self, place: impl InPlace) -> Access {
        Access::anonymous(self.zitadel_as(&self.minnie), place.place())
    }

    /// What is really there.
    pub(crate) async fn live(&self, kind: &str, place: impl InPlace, id: &str) -> Option<Remote> {
        entry(kind).read(&self.at(place), id).await.unwrap()
    }

    /// Somebody else, with all rights, changes fields of something.
    pub(crate) async fn tamper(&self, kind: &str, place: impl InPlace, id: &str, fields: Value) {
        let at = self.minnie_at(place);
        entry(kind).change(&at, id, &Fields::from(fields)).await;
    }

    /// Events in the aggregates of declared things so far: those of users are omitted, who only
    /// logged in.
    pub(crate) fn events(&self) -> usize {
        self.emulator().events().iter().filter(|e| e.aggregate_type != "user").count()
    }

    /// How many events of a type there were since the instance was fresh.
    pub(crate) fn count(&self, event: &str) -> usize {
        self.emulator().events().iter().skip(self.fresh).filter(|e| e.event_type == event).count()
    }

    /// The Events about an object: reason and note.
    pub(crate) async fn notes(&self, name: &str) -> Vec<(String, String)> {
        let api: Api<k8s_openapi::api::events::v1::Event> =
            Api::namespaced(self.client.clone(), &self.namespace);
        let all = api.list(&ListParams::default()).await.unwrap();
        let about = all
            .into_iter()
            .filter(|e| e.regarding.as_ref().and_then(|r| r.name.as_deref()) == Some(name));
        about.map(|e| (e.reason.unwrap_or_default(), e.note.unwrap_or_default())).collect()
    }

    /// Waits until an Event about an object says this.
    pub(crate) async fn noted(&self, name: &str, reason: &str, part: &str) {
        let start = Instant::now();
        loop {
            let notes = self.notes(name).await;
            if notes.iter().any(|(r, n)| r == reason && n.contains(part)) {
                return;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "no Event {reason} with {part:?} about {name}: {notes:?}"
            );
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
}

/// Waits until something is as it should be; shows it where that does not come.
pub(crate) async fn eventually<T: std::fmt::Debug>(
    what: &str,
    get: impl AsyncFn() -> T,
    is_so: impl Fn(&T) -> bool,
) -> T {
    eventually_within(PATIENCE, what, get, is_so).await
}

/// The same, with more patience.
pub(crate) async fn eventually_within<T: std::fmt::Debug>(
    patience: Duration,
    what: &str,
    get: impl AsyncFn() -> T,
    is_so: impl Fn(&T) -> bool,
) -> T {
    let start = Instant::now();
    loop {
        let found = get().await;
        if is_so(&found) {
            return found;
        }
        assert!(start.elapsed() < patience, "not {what}: {found:#?}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// An address that nobody listens on, and nobody gets by asking for any: those begin at 32768. A new
/// one each time, for what a killed operator held is not free at once.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = 10_000 + u16::try_from(std::process::id() % 20).unwrap() * 1_000;
    let addresses = std::iter::repeat_with(|| {
        let port = begin + NEXT.fetch_add(1, Ordering::Relaxed) % 1_000;
        SocketAddr::from(([127, 0, 0, 1], port))
    });
    let is_free = |address: &SocketAddr| TcpListener::bind(address).is_ok();
    addresses.take(1_000).find(is_free).expect("a free port")
}

/// A condition of an object, or null.
pub(crate) fn condition(o: &Value, kind: &str) -> Value {
    o["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|c| c["type"] == kind)
        .cloned()
        .unwrap_or_default()
}

/// Whether the status speaks of the present spec.
pub(crate) fn is_current(o: &Value) -> bool {
    o["status"]["observedGeneration"] == o["metadata"]["generation"]
        && o["status"]["observedGeneration"] != Value::Null
}
