//! Checks of a database when it is opened, so that damage shows then and not later.
//!
//! Runs on the thread that opens it. Never writes.

use rusqlite::Connection;

use crate::db::error;
use crate::db::periods::HOUR;
use crate::db::row_codec::column_value;
use crate::limits;

/// Counters that SQLite itself goes on from, where an insert would fail or be taken for
/// something else.
pub(super) fn check_counters(connection: &Connection) -> rusqlite::Result<()> {
    for counter in [
        "SELECT min(id) FROM outbox",
        "SELECT max(id) FROM outbox",
        "SELECT max(seq) FROM sqlite_sequence WHERE name = 'outbox'",
        "SELECT min(incident) FROM incidents",
        "SELECT max(incident) FROM incidents",
        "SELECT min(id) FROM deliveries",
        "SELECT max(id) FROM deliveries",
        "SELECT max(k) FROM keys",
    ] {
        let count: Option<i64> = connection.query_row(counter, [], |row| row.get(0))?;
        error::in_range(&limits::VALID_IDS, count.unwrap_or(0))?;
    }
    Ok(())
}

/// Reads every key and its newest row once, so that damage shows when the database is opened
/// and not when the key comes next.
pub(super) fn check_keys(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(
        "SELECT key, unit, source, second, value, text, own_time \
         FROM keys LEFT JOIN latest ON latest.k = keys.k",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (_, _, _): (String, Option<String>, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        column_value(row, 4)?;
        if let Some(second) = row.get::<_, Option<i64>>(3)? {
            error::in_range(&limits::VALID_HOURS, second.div_euclid(HOUR))?;
            let _: bool = row.get(6)?;
        }
    }
    Ok(())
}
