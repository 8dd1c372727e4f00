//! The Helm chart, by helm itself, against an API server of its own: it brings the CRDs that the
//! other tests share.

use std::process::Command;

use crate::apiserver::tool;

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
