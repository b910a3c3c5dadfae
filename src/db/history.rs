//! Reading the past, beside the writer and never in its way.
//!
//! Used by the web workers. A connection of its own that cannot write; opened when first
//! asked, and anew when the file at the path is another one.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use super::file::DatabaseFiles;
use super::periods::{DAY, FIVE_MINUTES, HOUR, second_of_hour};
use super::rollup::five_minute;
use super::rollup::{self, Aggregate, HourRollup};
use super::tiers::Tiers;
use super::{connection, error, file, open_files};
use crate::domain::history::{Bucket, HistoryQuery};
use crate::domain::reading::round_computed;
use crate::domain::time::Wall;
use crate::limits;
use crate::sys::budget::{Budget, Exceeded};
use crate::sys::thread::yield_cpu;

/// Why there is no history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryError {
    /// No row of this key was ever stored.
    UnknownKey,
    /// The database cannot be read now.
    Unavailable(String),
    /// What was asked for stands where the database is damaged.
    Damaged(String),
    /// The query would cost more than its request may.
    Exceeded(Exceeded),
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HistoryError::UnknownKey => f.write_str("no reading of this key was ever stored"),
            HistoryError::Unavailable(detail) | HistoryError::Damaged(detail) => {
                write!(f, "the database cannot be read now: {detail}")
            }
            HistoryError::Exceeded(limit) => write!(f, "cut off at {limit}"),
        }
    }
}

impl std::error::Error for HistoryError {}

impl From<rusqlite::Error> for HistoryError {
    fn from(error: rusqlite::Error) -> HistoryError {
        let words = error::describe(&error);
        match error::is_damage(&error) {
            true => HistoryError::Damaged(words),
            false => HistoryError::Unavailable(words),
        }
    }
}

impl From<Exceeded> for HistoryError {
    fn from(exceeded: Exceeded) -> HistoryError {
        HistoryError::Exceeded(exceeded)
    }
}

/// Answers history queries. Shared by all workers; one asks at a time.
pub struct HistoryReader {
    path: PathBuf,
    open: Arc<open_files::ReaderSlot>,
    /// When another program's lock was met, and what was said then.
    locked: Mutex<Option<(Instant, HistoryError)>>,
}

/// How long a database that was locked is not tried again: a page asks for many keys.
const LOCKED_RETRY: Duration = Duration::from_secs(1);

impl HistoryReader {
    pub fn new(path: impl Into<PathBuf>) -> HistoryReader {
        let path = path.into();
        HistoryReader {
            open: open_files::reader_slot(&path),
            locked: Mutex::default(),
            path,
        }
    }

    /// The buckets of a query, oldest first; those without a number are left out. Their
    /// width comes from the finest tier that can answer at bounded cost, and is at least
    /// what keeps them within `points`; the first and last may reach past the span by a
    /// part of their width. Rows and time are spent from `budget`.
    pub fn history(
        &self,
        query: &HistoryQuery,
        budget: &Budget,
    ) -> Result<Vec<Bucket>, HistoryError> {
        self.with_connection(|connection| {
            // Others may have had the connection for long.
            budget.spend(0)?;
            history(connection, query, budget)
        })
    }

    /// The keys that rows were ever stored of, by name.
    #[cfg(test)]
    pub fn keys(&self) -> Result<Vec<String>, HistoryError> {
        self.with_connection(|connection| {
            let mut statement = connection.prepare_cached("SELECT key FROM keys ORDER BY key")?;
            let keys = statement.query_map([], |row| row.get(0))?;
            Ok(keys.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn with_connection<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, HistoryError>,
    ) -> Result<T, HistoryError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut refused = self.locked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, error)) = &*refused
            && at.elapsed() < LOCKED_RETRY
        {
            return Err(error.clone());
        }
        let files = DatabaseFiles::at(&self.path, &file::without_links(&self.path));
        if files.database.is_none() {
            *open = None;
            return Err(HistoryError::Unavailable(
                "the file is not there".to_owned(),
            ));
        }
        if !matches!(&*open, Some((opened, _)) if *opened == files) {
            *open = None;
            *refused = None;
            let connection = connection::open_for_web(&self.path).map_err(|error| {
                let is_locked = error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy);
                let error = HistoryError::from(error);
                if is_locked {
                    *refused = Some((Instant::now(), error.clone()));
                }
                error
            })?;
            // Opening may have made the index.
            let files = DatabaseFiles::at(&self.path, &file::without_links(&self.path));
            *open = Some((files, connection));
        }
        let Some((_, connection)) = &*open else {
            return Err(HistoryError::Unavailable("it is not open".to_owned()));
        };
        let answer = connection
            .unchecked_transaction()
            .map_err(HistoryError::from)
            // One transaction, so that retention between two statements shows no gap.
            .and_then(|_transaction| read(connection));
        if let Err(HistoryError::Unavailable(_) | HistoryError::Damaged(_)) = answer {
            *open = None;
        }
        if let Err(HistoryError::Damaged(_)) = answer {
            open_files::report_damage(&self.path);
        }
        answer
    }
}

/// Rows of one key that are read before others are let run: some 50 µs of work on a PC.
const ROWS_PER_YIELD: usize = 16;

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
struct Grid {
    origin: i64,
    width: i64,
}

/// The narrowest grid that fits a span (in seconds, within years 1 to 9999, not empty) into
/// `points` buckets. Its origin is 1970, unless a single bucket has to span that.
fn grid(from: i64, to: i64, points: usize) -> Grid {
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

pub(super) fn history(
    connection: &Connection,
    query: &HistoryQuery,
    budget: &Budget,
) -> Result<Vec<Bucket>, HistoryError> {
    let mut statement = connection.prepare_cached("SELECT k FROM keys WHERE key = ?1")?;
    let k: Option<i64> = statement
        .query_row([&query.key], |row| row.get(0))
        .optional()?;
    let k = k.ok_or(HistoryError::UnknownKey)?;
    // Years 1 to 9999, past which nothing is stored; arithmetic stays far from overflow.
    let [from, to] =
        [query.from, query.to].map(|at| at.second().clamp(-62_135_596_800, 253_402_300_800));
    if from >= to {
        return Ok(Vec::new());
    }
    let asked = KeySpan {
        key_id: k,
        key: &query.key,
        from,
        to,
        budget,
    };
    let Grid { origin, width } = grid(from, to, query.points);
    let tiers = Tiers::read(connection)?;
    let mut buckets = Buckets {
        origin,
        ..Buckets::default()
    };
    let hours = asked.hours_between(connection)?;
    let days_until = asked.days_until(&tiers, width, hours);
    if days_until > asked.from.div_euclid(DAY) {
        asked.days(connection, days_until, width.max(DAY), &mut buckets)?;
    }
    // Where days answer a part, hours of the same answer take the same width if it is wider;
    // a bucket is never narrower than its tier.
    let first = (asked.from.div_euclid(HOUR)).max(days_until.saturating_mul(24));
    let end = asked.end_hour();
    let oldest = first.max(tiers.raw_from).min(end);
    let fine = match width < HOUR {
        true => asked.sub_hour_plan(connection, &tiers, width, oldest..end)?,
        false => None,
    };
    let fine_from = if fine.is_some() { oldest } else { end };
    asked.hours(connection, first..fine_from, width.max(HOUR), &mut buckets)?;
    if let Some(fine) = fine {
        asked.sub_hours(connection, &fine, oldest..end, &mut buckets)?;
    }
    Ok(buckets.finish())
}

/// How hours are answered in parts.
struct SubHourPlan {
    width: i64,
    /// The hour before which fives answer where there are any.
    five_minute_until: i64,
}

impl SubHourPlan {
    fn uses_five_minutes(&self, hour: i64, found: &HourRollup) -> bool {
        hour < self.five_minute_until && five_minute::is_eligible(found)
    }
}

/// A key and a span, in seconds.
struct KeySpan<'a> {
    key_id: i64,
    key: &'a str,
    from: i64,
    to: i64,
    budget: &'a Budget,
}

impl KeySpan<'_> {
    /// How many hours of this key the span has, counted no further than is of use.
    fn hours_between(&self, connection: &Connection) -> rusqlite::Result<i64> {
        // Hours without any key cost nothing to pass, so the table says, not the calendar.
        let (first, last): (Option<i64>, Option<i64>) = connection.query_row(
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
        let end = match end_day <= tiers.hourly_from.div_euclid(24) {
            true => end_day,
            false => self.to.div_euclid(DAY),
        };
        until.min(end).max(self.from.div_euclid(DAY))
    }

    /// How these hours can be answered in parts: by rows alone, with fives where rows are
    /// many, or, where both would be too many to read, not at all.
    fn sub_hour_plan(
        &self,
        connection: &Connection,
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
        let affordable = i64::try_from(self.budget.rows_for_detail()).unwrap_or(i64::MAX);
        let most = limits::HISTORY_RAW_ROWS.min(affordable);
        let (mut all_rows, mut other_rows, mut fives): (i64, i64, i64) = (0, 0, 0);
        let mut walk = HourWalk::new(connection, self, hours);
        while let Some((hour, found)) = walk.next()? {
            all_rows = all_rows.saturating_add(found.id_count());
            match by_fives.uses_five_minutes(hour, &found) {
                true => fives += 1,
                false => other_rows = other_rows.saturating_add(found.id_count()),
            }
            if fives > limits::HISTORY_FIVES_HOURS
                || fives
                    .saturating_mul(HOUR / FIVE_MINUTES)
                    .saturating_add(other_rows)
                    > most
            {
                return Ok(None);
            }
        }
        Ok(match width < FIVE_MINUTES && all_rows <= most {
            true => Some(by_rows),
            false => Some(by_fives),
        })
    }

    fn days(
        &self,
        connection: &Connection,
        until: i64,
        width: i64,
        buckets: &mut Buckets,
    ) -> Result<(), HistoryError> {
        let mut one = connection.prepare_cached(
            "SELECT count, min, mean, max, last, day * 86400 FROM daily \
             WHERE day = ?1 AND k = ?2",
        )?;
        let mut next = connection.prepare_cached(
            "SELECT day FROM daily WHERE day >= ?1 AND day < ?2 ORDER BY day LIMIT 1",
        )?;
        let mut from = self.from.div_euclid(DAY);
        loop {
            self.budget.spend(2)?;
            let day: Option<i64> = next.query_row([from, until], |row| row.get(0)).optional()?;
            let Some(day) = day else {
                return Ok(());
            };
            let summary = one.query_row([day, self.key_id], rollup::read_aggregate);
            let summary = error::readable(summary.optional())?.flatten();
            if let Some(summary) = summary.flatten() {
                buckets.add(summary.last_at, width, &summary);
            }
            from = day + 1;
        }
    }

    fn hours(
        &self,
        connection: &Connection,
        hours: Range<i64>,
        width: i64,
        buckets: &mut Buckets,
    ) -> Result<(), HistoryError> {
        let mut walk = HourWalk::new(connection, self, hours);
        while let Some((hour, found)) = walk.next()? {
            buckets.add_hour(hour, width, &found);
        }
        Ok(())
    }

    fn sub_hours(
        &self,
        connection: &Connection,
        fine: &SubHourPlan,
        hours: Range<i64>,
        buckets: &mut Buckets,
    ) -> Result<(), HistoryError> {
        let mut walk = HourWalk::new(connection, self, hours);
        while let Some((hour, found)) = walk.next()? {
            match fine.uses_five_minutes(hour, &found) {
                true => self.five_minutes(connection, fine.width, (hour, &found), buckets)?,
                false => self.rows(connection, fine.width, (hour, &found), buckets)?,
            }
        }
        Ok(())
    }

    fn five_minutes(
        &self,
        connection: &Connection,
        width: i64,
        (hour, found): (i64, &HourRollup),
        buckets: &mut Buckets,
    ) -> Result<(), HistoryError> {
        self.budget
            .spend(HOUR.unsigned_abs() / FIVE_MINUTES.unsigned_abs())?;
        let fives = five_minute::read(connection, hour, self.key_id)?;
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
        connection: &Connection,
        width: i64,
        (hour, found): (i64, &HourRollup),
        buckets: &mut Buckets,
    ) -> Result<(), HistoryError> {
        let mut statement = connection.prepare_cached(
            "SELECT timestamp, value FROM records WHERE id BETWEEN ?1 AND ?2 AND key = ?3 \
             AND timestamp >= ?4 AND timestamp < ?5 ORDER BY id",
        )?;
        let begin = Wall::from_second(self.from.max(hour * HOUR)).to_string();
        let end = Wall::from_second(self.to.min((hour + 1) * HOUR)).to_string();
        // Of one second the highest id holds, and late rows find their place.
        let mut seconds: BTreeMap<i64, Option<f64>> = BTreeMap::new();
        // A part at a time: where the key has few rows of many, one statement could scan for
        // long without a row to stop at.
        let mut first = found.first_id;
        while first <= found.last_id {
            let last = found
                .last_id
                .min(first.saturating_add(limits::SCAN_IDS - 1));
            self.budget.spend(last.abs_diff(first) + 1)?;
            let mut rows = statement.query(params![first, last, self.key, begin, end])?;
            while let Some(row) = rows.next()? {
                let at = hour * HOUR + second_of_hour(row.get_ref(0)?.as_str().unwrap_or(""));
                // A damaged row says nothing.
                if let Ok(value) = row.get(1) {
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
        for (at, value) in seconds {
            if let Some(value) = value {
                buckets.add(at, width, &Aggregate::of(value, at));
            }
        }
        Ok(())
    }
}

/// Walks one key's hours by looking each up: in a time-major table the hours of all the
/// other keys lie between. Gaps in which no key has an hour are leapt over.
struct HourWalk<'a> {
    connection: &'a Connection,
    span: &'a KeySpan<'a>,
    next: i64,
    end: i64,
}

impl<'a> HourWalk<'a> {
    fn new(connection: &'a Connection, asked: &'a KeySpan<'a>, hours: Range<i64>) -> HourWalk<'a> {
        HourWalk {
            connection,
            span: asked,
            next: hours.start,
            end: hours.end,
        }
    }

    fn next(&mut self) -> Result<Option<(i64, HourRollup)>, HistoryError> {
        while self.next < self.end {
            yield_cpu();
            self.span.budget.spend(2)?;
            let hour = self.next;
            self.next += 1;
            let found =
                error::readable(rollup::read_hour(self.connection, hour, self.span.key_id))?;
            if let Some(found) = found.flatten() {
                return Ok(Some((hour, found)));
            }
            let mut leap = self
                .connection
                .prepare_cached("SELECT hour FROM hourly WHERE hour >= ?1 ORDER BY hour LIMIT 1")?;
            let next: Option<i64> = leap.query_row([self.next], |row| row.get(0)).optional()?;
            self.next = next.unwrap_or(self.end);
        }
        Ok(None)
    }
}

/// Buckets as they fill, by when they begin.
#[derive(Default)]
struct Buckets {
    origin: i64,
    by_begin: BTreeMap<i64, (i64, Option<Aggregate>)>,
}

impl Buckets {
    fn add(&mut self, at: i64, width: i64, summary: &Aggregate) {
        let begin = self.origin + (at - self.origin).div_euclid(width) * width;
        let (seconds, sum) = self.by_begin.entry(begin).or_insert((width, None));
        *seconds = (*seconds).max(width);
        rollup::add(sum, summary);
    }

    /// An hour as a whole.
    fn add_hour(&mut self, hour: i64, width: i64, found: &HourRollup) {
        if let Some(mut summary) = found.aggregate {
            summary.last_at = summary.last_at.saturating_add(hour * HOUR);
            self.add(hour * HOUR, width, &summary);
        }
    }

    fn finish(self) -> Vec<Bucket> {
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

#[cfg(test)]
#[path = "tests/history.rs"]
mod tests;
