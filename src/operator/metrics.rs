//! Metrics in the `OpenMetrics` format. Labels have few values: never names of objects.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::{
    api::status::Reason,
    engine::{Key, Object, outcome::Outcome},
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
    said: Mutex<HashMap<Key, KindReason>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("kastellan");
        let (reconciles, patches, drift, objects) = (Family::default(), Family::default(), Family::default(), Family::default());
        registry.register("reconciles", "Reconciles", Family::clone(&reconciles));
        registry.register("status_patches", "Status patches sent to Kubernetes", Family::clone(&patches));
        registry.register("drift", "Changes by somebody else to what is declared", Family::clone(&drift));
        registry.register("objects", "Objects by the status and the reason of their condition Ready", Family::clone(&objects));
        Self { registry, reconciles, patches, drift, objects, said: Mutex::default() }
    }
}

impl Metrics {
    pub(super) fn observe(&self, object: &Object, outcome: &Outcome) {
        let kind = object.key.kind;
        self.reconciles.get_or_create(&Kind { kind }).inc();
        if outcome.status.last_drift != object.status.last_drift
            && let Some(drift) = &outcome.status.last_drift
        {
            self.drift.get_or_create(&KindDrift { kind, corrected: drift.corrected.to_string() }).inc();
        }
        let ready = outcome.status.condition("Ready");
        let now = KindReason {
            kind,
            ready: ready.map_or("Unknown", |c| c.status.as_str()).into(),
            reason: ready.map_or(Reason::Creating.to_string(), |c| c.reason.clone()),
        };
        self.say(&object.key, (!outcome.release).then_some(now));
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
        self.said.lock().unwrap_or_else(PoisonError::into_inner).get(key).is_some_and(|s| s.ready == "True")
    }

    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        encode(&mut text, &self.registry).ok();
        text
    }
}
