//! Metrics in the `OpenMetrics` format. Labels have few values: never names of objects.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::{
    api::status::Reason,
    engine::{Key, Object, kind::Shape, outcome::Outcome, unmanaged::Unmanaged},
    kinds,
    zitadel::Requests,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindReason {
    kind: &'static str,
    ready: String,
    reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Access {
    access: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindDrift {
    kind: &'static str,
    corrected: String,
}

/// All metrics.
pub(super) struct Metrics {
    registry: Registry,
    reconciles: Family<Kind, Counter>,
    patches: Family<Kind, Counter>,
    drift: Family<KindDrift, Counter>,
    objects: Family<KindReason, Gauge>,
    unmanaged: Family<Kind, Gauge>,
    requests: Arc<Requests>,
    calls: Family<Access, Counter>,
    said: Mutex<HashMap<Key, KindReason>>,
}

impl Metrics {
    /// `requests`: what the engine's clients count.
    pub(super) fn new(requests: Arc<Requests>) -> Self {
        let mut registry = Registry::with_prefix("kastellan");
        let (reconciles, patches, drift, objects) =
            (Family::default(), Family::default(), Family::default(), Family::default());
        let (unmanaged, calls) = (Family::default(), Family::default());
        registry.register("reconciles", "Reconciles", Family::clone(&reconciles));
        registry.register(
            "status_patches",
            "Status patches sent to Kubernetes",
            Family::clone(&patches),
        );
        registry.register(
            "drift",
            "Changes by somebody else to what is declared",
            Family::clone(&drift),
        );
        registry.register(
            "objects",
            "Objects by the status and the reason of their condition Ready",
            Family::clone(&objects),
        );
        registry.register(
            "unmanaged",
            "Things in ZITADEL that are declared nowhere, with --count-unmanaged",
            Family::clone(&unmanaged),
        );
        registry.register(
            "zitadel_requests",
            "Requests sent to ZITADEL, repeated ones included",
            Family::clone(&calls),
        );
        Self {
            registry,
            reconciles,
            patches,
            drift,
            objects,
            unmanaged,
            requests,
            calls,
            said: Mutex::default(),
        }
    }

    pub(super) fn observe(&self, object: &Object, outcome: &Outcome) {
        let kind = object.key.kind;
        self.reconciles.get_or_create(&Kind { kind }).inc();
        if outcome.status.last_drift != object.status.last_drift
            && let Some(drift) = &outcome.status.last_drift
        {
            self.drift
                .get_or_create(&KindDrift { kind, corrected: drift.corrected.to_string() })
                .inc();
        }
        let ready = outcome.status.condition("Ready");
        let now = KindReason {
            kind,
            ready: ready.map_or("Unknown", |c| c.status.as_str()).into(),
            reason: ready.map_or(Reason::Creating.to_string(), |c| c.reason.clone()),
        };
        self.say(&object.key, (!outcome.release).then_some(now));
    }

    /// How many things of each kind are declared nowhere.
    pub(super) fn found_unmanaged(&self, found: &[Unmanaged]) {
        for entry in kinds::ALL.iter().filter(|e| matches!(e.shape(), Shape::Entity { .. })) {
            let kind = entry.names().kind;
            let count = found.iter().filter(|u| u.kind == kind).count();
            self.unmanaged
                .get_or_create(&Kind { kind })
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    pub(super) fn patched(&self, kind: &'static str) {
        self.patches.get_or_create(&Kind { kind }).inc();
    }

    pub(super) fn forget(&self, key: &Key) {
        self.say(key, None);
    }

    fn say(&self, key: &Key, now: Option<KindReason>) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match &now {
            Some(now) => said.insert(key.clone(), now.clone()),
            None => said.remove(key),
        };
        if let Some(before) = before {
            self.objects.get_or_create(&before).dec();
        }
        if let Some(now) = now {
            self.objects.get_or_create(&now).inc();
        }
    }

    /// Whether an object was Ready when it was last looked at.
    pub(super) fn is_ready(&self, key: &Key) -> bool {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .is_some_and(|s| s.ready == "True")
    }

    /// How many objects have been looked at.
    pub(super) fn count(&self) -> usize {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(super) fn render(&self) -> String {
        for (access, sent) in [("read", self.requests.reads()), ("write", self.requests.writes())] {
            let calls = self.calls.get_or_create(&Access { access });
            calls.inc_by(sent.saturating_sub(calls.get()));
        }
        let mut text = String::new();
        // Writing to a String does not fail.
        encode(&mut text, &self.registry).ok();
        text
    }
}
