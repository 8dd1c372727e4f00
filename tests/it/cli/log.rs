//! What the log says on its own behalf.

use super::Desk;

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_traces_of_a_program_that_has_none_is_told_once() {
    let desk = Desk::new().await;
    desk.write("home.yaml", "kind: Organization\nmetadata: {name: home}\nspec: {}\n");
    let plan = ["plan", "-f", "home.yaml", "--log-level=warn"];
    for (variable, asks) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", true),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", true),
        ("OTEL_SERVICE_NAME", false),
    ] {
        let ran = desk.run_with(&plan, &[(variable, "http://localhost:1")]).await;
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        let said = ran.stderr.matches("traces are not exported").count();
        assert_eq!(said, usize::from(asks), "{variable}: {}", ran.stderr);
    }
}
