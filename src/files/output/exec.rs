//! Secrets handed over to a command, as JSON on its stdin.

use std::{process::Command, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::{
    engine::host::OutputSecret,
    files::process::{self, Limits, ProcessError},
};

/// What the command may take for one Secret. What it prints is not used.
const LIMITS: Limits = Limits { time: Duration::from_mins(1), output: 1024 * 1024 };
/// How much of what it says is shown.
const SHOWN: usize = 500;
/// Shorter values are no secrets, and would be found in every text.
const SHORTEST: usize = 6;

/// Runs the command by the shell. Which Secret it is, it is told in its environment too.
pub(super) fn deliver(
    command: &str,
    namespace: &str,
    secret: &OutputSecret,
    manifest: &Value,
) -> Result<(), String> {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]);
    shell.env("KASTELLAN_SECRET_NAMESPACE", namespace);
    shell.env("KASTELLAN_SECRET_NAME", &secret.name);
    let input = format!("{manifest}\n").into_bytes();
    match process::run(&mut shell, Some(input), LIMITS) {
        Ok(_) => Ok(()),
        // What is cut off may end within a value.
        Err(ProcessError::Failed { status, is_cut: true, .. }) => {
            Err(format!("the command ended with {status}, and said too much to show"))
        }
        Err(ProcessError::Failed { status, stderr, .. }) => {
            Err(format!("the command ended with {status}{}", said(secret, &stderr)))
        }
        Err(e) => Err(format!("the command: {e}")),
    }
}

/// What a command said, without the values that it was given.
fn said(secret: &OutputSecret, stderr: &str) -> String {
    if stderr.is_empty() {
        return String::new();
    }
    let mut text = stderr.to_owned();
    for value in secret.data.values().map(ExposeSecret::expose_secret) {
        let json = Value::from(value).to_string();
        let lines = value.lines().map(ToOwned::to_owned);
        let forms = [json.trim_matches('"').to_owned(), BASE64_STANDARD.encode(value)];
        for form in std::iter::once(value.to_owned()).chain(forms).chain(lines) {
            if form.len() >= SHORTEST {
                text = text.replace(&form, "(sensitive)");
            }
        }
    }
    let text: String = text.chars().take(SHOWN).collect();
    format!(": {}", text.replace('\n', " / "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_says_holds_no_value() {
        let value = "first \"line\"\nsecond line";
        let data = [("key".to_owned(), value.into())].into();
        let secret = OutputSecret { name: "s".into(), data, ..OutputSecret::default() };
        let json = Value::from(value).to_string();
        let encoded = BASE64_STANDARD.encode(value);
        let text = said(&secret, &format!("no {value} {json} {encoded} second line, really"));
        assert!(text.starts_with(": no (sensitive)") && text.ends_with(", really"), "{text}");
        for part in ["first", "second", &encoded] {
            assert!(!text.contains(part), "{text}");
        }
    }
}
