//! Who declares what: at most one object owns a remote thing. Pure.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
};

use super::{Key, Object};
use crate::live::feed::Touched;

/// A remote thing that an object declares.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Claim {
    /// Id of the instance.
    pub instance: String,
    /// Kind.
    pub kind: &'static str,
    /// Organization, for what is in one.
    pub organization: Option<String>,
    /// Which one.
    pub what: What,
}

/// Which one of a scope.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum What {
    /// The entity with this id.
    Id(String),
    /// The entity that will have this name, in lower case.
    Name(String),
    /// The setting.
    Setting,
}

/// The age of a claim, then the UID.
type Seniority = (i64, String);

/// All claims of all objects.
#[derive(Default)]
pub struct Claims(Mutex<Tables>);

#[derive(Default)]
struct Tables {
    claimants: HashMap<Claim, BTreeMap<Seniority, Key>>,
    of: HashMap<Key, (Seniority, Vec<Claim>)>,
}

impl Claims {
    /// Replaces the claims of an object. Gives the older object that claims one of them, if there is one, and the younger
    /// ones that have lost theirs by this.
    pub fn set(&self, object: &Object, claims: Vec<Claim>) -> (Option<Key>, Vec<Key>) {
        let mut t = self.lock();
        t.remove(&object.key, &claims);
        let seniority = object.seniority();
        let (mut winner, mut losers) = (None, Vec::new());
        for claim in &claims {
            let all = t.claimants.entry(claim.clone()).or_default();
            let is_new = all.insert(seniority.clone(), object.key.clone()).is_none();
            winner = winner.or_else(|| all.first_key_value().filter(|(s, _)| **s < seniority).map(|(_, key)| key.clone()));
            if is_new && winner.is_none() {
                losers.extend(all.range(seniority.clone()..).skip(1).map(|(_, key)| key.clone()));
            }
        }
        t.of.insert(object.key.clone(), (seniority, claims));
        (winner, losers)
    }

    /// Forgets an object. Gives those that claim what it claimed.
    pub fn release(&self, key: &Key) -> Vec<Key> {
        let mut t = self.lock();
        let others = t.others(key);
        t.remove(key, &[]);
        t.of.remove(key);
        others
    }

    /// Other objects that claim something that this one claims.
    pub fn others(&self, key: &Key) -> Vec<Key> {
        self.lock().others(key)
    }

    /// The object that owns a thing.
    pub fn owner(&self, claim: &Claim) -> Option<Key> {
        self.lock().claimants.get(claim)?.first_key_value().map(|(_, key)| key.clone())
    }

    /// The object that owns what an event of an instance touched.
    pub fn owner_of(&self, instance: &str, touched: &Touched) -> Option<Key> {
        let what = if touched.id.is_empty() { What::Setting } else { What::Id(touched.id.clone()) };
        self.owner(&Claim { instance: instance.into(), kind: touched.kind, organization: touched.organization.clone(), what })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn remove(&mut self, key: &Key, but: &[Claim]) {
        let Some((seniority, claims)) = self.of.get(key) else { return };
        for claim in claims.iter().filter(|c| !but.contains(c)) {
            if let Some(all) = self.claimants.get_mut(claim) {
                all.remove(seniority);
                if all.is_empty() {
                    self.claimants.remove(claim);
                }
            }
        }
    }

    fn others(&self, key: &Key) -> Vec<Key> {
        let Some((_, claims)) = self.of.get(key) else { return Vec::new() };
        let all = claims.iter().filter_map(|c| self.claimants.get(c)).flat_map(BTreeMap::values);
        let mut others: Vec<Key> = all.filter(|k| *k != key).cloned().collect();
        others.sort();
        others.dedup();
        others
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, created: i64) -> Object {
        Object {
            key: Key { kind: "Project", namespace: "ns".into(), name: name.into() },
            uid: Some(name.into()),
            generation: 1,
            created,
            is_deleting: false,
            annotations: BTreeMap::new(),
            spec: json!({}),
            status: crate::api::status::Status::default(),
            details: crate::kinds::instance::InstanceDetails::default(),
        }
    }

    fn claim(id: &str) -> Vec<Claim> {
        vec![Claim { instance: "i".into(), kind: "Project", organization: None, what: What::Id(id.into()) }]
    }

    #[test]
    fn the_older_wins_whoever_comes_first() {
        let claims = Claims::default();
        let (old, young) = (object("old", 1), object("young", 2));
        assert_eq!(claims.set(&young, claim("x")), (None, vec![]));
        assert_eq!(claims.set(&old, claim("x")), (None, vec![young.key.clone()]));
        assert_eq!(claims.set(&young, claim("x")), (Some(old.key.clone()), vec![]));
        assert_eq!(claims.set(&old, claim("x")), (None, vec![]), "saying it again displaces nobody");
    }

    #[test]
    fn what_is_released_goes_to_the_next() {
        let claims = Claims::default();
        let (old, young) = (object("old", 1), object("young", 2));
        claims.set(&old, claim("x"));
        claims.set(&young, claim("x"));
        assert_eq!(claims.release(&old.key), vec![young.key.clone()]);
        assert_eq!(claims.set(&young, claim("x")), (None, vec![]));
    }

    #[test]
    fn an_object_that_claims_something_else_lets_go() {
        let claims = Claims::default();
        let (a, b) = (object("a", 1), object("b", 2));
        claims.set(&a, claim("x"));
        claims.set(&a, claim("y"));
        assert_eq!(claims.set(&b, claim("x")), (None, vec![]));
    }
}
