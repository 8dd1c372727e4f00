//! Tokens that are kept until shortly before they expire, and refusals that are remembered.
//!
//! Hundreds of objects share the credentials of one connection. When these are refused, by the
//! token endpoint or, for a token that can't be replaced, by the API, the refusal is remembered for
//! [`REMEMBERED`]: until then every call fails at once with the same error and without a request.
//! The first call afterwards asks again, so that credentials that are accepted again (a user who
//! was reactivated) work without a restart. Other credentials mean another client, which remembers
//! nothing. A server that accepts a personal access token for some endpoints only is taken for one
//! that refuses it. Failures that may pass (an outage of the token endpoint) are not remembered; only those
//! who waited for the attempt share its result.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};

use super::{Error, Result};

/// How long a refusal is remembered.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(10);

/// Limits of a token's life, whatever the server says.
const LIFE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(24 * 60 * 60));

/// A token and when to get another.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) value: SecretString,
    renew_at: Option<Instant>,
}

impl Token {
    /// One that never expires as far as we know.
    pub(crate) fn fixed(value: SecretString) -> Self {
        Self { value, renew_at: None }
    }

    /// Reads the token endpoint's answer.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Answer {
            access_token: SecretString,
            expires_in: Option<u64>,
        }
        let answer: Answer = serde_json::from_slice(body).ok()?;
        let text = answer.access_token.expose_secret();
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return None;
        }
        // A tenth of its life early, a minute at most: in time, and still good for tokens of
        // seconds.
        let renew_at = answer.expires_in.and_then(|seconds| {
            let (least, most) = LIFE;
            let life = Duration::from_secs(seconds).clamp(least, most);
            let early = (life / 10).min(Duration::from_secs(60));
            Instant::now().checked_add(life.saturating_sub(early))
        });
        Some(Self { value: answer.access_token, renew_at })
    }

    fn is_fresh(&self) -> bool {
        self.renew_at.is_none_or(|t| Instant::now() < t)
    }
}

/// The token of a client.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<State>);

#[derive(Default)]
struct State {
    token: Option<Token>,
    failure: Option<Failure>,
}

impl State {
    fn failed(error: &Error) -> Self {
        let failure = Failure { at: Instant::now(), error: error.clone() };
        Self { token: None, failure: Some(failure) }
    }

    fn holds(&self, token: &Token) -> bool {
        self.token.as_ref().is_some_and(|t| t.value.expose_secret() == token.value.expose_secret())
    }
}

struct Failure {
    at: Instant,
    error: Error,
}

impl Failure {
    /// Whether it is also the answer to whoever asked at `asked`.
    fn answers(&self, asked: Instant) -> bool {
        asked <= self.at || (!self.error.is_transient() && self.at.elapsed() < REMEMBERED)
    }
}

impl Tokens {
    /// The current token. One attempt at a time: whoever else waits takes its result, a token or an
    /// error.
    pub(crate) async fn get(&self, fetch: impl Future<Output = Result<Token>>) -> Result<Token> {
        let asked = Instant::now();
        let mut state = self.0.lock().await;
        if let Some(failure) = state.failure.as_ref().filter(|f| f.answers(asked)) {
            return Err(failure.error.clone());
        }
        if let Some(token) = state.token.as_ref().filter(|t| t.is_fresh()) {
            return Ok(token.clone());
        }
        let fetched = fetch.await;
        *state = match &fetched {
            Ok(token) => State { token: Some(token.clone()), failure: None },
            Err(error) => State::failed(error),
        };
        fetched
    }

    /// The current token, unless there is none or somebody is fetching one.
    pub(crate) fn current(&self) -> Option<Token> {
        self.0.try_lock().ok()?.token.clone().filter(Token::is_fresh)
    }

    /// Has the next caller get another token than this one.
    pub(crate) async fn drop_token(&self, token: &Token) {
        let mut state = self.0.lock().await;
        if state.holds(token) {
            state.token = None;
        }
    }

    /// Remembers that the API refused `token`, for which there is no replacement.
    pub(crate) async fn refuse(&self, token: &Token, error: &Error) {
        let mut state = self.0.lock().await;
        if state.holds(token) {
            *state = State::failed(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(expires_in: &str) -> Option<Duration> {
        let body = format!(r#"{{"access_token":"t","expires_in":{expires_in}}}"#);
        let token = Token::parse(body.as_bytes())?;
        Some(token.renew_at?.duration_since(Instant::now()))
    }

    #[tokio::test(start_paused = true)]
    async fn lifetimes_have_limits() {
        for (expires_in, seconds) in [
            ("0", Some(4.5)),
            ("1", Some(4.5)),
            ("60", Some(54.0)),
            ("3600", Some(3540.0)),
            ("43199", Some(43139.0)),
            ("18446744073709551615", Some(86340.0)),
            ("null", None),
            // Neither is a token.
            ("-1", None),
            ("1.5", None),
        ] {
            assert_eq!(life(expires_in).map(|l| l.as_secs_f64()), seconds, "{expires_in}");
        }
    }

    #[test]
    fn a_token_that_no_header_may_have_is_none() {
        for token in ["", "a b", "a\\r\\nx: y", "ä"] {
            let body = format!(r#"{{"access_token":"{token}"}}"#);
            assert!(Token::parse(body.as_bytes()).is_none(), "{token}");
        }
    }
}
