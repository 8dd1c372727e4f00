//! Counts and times what the operator does: calls and writes to ZITADEL, requests to Kubernetes,
//! time, CPU and memory.
//!
//! A real API server and the operator are processes of their own, so that CPU and memory are the
//! operator's alone; the emulated ZITADEL is in this one, so that its counters and its events are
//! at hand. Counts are exact and the same on every machine; times are not.

mod cluster;
mod entities;
mod everything;
mod feed;
mod ghosts;
mod instances;
mod meter;
mod operator;
mod plot;
mod report;
mod scenarios;
mod world;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, ValueEnum};

/// What goes wrong here ends the run; nobody tells one error from another.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Parser)]
#[command(version, about = "Counts and times what the operator does")]
enum Command {
    /// Run scenarios; write results.json and results.md.
    Run(Arguments),
    /// Draw the results of a run as SVG.
    Plot {
        /// The results.json of a run.
        results: PathBuf,
        /// Where the drawings go.
        #[arg(long, default_value = "docs/bench", value_name = "DIRECTORY")]
        out: PathBuf,
    },
}

#[derive(clap::Args, Clone)]
struct Arguments {
    /// How many Projects, over the Organizations; several: one world after the other.
    #[arg(long, value_delimiter = ',', default_value = "100,1000,10000", value_name = "N")]
    objects: Vec<usize>,
    /// How many Organizations.
    #[arg(long, default_value_t = 10, value_name = "N")]
    organizations: usize,
    /// Each Project has five roles, three applications, and a service account with a key: eleven
    /// objects.
    #[arg(long)]
    mixed: bool,
    /// There are things of all kinds: a project is seventeen objects, an organization sixteen, and
    /// the instance has nine.
    #[arg(long, conflicts_with = "mixed")]
    all_kinds: bool,
    /// What to do, in the order in which it is done.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "idle,converge,rest,drift,outage,plan,restart,change,delete,ghosts,feed"
    )]
    scenarios: Vec<Scenario>,
    /// How many Instances `instances` has.
    #[arg(long, default_value_t = 50, value_name = "N")]
    instances: usize,
    /// Length of `rest`.
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    rest_seconds: u64,
    /// Length of `drift`.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    drift_seconds: u32,
    /// Length of each outage of `outage`.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    outage_seconds: u64,
    /// Changes by somebody else in `drift`.
    #[arg(long, default_value_t = 100, value_name = "CHANGES")]
    changes: usize,
    /// `pollInterval` of the Instance.
    #[arg(long, default_value = "5s", value_name = "DURATION")]
    poll: String,
    /// How long a read takes in ZITADEL.
    #[arg(long, default_value_t = 5, value_name = "MS")]
    read_ms: u64,
    /// How long a write takes in ZITADEL.
    #[arg(long, default_value_t = 10, value_name = "MS")]
    write_ms: u64,
    /// An event shows in the feed up to this much later than its date says; evenly spread.
    #[arg(long, default_value_t = 0, value_name = "MS")]
    late_commits_ms: u64,
    /// Events of `feed`.
    #[arg(long, default_value_t = 10_000, value_name = "EVENTS")]
    feed_events: usize,
    /// The operator's binary. If omitted, `kastellan` beside this one.
    #[arg(long, value_name = "FILE")]
    operator: Option<PathBuf>,
    /// A real ZITADEL in place of the emulated one: its URL. Calls are counted by the operator
    /// there, and nobody else does anything: `drift`, `outage`, `ghosts` and `feed` are skipped.
    #[arg(long, value_name = "URL", requires = "token_file")]
    url: Option<String>,
    /// The personal access token of an `IAM_OWNER` of the real ZITADEL.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Where the results go.
    #[arg(long, default_value = ".cache/bench", value_name = "DIRECTORY")]
    out: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// The operator with nothing declared.
    Idle,
    /// All is declared before the operator starts; until all is Ready.
    Converge,
    /// Nothing happens.
    Rest,
    /// Somebody else changes projects at random moments.
    Drift,
    /// ZITADEL is down for a while, three times: every connection is reset, every call is answered
    /// 503, no call is answered. Meanwhile the spec of a tenth of the projects changes.
    Outage,
    /// `kastellan plan` on files that declare the same; the operator stands still.
    Plan,
    /// The operator is killed and started again.
    Restart,
    /// The spec of one project changes, then that of all.
    Change,
    /// All projects are deleted.
    Delete,
    /// As `converge` and `rest`, in a world of its own, in which the read side of ZITADEL loses one
    /// in 700 events; of fewer projects, one in a quarter of their number.
    Ghosts,
    /// So many projects of `--instances` Instances in one operator, while one of these is of no use;
    /// then three operators that share them. Not done unless it is asked for.
    Instances,
    /// Eight writers, late commits, a follower of the feed and nothing else: are events missed?
    Feed,
}

#[tokio::main]
async fn main() -> ExitCode {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let done = match Command::parse() {
        Command::Run(arguments) => run(arguments).await,
        Command::Plot { results, out } => plot::draw(&results, &out),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            say(&format!("error: {e}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    std::fs::create_dir_all(&arguments.out)?;
    let mut results = Vec::new();
    let has_own_world =
        |s: &Scenario| matches!(s, Scenario::Feed | Scenario::Ghosts | Scenario::Instances);
    let (apart, others): (Vec<_>, Vec<_>) =
        arguments.scenarios.iter().copied().partition(has_own_world);
    for n in arguments.objects.iter().copied() {
        if !others.is_empty() {
            let mut world = world::World::new(&arguments, n).await?;
            for scenario in &others {
                results.extend(scenarios::run(&mut world, &arguments, *scenario).await?);
                report::write(&arguments, &results)?;
            }
        }
        if apart.contains(&Scenario::Ghosts) && arguments.url.is_none() {
            results.push(ghosts::run(&arguments, n).await?);
            report::write(&arguments, &results)?;
        }
        if apart.contains(&Scenario::Instances) && arguments.url.is_none() {
            results.extend(instances::run(&arguments, n).await?);
            report::write(&arguments, &results)?;
        }
    }
    if apart.contains(&Scenario::Feed) && arguments.url.is_none() {
        results.push(feed::run(&arguments).await?);
    }
    report::write(&arguments, &results)?;
    say(&report::markdown(&results));
    Ok(())
}

/// Waits until something is so; fails after `patience`.
async fn until(what: &str, patience: Duration, mut is_so: impl FnMut() -> bool) -> Result<()> {
    let start = std::time::Instant::now();
    while !is_so() {
        if start.elapsed() > patience {
            return Err(format!("not within {} s: {what}", patience.as_secs()).into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

#[allow(clippy::print_stderr, reason = "the one way to the terminal")]
fn say(text: &str) {
    eprintln!("{text}");
}
