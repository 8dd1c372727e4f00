//! Spans that are made to be exported. Nothing else is, and the log shows none of them: they name
//! kinds, objects, endpoints and codes, and hold no value of a field, no body and no token.

use reqwest::{Method, Url};
use tracing::{Span, field::Empty};

use super::Error;

/// The target of these spans.
pub const SPANS: &str = "kastellan::span";

/// The span of a call, by the conventions for clients of HTTP. The path is omitted, and with it the
/// ids and names that are in it: the template tells which endpoint it is.
pub(super) fn call(method: &Method, template: &str, base: &Url, attempt: u32) -> Span {
    tracing::info_span!(
        target: SPANS,
        "call",
        otel.name = %format_args!("{method} {template}"),
        otel.kind = "client",
        otel.status_code = Empty,
        http.request.method = method.as_str(),
        http.request.resend_count = (attempt > 1).then(|| i64::from(attempt) - 1),
        http.response.status_code = Empty,
        url.scheme = base.scheme(),
        url.template = template,
        server.address = base.host_str(),
        server.port = base.port_or_known_default().map(i64::from),
        "error.type" = Empty,
        zitadel.error_id = Empty,
    )
}

/// Records what came of a call. `status`: that of the answer, if there was one.
pub(super) fn answered(span: &Span, status: Option<u16>, error: Option<&Error>) {
    if span.is_disabled() {
        return;
    }
    span.record("http.response.status_code", status.map(i64::from));
    if let Some(error) = error {
        failed(span, error.label());
        span.record("zitadel.error_id", error.id());
    }
}

/// Records that what a span is about failed, in one word out of few.
pub fn failed(span: &Span, error: &'static str) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", error);
}
