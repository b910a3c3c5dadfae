//! What every source last said, and what follows from it: the rows to store and the
//! snapshot to publish.
//!
//! Owned by the `ingest` thread, which alone changes it. It decides identity: which
//! observations are new, which only repeat.

mod held;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use self::held::{Held, There};
use super::course::Course;
use super::freshness::Stamp;
use super::health::SourceHealth;
use super::merge::{Contribution, Merged, merge};
use super::plan::{Merge, Plan, Selection};
use super::reading::{Followed, Issue, Observation, Outcome, Reading, Reason, Value};
use super::snapshot::{Record, Snapshot, Source};
use super::time::Moment;
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
mod tests;
