//! Faults and latency: what a network, a busy server and a lagging projection do to a client.
//!
//! Two kinds. A [`Rule`] strikes calls: it says which, how often, and what happens to them. The
//! rest are conditions of the whole server: latency, a read side that lags or loses events, late
//! commits, an outage, an older server without some interfaces, expired tokens, another instance
//! behind the same address.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    state::{State, TOKEN_LIFETIME},
    store::Store,
};

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Action {
    /// Answered 429, with `Retry-After` in seconds where it is given.
    TooManyRequests {
        /// What `Retry-After` says.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// Answered with a status and a plain body, as a proxy in front would.
    Status {
        /// The status.
        status: u16,
    },
    /// Answered 503 in ZITADEL's own form (code 14).
    Unavailable,
    /// Answered 401 as for an expired token.
    ExpiredToken,
    /// Not answered: the connection is reset before anything happens.
    Reset,
    /// Takes effect, but the connection is reset instead of an answer.
    LoseAnswer,
    /// Takes effect, but is answered with this status.
    LoseAnswerWith {
        /// The status, for example 504.
        status: u16,
    },
    /// Takes effect, but half of the answer's body comes, then the connection is closed.
    Truncate,
    /// Waits before it is handled.
    Delay {
        /// How long, in milliseconds.
        milliseconds: u64,
    },
    /// Is handled, then waits before it is answered.
    DelayAnswer {
        /// How long, in milliseconds.
        milliseconds: u64,
    },
}

/// Which calls a fault strikes, and how often. Earlier rules come first; a rule that is used up is
/// gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// What happens.
    pub action: Action,
    /// Calls of this method alone.
    #[serde(default)]
    pub method: Option<String>,
    /// Calls of paths that begin with this; with a `*` in it, the whole path has to match, and a
    /// `*` stands for any text.
    #[serde(default)]
    pub path: Option<String>,
    /// How many matching calls pass first.
    #[serde(default)]
    pub skip: u32,
    /// How many it strikes then; all, if nothing is said.
    #[serde(default)]
    pub times: Option<u32>,
}

impl Rule {
    /// A rule that strikes every call.
    pub fn new(action: Action) -> Self {
        Self { action, method: None, path: None, skip: 0, times: None }
    }

    /// Calls of this method alone.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Calls of these paths alone: a prefix, or a pattern with `*`.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// Only so many of them.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Only those after the first so many.
    #[must_use]
    pub fn skip(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    fn strikes(&self, method: &str, path: &str) -> bool {
        let right_method =
            self.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method));
        let right_path = self.path.as_ref().is_none_or(|wanted| covers(wanted, path));
        right_method && right_path && !path.starts_with("/_emulator")
    }
}

/// Whether a prefix, or a pattern with `*`, covers a path.
fn covers(pattern: &str, path: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = path.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else {
        return true;
    };
    for part in parts {
        let Some((_, behind)) = rest.split_once(part) else {
            return false;
        };
        rest = behind;
    }
    rest.ends_with(last)
}

/// How a server that is down shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outage {
    /// Every connection is reset.
    Reset,
    /// Every call is answered 503, as by a proxy that finds nobody behind it.
    Unavailable,
}

/// Paths that this server does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Missing {
    /// A prefix, or a pattern with `*`.
    pub(crate) path: String,
    /// 404 as for an unknown path, or 501.
    pub(crate) status: u16,
}

#[derive(Default)]
pub(crate) struct Conditions {
    rules: Vec<Rule>,
    pub(crate) read_latency: Duration,
    pub(crate) write_latency: Duration,
    pub(crate) outage: Option<Outage>,
    pub(crate) missing: Vec<Missing>,
}

/// All that the server knew at a moment.
pub struct Backup(Store);

/// The switches. Cheap to clone; all clones switch the same server.
#[derive(Clone)]
pub struct Faults {
    conditions: Arc<Mutex<Conditions>>,
    state: Arc<Mutex<State>>,
}

impl Faults {
    pub(crate) fn new(state: Arc<Mutex<State>>) -> Self {
        Self { conditions: Arc::default(), state }
    }

    fn conditions(&self) -> MutexGuard<'_, Conditions> {
        self.conditions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a rule behind those that are there.
    pub fn add(&self, rule: Rule) {
        self.conditions().rules.push(rule);
    }

    /// The rules that are not used up.
    pub fn rules(&self) -> Vec<Rule> {
        self.conditions().rules.clone()
    }

    /// Ends all faults: no rule, no latency, no lag, no outage. What a fault did stays done.
    pub fn clear(&self) {
        *self.conditions() = Conditions::default();
        let mut state = self.state();
        state.projection = crate::state::Projection::default();
        state.clock.repeats = 0;
        state.token_lifetime = TOKEN_LIFETIME;
    }

    /// How long reads and writes take. None by default.
    pub fn latency(&self, read: Duration, write: Duration) {
        let mut conditions = self.conditions();
        conditions.read_latency = read;
        conditions.write_latency = write;
    }

    /// Reads lag this far behind writes. The event feed does not.
    pub fn lag(&self, lag: Duration) {
        self.state().projection.lag = lag;
    }

    /// Every `n`-th event never reaches the read side; 0 ends it.
    pub fn lose_every(&self, n: u64) {
        self.state().projection.lose_every = (n > 0).then_some(n);
    }

    /// The next event of a type (for example `project.added`) never reaches the read side. May be
    /// called several times.
    pub fn lose_next(&self, event_type: &str) {
        self.state().projection.lose_next.push(event_type.to_owned());
    }

    /// Each event shows up in the feed up to this much later than its date says.
    pub fn late_commits(&self, most: Duration) {
        self.state().projection.late_commits = most;
    }

    /// The next so many transactions have one and the same date, as with a coarse clock.
    pub fn one_date(&self, transactions: u64) {
        let mut state = self.state();
        state.clock.date();
        state.clock.repeats = transactions;
    }

    /// How long tokens of the token endpoint are good; 12 hours by default.
    pub fn token_lifetime(&self, lifetime: Duration) {
        self.state().token_lifetime = lifetime;
    }

    /// All tokens of the token endpoint expire now. Personal access tokens stay good.
    pub fn expire_tokens(&self) {
        self.state().tokens.retain(|_, token| token.personal.is_some());
    }

    /// Another instance answers at this address: the same things, but the instance has a new id.
    /// Tells the id.
    pub fn new_instance(&self) -> String {
        let mut state = self.state();
        state.rename_instance();
        state.instance_id.clone()
    }

    /// A backup of this moment.
    pub fn back_up(&self) -> Backup {
        Backup(self.state().store.clone())
    }

    /// The server is restored from a backup: what came after it never was.
    pub fn restore(&self, backup: &Backup) {
        self.state().restore(backup.0.clone());
    }

    /// The server lacks the paths of a prefix (or of a pattern with `*`), as an older one would:
    /// they answer 404, or 501.
    pub fn missing(&self, path: &str, status: u16) {
        self.conditions().missing.push(Missing { path: path.to_owned(), status });
    }

    /// Takes the server down.
    pub fn down(&self, outage: Outage) {
        self.conditions().outage = Some(outage);
    }

    /// Brings the server up again.
    pub fn up(&self) {
        self.conditions().outage = None;
    }

    /// What a call meets before it is handled.
    pub(crate) fn meet(&self, method: &str, path: &str, writes: bool) -> Met {
        let mut conditions = self.conditions();
        if path.starts_with("/_emulator") {
            return Met::default();
        }
        let latency = if writes { conditions.write_latency } else { conditions.read_latency };
        let missing = conditions
            .missing
            .iter()
            .find(|missing| covers(&missing.path, path))
            .map(|missing| missing.status);
        let outage = conditions.outage;
        let struck =
            conditions.rules.iter_mut().filter(|rule| rule.strikes(method, path)).find_map(
                |rule| {
                    if rule.skip > 0 {
                        rule.skip -= 1;
                        return None;
                    }
                    if let Some(times) = &mut rule.times {
                        *times = times.checked_sub(1)?;
                    }
                    Some(rule.action.clone())
                },
            );
        conditions.rules.retain(|rule| rule.times != Some(0));
        Met { latency, outage, missing, action: struck }
    }
}

/// What a call meets.
#[derive(Default)]
pub(crate) struct Met {
    pub(crate) latency: Duration,
    pub(crate) outage: Option<Outage>,
    pub(crate) missing: Option<u16>,
    pub(crate) action: Option<Action>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_paths() {
        assert!(covers("/a", "/a/b"));
        assert!(!covers("/b", "/a/b"));
        assert!(covers("/a/*/c", "/a/b/c"));
        assert!(!covers("/a/*/c", "/a/b/c/d"));
        assert!(covers("*/_search", "/a/_search"));
    }

    #[test]
    fn a_rule_strikes_as_often_as_it_says() {
        let faults = Faults::new(Arc::new(Mutex::new(State::new("localhost"))));
        faults.add(Rule::new(Action::Reset).method("POST").path("/a").skip(1).times(2));
        let strikes = |method| faults.meet(method, "/a", true).action.is_some();
        assert_eq!(
            ["POST", "GET", "POST", "POST", "POST"].map(strikes),
            [false, false, true, true, false]
        );
        assert!(faults.rules().is_empty());
    }
}
