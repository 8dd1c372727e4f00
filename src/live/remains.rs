//! What is left of a deleted organization. Deleting one leaves the write side of its policies and projects alive, and an
//! organization that is made again under the same id inherits them without showing them: a create of theirs is answered
//! with "already exists", an update changes nothing that can be read (recording `organization-reborn`).

use jiff::Timestamp;
use serde_json::json;

use super::feed;
use crate::{
    engine::kind::{At, Events},
    zitadel::Result,
};

/// Whether a thing that does not show is such a remainder, so that nothing is destroyed by its deletion: the event log, which
/// forgets nothing, says that its organization was removed after it was made. `id`: of an entity; a setting's events are
/// its organization's. Fails where the account may not read events.
pub async fn are_left(at: &At, events: &[Events], id: &str) -> Result<bool> {
    let Some(organization) = at.organization() else { return Ok(false) };
    let Some(removed) = newest(at, organization, &["org.removed".into()]).await? else { return Ok(false) };
    let of_organization = |e: &&Events| e.aggregate == "org";
    let (owner, made): (&str, Vec<String>) = if id.is_empty() {
        (organization, events.iter().filter(of_organization).map(|e| format!("{}added", e.prefix)).collect())
    } else {
        (id, events.iter().map(|e| format!("{}added", e.prefix)).collect())
    };
    Ok(newest(at, owner, &made).await?.is_some_and(|made| made < removed))
}

/// The date of the newest event of these types in an aggregate.
async fn newest(at: &At, aggregate: &str, types: &[String]) -> Result<Option<Timestamp>> {
    let query = json!({"aggregateId": aggregate, "eventTypes": types, "limit": 1});
    Ok(feed::search(&at.client, &query).await?.first().map(|e| e.creation_date))
}
