//! What ZITADEL can't change is replaced: another thing is created, then the former one is deleted.
//! Between the two something is always in use. The status says what is being replaced before the
//! first call, so that an attempt that was cut off is brought to its end.

use super::{
    apply::Writer,
    decide::Plan,
    error::{Error, Refusal, Result, WhileDoing},
    inputs,
    report::Outcome,
};
use crate::{
    contract::{Entry, Fields, Inputs, Object, Place, Remote, Subject, diff},
    live::{Connection, WriteSession},
};

impl Writer<'_> {
    /// Creates another thing in the place of the one that there is. Returns what was read back.
    pub(super) async fn replace(
        &self,
        session: WriteSession<'_>,
        plan: &Plan,
        outcome: &mut Outcome,
    ) -> Result<Remote> {
        let Some(former) = plan.id() else { return self.read_back(&plan.subject).await };
        let declared = &self.target.declared;
        // By its name the new one is found again; so nothing else may have it.
        let others = others(self.connection(), self.entry, &self.target.place, declared, former);
        if let Some(other) = others.await?.pop() {
            let ids = vec![former.to_owned(), id_of(&other)];
            return Err(Error::AdoptionRefused(Refusal::Ambiguous { ids }));
        }
        outcome.bind(self.target, former, plan.provenance);
        outcome.replacing(former);
        self.host.remember(self.object, &outcome.status).await.map_err(Error::Host)?;
        // The new one has nothing of what the former one had: all secrets are sent.
        let secrets = inputs::at_creation(&self.target.inputs);
        let values = inputs::values(&self.target.inputs, &secrets);
        let created = session.create("", &plan.want, &values).await.doing("create")?;
        let id = created.id.unwrap_or_default();
        outcome.bind(self.target, &id, plan.provenance);
        self.note_sent(&secrets, outcome);
        self.host.remember(self.object, &outcome.status).await.map_err(Error::Host)?;
        session.delete(former).await.doing("delete")?;
        drop(session);
        outcome.replaced();
        outcome.written(self.entry.noun, plan);
        tracing::info!(id, former, fields = plan.changed_fields().join(", "), "replaced");
        self.read_back(&Subject::Entity(id)).await
    }

    /// Brings a replacement to its end that was cut off. Returns the id of what the object is bound
    /// to by it.
    pub(super) async fn settle_replacement(&self, outcome: &mut Outcome) -> Result<Option<String>> {
        let (entry, place) = (self.entry, &self.target.place);
        let (Some(former), Some(binding)) = (&self.object.status.replaces, &self.target.binding)
        else {
            return Ok(None);
        };
        if self.target.shared.observes() || binding.place != *place {
            return Ok(None);
        }
        let mut id = binding.id.clone();
        if id == *former {
            let declared = &self.target.declared;
            let mut others = others(self.connection(), entry, place, declared, former).await?;
            match (others.pop(), others.is_empty()) {
                // Nothing had come of it.
                (None, _) => {
                    outcome.replaced();
                    return Ok(None);
                }
                (Some(only), true) if is_as_created(entry, declared, &only) => id = id_of(&only),
                // Whose it is can't be told.
                (Some(last), _) => {
                    let ids = others.iter().chain([&last]).map(id_of).chain([former.clone()]);
                    let ids = ids.collect();
                    return Err(Error::AdoptionRefused(Refusal::Ambiguous { ids }));
                }
            }
            outcome.bind(self.target, &id, binding.provenance);
            self.host.remember(self.object, &outcome.status).await.map_err(Error::Host)?;
        }
        let session = self.connection().begin_write(entry, place).await?;
        session.delete(former).await.doing("delete")?;
        outcome.replaced();
        Ok(Some(id))
    }

    fn connection(&self) -> &Connection {
        &self.target.connection
    }
}

/// The ids of what is left of a replacement that was cut off, besides what the object is bound to.
pub(super) async fn remains(
    connection: &Connection,
    entry: Entry,
    object: &Object,
    place: &Place,
) -> Result<Vec<String>> {
    let (Some(former), Some(id)) = (&object.status.replaces, &object.status.id) else {
        return Ok(Vec::new());
    };
    if former != id {
        return Ok(vec![former.clone()]);
    }
    let declared = entry.desired(&object.spec, &object.key.name, &Inputs::default());
    let declared = declared.unwrap_or_default();
    let found = others(connection, entry, place, &declared, former).await?;
    // It was alone before; of several, and of what is not as it was created, none is known to be
    // its own.
    let ours = |found: &[Remote]| matches!(found, [only] if is_as_created(entry, &declared, only));
    Ok(if ours(&found) { found.iter().map(id_of).collect() } else { Vec::new() })
}

fn id_of(remote: &Remote) -> String {
    remote.id().unwrap_or_default().to_owned()
}

/// Whether something is as this object creates it, up to what is done by a second call: somebody else
/// may have given the same name to a thing of theirs.
fn is_as_created(entry: Entry, declared: &Fields, remote: &Remote) -> bool {
    let later = entry.as_entity().and_then(|e| e.only_one).map(|(field, _)| field);
    let differs = diff(declared, &remote.state, entry.lists);
    differs.iter().all(|drift| Some(drift.field.as_str()) == later)
}

/// What has the same name and form as the thing with this id.
async fn others(
    connection: &Connection,
    entry: Entry,
    place: &Place,
    declared: &Fields,
    id: &str,
) -> Result<Vec<Remote>> {
    let key = entry.as_entity().map(|e| e.natural_key);
    let Some((natural_key, key)) = key.and_then(|k| Some((k, k.of(declared)?))) else {
        return Ok(Vec::new());
    };
    connection.invalidate_collection(entry, place);
    let mut found = connection.find(entry, place, natural_key, &key).await.doing("look for")?;
    let form = entry.form(declared);
    found.retain(|remote| {
        entry.form(&remote.state) == form && remote.place == *place && remote.id() != Some(id)
    });
    Ok(found)
}
