//! Manifests on disk: a folder is to the command line what a cluster is to the operator.
//!
//! [`folder`] reads it, [`host`] is the engine's view of it, [`session`] connects it to ZITADEL,
//! plans and applies it.

pub mod apply;
pub mod document;
pub mod environment;
pub mod finding;
pub mod folder;
pub mod host;
pub mod input;
pub mod malformed;
pub mod manifest;
pub mod order;
pub mod output;
pub mod place;
mod plan;
mod process;
pub mod session;
pub mod step;

pub use document::Document;
pub use folder::Folder;
pub use host::FileHost;
pub use manifest::Manifest;
pub use place::Place;
