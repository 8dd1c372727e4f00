//! The `kastellan` binary: parse, log, dispatch.

use std::process::ExitCode;

use kastellan::cli::Cli;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

// One thread: what is done here is waiting, and each further one takes memory of its own.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // The one crypto library, for Kubernetes and ZITADEL alike. It fails only where another was
    // installed before.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    match Cli::read() {
        Ok(cli) => {
            cli.log();
            cli.run().await
        }
        Err(exit) => exit,
    }
}
