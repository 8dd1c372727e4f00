//! Attempts at something that has to go on, such as a watch: a failure is logged when it begins
//! and when it ends, counted each time, and tried again after a growing pause.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{metrics::Metrics, pauses::backoff, problem::Problem};

/// See the module.
pub(super) struct Attempts {
    what: String,
    metrics: Arc<Metrics>,
    /// The longest pause.
    most: Duration,
    failures: u32,
    /// When failing began, and with which code.
    failing: Option<(Instant, Option<u16>)>,
}

impl Attempts {
    /// `what` is tried, such as `watch Secret ns/name`; `most`: the longest pause.
    pub(super) fn new(what: String, metrics: Arc<Metrics>, most: Duration) -> Self {
        Self { what, metrics, most, failures: 0, failing: None }
    }

    pub(super) fn what(&self) -> &str {
        &self.what
    }

    pub(super) fn is_failing(&self) -> bool {
        self.failing.is_some()
    }

    /// Counts a failure. Returns how long to wait before the next attempt.
    pub(super) fn failed(&mut self, problem: &Problem) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.metrics.kubernetes_failed(problem.code);
        let since = self.failing.map_or_else(Instant::now, |(since, _)| since);
        let code = self.failing.map(|(_, code)| code);
        if code == Some(problem.code) {
            tracing::debug!(what = self.what, error = %problem, failures = self.failures, "Kubernetes still refuses");
        } else {
            tracing::warn!(what = self.what, error = %problem, "Kubernetes refuses; it is tried again");
        }
        self.failing = Some((since, problem.code));
        backoff(self.failures, self.most)
    }

    /// It works. Returns whether it failed before.
    pub(super) fn succeeded(&mut self) -> bool {
        let failures = std::mem::take(&mut self.failures);
        let Some((since, _)) = self.failing.take() else { return false };
        tracing::info!(
            what = self.what,
            failures,
            seconds = since.elapsed().as_secs(),
            "Kubernetes accepts again"
        );
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_keeps_failing_is_tried_every_few_minutes_and_counted() {
        let metrics = Arc::new(Metrics::new(Arc::default()));
        let most = Duration::from_mins(5);
        let mut attempts = Attempts::new("watch Secret ns/a".into(), metrics.clone(), most);
        let status = serde_json::from_value(json!({"code": 403, "message": "no"})).unwrap();
        let problem = Problem::from(&kube::Error::Api(Box::new(status)));
        let (mut hour, mut tries) = (Duration::ZERO, 0);
        while hour < Duration::from_hours(1) {
            hour += attempts.failed(&problem);
            tries += 1;
        }
        assert!(tries < 25, "{tries} attempts in an hour");
        let text = metrics.encode();
        assert!(
            text.contains(&format!("kastellan_kubernetes_errors_total{{code=\"403\"}} {tries}")),
            "{text}"
        );
        assert!(attempts.succeeded() && !attempts.succeeded());
        assert!(attempts.failed(&problem) < Duration::from_secs(1), "the pauses begin again");
    }
}
