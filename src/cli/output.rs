//! The only place that prints: data to stdout, talk to stderr.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is where printing happens")]

use std::{fmt::Display, io::Write, process::ExitCode};

/// Data, as it is. A reader that went away is no error.
pub(super) fn data(text: &str) {
    std::io::stdout().lock().write_all(text.as_bytes()).ok();
}

/// An error with what to do about it.
pub(super) fn fail(error: impl Display, hint: Option<&str>) -> ExitCode {
    eprintln!("error: {error}");
    if let Some(hint) = hint {
        eprintln!("hint: {hint}");
    }
    ExitCode::FAILURE
}
