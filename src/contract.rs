//! What a kind is: data and traits. Pure, apart from the calls that kinds implement.
//!
//! An [`Entity`] is one of many things, each with an id; a [`Setting`] always exists, once per
//! place. [`Entry`] is their object-safe face, and a [`Registry`] is all that the engine and the
//! live side know of kinds: neither names one.

pub mod connection;
pub mod crd;
pub mod entry;
pub mod event;
pub mod fields;
pub mod file;
pub mod input;
pub mod kind;
mod leaving;
pub mod object;
pub mod permissions;
pub mod place;
pub mod proof;
pub mod reference;
pub mod registry;
pub mod remote;
pub mod schedule;
pub mod secret;
pub mod spec;
pub mod unknown;

pub use crate::zitadel::page::Row;
pub use connection::{ConnectionKind, ConnectionSpec};
pub use entry::Entry;
pub use event::{EventFilter, EventPlace, EventSubject};
pub use fields::{Fields, List, ListOrder, diff};
pub use file::{FileInput, FileOrigin, Files, NO_FILE};
pub use input::{Required, SecretInput, Secrets};
pub use kind::{
    Breadth, CheckError, Declaration, Description, Entity, EntityDescription, IdSource, Kind,
    Names, NaturalKey, Setting,
};
pub use leaving::Leaving;
pub use object::{Key, Object};
pub use permissions::Permissions;
pub use place::{Access, Place};
pub use proof::{Challenge, Proof, Verified};
pub use reference::{Consent, Reference, Role};
pub use registry::Registry;
pub use remote::{Cut, Remote, RemoteEntity, RemoteSetting, Subject, Version, Written};
pub use schedule::{Due, Moment, Schedule};
pub use secret::{Issued, Issues, Renewal};
pub use spec::{Inputs, SpecError, decode};
pub use unknown::refuse_unknown;
