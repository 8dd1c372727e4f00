//! The reconcile of one object, from what it says to what is said about it, and the engine that
//! does it.

use std::{sync::Arc, time::Duration};

use super::{
    Error, Key, Object,
    claims::{Claim, Claims, What},
    connection::Connections,
    deletion,
    host::Host,
    instance,
    job::Job,
    kind::{Entry, Shape, decode},
    memory::Memory,
    news::News,
    outcome::{Outcome, backoff},
    plan::ToBeMade,
};
use crate::{
    api::{
        spec::Shared,
        status::{Ready, Reason, Verdict},
    },
    kinds,
    zitadel::{AddressPolicy, Client, Code, Config, Requests},
};

/// Everything that outlives a single reconcile.
pub struct Engine {
    /// Connections by Instance.
    pub connections: Connections,
    /// Who declares what.
    pub claims: Claims,
    /// What may be connected to.
    pub addresses: AddressPolicy,
    /// Makes clients; other than [`Client::new`] only where ZITADEL runs in the same process.
    pub connect: Box<dyn Fn(Config) -> crate::zitadel::Result<Client> + Send + Sync>,
    /// How long a deletion waits for another object that declares the same thing: in Git a move to
    /// another namespace is a deletion and a creation, in either order.
    pub grace: Duration,
    /// What its clients count.
    pub requests: Arc<Requests>,
    pub(super) memory: Memory,
}

impl Engine {
    /// An engine that connects over sockets to what `addresses` allow.
    pub fn new(addresses: AddressPolicy) -> Self {
        Self {
            connections: Connections::default(),
            claims: Claims::default(),
            addresses,
            connect: Box::new(Client::new),
            grace: Duration::from_secs(10),
            requests: Arc::default(),
            memory: Memory::default(),
        }
    }

    /// The same with another [`grace`](Self::grace).
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    pub(super) fn client(&self, config: Config) -> crate::zitadel::Result<Client> {
        (self.connect)(Config { requests: self.requests.clone(), ..config })
    }

    /// Takes note of the bindings of objects that nobody has reconciled yet, so that a younger
    /// object can't take what an older one has.
    pub fn remember_claims(&self, object: &Object) {
        let (Some(instance), Some(entry)) =
            (object.status.instance_id.clone(), kinds::find(object.key.kind))
        else {
            return;
        };
        let shared: Shared = decode(&object.spec).unwrap_or_default();
        if shared.observes() || shared.is_suspended() || object.status.provenance.is_none() {
            return;
        }
        let claim = |what| Claim {
            instance: instance.clone(),
            kind: object.key.kind,
            organization: object.status.organization_id.clone(),
            what,
        };
        let claims = match (entry.shape(), object.status.id.clone()) {
            (Shape::Entity { natural_key, .. }, Some(id)) => {
                let declared = entry.desired(&object.spec, &object.key.name).unwrap_or_default();
                let name = declared.text(natural_key).map(|name| claim(What::name(name)));
                name.into_iter().chain([claim(What::Id(id))]).collect()
            }
            (Shape::Setting, _) => vec![claim(What::Setting)],
            _ => return,
        };
        self.claims.set(object, claims);
    }

    /// Forgets an object that is gone. Gives those that claimed the same.
    pub fn forget(&self, key: &Key) -> Vec<Key> {
        self.memory.forget(key);
        if key.kind == "Instance" {
            self.connections.remove(key);
        }
        self.claims.release(key)
    }

    /// Whether the annotation asks for a reconcile that was not done yet.
    pub(super) fn is_asked(&self, object: &Object) -> bool {
        object.asked_at().is_some_and(|now| self.memory.is_asked(&object.key, now))
    }
}

/// Brings an object and its remote side to agree, or says why not. Never fails: what goes wrong is
/// in the outcome.
///
/// The parts are in boxes, so that hundreds that wait take the room of the part that they are in,
/// not of the largest.
pub async fn reconcile(engine: &Engine, host: &dyn Host, object: &Object) -> Outcome {
    let heir =
        engine.memory.inherited(&object.key).map(|status| Object { status, ..object.clone() });
    let object = heir.as_ref().unwrap_or(object);
    let mut outcome = Outcome::of(object);
    if let Some(id) = heir.as_ref().and_then(|heir| heir.status.id.as_ref()) {
        outcome.note(
            News::HandedOver,
            format!("{id} is this object's from now on, as it is; nothing was deleted"),
        );
    }
    let Some(entry) = kinds::find(object.key.kind) else { return outcome };
    let suspended = object.spec.get("suspend").and_then(serde_json::Value::as_bool) == Some(true);
    if suspended && !(object.is_deleting && object.is_abandoned()) {
        let message = "spec.suspend is true: nothing is looked at, nothing is changed".into();
        outcome.wake = engine.claims.release(&object.key);
        outcome.details = Some(object.details.clone());
        outcome.conclude(
            object,
            &Verdict { ready: Ready::Unknown, reason: Reason::Suspended, message },
        );
        return outcome;
    }
    if entry.shape() == Shape::Connection {
        return Box::pin(instance::reconcile(engine, host, object)).await;
    }
    let shared: Shared = match decode(&object.spec) {
        Ok(shared) => shared,
        Err(e) if !object.is_deleting => {
            outcome.fail(engine, object, &e);
            return outcome;
        }
        Err(_) => Shared::default(),
    };
    if object.is_deleting {
        Box::pin(deletion::reconcile(engine, host, entry, object, &shared, outcome)).await
    } else {
        Box::pin(live(engine, host, entry, object, shared, outcome)).await
    }
}

/// An object that is not being deleted.
async fn live(
    engine: &Engine,
    host: &dyn Host,
    entry: &'static dyn Entry,
    object: &Object,
    shared: Shared,
    outcome: Outcome,
) -> Outcome {
    let mut job =
        match Job::new(engine, host, entry, object, shared, outcome, &ToBeMade::new()).await {
            Ok(job) => job,
            Err((mut outcome, e)) => {
                if !keeps_what_was_seen(object, &e) {
                    outcome.fail(engine, object, &e);
                }
                return *outcome;
            }
        };
    if engine.is_asked(object) {
        job.target.connection.live.doubt_scope(entry, &job.target.at);
    }
    let mut plan = job.plan().await;
    if matches!(plan, Err(Error::Lost(_))) {
        match job.heal().await {
            Ok(true) => plan = job.plan().await,
            Ok(false) => {}
            // It is reported as lost all the same, and tried again.
            Err(e) => {
                tracing::warn!(kind = object.key.kind, namespace = object.key.namespace, name = object.key.name, error = %e, "not made anew");
            }
        }
    }
    let result = match plan {
        Ok(plan) if job.shared.observes() => {
            job.observe(plan);
            Ok(())
        }
        Ok(plan) => job.carry_out(plan).await,
        Err(e) if keeps_what_was_seen(object, &e) => {
            let Job { mut outcome, .. } = job;
            outcome.again = Some(backoff(engine.memory.failed(&object.key)));
            return outcome;
        }
        Err(e) => Err(e),
    };
    let Job { mut outcome, .. } = job;
    match result {
        Ok(()) => {
            // Looked at again when something changes on either side, and with everything else of
            // its Instance.
            engine.memory.succeeded(&object.key);
        }
        Err(e) => outcome.fail(engine, object, &e),
    }
    outcome
}

/// While ZITADEL, or the way to it, is down, an object that was seen as declared stays what it was:
/// the Instance says the rest.
fn keeps_what_was_seen(object: &Object, e: &Error) -> bool {
    let down = match e {
        Error::NotConnected(_) => true,
        Error::Zitadel { source, .. } => {
            source.is_transient() || source.code() == Some(Code::Unauthenticated)
        }
        _ => return false,
    };
    down && object.status.is_ready() && object.status.observed_generation == Some(object.generation)
}
