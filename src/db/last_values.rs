//! Last values of the previous run: the newest row of every key, with an age that continues
//! within one boot and is unknown after it.
//!
//! Runs once, on the main thread, before anything is fetched. Never writes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Row};

use super::error;
use super::periods::HOUR;
use super::row_codec::column_value;
use super::tiers::read_meta;
use crate::domain::compact_sort::CompactSort;
use crate::domain::freshness::Stamp;
use crate::domain::ledger::{Absence, RestoredRecord, SavedAbsences};
use crate::domain::time::{Mono, Wall};
use crate::limits;

/// The entry of `node` that has [`SavedAbsences`].
pub const ABSENCES: &str = "absences";

/// Which keys the configuration has room for.
#[derive(Clone, Copy)]
pub struct WantedKeys<'a> {
    /// Whether the configuration names a key.
    pub is_named: &'a dyn Fn(&str) -> bool,
    /// Most records of a source.
    pub max_records: &'a dyn Fn(&str) -> usize,
}

/// A row of `latest` with what is needed to judge it.
struct LastRow {
    key_id: i64,
    second: i64,
    untrusted: bool,
    row: RestoredRecord,
}

/// The newest rows, as far as `connection` shows: of each source's keys those observed last, at
/// most as many as the source may have records, and all that are named. A database may have any
/// number of old keys, and memory is small.
pub fn read_last_values(
    connection: &Connection,
    boot: &str,
    wanted: WantedKeys<'_>,
) -> rusqlite::Result<Vec<RestoredRecord>> {
    let last_boot: Option<String> = error::readable(read_meta(connection, "boot"))?.flatten();
    let is_same_boot = !boot.is_empty() && last_boot.as_deref() == Some(boot);
    // A database of an earlier version that cannot be written is read as it is.
    let has_booleans = connection.column_exists(None, "keys", "boolean")?;
    let boolean = if has_booleans { "boolean" } else { "0" };
    let mut statement = connection.prepare(&format!(
        "SELECT key, unit, source, value, text, second, own_time, untrusted, receipt_ms, lag_ms, \
         keys.k, {boolean} FROM latest JOIN keys ON keys.k = latest.k ORDER BY keys.k",
    ))?;
    let rows = statement.query_map([], |row| read_row(row, is_same_boot))?;
    let mut named = Vec::new();
    let mut others: HashMap<Arc<str>, Vec<LastRow>> = HashMap::new();
    for candidate in rows {
        // Damaged rows are skipped.
        let Some(candidate) = error::readable(candidate)?.flatten() else {
            continue;
        };
        if (wanted.is_named)(&candidate.row.key) {
            named.push(candidate);
            continue;
        }
        let most = (wanted.max_records)(&candidate.row.source);
        let of_source = others.entry(candidate.row.source.clone()).or_default();
        of_source.push(candidate);
        if of_source.len() >= 2 * most {
            keep_newest(of_source, most);
        }
    }
    for (source, candidates) in &mut others {
        keep_newest(candidates, (wanted.max_records)(source));
    }
    let mut all: Vec<LastRow> = others.into_values().flatten().chain(named).collect();
    all.compact_sort_by_key(|candidate| candidate.key_id);
    count_absences(connection, &mut all)?;
    Ok(all.into_iter().map(|candidate| candidate.row).collect())
}

/// Times of another boot are without their monotonic receipt.
fn read_row(row: &Row<'_>, is_same_boot: bool) -> rusqlite::Result<Option<LastRow>> {
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
        _ if untrusted => Stamp::unknown_age(observed, own_time),
        _ => Stamp::restored(observed, own_time),
    };
    let k: i64 = row.get(10)?;
    Ok(column_value(row, 3)?.map(|value| LastRow {
        key_id: k,
        second: observed.second(),
        untrusted,
        row: RestoredRecord {
            key: row.get(0).unwrap_or_else(|_| Arc::from("")),
            unit: row.get(1).unwrap_or(None),
            source: row.get(2).unwrap_or_else(|_| Arc::from("")),
            value,
            stamp,
            is_boolean: row.get(11).unwrap_or(false),
            absence: Absence::default(),
        },
    }))
}

fn keep_newest(candidates: &mut Vec<LastRow>, most: usize) {
    candidates.compact_sort_by_key(|candidate| (Reverse(candidate.second), candidate.key_id));
    candidates.truncate(most);
}

/// For how long each key's source answered without it: what the last run saved, and since then as
/// far as the hourly tier proves: by the hours after the key's newest row in which other keys of
/// that source have rows.
fn count_absences(connection: &Connection, all: &mut [LastRow]) -> rusqlite::Result<()> {
    let source_of: HashMap<i64, Arc<str>> = all
        .iter()
        .map(|it| (it.key_id, it.row.source.clone()))
        .collect();
    let mut statement =
        connection.prepare("SELECT hour, k, count FROM hourly ORDER BY hour DESC LIMIT ?1")?;
    let mut rows = statement.query([limits::RESTORED_HOURLY_ROWS as i64])?;
    // Of each source by hour: the answers that one of its keys was in, at least.
    let mut answered: HashMap<Arc<str>, BTreeMap<i64, u64>> = HashMap::new();
    while let Some(row) = rows.next()? {
        let (Ok(hour), Ok(k), Ok(count)) = (row.get(0), row.get::<_, i64>(1), row.get(2)) else {
            continue;
        };
        let count: i64 = count;
        if let Some(source) = source_of.get(&k) {
            let hours = answered.entry(source.clone()).or_default();
            let answers = hours.entry(hour).or_default();
            // Texts are not counted, and yet there was one.
            *answers = (*answers).max(u64::try_from(count).unwrap_or(0)).max(1);
        }
    }
    let saved: Option<String> = error::readable(read_meta(connection, ABSENCES))?.flatten();
    let saved = saved.and_then(|text| SavedAbsences::parse(&text));
    let none = BTreeMap::new();
    for candidate in all {
        // An untrusted time gives no age.
        if candidate.untrusted {
            continue;
        }
        let row = &candidate.row;
        let (mut before, mut since) = (Absence::default(), candidate.second);
        if let Some(saved) = saved.as_ref().filter(|it| it.at.second() >= since)
            && let Some(absence) = saved.absence(&row.source, &row.key)
        {
            (before, since) = (absence, saved.at.second());
        }
        let hours = answered.get(&row.source).unwrap_or(&none);
        let after = hours.range(since.div_euclid(HOUR) + 1..);
        let (count, answers) = after.fold((0_u64, 0_u64), |(count, answers), (_, of_hour)| {
            (count + 1, answers.saturating_add(*of_hour))
        });
        // The newest hour need not be over.
        let time = count.saturating_sub(1) * HOUR.unsigned_abs();
        let proven = Absence {
            responses: answers,
            time: Duration::from_secs(time),
        };
        candidate.row.absence = before.plus(proven);
    }
    Ok(())
}

#[cfg(test)]
#[path = "tests/last_values.rs"]
mod tests;
