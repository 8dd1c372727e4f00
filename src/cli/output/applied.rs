//! What an apply does, as it does it, and what it came to.

use super::{
    Exit, Progress, failed, say,
    style::{CHANGE, CREATE, STRONG, WARNING, paint},
};
use crate::{
    engine::{news::News, plan::Action},
    files::step::{Done, Failure},
};

/// Counts and tells what becomes of objects.
pub(in crate::cli) struct Applied {
    progress: Progress,
    created: usize,
    changed: usize,
    unchanged: usize,
    not_looked_at: usize,
    failures: Vec<(String, Failure)>,
}

impl Applied {
    pub(in crate::cli) fn new(objects: usize) -> Self {
        Self {
            progress: Progress::new(objects),
            created: 0,
            changed: 0,
            unchanged: 0,
            not_looked_at: 0,
            failures: Vec::new(),
        }
    }

    /// Tells of an object, if anything happened.
    pub(in crate::cli) fn take(&mut self, done: &Done) {
        self.progress.step();
        // Nobody remembers an adoption here: it would be told each time.
        let news = done.notes.iter().filter(|n| {
            done.failure.is_none() && (n.news != News::Adopted || done.action != Action::Nothing)
        });
        for note in news {
            let (sign, style) = match done.action {
                _ if note.news.is_warning() => ("!", WARNING),
                Action::Create => ("+", CREATE),
                _ => ("~", CHANGE),
            };
            self.progress.say(format!(
                "{} {}: {}",
                paint(style, sign),
                paint(STRONG, &done.key),
                note.message
            ));
        }
        match (&done.failure, done.action) {
            (Some(failure), _) if failure.is_unconnected => self.not_looked_at += 1,
            (Some(failure), _) => self.failures.push((done.key.to_string(), failure.clone())),
            (None, Action::Nothing) => self.unchanged += 1,
            (None, Action::Create) => self.created += 1,
            (None, Action::Update) => self.changed += 1,
        }
    }

    /// The failures, and where it is asked for the sum.
    pub(in crate::cli) fn end(self, summary: bool) -> Exit {
        self.progress.finish();
        for (object, failure) in &self.failures {
            say(failed(object, failure));
        }
        if summary {
            let Self { created, changed, unchanged, not_looked_at, failures, .. } = &self;
            let left = if *not_looked_at > 0 {
                format!(", {not_looked_at} not looked at")
            } else {
                String::new()
            };
            say(format!(
                "{}: {created} created, {changed} changed, {unchanged} as declared already, {} failed{left}",
                paint(STRONG, "Applied"),
                failures.len()
            ));
        }
        if self.failures.is_empty() { Exit::Fine } else { Exit::Failed }
    }
}
