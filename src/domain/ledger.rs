//! Last values of all sources, and what follows from them: rows to store and the snapshot to
//! publish.
//!
//! Owned by the `ingest` thread, which alone changes it. It decides identity: which
//! observations are new, which only repeat.

mod absence;
mod conflict;
mod derived;
mod eviction;
mod last_value;
mod last_values;
mod promotion;
mod restore;
mod saved_absences;
mod series;
mod snapshot;
mod upstream_labels;
mod validation;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

pub use self::absence::Absence;
use self::absence::ResponseCount;
use self::derived::DerivedValue;
use self::last_value::{LastValue, UpstreamStaleness};
use self::last_values::LastValues;
pub use self::promotion::Forecast;
pub use self::restore::RestoredRecord;
pub use self::saved_absences::SavedAbsences;
use self::series::SeriesState;
use super::clock_filter::ClockFilter;
use super::day_range::{DayRanges, StoredDay};
use super::failure::Failure;
use super::freshness::Stamp;
use super::health::SourceHealth;
use super::normalise::{OmittedRecords, RecordLimit};
use super::plan::{Merge, Plan, Selection};
use super::reading::{FetchOutcome, Issue, Observation, Reading, UpstreamNode, Value};
use super::time::{Moment, Mono, Wall};
use crate::limits;

/// The state of all sources.
pub struct Ledger {
    plan: Arc<Plan>,
    /// The same with the labels that followed nodes give.
    labelled_plan: Arc<Plan>,
    sources: Vec<SourceLedger>,
    /// Which sources have a value of a key: their indices, in the configuration's order.
    providers: HashMap<Arc<str>, Vec<usize>>,
    /// In the order of the plan.
    derived: Vec<DerivedValue>,
    /// Identity of what was last handed to the store, by key.
    stored: BTreeMap<Arc<str>, (i64, Value)>,
    /// Keys that no source has a value of any more: the latest ones, in the order of their removal.
    forgotten: Arc<BTreeSet<Arc<str>>>,
    forgotten_order: VecDeque<Arc<str>>,
    /// Forecasts to be removed from the database, of keys that have none any more.
    removed_forecasts: Vec<Forecast>,
    /// When another element of a series is shown, or the interval of one ends.
    series_change_at: Option<Mono>,
    /// When the rest of a long list becomes rows.
    next_rows_at: Mono,
    /// Of today, by key.
    day_ranges: DayRanges,
    /// Corrects the clock that ages and timestamps are based on.
    clock_filter: ClockFilter,
}

#[derive(Default)]
struct SourceLedger {
    health: SourceHealth,
    /// In the order in which records are listed.
    values: LastValues,
    /// Keys whose values have times of their own.
    series: BTreeMap<Arc<str>, SeriesState>,
    /// Counts complete responses: a 304 renews only the values of the newest one.
    responses: u64,
    response_count: ResponseCount,
    /// Records of the newest response that were left out, by the limit that was reached.
    over_source_limit: OmittedRecords,
    over_total_limit: OmittedRecords,
    /// Why some or all keys of the newest response are not published.
    conflict: Option<Arc<str>>,
    /// The newest response was rejected as a whole: a 304 repeats that.
    rejected: Option<(Failure, Vec<Issue>)>,
    /// What the newest response says about its node, where the source is another main-node.
    upstream: Option<Arc<UpstreamNode>>,
}

impl SourceLedger {
    /// Renews the values of the newest response: a 304 confirms them.
    fn renew_newest(&mut self, at: Moment) {
        let (newest, provided) = (self.responses, self.response_count.provided_now());
        let values = self.values.iter_mut();
        for value in values.filter(|value| value.response == newest) {
            value.renew(at);
            value.provided = provided;
        }
    }

    /// What the limits on records left out of the newest response.
    fn limit_issues(&self, plan: &Plan, index: usize) -> impl Iterator<Item = Issue> {
        let of_source = RecordLimit::of_source(&plan.sources[index]);
        let own = self.over_source_limit.issue(of_source);
        let total = self
            .over_total_limit
            .issue(RecordLimit::Total(plan.max_records));
        own.into_iter().chain(total)
    }
}

/// A merged value to be stored: one row of `records`.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordRow {
    pub key: Arc<str>,
    pub value: Value,
    pub unit: Option<Arc<str>>,
    /// The source whose observation this is.
    pub source: Arc<str>,
    pub stamp: Stamp,
    /// `missing` or `null` of a record gave the value, or a part of it: no counter counts it.
    pub is_stated: bool,
    /// The newest response has a boolean there.
    pub is_boolean: bool,
    /// Whether it is an element of a series, whose time is its own whatever the clock.
    pub is_element: bool,
}

impl Ledger {
    pub fn new(plan: Arc<Plan>) -> Ledger {
        let sources = plan.sources.iter().map(|_| SourceLedger::default());
        Ledger {
            sources: sources.collect(),
            derived: plan.derived.iter().map(DerivedValue::new).collect(),
            labelled_plan: plan.clone(),
            plan,
            providers: HashMap::new(),
            stored: BTreeMap::new(),
            forgotten: Arc::default(),
            forgotten_order: VecDeque::new(),
            removed_forecasts: Vec::new(),
            series_change_at: None,
            next_rows_at: Mono::default(),
            day_ranges: DayRanges::new(TimeZone::UTC),
            clock_filter: ClockFilter::default(),
        }
    }

    /// The plan, with the labels that followed nodes give.
    pub fn labelled_plan(&self) -> &Plan {
        &self.labelled_plan
    }

    /// A wait that a server ordered in an earlier run and that is not over.
    pub fn expect_wait(&mut self, source: usize, wait: Duration) {
        self.sources[source].health.server_wait = wait;
    }

    /// Takes one observation into account and returns the rows to store.
    pub fn apply(&mut self, mut observation: Observation) -> Vec<RecordRow> {
        observation.at = self.clock_filter.correct(observation.at);
        let index = observation.source;
        let plans = self.plan.clone();
        let Some(plan) = plans.sources.get(index) else {
            return Vec::new();
        };
        self.validate(&mut observation);
        let source = &mut self.sources[index];
        let is_good = !matches!(observation.outcome, FetchOutcome::Failed { .. });
        let interval = plan.interval(source.health.server_wait);
        let longest = interval.saturating_mul(limits::MAX_CREDITED_INTERVALS);
        source
            .response_count
            .record(observation.at.mono, is_good, longest);
        let changed = match &mut observation.outcome {
            FetchOutcome::Failed { .. } => Vec::new(),
            FetchOutcome::Unchanged => {
                source.renew_newest(observation.at);
                self.forget_absent_keys(index);
                Vec::new()
            }
            // A good response without any of the keys: they become stale, and may be forgotten.
            FetchOutcome::Empty => {
                source.responses += 1;
                self.forget_absent_keys(index);
                self.apply_series(index, observation.at, Vec::new(), &[]);
                Vec::new()
            }
            FetchOutcome::Readings {
                observed,
                readings,
                series,
                issues,
            } => {
                source.upstream = observation.upstream.clone();
                self.update_upstream_labels();
                let readings = std::mem::take(readings);
                let series = std::mem::take(series);
                self.mark_provided(index, &readings, &series, issues);
                let changed = self.apply_readings(index, observation.at, *observed, readings);
                self.apply_series(index, observation.at, series, issues);
                issues.extend(self.sources[index].limit_issues(&plans, index));
                changed
            }
        };
        self.sources[index].health.record(&observation);
        let rows = changed
            .into_iter()
            .filter_map(|key| self.row_to_store(key, &plan.name, observation.at));
        let rows: Vec<RecordRow> = rows.collect();
        self.extend_day_ranges(&rows);
        rows
    }

    /// Takes over what a response gave at `at`; returns the keys whose value was taken.
    fn apply_readings(
        &mut self,
        index: usize,
        at: Moment,
        observed: Option<Wall>,
        readings: Vec<Reading>,
    ) -> Vec<Arc<str>> {
        // Before a new key needs room, absent ones make it.
        self.forget_absent_keys(index);
        let source = &mut self.sources[index];
        source.responses += 1;
        source.over_source_limit = OmittedRecords::default();
        source.over_total_limit = OmittedRecords::default();
        let (response, provided) = (source.responses, source.response_count.provided_now());
        let upstream = source.upstream.clone();
        let mut changed = Vec::with_capacity(readings.len());
        for reading in readings {
            let key = reading.key.clone();
            let record = upstream.as_ref().and_then(|node| node.records.get(&key));
            let own = record.map(|it| it.observed).or(reading.observed);
            let value = LastValue {
                key: reading.key,
                value: reading.value,
                unit: reading.unit,
                is_stated: reading.is_stated,
                is_boolean: reading.is_boolean,
                stamp: Stamp::received(at, own.or(observed)),
                upstream: record.map(|record| UpstreamStaleness {
                    stale: record.stale,
                    received: Stamp::received(at, None),
                }),
                interval: None,
                response,
                provided,
            };
            if self.set_value(index, value) {
                changed.push(key);
            }
        }
        changed
    }

    /// Counts the ranges of days in `zone`, beginning with what the last run has stored.
    pub fn restore_day_ranges(&mut self, zone: TimeZone, stored: Option<StoredDay>) {
        self.day_ranges = DayRanges::new(zone);
        if let Some(stored) = stored {
            self.day_ranges.restore(stored);
        }
    }

    fn extend_day_ranges(&mut self, rows: &[RecordRow]) {
        for row in rows {
            if let Some(number) = row.value.number() {
                let observed = row.stamp.observed;
                self.day_ranges.insert(&row.key, observed, number);
            }
        }
    }

    /// Whether there is a record of the key, or can be.
    pub fn knows_key(&self, key: &str) -> bool {
        self.providers.contains_key(key) || self.plan.derived.contains(key)
    }

    pub fn source_name(&self, source: usize) -> &str {
        self.plan.sources.get(source).map_or("", |it| &it.name)
    }

    /// Why keys of a source's newest answer are not published, if any are not.
    pub fn conflict(&self, source: usize) -> Option<&Arc<str>> {
        self.sources.get(source)?.conflict.as_ref()
    }

    /// The sources that have a value of `key`, in the configuration's order.
    fn providers(&self, key: &str) -> &[usize] {
        self.providers.get(key).map_or(&[], Vec::as_slice)
    }

    fn merge_rule(&self, key: &str) -> Option<Merge> {
        self.plan.keys.get(key).and_then(|key| key.merge)
    }

    /// Sets the value of a key; false if a limit leaves no room for it.
    fn set_value(&mut self, index: usize, mut new: LastValue) -> bool {
        let source = &mut self.sources[index];
        if let Some(value) = source.values.get_mut(&new.key) {
            // The same observation delivered again renews no age.
            if value.stamp.is_same_observation(&new.stamp) {
                new.stamp = value.stamp;
            }
            *value = new;
            return true;
        }
        if let Some(limit) = self.limit_reached(index)
            && !self.evict_for(index, &new.key, limit)
        {
            let source = &mut self.sources[index];
            match limit {
                RecordLimit::PerSource(_) | RecordLimit::PerUpstreamNode(_) => {
                    source.over_source_limit.add(|| new.key.to_string());
                }
                RecordLimit::Total(_) => source.over_total_limit.add(|| new.key.to_string()),
            }
            return false;
        }
        self.insert_ordered(index, new);
        true
    }

    /// Puts a new key where its source's records are listed: picks in their order, leaves by
    /// name, so that the order does not depend on when a key first appeared.
    fn insert_ordered(&mut self, index: usize, value: LastValue) {
        let position_of = |key: &str| match &self.plan.sources[index].selection {
            Selection::Selectors(picks) => picks.iter().position(|pick| pick.selects_key(key)),
            Selection::AllLeaves { .. } => None,
        };
        let rank = (position_of(&value.key), value.key.clone());
        if self.forgotten.contains(&value.key) {
            Arc::make_mut(&mut self.forgotten).remove(&value.key);
            self.forgotten_order.retain(|key| *key != value.key);
        }
        let providers = self.providers.entry(value.key.clone()).or_default();
        if let Err(at) = providers.binary_search(&index) {
            providers.insert(at, index);
        }
        let is_before = |other: &LastValue| (position_of(&other.key), other.key.clone()) < rank;
        self.sources[index].values.insert_sorted(value, is_before);
    }

    /// The row that this change of `key` makes, unless it repeats what is stored.
    fn row_to_store(&mut self, key: Arc<str>, source: &Arc<str>, now: Moment) -> Option<RecordRow> {
        let standing = self.current_value(&key, self.providers(&key), now)?;
        let value = standing.merged.value;
        let identity = (standing.stamp.observed.second(), value.clone());
        if self.stored.get(&key) == Some(&identity) {
            return None;
        }
        self.stored.insert(key.clone(), identity);
        Some(RecordRow {
            key,
            value,
            unit: standing.unit,
            source: source.clone(),
            stamp: standing.stamp,
            is_stated: standing.is_stated,
            is_boolean: standing.is_boolean,
            is_element: false,
        })
    }

    /// Corrects timestamps made by an untrusted clock, once the clock is trusted. Rows that
    /// were handed to the store settle there by the same rule.
    pub fn fix_timestamps(&mut self, now: Moment) {
        let now = self.clock_filter.correct(now);
        self.day_ranges.advance(now);
        if !now.trust.is_trusted() {
            return;
        }
        for source in &mut self.sources {
            for value in source.values.iter_mut() {
                let before = value.stamp.observed;
                value.stamp.correct_if_ahead(now);
                value.stamp.apply_trusted_clock(now);
                if value.stamp.observed == before {
                    continue;
                }
                // The row that waits in the store settles alike: its identity moves along.
                if let Some((second, _)) = self.stored.get_mut(&value.key)
                    && *second == before.second()
                {
                    *second = value.stamp.observed.second();
                }
            }
        }
        self.fix_derived_timestamps(now);
    }
}

#[cfg(test)]
#[path = "tests/ledger_day_ranges.rs"]
mod day_range_tests;
#[cfg(test)]
#[path = "tests/ledger_derived.rs"]
mod derived_tests;
#[cfg(test)]
#[path = "tests/ledger_forgetting.rs"]
mod forgetting_tests;
#[cfg(test)]
#[path = "tests/series.rs"]
mod series_tests;
#[cfg(test)]
#[path = "tests/ledger.rs"]
mod tests;
#[cfg(test)]
#[path = "tests/ledger_windows.rs"]
mod window_tests;
