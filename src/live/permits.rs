//! Writes of one kind go one after the other: with concurrent ones a projection of ZITADEL can skip
//! an event for good.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Mutex as AsyncMutex, OwnedMutexGuard},
    time::Instant,
};

use super::lock::lock;

/// This long after the last write no further one is expected to follow at once.
const QUIET: Duration = Duration::from_millis(100);

/// The permits for writes of one kind.
#[derive(Default)]
pub(super) struct WritePermits {
    only: Arc<AsyncMutex<()>>,
    /// Those who write or wait for their permit.
    queue: AtomicUsize,
    last: Mutex<Option<Instant>>,
}

impl WritePermits {
    pub(super) async fn acquire(self: Arc<Self>) -> WritePermit {
        self.queue.fetch_add(1, Ordering::Relaxed);
        let only = self.only.clone();
        // Made before it is waited for, so that one who gives up is not counted for ever.
        let mut permit = WritePermit { permits: self, guard: None };
        permit.guard = Some(only.lock_owned().await);
        permit
    }

    /// When something was written last.
    pub(super) fn last(&self) -> Option<Instant> {
        *lock(&self.last)
    }

    /// Nobody writes, and nobody has just written.
    pub(super) fn are_quiet(&self) -> bool {
        let nobody = self.queue.load(Ordering::Relaxed) == 0;
        nobody && self.last().is_none_or(|last| last.elapsed() >= QUIET)
    }
}

/// The permit of one writer, until it is dropped.
pub(super) struct WritePermit {
    permits: Arc<WritePermits>,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Drop for WritePermit {
    fn drop(&mut self) {
        if self.guard.is_some() {
            *lock(&self.permits.last) = Some(Instant::now());
        }
        self.permits.queue.fetch_sub(1, Ordering::Relaxed);
    }
}
