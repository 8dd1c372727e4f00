//! What is in ZITADEL and declared nowhere, as far as it is known: from the lists that were read
//! anyway.

use serde::Serialize;

use super::{
    context::Engine,
    host::Host,
    ownership::{Claim, Thing},
};

/// A thing that nobody declares.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unmanaged {
    /// Its kind.
    pub kind: &'static str,
    /// Its organization's id, where it is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
}

/// All of them, by kind, organization and name. Of settings there are none: they always exist.
pub fn unmanaged(engine: &Engine, host: &dyn Host) -> Vec<Unmanaged> {
    let mut found = Vec::new();
    for (instance, connection) in engine.connections.all() {
        let domain = engine.consents(host).domain(&instance);
        connection.each(|kind, remote| {
            let entity = engine.registry.find(kind).and_then(|e| e.as_entity());
            let (Some(entity), Some(id)) = (entity, remote.id()) else { return };
            let thing = Thing::with_id(entity.id, &remote.place, id);
            let claim = Claim { domain: domain.clone(), kind, thing };
            if !engine.claims.is_declared(&claim) && !entity.has_come_along(remote) {
                found.push(Unmanaged {
                    kind,
                    organization_id: remote.place.organization.clone(),
                    name: entity.natural_key.of(&remote.state).unwrap_or_else(|| id.to_owned()),
                    id: id.to_owned(),
                });
            }
        });
    }
    found.sort();
    found.dedup();
    found
}
