//! Dates and ids, both strictly increasing: no two transactions share a date, unless they are told
//! to, so that a test which compares dates never passes by chance.

use std::time::Duration;

use jiff::Timestamp;

/// The date that ZITADEL answers where there is none (Go's zero time).
pub(crate) const NO_DATE: &str = "0001-01-01T00:00:00Z";

/// 2014-09-01, in milliseconds: where ZITADEL's ids (sonyflake) begin to count.
const IDS_BEGIN: i64 = 1_409_529_600_000;

/// Gives out dates and ids.
pub(crate) struct Clock {
    last_date: i64,
    last_id: u64,
    machine: u64,
    /// So many dates more are the last one again.
    pub(crate) repeats: u64,
    /// How far this clock is ahead of the machine's.
    ahead: Duration,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            last_date: 0,
            last_id: 0,
            machine: u64::from(rand::random::<u16>()),
            repeats: 0,
            ahead: Duration::ZERO,
        }
    }

    /// What time it is.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::now().checked_add(self.ahead).unwrap_or(Timestamp::MAX)
    }

    /// Jumps ahead.
    pub(crate) fn advance(&mut self, by: Duration) {
        self.ahead = self.ahead.saturating_add(by);
    }

    /// The current date, in microseconds, always later than the one before, unless that is to be
    /// repeated.
    pub(crate) fn date(&mut self) -> Timestamp {
        if self.repeats > 0 {
            self.repeats -= 1;
        } else {
            self.last_date = self.now().as_microsecond().max(self.last_date.saturating_add(1));
        }
        Timestamp::from_microsecond(self.last_date).unwrap_or_default()
    }

    /// A new id: 18 digits that increase with time.
    pub(crate) fn id(&mut self) -> String {
        let elapsed = self.now().as_millisecond().saturating_sub(IDS_BEGIN).max(0);
        let fresh = (u64::try_from(elapsed).unwrap_or_default() / 10) << 24 | self.machine;
        self.last_id = fresh.max(self.last_id.saturating_add(1 << 16));
        self.last_id.to_string()
    }
}

/// A date as protobuf's JSON form writes it: no, three, six or nine digits of a second's fraction.
pub(crate) fn text(date: Timestamp) -> String {
    let nanos = date.subsec_nanosecond();
    let precision = if nanos == 0 {
        0
    } else if nanos % 1_000_000 == 0 {
        3
    } else if nanos % 1_000 == 0 {
        6
    } else {
        9
    };
    format!("{date:.precision$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_ids_never_repeat() {
        let mut clock = Clock::new();
        let dates: Vec<_> = (0..1_000).map(|_| clock.date()).collect();
        let ids: Vec<_> = (0..1_000).map(|_| clock.id()).collect();
        assert!(dates.is_sorted_by(|a, b| a < b));
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert!(ids.iter().all(|id| id.len() == 18));
    }

    #[test]
    fn fractions_come_in_groups_of_three_digits() {
        let at = |micros| text(Timestamp::from_microsecond(micros).unwrap_or_default());
        assert_eq!(at(1_000_000), "1970-01-01T00:00:01Z");
        assert_eq!(at(1_500_000), "1970-01-01T00:00:01.500Z");
        assert_eq!(at(1_049_680), "1970-01-01T00:00:01.049680Z");
    }
}
