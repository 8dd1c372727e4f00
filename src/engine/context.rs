//! Everything that outlives a single reconcile.

use std::{sync::Arc, time::Duration};

use super::{
    binding::{self, Binding},
    consent::Consents,
    host::Host,
    memory::Memory,
    ownership::{Claim, Claims, Thing},
};
use crate::{
    api::spec::{is_suspended, only_observes},
    contract::{Entry, Fields, Inputs, Key, Object, Place, Registry},
    live::{Connections, ReportEditors},
    zitadel::{self, AddressPolicy, Client, Config, Fence, Requests},
};

/// The engine: the kinds, the connections, and what is remembered of objects.
pub struct Engine {
    /// All kinds.
    pub registry: &'static Registry,
    /// Connections by Instance.
    pub connections: Connections,
    /// Who declares what.
    pub claims: Claims,
    /// What may be connected to.
    pub addresses: AddressPolicy,
    /// Makes clients; other than [`Client::new`] only where ZITADEL runs in the same process.
    pub connect: Box<dyn Fn(Config) -> zitadel::Result<Client> + Send + Sync>,
    /// How long a deletion waits for another object that declares the same thing: in Git a move to
    /// another namespace is a deletion and a creation, in either order.
    pub deletion_pause: Duration,
    /// How long a Secret may be away before it counts as gone: tools move and restore it.
    pub secret_pause: Duration,
    /// How those are named who changed something.
    pub editors: ReportEditors,
    /// What its clients count.
    pub requests: Arc<Requests>,
    /// Until when anything may be written.
    pub fence: Fence,
    pub(super) memory: Memory,
}

impl Engine {
    /// An engine that connects over sockets to what `addresses` allow.
    pub fn new(registry: &'static Registry, addresses: AddressPolicy) -> Self {
        Self {
            registry,
            connections: Connections::default(),
            claims: Claims::default(),
            addresses,
            connect: Box::new(Client::new),
            deletion_pause: Duration::from_secs(10),
            secret_pause: Duration::from_secs(10),
            editors: ReportEditors::default(),
            requests: Arc::default(),
            fence: Fence::default(),
            memory: Memory::default(),
        }
    }

    /// The same with other pauses before something ends:
    /// [`deletion_pause`](Self::deletion_pause), [`secret_pause`](Self::secret_pause).
    #[must_use]
    pub fn with_pauses(mut self, pause: Duration) -> Self {
        self.deletion_pause = pause;
        self.secret_pause = pause;
        self
    }

    pub(super) fn client(&self, config: Config) -> zitadel::Result<Client> {
        let (requests, fence) = (self.requests.clone(), self.fence.clone());
        (self.connect)(Config { requests, fence, ..config })
    }

    pub(super) fn consents<'a>(&self, host: &'a dyn Host) -> Consents<'a> {
        Consents { registry: self.registry, host }
    }

    /// Takes note of the bindings of objects that nobody has reconciled yet, so that a younger
    /// object can't take what an older one has.
    pub fn remember_claims(&self, host: &dyn Host, object: &Object) {
        if only_observes(&object.spec) || is_suspended(&object.spec) {
            return;
        }
        let claims = self.claims_of_binding(host, object);
        if !claims.is_empty() {
            self.claims.set(object, claims);
        }
    }

    /// What an object claims by its binding, whatever its references say by now.
    pub(super) fn claims_of_binding(&self, host: &dyn Host, object: &Object) -> Vec<Claim> {
        let (Some(binding), Some(entry)) =
            (Binding::of(&object.status), self.registry.find(object.key.kind))
        else {
            return Vec::new();
        };
        let instance = Key {
            kind: self.registry.connection().description().kind,
            namespace: binding.instance.namespace,
            name: binding.instance.name,
        };
        let domain = self.consents(host).domain(&instance);
        // Of what only connects others the id has to do: those are not resolved here.
        let declared = entry.desired(&object.spec, &object.key.name, &Inputs::default());
        let declared = declared.unwrap_or_default();
        let things = Self::things(entry, &declared, &binding.place, Some(&binding.id));
        things
            .into_iter()
            .map(|thing| Claim { domain: domain.clone(), kind: entry.kind(), thing })
            .collect()
    }

    /// What an object claims of ZITADEL that declares this at `place` and has `id` there, or will
    /// have it: whoever wants the same name is in the way of both.
    pub(super) fn things(
        entry: Entry,
        declared: &Fields,
        place: &Place,
        id: Option<&str>,
    ) -> Vec<Thing> {
        let Some(entity) = entry.as_entity() else {
            return vec![Thing::Setting { place: place.clone() }];
        };
        let by_id = id.map(|id| Thing::with_id(entity.id, place, id));
        let name = entity.natural_key.of(declared).map(|name| {
            // Things of several forms are told apart by that too.
            let form = entry.form(declared).map(|form| format!("{form}/"));
            Thing::name(place, &format!("{}{name}", form.unwrap_or_default()))
        });
        let is_it = |(field, value): &(&str, &str)| declared.says(field, value);
        let only_one =
            entity.only_one.filter(is_it).map(|_| Thing::OnlyOne { place: place.clone() });
        by_id.into_iter().chain(name).chain(only_one).collect()
    }

    /// Objects that have to be looked at after an event of this Instance.
    pub fn concerned(
        &self,
        host: &dyn Host,
        instance: &Key,
        touched: &crate::live::Touched,
    ) -> Vec<Key> {
        let domain = self.consents(host).domain(instance);
        self.claims.concerned(&domain, touched)
    }

    /// Forgets an object that is gone. Returns those that claimed the same.
    pub fn forget(&self, key: &Key) -> Vec<Key> {
        self.memory.forget(key);
        self.connections.remove(key);
        self.claims.release(key)
    }

    /// Forgets what was found out about an object that another operator looks after from now on.
    /// What it has, others still can't have.
    pub fn hand_over(&self, key: &Key) {
        self.memory.forget(key);
        self.connections.remove(key);
    }

    /// Whether the annotation asks for a reconcile that was not done yet.
    pub(super) fn is_asked(&self, object: &Object) -> bool {
        object.asked_at().is_some_and(|now| self.memory.is_asked(&object.key, now))
    }

    /// Where an object is, as its status says.
    pub fn place_of(object: &Object) -> Place {
        binding::place(&object.status)
    }
}
