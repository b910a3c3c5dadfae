//! Database handle of the writer: appends readings, and changes rollups, tiers and metadata.
//!
//! Owned by the store thread. Decides nothing about when: one call is one transaction, and after
//! an error the [`Database`] must be dropped and reopened, because its cache may be ahead of the
//! disk.

mod append;
mod check;
mod key_cache;

use std::cell::Cell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use self::append::append;
use self::check::{check_counters, check_keys};
use self::key_cache::{CachedKey, add_key, read_key};
use super::file::DatabaseFiles;
use super::file_change::{self, FileChange};
use super::periods::{HOUR, second_of};
use super::retention::delete;
use super::tiers::{MetaChange, Tiers, delete_meta, read_meta, write_meta};
use super::{derived_windows, error, file, forecast, open_files};
use crate::domain::derived::SavedWindow;
use crate::domain::health::HistoryExtent;
use crate::domain::ledger::{Forecast, RecordRow};
use crate::domain::retention_clock::RetentionClock;
use crate::domain::time::Wall;
use crate::limits;

/// Where `node` keeps retention's clock.
pub(super) const RETENTION_CLOCK: &str = "retention_clock";

/// An open database of ours.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    /// What `path` led to, and which files those were.
    real: PathBuf,
    files: DatabaseFiles,
    _in_use: open_files::OpenFilesGuard,
    /// When the file was last written to, as far as this connection did it.
    last_write: Cell<Option<file::FileStamp>>,
    connection: Connection,
    /// This boot, by the kernel's name for it.
    boot: String,
    state: WriterState,
}

/// What is kept in memory of the database, so that a commit reads little.
#[derive(Debug, Default)]
struct WriterState {
    /// A cache of the keys used lately: over the years a database may hold any number.
    keys: HashMap<Arc<str>, CachedKey>,
    /// Counts the commits, by which the cache knows what was used lately.
    commits: u64,
    next_id: i64,
    tiers: Tiers,
    /// Retention's clock, as it runs and as it was last saved.
    clock: Option<RetentionClock>,
    saved_clock: Option<RetentionClock>,
    /// What is stamped after this second by the node was stamped by a clock that was ahead.
    latest_second: Option<i64>,
    /// Changes when another connection has committed.
    data_version: i64,
    /// Whether `latest` holds receipts of an earlier boot.
    is_of_earlier_boot: bool,
}

/// A row on its way into the database.
#[derive(Debug, Clone)]
pub struct NewRow {
    pub row: RecordRow,
    /// Whether its time is that of an untrusted clock.
    pub untrusted: bool,
}

/// Result of a commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CommitCounts {
    pub stored: u64,
    /// Same key, second and value as a stored row.
    pub duplicates: u64,
    /// Belonged to hours that are no longer kept row by row.
    pub too_old: u64,
}

impl Database {
    /// Takes over a connection to a database of the current version.
    pub(super) fn load(
        connection: Connection,
        path: &Path,
        boot: &str,
    ) -> rusqlite::Result<Database> {
        check_counters(&connection)?;
        check_keys(&connection)?;
        // SQLite makes the log with the first read.
        let known = WriterState::read(&connection, boot)?;
        let real = file::without_links(path);
        let files = DatabaseFiles::at(path, &real);
        Ok(Database {
            path: path.to_owned(),
            real,
            files,
            _in_use: open_files::OpenFilesGuard::register(path, files),
            last_write: Cell::new(file::file_stamp(path)),
            connection,
            boot: boot.to_owned(),
            state: known,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the file itself, where `path` is a link.
    pub fn canonical_path(&self) -> &Path {
        &self.real
    }

    /// The files that are open.
    pub fn files(&self) -> DatabaseFiles {
        self.files
    }

    /// Whether the open files were replaced at their paths, or something else than SQLite has
    /// written to the database.
    pub fn detect_file_change(&self) -> Option<FileChange> {
        let found = DatabaseFiles::at(&self.path, &self.real);
        if found.database != self.files.database {
            return Some(FileChange::Database);
        }
        if found != self.files {
            return Some(FileChange::Log);
        }
        let written = file::file_stamp(&self.path);
        let known = self.last_write.get();
        if written == known {
            return None;
        }
        let size = known.map_or(0, |(size, ..)| size);
        let judged = file_change::classify_write(&self.connection, &self.path, size);
        if judged.is_none() {
            self.last_write.set(written);
        }
        judged
    }

    /// Takes note that this connection may have written to the file.
    pub fn note_write(&self) {
        self.last_write.set(file::file_stamp(&self.path));
    }

    pub fn tiers(&self) -> Tiers {
        self.state.tiers
    }

    pub fn boot(&self) -> &str {
        &self.boot
    }

    /// Retention's clock; `None` before its first trusted reading.
    pub fn retention_clock(&self) -> Option<&RetentionClock> {
        self.state.clock.as_ref()
    }

    /// Sets the retention clock, and saves it where that is worth a write.
    pub fn set_retention_clock(&mut self, clock: RetentionClock) -> rusqlite::Result<()> {
        let saved = self.state.saved_clock.as_ref();
        if saved.is_none_or(|saved| clock.is_worth_saving(saved)) {
            write_meta(&self.connection, RETENTION_CLOCK, clock.to_text())?;
            self.state.saved_clock = Some(clock.clone());
        }
        self.state.clock = Some(clock);
        Ok(())
    }

    /// Has the next row of a key replace its newest where the clock that stamped that was
    /// ahead, by what the node's says now; `None` while it is not trusted.
    pub fn set_latest_possible(&mut self, now: Option<Wall>) {
        let latest = now.map(|now| now.after(limits::CLOCK_TOLERANCE).second());
        self.state.latest_second = latest;
    }

    /// How far back each tier goes, from the first entry of each.
    pub fn reach(&self) -> rusqlite::Result<HistoryExtent> {
        let number = |sql: &str| -> rusqlite::Result<Option<i64>> {
            self.connection
                .prepare_cached(sql)?
                .query_row([], |row| row.get(0))
        };
        // What was stamped by a clock that was never set is not the oldest. It came with a
        // start, so that there is little of it.
        let mut first = self.connection.prepare_cached(
            "SELECT timestamp FROM (SELECT timestamp, meta FROM records ORDER BY id LIMIT 1000) \
             WHERE timestamp >= ?1 OR meta IS NULL OR meta NOT LIKE '%\"untrusted\"%' LIMIT 1",
        )?;
        let earliest = Wall::from_second(limits::EARLIEST_PLAUSIBLE_WALL_S).to_string();
        let first = first.query_row([&earliest], |row| row.get(0)).optional();
        let first: Option<String> = error::readable(first)?.flatten();
        let (low, high) = (
            number("SELECT min(id) FROM records")?,
            number("SELECT max(id) FROM records")?,
        );
        let count = low
            .zip(high)
            .map_or(0, |(low, high)| high.saturating_sub(low).saturating_add(1));
        // What was imported has new ids and may be older.
        let hour = match low {
            Some(low) => {
                let from = self.state.tiers.rows_from;
                delete::oldest_plausible_hour(&self.connection, from, low)?
            }
            None => None,
        };
        let first = first.and_then(|text| second_of(&text));
        let rows = match (first, hour.map(|hour| hour.saturating_mul(HOUR))) {
            (Some(first), Some(hour)) if hour < first.div_euclid(HOUR) * HOUR => Some(hour),
            (first, hour) => first.or(hour),
        };
        Ok(HistoryExtent {
            rows: rows.map(Wall::from_second),
            hours: number("SELECT min(hour) FROM hourly")?
                .map(|hour| Wall::from_second(hour.saturating_mul(HOUR))),
            days: number("SELECT min(day) FROM daily")?
                .map(|day| Wall::from_second(day.saturating_mul(24 * HOUR))),
            row_count: count.unsigned_abs(),
        })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Stores a batch, its latest values and its hours in one transaction. Rows of hours
    /// before `oldest_hour`, or before the raw tier, are refused, unless their time is not
    /// trusted.
    pub fn commit(&mut self, batch: &[NewRow], oldest_hour: i64) -> rusqlite::Result<CommitCounts> {
        self.commit_with_forecasts(batch, &[], &[], oldest_hour)
    }

    /// The same with what is stored ahead of its time, and with entries of `node`. Elements of
    /// refused hours go into hours and days instead.
    pub fn commit_with_forecasts(
        &mut self,
        batch: &[NewRow],
        forecasts: &[&Forecast],
        metadata: &[MetaChange],
        oldest_hour: i64,
    ) -> rusqlite::Result<CommitCounts> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        if data_version(&transaction)? != self.state.data_version {
            self.state = WriterState::read(&transaction, &self.boot)?;
        }
        if self.state.is_of_earlier_boot {
            transaction.execute("UPDATE latest SET receipt_ms = NULL, lag_ms = NULL", [])?;
            write_meta(&transaction, "boot", &self.boot)?;
            self.state.is_of_earlier_boot = false;
        }
        let oldest_hour = oldest_hour.max(self.state.tiers.raw_from);
        let mut tiers = self.state.tiers;
        delete::delete_with_commit(&transaction, &mut tiers, batch.len())?;
        tiers.write(&transaction, &self.state.tiers)?;
        self.state.tiers = tiers;
        self.state.evict_keys();
        let committed = append(&transaction, &mut self.state, batch, oldest_hour)?;
        for forecast in forecasts {
            forecast::write(&transaction, forecast)?;
        }
        for (name, value) in metadata {
            match value {
                Some(value) => write_meta(&transaction, name, value)?,
                None => delete_meta(&transaction, name)?,
            }
        }
        transaction.commit()?;
        self.note_write();
        Ok(committed)
    }

    /// The highest id that a row was given.
    pub fn last_id(&self) -> i64 {
        self.state.next_id - 1
    }

    /// Saves windows of derived keys, of which rows up to `through_id` are a part; rows that came
    /// with the last commit may be.
    pub fn save_windows(
        &mut self,
        windows: &[SavedWindow],
        through_id: i64,
    ) -> rusqlite::Result<()> {
        if windows.is_empty() {
            return Ok(());
        }
        self.change(|transaction, _| derived_windows::save(transaction, through_id, windows))
    }

    /// For the alerts, whose tables nothing else touches.
    pub fn connection_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Changes the database beside the readings, in one transaction: where retention,
    /// salvage and alerts hook in. `change` may move the tiers.
    pub fn change<T>(
        &mut self,
        change: impl FnOnce(&Transaction, &mut Tiers) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut tiers = self.state.tiers;
        let done = change(&transaction, &mut tiers)?;
        tiers.write(&transaction, &self.state.tiers)?;
        transaction.commit()?;
        self.state.tiers = tiers;
        self.note_write();
        Ok(done)
    }

    /// Reloads the cached state, after something else than readings was written.
    pub fn reload(&mut self) -> rusqlite::Result<()> {
        self.state = WriterState::read(&self.connection, &self.boot)?;
        Ok(())
    }
}

/// The highest id that any row was given, also where retention has dropped it: ids are not used
/// again.
pub(super) fn last_id(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row(
        "SELECT max(coalesce((SELECT max(id) FROM records), 0), \
         coalesce((SELECT max(id) FROM latest), 0), \
         coalesce((SELECT value FROM node WHERE name = 'last_id'), 0))",
        [],
        |row| row.get(0),
    )
}

impl WriterState {
    fn read(connection: &Connection, boot: &str) -> rusqlite::Result<WriterState> {
        let last_id = error::in_range(&limits::VALID_IDS, last_id(connection)?)?;
        let last_boot: Option<String> = read_meta(connection, "boot")?;
        let saved: Option<String> = read_meta(connection, RETENTION_CLOCK)?;
        let clock = saved.and_then(|text| RetentionClock::parse(&text));
        Ok(WriterState {
            keys: HashMap::new(),
            commits: 0,
            latest_second: None,
            saved_clock: clock.clone(),
            clock,
            next_id: last_id + 1,
            tiers: Tiers::read(connection)?,
            data_version: data_version(connection)?,
            is_of_earlier_boot: last_boot.as_deref() != Some(boot),
        })
    }

    /// The id of a row's key, with its unit and source up to date.
    fn key_id(&mut self, transaction: &Transaction, row: &RecordRow) -> rusqlite::Result<i64> {
        if !self.keys.contains_key(&row.key) {
            let key = match read_key(transaction, &row.key)? {
                Some(key) => key,
                None => add_key(transaction, row)?,
            };
            self.keys.insert(row.key.clone(), key);
        }
        let Some(key) = self.keys.get_mut(&row.key) else {
            return Err(rusqlite::Error::QueryReturnedNoRows);
        };
        key.last_used = self.commits;
        let is_ahead = |second: i64| self.latest_second.is_some_and(|latest| second > latest);
        let latest = key.latest.as_ref();
        if latest.is_some_and(|(second, _)| is_ahead(*second)) {
            key.latest = None;
        }
        let known = (&key.unit, &key.source, key.is_boolean);
        if known != (&row.unit, &row.source, row.is_boolean) {
            let mut update = transaction.prepare_cached(
                "UPDATE keys SET unit = ?2, source = ?3, boolean = ?4 WHERE k = ?1",
            )?;
            update.execute(params![key.id, row.unit, row.source, row.is_boolean])?;
            key.is_boolean = row.is_boolean;
            key.unit = row.unit.clone();
            key.source = row.source.clone();
        }
        Ok(key.id)
    }

    /// Begins a commit: where the cache has grown past its bound, the half that was used
    /// longest ago goes.
    fn evict_keys(&mut self) {
        let mut used: Vec<u64> = self.keys.values().map(|key| key.last_used).collect();
        let in_last_commit = used.iter().filter(|commit| **commit == self.commits);
        let most = limits::CACHED_KEYS_PER_RECORD * in_last_commit.count();
        let most = most.max(limits::KEY_CACHE_ENTRIES);
        self.commits += 1;
        if used.len() <= most {
            return;
        }
        let middle = used.len().saturating_sub(most / 2);
        let (_, bound, _) = used.select_nth_unstable(middle);
        let bound = *bound;
        self.keys.retain(|_, key| key.last_used > bound);
    }
}

fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "data_version", |row| row.get(0))
}

#[cfg(test)]
#[path = "tests/database.rs"]
mod tests;
