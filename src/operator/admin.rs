//! `/livez`, `/readyz`, `/metrics`.

use std::sync::Arc;

use axum::{Router, http::StatusCode, routing::get};
use tokio::net::TcpListener;

use super::context::Context;

/// Serves until it is aborted.
pub(super) async fn serve(listener: TcpListener, context: Arc<Context>) {
    let text = [("content-type", "application/openmetrics-text; version=1.0.0; charset=utf-8")];
    let health = context.health.clone();
    let ready = move || {
        let report = health.report();
        async move {
            if report.is_empty() {
                (StatusCode::OK, "ok\n".to_owned())
            } else {
                (StatusCode::SERVICE_UNAVAILABLE, report)
            }
        }
    };
    let router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(move || async move { (text, context.render_metrics()) }));
    if let Err(e) = axum::serve(listener, router).await {
        tracing::error!(error = %e, "health and metrics are not served any more");
    }
}
