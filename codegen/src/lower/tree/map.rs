//! The entries of an object: found by key, and joined where a key is there twice.

use std::collections::HashMap;
use std::ops::Deref;

use super::{Entry, Kind, Warning, truncate, warn};
use crate::lower::limits::{ENTRY, Memory, hashed, heap};

/// A map of more entries is searched by its order of keys.
pub const MAX_UNSORTED: usize = 16;

/// The entries of an object in the order of the file, each key once.
#[derive(Debug, Clone, Default)]
pub struct Map {
    entries: Box<[Entry]>,
    /// Of a large map: its entries' numbers by key.
    by_key: Option<Box<Order>>,
}

#[derive(Debug, Clone)]
struct Order(Box<[u32]>);

impl Map {
    pub fn into_entries(self) -> Vec<Entry> {
        self.entries.into_vec()
    }

    pub(super) fn find(&self, key: &str) -> Option<&Entry> {
        let Some(order) = &self.by_key else {
            return self.entries.iter().find(|entry| entry.key == key);
        };
        let entry = |at: &u32| self.entries.get(*at as usize);
        let compare = |at: &u32| entry(at).map_or("", |it| it.key.as_str()).cmp(key);
        let at = order.0.binary_search_by(compare).ok()?;
        order.0.get(at).and_then(entry)
    }
}

impl Deref for Map {
    type Target = [Entry];

    fn deref(&self) -> &[Entry] {
        &self.entries
    }
}

/// Builds a map in which a repeated key is lived with: two maps are joined, of anything
/// else the later one counts. Counts what it needs meanwhile; its entries are counted already.
pub fn join_entries(mut entries: Vec<Entry>, warnings: &mut Vec<Warning>, memory: &Memory) -> Map {
    let mut order = order_of(&entries);
    let is_repeated = |pair: &[u32]| entries[pair[0] as usize].key == entries[pair[1] as usize].key;
    if order.windows(2).any(is_repeated) {
        let place = entries.first().map(|it| it.place).unwrap_or_default();
        let needed = entries.len() * (ENTRY + hashed(32)) + keys(&entries);
        if memory.take(needed, place) {
            entries = join_repeated(entries, warnings, memory);
        }
        memory.give_back(needed);
        order = order_of(&entries);
    }
    let is_large = entries.len() > MAX_UNSORTED;
    Map {
        entries: entries.into_boxed_slice(),
        by_key: is_large.then(|| Box::new(Order(order.into_boxed_slice()))),
    }
}

/// Numbers of entries by key, equal ones in their order.
fn order_of(entries: &[Entry]) -> Vec<u32> {
    let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    let mut order: Vec<u32> = (0..count).collect();
    order.sort_unstable_by(|a, b| {
        let key = |at: u32| entries[at as usize].key.as_str();
        key(*a).cmp(key(*b)).then(a.cmp(b))
    });
    order
}

fn keys(entries: &[Entry]) -> usize {
    entries.iter().map(|it| heap(it.key.len())).sum()
}

fn join_repeated(entries: Vec<Entry>, warnings: &mut Vec<Warning>, memory: &Memory) -> Vec<Entry> {
    let mut seen = HashMap::with_capacity(entries.len());
    let mut joined: Vec<Entry> = Vec::new();
    for entry in entries {
        let Some(&at) = seen.get(&entry.key) else {
            seen.insert(entry.key.clone(), joined.len());
            joined.push(entry);
            continue;
        };
        let earlier: &mut Entry = &mut joined[at];
        warn(warnings, entry.place, || {
            format!(
                "the key {:?} is here for the second time (first in line {}); the later counts",
                truncate(&entry.key, 60),
                earlier.place.line
            )
        });
        match (&mut earlier.value.kind, entry.value.kind) {
            (Kind::Map(old), Kind::Map(new)) => {
                let needed = (old.len() + new.len()) * ENTRY;
                let both = memory.take(needed, entry.place).then(|| {
                    let mut both = std::mem::take(old).into_entries();
                    both.extend(new.into_entries());
                    join_entries(both, &mut Vec::new(), memory)
                });
                memory.give_back(needed);
                *old = both.unwrap_or_default();
            }
            (old, new) => *old = new,
        }
    }
    joined
}
