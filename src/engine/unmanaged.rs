//! What is in ZITADEL and declared nowhere, as far as the store knows it: from the lists that were
//! read anyway.

use serde::Serialize;

use super::{
    claims::{Claim, What},
    kind::Shape,
    reconcile::Engine,
};
use crate::kinds;

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

/// All of them, by kind, organization and name. Of settings there are none: they are always there.
pub fn unmanaged(engine: &Engine) -> Vec<Unmanaged> {
    let mut found = Vec::new();
    for (_, connection) in engine.connections.all() {
        connection.live.each(|kind, organization, remote| {
            let Some(entry) = kinds::find(kind) else { return };
            let Shape::Entity { natural_key, .. } = entry.shape() else { return };
            let what = What::Id(remote.id.clone());
            let claim = Claim {
                instance: connection.instance_id.clone(),
                kind,
                organization: organization.clone(),
                what,
            };
            if !engine.claims.is_declared(&claim) {
                let name = remote.state.text(natural_key).unwrap_or_default().to_owned();
                found.push(Unmanaged {
                    kind,
                    organization_id: organization.clone(),
                    name,
                    id: remote.id.clone(),
                });
            }
        });
    }
    found.sort();
    found.dedup();
    found
}
