//! *Kastellan keeps a ZITADEL instance in the state that Git declares.*

pub mod api;
pub mod engine;
pub mod kinds;
pub mod live;
pub mod zitadel;
