//! What a reconcile came to: the status, what is worth an Event, when to look again. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Error, Key, Object,
    error::Class,
    news::{News, Note},
    reconcile::Engine,
};
use crate::{
    api::status::{Ready, Status, Verdict},
    kinds::instance::InstanceDetails,
};

/// What a reconcile came to.
#[derive(Debug)]
pub struct Outcome {
    /// The status from now on.
    pub status: Status,
    /// Of an `Instance`: the rest of its status.
    pub details: Option<InstanceDetails>,
    /// What is worth an Event.
    pub notes: Vec<Note>,
    /// Look again after this.
    pub again: Option<Duration>,
    /// The remote side is settled: the object may go.
    pub release: bool,
    /// Other objects to look at.
    pub wake: Vec<Key>,
}

impl Outcome {
    pub(super) fn of(object: &Object) -> Self {
        let status = object.status.clone();
        Self {
            status,
            details: None,
            notes: Vec::new(),
            again: None,
            release: false,
            wake: Vec::new(),
        }
    }

    pub(super) fn note(&mut self, news: News, message: String) {
        self.notes.push(Note { news, message });
    }

    pub(super) fn conclude(&mut self, object: &Object, verdict: &Verdict) {
        let former = object.status.condition("Ready").map(|c| c.reason.as_str());
        let fails = matches!(verdict.ready, Ready::Stalled);
        // A class of failure that begins is an Event, one that goes on is not.
        if fails && former != Some(verdict.reason.to_string().as_str()) {
            self.note(News::Failed(verdict.reason), verdict.message.clone());
        }
        let stalled = object.status.condition("Stalled");
        if let (Ready::True, Some(before)) = (verdict.ready, stalled) {
            self.note(News::Recovered, format!("{}, after {}", verdict.message, before.reason));
        }
        self.status.set(verdict, object.generation, Timestamp::now());
    }

    pub(super) fn fail(&mut self, engine: &Engine, object: &Object, error: &Error) {
        self.details.get_or_insert_with(|| object.details.clone());
        self.conclude(object, &error.verdict());
        self.again = Some(match (error, error.class()) {
            (Error::Contested { again, .. }, _) => *again,
            (_, Class::Transient(Some(asked))) => asked,
            (_, Class::Transient(None)) => backoff(engine.memory.failed(&object.key)),
            // Woken earlier by what it waits for.
            (_, Class::Waiting | Class::Terminal) => Duration::from_secs(600),
        });
    }
}

/// 0.2 s, doubling up to 2 minutes.
pub(super) fn backoff(failures: u32) -> Duration {
    Duration::from_millis(200)
        .saturating_mul(2u32.saturating_pow(failures.saturating_sub(1).min(12)))
        .min(Duration::from_secs(120))
}
