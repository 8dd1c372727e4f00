//! `kastellan operator`

use std::{net::SocketAddr, time::Duration};

use kube::Client;
use tokio::sync::watch;

use super::{
    output::{self, Exit, Result},
    stop::{self, duration},
};
use crate::{
    live::feed::ReportEditors,
    operator::{self, Options},
    zitadel::AddressPolicy,
};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Where /livez, /readyz and /metrics are served.
    #[arg(
        long,
        env = "KASTELLAN_ADMIN_ADDRESS",
        default_value = "0.0.0.0:8080",
        value_name = "IP:PORT"
    )]
    admin_address: SocketAddr,
    /// Host name (`*.example.com` for all below), IP address, or `*`, that Instances may connect
    /// to; may be repeated. If omitted, everything that is neither loopback nor link-local.
    #[arg(long, env = "KASTELLAN_ALLOWED_ADDRESS", value_delimiter = ',', value_name = "HOST")]
    allowed_address: Vec<String>,
    /// Namespace to watch; may be repeated. If omitted, all.
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
    /// How long a deletion in ZITADEL waits for another object that declares the same: it then takes
    /// it over. In Git a move to another namespace is a deletion and a creation.
    #[arg(long, env = "KASTELLAN_DELETION_PAUSE", value_parser = duration, default_value = "10s", value_name = "DURATION")]
    deletion_pause: Duration,
}

pub(super) async fn run(args: Args) -> Result {
    let hint = "in a cluster the service account is used, elsewhere KUBECONFIG or ~/.kube/config";
    let client = match Client::try_default().await {
        Ok(client) => client,
        Err(e) => {
            return Err(output::fail(format!("no connection to Kubernetes: {e}"), Some(hint)));
        }
    };
    let options = Options {
        namespaces: args.watch_namespace,
        addresses: AddressPolicy::new(args.allowed_address),
        admin: args.admin_address,
        editors: args.report_editors,
        count_unmanaged: args.count_unmanaged,
        grace: args.deletion_pause,
    };
    let (stop_sender, stopped) = watch::channel(false);
    tokio::spawn(async move {
        stop::asked_to_end().await;
        tracing::info!("stopping: what is being written comes to its end");
        stop_sender.send(true).ok();
    });
    match operator::run(client, options, stopped).await {
        Ok(()) => Ok(Exit::Fine),
        Err(e) => Err(output::fail(e, None)),
    }
}
