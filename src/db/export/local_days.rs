//! Export of local days: a line for each key and day.
//!
//! Runs as the rest of the export does. Days come from what answers charts of local days.

use std::io::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::line::ExportLine;
use super::{ExportError, ExportJob, mean_of};
use crate::db::history::{self, HistoryError};
use crate::db::periods::{DAY, HOUR};
use crate::db::rollup::Aggregate;
use crate::domain::compact_sort::CompactSort;
use crate::domain::derived::CalendarPeriod;
use crate::domain::history::{Bucket, PeriodQuery};
use crate::domain::time::Wall;
use crate::sys::budget::Budget;

/// Days that are read at once: of so many all hours are read, also those that a midnight lies
/// within.
const DAYS_AT_ONCE: usize = 28;

impl<W: Write> ExportJob<'_, W> {
    /// Writes the days of a zone that the span has a part of.
    pub(super) fn local_days(&mut self, zone: &TimeZone) -> Result<(), ExportError> {
        let mut next = self.from;
        while let Some(begin) = self.next_stored(next)?.filter(|begin| *begin < self.to) {
            let mut last = CalendarPeriod::Day.bounds(begin, zone).0;
            let mut bounds = vec![Wall::from_second(last)];
            while bounds.len() <= DAYS_AT_ONCE && last < self.to {
                last = CalendarPeriod::Day.bounds(last, zone).1;
                bounds.push(Wall::from_second(last));
            }
            for (k, day) in self.read_days(&bounds)? {
                self.write_day(k, &day, zone)?;
            }
            next = last;
        }
        Ok(())
    }

    /// The first second from `from` on that an hour or a day of any key may have.
    fn next_stored(&self, from: i64) -> rusqlite::Result<Option<i64>> {
        let hour = self.first("hourly", "hour", from.div_euclid(HOUR), i64::MAX)?;
        let day = self.first("daily", "day", from.div_euclid(DAY), i64::MAX)?;
        let hour = hour.map(|hour| hour.saturating_mul(HOUR));
        let day = day.map(|day| day.saturating_mul(DAY));
        let first = [hour, day].into_iter().flatten().min();
        Ok(first.map(|first| first.max(from)))
    }

    /// The days between bounds that have a number, the oldest first.
    fn read_days(&self, bounds: &[Wall]) -> Result<Vec<(i64, Bucket)>, ExportError> {
        let _transaction = self.connection.unchecked_transaction()?;
        let mut days = Vec::new();
        for (k, key) in &self.keys {
            let query = PeriodQuery {
                key: key.key.as_str().into(),
                bounds: bounds.to_vec(),
            };
            match history::periods(&self.connection, &query, &Budget::of_command()) {
                Ok(found) => days.extend(found.into_iter().map(|day| (*k, day))),
                // It was forgotten meanwhile.
                Err(HistoryError::UnknownKey) => {}
                Err(error) => return Err(ExportError::Days(error)),
            }
        }
        days.compact_sort_by_key(|(k, day)| (day.from, *k));
        Ok(days)
    }

    fn write_day(&mut self, k: i64, day: &Bucket, zone: &TimeZone) -> Result<(), ExportError> {
        let Some(key) = self.keys.get(&k).cloned() else {
            return Ok(());
        };
        let instant = Timestamp::from_second(day.from.second()).unwrap_or_default();
        let local = instant.to_zoned_datetime(zone.clone());
        let summary = Aggregate {
            count: day.count,
            min: day.min,
            mean: day.mean,
            max: day.max,
            last: day.last,
            last_at: 0,
        };
        self.write(&ExportLine {
            timestamp: local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            key: &key,
            content: mean_of(&summary),
            aggregate: Some((day.seconds.cast_signed(), summary)),
            id: None,
        })?;
        Ok(())
    }
}
