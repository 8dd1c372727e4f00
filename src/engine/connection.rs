//! The connections to instances, and what outlives them: a new token does not forget what is known.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::Key;
use crate::{kinds::instance::Account, live::Live, zitadel::Client};

/// A connection to an instance that was seen to work.
pub struct Connection {
    /// The client.
    pub client: Client,
    /// ZITADEL's own id of the instance.
    pub instance_id: String,
    /// Version of the server, where it tells.
    pub version: Option<String>,
    /// The account we act as.
    pub account: Account,
    /// What is known of the instance.
    pub live: Arc<Live>,
    /// Hash of everything that the client was made of.
    pub fingerprint: u64,
    /// How often the feed is asked.
    pub poll: Duration,
    /// How often all is listed anew.
    pub resync: Duration,
    /// When the instance last said that it is this one; locked while it is asked.
    pub checked: tokio::sync::Mutex<Instant>,
}

/// The connections by Instance.
#[derive(Default)]
pub struct Connections(Mutex<HashMap<Key, Arc<Connection>>>);

impl Connections {
    /// The connection of an Instance, if it ever worked.
    pub fn get(&self, instance: &Key) -> Option<Arc<Connection>> {
        self.lock().get(instance).cloned()
    }

    /// All of them.
    pub fn all(&self) -> Vec<(Key, Arc<Connection>)> {
        self.lock().iter().map(|(k, c)| (k.clone(), c.clone())).collect()
    }

    /// Keeps the connection of an Instance; also under a second one that means the same.
    pub fn put(&self, instance: Key, connection: Arc<Connection>) {
        self.lock().insert(instance, connection);
    }

    /// Forgets a connection under all its names.
    pub(super) fn drop_all(&self, connection: &Arc<Connection>) {
        self.lock().retain(|_, c| !Arc::ptr_eq(c, connection));
    }

    pub(super) fn remove(&self, instance: &Key) {
        self.lock().remove(instance);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<Connection>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
