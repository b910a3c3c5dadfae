//! Deletion of rows and hours in small steps.
//!
//! Called by the store thread within its transaction. [`super::policy`] decides which hours are
//! over (`raw_from`); their rows are deleted an hour at a time, by the ids that `hourly` names,
//! preferably within a commit of about as many new rows: the freed pages are then filled in the
//! same transaction and written once. Deleting alone writes them empty to the WAL and to the
//! file, half of what storing costs.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::db::id_ranges;
use crate::db::periods::{DAY, HOUR, second_of};
use crate::db::progress::Progress;
use crate::db::rollup::five_minute;
use crate::db::tiers::{PartialDelete, Tiers};
use crate::domain::time::Wall;
use crate::limits;

/// Drops rows of the oldest hour before `until` that has any, looking at no more than `ids`
/// of them. Done when there is none.
pub fn delete_rows(
    transaction: &Transaction,
    tiers: &mut Tiers,
    until: i64,
    ids: i64,
) -> rusqlite::Result<Progress> {
    let oldest = oldest_hour(transaction, tiers.rows_from, until)?;
    let Some(hour) = oldest else {
        tiers.rows_from = tiers.rows_from.max(until);
        return Ok(Progress::Done);
    };
    let ranges = id_ranges::of_hour(transaction, hour)?;
    let next_id = match tiers.partial_delete {
        Some(emptying) if emptying.hour == hour => emptying.next_id,
        // Those that are deleted already are not looked at.
        _ => transaction
            .prepare_cached("SELECT min(id) FROM records")?
            .query_row([], |row| row.get::<_, Option<i64>>(0))?
            .unwrap_or(0),
    };
    // The range that comes next; an hour whose rows are all deleted has none.
    let next = ranges.iter().find(|(_, last)| *last >= next_id);
    let (first, last) = next.copied().unwrap_or((next_id, next_id));
    let begin = first.max(next_id);
    let is_last = ranges.last().is_none_or(|(_, end)| *end <= last);
    let end = last.min(begin.saturating_add(ids.max(1) - 1));
    transaction
        .prepare_cached(
            "DELETE FROM records WHERE id BETWEEN ?1 AND ?2 \
             AND timestamp >= ?3 AND timestamp < ?4 \
             AND NOT (timestamp < ?5 AND coalesce(meta, '') LIKE '%\"untrusted\"%')",
        )?
        .execute(params![
            begin,
            end,
            Wall::from_second(hour * HOUR).to_string(),
            Wall::from_second((hour + 1) * HOUR).to_string(),
            // The time of a clock that was never set gives no age: deleted by id.
            Wall::from_second(limits::EARLIEST_PLAUSIBLE_WALL_S).to_string(),
        ])?;
    if end < last || !is_last {
        tiers.partial_delete = Some(PartialDelete {
            hour,
            next_id: end + 1,
        });
    } else {
        five_minute::delete_before(transaction, hour + 1)?;
        tiers.rows_from = hour + 1;
        tiers.partial_delete = None;
    }
    Ok(Progress::More)
}

/// The oldest hour of some that has rows. Hours whose rows all have lower ids than the first
/// that is there have none, and are passed over.
pub fn oldest_hour(
    connection: &Connection,
    from: i64,
    until: i64,
) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached(
            "SELECT min(hour) FROM hourly WHERE hour >= ?1 AND hour < ?2 \
             AND last_id >= (SELECT min(id) FROM records)",
        )?
        .query_row([from, until], |row| row.get(0))
}

/// The oldest hour from one on that has an id from `first_id` on, or any id. Hours with the time of a
/// clock that was never set are ignored.
pub fn oldest_plausible_hour(
    connection: &Connection,
    from: i64,
    first_id: i64,
) -> rusqlite::Result<Option<i64>> {
    connection
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
}

/// Drops about as many rows as are to come.
pub fn delete_with_commit(
    transaction: &Transaction,
    tiers: &mut Tiers,
    coming: usize,
) -> rusqlite::Result<()> {
    if tiers.rows_from < tiers.raw_from {
        // A little more, so that an hour is deleted before the next one expires.
        let ids = coming + coming / 8 + 1;
        let until = tiers.raw_from;
        delete_rows(
            transaction,
            tiers,
            until,
            i64::try_from(ids).unwrap_or(i64::MAX),
        )?;
    }
    Ok(())
}

/// Id and hour of the first row in an order.
pub fn edge_row(connection: &Connection, order: &str) -> rusqlite::Result<Option<(i64, i64)>> {
    let row: Option<(i64, String)> = connection
        .prepare_cached(&format!(
            "SELECT id, timestamp FROM records ORDER BY {order} LIMIT 1"
        ))?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(row.map(|(id, text)| (id, second_of(&text).unwrap_or_default().div_euclid(HOUR))))
}

/// The hour of the newest row by its time or by its id: one that was imported last may be old, and one
/// that came last may have the time of a clock that was behind.
pub fn newest_hour(connection: &Connection) -> rusqlite::Result<i64> {
    let latest: Option<i64> = connection
        .prepare_cached("SELECT max(second) FROM latest")?
        .query_row([], |row| row.get(0))?;
    let by_time = latest.map(|second| second.div_euclid(HOUR));
    let by_id = edge_row(connection, "id DESC")?.map(|(_, hour)| hour);
    Ok(by_time.max(by_id).unwrap_or(i64::MIN / DAY))
}

/// Expires the hour of the row with the lowest id. A row before the raw tier, or after the
/// current hour, has the time of a wrong clock and is deleted by itself.
pub fn delete_oldest_hour(
    transaction: &Transaction,
    tiers: &mut Tiers,
    running: i64,
) -> rusqlite::Result<Progress> {
    let Some((first, hour)) = edge_row(transaction, "id")? else {
        return Ok(Progress::Done);
    };
    if hour == running && hour < tiers.raw_from {
        return Ok(Progress::Done);
    }
    if tiers.raw_from <= hour && hour <= running {
        // What was imported has new ids and may be older.
        let oldest = oldest_hour(transaction, tiers.rows_from, hour)?;
        if oldest.is_none() && hour == running {
            return Ok(Progress::Done);
        }
        tiers.raw_from = oldest.unwrap_or(hour) + 1;
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

/// Drops the oldest day's hours.
pub fn delete_hours(
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
