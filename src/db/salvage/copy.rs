//! What a salvage copies beside rows: keys, latest values, rollups, alerts, quotas and windows, each
//! validated, since what would be damage in the new database is not copied into it.
//!
//! Runs on the store thread, within the transaction of its caller.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Transaction, params};

use super::source::{DamagedDatabase, NamedRow};
use crate::db::database::{Database, RETENTION_CLOCK};
use crate::db::forward_cursor;
use crate::db::last_values::ABSENCES;
use crate::db::periods::{HOUR, second_of};
use crate::db::quota;
use crate::db::tiers::{self, Tiers, read_meta, write_meta};
use crate::limits;

/// The readable rows of `node`.
pub(super) fn meta_values(source: &DamagedDatabase) -> HashMap<String, Value> {
    let (rows, _) = source.all("node");
    rows.into_iter()
        .filter_map(|mut row| Some((text(&row, "name")?, row.remove("value")?)))
        .collect()
}

pub(super) fn text(row: &NamedRow, column: &str) -> Option<String> {
    match row.get(column) {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    }
}

pub(super) fn integer(row: &NamedRow, column: &str) -> Option<i64> {
    match row.get(column) {
        Some(Value::Integer(number)) => Some(*number),
        _ => None,
    }
}

pub(super) fn real(row: &NamedRow, column: &str) -> Option<f64> {
    match row.get(column) {
        Some(Value::Real(number)) => Some(*number),
        _ => None,
    }
}

/// The id of a key; the key is added if it is unknown.
pub(super) fn key_id_of(transaction: &Transaction, key: &str) -> rusqlite::Result<i64> {
    let mut known = transaction.prepare_cached("SELECT k FROM keys WHERE key = ?1")?;
    if let Some(k) = known.query_row([key], |row| row.get(0)).optional()? {
        return Ok(k);
    }
    transaction.execute("INSERT INTO keys (key, source) VALUES (?1, '')", [key])?;
    Ok(transaction.last_insert_rowid())
}

/// Copies keys, latest values and tier bounds. Returns the key ids there and here, and how many
/// rows could not be read; hours are rebuilt from their rows.
pub(super) fn copy_keys_and_tiers(
    source: &DamagedDatabase,
    target: &Transaction,
    tiers: &mut Tiers,
) -> rusqlite::Result<(HashMap<i64, i64>, u64)> {
    let metadata = meta_values(source);
    let old = Tiers::from(|name| {
        Ok(match metadata.get(name) {
            Some(Value::Integer(bound)) => tiers::checked_bound(*bound).ok(),
            _ => None,
        })
    })?;
    tiers.raw_from = tiers.raw_from.max(old.raw_from);
    tiers.rows_from = tiers.rows_from.max(old.raw_from);
    tiers.hourly_from = tiers.hourly_from.max(old.hourly_from);
    // None: the days that can be had are summed up again from hours.
    tiers.daily_until = tiers.daily_until.or(old.daily_until);
    let mut numbers: HashMap<i64, i64> = HashMap::new();
    let (keys, mut unreadable) = source.all("keys");
    for row in keys {
        let name = text(&row, "key").filter(|key| !key.is_empty());
        let (Some(old_k), Some(key)) = (integer(&row, "k"), name) else {
            unreadable += 1;
            continue;
        };
        let k = key_id_of(target, &key)?;
        target.execute(
            "UPDATE keys SET unit = ?2, source = ?3, boolean = ?4 WHERE k = ?1 AND source = ''",
            params![
                k,
                text(&row, "unit"),
                text(&row, "source").unwrap_or_default(),
                integer(&row, "boolean") == Some(1),
            ],
        )?;
        numbers.insert(old_k, k);
    }
    let (latest, missed) = source.all("latest");
    for row in latest {
        insert_rollup(target, "latest", &row, &numbers)?;
    }
    Ok((numbers, unreadable + missed))
}

/// Copies what was stored ahead of its time, as far as a row of it can be one of ours.
pub(super) fn copy_forecasts(
    source: &DamagedDatabase,
    target: &Transaction,
) -> rusqlite::Result<()> {
    let is_time = |text: &str| text.len() == 20 && second_of(text).is_some();
    let (rows, _) = source.all("forecast");
    for row in rows {
        let key = text(&row, "key").unwrap_or_default();
        let is_key = !key.is_empty() && key.len() <= limits::KEY_BYTES;
        let has_value = real(&row, "value").is_some() || text(&row, "meta").is_some();
        if is_key && has_value && text(&row, "time").is_some_and(|time| is_time(&time)) {
            key_id_of(target, &key)?;
            insert(target, "forecast", &row)?;
        }
    }
    Ok(())
}

/// Copies a row of `latest`, `hourly` or `daily`, if it is valid.
pub(super) fn insert_rollup(
    target: &Transaction,
    table: &str,
    row: &NamedRow,
    numbers: &HashMap<i64, i64>,
) -> rusqlite::Result<()> {
    let within = |column, range: std::ops::RangeInclusive<i64>| {
        integer(row, column).is_some_and(|number| range.contains(&number))
    };
    let has_numbers = || {
        let numbers = ["min", "mean", "max", "last"];
        numbers.iter().all(|column| real(row, column).is_some())
    };
    let second = integer(row, "second").unwrap_or(i64::MAX);
    let is_ours = match table {
        "latest" => {
            within("id", limits::VALID_IDS)
                && limits::VALID_HOURS.contains(&second.div_euclid(HOUR))
        }
        "hourly" => {
            let is_summary = has_numbers() && within("last_s", 0..=HOUR - 1);
            within("hour", limits::VALID_HOURS)
                && within("first_id", 0..=integer(row, "last_id").unwrap_or(-1))
                && within("last_id", limits::VALID_IDS)
                && (within("count", 0..=0) || within("count", 1..=HOUR_COUNT_MAX) && is_summary)
        }
        _ => {
            within("day", limits::VALID_HOURS)
                && within("count", 1..=24 * HOUR_COUNT_MAX)
                && has_numbers()
        }
    };
    let k = integer(row, "k").and_then(|k| numbers.get(&k));
    let (Some(k), true) = (k, is_ours) else {
        return Ok(());
    };
    let mut row = row.clone();
    row.insert("k".to_owned(), Value::Integer(*k));
    // Of an earlier run, whose boot the new database does not know.
    row.retain(|column, _| column != "receipt_ms" && column != "lag_ms");
    insert(target, table, &row)
}

/// Numbers that an hour of a key can have: one a second.
const HOUR_COUNT_MAX: i64 = HOUR;

/// Inserts what can be read of a row; one that does not fit is left out.
pub(super) fn insert(target: &Transaction, table: &str, row: &NamedRow) -> rusqlite::Result<()> {
    let columns: Vec<&str> = row.keys().map(String::as_str).collect();
    let places: Vec<String> = (1..=columns.len()).map(|at| format!("?{at}")).collect();
    let sql = format!(
        "INSERT OR IGNORE INTO {table} ({}) VALUES ({})",
        columns.join(", "),
        places.join(", ")
    );
    let inserted = target
        .prepare_cached(&sql)
        .and_then(|mut insert| insert.execute(rusqlite::params_from_iter(row.values())));
    match inserted {
        Err(error) if !is_constraint(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Copies open incidents and undelivered events, with their ids and Message-IDs.
pub(super) fn copy_alerts(source: &DamagedDatabase, target: &Transaction) -> rusqlite::Result<()> {
    for (table, id) in [
        ("outbox", "id"),
        ("alert_state", "id"),
        ("incidents", "incident"),
        ("outbox_dropped", ""),
        ("deliveries", "id"),
    ] {
        let (rows, _) = source.all(table);
        let (kept, renumbered): (Vec<NamedRow>, Vec<NamedRow>) =
            rows.into_iter().partition(|row| {
                let number = integer(row, id);
                id.is_empty() || number.is_some_and(|number| limits::VALID_IDS.contains(&number))
            });
        // Delivered under a new id rather than not at all.
        let renumbered = renumbered.into_iter().map(|mut row| {
            row.remove(id);
            row
        });
        let renumbered = renumbered.filter(|_| table == "outbox" || table == "deliveries");
        for row in kept.into_iter().chain(renumbered) {
            insert(target, table, &row)?;
        }
    }
    // Numbers are not used again, because those who deliver may still speak of them.
    let (sequences, _) = source.all("sqlite_sequence");
    for row in sequences {
        if text(&row, "name").as_deref() == Some("outbox")
            && let Some(seq) = integer(&row, "seq").filter(|seq| limits::VALID_IDS.contains(seq))
        {
            let raise = "UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'outbox'";
            if target.execute(raise, [seq])? == 0 {
                let begin = "INSERT INTO sqlite_sequence (name, seq) VALUES ('outbox', ?1)";
                target.execute(begin, [seq])?;
            }
        }
    }
    Ok(())
}

/// Copies the alerts and quotas of an intact database that was replaced, so that its undelivered
/// events are delivered from here.
pub fn merge_alerts_from(replaced: &Path, database: &mut Database) -> rusqlite::Result<()> {
    match DamagedDatabase::open(replaced) {
        Ok(source) => database.change(|transaction, _| {
            copy_alerts(&source, transaction)?;
            copy_quotas(&meta_values(&source), transaction)
        }),
        Err(error) => {
            log::error!("{}: its alerts cannot be read: {error}", replaced.display());
            Ok(())
        }
    }
}

/// Takes over until when quotas are spent, and retention's clock.
pub(super) fn copy_quotas(
    metadata: &HashMap<String, Value>,
    target: &Transaction,
) -> rusqlite::Result<()> {
    let names: BTreeSet<&String> = metadata.keys().collect();
    for name in names {
        let is_kept = quota::is_name(name) || name == RETENTION_CLOCK || name == ABSENCES;
        if is_kept
            && let Value::Text(text) = &metadata[name]
            && read_meta::<Value>(target, name)?.is_none()
        {
            write_meta(target, name, text)?;
        }
    }
    Ok(())
}

/// Takes over how far outputs have forwarded rows, which keep their ids.
pub(super) fn copy_cursors(
    metadata: &HashMap<String, Value>,
    target: &Transaction,
) -> rusqlite::Result<()> {
    for (name, value) in metadata {
        if forward_cursor::is_name(name)
            && let Value::Text(text) = value
        {
            write_meta(target, name, text)?;
        }
    }
    Ok(())
}

/// Copies the windows of derived keys; rows keep their ids. A damaged one is noticed when it is
/// read, and rebuilt.
pub(super) fn copy_windows(source: &DamagedDatabase, target: &Transaction) -> rusqlite::Result<()> {
    let (windows, _) = source.all("derived_windows");
    for row in windows {
        insert(target, "derived_windows", &row)?;
    }
    Ok(())
}

/// Whether a damaged row does not fit its table.
pub(super) fn is_constraint(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::ConstraintViolation | rusqlite::ErrorCode::TypeMismatch)
    )
}
