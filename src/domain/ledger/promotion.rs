//! Promotion of series: elements whose time has come become the shown value and rows of `records`;
//! those ahead are stored as forecast.
//!
//! A part of the ledger, on its thread. Nothing is promoted while the clock is not to be relied on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::last_value::{ElementInterval, LastValue};
use super::series::SeriesState;
use super::{Ledger, RecordRow};
use crate::domain::freshness::Stamp;
use crate::domain::reading::{Issue, Series, ShownElement, TimedValue};
use crate::domain::time::{Moment, Mono, Wall};
use crate::limits;

/// What follows from the time for the store.
#[derive(Debug, Default, PartialEq)]
pub struct SeriesChanges {
    pub rows: Vec<RecordRow>,
    pub forecasts: Vec<Forecast>,
}

/// All that `forecast` is to hold of a key, in the order of its times.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    pub key: Arc<str>,
    pub unit: Option<Arc<str>>,
    pub source: Arc<str>,
    pub elements: Arc<[TimedValue]>,
}

impl Ledger {
    /// Restores the forecasts of the last run. What no source of the plan gives as a series any
    /// more is removed from the database.
    pub fn restore_forecasts(&mut self, forecasts: Vec<Forecast>) {
        for forecast in forecasts {
            let provider = self.series_provider_of(&forecast);
            let Some((index, shown)) = provider else {
                self.removed_forecasts.push(Forecast {
                    elements: Arc::default(),
                    ..forecast
                });
                continue;
            };
            let mut state = SeriesState::restored(shown, forecast.elements);
            state.unit = forecast.unit;
            self.sources[index].series.insert(forecast.key, state);
        }
    }

    /// The source that gives the key as a series now: the one that stored it, else the first.
    fn series_provider_of(&self, forecast: &Forecast) -> Option<(usize, ShownElement)> {
        let plans = self.plan.sources.iter().enumerate();
        let giving = plans.filter_map(|(index, plan)| {
            let shown = plan.shown_element(&forecast.key)?;
            let has_room = self.sources[index].series.len() < plan.max_records;
            has_room.then_some((plan.name != forecast.source, index, shown))
        });
        let (_, index, shown) = giving.min_by_key(|(is_other, index, _)| (*is_other, *index))?;
        Some((index, shown))
    }

    /// Takes over the series of a good response. A series that it has no element of ends with
    /// what is shown, unless an issue says that the source still has it.
    pub(super) fn apply_series(
        &mut self,
        index: usize,
        at: Moment,
        series: Vec<Series>,
        issues: &[Issue],
    ) {
        let rejected: BTreeSet<&str> = issues.iter().filter_map(|it| it.key.as_deref()).collect();
        let mut states = std::mem::take(&mut self.sources[index].series);
        let given: BTreeSet<Arc<str>> = series.iter().map(|it| it.key.clone()).collect();
        for (key, state) in &mut states {
            if !given.contains(key) && !rejected.contains(&**key) {
                state.clear();
            }
        }
        for series in series {
            let is_new = !states.contains_key(&series.key);
            if is_new && states.len() >= self.plan.sources[index].max_records {
                continue;
            }
            let (key, shown) = (series.key.clone(), series.shown);
            let state = states
                .entry(key.clone())
                .or_insert_with(|| SeriesState::new(shown));
            state.update(series);
            if is_reliable(at) {
                self.show(index, &key, state, at);
            }
            let source = &mut self.sources[index];
            if let Some(value) = source.values.get_mut(&key) {
                value.response = source.responses;
            }
        }
        self.sources[index].series = states;
    }

    /// Promotes what the time has come for, at `now`.
    pub fn advance(&mut self, now: Moment) -> SeriesChanges {
        let now = self.clock_filter.correct(now);
        let mut changes = SeriesChanges {
            rows: Vec::new(),
            forecasts: std::mem::take(&mut self.removed_forecasts),
        };
        self.series_change_at = None;
        if !is_reliable(now) {
            return changes;
        }
        for index in 0..self.sources.len() {
            let mut states = std::mem::take(&mut self.sources[index].series);
            for (key, state) in &mut states {
                self.show(index, key, state, now);
                if state.is_due(now.wall) {
                    changes
                        .forecasts
                        .extend(self.forecast(index, key, state, now));
                }
            }
            states.retain(|_, state| !state.is_over());
            self.sources[index].series = states;
        }
        changes.rows = self.rows_of_elements(now);
        self.extend_day_ranges(&changes.rows);
        let states = self
            .sources
            .iter_mut()
            .flat_map(|it| it.series.values_mut());
        for state in states {
            if state.is_due(now.wall) {
                state.settle(now.wall);
            }
            let change = state.next_change(now.wall).map(|at| mono_at(now, at));
            self.series_change_at = self.series_change_at.into_iter().chain(change).min();
        }
        changes
    }

    /// Makes the element of `now` the last value of its key.
    fn show(&mut self, index: usize, key: &Arc<str>, state: &mut SeriesState, now: Moment) {
        let Some(element) = state.element_at(now.wall) else {
            return;
        };
        let interval = interval_of(&element, state.shown, now);
        let source = &mut self.sources[index];
        let (response, provided) = (source.responses, source.response_count.provided_now());
        if let Some(value) = source.values.get_mut(key) {
            value.interval = interval;
            if value.stamp.observed == element.start && value.value == element.value {
                // Of an earlier run; now its source or the clock says when it was.
                if value.stamp.age(now).is_none() {
                    value.stamp = Stamp::received(now, Some(element.start));
                }
                return;
            }
        }
        if state.is_refused {
            return;
        }
        let known = source.values.get(key);
        let value = LastValue {
            key: key.clone(),
            value: element.value,
            unit: state.unit.clone(),
            stamp: Stamp::received(now, Some(element.start)),
            is_stated: element.is_stated,
            is_boolean: false,
            upstream: None,
            interval,
            response: known.map_or(response, |it| it.response),
            provided: known.map_or(provided, |it| it.provided),
        };
        state.is_refused = !self.set_value(index, value);
    }

    /// What `forecast` is to hold of a key, if that is something else than it holds.
    fn forecast(
        &self,
        index: usize,
        key: &Arc<str>,
        state: &mut SeriesState,
        now: Moment,
    ) -> Option<Forecast> {
        let elements = if state.is_refused {
            Vec::new()
        } else {
            state.to_store_ahead(now.wall)
        };
        if *elements == *state.forecast {
            return None;
        }
        state.forecast = elements.into();
        Some(Forecast {
            key: key.clone(),
            unit: self.unit_of(key, state),
            source: self.plan.sources[index].name.clone(),
            elements: state.forecast.clone(),
        })
    }

    fn unit_of(&self, key: &str, state: &SeriesState) -> Option<Arc<str>> {
        let unit = self.plan.key_setting(key, |key| key.unit.clone());
        unit.or_else(|| state.unit.clone())
    }

    /// The elements that become rows now, by their times. A long list is handed over in parts, so
    /// that the rows that wait for the disk stay few.
    fn rows_of_elements(&mut self, now: Moment) -> Vec<RecordRow> {
        if now.mono < self.next_rows_at {
            return Vec::new();
        }
        let mut due: Vec<(Wall, usize, Arc<str>, usize)> = Vec::new();
        for (index, source) in self.sources.iter().enumerate() {
            for (key, state) in &source.series {
                if state.is_due(now.wall) && source.values.get(key).is_some() {
                    let elements = state.to_hand_over(now.wall);
                    due.extend(elements.map(|at| (state.start_of(at), index, key.clone(), at)));
                }
            }
        }
        due.sort_unstable();
        if due.len() > limits::SERIES_ROWS_AT_ONCE {
            due.truncate(whole_days(&due));
            self.next_rows_at = now.mono.after(limits::SERIES_ROWS_INTERVAL);
        }
        let rows = due.into_iter().filter_map(|(_, index, key, at)| {
            let state = self.sources[index].series.get_mut(&key)?;
            let element = state.hand_over(at);
            let unit = self.plan.key_setting(&key, |key| key.unit.clone());
            Some(RecordRow {
                unit: unit.or_else(|| state.unit.clone()),
                key,
                value: element.value,
                source: self.plan.sources[index].name.clone(),
                stamp: Stamp::received(now, Some(element.start)),
                is_stated: element.is_stated,
                is_boolean: false,
                is_element: true,
            })
        });
        rows.collect()
    }

    /// Ends the series of a key that is forgotten.
    pub(super) fn drop_series(&mut self, index: usize, key: &Arc<str>) {
        let Some(state) = self.sources[index].series.remove(key) else {
            return;
        };
        if !state.forecast.is_empty() {
            self.removed_forecasts.push(Forecast {
                key: key.clone(),
                unit: self.unit_of(key, &state),
                source: self.plan.sources[index].name.clone(),
                elements: Arc::default(),
            });
        }
    }
}

/// How many of the elements are handed over at once: whole days, because a day or an hour that has
/// no rows any more is summed up once.
fn whole_days(due: &[(Wall, usize, Arc<str>, usize)]) -> usize {
    let day = |at: usize| due[at].0.second().div_euclid(24 * 3_600);
    let most = limits::SERIES_ROWS_AT_ONCE;
    let begin = (1..=most).rev().find(|at| day(*at - 1) != day(*at));
    begin.unwrap_or(most)
}

/// Whether the clock tells which element is now: it is trusted, or has had as long to be set as
/// rows wait for that.
fn is_reliable(now: Moment) -> bool {
    now.trust.is_trusted() || now.mono.since(Mono(0)) >= limits::CLOCK_TRUST_TIMEOUT
}

fn interval_of(element: &TimedValue, shown: ShownElement, now: Moment) -> Option<ElementInterval> {
    let end = element.end.filter(|_| shown == ShownElement::Current)?;
    Some(ElementInterval {
        length: end.since(element.start),
        ends_at: mono_at(now, end),
    })
}

/// When the monotonic clock will be where the wall clock is at `wall`; now, if that is past.
fn mono_at(now: Moment, wall: Wall) -> Mono {
    let wait: Duration = wall.since(now.wall);
    now.mono.after(wait)
}
