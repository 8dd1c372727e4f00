//! What a reconcile came to, as Kubernetes shows it: at most one status patch, then Events.

use super::{
    context::{Context, is_connection},
    events, finalizer,
    packed::Packed,
    problem::Problem,
};
use crate::{
    api::{
        instance::{InstanceDetails, InstanceStatus},
        status::Status,
    },
    contract::Object,
    engine::report::{Outcome, as_broken},
};

/// Reports an outcome.
pub(super) async fn report(
    context: &Context,
    o: &Packed,
    object: &Object,
    outcome: Outcome,
) -> Result<(), kube::Error> {
    context.readiness.observe(object, &outcome);
    let happened = outcome.events.clone();
    let written = if outcome.release {
        finalizer::remove(&context.host, o, object).await
    } else {
        write_status(context, object, outcome.status, outcome.details).await
    };
    for event in &happened {
        if event.reason.is_warning() {
            tracing::warn!(reason = %event.reason, note = event.message, "Event");
        }
        if let Err(e) = events::publish(&context.host, &context.reporter, object, event).await {
            let problem = Problem::from(&e);
            if problem.is_expected() || !context.lease.is_held() {
                tracing::debug!(error = %problem, "an Event was not published");
            } else {
                tracing::warn!(error = %problem, "an Event could not be published");
            }
        }
    }
    written
}

/// Reports that the reconcile of an object panicked. What was known of it stays.
pub(super) async fn report_panic(context: &Context, object: &Object) -> Result<(), kube::Error> {
    let status = as_broken(object);
    context.readiness.record(&object.key, &status);
    write_status(context, object, status, Some(object.details.clone())).await
}

/// Writes a status, unless it equals the present one.
async fn write_status(
    context: &Context,
    object: &Object,
    status: Status,
    details: Option<InstanceDetails>,
) -> Result<(), kube::Error> {
    let (before, after) = if is_connection(&object.key) {
        let before =
            InstanceStatus { common: object.status.clone(), details: object.details.clone() };
        let objects = context.counted(&object.key).or(object.details.objects);
        let served_by = context.shards.claim();
        let details = InstanceDetails { objects, served_by, ..details.unwrap_or_default() };
        let after = InstanceStatus { common: status, details };
        (serde_json::to_value(before), serde_json::to_value(after))
    } else {
        (serde_json::to_value(&object.status), serde_json::to_value(&status))
    };
    let (before, after) =
        (before.map_err(kube::Error::SerdeError)?, after.map_err(kube::Error::SerdeError)?);
    if before != after {
        context.host.write_status(object, &after).await?;
        context.metrics.patched(object.key.kind);
    }
    Ok(())
}
