//! Window over the rows of one key: rows in, value and time of its next change out.

use std::sync::Arc;
use std::time::Duration;

use super::buckets::{Buckets, WindowSums, resolution};
use super::counter::count_steps;
use super::row::{Row, WindowRow, area};
use super::{
    NoValue, SavedWindow, WindowFunction, WindowRebuild, WindowRule, WindowSample, WindowSpan,
    seconds,
};
use crate::domain::reading::round_computed;
use crate::domain::time::Wall;
use crate::limits;

/// Stands for the time from which a new window wants rows.
const EVERYTHING: i64 = i64::MIN;

/// The rows of one window function, in bounded memory.
#[derive(Debug, Clone)]
pub struct Window {
    pub(super) rule: WindowRule,
    /// The newest rows by time.
    pub(super) rows: Vec<WindowRow>,
    /// From this index on rows wait for what follows them; their number where none does.
    open_from: usize,
    /// The rows before those.
    pub(super) buckets: Buckets,
    /// The last of them that was counted, and the second of the last of all.
    pub(super) before: Option<Row>,
    pub(super) summed_until: Option<i64>,
    /// From when on rows are missing that the database may have.
    pub(super) wanted: Option<i64>,
    /// Whether there is no value before they are read.
    is_waiting: bool,
}

impl Window {
    /// A window without rows. What the database has of them is wanted.
    pub fn new(rule: WindowRule) -> Window {
        Window {
            rule,
            rows: Vec::new(),
            open_from: 0,
            buckets: Buckets::default(),
            before: None,
            summed_until: None,
            wanted: Some(EVERYTHING),
            is_waiting: false,
        }
    }

    /// A window without rows, which has no value before those of the database are read.
    pub fn waiting(rule: WindowRule) -> Window {
        Window {
            is_waiting: true,
            ..Window::new(rule)
        }
    }

    /// Whether it has no value before rows of the database are read.
    pub fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    pub fn rule(&self) -> &WindowRule {
        &self.rule
    }

    /// Takes a new row, or a late or corrected one: of the same second the latest counts.
    pub fn insert(&mut self, sample: WindowSample) {
        let row = Row {
            second: sample.time.second(),
            value: sample.value,
        };
        if !row.value.is_finite() {
            return;
        }
        if self.summed_until.is_some_and(|until| row.second <= until) {
            self.want_rows_of(row.second);
            return;
        }
        let is_part = !(sample.is_stated && self.rule.function.is_of_counter());
        let place = self
            .rows
            .binary_search_by_key(&row.second, |it| it.row.second);
        let end = self.rows.len();
        match (place, is_part) {
            (Ok(at), true) if self.rows[at].row == row => return,
            (Ok(at), true) => self.rows[at] = WindowRow::new(row),
            (Ok(at), false) => drop(self.rows.remove(at)),
            (Err(at), true) => self.rows.insert(at, WindowRow::new(row)),
            (Err(_), false) => return,
        }
        match place {
            Err(at) if at == end => self.evaluate(self.open_from.min(at)),
            // A late row may change what falls before it were.
            _ => self.evaluate(0),
        }
        if self.rows.len() > limits::WINDOW_ROWS {
            self.sum_up();
        }
    }

    /// Takes so many rows by their mean, as one at the time of the last; only before all others.
    pub fn insert_mean(&mut self, time: Wall, mean: f64, count: u64) {
        let row = Row {
            second: time.second(),
            value: mean,
        };
        let is_first = self.rows.is_empty() && !self.is_summed_up(time);
        if !is_first || count == 0 || !mean.is_finite() {
            return;
        }
        let sums = WindowSums {
            rows: count,
            total: mean * count as f64,
            covered: 0,
            min: mean,
            max: mean,
        };
        self.buckets.push_sums(&self.rule, row, &sums);
        self.buckets.prune(&self.rule, row.second);
        self.before = Some(row);
        self.summed_until = Some(row.second);
    }

    /// Sets what the rows from index `from` on add.
    pub(super) fn evaluate(&mut self, from: usize) {
        self.open_from = self.rows.len();
        let earlier = self.rows[..from].iter().rev();
        let mut counted = earlier.filter(|row| row.covered().is_some());
        let before = counted.next().map(|it| it.row).or(self.before);
        match self.rule.function {
            WindowFunction::Rate | WindowFunction::Increase => {
                self.open_from = count_steps(before, &mut self.rows, from);
            }
            WindowFunction::Integral => {
                let hold = seconds(self.rule.hold);
                let mut before = before;
                for row in &mut self.rows[from..] {
                    row.set_step(before, |before, row| area(before, row, hold));
                    before = Some(row.row);
                }
            }
            WindowFunction::MinOverTime
            | WindowFunction::MaxOverTime
            | WindowFunction::AvgOverTime => {}
        }
    }

    /// Sums up the earliest rows, so that there is room again.
    fn sum_up(&mut self) {
        let excess = self.rows.len().saturating_sub(limits::WINDOW_ROWS_KEPT);
        let count = excess.min(self.open_from);
        self.open_from -= count;
        for row in self.rows.drain(..count) {
            self.buckets.push(&self.rule, &row);
            self.summed_until = Some(row.row.second);
            if row.covered().is_some() {
                self.before = Some(row.row);
            }
        }
        if let Some(until) = self.summed_until {
            self.buckets.prune(&self.rule, until);
        }
    }

    /// Has the rows from the bucket on read again that a late row of `second` belongs to.
    fn want_rows_of(&mut self, second: i64) {
        let newest = self.newest_second().unwrap_or(second);
        let buckets = &self.buckets.0;
        let at = buckets.partition_point(|bucket| bucket.last.second < second);
        if second >= self.rule.first_second(newest)
            && let Some(bucket) = buckets.get(at)
        {
            self.want_rows_from(Wall::from_second(bucket.first.min(second)));
        }
    }

    /// The second of its newest row.
    pub fn newest_second(&self) -> Option<i64> {
        self.rows
            .last()
            .map(|it| it.row.second)
            .or(self.summed_until)
    }

    /// The value at `now`, of the rows up to then. `now` may lie in the past, as far as rows are
    /// kept one by one.
    pub fn value(&self, now: Wall) -> Result<f64, NoValue> {
        let at = now.second();
        if self.is_waiting {
            return Err(NoValue::Waiting);
        }
        if self.summed_until.is_some_and(|until| at < until) {
            return Err(NoValue::TooOld);
        }
        let sums = self.sums(at);
        let is_known = self.before.is_some()
            || self
                .rows
                .first()
                .is_some_and(|first| first.row.second <= at);
        let is_of_steps = self.rule.function.adds_steps();
        if !is_known || (!is_of_steps && sums.rows == 0) {
            return Err(NoValue::NoRows);
        }
        let value = match self.rule.function {
            WindowFunction::Rate => round_computed(self.rate(&sums, at)?),
            WindowFunction::Increase => round_difference(sums.total, sums.magnitude()),
            WindowFunction::Integral => round_computed(sums.total / 3_600.0),
            WindowFunction::MinOverTime => sums.min,
            WindowFunction::MaxOverTime => sums.max,
            WindowFunction::AvgOverTime => round_computed(sums.total / sums.rows as f64),
        };
        if value.is_finite() {
            Ok(value)
        } else {
            Err(NoValue::NotFinite)
        }
    }

    fn rate(&self, sums: &WindowSums, at: i64) -> Result<f64, NoValue> {
        let window = match self.rule.span {
            WindowSpan::Over(span) => seconds(span),
            WindowSpan::Since(_) => at.saturating_sub(self.rule.first_second(at)),
        };
        if sums.covered == 0 || sums.covered.saturating_mul(2) < window {
            let span = |seconds: i64| Duration::from_secs(seconds.unsigned_abs());
            return Err(NoValue::TooShort {
                covered: span(sums.covered),
                window: span(window),
            });
        }
        Ok(round_difference(sums.total, sums.magnitude()) / sums.covered as f64)
    }

    /// The sums over the window that ends with second `at`.
    fn sums(&self, at: i64) -> WindowSums {
        let first = self.rule.first_second(at);
        let mut sums = WindowSums::NONE;
        for bucket in self.buckets.0.iter().filter(|it| it.first >= first) {
            sums.add(&bucket.sums);
        }
        let begin = self.rows.partition_point(|it| it.row.second < first);
        let end = self.rows.partition_point(|it| it.row.second <= at);
        for row in &self.rows[begin.min(end)..end] {
            sums.add_row(row);
        }
        sums
    }

    /// When the value may change without a new row: a period begins, rows leave the window. A
    /// window of a span of time changes at most so often as it has buckets.
    pub fn changes_at(&self, now: Wall) -> Option<Wall> {
        let at = now.second();
        let ahead = self.rows.partition_point(|it| it.row.second <= at);
        let ahead = self.rows.get(ahead).map(|it| it.row.second);
        let change = match self.rule.span {
            WindowSpan::Over(span) => self.leaves_at(at, seconds(span)),
            WindowSpan::Since(period) => {
                let (begin, next) = period.bounds(at, &self.rule.zone);
                let is_rate = self.rule.function == WindowFunction::Rate;
                let covered = if is_rate { self.sums(at).covered } else { 0 };
                // Then the steps cover less than half of it.
                let too_short = begin.saturating_add(covered.saturating_mul(2) + 1);
                let too_short = Some(too_short).filter(|it| is_rate && *it > at);
                Some(too_short.map_or(next, |it| it.min(next)))
            }
        };
        let next = change.into_iter().chain(ahead).min();
        next.filter(|second| *second < i64::MAX)
            .map(Wall::from_second)
    }

    /// When the first row that matters leaves the window of `span` seconds that ends with `at`.
    fn leaves_at(&self, at: i64, span: i64) -> Option<i64> {
        let first = self.rule.first_second(at);
        let is_zero_ignored = matches!(
            self.rule.function,
            WindowFunction::Increase | WindowFunction::Integral
        );
        let matters = |second: i64, adds: f64| second >= first && (adds != 0.0 || !is_zero_ignored);
        let mut buckets = self.buckets.0.iter();
        let bucket = buckets.find(|it| matters(it.first, it.sums.total));
        let begin = self.rows.partition_point(|it| it.row.second < first);
        let mut rows = self.rows[begin..].iter();
        let row = rows.find(|it| it.covered().is_some() && matters(it.row.second, it.adds));
        let earliest = bucket.map(|it| it.first).or(row.map(|it| it.row.second))?;
        let leaves = earliest.saturating_add(span);
        let length = resolution(span);
        let multiple = leaves.saturating_add(length - 1).div_euclid(length);
        Some(multiple.saturating_mul(length).max(at.saturating_add(1)))
    }

    /// Whether rows of `time` are only part of sums.
    pub fn is_summed_up(&self, time: Wall) -> bool {
        self.summed_until
            .is_some_and(|until| time.second() <= until)
    }

    /// Has rows from `time` on read again of the database.
    pub fn want_rows_from(&mut self, time: Wall) {
        let from = time.second();
        self.wanted = Some(self.wanted.map_or(from, |wanted| wanted.min(from)));
    }

    /// Has all rows read again of the database.
    pub fn want_all_rows(&mut self) {
        self.wanted = Some(EVERYTHING);
    }

    /// Its state, to be saved.
    pub fn saved(&self, name: &Arc<str>) -> SavedWindow {
        SavedWindow {
            name: name.clone(),
            rule: self.rule.text(),
            state: self.encode(),
        }
    }

    /// The rebuild that is wanted: where the window is new, or a late row belongs to sums.
    pub fn wanted_rebuild(&self, name: &Arc<str>, now: Wall) -> Option<WindowRebuild> {
        let wanted = self.wanted?;
        let from = wanted.max(self.rule.first_second(now.second()));
        Some(WindowRebuild {
            name: name.clone(),
            from: Wall::from_second(from),
            window: self.sums_before(from),
            has_sums: wanted != EVERYTHING,
        })
    }

    /// The window without what lies at `from` or later.
    fn sums_before(&self, from: i64) -> Window {
        let buckets = self.buckets.0.iter();
        let kept = buckets.take_while(|it| it.last.second < from).copied();
        let buckets = Buckets(kept.collect());
        let before = buckets.0.back().map(|it| it.last);
        Window {
            summed_until: before.map(|it| it.second),
            before,
            buckets,
            wanted: None,
            ..Window::new(self.rule.clone())
        }
    }

    /// Takes over a rebuilt window, with the rows that came meanwhile; `None` where its rows are
    /// deleted. It stays wanted where rows are missing in between.
    pub fn take_rebuilt(&mut self, rebuilt: Option<Window>) {
        let Some(mut rebuilt) = rebuilt.filter(|it| it.newest_second().is_some()) else {
            self.wanted = None;
            self.is_waiting = false;
            return;
        };
        let last = rebuilt.newest_second();
        if self.summed_until.is_some_and(|until| last < Some(until)) {
            return;
        }
        for row in &self.rows {
            rebuilt.insert(WindowSample {
                time: Wall::from_second(row.row.second),
                value: row.row.value,
                is_stated: false,
            });
        }
        *self = rebuilt;
    }
}

/// Rounds a sum of differences to the precision of the numbers that were subtracted, 14 digits of
/// the largest: 123456.8 − 123456.7 is 0.1.
fn round_difference(sum: f64, magnitude: f64) -> f64 {
    const DIGITS: i32 = 14;
    const MOST_DECIMALS: i32 = 30;
    let largest = magnitude.max(sum.abs());
    if largest == 0.0 || !largest.is_finite() {
        return sum;
    }
    let decimals = DIGITS - 1 - largest.log10().floor() as i32;
    match usize::try_from(decimals) {
        Ok(decimals) if decimals <= MOST_DECIMALS as usize => {
            format!("{sum:.decimals$}").parse().unwrap_or(sum)
        }
        Ok(_) => round_computed(sum),
        // Whole numbers past the precision of a float.
        Err(_) => sum,
    }
}

#[cfg(test)]
#[path = "tests/window.rs"]
mod tests;
