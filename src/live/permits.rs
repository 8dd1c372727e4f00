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

/// Whose turn it is to write something of a kind.
pub(super) type Turn = Arc<AsyncMutex<()>>;

/// Those who write something that one list covers.
#[derive(Default)]
pub(super) struct Writers {
    /// Those who write or wait for their turn.
    queue: AtomicUsize,
    last: Mutex<Option<Instant>>,
}

impl Writers {
    /// When something was written last.
    pub(super) fn last(&self) -> Option<Instant> {
        *lock(&self.last)
    }

    /// Nobody writes or is about to.
    pub(super) fn are_done(&self) -> bool {
        self.queue.load(Ordering::Relaxed) == 0
    }

    /// Nobody writes, and nobody has just written.
    pub(super) fn are_quiet(&self) -> bool {
        self.are_done() && self.last().is_none_or(|last| last.elapsed() >= QUIET)
    }
}

/// The permit of one writer, until it is dropped.
pub(super) struct WritePermit {
    writers: Arc<Writers>,
    guard: Option<OwnedMutexGuard<()>>,
}

impl WritePermit {
    /// Waits for its turn.
    pub(super) async fn acquire(turn: Turn, writers: Arc<Writers>) -> Self {
        writers.queue.fetch_add(1, Ordering::Relaxed);
        // Made before it is waited for, so that one who gives up is not counted for ever.
        let mut permit = Self { writers, guard: None };
        permit.guard = Some(turn.lock_owned().await);
        permit
    }
}

impl Drop for WritePermit {
    fn drop(&mut self) {
        if self.guard.is_some() {
            *lock(&self.writers.last) = Some(Instant::now());
        }
        self.writers.queue.fetch_sub(1, Ordering::Relaxed);
    }
}
