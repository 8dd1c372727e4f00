//! ZITADEL over HTTP: tokens, deadlines, errors, pages, retries. Knows no kinds.
//!
//! [`Client`] is the way in. It serves the three faces of ZITADEL alike (the v1 gateway, the v2
//! gateway and Connect), because all of them are JSON over HTTP and their errors carry the same
//! code and id.
//!
//! What a server answers is never trusted: bodies, lists, lifetimes and pauses have limits, paths
//! are built from encoded segments only, and an error repeats neither a body nor a secret.

pub mod address;
pub mod auth;
pub mod capabilities;
pub mod client;
pub mod config;
pub mod error;
mod exchange;
#[cfg(test)]
mod fake;
pub mod fence;
pub mod file;
pub mod id;
pub mod identity;
pub mod outage;
pub mod page;
pub mod path;
mod proxy;
pub mod requests;
mod retry;
pub mod roles;
pub mod span;
pub mod status;
mod token;
pub mod transport;

pub use address::AddressPolicy;
pub use auth::Credentials;
pub use capabilities::{Capabilities, Capability};
pub use client::Client;
pub use config::Config;
pub use error::{Error, Result};
pub use fence::Fence;
pub use id::is_id;
pub use path::{Path, percent_encoded};
pub use requests::Requests;
pub use status::{Code, Status};
pub use transport::{Transport, TransportError};
