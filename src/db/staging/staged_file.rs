//! The staged file: what an import has read, checked and ordered, beside the database that it is
//! for.
//!
//! Written by one command, which holds a lock on it until it has its name; `DATABASE.import` is
//! always complete. Without a journal: what is unfinished is thrown away.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Statement, params};
use rustix::fs::FlockOperation;

use super::StageError;
use crate::db::error::{self, OpenError};
use crate::db::file::{self, file_id, sibling};
use crate::db::{connection, replace};
use crate::limits;
use crate::sys::os_error::reason;

/// Marks a staged file: `mnim` in its header.
pub const APPLICATION_ID: i32 = 0x6d6e_696d;
/// The version of the tables below.
pub const VERSION: i32 = 1;

/// The complete staged file: the database's name and this.
const SUFFIX: &str = ".import";
/// It before it is complete.
const UNFINISHED_SUFFIX: &str = ".import.unfinished";

const SCHEMA: &str = "
-- Every key of the other tables.
CREATE TABLE keys (
    k INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    unit TEXT                  -- NULL where the input has none
) STRICT;

-- One row for each key and second.
CREATE TABLE rows (
    day INTEGER NOT NULL,      -- days since 1970, UTC
    k INTEGER NOT NULL,        -- keys.k
    second INTEGER NOT NULL,   -- seconds since 1970, UTC
    value REAL,                -- finite; NULL for a text
    meta TEXT,                 -- as in `records`: NULL, or a JSON object
    PRIMARY KEY (day, k, second)
) STRICT, WITHOUT ROWID;

-- What is left of many rows: hours and days.
CREATE TABLE summaries (
    seconds INTEGER NOT NULL,  -- 3600 or 86400
    start INTEGER NOT NULL,    -- seconds since 1970, UTC, a multiple of `seconds`
    k INTEGER NOT NULL,        -- keys.k
    count INTEGER NOT NULL,    -- numbers observed, at least 1
    min REAL NOT NULL,
    mean REAL NOT NULL,
    max REAL NOT NULL,
    last REAL NOT NULL,
    PRIMARY KEY (seconds, start, k)
) STRICT, WITHOUT ROWID;
";

/// The complete staged file of a database; beside the database itself, where that is named by a
/// link.
pub fn staged_path(database: &Path) -> PathBuf {
    sibling(&replace::resolve_links(database), SUFFIX)
}

/// A staged file that is being written. Removed when it is dropped before it has its name.
#[derive(Debug)]
pub struct UnfinishedFile {
    path: PathBuf,
    /// Locked, so that no other command writes to it.
    file: File,
    is_published: bool,
}

impl UnfinishedFile {
    /// Makes it for the database; what an interrupted command has left is replaced.
    pub fn create(database: &Path) -> Result<UnfinishedFile, StageError> {
        let path = sibling(&replace::resolve_links(database), UNFINISHED_SUFFIX);
        let failed = |detail: String| StageError::Target {
            path: path.clone(),
            detail,
        };
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| failed(OpenError::from_io(&path, &error).detail()))?;
        let locked = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
        let is_at_path = file
            .metadata()
            .is_ok_and(|it| file_id(&path) == Some((it.dev(), it.ino())));
        if locked == Err(rustix::io::Errno::WOULDBLOCK) || !is_at_path {
            return Err(failed(
                "another import is running; wait for its end".to_owned(),
            ));
        }
        file.set_len(0).map_err(|error| failed(reason(&error)))?;
        Ok(UnfinishedFile {
            path,
            file,
            is_published: false,
        })
    }

    /// An error of SQLite while it was written.
    pub fn failed(&self, error: &rusqlite::Error) -> StageError {
        StageError::Target {
            path: self.path.clone(),
            detail: error::describe(error),
        }
    }

    /// A connection with empty tables, within one transaction.
    pub fn open(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.pragma_update(None, "page_size", 4096)?;
        connection.pragma_update(None, "journal_mode", "off")?;
        connection.pragma_update(None, "synchronous", "off")?;
        connection.pragma_update(None, "locking_mode", "exclusive")?;
        connection.pragma_update(None, "cache_size", -i64::from(limits::STAGING_CACHE_KIB))?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        connection.pragma_update(None, "user_version", VERSION)?;
        connection.execute_batch("BEGIN EXCLUSIVE")?;
        connection.execute_batch(SCHEMA)?;
        Ok(connection)
    }

    /// The units that the input gives, by key.
    pub fn units(&self) -> rusqlite::Result<BTreeMap<String, String>> {
        let connection = connection::open_immutable(&self.path)?;
        let mut units = connection.prepare("SELECT key, unit FROM keys WHERE unit IS NOT NULL")?;
        let units = units.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        units.collect()
    }

    /// Gives it the owner of the database and its name, `DATABASE.import`, in the place of an
    /// earlier one.
    pub fn publish(mut self, database: &Path) -> Result<PathBuf, StageError> {
        let database = &replace::resolve_links(database);
        file::publish_beside(&self.path, database, SUFFIX).map_err(|error| StageError::Target {
            path: self.path.clone(),
            detail: reason(&error),
        })?;
        self.is_published = true;
        Ok(sibling(database, SUFFIX))
    }

    pub fn sync(&self) -> Result<(), StageError> {
        self.file.sync_all().map_err(|error| StageError::Target {
            path: self.path.clone(),
            detail: reason(&error),
        })
    }
}

impl Drop for UnfinishedFile {
    fn drop(&mut self) {
        if !self.is_published {
            // Our own file; the next import replaces what is left.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// What a staged file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StagedCounts {
    pub rows: u64,
    pub hours: u64,
    pub days: u64,
    pub keys: u64,
}

/// What is left of the numbers of an hour or a day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StagedSummary {
    pub seconds: i64,
    pub start: i64,
    pub count: i64,
    pub min: f64,
    pub mean: f64,
    pub max: f64,
    pub last: f64,
}

/// Writes the rows of a staged file.
pub struct RowWriter<'c> {
    connection: &'c Connection,
    row: Statement<'c>,
    summary: Statement<'c>,
}

impl RowWriter<'_> {
    pub fn new(connection: &Connection) -> rusqlite::Result<RowWriter<'_>> {
        Ok(RowWriter {
            connection,
            row: connection.prepare(
                "INSERT OR REPLACE INTO rows (day, k, second, value, meta) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?,
            summary: connection.prepare(
                "INSERT OR REPLACE INTO summaries \
                 (seconds, start, k, count, min, mean, max, last) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?,
        })
    }

    /// A row; the last of several with the same key and second stays.
    pub fn insert_row(
        &mut self,
        k: i64,
        second: i64,
        value: Option<f64>,
        meta: Option<&str>,
    ) -> rusqlite::Result<()> {
        let day = second.div_euclid(crate::db::periods::DAY);
        self.row.execute(params![day, k, second, value, meta])?;
        Ok(())
    }

    pub fn insert_summary(&mut self, k: i64, it: &StagedSummary) -> rusqlite::Result<()> {
        self.summary.execute(params![
            it.seconds, it.start, k, it.count, it.min, it.mean, it.max, it.last
        ])?;
        Ok(())
    }

    /// Writes the keys, in the order of their ids from 1 on, and ends the transaction.
    pub fn finish<'k>(
        self,
        keys: impl Iterator<Item = (&'k str, Option<&'k str>)>,
    ) -> rusqlite::Result<StagedCounts> {
        let connection = self.connection;
        let mut insert =
            connection.prepare("INSERT INTO keys (k, key, unit) VALUES (?1, ?2, ?3)")?;
        let mut k: i64 = 0;
        for (key, unit) in keys {
            k += 1;
            insert.execute(params![k, key, unit])?;
        }
        connection.execute_batch("COMMIT")?;
        let count = |sql: &str| -> rusqlite::Result<u64> {
            let count: i64 = connection.query_row(sql, [], |row| row.get(0))?;
            Ok(count.unsigned_abs())
        };
        Ok(StagedCounts {
            rows: count("SELECT count(*) FROM rows")?,
            hours: count("SELECT count(*) FROM summaries WHERE seconds = 3600")?,
            days: count("SELECT count(*) FROM summaries WHERE seconds = 86400")?,
            keys: k.unsigned_abs(),
        })
    }
}
