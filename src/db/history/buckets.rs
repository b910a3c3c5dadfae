//! Buckets of a history answer: their grid, and adding rollups and rows to them.
//!
//! Pure; any thread.

use std::collections::BTreeMap;

use crate::db::periods::{DAY, HOUR};
use crate::db::rollup::{self, Aggregate, HourRollup};
use crate::domain::history::Bucket;
use crate::domain::reading::round_computed;
use crate::domain::time::Wall;
use crate::limits;

/// Widths of buckets, in seconds: those that people count in.
const WIDTHS: [i64; 24] = [
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1_800,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
    28 * DAY,
    91 * DAY,
    364 * DAY,
];

/// The widest is doubled so often at most: then it is wider than years 1 to 9999.
const DOUBLINGS: u32 = 14;

/// Where buckets begin: at multiples of `width` from `origin`, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    pub origin: i64,
    pub width: i64,
}

/// The narrowest grid that fits a span (in seconds, within years 1 to 9999, not empty) into
/// `points` buckets. Its origin is 1970, unless a single bucket has to span that.
pub(super) fn grid(from: i64, to: i64, points: usize) -> Grid {
    let points = i64::try_from(points.clamp(1, limits::HISTORY_POINTS)).unwrap_or(1);
    let fits = |width: &i64| (to - 1).div_euclid(*width) - from.div_euclid(*width) < points;
    let widest = WIDTHS[WIDTHS.len() - 1];
    let wider = (1..=DOUBLINGS).map(|times| widest << times);
    match WIDTHS.into_iter().chain(wider).find(fits) {
        Some(width) => Grid { origin: 0, width },
        // Some bucket begins in 1970, whatever the width.
        None => {
            let first_day = from.div_euclid(DAY);
            let days = (to - 1).div_euclid(DAY) + 1 - first_day;
            Grid {
                origin: first_day * DAY,
                width: days * DAY,
            }
        }
    }
}

/// Buckets as they fill, by when they begin.
#[derive(Default)]
pub(super) struct Buckets {
    pub origin: i64,
    pub by_begin: BTreeMap<i64, (i64, Option<Aggregate>)>,
}

impl Buckets {
    pub fn add(&mut self, at: i64, width: i64, summary: &Aggregate) {
        let begin = self.origin + (at - self.origin).div_euclid(width) * width;
        let (seconds, sum) = self.by_begin.entry(begin).or_insert((width, None));
        *seconds = (*seconds).max(width);
        rollup::add(sum, summary);
    }

    /// An hour as a whole.
    pub fn add_hour(&mut self, hour: i64, width: i64, found: &HourRollup) {
        if let Some(mut summary) = found.aggregate {
            summary.last_at = summary.last_at.saturating_add(hour * HOUR);
            self.add(hour * HOUR, width, &summary);
        }
    }

    pub fn finish(self) -> Vec<Bucket> {
        let bucket = |(begin, (seconds, summary)): (i64, (i64, Option<Aggregate>))| {
            summary.map(|s| Bucket {
                from: Wall::from_second(begin),
                seconds: seconds.unsigned_abs(),
                count: s.count,
                min: s.min,
                mean: round_computed(s.mean),
                max: s.max,
                last: s.last,
            })
        };
        self.by_begin.into_iter().filter_map(bucket).collect()
    }
}
