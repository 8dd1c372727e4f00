//! The event feed, `POST /admin/v1/events/_search`: what changed, and who did it.
//!
//! It is ordered by the start of the writing transaction, not by its end, so that an event can
//! appear behind one that is already known. Hence each poll asks again for the last ten seconds and
//! drops what it knows. The newest event of the last poll is always among them: where it is not,
//! the server was restored from a backup.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;

use super::{Live, lock};
use crate::{
    engine::kind::{Entry, Shape},
    kinds,
    zitadel::{Client, Result},
};

/// How late an event may appear; measured: 24 ms. Slow databases were not tried.
const OVERLAP: SignedDuration = SignedDuration::from_secs(10);
/// Events of one answer: as many as ZITADEL gives at most. More are asked for at once.
const PAGE: usize = 1000;

/// Follows the feed of one instance.
pub struct Feed {
    /// Date of the newest event seen.
    last: Timestamp,
    /// The newest event seen.
    newest: Option<EventKey>,
    /// Events of the overlap.
    known: BTreeSet<EventKey>,
    /// Dates of the overlap that have more events than ZITADEL gives.
    overfull: BTreeSet<Timestamp>,
}

/// What tells events apart: date, aggregate and sequence. After a restore a sequence is used again,
/// with another date.
type EventKey = (Timestamp, String, u64);

/// What the feed has told.
#[derive(Debug, Default)]
pub struct News {
    /// What others touched.
    pub touched: BTreeSet<Touched>,
    /// What was known is not to be trusted: the feed begins, begins again, or what it told before
    /// is gone from it.
    pub anew: bool,
}

/// A thing that an event touched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Touched {
    /// Its kind.
    pub kind: &'static str,
    /// Its organization, for a setting of one.
    pub organization: Option<String>,
    /// Its id; `""` for a setting.
    pub id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    #[serde(default)]
    editor: Editor,
    aggregate: Aggregate,
    #[serde(default, with = "number")]
    sequence: u64,
    pub(super) creation_date: Timestamp,
    #[serde(rename = "type")]
    kind: Type,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Editor {
    #[serde(default)]
    user_id: String,
    #[serde(default)]
    display_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Aggregate {
    id: String,
    #[serde(rename = "type")]
    kind: Type,
    #[serde(default)]
    resource_owner: String,
}

#[derive(Deserialize)]
struct Type {
    #[serde(rename = "type")]
    name: String,
}

impl Event {
    pub(super) fn is_of(&self, aggregate: &str, name: &str) -> bool {
        self.aggregate.kind.name == aggregate && self.kind.name == name
    }

    pub(super) fn is_by(&self, user: &str) -> bool {
        self.editor.user_id == user
    }
}

/// uint64 is a string in ZITADEL's JSON.
mod number {
    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
        let text: String = serde::Deserialize::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How editors are named.
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

impl Feed {
    /// Starts at the newest event, in ZITADEL's clock: begin before listing. Fails where the
    /// account may not read events (403), or the server has no feed.
    pub async fn start(client: &Client) -> Result<Self> {
        let newest = search(client, &json!({"limit": 1, "aggregateTypes": aggregates()})).await?;
        let last = newest.first().map_or(Timestamp::UNIX_EPOCH, |e| e.creation_date);
        let mut feed =
            Self { last, newest: None, known: BTreeSet::new(), overfull: BTreeSet::new() };
        // What is in the overlap now is no news.
        feed.news(client).await?;
        Ok(feed)
    }

    /// Asks for what is new and puts it in doubt. `None`: the feed does not go on from where it
    /// was.
    async fn poll(
        &mut self,
        client: &Client,
        live: &Live,
        editors: ReportEditors,
    ) -> Result<Option<BTreeSet<Touched>>> {
        let mut touched = BTreeSet::new();
        let Some(news) = self.news(client).await? else { return Ok(None) };
        for event in news {
            let by = match editors {
                ReportEditors::None => "",
                ReportEditors::Name if !event.editor.display_name.is_empty() => {
                    &event.editor.display_name
                }
                ReportEditors::Name | ReportEditors::Id => &event.editor.user_id,
            };
            // Our own writes put in doubt what they change themselves.
            for t in touches(&event).into_iter().filter(|t| !live.is_own(event.creation_date, t)) {
                live.mark(&t, by);
                touched.insert(t);
            }
            if event.kind.name == "org.removed" {
                // There is no event for what was in it.
                touched.extend(live.mark_organization(&event.aggregate.id));
            }
        }
        // An own write may have a date in the overlap and not show yet.
        live.forget_own(self.last.checked_sub(OVERLAP + OVERLAP).unwrap_or(Timestamp::UNIX_EPOCH));
        Ok(Some(touched))
    }

    /// Events that were not seen before; `None`: those seen before are gone, or some can't be seen.
    async fn news(&mut self, client: &Client) -> Result<Option<Vec<Event>>> {
        let mut all = Vec::new();
        let mut from = self.last.checked_sub(OVERLAP).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut overfull = BTreeSet::new();
        loop {
            let query = json!({"asc": true, "limit": PAGE, "from": from.to_string(), "aggregateTypes": aggregates()});
            let page = search(client, &query).await?;
            let (full, newest) = (page.len() >= PAGE, page.last().map(|e| e.creation_date));
            all.extend(page);
            let Some(newest) = newest.filter(|_| full) else { break };
            // `from` is strictly greater-than and dates may repeat: step back by one microsecond;
            // where a single date fills a page, nothing shows what else it has.
            let next = newest.checked_sub(SignedDuration::from_micros(1)).unwrap_or(newest);
            if next > from {
                from = next;
            } else {
                overfull.insert(newest);
                from = newest;
            }
        }
        // All pages are there: what came before one that fails must not be taken for known.
        let (former, mut is_there) = (self.newest.clone(), self.newest.is_none());
        let mut news = Vec::new();
        for event in all {
            let key = (event.creation_date, event.aggregate.id.clone(), event.sequence);
            is_there |= former.as_ref() == Some(&key);
            if event.creation_date >= self.last {
                self.last = event.creation_date;
                self.newest = Some(key.clone());
            }
            if self.known.insert(key) {
                news.push(event);
            }
        }
        let keep = self.last.checked_sub(OVERLAP + OVERLAP).unwrap_or(Timestamp::UNIX_EPOCH);
        self.known.retain(|(date, ..)| *date >= keep);
        let is_whole = overfull.is_subset(&self.overfull);
        self.overfull = overfull;
        Ok((is_there && is_whole).then_some(news))
    }
}

/// The types of aggregates that are followed.
fn aggregates() -> BTreeSet<&'static str> {
    kinds::ALL.iter().flat_map(|k| k.events()).map(|e| e.aggregate).collect()
}

/// Events, as the query says.
pub(super) async fn search(client: &Client, query: &serde_json::Value) -> Result<Vec<Event>> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        events: Vec<Event>,
    }
    let answer: Answer = client.query(None, "/admin/v1/events/_search", query).await?;
    Ok(answer.events)
}

fn touches(event: &Event) -> Vec<Touched> {
    let matches = |entry: &&'static dyn Entry| {
        entry.events().iter().any(|e| {
            e.aggregate == event.aggregate.kind.name && event.kind.name.starts_with(e.prefix)
        })
    };
    kinds::ALL
        .iter()
        .copied()
        .filter(|e| matches(e))
        .map(|entry| {
            let kind = entry.names().kind;
            match (entry.shape(), event.aggregate.kind.name.as_str()) {
                (Shape::Setting, "org") => Touched {
                    kind,
                    organization: Some(event.aggregate.id.clone()),
                    id: String::new(),
                },
                (Shape::Setting, _) => Touched { kind, organization: None, id: String::new() },
                (_, "org") => Touched { kind, organization: None, id: event.aggregate.id.clone() },
                _ => Touched {
                    kind,
                    organization: Some(event.aggregate.resource_owner.clone()),
                    id: event.aggregate.id.clone(),
                },
            }
        })
        .collect()
}

impl Live {
    /// Starts to follow the feed; what is listed afterwards needs no second look.
    pub async fn start_feed(&self, client: &Client) -> Result<()> {
        let mut feed = self.feed.lock().await;
        *feed = Some(Feed::start(client).await?);
        Ok(())
    }

    /// Asks the feed for news and puts it in doubt. Starts to follow where that failed before, and
    /// anew where the feed has a gap; what was listed before that is in doubt.
    pub async fn poll_feed(&self, client: &Client, editors: ReportEditors) -> Result<News> {
        let mut feed = self.feed.lock().await;
        if let Some(feed) = feed.as_mut()
            && let Some(touched) = feed.poll(client, self, editors).await?
        {
            return Ok(News { touched, anew: false });
        }
        // Nothing is left of it if it can't be started.
        *feed = None;
        *feed = Some(Feed::start(client).await?);
        self.doubt_all();
        Ok(News { touched: BTreeSet::new(), anew: true })
    }

    /// Puts a thing in doubt that somebody else changed.
    fn mark(&self, touched: &Touched, by: &str) {
        let key = (touched.kind, touched.organization.clone());
        // What was never read needs no mark.
        if let Some(scope) = lock(&self.scopes).get(&key) {
            scope.edited(&touched.id, by);
        }
    }

    /// Puts everything of a removed organization in doubt.
    fn mark_organization(&self, id: &str) -> Vec<Touched> {
        let scopes = lock(&self.scopes);
        let of_it =
            scopes.iter().filter(|((_, organization), _)| organization.as_deref() == Some(id));
        of_it
            .flat_map(|((kind, organization), scope)| {
                scope.doubt_all();
                scope.ids().into_iter().map(|id| Touched {
                    kind,
                    organization: organization.clone(),
                    id,
                })
            })
            .collect()
    }
}
