//! Where the read side stands still: at an event of applications that its tables have no place for,
//! such as a second application under an id. ZITADEL tries such an event again and again before it
//! goes on, and meanwhile shows nothing of what happens to any application.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::{
    model::Model,
    store::{Event, Position, Store},
};

/// How many transactions of applications it takes until the first such event is given up. Each
/// further one takes one more.
const TRIES: u8 = 2;

/// How long it takes where nothing happens.
const LONGEST: Duration = Duration::from_secs(15);

/// A standstill, or none.
#[derive(Default)]
pub(super) struct Standstill {
    /// The event that has no place, and what came behind it.
    held: VecDeque<Position>,
    /// How many more transactions it takes.
    tries: u8,
    over: Option<Instant>,
}

/// Whether an event is of those that wait behind each other. Keys have a table of their own.
pub(super) fn concerns(event: &Event) -> bool {
    event.event_type.starts_with("project.application.")
        && !event.event_type.starts_with("project.application.oidc.key.")
}

impl Standstill {
    /// Whether an event has to wait; it is kept then.
    pub(super) fn holds(&mut self, position: Position, event: &Event, read: &Model) -> bool {
        if !concerns(event) {
            return false;
        }
        if self.held.is_empty() {
            if !read.applications.refuse(event) {
                return false;
            }
            self.tries = TRIES;
            self.over = Some(Instant::now() + LONGEST);
        }
        self.held.push_back(position);
        true
    }

    /// Counts a transaction; tells whether the event is given up by it.
    pub(super) fn tries_again(&mut self) -> bool {
        self.tries = self.tries.saturating_sub(1);
        self.tries == 0 && !self.held.is_empty()
    }

    /// Whether it has lasted long enough.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        !self.held.is_empty() && self.over.is_some_and(|over| over <= now)
    }

    /// The next event that has a place, once the one at which it stands is given up.
    pub(super) fn next(
        &mut self,
        beyond_all: bool,
        read: &Model,
        store: &Store,
    ) -> Option<Position> {
        let mut given_up = beyond_all || self.tries == 0;
        while let Some(position) = self.held.front().copied() {
            // What happened in a project that is gone by now has no place any more.
            let event = store.get(position);
            let event = event.filter(|event| read.projects.get(&event.aggregate_id).is_some());
            match event {
                Some(event) if read.applications.refuse(event) => {
                    if !given_up {
                        return None;
                    }
                    given_up = beyond_all;
                    self.tries = 1;
                    self.held.pop_front();
                }
                Some(_) => return self.held.pop_front(),
                None => {
                    self.held.pop_front();
                }
            }
        }
        None
    }
}
