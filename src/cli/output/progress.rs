//! How far long work is: a bar on stderr while that is a terminal, and lines that do not disturb
//! it.

use std::{fmt::Display, io::IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};

use super::say;

/// The progress of something that has so many steps.
pub(in crate::cli) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Shows nothing where stderr is no terminal.
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

    /// One more step is done.
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

    /// Takes the bar away.
    pub(in crate::cli) fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
