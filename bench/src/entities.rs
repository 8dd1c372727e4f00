//! Things in ZITADEL, by the calls of their kind.

use futures::TryStreamExt;
use kastellan::{
    contract::{Access, Entry, Place, Row, entry::ErasedEntity},
    kinds::REGISTRY,
    zitadel::Client,
};

use crate::Result;

/// The entity of this kind.
pub(crate) fn entity(kind: &str) -> Result<&'static dyn ErasedEntity> {
    match REGISTRY.find(kind) {
        Some(Entry::Entity(entity)) => Ok(entity),
        _ => Err(format!("there is no entity {kind}").into()),
    }
}

/// An organization, for this client.
pub(crate) fn organization(client: Client, id: &str) -> Access {
    Access::anonymous(client, Place::organization(id))
}

/// The ids of all projects of an organization.
pub(crate) async fn projects(at: &Access) -> Result<Vec<String>> {
    let rows: Vec<_> = entity("Project")?.list(at).try_collect().await?;
    let ids = rows.into_iter().filter_map(|row| match row {
        Row::Read(remote) => remote.id().map(ToOwned::to_owned),
        Row::Odd { id } => id,
    });
    Ok(ids.collect())
}
