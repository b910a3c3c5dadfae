//! Retention clock in the database: advanced with trusted time, and tier bounds in the future reset.
//!
//! Called by the store thread before each commit and each run of retention. How the clock
//! advances is decided by [`crate::domain::retention_clock`].

use rusqlite::{Connection, Transaction};

use super::delete;
use super::policy::RetentionPolicy;
use crate::db::database::Database;
use crate::db::periods::{DAY, HOUR};
use crate::db::tiers::Tiers;
use crate::domain::retention_clock::RetentionClock;
use crate::domain::time::{Moment, Wall};

/// Advances the retention clock and returns its time; `None` before the first trusted time. Tier
/// bounds that a wrong clock has set in the future are reset.
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

/// The latest time at which neither a row nor an hour is deleted; `None` if there is none.
fn no_deletion_before(
    database: &Database,
    kept: &RetentionPolicy,
) -> rusqlite::Result<Option<Wall>> {
    let tiers = database.tiers();
    let first_id: Option<i64> = database
        .connection()
        .prepare_cached("SELECT min(id) FROM records")?
        .query_row([], |row| row.get(0))?;
    let connection = database.connection();
    let rows =
        delete::oldest_plausible_hour(connection, tiers.rows_from, first_id.unwrap_or(i64::MAX))?;
    let hours = delete::oldest_plausible_hour(connection, tiers.hourly_from, i64::MIN)?;
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

/// Resets bounds in the future to where the tiers really begin and end.
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
        // Hours without rows are read as hours.
        let from = rows.or(last.map(|last| last + 1)).unwrap_or(i64::MIN);
        log::warn!(
            "the clock ({now}) is behind the bounds of retention; the bounds are reset, and nothing is \
             deleted"
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
