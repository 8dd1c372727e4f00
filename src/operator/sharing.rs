//! Has this process serve the Instances that it is to serve, and leave the others: see `shards`.

use std::{collections::HashSet, sync::Arc, time::Duration};

use kube::ResourceExt;

use super::{
    context::Context,
    lease::{LOOK_AT_OTHERS, Others},
    problem::Problem,
    shards::{Found, Step, instances},
};
use crate::{
    api::instance::{InstanceDetails, InstanceStatus},
    contract::Key,
    engine::report::as_left,
};

/// How long a round of lists may take before it is asked for again.
const LISTS: Duration = Duration::from_secs(30);
/// The pause while somebody has to do something first.
const HINDERED: Duration = Duration::from_secs(30);
/// The pause before a failed write to Kubernetes is repeated.
const RETRY: Duration = Duration::from_secs(2);

/// Serves what is to be served and leaves the rest, until it is aborted.
pub(super) async fn follow(context: Arc<Context>) {
    let own = context.options.lease.as_ref();
    let mut others = Others::new(context.host.client.clone(), own);
    // What others served until now: what they wrote last is not known yet.
    let mut stale = HashSet::new();
    let changed = context.shards.changed.clone();
    loop {
        let mut again = None;
        if context.is_open() {
            for found in instances(&context.host) {
                let pause = one(&context, &found, &mut others, &mut stale).await;
                again = [again, pause].into_iter().flatten().min();
            }
        } else {
            // When it is again, everything was listed.
            stale.clear();
        }
        if !stale.is_empty() {
            let is_listed = lists_again(&context).await;
            if is_listed {
                stale.clear();
            }
            again = Some(if is_listed { Duration::ZERO } else { RETRY });
        }
        let pause = async {
            match again {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = changed.notified() => {}
            () = pause => {}
        }
    }
}

/// One step with one Instance. Returns when to look at it again, if nothing tells.
async fn one(
    context: &Context,
    found: &Found,
    others: &mut Others,
    stale: &mut HashSet<Key>,
) -> Option<Duration> {
    let (shards, key) = (&context.shards, &found.object.key);
    let mut step = shards.step(found, stale.contains(key));
    if let Step::Await(other) = &step {
        match others.left(other).await {
            Ok(left) if left.is_zero() => {
                tracing::info!(instance = %key, lease = %other, "its operator has ended");
                step = Step::Claim;
            }
            Ok(left) => return Some(left.min(LOOK_AT_OTHERS)),
            Err(problem) => {
                tracing::warn!(instance = %key, lease = %other, error = %problem, "can't see whether another operator serves this Instance");
                return Some(HINDERED);
            }
        }
    }
    let written = match step {
        Step::Nothing | Step::Await(_) => return None,
        Step::Serve => {
            if shards.serve(key) {
                tracing::info!(instance = %key, "this operator serves the Instance");
                context.wake(key);
                context.wake_referrers(key);
            }
            return None;
        }
        Step::Leave => leave(context, found).await,
        Step::Claim => {
            let claimed = claim(context, found).await;
            if claimed.is_ok() && !shards.is_kept(&context.host, key) {
                return Some(HINDERED);
            }
            if claimed.is_ok() {
                stale.insert(key.clone());
            }
            claimed
        }
    };
    let problem = Problem::from(&written.err()?);
    // Somebody changed it meanwhile: the watch tells, or has told.
    if problem.is_expected() {
        tracing::debug!(instance = %key, error = %problem, "who serves it could not be written");
    } else {
        tracing::warn!(instance = %key, error = %problem, "who serves it could not be written");
    }
    Some(RETRY)
}

/// Takes down that this process serves an Instance, if nobody changed it since it was seen.
async fn claim(context: &Context, found: &Found) -> Result<(), kube::Error> {
    let details =
        InstanceDetails { served_by: context.shards.claim(), ..found.object.details.clone() };
    let status = InstanceStatus { common: found.object.status.clone(), details };
    let status = serde_json::to_value(status).map_err(kube::Error::SerdeError)?;
    context.host.write_status_of(&found.object, &status, found.o.resource_version()).await
}

/// Leaves an Instance to whoever selects it, if nothing of it is under way any more.
async fn leave(context: &Context, found: &Found) -> Result<(), kube::Error> {
    let key = &found.object.key;
    if !context.shards.leave(key) {
        return Ok(());
    }
    if context.shards.claims() && context.shards.is_mine(found) {
        let details = InstanceDetails { served_by: None, ..found.object.details.clone() };
        let status = InstanceStatus { common: as_left(&found.object), details };
        let status = serde_json::to_value(status).map_err(kube::Error::SerdeError)?;
        context.host.write_status(&found.object, &status).await?;
    }
    tracing::info!(instance = %key, "this operator does not serve the Instance any more");
    context.hand_over(key);
    Ok(())
}

/// Lists all objects again. `false`: that takes too long, or this process may not write meanwhile.
async fn lists_again(context: &Context) -> bool {
    let stores = &context.host.stores;
    stores.list_again();
    let listed = tokio::time::timeout(LISTS, stores.wait_until_listed()).await;
    listed.is_ok() && context.is_open()
}
