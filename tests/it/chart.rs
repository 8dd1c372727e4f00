//! The Helm chart, by helm itself, against an API server of its own: it brings the CRDs that the
//! other tests share.

use std::process::Command;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chart_installs_upgrades_uninstalls_and_installs_again() {
    let helm = std::env::var("KASTELLAN_HELM")
        .expect("run the tests by `make test`: it builds helm and sets KASTELLAN_HELM");
    let Ok(testenv) = std::env::var("KASTELLAN_TESTENV") else {
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
