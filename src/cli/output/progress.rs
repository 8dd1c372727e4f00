//! How far long work is: a bar on stderr while that is a terminal, else a line now and then.

use std::{
    fmt::Display,
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use super::say;

/// When it is first said that something takes long.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is said again.
const AGAIN: Duration = Duration::from_secs(15);

/// Waits for something, and says so on stderr where it takes long.
pub(in crate::cli) async fn waiting<T>(what: &str, work: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let mut work = std::pin::pin!(work);
    let mut pause = PATIENCE;
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(pause) => {
                say(format!("{what}: {} s so far", begun.elapsed().as_secs()));
                pause = AGAIN;
            }
        }
    }
}

/// The progress of something that has so many steps.
pub(in crate::cli) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Shows nothing where stderr is not a terminal.
    pub(in crate::cli) fn new(steps: usize) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::new(steps as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len}") {
            bar.set_style(style);
        }
        Self(Some(bar))
    }

    /// Whether there is a bar.
    pub(in crate::cli) fn is_shown(&self) -> bool {
        self.0.is_some()
    }

    /// Another step is done.
    pub(in crate::cli) fn step(&self) {
        if let Some(bar) = &self.0 {
            bar.inc(1);
        }
    }

    /// A line above the bar.
    pub(in crate::cli) fn say(&self, text: impl Display) {
        match &self.0 {
            Some(bar) => bar.suspend(|| say(text)),
            None => say(text),
        }
    }

    /// Removes the bar.
    pub(in crate::cli) fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
