//! The live side: what is known of a ZITADEL instance, and how fresh it is.
//!
//! Entities are listed, a scope at a time, and read by id where one or two are in doubt; settings
//! are read. What the event feed ([`feed`]) or an own write touches is in doubt until it is read
//! again. After an own write nothing older is believed.

pub mod feed;
pub mod remains;
mod scope;
mod writers;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::Mutex as AsyncMutex;

use feed::Touched;
pub use scope::Expectation;
use scope::Scope;
pub use writers::Turn;
use writers::Writers;

use crate::{
    engine::kind::{At, Entry, Remote, Shape, Version},
    kinds::instance::{FeedMode, FeedStatus},
    zitadel::Result,
};

/// Which scope of which kind: the organization's, or the instance's.
type ScopeKey = (&'static str, Option<String>);

/// The store of one instance.
pub struct Live {
    scopes: Mutex<HashMap<ScopeKey, Arc<Scope>>>,
    writers: Mutex<HashMap<&'static str, Arc<Writers>>>,
    /// Own writes that the feed has not shown yet, or shows again: dates, in ZITADEL's clock.
    own: Mutex<BTreeSet<(Timestamp, Touched)>>,
    feed: AsyncMutex<Option<feed::Feed>>,
    feed_status: Mutex<Option<FeedStatus>>,
    resync: Duration,
}

/// What is known of one thing.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// It is so; `None`: it is not there.
    Settled(Option<Box<Remote>>),
    /// What can be read is older than our own last write.
    Unsettled {
        /// How long already.
        age: Duration,
        /// Whether there is anything to be read.
        shows: bool,
    },
}

impl Live {
    /// An empty store; `resync`: the age at which a scope is listed anew whatever is believed of
    /// it.
    pub fn new(resync: Duration) -> Self {
        Self {
            scopes: Mutex::default(),
            writers: Mutex::default(),
            own: Mutex::default(),
            feed: AsyncMutex::default(),
            feed_status: Mutex::default(),
            resync,
        }
    }

    fn scope(&self, entry: &dyn Entry, at: &At) -> Arc<Scope> {
        let key = (entry.names().kind, at.organization.clone());
        lock(&self.scopes).entry(key).or_default().clone()
    }

    /// An entity by its id, or the setting (whose id is `""`). `confirm`: ask for it by id before
    /// saying that it is not there.
    pub async fn get(&self, entry: &dyn Entry, at: &At, id: &str, confirm: bool) -> Result<Seen> {
        let scope = self.scope(entry, at);
        scope.refresh(entry, at, id, self.resync, &self.writers(entry)).await?;
        if confirm && scope.is_absent(id) && entry.shape() != Shape::Setting {
            scope.read(entry, at, id).await?;
        }
        Ok(scope.seen(id))
    }

    /// Reads one thing now, whatever is believed of it.
    pub async fn look(&self, entry: &dyn Entry, at: &At, id: &str) -> Result<()> {
        self.scope(entry, at).read(entry, at, id).await
    }

    /// The entity of this scope that has this natural key, regardless of case.
    pub async fn find(
        &self,
        entry: &dyn Entry,
        at: &At,
        field: &str,
        value: &str,
    ) -> Result<Option<Remote>> {
        let scope = self.scope(entry, at);
        scope.refresh(entry, at, "", self.resync, &self.writers(entry)).await?;
        // What others have touched may have this name, or have lost it.
        for id in scope.edited_by_others() {
            scope.refresh(entry, at, &id, self.resync, &self.writers(entry)).await?;
        }
        Ok(scope.find(field, value))
    }

    /// Lists the scope and tells when something of it was changed last, as far as it shows.
    pub async fn newest(&self, entry: &dyn Entry, at: &At) -> Result<Option<Timestamp>> {
        let scope = self.scope(entry, at);
        scope.doubt_all();
        scope.refresh(entry, at, "", self.resync, &self.writers(entry)).await?;
        Ok(scope.newest())
    }

    /// An own write took place: until a read shows it, nothing older is believed.
    pub fn expect(&self, entry: &dyn Entry, at: &At, id: &str, expectation: Expectation) {
        if let Some(Version { changed, .. }) = expectation.version() {
            let thing = Touched {
                kind: entry.names().kind,
                organization: at.organization.clone(),
                id: id.into(),
            };
            lock(&self.own).insert((*changed, thing));
        }
        self.scope(entry, at).expect(id, expectation);
    }

    /// One thing is in doubt: it will be read again.
    pub fn doubt(&self, entry: &dyn Entry, at: &At, id: &str) {
        self.scope(entry, at).doubt(id);
    }

    /// Everything is in doubt.
    pub fn doubt_all(&self) {
        for scope in lock(&self.scopes).values() {
            scope.doubt_all();
        }
    }

    /// The whole scope is in doubt.
    pub fn doubt_scope(&self, entry: &dyn Entry, at: &At) {
        self.scope(entry, at).doubt_all();
    }

    /// Tells of everything that is known: kind, organization, thing.
    pub fn each(&self, mut tell: impl FnMut(&'static str, &Option<String>, &Remote)) {
        for ((kind, organization), scope) in lock(&self.scopes).iter() {
            scope.each(|remote| tell(kind, organization, remote));
        }
    }

    /// Who changed this thing last, if it was somebody else and nobody asked yet.
    pub fn take_editor(&self, entry: &dyn Entry, at: &At, id: &str) -> Option<String> {
        self.scope(entry, at).take_editor(id)
    }

    /// Writes of one kind go one after the other: with concurrent ones a projection of ZITADEL can
    /// skip an event for good.
    pub async fn writer(&self, entry: &dyn Entry) -> Turn {
        self.writers(entry).turn().await
    }

    fn writers(&self, entry: &dyn Entry) -> Arc<Writers> {
        lock(&self.writers).entry(entry.names().kind).or_default().clone()
    }

    /// How changes are found, as far as that was tried.
    pub fn feed_status(&self) -> Option<FeedStatus> {
        lock(&self.feed_status).clone()
    }

    /// Keeps how changes are found. Gives whether that is new.
    pub fn set_feed_status(&self, result: &Result<()>) -> bool {
        let status = match result {
            Ok(()) => FeedStatus { mode: FeedMode::Following, reason: None },
            Err(e) => FeedStatus { mode: FeedMode::Polling, reason: Some(e.to_string()) },
        };
        lock(&self.feed_status).replace(status.clone()) != Some(status)
    }

    fn is_own(&self, date: Timestamp, thing: &Touched) -> bool {
        lock(&self.own).contains(&(date, thing.clone()))
    }

    /// Forgets own writes of before.
    fn forget_own(&self, before: Timestamp) {
        let mut own = lock(&self.own);
        while own.first().is_some_and(|(date, _)| *date < before) {
            own.pop_first();
        }
    }
}

/// A poisoned lock only tells that a thread panicked elsewhere; the data are plain maps.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
