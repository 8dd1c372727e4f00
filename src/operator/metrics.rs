//! Metrics in the `OpenMetrics` format. Labels have few values: an Instance is named, and a key that
//! will end; other objects never are.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet, text::encode},
    metrics::{MetricType, counter::Counter, family::Family, gauge::Gauge},
    registry::{Metric, Registry},
};

use crate::{
    api::status::Reason,
    contract::Key,
    engine::{self, unmanaged::Unmanaged},
    kinds::REGISTRY,
    zitadel::Requests,
};

/// Declares the labels of a metric.
macro_rules! labels {
    ($($name:ident { $($label:ident: $type:ty),+ })+) => {
        $(#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
        struct $name {
            $($label: $type),+
        })+
    };
}

labels! {
    Kind { kind: &'static str }
    KindError { kind: &'static str, reason: String, class: &'static str }
    KindReady { kind: &'static str, ready: &'static str, reason: String }
    KindDrift { kind: &'static str, corrected: String }
    Access { access: &'static str }
    Task { task: &'static str }
    Code { code: String }
    Table { table: &'static str }
    Instance { namespace: String, name: String }
    Object { kind: &'static str, namespace: String, name: String }
}

/// All metrics.
pub(super) struct Metrics {
    registry: Registry,
    reconciles: Family<Kind, Counter>,
    errors: Family<KindError, Counter>,
    patches: Family<Kind, Counter>,
    drift: Family<KindDrift, Counter>,
    objects: Family<KindReady, Gauge>,
    not_ready: Family<Kind, Gauge>,
    queues: Family<Kind, Gauge>,
    lags: Family<Instance, Gauge>,
    unmanaged: Family<Kind, Gauge>,
    expiries: Family<Object, Gauge>,
    panics: Family<Task, Counter>,
    kubernetes: Family<Code, Counter>,
    tables: Family<Table, Gauge>,
    leader: Gauge,
    requests: Arc<Requests>,
    calls: Family<Access, Counter>,
    /// One scrape at a time.
    scraping: Mutex<()>,
}

/// How long calls took, by endpoint, method and outcome.
#[derive(Debug)]
struct CallTimes(Arc<Requests>);

impl Collector for CallTimes {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let mut family = encoder.encode_descriptor(
            "zitadel_request_duration_seconds",
            "How long requests to ZITADEL took, those for tokens included",
            None,
            MetricType::Histogram,
        )?;
        for series in self.0.snapshot() {
            let method = series.method.to_string();
            let labels = [
                ("endpoint", series.endpoint.as_ref()),
                ("method", method.as_str()),
                ("code", series.code),
            ];
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
                series.sum_seconds,
                series.count,
                &series.buckets,
                None,
            )?;
        }
        Ok(())
    }
}

/// What is counted when the metrics are asked for.
#[derive(Default)]
pub(super) struct Snapshot {
    /// How long the object of each kind that has waited longest has not been Ready.
    pub(super) not_ready: HashMap<&'static str, Duration>,
    /// Objects that wait for a permit.
    pub(super) queues: HashMap<&'static str, usize>,
    /// How long ago the feed of each Instance answered.
    pub(super) lags: Vec<(Key, Duration)>,
    /// When keys and tokens end.
    pub(super) expiries: Vec<(Key, Timestamp)>,
    /// Entries of what is kept in memory.
    pub(super) tables: Vec<(&'static str, usize)>,
    /// Whether this process is the one that writes.
    pub(super) is_leader: bool,
}

impl Metrics {
    /// `requests`: what the engine's clients count.
    pub(super) fn new(requests: Arc<Requests>) -> Self {
        let mut r = Registry::with_prefix("kastellan");
        r.register_collector(Box::new(CallTimes(requests.clone())));
        Self {
            reconciles: register(&mut r, "reconciles", "Reconciles"),
            errors: register(
                &mut r,
                "errors",
                "Reconciles that ended in an error, by its reason, and by what follows from it",
            ),
            patches: register(&mut r, "status_patches", "Status patches sent to Kubernetes"),
            drift: register(&mut r, "drift", "Changes by somebody else to what is declared"),
            objects: register(
                &mut r,
                "objects",
                "Objects by the status and the reason of their condition Ready",
            ),
            not_ready: register(
                &mut r,
                "not_ready_age_seconds",
                "How long the object of a kind that has waited longest has not been Ready",
            ),
            queues: register(
                &mut r,
                "queue_depth",
                "Objects that wait for others of their Instance, or of their namespace",
            ),
            lags: register(
                &mut r,
                "feed_lag_seconds",
                "Seconds since the event feed of an Instance last answered",
            ),
            unmanaged: register(
                &mut r,
                "unmanaged",
                "Things in ZITADEL that are declared nowhere, with --count-unmanaged",
            ),
            expiries: register(
                &mut r,
                "secret_expiry_timestamp_seconds",
                "When the key or token that an object holds ends",
            ),
            panics: register(&mut r, "panics", "Panics; each one is a bug"),
            kubernetes: register(
                &mut r,
                "kubernetes_errors",
                "Watches and leases that Kubernetes refused, by HTTP status; 0: no answer",
            ),
            tables: register(&mut r, "memory_entries", "Entries of what is kept in memory"),
            leader: register(
                &mut r,
                "leader",
                "Whether this operator is the one that writes; 0: it stands by",
            ),
            calls: register(
                &mut r,
                "zitadel_requests",
                "Requests sent to ZITADEL, repeated ones included",
            ),
            registry: r,
            requests,
            scraping: Mutex::default(),
        }
    }

    pub(super) fn reconciled(&self, kind: &'static str) {
        self.reconciles.get_or_create(&Kind { kind }).inc();
    }

    pub(super) fn failed(&self, kind: &'static str, error: &engine::Error) {
        let (reason, class) = (error.reason().to_string(), error.class().as_str());
        self.errors.get_or_create(&KindError { kind, reason, class }).inc();
    }

    pub(super) fn drifted(&self, kind: &'static str, corrected: bool) {
        let corrected = corrected.to_string();
        self.drift.get_or_create(&KindDrift { kind, corrected }).inc();
    }

    pub(super) fn patched(&self, kind: &'static str) {
        self.patches.get_or_create(&Kind { kind }).inc();
    }

    pub(super) fn panicked(&self, task: &'static str) {
        self.panics.get_or_create(&Task { task }).inc();
    }

    pub(super) fn kubernetes_failed(&self, code: Option<u16>) {
        let code = code.unwrap_or_default().to_string();
        self.kubernetes.get_or_create(&Code { code }).inc();
    }

    /// Adds to the number of objects of which this is said.
    pub(super) fn count_object(
        &self,
        kind: &'static str,
        ready: &'static str,
        reason: Reason,
        change: i64,
    ) {
        let labels = KindReady { kind, ready, reason: reason.to_string() };
        self.objects.get_or_create(&labels).inc_by(change);
    }

    /// How many things of each kind are declared nowhere.
    pub(super) fn found_unmanaged(&self, found: &[Unmanaged]) {
        for entry in REGISTRY.all().filter(|e| e.as_entity().is_some()) {
            let kind = entry.kind();
            let count = found.iter().filter(|u| u.kind == kind).count();
            self.unmanaged.get_or_create(&Kind { kind }).set(number(count));
        }
    }

    /// All metrics as text.
    pub(super) fn render(&self, snapshot: Snapshot) -> String {
        let _scrape = self.scraping.lock().unwrap_or_else(PoisonError::into_inner);
        self.not_ready.clear();
        for (kind, age) in snapshot.not_ready {
            self.not_ready.get_or_create(&Kind { kind }).set(seconds(age));
        }
        self.queues.clear();
        for (kind, depth) in snapshot.queues {
            self.queues.get_or_create(&Kind { kind }).set(number(depth));
        }
        self.lags.clear();
        for (Key { namespace, name, .. }, lag) in snapshot.lags {
            self.lags.get_or_create(&Instance { namespace, name }).set(seconds(lag));
        }
        self.expiries.clear();
        for (Key { kind, namespace, name }, at) in snapshot.expiries {
            self.expiries.get_or_create(&Object { kind, namespace, name }).set(at.as_second());
        }
        for (table, entries) in snapshot.tables {
            self.tables.get_or_create(&Table { table }).set(number(entries));
        }
        self.leader.set(i64::from(snapshot.is_leader));
        for (access, sent) in [("read", self.requests.reads()), ("write", self.requests.writes())] {
            let calls = self.calls.get_or_create(&Access { access });
            calls.inc_by(sent.saturating_sub(calls.get()));
        }
        self.encode()
    }

    pub(super) fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        encode(&mut text, &self.registry).ok();
        text
    }
}

fn register<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

fn seconds(d: Duration) -> i64 {
    i64::try_from(d.as_secs()).unwrap_or(i64::MAX)
}

fn number(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
