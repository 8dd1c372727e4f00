//! The tasks that follow the feed of an Instance, one each.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{task::AbortHandle, time::Instant};

use crate::contract::Key;

/// See the module.
#[derive(Default)]
pub(super) struct Followers(Mutex<HashMap<Key, Follower>>);

struct Follower {
    task: AbortHandle,
    /// When the feed last answered.
    polled: Instant,
}

impl Followers {
    /// Starts a task for an Instance that has none. The task ends with [`remove`](Self::remove).
    pub(super) fn start<F>(&self, instance: &Key, task: impl FnOnce() -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.get(instance).is_none_or(|f| f.task.is_finished()) {
            let task = tokio::spawn(task()).abort_handle();
            all.insert(instance.clone(), Follower { task, polled: Instant::now() });
        }
    }

    /// The task of an Instance ends by itself.
    pub(super) fn remove(&self, instance: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(instance);
    }

    /// The feed of an Instance answered.
    pub(super) fn polled(&self, instance: &Key) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(follower) = all.get_mut(instance) {
            follower.polled = Instant::now();
        }
    }

    /// How long ago the feed of each Instance answered.
    pub(super) fn lags(&self) -> Vec<(Key, Duration)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(instance, f)| (instance.clone(), f.polled.elapsed())).collect()
    }

    /// Ends all tasks.
    pub(super) fn stop(&self) {
        for (_, follower) in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain() {
            follower.task.abort();
        }
    }
}
