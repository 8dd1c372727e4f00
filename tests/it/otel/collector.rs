//! The OpenTelemetry Collector, and what it got.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::world::eventually;

/// A Collector that takes OTLP over HTTP and writes it into a file; it ends with the test.
pub(super) struct Collector {
    child: Child,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A span, as it arrived.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) trace: String,
    pub(super) id: String,
    pub(super) parent: String,
    pub(super) name: String,
    /// Whether it is about a call.
    pub(super) is_client: bool,
    pub(super) is_error: bool,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) resource: BTreeMap<String, String>,
}

impl Span {
    /// An attribute; empty: there is none.
    pub(super) fn get(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", |value| value)
    }
}

impl Collector {
    pub(super) async fn start(address: SocketAddr) -> Self {
        let program = std::env::var("KASTELLAN_COLLECTOR").expect("make test-otel sets it");
        let folder = tempfile::tempdir().unwrap();
        let config = json!({
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": address}}}},
            // Written when it is due; the file is read at any time.
            "exporters": {"file": {"path": folder.path().join("spans"), "flush_interval": "20ms"}},
            "service": {
                "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "warn"}},
                "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["file"]}},
            },
        });
        let file = folder.path().join("config.yaml");
        fs::write(&file, config.to_string()).unwrap();
        let child = Command::new(program)
            .arg(format!("--config=file:{}", file.display()))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let collector = Self { child, address, folder };
        let url = format!("{}/v1/traces", collector.endpoint());
        let is_up = async || reqwest::get(&url).await.is_ok();
        eventually("the collector listens", is_up, |is_up| *is_up).await;
        collector
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that it wrote.
    pub(super) fn text(&self) -> String {
        fs::read_to_string(self.folder.path().join("spans")).unwrap_or_default()
    }

    /// The spans that it wrote.
    pub(super) fn spans(&self) -> Vec<Span> {
        let text = self.text();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let batches = whole.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        batches.flat_map(|batch| list(&batch["resourceSpans"], of_resource)).collect()
    }
}

fn list<T>(of: &Value, read: impl Fn(&Value) -> Vec<T>) -> Vec<T> {
    of.as_array().into_iter().flatten().flat_map(read).collect()
}

fn of_resource(of: &Value) -> Vec<Span> {
    let resource = attributes(&of["resource"]);
    list(&of["scopeSpans"], |scope| {
        list(&scope["spans"], |span| {
            let text = |field: &str| span[field].as_str().unwrap_or_default().to_owned();
            vec![Span {
                trace: text("traceId"),
                id: text("spanId"),
                parent: text("parentSpanId"),
                name: text("name"),
                is_client: span["kind"] == 3,
                is_error: span["status"]["code"] == 2,
                attributes: attributes(span),
                resource: resource.clone(),
            }]
        })
    })
}

/// A number has its type: what is a text that looks like one is another value.
fn attributes(of: &Value) -> BTreeMap<String, String> {
    let pairs = of["attributes"].as_array().into_iter().flatten().map(|pair| {
        let (key, value) = (pair["key"].as_str().unwrap(), &pair["value"]);
        let is_number =
            ["_code", "_count", ".port", ".touched"].iter().any(|end| key.ends_with(end));
        let value = &value[if is_number { "intValue" } else { "stringValue" }];
        (key.to_owned(), value.as_str().unwrap_or_else(|| panic!("{pair}")).to_owned())
    });
    pairs.collect()
}
