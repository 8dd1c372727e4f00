//! What exists in ZITADEL and does not show: the event log, which forgets nothing, tells why.
//!
//! What is left of a deleted organization: deleting one leaves the write side of its policies and
//! projects alive, and an organization that is made again under the same id inherits them without
//! showing them: a create of theirs is answered with "already exists", an update changes nothing
//! that can be read (recording `organization-reborn`).
//!
//! What a projection has skipped, for good: its `GET` says 404, its create 409.

use jiff::Timestamp;
use serde_json::json;

use super::feed;
use crate::{
    engine::kind::{At, Events},
    zitadel::Result,
};

/// Whether a thing that does not show is such a remainder, so that nothing is destroyed by its
/// deletion: the event log, which forgets nothing, says that its organization was removed after it
/// was made. `id`: of an entity; a setting's events are its organization's. Fails where the account
/// may not read events.
pub async fn are_left(at: &At, events: &[Events], id: &str) -> Result<bool> {
    let Some(organization) = at.organization() else { return Ok(false) };
    let Some(removed) = newest(at, organization, &["org.removed".into()]).await? else {
        return Ok(false);
    };
    let of_organization = |e: &&Events| e.aggregate == "org";
    let (owner, made): (&str, Vec<String>) = if id.is_empty() {
        (
            organization,
            events.iter().filter(of_organization).map(|e| format!("{}added", e.prefix)).collect(),
        )
    } else {
        (id, events.iter().map(|e| format!("{}added", e.prefix)).collect())
    };
    Ok(newest(at, owner, &made).await?.is_some_and(|made| made < removed))
}

/// Whether a thing that was made and does not show may be deleted and made again under its id: all
/// that ever happened to it is that this account made it, so that nothing can hang on it; and
/// something later of the same scope shows (`shown` is the date of the newest), for else the read
/// side merely lags.
pub async fn may_be_made_anew(
    at: &At,
    events: &[Events],
    id: &str,
    account: &str,
    shown: Option<Timestamp>,
) -> Result<bool> {
    let all = feed::search(&at.client, &json!({"aggregateId": id, "limit": 2})).await?;
    let [only] = &all[..] else { return Ok(false) };
    let is_creation = events.iter().any(|e| only.is_of(e.aggregate, &format!("{}added", e.prefix)));
    Ok(is_creation && only.is_by(account) && shown.is_some_and(|shown| shown > only.creation_date))
}

/// The date of the newest event of these types in an aggregate.
async fn newest(at: &At, aggregate: &str, types: &[String]) -> Result<Option<Timestamp>> {
    let query = json!({"aggregateId": aggregate, "eventTypes": types, "limit": 1});
    Ok(feed::search(&at.client, &query).await?.first().map(|e| e.creation_date))
}
