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
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, NoLabelSet, text::encode},
    metrics::{
        MetricType,
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
        info::Info,
    },
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
    renewals: Family<Object, Gauge>,
    instances: Family<Instance, Gauge>,
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

/// The memory of the process, under the name that client libraries of Prometheus give it.
#[derive(Debug)]
struct ResidentMemory;

impl Collector for ResidentMemory {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let Some(bytes) = resident_memory() else { return Ok(()) };
        let gauge = ConstGauge::new(bytes);
        let metric = encoder.encode_descriptor(
            "process_resident_memory_bytes",
            "Resident memory of the process in bytes",
            None,
            gauge.metric_type(),
        )?;
        gauge.encode(metric)
    }
}

/// When a key or token ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expiry {
    pub(super) expires: Timestamp,
    /// When another one takes its place, if that is known.
    pub(super) renews: Option<Timestamp>,
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
    /// Whether each Instance that is not suspended is Ready.
    pub(super) instances: Vec<(Key, bool)>,
    /// When keys and tokens end.
    pub(super) expiries: Vec<(Key, Expiry)>,
    /// Entries of what is kept in memory.
    pub(super) tables: Vec<(&'static str, usize)>,
    /// Whether this process is the one that writes.
    pub(super) is_leader: bool,
}

impl Metrics {
    /// `requests`: what the engine's clients count.
    pub(super) fn new(requests: Arc<Requests>) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ResidentMemory));
        let r = registry.sub_registry_with_prefix("kastellan");
        r.register_collector(Box::new(CallTimes(requests.clone())));
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        r.register("build", "The version of Kastellan", Info::new(version));
        Self {
            reconciles: register(r, "reconciles", "Reconciles"),
            errors: register(
                r,
                "errors",
                "Reconciles that ended in an error, by its reason, and by what follows from it",
            ),
            patches: register(r, "status_patches", "Status patches sent to Kubernetes"),
            drift: register(r, "drift", "Changes by somebody else to what is declared"),
            objects: register(
                r,
                "objects",
                "Objects by the status and the reason of their condition Ready",
            ),
            not_ready: register(
                r,
                "not_ready_age_seconds",
                "How long the object of a kind that has waited longest has not been Ready; observed ones do not wait",
            ),
            queues: register(
                r,
                "queue_depth",
                "Objects that wait for others of their Instance, or of their namespace",
            ),
            lags: register(
                r,
                "feed_lag_seconds",
                "Seconds since the event feed of an Instance last answered",
            ),
            unmanaged: register(
                r,
                "unmanaged",
                "Things in ZITADEL that are declared nowhere, with --count-unmanaged",
            ),
            expiries: register(
                r,
                "secret_expiry_timestamp_seconds",
                "When the key or token that an object holds ends",
            ),
            renewals: register(
                r,
                "secret_renewal_timestamp_seconds",
                "When another key or token takes the place of the one that an object holds",
            ),
            instances: register(
                r,
                "instance_ready",
                "Whether an Instance is Ready; not there: it is suspended",
            ),
            panics: register(r, "panics", "Panics; each one is a bug"),
            kubernetes: register(
                r,
                "kubernetes_errors",
                "Watches and leases that Kubernetes refused, by HTTP status; 0: no answer",
            ),
            tables: register(r, "memory_entries", "Entries of what is kept in memory"),
            leader: register(
                r,
                "leader",
                "Whether this operator is the one that writes; 0: it stands by",
            ),
            calls: register(
                r,
                "zitadel_requests",
                "Requests sent to ZITADEL, repeated ones included",
            ),
            requests,
            scraping: Mutex::default(),
            registry,
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
        self.instances.clear();
        for (Key { namespace, name, .. }, is_ready) in snapshot.instances {
            self.instances.get_or_create(&Instance { namespace, name }).set(i64::from(is_ready));
        }
        self.expiries.clear();
        self.renewals.clear();
        for (Key { kind, namespace, name }, Expiry { expires, renews }) in snapshot.expiries {
            let object = Object { kind, namespace, name };
            self.expiries.get_or_create(&object).set(expires.as_second());
            if let Some(at) = renews {
                self.renewals.get_or_create(&object).set(at.as_second());
            }
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

/// The resident memory of this process in bytes, where Linux tells.
fn resident_memory() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"))?;
    kib.trim().parse::<i64>().ok()?.checked_mul(1024)
}

fn seconds(d: Duration) -> i64 {
    i64::try_from(d.as_secs()).unwrap_or(i64::MAX)
}

fn number(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        fs,
        path::Path,
    };

    use reqwest::Method;

    use super::*;

    /// The metrics that are served, with their labels: each has been counted.
    fn served() -> BTreeMap<String, BTreeSet<String>> {
        let requests = Arc::new(Requests::default());
        let metrics = Metrics::new(requests.clone());
        let key = |kind| Key { kind, namespace: "ns".to_owned(), name: "a".to_owned() };
        let (project, at) = ("Project", Timestamp::UNIX_EPOCH);
        metrics.reconciled(project);
        metrics.failed(project, &engine::Error::Conflict { winner: key(project) });
        metrics.drifted(project, true);
        metrics.patched(project);
        metrics.panicked("reconcile");
        metrics.kubernetes_failed(None);
        metrics.count_object(project, "True", Reason::InSync, 1);
        metrics.found_unmanaged(&[]);
        requests.record(&Method::GET, "/x", "ok", Duration::ZERO);
        let text = metrics.render(Snapshot {
            not_ready: HashMap::from([(project, Duration::ZERO)]),
            queues: HashMap::from([(project, 1)]),
            lags: vec![(key("Instance"), Duration::ZERO)],
            instances: vec![(key("Instance"), true)],
            expiries: vec![(key("MachineKey"), Expiry { expires: at, renews: Some(at) })],
            tables: vec![("objects", 1)],
            is_leader: true,
        });
        let mut served = BTreeMap::<_, BTreeSet<_>>::new();
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            let name: String = line.chars().take_while(|c| is_name(*c)).collect();
            served.entry(name).or_default().extend(labels(line));
        }
        served
    }

    fn is_name(c: char) -> bool {
        c.is_ascii_alphanumeric() || c == '_'
    }

    /// The names of labels in the braces that a text begins with, after a name.
    fn labels(text: &str) -> Vec<String> {
        let Some((_, rest)) = text.split_once('{') else { return Vec::new() };
        let inside = rest.split('}').next().unwrap();
        let is_before_value = |part: &&str| part.ends_with('=') || part.ends_with(['~', '!']);
        let parts = inside.split('"').step_by(2).map(|p| p.trim_start_matches([',', ' ']));
        let names = parts.filter(is_before_value);
        names.map(|p| p.chars().take_while(|c| is_name(*c)).collect()).collect()
    }

    /// Each use of a metric in a text: its name, and the labels that are selected by.
    fn uses(text: &str) -> Vec<(String, Vec<String>)> {
        let mut found = Vec::new();
        for (at, _) in text.match_indices("kastellan_").chain(text.match_indices("process_")) {
            let is_start = text[..at].chars().next_back().is_none_or(|c| !is_name(c));
            let rest = &text[at..];
            let name: String = rest.chars().take_while(|c| is_name(*c)).collect();
            let after = &rest[name.len()..];
            let selected = if after.starts_with('{') { labels(after) } else { Vec::new() };
            if is_start {
                found.push((name, selected));
            }
        }
        found
    }

    fn expressions(value: &serde_json::Value, into: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(fields) => {
                for (key, value) in fields {
                    match value.as_str() {
                        Some(text) if ["expr", "query", "definition"].contains(&key.as_str()) => {
                            into.push(text.to_owned());
                        }
                        _ => expressions(value, into),
                    }
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|i| expressions(i, into)),
            _ => {}
        }
    }

    #[test]
    fn alerts_and_the_dashboard_use_what_is_served_and_nothing_else() {
        let served = served();
        let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/kastellan/files");
        for (file, least) in [("rules.yaml", 10), ("dashboard.json", 20)] {
            let text = fs::read_to_string(files.join(file)).unwrap();
            let value: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
            let mut all = Vec::new();
            expressions(&value, &mut all);
            let used: Vec<_> = all.iter().flat_map(|e| uses(e)).collect();
            assert!(used.len() > least, "{file}: {used:?}");
            for (name, selected) in used {
                let known = served.get(&name);
                let known = known.unwrap_or_else(|| panic!("{file}: {name} is not served"));
                for label in selected {
                    // Prometheus adds the job.
                    let is_there = label == "job" || known.contains(&label);
                    assert!(is_there, "{file}: {name} has no label {label}, but {known:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_served_is_on_the_dashboard_and_in_the_documentation() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let read = |file| fs::read_to_string(root.join(file)).unwrap();
        let (dashboard, page) =
            (read("charts/kastellan/files/dashboard.json"), read("docs/tasks/install.md"));
        for name in served().into_keys() {
            let family = name
                .strip_suffix("_bucket")
                .or(name.strip_suffix("_sum"))
                .or(name.strip_suffix("_count"))
                .unwrap_or(&name);
            assert!(dashboard.contains(family), "{name} is not on the dashboard");
            assert!(page.contains(&format!("`{family}`")), "{name} is not documented");
        }
    }

    #[test]
    fn a_use_is_found_with_its_labels() {
        let used =
            uses(r#"sum(rate(kastellan_a_total{job=~"$job", kind!="X"}[5m])) / my_kastellan_b"#);
        let labels = vec!["job".to_owned(), "kind".to_owned()];
        assert_eq!(used, [("kastellan_a_total".to_owned(), labels)]);
    }
}
