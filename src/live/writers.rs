//! Those who write things of one kind, one after the other.

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

use super::lock;

/// So long after the last write no further one is expected to come at once.
const QUIET: Duration = Duration::from_millis(100);

#[derive(Default)]
pub(super) struct Writers {
    turn: Arc<AsyncMutex<()>>,
    /// Those who write or wait for their turn.
    queue: AtomicUsize,
    last: Mutex<Option<Instant>>,
}

impl Writers {
    pub(super) async fn turn(self: Arc<Self>) -> Turn {
        self.queue.fetch_add(1, Ordering::Relaxed);
        let lock = self.turn.clone();
        // Made before it is waited for, so that one who gives up is not counted for ever.
        let mut turn = Turn { writers: self, guard: None };
        turn.guard = Some(lock.lock_owned().await);
        turn
    }

    /// When something was written last.
    pub(super) fn last(&self) -> Option<Instant> {
        *lock(&self.last)
    }

    /// Nobody writes, and nobody has just written.
    pub(super) fn are_quiet(&self) -> bool {
        self.queue.load(Ordering::Relaxed) == 0
            && self.last().is_none_or(|last| last.elapsed() >= QUIET)
    }
}

/// The turn of one writer, until it is dropped.
pub struct Turn {
    writers: Arc<Writers>,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.guard.is_some() {
            *lock(&self.writers.last) = Some(Instant::now());
        }
        self.writers.queue.fetch_sub(1, Ordering::Relaxed);
    }
}
