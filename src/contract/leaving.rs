//! What is on its way out: two that go at the same moment each see the other one stay. Pure.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How long something counts that is about to go: longer than reads lag behind writes.
const SHOWS: Duration = Duration::from_mins(1);

/// Ids of those without whom somebody would be locked out, in the order in which they began to go.
#[derive(Debug, Default)]
pub struct Leaving(Mutex<Vec<(String, Instant)>>);

impl Leaving {
    /// Notes that something is about to go, and tells which others began before: they count as gone.
    pub fn begin(&self, id: &str) -> Vec<String> {
        let now = Instant::now();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, since)| now.duration_since(*since) < SHOWS);
        let before = all.iter().take_while(|(other, _)| other != id);
        let before: Vec<String> = before.map(|(other, _)| other.clone()).collect();
        match all.get_mut(before.len()) {
            Some((_, since)) => *since = now,
            None => all.push((id.to_owned(), now)),
        }
        before
    }

    /// It stays after all.
    pub fn stay(&self, id: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(other, _)| other != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_began_first_does_not_wait_for_who_came_later() {
        let leaving = Leaving::default();
        assert!(leaving.begin("a").is_empty());
        assert_eq!(leaving.begin("b"), ["a"]);
        assert!(leaving.begin("a").is_empty(), "another attempt comes no later than the first");
        leaving.stay("a");
        assert!(leaving.begin("b").is_empty());
        tokio::time::advance(SHOWS).await;
        assert!(leaving.begin("c").is_empty(), "reads show by now that it went");
    }
}
