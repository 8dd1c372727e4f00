//! Own writes that no read has shown yet. Pure.

use std::time::Duration;

use crate::contract::{Fields, Remote, Version, diff};

/// Where reads carry no version: how long another value must hold after an own write until it is
/// believed.
const HOLD: Duration = Duration::from_secs(10);

/// What an own write should lead to.
#[derive(Debug, Clone)]
pub(super) enum PendingWrite {
    /// The thing has these fields.
    State(Fields, Option<Version>),
    /// The thing does not exist.
    Gone,
}

impl PendingWrite {
    pub(super) fn version(&self) -> Option<&Version> {
        match self {
            Self::State(_, version) => version.as_ref(),
            Self::Gone => None,
        }
    }

    /// Whether a read can be told from an older one by its version.
    pub(super) fn is_versioned(&self) -> bool {
        self.version().is_some_and(|v| v.aggregate.is_some())
    }

    /// Whether a read is as new as this write of `age`.
    pub(super) fn is_shown_by(&self, age: Duration, read: Option<&Remote>) -> bool {
        match (self, read) {
            (Self::Gone, None) => true,
            (Self::Gone, Some(_)) => age >= HOLD,
            // That a thing we created does not show is never proof that it is gone: the engine
            // decides after a minute.
            (Self::State(..), None) => false,
            (Self::State(want, written), Some(read)) => {
                let versions = written.as_ref().zip(read.version.as_ref());
                let newer = versions.and_then(|(written, read)| read.shows(written));
                newer.unwrap_or_else(|| diff(want, &read.state, &[]).is_empty() || age >= HOLD)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::contract::{Place, Subject};

    fn remote(value: &str, changed: Option<i64>) -> Remote {
        let version = changed.map(|s| Version {
            aggregate: Some("a".into()),
            changed: jiff::Timestamp::from_second(s).unwrap(),
        });
        Remote {
            subject: Subject::from("1"),
            place: Place::instance(),
            state: Fields::from(json!({"name": value})),
            reported: Fields::default(),
            own: true,
            version,
        }
    }

    fn wrote(value: &str, changed: Option<i64>) -> PendingWrite {
        let r = remote(value, changed);
        PendingWrite::State(r.state, r.version)
    }

    const YOUNG: Duration = Duration::from_millis(5);

    #[test]
    fn a_read_that_is_older_than_our_write_is_not_believed() {
        let wrote = wrote("new", Some(5));
        assert!(!wrote.is_shown_by(YOUNG, Some(&remote("old", Some(4)))));
        assert!(wrote.is_shown_by(YOUNG, Some(&remote("new", Some(5)))));
        assert!(
            wrote.is_shown_by(YOUNG, Some(&remote("foreign", Some(6)))),
            "somebody was faster: that is drift"
        );
    }

    #[test]
    fn without_a_version_another_value_must_hold_for_ten_seconds() {
        let wrote = wrote("new", None);
        assert!(!wrote.is_shown_by(Duration::from_secs(9), Some(&remote("old", None))));
        assert!(wrote.is_shown_by(Duration::from_secs(10), Some(&remote("old", None))));
        assert!(wrote.is_shown_by(Duration::ZERO, Some(&remote("new", None))));
    }

    #[test]
    fn what_was_created_and_does_not_show_is_not_believed_gone() {
        assert!(!wrote("new", Some(5)).is_shown_by(Duration::from_secs(3600), None));
        assert!(PendingWrite::Gone.is_shown_by(Duration::ZERO, None));
    }
}
