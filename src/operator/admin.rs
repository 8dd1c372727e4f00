//! `/livez`, `/readyz`, `/metrics`, and `/status` if it is asked for.

use std::sync::Arc;

use axum::{
    Router,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{net::TcpListener, sync::Semaphore};

use super::{context::Context, overview::Overview, status_page};

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
    let of_status = context.clone();
    let mut router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(move || async move { (text, context.render_metrics()) }));
    if of_status.options.status_page {
        let one = Arc::new(Semaphore::new(1));
        router = router.route("/status", get(move || status(of_status.clone(), one.clone())));
    }
    if let Err(e) = axum::serve(listener, router).await {
        tracing::error!(error = %e, "health and metrics are not served any more");
    }
}

/// The page. One is made at a time: each reads the statuses of all objects, whoever asks for it.
async fn status(context: Arc<Context>, one: Arc<Semaphore>) -> Response {
    // It is never closed.
    let Ok(permit) = one.acquire_owned().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let made = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        status_page::render(&Overview::of(&context))
    });
    match made.await {
        Ok(page) => (status_page::headers(), page).into_response(),
        Err(e) => {
            tracing::error!(error = %e, "the status page could not be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
