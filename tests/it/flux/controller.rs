//! kustomize-controller, on an API server of its own. There is no source-controller: the test is it.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use axum::{Router, extract, http::StatusCode, routing::get};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    apiserver,
    world::{condition, establish, eventually, free_address, own_cluster},
};

/// Where the Kustomizations of the page are.
pub(super) const NAMESPACE: &str = "flux-system";

/// What is in Git: contents by path.
pub(super) type Files = BTreeMap<String, String>;

/// The archives that are served, by name.
type Archives = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// See the module. Ends when it is dropped, and shows its log if the test has failed.
pub(super) struct Flux {
    pub(super) client: Client,
    /// kustomize-controller.
    child: Child,
    log: PathBuf,
    archives: Archives,
    /// Where they are served.
    url: String,
    /// What kustomize-controller reads and writes.
    dir: TempDir,
    _server: apiserver::Server,
}

impl Drop for Flux {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("kustomize-controller:\n{}", fs::read_to_string(&self.log).unwrap());
        }
    }
}

fn flux(kind: &str) -> ApiResource {
    let (group, plural) = match kind {
        "Kustomization" => ("kustomize.toolkit.fluxcd.io", "kustomizations"),
        _ => ("source.toolkit.fluxcd.io", "gitrepositories"),
    };
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", kind), plural)
}

impl Flux {
    /// With the namespaces `flux-system` and `acme`, and without a CRD of Kastellan's.
    pub(super) async fn start() -> Self {
        let flux = apiserver::tool("KASTELLAN_FLUX", "flux").expect("`make test-gitops` builds it");
        let (client, server) =
            own_cluster().await.expect("an API server of its own: not KASTELLAN_TEST_KUBECONFIG");
        for file in ["crds/kustomize.yaml", "crds/source.yaml"] {
            let crds = fs::read_to_string(flux.join(file)).unwrap();
            for crd in serde_saphyr::from_multiple(&crds).unwrap() {
                establish(&client, &crd).await;
            }
        }
        for name in [NAMESPACE, "acme"] {
            let namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
            let api = Api::<Namespace>::all(client.clone());
            api.create(&PostParams::default(), &namespace).await.unwrap();
        }
        let dir = tempfile::tempdir().unwrap();
        let kubeconfig = dir.path().join("kubeconfig");
        fs::write(&kubeconfig, serde_json::to_string(&server.kubeconfig).unwrap()).unwrap();
        let log = dir.path().join("log");
        let child = Command::new(flux.join("kustomize-controller"))
            // What waits for another one is looked at again each second, instead of each half minute.
            .args(["--metrics-addr=0", "--requeue-dependency=1s", "--health-addr"])
            .arg(free_address().to_string())
            .env("KUBECONFIG", kubeconfig)
            .env("TMPDIR", dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let archives = Archives::default();
        let url = serve(archives.clone()).await;
        Self { client, child, log, archives, url, dir, _server: server }
    }

    fn api(&self, kind: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), NAMESPACE, &flux(kind))
    }

    /// Creates or changes a Kustomization.
    pub(super) async fn apply(&self, kustomization: &Value) {
        assert_eq!(kustomization["metadata"]["namespace"], NAMESPACE);
        let name = kustomization["metadata"]["name"].as_str().unwrap();
        let (params, patch) = (PatchParams::apply("person").force(), Patch::Apply(kustomization));
        self.api("Kustomization").patch(name, &params, &patch).await.unwrap();
    }

    /// A new revision is in Git, as source-controller says it.
    pub(super) async fn push(&self, files: &Files) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let commit = NUMBER.fetch_add(1, Ordering::Relaxed);
        let (revision, name) =
            (format!("main@sha1:{commit:040x}"), format!("{commit:040x}.tar.gz"));
        let archive = archive(files);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &archive);
        let hex = |hex: String, byte: &u8| hex + &format!("{byte:02x}");
        let digest = digest.as_ref().iter().fold(String::new(), hex);
        self.archives.lock().unwrap().insert(name.clone(), archive);
        let artifact = json!({
            "digest": format!("sha256:{digest}"),
            "lastUpdateTime": jiff::Timestamp::now().to_string(),
            "path": name,
            "revision": revision,
            "url": format!("{}/{name}", self.url),
        });
        let spec = json!({"url": "https://git.acme.example/platform.git", "interval": "1m"});
        let body = |what: &str, value: Value| {
            json!({
                "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
                "metadata": {"name": "platform"}, what: value,
            })
        };
        let (api, params) = (self.api("GitRepository"), PatchParams::apply("source").force());
        api.patch("platform", &params, &Patch::Apply(body("spec", spec))).await.unwrap();
        let status = body("status", json!({"artifact": artifact}));
        api.patch_status("platform", &params, &Patch::Apply(status)).await.unwrap();
        revision
    }

    /// A Kustomization; null if it is not there.
    pub(super) async fn get(&self, name: &str) -> Value {
        let found = self.api("Kustomization").get_opt(name).await.unwrap();
        found
            .map(|mut o| {
                o.metadata.managed_fields = None;
                o
            })
            .map(|o| serde_json::to_value(o).unwrap())
            .unwrap_or_default()
    }

    async fn until(&self, name: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("{name}: {what}"), async || self.get(name).await, |o| is_so(o)).await
    }

    /// Waits until a Kustomization has applied a revision and found it healthy.
    pub(super) async fn ready(&self, name: &str, revision: &str) -> Value {
        self.until(name, &format!("Ready with {revision}"), |o| {
            condition(o, "Ready")["status"] == "True"
                && o["status"]["lastAppliedRevision"] == revision
                && o["status"]["observedGeneration"] == o["metadata"]["generation"]
        })
        .await
    }

    /// Waits until a Kustomization has failed with a revision, and returns its message; of health
    /// checks without how long they took.
    pub(super) async fn failed(&self, name: &str, revision: &str, reason: &str) -> String {
        let o = self
            .until(name, &format!("{reason} with {revision}"), |o| {
                let ready = condition(o, "Ready");
                ready["status"] == "False"
                    && ready["reason"] == reason
                    && o["status"]["lastAttemptedRevision"] == revision
                    && ready["observedGeneration"] == o["metadata"]["generation"]
            })
            .await;
        let message = condition(&o, "Ready")["message"].as_str().unwrap().to_owned();
        message
            .split_once("health check failed after ")
            .and_then(|(_, m)| m.split_once(": "))
            .map_or(message.clone(), |(_, reason)| reason.to_owned())
    }

    /// Waits until a Kustomization can't begin for this reason, and returns its message.
    pub(super) async fn refused(&self, name: &str, reason: &str) -> String {
        let is_so = |o: &Value| condition(o, "Ready")["reason"] == reason;
        let o = self.until(name, reason, is_so).await;
        condition(&o, "Ready")["message"].as_str().unwrap().to_owned()
    }

    /// Waits until a Kustomization has applied a revision and looks whether all are healthy.
    pub(super) async fn checks(&self, name: &str, revision: &str) {
        self.until(name, &format!("checking {revision}"), |o| {
            condition(o, "Healthy")["status"] == "Unknown"
                && o["status"]["lastAttemptedRevision"] == revision
                && condition(o, "Healthy")["observedGeneration"] == o["metadata"]["generation"]
        })
        .await;
    }

    /// Has Kustomizations reconciled now, as `flux reconcile` does, and waits until that has ended.
    pub(super) async fn reconcile(&self, names: &[&str]) {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let at = NUMBER.fetch_add(1, Ordering::Relaxed).to_string();
        for name in names {
            let annotation = json!({"reconcile.fluxcd.io/requestedAt": at});
            let patch = Patch::Merge(json!({"metadata": {"annotations": annotation}}));
            self.api("Kustomization").patch(name, &PatchParams::default(), &patch).await.unwrap();
        }
        for name in names {
            self.until(name, "reconciled", |o| {
                o["status"]["lastHandledReconcileAt"] == at
                    && condition(o, "Ready")["status"] != "Unknown"
            })
            .await;
        }
    }

    pub(super) async fn delete(&self, name: &str) {
        self.api("Kustomization").delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Waits until a Kustomization is gone.
    pub(super) async fn gone(&self, name: &str) {
        self.until(name, "gone", Value::is_null).await;
    }

    /// What kubectl, which is the API server's program by another name, prints.
    pub(super) fn kubectl(&self, arguments: &str) -> String {
        let program = self.dir.path().join("kubectl");
        let testenv = apiserver::tool("KASTELLAN_TESTENV", "testenv").unwrap();
        symlink(fs::canonicalize(testenv).unwrap(), &program).ok();
        let mut command = Command::new(program);
        command.args(arguments.split(' ')).env("KUBECONFIG", self.dir.path().join("kubeconfig"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What kustomize-controller says that it did so far to each object by name, one apply after
    /// the other.
    pub(super) fn applies(&self) -> Vec<BTreeMap<String, String>> {
        let log = fs::read_to_string(&self.log).unwrap();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let applies = lines.filter(|line| line["msg"] == "server-side apply completed");
        applies.map(|line| serde_json::from_value(line["output"].clone()).unwrap()).collect()
    }
}

/// Serves archives on loopback, until the test ends.
async fn serve(archives: Archives) -> String {
    let answer = async |extract::State(archives): extract::State<Archives>,
                        extract::Path(name): extract::Path<String>| {
        archives.lock().unwrap().get(&name).cloned().ok_or(StatusCode::NOT_FOUND)
    };
    let router = Router::new().route("/{name}", get(answer)).with_state(archives);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// Files as source-controller packs them.
fn archive(files: &Files) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let tar =
        Command::new("tar").args(["-czf", "-", "."]).current_dir(dir.path()).output().unwrap();
    assert!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
    tar.stdout
}

/// The files of a folder of this project, at another path.
pub(super) fn files(folder: &str, path: &str) -> Files {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let file = |from: PathBuf| {
        let name = from.file_name().unwrap().to_str().unwrap();
        (format!("{path}/{name}"), fs::read_to_string(&from).unwrap())
    };
    entries.map(file).collect()
}
