//! A folder applied to ZITADEL, and stopped halfway where that is asked for.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use tokio::sync::watch;
use tracing::Instrument;

use super::{
    order,
    plan::AT_ONCE,
    session::{Session, failure, is_connection},
    step::{Applied, Done, Planned, Step},
};
use crate::{
    api::{spec::only_observes, status::Reason},
    contract::Key,
    engine::{
        decide::Action,
        events::{EventReason, EventRecord},
        host::Host,
        reconcile::reconcile,
        resolve::PlannedIds,
    },
};

/// How long an object is retried whose failures are transient.
const RETRY: Duration = Duration::from_secs(20);
/// How long what is under way may take to end once the command is to stop.
const GRACE: Duration = Duration::from_secs(5);

impl Session {
    /// Brings every object and its remote side to agree, in the order of references; `tell` hears
    /// of each. Once `stop` is true nothing new is begun.
    pub async fn apply(&self, stop: watch::Receiver<bool>, mut tell: impl FnMut(Done)) {
        let levels = order::levels(&self.host, &self.host.objects());
        let mut left: BTreeSet<Key> =
            levels.iter().flatten().filter(|o| !is_connection(o)).map(|o| o.key.clone()).collect();
        for level in &levels {
            // Plans first: claims are settled in one order, and there is something to show.
            let nothing = PlannedIds::new();
            let planned = self.plan_level(level, &nothing);
            let Some(planned) = unless_stopped(&mut stop.clone(), planned).await else { break };
            let all =
                stream::iter(planned).map(|p| self.apply_one(p, stop.clone())).buffered(AT_ONCE);
            let mut all = std::pin::pin!(all);
            let mut until = stop.clone();
            let mut patience = std::pin::pin!(async move {
                stopped(&mut until).await;
                tokio::time::sleep(GRACE).await;
            });
            loop {
                tokio::select! {
                    done = all.next() => match done {
                        Some(done) => {
                            left.remove(&done.key);
                            tell(done);
                        }
                        None => break,
                    },
                    () = &mut patience => break,
                }
            }
        }
        for key in left {
            tell(Done { key, events: Vec::new(), result: Applied::Stopped });
        }
    }

    async fn apply_one(&self, planned: Planned, mut stop: watch::Receiver<bool>) -> Done {
        let key = planned.object.key.clone();
        let done = |events, result| Done { key: key.clone(), events, result };
        if *stop.borrow() {
            return done(Vec::new(), Applied::Stopped);
        }
        let observes = only_observes(&planned.object.spec);
        let creates = match planned.step {
            Step::Do(plan) => plan.effect() == Action::Create,
            Step::Fail(failure) if failure.is_unconnected() => {
                return done(Vec::new(), Applied::Failed(failure));
            }
            Step::Suspended | Step::Observe(_) | Step::Fail(_) => false,
        };
        let begun = Instant::now();
        let mut events: Vec<EventRecord> = Vec::new();
        loop {
            let Some(object) = self.host.object(&key) else {
                return done(events, Applied::Stopped);
            };
            let span = tracing::info_span!(
                "reconcile",
                kind = key.kind,
                namespace = key.namespace,
                name = key.name
            );
            let outcome = reconcile(&self.engine, &self.host, &object).instrument(span).await;
            self.host.report(&object, &outcome);
            events.extend(outcome.events.clone());
            let is = |kind| outcome.status.condition(kind).is_some();
            if outcome.status.reason() == Some(Reason::Suspended) {
                return done(events, Applied::Suspended);
            }
            if observes && !is("Stalled") && !is("Reconciling") {
                return done(events, Applied::Observed);
            }
            if outcome.status.is_ready() {
                let result = succeeded(creates, &events);
                return done(events, result);
            }
            let failure = failure(&outcome, &object);
            // What waits for people, or for what comes later, takes longer than anybody waits here.
            let waits = matches!(failure.reason, Reason::WaitingForReference | Reason::NotVerified);
            let is_transient = is("Reconciling") && !waits;
            let pause = outcome.requeue_after.unwrap_or(RETRY).min(Duration::from_secs(5));
            let goes_on = is_transient && begun.elapsed() + pause <= RETRY;
            if goes_on && unless_stopped(&mut stop, tokio::time::sleep(pause)).await.is_some() {
                continue;
            }
            let is_incomplete =
                events.iter().any(|n| is_write(n.reason)) || creates && self.exists(&key).await;
            let result = if is_incomplete { Applied::Incomplete } else { Applied::Failed };
            return done(events, result(failure));
        }
    }

    /// Whether something that was to be created is there now.
    async fn exists(&self, key: &Key) -> bool {
        let Some(object) = self.host.object(key) else { return false };
        let preview = self.preview(&object, &PlannedIds::new()).await;
        preview.and_then(|p| p.plan.ok()).is_some_and(|plan| plan.effect() != Action::Create)
    }
}

/// What was done for an object that is as declared now.
fn succeeded(creates: bool, events: &[EventRecord]) -> Applied {
    let is_written = events.iter().any(|n| is_write(n.reason));
    let is_created = creates || events.iter().any(|n| n.reason == EventReason::Created);
    match (is_written, is_created) {
        (false, _) => Applied::Unchanged,
        (true, true) => Applied::Created,
        (true, false) => Applied::Changed,
    }
}

fn is_write(reason: EventReason) -> bool {
    matches!(reason, EventReason::Created | EventReason::Updated)
}

/// Waits until the command is to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Nobody is left who could ask for it.
        std::future::pending::<()>().await;
    }
}

/// Does something that can be cancelled, until the command is to stop.
pub async fn unless_stopped<T>(
    stop: &mut watch::Receiver<bool>,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        () = stopped(stop) => None,
        done = work => Some(done),
    }
}
