//! What every source last said, and what follows from it: the rows to store and the
//! snapshot to publish.
//!
//! Owned by the `ingest` thread, which alone changes it. It decides identity: which
//! observations are new, which only repeat.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::course::Course;
use super::freshness::Stamp;
use super::health::SourceHealth;
use super::merge::{Contribution, Merged, merge};
use super::plan::{Merge, Plan, Selection};
use super::reading::{Followed, Issue, Observation, Outcome, Reading, Reason, Value};
use super::snapshot::{Record, Snapshot, Source};
use super::time::{Moment, Mono};
use crate::limits;

/// The state of all sources.
pub struct Ledger {
    plan: Arc<Plan>,
    sources: Vec<SourceLedger>,
    /// Identity of what was last handed to the store, by key.
    stored: BTreeMap<Arc<str>, (i64, Value)>,
    /// Ages and stamps go by it.
    course: Course,
}

#[derive(Default)]
struct SourceLedger {
    health: SourceHealth,
    /// In the order in which records are listed.
    held: Vec<Held>,
    /// Counts whole answers: what the newest one did not hold is not renewed by a 304.
    answers: u64,
    /// Records of this source that the bound on all records leaves out.
    left_out: usize,
    /// What the newest answer said of itself, where the source is another main-node.
    followed: Option<Arc<Followed>>,
}

struct Held {
    key: Arc<str>,
    value: Value,
    unit: Option<Arc<str>>,
    stamp: Stamp,
    /// What a followed node said of it last.
    there: Option<There>,
    answer: u64,
}

/// A followed node's word on a value's staleness stands, for it knows its source; but only
/// for as long as it goes on saying so.
#[derive(Clone, Copy)]
struct There {
    stale: bool,
    heard: Stamp,
}

impl Held {
    fn is_stale(&self, stale_after: Duration, now: Moment) -> bool {
        match self.there {
            Some(there) => there.stale || there.heard.is_stale(stale_after, now),
            None => self.stamp.is_stale(stale_after, now),
        }
    }

    fn turns_stale_at(&self, stale_after: Duration, now: Moment) -> Option<Mono> {
        match self.there {
            Some(there) if there.stale => None,
            Some(there) => there.heard.turns_stale_at(stale_after, now),
            None => self.stamp.turns_stale_at(stale_after, now),
        }
    }

    /// The source says that what it said last still holds.
    fn renew(&mut self, receipt: Moment) {
        self.stamp.renew(receipt);
        if let Some(there) = &mut self.there {
            there.heard = Stamp::received(receipt, None);
        }
    }
}

/// A merged value to be stored: one row of `records`.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub key: Arc<str>,
    pub value: Value,
    pub unit: Option<Arc<str>>,
    /// The source whose observation this is.
    pub source: Arc<str>,
    pub stamp: Stamp,
}

/// The value that stands for a key.
struct Standing {
    merged: Merged,
    stamp: Stamp,
    unit: Option<Arc<str>>,
    stale: bool,
    stale_after: Duration,
}

/// A key's newest row, read back from the database at start.
#[derive(Debug, Clone, PartialEq)]
pub struct Restored {
    pub key: Arc<str>,
    pub value: Value,
    pub unit: Option<Arc<str>>,
    pub source: Arc<str>,
    pub stamp: Stamp,
}

impl Ledger {
    pub fn new(plan: Arc<Plan>) -> Ledger {
        let sources = plan.sources.iter().map(|_| SourceLedger::default());
        Ledger {
            sources: sources.collect(),
            plan,
            stored: BTreeMap::new(),
            course: Course::default(),
        }
    }

    /// Takes back what the last run stored. What no source of the plan gives any more is
    /// not shown; it stays in the database.
    pub fn restore(&mut self, rows: Vec<Restored>) {
        for row in rows {
            let Some(source) = self.giver(&row) else {
                continue;
            };
            self.stored.insert(
                row.key.clone(),
                (row.stamp.observed.second(), row.value.clone()),
            );
            let held = Held {
                key: row.key,
                value: row.value,
                unit: row.unit,
                stamp: row.stamp,
                there: None,
                answer: 0,
            };
            self.place(source, held);
        }
    }

    /// The source that a restored row belongs to now: the one that stored it, if it still
    /// selects the key, else the first that does.
    fn giver(&self, row: &Restored) -> Option<usize> {
        let selects = |index: &usize| match &self.plan.sources[*index].selection {
            Selection::AllLeaves { .. } => self.plan.sources[*index].name == row.source,
            Selection::Picks(picks) => picks.iter().any(|pick| pick.gives(&row.key)),
        };
        let mut candidates = (0..self.plan.sources.len()).filter(selects);
        let first = candidates.clone().next();
        candidates
            .find(|index| self.plan.sources[*index].name == row.source)
            .or(first)
    }

    /// A wait that a server ordered in an earlier run and that is not over.
    pub fn expect_wait(&mut self, source: usize, wait: Duration) {
        self.sources[source].health.ordered_wait = wait;
    }

    /// Takes one observation into account and returns the rows to store.
    pub fn apply(&mut self, mut observation: Observation) -> Vec<Row> {
        observation.at = self.course.steer(observation.at);
        let index = observation.source;
        let Some(plan) = self.plan.sources.get(index).cloned() else {
            return Vec::new();
        };
        let mut changed = Vec::new();
        match &mut observation.outcome {
            Outcome::Failed { .. } => {}
            Outcome::Unchanged => {
                let source = &mut self.sources[index];
                let answers = source.answers;
                for held in source.held.iter_mut().filter(|h| h.answer == answers) {
                    held.renew(observation.at);
                }
            }
            Outcome::Readings {
                observed,
                readings,
                issues,
            } => {
                let followed = observation.followed.clone();
                let source = &mut self.sources[index];
                source.followed = followed.clone();
                source.answers += 1;
                source.left_out = 0;
                let answer = source.answers;
                for reading in std::mem::take(readings) {
                    if self.is_given_by_another(&reading, index) {
                        issues.push(duplicate(&reading));
                        continue;
                    }
                    let key = reading.key.clone();
                    let told = followed.as_ref().and_then(|it| it.told.get(&key)).copied();
                    let own = told.map(|told| told.observed).or(*observed);
                    let held = Held {
                        key: reading.key,
                        value: reading.value,
                        unit: reading.unit,
                        stamp: Stamp::received(observation.at, own),
                        there: told.map(|told| There {
                            stale: told.stale,
                            heard: Stamp::received(observation.at, None),
                        }),
                        answer,
                    };
                    if self.take(index, held) {
                        changed.push(key);
                    }
                }
                let left_out = self.sources[index].left_out;
                if left_out > 0 {
                    issues.push(too_many(left_out));
                }
            }
        }
        self.sources[index].health.record(&observation);
        changed
            .into_iter()
            .filter_map(|key| self.row_to_store(key, &plan.name, observation.at))
            .collect()
    }

    /// Whether a source configured before this one gives the key too, and nothing says how
    /// to merge them.
    fn is_given_by_another(&self, reading: &Reading, index: usize) -> bool {
        self.merge_rule(&reading.key).is_none()
            && self.sources[..index]
                .iter()
                .any(|source| source.held.iter().any(|held| held.key == reading.key))
    }

    fn merge_rule(&self, key: &str) -> Option<Merge> {
        self.plan.keys.get(key).and_then(|key| key.merge)
    }

    /// Holds what was read; false if there was no room for it.
    fn take(&mut self, index: usize, mut new: Held) -> bool {
        let source = &mut self.sources[index];
        if let Some(held) = source.held.iter_mut().find(|held| held.key == new.key) {
            // The same observation delivered again renews no age.
            let (old, same) = (held.stamp, held.stamp.observed == new.stamp.observed);
            if same && old.own_time && new.stamp.own_time {
                new.stamp = old;
            }
            *held = new;
            return true;
        }
        let in_all: usize = self.sources.iter().map(|source| source.held.len()).sum();
        let source = &mut self.sources[index];
        if source.held.len() >= limits::RECORDS_PER_SOURCE || in_all >= limits::RECORDS_IN_ALL {
            source.left_out += 1;
            return false;
        }
        self.place(index, new);
        true
    }

    /// Puts a new key where its source's records are listed: picks in their order, leaves by
    /// name, so that the order does not depend on when a key first appeared.
    fn place(&mut self, index: usize, held: Held) {
        let position_of = |key: &str| match &self.plan.sources[index].selection {
            Selection::Picks(picks) => picks.iter().position(|pick| pick.gives(key)),
            Selection::AllLeaves { .. } => None,
        };
        let rank = (position_of(&held.key), held.key.clone());
        let list = &mut self.sources[index].held;
        let at = list.partition_point(|other| (position_of(&other.key), other.key.clone()) < rank);
        list.insert(at, held);
    }

    /// The row that this change of `key` makes, unless it repeats what is stored.
    fn row_to_store(&mut self, key: Arc<str>, source: &Arc<str>, now: Moment) -> Option<Row> {
        let givers = self.givers(&key);
        let standing = self.standing(&key, &givers, now)?;
        let value = standing.merged.value;
        let identity = (standing.stamp.observed.second(), value.clone());
        if self.stored.get(&key) == Some(&identity) {
            return None;
        }
        self.stored.insert(key.clone(), identity);
        Some(Row {
            key,
            value,
            unit: standing.unit,
            source: source.clone(),
            stamp: standing.stamp,
        })
    }

    /// Positions (source, place in its list) that hold `key`, in the configuration's order.
    fn givers(&self, key: &str) -> Vec<(usize, usize)> {
        let mut givers = Vec::new();
        for (index, source) in self.sources.iter().enumerate() {
            if let Some(place) = source.held.iter().position(|held| &*held.key == key) {
                givers.push((index, place));
            }
        }
        givers
    }

    fn standing(&self, key: &str, givers: &[(usize, usize)], now: Moment) -> Option<Standing> {
        let held = |giver: usize| {
            let (index, place) = givers[giver];
            &self.sources[index].held[place]
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
        let newest = held(merged.from[0]);
        let unit = self.plan.keys.get(key).and_then(|key| key.unit.clone());
        let unit = unit.or_else(|| newest.unit.clone());
        let stale_after = self.stale_after(key, givers[merged.from[0]].0);
        Some(Standing {
            unit,
            stamp: newest.stamp,
            stale: newest.is_stale(stale_after, now),
            stale_after,
            merged,
        })
    }

    fn followed(&self) -> impl Iterator<Item = &Followed> {
        self.sources
            .iter()
            .filter_map(|source| source.followed.as_deref())
    }

    /// The nodes that some of the data came through.
    fn via(&self) -> Vec<Arc<str>> {
        let mut via: Vec<Arc<str>> = Vec::new();
        for node in self.followed().flat_map(|followed| &followed.via) {
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
                let ordered = self.sources[source].health.ordered_wait;
                self.plan.sources[source].goes_stale_after(ordered)
            })
    }

    /// Corrects stamps made under a clock that could not be believed, once it can. Rows that
    /// were handed to the store settle there by the same rule.
    pub fn settle(&mut self, now: Moment) {
        let now = self.course.steer(now);
        if !now.trust.is_trusted() {
            return;
        }
        for source in &mut self.sources {
            for held in &mut source.held {
                let before = held.stamp.observed;
                held.stamp.settle(now);
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
            for (place, held) in source.held.iter().enumerate() {
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
                let held = &self.sources[*index].held[*place];
                let turns = held.turns_stale_at(self.stale_after(key, *index), now);
                changes_at = changes_at.into_iter().chain(turns).min();
            }
            let Some(standing) = self.standing(key, givers, now) else {
                continue;
            };
            let name = |giver: &usize| self.plan.sources[givers[*giver].0].name.clone();
            records.push(Record {
                key: key.clone(),
                stale: standing.stale,
                stamp: standing.stamp,
                stale_after: standing.stale_after,
                unit: standing.unit,
                sources: standing.merged.from.iter().map(name).collect(),
                value: standing.merged.value,
            });
        }
        let sources = self.plan.sources.iter().zip(&self.sources);
        Snapshot {
            at: now,
            records,
            sources: sources
                .map(|(plan, source)| Source {
                    name: plan.name.clone(),
                    calls: plan.calls.clone(),
                    summary: plan.summary.clone(),
                    description: plan.description.clone(),
                    every: plan.every,
                    interval: plan.interval(source.health.ordered_wait),
                    attribution: plan.attribution.clone(),
                    keys: source.held.len(),
                    health: source.health.clone(),
                })
                .collect(),
            alerts: Vec::new(),
            alert: self.followed().find_map(|it| it.alert.clone()),
            via: self.via(),
            left_out: self.sources.iter().map(|source| source.left_out).sum(),
            changes_at,
        }
    }
}

fn duplicate(reading: &Reading) -> Issue {
    Issue {
        reason: Reason::DuplicateKey,
        key: Some(reading.key.clone()),
        pointer: String::new(),
        expected: format!(
            "one source for this key, or a [key.{:?}] with merge = …",
            reading.key
        ),
        found: "a source configured before gives it too".to_owned(),
    }
}

fn too_many(left_out: usize) -> Issue {
    Issue {
        reason: Reason::TooMany,
        key: None,
        pointer: String::new(),
        expected: format!(
            "at most {} records of a source and {} in all; name those you want in \
             [source.records]",
            limits::RECORDS_PER_SOURCE,
            limits::RECORDS_IN_ALL
        ),
        found: format!("{left_out} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::health::{Cause, Failure};
    use crate::domain::plan::{KeyPlan, Pick, test_plan};
    use crate::domain::reading::Told;
    use crate::domain::time::{Trust, Wall};

    const T0: i64 = 1_761_854_400;

    fn at(second: u64) -> Moment {
        Moment {
            mono: Mono(second * 1000),
            wall: Wall((T0 + second as i64) * 1000),
            trust: Trust::Trusted,
        }
    }

    fn observation(source: usize, second: u64, outcome: Outcome) -> Observation {
        Observation {
            source,
            at: at(second),
            duration: Duration::from_millis(5),
            bytes: 1,
            outcome,
            next_in: Duration::from_secs(60),
            ordered: Duration::ZERO,
            followed: None,
        }
    }

    fn readings(own: Option<i64>, pairs: &[(&str, f64)]) -> Outcome {
        let reading = |(key, value): &(&str, f64)| Reading {
            key: (*key).into(),
            value: Value::Number(*value),
            unit: None,
        };
        Outcome::Readings {
            observed: own.map(|second| Wall::from_second(T0 + second)),
            readings: pairs.iter().map(reading).collect(),
            issues: Vec::new(),
        }
    }

    fn ledger(sources: usize) -> Ledger {
        Ledger::new(Arc::new(test_plan(sources, Duration::from_secs(60))))
    }

    fn merging(sources: usize, key: &str, how: Merge) -> Ledger {
        let mut plan = test_plan(sources, Duration::from_secs(60));
        let key_plan = KeyPlan {
            merge: Some(how),
            ..KeyPlan::default()
        };
        plan.keys.insert(key.into(), key_plan);
        Ledger::new(Arc::new(plan))
    }

    fn values(snapshot: &Snapshot) -> Vec<String> {
        let line = |record: &Record| {
            let stale = if record.stale { " stale" } else { "" };
            format!("{} {}{stale}", record.key, record.value)
        };
        snapshot.records.iter().map(line).collect()
    }

    #[test]
    fn without_a_time_of_its_own_each_answer_is_a_new_row() {
        let mut ledger = ledger(1);
        for second in [1, 2] {
            let rows = ledger.apply(observation(0, second, readings(None, &[("t", 1.0)])));
            assert_eq!(rows.len(), 1);
        }
    }

    #[test]
    fn the_same_observation_is_stored_once_and_a_correction_again() {
        let mut ledger = ledger(1);
        let mut rows = |second, own, value| {
            let outcome = readings(Some(own), &[("t", value)]);
            ledger.apply(observation(0, second, outcome)).len()
        };
        assert_eq!(rows(10, 0, 1.0), 1, "new");
        assert_eq!(rows(20, 0, 1.0), 0, "the same");
        assert_eq!(rows(30, 0, 2.0), 1, "corrected");
        assert_eq!(rows(40, 30, 2.0), 1, "an equal value observed anew");
    }

    #[test]
    fn the_same_observation_renews_no_age() {
        let mut ledger = ledger(1);
        for second in [10, 100, 170] {
            ledger.apply(observation(0, second, readings(Some(5), &[("t", 1.0)])));
        }
        assert_eq!(values(&ledger.snapshot(at(185))), ["t 1"]);
        assert_eq!(values(&ledger.snapshot(at(186))), ["t 1 stale"]);
    }

    #[test]
    fn a_304_renews_what_the_last_answer_held_and_stores_nothing() {
        let mut ledger = ledger(1);
        ledger.apply(observation(
            0,
            0,
            readings(None, &[("gone", 1.0), ("t", 1.0)]),
        ));
        ledger.apply(observation(0, 60, readings(None, &[("t", 1.0)])));
        assert!(
            ledger
                .apply(observation(0, 150, Outcome::Unchanged))
                .is_empty()
        );
        assert_eq!(values(&ledger.snapshot(at(300))), ["gone 1 stale", "t 1"]);
    }

    #[test]
    fn a_failure_keeps_what_is_known_until_it_is_stale() {
        let mut ledger = ledger(1);
        ledger.apply(observation(0, 0, readings(None, &[("t", 1.0)])));
        let failed = Outcome::Failed {
            failure: Failure::new(Cause::Timeout, "too slow."),
            issues: Vec::new(),
        };
        ledger.apply(observation(0, 60, failed));
        let snapshot = ledger.snapshot(at(60));
        assert_eq!(values(&snapshot), ["t 1"]);
        assert_eq!(snapshot.changes_at, Some(Mono(180_001)));
        assert_eq!(snapshot.sources[0].health.failures[&Cause::Timeout], 1);
        assert_eq!(values(&ledger.snapshot(at(181))), ["t 1 stale"]);
    }

    #[test]
    fn of_two_sources_with_one_key_and_no_rule_the_first_configured_wins() {
        let mut ledger = ledger(2);
        ledger.apply(observation(1, 1, readings(None, &[("t", 2.0)])));
        ledger.apply(observation(0, 2, readings(None, &[("t", 1.0)])));
        let rows = ledger.apply(observation(1, 3, readings(None, &[("t", 2.0)])));
        assert!(rows.is_empty());
        let snapshot = ledger.snapshot(at(3));
        assert_eq!(values(&snapshot), ["t 1"]);
        let rejected = &snapshot.sources[1].health.rejected;
        assert_eq!(rejected[&Reason::DuplicateKey], 1);
    }

    #[test]
    fn a_source_that_dies_leaves_the_merge_when_it_is_stale() {
        let mut ledger = merging(2, "t", Merge::Mean);
        ledger.apply(observation(0, 0, readings(None, &[("t", 1.0)])));
        let rows = ledger.apply(observation(1, 100, readings(None, &[("t", 2.0)])));
        assert_eq!(rows[0].value, Value::Number(1.5));
        let both = ledger.snapshot(at(100));
        assert_eq!(both.records[0].sources.len(), 2);
        let alone = ledger.snapshot(at(181));
        assert_eq!(values(&alone), ["t 2"]);
        assert_eq!(*alone.records[0].sources, ["source1".into()]);
    }

    #[test]
    fn records_stand_in_the_configurations_order() {
        let mut plan = test_plan(2, Duration::from_secs(60));
        let pick = |key: &str| Pick::new(key, format!("/{key}"));
        plan.sources[1].selection = Selection::Picks(vec![pick("z"), pick("a")]);
        let mut ledger = Ledger::new(Arc::new(plan));
        ledger.apply(observation(1, 0, readings(None, &[("a", 1.0), ("z", 2.0)])));
        ledger.apply(observation(0, 0, readings(None, &[("m", 3.0)])));
        ledger.apply(observation(0, 1, readings(None, &[("b", 4.0), ("m", 3.0)])));
        assert_eq!(
            values(&ledger.snapshot(at(1))),
            ["b 4", "m 3", "z 2", "a 1"]
        );
    }

    #[test]
    fn restored_records_are_shown_at_once_and_stale_until_their_age_is_known() {
        let mut ledger = ledger(1);
        let restored = |key: &str, source: &str| Restored {
            key: key.into(),
            value: Value::Number(7.0),
            unit: None,
            source: source.into(),
            stamp: Stamp::restored(Wall::from_second(T0), false),
        };
        ledger.restore(vec![restored("t", "source0"), restored("old", "removed")]);
        let untrusted = Moment {
            trust: Trust::Untrusted,
            ..at(10)
        };
        assert_eq!(values(&ledger.snapshot(untrusted)), ["t 7 stale"]);
        ledger.settle(at(20));
        assert_eq!(values(&ledger.snapshot(at(20))), ["t 7"]);
        let rows = ledger.apply(observation(0, 30, readings(Some(0), &[("t", 7.0)])));
        assert!(
            rows.is_empty(),
            "the observation that was stored before the restart"
        );
    }

    #[test]
    fn a_followed_nodes_word_on_time_staleness_and_alerts_stands() {
        let mut ledger = ledger(1);
        let told = |second, stale| Told {
            observed: Wall::from_second(T0 + second),
            stale,
        };
        let mut followed = observation(0, 100, readings(None, &[("a", 1.0), ("b", 2.0)]));
        followed.followed = Some(Arc::new(Followed {
            node: "cellar".into(),
            via: vec!["cellar".into()],
            alert: Some("pump: no data".into()),
            told: [
                ("a".into(), told(-9000, false)),
                ("b".into(), told(95, true)),
            ]
            .into(),
        }));
        let rows = ledger.apply(followed);
        assert_eq!(rows[0].stamp.observed, Wall::from_second(T0 - 9000));
        let snapshot = ledger.snapshot(at(100));
        assert_eq!(values(&snapshot), ["a 1", "b 2 stale"]);
        assert_eq!(snapshot.alert.as_deref(), Some("pump: no data"));
        assert_eq!(snapshot.via, ["cellar".into()]);
        ledger.apply(observation(0, 200, Outcome::Unchanged));
        assert_eq!(
            values(&ledger.snapshot(at(380))),
            ["a 1", "b 2 stale"],
            "it still says so"
        );
        assert_eq!(
            values(&ledger.snapshot(at(381))),
            ["a 1 stale", "b 2 stale"],
            "silent"
        );
    }

    #[test]
    fn whoever_waits_as_the_server_ordered_is_not_stale_for_it() {
        let mut plan = test_plan(2, Duration::from_secs(60));
        plan.sources[1].stale_after = Some(Duration::from_secs(300));
        let mut ledger = Ledger::new(Arc::new(plan));
        for (source, key) in [(0, "a"), (1, "b")] {
            ledger.apply(observation(source, 0, readings(None, &[(key, 1.0)])));
            let failure = Failure::new(Cause::RateLimited, "asked too often");
            let issues = Vec::new();
            let mut busy = observation(source, 60, Outcome::Failed { failure, issues });
            busy.ordered = Duration::from_secs(7_200);
            ledger.apply(busy);
        }
        let snapshot = ledger.snapshot(at(3 * 7_200));
        assert_eq!(
            values(&snapshot),
            ["a 1", "b 1 stale"],
            "what the configuration says, stands"
        );
        assert_eq!(snapshot.sources[0].interval, Duration::from_secs(7_200));
        assert_eq!(values(&ledger.snapshot(at(3 * 7_200 + 1)))[0], "a 1 stale");
        // The next answer orders nothing: the old interval rules again.
        ledger.apply(observation(0, 30_000, readings(None, &[("a", 2.0)])));
        assert_eq!(values(&ledger.snapshot(at(30_180)))[0], "a 2");
        assert_eq!(values(&ledger.snapshot(at(30_181)))[0], "a 2 stale");
        // A wait that outlived a restart counts until the first answer.
        ledger.expect_wait(0, Duration::from_secs(600));
        assert_eq!(values(&ledger.snapshot(at(31_800)))[0], "a 2");
    }

    #[test]
    fn what_is_too_much_is_counted() {
        let mut ledger = ledger(9);
        let names: Vec<String> = (0..limits::RECORDS_PER_SOURCE)
            .map(|n| n.to_string())
            .collect();
        for source in 0..9 {
            let keys: Vec<String> = names
                .iter()
                .map(|name| format!("{source}.{name}"))
                .collect();
            let pairs: Vec<(&str, f64)> = keys.iter().map(|key| (key.as_str(), 1.0)).collect();
            ledger.apply(observation(source, 1, readings(None, &pairs)));
        }
        let snapshot = ledger.snapshot(at(1));
        assert_eq!(snapshot.records.len(), limits::RECORDS_IN_ALL);
        assert_eq!(snapshot.left_out, 9 * 256 - 2000);
        assert_eq!(snapshot.sources[8].health.rejected[&Reason::TooMany], 1);
    }
}
