//! Values of formulas.
//!
//! A part of the ledger, on its thread.

use super::inputs::{InputValue, staleness};
use super::issues::{AbsentInput, issue, missing, not_a_number};
use crate::domain::derived_key::DerivedKey;
use crate::domain::formula::Formula;
use crate::domain::freshness::Stamp;
use crate::domain::ledger::{Ledger, RecordRow};
use crate::domain::reading::{Issue, Reason, Value};
use crate::domain::time::Moment;

impl Ledger {
    /// Computes a formula; whether a new row of an input gave a value that is not stale.
    pub(super) fn compute_formula(
        &mut self,
        index: usize,
        key: &DerivedKey,
        formula: &Formula,
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
            .map(|input| (input.row.clone(), input.value.clone()))
            .collect();
        let is_complete = basis.len() == inputs.len();
        let is_computed = state.basis.len() == basis.len() && state.last.is_some();
        let has_new_row =
            !is_computed || (0..basis.len()).any(|at| state.basis[at].0 != basis[at].0);
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
        let absent = |name: &str| AbsentInput::new(name, &self.plan.derived, has_all_answered);
        match evaluate(key, formula, inputs, absent) {
            Err(issue) => {
                state.issue = Some(issue);
                state.basis.clear();
                false
            }
            Ok(value) => {
                let stamp = newest.unwrap_or_else(|| Stamp::received(now, None));
                state.last = Some((Value::Number(value), stamp));
                state.basis = basis;
                has_new_row && !is_stale
            }
        }
    }

    /// The row that the value of a formula makes, unless it repeats what is stored.
    pub(super) fn formula_row(
        &mut self,
        index: usize,
        key: &DerivedKey,
        inputs: &[Option<InputValue>],
    ) -> Option<RecordRow> {
        let (value, stamp) = self.derived[index].last.clone()?;
        let identity = (stamp.observed.second(), value.clone());
        if self.stored.get(&key.key) == Some(&identity) {
            return None;
        }
        self.stored.insert(key.key.clone(), identity);
        let is_stated = inputs.iter().flatten().any(|input| input.is_stated);
        Some(RecordRow {
            is_stated,
            ..self.derived_row(index, key, value, stamp)
        })
    }
}

fn evaluate(
    key: &DerivedKey,
    formula: &Formula,
    inputs: &[Option<InputValue>],
    absent: impl Fn(&str) -> AbsentInput,
) -> Result<f64, Issue> {
    let mut numbers = Vec::with_capacity(inputs.len());
    for (name, input) in key.inputs().iter().zip(inputs) {
        match input.as_ref().map(|input| &input.value) {
            Some(Value::Number(number)) => numbers.push(*number),
            Some(Value::Text(text)) => return Err(not_a_number(key, name, text)),
            None => return Err(missing(key, name, absent(name))),
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
