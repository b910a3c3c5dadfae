//! Buckets of what is stored ahead of now.
//!
//! Runs on the thread that asks, within one read transaction.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use rusqlite::Connection;

use super::HistoryError;
use super::buckets::{Grid, grid};
use super::local_days::local_bounds;
use super::query::bounds;
use crate::db::forecast;
use crate::db::rollup::{self, Aggregate};
use crate::domain::history::{Bucket, HistoryQuery};
use crate::domain::reading::{TimedValue, round_computed};
use crate::domain::time::Wall;
use crate::sys::budget::Budget;
use crate::sys::thread::yield_cpu;

/// The elements of a span that begin after `now`, in the buckets of the whole span. Each bucket
/// lasts as long as its elements, where the grid is finer.
pub fn forecast(
    connection: &Connection,
    query: &HistoryQuery,
    zone: &TimeZone,
    now: Wall,
    budget: &Budget,
) -> Result<Vec<Bucket>, HistoryError> {
    let [from, to] = bounds(query);
    let ahead = from.max(now.second() + 1);
    if ahead >= to {
        return Ok(Vec::new());
    }
    let [first, end] = [ahead, to].map(Wall::from_second);
    let elements = forecast::read_between(connection, &query.key, first, end)?;
    budget.spend(elements.len() as u64)?;
    yield_cpu();
    Ok(match local_bounds(from, to, query.points, zone) {
        Some(bounds) => buckets(&elements, |at| local_bucket(&bounds, at)),
        None => {
            let Grid { origin, width } = grid(from, to, query.points);
            buckets(&elements, |at| {
                let begin = origin + (at - origin).div_euclid(width) * width;
                (begin, begin + width)
            })
        }
    })
}

/// The bucket of an instant within the bounds.
fn local_bucket(bounds: &[i64], at: i64) -> (i64, i64) {
    let end = bounds.partition_point(|bound| *bound <= at);
    let bound = |index: usize| bounds.get(index).copied().unwrap_or(at);
    (bound(end.saturating_sub(1)), bound(end))
}

/// Elements summed up by the buckets that `bucket_of` says for a second: begin and end.
fn buckets(elements: &[TimedValue], bucket_of: impl Fn(i64) -> (i64, i64)) -> Vec<Bucket> {
    let mut sums: BTreeMap<i64, (i64, Option<Aggregate>)> = BTreeMap::new();
    for element in elements {
        let Some(number) = element.value.number() else {
            continue;
        };
        let start = element.start.second();
        let (begin, bucket_end) = bucket_of(start);
        let end = element.end.map_or(start, Wall::second);
        let (until, sum) = sums.entry(begin).or_insert((bucket_end, None));
        *until = (*until).max(end);
        rollup::add(sum, &Aggregate::of(number, start));
    }
    let bucket = |(begin, (until, sum)): (i64, (i64, Option<Aggregate>))| {
        let sum = sum?;
        Some(Bucket {
            from: Wall::from_second(begin),
            seconds: (until - begin).unsigned_abs(),
            count: sum.count,
            min: sum.min,
            mean: round_computed(sum.mean),
            max: sum.max,
            last: sum.last,
        })
    };
    sums.into_iter().filter_map(bucket).collect()
}
