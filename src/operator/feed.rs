//! Follows the event feed of an Instance, wakes the objects that somebody else's change touched,
//! and has everything looked at now and then.

use std::sync::Arc;

use tokio::time::Instant;

use super::{context::Context, reconcile::jittered};
use crate::{
    engine::{Key, unmanaged::unmanaged},
    zitadel::Error,
};

/// Polls until the Instance has no connection any more.
pub(super) async fn follow(context: Arc<Context>, instance: Key) {
    let (mut is_following, mut is_away, mut next) = (true, false, None);
    while let Some(connection) = context.engine.connections.get(&instance) {
        tokio::time::sleep(connection.poll).await;
        context.hand_on_all(&instance);
        let live = &connection.live;
        if context.count(&instance) {
            context.wake(&instance);
        }
        if context.options.count_unmanaged {
            context.metrics.found_unmanaged(&unmanaged(&context.engine));
        }
        let mut all = Instant::now()
            >= *next.get_or_insert_with(|| Instant::now() + jittered(connection.resync));
        // Without a feed it is tried again each time that everything is looked at.
        if is_following || all {
            let polled = live.poll_feed(&connection.client, context.options.editors).await;
            // An outage is no change of mode: the next poll goes on where the last one ended.
            if polled.as_ref().is_err_and(Error::is_transient) {
                is_away = true;
                if context.metrics.is_ready(&instance) {
                    context.wake(&instance);
                }
                continue;
            }
            let polled = polled.map(|news| {
                let concerned = news
                    .touched
                    .iter()
                    .flat_map(|t| context.engine.claims.concerned(&connection.instance_id, t));
                concerned.for_each(|key| context.wake(&key));
                all |= news.anew;
            });
            is_following = polled.is_ok();
            if live.set_feed_status(&polled) {
                tracing::info!(instance = %instance, following = is_following, "event feed");
                context.wake(&instance);
            }
            if std::mem::take(&mut is_away) {
                context.wake(&instance);
                context.wake_failing(&instance);
            }
        }
        if all {
            next = None;
            live.doubt_all();
            context.wake_some(context.referrers(&instance)).await;
        }
    }
}
