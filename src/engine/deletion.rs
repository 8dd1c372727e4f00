//! The end of an object: what becomes of its remote side. It always comes to an end, or says what
//! it waits for.

use std::{sync::Arc, time::Duration};

use super::{
    Error, Fields, Key, Object,
    connection::Connection,
    error::{Doing, Result},
    host::Host,
    instance,
    job::names,
    kind::{At, Entry, Shape},
    news::News,
    outcome::Outcome,
    reconcile::Engine,
    references,
};
use crate::{
    api::{
        spec::{DeletionPolicy, Shared},
        status::{Provenance, Ready, Reason, Status, Verdict},
    },
    live::{Expectation, Seen},
};

/// Settles the remote side of an object that is being deleted. By its binding, not by what its
/// references say by now.
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
        outcome.note(
            News::LeftBehind,
            format!("released by annotation; {} stays in ZITADEL as it is", what()),
        );
        return released(engine, object, outcome);
    }
    if shared.observes() {
        return released(engine, object, outcome);
    }
    if let Some(heir) = heir(engine, host, object) {
        if let Err(e) = hand_over(engine, host, entry, object, &heir).await {
            outcome.fail(engine, object, &e);
            return outcome;
        }
        outcome.note(
            News::HandedOver,
            format!("{} goes to {}, which declares it too; nothing is deleted", what(), heir.key),
        );
        return released(engine, object, outcome);
    }
    if policy(entry, object, shared) == DeletionPolicy::Retain {
        return released(engine, object, outcome);
    }
    let waited = engine.memory.deleting_for(&object.key);
    if object.status.provenance.is_some() && waited < engine.grace {
        let message = format!(
            "{} is about to be deleted in ZITADEL; for {} s, another object that declares the same can still take it over",
            what(),
            engine.grace.as_secs()
        );
        outcome.conclude(
            object,
            &Verdict { ready: Ready::Progressing, reason: Reason::Deleting, message },
        );
        outcome.again = Some(engine.grace.saturating_sub(waited));
        return outcome;
    }
    let instance = references::instance_of(host, &object.key.namespace, shared);
    let connection = match reachable(engine, host, object, instance.as_ref()) {
        Ok(connection) => connection,
        Err(Some(left)) => {
            outcome.note(News::LeftBehind, format!("{left}; {} stays in ZITADEL as it is", what()));
            return released(engine, object, outcome);
        }
        Err(None) => {
            let message = "waiting for the Instance to be reachable again; annotate this object with kastellan.dev/abandon: \"true\" to let it go without a call".into();
            outcome.conclude(
                object,
                &Verdict { ready: Ready::Progressing, reason: Reason::Deleting, message },
            );
            outcome.again = Some(Duration::from_secs(30));
            return outcome;
        }
    };
    match settle(engine, entry, object, shared, &connection).await {
        Ok(message) => {
            outcome.note(News::Deleted, message);
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

/// The oldest other object that declares the same thing, and is not bound to another one.
fn heir(engine: &Engine, host: &dyn Host, object: &Object) -> Option<Arc<Object>> {
    object.status.provenance?;
    let others = engine.claims.others(&object.key).into_iter().filter_map(|key| host.object(&key));
    let may_be = |o: &Arc<Object>| {
        !o.is_deleting && (o.status.provenance.is_none() || o.status.id == object.status.id)
    };
    others.into_iter().find(may_be)
}

/// Gives another object the binding of this one: in its status, so that it survives a crash, and in
/// memory, where a reconcile that is just under way can't overwrite it.
async fn hand_over(
    engine: &Engine,
    host: &dyn Host,
    entry: &dyn Entry,
    object: &Object,
    heir: &Object,
) -> Result<()> {
    let Status { id, instance_id, organization_id, provenance, original, .. } =
        object.status.clone();
    let mut status = heir.status.clone();
    // Where this one found what the heir had set, what the heir had found is older.
    let found = original.map(Fields::from_map).unwrap_or_default();
    let declared = entry.desired(&heir.spec, &heir.key.name).unwrap_or_default();
    let set_by_heir = Fields::from_map(
        found
            .iter()
            .filter(|(k, v)| declared.get(k) == Some(*v))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
    );
    let older =
        status.original.take().map(Fields::from_map).unwrap_or_default().restricted(&set_by_heir);
    status.original =
        Some(found.overlaid(&older).into_map()).filter(|_| entry.shape() == Shape::Setting);
    // What one of them made was adopted by the other from it.
    status.provenance =
        if status.provenance == Some(Provenance::Created) { status.provenance } else { provenance };
    (status.id, status.instance_id, status.organization_id) = (id, instance_id, organization_id);
    engine.memory.bequeath(&heir.key, status.clone());
    host.remember(heir, &status).await.map_err(Error::Host)
}

/// The call, or what makes it needless.
async fn settle(
    engine: &Engine,
    entry: &dyn Entry,
    object: &Object,
    shared: &Shared,
    connection: &Arc<Connection>,
) -> Result<String> {
    instance::still_the_same(engine, connection).await?;
    let organization = object
        .status
        .organization_id
        .clone()
        .or_else(|| shared.organization.organization_id.clone());
    let at = At { client: connection.client.clone(), organization };
    let done = match entry.shape() {
        Shape::Setting => restore(entry, object, connection, &at).await,
        _ => remove(entry, object, connection, &at).await,
    };
    match (done, &at.organization) {
        // What was in an organization went with it, whatever ZITADEL says to calls for it.
        (Err(e), Some(id)) if !references::is_in(connection, id, true).await.unwrap_or(true) => {
            tracing::debug!(kind = object.key.kind, id, error = %e, "gone with its organization");
            Ok(format!("{} went with its organization {id}", entry.noun()))
        }
        (done, _) => done,
    }
}

/// What is to be done where nothing is written out: what we made goes, what was there stays, an
/// Organization always stays.
fn policy(entry: &dyn Entry, object: &Object, shared: &Shared) -> DeletionPolicy {
    let provenance = object.status.provenance;
    shared.common.deletion_policy.unwrap_or(match (entry.shape(), provenance) {
        (Shape::Entity { precious: false, .. }, Some(Provenance::Created) | None) => {
            DeletionPolicy::Delete
        }
        // An organization's own: reset it, or give it its former values back.
        (Shape::Setting, Some(_)) if object.status.organization_id.is_some() => {
            DeletionPolicy::Delete
        }
        _ => DeletionPolicy::Retain,
    })
}

/// The connection to delete by. `Err(Some)`: there will be none any more, and why; `Err(None)`: not
/// now.
fn reachable(
    engine: &Engine,
    host: &dyn Host,
    object: &Object,
    instance: Option<&Key>,
) -> Result<Arc<Connection>, Option<String>> {
    let Some(instance) = instance else {
        return bound(engine, object).ok_or_else(|| {
            let is_bound_to = |i: &Arc<Object>| {
                object.status.instance_id.is_some()
                    && i.status.instance_id == object.status.instance_id
            };
            let may_come = host.instances().iter().any(|i| is_bound_to(i) && !is_hopeless(i));
            (!may_come).then(|| {
                "its Organization object is gone, and no connection to its instance is left".into()
            })
        });
    };
    match (engine.connections.get(instance), host.object(instance)) {
        (Some(c), _)
            if object.status.instance_id.as_ref().is_none_or(|id| *id == c.instance_id) =>
        {
            Ok(c)
        }
        (Some(c), _) => {
            Err(Some(format!("behind {instance} is the instance {} now", c.instance_id)))
        }
        (None, None) => Err(Some(format!("{instance} is gone"))),
        (None, Some(i)) if is_hopeless(&i) => {
            Err(Some(format!("{instance} is being deleted and its credentials are gone")))
        }
        (None, Some(_)) => Err(None),
    }
}

/// An Instance that is going, whose Secret went first, and nothing is left of it: nobody can ever
/// make a call.
fn is_hopeless(instance: &Object) -> bool {
    instance.is_deleting
        && instance.status.condition("Ready").is_some_and(|c| c.reason == "WaitingForReference")
}

/// Any connection to the instance that the object is bound to.
fn bound(engine: &Engine, object: &Object) -> Option<Arc<Connection>> {
    let id = object.status.instance_id.as_ref()?;
    engine.connections.all().into_iter().map(|(_, c)| c).find(|c| c.instance_id == *id)
}

/// Deletes an entity by its binding; without one, what a reconcile may have made whose end was
/// lost.
async fn remove(
    entry: &dyn Entry,
    object: &Object,
    connection: &Connection,
    at: &At,
) -> Result<String> {
    let noun = entry.noun();
    let (id, is_bound) = match (&object.status.id, object.status.provenance) {
        (Some(id), Some(_)) => (id.clone(), true),
        (Some(id), None) if *id == object.derived_id() => (id.clone(), true),
        _ => (object.derived_id(), false),
    };
    if !is_bound {
        // Nothing was ever written, or its answer was lost. Only what shows under our own id is
        // ours.
        let seen =
            connection.live.get(entry, at, &id, true).await.doing(&format!("look for {noun}"))?;
        if matches!(seen, Seen::Settled(None)) {
            return Ok(format!("{noun} was never made"));
        }
    }
    let writer = connection.live.writer(entry).await;
    entry.delete(at, &id).await.doing(&format!("delete {noun}"))?;
    connection.live.expect(entry, at, &id, Expectation::Gone);
    drop(writer);
    tracing::info!(
        kind = object.key.kind,
        namespace = object.key.namespace,
        name = object.key.name,
        id,
        "deleted"
    );
    Ok(format!("{noun} {id} was deleted"))
}

/// Resets an organization's own setting that we made; else gives the declared fields what they held
/// before.
async fn restore(
    entry: &dyn Entry,
    object: &Object,
    connection: &Connection,
    at: &At,
) -> Result<String> {
    let noun = entry.noun();
    let live = &connection.live;
    if object.status.provenance == Some(Provenance::Created) && at.organization.is_some() {
        let writer = live.writer(entry).await;
        entry.delete(at, "").await.doing(&format!("reset {noun}"))?;
        live.doubt(entry, at, "");
        drop(writer);
        return Ok(format!("{noun} was reset and inherits again"));
    }
    let original = object.status.original.clone().map(Fields::from_map).unwrap_or_default();
    live.doubt(entry, at, "");
    let Seen::Settled(Some(have)) =
        live.get(entry, at, "", false).await.doing(&format!("read {noun}"))?
    else {
        return Ok(format!("{noun} is gone"));
    };
    let changes = super::fields::diff(&original, &have.state, entry.sets());
    // Reset by somebody else meanwhile: there is nothing to give back.
    if changes.is_empty() || !have.own {
        return Ok(format!("{noun} needed no change"));
    }
    let writer = live.writer(entry).await;
    let want = have.state.overlaid(&original);
    let written = entry.write(at, &have, &want).await.doing(&format!("restore {noun}"))?;
    live.expect(entry, at, "", Expectation::State(want, written.version));
    drop(writer);
    Ok(format!("{noun} got its former values back: {}", names(&changes)))
}
