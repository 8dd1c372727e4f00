//! *Kastellan keeps a ZITADEL instance in the state that Git declares.*

pub mod api;
pub mod cli;
pub mod engine;
pub mod export;
pub mod files;
pub mod kinds;
pub mod live;
pub mod operator;
pub mod validate;
pub mod zitadel;
