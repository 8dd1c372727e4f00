//! Traces, as the OpenTelemetry Collector gets them. `make test-otel` builds it, and Kastellan with
//! the feature `otel`, and runs these.

mod collector;

use std::{
    collections::BTreeSet,
    fs,
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::json;
use zitadel_emulator::{Action, Call, Emulator, Rule};

use self::collector::{Collector, Span};
use crate::{
    apiserver,
    cli::{Desk, until},
    remote::Place,
    world::{World, eventually, free_address},
};

/// All that any span says, but for what is wrong.
const ATTRIBUTES: [&str; 16] = [
    "error.type",
    "http.request.method",
    "http.request.resend_count",
    "http.response.status_code",
    "k8s.namespace.name",
    "kastellan.events",
    "kastellan.kind",
    "kastellan.name",
    "kastellan.reason",
    "kastellan.touched",
    "server.address",
    "server.port",
    "url.scheme",
    "url.template",
    "zitadel.error_id",
    "zitadel.instance.id",
];

/// An operator that is a process of its own, and its log.
struct Operator {
    child: Child,
    folder: tempfile::TempDir,
}

impl Operator {
    fn start(world: &World, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("config");
        let content = serde_json::to_string(&apiserver::shared().kubeconfig).unwrap();
        fs::write(&kubeconfig, content).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_kastellan"))
            .args(["operator", "--no-lease", "--deletion-pause=0s"])
            .args(["--allowed-address=127.0.0.1,localhost", "--log-format=json"])
            .arg(format!("--watch-namespace={}", world.namespace))
            .arg(format!("--admin-address={}", free_address()))
            .env("KUBECONFIG", &kubeconfig)
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// How often it says something.
    fn says(&self, what: &str) -> usize {
        self.log().matches(what).count()
    }

    /// Ends it by SIGTERM, for which it needs seven seconds at most, and longer on a busy machine.
    async fn end(&mut self) {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        let begun = Instant::now();
        let mut status = None;
        until("the operator's end", async || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        assert!(status.unwrap().success(), "{}", self.log());
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(30), "it took {took:?}");
        eprintln!("the operator ended within {took:?}");
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Whether a call is the one that a span is about.
fn is_about(span: &Span, call: &Call) -> bool {
    let template: Vec<&str> = span.get("url.template").split('/').collect();
    let path: Vec<&str> = call.path.split('/').collect();
    span.get("http.request.method") == call.method
        && span.get("http.response.status_code") == call.status.to_string()
        && template.len() == path.len()
        && template.iter().zip(path).all(|(part, is)| *part == "{}" || *part == is)
}

/// Every span of a call is about a call of its own; what other calls there were.
fn others(spans: &[Span], mut calls: Vec<Call>) -> Vec<Call> {
    let mut spans: Vec<&Span> = spans.iter().filter(|span| span.is_client).collect();
    spans.sort_by_key(|span| span.get("url.template").matches("{}").count());
    for span in spans {
        let n = calls.iter().position(|call| is_about(span, call));
        calls.remove(n.unwrap_or_else(|| panic!("there was no such call: {span:?}")));
    }
    calls
}

/// Waits until the Collector has written the spans of all calls, but for some others.
async fn arrived(
    collector: &Collector,
    zitadel: &Emulator,
    are_others: impl Fn(&[Call]) -> bool,
) -> Vec<Span> {
    let missing = async || others(&collector.spans(), zitadel.calls());
    eventually("every call has a span", missing, |others| are_others(others)).await;
    collector.spans()
}

/// The spans of the reconciles of an object.
fn reconciles<'a>(spans: &'a [Span], kind: &str, name: &str) -> Vec<&'a Span> {
    let title = format!("reconcile {kind}");
    let of_object = |span: &&Span| span.name == title && span.get("kastellan.name") == name;
    spans.iter().filter(of_object).collect()
}

fn children<'a>(spans: &'a [Span], parent: &Span) -> Vec<&'a Span> {
    spans.iter().filter(|s| s.parent == parent.id && s.trace == parent.trace).collect()
}

/// What no span may hold: credentials, what was issued in whole and in parts, what specs say.
async fn secrets(world: &World) -> BTreeSet<String> {
    let mut secrets: BTreeSet<String> =
        [world.emulator().pat(), "S3cret-value".into(), "A-Value-Of-A-Spec".into()].into();
    let api: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
    for value in api.get("key").await.unwrap().data.unwrap().into_values() {
        let value = String::from_utf8(value.0).unwrap();
        let parts = value.split(|c: char| !c.is_ascii_alphanumeric());
        secrets.extend(parts.filter(|part| part.len() >= 20).map(ToOwned::to_owned));
    }
    secrets
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_exports_what_it_does_and_no_more() {
    let collector = Collector::start(free_address()).await;
    let world = World::bare("otel").await;
    let refuses = Rule::new(Action::Status { status: 400 });
    world.emulator().faults().add(refuses.path("/management/v1/projects/*/_deactivate"));
    world.connect().await;
    let mut operator = Operator::start(
        &world,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint()),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=it"),
        ],
    );
    let home = json!({"organizationRef": {"name": "home"}});
    let with = |more: serde_json::Value| {
        let mut spec = home.clone();
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    world.apply("Organization", "home", json!({"name": "A-Value-Of-A-Spec"})).await;
    world.apply("Project", "shop", home.clone()).await;
    world.apply("Project", "refused", with(json!({"state": "Inactive"}))).await;
    world.apply("MachineUser", "ci", with(json!({"description": "A-Value-Of-A-Spec"}))).await;
    let key = json!({"userRef": {"name": "ci"}, "secret": {"name": "key"}});
    world.apply("MachineKey", "ci", key).await;
    world.ready("MachineKey", "ci").await;
    let shop = world.ready("Project", "shop").await;
    world.reason("Project", "refused", "Rejected").await;
    // Somebody changes something, which a poll tells and a reconcile reverts.
    let place = Place::organization(shop["organizationId"].as_str().unwrap());
    let id = shop["id"].as_str().unwrap();
    world.tamper("Project", &place, id, json!({"name": "another"})).await;
    world.noted("shop", "Drift", "by minnie.mouse").await;
    world.ready("Project", "shop").await;
    operator.end().await;

    let is_theirs = |call: &Call| call.path.ends_with(id);
    let spans = arrived(&collector, world.emulator(), |others| others.iter().all(is_theirs)).await;
    for span in spans.iter().filter(|span| span.is_client) {
        let within = spans.iter().any(|s| s.id == span.parent && s.trace == span.trace);
        assert!(within, "a call is part of a reconcile or a poll: {span:?}");
    }

    let created = reconciles(&spans, "Project", "shop");
    let created = created.iter().find(|s| s.get("kastellan.events") == "Created").unwrap();
    assert_eq!(created.get("k8s.namespace.name"), world.namespace);
    assert_eq!((created.get("kastellan.reason"), created.is_error), ("InSync", false));
    let calls = children(&spans, created);
    let create = calls.iter().find(|s| s.name.ends_with("/CreateProject"));
    let create = create.unwrap_or_else(|| panic!("{calls:#?}"));
    assert_eq!((create.get("server.address"), create.is_error), ("localhost", false));

    let refused = reconciles(&spans, "Project", "refused");
    let refused = refused.iter().find(|s| s.is_error).unwrap();
    assert_eq!(refused.get("error.type"), "terminal");
    let calls = children(&spans, refused);
    let call = calls.iter().find(|s| s.is_error).unwrap();
    assert_eq!(call.name, "POST /management/v1/projects/{}/_deactivate");
    assert_eq!(call.get("http.response.status_code"), "400");
    assert_ne!(call.get("error.type"), "");

    let reverted = reconciles(&spans, "Project", "shop");
    assert!(reverted.iter().any(|s| s.get("kastellan.events").contains("Drift")), "{reverted:?}");
    let touched = |s: &&Span| s.name == "poll" && !["", "0"].contains(&s.get("kastellan.touched"));
    let poll = spans.iter().find(touched).unwrap();
    assert!(children(&spans, poll).iter().any(|s| s.name == "POST /admin/v1/events/_search"));

    for span in &spans {
        let of_service = ["service.name", "service.version", "deployment.environment.name"];
        let of_service = of_service.map(|key| span.resource[key].as_str());
        assert_eq!(of_service, ["kastellan", env!("CARGO_PKG_VERSION"), "it"]);
    }
    let said: BTreeSet<&str> =
        spans.iter().flat_map(|s| s.attributes.keys()).map(|k| &**k).collect();
    let known = BTreeSet::from(ATTRIBUTES);
    assert!(said.is_subset(&known), "{:?}", said.difference(&known));
    let (text, secrets) = (collector.text(), secrets(&world).await);
    assert!(secrets.len() > 20, "the parts of a key are among them: {secrets:?}");
    for secret in secrets {
        assert!(!text.contains(&secret), "it is exported: {secret}");
    }
    eprintln!(
        "{} spans: {} calls in {} reconciles and {} polls",
        spans.len(),
        spans.iter().filter(|s| s.is_client).count(),
        spans.iter().filter(|s| s.name.starts_with("reconcile ")).count(),
        spans.iter().filter(|s| s.name == "poll").count()
    );
}

/// What waits for a collector, and what it says where none answers.
async fn converges(name: &str, address: SocketAddr, timeout: &str) -> (World, Operator) {
    let world = World::bare(name).await;
    world.connect().await;
    let endpoint = format!("http://{address}");
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", timeout),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    let operator = Operator::start(&world, &environment);
    world.apply("Organization", "home", json!({})).await;
    world.ready("Organization", "home").await;
    (world, operator)
}

const FAILS: &str = "traces can't be exported";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_is_said_once_and_missed_by_nobody() {
    let address = free_address();
    let (world, mut operator) = converges("otel-away", address, "100").await;
    eventually("it is said", async || operator.says(FAILS), |n| *n > 0).await;
    // Each reconcile and each poll is an export that fails.
    for n in 0..3 {
        let name = format!("more-{n}");
        world.apply("Organization", &name, json!({})).await;
        world.ready("Organization", &name).await;
    }
    assert_eq!(operator.says(FAILS), 1, "{}", operator.log());
    let collector = Collector::start(address).await;
    eventually("spans arrive", async || collector.spans().len(), |n| *n > 0).await;
    assert_eq!(operator.says("traces are exported again"), 1, "{}", operator.log());
    drop(collector);
    eventually("it is said again", async || operator.says(FAILS), |n| *n > 1).await;
    operator.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_never_answers_holds_up_no_end() {
    // What connects waits for ever.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (_world, mut operator) = converges("otel-hangs", address, "600000").await;
    operator.end().await;
}

fn organization(desk: &Desk) {
    desk.write("home.yaml", "kind: Organization\nmetadata: {name: home}\nspec: {}\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_exports_all_of_it_before_it_ends() {
    let collector = Collector::start(free_address()).await;
    let desk = Desk::new().await;
    organization(&desk);
    let environment = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &*format!("{}/v1/traces", collector.endpoint())),
        ("OTEL_SERVICE_NAME", "pipeline"),
    ];
    let ran = desk.run_with(&["apply", "-f", "home.yaml"], &environment).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!ran.stderr.contains("traces"), "{}", ran.stderr);
    let spans = arrived(&collector, desk.emulator(), <[Call]>::is_empty).await;
    let [created] = reconciles(&spans, "Organization", "home")[..] else { panic!("{spans:#?}") };
    assert_eq!(created.get("kastellan.events"), "Created");
    assert_eq!(created.get("k8s.namespace.name"), "default");
    assert!(children(&spans, created).iter().all(|span| span.is_client));
    assert!(spans.iter().all(|span| span.resource["service.name"] == "pipeline"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_exported_unless_the_environment_asks_for_it() {
    let collector = Collector::start(free_address()).await;
    let (desk, endpoint) = (Desk::new().await, collector.endpoint());
    organization(&desk);
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str());
    let plan = ["plan", "-f", "home.yaml", "--log-level=warn"];
    for environment in [
        vec![],
        vec![("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")],
        vec![endpoint, ("OTEL_SDK_DISABLED", "true")],
        vec![endpoint, ("OTEL_TRACES_EXPORTER", "none")],
        vec![endpoint, ("OTEL_TRACES_SAMPLER", "always_off")],
        vec![endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
        vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "no address")],
    ] {
        let ran = desk.run_with(&plan, &environment).await;
        assert_eq!(ran.code, 2, "{environment:?}: {}", ran.stderr);
        let is_wrong = environment.iter().any(|(_, value)| ["grpc", "no address"].contains(value));
        let said = ran.stderr.matches("traces are not exported").count();
        assert_eq!(said, usize::from(is_wrong), "{environment:?}: {}", ran.stderr);
    }
    // What arrives first is of this one.
    desk.emulator().reset_calls();
    assert_eq!(desk.run_with(&plan, &[endpoint]).await.code, 2);
    let spans = arrived(&collector, desk.emulator(), <[Call]>::is_empty).await;
    assert!(!spans.is_empty());
}
