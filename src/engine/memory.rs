//! What the engine remembers of objects from one reconcile to the next. In memory: nothing here has
//! to survive a restart.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{Key, contest::Contest};
use crate::api::status::Status;

/// All records.
#[derive(Default)]
pub(super) struct Memory(Mutex<HashMap<Key, Record>>);

/// What is remembered of one object.
#[derive(Default)]
pub(super) struct Record {
    /// Failures in a row.
    failures: u32,
    /// What the annotation that asks for a reconcile said when it was last acted on.
    asked: Option<String>,
    /// When its deletion was first seen.
    deleting: Option<Instant>,
    /// Since when ZITADEL refuses what it does not show.
    refused: Option<Instant>,
    /// It was lost by ZITADEL and made anew: once is enough.
    made_anew: bool,
    /// Somebody else's changes.
    pub(super) contest: Option<Contest>,
    /// What another object has handed over to it.
    inherited: Option<Status>,
}

impl Memory {
    /// Forgets an object.
    pub(super) fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    /// Counts failures in a row.
    pub(super) fn failed(&self, key: &Key) -> u32 {
        self.with(key, |r| {
            r.failures = r.failures.saturating_add(1);
            r.failures
        })
    }

    /// It went well.
    pub(super) fn succeeded(&self, key: &Key) {
        if let Some(r) = self.lock().get_mut(key) {
            (r.failures, r.refused) = (0, None);
        }
    }

    /// Whether the annotation, which says this, asks for a reconcile that was not done yet.
    pub(super) fn is_asked(&self, key: &Key, now: &str) -> bool {
        self.with(key, |r| r.asked.replace(now.into()).as_deref() != Some(now))
    }

    /// How long its deletion is known.
    pub(super) fn deleting_for(&self, key: &Key) -> Duration {
        self.with(key, |r| r.deleting.get_or_insert_with(Instant::now).elapsed())
    }

    /// How long ZITADEL has been refusing what it does not show.
    pub(super) fn refused_for(&self, key: &Key) -> Duration {
        self.with(key, |r| r.refused.get_or_insert_with(Instant::now).elapsed())
    }

    /// Whether it may be made anew: not a second time.
    pub(super) fn may_make_anew(&self, key: &Key) -> bool {
        self.with(key, |r| !std::mem::replace(&mut r.made_anew, true))
    }

    /// Keeps what another object has handed over.
    pub(super) fn bequeath(&self, heir: &Key, status: Status) {
        self.with(heir, |r| r.inherited = Some(status));
    }

    /// What another object has handed over, once: whatever a reconcile that was under way then made
    /// of the status.
    pub(super) fn inherited(&self, key: &Key) -> Option<Status> {
        self.known(key, |r| r.inherited.take())
    }

    /// Of most objects nothing is remembered: that takes no room.
    pub(super) fn known<T>(
        &self,
        key: &Key,
        f: impl FnOnce(&mut Record) -> Option<T>,
    ) -> Option<T> {
        f(self.lock().get_mut(key)?)
    }

    pub(super) fn with<T>(&self, key: &Key, f: impl FnOnce(&mut Record) -> T) -> T {
        f(self.lock().entry(key.clone()).or_default())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
