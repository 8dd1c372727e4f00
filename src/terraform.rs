//! The state of terraform's provider `zitadel/zitadel` as manifests. Reads what terraform wrote;
//! asks nobody.
//!
//! [`state`] reads terraform's formats, `resources` says for each type of resource which kind it is
//! and which attribute is which field, `found` makes a thing of an instance, `conversion` puts it
//! where it belongs, and the export writes it like what it finds in ZITADEL.

mod conversion;
mod found;
mod resource;
mod resources;
pub mod state;

use std::collections::{BTreeMap, BTreeSet};

use secrecy::SecretString;

use crate::{
    contract::Registry,
    export::{Export, ExportError, Selection},
};
use conversion::Conversion;
use state::State;

/// What a state came to.
#[derive(Debug, Default)]
pub struct Converted {
    /// The manifests, and what could not be written as one, with its address and why.
    pub export: Export,
    /// Addresses of the resources that have no kind.
    pub without_kind: Vec<String>,
    /// Attributes that no field stands for, by type of resource.
    pub lacking: BTreeMap<String, BTreeSet<String>>,
    /// Fields with ids of what this state does not manage, which only who may act on the instance
    /// can name.
    pub foreign: BTreeSet<(String, String)>,
    /// The Secrets, as far as the state knows what they hold.
    pub secrets: Vec<Secret>,
    /// How many secrets were left out.
    pub secrets_left: usize,
}

/// A Secret with what the state holds of it.
#[derive(Debug)]
pub struct Secret {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub data: BTreeMap<String, SecretString>,
}

/// The types of resources that become something, and the kind that each becomes; one that becomes
/// several comes several times.
pub fn resource_types() -> impl Iterator<Item = (&'static str, &'static str)> {
    resources::all().map(|resource| (resource.name, resource.kind))
}

/// Makes manifests of a state. `secrets`: those that it holds are wanted; without them a key is
/// nothing.
pub fn convert(
    registry: &'static Registry,
    state: &State,
    selection: &Selection,
    secrets: bool,
) -> Result<Converted, ExportError> {
    let mut conversion = Conversion::new(registry, selection, secrets);
    let found = conversion.found(state);
    for entry in registry.all() {
        let of_kind = found.iter().filter(|found| found.entry == entry);
        conversion.kind(entry, of_kind)?;
    }
    conversion.end()
}
