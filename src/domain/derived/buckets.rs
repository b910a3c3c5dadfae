//! Sums over rows that are not kept one by one, in buckets.
//!
//! A bucket of a span of time holds one part in [`limits::WINDOW_BUCKETS`] of it; of a calendar
//! period an hour, and where those are too many, the earliest are one.

use std::collections::VecDeque;

use super::row::{Row, WindowRow};
use super::{WindowRule, WindowSpan, seconds};
use crate::limits;

/// Sums over some rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct WindowSums {
    pub rows: u64,
    /// Of what the rows add: steps, areas or values.
    pub total: f64,
    /// Seconds that the steps cover.
    pub covered: i64,
    pub min: f64,
    pub max: f64,
}

impl WindowSums {
    pub const NONE: WindowSums = WindowSums {
        rows: 0,
        total: 0.0,
        covered: 0,
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
    };

    pub fn add_row(&mut self, row: &WindowRow) {
        if let Some(covered) = row.covered() {
            self.rows += 1;
            self.total += row.adds;
            self.covered = self.covered.saturating_add(covered);
            self.min = self.min.min(row.row.value);
            self.max = self.max.max(row.row.value);
        }
    }

    pub fn add(&mut self, other: &WindowSums) {
        self.rows = self.rows.saturating_add(other.rows);
        self.total += other.total;
        self.covered = self.covered.saturating_add(other.covered);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// The largest absolute value.
    pub fn magnitude(&self) -> f64 {
        self.min.abs().max(self.max.abs())
    }
}

/// The rows of a part of the time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct WindowBucket {
    /// Second of its first row.
    pub first: i64,
    /// Its last row.
    pub last: Row,
    /// The second before which it ends.
    pub until: i64,
    pub sums: WindowSums,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Buckets(pub VecDeque<WindowBucket>);

impl Buckets {
    /// Adds the row that follows all others.
    pub fn push(&mut self, rule: &WindowRule, row: &WindowRow) {
        if row.covered().is_none() {
            return;
        }
        let mut sums = WindowSums::NONE;
        sums.add_row(row);
        self.push_sums(rule, row.row, &sums);
    }

    /// Adds the sums over some rows that follow all others; `last` is the last of them.
    pub fn push_sums(&mut self, rule: &WindowRule, last: Row, sums: &WindowSums) {
        match self.0.back_mut() {
            Some(bucket) if last.second < bucket.until => {
                bucket.last = last;
                bucket.sums.add(sums);
            }
            _ => self.0.push_back(WindowBucket {
                first: last.second,
                last,
                until: bucket_end(rule, last.second),
                sums: *sums,
            }),
        }
    }

    /// Drops what no window can contain that ends at `second` or later, and joins the earliest
    /// where they are too many.
    pub fn prune(&mut self, rule: &WindowRule, second: i64) {
        let first = rule.first_second(second);
        while self.0.front().is_some_and(|it| it.last.second < first) {
            self.0.pop_front();
        }
        while self.0.len() > limits::WINDOW_BUCKETS {
            let Some(earliest) = self.0.pop_front() else {
                return;
            };
            if let Some(next) = self.0.front_mut() {
                next.first = earliest.first;
                next.sums.add(&earliest.sums);
            }
        }
    }
}

/// The second before which the bucket ends that begins with a row of `second`.
fn bucket_end(rule: &WindowRule, second: i64) -> i64 {
    const HOUR: i64 = 3_600;
    match rule.span {
        WindowSpan::Over(span) => {
            let length = resolution(seconds(span));
            (second.div_euclid(length).saturating_add(1)).saturating_mul(length)
        }
        WindowSpan::Since(period) => {
            let (begin, next) = period.bounds(second, &rule.zone);
            let hours = (second - begin).div_euclid(HOUR) + 1;
            next.min(begin.saturating_add(hours * HOUR))
        }
    }
}

/// The length of a bucket of a window of `span` seconds.
pub(super) fn resolution(span: i64) -> i64 {
    // Some are only partly inside the window.
    let parts = limits::WINDOW_BUCKETS as i64 - 8;
    (span.saturating_add(parts - 1) / parts).max(1)
}
