//! What the account is permitted, asked of ZITADEL: what it may not read looks, in lists that cover
//! the instance, as if it did not exist.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;

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
pub(super) struct Permitted(Mutex<HashMap<Option<String>, Told>>);

#[derive(Clone)]
struct Told {
    at: Instant,
    permissions: Arc<BTreeSet<String>>,
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
        let organization = &place.organization;
        let lacks = |told: &Told| -> Vec<&'static str> {
            needed.reads().filter(|one| !told.permissions.contains(*one)).collect()
        };
        // That something is missing is soon asked again: it may just have been given.
        let counts = |told: &&Told| {
            let is_enough = lacks(told).is_empty();
            told.at.elapsed() < if is_enough { age } else { age.min(TRUST) }
        };
        let known = lock(&self.0).get(organization).filter(counts).cloned();
        let told = match known {
            Some(told) => told,
            None => {
                let at = Instant::now();
                let permissions = fetch_permissions(client, organization.as_deref()).await?;
                let told = Told { at, permissions: Arc::new(permissions) };
                let mut all = lock(&self.0);
                all.retain(|_, told| told.at.elapsed() < CREDIT);
                all.insert(organization.clone(), told.clone());
                told
            }
        };
        Ok(lacks(&told))
    }
}
