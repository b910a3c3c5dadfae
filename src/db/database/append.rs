//! Appending a batch of rows: records, latest values and rollups, in one transaction.
//!
//! Runs on the store thread, within [`super::Database::commit`].

use std::collections::HashMap;

use rusqlite::{Transaction, params};

use super::{CommitCounts, NewRow, WriterState};
use crate::db::id_ranges;
use crate::db::periods::{HOUR, second_of_hour};
use crate::db::rollup::old_elements::OldElements;
use crate::db::rollup::{RollupUpdate, read_hour};
use crate::db::row_codec::{clamp_to_rfc3339, decode_value, encode_meta};
use crate::domain::reading::Value;
use crate::domain::time::{Wall, millis};

pub(super) fn append(
    transaction: &Transaction,
    state: &mut WriterState,
    batch: &[NewRow],
    oldest_hour: i64,
) -> rusqlite::Result<CommitCounts> {
    let mut committed = CommitCounts::default();
    let mut accepted = Vec::with_capacity(batch.len());
    let mut old_elements = OldElements::default();
    for entry in batch {
        let second = clamp_to_rfc3339(entry.row.stamp.observed).second();
        // An untrusted time gives no age.
        let is_old = second.div_euclid(HOUR) < oldest_hour && !entry.untrusted;
        if is_old && !entry.row.is_element {
            committed.too_old += 1;
            continue;
        }
        let key_id = state.key_id(transaction, &entry.row)?;
        if is_old {
            old_elements.add(key_id, second, entry.row.value.number());
        } else {
            accepted.push((entry, key_id, second));
        }
    }
    old_elements.write(transaction, &state.tiers)?;
    let mut known_values = stored_values(transaction, state, &accepted)?;
    let mut changes = RollupUpdate::new(state.tiers);
    let mut newest: HashMap<i64, (i64, &NewRow, i64)> = HashMap::new();
    let mut insert = transaction.prepare_cached(
        "INSERT INTO records (id, timestamp, key, value, meta) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    // Rows of one response share their time: its text is formatted once.
    let mut timestamp = (i64::MIN, String::new());
    for (entry, key_id, second) in accepted {
        let value = &entry.row.value;
        let earlier = known_values.insert((key_id, second), value.clone());
        if earlier.as_ref() == Some(value) {
            committed.duplicates += 1;
            continue;
        }
        let id = state.next_id;
        state.next_id += 1;
        if timestamp.0 != second {
            timestamp = (second, Wall::from_second(second).to_string());
        }
        insert.execute(params![
            id,
            timestamp.1,
            entry.row.key,
            value.number(),
            encode_meta(value, entry.row.is_stated, entry.untrusted),
        ])?;
        match earlier {
            None => changes.add(key_id, second, id, value.number()),
            Some(_) => changes.correct(key_id, second, id),
        }
        committed.stored += 1;
        if let Some(key) = state.keys.get_mut(&entry.row.key)
            && key.latest.as_ref().is_none_or(|(at, _)| *at <= second)
        {
            key.latest = Some((second, value.clone()));
            newest.insert(key_id, (id, entry, second));
        }
    }
    for (key_id, (id, entry, second)) in newest {
        write_latest(transaction, key_id, id, second, entry)?;
    }
    changes.write(transaction)?;
    Ok(committed)
}

/// The rows of a batch by their identities: what is there already, then what was added.
type KnownValues = HashMap<(i64, i64), Value>;

/// The stored values for the identities of a batch. A time after the newest row of its key is new
/// without a query; others are searched in the rows of their hour.
fn stored_values(
    transaction: &Transaction,
    state: &WriterState,
    accepted: &[(&NewRow, i64, i64)],
) -> rusqlite::Result<KnownValues> {
    let mut known_values = KnownValues::new();
    let mut wanted: HashMap<i64, HashMap<(&str, i64), i64>> = HashMap::new();
    for (entry, key_id, second) in accepted {
        match state.keys.get(&entry.row.key).map(|key| &key.latest) {
            Some(Some((newest, value))) if newest == second => {
                known_values.insert((*key_id, *second), value.clone());
            }
            Some(Some((newest, _))) if newest > second => {
                let hour = wanted.entry(second.div_euclid(HOUR)).or_default();
                hour.insert((&entry.row.key, second.rem_euclid(HOUR)), *key_id);
            }
            _ => {}
        }
    }
    let mut rows = transaction.prepare_cached(
        "SELECT key, timestamp, value, meta FROM records \
         WHERE id BETWEEN ?1 AND ?2 AND timestamp >= ?3 AND timestamp < ?4 ORDER BY id",
    )?;
    for (hour, wanted) in wanted {
        let mut ranges = Vec::new();
        for key_id in wanted.values() {
            let there = read_hour(transaction, hour, *key_id)?;
            ranges.extend(there.map(|there| (there.first_id, there.last_id)));
        }
        let begin = Wall::from_second(hour * HOUR).to_string();
        let end = Wall::from_second((hour + 1) * HOUR).to_string();
        for (first, last) in id_ranges::merge(ranges) {
            let mut rows = rows.query(params![first, last, begin, end])?;
            while let Some(row) = rows.next()? {
                let at = second_of_hour(row.get_ref(1)?.as_str().unwrap_or(""));
                let key = row.get_ref(0)?.as_str().unwrap_or("");
                let Some(key_id) = wanted.get(&(key, at)) else {
                    continue;
                };
                // Damaged rows are skipped.
                let (Ok(number), Ok(text)) = (row.get(2), row.get::<_, Option<String>>(3)) else {
                    continue;
                };
                if let Some(value) = decode_value(number, text.as_deref()) {
                    known_values.insert((*key_id, hour * HOUR + at), value);
                }
            }
        }
    }
    Ok(known_values)
}

fn write_latest(
    transaction: &Transaction,
    key_id: i64,
    id: i64,
    second: i64,
    entry: &NewRow,
) -> rusqlite::Result<()> {
    let stamp = &entry.row.stamp;
    let receipt = stamp.receipt();
    // The lag of a source's own time is only known under a trusted clock.
    let lag = receipt
        .filter(|_| stamp.has_trusted_time() || !stamp.has_source_time)
        .map(|(_, lag)| i64::try_from(millis(lag)).unwrap_or(i64::MAX));
    let mut upsert = transaction.prepare_cached(
        "INSERT OR REPLACE INTO latest \
         (k, id, second, value, text, own_time, untrusted, receipt_ms, lag_ms) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    upsert.execute(params![
        key_id,
        id,
        second,
        entry.row.value.number(),
        entry.row.value.text(),
        stamp.has_source_time,
        entry.untrusted,
        receipt.map(|(mono, _)| i64::try_from(mono.0).unwrap_or(i64::MAX)),
        lag,
    ])?;
    Ok(())
}
