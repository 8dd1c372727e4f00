//! Operators that are processes of their own, each with its own way to the API server and to
//! ZITADEL.

use std::{
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    gate::{Gate, Log},
    world::{World, eventually, free_address},
};

/// The Lease's length: the shortest that there is.
pub(super) const LEASE: Duration = Duration::from_secs(3);

/// A process. It is killed when it is dropped.
pub(super) struct Process {
    /// Unlike that of all others, also of those that ended.
    pub(super) name: String,
    pub(super) gate: Gate,
    admin: SocketAddr,
    child: Child,
    _folder: TempDir,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Process {
    /// Starts one for the objects of a world.
    pub(super) async fn start(world: &World, name: String, log: &Log) -> Self {
        Self::with(world, name, log, &[]).await
    }

    /// Starts one with more arguments.
    pub(super) async fn with(world: &World, name: String, log: &Log, arguments: &[String]) -> Self {
        let gate = Gate::open(&name, world.client.clone(), log.clone()).await;
        let way = format!("http://{}", gate.address);
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("config");
        let content = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "clusters": [{"name": "it", "cluster": {"server": way}}],
            "users": [{"name": "it", "user": {}}],
        });
        std::fs::write(&kubeconfig, content.to_string()).unwrap();
        let admin = free_address();
        let child = Command::new(env!("CARGO_BIN_EXE_kastellan"))
            .args(["operator", "--allowed-address=localhost", "--log-format=json"])
            .arg(format!("--admin-address={admin}"))
            .arg(format!("--watch-namespace={}", world.namespace))
            .arg(format!("--lease-namespace={}", world.namespace))
            .arg(format!("--lease-duration={}s", LEASE.as_secs()))
            .arg("--deletion-pause=0s")
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .env("POD_NAME", &name)
            .env("HTTP_PROXY", &way)
            .env_remove("http_proxy")
            .env_remove("HTTPS_PROXY")
            .env_remove("https_proxy")
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { name, gate, admin, child, _folder: folder }
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(sent.success(), "{signal} of {}", self.name);
    }

    /// How it ended, if it did.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it has ended.
    pub(super) async fn end(&mut self) -> ExitStatus {
        let start = std::time::Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "{} does not end", self.name);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn get(&self, path: &str) -> Option<(u16, String)> {
        let answer = reqwest::get(format!("http://{}/{path}", self.admin)).await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// Whether it is ready, and says so in these words.
    pub(super) async fn is_ready(&self, words: &str) -> bool {
        let answer = self.get("readyz").await;
        answer.is_some_and(|(code, text)| code == 200 && text.starts_with(words))
    }

    /// Waits until it is.
    pub(super) async fn ready(&self, words: &str) {
        let what = format!("{} ready: {words}", self.name);
        eventually(&what, async || self.is_ready(words).await, |is_ready| *is_ready).await;
    }

    /// Waits until its metrics are such.
    pub(super) async fn metrics(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let get = async || self.get("metrics").await.unwrap_or_default().1;
        eventually(what, get, |text| is_so(text)).await
    }
}
