//! The order of references: an object comes after those that it refers to. Pure.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use crate::{
    contract::{Key, Object},
    engine::{consent::Consents, host::Host},
    kinds::REGISTRY,
};

/// Objects by level: each refers only to objects of earlier levels. Within a level in the order of
/// their keys.
pub fn levels(host: &dyn Host, objects: &[Arc<Object>]) -> Vec<Vec<Arc<Object>>> {
    let by_key: HashMap<&Key, &Arc<Object>> = objects.iter().map(|o| (&o.key, o)).collect();
    let mut depths = HashMap::new();
    let mut levels: BTreeMap<usize, Vec<Arc<Object>>> = BTreeMap::new();
    for object in objects {
        let depth = depth(host, &by_key, &mut depths, &object.key);
        levels.entry(depth).or_default().push(object.clone());
    }
    levels.into_values().collect()
}

fn depth(
    host: &dyn Host,
    by_key: &HashMap<&Key, &Arc<Object>>,
    depths: &mut HashMap<Key, usize>,
    key: &Key,
) -> usize {
    if let Some(depth) = depths.get(key) {
        return *depth;
    }
    // An object that refers to itself, directly or not, waits for itself: any level will do.
    depths.insert(key.clone(), 0);
    let Some(object) = by_key.get(key) else { return 0 };
    let consents = Consents { registry: &REGISTRY, host };
    let mut before = consents.references(object);
    before.extend(by_key.values().filter(|other| names(object, other)).map(|o| o.key.clone()));
    let below = before.iter().map(|r| depth(host, by_key, depths, r)).max();
    let depth = below.map_or(0, |d| d + 1);
    depths.insert(key.clone(), depth);
    depth
}

/// Whether an object's kind names things of another one's kind by their keys. All of them come
/// first, be they named or not: two objects that declare the same are on one level.
fn names(object: &Object, other: &Object) -> bool {
    let entry = REGISTRY.find(object.key.kind);
    entry.is_some_and(|e| e.names.iter().any(|names| names.kind == other.key.kind))
}
