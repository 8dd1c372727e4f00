//! The only place that prints: data to stdout, talk to stderr. Colour says nothing that the text
//! does not say too, and is left out where it can't be shown or `NO_COLOR` is set.

mod applied;
mod findings;
mod plan;
mod progress;
mod style;

use std::{
    fmt::Display,
    io::Write,
    process::{ExitCode, Termination},
};

pub(super) use applied::Applied;
pub(super) use findings::{Report, finding, findings};
#[cfg(feature = "demo")]
pub(super) use plan::rendered;
pub(super) use plan::{Format, plan};
pub(super) use progress::Progress;
use style::{ERROR, HINT, WARNING, paint};

use crate::{api::status::Reason, files::step::Failure};

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// All is well: 0.
    Fine,
    /// Something is wrong: 1.
    Failed,
    /// There is something to do: 2.
    Changes,
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        match self {
            Self::Fine => ExitCode::SUCCESS,
            Self::Failed => ExitCode::FAILURE,
            Self::Changes => ExitCode::from(2),
        }
    }
}

/// Data, as it is. A reader that went away is no error.
pub(super) fn data(text: &str) {
    anstream::stdout().lock().write_all(text.as_bytes()).ok();
}

/// A line for people.
pub(super) fn say(text: impl Display) {
    writeln!(anstream::stderr().lock(), "{text}").ok();
}

/// What comes next.
#[cfg(feature = "demo")]
pub(super) fn title(text: impl Display) {
    say(format!("\n{}", paint(style::STRONG, text)));
}

/// Something that may surprise.
pub(super) fn warn(text: impl Display) {
    say(format!("{}: {text}", paint(WARNING, "warning")));
}

/// An error with what to do about it.
pub(super) fn fail(error: impl Display, hint: Option<&str>) -> Exit {
    say(format!("{}: {error}", paint(ERROR, "error")));
    if let Some(hint) = hint {
        say(format!("{}: {hint}", paint(HINT, "hint")));
    }
    Exit::Failed
}

/// Why an object is not as declared.
pub(super) fn failure(object: &str, failure: &Failure) {
    say(failed(object, failure));
}

/// The same as text.
fn failed(object: &str, failure: &Failure) -> String {
    let head =
        format!("{}: {object}: {}: {}", paint(ERROR, "error"), failure.reason, failure.message);
    let fields = failure.drift.iter().map(|d| format!("    {}", plan::field(d)));
    let hint = format!("{}: {}", paint(HINT, "hint"), hint(failure));
    [head].into_iter().chain(fields).chain([hint]).collect::<Vec<_>>().join("\n")
}

/// What to do on the command line about a failure.
fn hint(failure: &Failure) -> &'static str {
    match failure.reason {
        _ if failure.is_unconnected => "see what is said of its Instance",
        Reason::WaitingForReference if failure.message.contains("Secret ") => {
            "put the value into DIR/NAME/KEY and name DIR with --secret-dir, or set ZITADEL_TOKEN or ZITADEL_KEY_FILE"
        }
        Reason::WaitingForReference => {
            "add what it refers to to these files, or correct what is wrong with that first"
        }
        Reason::Unreachable => {
            "is the issuer right, and ZITADEL up? ZITADEL_ADDRESS (or spec.address) says where to connect if that is another place"
        }
        Reason::Unauthenticated => {
            "renew the token (ZITADEL_TOKEN), the key file (ZITADEL_KEY_FILE) or the Secret"
        }
        Reason::AdoptionRefused => {
            "`kastellan export` writes it as it is, with its id: that is adopted without asking"
        }
        Reason::Conflict => {
            "files have no age: the one whose kind, namespace and name come first counts as the older"
        }
        Reason::NotConverged => {
            "run it again; if that does not help, something else keeps changing it"
        }
        reason => reason.about(),
    }
}
