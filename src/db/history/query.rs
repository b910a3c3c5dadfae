//! One history query: which tier answers which part of the span, read within a budget.
//!
//! Runs on the thread that asks, within one read transaction.

use std::ops::Range;

use jiff::tz::TimeZone;
use rusqlite::Connection;

use super::HistoryError;
use super::buckets::{Buckets, Grid, grid};
use super::key_reader::KeyReader;
use super::local_days::local_bounds;
use super::periods::statistics;
use crate::db::periods::{DAY, FIVE_MINUTES, HOUR};
use crate::db::rollup::{Aggregate, HourRollup, five_minute};
use crate::db::tiers::Tiers;
use crate::domain::history::{Bucket, HistoryQuery};
use crate::domain::time::Wall;
use crate::limits;
use crate::sys::budget::Budget;

pub fn history(
    connection: &Connection,
    query: &HistoryQuery,
    zone: &TimeZone,
    budget: &Budget,
) -> Result<Vec<Bucket>, HistoryError> {
    let reader = KeyReader::find(connection, &query.key, budget)?;
    let [from, to] = bounds(query);
    if from >= to {
        return Ok(Vec::new());
    }
    if let Some(bounds) = local_bounds(from, to, query.points, zone) {
        return statistics(reader, bounds);
    }
    let span = KeySpan { reader, from, to };
    let Grid { origin, width } = grid(from, to, query.points);
    let tiers = Tiers::read(connection)?;
    let mut buckets = Buckets {
        origin,
        ..Buckets::default()
    };
    let hours = span.hours_between()?;
    let days_until = span.days_until(&tiers, width, hours);
    if days_until > span.from.div_euclid(DAY) {
        span.days(days_until, width.max(DAY), &mut buckets)?;
    }
    // Where days answer a part, hours of the same answer take the same width if it is wider;
    // a bucket is never narrower than its tier.
    let first = (span.from.div_euclid(HOUR)).max(days_until.saturating_mul(24));
    let end = span.end_hour();
    let oldest = first.max(tiers.raw_from).min(end);
    let fine = if width < HOUR {
        span.sub_hour_plan(&tiers, width, oldest..end)?
    } else {
        None
    };
    let fine_from = if fine.is_some() { oldest } else { end };
    span.hours(first..fine_from, width.max(HOUR), &mut buckets)?;
    if let Some(fine) = fine {
        span.sub_hours(&fine, oldest..end, &mut buckets)?;
    }
    Ok(buckets.finish())
}

/// First and last second of a query, within years 1 to 9999: past them nothing is stored, and
/// arithmetic stays far from overflow.
pub fn bounds(query: &HistoryQuery) -> [i64; 2] {
    [query.from, query.to].map(seconds_within_years)
}

pub(super) fn seconds_within_years(at: Wall) -> i64 {
    at.second().clamp(-62_135_596_800, 253_402_300_800)
}

/// How buckets shorter than an hour are read.
struct SubHourPlan {
    width: i64,
    /// The hour before which five-minute rollups are used where there are any.
    five_minute_until: i64,
}

impl SubHourPlan {
    fn uses_five_minutes(&self, hour: i64, found: &HourRollup) -> bool {
        hour < self.five_minute_until && five_minute::is_eligible(found)
    }
}

/// A key and a span, in seconds.
struct KeySpan<'a> {
    reader: KeyReader<'a>,
    from: i64,
    to: i64,
}

impl KeySpan<'_> {
    /// How many hours of this key the span has, counted no further than is of use.
    fn hours_between(&self) -> rusqlite::Result<i64> {
        // Hours without any key cost nothing, so the table is queried and not the calendar.
        let (first, last): (Option<i64>, Option<i64>) = self.reader.connection.query_row(
            "SELECT (SELECT hour FROM hourly WHERE hour >= ?1 ORDER BY hour LIMIT 1), \
             (SELECT hour FROM hourly WHERE hour < ?2 ORDER BY hour DESC LIMIT 1)",
            [self.from.div_euclid(HOUR), self.end_hour()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(match (first, last) {
            (Some(first), Some(last)) => (last - first + 1).max(0),
            _ => 0,
        })
    }

    fn end_hour(&self) -> i64 {
        (self.to - 1).div_euclid(HOUR) + 1
    }

    /// The day before which days answer.
    fn days_until(&self, tiers: &Tiers, width: i64, hours: i64) -> i64 {
        let summed_up = tiers.daily_until.unwrap_or(i64::MIN / DAY);
        let until = if width >= DAY || hours > limits::HISTORY_HOURS {
            summed_up
        } else {
            // Of days that have lost their hours only days are left.
            summed_up.min(tiers.hourly_from.div_euclid(24))
        };
        // A day that the span ends within is for its hours, unless they are gone.
        let end_day = (self.to - 1).div_euclid(DAY) + 1;
        let end = if end_day <= tiers.hourly_from.div_euclid(24) {
            end_day
        } else {
            self.to.div_euclid(DAY)
        };
        until.min(end).max(self.from.div_euclid(DAY))
    }

    /// How these hours can be read in buckets shorter than an hour: by rows alone, with
    /// five-minute rollups where rows are many, or, where both would be too many to read, not at
    /// all.
    fn sub_hour_plan(
        &self,
        tiers: &Tiers,
        width: i64,
        hours: Range<i64>,
    ) -> Result<Option<SubHourPlan>, HistoryError> {
        let fives_until = tiers.five_minute_until.unwrap_or(i64::MIN);
        let by_rows = SubHourPlan {
            width,
            five_minute_until: i64::MIN,
        };
        let by_fives = SubHourPlan {
            width: width.max(FIVE_MINUTES),
            five_minute_until: fives_until,
        };
        let affordable = i64::try_from(self.reader.budget.rows_for_detail()).unwrap_or(i64::MAX);
        let most = limits::HISTORY_RAW_ROWS.min(affordable);
        let (mut all_rows, mut other_rows, mut fives): (i64, i64, i64) = (0, 0, 0);
        let mut walk = self.reader.walk(hours);
        while let Some((hour, found)) = walk.next()? {
            all_rows = all_rows.saturating_add(found.id_count());
            if by_fives.uses_five_minutes(hour, &found) {
                fives += 1;
            } else {
                other_rows = other_rows.saturating_add(found.id_count());
            }
            if fives > limits::HISTORY_FIVE_MINUTE_HOURS
                || fives
                    .saturating_mul(HOUR / FIVE_MINUTES)
                    .saturating_add(other_rows)
                    > most
            {
                return Ok(None);
            }
        }
        Ok(if width < FIVE_MINUTES && all_rows <= most {
            Some(by_rows)
        } else {
            Some(by_fives)
        })
    }

    fn days(&self, until: i64, width: i64, buckets: &mut Buckets) -> Result<(), HistoryError> {
        let days = self.from.div_euclid(DAY)..until;
        self.reader.for_each_day(days, |_, summary| {
            buckets.add(summary.last_at, width, summary);
        })
    }

    fn hours(
        &self,
        hours: Range<i64>,
        width: i64,
        buckets: &mut Buckets,
    ) -> Result<(), HistoryError> {
        let mut walk = self.reader.walk(hours);
        while let Some((hour, found)) = walk.next()? {
            buckets.add_hour(hour, width, &found);
        }
        Ok(())
    }

    fn sub_hours(
        &self,
        fine: &SubHourPlan,
        hours: Range<i64>,
        buckets: &mut Buckets,
    ) -> Result<(), HistoryError> {
        let mut walk = self.reader.walk(hours);
        while let Some((hour, found)) = walk.next()? {
            if fine.uses_five_minutes(hour, &found) {
                self.five_minutes(fine.width, (hour, &found), buckets)?;
            } else {
                self.rows(fine.width, (hour, &found), buckets)?;
            }
        }
        Ok(())
    }

    fn five_minutes(
        &self,
        width: i64,
        (hour, found): (i64, &HourRollup),
        buckets: &mut Buckets,
    ) -> Result<(), HistoryError> {
        self.reader
            .budget
            .spend(HOUR.unsigned_abs() / FIVE_MINUTES.unsigned_abs())?;
        let fives = five_minute::read(self.reader.connection, hour, self.reader.key_id)?;
        if fives.iter().all(Option::is_none) {
            buckets.add_hour(hour, width, found);
            return Ok(());
        }
        for (five, summary) in (0..).zip(fives) {
            let begin = hour * HOUR + five * FIVE_MINUTES;
            if let Some(mut summary) = summary
                && begin < self.to
                && begin + FIVE_MINUTES > self.from
            {
                summary.last_at = summary.last_at.saturating_add(hour * HOUR);
                buckets.add(begin, width, &summary);
            }
        }
        Ok(())
    }

    fn rows(
        &self,
        width: i64,
        (hour, found): (i64, &HourRollup),
        buckets: &mut Buckets,
    ) -> Result<(), HistoryError> {
        let between = self.from.max(hour * HOUR)..self.to.min((hour + 1) * HOUR);
        let seconds = self.reader.numbers((hour, found), between)?;
        for (at, value) in seconds {
            if let Some(value) = value {
                buckets.add(at, width, &Aggregate::of(value, at));
            }
        }
        Ok(())
    }
}
