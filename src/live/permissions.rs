//! What the account is permitted, asked of ZITADEL: what it may not read looks, in lists that cover
//! the instance, as if it did not exist.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::Mutex as AsyncMutex, time::Instant};

use super::lock::lock;
use crate::{
    contract::{Breadth, EntityDescription, Entry, Place},
    zitadel::{
        Client,
        identity::{IdentityError, fetch_permissions},
    },
};

/// How long it is believed which instance is at the other end, and what the account may see.
pub(super) const TRUST: Duration = Duration::from_secs(5);
/// How long it is believed, of what was never seen, that the account would see it: where that is
/// wrong, ZITADEL refuses to create it.
pub const CREDIT: Duration = Duration::from_secs(60);

/// What was told a moment ago, by organization; `None`: the account's own.
#[derive(Default)]
pub(super) struct Permitted(Mutex<HashMap<Option<String>, Answer>>);

/// Held by the one who asks: whoever waits for it finds the answer.
type Answer = Arc<AsyncMutex<Option<Told>>>;

struct Told {
    at: Instant,
    permissions: BTreeSet<String>,
}

impl Permitted {
    /// See [`Connection::lacks`](super::Connection::lacks).
    pub(super) async fn lacks(
        &self,
        client: &Client,
        entry: Entry,
        place: &Place,
        age: Duration,
    ) -> Result<Vec<&'static str>, IdentityError> {
        let is_filtered = |entity: &EntityDescription| {
            place.organization.is_none()
                || entity.omits_unreadable
                || entity.listed_by == Breadth::Instance
        };
        let is_filtered = entry.as_entity().is_some_and(is_filtered);
        let Some(needed) = entry.permissions_at(place).filter(|_| is_filtered) else {
            return Ok(Vec::new());
        };
        let now = Instant::now();
        let lacks = |told: &Told| -> Vec<&'static str> {
            needed.reads().filter(|one| !told.permissions.contains(*one)).collect()
        };
        // That something is missing is soon asked again: it may just have been given.
        let counts = |told: &&Told| {
            let age = if lacks(told).is_empty() { age } else { age.min(TRUST) };
            told.at + age >= now
        };
        let organization = place.organization.as_deref();
        let answer = self.answer(organization);
        let mut answer = answer.lock().await;
        if let Some(told) = answer.as_ref().filter(counts) {
            return Ok(lacks(told));
        }
        let at = Instant::now();
        let permissions = fetch_permissions(client, organization).await?;
        Ok(lacks(answer.insert(Told { at, permissions })))
    }

    /// Forgets what is too old to count, and nobody is asking for.
    fn answer(&self, organization: Option<&str>) -> Answer {
        let is_old = |told: &Option<Told>| told.as_ref().is_none_or(|t| t.at.elapsed() >= CREDIT);
        let mut all = lock(&self.0);
        all.retain(|_, answer| {
            Arc::strong_count(answer) > 1 || !answer.try_lock().is_ok_and(|told| is_old(&told))
        });
        all.entry(organization.map(ToOwned::to_owned)).or_default().clone()
    }
}
