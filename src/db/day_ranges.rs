//! Day ranges as stored: what the hours of the newest local day have, for a start.
//!
//! Runs once, on the main thread, before anything is fetched. Never writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use rusqlite::Connection;

use super::id_ranges;
use super::periods::HOUR;
use super::rollup::five_minute;
use crate::domain::day_range::{DayRange, StoredDay};
use crate::domain::derived::CalendarPeriod;
use crate::domain::time::Moment;
use crate::limits;

/// The ranges of keys that are `wanted` on the day of `now`, or while the clock is not trusted on
/// the newest day that has hours.
pub fn read_day(
    connection: &Connection,
    zone: &TimeZone,
    now: Moment,
    wanted: &dyn Fn(&str) -> bool,
) -> rusqlite::Result<Option<StoredDay>> {
    let newest: Option<i64> =
        connection.query_row("SELECT max(hour) FROM hourly", [], |row| row.get(0))?;
    let Some(newest) = newest else {
        return Ok(None);
    };
    let second = if now.trust.is_trusted() {
        now.wall.second()
    } else {
        newest.saturating_mul(HOUR)
    };
    let (begin, end) = CalendarPeriod::Day.bounds(second, zone);
    let mut ranges = read_hours(connection, begin, end, wanted)?;
    if begin.rem_euclid(HOUR) != 0 {
        read_rows(connection, begin, wanted, &mut ranges)?;
    }
    Ok(Some(StoredDay { second, ranges }))
}

/// The ranges of the hours that begin from `begin` to `end`.
fn read_hours(
    connection: &Connection,
    begin: i64,
    end: i64,
    wanted: &dyn Fn(&str) -> bool,
) -> rusqlite::Result<BTreeMap<Arc<str>, DayRange>> {
    let mut statement = connection.prepare(
        "SELECT key, lowest, highest FROM \
         (SELECT k, min(min) AS lowest, max(max) AS highest FROM hourly \
          WHERE hour >= ?1 AND hour < ?2 AND count > 0 GROUP BY k) AS day \
         JOIN keys ON keys.k = day.k",
    )?;
    let first = begin.div_euclid(HOUR) + i64::from(begin.rem_euclid(HOUR) != 0);
    let mut rows = statement.query([first, end.saturating_sub(1).div_euclid(HOUR) + 1])?;
    let mut ranges = BTreeMap::new();
    while let Some(row) = rows.next()? {
        // Damaged rows are skipped.
        let (Ok(key), Ok(min), Ok(max)) = (row.get_ref(0)?.as_str(), row.get(1), row.get(2)) else {
            continue;
        };
        if wanted(key) {
            ranges.insert(Arc::from(key), DayRange { min, max });
        }
    }
    Ok(ranges)
}

/// Adds what rows have of the hour that the day begins within, where that can be read at once.
fn read_rows(
    connection: &Connection,
    begin: i64,
    wanted: &dyn Fn(&str) -> bool,
    ranges: &mut BTreeMap<Arc<str>, DayRange>,
) -> rusqlite::Result<()> {
    let hour = begin.div_euclid(HOUR);
    let ids = id_ranges::of_hour(connection, hour)?;
    if id_ranges::count(&ids) > limits::FIVE_MINUTE_MAX_IDS {
        return Ok(());
    }
    five_minute::for_each_row(connection, hour, &ids, |key, second, value| {
        let Some(value) = value.filter(|_| hour * HOUR + second >= begin && wanted(key)) else {
            return;
        };
        match ranges.get_mut(key) {
            Some(range) => *range = range.including(value),
            None => {
                ranges.insert(Arc::from(key), DayRange::of(value));
            }
        }
    })
}

#[cfg(test)]
#[path = "tests/day_ranges.rs"]
mod tests;
