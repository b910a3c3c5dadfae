//! Retention policy: what is deleted when, by age and by the size of the file.
//!
//! Time is told by a clock of its own (`domain::retention_clock`); size goes by ids, without
//! any. Called by the store thread between commits, one small step at a time, so that neither a
//! commit nor a reader waits long. Whole hours of rows are given up; the rows of the newest
//! of these go with the commits that follow (delete.rs says why), those of older ones here.
//! Hours go when the days above them stand.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::delete;
use crate::db::database::Database;
use crate::db::periods::{DAY, HOUR};
use crate::db::progress::Progress;
use crate::db::rollup;
use crate::db::rollup::five_minute;
use crate::db::tiers::Tiers;
use crate::domain::retention_clock::RetentionClock;
use crate::domain::time::{Moment, Wall};
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

impl RetentionPolicy {
    /// The hour before which no rows are kept at `now`.
    pub fn oldest_hour(&self, now: Wall) -> i64 {
        now.before(self.raw).second().div_euclid(HOUR)
    }
}

/// Moves retention's clock on and returns what it says; `None` before the first reading that
/// is trusted. Bounds of tiers that a wrong clock has left in the future are reset.
pub fn advance_clock(
    database: &mut Database,
    kept: &RetentionPolicy,
    now: Moment,
) -> rusqlite::Result<Option<Wall>> {
    if !now.trust.is_trusted() {
        database.set_latest_possible(None);
        return Ok(database.retention_clock().map(|clock| clock.time));
    }
    let harmless = no_deletion_before(database, kept)?;
    let boot = database.boot();
    let clock = match database.retention_clock() {
        Some(clock) => clock.advance(boot, now, harmless),
        None => {
            let newest = newest_receipt(database.connection())?;
            RetentionClock::new(newest, boot, now, harmless)
        }
    };
    let time = clock.time;
    database.set_retention_clock(clock)?;
    database.set_latest_possible(Some(now.wall));
    if has_bounds_ahead(&database.tiers(), now.wall) {
        let oldest = kept.oldest_hour(time);
        database.change(|transaction, tiers| reset_bounds(transaction, tiers, oldest, now.wall))?;
    }
    Ok(Some(time))
}

/// The latest time by which neither a row nor an hour goes; `None` if there is none.
fn no_deletion_before(
    database: &Database,
    kept: &RetentionPolicy,
) -> rusqlite::Result<Option<Wall>> {
    let tiers = database.tiers();
    // Hours that were stamped by a clock that was never set say nothing of the time.
    let oldest = |from: i64, first_id: i64| -> rusqlite::Result<Option<i64>> {
        database
            .connection()
            .prepare_cached(
                "SELECT min(hour) FROM hourly WHERE hour >= ?1 AND last_id >= ?2 \
                 AND (hour >= ?3 OR NOT EXISTS (SELECT 1 FROM records \
                 WHERE id = first_id AND meta LIKE '%\"untrusted\"%'))",
            )?
            .query_row(
                [
                    from,
                    first_id,
                    limits::EARLIEST_PLAUSIBLE_WALL_S.div_euclid(HOUR),
                ],
                |row| row.get(0),
            )
    };
    let first_id: Option<i64> = database
        .connection()
        .prepare_cached("SELECT min(id) FROM records")?
        .query_row([], |row| row.get(0))?;
    let rows = oldest(tiers.rows_from, first_id.unwrap_or(i64::MAX))?;
    let hours = oldest(tiers.hourly_from, i64::MIN)?;
    let until = |hour: i64, kept| Wall::from_second(hour.saturating_mul(HOUR)).after(kept);
    let until = [
        rows.map(|hour| until(hour, kept.raw)),
        hours.map(|hour| until(hour, kept.hourly)),
    ];
    Ok(until.into_iter().flatten().min())
}

/// When the newest row was received, of those that the node's own trusted clock has stamped.
fn newest_receipt(connection: &Connection) -> rusqlite::Result<Option<Wall>> {
    let second: Option<i64> = connection.query_row(
        "SELECT max(second) FROM latest WHERE own_time = 0 AND untrusted = 0",
        [],
        |row| row.get(0),
    )?;
    Ok(second.map(Wall::from_second))
}

fn has_bounds_ahead(tiers: &Tiers, now: Wall) -> bool {
    let (hour, day) = (now.second().div_euclid(HOUR), now.second().div_euclid(DAY));
    tiers.raw_from > hour
        || tiers.rows_from > hour
        || tiers.hourly_from > hour
        || tiers.daily_until.is_some_and(|until| until > day)
        || tiers.five_minute_until.is_some_and(|until| until > hour)
}

/// Takes bounds back that lie in the future, to where the tiers really begin and end.
fn reset_bounds(
    transaction: &Transaction,
    tiers: &mut Tiers,
    oldest: i64,
    now: Wall,
) -> rusqlite::Result<()> {
    let (hour, day) = (now.second().div_euclid(HOUR), now.second().div_euclid(DAY));
    if tiers.raw_from > hour {
        let rows = delete::oldest_hour(transaction, i64::MIN, hour + 1)?;
        let last: Option<i64> = transaction.query_row(
            "SELECT max(hour) FROM hourly WHERE hour <= ?1",
            [hour],
            |row| row.get(0),
        )?;
        // Hours that have lost their rows answer as hours.
        let from = rows.or(last.map(|last| last + 1)).unwrap_or(i64::MIN);
        log::warn!(
            "the clock says {now}, which is before what retention had reached; its bounds are set \
             back, and nothing is deleted by it"
        );
        tiers.raw_from = from.max(oldest).min(hour);
    }
    if tiers.rows_from > tiers.raw_from {
        tiers.rows_from = tiers.raw_from;
        tiers.partial_delete = None;
    }
    if tiers.hourly_from > hour {
        let first: Option<i64> = transaction.query_row(
            "SELECT min(hour) FROM hourly WHERE hour <= ?1",
            [hour],
            |row| row.get(0),
        )?;
        tiers.hourly_from = first.unwrap_or(hour);
    }
    let until = |bound: &mut Option<i64>, now: i64| *bound = bound.map(|until| until.min(now));
    until(&mut tiers.daily_until, day);
    until(&mut tiers.five_minute_until, hour);
    Ok(())
}

/// The times that retention goes by.
#[derive(Debug, Clone, Copy)]
pub struct RetentionTimes {
    /// The trusted wall clock: says which hours and days are over.
    pub wall: Wall,
    /// Retention's own clock: says what is deleted.
    pub deletion: Wall,
}

/// One small step. Without times, while no clock is trusted, only what is past the size goes.
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
    step_by_size(database, kept)
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
        return database.change(|transaction, tiers| roll_up_next_day(transaction, tiers, today));
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
            .change(|transaction, tiers| delete_rows(transaction, tiers, left_to_commits));
    }
    let oldest_day_of_hours = times.deletion.before(kept.hourly).second().div_euclid(DAY);
    let may_go = hours_deletable_before(&tiers, oldest_day_of_hours);
    if tiers.hourly_from < may_go {
        return database.change(|transaction, tiers| delete_hours(transaction, tiers, may_go));
    }
    Ok(Progress::Done)
}

/// Drops the oldest by their ids, which no clock gives, and returns room to the card.
fn step_by_size(database: &mut Database, kept: &RetentionPolicy) -> rusqlite::Result<Progress> {
    let tiers = database.tiers();
    let space = FileSpace::of(database.connection())?;
    let is_too_large = space.used() > kept.bytes;
    if is_too_large && tiers.rows_from < tiers.raw_from {
        let until = tiers.raw_from;
        return database.change(|transaction, tiers| delete_rows(transaction, tiers, until));
    }
    // A little early, so that commits make room before it must be made at once.
    if space.used() > kept.bytes - kept.bytes / 64 && tiers.rows_from >= tiers.raw_from {
        // The running hour stays: it is being written.
        let newest = edge_row(database.connection(), "id DESC")?;
        let running = newest.map_or(i64::MIN / DAY, |(_, hour)| hour);
        if database.change(|transaction, tiers| delete_oldest_hour(transaction, tiers, running))?
            == Progress::More
        {
            return Ok(Progress::More);
        }
        let may_go = hours_deletable_before(&database.tiers(), running.div_euclid(24));
        if is_too_large && tiers.hourly_from < may_go {
            return database.change(|transaction, tiers| delete_hours(transaction, tiers, may_go));
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

    /// Free pages are used again by what comes; giving them back moves others and wears the
    /// card. So only where the file is too large, or a quarter of it stands empty.
    fn is_worth_returning(&self, bytes: u64) -> bool {
        let is_too_large = self.pages * self.page > bytes && self.free > 0;
        is_too_large
            || self.free > u64::from(limits::VACUUM_STEP_PAGES) && self.free > self.pages / 4
    }
}

/// Sums up one day that is over, and notes that it is.
fn roll_up_next_day(
    transaction: &Transaction,
    tiers: &mut Tiers,
    today: i64,
) -> rusqlite::Result<Progress> {
    let from = tiers.daily_until.unwrap_or(i64::MIN / DAY);
    let next: Option<i64> = transaction.query_row(
        "SELECT min(hour) FROM hourly WHERE hour >= ?1",
        [from.saturating_mul(24)],
        |row| row.get(0),
    )?;
    let day = next.map_or(today, |hour| hour.div_euclid(24)).min(today);
    if day < today {
        rollup::recompute_day(transaction, day, None)?;
    }
    tiers.daily_until = Some((day + 1).min(today));
    Ok(Progress::More)
}

fn delete_rows(
    transaction: &Transaction,
    tiers: &mut Tiers,
    until: i64,
) -> rusqlite::Result<Progress> {
    delete::delete_rows(transaction, tiers, until, limits::RETENTION_STEP_IDS)?;
    Ok(Progress::More)
}

/// Id and hour of the first row in an order.
fn edge_row(connection: &Connection, order: &str) -> rusqlite::Result<Option<(i64, i64)>> {
    let row: Option<(i64, String)> = connection
        .prepare_cached(&format!(
            "SELECT id, timestamp FROM records ORDER BY {order} LIMIT 1"
        ))?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(row.map(|(id, text)| {
        let time = text.parse::<jiff::Timestamp>().unwrap_or_default();
        (id, time.as_second().div_euclid(HOUR))
    }))
}

/// Gives up the hour of the row with the lowest id. A row that lies before the raw tier, or
/// after the running hour, was stamped by a wrong clock, and goes by itself.
fn delete_oldest_hour(
    transaction: &Transaction,
    tiers: &mut Tiers,
    running: i64,
) -> rusqlite::Result<Progress> {
    let Some((first, hour)) = edge_row(transaction, "id")? else {
        return Ok(Progress::Done);
    };
    if hour == running {
        return Ok(Progress::Done);
    }
    if tiers.raw_from <= hour && hour < running {
        tiers.raw_from = hour + 1;
        return Ok(Progress::More);
    }
    transaction.execute(
        "DELETE FROM records WHERE id >= ?1 AND id < ?2 \
         AND (timestamp < ?3 OR timestamp >= ?4)",
        params![
            first,
            first.saturating_add(limits::RETENTION_STEP_IDS),
            Wall::from_second(tiers.raw_from.saturating_mul(HOUR)).to_string(),
            Wall::from_second((running + 1) * HOUR).to_string(),
        ],
    )?;
    Ok(Progress::More)
}

/// The hour before which hours may go, of those before a day: their days must stand, and
/// their rows, which only they know the ids of, must be gone.
fn hours_deletable_before(tiers: &Tiers, day: i64) -> i64 {
    let summed_up = tiers.daily_until.unwrap_or(i64::MIN / DAY);
    day.min(summed_up).saturating_mul(24).min(tiers.rows_from)
}

/// Drops the oldest day's hours.
fn delete_hours(
    transaction: &Transaction,
    tiers: &mut Tiers,
    until: i64,
) -> rusqlite::Result<Progress> {
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
    Ok(Progress::More)
}

#[cfg(test)]
#[path = "tests/policy.rs"]
mod tests;
