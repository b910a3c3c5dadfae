//! The snapshot of the ledger: the current value of every key and the state of every source.
//!
//! A part of the ledger, on its thread. It is made anew for every publication, so what is done
//! for each record here is done often.

use std::sync::Arc;
use std::time::Duration;

use super::{Ledger, SourceLedger};
use crate::domain::day_range::DayRange;
use crate::domain::freshness::Stamp;
use crate::domain::merge::{Contribution, Merged, merge};
use crate::domain::plan::Merge;
use crate::domain::reading::{UpstreamNode, Value};
use crate::domain::snapshot::{Record, Snapshot, SourceSnapshot};
use crate::domain::time::Moment;

/// The value of a key, merged of what its sources provide.
pub(super) struct CurrentValue {
    pub merged: Merged,
    pub stamp: Stamp,
    pub unit: Option<Arc<str>>,
    /// A contributor's value was given by `missing` or `null`.
    pub is_stated: bool,
    /// All contributors' values are booleans of their responses, and so is the merged one.
    pub is_boolean: bool,
    pub stale: bool,
    pub stale_after: Duration,
}

impl Ledger {
    /// The state of everything at `now`. Alerts are evaluated from it elsewhere.
    pub fn snapshot(&self, now: Moment) -> Snapshot {
        let mut changes_at = self.series_change_at.filter(|at| *at > now.mono);
        changes_at = changes_at
            .into_iter()
            .chain(self.day_ranges.changes_at(now))
            .min();
        let mut records = Vec::with_capacity(self.providers.len());
        for (index, source) in self.sources.iter().enumerate() {
            for value in source.values.iter() {
                let stale_at = value.stale_at(self.stale_after(&value.key, index), now);
                changes_at = changes_at.into_iter().chain(stale_at).min();
                let providers = self.providers(&value.key);
                // Listed where its first source lists it.
                if providers.first() == Some(&index)
                    && let Some(record) = self.record(&value.key, providers, now)
                {
                    records.push(record);
                }
            }
        }
        let (derived_records, derived, stale_at) = self.derived_snapshot(now);
        records.extend(derived_records);
        changes_at = changes_at.into_iter().chain(stale_at).min();
        let sum = |count: fn(&SourceLedger) -> usize| self.sources.iter().map(count).sum();
        Snapshot {
            at: now,
            records,
            sources: self.source_snapshots(),
            alerts: Vec::new(),
            alert: self.upstream_nodes().find_map(|it| it.alert.clone()),
            via: self.via(),
            upstream_labels: self.labelled_plan.upstream_labels.clone(),
            forgotten: self.forgotten.clone(),
            omitted: sum(|it| it.over_source_limit.count + it.over_total_limit.count),
            omitted_by_total_limit: sum(|it| it.over_total_limit.count),
            max_records: self.plan.max_records,
            missing_keys: self.missing_keys(),
            derived,
            changes_at,
        }
    }

    fn record(&self, key: &Arc<str>, providers: &[usize], now: Moment) -> Option<Record> {
        let current = self.current_value(key, providers, now)?;
        let name = |provider: &usize| self.plan.sources[providers[*provider]].name.clone();
        Some(Record {
            key: key.clone(),
            stale: current.stale,
            stamp: current.stamp,
            stale_after: current.stale_after,
            unit: current.unit,
            sources: current.merged.contributors.iter().map(name).collect(),
            today: self.day_range(key, &current.merged.value),
            value: current.merged.value,
            is_boolean: current.is_boolean,
        })
    }

    /// What was observed of a key today, unless it has a text now.
    pub(super) fn day_range(&self, key: &str, value: &Value) -> Option<DayRange> {
        value.number()?;
        self.day_ranges.get(key)
    }

    /// The value of `key`, of which the sources `providers` have one.
    pub(super) fn current_value(
        &self,
        key: &str,
        providers: &[usize],
        now: Moment,
    ) -> Option<CurrentValue> {
        let provided = providers.iter().filter_map(|index| {
            let value = self.sources[*index].values.get(key)?;
            let stale_after = value.interval.map(|interval| interval.length);
            let stale_after = stale_after.filter(|length| !length.is_zero());
            Some((
                value,
                stale_after.unwrap_or_else(|| self.stale_after(key, *index)),
            ))
        });
        let provided: Vec<_> = provided.collect();
        let contributions: Vec<Contribution> = provided
            .iter()
            .map(|(value, stale_after)| Contribution {
                value: &value.value,
                observed: value.stamp.observed,
                stale: value.is_stale(*stale_after, now),
            })
            .collect();
        let rule = self.merge_rule(key).unwrap_or(Merge::Priority);
        let merged = merge(rule, &contributions)?;
        let (newest, stale_after) = provided[merged.contributors[0]];
        let mut contributors = merged.contributors.iter();
        let is_stated = contributors.any(|index| provided[*index].0.is_stated);
        let mut contributors = merged.contributors.iter();
        let is_boolean = contributors.all(|index| provided[*index].0.is_boolean);
        let is_whole =
            matches!(merged.value, Value::Number(number) if number == 0.0 || number == 1.0);
        let unit = self.plan.key_setting(key, |key| key.unit.clone());
        Some(CurrentValue {
            unit: unit.or_else(|| newest.unit.clone()),
            stamp: newest.stamp,
            is_stated,
            is_boolean: is_boolean && is_whole,
            stale: newest.is_stale(stale_after, now),
            stale_after,
            merged,
        })
    }

    fn source_snapshots(&self) -> Vec<SourceSnapshot> {
        let sources = self.plan.sources.iter().zip(&self.sources);
        sources
            .map(|(plan, source)| SourceSnapshot {
                name: plan.name.clone(),
                target: plan.target.clone(),
                summary: plan.summary.clone(),
                description: plan.description.clone(),
                every: plan.every,
                interval: plan.interval(source.health.server_wait),
                attribution: plan.attribution.clone(),
                keys: source.values.len(),
                omitted: source.over_source_limit.count,
                max_records: plan.max_records,
                conflict: source.conflict.clone(),
                health: source.health.clone(),
            })
            .collect()
    }

    /// Keys that the configuration names and that no source provides, once each has answered.
    fn missing_keys(&self) -> Vec<Arc<str>> {
        if !self.have_all_answered() {
            return Vec::new();
        }
        let expected = self.plan.expected_keys().into_iter();
        expected
            .filter(|key| self.providers(key).is_empty() && !self.is_series(key))
            .cloned()
            .collect()
    }

    /// Whether each source has answered since the start.
    pub(super) fn have_all_answered(&self) -> bool {
        let has_answered = |source: &SourceLedger| source.health.last_success.is_some();
        self.sources.iter().all(has_answered)
    }

    /// Whether the elements of the key are all ahead of now.
    fn is_series(&self, key: &str) -> bool {
        let mut sources = self.sources.iter();
        sources.any(|source| source.series.contains_key(key))
    }

    fn upstream_nodes(&self) -> impl Iterator<Item = &UpstreamNode> {
        self.sources
            .iter()
            .filter_map(|source| source.upstream.as_deref())
    }

    /// The nodes that some of the data came through.
    fn via(&self) -> Vec<Arc<str>> {
        let mut via: Vec<Arc<str>> = Vec::new();
        for node in self.upstream_nodes().flat_map(|node| &node.via) {
            if !via.contains(node) {
                via.push(node.clone());
            }
        }
        via
    }

    fn stale_after(&self, key: &str, source: usize) -> Duration {
        self.plan
            .keys
            .get(key)
            .and_then(|key| key.stale_after)
            .unwrap_or_else(|| {
                let server_wait = self.sources[source].health.server_wait;
                self.plan.sources[source].default_stale_after(server_wait)
            })
    }
}
