//! Retention policy: what is deleted next, by age and by the size of the file.
//!
//! Called by the store thread between commits, one small step at a time, so that neither a
//! commit nor a reader waits long. Age is measured by retention's own clock ([`super::clock`]),
//! size by ids, without any clock. Whole hours of rows expire; the rows of the newest expired
//! hour are deleted with the commits that follow ([`super::delete`] says why), those of older
//! ones here. Hours are deleted once their days are summed up.

use std::time::Duration;

use rusqlite::{Connection, Transaction};

use super::delete;
use crate::db::database::Database;
use crate::db::periods::{DAY, HOUR};
use crate::db::progress::Progress;
use crate::db::rollup::{daily, five_minute};
use crate::db::tiers::Tiers;
use crate::domain::time::Wall;
use crate::limits;

/// What is kept how long, and how large the file may become.
#[derive(Debug, Clone, Copy)]
pub struct RetentionPolicy {
    pub raw: Duration,
    pub hourly: Duration,
    pub bytes: u64,
}

impl Default for RetentionPolicy {
    fn default() -> RetentionPolicy {
        RetentionPolicy {
            raw: limits::RAW_RETENTION,
            hourly: limits::HOURLY_RETENTION,
            bytes: limits::DATABASE_BYTES,
        }
    }
}

impl RetentionPolicy {
    /// The hour before which no rows are kept at `now`.
    pub fn oldest_hour(&self, now: Wall) -> i64 {
        now.before(self.raw).second().div_euclid(HOUR)
    }
}

/// The times that retention uses.
#[derive(Debug, Clone, Copy)]
pub struct RetentionTimes {
    /// The trusted wall clock: decides which hours and days are over.
    pub wall: Wall,
    /// Retention's own clock: decides what is deleted.
    pub deletion: Wall,
}

impl RetentionTimes {
    /// For a wall clock that was never wrong.
    #[cfg(test)]
    pub fn exact(now: Wall) -> Option<RetentionTimes> {
        Some(RetentionTimes {
            wall: now,
            deletion: now,
        })
    }
}

/// One small step. Without times, while no clock is trusted, only the maximum size causes
/// deletion.
pub fn step(
    database: &mut Database,
    kept: &RetentionPolicy,
    times: Option<RetentionTimes>,
) -> rusqlite::Result<Progress> {
    if let Some(times) = times
        && step_by_time(database, kept, times)? == Progress::More
    {
        return Ok(Progress::More);
    }
    let running = times.map(|times| times.wall.second().div_euclid(HOUR));
    step_by_size(database, kept, running)
}

fn step_by_time(
    database: &mut Database,
    kept: &RetentionPolicy,
    times: RetentionTimes,
) -> rusqlite::Result<Progress> {
    let tiers = database.tiers();
    let now = times.wall;
    let today = now.second().div_euclid(DAY);
    if tiers.daily_until.is_none_or(|until| until < today) {
        return database
            .change(|transaction, tiers| daily::roll_up_next(transaction, tiers, today));
    }
    let over = (now.second() - limits::FIVE_MINUTE_DELAY_S).div_euclid(HOUR);
    if tiers.five_minute_until.is_none_or(|until| until < over) {
        return database
            .change(|transaction, tiers| five_minute::roll_up_next(transaction, tiers, over));
    }
    let oldest_hour = kept.oldest_hour(times.deletion);
    if tiers.raw_from < oldest_hour {
        return database.change(|_, tiers| {
            tiers.raw_from = oldest_hour;
            Ok(Progress::More)
        });
    }
    let left_to_commits = tiers.raw_from.saturating_sub(1);
    if tiers.rows_from < left_to_commits {
        return database
            .change(|transaction, tiers| delete_rows_step(transaction, tiers, left_to_commits));
    }
    let oldest_day_of_hours = times.deletion.before(kept.hourly).second().div_euclid(DAY);
    let may_go = hours_deletable_before(&tiers, oldest_day_of_hours);
    if tiers.hourly_from < may_go {
        return database
            .change(|transaction, tiers| delete::delete_hours(transaction, tiers, may_go));
    }
    Ok(Progress::Done)
}

/// Drops the oldest by their ids, which no clock gives, and returns room to the card. The `running` hour
/// is that of the newest row where no clock is trusted.
fn step_by_size(
    database: &mut Database,
    kept: &RetentionPolicy,
    running: Option<i64>,
) -> rusqlite::Result<Progress> {
    let tiers = database.tiers();
    let space = FileSpace::of(database.connection())?;
    let is_too_large = space.used() > kept.bytes;
    if is_too_large && tiers.rows_from < tiers.raw_from {
        let until = tiers.raw_from;
        return database.change(|transaction, tiers| delete_rows_step(transaction, tiers, until));
    }
    // A little early, so that commits make room before it must be made at once.
    if space.used() > kept.bytes - kept.bytes / 64 && tiers.rows_from >= tiers.raw_from {
        // The running hour stays: it is being written. The newest row may have been imported.
        let running = match running {
            Some(running) => running,
            None => delete::newest_hour(database.connection())?,
        };
        if database
            .change(|transaction, tiers| delete::delete_oldest_hour(transaction, tiers, running))?
            == Progress::More
        {
            return Ok(Progress::More);
        }
        let may_go = hours_deletable_before(&database.tiers(), running.div_euclid(24));
        if is_too_large && tiers.hourly_from < may_go {
            return database
                .change(|transaction, tiers| delete::delete_hours(transaction, tiers, may_go));
        }
    }
    if space.is_worth_returning(kept.bytes) {
        let pages = limits::VACUUM_STEP_PAGES;
        let mut vacuum = database
            .connection()
            .prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        let mut rows = vacuum.query([])?;
        while rows.next()?.is_some() {}
        return Ok(Progress::More);
    }
    Ok(Progress::Done)
}

/// Pages of the file, used or not.
struct FileSpace {
    page: u64,
    pages: u64,
    free: u64,
}

impl FileSpace {
    fn of(connection: &Connection) -> rusqlite::Result<FileSpace> {
        let read = |name| -> rusqlite::Result<u64> {
            let value: i64 = connection.pragma_query_value(None, name, |row| row.get(0))?;
            Ok(value.unsigned_abs())
        };
        Ok(FileSpace {
            page: read("page_size")?,
            pages: read("page_count")?,
            free: read("freelist_count")?,
        })
    }

    fn used(&self) -> u64 {
        self.pages.saturating_sub(self.free) * self.page
    }

    /// Free pages are used again by what comes; giving them back moves others and wears the card.
    /// So only where the file is too large, or a quarter of it is free.
    fn is_worth_returning(&self, bytes: u64) -> bool {
        let is_too_large = self.pages * self.page > bytes && self.free > 0;
        is_too_large
            || self.free > u64::from(limits::VACUUM_STEP_PAGES) && self.free > self.pages / 4
    }
}

/// The hour before which hours may be deleted, of those before a day: their days must be summed
/// up, and their rows, whose ids only they have, must be deleted.
fn hours_deletable_before(tiers: &Tiers, day: i64) -> i64 {
    let summed_up = tiers.daily_until.unwrap_or(i64::MIN / DAY);
    day.min(summed_up).saturating_mul(24).min(tiers.rows_from)
}

/// One step of deleting rows. Where no row is left the bound has moved, and the next step looks
/// further.
fn delete_rows_step(
    transaction: &Transaction,
    tiers: &mut Tiers,
    until: i64,
) -> rusqlite::Result<Progress> {
    delete::delete_rows(transaction, tiers, until, limits::RETENTION_STEP_IDS)?;
    Ok(Progress::More)
}

#[cfg(test)]
#[path = "tests/policy.rs"]
mod tests;
