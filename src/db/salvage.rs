//! A damaged database of ours: put aside, never deleted, and read as far as it can be.
//!
//! Driven by the store thread, a step at a time between commits. Rows keep their ids, so
//! that what `hourly` says about them stays true, and a row that is taken over twice (from
//! the damaged file and from a backup, or after a restart) is there once.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::repository::Database;
use super::retention::Step;
use super::rollup::{Changes, HOUR, read_hour, second_of_hour};
use super::tiers::{Tiers, node, set_node};
use super::{backup, file, quota, session};
use crate::domain::time::Wall;
use crate::limits;

/// Moves a damaged database out of the way, with its log, and says where it is now.
pub fn set_aside(path: &Path, now: Wall) -> std::io::Result<PathBuf> {
    let date = now.to_string().replace([':', '-'], "");
    let mut aside = file::beside(path, &format!(".damaged-{date}"));
    let mut count = 1;
    while aside.exists() {
        count += 1;
        aside = file::beside(path, &format!(".damaged-{date}-{count}"));
    }
    std::fs::rename(path, &aside)?;
    for (suffix, is_kept) in [("-wal", true), ("-shm", false)] {
        let from = file::beside(path, suffix);
        let moved = match is_kept {
            true => std::fs::rename(from, file::beside(&aside, suffix)),
            false => std::fs::remove_file(from),
        };
        match moved {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    file::sync_directory(path)?;
    Ok(aside)
}

/// The work of taking over what can be read.
pub struct Salvage {
    aside: PathBuf,
    /// What is still to be read, the next one last.
    sources: Vec<PathBuf>,
    reading: Option<Reading>,
    /// Rows taken over.
    pub rows: u64,
    /// Stretches of ids that could not be read.
    pub holes: u64,
}

/// One file as it is read.
struct Reading {
    connection: Connection,
    next_id: i64,
    last_id: i64,
}

/// What the new database remembers while a salvage is under way.
const UNDER_WAY: &str = "salvage";

/// Ids given to new rows where the damaged file does not say which it has used.
const FAR_AHEAD: i64 = 1 << 40;

impl Salvage {
    /// Begins to fill `database`, which is new, from what was set aside and from the newest
    /// backup that is whole.
    pub fn begin(database: &mut Database, aside: &Path) -> rusqlite::Result<Salvage> {
        let mut salvage = Salvage::of(database.path(), aside);
        let last_id = salvage
            .sources
            .iter()
            .filter_map(|path| last_id(&open_damaged(path).ok()?))
            .max()
            .unwrap_or(FAR_AHEAD);
        let damaged = open_damaged(aside);
        database.change(|transaction, _| {
            let name = aside.to_string_lossy().into_owned();
            set_node(transaction, UNDER_WAY, name)?;
            // Once, and never from a backup: what has been told since must not be told again.
            if let Ok(damaged) = &damaged {
                alerts(damaged, transaction)?;
                quotas(damaged, transaction)?;
            }
            // New rows must not take the ids of those that are still to come.
            set_node(transaction, "last_id", last_id)
        })?;
        database.reload()?;
        // The damaged file and the backup are read in this first step as far as their small
        // tables go: what was known is known again before anything new is judged by it.
        salvage.open_next(database)?;
        Ok(salvage)
    }

    /// Goes on with what a restart interrupted.
    pub fn resume(database: &mut Database) -> rusqlite::Result<Option<Salvage>> {
        let aside: Option<String> = database
            .connection()
            .query_row(
                "SELECT value FROM node WHERE name = ?1",
                [UNDER_WAY],
                |row| row.get(0),
            )
            .optional()?;
        Ok(aside.map(|aside| Salvage::of(database.path(), Path::new(&aside))))
    }

    fn of(path: &Path, aside: &Path) -> Salvage {
        let mut sources = Vec::new();
        sources.extend(backup::newest_whole(path));
        sources.push(aside.to_owned());
        Salvage {
            aside: aside.to_owned(),
            sources,
            reading: None,
            rows: 0,
            holes: 0,
        }
    }

    /// Where the damaged file lies.
    pub fn aside(&self) -> &Path {
        &self.aside
    }

    /// What a person should know.
    pub fn notice(&self, is_over: bool) -> String {
        let progress = match (is_over, self.holes) {
            (false, _) => format!("{} rows recovered so far", self.rows),
            (true, 0) => format!("all that it held was recovered, {} rows", self.rows),
            (true, 1) => format!(
                "{} rows were recovered, one stretch was unreadable",
                self.rows
            ),
            (true, holes) => format!(
                "{} rows were recovered, {holes} stretches were unreadable",
                self.rows
            ),
        };
        format!(
            "the database was damaged and is set aside as {}; {progress}",
            self.aside.display()
        )
    }

    /// Takes over some more rows.
    pub fn step(&mut self, database: &mut Database) -> rusqlite::Result<Step> {
        if self.reading.is_none() && !self.open_next(database)? {
            database.change(|transaction, _| {
                transaction.execute("DELETE FROM node WHERE name = ?1", [UNDER_WAY])
            })?;
            database.reload()?;
            return Ok(Step::Done);
        }
        let Some(reading) = &mut self.reading else {
            return Ok(Step::More);
        };
        let batch = reading.some_rows();
        let taken = database.change(|transaction, tiers| {
            let mut changes = Changes::new(*tiers);
            let mut taken = 0;
            for row in &batch.rows {
                taken += u64::from(take_over(transaction, tiers, &mut changes, row)?);
            }
            changes.write(transaction)?;
            Ok(taken)
        })?;
        self.rows += taken;
        self.holes += batch.holes;
        reading.next_id = batch.next_id;
        if batch.is_last {
            self.reading = None;
        }
        // Keys may have come to light that the database must know of.
        database.reload()?;
        Ok(Step::More)
    }

    /// Opens the next source and takes over its small tables; false when there is none.
    fn open_next(&mut self, database: &mut Database) -> rusqlite::Result<bool> {
        while let Some(path) = self.sources.pop() {
            let Ok(connection) = open_damaged(&path) else {
                self.holes += 1;
                continue;
            };
            database.change(|transaction, tiers| summaries(&connection, transaction, tiers))?;
            database.reload()?;
            self.reading = Some(Reading {
                next_id: i64::MIN,
                last_id: last_id(&connection).unwrap_or(i64::MAX),
                connection,
            });
            return Ok(true);
        }
        Ok(false)
    }
}

/// Opens a file that may be damaged, its log included where that is possible.
fn open_damaged(path: &Path) -> rusqlite::Result<Connection> {
    let readable = |connection: Connection| {
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| {
            row.get::<_, i64>(0)
        })?;
        connection.pragma_update(None, "cell_size_check", true)?;
        Ok(connection)
    };
    session::open_read_only(path)
        .and_then(readable)
        .or_else(|_| session::open_immutable(path).and_then(readable))
}

/// The highest id that the file says it has used.
fn last_id(connection: &Connection) -> Option<i64> {
    [
        "SELECT max(id) FROM records",
        "SELECT max(id) FROM latest",
        "SELECT max(last_id) FROM (SELECT last_id FROM hourly ORDER BY hour DESC LIMIT 10000)",
    ]
    .into_iter()
    .filter_map(|sql| {
        let id = connection.query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
        id.ok().flatten()
    })
    .max()
}

struct Found {
    id: i64,
    timestamp: String,
    key: String,
    value: Option<f64>,
    meta: Option<String>,
}

struct Batch {
    rows: Vec<Found>,
    holes: u64,
    next_id: i64,
    is_last: bool,
}

impl Reading {
    /// Rows from `next_id` on, until there are many or the file cannot be read.
    fn some_rows(&self) -> Batch {
        let mut batch = Batch {
            rows: Vec::new(),
            holes: 0,
            next_id: self.next_id,
            is_last: false,
        };
        match self.read(&mut batch) {
            Ok(is_last) => batch.is_last = is_last,
            Err(_) => {
                batch.holes += 1;
                batch.next_id = self.after_hole(batch.next_id);
                batch.is_last = batch.next_id >= self.last_id;
            }
        }
        batch
    }

    /// True when there are no more.
    fn read(&self, batch: &mut Batch) -> rusqlite::Result<bool> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, timestamp, key, value, meta FROM records WHERE id >= ?1 ORDER BY id",
        )?;
        let mut rows = statement.query([batch.next_id])?;
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            batch.next_id = id;
            // A cell that reads as something else than a row of ours is damage too.
            let found = || -> rusqlite::Result<Found> {
                Ok(Found {
                    id,
                    timestamp: row.get(1)?,
                    key: row.get(2)?,
                    value: row.get(3)?,
                    meta: row.get(4)?,
                })
            };
            match found() {
                Ok(found) if found.is_ours() => batch.rows.push(found),
                _ => batch.holes += 1,
            }
            batch.next_id = id.saturating_add(1);
            if batch.rows.len() >= limits::SALVAGE_STEP_ROWS {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The first id past an unreadable stretch that begins at `id`: leaps that double, then
    /// halves back to where the hole really ends.
    fn after_hole(&self, id: i64) -> i64 {
        let is_readable = |id: i64| {
            let first = self
                .connection
                .prepare_cached("SELECT id, meta FROM records WHERE id >= ?1 ORDER BY id LIMIT 1")
                .and_then(|mut statement| {
                    statement
                        .query_row([id], |row| row.get::<_, i64>(0))
                        .optional()
                });
            first.is_ok()
        };
        let id = id.max(0);
        let (mut bad, mut leap) = (id, 1_i64);
        let mut good = loop {
            let probe = id.saturating_add(leap);
            if probe >= self.last_id || is_readable(probe) {
                break probe;
            }
            bad = probe;
            leap = leap.saturating_mul(2);
        };
        while good - bad > 1 {
            let middle = bad + (good - bad) / 2;
            match is_readable(middle) {
                true => good = middle,
                false => bad = middle,
            }
        }
        good
    }
}

impl Found {
    fn second(&self) -> Option<i64> {
        let second = self.timestamp.parse::<jiff::Timestamp>().ok()?.as_second();
        (self.timestamp.len() == 20).then_some(second)
    }

    fn is_ours(&self) -> bool {
        let is_value = self.value.is_none_or(f64::is_finite);
        let is_key = !self.key.is_empty() && self.key.len() <= limits::KEY_BYTES;
        is_value && is_key && self.second().is_some()
    }
}

/// Takes one row over, if it is not there; true if it was not.
fn take_over(
    transaction: &Transaction,
    tiers: &Tiers,
    changes: &mut Changes,
    row: &Found,
) -> rusqlite::Result<bool> {
    let Some(second) = row.second() else {
        return Ok(false);
    };
    let hour = second.div_euclid(HOUR);
    if hour < tiers.raw_from {
        return Ok(false);
    }
    let mut insert = transaction.prepare_cached(
        "INSERT OR IGNORE INTO records (id, timestamp, key, value, meta) \
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    if insert.execute(params![row.id, row.timestamp, row.key, row.value, row.meta])? == 0 {
        return Ok(false);
    }
    let k = number_of(transaction, &row.key)?;
    // Where the hour's own summary was recovered it counts this row already.
    let is_counted = read_hour(transaction, hour, k)?
        .is_some_and(|known| (known.first_id..=known.last_id).contains(&row.id));
    if !is_counted {
        debug_assert_eq!(second.rem_euclid(HOUR), second_of_hour(&row.timestamp));
        changes.correct(k, second, row.id);
    }
    Ok(true)
}

/// The number that stands for a key, which may be all that is left of it.
fn number_of(transaction: &Transaction, key: &str) -> rusqlite::Result<i64> {
    let mut known = transaction.prepare_cached("SELECT k FROM keys WHERE key = ?1")?;
    if let Some(k) = known.query_row([key], |row| row.get(0)).optional()? {
        return Ok(k);
    }
    transaction.execute("INSERT INTO keys (key, source) VALUES (?1, '')", [key])?;
    Ok(transaction.last_insert_rowid())
}

/// Takes over everything but rows: keys, latest values, hours, days and where the tiers
/// begin. What cannot be read is left out; hours come back from their rows.
fn summaries(source: &Connection, target: &Transaction, tiers: &mut Tiers) -> rusqlite::Result<()> {
    if let Ok(old) = Tiers::read(source) {
        tiers.raw_from = tiers.raw_from.max(old.raw_from);
        tiers.rows_from = tiers.rows_from.max(old.raw_from);
        tiers.hourly_from = tiers.hourly_from.max(old.hourly_from);
        // None: the days that can be had are summed up again from hours.
        tiers.daily_until = tiers.daily_until.or(old.daily_until);
    }
    let mut numbers: HashMap<i64, i64> = HashMap::new();
    copy(source, target, "keys", "k", |row| {
        let key: String = row.get("key")?;
        let k = number_of(target, &key)?;
        target.execute(
            "UPDATE keys SET unit = ?2, source = ?3 WHERE k = ?1 AND source = ''",
            params![
                k,
                row.get::<_, Option<String>>("unit")?,
                row.get::<_, String>("source")?
            ],
        )?;
        numbers.insert(row.get("k")?, k);
        Ok(())
    })?;
    let insert_row = |table: &str, row: &rusqlite::Row| -> rusqlite::Result<()> {
        let Some(k) = numbers.get(&row.get("k")?) else {
            return Ok(());
        };
        let columns: Vec<String> = row.as_ref().column_names().map(str::to_owned).collect();
        let places: Vec<String> = (1..=columns.len()).map(|at| format!("?{at}")).collect();
        let sql = format!(
            "INSERT OR IGNORE INTO {table} ({}) VALUES ({})",
            columns.join(", "),
            places.join(", ")
        );
        let mut insert = target.prepare_cached(&sql)?;
        for (at, column) in columns.iter().enumerate() {
            match column.as_str() {
                "k" => insert.raw_bind_parameter(at + 1, k)?,
                // Of an earlier run, whose boot the new database does not know.
                "receipt_ms" | "lag_ms" => insert.raw_bind_parameter(at + 1, None::<i64>)?,
                _ => {
                    insert.raw_bind_parameter(at + 1, row.get::<_, rusqlite::types::Value>(at)?)?
                }
            }
        }
        insert.raw_execute()?;
        Ok(())
    };
    for (table, unit) in [("latest", "k"), ("daily", "day"), ("hourly", "hour")] {
        copy(source, target, table, unit, |row| insert_row(table, row))?;
    }
    Ok(())
}

/// Takes over what is open and what waits to be told, with its ids and Message-IDs.
fn alerts(source: &Connection, target: &Transaction) -> rusqlite::Result<()> {
    for (table, unit) in [
        ("incidents", "incident"),
        ("outbox", "id"),
        ("deliveries", "id"),
        ("alert_state", "id"),
    ] {
        copy(source, target, table, unit, |row| {
            let columns: Vec<String> = row.as_ref().column_names().map(str::to_owned).collect();
            let places: Vec<String> = (1..=columns.len()).map(|at| format!("?{at}")).collect();
            let sql = format!(
                "INSERT OR IGNORE INTO {table} ({}) VALUES ({})",
                columns.join(", "),
                places.join(", ")
            );
            let mut insert = target.prepare_cached(&sql)?;
            for at in 0..columns.len() {
                insert.raw_bind_parameter(at + 1, row.get::<_, rusqlite::types::Value>(at)?)?;
            }
            insert.raw_execute()?;
            Ok(())
        })?;
    }
    Ok(())
}

/// Takes over the alerts and quotas of a whole database that another was put in place of:
/// what waits to be told there is told from here.
pub fn take_alerts_over(replaced: &Path, database: &mut Database) -> rusqlite::Result<()> {
    let replaced = match session::open_immutable(replaced) {
        Ok(replaced) => replaced,
        Err(error) => {
            log::error!("{}: its alerts cannot be read: {error}", replaced.display());
            return Ok(());
        }
    };
    database.change(|transaction, _| {
        alerts(&replaced, transaction)?;
        quotas(&replaced, transaction)
    })
}

/// Takes over until when quotas are spent, where the new database does not know better.
fn quotas(source: &Connection, target: &Transaction) -> rusqlite::Result<()> {
    copy(source, target, "node", "name", |row| {
        let name: String = row.get("name")?;
        if quota::is_name(&name) && node::<String>(target, &name)?.is_none() {
            set_node(target, &name, row.get::<_, String>("value")?)?;
        }
        Ok(())
    })
}

/// Hands every row of a table that can be read to `take`. `unit` is its first key column,
/// by which unreadable stretches are leapt over. Errors of `take` are passed on.
fn copy(
    source: &Connection,
    target: &Transaction,
    table: &str,
    unit: &str,
    mut take: impl FnMut(&rusqlite::Row) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let sql = format!("SELECT * FROM {table} WHERE {unit} >= ?1 ORDER BY {unit}");
    let Ok(mut statement) = source.prepare(&sql) else {
        return Ok(());
    };
    let mut from = i64::MIN;
    // Leaps that grow: together they pass all hours since 1970, from whatever is broken.
    for leap in 0..5_000 {
        let Ok(mut rows) = statement.query([from]) else {
            return Ok(());
        };
        loop {
            match rows.next() {
                Ok(Some(row)) => {
                    from = row.get(unit).unwrap_or(from);
                    // A row that reads as something else is damage; the target's own errors
                    // (no room) are not.
                    if let Err(error) = take(row)
                        && error.sqlite_error_code().is_some()
                        && !target.is_autocommit()
                        && !is_constraint(&error)
                    {
                        return Err(error);
                    }
                }
                Ok(None) => return Ok(()),
                Err(_) => break,
            }
        }
        from = from.max(0).saturating_add(1 + leap / 8);
    }
    Ok(())
}

/// Whether a damaged row does not fit its table.
fn is_constraint(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::ConstraintViolation | rusqlite::ErrorCode::TypeMismatch)
    )
}

#[cfg(test)]
mod tests;
