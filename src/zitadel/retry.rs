//! Which failed calls are tried again at once, and how long to wait between.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::Error;

/// The longest pause that a server may ask for.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// A longer pause is left to the caller: a worker must not sleep so long.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// What a repeated call may do twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Safety {
    /// A read: repeat it after any transient failure.
    Read,
    /// A write: repeat it only where it is certain that it had no effect.
    Write,
}

/// The pauses between tries: three, with jitter. Longer outages are the caller's to wait out.
pub(crate) fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(2))
        .with_max_times(3)
        .with_jitter()
        .build()
}

/// How long to wait before the next try: what the server asked for, but never less than our own
/// pause. `None`: do not try again at once.
pub(crate) fn pause(
    safety: Safety,
    error: &Error,
    pauses: &mut impl Iterator<Item = Duration>,
) -> Option<Duration> {
    let asked = error.retry_after().unwrap_or_default();
    // What is too large once is too large again.
    let is_worthwhile = error.is_transient()
        && !matches!(error, Error::TooLarge { .. } | Error::TooManyPages { .. })
        && (safety == Safety::Read || error.had_no_effect())
        && asked <= MAX_PAUSE;
    if is_worthwhile { Some(pauses.next()?.max(asked)) } else { None }
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

    #[test]
    fn a_pause_is_never_shorter_than_our_own() {
        let busy = |after| Error::Status(Status::parse(429, after, b"", ""));
        let mut own = [Duration::from_millis(100)].into_iter().cycle();
        for (asked, paused) in [
            (None, Some(Duration::from_millis(100))),
            (Some(Duration::ZERO), Some(Duration::from_millis(100))),
            (Some(Duration::from_nanos(1)), Some(Duration::from_millis(100))),
            (Some(Duration::from_secs(3)), Some(Duration::from_secs(3))),
            (Some(Duration::from_secs(11)), None),
        ] {
            assert_eq!(pause(Safety::Write, &busy(asked), &mut own), paused, "{asked:?}");
        }
    }
}
