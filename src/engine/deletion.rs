//! The end of an object: what becomes of its remote side. It always comes to an end, or says what it waits for.

use std::time::Duration;

use super::{
    Fields, Key, Object,
    connection::Connection,
    error::{Doing, Result},
    host::Host,
    job::names,
    kind::{At, Entry, Shape},
    outcome::Outcome,
    reconcile::Engine,
    references,
};
use crate::{
    api::{
        spec::{DeletionPolicy, Shared},
        status::{Provenance, Ready, Reason, Verdict},
    },
    live::{Expectation, Seen},
};

/// Settles the remote side of an object that is being deleted. By its binding, not by what its references say by now.
pub(super) async fn reconcile(
    engine: &Engine,
    host: &dyn Host,
    entry: &'static dyn Entry,
    object: &Object,
    shared: &Shared,
    mut outcome: Outcome,
) -> Outcome {
    let what = || object.status.id.clone().unwrap_or_else(|| entry.noun().to_owned());
    if object.is_abandoned() {
        outcome.note(true, "LeftBehind", format!("released by annotation; {} stays in ZITADEL as it is", what()));
        return released(engine, object, outcome);
    }
    if shared.observes() || policy(entry, object, shared) == DeletionPolicy::Retain {
        return released(engine, object, outcome);
    }
    if let Some(heir) = engine.claims.others(&object.key).first() {
        outcome.note(false, "HandedOver", format!("{} goes to {heir}, which declares it too; nothing is deleted", what()));
        return released(engine, object, outcome);
    }
    let instance = references::instance_of(host, &object.key.namespace, shared);
    let connection = match reachable(engine, host, object, instance.as_ref()) {
        Ok(connection) => connection,
        Err(Some(left)) => {
            outcome.note(true, "LeftBehind", format!("{left}; {} stays in ZITADEL as it is", what()));
            return released(engine, object, outcome);
        }
        Err(None) => {
            let message = "waiting for the Instance to be reachable again; annotate this object with kastellan.dev/abandon: \"true\" to let it go without a call".into();
            outcome.conclude(object, &Verdict { ready: Ready::Progressing, reason: Reason::Deleting, message });
            outcome.again = Some(Duration::from_secs(30));
            return outcome;
        }
    };
    let done = match entry.shape() {
        Shape::Setting => restore(entry, object, &connection).await,
        _ => remove(entry, object, shared, &connection).await,
    };
    match done {
        Ok(message) => {
            outcome.note(false, "Deleted", message);
            released(engine, object, outcome)
        }
        Err(e) => {
            outcome.fail(engine, object, &e);
            outcome
        }
    }
}

fn released(engine: &Engine, object: &Object, mut outcome: Outcome) -> Outcome {
    outcome.wake = engine.forget(&object.key);
    outcome.release = true;
    outcome
}

/// What is to be done where nothing is written out: what we made goes, what was there stays, an Organization always stays.
fn policy(entry: &dyn Entry, object: &Object, shared: &Shared) -> DeletionPolicy {
    let provenance = object.status.provenance;
    shared.common.deletion_policy.unwrap_or(match (entry.shape(), provenance) {
        (Shape::Entity { precious: false, .. }, Some(Provenance::Created) | None) => DeletionPolicy::Delete,
        // An organization's own: reset it, or give it its former values back.
        (Shape::Setting, Some(_)) if object.status.organization_id.is_some() => DeletionPolicy::Delete,
        _ => DeletionPolicy::Retain,
    })
}

/// The connection to delete by. `Err(Some)`: there will be none any more, and why; `Err(None)`: not now.
fn reachable(
    engine: &Engine,
    host: &dyn Host,
    object: &Object,
    instance: Option<&Key>,
) -> Result<std::sync::Arc<Connection>, Option<String>> {
    let Some(instance) = instance else {
        return bound(engine, object)
            .ok_or_else(|| Some("its Organization object is gone, and no connection to its instance is left".into()));
    };
    match engine.connections.get(instance) {
        Some(c) if object.status.instance_id.as_ref().is_none_or(|id| *id == c.instance_id) => Ok(c),
        Some(c) => Err(Some(format!("behind {instance} is the instance {} now", c.instance_id))),
        None if host.object(instance).is_none() => Err(Some(format!("{instance} is gone"))),
        // The Secret went first and nothing is left of it: nobody can ever make the call.
        None if host
            .object(instance)
            .is_some_and(|i| i.is_deleting && i.status.condition("Ready").is_some_and(|c| c.reason == "WaitingForReference")) =>
        {
            Err(Some(format!("{instance} is being deleted and its credentials are gone")))
        }
        None => Err(None),
    }
}

/// Any connection to the instance that the object is bound to.
fn bound(engine: &Engine, object: &Object) -> Option<std::sync::Arc<Connection>> {
    let id = object.status.instance_id.as_ref()?;
    engine.connections.all().into_iter().map(|(_, c)| c).find(|c| c.instance_id == *id)
}

/// Deletes an entity by its binding; without one, what a reconcile may have made whose end was lost.
async fn remove(entry: &dyn Entry, object: &Object, shared: &Shared, connection: &Connection) -> Result<String> {
    let noun = entry.noun();
    let organization = object.status.organization_id.clone().or_else(|| shared.organization.organization_id.clone());
    let at = At { client: connection.client.clone(), organization };
    let (id, is_bound) = match (&object.status.id, object.status.provenance) {
        (Some(id), Some(_)) => (id.clone(), true),
        (Some(id), None) if *id == object.derived_id() => (id.clone(), true),
        _ => (object.derived_id(), false),
    };
    if !is_bound {
        // Nothing was ever written, or its answer was lost. Only what shows under our own id is ours.
        let seen = connection.live.get(entry, &at, &id, true).await.doing(&format!("look for {noun}"))?;
        if matches!(seen, Seen::Settled(None)) {
            return Ok(format!("{noun} was never made"));
        }
    }
    let writer = connection.live.writer(entry).await;
    entry.delete(&at, &id).await.doing(&format!("delete {noun}"))?;
    connection.live.expect(entry, &at, &id, Expectation::Gone);
    drop(writer);
    tracing::info!(kind = object.key.kind, namespace = object.key.namespace, name = object.key.name, id, "deleted");
    Ok(format!("{noun} {id} was deleted"))
}

/// Resets an organization's own setting that we made; else gives the declared fields what they held before.
async fn restore(entry: &dyn Entry, object: &Object, connection: &Connection) -> Result<String> {
    let noun = entry.noun();
    let at = At { client: connection.client.clone(), organization: object.status.organization_id.clone() };
    let live = &connection.live;
    if object.status.provenance == Some(Provenance::Created) && at.organization.is_some() {
        let writer = live.writer(entry).await;
        entry.delete(&at, "").await.doing(&format!("reset {noun}"))?;
        live.doubt(entry, &at, "");
        drop(writer);
        return Ok(format!("{noun} was reset and inherits again"));
    }
    let original = object.status.original.clone().map(Fields::from_map).unwrap_or_default();
    live.doubt(entry, &at, "");
    let Seen::Settled(Some(have)) = live.get(entry, &at, "", false).await.doing(&format!("read {noun}"))? else {
        return Ok(format!("{noun} is gone"));
    };
    let changes = super::fields::diff(&original, &have.state, entry.sets());
    // Reset by somebody else meanwhile: there is nothing to give back.
    if changes.is_empty() || !have.own {
        return Ok(format!("{noun} needed no change"));
    }
    let writer = live.writer(entry).await;
    let want = have.state.overlaid(&original);
    let written = entry.write(&at, &have, &want).await.doing(&format!("restore {noun}"))?;
    live.expect(entry, &at, "", Expectation::State(want, written.version));
    drop(writer);
    Ok(format!("{noun} got its former values back: {}", names(&changes)))
}
