//! What happens between two moments.

use std::{collections::BTreeMap, time::Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zitadel_emulator::Emulator;

use crate::{Result, world::World};

/// The figures of a scenario.
#[derive(Serialize, Deserialize, Clone, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Figures {
    pub(crate) scenario: String,
    pub(crate) n: usize,
    /// Calls of ZITADEL by endpoint, this program's own omitted; of a real one: reads and writes
    /// as the operator counts them.
    pub(crate) calls: Option<BTreeMap<String, u64>>,
    /// Those that change things.
    pub(crate) writes: Option<u64>,
    /// Events in ZITADEL's log.
    pub(crate) events: Option<u64>,
    /// Requests to Kubernetes by verb and resource.
    pub(crate) kubernetes: BTreeMap<String, u64>,
    pub(crate) wall_seconds: f64,
    pub(crate) cpu_seconds: f64,
    /// Resident memory at the end, at its peak, and at the end without the pages of the binary, in
    /// MiB.
    pub(crate) memory: (f64, f64, f64),
    /// What this scenario alone tells.
    pub(crate) more: Map<String, Value>,
}

impl Figures {
    pub(crate) fn total(&self) -> Option<u64> {
        self.calls.as_ref().map(|c| c.values().sum())
    }

    /// Requests to Kubernetes whose name ends so.
    pub(crate) fn requests(&self, end: &str) -> u64 {
        self.kubernetes.iter().filter(|(name, _)| name.ends_with(end)).map(|(_, n)| n).sum()
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.into(), value.into());
        self
    }
}

pub(crate) struct Meter {
    start: Instant,
    cpu: f64,
    events: usize,
    /// Of a real ZITADEL: what the operator had counted itself.
    requests: (f64, f64),
    kubernetes: BTreeMap<String, u64>,
}

impl Meter {
    /// Counts from now on; after this the scenario begins.
    pub(crate) async fn start(world: &World) -> Result<Self> {
        let kubernetes = world.cluster.requests().await?;
        if let Some(emulator) = world.zitadel.emulator() {
            emulator.reset_calls();
        }
        if let Some(operator) = &world.operator {
            operator.forget_peak();
        }
        Ok(Self {
            requests: requests(world).await,
            cpu: world.operator.as_ref().map_or(0.0, crate::operator::Operator::cpu),
            events: world.zitadel.emulator().map_or(0, zitadel_emulator::Emulator::event_count),
            kubernetes,
            start: Instant::now(),
        })
    }

    /// The operator was started after the meter.
    pub(crate) fn fresh(self) -> Self {
        Self { cpu: 0.0, requests: (0.0, 0.0), ..self }
    }

    pub(crate) fn elapsed(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// `own`: this program's own calls of ZITADEL, by endpoint.
    pub(crate) async fn stop(
        self,
        world: &World,
        scenario: &str,
        own: &[(&str, u64)],
    ) -> Result<Figures> {
        let wall_seconds = self.elapsed();
        let operator = world.running()?;
        let mut figures = Figures {
            scenario: scenario.into(),
            n: world.n,
            wall_seconds,
            cpu_seconds: operator.cpu() - self.cpu,
            memory: operator.memory(),
            ..Figures::default()
        };
        let (calls, writes) = match world.zitadel.emulator() {
            Some(emulator) => {
                figures.events = Some((emulator.event_count() - self.events) as u64);
                counted(emulator, own)
            }
            None => self.counted_itself(world).await,
        };
        (figures.calls, figures.writes) = (Some(calls), Some(writes));
        for (name, now) in world.cluster.requests().await? {
            let before = self.kubernetes.get(&name).copied().unwrap_or_default();
            // What this program does itself: the operator never does.
            let own = !name.contains("events")
                && ["POST", "PUT", "DELETE"].iter().any(|verb| name.starts_with(verb));
            if now > before && !own {
                figures.kubernetes.insert(name, now - before);
            }
        }
        Ok(figures)
    }

    /// A real ZITADEL counts nothing for us: the operator does.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counters")]
    async fn counted_itself(&self, world: &World) -> (BTreeMap<String, u64>, u64) {
        let (reads, writes) = requests(world).await;
        let (reads, writes) = ((reads - self.requests.0) as u64, (writes - self.requests.1) as u64);
        ([("reads".to_owned(), reads), ("writes".to_owned(), writes)].into(), writes)
    }
}

/// Reads and writes that the operator has sent.
async fn requests(world: &World) -> (f64, f64) {
    let Some(operator) = &world.operator else { return (0.0, 0.0) };
    let metric = async |access: &str| {
        operator.metric(&format!("kastellan_zitadel_requests_total{{access=\"{access}\"}}")).await
    };
    (metric("read").await, metric("write").await)
}

/// The emulator's calls by endpoint since they were reset, and those that write, without this
/// program's own.
pub(crate) fn counted(emulator: &Emulator, own: &[(&str, u64)]) -> (BTreeMap<String, u64>, u64) {
    let (mut calls, mut writes) = (BTreeMap::<String, u64>::new(), 0);
    for call in emulator.calls() {
        *calls.entry(format!("{} {}", call.method, call.route)).or_default() += 1;
        writes += u64::from(call.writes);
    }
    for (endpoint, n) in own {
        if let Some(calls) = calls.get_mut(*endpoint) {
            *calls = calls.saturating_sub(*n);
        }
        writes = writes.saturating_sub(*n);
    }
    (calls, writes)
}
