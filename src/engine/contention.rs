//! No fight: when somebody else keeps undoing what is declared, it is reverted at growing
//! intervals, and reported who it is. Pure.

use std::time::Duration;

use tokio::time::Instant;

use super::error::Error;

/// This many corrections in a row are not a fight yet.
const MAX_CORRECTIONS: u32 = 5;
/// This long without another change, and it is over.
const COOLDOWN: Duration = Duration::from_secs(300);
/// The pause after the first correction that is one too many; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(15);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Changes of one object's remote side by somebody else, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Contention {
    generation: i64,
    corrections: u32,
    last: Instant,
    /// The last correction was seen to hold: what differs now was changed after it.
    held: bool,
    by: Option<String>,
    fields: String,
}

impl Contention {
    /// A change by somebody else is being reverted, after those of `former`.
    pub(super) fn correct(
        former: Option<Self>,
        generation: i64,
        by: Option<&str>,
        fields: &str,
        now: Instant,
    ) -> Self {
        let corrections = former.as_ref().map_or(0, |c| c.corrections).saturating_add(1);
        Self {
            generation,
            corrections,
            last: now,
            held: false,
            by: by.map(ToOwned::to_owned).or_else(|| former.and_then(|c| c.by)),
            fields: fields.into(),
        }
    }

    /// Whether it still counts: for this generation of the spec, and not long ago.
    pub(super) fn counts(&self, generation: i64, now: Instant) -> bool {
        self.generation == generation && now.duration_since(self.last) < self.cooldown()
    }

    /// Whether the last correction was seen to hold.
    pub(super) fn held(&self) -> bool {
        self.held
    }

    /// `Err`: it is too early to revert it once more.
    pub(super) fn may_correct(&self, now: Instant) -> Result<(), Error> {
        let (age, pause) = (now.duration_since(self.last), self.pause());
        if age < pause { Err(self.error(pause.saturating_sub(age))) } else { Ok(()) }
    }

    /// It is as declared. `Err`: but for how long, nobody knows yet.
    pub(super) fn hold(&mut self, now: Instant) -> Result<(), Error> {
        self.held = true;
        let (age, cooldown) = (now.duration_since(self.last), self.cooldown());
        let is_fight = self.corrections >= MAX_CORRECTIONS;
        if is_fight && age < cooldown {
            Err(self.error(cooldown.saturating_sub(age)))
        } else {
            Ok(())
        }
    }

    fn pause(&self) -> Duration {
        match self.corrections.checked_sub(MAX_CORRECTIONS) {
            Some(more) => {
                FIRST_PAUSE.saturating_mul(2u32.saturating_pow(more.min(16))).min(LONGEST_PAUSE)
            }
            None => Duration::ZERO,
        }
    }

    fn cooldown(&self) -> Duration {
        COOLDOWN.max(self.pause() * 2)
    }

    fn error(&self, retry_after: Duration) -> Error {
        Error::Contested {
            by: self.by.clone(),
            fields: self.fields.clone(),
            corrections: self.corrections,
            retry_after,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(corrections: u32, now: Instant) -> Contention {
        let next = |former, n: u32| {
            let by = (n == 1).then_some("minnie");
            Some(Contention::correct(former, 1, by, "name", now))
        };
        (1..=corrections).fold(None, next).expect("at least one")
    }

    #[test]
    fn a_few_corrections_are_no_fight() {
        let now = Instant::now();
        let mut c = after(MAX_CORRECTIONS - 1, now);
        assert!(c.may_correct(now).is_ok() && c.hold(now).is_ok());
    }

    #[test]
    fn one_too_many_is_reported_with_the_name_and_retried_ever_later() {
        let now = Instant::now();
        let mut pauses = Vec::new();
        for n in 0..8 {
            match after(MAX_CORRECTIONS + n, now).may_correct(now) {
                Err(Error::Contested { by, corrections, retry_after, .. }) => {
                    assert_eq!((by.as_deref(), corrections), (Some("minnie"), MAX_CORRECTIONS + n));
                    pauses.push(retry_after.as_secs());
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(pauses, [15, 30, 60, 120, 240, 480, 600, 600]);
    }

    #[test]
    fn it_is_over_after_a_while_or_with_another_spec() {
        let now = Instant::now();
        let mut c = after(MAX_CORRECTIONS, now);
        assert!(c.hold(now).is_err() && c.counts(1, now) && !c.counts(2, now));
        let later = now + COOLDOWN;
        assert!(c.hold(later).is_ok() && !c.counts(1, later));
        assert!(c.may_correct(now + FIRST_PAUSE).is_ok());
    }
}
