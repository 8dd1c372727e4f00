//! Follows one question to the event feed.
//!
//! The feed is ordered by the start of the writing transaction, not by its end, so that an event
//! can appear behind one that is already known. Hence each poll asks again for the last ten seconds
//! and drops what it knows. The newest event of the last poll is always among them: where it is
//! not, the server was restored from a backup.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{
    log::{self, Event},
    query::EventQuery,
};
use crate::zitadel::{Client, Result};

/// How late an event may appear; measured: 24 ms. Slow databases were not tried.
const OVERLAP: SignedDuration = SignedDuration::from_secs(10);
/// Events of one answer: as many as ZITADEL gives at most. More are asked for at once.
const PAGE: usize = 1000;
/// Pages of one poll: a server that never ends is not followed for ever.
pub(super) const MOST_PAGES: usize = 1000;

/// Where the answers to a question have been read up to.
pub(super) struct Cursor {
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

impl Cursor {
    /// Starts at the newest event, by ZITADEL's clock: begin before listing. Returns the last events
    /// too, which a list may not show yet. Fails where the account may not read events (403), or the
    /// server has no feed.
    pub(super) async fn start(client: &Client, query: &EventQuery) -> Result<(Self, Vec<Event>)> {
        let newest = log::search(client, &query.body(json!({"limit": 1}))).await?;
        let last = newest.first().map_or(Timestamp::UNIX_EPOCH, |e| e.creation_date);
        let mut cursor = Self { last, ..Self::beginning() };
        // What is in the overlap now is not new.
        let last = cursor.advance(client, query, MOST_PAGES).await?;
        Ok((cursor, last.unwrap_or_default()))
    }

    /// Starts before the first event.
    pub(super) fn beginning() -> Self {
        Self {
            last: Timestamp::UNIX_EPOCH,
            newest: None,
            known: BTreeSet::new(),
            overfull: BTreeSet::new(),
        }
    }

    /// The newest date that was seen, less the time in which others may still appear.
    pub(super) fn settled(&self) -> Timestamp {
        self.last.checked_sub(OVERLAP + OVERLAP).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Events that were not seen before; `None`: those seen before are gone, some can't be seen, or
    /// there are more than so many pages.
    pub(super) async fn advance(
        &mut self,
        client: &Client,
        query: &EventQuery,
        most_pages: usize,
    ) -> Result<Option<Vec<Event>>> {
        let mut all = Vec::new();
        // From the beginning, nothing is asked for.
        let mut from =
            self.last.checked_sub(OVERLAP).ok().filter(|from| *from > Timestamp::UNIX_EPOCH);
        let mut overfull = BTreeSet::new();
        let mut is_complete = false;
        for _ in 0..most_pages {
            let after = from.map(|from| from.to_string());
            let body = query.body(json!({"asc": true, "limit": PAGE, "from": after}));
            let page = log::search(client, &body).await?;
            let (full, newest) = (page.len() >= PAGE, page.last().map(|e| e.creation_date));
            all.extend(page);
            let Some(newest) = newest.filter(|_| full) else {
                is_complete = true;
                break;
            };
            // `from` is strictly greater-than and dates may repeat: step back by one microsecond;
            // where a single date fills a page, nothing shows what else it has.
            let next = newest.checked_sub(SignedDuration::from_micros(1)).unwrap_or(newest);
            if from.is_none_or(|from| next > from) {
                from = Some(next);
            } else {
                overfull.insert(newest);
                from = Some(newest);
            }
        }
        // All pages are there: what came before one that fails must not be taken for known.
        let (former, mut is_there) = (self.newest.clone(), self.newest.is_none());
        let mut new = Vec::new();
        for event in all {
            let key = (event.creation_date, event.aggregate.id.clone(), event.sequence);
            is_there |= former.as_ref() == Some(&key);
            if event.creation_date >= self.last {
                self.last = event.creation_date;
                self.newest = Some(key.clone());
            }
            if self.known.insert(key) {
                new.push(event);
            }
        }
        let keep = self.settled();
        self.known.retain(|(date, ..)| *date >= keep);
        let is_whole = is_complete && overfull.is_subset(&self.overfull);
        self.overfull = overfull;
        Ok((is_there && is_whole).then_some(new))
    }
}
