//! Which object refers to which. Pure.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use crate::contract::Key;

/// References in both directions.
#[derive(Default)]
pub(super) struct References(Mutex<Index>);

/// Each key is there once, and shared.
#[derive(Default)]
struct Index {
    of: HashMap<Arc<Key>, Vec<Arc<Key>>>,
    to: HashMap<Arc<Key>, HashSet<Arc<Key>>>,
}

impl References {
    /// Replaces what an object refers to.
    pub(super) fn set(&self, key: &Key, to: Vec<Key>) {
        let mut index = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if index.of.get(key).is_some_and(|former| former.iter().map(|k| &**k).eq(&to)) {
            return;
        }
        let key = index.shared(key.clone());
        index.remove(&key);
        let to: Vec<Arc<Key>> = to.into_iter().map(|target| index.shared(target)).collect();
        for target in &to {
            index.to.entry(target.clone()).or_default().insert(key.clone());
        }
        if !to.is_empty() {
            index.of.insert(key, to);
        }
    }

    /// Forgets an object. Returns what it referred to.
    pub(super) fn remove(&self, key: &Key) -> Vec<Key> {
        let former = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        former.iter().map(|target| Key::clone(target)).collect()
    }

    /// What an object refers to.
    pub(super) fn of(&self, key: &Key) -> Vec<Key> {
        let index = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        index.of.get(key).into_iter().flatten().map(|target| Key::clone(target)).collect()
    }

    /// Objects that refer to this one.
    pub(super) fn referrers(&self, key: &Key) -> Vec<Key> {
        let index = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        index.to.get(key).into_iter().flatten().map(|referrer| Key::clone(referrer)).collect()
    }

    /// Number of entries, for metrics.
    pub(super) fn len(&self) -> usize {
        let index = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        index.of.len() + index.to.len()
    }
}

impl Index {
    /// A key, as it is there already where it is.
    fn shared(&self, key: Key) -> Arc<Key> {
        let refers = self.of.get_key_value(&key).map(|(known, _)| known);
        let known = refers.or_else(|| self.to.get_key_value(&key).map(|(known, _)| known));
        known.cloned().unwrap_or_else(|| Arc::new(key))
    }

    fn remove(&mut self, key: &Key) -> Vec<Arc<Key>> {
        let former = self.of.remove(key).unwrap_or_default();
        for target in &former {
            if let Some(all) = self.to.get_mut(target) {
                all.remove(key);
                if all.is_empty() {
                    self.to.remove(target);
                }
            }
        }
        former
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key { kind: "Project", namespace: "ns".into(), name: name.into() }
    }

    #[test]
    fn what_is_forgotten_leaves_nothing() {
        let references = References::default();
        for n in 0..100 {
            references.set(&key(&n.to_string()), vec![key("instance"), key("organization")]);
        }
        references.set(&key("0"), vec![key("organization")]);
        assert_eq!(references.referrers(&key("instance")).len(), 99);
        assert_eq!(references.remove(&key("0")), vec![key("organization")]);
        for n in 1..99 {
            references.remove(&key(&n.to_string()));
        }
        references.set(&key("99"), vec![]);
        assert_eq!(references.len(), 0);
    }
}
