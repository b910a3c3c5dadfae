//! Validation of a response by the clock and by the keys of other sources.
//!
//! A part of the ledger, on its thread.

use std::sync::Arc;

use super::Ledger;
use super::conflict::{Conflict, KeyProvider};
use crate::domain::freshness::is_ahead;
use crate::domain::reading::{FetchOutcome, Issue, Observation, Reason};
use crate::domain::time::Wall;
use crate::limits;

impl Ledger {
    /// Validates a response by the clock and by the keys of other sources.
    pub fn validate(&mut self, observation: &mut Observation) {
        self.check_source_time(observation);
        self.check_duplicate_keys(observation);
    }

    /// Reports a source time that is ahead of our clock; [`Stamp::received`](crate::domain::freshness::Stamp::received) ignores it.
    fn check_source_time(&self, observation: &mut Observation) {
        let at = observation.at;
        let Some(plan) = self.plan.sources.get(observation.source) else {
            return;
        };
        let FetchOutcome::Readings {
            observed,
            readings,
            issues,
            ..
        } = &mut observation.outcome
        else {
            return;
        };
        let is_wrong = |own: &Wall| at.trust.is_trusted() && is_ahead(*own, at.wall);
        let newest = readings.iter().max_by_key(|reading| reading.observed);
        if let Some(reading) = newest
            && let Some(own) = reading.observed.filter(is_wrong)
        {
            issues.push(Issue {
                reason: Reason::BadTime,
                key: None,
                pointer: reading.key.to_string(),
                expected: format!(
                    "a newest element that is at most {} min ahead of this node's clock: the record \
                     counts from when the answer came; of a forecast read `now` or `element_time`",
                    limits::CLOCK_TOLERANCE.as_secs() / 60
                ),
                found: own.to_string(),
            });
        }
        let upstream_times = observation
            .upstream
            .iter()
            .flat_map(|it| it.records.values());
        let own = upstream_times
            .map(|upstream_times| upstream_times.observed)
            .chain(*observed)
            .max();
        let Some(own) = own.filter(is_wrong) else {
            return;
        };
        let pointer = plan.observed_at.as_ref().map(ToString::to_string);
        issues.push(Issue {
            reason: Reason::BadTime,
            key: None,
            pointer: pointer.unwrap_or_else(|| "/records".to_owned()),
            expected: format!(
                "a time that is at most {} min ahead of this node's clock: the record counts from \
                 when the answer came; set the clock of the source, or `observed_zone`",
                limits::CLOCK_TOLERANCE.as_secs() / 60
            ),
            found: own.to_string(),
        });
    }

    /// Removes the keys that a source configured before provides already from a response: an
    /// issue for each; without any other key the response is a failure.
    fn check_duplicate_keys(&mut self, observation: &mut Observation) {
        let index = observation.source;
        let Some(plan) = self.plan.sources.get(index) else {
            return;
        };
        let (readings, series, issues) = match &mut observation.outcome {
            FetchOutcome::Failed { .. } => return,
            FetchOutcome::Empty => {
                let source = &mut self.sources[index];
                (source.conflict, source.rejected) = (None, None);
                return;
            }
            FetchOutcome::Unchanged => {
                if let Some((failure, issues)) = self.sources[index].rejected.clone() {
                    observation.outcome = FetchOutcome::Failed { failure, issues };
                }
                return;
            }
            FetchOutcome::Readings {
                readings,
                series,
                issues,
                ..
            } => (readings, series, issues),
        };
        let mut refused = Vec::new();
        let mut accept = |key: &Arc<str>, provider: Option<KeyProvider>| match provider {
            Some(provider) => {
                refused.push((key.clone(), provider));
                false
            }
            None => true,
        };
        readings.retain(|it| accept(&it.key, self.earlier_provider(&it.key, index)));
        series.retain(|it| accept(&it.key, self.provider_unmerged(&it.key, index)));
        let accepted = readings.len() + series.len();
        let is_refused = accepted == 0 && !refused.is_empty();
        let conflict = Conflict {
            plan,
            accepted,
            refused,
        };
        issues.extend(conflict.issues());
        let failure = is_refused.then(|| (conflict.failure(), std::mem::take(issues)));
        let sentence = (!conflict.refused.is_empty()).then(|| conflict.sentence());
        let source = &mut self.sources[index];
        source.conflict = sentence;
        source.rejected = failure.clone();
        if let Some((failure, issues)) = failure {
            observation.outcome = FetchOutcome::Failed { failure, issues };
        }
    }

    /// What provides the key already: a derived key, or a source configured before `index`, unless
    /// a merge rule is configured.
    fn earlier_provider(&self, key: &Arc<str>, index: usize) -> Option<KeyProvider> {
        let provider = self.provider_unmerged(key, index);
        let is_merged = self.merge_rule(key).is_some();
        provider.filter(|it| !is_merged || matches!(it, KeyProvider::Derived(_)))
    }

    /// The same whatever the merge rule: a series is never merged.
    fn provider_unmerged(&self, key: &Arc<str>, index: usize) -> Option<KeyProvider> {
        if self.plan.derived.contains(key) {
            return Some(KeyProvider::Derived(key.clone()));
        }
        let first = *self.providers(key).first()?;
        let name = || self.plan.sources[first].name.clone();
        (first < index).then(|| KeyProvider::Source(name()))
    }
}
