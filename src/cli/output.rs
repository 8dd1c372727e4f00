//! The only place that prints: data to stdout, talk to stderr. Colour says nothing that the text
//! does not say too, and is omitted where it can't be shown or `NO_COLOR` is set.

mod applied;
mod difference;
mod findings;
mod markdown;
mod plan;
mod progress;
mod style;

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
    process::{ExitCode, Termination},
    sync::atomic::{AtomicBool, Ordering},
};

pub(super) use applied::Tally;
pub(super) use difference::{Form, differences};
pub(super) use findings::{Report, finding, findings};
#[cfg(feature = "demo")]
pub(super) use plan::rendered;
pub(super) use plan::{Format, plan};
pub(super) use progress::{Progress, waiting};
pub(super) use style::plain;
use style::{ERROR, HINT, WARNING, paint, plain_lines};

use crate::{
    api::status::Reason,
    files::step::{Failure, Need},
};

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Nothing is wrong: 0.
    Fine,
    /// Something is wrong: 1.
    Failed,
    /// There is something to do: 2.
    Changes,
}

/// What a command, or a part of it, comes to. An error was printed already.
pub(super) type Result<T = Exit> = std::result::Result<T, Exit>;

impl Termination for Exit {
    fn report(self) -> ExitCode {
        match self {
            Self::Fine => ExitCode::SUCCESS,
            Self::Failed => ExitCode::FAILURE,
            Self::Changes => ExitCode::from(2),
        }
    }
}

/// Data, as it is. A reader that went away has what it wanted; anything else that keeps the data from
/// getting out is an error.
pub(super) fn data(text: &str) -> Result<()> {
    let mut stdout = anstream::stdout().lock();
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// A secret, as it is. A reader that went away does not have it: that is an error too.
pub(super) fn secret(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
}

/// What a write to stdout came to.
pub(super) fn written(result: io::Result<()>) -> Result<()> {
    match result {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(fail(
            format!("the output could not be written to stdout: {e}"),
            Some("what was written is incomplete: do not use it"),
        )),
        _ => Ok(()),
    }
}

/// Whether lines for people begin with the time.
static IS_TIMED: AtomicBool = AtomicBool::new(false);

/// From now on lines for people begin with the time: they are read later.
pub(super) fn add_time() {
    IS_TIMED.store(true, Ordering::Relaxed);
}

/// A line for people. That stderr can't be written to can be said nowhere.
pub(super) fn say(text: impl Display) {
    let mut stderr = anstream::stderr().lock();
    if IS_TIMED.load(Ordering::Relaxed) {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
        write!(stderr, "{} ", paint(style::FAINT, now)).ok();
    }
    writeln!(stderr, "{text}").ok();
}

/// What comes next.
#[cfg(feature = "demo")]
pub(super) fn title(text: impl Display) {
    say(format!("\n{}", paint(style::STRONG, text)));
}

/// Something that may surprise.
pub(super) fn warn(text: impl Display) {
    say(format!("{}: {}", paint(WARNING, "warning"), plain_lines(&text.to_string())));
}

/// An error with what to do about it.
pub(super) fn fail(error: impl Display, hint: Option<&str>) -> Exit {
    say(format!("{}: {}", paint(ERROR, "error"), plain_lines(&error.to_string())));
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
    let head = format!(
        "{}: {object}: {}: {}",
        paint(ERROR, "error"),
        failure.reason,
        plain_lines(&failure.message)
    );
    let fields = failure.drift.iter().map(|d| format!("    {}", plan::field(d)));
    let hint = format!("{}: {}", paint(HINT, "hint"), hint(failure));
    [head].into_iter().chain(fields).chain([hint]).collect::<Vec<_>>().join("\n")
}

/// What to do on the command line about a failure.
fn hint(failure: &Failure) -> &'static str {
    match failure.reason {
        _ if failure.is_unconnected() => "correct what is wrong with its Instance",
        _ if failure.need == Need::Delivery => {
            "correct what --secrets-to says, and ask for another one as the message says"
        }
        Reason::WaitingForReference if failure.need == Need::Value => {
            "put the value into DIR/NAME/KEY and name DIR with --secret-dir, or set ZITADEL_TOKEN or ZITADEL_KEY_FILE"
        }
        Reason::WaitingForReference if failure.need == Need::Secret => {
            "put the value into DIR/NAMESPACE/NAME/KEY or DIR/NAME/KEY, and name DIR with --secret-dir"
        }
        Reason::WaitingForReference => {
            "add the object that it refers to, or correct what is wrong with that one first"
        }
        Reason::Unreachable => {
            "check the issuer, and that ZITADEL is up; ZITADEL_ADDRESS (or spec.address) says where to connect if that is another place"
        }
        Reason::Unauthenticated => {
            "renew the token (ZITADEL_TOKEN), the key file (ZITADEL_KEY_FILE) or the Secret"
        }
        Reason::AdoptionRefused => {
            "`kastellan export` writes it as it is, with its id: under its id it is adopted without asking the policy"
        }
        Reason::Conflict => {
            "files have no age: the one whose kind, namespace and name come first counts as the older"
        }
        Reason::NotConverged => {
            "run it again; if that does not help, something else keeps changing it"
        }
        Reason::InvalidSpec => "change the manifest as the message says",
        Reason::Forbidden => {
            "give the account the role that this needs, or have the Instance or Organization consent to this namespace"
        }
        Reason::Rejected => {
            "change the manifest so that ZITADEL accepts it; the message is ZITADEL's"
        }
        Reason::RateLimited => "run it again later",
        reason => reason.about(),
    }
}
