//! Stage 1: what an object declares, and where it goes: references, consents, connection. Reads
//! objects, and asks ZITADEL whether what is referred to exists.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use super::{
    binding::{self, Binding},
    consent::{Consents, Lineage, Parent},
    context::Engine,
    error::{Doing, Error, NotConverged, Result, Waiting, WhileDoing},
    host::Host,
    inputs::{self, InputSecret},
    schedule,
    sight::may_read,
};
use crate::{
    api::{
        spec::Shared,
        status::{InstanceBinding, Provenance, Reason},
    },
    contract::{
        Entry, Fields, Files, Inputs, Key, Moment, Object, Place, Reference, Registry, Role,
        Subject, decode, entry::Declared, reference::Referent,
    },
    live::{self, Absence, Connection, Observation},
};

/// Things that a plan for many objects will create: their places, and the ids that they will have.
pub type PlannedIds = BTreeMap<Key, (Place, String)>;

/// Where an object's calls go, and what it declares.
pub struct Target {
    /// The Instance object.
    pub instance: Key,
    /// How a status names it.
    pub instance_binding: InstanceBinding,
    /// What claims through it count among.
    pub domain: Key,
    /// The connection to it.
    pub connection: Arc<Connection>,
    /// Where in the instance.
    pub place: Place,
    /// Whether the namespace may act on the instance itself.
    pub instance_scope: bool,
    /// Whose secrets may be issued there.
    pub owns: Owns,
    /// What it is in is only planned yet: nothing can be asked there.
    pub is_planned: bool,
    /// What the object is bound to there.
    pub binding: Option<Binding>,
    /// The fields of the spec that all kinds share.
    pub shared: Shared,
    /// What names in the spec stand for.
    pub resolved: BTreeMap<String, String>,
    /// The declared fields.
    pub declared: Fields,
    /// Those that only count when it is created.
    pub initial: Fields,
    /// The files that it names.
    pub files: Files,
    /// The declared secrets, once they were read.
    pub inputs: Vec<InputSecret>,
}

impl Target {
    /// What the object declares there.
    pub fn declared<'a>(&'a self, object: &'a Object) -> Declared<'a> {
        let moment = Moment { now: Timestamp::now(), replaces: schedule::replaced(object) };
        Declared { spec: &object.spec, fields: &self.declared, files: &self.files, moment }
    }

    /// The binding of what was created there under this id.
    pub fn created(&self, id: String) -> Binding {
        Binding {
            id,
            instance_id: self.connection.instance_id.clone(),
            instance: self.instance_binding.clone(),
            place: self.place.clone(),
            provenance: Provenance::Created,
        }
    }
}

/// Whose secrets may be issued at a place: who gets one has the rights that it stands for.
#[derive(Debug, Clone, Copy)]
pub struct Owns {
    /// Of what was there before: what it is in is its own namespace's, or it may act on the instance
    /// itself.
    pub place: bool,
    /// Of what it is in: that was created here, or is in what its own namespace declares.
    pub parent: bool,
}

/// Resolves the references of an object, with every consent that they need.
pub async fn resolve(
    engine: &Engine,
    host: &dyn Host,
    entry: Entry,
    object: &Object,
    planned: &PlannedIds,
) -> Result<Target> {
    let Key { namespace, name, .. } = &object.key;
    let shared: Shared = decode(&object.spec)?;
    // What can't be read is said before anything is asked.
    entry.desired(&object.spec, name, &Inputs::default())?;
    let consents = engine.consents(host);
    let lineage = consents.lineage(entry, namespace, &object.spec)?;
    let owns_place = owns(&lineage, namespace);
    let Lineage { instance, parent, instance_scope } = lineage;
    let connection = connection(engine, host, &instance)?;
    let Some(instance_object) = host.object(&instance) else {
        return Err(Error::Waiting(Waiting::Missing(instance)));
    };
    let binding = Binding::of(&object.status).filter(|b| b.is_through(&instance_object));
    if let Some(binding) = &binding
        && binding.instance_id != connection.instance_id
    {
        return Err(Error::InstanceChanged {
            instance: Some(instance),
            known: binding.instance_id.clone(),
            found: connection.instance_id.clone(),
        });
    }
    let owns_parent = match &parent {
        Parent::Object(parent, kind) if parent.status.provenance != Some(Provenance::Created) => {
            let namespace = &parent.key.namespace;
            owns(&consents.lineage(*kind, namespace, &parent.spec)?, namespace)
        }
        _ => true,
    };
    let (place, is_planned) = match parent {
        Parent::Instance => (Place::instance(), false),
        Parent::Id(reference, id) => {
            (by_id(engine, &connection, entry, reference, id).await?, false)
        }
        Parent::Object(parent, kind) => match planned.get(&parent.key) {
            Some((place, id)) => (engine.registry.place_below(kind, place, id), true),
            None => {
                let (at, id) = bound(&parent, &instance_object, &connection)?;
                may_lend(engine, &consents, &parent, kind, &instance)?;
                let place = engine.registry.place_below(kind, &at, &id);
                let exists = exists(&connection, kind, &at, &id).await;
                exists.map_err(|e| e.explained(entry, &place))?;
                (place, false)
            }
        },
    };
    let mut resolver = Resolver {
        registry: engine.registry,
        host,
        object,
        instance: &instance_object,
        connection: &connection,
        planned,
        // What was bound counts for as long as it is.
        resolved: binding.as_ref().map(|_| object.status.resolved.clone()).unwrap_or_default(),
        refers_to_planned: false,
    };
    let mut inputs = resolver.inputs(entry).await?;
    inputs.files = inputs::files(&engine.connections, host, entry, object).await?;
    let below = entry.references.iter().filter(|r| r.role == Role::Below);
    let below = below.filter_map(|r| inputs.id(r.field));
    let place = below.fold(place, |place, id| place.below(id));
    let place = entry.place_below(place, &object.spec);
    let is_planned = is_planned || resolver.refers_to_planned;
    let (declared, initial) = entry.desired_and_initial(&object.spec, name, &inputs)?;
    Ok(Target {
        resolved: resolver.resolved,
        declared,
        initial,
        files: inputs.files,
        inputs: Vec::new(),
        instance_binding: binding::instance_binding(&instance_object),
        domain: consents.domain(&instance),
        instance,
        connection,
        place,
        instance_scope,
        owns: Owns { place: owns_place, parent: owns_parent },
        is_planned,
        binding,
        shared,
    })
}

/// Whether what something is in is its own namespace's, or that may act on the instance itself.
fn owns(lineage: &Lineage, namespace: &str) -> bool {
    let is_own =
        |parent: &Parent| matches!(parent, Parent::Object(o, _) if o.key.namespace == *namespace);
    lineage.instance_scope || is_own(&lineage.parent)
}

/// The connection of an Instance, or why there is none.
pub fn connection(engine: &Engine, host: &dyn Host, instance: &Key) -> Result<Arc<Connection>> {
    let Some(object) = host.object(instance) else {
        return Err(Error::Waiting(Waiting::Missing(instance.clone())));
    };
    let suspended = crate::api::spec::is_suspended(&object.spec);
    // Nobody may have looked at a spec that is new: what it does not give is not used.
    let spec = engine.registry.connection().read(&object.spec);
    let connection = engine.connections.get(instance).filter(|_| !suspended);
    let is_given = |c: &Arc<Connection>| spec.is_ok_and(|spec| c.spec.leads_where(&spec));
    if let Some(connection) = connection.filter(is_given) {
        return Ok(connection);
    }
    let ready = object.status.condition("Ready");
    Err(Error::NotConnected {
        instance: instance.clone(),
        reason: if suspended { Some(Reason::Suspended) } else { object.status.reason() },
        message: ready.map(|c| c.message.clone()),
    })
}

/// Where an object is bound in this instance, and to what.
fn bound(object: &Object, instance: &Object, connection: &Connection) -> Result<(Place, String)> {
    let key = || object.key.clone();
    let status = &object.status;
    if object.is_deleting {
        return Err(Error::Waiting(Waiting::Deleting(key())));
    }
    let through = status.instance.as_ref().map(|b| binding::is_through(b, instance));
    match (&status.id, &status.instance_id, through) {
        (Some(id), Some(of), Some(true)) if *of == connection.instance_id => {
            Ok((binding::place(status), id.clone()))
        }
        (Some(_), Some(_), Some(_)) => Err(Error::Waiting(Waiting::OtherInstance(key()))),
        _ => Err(Error::Waiting(Waiting::NotBound {
            object: key(),
            message: status.condition("Ready").map(|c| c.message.clone()),
        })),
    }
}

/// What is at the root and only observed was not created here: its namespace needs the consent to
/// name any id, for it lends what it observes to others.
fn may_lend(
    engine: &Engine,
    consents: &Consents<'_>,
    parent: &Object,
    kind: Entry,
    instance: &Key,
) -> Result<()> {
    let is_only_observed = parent.status.provenance.is_none();
    if engine.registry.root() != Some(kind) || !is_only_observed {
        return Ok(());
    }
    consents.act_on_instance(instance, &parent.key.namespace)
}

/// What a call names must have been seen: ZITADEL accepts some writes for parents that do not
/// exist.
async fn exists(connection: &Connection, kind: Entry, at: &Place, id: &str) -> Result<()> {
    let subject = Subject::from(id);
    let seen = connection.observe(kind, at, &subject, Absence::Confirmed).await;
    let remote =
        |is_new| Error::Waiting(Waiting::Remote { noun: kind.noun, id: id.to_owned(), is_new });
    match seen {
        Ok(Observation::Current(Some(_))) => Ok(()),
        Ok(Observation::Current(None)) => {
            may_read(connection, kind, at, live::CREDIT).await?;
            Err(remote(false))
        }
        Ok(Observation::Pending { .. }) => Err(remote(true)),
        Err(source) => Err(Error::Zitadel { doing: Doing::AROUND, source }),
    }
}

/// The place of what is in the thing with an id that no object declares.
async fn by_id(
    engine: &Engine,
    connection: &Connection,
    entry: Entry,
    reference: &Reference,
    id: String,
) -> Result<Place> {
    let kinds = reference.kinds.iter().filter_map(|kind| engine.registry.find(kind));
    let kinds: Vec<Entry> = kinds.collect();
    let (Some(&kind), Some(root)) = (kinds.first(), engine.registry.root()) else {
        return Err(Error::NotConverged(NotConverged::Unreadable));
    };
    if kind == root {
        let place = Place::organization(id.as_str());
        let exists = exists(connection, kind, &Place::instance(), &id).await;
        return exists.map_err(|e| e.explained(entry, &place)).map(|()| place);
    }
    let organization = if connection.account.sight.instance {
        let found = live::owner(&connection.client, kind.events, &id).await;
        found.map_err(|source| Error::Zitadel { doing: Doing::AROUND, source })?
    } else {
        connection.account.sight.organizations.first().cloned()
    };
    let Some(organization) = organization else {
        return Err(Error::Waiting(Waiting::Remote { noun: kind.noun, id, is_new: false }));
    };
    let at = Place::organization(organization);
    let place = at.below(id.as_str());
    // An id does not say which of several kinds it is.
    let mut missing =
        Error::Waiting(Waiting::Remote { noun: kind.noun, id: id.clone(), is_new: false });
    for kind in kinds {
        match exists(connection, kind, &at, &id).await {
            Ok(()) => return Ok(place),
            Err(e @ Error::Waiting(_)) => missing = e,
            Err(e) => return Err(e.explained(entry, &place)),
        }
    }
    Err(missing.explained(entry, &place))
}

/// Finds the ids of what an object refers to besides what it is in.
struct Resolver<'a> {
    registry: &'static Registry,
    host: &'a dyn Host,
    object: &'a Object,
    instance: &'a Object,
    connection: &'a Connection,
    planned: &'a PlannedIds,
    /// The ids that names stand for.
    resolved: BTreeMap<String, String>,
    refers_to_planned: bool,
}

impl Resolver<'_> {
    async fn inputs(&mut self, entry: Entry) -> Result<Inputs> {
        let mut inputs = Inputs::default();
        for reference in entry.references.iter().filter(|r| r.role != Role::Parent) {
            let id = match reference.read(&self.object.spec, &self.object.key.namespace)? {
                None => continue,
                Some(Referent::Id(id)) => id,
                Some(Referent::Name(name)) => self.named(reference, name).await?,
                Some(Referent::Object(key)) => self.object(key)?,
            };
            inputs.insert(reference.field, id);
        }
        for reference in entry.reference_lists {
            for key in reference.read_all(&self.object.spec, &self.object.key.namespace)? {
                inputs.push(reference.field, self.listed(key).await?);
            }
        }
        Ok(inputs)
    }

    fn object(&mut self, key: Key) -> Result<String> {
        if let Some((_, id)) = self.planned.get(&key) {
            self.refers_to_planned = true;
            return Ok(id.clone());
        }
        let Some(referred) = self.host.object(&key) else {
            return Err(Error::Waiting(Waiting::Missing(key)));
        };
        Ok(bound(&referred, self.instance, self.connection)?.1)
    }

    /// One of several: what is new may not be found yet.
    async fn listed(&mut self, key: Key) -> Result<String> {
        let (planned, kind) = (self.planned.contains_key(&key), self.registry.find(key.kind));
        let (Some(kind), false) = (kind, planned) else { return self.object(key) };
        let Some(referred) = self.host.object(&key) else {
            return Err(Error::Waiting(Waiting::Missing(key)));
        };
        let (at, id) = bound(&referred, self.instance, self.connection)?;
        exists(self.connection, kind, &at, &id).await?;
        Ok(id)
    }

    /// Who has a name is asked once: later it may be somebody else's.
    async fn named(&mut self, reference: &Reference, name: String) -> Result<String> {
        let Some(by) = reference.by_name else {
            return Err(Error::NotConverged(NotConverged::Unreadable));
        };
        if let Some(id) = self.resolved.get(by.field) {
            return Ok(id.clone());
        }
        let found = (by.find)(&self.connection.client, &name).await;
        match &found.doing_other("look for what it refers to")?[..] {
            [id] => {
                self.resolved.insert(by.field.to_owned(), id.clone());
                Ok(id.clone())
            }
            several => {
                let (field, found) = (by.field, several.len());
                Err(Error::Waiting(Waiting::Name { field, name, found }))
            }
        }
    }
}
