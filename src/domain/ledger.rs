//! What every source last said, and what follows from it: the rows to store and the
//! snapshot to publish.
//!
//! Owned by the `ingest` thread, which alone changes it. It decides identity: which
//! observations are new, which only repeat.

mod absence;
mod conflict;
mod eviction;
mod last_value;
mod validation;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub use self::absence::Absence;
use self::absence::ResponseCount;
use self::last_value::{LastValue, UpstreamStaleness};
use super::clock_filter::ClockFilter;
use super::freshness::Stamp;
use super::health::{Failure, SourceHealth};
use super::merge::{Contribution, Merged, merge};
use super::normalise::{OmittedRecords, RecordLimit};
use super::plan::{Merge, Plan, Selection};
use super::reading::{FetchOutcome, Issue, Observation, UpstreamNode, Value};
use super::snapshot::{Record, Snapshot, SourceSnapshot};
use super::time::Moment;
use crate::limits;

/// The state of all sources.
pub struct Ledger {
    plan: Arc<Plan>,
    sources: Vec<SourceLedger>,
    /// Identity of what was last handed to the store, by key.
    stored: BTreeMap<Arc<str>, (i64, Value)>,
    /// Keys that no source holds any more: the last ones, in the order in which they went.
    forgotten: Arc<BTreeSet<Arc<str>>>,
    forgotten_order: VecDeque<Arc<str>>,
    /// Ages and stamps go by it.
    clock_filter: ClockFilter,
}

#[derive(Default)]
struct SourceLedger {
    health: SourceHealth,
    /// In the order in which records are listed.
    values: Vec<LastValue>,
    /// Counts whole answers: what the newest one did not hold is not renewed by a 304.
    responses: u64,
    response_count: ResponseCount,
    /// Records of the newest answer that found no place, by the limit that was met.
    over_source_limit: OmittedRecords,
    over_total_limit: OmittedRecords,
    /// Why some or all keys of the newest answer are not published.
    conflict: Option<Arc<str>>,
    /// The newest answer was refused whole: what a 304 repeats is refused too.
    rejected: Option<(Failure, Vec<Issue>)>,
    /// What the newest answer said of itself, where the source is another main-node.
    upstream: Option<Arc<UpstreamNode>>,
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
}

/// The value that stands for a key.
struct CurrentValue {
    merged: Merged,
    stamp: Stamp,
    unit: Option<Arc<str>>,
    stale: bool,
    stale_after: Duration,
}

/// A key's newest row, read back from the database at start.
#[derive(Debug, Clone, PartialEq)]
pub struct RestoredRecord {
    pub key: Arc<str>,
    pub value: Value,
    pub unit: Option<Arc<str>>,
    pub source: Arc<str>,
    pub stamp: Stamp,
    /// For how long its source had answered without it.
    pub absence: Absence,
}

impl Ledger {
    pub fn new(plan: Arc<Plan>) -> Ledger {
        let sources = plan.sources.iter().map(|_| SourceLedger::default());
        Ledger {
            sources: sources.collect(),
            plan,
            stored: BTreeMap::new(),
            forgotten: Arc::default(),
            forgotten_order: VecDeque::new(),
            clock_filter: ClockFilter::default(),
        }
    }

    /// Takes back what the last run stored. What no source of the plan gives any more, what
    /// was forgotten, and what finds no place is not shown; it stays in the database. Keys
    /// that the configuration names come first, then those given last.
    pub fn restore(&mut self, rows: Vec<RestoredRecord>) {
        let mut restored = Vec::new();
        for mut row in rows {
            let Some(source) = self.provider_of(&row) else {
                continue;
            };
            let plan = &self.plan.sources[source];
            if plan.is_upstream_node {
                // Values of another node are as old as it says, however often it says so.
                row.absence = Absence::default();
            }
            let is_named = self.plan.names_key(source, &row.key);
            match is_named || !row.absence.is_longer_than(plan.forget_after) {
                true => restored.push((is_named, source, row)),
                false => self.drop_key(&row.key),
            }
        }
        restored.sort_by(|(a_named, _, a), (b_named, _, b)| {
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
            self.stored.insert(
                row.key.clone(),
                (row.stamp.observed.second(), row.value.clone()),
            );
            let held = LastValue {
                key: row.key,
                value: row.value,
                unit: row.unit,
                stamp: row.stamp,
                upstream: None,
                response: 0,
                provided: ResponseCount::provided_in_earlier_run(row.absence),
            };
            self.insert_ordered(source, held);
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

    /// A wait that a server ordered in an earlier run and that is not over.
    pub fn expect_wait(&mut self, source: usize, wait: Duration) {
        self.sources[source].health.server_wait = wait;
    }

    /// Takes one observation into account and returns the rows to store.
    pub fn apply(&mut self, mut observation: Observation) -> Vec<RecordRow> {
        observation.at = self.clock_filter.correct(observation.at);
        let index = observation.source;
        let Some(plan) = self.plan.sources.get(index).cloned() else {
            return Vec::new();
        };
        let mut changed = Vec::new();
        self.validate(&mut observation);
        let source = &mut self.sources[index];
        let is_good = !matches!(observation.outcome, FetchOutcome::Failed { .. });
        let interval = plan.interval(source.health.server_wait);
        let longest = interval.saturating_mul(limits::ANSWERING_INTERVALS);
        source
            .response_count
            .record(observation.at.mono, is_good, longest);
        match &mut observation.outcome {
            FetchOutcome::Failed { .. } => {}
            FetchOutcome::Unchanged => {
                let (answers, given) = (source.responses, source.response_count.provided_now());
                for held in source.values.iter_mut().filter(|h| h.response == answers) {
                    held.renew(observation.at);
                    held.provided = given;
                }
                self.forget_absent_keys(index);
            }
            // A good answer without any of the keys: they become stale, and may be forgotten.
            FetchOutcome::Empty => {
                source.responses += 1;
                self.forget_absent_keys(index);
            }
            FetchOutcome::Readings {
                observed,
                readings,
                issues,
            } => {
                let followed = observation.upstream.clone();
                source.upstream = followed.clone();
                source.responses += 1;
                source.over_source_limit = OmittedRecords::default();
                source.over_total_limit = OmittedRecords::default();
                let (answer, given) = (source.responses, source.response_count.provided_now());
                let accepted = std::mem::take(readings);
                // Before anything new asks for a place, what the answer holds keeps its own.
                self.mark_provided(index, &accepted, issues);
                self.forget_absent_keys(index);
                for reading in accepted {
                    let key = reading.key.clone();
                    let told = followed
                        .as_ref()
                        .and_then(|it| it.records.get(&key))
                        .copied();
                    let own = told.map(|told| told.observed).or(*observed);
                    let held = LastValue {
                        key: reading.key,
                        value: reading.value,
                        unit: reading.unit,
                        stamp: Stamp::received(observation.at, own),
                        upstream: told.map(|told| UpstreamStaleness {
                            stale: told.stale,
                            received: Stamp::received(observation.at, None),
                        }),
                        response: answer,
                        provided: given,
                    };
                    if self.set_value(index, held) {
                        changed.push(key);
                    }
                }
                let source = &self.sources[index];
                let of_source = match plan.is_upstream_node {
                    true => RecordLimit::PerUpstreamNode,
                    false => RecordLimit::PerSource,
                };
                issues.extend(source.over_source_limit.issue(of_source));
                issues.extend(source.over_total_limit.issue(RecordLimit::Total));
            }
        }
        self.sources[index].health.record(&observation);
        changed
            .into_iter()
            .filter_map(|key| self.row_to_store(key, &plan.name, observation.at))
            .collect()
    }

    pub fn source_name(&self, source: usize) -> &str {
        self.plan.sources.get(source).map_or("", |it| &it.name)
    }

    /// Why keys of a source's newest answer are not published, if any are not.
    pub fn conflict(&self, source: usize) -> Option<&Arc<str>> {
        self.sources.get(source)?.conflict.as_ref()
    }

    fn merge_rule(&self, key: &str) -> Option<Merge> {
        self.plan.keys.get(key).and_then(|key| key.merge)
    }

    /// Holds what was read; false if there was no room for it.
    fn set_value(&mut self, index: usize, mut new: LastValue) -> bool {
        let source = &mut self.sources[index];
        if let Some(held) = source.values.iter_mut().find(|held| held.key == new.key) {
            // The same observation delivered again renews no age.
            if held.stamp.is_same_observation(&new.stamp) {
                new.stamp = held.stamp;
            }
            *held = new;
            return true;
        }
        if let Some(limit) = self.limit_reached(index)
            && !self.evict_for(index, &new.key, limit)
        {
            let source = &mut self.sources[index];
            match limit {
                RecordLimit::PerSource | RecordLimit::PerUpstreamNode => {
                    source.over_source_limit.add(|| new.key.to_string())
                }
                RecordLimit::Total => source.over_total_limit.add(|| new.key.to_string()),
            }
            return false;
        }
        self.insert_ordered(index, new);
        true
    }

    /// Puts a new key where its source's records are listed: picks in their order, leaves by
    /// name, so that the order does not depend on when a key first appeared.
    fn insert_ordered(&mut self, index: usize, held: LastValue) {
        let position_of = |key: &str| match &self.plan.sources[index].selection {
            Selection::Selectors(picks) => picks.iter().position(|pick| pick.selects_key(key)),
            Selection::AllLeaves { .. } => None,
        };
        let rank = (position_of(&held.key), held.key.clone());
        if self.forgotten.contains(&held.key) {
            Arc::make_mut(&mut self.forgotten).remove(&held.key);
            self.forgotten_order.retain(|key| *key != held.key);
        }
        let list = &mut self.sources[index].values;
        let at = list.partition_point(|other| (position_of(&other.key), other.key.clone()) < rank);
        list.insert(at, held);
    }

    /// The row that this change of `key` makes, unless it repeats what is stored.
    fn row_to_store(&mut self, key: Arc<str>, source: &Arc<str>, now: Moment) -> Option<RecordRow> {
        let givers = self.providers(&key);
        let standing = self.current_value(&key, &givers, now)?;
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
        })
    }

    /// Positions (source, place in its list) that hold `key`, in the configuration's order.
    fn providers(&self, key: &str) -> Vec<(usize, usize)> {
        let mut givers = Vec::new();
        for (index, source) in self.sources.iter().enumerate() {
            if let Some(place) = source.values.iter().position(|held| &*held.key == key) {
                givers.push((index, place));
            }
        }
        givers
    }

    fn current_value(
        &self,
        key: &str,
        givers: &[(usize, usize)],
        now: Moment,
    ) -> Option<CurrentValue> {
        let held = |giver: usize| {
            let (index, place) = givers[giver];
            &self.sources[index].values[place]
        };
        let contributions: Vec<Contribution> = givers
            .iter()
            .enumerate()
            .map(|(giver, (index, _))| {
                let held = held(giver);
                Contribution {
                    value: &held.value,
                    observed: held.stamp.observed,
                    stale: held.is_stale(self.stale_after(key, *index), now),
                }
            })
            .collect();
        let rule = self.merge_rule(key).unwrap_or(Merge::Priority);
        let merged = merge(rule, &contributions)?;
        let newest = held(merged.contributors[0]);
        let unit = self.plan.keys.get(key).and_then(|key| key.unit.clone());
        let unit = unit.or_else(|| newest.unit.clone());
        let stale_after = self.stale_after(key, givers[merged.contributors[0]].0);
        Some(CurrentValue {
            unit,
            stamp: newest.stamp,
            stale: newest.is_stale(stale_after, now),
            stale_after,
            merged,
        })
    }

    fn upstream_nodes(&self) -> impl Iterator<Item = &UpstreamNode> {
        self.sources
            .iter()
            .filter_map(|source| source.upstream.as_deref())
    }

    /// The nodes that some of the data came through.
    fn via(&self) -> Vec<Arc<str>> {
        let mut via: Vec<Arc<str>> = Vec::new();
        for node in self.upstream_nodes().flat_map(|followed| &followed.via) {
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
                let ordered = self.sources[source].health.server_wait;
                self.plan.sources[source].default_stale_after(ordered)
            })
    }

    /// Corrects stamps made under a clock that could not be believed, once it can. Rows that
    /// were handed to the store settle there by the same rule.
    pub fn fix_timestamps(&mut self, now: Moment) {
        let now = self.clock_filter.correct(now);
        if !now.trust.is_trusted() {
            return;
        }
        for source in &mut self.sources {
            for held in &mut source.values {
                let before = held.stamp.observed;
                held.stamp.correct_if_ahead(now);
                held.stamp.apply_trusted_clock(now);
                if held.stamp.observed == before {
                    continue;
                }
                // The row that waits in the store settles alike: its identity moves along.
                if let Some((second, _)) = self.stored.get_mut(&held.key)
                    && *second == before.second()
                {
                    *second = held.stamp.observed.second();
                }
            }
        }
    }

    /// The state of everything at `now`; alerts are judged from it by `alert`.
    pub fn snapshot(&self, now: Moment) -> Snapshot {
        let mut givers: BTreeMap<&str, Vec<(usize, usize)>> = BTreeMap::new();
        let mut order: Vec<&Arc<str>> = Vec::new();
        for (index, source) in self.sources.iter().enumerate() {
            for (place, held) in source.values.iter().enumerate() {
                let of_key = givers.entry(&held.key).or_default();
                if of_key.is_empty() {
                    order.push(&held.key);
                }
                of_key.push((index, place));
            }
        }
        let mut changes_at = None;
        let mut records = Vec::with_capacity(order.len());
        for key in order {
            let givers = &givers[&**key];
            for (index, place) in givers {
                let held = &self.sources[*index].values[*place];
                let turns = held.stale_at(self.stale_after(key, *index), now);
                changes_at = changes_at.into_iter().chain(turns).min();
            }
            let Some(standing) = self.current_value(key, givers, now) else {
                continue;
            };
            let name = |giver: &usize| self.plan.sources[givers[*giver].0].name.clone();
            records.push(Record {
                key: key.clone(),
                stale: standing.stale,
                stamp: standing.stamp,
                stale_after: standing.stale_after,
                unit: standing.unit,
                sources: standing.merged.contributors.iter().map(name).collect(),
                value: standing.merged.value,
            });
        }
        let mut not_given = Vec::new();
        let has_answered = |source: &SourceLedger| source.health.last_success.is_some();
        if self.sources.iter().all(has_answered) {
            let expected = self.plan.expected_keys().into_iter();
            let missing = expected
                .filter(|key| !givers.contains_key(&***key))
                .cloned();
            not_given.extend(missing);
        }
        let sources = self.plan.sources.iter().zip(&self.sources);
        Snapshot {
            missing_keys: not_given,
            at: now,
            records,
            sources: sources
                .map(|(plan, source)| SourceSnapshot {
                    name: plan.name.clone(),
                    target: plan.target.clone(),
                    summary: plan.summary.clone(),
                    description: plan.description.clone(),
                    every: plan.every,
                    interval: plan.interval(source.health.server_wait),
                    attribution: plan.attribution.clone(),
                    keys: source.values.len(),
                    conflict: source.conflict.clone(),
                    health: source.health.clone(),
                })
                .collect(),
            alerts: Vec::new(),
            alert: self.upstream_nodes().find_map(|it| it.alert.clone()),
            via: self.via(),
            forgotten: self.forgotten.clone(),
            omitted: {
                let sources = self.sources.iter();
                sources
                    .map(|it| it.over_source_limit.count + it.over_total_limit.count)
                    .sum()
            },
            omitted_by_total_limit: self
                .sources
                .iter()
                .map(|it| it.over_total_limit.count)
                .sum(),
            changes_at,
        }
    }
}

#[cfg(test)]
#[path = "tests/ledger_forgetting.rs"]
mod forgetting_tests;
#[cfg(test)]
#[path = "tests/ledger.rs"]
mod tests;
