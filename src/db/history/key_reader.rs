//! Reader of one key's rollups and rows, within a budget.
//!
//! Runs on the thread that asks, within one read transaction.

use std::collections::BTreeMap;
use std::ops::Range;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::HistoryError;
use crate::db::error;
use crate::db::periods::{HOUR, second_of_hour};
use crate::db::rollup::{self, Aggregate, HourRollup};
use crate::db::row_codec::decode_value;
use crate::domain::reading::Value;
use crate::domain::time::Wall;
use crate::limits;
use crate::sys::budget::Budget;
use crate::sys::thread::yield_cpu;

/// Rows of one key that are read before others are let run: some 50 µs of work on a PC.
const ROWS_PER_YIELD: usize = 16;

/// A key of a database, and what reading it is paid from.
#[derive(Clone, Copy)]
pub(super) struct KeyReader<'a> {
    pub connection: &'a Connection,
    pub key_id: i64,
    key: &'a str,
    pub budget: &'a Budget,
}

impl<'a> KeyReader<'a> {
    pub fn find(
        connection: &'a Connection,
        key: &'a str,
        budget: &'a Budget,
    ) -> Result<KeyReader<'a>, HistoryError> {
        let mut statement = connection.prepare_cached("SELECT k FROM keys WHERE key = ?1")?;
        let key_id: Option<i64> = statement.query_row([key], |row| row.get(0)).optional()?;
        Ok(KeyReader {
            connection,
            key_id: key_id.ok_or(HistoryError::UnknownKey)?,
            key,
            budget,
        })
    }

    pub fn walk(self, hours: Range<i64>) -> HourWalk<'a> {
        HourWalk {
            reader: self,
            next: hours.start,
            end: hours.end,
        }
    }

    /// Hands on the days that are summed up, each with its begin as the time of its last.
    pub fn for_each_day(
        self,
        days: Range<i64>,
        mut take: impl FnMut(i64, &Aggregate),
    ) -> Result<(), HistoryError> {
        let mut one = self.connection.prepare_cached(
            "SELECT count, min, mean, max, last, day * 86400 FROM daily \
             WHERE day = ?1 AND k = ?2",
        )?;
        let mut next = self.connection.prepare_cached(
            "SELECT day FROM daily WHERE day >= ?1 AND day < ?2 ORDER BY day LIMIT 1",
        )?;
        let mut from = days.start;
        loop {
            self.budget.spend(2)?;
            let day = next.query_row([from, days.end], |row| row.get(0));
            let Some(day) = day.optional()? else {
                return Ok(());
            };
            let summary = one.query_row([day, self.key_id], rollup::read_aggregate);
            let summary = error::readable(summary.optional())?.flatten();
            if let Some(summary) = summary.flatten() {
                take(day, &summary);
            }
            from = day + 1;
        }
    }

    /// What the hours of a range sum up to, with the time of its last in seconds since 1970. Read a
    /// day at a time: 24 statements take three times as long.
    pub fn sum_of_hours(self, hours: Range<i64>) -> Result<Option<Aggregate>, HistoryError> {
        let mut day = self.connection.prepare_cached(
            "SELECT count, min, mean, max, last, hour * 3600 + last_s FROM hourly \
             WHERE hour IN (?1, ?1 + 1, ?1 + 2, ?1 + 3, ?1 + 4, ?1 + 5, ?1 + 6, ?1 + 7, ?1 + 8, \
             ?1 + 9, ?1 + 10, ?1 + 11, ?1 + 12, ?1 + 13, ?1 + 14, ?1 + 15, ?1 + 16, ?1 + 17, \
             ?1 + 18, ?1 + 19, ?1 + 20, ?1 + 21, ?1 + 22, ?1 + 23) AND hour < ?2 AND k = ?3",
        )?;
        let mut sum = None;
        let mut first = hours.start;
        while first < hours.end {
            self.budget.spend(24)?;
            let mut rows = day.query([first, hours.end, self.key_id])?;
            let mut is_empty = true;
            while let Some(row) = rows.next()? {
                is_empty = false;
                // Damaged hours are skipped.
                let hour = error::readable(rollup::read_aggregate(row))?.flatten();
                if let Some(hour) = hour {
                    rollup::add(&mut sum, &hour);
                }
            }
            yield_cpu();
            first += 24;
            if is_empty {
                first = self.next_hour(first)?.unwrap_or(hours.end);
            }
        }
        Ok(sum)
    }

    /// The first hour from `hour` on that any key has.
    fn next_hour(self, hour: i64) -> Result<Option<i64>, HistoryError> {
        let mut next = self
            .connection
            .prepare_cached("SELECT hour FROM hourly WHERE hour >= ?1 ORDER BY hour LIMIT 1")?;
        Ok(next.query_row([hour], |row| row.get(0)).optional()?)
    }

    /// The hour behind the last one that any key has.
    pub fn end_of_hours(self) -> Result<i64, HistoryError> {
        let mut last = self
            .connection
            .prepare_cached("SELECT hour FROM hourly ORDER BY hour DESC LIMIT 1")?;
        let last: Option<i64> = last.query_row([], |row| row.get(0)).optional()?;
        Ok(last.map_or(0, |hour| hour.saturating_add(1)))
    }

    pub fn hour(self, hour: i64) -> Result<Option<HourRollup>, HistoryError> {
        self.budget.spend(1)?;
        let found = error::readable(rollup::read_hour(self.connection, hour, self.key_id))?;
        Ok(found.flatten())
    }

    /// The numbers of an hour's rows by their seconds since 1970; `None` for a text.
    pub fn numbers(
        self,
        (hour, found): (i64, &HourRollup),
        between: Range<i64>,
    ) -> Result<BTreeMap<i64, Option<f64>>, HistoryError> {
        let read = |row: &Row| row.get(1).ok();
        self.rows((hour, found.first_id..=found.last_id), between, read)
    }

    /// The values of those of an hour's rows that have the given ids.
    pub fn values(
        self,
        hour: i64,
        ids: std::ops::RangeInclusive<i64>,
        between: Range<i64>,
    ) -> Result<BTreeMap<i64, Value>, HistoryError> {
        let read = |row: &Row| {
            let meta = row.get_ref(2).ok()?.as_str_or_null().ok()?;
            decode_value(row.get(1).ok()?, meta)
        };
        self.rows((hour, ids), between, read)
    }

    /// What `read` makes of rows: of one second the highest id holds, and late rows find their
    /// place. Damaged rows are skipped.
    fn rows<T>(
        self,
        (hour, ids): (i64, std::ops::RangeInclusive<i64>),
        between: Range<i64>,
        read: impl Fn(&Row) -> Option<T>,
    ) -> Result<BTreeMap<i64, T>, HistoryError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT timestamp, value, meta FROM records WHERE id BETWEEN ?1 AND ?2 AND key = ?3 \
             AND timestamp >= ?4 AND timestamp < ?5 ORDER BY id",
        )?;
        let begin = Wall::from_second(between.start.max(hour * HOUR)).to_string();
        let end = Wall::from_second(between.end.min((hour + 1) * HOUR)).to_string();
        let mut seconds = BTreeMap::new();
        // A part at a time: where the key has few rows of many, one statement could scan for
        // long without a row to stop at.
        let (mut first, until) = (*ids.start(), *ids.end());
        while first <= until {
            let last = until.min(first.saturating_add(limits::SCAN_IDS - 1));
            self.budget.spend(last.abs_diff(first) + 1)?;
            let mut rows = statement.query(params![first, last, self.key, begin, end])?;
            while let Some(row) = rows.next()? {
                let at = hour * HOUR + second_of_hour(row.get_ref(0)?.as_str().unwrap_or(""));
                if let Some(value) = read(row) {
                    seconds.insert(at, value);
                }
                if seconds.len().is_multiple_of(ROWS_PER_YIELD) {
                    yield_cpu();
                }
            }
            yield_cpu();
            match last.checked_add(1) {
                Some(next) => first = next,
                None => break,
            }
        }
        Ok(seconds)
    }
}

/// Walks one key's hours by looking each up: in a time-major table the hours of all the other
/// keys lie between. Gaps in which no key has an hour are skipped.
pub(super) struct HourWalk<'a> {
    reader: KeyReader<'a>,
    next: i64,
    end: i64,
}

impl HourWalk<'_> {
    pub fn next(&mut self) -> Result<Option<(i64, HourRollup)>, HistoryError> {
        while self.next < self.end {
            yield_cpu();
            self.reader.budget.spend(1)?;
            let hour = self.next;
            self.next += 1;
            if let Some(found) = self.reader.hour(hour)? {
                return Ok(Some((hour, found)));
            }
            let next = self.reader.next_hour(self.next)?;
            self.next = next.unwrap_or(self.end);
        }
        Ok(None)
    }
}
