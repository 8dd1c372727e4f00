//! Spans by OTLP over HTTP, in batches, from a queue that drops what it has no room for. A thread of
//! its own waits for the collector; nobody else does.

use std::{
    env,
    error::Error,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    resource::{EnvResourceDetector, TelemetryResourceDetector},
    trace::SdkTracerProvider,
};
use tokio::runtime::Handle;
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

use crate::zitadel::span::SPANS;

/// How long the end of the process waits for the last spans.
const LAST: Duration = Duration::from_secs(2);

/// How long a request may take, unless a variable says so.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A running export.
pub(super) struct Export(SdkTracerProvider);

impl Export {
    /// By OpenTelemetry's environment variables. `Err`: what is wrong with them.
    pub(super) fn start() -> Result<Self, String> {
        let protocol = first(["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"]);
        if let Some(other) = protocol.filter(|protocol| protocol != "http/protobuf") {
            return Err(format!("the protocol is http/protobuf, not {other}"));
        }
        let client = Collector::new().map_err(|e| e.to_string())?;
        let exporter = SpanExporter::builder().with_http().with_http_client(client).build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter.map_err(|e| e.to_string())?)
            .with_resource(resource())
            .build();
        Ok(Self(provider))
    }

    /// What hands spans over: those that are made for it.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("kastellan"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false)
            .with_filter(Targets::new().with_target(SPANS, LevelFilter::INFO))
    }

    /// Exports what is left. The runtime, which the export needs, goes on meanwhile.
    pub(super) async fn end(self) {
        tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(LAST)).await.ok();
    }
}

/// Who exports: Kastellan and its version, unless variables say otherwise.
fn resource() -> Resource {
    let of_service = [
        KeyValue::new("service.name", "kastellan"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
    ];
    let resource = Resource::builder_empty()
        .with_attributes(of_service)
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match first(["OTEL_SERVICE_NAME"]) {
        Some(name) => resource.with_service_name(name).build(),
        None => resource.build(),
    }
}

/// The first of these variables that says something.
fn first<const N: usize>(names: [&str; N]) -> Option<String> {
    names.into_iter().filter_map(|name| env::var(name).ok()).find(|value| !value.is_empty())
}

/// The way to the collector.
#[derive(Debug)]
struct Collector {
    client: reqwest::Client,
    runtime: Handle,
    is_failing: AtomicBool,
}

impl Collector {
    fn new() -> reqwest::Result<Self> {
        let asked = first(["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"]);
        let timeout = asked.and_then(|ms| ms.parse().ok()).map_or(TIMEOUT, Duration::from_millis);
        let client = reqwest::Client::builder()
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { client, runtime: Handle::current(), is_failing: AtomicBool::default() })
    }

    /// Logs that exporting begins or ends to fail, once each.
    fn tell(&self, problem: Option<String>) {
        let was_failing = self.is_failing.swap(problem.is_some(), Ordering::Relaxed);
        match problem {
            Some(problem) if !was_failing => {
                tracing::warn!(problem, "traces can't be exported, and are dropped meanwhile");
            }
            None if was_failing => tracing::info!("traces are exported again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        // Sockets belong to the runtime, and this is a thread without one.
        let sent = self.runtime.spawn(async move { client.send_bytes(request).await }).await?;
        self.tell(match &sent {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("HTTP {}", answer.status().as_u16())),
            Err(e) => Some(innermost(e.as_ref())),
        });
        sent
    }
}

/// What happened is at the end of the chain of causes; the address, which may hold a password, is
/// before it.
fn innermost(mut error: &(dyn Error + 'static)) -> String {
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}
