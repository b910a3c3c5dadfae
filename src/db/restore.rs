//! What was known when the last run ended: the newest row of every key, with an age that
//! goes on within one boot and is doubted after it.
//!
//! Runs once, on the main thread, before anything is fetched. Never writes.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::repository::{Database, read_value};
use super::session::{self, Place};
use super::tiers::node;
use super::trouble::{self, OpenError};
use crate::domain::freshness::Stamp;
use crate::domain::ledger::Restored;
use crate::domain::time::{Mono, Wall};

/// The newest row of every key, as far as `connection` shows.
pub(super) fn newest(connection: &Connection, boot: &str) -> rusqlite::Result<Vec<Restored>> {
    let last_boot: Option<String> = node(connection, "boot")?;
    let is_same_boot = !boot.is_empty() && last_boot.as_deref() == Some(boot);
    let mut statement = connection.prepare(
        "SELECT key, unit, source, value, text, second, own_time, untrusted, receipt_ms, lag_ms \
         FROM latest JOIN keys ON keys.k = latest.k ORDER BY keys.k",
    )?;
    let rows = statement.query_map([], |row| {
        let observed = Wall::from_second(row.get(5)?);
        let own_time: bool = row.get(6)?;
        let untrusted: bool = row.get(7)?;
        let receipt: Option<i64> = row.get(8)?;
        let lag: Option<i64> = row.get(9)?;
        let stamp = match (receipt, lag) {
            (Some(receipt), Some(lag)) if is_same_boot => Stamp::carried_over(
                observed,
                own_time,
                Mono(receipt.unsigned_abs()),
                Duration::from_millis(lag.unsigned_abs()),
            ),
            _ if untrusted => Stamp::undatable(observed, own_time),
            _ => Stamp::restored(observed, own_time),
        };
        Ok(read_value(row, 3)?.map(|value| Restored {
            key: row.get(0).unwrap_or_else(|_| Arc::from("")),
            unit: row.get(1).unwrap_or(None),
            source: row.get(2).unwrap_or_else(|_| Arc::from("")),
            value,
            stamp,
        }))
    })?;
    rows.filter_map(Result::transpose).collect()
}

/// What is known at start: from the database that was opened, or, where it cannot be (a
/// read-only card), from the file as far as it can be read.
pub fn last_good(opened: &Result<Database, OpenError>, place: &Place, boot: &str) -> Vec<Restored> {
    let restored = match opened {
        Ok(database) => database.restore(),
        Err(error) if error.is_fatal() => return Vec::new(),
        Err(_) => session::open_read_only(&place.path)
            .and_then(|connection| newest(&connection, boot))
            .or_else(|_| {
                let connection = session::open_immutable(&place.path)?;
                newest(&connection, boot)
            }),
    };
    restored.unwrap_or_else(|error| {
        log::warn!(
            "{}: nothing of the last run can be shown: {}",
            place.path.display(),
            trouble::words(&error)
        );
        Vec::new()
    })
}
