//! What only the event log, which forgets nothing, can tell of a thing that does not show.
//!
//! Leftovers: deleting an organization leaves the write side of its policies and projects alive,
//! and an organization that is created again under the same id inherits them without showing them.
//! A create of theirs is answered with "already exists", an update changes nothing that can be read
//! (recording `organization-reborn`).
//!
//! What a projection of ZITADEL has skipped for good: its `GET` says 404, its create 409.

use jiff::Timestamp;
use serde_json::json;

use super::log;
use crate::{
    contract::{Access, EventFilter, EventPlace, Subject},
    zitadel::{Client, Result},
};

/// Whether a thing that does not show is a leftover, so that nothing is destroyed by its deletion:
/// its organization, whose events are `root`, was removed after it was created. Fails where the
/// account may not read events.
pub async fn is_leftover(
    access: &Access,
    root: &[EventFilter],
    events: &[EventFilter],
    subject: &Subject,
) -> Result<bool> {
    let Some(organization) = access.organization() else { return Ok(false) };
    let removes: Vec<&str> = root.iter().flat_map(|f| f.removes.iter().copied()).collect();
    let removed = newest(&access.client, organization, &removes).await?;
    let Some(removed) = removed else { return Ok(false) };
    for filter in events.iter().filter(|f| !f.creates.is_empty()) {
        let aggregate = match (filter.place, subject) {
            (EventPlace::Aggregate, _) => organization,
            (EventPlace::Owner, Subject::Entity(id)) => id,
            (EventPlace::BelowAggregate, _) => access.parent(),
            _ => continue,
        };
        let created = newest(&access.client, aggregate, filter.creates).await?;
        if created.is_some_and(|created| created < removed) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether an entity that was created and does not show may be deleted and created again under its
/// id: all that ever happened to it is that `account` created it, so that nothing can depend on it;
/// and something later of the same collection shows (`shown` is the date of the newest change), for
/// otherwise the read side merely lags.
pub async fn may_be_recreated(
    client: &Client,
    events: &[EventFilter],
    id: &str,
    account: &str,
    shown: Option<Timestamp>,
) -> Result<bool> {
    let all = log::search(client, &json!({"aggregateId": id, "limit": 2})).await?;
    let [only] = &all[..] else { return Ok(false) };
    let is_creation = events.iter().any(|f| only.matches(f) && f.creates.contains(&only.name()));
    let is_ours = only.editor.user_id == account;
    Ok(is_creation && is_ours && shown.is_some_and(|shown| shown > only.creation_date))
}

/// The organization that owns the aggregate with this id, whatever it is; `None`: there never was
/// one, or it was removed. Fails where the account may not read events.
pub async fn owner(client: &Client, events: &[EventFilter], id: &str) -> Result<Option<String>> {
    let first = json!({"aggregateId": id, "limit": 1, "asc": true});
    let Some(first) = log::search(client, &first).await?.pop() else { return Ok(None) };
    let removes: Vec<&str> = events.iter().flat_map(|f| f.removes.iter().copied()).collect();
    let newest = json!({"aggregateId": id, "limit": 1});
    let newest = log::search(client, &newest).await?;
    let is_removed = newest.first().is_some_and(|e| removes.contains(&e.name()));
    Ok((!is_removed).then_some(first.aggregate.resource_owner))
}

/// The date of the newest event of these types in an aggregate.
async fn newest(client: &Client, aggregate: &str, types: &[&str]) -> Result<Option<Timestamp>> {
    let query = json!({"aggregateId": aggregate, "eventTypes": types, "limit": 1});
    Ok(log::search(client, &query).await?.first().map(|e| e.creation_date))
}
