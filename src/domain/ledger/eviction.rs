//! Eviction of keys: which key is forgotten, and which is evicted when a limit is reached.
//!
//! A part of the ledger, on its thread. What is evicted here is the live record; the history
//! in the database stays.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::Ledger;
use super::last_value::LastValue;
use crate::domain::normalise::RecordLimit;
use crate::domain::reading::{Issue, Reading, Reason, Series};

impl Ledger {
    /// Marks the keys of the newest response, also those whose value was rejected:
    /// the source still has them.
    pub(super) fn mark_provided(
        &mut self,
        index: usize,
        readings: &[Reading],
        series: &[Series],
        issues: &[Issue],
    ) {
        let refused = issues
            .iter()
            .filter(|issue| issue.reason != Reason::DuplicateKey);
        let refused = refused.filter_map(|issue| issue.key.as_deref());
        let keys: BTreeSet<&str> = readings
            .iter()
            .map(|reading| &*reading.key)
            .chain(series.iter().map(|series| &*series.key))
            .chain(refused)
            .collect();
        let source = &mut self.sources[index];
        let given = source.response_count.provided_now();
        for value in source.values.iter_mut() {
            if keys.contains(&*value.key) {
                value.provided = given;
            }
        }
    }

    /// Forgets the keys of a source that it has answered without for long enough.
    pub(super) fn forget_absent_keys(&mut self, index: usize) {
        let (plan, source) = (&self.plan, &mut self.sources[index]);
        let forget_after = plan.sources[index].forget_after;
        let answering = &source.response_count;
        let is_forgotten = |value: &mut LastValue| {
            answering
                .absence(&value.provided)
                .is_longer_than(forget_after)
                && !plan.names_key(index, &value.key)
        };
        for value in source.values.remove_if(is_forgotten) {
            self.release_key(index, &value.key);
        }
    }

    /// Takes note that a source has no value of `key` any more.
    fn release_key(&mut self, index: usize, key: &Arc<str>) {
        self.drop_series(index, key);
        if let Some(providers) = self.providers.get_mut(key) {
            providers.retain(|provider| *provider != index);
            if providers.is_empty() {
                self.providers.remove(key);
            }
        }
        self.drop_key(key);
    }

    /// Drops what is known of a key that no source has a value of. It needs no identity: the
    /// database knows its rows.
    pub(super) fn drop_key(&mut self, key: &Arc<str>) {
        if !self.providers(key).is_empty() || self.plan.derived.contains(key) {
            return;
        }
        self.stored.remove(key);
        self.day_ranges.remove(key);
        // As many as there can be records, so that a display that asks for one among others goes
        // on getting the others.
        if Arc::make_mut(&mut self.forgotten).insert(key.clone()) {
            self.forgotten_order.push_back(key.clone());
        }
        if self.forgotten_order.len() > self.plan.max_records
            && let Some(oldest) = self.forgotten_order.pop_front()
        {
            Arc::make_mut(&mut self.forgotten).remove(&oldest);
        }
    }

    /// The limit that forbids one more key of a source.
    pub(super) fn limit_reached(&self, index: usize) -> Option<RecordLimit> {
        let of_sources = self.sources.iter().map(|source| source.values.len());
        let in_all = of_sources.sum::<usize>() + self.derived.len();
        let plan = &self.plan.sources[index];
        if self.sources[index].values.len() >= plan.max_records {
            return Some(RecordLimit::of_source(plan));
        }
        let most = self.plan.max_records;
        (in_all >= most).then_some(RecordLimit::Total(most))
    }

    /// Evicts a key to make room for `key` under `limit`: the one longest absent from good
    /// responses. A key of the newest response of its source is evicted only for a key that the
    /// configuration names. False if no key can be evicted.
    pub(super) fn evict_for(&mut self, index: usize, key: &str, limit: RecordLimit) -> bool {
        let is_named = self.plan.names_key(index, key);
        let sources = match limit {
            RecordLimit::PerSource(_) | RecordLimit::PerUpstreamNode(_) => index..index + 1,
            RecordLimit::Total(_) => 0..self.sources.len(),
        };
        let mut evicted = None;
        for source in sources {
            let ledger = &self.sources[source];
            for (place, value) in ledger.values.iter().enumerate() {
                let absence = ledger.response_count.absence(&value.provided);
                if absence.responses == 0 && !is_named {
                    continue;
                }
                // Among equals the oldest observed, then the last in the order of records.
                let rank = (
                    absence.responses > 0,
                    absence.time,
                    absence.responses,
                    Reverse(value.stamp.observed),
                    source,
                    place,
                );
                if evicted.as_ref().is_none_or(|best| rank > *best)
                    && !self.plan.names_key(source, &value.key)
                {
                    evicted = Some(rank);
                }
            }
        }
        let Some((.., source, place)) = evicted else {
            return false;
        };
        let gone = self.sources[source].values.remove(place);
        self.release_key(source, &gone.key);
        true
    }
}
