//! How long to wait before trying again. Pure.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// Returns a duration up to a tenth longer, so that what was created together is compared at
/// different times.
pub(super) fn jittered(d: Duration) -> Duration {
    let tenth = u64::try_from(d.as_millis() / 10).unwrap_or(u64::MAX / 2);
    let spread = RandomState::new().hash_one(0u8) % (tenth + 1);
    d.saturating_add(Duration::from_millis(spread))
}

/// The pause after so many failures in a row: 0.5 s, doubling up to `most`, with jitter.
pub(super) fn backoff(failures: u32, most: Duration) -> Duration {
    let doubled = 2u32.saturating_pow(failures.saturating_sub(1).min(16));
    jittered(Duration::from_millis(500).saturating_mul(doubled).min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_most() {
        let most = Duration::from_mins(5);
        let all: Vec<_> = [1, 2, 3, 9, 10, 40, u32::MAX].map(|n| backoff(n, most)).into();
        assert!(all.is_sorted_by(|a, b| a.as_millis() / 11 <= b.as_millis() / 10), "{all:?}");
        assert!(all[0] >= Duration::from_millis(500) && all[0] <= Duration::from_millis(550));
        assert!(all[6] >= most && all[6] <= most + most / 10);
    }
}
