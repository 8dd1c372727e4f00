//! Where log and spans go: lines to stderr, and with the feature `otel` spans to where
//! OpenTelemetry's environment variables say.

#[cfg(feature = "otel")]
mod export;

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, layer::SubscriberExt, registry::LookupSpan, util::SubscriberInitExt,
};

use super::LogFormat;

/// What has to come to an end with the process.
pub struct Telemetry {
    #[cfg(feature = "otel")]
    export: Option<export::Export>,
}

impl Telemetry {
    /// `filter`: what is logged. It has no say in what is exported.
    #[cfg(feature = "otel")]
    pub(super) fn start(filter: EnvFilter, format: LogFormat) -> Self {
        let started = endpoint().map(|_| export::Export::start()).transpose();
        if let Ok(Some(export)) = started {
            let log = lines(format).with_filter(filter);
            tracing_subscriber::registry().with(export.layer()).with(log).init();
            return Self { export: Some(export) };
        }
        tracing_subscriber::registry().with(filter).with(lines(format)).init();
        if let Err(problem) = started {
            tracing::warn!(problem, "traces are not exported");
        }
        Self { export: None }
    }

    /// `filter`: what is logged.
    #[cfg(not(feature = "otel"))]
    pub(super) fn start(filter: EnvFilter, format: LogFormat) -> Self {
        tracing_subscriber::registry().with(filter).with(lines(format)).init();
        if let Some(variable) = endpoint() {
            tracing::warn!(
                variable,
                "traces are not exported: this program was built without the feature otel"
            );
        }
        Self {}
    }

    /// Exports what is left, for two seconds at most.
    #[cfg_attr(
        not(feature = "otel"),
        expect(clippy::unused_async, reason = "there is nothing to wait for")
    )]
    pub async fn end(self) {
        #[cfg(feature = "otel")]
        if let Some(export) = self.export {
            export.end().await;
        }
    }
}

/// The log.
fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    }
}

/// The variable that says where traces go; `None`: they go nowhere.
fn endpoint() -> Option<&'static str> {
    let is = |name, value| std::env::var(name).is_ok_and(|v| v.eq_ignore_ascii_case(value));
    if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
        return None;
    }
    ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"]
        .into_iter()
        .find(|name| std::env::var(name).is_ok_and(|endpoint| !endpoint.is_empty()))
}
