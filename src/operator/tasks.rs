//! Tasks that survive their own panics.

use std::{any::Any, future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;

use super::{metrics::Metrics, pauses::backoff};

/// The longest pause before a task that panicked runs again.
const LONGEST: Duration = Duration::from_mins(1);

/// Runs a future; `None`: it panicked, which is counted and logged.
pub(super) async fn catch<T>(
    metrics: &Metrics,
    task: &'static str,
    subject: &str,
    future: impl Future<Output = T>,
) -> Option<T> {
    match AssertUnwindSafe(future).catch_unwind().await {
        Ok(value) => Some(value),
        Err(panic) => panicked(metrics, task, subject, &*panic),
    }
}

/// The same for what does not wait.
pub(super) fn catch_now<T>(
    metrics: &Metrics,
    task: &'static str,
    subject: &str,
    run: impl FnOnce() -> T,
) -> Option<T> {
    match std::panic::catch_unwind(AssertUnwindSafe(run)) {
        Ok(value) => Some(value),
        Err(panic) => panicked(metrics, task, subject, &*panic),
    }
}

fn panicked<T>(
    metrics: &Metrics,
    task: &'static str,
    subject: &str,
    panic: &(dyn Any + Send),
) -> Option<T> {
    metrics.panicked(task);
    tracing::error!(task, subject, panic = text(panic), "a task panicked; this is a bug");
    None
}

/// Runs a task until it ends; when it panics, again after a growing pause.
pub(super) async fn supervise<F: Future<Output = ()>>(
    metrics: Arc<Metrics>,
    task: &'static str,
    subject: String,
    mut run: impl FnMut() -> F,
) {
    let mut panics = 0u32;
    while catch(&metrics, task, &subject, async { run().await }).await.is_none() {
        panics = panics.saturating_add(1);
        tokio::time::sleep(backoff(panics, LONGEST)).await;
    }
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_runs_again_and_is_counted() {
        let metrics = Arc::new(Metrics::new(Arc::default()));
        let runs = AtomicU32::new(0);
        supervise(metrics.clone(), "follower", "Instance ns/default".into(), || async {
            let run = runs.fetch_add(1, Ordering::Relaxed);
            assert!(run >= 3, "run {run}");
        })
        .await;
        assert_eq!(runs.load(Ordering::Relaxed), 4);
        let text = metrics.encode();
        assert!(text.contains("kastellan_panics_total{task=\"follower\"} 3"), "{text}");
    }
}
