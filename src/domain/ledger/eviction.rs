//! Eviction of keys: which key is forgotten, and which yields its place when a limit is met.
//!
//! A part of the ledger, on its thread. What is evicted here is the live record; the history
//! in the database stays.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::last_value::Held;
use super::{Ledger, SourceLedger};
use crate::domain::normalise::Limit;
use crate::domain::reading::{Issue, Reading, Reason};
use crate::limits;

impl Ledger {
    /// Marks the keys that the newest answer holds, those with a value that was refused too:
    /// the source still has them.
    pub(super) fn mark_given(&mut self, index: usize, readings: &[Reading], issues: &[Issue]) {
        let refused = issues
            .iter()
            .filter(|issue| issue.reason != Reason::DuplicateKey);
        let refused = refused.filter_map(|issue| issue.key.as_deref());
        let keys: BTreeSet<&str> = readings
            .iter()
            .map(|reading| &*reading.key)
            .chain(refused)
            .collect();
        let source = &mut self.sources[index];
        let given = source.answering.given();
        for held in &mut source.held {
            if keys.contains(&*held.key) {
                held.given = given;
            }
        }
    }

    /// Forgets the keys of a source that it has answered without for long enough.
    pub(super) fn forget(&mut self, index: usize) {
        let (plan, source) = (&self.plan, &mut self.sources[index]);
        let forget_after = plan.sources[index].forget_after;
        let answering = &source.answering;
        let is_forgotten = |held: &mut Held| {
            answering.absence(&held.given).is_over(forget_after) && !plan.names(index, &held.key)
        };
        let forgotten: Vec<Held> = source.held.extract_if(.., is_forgotten).collect();
        for held in forgotten {
            self.let_go(&held.key);
        }
    }

    /// A source lets go of a key. One that nobody holds any more needs no identity: the
    /// database knows its rows.
    pub(super) fn let_go(&mut self, key: &Arc<str>) {
        let holds = |source: &SourceLedger| source.held.iter().any(|held| held.key == *key);
        if self.sources.iter().any(holds) {
            return;
        }
        self.stored.remove(key);
        if Arc::make_mut(&mut self.forgotten).insert(key.clone()) {
            self.forgotten_order.push_back(key.clone());
        }
        if self.forgotten_order.len() > limits::FORGOTTEN_KEYS
            && let Some(oldest) = self.forgotten_order.pop_front()
        {
            Arc::make_mut(&mut self.forgotten).remove(&oldest);
        }
    }

    /// The limit that leaves no place for one more key of a source.
    pub(super) fn full(&self, index: usize) -> Option<Limit> {
        let in_all: usize = self.sources.iter().map(|source| source.held.len()).sum();
        if self.sources[index].held.len() >= limits::RECORDS_PER_SOURCE {
            return Some(Limit::OfSource);
        }
        (in_all >= limits::RECORDS_IN_ALL).then_some(Limit::InAll)
    }

    /// Makes a place for `key`, which `limit` leaves none: the key longest absent from good
    /// answers yields. One that its source's newest answer held yields only to a key that
    /// the configuration names. False if none can.
    pub(super) fn make_place(&mut self, index: usize, key: &str, limit: Limit) -> bool {
        let is_named = self.plan.names(index, key);
        let sources = match limit {
            Limit::OfSource | Limit::OfFollowed => index..index + 1,
            Limit::InAll => 0..self.sources.len(),
        };
        let mut yields = None;
        for source in sources {
            let ledger = &self.sources[source];
            for (place, held) in ledger.held.iter().enumerate() {
                let absence = ledger.answering.absence(&held.given);
                if absence.answers == 0 && !is_named {
                    continue;
                }
                // Among equals the oldest observed, then the last in the order of records.
                let rank = (
                    absence.answers > 0,
                    absence.time,
                    absence.answers,
                    Reverse(held.stamp.observed),
                    source,
                    place,
                );
                if yields.as_ref().is_none_or(|best| rank > *best)
                    && !self.plan.names(source, &held.key)
                {
                    yields = Some(rank);
                }
            }
        }
        let Some((.., source, place)) = yields else {
            return false;
        };
        let gone = self.sources[source].held.remove(place);
        self.let_go(&gone.key);
        true
    }
}
