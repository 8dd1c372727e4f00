//! What one list call of a kind covers: the projects of an organization, the organizations of the
//! instance, a setting.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::TryStreamExt;
use jiff::Timestamp;
use tokio::time::Instant;

use super::{lock::lock, pending::PendingWrite, permits::Writers};
use crate::{
    contract::{Access, Entry, NaturalKey, Place, Remote, Row, Subject},
    zitadel::{Error, Result},
};

/// Up to this many stale items are read one by one, more by one list.
const FEW: usize = 2;
/// A collection is listed at most this often while many of its items change.
const LIST_PAUSE: Duration = Duration::from_secs(2);
/// How often it is asked whether more of our own writes follow.
const STEP: Duration = Duration::from_millis(20);

pub(super) struct Collection {
    /// The place that its list covers.
    place: Place,
    data: Mutex<Data>,
    /// Those who write something of it.
    pub(super) writers: Arc<Writers>,
    /// Held while something is fetched: whoever waits for it finds the result.
    fetching: tokio::sync::Mutex<()>,
    /// Held by the one who waits for further own writes before they are read back.
    coalescing: tokio::sync::Mutex<()>,
}

/// What is known of a thing.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Known {
    /// This was read, or that it does not exist.
    Read(Option<Box<Remote>>),
    /// What was read is older than our own last write.
    Older {
        /// Age of that write.
        age: Duration,
        /// Whether there is anything to be read.
        shows: bool,
    },
    /// It exists, and its row is not as its endpoint promises.
    Unreadable,
}

#[derive(Debug)]
enum Item {
    Readable(Box<Remote>),
    Unreadable,
}

#[derive(Default)]
struct Data {
    items: HashMap<Subject, Item>,
    /// When all of it was listed (or the setting read) last.
    listed: Option<Instant>,
    /// When own writes were read back last.
    read_back: Option<Instant>,
    /// All of it is stale.
    is_stale: bool,
    /// Only some of it is known: what is not among it has to be listed.
    is_partial: bool,
    /// Stale items, with the epoch in which they became so.
    stale: HashMap<Subject, u64>,
    epoch: u64,
    pending: HashMap<Subject, (PendingWrite, Instant)>,
    /// Who else changed something since it was read, and when.
    editors: HashMap<Subject, (String, Timestamp)>,
    /// Who else gave something another secret since we did, by the secret's name.
    secret_editors: HashMap<(Subject, &'static str), String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    Read,
    List(Duration),
}

impl Collection {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            data: Mutex::default(),
            writers: Arc::default(),
            fetching: tokio::sync::Mutex::default(),
            coalescing: tokio::sync::Mutex::default(),
        }
    }

    /// Makes sure that `subject` is known as well as it can be: lists the collection, or reads the
    /// item, unless both are fresh. May wait for further own writes: not while a permit is held.
    pub(super) async fn refresh(
        &self,
        entry: Entry,
        access: &Access,
        subject: Option<&Subject>,
        resync: Duration,
    ) -> Result<()> {
        if self.need(subject, resync) == Need::Nothing {
            return Ok(());
        }
        let is_own = !entry.is_setting()
            && subject.is_some_and(|s| lock(&self.data).pending.contains_key(s));
        let _coalescing = if is_own { Some(self.coalesce(subject, resync).await) } else { None };
        // Before the lock is taken: who holds it makes others wait.
        if let (Need::List(pause), false) = (self.need(subject, resync), is_own) {
            tokio::time::sleep(pause).await;
        }
        let _fetching = self.fetching.lock().await;
        match (self.need(subject, resync), entry, subject) {
            (Need::Nothing, ..) => Ok(()),
            (_, Entry::Setting(_), _) => self.fetch(entry, access, &Subject::Setting).await,
            (Need::Read, _, Some(subject)) => {
                if is_own {
                    lock(&self.data).read_back = Some(Instant::now());
                }
                self.fetch(entry, access, subject).await
            }
            _ => self.list(entry, access).await,
        }
    }

    /// Waits until no further writes follow, or the last read-back is long enough ago: while a
    /// thousand things are created, a list now and then shows them all. The others wait for the
    /// first of them and find the result.
    async fn coalesce(
        &self,
        subject: Option<&Subject>,
        resync: Duration,
    ) -> tokio::sync::MutexGuard<'_, ()> {
        let coalescing = self.coalescing.lock().await;
        while self.need(subject, resync) != Need::Nothing && !self.is_due() {
            tokio::time::sleep(STEP).await;
        }
        coalescing
    }

    fn is_due(&self) -> bool {
        let data = lock(&self.data);
        let Some(last) = data.read_back.max(data.listed) else { return true };
        // What was read back and does not show yet is asked for one by one, or with the next list.
        let is_new =
            data.stale.len() <= FEW || self.writers.last().is_some_and(|write| write > last);
        if self.writers.are_quiet() && is_new {
            return true;
        }
        let is_all = data.pending.len() <= 1 && self.writers.are_done();
        let mut pending = data.pending.values();
        let has_waited = pending.any(|(_, since)| since.elapsed() >= LIST_PAUSE);
        last.elapsed() >= LIST_PAUSE && (is_all || has_waited)
    }

    /// It is in something that was just created, and nothing is in it yet.
    pub(super) fn begin_empty(&self) {
        lock(&self.data).listed.get_or_insert_with(Instant::now);
    }

    /// Whether something is known of all of it.
    pub(super) fn is_listed(&self) -> bool {
        lock(&self.data).listed.is_some()
    }

    /// Takes what events tell, if nothing was listed yet.
    pub(super) fn learn(&self, things: Vec<Remote>) {
        let mut data = lock(&self.data);
        if data.listed.is_some() {
            return;
        }
        data.listed = Some(Instant::now());
        data.is_partial = true;
        for thing in things {
            let subject = thing.subject.clone();
            // What became stale before stays so.
            data.accept(&subject, Some(Item::Readable(Box::new(thing))), 0);
        }
    }

    /// Reads one item now.
    pub(super) async fn refetch(
        &self,
        entry: Entry,
        access: &Access,
        subject: &Subject,
    ) -> Result<()> {
        let _fetching = self.fetching.lock().await;
        self.fetch(entry, access, subject).await
    }

    fn need(&self, subject: Option<&Subject>, resync: Duration) -> Need {
        let data = lock(&self.data);
        match data.listed {
            None => Need::List(Duration::ZERO),
            Some(at) if data.is_stale || at.elapsed() >= resync => Need::List(Duration::ZERO),
            Some(_) if data.is_partial && subject.is_none_or(|s| !data.items.contains_key(s)) => {
                Need::List(Duration::ZERO)
            }
            Some(_) if subject.is_none_or(|s| !data.stale.contains_key(s)) => Need::Nothing,
            Some(_) if data.stale.len() <= FEW => Need::Read,
            Some(at) => Need::List(LIST_PAUSE.saturating_sub(at.elapsed())),
        }
    }

    async fn fetch(&self, entry: Entry, access: &Access, subject: &Subject) -> Result<()> {
        let epoch = lock(&self.data).epoch;
        let remote = match (entry, subject) {
            (Entry::Entity(kind), Subject::Entity(id)) => kind.read(access, id).await?,
            (Entry::Setting(kind), _) => Some(kind.read(access).await?),
            // A connection has nothing, and an entity is asked for by its id.
            _ => None,
        };
        let mut data = lock(&self.data);
        if entry.is_setting() {
            data.listed = Some(Instant::now());
            data.is_stale = false;
        }
        data.accept(subject, remote.map(Box::new).map(Item::Readable), epoch);
        Ok(())
    }

    async fn list(&self, entry: Entry, access: &Access) -> Result<()> {
        let Entry::Entity(kind) = entry else { return Ok(()) };
        let epoch = {
            let mut data = lock(&self.data);
            data.is_stale = false;
            data.epoch
        };
        let rows: Result<Vec<Row<Remote>>> =
            kind.list(&access.at(self.place.clone())).try_collect().await;
        let mut data = lock(&self.data);
        let rows = rows.inspect_err(|_| data.is_stale = true)?;
        data.listed = Some(Instant::now());
        data.is_partial = false;
        let mut found = HashMap::new();
        for row in rows {
            match row {
                Row::Read(remote) => {
                    found.insert(remote.subject.clone(), Item::Readable(Box::new(remote)));
                }
                Row::Odd { id } => {
                    tracing::warn!(kind = entry.kind(), id, "a row of a list can't be read");
                    if let Some(id) = id {
                        found.insert(Subject::Entity(id), Item::Unreadable);
                    }
                }
            }
        }
        data.accept_list(found, epoch);
        Ok(())
    }

    pub(super) fn is_absent(&self, subject: &Subject) -> bool {
        !lock(&self.data).items.contains_key(subject)
    }

    pub(super) fn known(&self, subject: &Subject) -> Known {
        let data = lock(&self.data);
        let item = data.items.get(subject);
        match (data.pending.get(subject), item) {
            (Some((_, since)), item) => {
                Known::Older { age: since.elapsed(), shows: item.is_some() }
            }
            (None, Some(Item::Unreadable)) => Known::Unreadable,
            (None, Some(Item::Readable(remote))) => Known::Read(Some(remote.clone())),
            (None, None) => Known::Read(None),
        }
    }

    /// All items with this natural key, regardless of case.
    pub(super) fn find(&self, natural_key: NaturalKey, value: &str) -> Vec<Remote> {
        let value = value.to_lowercase();
        let data = lock(&self.data);
        // What we have just deleted does not exist any more, whatever the last list said.
        let is_going =
            |subject: &Subject| matches!(data.pending.get(subject), Some((PendingWrite::Gone, _)));
        let is_it = |r: &&Remote| {
            let key = natural_key.of(&r.state);
            key.is_some_and(|key| key.to_lowercase() == value) && !is_going(&r.subject)
        };
        let mut found: Vec<Remote> = data.readable().filter(is_it).cloned().collect();
        found.sort_by(|a, b| a.subject.cmp(&b.subject));
        found
    }

    pub(super) fn expect(&self, subject: &Subject, write: PendingWrite) {
        let mut data = lock(&self.data);
        data.pending.insert(subject.clone(), (write, Instant::now()));
        data.invalidate(subject);
    }

    pub(super) fn invalidate(&self, subject: &Subject) {
        lock(&self.data).invalidate(subject);
    }

    pub(super) fn invalidate_all(&self) {
        lock(&self.data).is_stale = true;
    }

    /// Somebody else changed an item.
    pub(super) fn edited(&self, subject: &Subject, by: &str, date: Timestamp) {
        let mut data = lock(&self.data);
        data.invalidate(subject);
        data.editors.insert(subject.clone(), (by.into(), date));
        // A foreign event after our write: from now on any value may be true.
        if data.pending.get(subject).is_some_and(|(write, _)| !write.is_versioned()) {
            data.pending.remove(subject);
        }
    }

    /// When something of it was changed last, as far as it shows.
    pub(super) fn newest_change(&self) -> Option<Timestamp> {
        let data = lock(&self.data);
        data.readable().filter_map(|r| r.version.as_ref()).map(|v| v.changed).max()
    }

    pub(super) fn each(&self, tell: impl FnMut(&Remote)) {
        lock(&self.data).readable().for_each(tell);
    }

    /// What somebody else has touched since it was read.
    pub(super) fn edited_by_others(&self) -> Vec<Subject> {
        let data = lock(&self.data);
        data.editors.keys().filter(|s| data.stale.contains_key(*s)).cloned().collect()
    }

    pub(super) fn subjects(&self) -> Vec<Subject> {
        lock(&self.data).items.keys().cloned().collect()
    }

    /// What is known to be at a place.
    pub(super) fn known_at(&self, place: &Place) -> Vec<Subject> {
        let data = lock(&self.data);
        let there = data.readable().filter(|remote| remote.place == *place);
        there.map(|remote| remote.subject.clone()).collect()
    }

    /// What is known to have a value, and was not changed since this time.
    pub(super) fn known_with(&self, field: &str, value: &str, date: Timestamp) -> Vec<Subject> {
        let data = lock(&self.data);
        let is_older = |remote: &Remote| remote.version.as_ref().is_none_or(|v| v.changed < date);
        let has_it =
            data.readable().filter(|remote| remote.state.says(field, value) && is_older(remote));
        has_it.map(|remote| remote.subject.clone()).collect()
    }

    /// Whether what was read of an item is as new as this.
    pub(super) fn shows(&self, subject: &Subject, date: Timestamp) -> bool {
        match lock(&self.data).items.get(subject) {
            Some(Item::Readable(remote)) => {
                remote.version.as_ref().is_some_and(|version| version.changed >= date)
            }
            _ => false,
        }
    }

    pub(super) fn set_secret_editor(&self, subject: &Subject, secret: &'static str, by: &str) {
        lock(&self.data).secret_editors.insert((subject.clone(), secret), by.into());
    }

    pub(super) fn secret_editor(&self, subject: &Subject, secret: &'static str) -> Option<String> {
        lock(&self.data).secret_editors.get(&(subject.clone(), secret)).cloned()
    }

    pub(super) fn forget_secret_editor(&self, subject: &Subject, secret: &'static str) {
        lock(&self.data).secret_editors.remove(&(subject.clone(), secret));
    }

    /// Who changed an item last, if it was somebody else and nobody asked yet.
    pub(super) fn take_editor(&self, subject: &Subject) -> Option<String> {
        lock(&self.data).editors.remove(subject).map(|(by, _)| by)
    }

    /// Whether it is known who made what was read of an item as it is: somebody who changed it
    /// before may not have been the last.
    pub(super) fn knows_editor(&self, subject: &Subject) -> bool {
        let data = lock(&self.data);
        let changed = match data.items.get(subject) {
            Some(Item::Readable(remote)) => remote.version.as_ref().map(|v| v.changed),
            _ => None,
        };
        let editor = data.editors.get(subject);
        editor.is_some_and(|(_, date)| changed.is_none_or(|changed| *date >= changed))
    }
}

impl Data {
    fn readable(&self) -> impl Iterator<Item = &Remote> {
        self.items.values().filter_map(|item| match item {
            Item::Readable(remote) => Some(&**remote),
            Item::Unreadable => None,
        })
    }

    fn invalidate(&mut self, subject: &Subject) {
        self.epoch += 1;
        self.stale.insert(subject.clone(), self.epoch);
    }

    fn accept_list(&mut self, found: HashMap<Subject, Item>, epoch: u64) {
        let known: HashSet<Subject> = self
            .items
            .keys()
            .chain(self.pending.keys())
            .chain(self.stale.keys())
            .filter(|subject| !found.contains_key(*subject))
            .cloned()
            .collect();
        for (subject, item) in found {
            self.accept(&subject, Some(item), epoch);
        }
        for subject in known {
            self.accept(&subject, None, epoch);
        }
        // Who changed what nobody asked about, and is gone, is of no interest.
        let (items, stale) = (&self.items, &self.stale);
        let is_known = |s: &Subject| items.contains_key(s) || stale.contains_key(s);
        self.editors.retain(|s, _| is_known(s));
        self.secret_editors.retain(|(s, _), _| is_known(s));
    }

    /// Takes what was read, if it may be believed. `epoch`: the newest one when the read began;
    /// what became stale later stays so.
    fn accept(&mut self, subject: &Subject, item: Option<Item>, epoch: u64) {
        if let Some((write, since)) = self.pending.get(subject) {
            let read = match &item {
                Some(Item::Readable(remote)) => Some(&**remote),
                _ => None,
            };
            if !write.is_shown_by(since.elapsed(), read) {
                self.invalidate(subject);
                return;
            }
            self.pending.remove(subject);
        }
        if self.stale.get(subject).is_some_and(|since| *since <= epoch) {
            self.stale.remove(subject);
        }
        if matches!(item, Some(Item::Unreadable)) {
            // Whoever asks for it has another look taken.
            self.invalidate(subject);
        }
        match item {
            Some(item) => self.items.insert(subject.clone(), item),
            None => self.items.remove(subject),
        };
    }
}

/// An item that can't be read, as the error of the endpoint that listed it.
pub(super) fn unreadable(entry: Entry) -> Error {
    Error::Malformed {
        endpoint: format!("the list of {}", entry.plural),
        what: "a row of another form".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Fields;

    #[test]
    fn what_becomes_stale_while_it_is_read_stays_stale() {
        let mut data = Data::default();
        let subject = Subject::from("1");
        data.invalidate(&subject);
        let epoch = data.epoch;
        data.invalidate(&subject);
        let remote = Remote {
            subject: subject.clone(),
            place: Place::instance(),
            state: Fields::default(),
            reported: Fields::default(),
            own: true,
            version: None,
        };
        data.accept(&subject, Some(Item::Readable(Box::new(remote))), epoch);
        assert!(data.stale.contains_key(&subject));
    }

    #[test]
    fn a_list_forgets_who_changed_what_is_gone() {
        let mut data = Data::default();
        data.editors.insert(Subject::from("1"), ("minnie".into(), Timestamp::UNIX_EPOCH));
        data.invalidate(&Subject::from("1"));
        let epoch = data.epoch;
        data.accept_list(HashMap::new(), epoch);
        assert!(data.editors.is_empty());
    }
}
