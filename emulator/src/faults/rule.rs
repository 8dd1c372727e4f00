//! Rules: which calls a fault strikes, how often, and what happens to them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Action {
    /// Answered 429, with `Retry-After` in seconds where it is given.
    TooManyRequests {
        /// What `Retry-After` says.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// Answered with a status and a plain body, as a proxy in front would.
    Status {
        /// The status.
        status: u16,
    },
    /// Answered 503 in ZITADEL's own form (code 14).
    Unavailable,
    /// Answered 401 as for an expired token.
    ExpiredToken,
    /// Not answered: the connection is reset before anything happens.
    Reset,
    /// Takes effect, but the connection is reset instead of an answer.
    LoseAnswer,
    /// Takes effect, but is answered with this status.
    LoseAnswerWith {
        /// The status, for example 504.
        status: u16,
    },
    /// Takes effect, but half of the answer's body comes, then the connection is closed.
    Truncate,
    /// Waits before it is handled.
    Delay {
        /// How long, in milliseconds.
        milliseconds: u64,
    },
    /// Is handled, then waits before it is answered.
    DelayAnswer {
        /// How long, in milliseconds.
        milliseconds: u64,
    },
    /// Answered with this status and this body instead of what the server would answer.
    Answer {
        /// The status.
        status: u16,
        /// The body: JSON, or, if it is a string, that text as it stands.
        #[serde(default)]
        body: Value,
    },
    /// Takes effect, but one value of a good answer (2xx, JSON) is another. Does not end the
    /// search for a rule: several of these alter one answer, and another action may follow.
    Alter {
        /// Where the value is, as a JSON pointer (`/projects/0/state`); `-` as the last part
        /// stands for a new entry at the end of a list.
        pointer: String,
        /// What stands there instead; if omitted, the field or the entry is removed.
        #[serde(default)]
        value: Option<Value>,
    },
    /// Every page of a list is answered with the first one, and the total has no end; the event
    /// feed begins at its beginning whatever it is asked for.
    FirstPage,
    /// Takes effect; so many bytes of white space come behind the answer, which stays JSON.
    Inflate {
        /// How many bytes.
        bytes: u64,
    },
    /// Takes effect; white space comes behind the answer and never ends.
    Endless,
}

/// Which calls a fault strikes, and how often. Earlier rules come first; a rule that is used up is
/// gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// What happens.
    pub action: Action,
    /// Calls of this method alone.
    #[serde(default)]
    pub method: Option<String>,
    /// Calls of paths that begin with this; with a `*` in it, the whole path has to match, and a
    /// `*` stands for any text.
    #[serde(default)]
    pub path: Option<String>,
    /// How many matching calls pass first.
    #[serde(default)]
    pub skip: u32,
    /// How many it strikes then; all, if nothing is said.
    #[serde(default)]
    pub times: Option<u32>,
}

impl Rule {
    /// A rule that strikes every call.
    pub fn new(action: Action) -> Self {
        Self { action, method: None, path: None, skip: 0, times: None }
    }

    /// Calls of this method alone.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Calls of these paths alone: a prefix, or a pattern with `*`.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// Only so many of them.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Only those after the first so many.
    #[must_use]
    pub fn skip(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    /// Whether it is this call's turn, of those that match; counts the call.
    pub(super) fn is_due(&mut self) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        match &mut self.times {
            Some(0) => false,
            Some(times) => {
                *times -= 1;
                true
            }
            None => true,
        }
    }

    pub(super) fn strikes(&self, method: &str, path: &str) -> bool {
        let right_method =
            self.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method));
        let right_path = self.path.as_ref().is_none_or(|wanted| covers(wanted, path));
        right_method && right_path && !path.starts_with("/_emulator")
    }
}

/// Whether a prefix, or a pattern with `*`, covers a path.
pub(super) fn covers(pattern: &str, path: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = path.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else {
        return true;
    };
    for part in parts {
        let Some((_, behind)) = rest.split_once(part) else {
            return false;
        };
        rest = behind;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_paths() {
        assert!(covers("/a", "/a/b"));
        assert!(!covers("/b", "/a/b"));
        assert!(covers("/a/*/c", "/a/b/c"));
        assert!(!covers("/a/*/c", "/a/b/c/d"));
        assert!(covers("*/_search", "/a/_search"));
    }
}
