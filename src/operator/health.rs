//! Why the operator is not ready. Pure.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// What is waited for, by what it concerns. Ready when there is nothing.
pub(super) struct Health(Mutex<BTreeMap<String, String>>);

impl Default for Health {
    fn default() -> Self {
        Self(Mutex::new([("start".to_owned(), "starting".to_owned())].into()))
    }
}

impl Health {
    /// Sets why something is not ready. Returns whether that is new.
    pub(super) fn not_ready(&self, what: &str, why: String) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = all.get(what) != Some(&why);
        all.insert(what.into(), why);
        is_new
    }

    /// Something is ready.
    pub(super) fn ready(&self, what: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(what);
    }

    /// Everything that is not ready, a line each; empty: the operator is ready.
    pub(super) fn report(&self) -> String {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().flat_map(|why| [why.as_str(), "\n"]).collect()
    }
}
