//! Things by id, and in the order in which they were made, per owner and in all.

use std::collections::{BTreeMap, HashMap};

use crate::store::Position;

/// A thing that a [`Table`] holds.
pub(crate) trait Row {
    /// The organization it belongs to.
    fn owner(&self) -> &str;
    /// When it was made.
    fn position(&self) -> Position;
}

/// An ordered table with an index by owner.
pub(crate) struct Table<T> {
    rows: HashMap<String, T>,
    order: BTreeMap<Position, String>,
    by_owner: HashMap<String, BTreeMap<Position, String>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: HashMap::new(), order: BTreeMap::new(), by_owner: HashMap::new() }
    }
}

impl<T: Row> Table<T> {
    pub(crate) fn get(&self, id: &str) -> Option<&T> {
        self.rows.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.rows.get_mut(id)
    }

    pub(crate) fn insert(&mut self, id: &str, row: T) {
        self.remove(id);
        self.order.insert(row.position(), id.to_owned());
        self.by_owner
            .entry(row.owner().to_owned())
            .or_default()
            .insert(row.position(), id.to_owned());
        self.rows.insert(id.to_owned(), row);
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<T> {
        let row = self.rows.remove(id)?;
        self.order.remove(&row.position());
        if let Some(owned) = self.by_owner.get_mut(row.owner()) {
            owned.remove(&row.position());
        }
        Some(row)
    }

    /// Removes all that an owner has, and tells the ids.
    pub(crate) fn remove_owned(&mut self, owner: &str) -> Vec<String> {
        let ids: Vec<_> =
            self.by_owner.remove(owner).into_iter().flat_map(BTreeMap::into_values).collect();
        for id in &ids {
            self.remove(id);
        }
        ids
    }

    /// All rows, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.order.values().filter_map(|id| self.rows.get(id))
    }

    /// An owner's rows, oldest first.
    pub(crate) fn owned_by(&self, owner: &str) -> impl Iterator<Item = &T> {
        self.by_owner
            .get(owner)
            .into_iter()
            .flat_map(BTreeMap::values)
            .filter_map(|id| self.rows.get(id))
    }
}
