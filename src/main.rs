//! The `kastellan` binary: parse, log, dispatch.

use std::process::ExitCode;

use kastellan::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    // The one crypto library, for Kubernetes and ZITADEL alike. It fails only where another was installed before.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    match Cli::read() {
        Ok(cli) => {
            cli.log();
            cli.run().await
        }
        Err(exit) => exit,
    }
}
