//! The reconcile of one object, from what it says to what is said about it, and the engine that does it.

use std::{collections::HashMap, sync::Mutex};

use super::{
    Error, Key, Object,
    claims::{Claim, Claims, What},
    connection::Connections,
    deletion,
    host::Host,
    instance,
    job::Job,
    kind::{Entry, Shape, decode},
    outcome::{Outcome, backoff},
    plan::ToBeMade,
};
use crate::{
    api::{
        spec::Shared,
        status::{Ready, Reason, Verdict},
    },
    kinds,
    zitadel::{AddressPolicy, Client, Code, Config},
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
    failures: Mutex<HashMap<Key, u32>>,
    /// What the annotation that asks for a reconcile said when it was last acted on.
    asked: Mutex<HashMap<Key, String>>,
}

impl Engine {
    /// An engine that connects over sockets to what `addresses` allow.
    pub fn new(addresses: AddressPolicy) -> Self {
        Self {
            connections: Connections::default(),
            claims: Claims::default(),
            addresses,
            connect: Box::new(Client::new),
            failures: Mutex::default(),
            asked: Mutex::default(),
        }
    }

    pub(super) fn client(&self, config: Config) -> crate::zitadel::Result<Client> {
        (self.connect)(config)
    }

    /// Takes note of the bindings of objects that nobody has reconciled yet, so that a younger object can't take what an older one has.
    pub fn remember_claims(&self, object: &Object) {
        let (Some(instance), Some(entry)) = (object.status.instance_id.clone(), kinds::find(object.key.kind)) else { return };
        let organization = object.status.organization_id.clone();
        let what = match (entry.shape(), object.status.id.clone()) {
            (Shape::Entity { .. }, Some(id)) => What::Id(id),
            (Shape::Setting, _) => What::Setting,
            _ => return,
        };
        self.claims.set(object, vec![Claim { instance, kind: object.key.kind, organization, what }]);
    }

    /// Forgets an object that is gone. Gives those that claimed the same.
    pub fn forget(&self, key: &Key) -> Vec<Key> {
        self.failed(key, false);
        if let Ok(mut asked) = self.asked.lock() {
            asked.remove(key);
        }
        if key.kind == "Instance" {
            self.connections.remove(key);
        }
        self.claims.release(key)
    }

    /// Whether the annotation asks for a reconcile that was not done yet.
    fn is_asked(&self, object: &Object) -> bool {
        let (Some(now), Ok(mut asked)) = (object.asked_at(), self.asked.lock()) else { return false };
        asked.insert(object.key.clone(), now.into()).as_deref() != Some(now)
    }

    /// Counts failures in a row.
    pub(super) fn failed(&self, key: &Key, failed: bool) -> u32 {
        let Ok(mut failures) = self.failures.lock() else { return 0 };
        if !failed {
            failures.remove(key);
            return 0;
        }
        let n = failures.entry(key.clone()).or_default();
        *n = n.saturating_add(1);
        *n
    }
}

/// Brings an object and its remote side to agree, or says why not. Never fails: what goes wrong is in the outcome.
pub async fn reconcile(engine: &Engine, host: &dyn Host, object: &Object) -> Outcome {
    let mut outcome = Outcome::of(object);
    let Some(entry) = kinds::find(object.key.kind) else { return outcome };
    let suspended = object.spec.get("suspend").and_then(serde_json::Value::as_bool) == Some(true);
    if suspended && !(object.is_deleting && object.is_abandoned()) {
        let message = "spec.suspend is true: nothing is looked at, nothing is changed".into();
        outcome.wake = engine.claims.release(&object.key);
        outcome.details = Some(object.details.clone());
        outcome.conclude(object, &Verdict { ready: Ready::Unknown, reason: Reason::Suspended, message });
        return outcome;
    }
    if entry.shape() == Shape::Connection {
        return instance::reconcile(engine, host, object).await;
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
        deletion::reconcile(engine, host, entry, object, &shared, outcome).await
    } else {
        live(engine, host, entry, object, shared, outcome).await
    }
}

/// An object that is not being deleted.
async fn live(engine: &Engine, host: &dyn Host, entry: &'static dyn Entry, object: &Object, shared: Shared, outcome: Outcome) -> Outcome {
    let mut job = match Job::new(engine, host, entry, object, shared, outcome, &ToBeMade::new()).await {
        Ok(job) => job,
        Err((mut outcome, e)) => {
            if !keeps_what_was_seen(object, &e) {
                outcome.fail(engine, object, &e);
            }
            return *outcome;
        }
    };
    let resync = job.target.connection.resync;
    if engine.is_asked(object) {
        job.target.connection.live.doubt_scope(entry, &job.target.at);
    }
    let result = match job.plan().await {
        Ok(plan) if job.shared.observes() => {
            job.observe(plan);
            Ok(())
        }
        Ok(plan) => job.carry_out(plan).await,
        Err(e) if keeps_what_was_seen(object, &e) => {
            let Job { mut outcome, .. } = job;
            outcome.again = Some(backoff(engine.failed(&object.key, true)));
            return outcome;
        }
        Err(e) => Err(e),
    };
    let Job { mut outcome, .. } = job;
    match result {
        Ok(()) => {
            engine.failed(&object.key, false);
            outcome.again = Some(resync);
        }
        Err(e) => outcome.fail(engine, object, &e),
    }
    outcome
}

/// While ZITADEL, or the way to it, is down, an object that was seen as declared stays what it was: the Instance says the rest.
fn keeps_what_was_seen(object: &Object, e: &Error) -> bool {
    let down = match e {
        Error::NotConnected(_) => true,
        Error::Zitadel { source, .. } => source.is_transient() || source.code() == Some(Code::Unauthenticated),
        _ => return false,
    };
    down && object.status.is_ready() && object.status.observed_generation == Some(object.generation)
}
