//! Tier bounds (rows, hours, days), and the table `node` with metadata of the database.
//!
//! Written by the store thread within the transactions that move the bounds; anybody reads.

use rusqlite::{Connection, OptionalExtension, params};

use super::error;
use super::periods::DAY;
use crate::limits;

/// Where the tiers begin and end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tiers {
    /// The hour from which on rows are kept.
    pub raw_from: i64,
    /// The hour before which there are no rows; those from here to `raw_from` are being deleted.
    pub rows_from: i64,
    /// Progress within an hour that is partly deleted. Not on disk.
    pub partial_delete: Option<PartialDelete>,
    /// The hour from which on hours have no five-minute rollups yet; `None` before the first had.
    pub five_minute_until: Option<i64>,
    /// The hour before which there are no hours.
    pub hourly_from: i64,
    /// The day from which on no day is summed up; `None` before the first was.
    pub daily_until: Option<i64>,
}

/// A bound within the valid range; days lie within the range of hours too.
pub(super) fn checked_bound(bound: i64) -> rusqlite::Result<i64> {
    match bound {
        FIRST => Ok(bound),
        bound => error::in_range(&limits::VALID_HOURS, bound),
    }
}

/// Before everything.
const FIRST: i64 = i64::MIN / DAY;

/// An hour whose rows with lower ids are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartialDelete {
    pub hour: i64,
    pub next_id: i64,
}

impl Tiers {
    pub fn read(connection: &Connection) -> rusqlite::Result<Tiers> {
        Tiers::from(|name| {
            let bound: Option<i64> = read_meta(connection, name)?;
            bound.map(checked_bound).transpose()
        })
    }

    /// From each bound by its name.
    pub(super) fn from(
        bound: impl Fn(&str) -> rusqlite::Result<Option<i64>>,
    ) -> rusqlite::Result<Tiers> {
        let raw_from = bound("raw_from")?.unwrap_or(FIRST);
        Ok(Tiers {
            raw_from,
            // Earlier versions gave an hour up when it was empty.
            rows_from: bound("rows_from")?.unwrap_or(raw_from),
            partial_delete: None,
            five_minute_until: bound("fives_until")?,
            hourly_from: bound("hourly_from")?.unwrap_or(FIRST),
            daily_until: bound("daily_until")?,
        })
    }

    /// Writes what has changed.
    pub fn write(&self, connection: &Connection, earlier: &Tiers) -> rusqlite::Result<()> {
        let parts = |tiers: &Tiers| {
            [
                ("raw_from", Some(tiers.raw_from)),
                ("rows_from", Some(tiers.rows_from)),
                ("fives_until", tiers.five_minute_until),
                ("hourly_from", Some(tiers.hourly_from)),
                ("daily_until", tiers.daily_until),
            ]
        };
        for (now, before) in parts(self).into_iter().zip(parts(earlier)) {
            if now != before {
                write_meta(connection, now.0, now.1)?;
            }
        }
        Ok(())
    }
}

/// An entry of `node`.
pub fn read_meta<T: rusqlite::types::FromSql>(
    connection: &Connection,
    name: &str,
) -> rusqlite::Result<Option<T>> {
    let mut statement = connection.prepare_cached("SELECT value FROM node WHERE name = ?1")?;
    let value = statement.query_row([name], |row| row.get::<_, Option<T>>(0));
    Ok(value.optional()?.flatten())
}

/// An entry of `node` and its new value; `None` deletes it.
pub type MetaChange = (String, Option<String>);

pub fn delete_meta(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM node WHERE name = ?1", [name])?;
    Ok(())
}

pub fn write_meta(
    connection: &Connection,
    name: &str,
    value: impl rusqlite::ToSql,
) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT OR REPLACE INTO node (name, value) VALUES (?1, ?2)",
        params![name, value],
    )?;
    Ok(())
}
