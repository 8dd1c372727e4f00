//! A reconcile as Kubernetes needs it: finalizer, the engine, one status patch, Events.

use std::{convert::Infallible, sync::Arc, time::Duration};

use kube::{
    ResourceExt,
    api::{DynamicObject, Patch, PatchParams},
    runtime::controller::Action,
};
use serde_json::{Value, json};

use super::{context::Context, events};
use crate::{
    api::FINALIZER,
    engine::{
        Key, Object, kind::Shape, outcome::Outcome, reconcile::reconcile, references::references,
    },
    kinds::{
        self,
        instance::{InstanceDetails, InstanceStatus},
    },
};

/// Reconciles one object, when its turn has come. What goes wrong is that object's status, never an
/// error.
pub(super) async fn run(
    kind: &'static str,
    o: Arc<DynamicObject>,
    context: Arc<Context>,
) -> Result<Action, Infallible> {
    // What is not listed yet must not be taken for missing. When it is, everything is woken.
    if !context.host.is_listed() {
        return Ok(Action::await_change());
    }
    let key = Key { kind, namespace: o.namespace().unwrap_or_default(), name: o.name_any() };
    drop(o);
    let mut slot = None;
    if kind != "Instance" {
        let Some((_, object)) = context.host.newest(&key) else {
            return Ok(Action::await_change());
        };
        // Before it is looked at: what changes meanwhile wakes it again.
        let to = references(context.host.as_ref(), &object);
        context.refer(&key, to.clone());
        // After a start nothing is said of what a moment later is known.
        if !object.is_deleting && context.waits(&to) {
            return Ok(Action::await_change());
        }
        drop(object);
        if let Some(instance) = to.iter().find(|k| k.kind == "Instance") {
            slot = context.slot(instance, &key);
            if slot.is_none() {
                return Ok(Action::await_change());
            }
        }
    }
    let action = one(&key, &context).await;
    drop(slot);
    if matches!(kind, "Instance" | "Organization") {
        context.looked_at(&key);
    }
    action
}

async fn one(key: &Key, context: &Arc<Context>) -> Result<Action, Infallible> {
    let kind = key.kind;
    let Some((o, object)) = context.host.newest(key) else { return Ok(Action::await_change()) };
    let has_finalizer = o.finalizers().iter().any(|f| f == FINALIZER);
    if object.is_deleting && !has_finalizer {
        return Ok(Action::await_change());
    }
    match Box::pin(finalizer(context, &o, &object, has_finalizer)).await {
        Ok(()) => {}
        // Somebody changed the object meanwhile: the watch will bring it.
        Err(kube::Error::Api(s)) if matches!(s.code, 404 | 409 | 422) => {
            return Ok(Action::requeue(Duration::from_secs(1)));
        }
        Err(e) => {
            tracing::warn!(kind, namespace = object.key.namespace, name = object.key.name, error = %e, "the finalizer could not be set");
            return Ok(Action::requeue(Duration::from_secs(5)));
        }
    }
    let connected = context.engine.connections.get(&object.key).is_some();
    let outcome = reconcile(&context.engine, context.host.as_ref(), &object).await;
    let again = outcome.again;
    if kind == "Instance" {
        context.sources.follow(context, &object);
        if context.engine.connections.get(&object.key).is_some() {
            context.follow_once(&object.key);
            // After a start the status says nothing new, and yet there is a connection only now.
            if !connected {
                context.wake_referrers(&object.key);
            } else if outcome.status.is_ready() && !object.status.is_ready() {
                context.wake_failing(&object.key);
            }
        }
    }
    let wake = outcome.wake.clone();
    let reported = Box::pin(report(context, &o, &object, outcome)).await;
    // Afterwards: they act on what is said here.
    for key in &wake {
        context.wake(key);
    }
    if let Err(e) = reported {
        let gone = matches!(&e, kube::Error::Api(s) if matches!(s.code, 404 | 409 | 422));
        if !gone {
            tracing::warn!(kind, namespace = object.key.namespace, name = object.key.name, error = %e, "the status could not be written");
        }
        return Ok(Action::requeue(Duration::from_secs(if gone { 1 } else { 5 })));
    }
    Ok(again.map_or_else(Action::await_change, |d| Action::requeue(jittered(d))))
}

/// Up to a tenth later, so that what was made together is not looked at together for ever.
pub(super) fn jittered(d: Duration) -> Duration {
    let tenth = u64::try_from(d.as_millis() / 10).unwrap_or_default();
    let spread =
        std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0u8) % (tenth + 1);
    d + Duration::from_millis(spread)
}

/// What may write to ZITADEL has a finalizer before it does; what only observes has none. By a JSON
/// patch with a test: a server-side apply of a finalizer would make an object anew that was deleted
/// meanwhile.
async fn finalizer(
    context: &Context,
    o: &DynamicObject,
    object: &Object,
    has: bool,
) -> Result<(), kube::Error> {
    let text = |field: &str| object.spec.get(field).and_then(Value::as_str);
    let suspended = object.spec.get("suspend").and_then(Value::as_bool) == Some(true);
    // What can't be read causes no call, and the API server may refuse every change of it.
    let is_readable = kinds::find(object.key.kind)
        .is_some_and(|e| e.desired(&object.spec, &object.key.name).is_ok());
    if object.is_deleting || suspended || !is_readable {
        return Ok(());
    }
    let wants = text("mode") != Some("Observe");
    let mut changes = match (wants, has) {
        (true, false) if o.finalizers().is_empty() => {
            vec![json!({"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]})]
        }
        (true, false) => {
            vec![json!({"op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER})]
        }
        (false, true) => return remove_finalizer(context, o, object).await,
        _ => return Ok(()),
    };
    changes.insert(
        0,
        json!({"op": "test", "path": "/metadata/resourceVersion", "value": o.resource_version()}),
    );
    patch(context, object, changes).await
}

async fn remove_finalizer(
    context: &Context,
    o: &DynamicObject,
    object: &Object,
) -> Result<(), kube::Error> {
    let Some(index) = o.finalizers().iter().position(|f| f == FINALIZER) else { return Ok(()) };
    let path = format!("/metadata/finalizers/{index}");
    let changes = vec![
        json!({"op": "test", "path": path, "value": FINALIZER}),
        json!({"op": "remove", "path": path}),
    ];
    patch(context, object, changes).await
}

async fn patch(context: &Context, object: &Object, changes: Vec<Value>) -> Result<(), kube::Error> {
    let Some(api) = context.host.api(&object.key) else { return Ok(()) };
    let patch: json_patch::Patch =
        serde_json::from_value(Value::Array(changes)).map_err(kube::Error::SerdeError)?;
    let _permit = context.host.permit().await;
    api.patch_metadata(&object.key.name, &PatchParams::default(), &Patch::Json::<()>(patch))
        .await
        .map(|_| ())
}

/// At most one status patch, then Events for what happened.
async fn report(
    context: &Context,
    o: &DynamicObject,
    object: &Object,
    outcome: Outcome,
) -> Result<(), kube::Error> {
    context.metrics.observe(object, &outcome);
    let notes = outcome.notes.clone();
    let written = if outcome.release {
        remove_finalizer(context, o, object).await
    } else {
        write_status(context, object, outcome).await
    };
    for note in &notes {
        if note.news.is_warning() {
            tracing::warn!(
                kind = object.key.kind,
                namespace = object.key.namespace,
                name = object.key.name,
                reason = %note.news,
                "{}",
                note.message
            );
        }
        if let Err(e) = events::publish(context, object, note).await {
            tracing::warn!(kind = object.key.kind, namespace = object.key.namespace, name = object.key.name, error = %e, "an Event could not be published");
        }
    }
    written
}

async fn write_status(
    context: &Context,
    object: &Object,
    outcome: Outcome,
) -> Result<(), kube::Error> {
    let is_connection =
        kinds::find(object.key.kind).is_some_and(|e| e.shape() == Shape::Connection);
    let (before, after) = if is_connection {
        let before =
            InstanceStatus { common: object.status.clone(), details: object.details.clone() };
        let objects = context.counted(&object.key).or(object.details.objects);
        let details = InstanceDetails { objects, ..outcome.details.unwrap_or_default() };
        let after = InstanceStatus { common: outcome.status, details };
        (serde_json::to_value(before), serde_json::to_value(after))
    } else {
        (serde_json::to_value(&object.status), serde_json::to_value(&outcome.status))
    };
    let (before, after) =
        (before.map_err(kube::Error::SerdeError)?, after.map_err(kube::Error::SerdeError)?);
    if before != after {
        context.host.write_status(object, &after).await?;
        context.metrics.patched(object.key.kind);
    }
    Ok(())
}
