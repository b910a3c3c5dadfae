//! Table `forecast`: what sources say ahead of time.
//!
//! Written by the store thread within the transaction of a commit, where a row of it changes; read
//! at start and by history.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, Transaction, params};

use super::error;
use super::periods::second_of;
use super::row_codec::{clamp_to_rfc3339, decode_is_stated, decode_value, encode_meta};
use crate::domain::ledger::Forecast;
use crate::domain::reading::TimedValue;
use crate::domain::time::Wall;
use crate::limits;

/// A row but its key and time.
#[derive(PartialEq)]
struct ForecastRow {
    until: Option<String>,
    value: Option<f64>,
    meta: Option<String>,
}

/// Has the table hold exactly the elements of `forecast` for its key.
pub fn write(transaction: &Transaction, forecast: &Forecast) -> rusqlite::Result<()> {
    let mut present = rows_of(transaction, &forecast.key)?;
    if !forecast.elements.is_empty() {
        name_key(transaction, forecast)?;
    }
    let mut replace = transaction.prepare_cached(
        "INSERT OR REPLACE INTO forecast (key, time, until, value, meta) \
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let mut wanted: BTreeMap<String, ForecastRow> = BTreeMap::new();
    for element in forecast.elements.iter() {
        let row = ForecastRow {
            until: element.end.map(spell),
            value: element.value.number(),
            meta: encode_meta(&element.value, element.is_stated, false),
        };
        wanted.insert(spell(element.start), row);
    }
    for (time, row) in wanted {
        if present.remove(&time).as_ref() != Some(&row) {
            replace.execute(params![forecast.key, time, row.until, row.value, row.meta])?;
        }
    }
    let mut delete =
        transaction.prepare_cached("DELETE FROM forecast WHERE key = ?1 AND time = ?2")?;
    for time in present.keys() {
        delete.execute(params![forecast.key, time])?;
    }
    Ok(())
}

fn spell(time: Wall) -> String {
    clamp_to_rfc3339(time).to_string()
}

fn rows_of(connection: &Connection, key: &str) -> rusqlite::Result<BTreeMap<String, ForecastRow>> {
    let mut select = connection
        .prepare_cached("SELECT time, until, value, meta FROM forecast WHERE key = ?1")?;
    let rows = select.query_map([key], |row| {
        Ok((
            row.get(0)?,
            ForecastRow {
                until: row.get(1)?,
                value: row.get(2)?,
                meta: row.get(3)?,
            },
        ))
    })?;
    rows.collect()
}

/// Adds the key, unless it is known: its unit and source change with its rows.
fn name_key(transaction: &Transaction, forecast: &Forecast) -> rusqlite::Result<()> {
    let mut known = transaction.prepare_cached("SELECT 1 FROM keys WHERE key = ?1")?;
    if !known.exists([&forecast.key])? {
        transaction.execute(
            "INSERT INTO keys (key, unit, source) VALUES (?1, ?2, ?3)",
            params![forecast.key, forecast.unit, forecast.source],
        )?;
    }
    Ok(())
}

/// What the last run has left, by key. Damaged rows are skipped.
pub fn read_all(connection: &Connection) -> rusqlite::Result<Vec<Forecast>> {
    let mut select = connection.prepare(
        "SELECT forecast.key, unit, source, time, until, value, meta \
         FROM forecast LEFT JOIN keys ON keys.key = forecast.key ORDER BY forecast.key, time",
    )?;
    let rows = select.query_map([], |row| {
        let forecast = Forecast {
            key: row.get(0)?,
            unit: row.get(1)?,
            source: row.get::<_, Option<Arc<str>>>(2)?.unwrap_or_default(),
            elements: Arc::default(),
        };
        Ok((forecast, read_element(row, 3)?))
    })?;
    let mut all: Vec<(Forecast, Vec<TimedValue>)> = Vec::new();
    for row in rows {
        let Some((forecast, Some(element))) = error::readable(row)? else {
            continue;
        };
        if all.last().is_none_or(|(last, _)| last.key != forecast.key) {
            all.push((forecast, Vec::new()));
        }
        if let Some((_, elements)) = all.last_mut()
            && elements.len() < limits::SERIES_ELEMENTS
        {
            elements.push(element);
        }
    }
    let forecasts = all.into_iter().map(|(forecast, elements)| Forecast {
        elements: elements.into(),
        ..forecast
    });
    Ok(forecasts.collect())
}

/// Elements of a key from `from` on and before `to`. Damaged rows are skipped.
pub fn read_between(
    connection: &Connection,
    key: &str,
    from: Wall,
    to: Wall,
) -> rusqlite::Result<Vec<TimedValue>> {
    let mut select = connection.prepare_cached(
        "SELECT time, until, value, meta FROM forecast \
         WHERE key = ?1 AND time >= ?2 AND time < ?3 ORDER BY time",
    )?;
    let rows = select.query_map(params![key, spell(from), spell(to)], |row| {
        read_element(row, 0)
    })?;
    let mut elements = Vec::new();
    for row in rows {
        elements.extend(error::readable(row)?.flatten());
    }
    Ok(elements)
}

/// From the columns time, until, value and meta.
fn read_element(row: &rusqlite::Row, first: usize) -> rusqlite::Result<Option<TimedValue>> {
    let time: String = row.get(first)?;
    let until: Option<String> = row.get(first + 1)?;
    let meta: Option<String> = row.get(first + 3)?;
    let value = decode_value(row.get(first + 2)?, meta.as_deref());
    let element = parse(&time).zip(value).map(|(start, value)| TimedValue {
        start,
        end: until.and_then(|until| parse(&until)),
        value,
        is_stated: decode_is_stated(meta.as_deref()),
    });
    Ok(element)
}

fn parse(time: &str) -> Option<Wall> {
    second_of(time).map(Wall::from_second)
}

#[cfg(test)]
#[path = "tests/forecast.rs"]
mod tests;
