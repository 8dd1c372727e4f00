//! The engine: what is declared, what is live, the difference, and the smallest set of writes that
//! removes it.
//!
//! It knows neither Kubernetes nor files, and no kind by its name: a [`host::Host`] tells it of
//! objects, Secrets and namespaces, a [`Registry`](crate::contract::Registry) of kinds, and a
//! [`Connection`](crate::live::Connection) of ZITADEL. [`reconcile::reconcile`] is the whole of it
//! for one object, in five stages:
//!
//! | Stage | Does | I/O |
//! |---|---|---|
//! | [`resolve`] | references, consents, connection | reads |
//! | [`observe`] | what is live: by binding, id, derived id, natural key | reads |
//! | [`decide`], [`decide_deletion`], [`decide_secret`] | what to do | none: pure |
//! | [`apply`] | the writes; the only file that writes to ZITADEL | writes |
//! | [`report`] | status, Events, when to look again; the only file that makes a status | none |

pub mod apply;
pub mod binding;
mod connect;
pub mod consent;
mod contention;
pub mod context;
pub mod decide;
pub mod decide_deletion;
pub mod decide_secret;
mod delete;
pub mod error;
pub mod events;
pub mod host;
pub mod inputs;
mod lock_out;
mod memory;
pub mod observe;
pub mod ownership;
pub mod plan;
mod proof;
pub mod reconcile;
mod replacement;
pub mod report;
pub mod resolve;
mod schedule;
mod secret;
mod sight;
pub mod unmanaged;

pub use context::Engine;
pub use error::Error;
