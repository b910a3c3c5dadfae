//! State of a derived key that is computed from the rows in a window.
//!
//! A part of the ledger, on its thread. Rows whose time is not trusted are counted in a trial copy
//! of the window; when the clock is trusted, they come into the window with their true time.

use std::collections::VecDeque;

use crate::domain::derived::{NoValue, Window, WindowRule, WindowSample, WindowSpan};
use crate::domain::freshness::Stamp;
use crate::domain::ledger::RecordRow;
use crate::domain::reading::Value;
use crate::domain::time::{Moment, Mono, Wall};
use crate::limits;

pub struct WindowState {
    pub window: Window,
    /// The window with what is pending.
    trial: Option<Window>,
    pending: VecDeque<PendingRow>,
    /// Whether it must be evaluated anew.
    pub is_changed: bool,
    /// When its value changes without a new row.
    pub changes_at: Option<Mono>,
}

/// A row whose time is not trusted yet.
#[derive(Debug, Clone, Copy)]
struct PendingRow {
    stamp: Stamp,
    value: f64,
    is_stated: bool,
}

impl PendingRow {
    fn sample(&self) -> WindowSample {
        WindowSample {
            time: self.stamp.observed,
            value: self.value,
            is_stated: self.is_stated,
        }
    }
}

impl WindowState {
    pub fn new(rule: WindowRule) -> WindowState {
        WindowState {
            window: Window::new(rule),
            trial: None,
            pending: VecDeque::new(),
            is_changed: true,
            changes_at: None,
        }
    }

    /// Takes a row of the input; texts are none.
    pub fn insert(&mut self, row: &RecordRow) {
        let Value::Number(value) = row.value else {
            return;
        };
        let row = PendingRow {
            stamp: row.stamp,
            value,
            is_stated: row.is_stated,
        };
        self.is_changed = true;
        if row.stamp.has_trusted_time() {
            self.window.insert(row.sample());
            if let Some(trial) = &mut self.trial {
                trial.insert(row.sample());
            }
            return;
        }
        let trial = self.trial.get_or_insert_with(|| self.window.clone());
        trial.insert(row.sample());
        if self.pending.len() >= limits::WINDOW_ROWS {
            self.pending.pop_front();
        }
        self.pending.push_back(row);
    }

    /// Takes what is pending into the window, once the clock is trusted.
    pub fn settle(&mut self, now: Moment) {
        if !now.trust.is_trusted() || self.trial.is_none() {
            return;
        }
        for mut row in std::mem::take(&mut self.pending) {
            row.stamp.correct_if_ahead(now);
            row.stamp.apply_trusted_clock(now);
            self.window.insert(row.sample());
        }
        self.trial = None;
        self.is_changed = true;
    }

    /// The window was replaced: what is pending is counted on top of it.
    pub fn replaced(&mut self) {
        self.is_changed = true;
        if self.trial.is_some() {
            let mut trial = self.window.clone();
            self.pending
                .iter()
                .for_each(|row| trial.insert(row.sample()));
            self.trial = Some(trial);
        }
    }

    pub fn is_due(&self, now: Moment) -> bool {
        self.is_changed || self.changes_at.is_some_and(|at| at <= now.mono)
    }

    /// Whether the node's clock stands before rows that were stored with a trusted one.
    pub fn is_clock_behind(&self, now: Moment) -> bool {
        let newest = self.window.newest_second();
        let newest = newest.map(Wall::from_second);
        !now.trust.is_trusted()
            && newest.is_some_and(|newest| newest > now.wall.after(limits::CLOCK_TOLERANCE))
    }

    pub fn value(&self, at: Wall) -> Result<f64, NoValue> {
        self.counted().value(at)
    }

    /// Takes note of when the value changes next.
    pub fn evaluated(&mut self, now: Moment) {
        self.is_changed = false;
        let at = self.counted().changes_at(now.wall);
        self.changes_at = at.map(|at| now.mono.after(at.since(now.wall)));
    }

    /// The begin of the calendar period that contains `now`, as the time of a value.
    pub fn period_begin(&self, now: Moment) -> Option<Stamp> {
        let rule = self.window.rule();
        let WindowSpan::Since(period) = rule.span else {
            return None;
        };
        let begin = period.begin(now.wall, &rule.zone);
        Some(Stamp::received(now, Some(begin)))
    }

    fn counted(&self) -> &Window {
        self.trial.as_ref().unwrap_or(&self.window)
    }
}
