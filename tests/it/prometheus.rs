//! A real Prometheus scrapes the operator, and finds what the dashboard and the alerts ask for.
//! `make test-prometheus` runs it with the one of the distribution.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    remote::Place,
    world::{World, eventually, free_address},
};

/// A Prometheus that scrapes and evaluates every second; it ends with the test.
struct Prometheus {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Prometheus {
    fn start(target: std::net::SocketAddr) -> Self {
        let program = std::env::var("KASTELLAN_PROMETHEUS").expect("make test-prometheus sets it");
        let folder = tempfile::tempdir().unwrap();
        let config = json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [file("rules.yaml")],
            "scrape_configs": [{
                "job_name": "kastellan",
                "honor_labels": true,
                "static_configs": [{"targets": [target.to_string()]}],
            }],
        });
        std::fs::write(folder.path().join("prometheus.yml"), config.to_string()).unwrap();
        let address = free_address();
        let child = Command::new(program)
            .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--log.level=warn"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, url: format!("http://{address}/api/v1"), _folder: folder }
    }

    /// What an expression gives now; an error is one of the expression, or that it does not run yet.
    async fn query(&self, expression: &str) -> Result<Vec<Value>, String> {
        let url = format!("{}/query", self.url);
        let sent = reqwest::Client::new().post(url).form(&[("query", expression)]).send().await;
        let answer: Value = match sent {
            Ok(answer) => answer.json().await.map_err(|e| e.to_string())?,
            Err(e) => return Err(e.to_string()),
        };
        match answer["data"]["result"].as_array() {
            Some(found) => Ok(found.clone()),
            None => Err(answer.to_string()),
        }
    }

    async fn rules(&self) -> Vec<Value> {
        let answer = reqwest::get(format!("{}/rules", self.url)).await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let groups = answer["data"]["groups"].as_array().cloned().unwrap_or_default();
        groups.iter().flat_map(|g| g["rules"].as_array().cloned().unwrap_or_default()).collect()
    }
}

/// A file of the chart.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/kastellan/files").join(name)
}

/// Titles and expressions of the dashboard, as Grafana fills them in.
fn panels() -> Vec<(String, String)> {
    let dashboard = std::fs::read_to_string(file("dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| {
        let title = panel["title"].as_str().unwrap();
        let targets = panel["targets"].as_array().into_iter().flatten();
        targets.map(move |target| (title.to_owned(), target["expr"].as_str().unwrap()))
    });
    let filled = targets.map(|(title, expression)| {
        (title, expression.replace("$job", "kastellan").replace("$__rate_interval", "10s"))
    });
    filled.collect()
}

/// Of these nothing is counted while all goes well.
const NEVER: &[&str] = &["kastellan_kubernetes_errors_total", "kastellan_panics_total"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Prometheus: make test-prometheus"]
async fn dashboard_and_alerts_find_what_they_ask_for() {
    let world = World::new("prometheus").await;
    let prometheus = Prometheus::start(world.admin());
    let is_up = async || prometheus.query("up{job=\"kastellan\"} == 1").await;
    eventually("scraped", is_up, |up| up.as_ref().is_ok_and(|up| !up.is_empty())).await.unwrap();

    // Something of everything that is shown: a key, a change by somebody else, what can't be done.
    let home = json!({"organizationRef": {"name": "home"}});
    world.apply("Organization", "home", json!({})).await;
    world.apply("Project", "shop", home.clone()).await;
    world.apply("MachineUser", "ci", home).await;
    let key = json!({"userRef": {"name": "ci"}, "secret": {"name": "key"}});
    world.apply("MachineKey", "ci", key).await;
    world.apply("Project", "lost", json!({"organizationRef": {"name": "nowhere"}})).await;
    world.ready("MachineKey", "ci").await;
    let shop = world.ready("Project", "shop").await;
    let place = Place::organization(shop["organizationId"].as_str().unwrap());
    let id = shop["id"].as_str().unwrap();
    world.tamper("Project", &place, id, json!({"name": "another"})).await;
    world.noted("shop", "Drift", "by minnie.mouse").await;
    world.reason("Project", "lost", "WaitingForReference").await;

    for (title, expression) in panels() {
        if NEVER.iter().any(|metric| expression.contains(metric)) {
            prometheus.query(&expression).await.unwrap_or_else(|e| panic!("{title}: {e}"));
            continue;
        }
        let found = async || prometheus.query(&expression).await;
        let is_shown = |found: &Result<Vec<Value>, String>| {
            found.as_ref().is_ok_and(|found| !found.is_empty())
        };
        eventually(&format!("{title}: {expression}"), found, is_shown).await.unwrap();
    }

    let rules = async || prometheus.rules().await;
    let is_done = |rules: &Vec<Value>| {
        !rules.is_empty() && rules.iter().all(|rule| rule["health"] != "unknown")
    };
    for rule in eventually("all rules were evaluated", rules, is_done).await {
        assert_eq!(rule["health"], "ok", "{rule}");
        assert_ne!(rule["state"], "firing", "{rule}");
    }
}
