//! Locks of plain data. Pure.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A poisoned lock only tells that a thread panicked elsewhere; the data are plain maps.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
