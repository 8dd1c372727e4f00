//! `/livez`, `/readyz`, `/metrics`.

use std::sync::Arc;

use axum::{Router, http::StatusCode, routing::get};
use tokio::net::TcpListener;

use super::context::Context;

/// Serves until it is aborted.
pub(super) async fn serve(listener: TcpListener, context: Arc<Context>) {
    let text = [("content-type", "application/openmetrics-text; version=1.0.0; charset=utf-8")];
    let of_ready = context.clone();
    let ready = move || {
        let report = of_ready.health.report();
        // One that stands by is ready: to take over.
        let standby = of_ready.lease.standby();
        async move {
            if report.is_empty() {
                (StatusCode::OK, standby.map_or_else(|| "ok\n".to_owned(), |text| text + "\n"))
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
