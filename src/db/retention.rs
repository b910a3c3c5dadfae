//! Letting go of the oldest: what is past its time, or past the size that the file may have.
//!
//! Called by the store thread between commits, one small step at a time, so that neither a
//! commit nor a reader waits long. Whole hours of rows are given up; the rows of the newest
//! of these go with the commits that follow (expiry.rs says why), those of older ones here.
//! Hours go when the days above them stand.

use std::time::Duration;

use rusqlite::{Connection, Transaction};

use super::repository::Database;
use super::rollup::{self, DAY, HOUR};
use super::tiers::Tiers;
use super::{expiry, fives};
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
    let over = (now.second() - limits::FIVES_AFTER_S).div_euclid(HOUR);
    if tiers.fives_until.is_none_or(|until| until < over) {
        return database.change(|transaction, tiers| fives::sum_up_next(transaction, tiers, over));
    }
    let oldest_hour = kept.oldest_hour(now);
    if tiers.raw_from < oldest_hour {
        return database.change(|_, tiers| {
            tiers.raw_from = oldest_hour;
            Ok(Step::More)
        });
    }
    let left_to_commits = tiers.raw_from.saturating_sub(1);
    if tiers.rows_from < left_to_commits {
        return database
            .change(|transaction, tiers| drop_rows(transaction, tiers, left_to_commits));
    }
    let oldest_day_of_hours = now.before(kept.hourly).second().div_euclid(DAY);
    let may_go = hours_may_go_before(&tiers, oldest_day_of_hours);
    if tiers.hourly_from < may_go {
        return database.change(|transaction, tiers| drop_hours(transaction, tiers, may_go));
    }
    let space = Space::of(database.connection())?;
    let is_too_large = space.used() > kept.bytes;
    if is_too_large && tiers.rows_from < tiers.raw_from {
        let until = tiers.raw_from;
        return database.change(|transaction, tiers| drop_rows(transaction, tiers, until));
    }
    // A little early, so that commits make room before it must be made at once.
    if space.used() > kept.bytes - kept.bytes / 64 && tiers.rows_from >= tiers.raw_from {
        // The running hour stays: it is being written.
        let this_hour = now.second().div_euclid(HOUR);
        if tiers.raw_from < this_hour {
            return database
                .change(|transaction, tiers| give_up_hour(transaction, tiers, this_hour));
        }
        let may_go = hours_may_go_before(&tiers, today);
        if is_too_large && tiers.hourly_from < may_go {
            return database.change(|transaction, tiers| drop_hours(transaction, tiers, may_go));
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

fn drop_rows(transaction: &Transaction, tiers: &mut Tiers, until: i64) -> rusqlite::Result<Step> {
    expiry::drop_rows(transaction, tiers, until, limits::RETENTION_STEP_IDS)?;
    Ok(Step::More)
}

/// Gives up the rows of the oldest hour that has any.
fn give_up_hour(
    transaction: &Transaction,
    tiers: &mut Tiers,
    until: i64,
) -> rusqlite::Result<Step> {
    let oldest: Option<i64> = transaction.query_row(
        "SELECT min(hour) FROM hourly WHERE hour >= ?1 AND hour < ?2",
        [tiers.raw_from, until],
        |row| row.get(0),
    )?;
    tiers.raw_from = oldest.map_or(until, |hour| hour + 1);
    Ok(Step::More)
}

/// The hour before which hours may go, of those before a day: their days must stand, and
/// their rows, which only they know the ids of, must be gone.
fn hours_may_go_before(tiers: &Tiers, day: i64) -> i64 {
    let summed_up = tiers.daily_until.unwrap_or(i64::MIN / DAY);
    day.min(summed_up).saturating_mul(24).min(tiers.rows_from)
}

/// Drops the oldest day's hours.
fn drop_hours(transaction: &Transaction, tiers: &mut Tiers, until: i64) -> rusqlite::Result<Step> {
    let oldest: Option<i64> = transaction.query_row(
        "SELECT min(hour) FROM hourly WHERE hour < ?1",
        [until],
        |row| row.get(0),
    )?;
    let end = match oldest {
        Some(hour) => ((hour.div_euclid(24) + 1) * 24).min(until),
        None => until,
    };
    transaction.execute("DELETE FROM hourly WHERE hour < ?1", [end])?;
    tiers.hourly_from = end;
    Ok(Step::More)
}

#[cfg(test)]
mod tests;
