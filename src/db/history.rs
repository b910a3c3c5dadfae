//! Reading the past, beside the writer and never in its way.
//!
//! Used by the web workers. A connection of its own that cannot write; opened when first
//! asked, and anew when the file at the path is another one.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, params};

use super::repository::{self, Tiers};
use super::rollup::{self, DAY, HOUR, Summary};
use super::session::{self, FileId};
use crate::domain::history::{Bucket, HistoryQuery};
use crate::domain::reading::round_computed;
use crate::domain::time::Wall;
use crate::limits;

/// Why there is no history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryError {
    /// No row of this key was ever stored.
    UnknownKey,
    /// The database cannot be read now.
    Unavailable(String),
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HistoryError::UnknownKey => f.write_str("no reading of this key was ever stored"),
            HistoryError::Unavailable(detail) => {
                write!(f, "the database cannot be read now: {detail}")
            }
        }
    }
}

impl std::error::Error for HistoryError {}

impl From<rusqlite::Error> for HistoryError {
    fn from(error: rusqlite::Error) -> HistoryError {
        HistoryError::Unavailable(session::words(&error))
    }
}

/// Answers history queries. Shared by all workers; one asks at a time.
pub struct Reader {
    path: PathBuf,
    open: Mutex<Option<(FileId, Connection)>>,
}

impl Reader {
    pub fn new(path: impl Into<PathBuf>) -> Reader {
        Reader {
            path: path.into(),
            open: Mutex::new(None),
        }
    }

    /// The buckets of a query, oldest first; those without a number are left out. Their
    /// width comes from the finest tier that can answer at bounded cost, and is at least
    /// what keeps them within `points`; the first and last may reach past the span by a
    /// part of their width.
    pub fn history(&self, query: &HistoryQuery) -> Result<Vec<Bucket>, HistoryError> {
        self.with(|connection| history(connection, query))
    }

    /// The keys that rows were ever stored of, by name.
    #[cfg(test)]
    pub fn keys(&self) -> Result<Vec<String>, HistoryError> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached("SELECT key FROM keys ORDER BY key")?;
            let keys = statement.query_map([], |row| row.get(0))?;
            Ok(keys.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, HistoryError>,
    ) -> Result<T, HistoryError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = session::file_id(&self.path) else {
            *open = None;
            return Err(HistoryError::Unavailable(
                "the file is not there".to_owned(),
            ));
        };
        if !matches!(&*open, Some((opened, _)) if *opened == file) {
            *open = Some((file, session::open_read_only(&self.path)?));
        }
        let Some((_, connection)) = &*open else {
            return Err(HistoryError::Unavailable("it is not open".to_owned()));
        };
        let answer = connection
            .unchecked_transaction()
            .map_err(HistoryError::from)
            // One transaction, so that retention between two statements shows no gap.
            .and_then(|_transaction| read(connection));
        if let Err(HistoryError::Unavailable(_)) = answer {
            *open = None;
        }
        answer
    }
}

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

/// The narrowest width that fits a span (in seconds) into `points` buckets.
fn width(from: i64, to: i64, points: usize) -> i64 {
    let points = i64::try_from(points.clamp(1, limits::HISTORY_POINTS)).unwrap_or(1);
    let fits = |width: &i64| (to - 1).div_euclid(*width) - from.div_euclid(*width) < points;
    let widest = WIDTHS[WIDTHS.len() - 1];
    let wider = (1..).map(|times: i64| widest.saturating_mul(1 << times.min(40)));
    WIDTHS
        .into_iter()
        .chain(wider)
        .find(fits)
        .unwrap_or(i64::MAX)
}

pub(super) fn history(
    connection: &Connection,
    query: &HistoryQuery,
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
    let asked = Span {
        k,
        key: &query.key,
        from,
        to,
    };
    let mut width = width(from, to, query.points);
    let tiers = repository::read_tiers(connection)?;
    let mut buckets = Buckets::default();
    let hours = asked.hours_between(connection)?;
    let (days_until, rows_from) = asked.parts(&tiers, width, hours, connection)?;
    if days_until > asked.from.div_euclid(DAY) {
        asked.days(connection, days_until, width.max(DAY), &mut buckets)?;
    }
    let hours_from = asked
        .from
        .div_euclid(HOUR)
        .max(days_until.saturating_mul(24));
    if hours_from < rows_from {
        // Where days answer a part, hours of the same answer take the same width if it is
        // wider; a bucket is never narrower than its tier.
        asked.hours(
            connection,
            hours_from,
            rows_from,
            width.max(HOUR),
            &mut buckets,
        )?;
    }
    if rows_from.saturating_mul(HOUR) < asked.to {
        width = width.max(1);
        asked.rows(connection, rows_from, width, &mut buckets)?;
    }
    Ok(buckets.finish())
}

/// A key and a span, in seconds.
struct Span<'a> {
    k: i64,
    key: &'a str,
    from: i64,
    to: i64,
}

impl Span<'_> {
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

    /// Which tier answers what: days before the first number (a day), rows from the second
    /// (an hour), hours between.
    fn parts(
        &self,
        tiers: &Tiers,
        width: i64,
        hours: i64,
        connection: &Connection,
    ) -> rusqlite::Result<(i64, i64)> {
        let end = self.end_hour();
        let summed_up = tiers.daily_until.unwrap_or(i64::MIN / DAY);
        let first_day = self.from.div_euclid(DAY);
        let days_until = if width >= DAY || hours > limits::HISTORY_HOURS {
            summed_up
        } else {
            // Of days that have lost their hours only days are left.
            summed_up.min(tiers.hourly_from.div_euclid(24))
        };
        let days_until = days_until.min(self.to.div_euclid(DAY)).max(first_day);
        let oldest = self
            .from
            .div_euclid(HOUR)
            .max(days_until * 24)
            .max(tiers.raw_from);
        let rows_from = if width < HOUR && self.is_cheap(connection, oldest, end)? {
            oldest.min(end)
        } else {
            end
        };
        Ok((days_until, rows_from))
    }

    /// Whether the rows of these hours are few enough to be looked at.
    fn is_cheap(&self, connection: &Connection, from: i64, to: i64) -> rusqlite::Result<bool> {
        let bound = match to - from > limits::HISTORY_CHART_HOURS {
            true => limits::HISTORY_RAW_ROWS_OF_DAYS,
            false => limits::HISTORY_RAW_ROWS,
        };
        let mut rows = 0;
        let mut hours = HoursOf::new(connection, self.k, from, to);
        while let Some((_, hour)) = hours.next()? {
            rows += hour.last_id - hour.first_id + 1;
            if rows > bound {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn days(
        &self,
        connection: &Connection,
        until: i64,
        width: i64,
        buckets: &mut Buckets,
    ) -> rusqlite::Result<()> {
        let mut one = connection.prepare_cached(
            "SELECT count, min, mean, max, last, day * 86400 FROM daily \
             WHERE day = ?1 AND k = ?2",
        )?;
        let mut next = connection.prepare_cached(
            "SELECT day FROM daily WHERE day >= ?1 AND day < ?2 ORDER BY day LIMIT 1",
        )?;
        let mut from = self.from.div_euclid(DAY);
        loop {
            let day: Option<i64> = next.query_row([from, until], |row| row.get(0)).optional()?;
            let Some(day) = day else {
                return Ok(());
            };
            let summary = one.query_row([day, self.k], rollup::read_summary);
            if let Some(summary) = summary.optional()?.flatten() {
                buckets.add(summary.last_at, width, &summary);
            }
            from = day + 1;
        }
    }

    fn hours(
        &self,
        connection: &Connection,
        from: i64,
        to: i64,
        width: i64,
        buckets: &mut Buckets,
    ) -> rusqlite::Result<()> {
        let mut hours = HoursOf::new(connection, self.k, from, to.min(self.end_hour()));
        while let Some((hour, found)) = hours.next()? {
            if let Some(mut summary) = found.summary {
                summary.last_at += hour * HOUR;
                buckets.add(hour * HOUR, width, &summary);
            }
        }
        Ok(())
    }

    fn rows(
        &self,
        connection: &Connection,
        from: i64,
        width: i64,
        buckets: &mut Buckets,
    ) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(
            "SELECT timestamp, value FROM records WHERE id BETWEEN ?1 AND ?2 AND key = ?3 \
             AND timestamp >= ?4 AND timestamp < ?5 ORDER BY id",
        )?;
        let mut hours = HoursOf::new(connection, self.k, from, self.end_hour());
        while let Some((hour, found)) = hours.next()? {
            let begin = Wall::from_second(self.from.max(hour * HOUR)).to_string();
            let end = Wall::from_second(self.to.min((hour + 1) * HOUR)).to_string();
            let mut rows =
                statement.query(params![found.first_id, found.last_id, self.key, begin, end])?;
            // Of one second the highest id holds, and late rows find their place.
            let mut seconds: BTreeMap<i64, Option<f64>> = BTreeMap::new();
            while let Some(row) = rows.next()? {
                let at = hour * HOUR + rollup::second_of_hour(row.get_ref(0)?.as_str()?);
                seconds.insert(at, row.get(1)?);
            }
            for (at, value) in seconds {
                if let Some(value) = value {
                    buckets.add(at, width, &Summary::of(value, at));
                }
            }
        }
        Ok(())
    }
}

/// Walks one key's hours by looking each up: in a time-major table the hours of all the
/// other keys lie between. Gaps in which no key has an hour are leapt over.
struct HoursOf<'a> {
    connection: &'a Connection,
    k: i64,
    next: i64,
    end: i64,
}

impl<'a> HoursOf<'a> {
    fn new(connection: &'a Connection, k: i64, from: i64, to: i64) -> HoursOf<'a> {
        HoursOf {
            connection,
            k,
            next: from,
            end: to,
        }
    }

    fn next(&mut self) -> rusqlite::Result<Option<(i64, rollup::Hour)>> {
        while self.next < self.end {
            let hour = self.next;
            self.next += 1;
            if let Some(found) = rollup::read_hour(self.connection, hour, self.k)? {
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
struct Buckets(BTreeMap<i64, (i64, Option<Summary>)>);

impl Buckets {
    fn add(&mut self, at: i64, width: i64, summary: &Summary) {
        let begin = at.div_euclid(width).saturating_mul(width);
        let (seconds, sum) = self.0.entry(begin).or_insert((width, None));
        *seconds = (*seconds).max(width);
        rollup::add(sum, summary);
    }

    fn finish(self) -> Vec<Bucket> {
        let bucket = |(begin, (seconds, summary)): (i64, (i64, Option<Summary>))| {
            summary.map(|s| Bucket {
                from: Wall::from_second(begin),
                seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
                count: s.count,
                min: s.min,
                mean: round_computed(s.mean),
                max: s.max,
                last: s.last,
            })
        };
        self.0.into_iter().filter_map(bucket).collect()
    }
}

#[cfg(test)]
mod tests;
