//! Follows the event feed of an Instance, wakes the objects that somebody else's change touched,
//! and has everything compared now and then.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{context::Context, pauses::jittered, tasks::supervise};
use crate::{contract::Key, engine::unmanaged::unmanaged, live::Connection, zitadel::Error};

/// Polls that fail in a row before the Instance says that its feed is not followed.
const PATIENCE: u32 = 3;

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
    let mut follower = Follower { context, instance, failures: 0, is_refused: false };
    let mut next: Option<(Duration, Instant)> = None;
    while let Some(connection) = context.engine.connections.get(instance) {
        next = next.filter(|(resync, _)| *resync == connection.spec.resync);
        tokio::time::sleep(connection.spec.poll).await;
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
        if !follower.is_refused || compares {
            compares |= follower.poll(&connection).await;
        }
        // While ZITADEL is away there is nothing to compare with; when it is back, that is made up
        // for.
        let is_away = follower.failures > 0 && !context.readiness.is_ready(instance);
        if compares && !is_away {
            next = None;
            connection.invalidate_all();
            context.wakers.wake_gradually(context.host.references.referrers(instance)).await;
        }
    }
}

struct Follower<'a> {
    context: &'a Context,
    instance: &'a Key,
    /// Polls that failed in a row.
    failures: u32,
    /// The account may not read the feed, or the server has none.
    is_refused: bool,
}

impl Follower<'_> {
    /// Asks the feed. Returns whether everything has to be compared.
    async fn poll(&mut self, connection: &Connection) -> bool {
        let Self { context, instance, .. } = *self;
        let polled = connection.poll_feed(context.options.editors).await;
        match polled {
            Ok(changes) => {
                context.followers.polled(instance);
                let (engine, touched) = (&context.engine, changes.touched.iter());
                touched
                    .flat_map(|t| engine.concerned(&context.host, instance, t))
                    .for_each(|key| context.wake(&key));
                self.is_refused = false;
                self.say(connection, &Ok(()));
                if std::mem::take(&mut self.failures) > 0 {
                    context.wake(instance);
                    context.wake_failing_referrers(instance);
                }
                changes.restarted
            }
            // The next poll goes on where the last one ended.
            Err(e) if e.is_transient() => {
                self.failures = self.failures.saturating_add(1);
                tracing::debug!(%instance, error = %e, failures = self.failures, "event feed");
                let is_ready = context.readiness.is_ready(instance);
                // While the whole of ZITADEL is away, the Instance says so.
                if self.failures >= PATIENCE && is_ready {
                    self.say(connection, &Err(e));
                }
                if is_ready {
                    context.wake(instance);
                }
                false
            }
            Err(e) => {
                self.is_refused = true;
                self.say(connection, &Err(e));
                false
            }
        }
    }

    /// Has the Instance say how changes are found, if that is new.
    fn say(&self, connection: &Connection, polled: &Result<(), Error>) {
        if connection.set_feed_status(polled) {
            match polled {
                Ok(()) => tracing::info!(instance = %self.instance, "the event feed is followed"),
                Err(e) => {
                    tracing::warn!(instance = %self.instance, error = %e, "the event feed can't be followed: changes are found by lists");
                }
            }
            self.context.wake(self.instance);
        }
    }
}
