//! What an `apply` says of what it did, and of what it did not come to.

use std::time::Duration;

use serde_json::Value;
use zitadel_emulator::{Action, Rule};

use super::{Desk, until};

async fn default_organization(desk: &Desk) -> String {
    let client = desk.client(&desk.emulator().pat());
    let found: Value = client.get(None, "/admin/v1/orgs/default").await.unwrap();
    found["org"]["id"].as_str().unwrap().to_owned()
}

fn project(name: &str, organization: &str, more: &str) -> String {
    format!(
        "kind: Project\nmetadata: {{name: {name}}}\nspec: {{organizationId: \"{organization}\"{more}}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_summary_counts_only_what_is_as_declared_as_that() {
    let desk = Desk::new().await;
    let id = default_organization(&desk).await;
    let all = [
        project("as-declared", &id, ""),
        project("observed", &id, ", mode: Observe"),
        project("suspended", &id, ", suspend: true"),
        project("half-made", &id, ", state: Inactive"),
        project("refused", "100000000000000000", ""),
    ];
    let refuses = Rule::new(Action::Status { status: 400 });
    desk.emulator().faults().add(refuses.path("/management/v1/projects/*/_deactivate"));
    desk.write("first.yaml", &all[0]);
    assert_eq!(desk.run(&["apply", "-f", "first.yaml"]).await.code, 0);
    desk.write("all.yaml", &all.join("---\n"));
    let ran = desk.run(&["apply", "-f", "all.yaml"]).await;
    assert_eq!(ran.code, 1);
    let counts = "Applied: 0 created, 0 changed, 1 as declared already, 1 failed, 1 incomplete, 1 only observed, 1 suspended";
    assert!(ran.stderr.contains(counts), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apply_that_is_stopped_says_what_was_done_and_what_was_not() {
    for (signal, more) in
        [(Some("INT"), &[][..]), (Some("TERM"), &[]), (None, &["--timeout", "8s"])]
    {
        let desk = Desk::new().await;
        let id = default_organization(&desk).await;
        let all: Vec<String> = (0..40).map(|n| project(&format!("p-{n:02}"), &id, "")).collect();
        desk.write("all.yaml", &all.join("---\n"));
        // 40 writes take 20 s: longer than what is under way may take.
        desk.emulator().faults().latency(Duration::ZERO, Duration::from_millis(500));
        let mut apply = desk.start(&[&["apply", "-f", "all.yaml"], more].concat());
        until("a first write", async || desk.writes() > 0).await;
        if let Some(signal) = signal {
            apply.signal(signal);
        }
        assert_eq!(apply.end().await, 1, "{}", apply.said());
        let said = apply.said();
        let summary = said.lines().last().unwrap();
        let count = |what: &str| -> usize {
            let part = summary.split(['+', ',', ':']).find(|p| p.contains(what)).unwrap_or("0");
            part.trim().split(' ').next().unwrap().parse().unwrap()
        };
        let (created, not_done) = (count("created"), count("not done"));
        assert_eq!(created + not_done, 40, "{said}");
        assert!(created > 0 && not_done > 0, "{said}");
        assert_eq!(said.matches("the project was created").count(), created, "{said}");
        assert!(said.contains("stopped before these were done: Project default/p-"), "{said}");
        assert!(
            said.contains(if signal.is_some() { "stopping" } else { "the time is up" }),
            "{said}"
        );
    }
}
