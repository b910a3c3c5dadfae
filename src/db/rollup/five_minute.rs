//! Five-minute rollups for busy hours, from which the chart of a day is drawn.
//!
//! Called by the store thread. A key's rows lie among those of all others, so that reading
//! one hour of it costs what all keys have stored in that hour. Where that is much, the
//! hour's rows are read once, when it is over, and twelve summaries of five minutes each are
//! left behind. Until then, and where rows are few, there are none: the rows answer.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{self as rollup, Aggregate, HourRollup};
use crate::db::error;
use crate::db::id_ranges::{self, IdRange};
use crate::db::periods::{FIVE_MINUTES, HOUR, second_of_hour};
use crate::db::progress::Progress;
use crate::db::tiers::Tiers;
use crate::domain::time::Wall;
use crate::limits;

/// An hour's parts. When each last value was observed counts from the beginning of the hour.
pub type FiveMinuteRollup = [Option<Aggregate>; (HOUR / FIVE_MINUTES) as usize];

/// Whether an hour that is over gets five-minute rollups: it has many rows to scan.
pub fn is_eligible(hour: &HourRollup) -> bool {
    hour.id_count() > limits::FIVE_MINUTE_MIN_IDS
}

/// Takes in a number that was observed at a second of the hour.
pub fn add_value(fives: &mut FiveMinuteRollup, second: i64, value: f64) {
    if let Some(five) = fives.get_mut((second / FIVE_MINUTES) as usize) {
        rollup::add(five, &Aggregate::of(value, second));
    }
}

/// Takes in values by the second of the hour.
pub fn from_seconds(seconds: &BTreeMap<i64, Option<f64>>) -> FiveMinuteRollup {
    let mut fives = FiveMinuteRollup::default();
    for (second, value) in seconds {
        if let Some(value) = value {
            add_value(&mut fives, *second, *value);
        }
    }
    fives
}

/// Sums up some of the hours before `until` that are not yet, and notes how far it is.
pub fn roll_up_next(
    transaction: &Transaction,
    tiers: &mut Tiers,
    until: i64,
) -> rusqlite::Result<Progress> {
    let mut scanned = 0;
    loop {
        let from = tiers
            .five_minute_until
            .unwrap_or(i64::MIN)
            .max(tiers.raw_from);
        let next: Option<i64> = transaction
            .prepare_cached("SELECT min(hour) FROM hourly WHERE hour >= ?1 AND hour < ?2")?
            .query_row([from, until], |row| row.get(0))?;
        let Some(hour) = next else {
            tiers.five_minute_until = Some(until);
            return Ok(Progress::More);
        };
        scanned += roll_up_hour(transaction, hour)?;
        tiers.five_minute_until = Some(hour + 1);
        if scanned > limits::RETENTION_STEP_IDS {
            return Ok(Progress::More);
        }
    }
}

/// State of one key while the rows of an hour are scanned.
struct KeyScan {
    k: i64,
    parts: FiveMinuteRollup,
    /// The second of the newest row so far.
    newest: i64,
    /// Rows came out of order, or twice for one second: the scan must be repeated by second.
    is_out_of_order: bool,
}

/// Sums up one hour of all keys that have many rows in it. Returns how many ids and keys were
/// scanned.
fn roll_up_hour(connection: &Connection, hour: i64) -> rusqlite::Result<i64> {
    let mut keys: HashMap<String, KeyScan> = HashMap::new();
    let mut ranges = Vec::new();
    let mut hours = connection.prepare_cached(
        "SELECT key, keys.k, first_id, last_id FROM hourly JOIN keys ON keys.k = hourly.k \
         WHERE hour = ?1 AND last_id - first_id >= ?2",
    )?;
    let mut rows = hours.query([hour, limits::FIVE_MINUTE_MIN_IDS])?;
    while let Some(row) = rows.next()? {
        ranges.push((row.get(2)?, row.get(3)?));
        let scan = KeyScan {
            k: row.get(1)?,
            parts: FiveMinuteRollup::default(),
            newest: -1,
            is_out_of_order: false,
        };
        keys.insert(row.get(0)?, scan);
    }
    let ranges = id_ranges::merge(ranges);
    let ids = id_ranges::count(&ranges);
    // Readers use the hourly rollup of an hour without five-minute rollups.
    if keys.is_empty() || ids > limits::FIVE_MINUTE_MAX_IDS {
        return Ok(1 + keys.len() as i64);
    }
    for_each_row(connection, hour, &ranges, |key, second, value| {
        if let Some(scan) = keys.get_mut(key) {
            scan.is_out_of_order |= second <= scan.newest;
            scan.newest = second;
            if let Some(value) = value {
                add_value(&mut scan.parts, second, value);
            }
        }
    })?;
    for (key, mut scan) in keys {
        if scan.is_out_of_order {
            scan.parts = read_rows(connection, hour, &key, &ranges)?;
        }
        write(connection, hour, scan.k, &scan.parts)?;
    }
    Ok(ids)
}

/// Rollups of the rows of one key with the given ids: of one second the highest id counts.
pub fn read_rows(
    connection: &Connection,
    hour: i64,
    key: &str,
    ids: &[IdRange],
) -> rusqlite::Result<FiveMinuteRollup> {
    let mut seconds: BTreeMap<i64, Option<f64>> = BTreeMap::new();
    for_each_row(connection, hour, ids, |found, second, value| {
        if found == key {
            seconds.insert(second, value);
        }
    })?;
    Ok(from_seconds(&seconds))
}

/// Hands on the rows of an hour, by id: key, second of the hour, number.
pub fn for_each_row(
    connection: &Connection,
    hour: i64,
    ids: &[IdRange],
    mut take: impl FnMut(&str, i64, Option<f64>),
) -> rusqlite::Result<()> {
    let mut rows = connection.prepare_cached(
        "SELECT key, timestamp, value FROM records \
         WHERE id BETWEEN ?1 AND ?2 AND timestamp >= ?3 AND timestamp < ?4 ORDER BY id",
    )?;
    let begin = Wall::from_second(hour * HOUR).to_string();
    let end = Wall::from_second((hour + 1) * HOUR).to_string();
    for (first, last) in ids {
        let mut rows = rows.query(params![first, last, begin, end])?;
        while let Some(row) = rows.next()? {
            let second = second_of_hour(row.get_ref(1)?.as_str().unwrap_or(""));
            // Damaged rows are skipped.
            if let (Ok(key), Ok(value)) = (row.get_ref(0)?.as_str(), row.get(2)) {
                take(key, second, value);
            }
        }
    }
    Ok(())
}

/// Writes a key's hour, in place of what there was.
pub fn write(
    connection: &Connection,
    hour: i64,
    k: i64,
    fives: &FiveMinuteRollup,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM fives WHERE hour = ?1 AND k = ?2")?
        .execute([hour, k])?;
    let mut insert = connection
        .prepare_cached("INSERT INTO fives VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
    for (five, summary) in fives.iter().enumerate() {
        if let Some(s) = summary {
            insert.execute(params![
                hour,
                k,
                five as i64,
                i64::try_from(s.count).unwrap_or(i64::MAX),
                s.min,
                s.mean,
                s.max,
                s.last,
                s.last_at,
            ])?;
        }
    }
    Ok(())
}

/// A key's hour; all `None` where it has no five-minute rollups.
pub fn read(connection: &Connection, hour: i64, k: i64) -> rusqlite::Result<FiveMinuteRollup> {
    let mut statement = connection.prepare_cached(
        "SELECT count, min, mean, max, last, last_s, five FROM fives WHERE hour = ?1 AND k = ?2",
    )?;
    let mut rows = statement.query([hour, k])?;
    let mut fives = FiveMinuteRollup::default();
    while let Some(row) = rows.next()? {
        let five: i64 = row.get(6)?;
        if let Some(place) = usize::try_from(five).ok().and_then(|at| fives.get_mut(at)) {
            *place = error::readable(rollup::read_aggregate(row))?.flatten();
        }
    }
    Ok(fives)
}

/// Takes late numbers into an hour that is over. `before` is what the hour was without them.
pub fn add_late(
    connection: &Connection,
    (hour, k): (i64, i64),
    late: &FiveMinuteRollup,
    before: Option<&HourRollup>,
) -> rusqlite::Result<()> {
    let mut fives = match before {
        None => FiveMinuteRollup::default(),
        Some(before) if is_eligible(before) => read(connection, hour, k)?,
        // Its rows were few, and answered for themselves.
        Some(before) => {
            let key: Option<String> = connection
                .prepare_cached("SELECT key FROM keys WHERE k = ?1")?
                .query_row([k], |row| row.get(0))
                .optional()?;
            let ids = [(before.first_id, before.last_id)];
            read_rows(connection, hour, key.as_deref().unwrap_or_default(), &ids)?
        }
    };
    for (five, late) in fives.iter_mut().zip(late) {
        if let Some(late) = late {
            rollup::add(five, late);
        }
    }
    write(connection, hour, k, &fives)
}

/// Deletes those of hours whose rows are deleted.
pub fn delete_before(connection: &Connection, hour: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM fives WHERE hour < ?1")?
        .execute([hour])?;
    Ok(())
}

#[cfg(test)]
#[path = "tests/five_minute.rs"]
mod tests;
