//! Copies of the database that can be trusted: made while it is in use, verified before
//! they get their name.
//!
//! Runs on the thread that asks, with a connection of its own; it never holds the writer's.
//! [`schedule`] makes them regularly, in a [`directory`] that may be on another disk.

pub mod directory;
pub mod schedule;

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode};

use super::{connection, error, file, schema};
use crate::domain::percent;
use crate::sys::os_error::reason;

/// Why there is no backup.
#[derive(Debug)]
pub enum BackupError {
    /// The database to copy cannot be read.
    Source { path: PathBuf, detail: String },
    /// A file exists at the path of the backup.
    Exists { path: PathBuf },
    /// The directory of the copies is absent, or may not be written to.
    Directory { path: PathBuf, detail: String },
    /// The copy cannot be written.
    Target { path: PathBuf, detail: String },
    /// The disk of the copy is full.
    Full { path: PathBuf },
    /// The copy was written and is damaged.
    Damaged { path: PathBuf, detail: String },
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BackupError::Source { path, detail } => {
                write!(
                    f,
                    "the database {} cannot be read: {detail}",
                    path.display()
                )
            }
            BackupError::Exists { path } => write!(
                f,
                "{} exists already and is not overwritten; name a new file",
                path.display()
            ),
            BackupError::Directory { path, detail } => write!(
                f,
                "the directory of backups {} cannot be used: {detail}",
                path.display()
            ),
            BackupError::Full { path } => write!(
                f,
                "the backup {} cannot be written: the disk is full; free some space, lower \
                 `backup_keep`, or name another directory with `backup_to`",
                path.display()
            ),
            BackupError::Target { path, detail } => {
                write!(
                    f,
                    "the backup {} cannot be written: {detail}",
                    path.display()
                )
            }
            BackupError::Damaged { path, detail } => write!(
                f,
                "the backup {} failed its integrity check: {detail}\n\
                 The database may be damaged; main-node recovers it when it reads the damaged part.",
                path.display()
            ),
        }
    }
}

impl std::error::Error for BackupError {}

/// What a backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backup {
    pub records: u64,
    pub bytes: u64,
}

/// Copies the database at `database` to the new file `target`, beside a running service. The target
/// may be on a stick or a server: nothing is asked of its file system but files that can be renamed.
pub fn backup(database: &Path, target: &Path) -> Result<Backup, BackupError> {
    let source = |detail: String| BackupError::Source {
        path: database.to_owned(),
        detail,
    };
    let connection = connection::open_for_command(database).map_err(source)?;
    // Nobody else knows the file, and servers often have no locks. The connection takes URIs.
    copy_as(&connection, target, |name| {
        format!("file:{}?nolock=1", percent::encode_set(name, percent::PATH))
    })
}

/// Copies what `connection` sees. One read transaction, so that a concurrent writer neither waits
/// nor restarts the copy; the copy is compact.
pub fn copy(connection: &Connection, target: &Path) -> Result<Backup, BackupError> {
    copy_as(connection, target, str::to_owned)
}

/// The same; `name_for_sqlite` makes what SQLite is told of the path.
fn copy_as(
    connection: &Connection,
    target: &Path,
    name_for_sqlite: fn(&str) -> String,
) -> Result<Backup, BackupError> {
    let written = |detail: String| BackupError::Target {
        path: target.to_owned(),
        detail,
    };
    if target.exists() {
        return Err(BackupError::Exists {
            path: target.to_owned(),
        });
    }
    let unfinished = file::sibling(target, UNFINISHED);
    let name = unfinished
        .to_str()
        .ok_or_else(|| written("its file name is not UTF-8".to_owned()))?;
    // A missing directory is reported here, before SQLite reports "unable to open".
    File::create(&unfinished).map_err(|error| written(reason(&error)))?;
    let copied = connection
        .execute("VACUUM INTO ?1", [name_for_sqlite(name)])
        .map_err(|error| failure(target, &error))
        .and_then(|_| {
            let synced = File::open(&unfinished).and_then(|file| file.sync_all());
            synced.map_err(|error| written(reason(&error)))
        })
        .and_then(|()| match inspect(&unfinished) {
            Ok(backup) => backup.map_err(|detail| BackupError::Damaged {
                path: target.to_owned(),
                detail,
            }),
            Err(error) => Err(failure(target, &error)),
        })
        .and_then(|backup| {
            std::fs::rename(&unfinished, target)
                .and_then(|()| directory::sync(target))
                .map_err(|error| written(reason(&error)))?;
            Ok(backup)
        });
    if copied.is_err() {
        // Our own incomplete files.
        let _ = std::fs::remove_file(&unfinished);
        let _ = std::fs::remove_file(file::sibling(&unfinished, "-journal"));
    }
    copied
}

/// What a copy ends in before it is complete.
const UNFINISHED: &str = ".unfinished";

fn failure(target: &Path, error: &rusqlite::Error) -> BackupError {
    let path = target.to_owned();
    match error.sqlite_error_code() {
        // An I/O error or no memory is no damage.
        _ if error::is_damage(error) => BackupError::Damaged {
            path,
            detail: error.to_string(),
        },
        Some(ErrorCode::DiskFull) => BackupError::Full { path },
        _ => BackupError::Target {
            path,
            detail: error::describe(error),
        },
    }
}

/// Checks the integrity of a backup.
pub fn verify(path: &Path) -> Result<Backup, String> {
    inspect(path).unwrap_or_else(|error| Err(error::describe(&error)))
}

/// The same, but separates damage (the inner error) from other read errors.
fn inspect(path: &Path) -> rusqlite::Result<Result<Backup, String>> {
    let connection = connection::open_immutable(path)?;
    if application_id(&connection)? != schema::APPLICATION_ID {
        return Ok(Err("it is not a main-node database".to_owned()));
    }
    let verdict: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Ok(Err(verdict));
    }
    let records: i64 =
        connection.query_row("SELECT count(*) FROM records", [], |row| row.get(0))?;
    Ok(Ok(Backup {
        records: records.unsigned_abs(),
        bytes: path.metadata().map_or(0, |metadata| metadata.len()),
    }))
}

fn application_id(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "application_id", |row| row.get(0))
}

#[cfg(test)]
#[path = "tests/backup.rs"]
mod tests;
