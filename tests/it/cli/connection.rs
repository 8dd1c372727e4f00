//! Which ZITADEL is meant, who logs in, and how long it may take.

use std::{
    fs,
    net::TcpListener,
    time::{Duration, Instant},
};

use super::Desk;

const TENANT: &str = "kind: Organization\nmetadata: {name: acme}\nspec: {name: ACME}\n";

fn instance(issuer: &str) -> String {
    format!(
        "kind: Instance\nmetadata: {{name: default}}\nspec:\n  issuer: {issuer}\n  credentials: {{personalAccessToken: {{secretRef: {{name: kastellan, key: pat}}}}}}\n"
    )
}

/// An address where nobody listens.
fn closed() -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("http://localhost:{port}")
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_win_over_the_environment() {
    let desk = Desk::new().await;
    let (plan, closed) = (["plan", "-f", "tenant.yaml"], closed());
    desk.write("tenant.yaml", TENANT);
    fs::write(desk.path().join("key.json"), desk.emulator().key_file()).unwrap();
    let with = |more: &[&'static str]| [&plan[..], more].concat();

    let ran = desk.run(&with(&["--key-file", "/nope"])).await;
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("/nope: "), "{}", ran.stderr);
    let wrong = [("ZITADEL_TOKEN", "wrong"), ("ZITADEL_KEY_FILE", "/nope")];
    let ran = desk.run_with(&with(&["--key-file", "key.json"]), &wrong).await;
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    let ran =
        desk.run_with(&plan, &[("ZITADEL_TOKEN", ""), ("ZITADEL_KEY_FILE", "key.json")]).await;
    assert_eq!(ran.code, 2, "{}", ran.stderr);

    let url = desk.zitadel.url();
    let to_here = [&plan[..], &["--issuer", &url]].concat();
    let elsewhere = [("ZITADEL_ISSUER", &*closed), ("ZITADEL_ADDRESS", &*closed)];
    let ran = desk.run_with(&to_here, &elsewhere).await;
    assert_eq!(ran.code, 2, "the address belongs to the other issuer: {}", ran.stderr);
    let to_closed = [&plan[..], &["--address", &closed]].concat();
    assert_eq!(desk.run(&to_closed).await.code, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tokens_in_the_environment_are_an_error_that_names_both() {
    let desk = Desk::new().await;
    desk.write("tenant.yaml", TENANT);
    let ran = desk.run_with(&["plan", "-f", "tenant.yaml"], &[("ZITADEL_KEY_FILE", "/nope")]).await;
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.contains("ZITADEL_TOKEN and ZITADEL_KEY_FILE are both set"),
        "{}",
        ran.stderr
    );
    assert!(desk.emulator().calls().is_empty(), "nothing is guessed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_was_pointed_to_wins_over_the_environment() {
    let desk = Desk::new().await;
    desk.write("tenant/instance.yaml", &instance(&desk.zitadel.url()));
    desk.write("tenant/tenant.yaml", TENANT);
    desk.write("secrets/kastellan/pat", "wrong");
    let plan = ["plan", "-f", "tenant", "--secret-dir", "secrets"];
    let only_token = [("ZITADEL_ISSUER", "")];
    let ran = desk.run_with(&plan, &only_token).await;
    assert_eq!(ran.code, 1, "the token in the environment would do: {}", ran.stdout);
    let warning =
        "ZITADEL_TOKEN is not used: --secret-dir has the credentials of Instance default/default";
    assert!(ran.stderr.contains(warning), "{}", ran.stderr);
    fs::remove_file(desk.path().join("secrets/kastellan/pat")).unwrap();
    let ran = desk.run_with(&plan, &only_token).await;
    assert_eq!(ran.code, 2, "where there is none, the environment's does: {}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_is_checked_wherever_it_comes_from() {
    let desk = Desk::new().await;
    desk.write("tenant.yaml", TENANT);
    let plan = ["plan", "-f", "tenant.yaml"];
    let issuer = "issuer must be a URL without a path, such as https://auth.example.com";
    let address = "address must be a URL without a path";
    for (args, variable, said) in [
        (
            &["--issuer", "https://auth.example.com/ui"][..],
            ("A", "b"),
            format!("--issuer: {issuer}"),
        ),
        (&[], ("ZITADEL_ISSUER", "auth.example.com"), format!("ZITADEL_ISSUER: {issuer}")),
        (&["--address", "localhost:8080"], ("A", "b"), format!("--address: {address}")),
        (&[], ("ZITADEL_ADDRESS", "localhost:8080"), format!("ZITADEL_ADDRESS: {address}")),
    ] {
        let ran = desk.run_with(&[&plan[..], args].concat(), &[variable]).await;
        assert_eq!(ran.code, 1);
        assert!(ran.stderr.contains(&said), "{args:?} {variable:?}: {}", ran.stderr);
    }
    assert!(desk.emulator().calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_not_read_from_outside_of_the_secret_dir() {
    let desk = Desk::new().await;
    let instance = instance(&desk.zitadel.url());
    desk.write("tenant/tenant.yaml", TENANT);
    desk.write("secrets/kastellan/none", "");
    fs::write(desk.path().join("pat"), desk.emulator().pat()).unwrap();
    let none = [("ZITADEL_ISSUER", ""), ("ZITADEL_TOKEN", "")];
    let plan = ["plan", "-f", "tenant", "--secret-dir", "secrets"];
    let absolute = desk.path().join("pat");
    for (name, key) in
        [("kastellan", absolute.to_str().unwrap()), ("kastellan", "../../pat"), ("..", "pat")]
    {
        let bent = instance
            .replace("name: kastellan", &format!("name: {name:?}"))
            .replace("key: pat", &format!("key: {key:?}"));
        desk.write("tenant/instance.yaml", &bent);
        let ran = desk.run_with(&plan, &none).await;
        assert_eq!(ran.code, 1);
        assert!(ran.stderr.contains("not one that a Secret can have"), "{}", ran.stderr);
    }
    assert!(desk.emulator().calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_answers_is_waited_for_as_long_as_asked() {
    let desk = Desk::new().await;
    desk.write("tenant.yaml", TENANT);
    // Connections wait to be accepted.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!("http://localhost:{}", silent.local_addr().unwrap().port());
    for command in
        [&["plan", "-f", "tenant.yaml"][..], &["apply", "-f", "tenant.yaml"], &["export"]]
    {
        let begun = Instant::now();
        let args = [command, &["--issuer", &issuer, "--timeout", "1s"]].concat();
        let ran = desk.run(&args).await;
        assert_eq!(ran.code, 1);
        assert!(begun.elapsed() < Duration::from_secs(15), "{args:?}: {:?}", begun.elapsed());
        let said = ["did not answer within 1 s", "the time is up: --timeout is 1 s"];
        assert!(said.iter().any(|s| ran.stderr.contains(s)), "{args:?}: {}", ran.stderr);
    }
    let ran = desk.run(&["plan", "-f", "tenant.yaml", "--timeout", "soon"]).await;
    assert!(ran.code == 1 && ran.stderr.contains("such as 10s or 1m30s"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_wait_is_announced() {
    let desk = Desk::new().await;
    desk.write("tenant.yaml", TENANT);
    desk.emulator().faults().latency(Duration::from_secs(7), Duration::ZERO);
    let ran = desk.run(&["plan", "-f", "tenant.yaml", "--timeout", "9s"]).await;
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.contains("connecting to Instance default/default (http://"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("s so far"), "{}", ran.stderr);
}
