//! Which failed calls are tried again at once, and how long to wait between.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use super::Error;

/// What a repeated call may do twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Safety {
    /// A read: repeat it after any transient failure.
    Read,
    /// A write: repeat it only where it is certain that it took no effect.
    Write,
}

/// The pauses between tries: three, with jitter. Longer troubles are the caller's to wait out.
pub(crate) fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(2))
        .with_max_times(3)
        .with_jitter()
        .build()
}

/// Whether to try again at once. `Retry-After` above ten seconds is left to the caller: a worker
/// must not sleep so long.
pub(crate) fn worthwhile(safety: Safety, error: &Error) -> bool {
    error.is_transient()
        && (safety == Safety::Read || error.had_no_effect())
        && error.retry_after().is_none_or(|d| d <= Duration::from_secs(10))
}
