//! Derived keys: their values, and the rows that follow.
//!
//! A part of the ledger, on its thread. A derived key is computed when an input changed. Its time
//! is that of the newest input, from when on the value holds; it is as stale as the stalest.

mod formula_value;
mod inputs;
mod issues;
mod window_state;
mod window_value;

use std::sync::Arc;

use self::inputs::staleness;
use self::window_state::WindowState;
use super::{Ledger, RecordRow, RestoredRecord};
use crate::domain::derived_key::{DERIVED_SOURCE, DerivedKey, DerivedRule};
use crate::domain::freshness::Stamp;
use crate::domain::reading::{Issue, Value};
use crate::domain::snapshot::{DerivedSnapshot, Record};
use crate::domain::time::{Moment, Mono};

/// The second and the value of a stored row.
type RowIdentity = (i64, Value);

/// The last value of one derived key.
#[derive(Default)]
pub(super) struct DerivedValue {
    last: Option<(Value, Stamp)>,
    /// What follows of the unit of its input.
    unit: Option<Arc<str>>,
    /// The inputs that it was computed from, each with its newest row; none where that is unknown.
    basis: Vec<(Option<RowIdentity>, Value)>,
    /// Why it has no value now.
    issue: Option<Issue>,
    window: Option<WindowState>,
}

impl DerivedValue {
    pub fn new(key: &DerivedKey) -> DerivedValue {
        let window = match &key.rule {
            DerivedRule::Formula(_) => None,
            DerivedRule::Window(rule) => Some(WindowState::new(rule.clone())),
        };
        DerivedValue {
            window,
            ..DerivedValue::default()
        }
    }
}

impl Ledger {
    /// Computes the derived keys whose inputs changed, with the `rows` that are new, and returns the
    /// rows to store.
    pub fn derive(&mut self, now: Moment, rows: &[RecordRow]) -> Vec<RecordRow> {
        if self.derived.is_empty() {
            return Vec::new();
        }
        let now = self.clock_filter.correct(now);
        let plan = self.plan.clone();
        let mut known = self.no_derived_inputs();
        let mut derived_rows: Vec<RecordRow> = Vec::new();
        for index in plan.derived.order() {
            let Some(key) = plan.derived.get(*index) else {
                continue;
            };
            let inputs = self.inputs_of(key, &known, now);
            let new_rows = match &key.rule {
                DerivedRule::Formula(formula) => {
                    let has_row = self.compute_formula(*index, key, formula, &inputs, now);
                    let row = has_row.then(|| self.formula_row(*index, key, &inputs));
                    row.flatten().into_iter().collect()
                }
                DerivedRule::Window(rule) => {
                    let new = rows.iter().chain(&derived_rows);
                    let new: Vec<&RecordRow> = new.filter(|row| row.key == rule.input).collect();
                    self.compute_window(*index, key, rule, &inputs, &new, now)
                }
            };
            derived_rows.extend(new_rows);
            known[*index] = self.derived_input(*index, key, &inputs, now);
        }
        self.extend_day_ranges(&derived_rows);
        derived_rows
    }

    fn derived_row(&self, index: usize, key: &DerivedKey, value: Value, stamp: Stamp) -> RecordRow {
        RecordRow {
            key: key.key.clone(),
            value,
            unit: self.derived_unit(index, key),
            source: DERIVED_SOURCE.into(),
            stamp,
            is_stated: false,
            is_boolean: false,
            is_element: false,
        }
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
            let window = self.derived[*index].window.as_ref();
            let window_at = window.and_then(|window| window.changes_at);
            changes_at = changes_at.into_iter().chain(window_at).min();
            if let Some(stale_after) = key.stale_after {
                let oldest = staleness(key, &inputs, now).oldest;
                let stale_at = oldest.and_then(|it| it.stale_at(stale_after, now));
                changes_at = changes_at.into_iter().chain(stale_at).min();
            }
            known[*index] = self.derived_input(*index, key, &inputs, now);
            records[*index] = known[*index].as_ref().map(|current| Record {
                key: key.key.clone(),
                value: current.value.clone(),
                unit: self.derived_unit(*index, key),
                stamp: current.stamp,
                stale: current.stale,
                stale_after: current.stale_after,
                sources: current.sources.clone(),
                today: self.day_range(&key.key, &current.value),
                is_boolean: false,
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
        self.derived[index].unit = row.unit;
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

    /// The configured unit, else for a window the one that follows of its input's.
    fn derived_unit(&self, index: usize, key: &DerivedKey) -> Option<Arc<str>> {
        let shown = self.plan.key_setting(&key.key, |it| it.unit.clone());
        let follows = || match &key.rule {
            DerivedRule::Formula(_) => None,
            DerivedRule::Window(_) => self.derived[index].unit.clone(),
        };
        shown.or_else(|| key.unit.clone()).or_else(follows)
    }
}
