//! Ordered list of the last values of one source, with an index by key.
//!
//! A part of the ledger, on its thread. The order is the one in which records are listed; looking
//! up a key takes the same time however many there are.

use std::collections::HashMap;
use std::sync::Arc;

use super::last_value::LastValue;

#[derive(Default)]
pub struct LastValues {
    list: Vec<LastValue>,
    positions: HashMap<Arc<str>, usize>,
}

impl LastValues {
    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn get(&self, key: &str) -> Option<&LastValue> {
        self.list.get(*self.positions.get(key)?)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut LastValue> {
        self.list.get_mut(*self.positions.get(key)?)
    }

    pub fn iter(&self) -> impl Iterator<Item = &LastValue> {
        self.list.iter()
    }

    /// Keys must not be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut LastValue> {
        self.list.iter_mut()
    }

    /// Inserts a new key before the first value for which `is_before` is false.
    pub fn insert_sorted(&mut self, value: LastValue, is_before: impl Fn(&LastValue) -> bool) {
        let at = self.list.partition_point(is_before);
        self.list.insert(at, value);
        self.index_from(at);
    }

    pub fn remove(&mut self, position: usize) -> LastValue {
        let removed = self.list.remove(position);
        self.positions.remove(&removed.key);
        self.index_from(position);
        removed
    }

    /// Removes every value for which `is_removed` is true.
    pub fn remove_if(&mut self, is_removed: impl FnMut(&mut LastValue) -> bool) -> Vec<LastValue> {
        let removed: Vec<LastValue> = self.list.extract_if(.., is_removed).collect();
        if !removed.is_empty() {
            self.positions.clear();
            self.index_from(0);
        }
        removed
    }

    fn index_from(&mut self, first: usize) {
        for (position, value) in self.list.iter().enumerate().skip(first) {
            self.positions.insert(value.key.clone(), position);
        }
    }
}
