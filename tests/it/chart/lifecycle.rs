//! What happens to declared objects while a release comes, is upgraded, rolled back and goes, with
//! an operator that is what the release's Deployment says, under the release's service account.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::{apps::v1::Deployment, core::v1::Container},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kastellan::kinds::REGISTRY;
use kube::{
    Api, Client,
    api::ListParams,
    config::{AuthInfo, Kubeconfig},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    apiserver::tool,
    examples::{become_ready, documents},
    operator::chart_account::token,
    world::{World, condition, eventually, free_address, own_cluster},
};

/// The release's name; its namespace is named after it.
const RELEASE: &str = "kastellan";
const NAMESPACE: &str = "kastellan-system";
/// One that lost its rights can't give its Lease back: the next one waits for so long.
const VALUES: &str = "operator.allowedAddresses={localhost},operator.leaseDuration=3s";
/// A field of Instances that the earlier chart does not know.
const FIELD: &str = "maxConcurrency";
/// A kind that the later chart alone brings.
const KIND: &str = "gadgets.zitadel.kastellan.dev";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_declared_stays_as_it_is_whatever_happens_to_the_release() {
    let Some((client, server)) = own_cluster().await else {
        eprintln!("not tested: the given cluster has the CRDs already");
        return;
    };
    let helm = Helm::new(&server.kubeconfig);
    let (earlier, later) =
        (helm.package("0.0.1", without_field), helm.package("99.0.0", with_kind));
    helm.run(&["install", RELEASE, &earlier, "--create-namespace", "--set", VALUES]);
    crds_are_stored_as_they_are_written(&client).await;

    let mut world = World::on(client.clone(), "tenant").await;
    let pod = Pod::start(&client, &server.kubeconfig, "1").await;
    pod.leads().await;
    become_ready(&world, documents("examples/tenant")).await;
    let mut at_rest = State::of(&world).await;
    at_rest.renames(&world, "Shop, installed").await;
    assert!(!takes_field(&world).await, "the earlier CRD has the field");

    helm.run(&["upgrade", RELEASE, &later, "--reuse-values"]);
    let pod = pod.replace(&client, &server.kubeconfig, "2").await;
    at_rest.stays(&world, &pod).await;
    at_rest.renames(&world, "Shop, upgraded").await;
    assert!(crd_names(&client).await.contains(&KIND.to_owned()));
    eventually("the later CRD has the field", async || takes_field(&world).await, |takes| *takes)
        .await;
    world.ready("Instance", "default").await;
    at_rest = State::of(&world).await;

    helm.run(&["rollback", RELEASE, "1"]);
    let pod = pod.replace(&client, &server.kubeconfig, "3").await;
    at_rest.stays(&world, &pod).await;
    at_rest.renames(&world, "Shop, rolled back").await;
    let refused = async || !takes_field(&world).await;
    eventually("the earlier CRD is back", refused, |refused| *refused).await;
    let names = crd_names(&client).await;
    assert!(names.contains(&KIND.to_owned()), "what came with the upgrade stays: {names:?}");

    // Its rights go while it still works.
    helm.run(&["uninstall", RELEASE]);
    let ended = pod.end().await;
    assert!(ended.success(), "{ended}");
    at_rest.stays_there(&world).await;
    assert_eq!(crd_names(&client).await, names);

    helm.run(&["install", RELEASE, &later, "--set", VALUES]);
    let pod = Pod::start(&client, &server.kubeconfig, "4").await;
    pod.leads().await;
    at_rest.stays(&world, &pod).await;
    at_rest.renames(&world, "Shop, installed again").await;
    drop(pod);
    world.stop().await;
}

/// The chart's CRDs without a field that Instances have.
fn without_field(chart: &Path) {
    let path = chart.join("files/crds/instances.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let depth = |line: &str| line.len() - line.trim_start().len();
    let (mut kept, mut within) = (String::new(), None);
    for line in text.lines() {
        within = within.filter(|outer| depth(line) > *outer);
        if line.trim_start() == format!("{FIELD}:") {
            within = Some(depth(line));
        }
        if within.is_none() {
            kept = kept + line + "\n";
        }
    }
    assert!(kept.len() < text.len(), "Instances have {FIELD}");
    fs::write(path, kept).unwrap();
}

/// The chart's CRDs and one more.
fn with_kind(chart: &Path) {
    let text = fs::read_to_string(chart.join("files/crds/projects.yaml")).unwrap();
    let names = [("projects", "gadgets"), ("zproject", "zgadget"), ("Project", "Gadget")];
    let text = names.iter().fold(text, |text, (from, to)| text.replace(from, to));
    fs::write(chart.join("files/crds/gadgets.yaml"), text.replace(": project\n", ": gadget\n"))
        .unwrap();
}

/// Whether the API server takes the field.
async fn takes_field(world: &World) -> bool {
    let mut spec = world.instance_spec();
    spec[FIELD] = json!(3);
    match world.try_apply("Instance", "default", spec).await {
        Ok(_) => true,
        Err(message) => {
            assert!(message.contains(FIELD), "{message}");
            false
        }
    }
}

async fn crd_names(client: &Client) -> Vec<String> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let all = api.list(&ListParams::default()).await.unwrap();
    all.into_iter().map(|crd| crd.metadata.name.unwrap()).collect()
}

/// Nothing is empty or a default in a CRD: otherwise two who apply the same file conflict.
async fn crds_are_stored_as_they_are_written(client: &Client) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for written in REGISTRY.all().map(|entry| entry.crd()) {
        let name = written.metadata.name.unwrap();
        let stored = api.get(&name).await.unwrap();
        // Of these the earlier chart has others.
        if !name.starts_with("instances.") {
            assert_eq!(stored.spec.versions, written.spec.versions, "{name}");
        }
        let mark = &stored.metadata.annotations.unwrap()["helm.sh/resource-policy"];
        assert_eq!(mark, "keep", "{name}");
    }
}

/// What there is of the tenant.
struct State {
    objects: Vec<Value>,
    /// Events in ZITADEL.
    events: usize,
}

impl State {
    async fn of(world: &World) -> Self {
        let mut objects = Vec::new();
        for document in documents("examples/tenant") {
            let text = |pointer: &str| document.pointer(pointer).unwrap().as_str().unwrap();
            let (kind, name) = (text("/kind"), text("/metadata/name"));
            let object = world.get_in(&world.namespace, kind, name).await;
            let ready = condition(&object, "Ready");
            assert_eq!(ready["status"], "True", "{kind} {name}: {ready}");
            objects.push(json!({
                "kind": kind,
                "name": name,
                "uid": object["metadata"]["uid"],
                "id": object["status"]["id"],
                "ready since": ready["lastTransitionTime"],
            }));
        }
        Self { objects, events: world.events() }
    }

    /// The same objects are there, Ready all the while, and nothing was written to ZITADEL.
    async fn stays_there(&self, world: &World) {
        let now = Self::of(world).await;
        assert_eq!(now.objects, self.objects);
        assert_eq!(now.events, self.events);
    }

    /// The same, when an operator has compared all of it.
    async fn stays(&self, world: &World, pod: &Pod) {
        let count = |metrics: &str, kind: &str| {
            let head = format!("kastellan_reconciles_total{{kind=\"{kind}\"}} ");
            metrics.lines().find_map(|l| l.strip_prefix(&*head)?.parse().ok()).unwrap_or(0)
        };
        let of_kind = |kind: &Value| self.objects.iter().filter(|o| o["kind"] == *kind).count();
        pod.metrics("all is compared", |metrics| {
            let mut kinds = self.objects.iter().map(|o| &o["kind"]);
            kinds.all(|kind| count(metrics, kind.as_str().unwrap()) >= of_kind(kind))
        })
        .await;
        self.stays_there(world).await;
    }

    /// The operator works: a change arrives in ZITADEL, and nothing else.
    async fn renames(&mut self, world: &World, name: &str) {
        world.patch("Project", "shop", json!({"spec": {"name": name}})).await;
        let id = world.ready("Project", "shop").await["id"].as_str().unwrap().to_owned();
        let organization = world.ready("Organization", "acme").await;
        let live = world.live("Project", organization["id"].as_str(), &id).await.unwrap();
        assert_eq!(live.state.get("name"), Some(&json!(name)));
        assert_eq!(world.events(), self.events + 1);
        *self = Self::of(world).await;
    }
}

/// Helm for one cluster.
struct Helm {
    program: PathBuf,
    folder: TempDir,
}

impl Helm {
    fn new(kubeconfig: &Kubeconfig) -> Self {
        let program = tool("KASTELLAN_HELM", "helm").expect("`make test` builds helm");
        let folder = tempfile::tempdir().unwrap();
        let content = serde_json::to_string(kubeconfig).unwrap();
        fs::write(folder.path().join("config"), content).unwrap();
        Self { program, folder }
    }

    /// Runs it in the release's namespace.
    fn run(&self, args: &[&str]) {
        let mut command = Command::new(&self.program);
        command.args(args).env("KUBECONFIG", self.folder.path().join("config"));
        let output = command.args(["--namespace", NAMESPACE]).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The chart as a package of this version, with a change to its files.
    fn package(&self, version: &str, change: fn(&Path)) -> String {
        let chart = self.folder.path().join(version).join("kastellan");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/kastellan"), &chart);
        change(&chart);
        let (chart, to) = (chart.display().to_string(), self.folder.path().display().to_string());
        let version_of = ["--version", version, "--app-version", version];
        self.run(&[&["package", &*chart, "--destination", &*to][..], &version_of].concat());
        format!("{to}/kastellan-{version}.tgz")
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// What a kubelet makes of the release's Deployment: a process with its arguments, environment and
/// account. It is killed when it is dropped.
pub(crate) struct Pod {
    child: Child,
    admin: SocketAddr,
    folder: TempDir,
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            eprintln!("the operator's log:\n{log}");
        }
    }
}

impl Pod {
    pub(crate) async fn start(client: &Client, kubeconfig: &Kubeconfig, name: &str) -> Self {
        let api: Api<Deployment> = Api::namespaced(client.clone(), NAMESPACE);
        let pod = api.get(RELEASE).await.unwrap().spec.template.spec.unwrap();
        let account = pod.service_account_name.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config");
        let mut content = kubeconfig.clone();
        for user in &mut content.auth_infos {
            let token = token(client, NAMESPACE, &account).await;
            user.auth_info = Some(AuthInfo { token: Some(token.into()), ..AuthInfo::default() });
        }
        fs::write(&config, serde_json::to_string(&content).unwrap()).unwrap();
        let admin = free_address();
        let [container]: [Container; 1] = pod.containers.try_into().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kastellan"));
        command.args(container.args.unwrap()).arg(format!("--admin-address={admin}")).env_clear();
        for variable in container.env.unwrap() {
            let field = variable.value_from.and_then(|from| from.field_ref).map(|f| f.field_path);
            let value = match field.as_deref() {
                None => variable.value.unwrap(),
                Some("metadata.name") => name.to_owned(),
                Some("metadata.namespace") => NAMESPACE.to_owned(),
                Some(other) => panic!("{other} is not known here"),
            };
            command.env(variable.name, value);
        }
        let log = fs::File::create(folder.path().join("log")).unwrap();
        command.env("KUBECONFIG", config).stdout(Stdio::null()).stderr(log);
        Self { child: command.spawn().unwrap(), admin, folder }
    }

    /// As the Deployment's strategy has it: the next one stands by, ready, when this one ends.
    async fn replace(self, client: &Client, kubeconfig: &Kubeconfig, name: &str) -> Self {
        let next = Self::start(client, kubeconfig, name).await;
        let is_ready = async || next.get("readyz").await;
        eventually("ready", is_ready, |text| text.starts_with("standby: ")).await;
        let ended = self.end().await;
        assert!(ended.success(), "{ended}");
        next.leads().await;
        next
    }

    /// Ends it as a kubelet does.
    async fn end(mut self) -> ExitStatus {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "it does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn get(&self, path: &str) -> String {
        match reqwest::get(format!("http://{}/{path}", self.admin)).await {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    pub(crate) async fn leads(&self) {
        self.metrics("it leads", |text| text.contains("kastellan_leader 1")).await;
        eventually("ready", async || self.get("readyz").await, |text| text == "ok\n").await;
    }

    async fn metrics(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        eventually(what, async || self.get("metrics").await, |text| is_so(text)).await;
    }
}
