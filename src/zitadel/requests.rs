//! What is sent to ZITADEL, counted and timed: for metrics.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::Method;

use super::retry::Safety;

/// The upper bounds of the buckets of a [`Series`], in seconds.
pub const BUCKETS: [f64; 12] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, f64::INFINITY];

/// Further endpoints are counted together: a caller's mistake must not fill the memory.
const MAX_SERIES: usize = 1_000;
const OTHER: &str = "other";

/// How many requests were sent, and how long they took.
#[derive(Debug, Default)]
pub struct Requests {
    reads: AtomicU64,
    writes: AtomicU64,
    series: Mutex<HashMap<Key, Times>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    method: Method,
    endpoint: Cow<'static, str>,
    code: &'static str,
}

#[derive(Debug, Clone, Copy, Default)]
struct Times {
    count: u64,
    sum: Duration,
    buckets: [u64; BUCKETS.len()],
}

/// The requests to one endpoint that ended in one way.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// HTTP method.
    pub method: Method,
    /// The path with `{}` in place of ids.
    pub endpoint: Cow<'static, str>,
    /// `ok`, a gRPC code such as `not_found`, or why there is no answer, such as `no_answer`.
    pub code: &'static str,
    /// How many.
    pub count: u64,
    /// How long they took, together.
    pub sum_seconds: f64,
    /// Upper bounds in seconds, and how many took at most so long but longer than the bound before:
    /// not cumulative.
    pub buckets: [(f64, u64); BUCKETS.len()],
}

impl Requests {
    /// Requests that change nothing, repeated ones included, those for tokens omitted.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Requests that may change something, repeated ones included.
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    /// All requests, those for tokens included, by endpoint, method and code.
    pub fn snapshot(&self) -> impl Iterator<Item = Series> {
        let series = self.series.lock().unwrap_or_else(PoisonError::into_inner).clone();
        series.into_iter().map(|(key, times)| {
            let mut buckets = BUCKETS.map(|bound| (bound, 0));
            for (bucket, count) in buckets.iter_mut().zip(times.buckets) {
                bucket.1 = count;
            }
            Series {
                method: key.method,
                endpoint: key.endpoint,
                code: key.code,
                count: times.count,
                sum_seconds: times.sum.as_secs_f64(),
                buckets,
            }
        })
    }

    /// Counts a request that is about to be sent.
    pub(super) fn count(&self, safety: Safety) {
        let counter = match safety {
            Safety::Read => &self.reads,
            Safety::Write => &self.writes,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that ended.
    pub(crate) fn record(
        &self,
        method: &Method,
        endpoint: &str,
        code: &'static str,
        took: Duration,
    ) {
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key =
            Key { method: method.clone(), endpoint: Cow::Owned(endpoint.to_owned()), code };
        if series.len() >= MAX_SERIES && !series.contains_key(&key) {
            key.endpoint = OTHER.into();
        }
        let times = series.entry(key).or_default();
        times.count = times.count.saturating_add(1);
        times.sum = times.sum.saturating_add(took);
        let seconds = took.as_secs_f64();
        let fits = BUCKETS.iter().zip(&mut times.buckets).find(|(bound, _)| seconds <= **bound);
        if let Some((_, count)) = fits {
            *count = count.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_is_in_one_bucket() {
        let requests = Requests::default();
        for milliseconds in [1, 5, 6, 20_000] {
            requests.record(&Method::GET, "/x", "ok", Duration::from_millis(milliseconds));
        }
        requests.record(&Method::GET, "/x", "ok", Duration::MAX);
        let series: Vec<Series> = requests.snapshot().collect();
        let [x] = &series[..] else { panic!("{series:?}") };
        assert_eq!((x.endpoint.as_ref(), x.code, x.count), ("/x", "ok", 5));
        assert_eq!(x.buckets.map(|(_, n)| n), [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    }

    #[test]
    fn endpoints_without_end_are_counted_together() {
        let requests = Requests::default();
        for n in 0..2 * MAX_SERIES {
            requests.record(&Method::GET, &format!("/{n}"), "ok", Duration::ZERO);
        }
        requests.record(&Method::GET, "/7", "ok", Duration::ZERO);
        let count =
            |endpoint| requests.snapshot().find(|s| s.endpoint == endpoint).map_or(0, |s| s.count);
        assert_eq!(requests.snapshot().count(), MAX_SERIES + 1);
        assert_eq!((count(OTHER), count("/7")), (MAX_SERIES as u64, 2));
    }
}
