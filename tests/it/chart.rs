//! The Helm chart, by helm itself, against an API server of its own: it brings the CRDs that the
//! other tests share.

use std::process::{Command, Output};

use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
};
use serde_json::Value;

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
