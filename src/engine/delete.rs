//! The end of an object: what becomes of its remote side. It always comes to an end, or says what
//! it waits for. The stages are those of any reconcile, by the binding instead of the references.

use std::{sync::Arc, time::Duration};

use super::{
    apply::Remover,
    binding::{self, Binding},
    context::Engine,
    decide_deletion::{
        self, DeletionFacts, Ending, InstanceFacts, Release, Way, default_policy, ending, way,
    },
    error::{Class, Error, NotConverged, Result, Waiting, WhileDoing},
    host::Host,
    lock_out, observe,
    ownership::Thing,
    replacement,
    report::{self, Outcome, Pause},
    resolve::{PlannedIds, Target, resolve},
    secret,
};
use crate::{
    api::{
        spec::{AdoptionPolicy, Shared, deletion_policy, is_suspended, only_observes},
        status::Provenance,
    },
    contract::{
        EntityDescription, Entry, EventSubject, Fields, IdSource, Inputs, Key, Object, Subject,
        decode, reference::Referent,
    },
    live::{self, Absence},
};

/// How long to wait for an Instance before looking again; it also wakes what waits.
const INSTANCE_PAUSE: Duration = Duration::from_secs(30);
/// How long to wait for children before looking again; the last of them also wakes its parent.
const CHILDREN_PAUSE: Duration = Duration::from_secs(10);

/// Settles the remote side of an object that is being deleted.
pub(super) async fn reconcile(
    engine: &Engine,
    host: &dyn Host,
    entry: Entry,
    object: &Object,
    outcome: &mut Outcome,
) {
    let noun = entry.noun;
    let observes = only_observes(&object.spec);
    let binding = match Binding::of(&object.status) {
        None if !observes && !object.is_abandoned() => {
            match unbound(engine, host, entry, object).await {
                Ok(found) => found,
                Err(Unseen::NotConnected) => {
                    return outcome.paused(object, noun, &Pause::Instance, INSTANCE_PAUSE);
                }
                Err(Unseen::Failed(e)) => {
                    let failures = engine.memory.failed(object);
                    return outcome.failed(object, noun, e, failures);
                }
            }
        }
        bound => bound,
    };
    let provenance = binding.as_ref().map(|b| b.provenance);
    let in_organization = binding.as_ref().is_some_and(|b| b.place.organization.is_some());
    let policy = deletion_policy(&object.spec).filter(|_| !entry.takes_time);
    let policy = policy.unwrap_or_else(|| default_policy(entry, provenance, in_organization));
    let ending = ending(DeletionFacts {
        is_abandoned: object.is_abandoned(),
        is_handed_over: engine.memory.is_handed_over(&object.key),
        observes,
        is_bound: binding.is_some(),
        children: children(engine, host, entry, object),
        successor: successor(engine, host, entry, object).map(|o| o.key.clone()),
        policy,
        waited: engine.memory.deleting_for(&object.key),
        pause: engine.deletion_pause,
    });
    tracing::debug!(ending = ?ending, "decided");
    let end = match (ending, binding) {
        (Ending::Release(release), _) => End::Released(release),
        (Ending::WaitForChildren(children), _) => {
            End::Paused(Pause::Children(children), CHILDREN_PAUSE)
        }
        (Ending::HandOver(successor), _) => {
            match hand_over(engine, host, entry, object, &successor).await {
                Ok(()) => End::HandedOver(successor),
                Err(e) => End::Failed(e),
            }
        }
        (Ending::Pause(left), Some(binding)) => {
            let (id, pause) = (binding.id, engine.deletion_pause);
            End::Paused(Pause::Successor { id, pause }, left)
        }
        (Ending::Remove, Some(binding)) => remove(engine, host, entry, object, &binding).await,
        (Ending::Pause(_) | Ending::Remove, None) => End::Released(Release::NeverBound),
    };
    match end {
        End::Released(release) => {
            tracing::info!(reason = ?release, "released without a call");
            outcome.released(object, noun, &release);
        }
        End::HandedOver(successor) => {
            engine.memory.set_handed_over(&object.key);
            outcome.handed_over(noun, &successor);
            outcome.gone();
            outcome.wake.push(successor);
        }
        End::Removed(removed) => outcome.removed(noun, &removed),
        End::Paused(pause, left) => outcome.paused(object, noun, &pause, left),
        End::Failed(e) => {
            let failures = engine.memory.failed(object);
            outcome.failed(object, noun, e, failures);
        }
    }
    if outcome.release {
        // What is remembered stays until the object is gone: its finalizer may not go at once.
        outcome.wake.extend(engine.claims.release(&object.key));
    }
}

/// What has to go first: what refers to it, and what names it by its key.
fn children(engine: &Engine, host: &dyn Host, entry: Entry, object: &Object) -> Vec<Key> {
    let (mut children, consents) = (host.deleting_children(&object.key), engine.consents(host));
    children.extend(namers(engine, host, entry, object));
    children.retain(|key| host.object(key).is_some_and(|child| consents.has_standing(&child)));
    children
}

/// What is deleted too and names this object by its key, as grants name roles: with the role ZITADEL
/// would take it out of them. All of them refer to what it is in.
fn namers(engine: &Engine, host: &dyn Host, entry: Entry, object: &Object) -> Vec<Key> {
    let lists = engine.registry.all().flat_map(|e| e.names).filter(|n| n.kind == entry.kind());
    let lists: Vec<&str> = lists.map(|names| names.list).collect();
    let Key { namespace, name, .. } = &object.key;
    let declared = entry.desired(&object.spec, name, &Inputs::default());
    let key = declared.ok().zip(entry.as_entity());
    let key = key.and_then(|(fields, entity)| entity.natural_key.of(&fields));
    let parents = entry.parents().filter_map(|r| r.read(&object.spec, namespace).ok().flatten());
    let (Some(key), false) = (key, lists.is_empty()) else { return Vec::new() };
    let names_it = |other: &Key| {
        host.object(other).is_some_and(|other| {
            let named = lists.iter().filter_map(|list| other.spec.get(list)?.as_array());
            named.flatten().any(|item| item.as_str() == Some(&key))
        })
    };
    let siblings = parents.flat_map(|parent| match parent {
        Referent::Object(parent) => host.deleting_children(&parent),
        Referent::Id(_) | Referent::Name(_) => Vec::new(),
    });
    siblings.filter(names_it).collect()
}

/// What a deletion came to.
enum End {
    Released(Release),
    HandedOver(Key),
    Removed(report::Removed),
    Paused(Pause, Duration),
    Failed(Error),
}

/// Why it is not known whether something was created.
enum Unseen {
    /// The Instance is not connected.
    NotConnected,
    Failed(Error),
}

/// Nothing was ever bound, or the status was lost. Only what shows under the object's own id is
/// its own; what can't be asked for with consent is left alone. An Instance that was connected once is
/// waited for: what a call has created whose answer was lost is not left behind.
async fn unbound(
    engine: &Engine,
    host: &dyn Host,
    entry: Entry,
    object: &Object,
) -> Result<Option<Binding>, Unseen> {
    let Some(entity) = entry.as_entity() else { return Ok(None) };
    let was_connected =
        |key: &Key| host.object(key).is_some_and(|o| o.status.instance_id.is_some());
    let found = match resolve(engine, host, entry, object, &PlannedIds::new()).await {
        Ok(target) => own(engine, entry, entity, object, target).await,
        Err(Error::NotConnected { instance, .. }) if was_connected(&instance) => {
            return Err(Unseen::NotConnected);
        }
        Err(e) => Err(e),
    };
    match found {
        Err(e) if matches!(e.class(), Class::Transient(_)) => Err(Unseen::Failed(e)),
        found => Ok(found.ok().flatten()),
    }
}

/// What shows under the object's own id.
async fn own(
    engine: &Engine,
    entry: Entry,
    entity: &'static EntityDescription,
    object: &Object,
    target: Target,
) -> Result<Option<Binding>> {
    let was_creating = object.status.provenance.is_some();
    if entity.id == IdSource::Key || (entity.id == IdSource::Server && !was_creating) {
        return Ok(None);
    }
    let id = match entity.id {
        // What was about to be created is found as the next reconcile would find it.
        IdSource::Server => {
            if entity.is_key() {
                let (connection, place) = (&target.connection, &target.place);
                let ids = secret::remains(connection, entry, place, &object.status).await?;
                return Ok(ids.into_iter().next().map(|id| target.created(id)));
            }
            let found = observe::entity(engine, entry, entity, object, &target).await?;
            let observe::Found::Derived(remote) = found else { return Ok(None) };
            let Some(id) = remote.id() else { return Ok(None) };
            id.to_owned()
        }
        // It may not show yet, and nobody else has this id.
        _ if binding::was_creating(&object.status, &target.instance_binding) => {
            let place = binding::place(&object.status);
            return Ok(Some(Binding { place, ..target.created(object.derived_id()) }));
        }
        _ => object.derived_id(),
    };
    let subject = Subject::from(id.as_str());
    let seen = observe::read(entry, &target, &subject, Absence::Confirmed).await;
    // What was written and does not show is there all the same, if the events tell of it.
    if matches!(seen, Ok(None)) {
        let client = &target.connection.client;
        let owner = live::owner(client, entry.events, &id).await;
        if owner.doing("find out what became of")?.is_none() {
            // The events of what has no aggregate of its own are not found by its id.
            let is_told = entry.events.iter().any(|f| f.subject == EventSubject::Aggregate);
            if !is_told && engine.memory.is_sought(&object.key) {
                return Err(Error::NotConverged(NotConverged::Sought));
            }
            return Ok(None);
        }
    }
    Ok(Some(target.created(id)))
}

/// The oldest other object that declares the same thing, is not bound to another one, and may have
/// it. Found by the binding: a suspended object claims nothing, and has successors all the same.
fn successor(
    engine: &Engine,
    host: &dyn Host,
    entry: Entry,
    object: &Object,
) -> Option<Arc<Object>> {
    object.status.provenance?;
    let mut claims = engine.claims_of_binding(host, object);
    // Whoever wants what only one can have wants nothing else of it.
    claims.retain(|claim| !matches!(claim.thing, Thing::OnlyOne { .. }));
    let others = engine.claims.claimants(&claims, &object.key);
    let others = others.into_iter().filter_map(|key| host.object(&key));
    others.into_iter().find(|other| may_have(engine, host, entry, object, other))
}

/// Whether an object may have what another one has: it must pass every check that adoption needs.
fn may_have(
    engine: &Engine,
    host: &dyn Host,
    entry: Entry,
    object: &Object,
    other: &Object,
) -> bool {
    let bound = Binding::of(&other.status);
    let has_it_already = bound.as_ref().is_some_and(|b| Some(&b.id) == object.status.id.as_ref());
    if other.is_deleting || is_suspended(&other.spec) || (bound.is_some() && !has_it_already) {
        return false;
    }
    let (namespace, consents) = (&other.key.namespace, engine.consents(host));
    let Ok(lineage) = consents.lineage(entry, namespace, &other.spec) else { return false };
    let Ok(shared) = decode::<Shared>(&other.spec) else { return false };
    let names_it = shared.identity.id.is_some() && shared.identity.id == object.status.id;
    let is_root = engine.registry.root() == Some(entry);
    let same_namespace = *namespace == object.key.namespace;
    (has_it_already || names_it || shared.adoption_policy() != AdoptionPolicy::Never)
        && (!is_root || same_namespace || lineage.instance_scope)
}

/// Gives another object the binding of this one: in its status, so that it survives a crash, and in
/// memory, where a reconcile that is just under way can't overwrite it.
async fn hand_over(
    engine: &Engine,
    host: &dyn Host,
    entry: Entry,
    object: &Object,
    successor: &Key,
) -> Result<()> {
    let object = &followed(engine, entry, object).await?;
    let missing = || Error::Waiting(Waiting::Missing(successor.clone()));
    let successor = host.object(successor).ok_or_else(missing)?;
    let has_it_already = Binding::of(&successor.status).is_some_and(|b| {
        Some(&b.id) == object.status.id.as_ref()
            && (b.provenance == Provenance::Created
                || Some(b.provenance) == object.status.provenance)
    });
    if has_it_already && !entry.is_setting() {
        return Ok(());
    }
    let namespace = &successor.key.namespace;
    let lineage = engine.consents(host).lineage(entry, namespace, &successor.spec)?;
    let instance = host
        .object(&lineage.instance)
        .ok_or_else(|| Error::Waiting(Waiting::Missing(lineage.instance.clone())))?;
    let instance = binding::instance_binding(&instance);
    let is_setting = entry.is_setting();
    let original = is_setting.then(|| older_values(entry, object, &successor)).transpose()?;
    let status = report::inheritance(&successor, object, original, instance);
    engine.memory.set_inherited(&successor.key, status.clone());
    host.remember(&successor, &status).await.map_err(Error::Host)
}

/// The id under which an attempt that was cut off may have created again what the object is bound to.
fn recreated(entry: Entry, object: &Object) -> Option<String> {
    let entity = entry.as_entity().filter(|entity| entity.id == IdSource::Chosen);
    let bound = object.status.id.as_deref().filter(|_| object.status.creating.is_some());
    entity.and(bound).map(|id| object.id_after(id))
}

/// The object as it would be bound if that attempt had come to its end.
async fn followed(engine: &Engine, entry: Entry, object: &Object) -> Result<Object> {
    let mut followed = object.clone();
    let binding = Binding::of(&object.status);
    let connection = binding.as_ref().and_then(|b| engine.connections.get(&instance_of(engine, b)));
    if let (Some(id), Some(binding), Some(connection)) =
        (recreated(entry, object), binding, connection)
    {
        let subject = Subject::from(id.as_str());
        connection.invalidate(entry, &binding.place, &subject);
        let seen = connection.observe(entry, &binding.place, &subject, Absence::Confirmed).await;
        match observe::current(&subject, seen.doing("read")?)? {
            Some(_) => followed.status.id = Some(id),
            None if engine.memory.is_sought(&object.key) => {
                return Err(Error::NotConverged(NotConverged::Sought));
            }
            None => {}
        }
    }
    Ok(followed)
}

/// The Instance object that a binding was made through.
fn instance_of(engine: &Engine, binding: &Binding) -> Key {
    Key {
        kind: engine.registry.connection().description().kind,
        namespace: binding.instance.namespace.clone(),
        name: binding.instance.name.clone(),
    }
}

/// What the fields of a setting held before both objects: where the one that goes found what the
/// successor had set, what the successor had found is older.
fn older_values(entry: Entry, object: &Object, successor: &Object) -> Result<Fields> {
    let values = |o: &Object| o.status.original.clone().map(Fields::from_map);
    let found = values(object).unwrap_or_default();
    let declared = entry.desired(&successor.spec, &successor.key.name, &Inputs::default())?;
    let set_by_successor =
        found.iter().filter(|(field, value)| declared.get(field) == Some(*value));
    let set_by_successor =
        Fields::from_map(set_by_successor.map(|(f, v)| (f.clone(), v.clone())).collect());
    let older = values(successor).unwrap_or_default().select(&set_by_successor);
    Ok(found.overlay(&older))
}

/// Removes the remote side through the Instance object that it was bound through, and no other.
async fn remove(
    engine: &Engine,
    host: &dyn Host,
    entry: Entry,
    object: &Object,
    binding: &Binding,
) -> End {
    let instance = instance_of(engine, binding);
    let facts = host.object(&instance).filter(|o| binding.is_through(o)).map(|o| InstanceFacts {
        is_deleting: o.is_deleting,
        is_suspended: is_suspended(&o.spec),
        reason: o.status.reason(),
        active: engine.connections.get(&instance).map(|c| c.instance_id.clone()),
        retired: engine.connections.retired(&instance).map(|c| c.instance_id.clone()),
        missing_consent: engine.consents(host).withdrawn(entry, object, &binding.place, &instance),
    });
    let way = way(&binding.instance_id, facts);
    tracing::debug!(way = ?way, "decided");
    let connection = match way {
        Way::Active => engine.connections.get(&instance),
        Way::Retired => engine.connections.retired(&instance),
        Way::Wait => None,
        Way::Release(release) => return End::Released(release),
    };
    let Some(connection) = connection else {
        return End::Paused(Pause::Instance, INSTANCE_PAUSE);
    };
    if binding.id == connection.account.id {
        return End::Released(Release::OwnAccount);
    }
    let original = object.status.original.clone().map(Fields::from_map).unwrap_or_default();
    let remover = Remover {
        engine,
        entry,
        object,
        connection: &connection,
        place: &binding.place,
        provenance: binding.provenance,
    };
    let removed = async {
        let access = connection.acting(binding.place.clone());
        lock_out::refuse(entry, object, &access, Some(&binding.id), None).await?;
        if entry.as_entity().is_some_and(EntityDescription::is_key) {
            let place = &binding.place;
            for id in secret::remains(&connection, entry, place, &object.status).await? {
                remover.remove(&id, Fields::default()).await?;
            }
        }
        let cut_off = replacement::remains(&connection, entry, object, &binding.place).await?;
        for id in cut_off.into_iter().chain(recreated(entry, object)) {
            remover.remove(&id, Fields::default()).await?;
        }
        remover.remove(&binding.id, original).await
    };
    match removed.await {
        Ok(removed) => End::Removed(removed),
        Err(Error::InstanceChanged { .. }) => {
            engine.connections.remove_connection(&connection);
            End::Released(decide_deletion::Release::InstanceChanged)
        }
        Err(e) => End::Failed(e.explained(entry, &binding.place)),
    }
}
