//! One scope of one kind: the projects of an organization, the organizations of the instance, a
//! setting.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use futures::TryStreamExt;
use jiff::Timestamp;
use tokio::time::Instant;

use super::{Seen, lock, writers::Writers};
use crate::{
    engine::{
        fields::{Fields, diff},
        kind::{At, Entry, Remote, Shape, Version},
    },
    zitadel::Result,
};

/// Up to so many doubtful entries are read one by one, more by one list.
const FEW: usize = 2;
/// A scope is listed at most this often while many of its entries change.
const LIST_PAUSE: Duration = Duration::from_secs(2);
/// How often it is asked whether more of our own writes follow.
const STEP: Duration = Duration::from_millis(20);
/// Where reads carry no version: how long a value must hold after an own write until it is
/// believed.
const HOLD: Duration = Duration::from_secs(10);

/// What an own write should lead to.
#[derive(Debug, Clone)]
pub enum Expectation {
    /// The thing is so.
    State(Fields, Option<Version>),
    /// The thing is gone.
    Gone,
}

impl Expectation {
    pub(super) fn version(&self) -> Option<&Version> {
        match self {
            Self::State(_, version) => version.as_ref(),
            Self::Gone => None,
        }
    }
}

#[derive(Default)]
pub(super) struct Scope {
    data: Mutex<Data>,
    /// Held while something is fetched: whoever waits for it finds the result.
    fetching: tokio::sync::Mutex<()>,
    /// Held by the one who waits for further own writes before they are looked at.
    gathering: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Data {
    entries: HashMap<String, Remote>,
    /// When all of it was listed (or the setting read) last.
    listed: Option<Instant>,
    /// When own writes were looked at last.
    looked: Option<Instant>,
    all_doubtful: bool,
    /// Entries in doubt, with the number of the mark.
    doubtful: HashMap<String, u64>,
    marks: u64,
    expected: HashMap<String, (Expectation, Instant)>,
    editors: HashMap<String, String>,
}

impl Scope {
    /// Makes sure that `id` is known as well as it can be: lists the scope, or reads the entry,
    /// unless both are fresh.
    pub(super) async fn refresh(
        &self,
        entry: &dyn Entry,
        at: &At,
        id: &str,
        resync: Duration,
        writers: &Writers,
    ) -> Result<()> {
        if self.need(id, resync) == Need::Nothing {
            return Ok(());
        }
        let is_own = entry.shape() != Shape::Setting && lock(&self.data).expected.contains_key(id);
        let _gathering = if is_own { Some(self.gather(id, resync, writers).await) } else { None };
        let _fetching = self.fetching.lock().await;
        match self.need(id, resync) {
            Need::Nothing => Ok(()),
            _ if entry.shape() == Shape::Setting => self.fetch(entry, at, id).await,
            Need::Read => {
                if is_own {
                    lock(&self.data).looked = Some(Instant::now());
                }
                self.fetch(entry, at, id).await
            }
            Need::List(pause) => {
                if !is_own {
                    tokio::time::sleep(pause).await;
                }
                self.list(entry, at).await
            }
        }
    }

    /// Waits until no further writes follow, or the last look is long enough ago: while a thousand
    /// things are made, a list now and then shows them all. The others wait for the first of them
    /// and find the result.
    async fn gather(
        &self,
        id: &str,
        resync: Duration,
        writers: &Writers,
    ) -> tokio::sync::MutexGuard<'_, ()> {
        let gathering = self.gathering.lock().await;
        while self.need(id, resync) != Need::Nothing && !self.is_due(writers) {
            tokio::time::sleep(STEP).await;
        }
        gathering
    }

    fn is_due(&self, writers: &Writers) -> bool {
        let data = lock(&self.data);
        let Some(looked) = data.looked.max(data.listed) else { return true };
        // What was looked at and does not show yet is asked for one by one, or with the next list.
        let is_news =
            data.doubtful.len() <= FEW || writers.last().is_some_and(|last| last > looked);
        looked.elapsed() >= LIST_PAUSE || (writers.are_quiet() && is_news)
    }

    /// Reads one entry.
    pub(super) async fn read(&self, entry: &dyn Entry, at: &At, id: &str) -> Result<()> {
        let _fetching = self.fetching.lock().await;
        self.fetch(entry, at, id).await
    }

    fn need(&self, id: &str, resync: Duration) -> Need {
        let data = lock(&self.data);
        match data.listed {
            None => Need::List(Duration::ZERO),
            Some(at) if data.all_doubtful || at.elapsed() >= resync => Need::List(Duration::ZERO),
            Some(_) if !data.doubtful.contains_key(id) => Need::Nothing,
            Some(_) if data.doubtful.len() <= FEW => Need::Read,
            Some(at) => Need::List(LIST_PAUSE.saturating_sub(at.elapsed())),
        }
    }

    async fn fetch(&self, entry: &dyn Entry, at: &At, id: &str) -> Result<()> {
        let mark = lock(&self.data).marks;
        let remote = entry.read(at, id).await?;
        let mut data = lock(&self.data);
        if entry.shape() == Shape::Setting {
            data.listed = Some(Instant::now());
            data.all_doubtful = false;
        }
        data.take(id, remote, mark);
        Ok(())
    }

    async fn list(&self, entry: &dyn Entry, at: &At) -> Result<()> {
        let mark = {
            let mut data = lock(&self.data);
            data.all_doubtful = false;
            data.marks
        };
        let listed: Result<HashMap<String, Remote>> =
            entry.list(at).map_ok(|r| (r.id.clone(), r)).try_collect().await;
        let mut data = lock(&self.data);
        let mut found = listed.inspect_err(|_| data.all_doubtful = true)?;
        data.listed = Some(Instant::now());
        let known: Vec<String> = data
            .entries
            .keys()
            .chain(data.expected.keys())
            .chain(data.doubtful.keys())
            .filter(|id| !found.contains_key(*id))
            .cloned()
            .collect();
        for (id, remote) in found.drain() {
            data.take(&id, Some(remote), mark);
        }
        for id in known {
            data.take(&id, None, mark);
        }
        Ok(())
    }

    pub(super) fn is_absent(&self, id: &str) -> bool {
        !lock(&self.data).entries.contains_key(id)
    }

    pub(super) fn seen(&self, id: &str) -> Seen {
        let data = lock(&self.data);
        match data.expected.get(id) {
            Some((_, since)) => {
                Seen::Unsettled { age: since.elapsed(), shows: data.entries.contains_key(id) }
            }
            None => Seen::Settled(data.entries.get(id).cloned().map(Box::new)),
        }
    }

    pub(super) fn find(&self, field: &str, value: &str) -> Option<Remote> {
        let value = value.to_lowercase();
        let data = lock(&self.data);
        // What we have just deleted is not there any more, whatever the last list said.
        let is_going = |id: &str| matches!(data.expected.get(id), Some((Expectation::Gone, _)));
        let has_it = |r: &&Remote| {
            r.state.text(field).is_some_and(|t| t.to_lowercase() == value) && !is_going(&r.id)
        };
        data.entries.values().find(has_it).cloned()
    }

    pub(super) fn expect(&self, id: &str, expectation: Expectation) {
        let mut data = lock(&self.data);
        data.expected.insert(id.into(), (expectation, Instant::now()));
        data.doubt(id);
    }

    pub(super) fn doubt(&self, id: &str) {
        lock(&self.data).doubt(id);
    }

    pub(super) fn doubt_all(&self) {
        lock(&self.data).all_doubtful = true;
    }

    pub(super) fn edited(&self, id: &str, by: &str) {
        let mut data = lock(&self.data);
        data.doubt(id);
        data.editors.insert(id.into(), by.into());
        // A foreign event after our write: from now on any value may be true.
        if data
            .expected
            .get(id)
            .is_some_and(|(e, _)| e.version().is_none_or(|v| v.aggregate.is_empty()))
        {
            data.expected.remove(id);
        }
    }

    /// When something of it was changed last, as far as it shows.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        lock(&self.data)
            .entries
            .values()
            .filter_map(|r| r.version.as_ref())
            .map(|v| v.changed)
            .max()
    }

    pub(super) fn each(&self, tell: impl FnMut(&Remote)) {
        lock(&self.data).entries.values().for_each(tell);
    }

    /// What somebody else has touched since it was read.
    pub(super) fn edited_by_others(&self) -> Vec<String> {
        let data = lock(&self.data);
        data.editors.keys().filter(|id| data.doubtful.contains_key(*id)).cloned().collect()
    }

    pub(super) fn ids(&self) -> Vec<String> {
        lock(&self.data).entries.keys().cloned().collect()
    }

    pub(super) fn take_editor(&self, id: &str) -> Option<String> {
        lock(&self.data).editors.remove(id)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    Read,
    List(Duration),
}

impl Data {
    fn doubt(&mut self, id: &str) {
        self.marks += 1;
        self.doubtful.insert(id.into(), self.marks);
    }

    /// Takes what was read, if it may be believed. `mark`: the newest mark when the read began;
    /// later ones stay.
    fn take(&mut self, id: &str, remote: Option<Remote>, mark: u64) {
        if let Some((expectation, since)) = self.expected.get(id) {
            if !believable(expectation, since.elapsed(), remote.as_ref()) {
                self.doubt(id);
                return;
            }
            self.expected.remove(id);
        }
        if self.doubtful.get(id).is_some_and(|m| *m <= mark) {
            self.doubtful.remove(id);
        }
        match remote {
            Some(remote) => self.entries.insert(id.into(), remote),
            None => self.entries.remove(id),
        };
    }
}

/// Whether a read is as new as our own last write.
fn believable(expectation: &Expectation, age: Duration, read: Option<&Remote>) -> bool {
    match (expectation, read) {
        (Expectation::Gone, None) => true,
        (Expectation::Gone, Some(_)) => age >= HOLD,
        // That a thing we made does not show is never proof that it is gone: the caller decides
        // after a minute.
        (Expectation::State(..), None) => false,
        (Expectation::State(want, written), Some(read)) => {
            let newer = written
                .as_ref()
                .zip(read.version.as_ref())
                .and_then(|(written, read)| read.shows(written));
            newer.unwrap_or_else(|| diff(want, &read.state, &[]).is_empty() || age >= HOLD)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn remote(value: &str, changed: Option<i64>) -> Remote {
        let version = changed.map(|s| Version {
            aggregate: "a".into(),
            changed: jiff::Timestamp::from_second(s).unwrap(),
        });
        Remote {
            id: "1".into(),
            organization: None,
            state: Fields::of(&json!({"name": value})),
            own: true,
            version,
        }
    }

    fn wrote(value: &str, changed: Option<i64>) -> Expectation {
        let r = remote(value, changed);
        Expectation::State(r.state, r.version)
    }

    #[test]
    fn a_read_that_is_older_than_our_write_is_not_believed() {
        let young = Duration::from_millis(5);
        assert!(!believable(&wrote("new", Some(5)), young, Some(&remote("old", Some(4)))));
        assert!(believable(&wrote("new", Some(5)), young, Some(&remote("new", Some(5)))));
        assert!(
            believable(&wrote("new", Some(5)), young, Some(&remote("foreign", Some(6)))),
            "somebody was faster: that is drift"
        );
    }

    #[test]
    fn without_a_version_another_value_must_hold_for_ten_seconds() {
        assert!(!believable(
            &wrote("new", None),
            Duration::from_secs(9),
            Some(&remote("old", None))
        ));
        assert!(believable(
            &wrote("new", None),
            Duration::from_secs(10),
            Some(&remote("old", None))
        ));
        assert!(believable(&wrote("new", None), Duration::ZERO, Some(&remote("new", None))));
    }

    #[test]
    fn what_was_made_and_does_not_show_is_not_believed_gone() {
        assert!(!believable(&wrote("new", Some(5)), Duration::from_secs(3600), None));
        assert!(believable(&Expectation::Gone, Duration::ZERO, None));
    }

    #[test]
    fn a_doubt_that_comes_while_reading_stays() {
        let mut data = Data::default();
        data.doubt("1");
        let mark = data.marks;
        data.doubt("1");
        data.take("1", Some(remote("x", Some(1))), mark);
        assert!(data.doubtful.contains_key("1"));
    }
}
