//! History as views ask for it: one key, a span, a bounded number of buckets.

use std::sync::Arc;

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
