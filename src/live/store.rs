//! What is known of an instance, and how fresh it is.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use super::{
    collection::{Collection, Known, unreadable},
    lock::lock,
    pending::PendingWrite,
    permits::{Turn, WritePermit},
};
use crate::{
    contract::{Access, Entry, Issued, NaturalKey, Place, Registry, Remote, Subject, Version},
    zitadel::Result,
};

/// How long own writes are remembered that the feed has not shown yet.
const OWN_WRITES: SignedDuration = SignedDuration::from_mins(5);

/// Which collection: of a kind, at a place.
type CollectionKey = (&'static str, Place);

/// What is known of one instance.
pub(super) struct Store {
    pub(super) registry: &'static Registry,
    collections: Mutex<HashMap<CollectionKey, Arc<Collection>>>,
    turns: Mutex<HashMap<&'static str, Turn>>,
    /// Own writes that the feed has not shown yet, or shows again: dates, by ZITADEL's clock.
    own: Mutex<BTreeSet<(Timestamp, Touched)>>,
    resync: Duration,
}

/// What is known of one thing.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// It is so; `None`: it does not exist.
    Current(Option<Box<Remote>>),
    /// What can be read is older than our own last write.
    Pending {
        /// Age of that write.
        age: Duration,
        /// Whether there is anything to be read.
        shows: bool,
    },
}

/// When a thing that no list shows is taken for absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// At once: a wrong answer only costs a call.
    AsListed,
    /// After it was asked for by its id: pages shift while others write.
    Confirmed,
}

/// A thing that an event touched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Touched {
    /// Its kind.
    pub kind: &'static str,
    /// Where it is.
    pub place: Place,
    /// Which it is; `None`: anything at the place.
    pub subject: Option<Subject>,
}

impl Store {
    /// An empty store. `resync`: the age at which a collection is listed again whatever is believed
    /// of it.
    pub(super) fn new(registry: &'static Registry, resync: Duration) -> Self {
        Self {
            registry,
            collections: Mutex::default(),
            turns: Mutex::default(),
            own: Mutex::default(),
            resync,
        }
    }

    fn collection(&self, entry: Entry, place: &Place) -> Arc<Collection> {
        let key = key(entry, place);
        let listed = key.1.clone();
        let mut collections = lock(&self.collections);
        collections.entry(key).or_insert_with(|| Arc::new(Collection::new(listed))).clone()
    }

    /// What is known of a thing, once it is known as well as it can be.
    pub(super) async fn observe(
        &self,
        entry: Entry,
        access: &Access,
        subject: &Subject,
        absence: Absence,
    ) -> Result<Observation> {
        let collection = self.collection(entry, &access.place);
        collection.refresh(entry, access, Some(subject), self.resync).await?;
        let is_absent = !entry.is_setting() && collection.is_absent(subject);
        if is_absent && absence == Absence::Confirmed {
            collection.refetch(entry, access, subject).await?;
        }
        self.peek(entry, &access.place, subject)
    }

    /// What is known of a thing, however stale.
    pub(super) fn peek(
        &self,
        entry: Entry,
        place: &Place,
        subject: &Subject,
    ) -> Result<Observation> {
        match self.collection(entry, place).known(subject) {
            Known::Read(remote) => Ok(Observation::Current(remote)),
            Known::Older { age, shows } => Ok(Observation::Pending { age, shows }),
            Known::Unreadable => Err(unreadable(entry)),
        }
    }

    /// Reads one thing now, whatever is believed of it. Never waits for other writes.
    pub(super) async fn refetch(
        &self,
        entry: Entry,
        access: &Access,
        subject: &Subject,
    ) -> Result<()> {
        self.collection(entry, &access.place).refetch(entry, access, subject).await
    }

    /// Everything that one list covers and that has this natural key, regardless of case.
    pub(super) async fn find(
        &self,
        entry: Entry,
        access: &Access,
        natural_key: NaturalKey,
        value: &str,
    ) -> Result<Vec<Remote>> {
        let collection = self.collection(entry, &access.place);
        collection.refresh(entry, access, None, self.resync).await?;
        // What others have touched may have this name, or have lost it.
        for subject in collection.edited_by_others() {
            collection.refresh(entry, access, Some(&subject), self.resync).await?;
        }
        Ok(collection.find(natural_key, value))
    }

    /// Lists the collection and tells when something of it was changed last, as far as it shows.
    pub(super) async fn newest_change(
        &self,
        entry: Entry,
        access: &Access,
    ) -> Result<Option<Timestamp>> {
        let collection = self.collection(entry, &access.place);
        collection.invalidate_all();
        collection.refresh(entry, access, None, self.resync).await?;
        Ok(collection.newest_change())
    }

    /// We have just created a thing: what is empty by then need not be listed. Only while nothing
    /// that others put into it from now on is missed.
    pub(super) fn created(
        &self,
        entry: Entry,
        place: &Place,
        id: &str,
        is_followed: impl Fn(Entry) -> bool,
    ) {
        let is_empty = |inner: &Entry| {
            inner.as_entity().is_some_and(|entity| entity.starts_empty)
                && inner.parents().any(|parent| parent.kinds.contains(&entry.kind()))
        };
        for inner in self.registry.all().filter(is_empty).filter(|inner| is_followed(*inner)) {
            self.collection(inner, &place.below(id)).begin_empty();
        }
    }

    /// Whether something is known of all that one list covers.
    pub(super) fn is_listed(&self, entry: Entry, place: &Place) -> bool {
        let collections = lock(&self.collections);
        collections.get(&key(entry, place)).is_some_and(|collection| collection.is_listed())
    }

    /// Takes what events tell of things, wherever nothing was listed yet.
    pub(super) fn learn(&self, entry: Entry, things: Vec<Remote>) {
        let mut by_place: HashMap<Place, Vec<Remote>> = HashMap::new();
        for thing in things {
            by_place.entry(thing.place.clone()).or_default().push(thing);
        }
        for (place, things) in by_place {
            self.collection(entry, &place).learn(things);
        }
    }

    /// An own write took place: until a read shows it, nothing older is believed.
    pub(super) fn expect(
        &self,
        entry: Entry,
        place: &Place,
        subject: &Subject,
        write: PendingWrite,
    ) {
        if let Some(Version { changed, .. }) = write.version() {
            self.remember_own(entry, place, subject, *changed);
        }
        self.collection(entry, place).expect(subject, write);
    }

    /// A call of ours took effect at this time, by ZITADEL's clock.
    pub(super) fn remember_own(
        &self,
        entry: Entry,
        place: &Place,
        subject: &Subject,
        changed: Timestamp,
    ) {
        // An event may tell less of the place than the call did.
        let touched = Touched {
            kind: entry.kind(),
            place: listed_at(entry, place),
            subject: Some(subject.clone()),
        };
        let mut own = lock(&self.own);
        own.insert((changed, touched));
        if let Ok(before) = changed.checked_sub(OWN_WRITES) {
            forget(&mut own, before);
        }
    }

    /// We gave a thing another secret, or tried to: whatever others did before does not count any
    /// more.
    pub(super) fn secret_issued(
        &self,
        entry: Entry,
        place: &Place,
        subject: &Subject,
        issued: Option<&Issued>,
    ) {
        if let Some(Version { changed, .. }) = issued.and_then(|i| i.version.as_ref()) {
            self.remember_own(entry, place, subject, *changed);
        }
        let collection = self.collection(entry, place);
        if let Some(issues) = entry.as_entity().and_then(|e| e.issues) {
            collection.forget_secret_editor(subject, issues.value);
        }
        collection.invalidate(subject);
    }

    /// We sent a thing this secret: whatever others set before does not count any more.
    pub(super) fn secret_sent(
        &self,
        entry: Entry,
        place: &Place,
        subject: &Subject,
        secret: &'static str,
    ) {
        self.collection(entry, place).forget_secret_editor(subject, secret);
    }

    /// What was known to have, at a place, what only one thing can have, when something took place:
    /// what was read later shows it already.
    pub(super) fn only_one(&self, entry: Entry, place: &Place, date: Timestamp) -> Vec<Subject> {
        let only_one = entry.as_entity().and_then(|e| e.only_one);
        let known = |(field, value)| self.collection(entry, place).known_with(field, value, date);
        only_one.map(known).unwrap_or_default()
    }

    /// Somebody else gave a thing another secret, or all at a place. Returns which.
    pub(super) fn secret_changed(
        &self,
        touched: &Touched,
        secret: &'static str,
        by: &str,
    ) -> Vec<Touched> {
        let Some(entry) = self.registry.find(touched.kind) else { return Vec::new() };
        let collection = self.collection(entry, &touched.place);
        let subjects = match &touched.subject {
            Some(subject) => vec![subject.clone()],
            None => collection.known_at(&touched.place),
        };
        for subject in &subjects {
            collection.set_secret_editor(subject, secret, by);
        }
        let of = |subject| Touched { subject: Some(subject), ..touched.clone() };
        subjects.into_iter().map(of).collect()
    }

    /// Who gave a thing another secret since ours.
    pub(super) fn secret_editor(
        &self,
        entry: Entry,
        place: &Place,
        subject: &Subject,
        secret: &'static str,
    ) -> Option<String> {
        self.collection(entry, place).secret_editor(subject, secret)
    }

    /// One thing is stale: it will be read again.
    pub(super) fn invalidate(&self, entry: Entry, place: &Place, subject: &Subject) {
        self.collection(entry, place).invalidate(subject);
    }

    /// All that one list covers is stale.
    pub(super) fn invalidate_collection(&self, entry: Entry, place: &Place) {
        self.collection(entry, place).invalidate_all();
    }

    /// Everything is stale.
    pub(super) fn invalidate_all(&self) {
        for collection in lock(&self.collections).values() {
            collection.invalidate_all();
        }
    }

    /// Everything of these kinds is stale.
    pub(super) fn invalidate_kinds(&self, is_meant: impl Fn(&str) -> bool) {
        for ((kind, _), collection) in lock(&self.collections).iter() {
            if is_meant(kind) {
                collection.invalidate_all();
            }
        }
    }

    /// The places of which something of a kind was asked for.
    pub(super) fn places(&self, kind: &str) -> Vec<Place> {
        let collections = lock(&self.collections);
        collections.keys().filter(|(k, _)| *k == kind).map(|(_, place)| place.clone()).collect()
    }

    /// Somebody else touched a thing. What was never read needs no mark.
    pub(super) fn edited(&self, touched: &Touched, by: &str, date: Timestamp) {
        self.mark(touched, |collection, subject| collection.edited(subject, by, date));
    }

    /// Whether what was read of a thing is as new as this.
    pub(super) fn shows(&self, touched: &Touched, date: Timestamp) -> bool {
        let Some(entry) = self.registry.find(touched.kind) else { return false };
        let collections = lock(&self.collections);
        let collection = collections.get(&key(entry, &touched.place));
        let subject = touched.subject.as_ref();
        collection.zip(subject).is_some_and(|(collection, subject)| collection.shows(subject, date))
    }

    /// What was read of a thing may be older than what was done to it.
    pub(super) fn look_again(&self, touched: &Touched) {
        self.mark(touched, Collection::invalidate);
    }

    fn mark(&self, touched: &Touched, mark: impl FnOnce(&Collection, &Subject)) {
        let Some(entry) = self.registry.find(touched.kind) else { return };
        let collections = lock(&self.collections);
        let Some(collection) = collections.get(&key(entry, &touched.place)) else { return };
        match &touched.subject {
            Some(subject) => mark(collection, subject),
            None => collection.invalidate_all(),
        }
    }

    /// Forgets what was below a thing that was removed: there are no events for that. Returns what
    /// it was.
    pub(super) fn forget_below(&self, id: &str) -> Vec<Touched> {
        let mut collections = lock(&self.collections);
        let is_below = |(_, place): &CollectionKey| place.is_within(id);
        let gone: Vec<CollectionKey> =
            collections.keys().filter(|key| is_below(key)).cloned().collect();
        let mut touched = Vec::new();
        for key in gone {
            let Some(collection) = collections.remove(&key) else { continue };
            let (kind, place) = key;
            touched.extend(collection.subjects().into_iter().map(|subject| Touched {
                kind,
                place: place.clone(),
                subject: Some(subject),
            }));
        }
        for ((kind, _), collection) in collections.iter() {
            // Lists that cover more than a place.
            collection.each(|remote| {
                if remote.place.is_within(id) {
                    touched.push(Touched {
                        kind,
                        place: remote.place.clone(),
                        subject: Some(remote.subject.clone()),
                    });
                }
            });
        }
        for t in &touched {
            let Some(entry) = self.registry.find(t.kind) else { continue };
            if let (Some(collection), Some(subject)) =
                (collections.get(&key(entry, &t.place)), &t.subject)
            {
                collection.invalidate(subject);
            }
        }
        touched
    }

    /// Visits everything that is known: the kind, and the thing.
    pub(super) fn each(&self, mut visit: impl FnMut(&'static str, &Remote)) {
        for ((kind, _), collection) in lock(&self.collections).iter() {
            collection.each(|remote| visit(kind, remote));
        }
    }

    /// Whether it is known who made what was read of a thing as it is.
    pub(super) fn knows_editor(&self, entry: Entry, place: &Place, subject: &Subject) -> bool {
        self.collection(entry, place).knows_editor(subject)
    }

    /// Who changed this thing last, if it was somebody else and nobody asked yet.
    pub(super) fn take_editor(
        &self,
        entry: Entry,
        place: &Place,
        subject: &Subject,
    ) -> Option<String> {
        self.collection(entry, place).take_editor(subject)
    }

    /// The permit to write something of a kind at a place, once it is free.
    pub(super) async fn permit(&self, entry: Entry, place: &Place) -> WritePermit {
        let turn = lock(&self.turns).entry(entry.kind()).or_default().clone();
        let writers = self.collection(entry, place).writers.clone();
        WritePermit::acquire(turn, writers).await
    }

    /// Whether something of a kind is being written, so that its events may be there before its answer.
    pub(super) fn is_writing(&self, kind: &str) -> bool {
        lock(&self.turns).get(kind).is_some_and(|turn| turn.try_lock().is_err())
    }

    /// Kinds of which something was asked for.
    pub(super) fn kinds_in_use(&self) -> HashSet<&'static str> {
        lock(&self.collections).keys().map(|(kind, _)| *kind).collect()
    }

    /// Whether one of our calls wrote something of a kind at this time.
    pub(super) fn has_own(&self, date: Timestamp, kind: &str) -> bool {
        lock(&self.own).iter().any(|(own, touched)| *own == date && touched.kind == kind)
    }

    pub(super) fn is_own(&self, date: Timestamp, touched: &Touched) -> bool {
        let Some(entry) = self.registry.find(touched.kind) else { return false };
        let place = listed_at(entry, &touched.place);
        lock(&self.own).contains(&(date, Touched { place, ..touched.clone() }))
    }

    /// Forgets own writes of before.
    pub(super) fn forget_own(&self, before: Timestamp) {
        forget(&mut lock(&self.own), before);
    }
}

fn forget(own: &mut BTreeSet<(Timestamp, Touched)>, before: Timestamp) {
    while own.first().is_some_and(|(date, _)| *date < before) {
        own.pop_first();
    }
}

fn key(entry: Entry, place: &Place) -> CollectionKey {
    (entry.kind(), listed_at(entry, place))
}

/// The place that a list call covers.
fn listed_at(entry: Entry, place: &Place) -> Place {
    entry.as_entity().map_or_else(|| place.clone(), |e| e.listed_by.around(place))
}
