//! The `kastellan` binary: parse, log, dispatch.

use std::process::ExitCode;

use kastellan::cli::Cli;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::io::Result<ExitCode> {
    // One thread: what is done here is waiting, and each further one takes memory of its own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let exit = runtime.block_on(run());
    // A name that is being resolved holds a thread for as long as the resolver takes: the process
    // ends without it.
    runtime.shutdown_background();
    Ok(exit)
}

async fn run() -> ExitCode {
    // The one crypto library, for Kubernetes and ZITADEL alike. It fails only where another was
    // installed before.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    match Cli::read() {
        Ok(cli) => {
            let telemetry = cli.log();
            let exit = cli.run().await;
            telemetry.end().await;
            exit
        }
        Err(exit) => exit,
    }
}
