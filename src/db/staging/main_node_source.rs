//! The database of another main-node as the input of an import: besides its rows the units of its
//! keys, and the hours and days that are left of rows that it no longer has.

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};

use super::StageError;
use super::input_row::{InputRow, InputSummary};
use super::stager::Stager;
use crate::db::error::{OpenError, readable};
use crate::db::periods::{DAY, HOUR};
use crate::db::schema;
use crate::db::tiers::Tiers;

/// Refuses a database of a later version; the inner error is a text to follow a colon.
pub fn check_version(connection: &Connection, path: &Path) -> rusqlite::Result<Result<(), String>> {
    let found = schema::version(connection)?;
    if found <= schema::VERSION {
        return Ok(Ok(()));
    }
    let path = path.to_owned();
    Ok(Err(OpenError::Newer { path, found }.reason()))
}

/// What the database has besides rows.
pub struct Tail {
    /// The hour from which on there are rows.
    rows_from: i64,
    /// The day from which on there are hours.
    hours_from: i64,
}

impl Tail {
    pub fn read(connection: &Connection) -> rusqlite::Result<Tail> {
        let tiers = Tiers::read(connection)?;
        // As in an export: days that are summed up, as far as their hours are gone.
        let summed_up = tiers.daily_until.unwrap_or(i64::MIN / DAY);
        let hours_from = summed_up.min(tiers.hourly_from.div_euclid(24));
        Ok(Tail {
            rows_from: tiers.raw_from.max(hours_from.saturating_mul(24)),
            hours_from,
        })
    }

    /// The second from which on there are rows; those before it are part of hours.
    pub fn rows_from(&self) -> i64 {
        self.rows_from.saturating_mul(HOUR)
    }

    /// Hands hours, days and units to the stager.
    pub fn stage(
        &self,
        connection: &Connection,
        stager: &mut Stager,
        failed: &dyn Fn(rusqlite::Error) -> StageError,
    ) -> Result<(), StageError> {
        stager.place_name = "summary";
        let first_hour = self.hours_from.saturating_mul(24);
        // An hour of elements that were old when they came has no rows: its ids are 0.
        summaries(
            connection,
            "SELECT hour, key, mean, count, min, max, last FROM hourly JOIN keys USING (k) \
             WHERE hour >= ?1 AND (hour < ?2 OR last_id = 0) AND count > 0",
            (first_hour, self.rows_from),
            HOUR,
            stager,
            failed,
        )?;
        summaries(
            connection,
            "SELECT day, key, mean, count, min, max, last FROM daily JOIN keys USING (k) \
             WHERE day >= ?1 AND day < ?2 AND count > 0",
            (i64::MIN, self.hours_from),
            DAY,
            stager,
            failed,
        )?;
        units(connection, stager).map_err(failed)
    }
}

fn summaries(
    connection: &Connection,
    sql: &str,
    (from, until): (i64, i64),
    seconds: i64,
    stager: &mut Stager,
    failed: &dyn Fn(rusqlite::Error) -> StageError,
) -> Result<(), StageError> {
    let mut statement = connection.prepare(sql).map_err(failed)?;
    let mut rows = statement.query(params![from, until]).map_err(failed)?;
    let mut place = 0;
    while let Some(row) = rows.next().map_err(failed)? {
        place += 1;
        let cell = |at: usize| row.get_ref(at).map_err(failed);
        let begin = match cell(0)? {
            ValueRef::Integer(unit) => unit.saturating_mul(seconds),
            _ => i64::MIN,
        };
        let summary = InputSummary {
            seconds: ValueRef::Integer(seconds),
            count: cell(3)?,
            min: cell(4)?,
            max: cell(5)?,
            last: cell(6)?,
        };
        stager.take(&InputRow {
            summary: Some(summary),
            ..InputRow::of(
                place,
                ValueRef::Integer(begin),
                cell(1)?,
                cell(2)?,
                ValueRef::Null,
            )
        })?;
    }
    Ok(())
}

/// The unit of each key now.
fn units(connection: &Connection, stager: &mut Stager) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("SELECT key, unit FROM keys WHERE unit IS NOT NULL")?;
    let units = statement.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    })?;
    for unit in units {
        if let Some((key, unit)) = readable(unit)? {
            stager.set_unit(&key, &unit);
        }
    }
    Ok(())
}
