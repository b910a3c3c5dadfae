//! From when until when there are readings of a key, for a command that asks before it changes them.
//!
//! On the command's thread, with a connection that only reads.

use std::ops::Range;

use rusqlite::{Connection, OptionalExtension, params};

use crate::db::periods::{DAY, HOUR, second_of};

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
