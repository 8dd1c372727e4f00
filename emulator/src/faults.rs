//! Faults and latency: what a network, a busy server and a lagging projection do to a client.
//!
//! Two kinds. A [`Rule`] strikes calls: it says which, how often, and what happens to them. The
//! rest are conditions of the whole server: latency, a read side that lags or loses events, late
//! commits, an outage, an older server without some interfaces, expired tokens, another instance
//! behind the same address, a server that lies.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    state::{State, TOKEN_LIFETIME},
    store::Store,
};

mod rule;

use rule::covers;
pub use rule::{Action, Rule};

/// How a server that is down shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outage {
    /// Every connection is reset.
    Reset,
    /// Every call is answered 503, as by a proxy that finds nobody behind it.
    Unavailable,
    /// No call is ever answered, not even after the outage.
    Hang,
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
        state.refused_organizations.clear();
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
        self.state().tokens.retain(|_, token| token.personal);
    }

    /// The token endpoint says that its tokens are good for so many seconds, whatever their real
    /// lifetime is. Several calls add up: the last one holds.
    pub fn expires_in(&self, seconds: u64) {
        self.alter("/oauth/v2/token", "/expires_in", json!(seconds));
    }

    /// The token endpoint refuses the next so many requests (all, if `None`) with a status and an
    /// OAuth error: 400 `invalid_grant`, 401 `invalid_client`.
    pub fn refuse_tokens(&self, status: u16, error: &str, times: Option<u32>) {
        let body = json!({ "error": error, "error_description": "refused on demand" });
        let rule = Rule::new(Action::Answer { status, body }).path("/oauth/v2/token");
        self.add(Rule { times, ..rule });
    }

    /// The server's clock jumps ahead: what expires, expires without a wait.
    pub fn advance(&self, by: Duration) {
        self.state().clock.advance(by);
    }

    /// The server says that its instance has this id, in `GetInstance` and in the admin API.
    pub fn report_instance_id(&self, id: &str) {
        for path in ["/zitadel.instance.v2.InstanceService/GetInstance", "/admin/v1/instances/me"] {
            self.alter(path, "/instance/id", json!(id));
        }
    }

    fn alter(&self, path: &str, pointer: &str, value: Value) {
        let action = Action::Alter { pointer: pointer.to_owned(), value: Some(value) };
        self.add(Rule::new(action).path(path));
    }

    /// Calls that act in this organization are answered 403 `AUTH-Bs7Ds`, as if it did not exist.
    /// ZITADEL answers so to any error of its look-up.
    pub fn refuse_organization(&self, id: &str) {
        self.state().refused_organizations.insert(id.to_owned());
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
        let (mut alterations, mut action) = (Vec::new(), None);
        for rule in conditions.rules.iter_mut().filter(|rule| rule.strikes(method, path)) {
            if !rule.is_due() {
                continue;
            }
            if let Action::Alter { pointer, value } = &rule.action {
                alterations.push((pointer.clone(), value.clone()));
            } else {
                action = Some(rule.action.clone());
                break;
            }
        }
        conditions.rules.retain(|rule| rule.times != Some(0));
        Met { latency, outage, missing, alterations, action }
    }
}

/// What a call meets.
#[derive(Default)]
pub(crate) struct Met {
    pub(crate) latency: Duration,
    pub(crate) outage: Option<Outage>,
    pub(crate) missing: Option<u16>,
    /// JSON pointers into a good answer, and what stands there instead.
    pub(crate) alterations: Vec<(String, Option<Value>)>,
    pub(crate) action: Option<Action>,
}

#[cfg(test)]
mod tests {
    use super::*;

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
