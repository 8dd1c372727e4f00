//! `kastellan operator`

use std::{
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    time::Duration,
};

use kube::{Config, core::Selector};
use tokio::sync::watch;

use super::{
    output::{self, Exit, Result},
    stop::{self, duration},
};
use crate::{
    live::ReportEditors,
    operator::{self, Connection, LeaseOptions, Options},
    zitadel::AddressPolicy,
};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Where /livez, /readyz, /metrics and, with --status-page, /status are served.
    #[arg(
        long,
        env = "KASTELLAN_ADMIN_ADDRESS",
        default_value = "0.0.0.0:8080",
        value_name = "IP:PORT"
    )]
    admin_address: SocketAddr,
    /// Serve a page for people under /status: Instances, what is not Ready and why, what differs.
    /// It needs no login: whoever reaches the port sees it.
    #[arg(long, env = "KASTELLAN_STATUS_PAGE")]
    status_page: bool,
    /// Host name (`*.example.com` for all below), IP address, or `*`, that Instances may connect
    /// to; may be repeated. Omitted: whatever is not internal (loopback, link-local, metadata
    /// services of clouds), and no proxy is used.
    #[arg(long, env = "KASTELLAN_ALLOWED_ADDRESS", value_delimiter = ',', value_name = "HOST")]
    allowed_address: Vec<String>,
    /// Namespace to watch; may be repeated. Omitted: all.
    #[arg(
        long,
        env = "KASTELLAN_WATCH_NAMESPACE",
        value_delimiter = ',',
        value_name = "NAMESPACE"
    )]
    watch_namespace: Vec<String>,
    /// How status and Events name whoever changed something in ZITADEL besides Kastellan.
    #[arg(long, env = "KASTELLAN_REPORT_EDITORS", value_enum, default_value = "name")]
    report_editors: ReportEditors,
    /// Count what is in ZITADEL and declared nowhere, in the metric `kastellan_unmanaged`: in the
    /// lists that are read anyway.
    #[arg(long, env = "KASTELLAN_COUNT_UNMANAGED")]
    count_unmanaged: bool,
    /// How long a deletion in ZITADEL waits for another object that declares the same thing and
    /// takes it over: in Git a move to another namespace is a deletion and a creation.
    #[arg(long, env = "KASTELLAN_DELETION_PAUSE", value_parser = duration, default_value = "10s", value_name = "DURATION")]
    deletion_pause: Duration,
    /// Name of the Lease by which one operator at a time writes: the others stand by and take
    /// over when it has ended. Operators that look after different namespaces have different
    /// ones.
    #[arg(long, env = "KASTELLAN_LEASE_NAME", default_value = "kastellan", value_name = "NAME")]
    lease_name: String,
    /// Namespace of the Lease. Omitted: the one that the client is configured for.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE")]
    lease_namespace: Option<String>,
    /// How long after its last sign of life another operator takes over, in whole seconds. It
    /// writes no more after two thirds of that.
    #[arg(long, env = "KASTELLAN_LEASE_DURATION", value_parser = lease_duration, default_value = "15s", value_name = "DURATION")]
    lease_duration: Duration,
    /// Serve only the Instances with these labels, and what belongs to them, as a selector of
    /// kubectl: `kastellan.dev/shard=eu`, `team in (a,b)`, `!kastellan.dev/shard`. Several
    /// operators, each with a Lease of its own, share the Instances of a cluster so. Omitted: all.
    #[arg(long, env = "KASTELLAN_SHARD_SELECTOR", value_parser = operator::selector, value_name = "SELECTOR")]
    shard_selector: Option<Selector>,
    /// Write without a Lease. Two operators on the same objects then undo each other's work.
    #[arg(long, conflicts_with_all = ["lease_name", "lease_namespace", "shard_selector"])]
    no_lease: bool,
}

/// The shortest Lease: the third of it that is left for what is on its way is a second.
const SHORTEST_LEASE: Duration = Duration::from_secs(3);

fn lease_duration(text: &str) -> std::result::Result<Duration, String> {
    let found = duration(text)?;
    if found < SHORTEST_LEASE || found.subsec_nanos() != 0 {
        return Err("a Lease is whole seconds, three at least".into());
    }
    Ok(found)
}

/// This process, among all that may want the Lease. A container that is started again in its Pod
/// is the same one: two of them never run at once.
fn identity() -> String {
    std::env::var("POD_NAME").unwrap_or_else(|_| {
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "kastellan".into());
        let unique = RandomState::new().hash_one(std::process::id());
        format!("{host}-{unique:016x}")
    })
}

pub(super) async fn run(args: Args) -> Result {
    // Before anything that takes time.
    let stopped = stopped();
    let hint = "in a cluster the service account is used, elsewhere KUBECONFIG or ~/.kube/config";
    let fail =
        |e: kube::Error| output::fail(format!("no connection to Kubernetes: {e}"), Some(hint));
    let config = Config::infer().await.map_err(|e| fail(kube::Error::InferConfig(e)))?;
    let connection = Connection::new(config).map_err(fail)?;
    let options = Options {
        namespaces: args.watch_namespace,
        shard: args.shard_selector.clone().unwrap_or_default(),
        addresses: AddressPolicy::new(args.allowed_address),
        admin: args.admin_address,
        status_page: args.status_page,
        editors: args.report_editors,
        count_unmanaged: args.count_unmanaged,
        deletion_pause: args.deletion_pause,
        lease: (!args.no_lease).then(|| LeaseOptions {
            namespace: args.lease_namespace,
            name: args.lease_name,
            identity: identity(),
            duration: args.lease_duration,
            shares: args.shard_selector.is_some(),
        }),
    };
    match operator::run(connection, options, stopped).await {
        Ok(()) => Ok(Exit::Fine),
        Err(e) => Err(output::fail(e, None)),
    }
}

/// Says true once the process is asked to end.
fn stopped() -> watch::Receiver<bool> {
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        stop::asked_to_end().await;
        tracing::info!("stopping: what is being written comes to its end");
        stop.send(true).ok();
    });
    stopped
}
