//! Rows for an output that forwards them: a reader beside the store thread, by id and in small steps.
//!
//! On the output's thread. A connection is open for one step alone, so that it never keeps the log
//! from being taken into the database, nor a file that was replaced from being let go.

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{Connection, Row, params};

use super::error::{self, describe};
use super::periods::second_of;
use super::row_codec::{decode_is_stated, decode_is_untrusted, decode_value};
use super::store::Store;
use super::tiers::read_meta;
use super::{connection, open_files};
use crate::domain::reading::TimedValue;
use crate::domain::stored_rows::{FeedPlace, FeedStep, RowFeed, StoredForecast, StoredRow};
use crate::domain::time::Wall;
use crate::limits;

/// The rows of the store's database.
pub struct StoredRowFeed {
    store: Arc<Store>,
    name: Arc<str>,
    path: PathBuf,
    open: Arc<open_files::ReaderSlot>,
}

impl StoredRowFeed {
    /// For the output of this name, which the store's settings know.
    pub fn new(store: Arc<Store>, name: Arc<str>) -> StoredRowFeed {
        let path = store.path().to_owned();
        StoredRowFeed {
            open: open_files::reader_slot(&path),
            store,
            name,
            path,
        }
    }

    fn with_connection<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, String> {
        // The slot is taken while reading: the store waits for it before it opens other files.
        let _reading = self.open.lock();
        let done = connection::open_read_only(&self.path).and_then(|connection| read(&connection));
        done.map_err(|error| {
            if error::is_damage(&error) {
                open_files::report_damage(&self.path);
            }
            format!("the database cannot be read: {}", describe(&error))
        })
    }
}

impl RowFeed for StoredRowFeed {
    fn place(&self) -> Option<FeedPlace> {
        self.store.forward_place(&self.name)
    }

    fn read(
        &self,
        after: i64,
        take: &mut dyn FnMut(&StoredRow<'_>) -> bool,
    ) -> Result<FeedStep, String> {
        self.with_connection(|connection| read_rows(connection, after, take))
    }

    fn read_forecast(&self, after_key: &str) -> Result<Option<StoredForecast>, String> {
        self.with_connection(|connection| {
            let next = "SELECT min(key) FROM forecast WHERE key > ?1";
            let key: Option<Arc<str>> =
                connection.query_row(next, [after_key], |row| row.get(0))?;
            let elements = |key: Arc<str>| Ok((key.clone(), read_elements(connection, &key)?));
            key.map(elements).transpose()
        })
    }

    fn settle(&self, epoch: u64, through: i64) {
        self.store.settle_forward(&self.name, epoch, through);
    }
}

fn read_rows(
    connection: &Connection,
    after: i64,
    take: &mut dyn FnMut(&StoredRow<'_>) -> bool,
) -> rusqlite::Result<FeedStep> {
    let mut statement = connection.prepare(
        "SELECT id, timestamp, key, value, meta FROM records WHERE id > ?1 ORDER BY id LIMIT ?2",
    )?;
    let mut rows = statement.query(params![after, limits::FORWARD_STEP_ROWS])?;
    let mut step = FeedStep {
        through: after,
        deleted: 0,
        is_end: true,
    };
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        if count == 0 {
            step.deleted = deleted_rows(connection, after, id)?;
        }
        count += 1;
        step.through = id;
        // Damaged rows are skipped.
        let stored = error::readable(decode_row(row))?.flatten();
        if let Some(stored) = stored
            && take(&stored)
        {
            step.is_end = false;
            return Ok(step);
        }
    }
    step.is_end = count < limits::FORWARD_STEP_ROWS;
    Ok(step)
}

fn decode_row<'r>(row: &'r Row<'_>) -> rusqlite::Result<Option<StoredRow<'r>>> {
    let (Ok(time), Ok(key)) = (row.get_ref(1)?.as_str(), row.get_ref(2)?.as_str()) else {
        return Ok(None);
    };
    let meta = row.get_ref(4)?.as_str_or_null().unwrap_or(None);
    let value = decode_value(row.get(3)?, meta);
    Ok(second_of(time).zip(value).map(|(second, value)| StoredRow {
        second,
        key,
        value,
        untrusted: decode_is_untrusted(meta),
    }))
}

/// How many rows between an id and the next that is there retention has deleted. Of ids that a
/// salvage has left out it is not known whether they ever had a row.
fn deleted_rows(connection: &Connection, after: i64, found: i64) -> rusqlite::Result<i64> {
    if found <= after.saturating_add(1) {
        return Ok(0);
    }
    let first = "SELECT min(id) FROM records";
    let first: i64 = connection.query_row(first, [], |row| row.get(0))?;
    if first != found {
        return Ok(0);
    }
    let reserved: Option<i64> = error::readable(read_meta(connection, "last_id"))?.flatten();
    let known_from = after.max(reserved.unwrap_or(0));
    Ok(found.saturating_sub(known_from).saturating_sub(1).max(0))
}

fn read_elements(connection: &Connection, key: &str) -> rusqlite::Result<Vec<TimedValue>> {
    let mut statement = connection
        .prepare("SELECT time, value, meta FROM forecast WHERE key = ?1 ORDER BY time")?;
    let rows = statement.query_map([key], |row| {
        let meta: Option<String> = row.get(2)?;
        let time: String = row.get(0)?;
        let value = decode_value(row.get(1)?, meta.as_deref());
        Ok(second_of(&time)
            .zip(value)
            .map(|(second, value)| TimedValue {
                start: Wall::from_second(second),
                end: None,
                value,
                is_stated: decode_is_stated(meta.as_deref()),
            }))
    })?;
    let mut elements = Vec::new();
    for row in rows {
        elements.extend(error::readable(row)?.flatten());
    }
    Ok(elements)
}

#[cfg(test)]
#[path = "tests/row_feed.rs"]
mod tests;
