//! Derived keys: their values, and the rows that follow.
//!
//! A part of the ledger, on its thread. A derived key is computed when an input changed. Its time
//! is that of the newest input, from when on the value holds; it is as stale as the stalest.

use std::sync::Arc;
use std::time::Duration;

use super::{Ledger, RecordRow, RestoredRecord};
use crate::domain::derived_key::{DERIVED_SOURCE, DerivedKey, DerivedRule};
use crate::domain::formula::Formula;
use crate::domain::freshness::Stamp;
use crate::domain::reading::{Issue, Reason, Value};
use crate::domain::snapshot::{DerivedSnapshot, Record};
use crate::domain::text::ellipsis;
use crate::domain::time::{Moment, Mono};
use crate::domain::toml_text::quoted;
use crate::limits;

/// The last value of one derived key.
#[derive(Default)]
pub(super) struct DerivedValue {
    last: Option<(Value, Stamp)>,
    /// The inputs that it was computed from, each with the second of its row; none where that is
    /// unknown.
    basis: Vec<(Option<i64>, Value)>,
    /// Why it has no value now.
    issue: Option<Issue>,
}

/// The current value of a key, of a source or derived, as an input.
#[derive(Clone)]
struct InputValue {
    value: Value,
    /// The second of its newest row: a response that only confirms it makes none.
    row: Option<i64>,
    stamp: Stamp,
    /// Of the oldest observation in it.
    oldest: Stamp,
    stale: bool,
    stale_after: Duration,
    sources: Vec<Arc<str>>,
}

/// How stale a derived key is by its inputs.
struct Staleness {
    stale: bool,
    stale_after: Duration,
    oldest: Option<Stamp>,
}

impl Ledger {
    /// Computes the derived keys whose inputs changed and returns the rows to store.
    pub fn derive(&mut self, now: Moment) -> Vec<RecordRow> {
        if self.derived.is_empty() {
            return Vec::new();
        }
        let plan = self.plan.clone();
        let mut known = self.no_derived_inputs();
        let mut rows = Vec::new();
        for index in plan.derived.order() {
            let Some(key) = plan.derived.get(*index) else {
                continue;
            };
            let inputs = self.inputs_of(key, &known, now);
            if self.compute(*index, key, &inputs, now) {
                rows.extend(self.derived_row(*index, key));
            }
            known[*index] = self.derived_input(*index, key, &inputs, now);
        }
        rows
    }

    /// Computes one key; whether it has a new value that is not stale.
    fn compute(
        &mut self,
        index: usize,
        key: &DerivedKey,
        inputs: &[Option<InputValue>],
        now: Moment,
    ) -> bool {
        let has_all_answered = self.have_all_answered();
        let state = &mut self.derived[index];
        let is_stale = staleness(key, inputs, now).stale;
        let present = || inputs.iter().flatten();
        // Among equally new ones the first.
        let stamps = present().map(|input| input.stamp);
        let newest = stamps.reduce(|a, b| if b.observed > a.observed { b } else { a });
        let basis: Vec<_> = present()
            .map(|input| (input.row, input.value.clone()))
            .collect();
        let is_complete = basis.len() == inputs.len();
        let is_computed = state.basis.len() == basis.len() && state.last.is_some();
        if is_complete && is_computed {
            let is_same = |at: usize| state.basis[at] == basis[at];
            // What is new beside an input that is stale makes no new value.
            let waits = |at: usize| {
                let stale = inputs[at].as_ref().is_some_and(|input| input.stale);
                is_stale && stale && is_same(at)
            };
            if (0..basis.len()).all(is_same) {
                // Confirmed, and perhaps no more than that.
                if let (false, Some((_, stamp)), Some(newest)) = (is_stale, &mut state.last, newest)
                {
                    *stamp = newest;
                }
                return false;
            }
            if (0..basis.len()).any(waits) {
                return false;
            }
        }
        state.issue = None;
        let DerivedRule::Formula(formula) = &key.rule;
        match evaluate(key, formula, inputs, has_all_answered) {
            Err(issue) => {
                state.issue = Some(issue);
                state.basis.clear();
                false
            }
            Ok(value) => {
                let stamp = newest.unwrap_or_else(|| Stamp::received(now, None));
                state.last = Some((Value::Number(value), stamp));
                state.basis = basis;
                !is_stale
            }
        }
    }

    /// The row that the value of a derived key makes, unless it repeats what is stored.
    fn derived_row(&mut self, index: usize, key: &DerivedKey) -> Option<RecordRow> {
        let (value, stamp) = self.derived[index].last.clone()?;
        let identity = (stamp.observed.second(), value.clone());
        if self.stored.get(&key.key) == Some(&identity) {
            return None;
        }
        self.stored.insert(key.key.clone(), identity);
        Some(RecordRow {
            key: key.key.clone(),
            value,
            unit: self.derived_unit(key),
            source: DERIVED_SOURCE.into(),
            stamp,
            is_stated: false,
            is_element: false,
        })
    }

    /// The records of derived keys, what is wrong with them, and when one turns stale by a rule of
    /// its own.
    pub(super) fn derived_snapshot(
        &self,
        now: Moment,
    ) -> (Vec<Record>, Vec<DerivedSnapshot>, Option<Mono>) {
        let has_all_answered = self.have_all_answered();
        let mut known = self.no_derived_inputs();
        let mut records: Vec<Option<Record>> = known.iter().map(|_| None).collect();
        let mut changes_at = None;
        for index in self.plan.derived.order() {
            let Some(key) = self.plan.derived.get(*index) else {
                continue;
            };
            let inputs = self.inputs_of(key, &known, now);
            if let Some(stale_after) = key.stale_after {
                let oldest = staleness(key, &inputs, now).oldest;
                let stale_at = oldest.and_then(|it| it.stale_at(stale_after, now));
                changes_at = changes_at.into_iter().chain(stale_at).min();
            }
            known[*index] = self.derived_input(*index, key, &inputs, now);
            records[*index] = known[*index].as_ref().map(|current| Record {
                key: key.key.clone(),
                value: current.value.clone(),
                unit: self.derived_unit(key),
                stamp: current.stamp,
                stale: current.stale,
                stale_after: current.stale_after,
                sources: current.sources.clone(),
            });
        }
        let state = |(key, value): (&DerivedKey, &DerivedValue)| DerivedSnapshot {
            key: key.key.clone(),
            definition: key.definition(),
            is_waiting: !has_all_answered,
            issue: value.issue.clone(),
        };
        let states = self.plan.derived.iter().zip(&self.derived).map(state);
        (
            records.into_iter().flatten().collect(),
            states.collect(),
            changes_at,
        )
    }

    /// Takes the last value of an earlier run.
    pub(super) fn restore_derived(&mut self, index: usize, row: RestoredRecord) {
        let identity = (row.stamp.observed.second(), row.value.clone());
        self.stored.insert(row.key, identity);
        self.derived[index].last = Some((row.value, row.stamp));
    }

    /// The same corrections as for values of sources; see [`Ledger::fix_timestamps`].
    pub(super) fn fix_derived_timestamps(&mut self, now: Moment) {
        for (key, state) in self.plan.derived.iter().zip(&mut self.derived) {
            let Some((_, stamp)) = &mut state.last else {
                continue;
            };
            let before = stamp.observed;
            stamp.correct_if_ahead(now);
            stamp.apply_trusted_clock(now);
            if stamp.observed == before {
                continue;
            }
            if let Some((second, _)) = self.stored.get_mut(&key.key)
                && *second == before.second()
            {
                *second = stamp.observed.second();
            }
        }
    }

    fn no_derived_inputs(&self) -> Vec<Option<InputValue>> {
        self.plan.derived.iter().map(|_| None).collect()
    }

    /// The current values of the inputs of a derived key, of which those that are derived
    /// themselves are `known`.
    fn inputs_of(
        &self,
        key: &DerivedKey,
        known: &[Option<InputValue>],
        now: Moment,
    ) -> Vec<Option<InputValue>> {
        let inputs = key.inputs().iter();
        inputs
            .map(|input| match self.plan.derived.position(input) {
                Some(index) => known[index].clone(),
                None => self.source_input(input, now),
            })
            .collect()
    }

    fn source_input(&self, key: &str, now: Moment) -> Option<InputValue> {
        let providers = self.providers(key);
        let current = self.current_value(key, providers, now)?;
        let contributors = current.merged.contributors.iter();
        let name = |it: &usize| self.plan.sources[providers[*it]].name.clone();
        Some(InputValue {
            sources: contributors.map(name).collect(),
            value: current.merged.value,
            row: self.row_second(key),
            stamp: current.stamp,
            oldest: current.stamp,
            stale: current.stale,
            stale_after: current.stale_after,
        })
    }

    /// A derived key's own value, as an input of others.
    fn derived_input(
        &self,
        index: usize,
        key: &DerivedKey,
        inputs: &[Option<InputValue>],
        now: Moment,
    ) -> Option<InputValue> {
        let state = &self.derived[index];
        let (value, stamp) = state.last.clone()?;
        let by_inputs = staleness(key, inputs, now);
        let mut sources: Vec<Arc<str>> = Vec::new();
        for source in inputs.iter().flatten().flat_map(|input| &input.sources) {
            if !sources.contains(source) {
                sources.push(source.clone());
            }
        }
        Some(InputValue {
            value,
            row: self.row_second(&key.key),
            stamp,
            oldest: by_inputs.oldest.unwrap_or(stamp),
            stale: by_inputs.stale || state.issue.is_some(),
            stale_after: by_inputs.stale_after,
            sources,
        })
    }

    fn row_second(&self, key: &str) -> Option<i64> {
        self.stored.get(key).map(|(second, _)| *second)
    }

    fn derived_unit(&self, key: &DerivedKey) -> Option<Arc<str>> {
        let shown = self.plan.key_setting(&key.key, |it| it.unit.clone());
        shown.or_else(|| key.unit.clone())
    }
}

/// How stale a key is by `inputs`: by its own `stale_after` the oldest observation decides,
/// otherwise each input does.
fn staleness(key: &DerivedKey, inputs: &[Option<InputValue>], now: Moment) -> Staleness {
    let present = || inputs.iter().flatten();
    let oldest = present()
        .map(|input| input.oldest)
        .max_by_key(|stamp| stamp.age(now).unwrap_or(Duration::MAX));
    let is_complete = inputs.iter().all(Option::is_some);
    let (stale, stale_after) = match (key.stale_after, oldest) {
        (Some(stale_after), Some(oldest)) => (oldest.is_stale(stale_after, now), stale_after),
        _ => {
            let stale_after = present().map(|input| input.stale_after).min();
            let stale = present().any(|input| input.stale);
            (stale, stale_after.or(key.stale_after).unwrap_or_default())
        }
    };
    Staleness {
        stale: stale || !is_complete,
        stale_after,
        oldest,
    }
}

fn evaluate(
    key: &DerivedKey,
    formula: &Formula,
    inputs: &[Option<InputValue>],
    has_all_answered: bool,
) -> Result<f64, Issue> {
    let mut numbers = Vec::with_capacity(inputs.len());
    for (name, input) in key.inputs().iter().zip(inputs) {
        let Some(input) = input else {
            let found = if has_all_answered {
                "no source that gives it"
            } else {
                "none yet"
            };
            return Err(issue(
                key,
                Reason::Missing,
                format!("a value of {}", quoted(name)),
                found,
            ));
        };
        match &input.value {
            Value::Number(number) => numbers.push(*number),
            Value::Text(text) => {
                let found = format!("the text {}", quoted(&ellipsis(text, limits::SAMPLE_CHARS)));
                let expected = format!("a number of {}", quoted(name));
                return Err(issue(key, Reason::WrongType, expected, &found));
            }
        }
    }
    formula.evaluate(&numbers).map_err(|none| {
        issue(
            key,
            Reason::NotFinite,
            "a finite number".to_owned(),
            &none.to_string(),
        )
    })
}

fn issue(key: &DerivedKey, reason: Reason, expected: String, found: &str) -> Issue {
    let mut issue = Issue {
        reason,
        key: Some(key.key.clone()),
        pointer: key.definition().to_string(),
        expected,
        found: found.to_owned(),
    };
    issue.shorten();
    issue
}
