//! The operator as Kubernetes sees it: rights, readiness, shutdown, panics, memory, the Lease.

mod alone;
mod api_server;
mod availability;
pub(crate) mod chart_account;
mod lease;
mod least_rights;
mod memory;
mod panics;
mod processes;
mod shards;
mod status_page;
mod stop;
mod takeover;
