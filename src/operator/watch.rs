//! The watch of one kind, in one namespace or in all.
//!
//! Several of them fill one store, so that a list of one must not clear what another brought: an
//! object is gone only if the list of its own namespace does not show it.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::StreamExt;
use kube::{
    Api, ResourceExt,
    runtime::watcher::{self, Event, watcher},
};

use super::{
    attempts::Attempts,
    context::{Context, is_connection},
    packed::{Packed, lenient},
    problem::Problem,
    stores::Watched,
    tasks::catch_now,
};
use crate::{
    api::{
        GROUP,
        status::{InstanceBinding, Status},
    },
    contract::Key,
    kinds::REGISTRY,
};

/// The longest pause between attempts.
const LONGEST: Duration = Duration::from_secs(30);
/// The pause while the whole resource is missing: when it is back, work goes on at once.
const MISSING: Duration = Duration::from_secs(1);
/// A watch that does not fail for so long works, even if it brings nothing.
const CALM: Duration = Duration::from_mins(1);

/// Objects of a list that come at once: more would be the most that the operator ever holds.
const PAGE: u32 = 100;

/// Watches until it is aborted.
pub(super) async fn run(context: Arc<Context>, watched: Watched) {
    let (kind, namespace) = &watched;
    let Some(names) = context.host.stores.names(kind) else { return };
    let client = context.host.client.clone();
    let (api, place) = match namespace {
        Some(namespace) => {
            (Api::namespaced_with(client, namespace, &names), format!("namespace {namespace}"))
        }
        None => (Api::all_with(client, &names), "all namespaces".into()),
    };
    let what = format!("list and watch {}.{GROUP} in {place}", names.plural);
    let mut attempts = Attempts::new(what, context.metrics.clone(), LONGEST);
    let mut rounds = context.host.stores.rounds();
    let mut list = List { context: &context, watched: &watched, found: HashSet::new(), round: 0 };
    loop {
        list.round = *rounds.borrow_and_update();
        let mut events = watcher(api.clone(), watcher::Config::default().page_size(PAGE)).boxed();
        loop {
            let event = tokio::select! {
                // It begins with a list.
                _ = rounds.changed() => break,
                event = events.next() => event,
                () = tokio::time::sleep(CALM), if attempts.is_failing() => {
                    succeeded(&context, &mut attempts);
                    continue;
                }
            };
            match event {
                // It says nothing of Kubernetes that a list begins.
                Some(Ok(Event::Init)) => list.found.clear(),
                Some(Ok(event)) => {
                    succeeded(&context, &mut attempts);
                    list.apply(event);
                }
                Some(Err(e)) => {
                    let problem = Problem::from(&e);
                    if problem.is_expired() {
                        continue;
                    }
                    tokio::select! {
                        _ = rounds.changed() => break,
                        () = tokio::time::sleep(failed(&context, &mut attempts, &problem)) => {}
                    }
                    // A watch of what was refused or missing goes on without a word; only a new
                    // list shows that it is there again, and what it is like then.
                    if problem.is_permanent() {
                        break;
                    }
                }
                None => break,
            }
        }
    }
}

fn failed(context: &Context, attempts: &mut Attempts, problem: &Problem) -> Duration {
    if problem.is_permanent() || !context.host.stores.is_listed() {
        let what = attempts.what();
        context.health.not_ready(what, format!("can't {what}: {problem}"));
    }
    let pause = attempts.failed(problem);
    if problem.code == Some(404) { pause.min(MISSING) } else { pause }
}

fn succeeded(context: &Context, attempts: &mut Attempts) {
    if attempts.succeeded() {
        context.health.ready(attempts.what());
    }
}

/// Takes events over.
struct List<'a> {
    context: &'a Context,
    watched: &'a Watched,
    /// What the present list has shown.
    found: HashSet<Key>,
    /// The round of lists in which it began.
    round: u64,
}

impl List<'_> {
    fn apply(&mut self, event: Event<Packed>) {
        let (kind, _) = *self.watched;
        match event {
            Event::Init => self.found.clear(),
            Event::InitApply(o) => {
                let key = o.key(kind);
                self.each(&key, || changed(self.context, &key, o));
                self.found.insert(key);
            }
            Event::Apply(o) => {
                let key = o.key(kind);
                self.each(&key, || changed(self.context, &key, o));
            }
            Event::Delete(o) => {
                let key = o.key(kind);
                self.each(&key, || gone(self.context, &key));
            }
            Event::InitDone => {
                for key in self.vanished() {
                    self.each(&key, || gone(self.context, &key));
                }
                self.found = HashSet::new();
                self.context.host.stores.listed(self.watched, self.round);
            }
        }
    }

    /// An object that causes a panic does not keep others from being seen.
    fn each(&self, key: &Key, apply: impl FnOnce()) {
        catch_now(&self.context.metrics, "watch", &key.to_string(), apply);
    }

    /// What was there before and is not in the list: nobody told of its deletion.
    fn vanished(&self) -> Vec<Key> {
        let (kind, namespace) = self.watched;
        let all = self.context.host.stores.state(kind).into_iter().map(|(key, _)| key);
        let of_this = all.filter(|k| namespace.as_ref().is_none_or(|ns| *ns == k.namespace));
        of_this.filter(|key| !self.found.contains(key)).collect()
    }
}

/// Wakes an object that changed, and whoever refers to it if it changed in a way that matters to
/// them.
fn changed(context: &Context, key: &Key, o: Packed) {
    let stores = &context.host.stores;
    let is_news = is_referred_to(key.kind)
        && stores.get(key).is_none_or(|former| signature(key, &former) != signature(key, &o));
    stores.insert(key, o);
    // Before that everything is woken anyway.
    if context.is_open() {
        context.wake(key);
        if is_news {
            context.wake_referrers(key);
        }
        if is_connection(key) {
            context.shards.changed();
        }
    }
}

fn gone(context: &Context, key: &Key) {
    context.forget(key);
    if is_referred_to(key.kind) {
        context.wake_referrers(key);
    }
}

/// Whether others refer to objects of this kind.
pub(super) fn is_referred_to(kind: &str) -> bool {
    let is_parent = |e: crate::contract::Entry| {
        e.references.iter().chain(e.reference_lists).any(|r| r.kinds.contains(&kind))
    };
    REGISTRY.connection().description().kind == kind || REGISTRY.all().any(is_parent)
}

/// What others act on.
#[derive(PartialEq)]
struct Signature {
    uid: Option<String>,
    generation: Option<i64>,
    id: Option<String>,
    instance_id: Option<String>,
    instance: Option<InstanceBinding>,
    is_deleting: bool,
    is_ready: bool,
}

fn signature(key: &Key, o: &Packed) -> Signature {
    let status: Status = lenient(&o.content().status);
    Signature {
        uid: o.uid(),
        generation: o.metadata.generation,
        is_deleting: o.metadata.deletion_timestamp.is_some(),
        // While a connection is away, what was seen stays.
        is_ready: !is_connection(key) && status.is_ready(),
        id: status.id,
        instance_id: status.instance_id,
        instance: status.instance,
    }
}
