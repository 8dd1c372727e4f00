//! A connection to an instance that was seen to work, and what outlives it: a new token does not
//! forget what is known.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{sync::Mutex as AsyncMutex, time::Instant};

use super::{
    feed::{Changes, Feed, ReportEditors},
    lock::lock,
    permissions::{Permitted, TRUST},
    store::{Absence, Observation, Store},
};
use crate::{
    api::instance::FeedStatus,
    contract::{
        Access, ConnectionSpec, Entry, Key, Leaving, NaturalKey, Place, Registry, Remote, Subject,
    },
    zitadel::{
        Client, Result,
        identity::{AccountIdentity, IdentityError, Sight, fetch_account, fetch_instance},
    },
};

/// How long a failure of that is not tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What is known of an instance, and how its changes are found.
pub struct Informer {
    pub(super) store: Store,
    pub(super) feed: Feed,
}

impl Informer {
    /// Nothing is known yet. `resync`: the age at which everything is listed again; `editors`: how
    /// those are named who changed something.
    pub fn new(registry: &'static Registry, resync: Duration, editors: ReportEditors) -> Self {
        Self { store: Store::new(registry, resync), feed: Feed::new(registry, editors) }
    }

    /// Starts to follow the event feed, or finds out why that is not possible.
    pub async fn start(&self, client: &Client) {
        let started = self.feed.start(client).await;
        self.feed.set_status(&started);
    }
}

/// A connection to an instance that was seen to work.
pub struct Connection {
    /// The client.
    pub client: Client,
    /// ZITADEL's own id of the instance.
    pub instance_id: String,
    /// Version of the server, where it tells.
    pub version: Option<String>,
    /// The account that acts.
    pub account: Arc<AccountIdentity>,
    leaving: Arc<Leaving>,
    /// What is known of the instance.
    pub informer: Arc<Informer>,
    /// Hash of everything that the client was made of.
    pub fingerprint: u64,
    /// The spec that it follows from.
    pub spec: ConnectionSpec,
    /// When the instance last said that it is this one, or could not be asked.
    verified: AsyncMutex<Checked<()>>,
    /// When it was last asked what the account may see.
    sight: AsyncMutex<Checked<Sight>>,
    /// What the account is permitted.
    permitted: Permitted,
}

/// The last answer to a question, and when it came.
struct Checked<T> {
    at: Instant,
    answer: std::result::Result<T, VerifyError>,
}

impl<T> Checked<T> {
    fn is_old(&self, now: Instant) -> bool {
        let trust = match &self.answer {
            Ok(_) => TRUST,
            // The client knows best for how long.
            Err(VerifyError::Identity(IdentityError::Zitadel(e))) if e.is_down() => return true,
            Err(_) => RETRY,
        };
        self.at + trust < now
    }
}

/// Why nothing may be written by a connection.
#[derive(Debug, Clone, thiserror::Error)]
pub enum VerifyError {
    /// The instance could not be asked.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Another instance answers behind the same address.
    #[error("the instance was {known} and is {found}")]
    Changed {
        /// The id that it had.
        known: String,
        /// The id that it has.
        found: String,
    },
}

/// What a connection is made of.
pub struct Parts {
    /// See [`Connection`].
    pub client: Client,
    /// See [`Connection`].
    pub instance_id: String,
    /// See [`Connection`].
    pub version: Option<String>,
    /// See [`Connection`].
    pub account: AccountIdentity,
    /// See [`Connection`].
    pub informer: Arc<Informer>,
    /// See [`Connection`].
    pub fingerprint: u64,
    /// See [`Connection`].
    pub spec: ConnectionSpec,
}

impl Connection {
    /// A connection whose instance and account were just identified.
    pub fn new(parts: Parts) -> Self {
        let at = Instant::now();
        let sight = parts.account.sight.clone();
        Self {
            client: parts.client,
            instance_id: parts.instance_id,
            version: parts.version,
            account: Arc::new(parts.account),
            leaving: Arc::default(),
            informer: parts.informer,
            fingerprint: parts.fingerprint,
            spec: parts.spec,
            verified: AsyncMutex::new(Checked { at, answer: Ok(()) }),
            sight: AsyncMutex::new(Checked { at, answer: Ok(sight) }),
            permitted: Permitted::default(),
        }
    }

    /// The access to a place.
    pub fn access(&self, place: Place) -> Access {
        Access { client: self.client.clone(), account: self.account.clone(), leaving: None, place }
    }

    /// The same for what is about to be done there.
    pub fn acting(&self, place: Place) -> Access {
        Access { leaving: Some(self.leaving.clone()), ..self.access(place) }
    }

    /// Makes sure that it is still the instance that it was: the same address may lead to another
    /// one by now, in which everything would look as if it had been deleted.
    pub async fn verify_instance(&self) -> std::result::Result<(), VerifyError> {
        let now = Instant::now();
        let mut checked = self.verified.lock().await;
        if checked.is_old(now) {
            *checked = self.ask().await;
        }
        checked.answer.clone()
    }

    /// Whether the instance answers now: asked after `since`, by whoever asks first.
    pub async fn answers_since(&self, since: Instant) -> bool {
        let mut checked = self.verified.lock().await;
        if checked.at < since {
            *checked = self.ask().await;
        }
        checked.answer.is_ok()
    }

    /// Whether it was identified a moment ago, and is not known to be down since.
    pub async fn is_fresh(&self) -> bool {
        let checked = self.verified.lock().await;
        !self.client.is_down() && checked.answer.is_ok() && checked.at.elapsed() < TRUST
    }

    /// The instance and the account were just identified.
    pub async fn confirm(&self) {
        let at = Instant::now();
        *self.verified.lock().await = Checked { at, answer: Ok(()) };
        let answer = Ok(self.account.sight.clone());
        *self.sight.lock().await = Checked { at, answer };
    }

    async fn ask(&self) -> Checked<()> {
        let answer = match fetch_instance(&self.client).await {
            Ok(found) if found.id == self.instance_id => Ok(()),
            Ok(found) => {
                Err(VerifyError::Changed { known: self.instance_id.clone(), found: found.id })
            }
            Err(e) => Err(e.into()),
        };
        Checked { at: Instant::now(), answer }
    }

    /// Whether the account has a role, right now, by which it would see what is at this place: only
    /// then what it does not see does not exist.
    pub async fn can_see(&self, place: &Place) -> std::result::Result<bool, VerifyError> {
        let mut sight = self.sight.lock().await;
        if sight.is_old(Instant::now()) {
            let answer = fetch_account(&self.client).await.map(|a| a.sight);
            *sight = Checked { at: Instant::now(), answer: answer.map_err(VerifyError::from) };
        }
        let sight = sight.answer.clone()?;
        Ok(sight.covers(place.organization.as_deref()))
    }

    /// The permissions that the account would need, and does not have, to see all things of a kind
    /// at a place: none where ZITADEL itself refuses to list them. Told no longer than `age` ago.
    pub async fn lacks(
        &self,
        entry: Entry,
        place: &Place,
        age: Duration,
    ) -> std::result::Result<Vec<&'static str>, VerifyError> {
        Ok(self.permitted.lacks(&self.client, entry, place, age).await?)
    }

    /// What is known of a thing, once it is known as well as it can be.
    pub async fn observe(
        &self,
        entry: Entry,
        place: &Place,
        subject: &Subject,
        absence: Absence,
    ) -> Result<Observation> {
        let Informer { store, feed } = &*self.informer;
        feed.serve(&self.client, entry).await;
        feed.learn(&self.client, store, entry, place).await;
        let access = self.access(place.clone());
        store.observe(entry, &access, subject, absence).await
    }

    /// Everything that the list of this place covers and that has this natural key, regardless of
    /// case.
    pub async fn find(
        &self,
        entry: Entry,
        place: &Place,
        natural_key: NaturalKey,
        value: &str,
    ) -> Result<Vec<Remote>> {
        self.informer.feed.serve(&self.client, entry).await;
        self.informer.store.find(entry, &self.access(place.clone()), natural_key, value).await
    }

    /// Lists the collection and tells when something of it was changed last, as far as it shows.
    pub async fn newest_change(&self, entry: Entry, place: &Place) -> Result<Option<Timestamp>> {
        self.informer.store.newest_change(entry, &self.access(place.clone())).await
    }

    /// One thing is stale: it will be read again.
    pub fn invalidate(&self, entry: Entry, place: &Place, subject: &Subject) {
        self.informer.store.invalidate(entry, place, subject);
    }

    /// What a read shows is what a call of ours did, whose answer did not say when.
    pub fn remember_own(&self, entry: Entry, remote: &Remote) {
        if let Some(version) = &remote.version {
            let store = &self.informer.store;
            store.remember_own(entry, &remote.place, &remote.subject, version.changed);
        }
    }

    /// All that one list covers is stale.
    pub fn invalidate_collection(&self, entry: Entry, place: &Place) {
        self.informer.store.invalidate_collection(entry, place);
    }

    /// Everything is stale.
    pub fn invalidate_all(&self) {
        self.informer.store.invalidate_all();
    }

    /// Visits everything that is known: the kind, and the thing.
    pub fn each(&self, visit: impl FnMut(&'static str, &Remote)) {
        self.informer.store.each(visit);
    }

    /// Who changed this thing last, if it was somebody else and nobody asked yet. Where the change
    /// was read before its event was, the feed is asked.
    pub async fn take_editor(
        &self,
        entry: Entry,
        place: &Place,
        subject: &Subject,
    ) -> Option<String> {
        let Informer { store, feed } = &*self.informer;
        if feed.is_followed() && !store.knows_editor(entry, place, subject) {
            feed.catch_up(&self.client, &self.account.id, store).await;
        }
        store.take_editor(entry, place, subject)
    }

    /// Who gave this thing another secret since ours, as far as the feed told.
    pub fn secret_editor(
        &self,
        entry: Entry,
        place: &Place,
        subject: &Subject,
        secret: &'static str,
    ) -> Option<String> {
        self.informer.store.secret_editor(entry, place, subject, secret)
    }

    /// What others did to this secret was taken note of.
    pub fn forget_secret_editor(
        &self,
        entry: Entry,
        place: &Place,
        subject: &Subject,
        secret: &'static str,
    ) {
        self.informer.store.secret_sent(entry, place, subject, secret);
    }

    /// Asks the event feed what others changed.
    pub async fn poll_feed(&self) -> Result<Changes> {
        self.informer.feed.poll(&self.client, &self.account.id, &self.informer.store).await
    }

    /// How changes are found, as far as that was tried.
    pub fn feed_status(&self) -> Option<FeedStatus> {
        self.informer.feed.status()
    }

    /// Keeps how changes are found. Returns whether that is new.
    pub fn set_feed_status<T>(&self, result: &Result<T>) -> bool {
        self.informer.feed.set_status(result)
    }
}

/// The connections by Instance object.
#[derive(Default)]
pub struct Connections(Mutex<Tables>);

#[derive(Default)]
struct Tables {
    active: HashMap<Key, Arc<Connection>>,
    /// Those whose Secret is gone: for deletions that are under way with their Instance.
    retired: HashMap<Key, Arc<Connection>>,
}

impl Connections {
    /// The connection of an Instance, if it may be used.
    pub fn get(&self, instance: &Key) -> Option<Arc<Connection>> {
        lock(&self.0).active.get(instance).cloned()
    }

    /// The connection of an Instance whose Secret is gone, as it was last seen.
    pub fn retired(&self, instance: &Key) -> Option<Arc<Connection>> {
        lock(&self.0).retired.get(instance).cloned()
    }

    /// All that may be used.
    pub fn all(&self) -> Vec<(Key, Arc<Connection>)> {
        lock(&self.0).active.iter().map(|(k, c)| (k.clone(), c.clone())).collect()
    }

    /// Keeps the connection of an Instance.
    pub fn insert(&self, instance: Key, connection: Arc<Connection>) {
        let mut tables = lock(&self.0);
        tables.retired.remove(&instance);
        tables.active.insert(instance, connection);
    }

    /// A connection is not to be used any more, by whatever Instance it goes.
    pub fn remove_connection(&self, connection: &Arc<Connection>) {
        let mut tables = lock(&self.0);
        tables.active.retain(|_, c| !Arc::ptr_eq(c, connection));
        tables.retired.retain(|_, c| !Arc::ptr_eq(c, connection));
    }

    /// The connection of an Instance is not to be used any more.
    pub fn remove(&self, instance: &Key) {
        let mut tables = lock(&self.0);
        tables.active.remove(instance);
        tables.retired.remove(instance);
    }

    /// The Secret of an Instance is gone: its connection may be used for deletions only.
    pub fn retire(&self, instance: &Key) {
        let mut tables = lock(&self.0);
        if let Some(connection) = tables.active.remove(instance) {
            tables.retired.insert(instance.clone(), connection);
        }
    }
}
