//! Other programs, run with bounded time and output. What they print as an error is passed on without
//! characters that a terminal would act on.

use std::{
    io::{self, Read, Write},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

/// How much of what a program says on stderr is kept.
const MAX_ERROR: u64 = 8 * 1024;
/// How often it is looked whether a program has ended that has closed its output.
const LOOK: Duration = Duration::from_millis(10);

/// What a program may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Time.
    pub(super) time: Duration,
    /// Bytes on stdout.
    pub(super) output: u64,
}

/// Why a program did not do what it was run for.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It can't be run.
    #[error("it can't be run: {0}")]
    Start(io::Error),
    /// It did not end in time.
    #[error("it did not end within {} s, and was stopped", .0.as_secs())]
    Slow(Duration),
    /// It printed too much.
    #[error("it printed more than {} MiB", .0 / 1024 / 1024)]
    TooMuch(u64),
    /// Its input or output broke.
    #[error("{0}")]
    Pipe(io::Error),
    /// It failed.
    #[error("{status}{}", said(.stderr))]
    Failed {
        /// How it ended.
        status: String,
        /// What it said.
        stderr: String,
        /// Whether it said more.
        is_cut: bool,
    },
}

impl ProcessError {
    /// Whether there is no such program.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Start(e) if e.kind() == io::ErrorKind::NotFound)
    }
}

fn said(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!(": {stderr}") }
}

/// Runs a program with this input; what it printed on stdout. It can't see the token of ZITADEL.
pub(super) fn run(
    command: &mut Command,
    input: Option<Vec<u8>>,
    limits: Limits,
) -> Result<Vec<u8>, ProcessError> {
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    command.env_remove("ZITADEL_TOKEN").stdin(stdin);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(ProcessError::Start)?;
    let done = supervise(&mut child, input, limits);
    if done.is_err() {
        child.kill().ok();
        child.wait().ok();
    }
    done
}

fn supervise(
    child: &mut Child,
    input: Option<Vec<u8>>,
    limits: Limits,
) -> Result<Vec<u8>, ProcessError> {
    let end = Instant::now() + limits.time;
    let written = input
        .zip(child.stdin.take())
        .map(|(input, mut stdin)| aside(move || stdin.write_all(&input).map(|()| Vec::new())));
    let stdout = child.stdout.take().map(|stdout| aside(move || read(stdout, limits.output + 1)));
    let stderr = child.stderr.take().map(|mut stderr| {
        aside(move || {
            let kept = read(&mut stderr, MAX_ERROR);
            io::copy(&mut stderr, &mut io::sink()).ok();
            kept
        })
    });
    let output = wait_for(stdout, end, limits)?.map_err(ProcessError::Pipe)?;
    if output.len() as u64 > limits.output {
        return Err(ProcessError::TooMuch(limits.output));
    }
    let status = loop {
        match child.try_wait().map_err(ProcessError::Pipe)? {
            Some(status) => break status,
            None if Instant::now() >= end => return Err(ProcessError::Slow(limits.time)),
            None => thread::sleep(LOOK),
        }
    };
    if !status.success() {
        let stderr = wait_for(stderr, end, limits)?.unwrap_or_default();
        let is_cut = stderr.len() as u64 == MAX_ERROR;
        let stderr = plain(&String::from_utf8_lossy(&stderr));
        return Err(ProcessError::Failed { status: status.to_string(), stderr, is_cut });
    }
    // A program that did not read all of it does not have all of it.
    wait_for(written, end, limits)?.map_err(ProcessError::Pipe)?;
    Ok(output)
}

fn read(from: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Does something in a thread of its own, which is not waited for: a pipe may stay open longer than
/// the program that it belonged to.
fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (done, receiver) = mpsc::channel();
    thread::spawn(move || done.send(work()).ok());
    receiver
}

fn wait_for(
    work: Option<Receiver<io::Result<Vec<u8>>>>,
    end: Instant,
    limits: Limits,
) -> Result<io::Result<Vec<u8>>, ProcessError> {
    let Some(work) = work else { return Ok(Ok(Vec::new())) };
    match work.recv_timeout(end.saturating_duration_since(Instant::now())) {
        Ok(done) => Ok(done),
        Err(RecvTimeoutError::Timeout) => Err(ProcessError::Slow(limits.time)),
        Err(RecvTimeoutError::Disconnected) => Ok(Err(io::ErrorKind::BrokenPipe.into())),
    }
}

/// Text without characters that a terminal would act on.
fn plain(text: &str) -> String {
    let is_shown = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    text.trim().chars().filter(is_shown).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that meets what it does not expect has failed")]
mod tests {
    use super::*;

    fn sh(script: &str, input: Option<&str>, time: u64) -> Result<String, String> {
        let limits = Limits { time: Duration::from_millis(time), output: 1024 * 1024 };
        let input = input.map(|text| text.as_bytes().to_vec());
        let ran = run(Command::new("sh").args(["-c", script]), input, limits);
        ran.map(|bytes| String::from_utf8(bytes).unwrap()).map_err(|e| e.to_string())
    }

    #[test]
    fn what_a_program_prints_is_bounded_and_its_error_is_shown() {
        assert_eq!(sh("cat", Some("a"), 10_000), Ok("a".into()));
        assert_eq!(sh("cat", None, 10_000), Ok(String::new()));
        let failed = sh("printf 'no \\033[31mway\\n' >&2; exit 3", None, 10_000);
        assert_eq!(failed, Err("exit status: 3: no [31mway".into()));
        let endless = sh("while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done", None, 60_000);
        assert_eq!(endless, Err("it printed more than 1 MiB".into()));
        let loud = sh("head -c 1000000 /dev/zero | tr '\\0' e >&2; exit 1", None, 60_000);
        assert_eq!(loud.unwrap_err().len(), "exit status: 1: ".len() + 8 * 1024);
        let slow = sh("sleep 60", None, 1_000);
        assert_eq!(slow, Err("it did not end within 1 s, and was stopped".into()));
    }

    #[test]
    fn a_program_that_does_not_read_its_input_has_failed() {
        let input = "a".repeat(1024 * 1024);
        assert!(sh("exit 0", Some(&input), 10_000).unwrap_err().contains("Broken pipe"));
    }
}
