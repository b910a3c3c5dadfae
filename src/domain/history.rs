//! History as views ask for it: one key, a span, a bounded number of buckets.

use std::sync::Arc;
use std::time::Duration;

use super::reading::Value;
use super::time::Wall;

/// One key between two instants, in at most `points` buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryQuery {
    pub key: Arc<str>,
    /// Inclusive.
    pub from: Wall,
    /// Exclusive.
    pub to: Wall,
    pub points: usize,
}

/// What was observed from `from` for `seconds`. Extremes survive downsampling; a bucket
/// without an observation is left out, so that a gap stays a gap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    pub from: Wall,
    pub seconds: u64,
    pub count: u64,
    pub min: f64,
    pub mean: f64,
    pub max: f64,
    pub last: f64,
}

/// Statistics of one key in consecutive periods, such as local days or months.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeriodQuery {
    pub key: Arc<str>,
    /// Ascending: n + 1 bounds of n periods, at most [`crate::limits::PERIODS`]. Each period has
    /// its first bound and not its last. Of periods with data the answer has one bucket each.
    pub bounds: Vec<Wall>,
}

/// What the value of one key was between two instants, as runs of one value each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateQuery {
    pub key: Arc<str>,
    /// Inclusive.
    pub from: Wall,
    /// Exclusive.
    pub to: Wall,
    /// The most runs of the answer; of more the newest.
    pub runs: usize,
    /// A run ends where nothing was observed for longer.
    pub gap: Duration,
}

/// A value and for how long it was observed without another one between.
#[derive(Debug, Clone, PartialEq)]
pub struct StateRun {
    /// When it was first observed within the span.
    pub from: Wall,
    /// When the next value was observed; before a gap and at the end, when this one was last.
    pub to: Wall,
    pub value: Value,
}

/// The runs of a [`StateQuery`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StateHistory {
    /// Oldest first.
    pub runs: Vec<StateRun>,
    /// Of the time before that nothing is known: its rows are deleted, or there was a limit.
    pub known_from: Wall,
    /// There are more runs than asked for, or more rows than one answer reads.
    pub is_cut: bool,
}
