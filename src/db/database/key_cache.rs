//! Keys as the writer caches them: id, unit, source and the newest value.
//!
//! Owned by [`super::WriterState`]; read and added within its transaction.

use std::sync::Arc;

use rusqlite::{OptionalExtension, Transaction, params};

use crate::db::row_codec::column_value;
use crate::domain::ledger::RecordRow;
use crate::domain::reading::Value;

#[derive(Debug)]
pub(super) struct CachedKey {
    /// The commit that used it last.
    pub last_used: u64,
    pub id: i64,
    pub unit: Option<Arc<str>>,
    pub source: Arc<str>,
    pub is_boolean: bool,
    /// Second and value of the newest row.
    pub latest: Option<(i64, Value)>,
}

/// A key as the database knows it.
pub(super) fn read_key(
    transaction: &Transaction,
    key: &str,
) -> rusqlite::Result<Option<CachedKey>> {
    let mut statement = transaction.prepare_cached(
        "SELECT keys.k, unit, source, second, value, text, boolean \
         FROM keys LEFT JOIN latest ON latest.k = keys.k WHERE key = ?1",
    )?;
    let key = statement.query_row([key], |row| {
        let second: Option<i64> = row.get(3)?;
        Ok(CachedKey {
            last_used: 0,
            id: row.get(0)?,
            unit: row.get(1)?,
            source: row.get(2)?,
            is_boolean: row.get(6)?,
            latest: second.zip(column_value(row, 4)?),
        })
    });
    key.optional()
}

pub(super) fn add_key(transaction: &Transaction, row: &RecordRow) -> rusqlite::Result<CachedKey> {
    transaction.execute(
        "INSERT INTO keys (key, unit, source, boolean) VALUES (?1, ?2, ?3, ?4)",
        params![row.key, row.unit, row.source, row.is_boolean],
    )?;
    Ok(CachedKey {
        last_used: 0,
        id: transaction.last_insert_rowid(),
        unit: row.unit.clone(),
        source: row.source.clone(),
        is_boolean: row.is_boolean,
        latest: None,
    })
}
