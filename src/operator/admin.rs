//! `/livez`, `/readyz`, `/metrics`.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{Router, http::StatusCode, routing::get};
use tokio::net::TcpListener;

use super::metrics::Metrics;

/// Whether the operator is ready, and else what it waits for.
pub(super) struct Health(Mutex<Option<String>>);

impl Default for Health {
    fn default() -> Self {
        Self(Mutex::new(Some("starting".into())))
    }
}

impl Health {
    /// Not ready; gives whether this is news.
    pub(super) fn waiting_for(&self, what: &str) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.replace(what.into()).as_deref() != Some(what)
    }

    pub(super) fn ready(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn answer(&self) -> (StatusCode, String) {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            None => (StatusCode::OK, "ok\n".into()),
            Some(waiting) => (StatusCode::SERVICE_UNAVAILABLE, format!("{waiting}\n")),
        }
    }
}

pub(super) async fn serve(listener: TcpListener, health: Arc<Health>, metrics: Arc<Metrics>) {
    let text = [("content-type", "application/openmetrics-text; version=1.0.0; charset=utf-8")];
    let router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(move || async move { health.answer() }))
        .route("/metrics", get(move || async move { (text, metrics.render()) }));
    if let Err(e) = axum::serve(listener, router).await {
        tracing::error!(error = %e, "health and metrics are not served any more");
    }
}
