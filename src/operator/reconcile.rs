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
    engine::{Key, Object, kind::Shape, outcome::Outcome, reconcile::reconcile, references::references},
    kinds::{
        self,
        instance::{InstanceDetails, InstanceStatus},
    },
};

/// Reconciles one object. What goes wrong is that object's status, never an error.
pub(super) async fn run(kind: &'static str, o: Arc<DynamicObject>, context: Arc<Context>) -> Result<Action, Infallible> {
    // What is not listed yet must not be taken for missing.
    context.host.wait_until_listed().await;
    let key = Key { kind, namespace: o.namespace().unwrap_or_default(), name: o.name_any() };
    let Some((o, object)) = context.host.newest(&key) else { return Ok(Action::await_change()) };
    let has_finalizer = o.finalizers().iter().any(|f| f == FINALIZER);
    if object.is_deleting && !has_finalizer {
        return Ok(Action::await_change());
    }
    match finalizer(&context, &o, &object, has_finalizer).await {
        Ok(()) => {}
        // Somebody changed the object meanwhile: the watch will bring it.
        Err(kube::Error::Api(s)) if matches!(s.code, 404 | 409 | 422) => return Ok(Action::requeue(Duration::from_secs(1))),
        Err(e) => {
            tracing::warn!(kind, namespace = object.key.namespace, name = object.key.name, error = %e, "the finalizer could not be set");
            return Ok(Action::requeue(Duration::from_secs(5)));
        }
    }
    if kind != "Instance" {
        // Before it is looked at: what changes meanwhile wakes it again.
        context.refer(&object.key, references(context.host.as_ref(), &object));
    }
    let connected = context.engine.connections.get(&object.key).is_some();
    let outcome = reconcile(&context.engine, context.host.as_ref(), &object).await;
    let again = outcome.again;
    if kind == "Instance" {
        context.sources.follow(&context, &object);
        if context.engine.connections.get(&object.key).is_some() {
            context.follow_once(&object.key);
            // After a start the status says nothing new, and yet there is a connection only now.
            if !connected {
                context.wake_referrers(&object.key);
            }
        }
    }
    let wake = outcome.wake.clone();
    let reported = report(&context, &o, &object, outcome).await;
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
fn jittered(d: Duration) -> Duration {
    let tenth = u64::try_from(d.as_millis() / 10).unwrap_or_default();
    let spread = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0u8) % (tenth + 1);
    d + Duration::from_millis(spread)
}

/// What may write to ZITADEL has a finalizer before it does; what only observes has none. By a JSON patch with a test: a
/// server-side apply of a finalizer would make an object anew that was deleted meanwhile.
async fn finalizer(context: &Context, o: &DynamicObject, object: &Object, has: bool) -> Result<(), kube::Error> {
    let text = |field: &str| object.spec.get(field).and_then(Value::as_str);
    let suspended = object.spec.get("suspend").and_then(Value::as_bool) == Some(true);
    // What can't be read causes no call, and the API server may refuse every change of it.
    let is_readable = kinds::find(object.key.kind).is_some_and(|e| e.desired(&object.spec, &object.key.name).is_ok());
    if object.is_deleting || suspended || !is_readable {
        return Ok(());
    }
    let wants = text("mode") != Some("Observe");
    let mut changes = match (wants, has) {
        (true, false) if o.finalizers().is_empty() => vec![json!({"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]})],
        (true, false) => vec![json!({"op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER})],
        (false, true) => return remove_finalizer(context, o, object).await,
        _ => return Ok(()),
    };
    changes.insert(0, json!({"op": "test", "path": "/metadata/resourceVersion", "value": o.resource_version()}));
    patch(context, object, changes).await
}

async fn remove_finalizer(context: &Context, o: &DynamicObject, object: &Object) -> Result<(), kube::Error> {
    let Some(index) = o.finalizers().iter().position(|f| f == FINALIZER) else { return Ok(()) };
    let path = format!("/metadata/finalizers/{index}");
    let changes = vec![json!({"op": "test", "path": path, "value": FINALIZER}), json!({"op": "remove", "path": path})];
    patch(context, object, changes).await
}

async fn patch(context: &Context, object: &Object, changes: Vec<Value>) -> Result<(), kube::Error> {
    let Some(api) = context.host.api(&object.key) else { return Ok(()) };
    let patch: json_patch::Patch = serde_json::from_value(Value::Array(changes)).map_err(kube::Error::SerdeError)?;
    api.patch_metadata(&object.key.name, &PatchParams::default(), &Patch::Json::<()>(patch)).await.map(|_| ())
}

/// At most one status patch; Events for what happened.
async fn report(context: &Context, o: &DynamicObject, object: &Object, outcome: Outcome) -> Result<(), kube::Error> {
    context.metrics.observe(object, &outcome);
    for note in &outcome.notes {
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
    if outcome.release {
        return remove_finalizer(context, o, object).await;
    }
    let is_connection = kinds::find(object.key.kind).is_some_and(|e| e.shape() == Shape::Connection);
    let (before, after) = if is_connection {
        let before = InstanceStatus { common: object.status.clone(), details: object.details.clone() };
        let details = InstanceDetails { objects: Some(context.census(&object.key)), ..outcome.details.unwrap_or_default() };
        let after = InstanceStatus { common: outcome.status, details };
        (serde_json::to_value(before), serde_json::to_value(after))
    } else {
        (serde_json::to_value(&object.status), serde_json::to_value(&outcome.status))
    };
    let (before, after) = (before.map_err(kube::Error::SerdeError)?, after.map_err(kube::Error::SerdeError)?);
    if before != after {
        context.host.write_status(object, &after).await?;
        context.metrics.patched(object.key.kind);
    }
    Ok(())
}
