//! The live side: the informer on ZITADEL.
//!
//! A [`Connection`] is a client of an instance that was seen to work, with what is known of it (an
//! [`Informer`]). Entities are listed, a collection at a time, and read by id where one or two are
//! stale; settings are read. What the event feed or an own write touches is stale until it is read
//! again. After an own write nothing older is believed. [`Connection::begin_write`] is the one
//! protocol of writes.

mod collection;
mod connection;
mod cursor;
mod feed;
mod follower;
mod history;
mod lock;
mod log;
mod past;
mod pending;
mod permissions;
mod permits;
mod query;
mod store;
mod trail;
mod write;

pub use connection::{Connection, Connections, Informer, Parts, VerifyError};
pub use feed::{Changes, ReportEditors};
pub use follower::{Follower, Polled};
pub use history::{is_leftover, may_be_recreated, owner};
pub use permissions::CREDIT;
pub use store::{Absence, Observation, Touched};
pub use trail::{Happened, trail};
pub use write::WriteSession;
