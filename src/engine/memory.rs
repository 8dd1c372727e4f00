//! What the engine remembers of objects from one reconcile to the next. In memory: nothing here has
//! to survive a restart.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{contention::Contention, error::Error};
use crate::{
    api::status::Status,
    contract::{Key, Object},
};

/// All records.
#[derive(Default)]
pub(super) struct Memory {
    records: Mutex<HashMap<Key, Record>>,
    /// With a key of this process: nothing is learned from a hash of a secret.
    hashes: RandomState,
}

/// What is remembered of one object.
#[derive(Default)]
struct Record {
    /// Failures in a row.
    failures: u32,
    /// The generation that they are of.
    failing: i64,
    /// What the annotation that asks for a reconcile said when it was last acted on.
    asked: Option<String>,
    /// When its deletion was first seen.
    deleting: Option<Instant>,
    /// Since when ZITADEL refuses what it does not show.
    refused: Option<Instant>,
    /// It was lost by ZITADEL and recreated: once is enough.
    recreated: bool,
    /// Since when its Secret does not hold what was written into it.
    secret_absent: Option<Instant>,
    /// When its proof was last looked for, or asked for, and how often it was looked for since then.
    looked_for: Option<(Instant, u32)>,
    /// Since when it is looked for what an attempt may have created.
    sought: Option<Instant>,
    /// Hashes of the secrets that were sent last, by field.
    sent: BTreeMap<&'static str, u64>,
    /// Somebody else's changes.
    contention: Option<Contention>,
    /// What it had belongs to another object.
    handed_over: bool,
    /// What another object has handed over to it.
    inherited: Option<Status>,
}

/// The first pause between two looks for a proof, and how often it is doubled: each look that finds
/// none is an event in ZITADEL.
const PROOF_PAUSE: Duration = Duration::from_mins(1);
const DOUBLED: u32 = 6;

/// How long a list may not show what was created.
const LAG: Duration = Duration::from_secs(10);

impl Memory {
    /// Forgets an object.
    pub(super) fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    /// Counts failures in a row. What was declared anew, or is being deleted, begins anew: pauses that
    /// grew before are none of its own.
    pub(super) fn failed(&self, object: &Object) -> u32 {
        self.with(&object.key, |r| {
            if r.failing != object.generation {
                (r.failing, r.failures) = (object.generation, 0);
            }
            r.failures = r.failures.saturating_add(1);
            r.failures
        })
    }

    /// It went well.
    pub(super) fn succeeded(&self, key: &Key) {
        if let Some(r) = self.lock().get_mut(key) {
            (r.failures, r.refused) = (0, None);
        }
    }

    /// Whether the annotation, which says this, asks for a reconcile that was not done yet.
    pub(super) fn is_asked(&self, key: &Key, now: &str) -> bool {
        self.with(key, |r| r.asked.replace(now.into()).as_deref() != Some(now))
    }

    /// How long its deletion is known.
    pub(super) fn deleting_for(&self, key: &Key) -> Duration {
        self.with(key, |r| r.deleting.get_or_insert_with(Instant::now).elapsed())
    }

    /// How long its Secret has not held what was written into it; `is_there`: it does.
    pub(super) fn secret_absent_for(&self, key: &Key, is_there: bool) -> Duration {
        if is_there {
            if let Some(r) = self.lock().get_mut(key) {
                r.secret_absent = None;
            }
            return Duration::ZERO;
        }
        self.with(key, |r| r.secret_absent.get_or_insert_with(Instant::now).elapsed())
    }

    /// Something is about to be created whose id is not known before.
    pub(super) fn attempt(&self, key: &Key) {
        if let Some(r) = self.lock().get_mut(key) {
            r.sought = None;
        }
    }

    /// Whether what the last attempt may have created may not show yet.
    pub(super) fn is_sought(&self, key: &Key) -> bool {
        self.with(key, |r| r.sought.get_or_insert_with(Instant::now).elapsed() < LAG)
    }

    /// How long until a proof is looked for again; `None`: now.
    pub(super) fn proof_due_in(&self, key: &Key) -> Option<Duration> {
        let (last, looks) = self.known(key, |r| r.looked_for)?;
        let pause = PROOF_PAUSE * 2_u32.pow(looks.min(DOUBLED));
        Some(pause.saturating_sub(last.elapsed())).filter(|left| !left.is_zero())
    }

    /// A proof was asked for: there can be none yet.
    pub(super) fn proof_asked(&self, key: &Key) {
        self.with(key, |r| r.looked_for = Some((Instant::now(), 0)));
    }

    /// A proof was looked for in vain.
    pub(super) fn proof_missed(&self, key: &Key) {
        self.with(key, |r| {
            let looks = r.looked_for.map_or(0, |(_, looks)| looks);
            r.looked_for = Some((Instant::now(), looks.saturating_add(1)));
        });
    }

    /// Somebody asks for a look at once.
    pub(super) fn proof_forgotten(&self, key: &Key) {
        if let Some(r) = self.lock().get_mut(key) {
            r.looked_for = None;
        }
    }

    /// Keeps which secret was sent last for a field.
    pub(super) fn secret_sent(&self, key: &Key, field: &'static str, value: &str) {
        let hash = self.hashes.hash_one(value);
        self.with(key, |r| r.sent.insert(field, hash));
    }

    /// Whether this secret is the last that was sent for a field.
    pub(super) fn was_sent(&self, key: &Key, field: &str, value: &str) -> bool {
        let hash = self.hashes.hash_one(value);
        self.known(key, |r| r.sent.get(field).map(|sent| *sent == hash)) == Some(true)
    }

    /// How long ZITADEL has been refusing what it does not show.
    pub(super) fn refused_for(&self, key: &Key) -> Duration {
        self.with(key, |r| r.refused.get_or_insert_with(Instant::now).elapsed())
    }

    /// Whether it may be recreated: not a second time.
    pub(super) fn may_recreate(&self, key: &Key) -> bool {
        self.with(key, |r| !std::mem::replace(&mut r.recreated, true))
    }

    /// What it had belongs to another object, whatever becomes of that one.
    pub(super) fn set_handed_over(&self, key: &Key) {
        self.with(key, |r| r.handed_over = true);
    }

    /// Whether what it had belongs to another object.
    pub(super) fn is_handed_over(&self, key: &Key) -> bool {
        self.known(key, |r| Some(r.handed_over)) == Some(true)
    }

    /// Keeps what another object has handed over.
    pub(super) fn set_inherited(&self, successor: &Key, status: Status) {
        self.with(successor, |r| r.inherited = Some(status));
    }

    /// What another object has handed over, once: whatever a reconcile that was under way then made
    /// of the status.
    pub(super) fn take_inherited(&self, key: &Key) -> Option<Status> {
        self.known(key, |r| r.inherited.take())
    }

    /// Whether somebody else changed what was as declared: `ready` says so where nothing is
    /// remembered.
    pub(super) fn was_changed(&self, key: &Key, generation: i64, ready: bool) -> bool {
        self.known(key, |r| {
            let now = Instant::now();
            r.contention = r.contention.take().filter(|c| c.counts(generation, now));
            r.contention.as_ref().map(Contention::held)
        })
        .unwrap_or(ready)
    }

    /// `Err`: it is too early to revert it once more.
    pub(super) fn may_correct(&self, key: &Key) -> Result<(), Error> {
        let early = |r: &mut Record| r.contention.as_ref()?.may_correct(Instant::now()).err();
        self.known(key, early).map_or(Ok(()), Err)
    }

    /// A change by somebody else is being reverted.
    pub(super) fn correct(&self, key: &Key, generation: i64, by: Option<&str>, fields: &str) {
        self.with(key, |r| {
            let former = r.contention.take();
            let now = Instant::now();
            r.contention = Some(Contention::correct(former, generation, by, fields, now));
        });
    }

    /// It is as declared. `Err`: but for how long, nobody knows yet.
    pub(super) fn hold(&self, key: &Key) -> Result<(), Error> {
        let contested = |r: &mut Record| r.contention.as_mut()?.hold(Instant::now()).err();
        self.known(key, contested).map_or(Ok(()), Err)
    }

    /// Of most objects nothing is remembered: that takes no room.
    fn known<T>(&self, key: &Key, f: impl FnOnce(&mut Record) -> Option<T>) -> Option<T> {
        f(self.lock().get_mut(key)?)
    }

    fn with<T>(&self, key: &Key, f: impl FnOnce(&mut Record) -> T) -> T {
        f(self.lock().entry(key.clone()).or_default())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
