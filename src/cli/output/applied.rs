//! What an apply does, as it does it, and what it came to.

use super::{
    Exit, Progress, failed, say,
    style::{CHANGE, CREATE, STRONG, WARNING, paint, plain_lines},
};
use crate::{
    engine::events::EventReason,
    files::step::{Applied, Done, Failure},
};

/// How many objects are named that were not done.
const NAMED: usize = 20;

/// Counts what becomes of objects, and reports it.
pub(in crate::cli) struct Tally {
    progress: Progress,
    created: usize,
    changed: usize,
    unchanged: usize,
    observed: usize,
    suspended: usize,
    incomplete: usize,
    not_looked_at: usize,
    failures: Vec<(String, Failure)>,
    stopped: Vec<String>,
}

impl Tally {
    pub(in crate::cli) fn new(objects: usize) -> Self {
        Self {
            progress: Progress::new(objects),
            created: 0,
            changed: 0,
            unchanged: 0,
            observed: 0,
            suspended: 0,
            incomplete: 0,
            not_looked_at: 0,
            failures: Vec::new(),
            stopped: Vec::new(),
        }
    }

    /// Whether a bar shows how far it is.
    pub(in crate::cli) fn shows_progress(&self) -> bool {
        self.progress.is_shown()
    }

    /// Reports what happened to an object, if anything did, and counts it.
    pub(in crate::cli) fn take(&mut self, done: &Done) {
        self.progress.step();
        let is_created = matches!(done.result, Applied::Created | Applied::Incomplete(_));
        let is_unchanged = matches!(done.result, Applied::Unchanged | Applied::Observed);
        for event in &done.events {
            // Failures come at the end. An adoption is remembered nowhere here: it would be reported
            // each time.
            if matches!(event.reason, EventReason::Failed(_))
                || event.reason == EventReason::Adopted && is_unchanged
            {
                continue;
            }
            let (sign, style) = match event.reason {
                reason if reason.is_warning() => ("!", WARNING),
                EventReason::Created => ("+", CREATE),
                _ if is_created => ("+", CREATE),
                _ => ("~", CHANGE),
            };
            self.progress.say(format!(
                "{} {}: {}",
                paint(style, sign),
                paint(STRONG, &done.key),
                plain_lines(&event.message)
            ));
        }
        match &done.result {
            Applied::Unchanged => self.unchanged += 1,
            Applied::Created => self.created += 1,
            Applied::Changed => self.changed += 1,
            Applied::Observed => self.observed += 1,
            Applied::Suspended => self.suspended += 1,
            Applied::Failed(failure) if failure.is_unconnected() => self.not_looked_at += 1,
            Applied::Stopped => self.stopped.push(done.key.to_string()),
            Applied::Incomplete(failure) | Applied::Failed(failure) => {
                self.incomplete += usize::from(matches!(done.result, Applied::Incomplete(_)));
                self.failures.push((done.key.to_string(), failure.clone()));
            }
        }
    }

    /// The failures, what was not done, and where it is asked for, the summary.
    pub(in crate::cli) fn end(self, summary: bool) -> Exit {
        self.progress.finish();
        for (object, failure) in &self.failures {
            say(failed(object, failure));
        }
        if let Some(stopped) = self.not_done() {
            say(stopped);
        }
        if summary {
            say(self.summary());
        }
        if self.failures.is_empty() && self.stopped.is_empty() { Exit::Fine } else { Exit::Failed }
    }

    fn not_done(&self) -> Option<String> {
        let named: Vec<&str> = self.stopped.iter().take(NAMED).map(String::as_str).collect();
        let more = self.stopped.len().checked_sub(NAMED).filter(|n| *n > 0);
        let more = more.map_or_else(String::new, |n| format!(", and {n} more"));
        (!named.is_empty()).then(|| {
            format!(
                "{} before these were done: {}{more}",
                paint(WARNING, "stopped"),
                named.join(", ")
            )
        })
    }

    fn summary(&self) -> String {
        let failed = self.failures.len() - self.incomplete;
        let always = format!(
            "{} created, {} changed, {} as declared already, {failed} failed",
            self.created, self.changed, self.unchanged
        );
        let rest = [
            (self.incomplete, "incomplete"),
            (self.observed, "only observed"),
            (self.suspended, "suspended"),
            (self.not_looked_at, "not looked at"),
            (self.stopped.len(), "not done"),
        ];
        let rest = rest.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!(", {n} {what}"));
        format!("{}: {always}{}", paint(STRONG, "Applied"), rest.collect::<String>())
    }
}
