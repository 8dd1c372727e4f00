//! The engine: what is declared, what is live, the difference, and the smallest set of writes that
//! removes it.
//!
//! It knows neither Kubernetes nor files: a [`host::Host`] tells it of objects, Secrets and
//! namespaces, a [`connection::Connection`] of ZITADEL, and [`kind`] what each kind of thing is.
//! [`reconcile::reconcile`] is the whole of it for one object; what it comes to is data.

pub mod claims;
pub mod connection;
mod contest;
pub mod deletion;
mod drift;
pub mod entity;
pub mod error;
pub mod fields;
pub mod host;
pub mod instance;
mod job;
pub mod kind;
mod lost;
mod memory;
pub mod news;
pub mod object;
pub mod outcome;
pub mod plan;
pub mod reconcile;
pub mod references;
pub mod setting;
pub mod unmanaged;

pub use error::Error;
pub use fields::Fields;
pub use object::{Key, Object};
