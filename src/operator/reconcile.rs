//! A reconcile as Kubernetes needs it: permit, finalizer, the engine, the report.

use std::{convert::Infallible, sync::Arc, time::Duration};

use kube::runtime::controller::Action;
use tracing::Instrument;

use super::{
    context::{Context, is_connection},
    feed, finalizer,
    packed::Packed,
    pauses::{backoff, jittered},
    permits::Group,
    problem::Problem,
    report::{report, report_panic},
    sources::Sources,
    tasks::catch,
    watch::is_referred_to,
};
use crate::{
    api::status::Reason,
    contract::Key,
    engine::{consent::Consents, reconcile::reconcile},
    kinds::REGISTRY,
};

/// The longest pause after a reconcile that panicked.
const AFTER_PANIC: Duration = Duration::from_mins(5);

/// The pause of what is woken by the return of ZITADEL.
const UNTIL_RETURN: Duration = Duration::from_mins(10);

/// The pause after the Lease was lost: it may be back before anybody noticed.
const LEASE_LOST: Duration = Duration::from_secs(5);

/// Reconciles one object, when its turn has come. What goes wrong is that object's status, never an
/// error.
pub(super) async fn run(
    kind: &'static str,
    o: Arc<Packed>,
    context: Arc<Context>,
) -> Result<Action, Infallible> {
    let key = o.key(kind);
    drop(o);
    // What is not listed yet must not be taken for missing. When it is, everything is woken.
    if !context.is_open() || context.is_stopping() {
        return Ok(Action::await_change());
    }
    if !context.lease.is_held() {
        return Ok(Action::requeue(jittered(LEASE_LOST)));
    }
    let span = tracing::info_span!("reconcile", kind, namespace = key.namespace, name = key.name);
    let subject = key.to_string();
    let action = async {
        match catch(&context.metrics, "reconcile", &subject, when_permitted(&key, &context)).await {
            Some(action) => action,
            // In a box, as all that takes room and is not always there.
            None => Box::pin(after_panic(&key, &context)).await,
        }
    };
    let action = action.instrument(span).await;
    // It may have gone meanwhile: nothing of it is kept.
    if !context.host.is_there(&key) {
        context.forget(&key);
    }
    Ok(action)
}

async fn when_permitted(key: &Key, context: &Arc<Context>) -> Action {
    let (instance, group) = if is_connection(key) {
        let namespace = key.namespace.clone();
        (Some(key.clone()), Some(Group::Connections { namespace }))
    } else {
        let Some((_, object)) = context.host.stores.newest(key) else {
            return Action::await_change();
        };
        // Before it is reconciled: what changes meanwhile wakes it again.
        let to = Consents { registry: &REGISTRY, host: &context.host }.references(&object);
        context.host.references.set(key, to.clone());
        let instance = to.iter().find(|key| is_connection(key)).cloned();
        if !context.shards.serves(&context.host, instance.as_ref()) {
            // What others have, they have here too.
            context.engine.remember_claims(&context.host, &object);
            return Action::await_change();
        }
        // After a start nothing is said of what a moment later is known.
        if !object.is_deleting && context.waits_for(&to) {
            return Action::await_change();
        }
        (instance.clone(), instance.map(Group::Connection))
    };
    // Until the status is written.
    let Some(_serving) = context.shards.enter(&context.host, instance.as_ref()) else {
        return Action::await_change();
    };
    let permit = group.as_ref().map(|group| context.permits.acquire(group, key));
    if matches!(permit, Some(None)) {
        return Action::await_change();
    }
    let action = Box::pin(one(key, context)).await;
    drop(permit);
    if is_referred_to(key.kind) {
        context.was_reconciled(key);
    }
    action
}

async fn one(key: &Key, context: &Arc<Context>) -> Action {
    let Some((o, object)) = context.host.stores.newest(key) else { return Action::await_change() };
    if object.is_deleting && !finalizer::is_on(&o) {
        return Action::await_change();
    }
    if let Err(e) = Box::pin(finalizer::adjust(&context.host, &o, &object)).await {
        return refused(context, &Problem::from(&e), "the finalizer could not be set");
    }
    let former = context.engine.connections.get(key);
    let outcome = reconcile(&context.engine, &context.host, &object).await;
    let (mut again, reason) = (outcome.requeue_after, outcome.status.reason());
    if Sources::are_read_by(key.kind) {
        context.sources.follow(&object);
    }
    if is_connection(key) {
        if let Some(connection) = context.engine.connections.get(key) {
            feed::start(context, key);
            // The status may say nothing new, after a start or a change of the spec, and yet there is
            // this connection only now.
            if !former.is_some_and(|former| Arc::ptr_eq(&former, &connection)) {
                context.wake_referrers(key);
            } else if outcome.status.is_ready() && !object.status.is_ready() {
                context.wake_failing_referrers(key);
            }
        } else if reason != object.status.reason() {
            // What depends on it repeats what it says; suspended, that is all that is said.
            if [reason, object.status.reason()].contains(&Some(Reason::Suspended)) {
                context.wake_referrers(key);
            } else {
                context.wake_failing_referrers(key);
            }
        }
    }
    let (wake, awaits_return) = (outcome.wake.clone(), outcome.awaits_return);
    let reported = Box::pin(report(context, &o, &object, outcome)).await;
    // Afterwards: they act on what is said here.
    for key in &wake {
        context.wake(key);
    }
    // Looked for after what is said was taken down: the return either wakes it, or shows here.
    if awaits_return && is_down(key, context) {
        again = Some(UNTIL_RETURN);
    }
    match reported {
        // A probe of what is down comes every five seconds, not later.
        Ok(()) if is_connection(key) && awaits_return => {
            again.map_or_else(Action::await_change, Action::requeue)
        }
        Ok(()) => again.map_or_else(Action::await_change, |d| Action::requeue(jittered(d))),
        Err(e) => refused(context, &Problem::from(&e), "the status could not be written"),
    }
}

/// Whether an Instance that an object needs is known to be down: its return wakes the object.
fn is_down(key: &Key, context: &Context) -> bool {
    let Some((_, object)) = context.host.stores.newest(key) else { return false };
    let to = Consents { registry: &REGISTRY, host: &context.host }.references(&object);
    let connections = to.iter().filter_map(|key| context.engine.connections.get(key));
    connections.into_iter().any(|connection| connection.client.is_down())
}

/// Kubernetes did not take a change.
fn refused(context: &Context, problem: &Problem, what: &'static str) -> Action {
    // It writes nothing, which is said elsewhere.
    if !context.lease.is_held() {
        tracing::debug!(error = %problem, "{what}");
        return Action::requeue(jittered(LEASE_LOST));
    }
    // Somebody changed or deleted the object meanwhile: the watch will tell.
    if problem.is_expected() || problem.code == Some(422) {
        tracing::debug!(error = %problem, "{what}");
        return Action::requeue(Duration::from_secs(1));
    }
    tracing::warn!(error = %problem, "{what}");
    Action::requeue(Duration::from_secs(5))
}

async fn after_panic(key: &Key, context: &Arc<Context>) -> Action {
    let to = context.host.references.of(key);
    let instance =
        if is_connection(key) { Some(key) } else { to.iter().find(|k| is_connection(k)) };
    let Some(_serving) = context.shards.enter(&context.host, instance) else {
        return Action::await_change();
    };
    if let Some((_, object)) = context.host.stores.newest(key)
        && let Err(e) = report_panic(context, &object).await
    {
        tracing::debug!(error = %Problem::from(&e), "the panic could not be reported");
    }
    if is_referred_to(key.kind) {
        context.was_reconciled(key);
    }
    Action::requeue(backoff(context.readiness.panicked(key), AFTER_PANIC))
}
