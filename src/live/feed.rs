//! The event feed, `POST /admin/v1/events/_search`: what changed, and who did it.
//!
//! It is ordered by the start of the writing transaction, not by its end, so that an event can appear behind one that is
//! already known. Hence each poll asks again for the last ten seconds and drops what it knows, by aggregate and sequence.

use std::collections::{BTreeSet, HashMap};

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
/// Events of one poll; more are fetched at once.
const PAGE: usize = 1000;

/// Follows the feed of one instance.
pub struct Feed {
    /// Date of the newest event seen.
    last: Timestamp,
    /// Events of the overlap: aggregate, sequence, by date.
    known: HashMap<(String, u64), Timestamp>,
}

/// A thing that an event of somebody else touched.
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
    /// Starts at the newest event, in ZITADEL's clock: begin before listing. Fails where the account may not read events
    /// (403), or the server has no feed.
    pub async fn start(client: &Client) -> Result<Self> {
        let newest = search(client, &json!({"limit": 1})).await?;
        let last = newest.first().map_or(Timestamp::UNIX_EPOCH, |e| e.creation_date);
        let mut feed = Self { last, known: HashMap::new() };
        // What is in the overlap now is no news.
        feed.news(client).await?;
        Ok(feed)
    }

    /// Asks for what is new and puts it in doubt. Gives what others touched.
    pub async fn poll(&mut self, client: &Client, live: &Live, editors: ReportEditors) -> Result<BTreeSet<Touched>> {
        let mut touched = BTreeSet::new();
        for event in self.news(client).await? {
            let own = live.is_own(&event.creation_date);
            let by = match editors {
                _ if own => None,
                ReportEditors::None => Some(String::new()),
                ReportEditors::Name if !event.editor.display_name.is_empty() => Some(event.editor.display_name.clone()),
                ReportEditors::Name | ReportEditors::Id => Some(event.editor.user_id.clone()),
            };
            for t in touches(&event) {
                live.mark(&t, by.as_deref());
                if by.is_some() {
                    touched.insert(t);
                }
            }
            if event.kind.name == "org.removed" {
                // There is no event for what was in it.
                touched.extend(live.mark_organization(&event.aggregate.id));
            }
        }
        Ok(touched)
    }

    async fn news(&mut self, client: &Client) -> Result<Vec<Event>> {
        let aggregates: BTreeSet<&str> = kinds::ALL.iter().flat_map(|k| k.events()).map(|e| e.aggregate).collect();
        let mut news = Vec::new();
        let mut from = self.last.checked_sub(OVERLAP).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut limit = PAGE;
        loop {
            let page =
                search(client, &json!({"asc": true, "limit": limit, "from": from.to_string(), "aggregateTypes": aggregates})).await?;
            let (full, newest) = (page.len() >= limit, page.last().map(|e| e.creation_date));
            for event in page {
                self.last = self.last.max(event.creation_date);
                let key = (event.aggregate.id.clone(), event.sequence);
                if self.known.insert(key, event.creation_date).is_none() {
                    news.push(event);
                }
            }
            let Some(newest) = newest.filter(|_| full) else { break };
            // `from` is strictly greater-than and dates may repeat: step back by one microsecond; where a single date fills a
            // page, only a larger page gets past it.
            let next = newest.checked_sub(SignedDuration::from_micros(1)).unwrap_or(newest);
            if next > from {
                from = next;
                limit = PAGE;
            } else {
                limit *= 2;
            }
        }
        let keep = self.last.checked_sub(OVERLAP + OVERLAP).unwrap_or(Timestamp::UNIX_EPOCH);
        self.known.retain(|_, date| *date >= keep);
        Ok(news)
    }
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
        entry.events().iter().any(|e| e.aggregate == event.aggregate.kind.name && event.kind.name.starts_with(e.prefix))
    };
    kinds::ALL
        .iter()
        .copied()
        .filter(|e| matches(e))
        .map(|entry| {
            let kind = entry.names().kind;
            match (entry.shape(), event.aggregate.kind.name.as_str()) {
                (Shape::Setting, "org") => Touched { kind, organization: Some(event.aggregate.id.clone()), id: String::new() },
                (Shape::Setting, _) => Touched { kind, organization: None, id: String::new() },
                (_, "org") => Touched { kind, organization: None, id: event.aggregate.id.clone() },
                _ => Touched { kind, organization: Some(event.aggregate.resource_owner.clone()), id: event.aggregate.id.clone() },
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

    /// Asks the feed for news and puts it in doubt. Gives what others touched. Starts to follow where that failed before.
    pub async fn poll_feed(&self, client: &Client, editors: ReportEditors) -> Result<BTreeSet<Touched>> {
        let mut feed = self.feed.lock().await;
        if let Some(feed) = feed.as_mut() {
            return feed.poll(client, self, editors).await;
        }
        *feed = Some(Feed::start(client).await?);
        // What was listed before is older than the feed.
        self.doubt_all();
        Ok(BTreeSet::new())
    }

    /// Puts a thing in doubt; `by`: somebody else did it.
    fn mark(&self, touched: &Touched, by: Option<&str>) {
        let key = (touched.kind, touched.organization.clone());
        // What was never read needs no mark.
        let Some(scope) = lock(&self.scopes).get(&key).cloned() else { return };
        // Our own writes put in doubt what they change themselves.
        if let Some(by) = by {
            scope.edited(&touched.id, by);
        }
    }

    /// Puts everything of a removed organization in doubt.
    fn mark_organization(&self, id: &str) -> Vec<Touched> {
        let scopes = lock(&self.scopes);
        let of_it = scopes.iter().filter(|((_, organization), _)| organization.as_deref() == Some(id));
        of_it
            .flat_map(|((kind, organization), scope)| {
                scope.doubt_all();
                scope.ids().into_iter().map(|id| Touched { kind, organization: organization.clone(), id })
            })
            .collect()
    }
}
