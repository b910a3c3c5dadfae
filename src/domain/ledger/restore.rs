//! Restore of the ledger: what the last run stored, at a start.
//!
//! A part of the ledger.

use std::sync::Arc;

use super::Ledger;
use super::absence::{Absence, ResponseCount};
use super::last_value::{ElementInterval, LastValue};
use crate::domain::compact_sort::CompactSort;
use crate::domain::freshness::Stamp;
use crate::domain::plan::Selection;
use crate::domain::reading::Value;

/// A key's newest row, read back from the database at start.
#[derive(Debug, Clone, PartialEq)]
pub struct RestoredRecord {
    pub key: Arc<str>,
    pub value: Value,
    pub unit: Option<Arc<str>>,
    pub source: Arc<str>,
    pub stamp: Stamp,
    /// Its source gave it as a boolean.
    pub is_boolean: bool,
    /// For how long its source had answered without it.
    pub absence: Absence,
}

impl Ledger {
    /// Restores what the last run stored. What no source of the plan provides any more, what
    /// was forgotten, and what finds no place is not shown; it stays in the database. Keys
    /// that the configuration names come first, then those given last.
    pub fn restore(&mut self, rows: Vec<RestoredRecord>) {
        let mut restored = Vec::new();
        for mut row in rows {
            if let Some(index) = self.plan.derived.position(&row.key) {
                self.restore_derived(index, row);
                continue;
            }
            let Some(source) = self.provider_of(&row) else {
                continue;
            };
            let plan = &self.plan.sources[source];
            if plan.is_upstream_node {
                // Another node gives the age of its values, so absence does not count.
                row.absence = Absence::default();
            }
            let is_named = self.plan.names_key(source, &row.key);
            if is_named || !row.absence.is_longer_than(plan.forget_after) {
                restored.push((is_named, source, row));
            } else {
                self.drop_key(&row.key);
            }
        }
        restored.compact_sort_by(|(a_named, _, a), (b_named, _, b)| {
            let rank = |is_named: &bool, row: &RestoredRecord| (!is_named, row.absence.time);
            rank(a_named, a)
                .cmp(&rank(b_named, b))
                .then(b.stamp.observed.cmp(&a.stamp.observed))
                .then(a.key.cmp(&b.key))
        });
        for (_, source, row) in restored {
            if self.limit_reached(source).is_some() {
                self.drop_key(&row.key);
                continue;
            }
            let shown = self.plan.sources[source].shown_element(&row.key);
            // The rows of a series are compared by the series itself.
            if shown.is_none() {
                let identity = (row.stamp.observed.second(), row.value.clone());
                self.stored.insert(row.key.clone(), identity);
            }
            let interval = shown.and_then(ElementInterval::unknown);
            let value = LastValue {
                key: row.key,
                value: row.value,
                unit: row.unit,
                stamp: row.stamp,
                is_stated: false,
                is_boolean: row.is_boolean,
                upstream: None,
                interval,
                response: 0,
                provided: ResponseCount::provided_in_earlier_run(row.absence),
            };
            self.insert_ordered(source, value);
        }
    }

    /// The source that a restored row belongs to now: the one that stored it, if it still
    /// selects the key, else the first that does.
    fn provider_of(&self, row: &RestoredRecord) -> Option<usize> {
        let selects = |index: &usize| match &self.plan.sources[*index].selection {
            Selection::AllLeaves { .. } => self.plan.sources[*index].name == row.source,
            Selection::Selectors(picks) => picks.iter().any(|pick| pick.selects_key(&row.key)),
        };
        let mut candidates = (0..self.plan.sources.len()).filter(selects);
        let first = candidates.clone().next();
        candidates
            .find(|index| self.plan.sources[*index].name == row.source)
            .or(first)
    }
}
