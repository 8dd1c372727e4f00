//! The event feed: what others changed, and who did it.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::{sync::Mutex as AsyncMutex, time::Instant};

use super::{
    cursor::{Cursor, MOST_PAGES},
    lock::lock,
    log::Event,
    past::{self, Past},
    query::EventQuery,
    store::{Store, Touched},
};
use crate::{
    api::instance::{FeedMode, FeedStatus},
    contract::{Entry, EventPlace, EventSubject, Place, Registry, Subject},
    zitadel::{Client, Result},
};

/// How the people are named who changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ReportEditors {
    /// By display name.
    #[default]
    Name,
    /// By user id.
    Id,
    /// Not at all.
    None,
}

impl ReportEditors {
    fn name(self, event: &Event) -> &str {
        let editor = &event.editor;
        match self {
            Self::None => "",
            Self::Name if !editor.display_name.is_empty() => &editor.display_name,
            Self::Name | Self::Id => &editor.user_id,
        }
    }
}

/// What the feed has told.
#[derive(Debug, Default)]
pub struct Changes {
    /// What others touched.
    pub touched: BTreeSet<Touched>,
    /// What was touched a while ago, and may only show by now.
    pub again: BTreeSet<Touched>,
    /// What was known is not to be trusted: the feed begins, begins again, or what it told before
    /// is gone from it.
    pub restarted: bool,
}

/// Follows the feed of one instance.
pub(super) struct Feed {
    queries: Vec<EventQuery>,
    editors: ReportEditors,
    following: AsyncMutex<Following>,
    /// How often it was asked, or is being asked.
    asked: AtomicU64,
    /// Queries that have a cursor.
    started: Mutex<HashSet<usize>>,
    status: Mutex<Option<FeedStatus>>,
    /// Events whose effects may not have shown yet when they were looked for, and since when.
    again: Mutex<VecDeque<(Instant, Event)>>,
}

/// How far the feed was followed.
#[derive(Default)]
struct Following {
    /// A cursor for each query that was started.
    cursors: Vec<Option<Cursor>>,
    /// What nobody was told yet.
    untold: Changes,
    /// By kind.
    past: HashMap<&'static str, Past>,
}

/// When the effects of an event are looked for once more: reads of ZITADEL were seen to lag behind by
/// 3 s.
const AGAIN: Duration = Duration::from_secs(4);

/// By our own clock, which may differ by some of it: events that are younger than this when the feed
/// starts may be younger than what the first list shows.
const RECENT: SignedDuration = SignedDuration::from_secs(60);

impl Feed {
    pub(super) fn new(registry: &Registry, editors: ReportEditors) -> Self {
        let queries = EventQuery::all(registry);
        let cursors = queries.iter().map(|_| None).collect();
        Self {
            queries,
            editors,
            following: AsyncMutex::new(Following { cursors, ..Following::default() }),
            asked: AtomicU64::default(),
            started: Mutex::default(),
            status: Mutex::default(),
            again: Mutex::default(),
        }
    }

    /// Starts to follow a question.
    async fn begin(&self, client: &Client, query: &EventQuery) -> Result<Cursor> {
        let (cursor, last) = Cursor::start(client, query).await?;
        let since = Timestamp::now().checked_sub(RECENT).unwrap_or(Timestamp::UNIX_EPOCH);
        let recent = last.into_iter().filter(|event| event.creation_date > since);
        lock(&self.again).extend(recent.map(|event| (Instant::now(), event)));
        Ok(cursor)
    }

    /// Marks as stale what is to be looked at once more.
    fn look_again(&self, store: &Store, again: &mut BTreeSet<Touched>) {
        loop {
            let event = {
                let mut events = lock(&self.again);
                let is_due = events.front().is_some_and(|(since, _)| since.elapsed() >= AGAIN);
                if is_due { events.pop_front() } else { None }
            };
            let Some((_, event)) = event else { return };
            let things = concerned(store, &event).into_iter();
            for thing in things.filter(|thing| !store.shows(thing, event.creation_date)) {
                store.look_again(&thing);
                again.insert(thing);
            }
        }
    }

    /// Starts to follow; what is listed afterwards needs no second look. Fails where the account
    /// may not read events.
    pub(super) async fn start(&self, client: &Client) -> Result<()> {
        let mut following = self.following.lock().await;
        if let (Some(query), Some(cursor)) = (self.queries.first(), following.cursors.first_mut()) {
            *cursor = Some(self.begin(client, query).await?);
            lock(&self.started).insert(0);
        }
        Ok(())
    }

    /// Starts the queries that a kind needs, before it is listed for the first time.
    pub(super) async fn serve(&self, client: &Client, entry: Entry) {
        let needed: Vec<usize> = {
            let started = lock(&self.started);
            let all = self.queries.iter().enumerate();
            all.filter(|(n, q)| q.serves(entry.kind()) && !started.contains(n))
                .map(|(n, _)| n)
                .collect()
        };
        if !self.is_followed() || needed.is_empty() {
            return;
        }
        let mut following = self.following.lock().await;
        for n in needed {
            let (Some(query), Some(cursor @ None)) =
                (self.queries.get(n), following.cursors.get_mut(n))
            else {
                continue;
            };
            // What fails here is tried again by the next poll, which then has everything listed.
            if let Ok(started) = self.begin(client, query).await {
                *cursor = Some(started);
                lock(&self.started).insert(n);
            }
        }
    }

    /// Learns from the events of their past what things of a kind are, before yet another place is
    /// listed for the first time.
    pub(super) async fn learn(&self, client: &Client, store: &Store, entry: Entry, place: &Place) {
        let is_told = entry.as_entity().is_some_and(|entity| entity.ended_by.is_some());
        if !is_told || !self.is_followed() || store.is_listed(entry, place) {
            return;
        }
        // What happens meanwhile is told afterwards.
        let mut following = self.following.lock().await;
        let is_listed = store.is_listed(entry, place);
        let past = following.past.entry(entry.kind()).or_default();
        if is_listed || !self.covers(entry) || !past.is_due(place) {
            return;
        }
        match past::read(client, store.registry, entry).await {
            Ok(Some(things)) => store.learn(entry, things),
            Ok(None) => tracing::debug!(kind = entry.kind(), "too many events to learn from"),
            // They are listed, then.
            Err(e) => tracing::debug!(kind = entry.kind(), error = %e, "nothing is learnt"),
        }
    }

    /// Whether no event of a kind is missed from now on. Who does not follow believes for as long as
    /// they last what they once read.
    pub(super) fn covers(&self, entry: Entry) -> bool {
        let started = lock(&self.started);
        let mut all = self.queries.iter().enumerate();
        !self.is_followed() || all.all(|(n, q)| !q.serves(entry.kind()) || started.contains(&n))
    }

    /// Asks the feed, and marks as stale what others changed. Starts to follow where that failed
    /// before, and again where the feed has a gap; what was listed before that is stale.
    pub(super) async fn poll(
        &self,
        client: &Client,
        account: &str,
        store: &Store,
    ) -> Result<Changes> {
        let mut following = self.following.lock().await;
        self.ask(&mut following, client, account, store).await?;
        Ok(std::mem::take(&mut following.untold))
    }

    /// Knows of every event whose effects show by now: it may be that a read came before the poll.
    /// What else is new, the next poll tells, and if this fails, so does the next poll.
    pub(super) async fn catch_up(&self, client: &Client, account: &str, store: &Store) {
        let asked = self.asked.load(Ordering::Relaxed);
        let mut following = self.following.lock().await;
        if self.asked.load(Ordering::Relaxed) > asked {
            return;
        }
        if let Err(e) = self.ask(&mut following, client, account, store).await {
            tracing::debug!(error = %e, "event feed");
        }
    }

    async fn ask(
        &self,
        following: &mut Following,
        client: &Client,
        account: &str,
        store: &Store,
    ) -> Result<()> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let Following { cursors, untold: changes, .. } = following;
        let in_use = store.kinds_in_use();
        let mut settled: Option<Timestamp> = None;
        self.look_again(store, &mut changes.again);
        for (n, (query, cursor)) in self.queries.iter().zip(cursors.iter_mut()).enumerate() {
            if !query.is_needed(&in_use) {
                continue;
            }
            let new = match cursor.as_mut() {
                Some(cursor) => cursor.advance(client, query, MOST_PAGES).await?,
                None => None,
            };
            if let Some(events) = new {
                tracing::debug!(query = n, events = events.len(), "event feed");
                for event in events {
                    let mut touched = BTreeSet::new();
                    let by = By { account, editors: self.editors };
                    route(store, &event, by, &mut touched);
                    if !touched.is_empty() {
                        lock(&self.again).push_back((Instant::now(), event));
                    }
                    changes.touched.extend(touched);
                }
            } else {
                // Nothing is left of it if it can't be started.
                *cursor = None;
                lock(&self.started).remove(&n);
                *cursor = Some(self.begin(client, query).await?);
                lock(&self.started).insert(n);
                store.invalidate_kinds(|kind| query.serves(kind));
                changes.restarted = true;
                tracing::debug!(query = n, "event feed starts");
            }
            let until = cursor.as_ref().map(Cursor::settled);
            settled = settled.into_iter().chain(until).min();
        }
        // An own write may have a date in the overlap and not show yet.
        if let Some(settled) = settled {
            store.forget_own(settled);
        }
        Ok(())
    }

    /// Whether changes are found by it.
    pub(super) fn is_followed(&self) -> bool {
        lock(&self.status).as_ref().is_some_and(|s| s.mode == FeedMode::Following)
    }

    /// How changes are found, as far as that was tried.
    pub(super) fn status(&self) -> Option<FeedStatus> {
        lock(&self.status).clone()
    }

    /// Keeps how changes are found. Returns whether that is new.
    pub(super) fn set_status<T>(&self, result: &Result<T>) -> bool {
        let status = match result {
            Ok(_) => FeedStatus { mode: FeedMode::Following, reason: None },
            Err(e) => FeedStatus { mode: FeedMode::Polling, reason: Some(e.to_string()) },
        };
        lock(&self.status).replace(status.clone()) != Some(status)
    }
}

/// What an event is about, whoever caused it.
fn concerned(store: &Store, event: &Event) -> Vec<Touched> {
    let mut concerned = Vec::new();
    for entry in store.registry.all() {
        for filter in entry.events.iter().filter(|f| event.matches(f)) {
            let (place, subject) = filter.touched(event.facts());
            let places = match filter.place {
                EventPlace::Everywhere => store.places(entry.kind()),
                _ => vec![place],
            };
            let subject = subject.filter(|_| filter.subject != EventSubject::OnlyOne);
            concerned.extend(places.into_iter().map(|place| Touched {
                kind: entry.kind(),
                place,
                subject: subject.clone(),
            }));
        }
    }
    concerned
}

/// How it is told who caused an event.
#[derive(Clone, Copy)]
struct By<'a> {
    /// The account that acts. What it did may be a call of ours that is not answered yet.
    account: &'a str,
    editors: ReportEditors,
}

/// Marks what an event touched. Our own writes mark what they change themselves.
fn route(store: &Store, event: &Event, by: By<'_>, touched: &mut BTreeSet<Touched>) {
    for entry in store.registry.all() {
        for filter in entry.events.iter().filter(|f| event.matches(f)) {
            let (place, subject) = filter.touched(event.facts());
            if filter.removes.contains(&event.name())
                && let Some(Subject::Entity(id)) = &subject
            {
                touched.extend(store.forget_below(id));
            }
            let places = match filter.place {
                EventPlace::Everywhere => store.places(entry.kind()),
                _ => vec![place],
            };
            for place in places {
                let things = match filter.subject {
                    // What a call of ours takes from another thing is nobody else's doing.
                    EventSubject::OnlyOne if store.has_own(event.creation_date, entry.kind()) => {
                        store.only_one(entry, &place, event.creation_date).iter().for_each(
                            |subject| {
                                store.invalidate(entry, &place, subject);
                            },
                        );
                        continue;
                    }
                    EventSubject::OnlyOne => store
                        .only_one(entry, &place, event.creation_date)
                        .into_iter()
                        .map(Some)
                        .collect(),
                    _ => vec![subject.clone()],
                };
                for subject in things {
                    let thing = Touched { kind: entry.kind(), place: place.clone(), subject };
                    if !store.is_own(event.creation_date, &thing) {
                        touch(store, entry, event, by, thing, touched);
                    }
                }
            }
        }
    }
}

/// Marks a thing that somebody else's event touched, and the secrets of it that the event set.
fn touch(
    store: &Store,
    entry: Entry,
    event: &Event,
    by: By<'_>,
    thing: Touched,
    touched: &mut BTreeSet<Touched>,
) {
    let is_ours = event.editor.user_id == by.account && store.is_writing(thing.kind);
    let by = by.editors.name(event);
    let issues = entry.as_entity().and_then(|e| e.issues);
    let issued = issues.filter(|issues| issues.events.contains(&event.name()));
    let set = entry.inputs.iter().filter(|i| i.is_carried_by(event.name(), event.facts().payload));
    for secret in issued.map(|issues| issues.value).into_iter().chain(set.map(|i| i.field)) {
        touched.extend(store.secret_changed(&thing, secret, by));
    }
    if is_ours {
        store.look_again(&thing);
    } else {
        store.edited(&thing, by, event.creation_date);
    }
    touched.insert(thing);
}
