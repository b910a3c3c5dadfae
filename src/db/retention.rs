//! Letting go of the oldest: what is past its time, or past the size that the file may have.
//!
//! Called by the store thread between commits, one small step at a time, so that neither a
//! commit nor a reader waits long. Rows go by the hour, which `hourly` says the ids of;
//! hours go when the days above them stand.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::repository::{Database, Tiers};
use super::rollup::{self, DAY, HOUR};
use crate::domain::time::Wall;
use crate::limits;

/// What is kept how long, and how large the file may become.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    pub raw: Duration,
    pub hourly: Duration,
    pub bytes: u64,
}

impl Default for Retention {
    fn default() -> Retention {
        Retention {
            raw: limits::RAW_KEPT,
            hourly: limits::HOURLY_KEPT,
            bytes: limits::DATABASE_BYTES,
        }
    }
}

impl Retention {
    /// The hour before which no rows are kept at `now`.
    pub fn oldest_hour(&self, now: Wall) -> i64 {
        now.before(self.raw).second().div_euclid(HOUR)
    }
}

/// Whether there is more to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    More,
    Done,
}

/// One small step. `now` must come from a clock that can be believed: what goes by a wrong
/// one is gone.
pub fn step(database: &mut Database, kept: &Retention, now: Wall) -> rusqlite::Result<Step> {
    let tiers = database.tiers();
    let today = now.second().div_euclid(DAY);
    if tiers.daily_until.is_none_or(|until| until < today) {
        return database.change(|transaction, tiers| sum_up_next_day(transaction, tiers, today));
    }
    let space = Space::of(database.connection())?;
    let oldest_hour = kept.oldest_hour(now);
    if tiers.raw_from < oldest_hour {
        return database.change(|transaction, tiers| drop_rows(transaction, tiers, oldest_hour));
    }
    let oldest_day_of_hours = now.before(kept.hourly).second().div_euclid(DAY);
    if tiers.hourly_from < oldest_day_of_hours * 24 {
        return database
            .change(|transaction, tiers| drop_hours(transaction, tiers, oldest_day_of_hours * 24));
    }
    if space.used() > kept.bytes {
        // The running hour stays: it is being written.
        let this_hour = now.second().div_euclid(HOUR);
        if tiers.raw_from < this_hour {
            return database.change(|transaction, tiers| drop_rows(transaction, tiers, this_hour));
        }
        if tiers.hourly_from < today * 24 {
            return database
                .change(|transaction, tiers| drop_hours(transaction, tiers, today * 24));
        }
    }
    if space.is_worth_returning(kept.bytes) {
        let pages = limits::VACUUM_STEP_PAGES;
        let mut vacuum = database
            .connection()
            .prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        let mut rows = vacuum.query([])?;
        while rows.next()?.is_some() {}
        return Ok(Step::More);
    }
    Ok(Step::Done)
}

/// Pages of the file, used or not.
struct Space {
    page: u64,
    pages: u64,
    free: u64,
}

impl Space {
    fn of(connection: &Connection) -> rusqlite::Result<Space> {
        let read = |name| -> rusqlite::Result<u64> {
            let value: i64 = connection.pragma_query_value(None, name, |row| row.get(0))?;
            Ok(value.unsigned_abs())
        };
        Ok(Space {
            page: read("page_size")?,
            pages: read("page_count")?,
            free: read("freelist_count")?,
        })
    }

    fn used(&self) -> u64 {
        (self.pages - self.free) * self.page
    }

    /// Free pages are used again by what comes; giving them back moves others and wears the
    /// card. So only where the file is too large, or a quarter of it stands empty.
    fn is_worth_returning(&self, bytes: u64) -> bool {
        let is_too_large = self.pages * self.page > bytes && self.free > 0;
        is_too_large
            || self.free > u64::from(limits::VACUUM_STEP_PAGES) && self.free > self.pages / 4
    }
}

/// Sums up one day that is over, and notes that it is.
fn sum_up_next_day(
    transaction: &Transaction,
    tiers: &mut Tiers,
    today: i64,
) -> rusqlite::Result<Step> {
    let from = tiers.daily_until.unwrap_or(i64::MIN / DAY);
    let next: Option<i64> = transaction.query_row(
        "SELECT min(hour) FROM hourly WHERE hour >= ?1",
        [from.saturating_mul(24)],
        |row| row.get(0),
    )?;
    let day = next.map_or(today, |hour| hour.div_euclid(24)).min(today);
    if day < today {
        rollup::sum_up_day(transaction, day, None)?;
    }
    tiers.daily_until = Some((day + 1).min(today));
    Ok(Step::More)
}

/// Drops rows of the oldest hour that has any, or a part of them.
fn drop_rows(transaction: &Transaction, tiers: &mut Tiers, until: i64) -> rusqlite::Result<Step> {
    let oldest: Option<i64> = transaction.query_row(
        "SELECT min(hour) FROM hourly WHERE hour >= ?1 AND hour < ?2",
        params![tiers.raw_from, until],
        |row| row.get(0),
    )?;
    let Some(hour) = oldest else {
        tiers.raw_from = until;
        return Ok(Step::More);
    };
    let (first, last): (i64, i64) = transaction.query_row(
        "SELECT min(first_id), max(last_id) FROM hourly WHERE hour = ?1",
        [hour],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    // Progress within the hour is what is gone already.
    let begin: Option<i64> = transaction
        .query_row(
            "SELECT id FROM records WHERE id BETWEEN ?1 AND ?2 \
         AND timestamp >= ?3 AND timestamp < ?4 ORDER BY id LIMIT 1",
            params![
                first,
                last,
                Wall::from_second(hour * HOUR).to_string(),
                Wall::from_second((hour + 1) * HOUR).to_string()
            ],
            |row| row.get(0),
        )
        .optional()?;
    let end = begin.map_or(last, |begin| last.min(begin + limits::RETENTION_STEP_IDS));
    if let Some(begin) = begin {
        transaction.execute(
            "DELETE FROM records WHERE id BETWEEN ?1 AND ?2 \
             AND timestamp >= ?3 AND timestamp < ?4",
            params![
                begin,
                end,
                Wall::from_second(hour * HOUR).to_string(),
                Wall::from_second((hour + 1) * HOUR).to_string()
            ],
        )?;
    }
    if end >= last {
        tiers.raw_from = hour + 1;
    }
    Ok(Step::More)
}

/// Drops the oldest day's hours, whose day stands by itself.
fn drop_hours(transaction: &Transaction, tiers: &mut Tiers, until: i64) -> rusqlite::Result<Step> {
    let until = until.min(tiers.raw_from).min(
        tiers
            .daily_until
            .unwrap_or(i64::MIN / DAY)
            .saturating_mul(24),
    );
    let oldest: Option<i64> = transaction.query_row(
        "SELECT min(hour) FROM hourly WHERE hour < ?1",
        [until],
        |row| row.get(0),
    )?;
    let Some(hour) = oldest else {
        let is_stuck = until <= tiers.hourly_from;
        tiers.hourly_from = tiers.hourly_from.max(until);
        return Ok(if is_stuck { Step::Done } else { Step::More });
    };
    let end = ((hour.div_euclid(24) + 1) * 24).min(until);
    transaction.execute("DELETE FROM hourly WHERE hour < ?1", [end])?;
    tiers.hourly_from = end;
    Ok(Step::More)
}

#[cfg(test)]
mod tests;
