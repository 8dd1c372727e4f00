//! The command line: one file per command.

mod apply;
mod cluster;
mod completions;
mod crds;
#[cfg(feature = "demo")]
mod demo;
mod diff;
mod events;
mod export;
mod operator;
mod output;
mod plan;
mod secrets;
mod source;
mod stop;
mod telemetry;
mod tree;
mod validate;
mod why;

use std::{
    io::{self, Write},
    process::{ExitCode, Termination},
};

use clap::{Parser, Subcommand, ValueEnum};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

pub use telemetry::Telemetry;

use crate::zitadel::span::SPANS;

/// A word that is no level would be taken for the name of a module.
fn log_level(text: &str) -> Result<String, String> {
    let is_level = |part: &str| {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
        level.parse::<LevelFilter>().is_ok()
    };
    if !text.split(',').all(is_level) || EnvFilter::try_new(text).is_err() {
        return Err("give error, warn, info, debug, trace or off, or a filter such as \
                    info,kastellan=debug"
            .into());
    }
    Ok(text.to_owned())
}

/// Keeps a ZITADEL instance in the state that Git declares.
#[derive(Parser)]
#[command(name = "kastellan", version, about, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How much is logged: error, warn, info, debug, trace, or a filter such as
    /// `info,kastellan=debug`. If omitted, info for the operator and error for everything else.
    #[arg(long, global = true, env = "KASTELLAN_LOG", help_heading = "Log", value_name = "LEVEL", value_parser = log_level)]
    log_level: Option<String>,
    /// Form of the log, which goes to stderr.
    #[arg(
        long,
        global = true,
        env = "KASTELLAN_LOG_FORMAT",
        help_heading = "Log",
        value_name = "FORMAT",
        value_enum,
        default_value = "text"
    )]
    log_format: LogFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Run in a cluster: watch the custom resources and keep ZITADEL as they say.
    Operator(operator::Args),
    /// Show what would change, field by field; write nothing.
    Plan(plan::Args),
    /// Make ZITADEL as files say; with --watch, keep it so.
    Apply(apply::Args),
    /// Write a live instance as manifests.
    Export(export::Args),
    /// Show what tells two instances apart, such as staging and production.
    Diff(diff::Args),
    /// Check files offline: schema, rules, references.
    Validate(validate::Args),
    /// Show what a cluster declares, what is in what, and what is not as it should be.
    Tree(tree::Args),
    /// Explain one object of a cluster: what it waits for, what differs, who changed it, what to do.
    Why(why::Args),
    /// Show what ZITADEL's own log says of the thing behind an object of a cluster: when, what, who.
    Events(events::Args),
    /// Print, write or check the custom resource definitions (CRDs).
    Crds(crds::Args),
    /// Show it at work, without a cluster and without a ZITADEL.
    #[cfg(feature = "demo")]
    Demo(demo::Args),
    /// Print the completions of a shell.
    Completions(completions::Args),
    /// Print or write the manual pages.
    Man(completions::ManArgs),
}

impl Cli {
    /// Reads the arguments. `Err`: what is wrong with them, or the help that was asked for, is
    /// printed, and this is how to exit. Exit code 2, clap's own for wrong arguments, means something
    /// else here.
    pub fn read() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|e| {
            let printed = e.print().and_then(|()| io::stdout().flush());
            match output::written(printed) {
                Ok(()) if !e.use_stderr() => ExitCode::SUCCESS,
                _ => ExitCode::FAILURE,
            }
        })
    }

    /// Starts logging, and the export of traces where one is asked for.
    pub fn log(&self) -> Telemetry {
        // The spans of kube's controllers repeat what our own fields say, and its watches log each
        // refusal with all that the API server says.
        let default = if matches!(self.command, Command::Operator(_)) { "info" } else { "error" };
        let quiet = format!("kube_runtime=error,{SPANS}=off");
        let level = self.log_level.as_deref().unwrap_or(default);
        let filter = EnvFilter::try_new(format!("{level},{quiet}"))
            .unwrap_or_else(|_| EnvFilter::new(format!("info,{quiet}")));
        Telemetry::start(filter, self.log_format)
    }

    /// Runs the command.
    pub async fn run(self) -> ExitCode {
        let (Ok(exit) | Err(exit)) = match self.command {
            Command::Operator(args) => operator::run(args).await,
            Command::Plan(args) => plan::run(args).await,
            Command::Apply(args) => Box::pin(apply::run(args)).await,
            Command::Export(args) => export::run(args).await,
            Command::Diff(args) => diff::run(args).await,
            Command::Validate(args) => validate::run(&args),
            Command::Tree(args) => tree::run(args).await,
            Command::Why(args) => why::run(args).await,
            Command::Events(args) => events::run(args).await,
            Command::Crds(args) => crds::run(&args),
            #[cfg(feature = "demo")]
            Command::Demo(args) => demo::run(args).await,
            Command::Completions(args) => completions::run(&args),
            Command::Man(args) => completions::man(&args),
        };
        exit.report()
    }
}
