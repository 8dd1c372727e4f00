//! What the operator is told when it starts.

use std::{net::SocketAddr, time::Duration};

use kube::core::Selector;

use super::lease;
use crate::{live::ReportEditors, zitadel::AddressPolicy};

/// See the fields.
#[derive(Debug, Clone)]
pub struct Options {
    /// Namespaces to watch; empty: all.
    pub namespaces: Vec<String>,
    /// Which Instances are served, by their labels.
    pub shard: Selector,
    /// What may be connected to.
    pub addresses: AddressPolicy,
    /// Where health and metrics are served.
    pub admin: SocketAddr,
    /// Whether a page for people is served there too.
    pub status_page: bool,
    /// How editors are named in reports.
    pub editors: ReportEditors,
    /// Whether what is declared nowhere is counted.
    pub count_unmanaged: bool,
    /// How long a deletion waits for another object that declares the same thing.
    pub deletion_pause: Duration,
    /// The Lease by which only one operator writes at a time; `None`: whoever starts it makes sure
    /// of that.
    pub lease: Option<lease::Options>,
}
