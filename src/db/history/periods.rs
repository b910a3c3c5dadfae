//! Statistics of consecutive periods: whole days and hours, and rows where a bound is within an
//! hour.
//!
//! Days are summed up in UTC, so that a local day is made of its hours. Where hours are deleted,
//! the day of UTC counts for the period that has most of it.
//! Runs on the thread that asks, within one read transaction.

use std::collections::BTreeSet;
use std::ops::Range;

use rusqlite::Connection;

use super::HistoryError;
use super::key_reader::KeyReader;
use super::query::seconds_within_years;
use crate::db::periods::{DAY, FIVE_MINUTES, HOUR};
use crate::db::rollup::{self, Aggregate, HourRollup, five_minute};
use crate::db::tiers::Tiers;
use crate::domain::history::{Bucket, PeriodQuery};
use crate::domain::reading::round_computed;
use crate::domain::time::Wall;
use crate::limits;
use crate::sys::budget::Budget;

const HOURS_PER_DAY: i64 = DAY / HOUR;

pub fn periods(
    connection: &Connection,
    query: &PeriodQuery,
    budget: &Budget,
) -> Result<Vec<Bucket>, HistoryError> {
    let reader = KeyReader::find(connection, &query.key, budget)?;
    let bounds = query.bounds.iter().map(|at| seconds_within_years(*at));
    let bounds: BTreeSet<i64> = bounds.collect();
    let too_many = bounds.len().saturating_sub(limits::PERIODS + 1);
    statistics(reader, bounds.into_iter().skip(too_many).collect())
}

/// The same for bounds in seconds since 1970, in their order.
pub(super) fn statistics(
    reader: KeyReader<'_>,
    bounds: Vec<i64>,
) -> Result<Vec<Bucket>, HistoryError> {
    let mut sums = PeriodSums {
        sums: vec![None; bounds.len().saturating_sub(1)],
        bounds,
    };
    let Some((from, to)) = sums.span() else {
        return Ok(Vec::new());
    };
    let tiers = Tiers::read(reader.connection)?;
    let summed_up = tiers.daily_until.unwrap_or(i64::MIN / DAY);
    let mut without_hours = summed_up.min(tiers.hourly_from.div_euclid(HOURS_PER_DAY));
    let mut parts = sums.whole_parts(without_hours, summed_up);
    let end = reader.end_of_hours()?.min(to.div_euclid(HOUR));
    if let Some(newest) = first_affordable_day(&parts, end, sums.most_hours()) {
        without_hours = newest.min(summed_up).max(without_hours);
        parts = sums.whole_parts(without_hours, summed_up);
    }
    reader.for_each_day(from.div_euclid(DAY)..without_hours, |day, summary| {
        sums.add(day * DAY + DAY / 2, summary);
    })?;
    for part in parts {
        match part {
            WholePart::Days(days) => {
                reader.for_each_day(days, |day, summary| sums.add(day * DAY, summary))?;
            }
            WholePart::Hours(hours) => {
                let begin = hours.start.saturating_mul(HOUR);
                if let Some(sum) = reader.sum_of_hours(hours)? {
                    sums.add(begin, &sum);
                }
            }
        }
    }
    add_split_hours(&mut sums, reader, &tiers, without_hours)?;
    Ok(sums.finish())
}

/// Adds the hours that a bound lies within. The newest first: of those that are too many the hour
/// counts as a whole.
fn add_split_hours(
    sums: &mut PeriodSums,
    reader: KeyReader<'_>,
    tiers: &Tiers,
    without_hours: i64,
) -> Result<(), HistoryError> {
    let Some((from, to)) = sums.span() else {
        return Ok(());
    };
    let mut rows_left = limits::PERIOD_BOUND_ROWS;
    for hour in sums.split_hours().into_iter().rev() {
        if hour >= without_hours.saturating_mul(HOURS_PER_DAY)
            && let Some(found) = reader.hour(hour)?
        {
            let split = SplitHour {
                hour,
                found: &found,
                between: from.max(hour * HOUR)..to.min((hour + 1) * HOUR),
            };
            split.add_to(sums, reader, tiers, &mut rows_left)?;
        }
    }
    Ok(())
}

/// Days or hours that lie within one period as a whole.
enum WholePart {
    Days(Range<i64>),
    Hours(Range<i64>),
}

/// The day from which on `most` hours are enough for the parts before `end`; `None` where they are
/// for all.
fn first_affordable_day(parts: &[WholePart], end: i64, most: i64) -> Option<i64> {
    let mut left = most;
    for part in parts.iter().rev() {
        let WholePart::Hours(hours) = part else {
            continue;
        };
        let last = hours.end.min(end);
        left -= (last - hours.start).max(0);
        if left < 0 {
            return Some(last.div_euclid(HOURS_PER_DAY));
        }
    }
    None
}

/// The periods as they fill.
struct PeriodSums {
    bounds: Vec<i64>,
    sums: Vec<Option<Aggregate>>,
}

impl PeriodSums {
    /// First and last bound, unless there is no period.
    fn span(&self) -> Option<(i64, i64)> {
        let (first, last) = (self.bounds.first()?, self.bounds.last()?);
        (!self.sums.is_empty()).then_some((*first, *last))
    }

    /// The hours that may be read: a bucket of several days is not worth those of a year.
    fn most_hours(&self) -> i64 {
        // Local days have up to 25 hours, and some zones skipped a day.
        let is_long = |bounds: &[i64]| bounds[1] - bounds[0] > DAY + 2 * HOUR;
        let long = self.bounds.windows(2).filter(|it| is_long(it)).count();
        if long > self.sums.len() / 2 {
            limits::LONG_PERIOD_HOURS
        } else {
            limits::PERIOD_HOURS
        }
    }

    /// Adds to the period that has the second `at`, if one has.
    fn add(&mut self, at: i64, summary: &Aggregate) {
        let place = self.bounds.partition_point(|bound| *bound <= at);
        if let Some(sum) = place
            .checked_sub(1)
            .and_then(|index| self.sums.get_mut(index))
        {
            rollup::add(sum, summary);
        }
    }

    fn add_hour(&mut self, hour: i64, at: i64, found: &HourRollup) {
        if let Some(mut summary) = found.aggregate {
            summary.last_at = summary.last_at.saturating_add(hour * HOUR);
            self.add(at, &summary);
        }
    }

    /// What lies whole within the periods: days up to `summed_up`, else hours.
    fn whole_parts(&self, without_hours: i64, summed_up: i64) -> Vec<WholePart> {
        let mut parts = Vec::new();
        let first_hour = without_hours.saturating_mul(HOURS_PER_DAY);
        for bounds in self.bounds.windows(2) {
            let begin = div_ceil(bounds[0], HOUR).max(first_hour);
            let end = bounds[1].div_euclid(HOUR);
            let first_day = div_ceil(begin, HOURS_PER_DAY);
            let end_day = end.div_euclid(HOURS_PER_DAY).min(summed_up);
            if first_day < end_day {
                parts.push(WholePart::Hours(begin..first_day * HOURS_PER_DAY));
                parts.push(WholePart::Days(first_day..end_day));
                parts.push(WholePart::Hours(end_day * HOURS_PER_DAY..end));
            } else {
                parts.push(WholePart::Hours(begin..end));
            }
        }
        parts
    }

    /// The hours that a bound lies within.
    fn split_hours(&self) -> BTreeSet<i64> {
        let within = self.bounds.iter().filter(|bound| *bound % HOUR != 0);
        within.map(|bound| bound.div_euclid(HOUR)).collect()
    }

    /// The bounds within an hour.
    fn bounds_within(&self, hour: i64) -> &[i64] {
        let first = self.bounds.partition_point(|bound| *bound <= hour * HOUR);
        let end = self
            .bounds
            .partition_point(|bound| *bound < (hour + 1) * HOUR);
        self.bounds.get(first..end).unwrap_or_default()
    }

    fn finish(self) -> Vec<Bucket> {
        let periods = self.bounds.windows(2).zip(&self.sums);
        let bucket = |(bounds, sum): (&[i64], &Option<Aggregate>)| {
            sum.map(|sum| Bucket {
                from: Wall::from_second(bounds[0]),
                seconds: bounds[1].abs_diff(bounds[0]),
                count: sum.count,
                min: sum.min,
                mean: round_computed(sum.mean),
                max: sum.max,
                last: sum.last,
            })
        };
        periods.filter_map(bucket).collect()
    }
}

/// An hour that several periods share.
struct SplitHour<'a> {
    hour: i64,
    found: &'a HourRollup,
    /// The seconds of it that periods have.
    between: Range<i64>,
}

impl SplitHour<'_> {
    /// Adds its parts, or it as a whole to the period that has its middle.
    fn add_to(
        &self,
        sums: &mut PeriodSums,
        reader: KeyReader<'_>,
        tiers: &Tiers,
        rows_left: &mut i64,
    ) -> Result<(), HistoryError> {
        let is_summed_up = tiers
            .five_minute_until
            .is_some_and(|until| self.hour < until);
        let is_even = |bounds: &[i64]| bounds.iter().all(|bound| bound % FIVE_MINUTES == 0);
        if is_summed_up
            && five_minute::is_eligible(self.found)
            && is_even(sums.bounds_within(self.hour))
            && self.add_five_minutes(sums, reader)?
        {
            return Ok(());
        }
        let affordable = i64::try_from(reader.budget.rows_for_detail()).unwrap_or(i64::MAX);
        let rows = self.found.id_count();
        if self.hour < tiers.raw_from || rows > affordable.min(*rows_left) {
            sums.add_hour(self.hour, self.hour * HOUR + HOUR / 2, self.found);
            return Ok(());
        }
        *rows_left -= rows;
        for (at, value) in reader.numbers((self.hour, self.found), self.between.clone())? {
            if let Some(value) = value {
                sums.add(at, &Aggregate::of(value, at));
            }
        }
        Ok(())
    }

    /// Whether the hour has five-minute rollups, which are added then.
    fn add_five_minutes(
        &self,
        sums: &mut PeriodSums,
        reader: KeyReader<'_>,
    ) -> Result<bool, HistoryError> {
        reader
            .budget
            .spend(HOUR.unsigned_abs() / FIVE_MINUTES.unsigned_abs())?;
        let fives = five_minute::read(reader.connection, self.hour, reader.key_id)?;
        for (five, summary) in (0..).zip(&fives) {
            if let Some(mut summary) = *summary {
                summary.last_at = summary.last_at.saturating_add(self.hour * HOUR);
                sums.add(self.hour * HOUR + five * FIVE_MINUTES, &summary);
            }
        }
        Ok(fives.iter().any(Option::is_some))
    }
}

fn div_ceil(dividend: i64, divisor: i64) -> i64 {
    -(-dividend).div_euclid(divisor)
}
