//! What was last said of each object: by whom others are told, and what is counted of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use super::metrics::Metrics;
use crate::{
    api::status::{Reason, Status},
    contract::{Key, Object},
    engine::report::Outcome,
};

/// See the module.
pub(super) struct Readiness {
    metrics: Arc<Metrics>,
    reported: Mutex<HashMap<Key, Reported>>,
    /// Panics in a row; of most objects there are none.
    panics: Mutex<HashMap<Key, u32>>,
}

struct Reported {
    ready: &'static str,
    reason: Reason,
    /// Since when it has not been Ready; what is only observed waits for nothing.
    not_ready: Option<Timestamp>,
    /// It goes on when ZITADEL is back: not even what is Ready could be looked at.
    awaits_return: bool,
}

impl Readiness {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, reported: Mutex::default(), panics: Mutex::default() }
    }

    /// Takes down what a reconcile came to.
    pub(super) fn observe(&self, object: &Object, outcome: &Outcome) {
        let kind = object.key.kind;
        self.metrics.reconciled(kind);
        if outcome.status.last_drift != object.status.last_drift
            && let Some(drift) = &outcome.status.last_drift
        {
            self.metrics.drifted(kind, drift.corrected);
        }
        if let Some(error) = &outcome.error {
            self.metrics.failed(kind, error);
        }
        self.panics.lock().unwrap_or_else(PoisonError::into_inner).remove(&object.key);
        if outcome.release {
            self.forget(&object.key);
        } else {
            self.record(&object.key, &outcome.status);
            let mut all = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(reported) = all.get_mut(&object.key) {
                reported.awaits_return = outcome.awaits_return;
            }
        }
    }

    /// Takes down a reconcile that panicked. Returns how many did so in a row.
    pub(super) fn panicked(&self, key: &Key) -> u32 {
        let mut panics = self.panics.lock().unwrap_or_else(PoisonError::into_inner);
        let count = panics.entry(key.clone()).or_default();
        *count = count.saturating_add(1);
        *count
    }

    /// Takes down what is said of an object.
    pub(super) fn record(&self, key: &Key, status: &Status) {
        let condition = status.condition("Ready");
        let ready = match condition.map(|c| c.status.as_str()) {
            Some("True") => "True",
            Some("False") => "False",
            _ => "Unknown",
        };
        let reason = status.reason().unwrap_or(Reason::Creating);
        self.metrics.count_object(key.kind, ready, reason, 1);
        let mut all = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        let former = all.remove(key);
        let since = condition.and_then(|c| c.last_transition_time.parse().ok());
        let not_ready = (ready == "False" && reason != Reason::Observing)
            .then(|| since.unwrap_or_else(Timestamp::now));
        all.insert(key.clone(), Reported { ready, reason, not_ready, awaits_return: false });
        if let Some(Reported { ready, reason, .. }) = former {
            self.metrics.count_object(key.kind, ready, reason, -1);
        }
    }

    /// Forgets an object that is gone.
    pub(super) fn forget(&self, key: &Key) {
        self.panics.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        let former = self.reported.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        if let Some(Reported { ready, reason, .. }) = former {
            self.metrics.count_object(key.kind, ready, reason, -1);
        }
    }

    /// Whether an object was Ready when it was last reconciled.
    pub(super) fn is_ready(&self, key: &Key) -> bool {
        let all = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(key).is_some_and(|r| r.ready == "True")
    }

    /// Whether an object was Ready when it was last reconciled; `None`: it was not yet.
    pub(super) fn is_known_ready(&self, key: &Key) -> Option<bool> {
        let all = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        Some(all.get(key)?.ready == "True")
    }

    /// Whether an object was Ready, and could be looked at, when it was last reconciled.
    pub(super) fn is_settled(&self, key: &Key) -> bool {
        let all = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(key).is_some_and(|r| r.ready == "True" && !r.awaits_return)
    }

    /// Whether each object of a kind was Ready; one that is suspended is not among them.
    pub(super) fn of_kind(&self, kind: &str) -> Vec<(Key, bool)> {
        let all = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter()
            .filter(|(key, r)| key.kind == kind && r.reason != Reason::Suspended)
            .map(|(key, r)| (key.clone(), r.ready == "True"))
            .collect()
    }

    /// How many objects have been reconciled.
    pub(super) fn len(&self) -> usize {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// How long the object of each kind that has been waiting longest has not been Ready.
    pub(super) fn oldest_not_ready(&self) -> HashMap<&'static str, Duration> {
        let mut oldest = HashMap::new();
        for (key, r) in self.reported.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if let Some(since) = r.not_ready {
                let age = oldest.entry(key.kind).or_insert(Duration::ZERO);
                let waited = Timestamp::now().duration_since(since);
                *age = Duration::try_from(waited).unwrap_or_default().max(*age);
            }
        }
        oldest
    }
}
