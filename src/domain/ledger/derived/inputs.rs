//! Inputs of derived keys: the current values of other keys.
//!
//! A part of the ledger, on its thread.

use std::sync::Arc;
use std::time::Duration;

use super::RowIdentity;
use crate::domain::derived_key::DerivedKey;
use crate::domain::freshness::Stamp;
use crate::domain::ledger::Ledger;
use crate::domain::reading::Value;
use crate::domain::time::Moment;

/// The current value of a key, of a source or derived, as an input.
#[derive(Clone)]
pub struct InputValue {
    pub value: Value,
    /// Its newest row: a response that only confirms it makes none.
    pub row: Option<RowIdentity>,
    pub stamp: Stamp,
    /// Of the oldest observation in it.
    pub oldest: Stamp,
    pub stale: bool,
    pub stale_after: Duration,
    pub unit: Option<Arc<str>>,
    pub is_stated: bool,
    pub sources: Vec<Arc<str>>,
}

/// How stale a derived key is by its inputs.
pub struct Staleness {
    pub stale: bool,
    pub stale_after: Duration,
    pub oldest: Option<Stamp>,
}

impl Ledger {
    pub(super) fn no_derived_inputs(&self) -> Vec<Option<InputValue>> {
        self.plan.derived.iter().map(|_| None).collect()
    }

    /// The current values of the inputs of a derived key, of which those that are derived
    /// themselves are `known`.
    pub(super) fn inputs_of(
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

    pub(super) fn source_input(&self, key: &str, now: Moment) -> Option<InputValue> {
        let providers = self.providers(key);
        let current = self.current_value(key, providers, now)?;
        let contributors = current.merged.contributors.iter();
        let name = |it: &usize| self.plan.sources[providers[*it]].name.clone();
        // A series hands over its rows ahead.
        let of_element = (
            current.stamp.observed.second(),
            current.merged.value.clone(),
        );
        Some(InputValue {
            sources: contributors.map(name).collect(),
            value: current.merged.value,
            row: self.newest_row(key).or(Some(of_element)),
            stamp: current.stamp,
            oldest: current.stamp,
            stale: current.stale,
            stale_after: current.stale_after,
            unit: current.unit,
            is_stated: current.is_stated,
        })
    }

    /// A derived key's own value, as an input of others.
    pub(super) fn derived_input(
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
            row: self.newest_row(&key.key),
            stamp,
            oldest: by_inputs.oldest.unwrap_or(stamp),
            stale: by_inputs.stale || state.issue.is_some(),
            stale_after: by_inputs.stale_after,
            unit: self.derived_unit(index, key),
            is_stated: inputs.iter().flatten().any(|input| input.is_stated),
            sources,
        })
    }

    pub(super) fn newest_row(&self, key: &str) -> Option<RowIdentity> {
        self.stored.get(key).cloned()
    }
}

/// How stale a key is by `inputs`: by its own `stale_after` the oldest observation decides,
/// otherwise each input does.
pub fn staleness(key: &DerivedKey, inputs: &[Option<InputValue>], now: Moment) -> Staleness {
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
