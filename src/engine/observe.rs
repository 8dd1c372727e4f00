//! Stage 2: what is live at the place of an object: by binding, given id, derived id, natural key,
//! in that order. Reads only.

use std::time::Duration;

use super::{
    context::Engine,
    error::{Error, Lost, NotConverged, Result, WhileDoing},
    resolve::Target,
};
use crate::{
    api::status::Provenance,
    contract::{EntityDescription, Entry, IdSource, Object, Remote, Subject},
    live::{self, Absence, Observation},
};

/// How long reads may lag behind our own writes.
pub(super) const MAX_LAG: Duration = Duration::from_secs(60);
/// How often something that was deleted behind our back may have been recreated without the status
/// knowing.
const MAX_RECREATIONS: usize = 3;

/// What was found for an entity.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// What the object is bound to.
    Bound(Remote),
    /// What has the id that the spec names.
    Given(Remote),
    /// What has the id that follows from the object: nobody else can have created it.
    Derived(Remote),
    /// What has the natural key: one, or several.
    Named(Vec<Remote>),
    /// Nothing; it would be created under this id.
    Nothing {
        /// The id.
        id: String,
    },
    /// What the object was bound to does not exist any more. What was created in its place by a
    /// reconcile whose end was lost is `Derived`.
    Gone {
        /// The id that it had.
        former: String,
        /// The id under which it is created again.
        id: String,
    },
    /// The id that the spec names belongs to something in another organization.
    Elsewhere {
        /// The id.
        id: String,
        /// The organization.
        organization: String,
    },
}

impl Found {
    /// The id of what was found, or under which it is created; `None`: several things.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Bound(r) | Self::Given(r) | Self::Derived(r) => r.id(),
            Self::Named(all) => match &all[..] {
                [only] => only.id(),
                _ => None,
            },
            Self::Nothing { id } | Self::Gone { id, .. } | Self::Elsewhere { id, .. } => Some(id),
        }
    }
}

/// What is live for an entity.
pub async fn entity(
    engine: &Engine,
    entry: Entry,
    entity: &'static EntityDescription,
    object: &Object,
    target: &Target,
) -> Result<Found> {
    let observer = Observer { engine, entry, entity, object, target };
    let given = observer.given().map(ToOwned::to_owned);
    if target.is_planned {
        let id = given.unwrap_or_else(|| observer.own_id());
        return Ok(Found::Nothing { id });
    }
    if let Some(binding) = &target.binding {
        let same_place = binding.place == target.place;
        if same_place && let Some(remote) = observer.read(&binding.id).await? {
            return Ok(Found::Bound(remote));
        }
        return observer.gone(&binding.id, given).await;
    }
    if let Some(id) = given {
        return match observer.read(&id).await? {
            Some(remote) => Ok(Found::Given(remote)),
            None => observer.unseen(id).await,
        };
    }
    if entity.id == IdSource::Chosen {
        let mut id = object.derived_id();
        for _ in 0..MAX_RECREATIONS {
            if let Some(remote) = observer.peek(&id).await? {
                return Ok(Found::Derived(remote));
            }
            id = object.id_after(&id);
        }
    }
    observer.by_name().await
}

/// What is live for a setting, which always exists.
pub async fn setting(entry: Entry, target: &Target) -> Result<Remote> {
    let subject = Subject::Setting;
    match read(entry, target, &subject, Absence::AsListed).await? {
        Some(remote) => Ok(remote),
        None => Err(Error::NotConverged(NotConverged::Unreadable)),
    }
}

/// What is known of a thing; an own write that does not show yet is waited for, and in the end
/// reported.
pub async fn read(
    entry: Entry,
    target: &Target,
    subject: &Subject,
    absence: Absence,
) -> Result<Option<Remote>> {
    let seen = target.connection.observe(entry, &target.place, subject, absence).await;
    current(subject, seen.doing("read")?)
}

/// The thing, if what is known is as new as our own last write.
pub(super) fn current(subject: &Subject, seen: Observation) -> Result<Option<Remote>> {
    match seen {
        Observation::Current(remote) => Ok(remote.map(|r| *r)),
        Observation::Pending { age, shows } if age > MAX_LAG => {
            Err(Error::Lost(match (shows, subject) {
                (false, Subject::Entity(id)) => Lost::Thing { id: id.clone(), age },
                _ => Lost::Change { age },
            }))
        }
        Observation::Pending { .. } => Err(Error::NotConverged(NotConverged::Pending)),
    }
}

struct Observer<'a> {
    engine: &'a Engine,
    entry: Entry,
    entity: &'static EntityDescription,
    object: &'a Object,
    target: &'a Target,
}

impl Observer<'_> {
    /// The id that the spec names, or that the natural key is.
    fn given(&self) -> Option<&str> {
        match self.entity.id {
            IdSource::Chosen => self.target.shared.identity.id.as_deref(),
            IdSource::Key => None,
        }
    }

    /// The id under which the object creates its thing.
    fn own_id(&self) -> String {
        match self.entity.id {
            IdSource::Chosen => self.object.derived_id(),
            IdSource::Key => self.natural_key().unwrap_or_default().to_owned(),
        }
    }

    fn natural_key(&self) -> Option<&str> {
        self.target.declared.text(self.entity.natural_key)
    }

    async fn read(&self, id: &str) -> Result<Option<Remote>> {
        read(self.entry, self.target, &Subject::from(id), Absence::Confirmed).await
    }

    async fn peek(&self, id: &str) -> Result<Option<Remote>> {
        read(self.entry, self.target, &Subject::from(id), Absence::AsListed).await
    }

    /// It was deleted behind our back, or its place was: if the account would see it. An id that is
    /// dead is not used again, unless it was asked for.
    async fn gone(&self, former: &str, given: Option<String>) -> Result<Found> {
        if !self.target.connection.can_see(&self.target.place).await? {
            return Err(Error::NoSight { id: former.to_owned() });
        }
        let id = match self.entity.id {
            IdSource::Key => self.own_id(),
            IdSource::Chosen => given.unwrap_or_else(|| self.object.id_after(former)),
        };
        match self.peek(&id).await? {
            Some(remote) if id != former => Ok(Found::Derived(remote)),
            _ => Ok(Found::Gone { former: former.to_owned(), id }),
        }
    }

    /// Nothing shows under the id that the spec names. ZITADEL may accept to create it all the same
    /// where it belongs to another organization, and write to what that organization has.
    async fn unseen(&self, id: String) -> Result<Found> {
        let connection = &self.target.connection;
        // An organization's owner may not ask, and reaches no other organization.
        if connection.account.sight.instance {
            let owner = live::owner(&connection.client, self.entry.events, &id).await;
            let owner = owner.doing_other("find out whose this id is")?;
            if let Some(organization) = owner
                && Some(&organization) != self.target.place.organization.as_ref()
                && self.engine.registry.root() != Some(self.entry)
            {
                return Ok(Found::Elsewhere { id, organization });
            }
        }
        Ok(Found::Nothing { id })
    }

    /// Something of this name, or nothing.
    async fn by_name(&self) -> Result<Found> {
        let id = self.own_id();
        let Some(name) = self.natural_key() else { return Ok(Found::Nothing { id }) };
        let (connection, place) = (&self.target.connection, &self.target.place);
        let found = connection.find(self.entry, place, self.entity.natural_key, name).await;
        let found = found.doing("look for")?;
        if found.is_empty() { Ok(Found::Nothing { id }) } else { Ok(Found::Named(found)) }
    }
}

/// Where what was found comes from: what is bound says so, and what has a derived id is ours.
pub fn provenance(found: &Found, target: &Target) -> Provenance {
    match (found, &target.binding) {
        (Found::Bound(_), Some(binding)) => binding.provenance,
        (Found::Given(_) | Found::Named(_), _) => Provenance::Adopted,
        _ => Provenance::Created,
    }
}
