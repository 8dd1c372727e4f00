//! ZITADEL over HTTP: tokens, deadlines, errors, pages, retries. Knows no kinds.
//!
//! [`Client`] is the way in. It speaks the three faces of ZITADEL alike (the v1 gateway, the v2
//! gateway and Connect), because all of them are JSON over HTTP and their errors carry the same
//! code and id.

pub mod address;
pub mod auth;
pub mod client;
pub mod error;
pub mod id;
pub mod identity;
pub mod page;
pub mod path;
mod retry;
pub mod transport;

pub use address::AddressPolicy;
pub use auth::Credentials;
pub use client::{Client, Config, Requests};
pub use error::{Code, Error, Result};
pub use id::is_id;
pub use path::Path;
pub use transport::{Transport, TransportError};
