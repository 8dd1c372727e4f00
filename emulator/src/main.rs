//! The emulator as a program.

use std::{
    error::Error,
    fs,
    io::{ErrorKind, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use tokio::net::TcpListener;
use zitadel_emulator::{Emulator, Options};

/// A ZITADEL that fits in a test: in memory, fresh at each start.
///
/// It starts with one organization, ZITADEL, and one machine user, admin-sa, that owns instance and
/// organization. Faults, latency and counters are switched under /_emulator: see the documentation
/// of the crate.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen. Port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: SocketAddr,

    /// The host name of the instance. Calls of another host (or of another x-zitadel-instance-host)
    /// are answered 404, /debug and /_emulator excepted
    #[arg(long, default_value = "localhost", value_name = "NAME")]
    domain: String,

    /// The file of admin-sa's personal access token. Written if it is not there, else read, so that
    /// a restart keeps the token
    #[arg(long, value_name = "FILE")]
    pat_file: Option<PathBuf>,

    /// The file of admin-sa's key (JSON, for the JWT profile). Written if it is not there, else
    /// read
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,

    /// How long reads take, in milliseconds
    #[arg(long, default_value_t = 0, value_name = "MS")]
    delay_read: u64,

    /// How long writes take, in milliseconds
    #[arg(long, default_value_t = 0, value_name = "MS")]
    delay_write: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let emulator = Emulator::new(Options {
        domain: arguments.domain.clone(),
        pat: read(arguments.pat_file.as_deref())?,
        key_file: read(arguments.key_file.as_deref())?,
        delay_read: Duration::from_millis(arguments.delay_read),
        delay_write: Duration::from_millis(arguments.delay_write),
    })?;
    let listener = TcpListener::bind(arguments.listen).await?;
    let port = listener.local_addr()?.port();
    if let Some(file) = &arguments.pat_file {
        write(file, &emulator.pat())?;
    }
    if let Some(file) = &arguments.key_file {
        write(file, &emulator.key_file())?;
    }
    announce(&format!(
        "ready: http://{}:{port}, instance {}",
        arguments.domain,
        emulator.instance_id()
    ));
    tokio::select! {
        served = emulator.serve(listener) => served?,
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(())
}

/// What a file says, if it is there.
fn read(file: Option<&Path>) -> Result<Option<String>, Box<dyn Error>> {
    let Some(file) = file else {
        return Ok(None);
    };
    match fs::read_to_string(file) {
        Ok(text) if text.trim().is_empty() => Ok(None),
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", file.display()).into()),
    }
}

/// Writes a file, unless it says that already.
fn write(file: &Path, text: &str) -> Result<(), Box<dyn Error>> {
    if read(Some(file))?.as_deref() == Some(text) {
        return Ok(());
    }
    fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()).into())
}

#[allow(clippy::print_stdout, reason = "the one line that callers wait for")]
fn announce(line: &str) {
    println!("{line}");
}
