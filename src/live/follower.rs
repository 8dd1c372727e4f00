//! When the feed of an instance is polled, what follows from it, and who asks whether an instance
//! that is down is back.

use std::collections::BTreeSet;

use tokio::time::Instant;
use tracing::{Instrument, field::Empty};

use super::{connection::Connection, feed::Changes, store::Touched};
use crate::zitadel::{
    Error,
    span::{SPANS, failed},
};

/// Follows the feed of one instance, whatever connections lead to it.
#[derive(Debug, Default)]
pub struct Follower {
    /// Polls that failed in a row.
    failures: u32,
    /// Polls in a row that were refused: the account may not read the feed, or there is none.
    refusals: u32,
    /// When it is asked again after that.
    asks_again: Option<Instant>,
    /// Outages whose end was told.
    outages: u64,
}

/// What follows from a poll.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each follows from a poll by itself")]
pub struct Polled {
    /// What others touched.
    pub touched: BTreeSet<Touched>,
    /// The feed answered.
    pub answered: bool,
    /// Everything has to be compared.
    pub compares: bool,
    /// The Instance has something to say.
    pub wakes_instance: bool,
    /// What failed before may work now.
    pub wakes_failing: bool,
}

impl Follower {
    /// Waits until the next poll is due: after an outage that is at once. While the instance is
    /// down nobody polls: then this asks now and then whether it is back, and returns each time.
    /// `Err`: it is down; the Instance says so.
    pub async fn wait(&self, connection: &Connection) -> Result<(), Error> {
        let client = &connection.client;
        if client.is_down() {
            client.try_again().await;
        } else if client.outages() == self.outages {
            tokio::select! {
                () = tokio::time::sleep(connection.spec.poll) => {}
                () = client.until_down() => {}
            }
        }
        client.outage().map_or(Ok(()), Err)
    }

    /// Whether a feed that may not be read is not worth a poll yet. The pauses grow up to the time
    /// after which everything is compared anyway: a server that has just started may refuse too.
    pub fn is_refused(&self) -> bool {
        self.asks_again.is_some_and(|at| Instant::now() < at)
    }

    /// Whether the last poll failed in a way that passes.
    pub fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Asks the feed.
    pub async fn poll(&mut self, connection: &Connection) -> Polled {
        let span = tracing::info_span!(
            target: SPANS,
            "poll",
            zitadel.instance.id = connection.instance_id,
            kastellan.touched = Empty,
            otel.status_code = Empty,
            "error.type" = Empty,
        );
        let answer = connection.poll_feed().instrument(span.clone()).await;
        match &answer {
            Ok(changes) => {
                span.record("kastellan.touched", i64::try_from(changes.touched.len()).ok());
            }
            Err(e) => failed(&span, e.label()),
        }
        let mut polled = Polled::default();
        match answer {
            Ok(Changes { mut touched, again, restarted }) => {
                touched.extend(again);
                let is_again = std::mem::take(&mut self.failures) > 0;
                (self.refusals, self.asks_again) = (0, None);
                let is_new = say(connection, &Ok(()));
                polled = Polled {
                    touched,
                    answered: true,
                    compares: restarted,
                    wakes_instance: is_again || is_new,
                    wakes_failing: is_again,
                };
            }
            // The next poll goes on where the last one ended.
            Err(e) if e.is_transient() => {
                self.failures = self.failures.saturating_add(1);
                tracing::debug!(error = %e, failures = self.failures, "event feed");
                // Of an outage of the whole, only the Instance speaks.
                if !connection.client.is_down() {
                    say(connection, &Err(e));
                }
                polled.wakes_instance = true;
            }
            Err(e) => {
                let spec = &connection.spec;
                let pause = spec.poll.saturating_mul(2u32.saturating_pow(self.refusals.min(16)));
                self.refusals = self.refusals.saturating_add(1);
                self.asks_again = Some(Instant::now() + pause.min(spec.resync));
                let is_about_account = e.is_unauthenticated();
                polled.wakes_instance = say(connection, &Err(e)) || is_about_account;
            }
        }
        self.conclude(connection, &mut polled);
        polled
    }

    /// Nobody polls, and an outage may be over all the same.
    pub fn skip(&mut self, connection: &Connection) -> Polled {
        let mut polled = Polled::default();
        self.conclude(connection, &mut polled);
        polled
    }

    /// The end of an outage is told once what changed meanwhile is known.
    fn conclude(&mut self, connection: &Connection, polled: &mut Polled) {
        let outages = connection.client.outages();
        if !connection.client.is_down() && std::mem::replace(&mut self.outages, outages) != outages
        {
            polled.wakes_instance = true;
            polled.wakes_failing = true;
        }
    }
}

/// Keeps how changes are found. Returns whether that is new.
fn say(connection: &Connection, polled: &Result<(), Error>) -> bool {
    let is_new = connection.set_feed_status(polled);
    if is_new {
        let instance = &connection.instance_id;
        match polled {
            Ok(()) => tracing::info!(instance, "the event feed is followed"),
            Err(e) => {
                tracing::warn!(instance, error = %e, "the event feed can't be followed: changes are found by lists");
            }
        }
    }
    is_new
}
