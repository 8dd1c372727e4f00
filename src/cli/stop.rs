//! How a command is asked to stop: Ctrl-C, SIGTERM, or the end of its time.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::output::{self, Result};

/// Completes when the process is asked to end, by Ctrl-C or by SIGTERM.
pub(super) async fn asked_to_end() {
    let asked = async |kind| match signal(kind) {
        Ok(mut stream) => {
            stream.recv().await;
        }
        Err(_) => std::future::pending().await,
    };
    tokio::select! {
        () = asked(SignalKind::interrupt()) => {}
        () = asked(SignalKind::terminate()) => {}
    }
}

/// Turns true when the process is asked to end, or after `limit`; what is under way may then come to
/// its end. Asked a second time, the process ends at once.
pub(super) fn on_request(limit: Option<Duration>) -> watch::Receiver<bool> {
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            () = asked_to_end() => output::say("stopping: what is under way comes to its end"),
            () = end_of(limit) => output::say(time_is_up(limit)),
        }
        stop.send(true).ok();
        asked_to_end().await;
        output::say("stopped at once: what was under way may have taken effect");
        std::process::exit(1);
    });
    stopped
}

/// Does something that only reads, for as long as the command may take.
pub(super) async fn within<T>(limit: Option<Duration>, work: impl Future<Output = T>) -> Result<T> {
    tokio::select! {
        done = work => Ok(done),
        () = end_of(limit) => Err(output::fail(
            time_is_up(limit),
            Some("check that ZITADEL answers, or give it more time with --timeout"),
        )),
    }
}

fn time_is_up(limit: Option<Duration>) -> String {
    let seconds = limit.map_or(0.0, |limit| limit.as_secs_f64());
    format!("the time is up: --timeout is {seconds} s")
}

async fn end_of(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// Reads a duration such as `10s` or `1m30s`.
pub(super) fn duration(text: &str) -> std::result::Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().ok().and_then(|d| Duration::try_from(d).ok());
    parsed.ok_or_else(|| "write a duration such as 10s or 1m30s".into())
}

/// The same, for a limit: it is more than nothing.
pub(super) fn limit(text: &str) -> std::result::Result<Duration, String> {
    duration(text)
        .and_then(|d| if d.is_zero() { Err("it must be more than 0s".into()) } else { Ok(d) })
}
