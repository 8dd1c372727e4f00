//! The controller of one kind: which object is reconciled when, each by one reconcile at a time.
//! How many at once is a matter of their Instance.

use std::{convert::Infallible, sync::Arc};

use futures::{StreamExt, stream};
use kube::runtime::{
    Controller,
    controller::{Action, Config},
    watcher,
};
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::{context::Context, packed::Packed, reconcile};

/// Runs until the operator stops; returns when the last reconcile has ended.
pub(super) async fn run(context: Arc<Context>, kind: &'static str) {
    let stores = &context.host.stores;
    let (Some(reader), Some(names)) = (stores.reader(kind), stores.names(kind)) else { return };
    let Some(woken) = context.wakers.connect(kind) else { return };
    if context.is_open() {
        // It is not the first one of this kind: the other one has lost what it was to do.
        stores.state(kind).iter().for_each(|(key, _)| context.wake(key));
    }
    // The watches do not end with the controller, and wake as everything else does.
    let changes = stream::pending::<Result<Packed, watcher::Error>>();
    Controller::for_stream_with(changes, reader, names)
        .with_config(Config::default())
        .reconcile_on(UnboundedReceiverStream::new(woken))
        .graceful_shutdown_on(context.stopped())
        .run(
            move |o, context| reconcile::run(kind, o, context),
            |_, e: &Infallible, _| match *e {},
            context.clone(),
        )
        .for_each(|_: Result<(_, Action), _>| futures::future::ready(()))
        .await;
}
