//! Follows the event feed of an Instance, wakes the objects that somebody else's change touched,
//! and has everything compared now and then.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{context::Context, pauses::jittered, tasks::supervise};
use crate::{
    contract::Key,
    engine::unmanaged::unmanaged,
    live::{Follower, Polled},
};

/// Starts to follow the feed of an Instance, if nobody does yet.
pub(super) fn start(context: &Arc<Context>, instance: &Key) {
    context.followers.start(instance, || {
        let (context, instance) = (context.clone(), instance.clone());
        async move {
            let follow = || follow(&context, &instance);
            supervise(context.metrics.clone(), "follower", instance.to_string(), follow).await;
            context.followers.remove(&instance);
            // It may have been connected again before that.
            if context.engine.connections.get(&instance).is_some() {
                start(&context, &instance);
            }
        }
    });
}

/// Polls until the Instance has no connection any more.
async fn follow(context: &Context, instance: &Key) {
    let mut follower = Follower::default();
    let mut next: Option<(Duration, Instant)> = None;
    while let Some(connection) = context.engine.connections.get(instance) {
        next = next.filter(|(resync, _)| *resync == connection.spec.resync);
        if follower.wait(&connection).await.is_err() {
            // It says so.
            if context.readiness.is_ready(instance) {
                context.wake(instance);
            }
            continue;
        }
        context.permits.dispatch_all(instance);
        if context.count(instance) {
            context.wake(instance);
        }
        if context.options.count_unmanaged {
            context.metrics.found_unmanaged(&unmanaged(&context.engine, &context.host));
        }
        let resync = connection.spec.resync;
        // A changed interval takes effect at once.
        let (_, at) = *next.get_or_insert_with(|| (resync, Instant::now() + jittered(resync)));
        let mut compares = Instant::now() >= at;
        // A feed that may not be read is tried again each time that everything is compared.
        let polled = if follower.is_refused() && !compares {
            follower.skip(&connection)
        } else {
            follower.poll(&connection).await
        };
        compares |= polled.compares;
        tell(context, instance, &polled);
        // While ZITADEL is away there is nothing to compare with; when it is back, that is made up
        // for.
        let is_away = follower.is_failing() && !context.readiness.is_ready(instance);
        if compares && !is_away {
            next = None;
            connection.invalidate_all();
            context.wakers.wake_gradually(context.host.references.referrers(instance)).await;
        }
    }
}

/// Wakes those for whom a poll is news.
fn tell(context: &Context, instance: &Key, polled: &Polled) {
    if polled.answered {
        context.followers.polled(instance);
    }
    let touched = polled.touched.iter();
    touched
        .flat_map(|t| context.engine.concerned(&context.host, instance, t))
        .for_each(|key| context.wake(&key));
    // What it says already of a failure, it tries by itself.
    if polled.wakes_instance && (polled.answered || context.readiness.is_ready(instance)) {
        context.wake(instance);
    }
    if polled.wakes_failing {
        context.wake_failing_referrers(instance);
    }
}
