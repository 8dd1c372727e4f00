//! Follows the event feed of an Instance and wakes the objects that somebody else's change touched.

use std::{sync::Arc, time::Duration};

use super::context::Context;
use crate::engine::{Key, host::Host};

/// Polls until the Instance has no connection any more.
pub(super) async fn follow(context: Arc<Context>, instance: Key) {
    while let Some(connection) = context.engine.connections.get(&instance) {
        tokio::time::sleep(connection.poll).await;
        let told = context.host.object(&instance).and_then(|i| i.details.objects);
        let counted = context.census(&instance);
        if counted.is_some() && told != counted {
            context.wake(&instance);
        }
        let polled = connection.live.poll_feed(&connection.client, context.options.editors).await;
        if let Ok(touched) = &polled {
            let concerned = touched.iter().flat_map(|t| context.engine.claims.concerned(&connection.instance_id, t));
            concerned.for_each(|key| context.wake(&key));
        }
        // An outage is no change of mode: the next poll goes on where the last one ended.
        if polled.as_ref().err().is_some_and(crate::zitadel::Error::is_transient) {
            continue;
        }
        let polled = polled.map(|_| ());
        let failed = polled.is_err();
        if connection.live.set_feed_status(&polled) {
            tracing::info!(instance = %instance, following = !failed, "event feed");
            context.wake(&instance);
        }
        if failed {
            tokio::time::sleep(connection.resync.max(Duration::from_secs(60))).await;
        }
    }
}
