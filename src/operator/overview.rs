//! What the status page shows. It comes from statuses alone: specs are skipped unread, and so are the
//! values of fields that differ, which only their names stand for. No I/O.

use jiff::Timestamp;
use serde::Deserialize;

use super::{context::Context, lease::Role, stores::Said};
use crate::{
    api::{
        instance::{FeedMode, InstanceDetails},
        status::{Condition, LastDrift},
    },
    contract::Key,
    kinds::REGISTRY,
};

/// Rows of a table at most: ten thousand objects that are not Ready are one trouble, not a page of
/// ten thousand rows.
pub(super) const ROWS: usize = 200;
/// Characters of a text at most.
const TEXT: usize = 600;

/// See the module.
#[derive(Default)]
pub(super) struct Overview {
    /// This process.
    pub(super) operator: String,
    /// Whether it is the one that writes.
    pub(super) role: String,
    /// Why it is not ready; empty: it is.
    pub(super) health: String,
    /// When this was so.
    pub(super) at: String,
    pub(super) instances: Rows<Instance>,
    /// Of kinds of which there are objects.
    pub(super) kinds: Vec<Kind>,
    /// What needs a person comes first.
    pub(super) not_ready: Rows<NotReady>,
    pub(super) differing: Rows<Change>,
    /// What others changed last, the newest first.
    pub(super) changes: Rows<Change>,
}

/// The first rows of a table.
pub(super) struct Rows<T> {
    pub(super) shown: Vec<T>,
    pub(super) total: usize,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { shown: Vec::new(), total: 0 }
    }
}

impl<T> From<Vec<T>> for Rows<T> {
    fn from(mut all: Vec<T>) -> Self {
        let total = all.len();
        all.truncate(ROWS);
        Self { shown: all, total }
    }
}

pub(super) struct Instance {
    pub(super) key: Key,
    pub(super) is_ready: bool,
    pub(super) address: String,
    pub(super) version: String,
    pub(super) feed: String,
    pub(super) ready: String,
    pub(super) not_ready: String,
    pub(super) served_by: String,
}

pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) ready: usize,
    pub(super) not_ready: usize,
}

pub(super) struct NotReady {
    pub(super) key: Key,
    /// Only a person can go on.
    pub(super) is_stalled: bool,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) since: String,
}

/// A difference between what is declared and what is in ZITADEL.
pub(super) struct Change {
    pub(super) key: Key,
    pub(super) fields: String,
    /// Whoever changed it, where that is known.
    pub(super) by: String,
    pub(super) at: String,
    pub(super) is_corrected: bool,
}

/// Of a status, what is read here.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    observed_generation: Option<i64>,
    conditions: Vec<Condition>,
    drift: Vec<Differing>,
    last_drift: Option<LastDrift>,
}

#[derive(Deserialize)]
struct Differing {
    field: String,
}

impl Overview {
    /// What there is now.
    pub(super) fn of(context: &Context) -> Self {
        let role = match context.lease.role() {
            Role::Leader => "the one that writes".to_owned(),
            _ => context.lease.standby().unwrap_or_else(|| "starting".into()),
        };
        let mut overview = Self {
            operator: context.reporter.clone(),
            role,
            health: context.health.report(),
            at: format!("{:.0}", Timestamp::now()),
            ..Self::default()
        };
        let (mut not_ready, mut differing, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        for entry in REGISTRY.all() {
            let mut kind = Kind { name: entry.kind(), ready: 0, not_ready: 0 };
            for said in context.host.stores.said::<Status>(kind.name) {
                match trouble(&said) {
                    None => kind.ready += 1,
                    Some(trouble) => {
                        kind.not_ready += 1;
                        not_ready.push(trouble);
                    }
                }
                differing.extend(differs(&said));
                changes.extend(changed(said));
            }
            if kind.ready + kind.not_ready > 0 {
                overview.kinds.push(kind);
            }
        }
        not_ready.sort_by_key(|row| !row.is_stalled);
        changes.sort_by(|a, b| b.at.cmp(&a.at));
        overview.instances = instances(context, &not_ready).into();
        overview.not_ready = not_ready.into();
        overview.differing = differing.into();
        overview.changes = changes.into();
        overview
    }
}

/// Why an object is not as declared, as far as is known; `None`: it is.
fn trouble(said: &Said<Status>) -> Option<NotReady> {
    let status = &said.status;
    let ready = status.conditions.iter().find(|c| c.kind == "Ready");
    let is_current = status.observed_generation == Some(said.generation);
    let row = |reason: &str, message: &str, since: &str| NotReady {
        key: said.key.clone(),
        is_stalled: status.conditions.iter().any(|c| c.kind == "Stalled" && c.status == "True"),
        reason: clipped(reason),
        message: clipped(message),
        since: clipped(since),
    };
    match ready {
        Some(_) | None if !is_current && !said.is_deleting => {
            Some(row("", "the operator has not looked at it yet", ""))
        }
        Some(c) if c.status == "True" && !said.is_deleting => None,
        Some(c) => Some(row(&c.reason, &c.message, &c.last_transition_time)),
        None => Some(row("", "nothing is said of it", "")),
    }
}

/// What differs right now; by whom it was changed, if the last change has not been reverted.
fn differs(said: &Said<Status>) -> Option<Change> {
    let fields: Vec<&str> = said.status.drift.iter().map(|d| d.field.as_str()).collect();
    let cause = said.status.last_drift.as_ref().filter(|last| !last.corrected);
    (!fields.is_empty()).then(|| Change {
        key: said.key.clone(),
        fields: clipped(&fields.join(", ")),
        by: clipped(cause.and_then(|last| last.by.as_deref()).unwrap_or_default()),
        at: clipped(cause.map(|last| last.at.as_str()).unwrap_or_default()),
        is_corrected: false,
    })
}

/// The last change by somebody else.
fn changed(said: Said<Status>) -> Option<Change> {
    let last = said.status.last_drift?;
    Some(Change {
        key: said.key,
        fields: clipped(&last.fields.join(", ")),
        by: clipped(last.by.as_deref().unwrap_or_default()),
        at: clipped(&last.at),
        is_corrected: last.corrected,
    })
}

fn instances(context: &Context, not_ready: &[NotReady]) -> Vec<Instance> {
    let kind = REGISTRY.connection().description().kind;
    let lags = context.followers.lags();
    let row = |said: Said<InstanceDetails>| {
        let (key, details) = (said.key, said.status);
        let lag = lags.iter().find(|(instance, _)| *instance == key);
        let feed = match details.feed.map(|feed| (feed.mode, feed.reason)) {
            Some((FeedMode::Following, _)) => lag.map_or_else(
                || "Following".to_owned(),
                |(_, lag)| format!("Following, answered {} s ago", lag.as_secs()),
            ),
            Some((FeedMode::Polling, reason)) => {
                reason.map_or_else(|| "Polling".to_owned(), |reason| format!("Polling: {reason}"))
            }
            None => String::new(),
        };
        let count = |number: Option<u64>| number.map(|n| n.to_string()).unwrap_or_default();
        Instance {
            is_ready: not_ready.iter().all(|row| row.key != key),
            key,
            address: clipped(&details.issuer.unwrap_or_default()),
            version: clipped(&details.version.unwrap_or_default()),
            feed: clipped(&feed),
            ready: count(details.objects.map(|o| o.ready)),
            not_ready: count(details.objects.map(|o| o.not_ready)),
            served_by: clipped(&details.served_by.unwrap_or_default()),
        }
    };
    context.host.stores.said::<InstanceDetails>(kind).into_iter().map(row).collect()
}

/// As much of a text as the page has room for.
fn clipped(text: &str) -> String {
    match text.char_indices().nth(TEXT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
