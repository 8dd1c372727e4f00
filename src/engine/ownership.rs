//! Who declares what: at most one object owns a remote thing. Pure.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    contract::{IdSource, Key, Object, Place, Subject},
    live::Touched,
};

/// A remote thing that an object declares. What a server says of its own id does not count: a claim
/// belongs to an Instance object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Claim {
    /// The Instance object, or the first of those that are each other's peers.
    pub domain: Key,
    /// Kind.
    pub kind: &'static str,
    /// Which one.
    pub thing: Thing,
}

/// Which thing of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Thing {
    /// The entity with this id, wherever it is.
    Id(String),
    /// The entity with this key at a place.
    Key {
        /// Where.
        place: Place,
        /// Its key.
        key: String,
    },
    /// The entity that will have this name, in lower case.
    Name {
        /// Where.
        place: Place,
        /// Its name.
        name: String,
    },
    /// The setting of a place.
    Setting {
        /// Where.
        place: Place,
    },
    /// What only one thing at a place can have.
    OnlyOne {
        /// Where.
        place: Place,
    },
}

impl Thing {
    /// The entity with this id.
    pub fn with_id(source: IdSource, place: &Place, id: &str) -> Self {
        match source {
            IdSource::Chosen | IdSource::Server => Self::Id(id.to_owned()),
            IdSource::Key => Self::Key { place: place.clone(), key: id.to_owned() },
        }
    }

    /// The entity that will have this name: ZITADEL takes names that differ in case alone for the
    /// same.
    pub fn name(place: &Place, name: &str) -> Self {
        Self::Name { place: place.clone(), name: name.to_lowercase() }
    }

    /// What an event can have touched.
    fn touched(place: &Place, subject: &Subject) -> Vec<Self> {
        let place = place.clone();
        match subject {
            Subject::Setting => vec![Self::Setting { place }],
            Subject::New => Vec::new(),
            Subject::Entity(id) => {
                vec![Self::Id(id.clone()), Self::Key { place, key: id.clone() }]
            }
        }
    }

    fn is_at(&self, at: &Place) -> bool {
        match self {
            Self::Id(_) => false,
            Self::Key { place, .. }
            | Self::Name { place, .. }
            | Self::Setting { place }
            | Self::OnlyOne { place } => place == at,
        }
    }
}

/// An object that claims something.
struct Claimant {
    /// Its age, then its UID.
    seniority: (i64, String),
    key: Key,
}

/// All claims of all objects.
#[derive(Default)]
pub struct Claims(Mutex<Tables>);

/// Each claim and each claimant is there once, and shared.
#[derive(Default)]
struct Tables {
    /// The oldest first; nearly always one.
    claimants: HashMap<Arc<Claim>, Vec<Arc<Claimant>>>,
    of: HashMap<Key, (Arc<Claimant>, Vec<Arc<Claim>>)>,
    /// Who wants to know what becomes of a thing without a claim to it.
    watchers: HashMap<Arc<Claim>, HashSet<Key>>,
    watched: HashMap<Key, Vec<Arc<Claim>>>,
}

impl Claims {
    /// Replaces the claims of an object. Returns the older object that claims one of them, if there
    /// is one, and others for which something changes: younger ones that have lost theirs by this,
    /// and whoever waits for what is no longer claimed.
    pub fn set(&self, object: &Object, claims: Vec<Claim>) -> (Option<Key>, Vec<Key>) {
        let mut t = self.lock();
        t.unwatch(&object.key);
        let seniority = object.seniority();
        // An object of the same name that was recreated meanwhile is another one, with another age.
        let known = t.of.get(&object.key).map(|(claimant, _)| claimant.clone());
        let known = known.filter(|claimant| claimant.seniority == seniority);
        let (mut winner, mut losers) =
            (None, t.remove(&object.key, if known.is_some() { &claims } else { &[] }));
        let claimant =
            known.unwrap_or_else(|| Arc::new(Claimant { seniority, key: object.key.clone() }));
        let claims = t.shared(claims);
        for claim in &claims {
            let all = t.claimants.entry(claim.clone()).or_insert_with(|| Vec::with_capacity(1));
            winner = winner.or_else(|| {
                all.first().filter(|c| c.seniority < claimant.seniority).map(|c| c.key.clone())
            });
            if let Err(place) = all.binary_search_by(|c| c.seniority.cmp(&claimant.seniority)) {
                if winner.is_none() {
                    losers.extend(all.iter().skip(place).map(|c| c.key.clone()));
                }
                all.insert(place, claimant.clone());
            }
        }
        t.of.insert(object.key.clone(), (claimant, claims));
        (winner, losers)
    }

    /// Forgets an object. Returns those that claim what it claimed.
    pub fn release(&self, key: &Key) -> Vec<Key> {
        let mut t = self.lock();
        t.unwatch(key);
        let others = t.remove(key, &[]);
        t.of.remove(key);
        others
    }

    /// Claims nothing, and wants to know what becomes of these. Returns those that claim what it
    /// claimed.
    pub fn watch(&self, key: &Key, things: Vec<Claim>) -> Vec<Key> {
        let others = self.release(key);
        let mut t = self.lock();
        let things = t.shared(things);
        for thing in &things {
            t.watchers.entry(thing.clone()).or_default().insert(key.clone());
        }
        t.watched.insert(key.clone(), things);
        others
    }

    /// Whether anybody declares a thing, be it only to observe it.
    pub fn is_declared(&self, claim: &Claim) -> bool {
        let t = self.lock();
        t.claimants.contains_key(claim) || t.watchers.contains_key(claim)
    }

    /// Other objects that claim one of these, the oldest first.
    pub fn claimants(&self, claims: &[Claim], but: &Key) -> Vec<Key> {
        let t = self.lock();
        let all: BTreeMap<&(i64, String), &Key> = claims
            .iter()
            .filter_map(|claim| t.claimants.get(claim))
            .flatten()
            .map(|claimant| (&claimant.seniority, &claimant.key))
            .collect();
        all.into_values().filter(|k| *k != but).cloned().collect()
    }

    /// Who has to look at what an event of an instance touched: its owner, and those that watch it.
    pub fn concerned(&self, domain: &Key, touched: &Touched) -> Vec<Key> {
        let t = self.lock();
        let of = |thing| Claim { domain: domain.clone(), kind: touched.kind, thing };
        let claims: Vec<Arc<Claim>> = match &touched.subject {
            Some(subject) => {
                Thing::touched(&touched.place, subject).into_iter().map(of).map(Arc::new).collect()
            }
            None => {
                let is_meant = |c: &&Arc<Claim>| {
                    c.domain == *domain && c.kind == touched.kind && c.thing.is_at(&touched.place)
                };
                t.claimants.keys().chain(t.watchers.keys()).filter(is_meant).cloned().collect()
            }
        };
        let mut concerned = Vec::new();
        for claim in &claims {
            let owner = t.claimants.get(claim).and_then(|all| all.first()).map(|c| &c.key);
            concerned.extend(owner.into_iter().chain(t.watchers.get(claim).into_iter().flatten()));
        }
        let mut seen = HashSet::new();
        concerned.into_iter().filter(|key| seen.insert(*key)).cloned().collect()
    }

    /// How many objects claim or watch something.
    pub fn len(&self) -> usize {
        let t = self.lock();
        t.of.len() + t.watched.len()
    }

    /// Whether no object claims or watches anything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    /// The claims, as they are there already where they are.
    fn shared(&self, claims: Vec<Claim>) -> Vec<Arc<Claim>> {
        let known = |claim: &Claim| {
            let claimed = self.claimants.get_key_value(claim).map(|(known, _)| known);
            claimed.or_else(|| self.watchers.get_key_value(claim).map(|(known, _)| known)).cloned()
        };
        claims.into_iter().map(|c| known(&c).unwrap_or_else(|| Arc::new(c))).collect()
    }

    /// Takes back the claims of an object, all `but` these. Returns others that claim one that was
    /// taken back.
    fn remove(&mut self, key: &Key, but: &[Claim]) -> Vec<Key> {
        let Some((claimant, claims)) = self.of.get(key) else { return Vec::new() };
        let mut others = Vec::new();
        for claim in claims.iter().filter(|c| !but.contains(c)) {
            if let Some(all) = self.claimants.get_mut(claim) {
                all.retain(|c| c.seniority != claimant.seniority);
                others.extend(all.iter().map(|c| c.key.clone()));
                if all.is_empty() {
                    self.claimants.remove(claim);
                }
            }
        }
        others.sort();
        others.dedup();
        others
    }

    fn unwatch(&mut self, key: &Key) {
        for thing in self.watched.remove(key).unwrap_or_default() {
            if let Some(all) = self.watchers.get_mut(&thing) {
                all.remove(key);
                if all.is_empty() {
                    self.watchers.remove(&thing);
                }
            }
        }
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
            details: crate::api::instance::InstanceDetails::default(),
        }
    }

    fn domain() -> Key {
        Key { kind: "Instance", namespace: "ns".into(), name: "i".into() }
    }

    fn claim(id: &str) -> Vec<Claim> {
        vec![Claim { domain: domain(), kind: "Project", thing: Thing::Id(id.into()) }]
    }

    #[test]
    fn the_older_wins_whoever_comes_first() {
        let claims = Claims::default();
        let (old, young) = (object("old", 1), object("young", 2));
        assert_eq!(claims.set(&young, claim("x")), (None, vec![]));
        assert_eq!(claims.set(&old, claim("x")), (None, vec![young.key.clone()]));
        assert_eq!(claims.set(&young, claim("x")), (Some(old.key.clone()), vec![]));
        assert_eq!(
            claims.set(&old, claim("x")),
            (None, vec![]),
            "saying it again displaces nobody"
        );
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
    fn who_waits_for_what_is_no_longer_claimed_is_told() {
        let claims = Claims::default();
        let (old, young) = (object("old", 1), object("young", 2));
        claims.set(&old, claim("x"));
        claims.set(&young, claim("x"));
        assert_eq!(claims.set(&old, claim("y")), (None, vec![young.key.clone()]));
    }

    #[test]
    fn successors_come_by_age_and_not_by_name() {
        let claims = Claims::default();
        let all = [object("c", 1), object("b", 2), object("a", 3)];
        for o in &all {
            claims.set(o, claim("x"));
        }
        assert_eq!(
            claims.claimants(&claim("x"), &all[0].key),
            vec![all[1].key.clone(), all[2].key.clone()]
        );
    }

    #[test]
    fn who_only_watches_is_concerned_and_claims_nothing() {
        let claims = Claims::default();
        let (a, b) = (object("a", 1), object("b", 2));
        claims.watch(&a.key, claim("x"));
        assert_eq!(claims.set(&b, claim("x")), (None, vec![]));
        let touched = Touched {
            kind: "Project",
            place: Place::organization("o"),
            subject: Some(Subject::from("x")),
        };
        assert_eq!(claims.concerned(&domain(), &touched), vec![b.key.clone(), a.key.clone()]);
        claims.release(&a.key);
        assert_eq!(claims.concerned(&domain(), &touched), vec![b.key]);
    }

    #[test]
    fn an_object_that_claims_something_else_lets_go() {
        let claims = Claims::default();
        let (a, b) = (object("a", 1), object("b", 2));
        claims.set(&a, claim("x"));
        claims.set(&a, claim("y"));
        assert_eq!(claims.set(&b, claim("x")), (None, vec![]));
    }

    #[test]
    fn what_another_instance_object_leads_to_is_another_thing() {
        let claims = Claims::default();
        let (old, young) = (object("old", 1), object("young", 2));
        let elsewhere = Key { kind: "Instance", namespace: "attacker".into(), name: "i".into() };
        let other = Claim { domain: elsewhere, kind: "Project", thing: Thing::Id("x".into()) };
        assert_eq!(claims.set(&old, vec![other]), (None, vec![]));
        assert_eq!(claims.set(&young, claim("x")), (None, vec![]));
    }

    #[test]
    fn an_event_without_an_id_concerns_all_of_its_place() {
        let claims = Claims::default();
        let (here, there) = (object("here", 1), object("there", 2));
        let at = |id: &str| {
            let place = Place::organization(id);
            vec![Claim { domain: domain(), kind: "Project", thing: Thing::Setting { place } }]
        };
        claims.set(&here, at("o"));
        claims.set(&there, at("p"));
        let place = Place::organization("o");
        let touched = Touched { kind: "Project", place, subject: None };
        assert_eq!(claims.concerned(&domain(), &touched), vec![here.key]);
    }

    #[test]
    fn nothing_is_left_of_objects_that_are_gone() {
        let claims = Claims::default();
        let (a, b) = (object("a", 1), object("b", 2));
        claims.set(&a, claim("x"));
        claims.watch(&b.key, claim("x"));
        claims.release(&a.key);
        claims.release(&b.key);
        assert!(claims.is_empty());
    }
}
