//! What Kubernetes refuses or does not answer, in one line. Pure.

use std::fmt;

use kube::{core::Status, runtime::watcher};

/// Characters of a message that are shown; some repeat the whole object.
const SHOWN: usize = 200;

/// An error of the API server, or of the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// The HTTP status of the answer, if there was one.
    pub(super) code: Option<u16>,
    message: String,
    is_terminating: bool,
}

impl Problem {
    /// Whether it needs a person: a permission or a whole resource is missing.
    pub(super) fn is_permanent(&self) -> bool {
        matches!(self.code, Some(401 | 403 | 404))
    }

    /// Whether it only says that a watch was away for too long: it lists again.
    pub(super) fn is_expired(&self) -> bool {
        self.code == Some(410)
    }

    /// Whether it only says that the object, or its namespace, is going, gone or changed by
    /// somebody else. The watch tells about each of these.
    pub(super) fn is_expected(&self) -> bool {
        self.is_terminating || matches!(self.code, Some(404 | 409))
    }
}

impl From<&Status> for Problem {
    fn from(s: &Status) -> Self {
        let causes = s.details.iter().flat_map(|d| &d.causes);
        Self {
            code: Some(s.code),
            message: first_line(if s.message.is_empty() { &s.reason } else { &s.message }),
            is_terminating: causes.into_iter().any(|c| c.reason == "NamespaceTerminating"),
        }
    }
}

impl From<&kube::Error> for Problem {
    fn from(e: &kube::Error) -> Self {
        match e {
            kube::Error::Api(s) => Self::from(&**s),
            other => {
                Self { code: None, message: first_line(&other.to_string()), is_terminating: false }
            }
        }
    }
}

impl From<&watcher::Error> for Problem {
    fn from(e: &watcher::Error) -> Self {
        match e {
            watcher::Error::InitialListFailed(e)
            | watcher::Error::WatchStartFailed(e)
            | watcher::Error::WatchFailed(e) => Self::from(e),
            watcher::Error::WatchError(s) => Self::from(&**s),
            watcher::Error::NoResourceVersion => {
                Self { code: None, message: e.to_string(), is_terminating: false }
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "{code}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(value: serde_json::Value) -> Problem {
        let status: Status = serde_json::from_value(value).unwrap();
        Problem::from(&kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn a_problem_is_one_short_line() {
        let problem = status(json!({"code": 422, "message": format!("{}\nmore", "ä".repeat(700))}));
        assert_eq!(problem.to_string(), format!("422: {}…", "ä".repeat(200)));
    }

    #[test]
    fn a_namespace_that_is_terminating_is_told_from_a_missing_permission() {
        let terminating = json!({"code": 403, "message": "forbidden: it is being terminated", "details": {"causes": [{"reason": "NamespaceTerminating"}]}});
        assert!(status(terminating).is_expected());
        let forbidden = status(json!({"code": 403, "message": "User can't create it"}));
        assert!(!forbidden.is_expected() && forbidden.is_permanent());
    }
}
