//! Stage 2: what is live at the place of an object: by binding, given id, derived id, natural key,
//! in that order. Reads only.

use std::time::Duration;

use super::{
    binding::{self, Binding},
    context::Engine,
    error::{Error, Lost, NotConverged, Refusal, Result, WhileDoing},
    resolve::Target,
    sight::may_read,
};
use crate::{
    api::status::Provenance,
    contract::{EntityDescription, Entry, IdSource, Object, Place, Registry, Remote, Subject},
    live::{self, Absence, Connection, Observation},
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
        /// The id; `None`: the server chooses it.
        id: Option<String>,
    },
    /// What the object was bound to does not exist any more. What was created in its place by a
    /// reconcile whose end was lost is `Derived`.
    Gone {
        /// The id that it had.
        former: String,
        /// The id under which it is created again; `None`: the server chooses it.
        id: Option<String>,
    },
    /// The id that the spec names belongs to something in another organization.
    Elsewhere {
        /// The id.
        id: String,
        /// The organization.
        organization: String,
    },
    /// Something else has its name or the id that the spec names: it can't be created.
    Taken(Refusal),
}

impl Found {
    /// What was found, if that is one thing.
    pub fn remote(&self) -> Option<&Remote> {
        match self {
            Self::Bound(r) | Self::Given(r) | Self::Derived(r) => Some(r),
            Self::Named(all) if all.len() == 1 => all.first(),
            _ => None,
        }
    }

    /// The id of what was found, or under which it is created; `None`: several things.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Nothing { id } | Self::Gone { id, .. } => id.as_deref(),
            Self::Elsewhere { id, .. } => Some(id),
            _ => self.remote().and_then(Remote::id),
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
        return Ok(Found::Nothing { id: given.or_else(|| observer.own_id()) });
    }
    let found = observer.find(given).await?;
    if matches!(found, Found::Nothing { .. } | Found::Gone { .. }) {
        // What was there before is not given up on by what was true a moment ago.
        let age = if matches!(found, Found::Gone { .. }) { Duration::ZERO } else { live::CREDIT };
        may_read(&target.connection, entry, &target.place, age).await?;
    }
    if matches!(found, Found::Nothing { .. } | Found::Gone { .. })
        && let Some(refusal) = observer.rival().await?
    {
        return Ok(Found::Taken(refusal));
    }
    Ok(found)
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
    /// What exists of it.
    async fn find(&self, given: Option<String>) -> Result<Found> {
        if let Some(binding) = &self.target.binding {
            if binding.place != self.target.place {
                return self.left_behind(binding, given).await;
            }
            return match self.read(&binding.id).await? {
                Some(remote) => Ok(Found::Bound(remote)),
                None => self.gone(&binding.id, given).await,
            };
        }
        if let Some(id) = given {
            return match self.read(&id).await? {
                Some(remote) if remote.place == self.target.place => Ok(Found::Given(remote)),
                Some(remote) => Ok(self.elsewhere(id, remote.place)),
                None => self.unseen(id).await,
            };
        }
        if self.entity.id == IdSource::Chosen {
            let mut id = self.object.derived_id();
            for _ in 0..MAX_RECREATIONS {
                if let Some(remote) = self.peek(&id).await? {
                    return Ok(Found::Derived(remote));
                }
                id = self.object.id_after(&id);
            }
            if let Some(remote) = self.hidden(&self.object.derived_id()).await? {
                return Ok(Found::Derived(remote));
            }
        }
        self.by_name().await
    }

    /// The id that the spec names, or that the natural key is.
    fn given(&self) -> Option<&str> {
        match self.entity.id {
            IdSource::Chosen => self.target.shared.identity.id.as_deref(),
            IdSource::Server if self.entity.is_key() => self.target.shared.identity.id.as_deref(),
            IdSource::Key | IdSource::Server => None,
        }
    }

    /// The id under which the object creates its thing.
    fn own_id(&self) -> Option<String> {
        match self.entity.id {
            IdSource::Chosen => Some(self.object.derived_id()),
            IdSource::Key => self.entity.natural_key.of(&self.target.declared),
            IdSource::Server => None,
        }
    }

    async fn read(&self, id: &str) -> Result<Option<Remote>> {
        read(self.entry, self.target, &Subject::from(id), Absence::Confirmed).await
    }

    async fn peek(&self, id: &str) -> Result<Option<Remote>> {
        read(self.entry, self.target, &Subject::from(id), Absence::AsListed).await
    }

    /// What an attempt may have created under an id, by another name or in another organization than
    /// declared now, and what does not show yet: of a kind that ZITADEL would create once more.
    async fn hidden(&self, id: &str) -> Result<Option<Remote>> {
        let status = &self.object.status;
        let declared = self.entity.natural_key.of(&self.target.declared);
        let is_as_noted = status.creating.is_none()
            || (status.creating == declared && binding::place(status) == self.target.place);
        if !self.entity.takes_ids_twice || is_as_noted {
            return Ok(None);
        }
        let Target { connection, place, instance_binding, .. } = self.target;
        if status.instance.as_ref() != Some(instance_binding) {
            return Ok(None);
        }
        connection.invalidate(self.entry, place, &Subject::from(id));
        match self.peek(id).await? {
            None if self.engine.memory.is_sought(&self.object.key) => {
                Err(Error::NotConverged(NotConverged::Sought))
            }
            seen => Ok(seen),
        }
    }

    /// It was deleted behind our back, or its place was: if the account would see it. An id that is
    /// dead is not used again, unless it was asked for.
    async fn gone(&self, former: &str, given: Option<String>) -> Result<Found> {
        if !self.target.connection.can_see(&self.target.place).await? {
            return Err(Error::NoSight { id: former.to_owned() });
        }
        let id = match self.entity.id {
            IdSource::Key => self.own_id(),
            IdSource::Chosen => Some(given.unwrap_or_else(|| self.object.id_after(former))),
            IdSource::Server => match self.of_its_name().await? {
                // Somebody was faster, or the end of a reconcile was lost.
                found if !found.is_empty() => return Ok(Found::Named(found)),
                _ => None,
            },
        };
        if let Some(id) = id.as_deref().filter(|id| *id != former)
            && let Some(remote) = self.peek(id).await?
        {
            return Ok(Found::Derived(remote));
        }
        if let Some(id) = &id
            && let Some(remote) = self.hidden(id).await?
        {
            return Ok(Found::Derived(remote));
        }
        Ok(Found::Gone { former: former.to_owned(), id })
    }

    /// What it refers to came to mean something else, as an organization does that was created
    /// again. What is still where it was bound is nobody else's: it is not left there in silence.
    async fn left_behind(&self, binding: &Binding, given: Option<String>) -> Result<Found> {
        let (connection, former) = (&self.target.connection, &binding.place);
        // ZITADEL refuses to read in an organization that is gone.
        let is_gone = match &former.organization {
            Some(organization) if former.organization != self.target.place.organization => {
                organization_is_gone(self.engine.registry, connection, organization).await?
            }
            _ => false,
        };
        if !is_gone {
            let subject = Subject::from(binding.id.as_str());
            let seen = connection.observe(self.entry, former, &subject, Absence::Confirmed).await;
            if current(&subject, seen.doing("read")?)?.is_some() {
                let (id, place) = (binding.id.clone(), former.clone());
                return Err(Error::LeftBehind { id, place });
            }
        }
        self.gone(&binding.id, given).await
    }

    /// Nothing shows under the id that the spec names. ZITADEL may accept to create it all the same
    /// where it belongs to another organization, and write to what that organization has.
    async fn unseen(&self, id: String) -> Result<Found> {
        let connection = &self.target.connection;
        if let Entry::Entity(kind) = self.entry {
            let access = connection.access(self.target.place.clone());
            let is_taken = kind.is_taken(&access, &id).await;
            if is_taken.doing_other("find out whether this id is taken")? {
                return Ok(Found::Taken(Refusal::IdTaken { id }));
            }
        }
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
        Ok(Found::Nothing { id: Some(id) })
    }

    /// A list that covers more than the place shows whose the id is.
    fn elsewhere(&self, id: String, place: Place) -> Found {
        match place.organization {
            Some(organization)
                if Some(&organization) != self.target.place.organization.as_ref() =>
            {
                Found::Elsewhere { id, organization }
            }
            _ => Found::Taken(Refusal::IdTaken { id }),
        }
    }

    /// Something of this name, or nothing.
    async fn by_name(&self) -> Result<Found> {
        let key = self.entity.natural_key.of(&self.target.declared);
        let was_creating = self.entity.id == IdSource::Server
            && binding::was_creating(&self.object.status, &self.target.instance_binding);
        if let Some(name) = self.object.status.creating.as_ref().filter(|_| was_creating)
            && Some(name) != key.as_ref()
            && let [only] = &self.named(name).await?[..]
        {
            // It was given another name before its id was known.
            return Ok(Found::Derived(only.clone()));
        }
        let mut found = self.of_its_name().await?;
        if found.is_empty() && !self.entity.is_unique && key.is_some() {
            // Nothing would refuse a second one: what an attempt has created, and what somebody else
            // did since the last list, has to be seen.
            self.target.connection.invalidate_collection(self.entry, &self.target.place);
            found = self.of_its_name().await?;
            if found.is_empty() && was_creating && self.engine.memory.is_sought(&self.object.key) {
                return Err(Error::NotConverged(NotConverged::Sought));
            }
        }
        match found.pop() {
            None => Ok(Found::Nothing { id: self.own_id() }),
            // It was looked for before the call: what is there now came of it.
            Some(only) if found.is_empty() && was_creating => Ok(Found::Derived(only)),
            Some(last) => {
                found.push(last);
                Ok(Found::Named(found))
            }
        }
    }

    /// What has its name and is of another kind.
    async fn rival(&self) -> Result<Option<Refusal>> {
        let Target { connection, place, declared, .. } = self.target;
        let Some(key) = self.entity.natural_key.of(declared) else { return Ok(None) };
        let rivals = self.entity.rivals.iter();
        for rival in rivals.filter_map(|kind| self.engine.registry.find(kind)) {
            let found = connection.find(rival, place, self.entity.natural_key, &key).await;
            let found = found.doing_other("look for others of this name")?;
            if let Some(id) = found.iter().filter(|r| self.is_near(r)).find_map(Remote::id) {
                return Ok(Some(Refusal::OtherKind { id: id.to_owned(), noun: rival.noun }));
            }
        }
        Ok(None)
    }

    /// Everything with the natural key.
    async fn of_its_name(&self) -> Result<Vec<Remote>> {
        match self.entity.natural_key.of(&self.target.declared) {
            Some(key) => self.named(&key).await,
            None => Ok(Vec::new()),
        }
    }

    async fn named(&self, key: &str) -> Result<Vec<Remote>> {
        let Target { connection, place, declared, .. } = self.target;
        let found = connection.find(self.entry, place, self.entity.natural_key, key).await;
        let mut found = found.doing("look for")?;
        found.retain(|remote| self.is_near(remote));
        let form = self.entry.form(declared);
        found.retain(|remote| self.entry.form(&remote.state) == form);
        Ok(found)
    }

    /// Whether both can't have the same natural key. A list may cover more.
    fn is_near(&self, remote: &Remote) -> bool {
        let around = |place| self.entity.unique_in.around(place);
        around(&remote.place) == around(&self.target.place)
    }
}

/// Whether an organization does not exist any more: only where the account would see it.
pub(super) async fn organization_is_gone(
    registry: &'static Registry,
    connection: &Connection,
    organization: &str,
) -> Result<bool> {
    let Some(root) = registry.root() else { return Ok(false) };
    is_gone(connection, root, &Place::instance(), organization).await
}

/// Whether something that others are in does not exist any more: only where the account would see it.
pub(super) async fn is_gone(
    connection: &Connection,
    entry: Entry,
    place: &Place,
    id: &str,
) -> Result<bool> {
    let subject = Subject::from(id);
    connection.invalidate(entry, place, &subject);
    let seen = connection.observe(entry, place, &subject, Absence::Confirmed).await;
    let is_absent = seen.doing_other("look for what it is in")? == Observation::Current(None);
    Ok(is_absent
        && connection.can_see(place).await?
        && connection.lacks(entry, place, Duration::ZERO).await?.is_empty())
}

/// Where what was found comes from: what is bound says so, and what has a derived id is ours.
pub fn provenance(found: &Found, target: &Target) -> Provenance {
    match (found, &target.binding) {
        (Found::Bound(_), Some(binding)) => binding.provenance,
        (Found::Given(_) | Found::Named(_), _) => Provenance::Adopted,
        _ => Provenance::Created,
    }
}
