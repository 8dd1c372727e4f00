//! What was called: for tests that count.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use serde::Serialize;

/// The calls that are remembered one by one; the counts go on.
const REMEMBERED: usize = 100_000;

/// A call that was answered, or was not because of a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Call {
    /// `GET`, `POST`, ...
    pub method: String,
    /// The route's template, for example `/management/v1/projects/{id}`; empty for unknown paths.
    pub route: String,
    /// The path as it was called.
    pub path: String,
    /// The status of the answer; 0 where there was none.
    pub status: u16,
    /// Whether the route is one that changes things.
    pub writes: bool,
}

/// The calls so far.
#[derive(Default)]
pub(crate) struct Calls {
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    calls: VecDeque<Call>,
    counts: BTreeMap<(String, String), u64>,
    writes: u64,
}

/// How often each route was called.
#[derive(Serialize)]
pub(crate) struct Summary {
    pub(crate) total: u64,
    pub(crate) writes: u64,
    pub(crate) routes: Vec<Count>,
}

#[derive(Serialize)]
pub(crate) struct Count {
    method: String,
    route: String,
    calls: u64,
}

impl Calls {
    pub(crate) fn add(&self, call: Call) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        *log.counts.entry((call.method.clone(), call.route.clone())).or_default() += 1;
        log.writes += u64::from(call.writes);
        if log.calls.len() == REMEMBERED {
            log.calls.pop_front();
        }
        log.calls.push_back(call);
    }

    pub(crate) fn all(&self) -> Vec<Call> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.calls.iter().cloned().collect()
    }

    pub(crate) fn summary(&self) -> Summary {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        Summary {
            total: log.counts.values().sum(),
            writes: log.writes,
            routes: log
                .counts
                .iter()
                .map(|((method, route), count)| Count {
                    method: method.clone(),
                    route: route.clone(),
                    calls: *count,
                })
                .collect(),
        }
    }

    pub(crate) fn reset(&self) {
        *self.log.lock().unwrap_or_else(PoisonError::into_inner) = Log::default();
    }
}
