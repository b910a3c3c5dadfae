//! Which records a receiver is sent.
//!
//! Pure.

use crate::domain::plan::KeySelector;
use crate::domain::snapshot::{Record, Snapshot};

/// The selected records, in the order of the keys.
pub fn selected<'s>(snapshot: &'s Snapshot, keys: &[KeySelector]) -> Vec<&'s Record> {
    if keys.is_empty() {
        return snapshot.records.iter().collect();
    }
    let mut records: Vec<&Record> = Vec::new();
    for selector in keys {
        let matching = snapshot
            .records
            .iter()
            .filter(|it| selector.matches(&it.key));
        for record in matching {
            if records.iter().all(|it| it.key != record.key) {
                records.push(record);
            }
        }
    }
    records
}
