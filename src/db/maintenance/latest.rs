//! Upkeep of `latest`, the newest row of each key, when rows were added, renamed or deleted.
//!
//! Within the transaction of a step.

use std::ops::Range;

use rusqlite::{OptionalExtension, params};

use super::edit::{Edit, StoredKey, StoredRow};
use crate::db::row_codec::decode_is_untrusted;

/// The second of the newest row that no untrusted clock has stamped.
pub(super) fn newest_trusted(edit: &Edit<'_>) -> rusqlite::Result<Option<i64>> {
    edit.transaction
        .prepare_cached("SELECT max(second) FROM latest WHERE untrusted = 0")?
        .query_row([], |row| row.get(0))
}

/// Takes a row that has its id as the newest of its key, if it is. What a source stored keeps what is
/// known of its receipt.
pub(super) fn offer(edit: &Edit<'_>, k: i64, row: &StoredRow) -> rusqlite::Result<()> {
    let mut newest = edit
        .transaction
        .prepare_cached("SELECT second FROM latest WHERE k = ?1")?;
    let newest: Option<i64> = newest.query_row([k], |row| row.get(0)).optional()?;
    if newest.is_some_and(|newest| newest > row.second) {
        return Ok(());
    }
    let Some(value) = row.reading() else {
        return Ok(());
    };
    let untrusted = decode_is_untrusted(row.meta.as_deref());
    if newest == Some(row.second) {
        let mut update = edit
            .transaction
            .prepare_cached("UPDATE latest SET id = ?2, value = ?3, text = ?4 WHERE k = ?1")?;
        update.execute(params![k, row.id, value.number(), value.text()])?;
        return Ok(());
    }
    let mut insert = edit.transaction.prepare_cached(
        "INSERT OR REPLACE INTO latest (k, id, second, value, text, own_time, untrusted) \
         VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6)",
    )?;
    insert.execute(params![
        k,
        row.id,
        row.second,
        value.number(),
        value.text(),
        untrusted
    ])?;
    Ok(())
}

/// Sets the newest row of a key by what is stored now, where the one that was the newest is of `times`.
pub(super) fn refresh(
    edit: &Edit<'_>,
    key: &StoredKey,
    times: &Range<i64>,
) -> rusqlite::Result<()> {
    edit.transaction
        .prepare_cached("DELETE FROM latest WHERE k = ?1 AND second >= ?2 AND second < ?3")?
        .execute([key.k, times.start, times.end])?;
    offer_stored(edit, key)
}

/// Takes the newest row that is stored as the newest of its key, if it is.
pub(super) fn offer_stored(edit: &Edit<'_>, key: &StoredKey) -> rusqlite::Result<()> {
    let mut hours = edit.transaction.prepare_cached(
        "SELECT hour FROM hourly WHERE k = ?1 AND first_id > 0 ORDER BY hour DESC LIMIT 1",
    )?;
    let hour: Option<i64> = hours.query_row([key.k], |row| row.get(0)).optional()?;
    let Some(hour) = hour else {
        return Ok(());
    };
    let Some(found) = edit.hour(hour, key.k)? else {
        return Ok(());
    };
    // Of one second the last row holds.
    let rows = edit.rows(key, hour, &found)?;
    match rows.into_iter().max_by_key(|row| row.second) {
        Some(row) => offer(edit, key.k, &row),
        None => Ok(()),
    }
}

/// Gives the newest row of a key to another, if it is of `times` and newer than that one's, with what is
/// known of its receipt.
pub(super) fn hand_over(
    edit: &Edit<'_>,
    (old, new): (i64, i64),
    times: &Range<i64>,
) -> rusqlite::Result<()> {
    let mut update = edit.transaction.prepare_cached(
        "INSERT OR REPLACE INTO latest \
         (k, id, second, value, text, own_time, untrusted, receipt_ms, lag_ms) \
         SELECT ?2, id, second, value, text, own_time, untrusted, receipt_ms, lag_ms \
         FROM latest WHERE k = ?1 AND second >= ?3 AND second < ?4 \
         AND second > coalesce((SELECT second FROM latest WHERE k = ?2), second - 1)",
    )?;
    update.execute([old, new, times.start, times.end])?;
    Ok(())
}
