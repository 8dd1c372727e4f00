//! Which failed calls are tried again at once, and how long to wait between.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

use super::Error;

/// The longest pause that a server may ask for.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// A longer pause is left to the caller: who writes holds up others, and what is waited for has to be
/// said.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// Beyond any deadline that makes sense; keeps the arithmetic of time in range.
const MAX_PATIENCE: Duration = Duration::from_secs(60 * 60);

/// What a repeated call may do twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Safety {
    /// A read: repeat it after any transient failure.
    Read,
    /// A write: repeat it only where it is certain that it had no effect.
    Write,
}

/// The tries of one call.
pub(crate) struct Tries {
    safety: Safety,
    pauses: ExponentialBackoff,
    until: Instant,
}

impl Tries {
    /// At most four, with pauses that grow and have jitter. The last one begins within `patience`:
    /// longer outages are the caller's to wait out.
    pub(crate) fn new(safety: Safety, patience: Duration) -> Self {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(2))
            .with_max_times(3)
            .with_jitter()
            .build();
        Self { safety, pauses, until: Instant::now() + patience.min(MAX_PATIENCE) }
    }

    /// How long to wait before the next try: what the server asked for, but never less than our own
    /// pause. `None`: do not try again at once.
    pub(crate) fn pause(&mut self, error: &Error) -> Option<Duration> {
        let asked = error.retry_after().unwrap_or_default();
        // What is too large once is too large again.
        let is_worthwhile = error.is_transient()
            && !matches!(error, Error::TooLarge { .. } | Error::TooManyPages { .. })
            && (self.safety == Safety::Read || error.had_no_effect())
            && asked <= MAX_PAUSE;
        if !is_worthwhile {
            return None;
        }
        let pause = self.pauses.next()?.max(asked);
        (Instant::now() + pause < self.until).then_some(pause)
    }
}

/// What a `Retry-After` header asks for, in seconds or as an HTTP date, at most
/// [`MAX_RETRY_AFTER`]. `None` where it asks for no pause or makes no sense.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs)
    } else {
        let date = DateTimeParser::new().parse_timestamp(text).ok()?;
        Duration::try_from(date.duration_since(now)).ok()?
    };
    (!asked.is_zero()).then(|| asked.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;
    use crate::zitadel::Status;

    fn header(text: &str) -> Option<Duration> {
        let headers = [(RETRY_AFTER, HeaderValue::from_str(text).unwrap())].into_iter().collect();
        retry_after(&headers, "2026-01-01T00:00:00Z".parse().unwrap())
    }

    #[test]
    fn a_header_asks_for_a_pause_within_limits() {
        for (text, seconds) in [
            ("1", Some(1)),
            ("60", Some(60)),
            ("61", Some(60)),
            ("86400", Some(60)),
            ("18446744073709551615", Some(60)),
            ("99999999999999999999999999", Some(60)),
            ("0", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("1e3", None),
            ("", None),
            ("soon", None),
            ("Thu, 01 Jan 2026 00:00:07 GMT", Some(7)),
            ("Thu, 01 Jan 2026 00:10:00 GMT", Some(60)),
            ("Thu, 31 Dec 9998 23:59:59 GMT", Some(60)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", None),
            ("Wed, 31 Dec 2025 23:59:59 GMT", None),
            ("Fri, 99 Dec 9999 99:99:99 GMT", None),
        ] {
            assert_eq!(header(text), seconds.map(Duration::from_secs), "{text:?}");
        }
    }

    fn busy(after: Option<Duration>) -> Error {
        Error::Status(Status::parse(429, after, b"", ""))
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_never_shorter_than_our_own() {
        let own = Duration::from_millis(100);
        for (asked, least) in [
            (None, Some(own)),
            (Some(Duration::ZERO), Some(own)),
            (Some(Duration::from_nanos(1)), Some(own)),
            (Some(Duration::from_secs(1)), Some(Duration::from_secs(1))),
            (Some(Duration::from_secs(2)), None),
        ] {
            let mut tries = Tries::new(Safety::Write, Duration::from_secs(30));
            let pause = tries.pause(&busy(asked));
            assert_eq!(pause.is_some(), least.is_some(), "{asked:?}");
            assert!(pause >= least, "{asked:?}: {pause:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn tries_end_by_their_number_and_by_the_time_that_passed() {
        let mut tries = Tries::new(Safety::Read, Duration::MAX);
        assert_eq!((0..9).filter(|_| tries.pause(&busy(None)).is_some()).count(), 3);
        let mut tries = Tries::new(Safety::Read, Duration::from_secs(30));
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(tries.pause(&busy(None)), None);
    }
}
