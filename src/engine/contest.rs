//! No fight: when somebody else keeps undoing what was set, it is set back at growing intervals,
//! and said who it is.

use std::time::Duration;

use tokio::time::Instant;

use super::{Error, Key, memory::Memory};

/// So many corrections are not a fight yet.
const PATIENCE: u32 = 5;
/// So long without another change, and it is over.
const CALM: Duration = Duration::from_secs(300);
/// The pause after the first correction that is one too many; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(15);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Changes of one object's remote side by somebody else, one after the other.
pub(super) struct Contest {
    generation: i64,
    corrections: u32,
    last: Instant,
    /// The last correction was seen to hold: what differs now was changed after it.
    held: bool,
    by: Option<String>,
    fields: String,
}

impl Contest {
    fn is_on(&self) -> bool {
        self.corrections >= PATIENCE
    }

    fn pause(&self) -> Duration {
        match self.corrections.checked_sub(PATIENCE) {
            Some(more) => {
                FIRST_PAUSE.saturating_mul(2u32.saturating_pow(more.min(16))).min(LONGEST_PAUSE)
            }
            None => Duration::ZERO,
        }
    }

    fn calm(&self) -> Duration {
        CALM.max(self.pause() * 2)
    }

    fn error(&self, again: Duration) -> Error {
        let who = self.by.as_deref().unwrap_or("somebody else");
        let message = format!(
            "{who} keeps changing {}: it was set back {} times in a row, and is from now on at growing intervals. Agree on one side, or leave it out of the spec",
            self.fields, self.corrections
        );
        Error::Contested { message, again }
    }
}

impl Memory {
    /// Whether somebody else changed what was as declared: `ready` says so where nothing is
    /// remembered.
    pub(super) fn was_changed(&self, key: &Key, generation: i64, ready: bool) -> bool {
        self.known(key, |r| {
            if r.contest
                .as_ref()
                .is_some_and(|c| c.generation != generation || c.last.elapsed() >= c.calm())
            {
                r.contest = None;
            }
            r.contest.as_ref().map(|c| c.held)
        })
        .unwrap_or(ready)
    }

    /// `Err`: it is too early to set it back once more.
    pub(super) fn may_correct(&self, key: &Key) -> Result<(), Error> {
        let early = self.known(key, |r| {
            let c = r.contest.as_ref().filter(|c| c.last.elapsed() < c.pause())?;
            Some(c.error(c.pause().saturating_sub(c.last.elapsed())))
        });
        early.map_or(Ok(()), Err)
    }

    /// A change by somebody else is being set back.
    pub(super) fn corrects(&self, key: &Key, generation: i64, by: Option<&str>, fields: &str) {
        self.with(key, |r| {
            let former = r.contest.take();
            r.contest = Some(Contest {
                generation,
                corrections: former.as_ref().map_or(0, |c| c.corrections).saturating_add(1),
                last: Instant::now(),
                held: false,
                by: by.map(ToOwned::to_owned).or_else(|| former.and_then(|c| c.by)),
                fields: fields.into(),
            });
        });
    }

    /// It is as declared. `Err`: but for how long, nobody knows yet.
    pub(super) fn holds(&self, key: &Key) -> Result<(), Error> {
        let contested = self.known(key, |r| {
            let c = r.contest.as_mut()?;
            c.held = true;
            let lasts = c.is_on() && c.last.elapsed() < c.calm();
            lasts.then(|| c.error(c.calm().saturating_sub(c.last.elapsed())))
        });
        contested.map_or(Ok(()), Err)
    }
}
