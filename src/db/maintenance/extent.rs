//! From when until when there are readings of a key, for a command that asks before it changes them.
//!
//! On the command's thread, with a connection that only reads.

use std::ops::Range;

use rusqlite::{Connection, OptionalExtension, params};

use crate::db::periods::{DAY, HOUR, second_of};
use crate::db::rollup::old_elements::NO_ROW;
use crate::db::tiers::Tiers;
use crate::domain::time::Wall;

/// The first second of a key's readings, and the one after the last; `None` where there are none. Of
/// hours and days without rows their begin and their end.
pub fn read(connection: &Connection, key: &str) -> rusqlite::Result<Option<Range<i64>>> {
    let k: Option<i64> = connection
        .query_row("SELECT k FROM keys WHERE key = ?1", [key], |row| row.get(0))
        .optional()?;
    let Some(k) = k else {
        return Ok(None);
    };
    let hour = |order: &str| {
        let sql = format!(
            "SELECT hour, first_id, last_id FROM hourly WHERE k = ?1 ORDER BY hour {order} LIMIT 1"
        );
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        connection.query_row(&sql, [k], row).optional()
    };
    // The times of an hour's rows; its own where it has none.
    let times = |(hour, first, last): (i64, i64, i64)| -> rusqlite::Result<(i64, i64)> {
        let (lowest, highest): (Option<String>, Option<String>) = connection.query_row(
            "SELECT min(timestamp), max(timestamp) FROM records \
             WHERE id BETWEEN ?1 AND ?2 AND key = ?3",
            params![first, last, key],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let second = |text: Option<String>| text.as_deref().and_then(second_of);
        let begin = hour.saturating_mul(HOUR);
        let (lowest, highest) = (second(lowest), second(highest));
        Ok((
            lowest.unwrap_or(begin),
            highest.map_or(begin.saturating_add(HOUR), |it| it + 1),
        ))
    };
    let first = hour("ASC")?.map(times).transpose()?.map(|it| it.0);
    let end = hour("DESC")?.map(times).transpose()?.map(|it| it.1);
    let (first_day, last_day): (Option<i64>, Option<i64>) = connection.query_row(
        "SELECT min(day), max(day) FROM daily WHERE k = ?1",
        [k],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    // Days that have hours are within them.
    let first_hour_day = first.map_or(i64::MAX, |it| it.div_euclid(DAY));
    let first = first_day
        .filter(|day| *day < first_hour_day)
        .map(|day| day.saturating_mul(DAY))
        .or(first);
    let end = end.or(last_day.map(|day| day.saturating_add(1).saturating_mul(DAY)));
    Ok(first.zip(end).map(|(first, end)| first..end))
}

/// Whether a key has a reading within times: seconds since 1970. Of an hour or a day without rows that
/// is in part within them nobody knows; it counts.
pub fn has_readings(
    connection: &Connection,
    key: &str,
    times: &Range<i64>,
) -> rusqlite::Result<bool> {
    let mut hours = connection.prepare(
        "SELECT hour, first_id, last_id FROM hourly JOIN keys USING (k) \
         WHERE key = ?1 AND hour >= ?2 AND hour <= ?3",
    )?;
    let last = times.end.saturating_sub(1);
    let (first_hour, last_hour) = (times.start.div_euclid(HOUR), last.div_euclid(HOUR));
    let mut hours = hours.query(params![key, first_hour, last_hour])?;
    while let Some(row) = hours.next()? {
        let (hour, first, end): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let begin = hour.saturating_mul(HOUR);
        let is_whole = times.start <= begin && begin.saturating_add(HOUR) <= times.end;
        if is_whole || first == NO_ROW {
            return Ok(true);
        }
        let is_within: bool = connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM records WHERE id BETWEEN ?1 AND ?2 AND key = ?3 \
             AND timestamp >= ?4 AND timestamp < ?5)",
            params![
                first,
                end,
                key,
                Wall::from_second(times.start.max(begin)).to_string(),
                Wall::from_second(times.end.min(begin.saturating_add(HOUR))).to_string()
            ],
            |row| row.get(0),
        )?;
        if is_within {
            return Ok(true);
        }
    }
    // Days that have no hours.
    let hourly_from = Tiers::read(connection)?.hourly_from;
    connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM daily JOIN keys USING (k) \
         WHERE key = ?1 AND day >= ?2 AND day <= ?3 AND day * 24 < ?4)",
        params![
            key,
            times.start.div_euclid(DAY),
            last.div_euclid(DAY),
            hourly_from
        ],
        |row| row.get(0),
    )
}

/// A key, with the source that gave its newest row and its unit then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcedKey {
    pub key: String,
    pub source: String,
    pub unit: Option<String>,
}

/// The keys of which there are readings, with their sources.
pub fn sourced_keys(connection: &Connection) -> rusqlite::Result<Vec<SourcedKey>> {
    let mut keys = connection.prepare("SELECT key, source, unit FROM keys ORDER BY key")?;
    let keys = keys.query_map([], |row| {
        Ok(SourcedKey {
            key: row.get(0)?,
            source: row.get(1)?,
            unit: row.get(2)?,
        })
    })?;
    keys.collect()
}

#[cfg(test)]
#[path = "tests/extent.rs"]
mod tests;
