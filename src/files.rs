//! Manifests on disk: a folder is to the command line what a cluster is to the operator.
//!
//! [`folder`] reads it, [`host`] is the engine's view of it, [`session`] plans it and carries it
//! out.

pub mod document;
pub mod environment;
pub mod folder;
pub mod host;
pub mod order;
pub mod session;
pub mod step;

pub use document::{Document, Place};
pub use folder::{Folder, Manifest};
pub use host::FileHost;
