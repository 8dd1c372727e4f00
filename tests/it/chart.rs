//! The Helm chart, by helm itself, against an API server of its own: it brings the CRDs that the
//! other tests share.

pub(crate) mod lifecycle;

use std::process::{Command, Output};

use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
};
use serde_json::{Value, json};

use crate::apiserver::tool;

/// What `helm template` says to these values, by the names of templates.
pub(crate) fn template(release: &str, values: &Value, options: &[&str]) -> Output {
    let helm = tool("KASTELLAN_HELM", "helm").expect("`make test` builds helm");
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/kastellan");
    let mut command = Command::new(helm);
    command.args(["template", release, chart, "--namespace", release]).args(options);
    for (key, value) in values.as_object().into_iter().flatten() {
        command.args(["--set-json", &format!("{key}={value}")]);
    }
    command.output().unwrap()
}

/// What these templates of the chart make of these values, under the name and in the namespace of
/// the release.
pub(crate) fn render(release: &str, values: &Value, templates: &[&str]) -> Vec<Value> {
    let only: Vec<String> =
        templates.iter().map(|t| format!("--show-only=templates/{t}")).collect();
    let only: Vec<&str> = only.iter().map(String::as_str).collect();
    let output = template(release, values, &only);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let documents = text.split("\n---\n").filter(|d| d.contains("\nkind: "));
    documents.map(|d| serde_saphyr::from_str(d).unwrap()).collect()
}

/// Creates or changes what the chart made, as helm does.
pub(crate) async fn install(admin: &Client, objects: &[Value]) {
    for object in objects {
        let gvk: Vec<&str> = object["apiVersion"].as_str().unwrap().split('/').collect();
        let (group, version) = if gvk.len() == 2 { (gvk[0], gvk[1]) } else { ("", gvk[0]) };
        let kind = object["kind"].as_str().unwrap();
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
            Some(ns) => Api::namespaced_with(admin.clone(), ns, &resource),
            None => Api::all_with(admin.clone(), &resource),
        };
        let name = object["metadata"]["name"].as_str().unwrap();
        api.patch(name, &PatchParams::apply("chart").force(), &Patch::Apply(object)).await.unwrap();
    }
}

/// The documents of the chart of this kind.
fn of_kind(values: &Value, kind: &str) -> Vec<Value> {
    let output = template("kastellan", values, &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let is_it = |d: &&str| d.contains(&format!("\nkind: {kind}\n"));
    text.split("\n---\n").filter(is_it).map(|d| serde_saphyr::from_str(d).unwrap()).collect()
}

fn file(name: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    std::fs::read_to_string(format!("{root}{name}")).unwrap()
}

/// The alerts in rules: their names, and each as a whole.
fn alerts(groups: &Value) -> Vec<(String, Value)> {
    let groups = groups.as_array().unwrap().iter();
    let rules = groups.flat_map(|g| g["rules"].as_array().unwrap());
    rules.map(|r| (r["alert"].as_str().unwrap().to_owned(), r.clone())).collect()
}

#[test]
fn what_people_set_is_what_the_chart_makes() {
    let sets = [
        ("default", json!({})),
        ("high-availability", json!({"replicas": 2})),
        ("some-namespaces", json!({"operator.watchNamespaces": ["team-a", "team-b"]})),
        (
            "few-rights-to-secrets",
            json!({
                "rbac.writeSecrets": false,
                "rbac.secretNames": ["zitadel-token"],
                "rbac.configMapNames": ["zitadel-ca"],
            }),
        ),
        (
            "network-policy",
            json!({
                "networkPolicy.enabled": true,
                "networkPolicy.egress": [{"ports": [{"port": 443, "protocol": "TCP"}]}],
            }),
        ),
        (
            "shards",
            json!({
                "operator.shards": ["eu", "us"],
                "replicas": 2,
                "networkPolicy.enabled": true,
                "serviceMonitor.enabled": true,
            }),
        ),
        (
            "everything",
            json!({
                "replicas": 2,
                "operator.allowedAddresses": ["auth.example.com"],
                "operator.countUnmanaged": true,
                "operator.statusPage": true,
                "operator.extraArgs": ["--no-lease"],
                "operator.env": [{"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"}],
                "imagePullSecrets": [{"name": "registry"}],
                "podSecurityContext": {"runAsUser": null, "runAsGroup": null},
                "extraVolumes": [{"name": "ca", "configMap": {"name": "corporate-ca"}}],
                "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ssl/certs", "readOnly": true}],
                "admission.forbidDevMode.enabled": true,
                "serviceMonitor.enabled": true,
                "networkPolicy.enabled": true,
                "instances": [
                    {"name": "default", "spec": instance_spec()},
                    {
                        "name": "staging",
                        "namespace": "staging",
                        "labels": {"example.com/team": "identity", "app.kubernetes.io/version": "1"},
                        "annotations": {"argocd.argoproj.io/sync-wave": "1"},
                        "spec": instance_spec(),
                    },
                ],
                "podAnnotations": {"example.com/team": "identity"},
                "priorityClassName": "system-cluster-critical",
                "tolerations": [{"key": "control-plane", "operator": "Exists"}],
            }),
        ),
    ];
    for (name, mut values) in sets {
        // Each CRD is a file of its own.
        values["crds.install"] = json!(false);
        let output = template("kastellan", &values, &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("chart/snapshots");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        let text = String::from_utf8(output.stdout).unwrap();
        settings.bind(|| insta::assert_snapshot!(name, text));
    }
}

/// The spec of an Instance.
fn instance_spec() -> Value {
    let secret = json!({"name": "kastellan", "key": "key.json"});
    json!({
        "issuer": "https://auth.example.com",
        "credentials": {"privateKey": {"secretRef": secret}},
        "maxConcurrency": 4,
    })
}

#[test]
fn an_instance_in_a_namespace_that_is_not_watched_is_refused() {
    let mut values = json!({
        "operator.watchNamespaces": ["team-a"],
        "instances": [{"name": "default", "namespace": "team-b", "spec": instance_spec()}],
    });
    let refused = String::from_utf8(template("kastellan", &values, &[]).stderr).unwrap();
    let says = "instances[0]: the namespace team-b is not one of operator.watchNamespaces";
    assert!(refused.contains(says), "{refused}");
    values["operator.watchNamespaces"] = json!(["team-a", "team-b"]);
    assert_eq!(of_kind(&values, "Instance").len(), 1);
}

#[test]
fn the_versions_that_the_docs_name_are_those_of_the_tests() {
    let (makefile, page) = (file("Makefile"), file("docs/tasks/install.md"));
    let row = |name: &str| page.lines().find(|l| l.starts_with(&format!("| {name} |"))).unwrap();
    for (name, variable) in [("Kubernetes", "KUBERNETES_VERSION"), ("Helm", "HELM_VERSION")] {
        let head = format!("{variable} := ");
        let version = makefile.lines().find_map(|l| l.strip_prefix(&*head)).unwrap();
        assert!(row(name).ends_with(&format!("| {version} |")), "{}", row(name));
    }
    let (needed, older) = ("1.29.0", "1.28.0");
    assert!(template("kastellan", &json!({}), &["--kube-version", needed]).status.success());
    let refused = template("kastellan", &json!({}), &["--kube-version", older]);
    let says = String::from_utf8(refused.stderr).unwrap();
    assert!(says.contains("chart requires kubeVersion: >=1.29.0-0"), "{says}");
}

#[test]
fn a_level_of_logs_that_there_is_not_is_refused() {
    for (level, is_one) in
        [("debug", true), ("info,kastellan::live=debug", true), ("loud", false), ("a=loud", false)]
    {
        let output = template("kastellan", &json!({"operator.logLevel": level}), &[]);
        assert_eq!(output.status.success(), is_one, "{level}");
    }
}

#[test]
fn the_alerts_are_the_rules_of_the_file_without_those_that_are_disabled() {
    assert!(of_kind(&json!({}), "PrometheusRule").is_empty());
    let rules: Value = serde_saphyr::from_str(&file("charts/kastellan/files/rules.yaml")).unwrap();
    let in_file = alerts(&rules["groups"]);
    assert!(in_file.len() >= 9, "{in_file:?}");

    let mut values =
        json!({"prometheusRule": {"enabled": true, "labels": {"release": "prometheus"}}});
    let made = of_kind(&values, "PrometheusRule");
    assert_eq!(made[0]["metadata"]["labels"]["release"], "prometheus");
    assert_eq!(alerts(&made[0]["spec"]["groups"]), in_file);

    values["prometheusRule"]["disabled"] = json!(["KastellanFeedStopped"]);
    let made = alerts(&of_kind(&values, "PrometheusRule")[0]["spec"]["groups"]);
    let others = in_file.iter().filter(|(name, _)| name != "KastellanFeedStopped").cloned();
    assert_eq!(made, others.collect::<Vec<_>>());
    assert_eq!(made.len(), in_file.len() - 1);

    values["prometheusRule"]["disabled"] = json!(["KastelanFeedStopped"]);
    let refused = String::from_utf8(template("kastellan", &values, &[]).stderr).unwrap();
    assert!(refused.contains("there is no alert KastelanFeedStopped"), "{refused}");
}

#[test]
fn each_alert_is_tested_and_explained_where_it_says() {
    let rules: Value = serde_saphyr::from_str(&file("charts/kastellan/files/rules.yaml")).unwrap();
    let tests: Value = serde_saphyr::from_str(&file("tests/gitops/rules_test.yaml")).unwrap();
    let tests = tests["tests"].as_array().unwrap().iter();
    let cases: Vec<&Value> = tests.flat_map(|t| t["alert_rule_test"].as_array().unwrap()).collect();
    let page = file("docs/troubleshooting.md");
    let headings: Vec<&str> = page.lines().filter_map(|l| l.strip_prefix("### ")).collect();
    for (name, rule) in alerts(&rules["groups"]) {
        for fires in [true, false] {
            let is_tested = cases.iter().any(|case| {
                let expected = case["exp_alerts"].as_array().unwrap();
                case["alertname"] == name.as_str() && expected.is_empty() != fires
            });
            assert!(is_tested, "no test in which {name} fires: {fires}");
        }
        let said = &rule["annotations"];
        for annotation in ["summary", "description"] {
            assert!(said[annotation].as_str().is_some_and(|text| !text.is_empty()), "{name}");
        }
        let anchor = format!("/docs/troubleshooting.md#{}", name.to_lowercase());
        assert!(said["runbook_url"].as_str().unwrap().ends_with(&anchor), "{name}: {said}");
        assert!(
            headings.contains(&name.as_str()),
            "docs/troubleshooting.md does not explain {name}"
        );
        assert!(["critical", "warning"].map(Value::from).contains(&rule["labels"]["severity"]));
    }
}

#[test]
fn the_dashboard_is_that_of_the_file() {
    assert!(of_kind(&json!({}), "ConfigMap").is_empty());
    let values =
        json!({"dashboard": {"enabled": true, "annotations": {"grafana_folder": "ZITADEL"}}});
    let made = of_kind(&values, "ConfigMap").remove(0);
    assert_eq!(made["metadata"]["labels"]["grafana_dashboard"], "1");
    assert_eq!(made["metadata"]["annotations"]["grafana_folder"], "ZITADEL");
    let text = made["data"]["kastellan.json"].as_str().unwrap();
    let dashboard: Value = serde_json::from_str(text).unwrap();
    let in_file = file("charts/kastellan/files/dashboard.json");
    assert_eq!(dashboard, serde_json::from_str::<Value>(&in_file).unwrap());

    // Panels do not overlap, and each asks something of the data source that was chosen.
    let panels = dashboard["panels"].as_array().unwrap();
    let mut cells = std::collections::BTreeSet::new();
    for panel in panels {
        let at = |field: &str| panel["gridPos"][field].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{panel}");
        for (x, y) in (at("x")..at("x") + at("w"))
            .flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y)))
        {
            assert!(cells.insert((x, y)), "{} is over another panel", panel["title"]);
        }
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel}");
        for target in targets {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{panel}");
        }
    }
    let ids: std::collections::BTreeSet<_> = panels.iter().map(|p| p["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len());
}

#[test]
fn metrics_keep_their_own_labels_when_they_are_scraped() {
    let made = of_kind(&json!({"serviceMonitor": {"enabled": true}}), "ServiceMonitor");
    assert_eq!(made[0]["spec"]["endpoints"][0]["honorLabels"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chart_installs_upgrades_uninstalls_and_installs_again() {
    let helm = tool("KASTELLAN_HELM", "helm")
        .expect("no helm is built yet: run `make tools` once, or `make test`");
    let Some(testenv) = tool("KASTELLAN_TESTENV", "testenv") else {
        eprintln!("not tested: the cluster of KASTELLAN_TEST_KUBECONFIG has the CRDs already");
        return;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/test-chart");
    let run = move || {
        Command::new(testenv)
            .args(["-kcm", "--", script])
            .env("KASTELLAN_HELM", helm)
            .output()
            .unwrap()
    };
    let run = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(
        run.status.success(),
        "{}{}",
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr)
    );
}
