//! The watch and the controller of one kind.

use std::sync::Arc;

use futures::StreamExt;
use kube::{
    Api, ResourceExt,
    api::DynamicObject,
    runtime::{
        Controller, WatchStreamExt,
        controller::{Action, Config},
        reflector::store::Writer,
        watcher::{self, Event, watcher},
    },
};
use tokio::sync::watch;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::{
    context::{Context, Wake},
    host, reconcile,
};
use crate::{
    engine::{Key, Object, kind::Entry},
    kinds,
};

/// Reconciles of one kind at once, over all Instances, each of which has a smaller limit of its
/// own.
const AT_ONCE: u16 = 512;

/// Runs one kind until `stop`; returns when its last reconcile has ended.
pub(super) async fn run(
    context: Arc<Context>,
    entry: &'static dyn Entry,
    wake: Wake,
    stop: watch::Receiver<bool>,
) {
    let kind = entry.names().kind;
    let Some(resource) = context.host.resource(kind) else { return };
    let writer = Writer::<DynamicObject>::new(resource.clone());
    let reader = writer.as_reader();
    context.host.set_store(kind, reader.clone());
    let watched = context.clone();
    // One store takes one watch: more than one namespace is a watch of all that is filtered.
    let only = context.options.namespaces.clone();
    let api = match only.as_slice() {
        [namespace] => Api::namespaced_with(context.client.clone(), namespace, &resource),
        _ => Api::all_with(context.client.clone(), &resource),
    };
    let events = watcher(api, watcher::Config::default())
        .default_backoff()
        .filter(move |e| futures::future::ready(in_namespaces(&only, e)))
        .modify(strip)
        .reflect(writer)
        .inspect(move |e| {
            if let Ok(e) = e {
                noticed(&watched, kind, e);
            }
        })
        .touched_objects();
    let mut stop = stop;
    let stopped = async move {
        stop.wait_for(|s| *s).await.ok();
    };
    Controller::for_stream_with(events, reader, resource)
        .with_config(Config::default().concurrency(AT_ONCE))
        .reconcile_on(UnboundedReceiverStream::new(wake))
        .graceful_shutdown_on(stopped)
        .run(
            move |o, context| reconcile::run(kind, o, context),
            |_, e: &std::convert::Infallible, _| match *e {},
            context,
        )
        .for_each(|_: Result<(_, Action), _>| futures::future::ready(()))
        .await;
}

fn in_namespaces(only: &[String], event: &Result<Event<DynamicObject>, watcher::Error>) -> bool {
    match event {
        Ok(Event::Apply(o) | Event::InitApply(o) | Event::Delete(o)) if !only.is_empty() => {
            o.namespace().is_some_and(|ns| only.contains(&ns))
        }
        _ => true,
    }
}

/// What nobody reads is not kept, and the rest is kept as text, as small as it gets: it would be
/// most of the memory.
fn strip(o: &mut DynamicObject) {
    o.metadata.managed_fields = None;
    o.annotations_mut().remove("kubectl.kubernetes.io/last-applied-configuration");
    host::pack(o);
}

/// Wakes whoever refers to an object that changed in a way that matters to them.
fn noticed(context: &Arc<Context>, kind: &'static str, event: &Event<DynamicObject>) {
    match event {
        Event::Apply(o) | Event::InitApply(o) => {
            let object = context.host.arrived(kind, o);
            if matches!(event, Event::InitApply(_)) {
                context.engine.remember_claims(&object);
            }
            if is_referred_to(kind) && context.host.is_news(&object.key, signature(&object)) {
                context.wake_referrers(&object.key);
            }
        }
        Event::Delete(o) => {
            let key =
                Key { kind, namespace: o.namespace().unwrap_or_default(), name: o.name_any() };
            let heirs = context.engine.forget(&key);
            context.host.forget(&key);
            context.forget(&key);
            context.metrics.forget(&key);
            // What it referred to may itself be waiting for this in order to go.
            let former = context.unrefer(&key).into_iter().filter(|k| context.host.is_deleting(k));
            for other in heirs.into_iter().chain(former) {
                context.wake(&other);
            }
            if is_referred_to(kind) {
                context.wake_referrers(&key);
            }
        }
        Event::InitDone => context.host.kind_listed(kind),
        Event::Init => {}
    }
}

fn is_referred_to(kind: &str) -> bool {
    matches!(kind, "Instance" | "Organization") && kinds::find(kind).is_some()
}

/// What others act on. Whether an Instance is Ready is not in it: while it is away, what was seen
/// stays.
fn signature(o: &Object) -> String {
    let is_ready = o.key.kind != "Instance" && o.status.is_ready();
    format!(
        "{:?} {} {:?} {:?} {} {is_ready}",
        o.uid, o.generation, o.status.id, o.status.instance_id, o.is_deleting
    )
}
