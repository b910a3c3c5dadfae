//! Values of window functions.
//!
//! A part of the ledger, on its thread.

use std::sync::Arc;

use super::inputs::{InputValue, staleness};
use super::issues::{AbsentInput, issue, missing, not_a_number};
use super::window_state::WindowState;
use crate::domain::derived::{NoValue, Window, WindowFunction, WindowRule};
use crate::domain::derived_key::DerivedKey;
use crate::domain::freshness::Stamp;
use crate::domain::ledger::{Ledger, RecordRow};
use crate::domain::reading::{Issue, Reason, Value};
use crate::domain::time::Moment;
use crate::domain::toml_text::quoted;
use crate::limits;

impl Ledger {
    /// Computes the value of a window; returns the rows to store: one for each new row of the input
    /// that changes it, and one at the begin of a calendar period.
    pub(super) fn compute_window(
        &mut self,
        index: usize,
        key: &DerivedKey,
        rule: &WindowRule,
        inputs: &[Option<InputValue>],
        new: &[&RecordRow],
        now: Moment,
    ) -> Vec<RecordRow> {
        let has_all_answered = self.have_all_answered();
        let is_stale = staleness(key, inputs, now).stale;
        let state = &mut self.derived[index];
        let Some(window) = &mut state.window else {
            return Vec::new();
        };
        window.settle(now);
        for row in new {
            window.insert(row);
        }
        let [Some(input)] = inputs else {
            let absent = AbsentInput::new(&rule.input, &self.plan.derived, has_all_answered);
            state.issue = Some(missing(key, &rule.input, absent));
            return Vec::new();
        };
        if is_stale && new.is_empty() {
            window.changes_at = None;
            window.is_changed = true;
            return Vec::new();
        }
        let begin = window
            .period_begin(now)
            .filter(|begin| begin.observed > input.stamp.observed);
        let stamp = begin.unwrap_or(input.stamp);
        if !window.is_due(now) {
            if let Some((_, last)) = &mut state.last {
                *last = stamp;
            }
            return Vec::new();
        }
        state.unit = input
            .unit
            .as_ref()
            .and_then(|unit| unit_of(rule.function, unit));
        window.evaluated(now);
        match evaluate(key, rule, input, window, now) {
            Ok(value) => {
                state.issue = None;
                state.last = Some((Value::Number(value), stamp));
            }
            Err(issue) => {
                state.issue = Some(issue);
                return Vec::new();
            }
        }
        let at_begin = begin.filter(|_| !is_stale && self.stored.contains_key(&key.key));
        let stamps = new.iter().map(|row| row.stamp).chain(at_begin);
        let stamps: Vec<Stamp> = stamps.collect();
        let rows = stamps.into_iter();
        rows.filter_map(|stamp| self.window_row(index, key, stamp))
            .collect()
    }

    /// The row of a window's value at a time, unless it says no more than the last one.
    pub(super) fn window_row(
        &mut self,
        index: usize,
        key: &DerivedKey,
        stamp: Stamp,
    ) -> Option<RecordRow> {
        let window = self.derived[index].window.as_ref()?;
        let value = Value::Number(window.value(stamp.observed).ok()?);
        let second = stamp.observed.second();
        let is_late = match self.stored.get(&key.key) {
            Some((last, stored)) => {
                let interval = limits::UNCHANGED_WINDOW_INTERVAL.as_secs();
                let is_soon = second.saturating_sub(*last).unsigned_abs() < interval;
                if second >= *last && is_soon && *stored == value {
                    return None;
                }
                second < *last
            }
            None => false,
        };
        if !is_late {
            self.stored.insert(key.key.clone(), (second, value.clone()));
        }
        Some(self.derived_row(index, key, value, stamp))
    }

    /// The windows of derived keys, by their names.
    pub fn windows(&self) -> impl Iterator<Item = (&Arc<str>, &Window)> {
        let states = self.plan.derived.iter().zip(&self.derived);
        states.filter_map(|(key, state)| Some((&key.key, &state.window.as_ref()?.window)))
    }

    /// The same, to be replaced; [`Ledger::windows_changed`] has them evaluated anew.
    pub fn windows_mut(&mut self) -> impl Iterator<Item = (&Arc<str>, &mut Window)> {
        let states = self.plan.derived.iter().zip(&mut self.derived);
        states.filter_map(|(key, state)| Some((&key.key, &mut state.window.as_mut()?.window)))
    }

    pub fn windows_changed(&mut self) {
        let windows = self.derived.iter_mut().filter_map(|it| it.window.as_mut());
        windows.for_each(WindowState::replaced);
    }
}

/// The unit of what a window makes of values in `unit`, where that is certain.
fn unit_of(function: WindowFunction, unit: &Arc<str>) -> Option<Arc<str>> {
    match function {
        WindowFunction::Rate => Some(format!("{unit}/s").into()),
        WindowFunction::Integral => {
            let is_power = matches!(
                &**unit,
                "mW" | "W" | "kW" | "MW" | "VA" | "var" | "mA" | "A"
            );
            is_power.then(|| format!("{unit}h").into())
        }
        WindowFunction::Increase
        | WindowFunction::MinOverTime
        | WindowFunction::MaxOverTime
        | WindowFunction::AvgOverTime => Some(unit.clone()),
    }
}

fn evaluate(
    key: &DerivedKey,
    rule: &WindowRule,
    input: &InputValue,
    window: &WindowState,
    now: Moment,
) -> Result<f64, Issue> {
    if let Value::Text(text) = &input.value {
        return Err(not_a_number(key, &rule.input, text));
    }
    if window.is_clock_behind(now) {
        let expected = "a synchronised clock".to_owned();
        let found = "a clock that is behind the last row";
        return Err(issue(key, Reason::Missing, expected, found));
    }
    let value = window.value(now.wall);
    value.map_err(|none| no_window_value(key, rule, none))
}

fn no_window_value(key: &DerivedKey, rule: &WindowRule, none: NoValue) -> Issue {
    let (reason, expected) = match none {
        NoValue::NotFinite => (Reason::NotFinite, "a finite number".to_owned()),
        NoValue::NoRows | NoValue::TooShort { .. } | NoValue::TooOld | NoValue::Waiting => (
            Reason::Missing,
            format!("values of {}", quoted(&rule.input)),
        ),
    };
    issue(key, reason, expected, &none.to_string())
}
