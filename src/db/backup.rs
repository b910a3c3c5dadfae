//! Copies of the database that can be trusted: made while it is in use, verified before
//! they get their name.
//!
//! Runs on the thread that asks, with a connection of its own; it never holds the writer's.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use super::{connection, error, file, open_files, schema};
use crate::domain::time::{Mono, Wall};
use crate::sys::clock::Clock;
use crate::sys::os_error::reason;
use crate::sys::shutdown::StopToken;
use crate::sys::thread::catch_panic;

/// Why there is no backup.
#[derive(Debug)]
pub enum BackupError {
    /// The database to copy cannot be read.
    Source { path: PathBuf, detail: String },
    /// A file exists at the path of the backup.
    Exists { path: PathBuf },
    /// The copy cannot be written.
    Target { path: PathBuf, detail: String },
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

/// Copies the database at `database` to the new file `target`, beside a running service.
pub fn backup(database: &Path, target: &Path) -> Result<Backup, BackupError> {
    let source = |detail: String| BackupError::Source {
        path: database.to_owned(),
        detail,
    };
    let connection = connection::open_for_command(database).map_err(source)?;
    copy(&connection, target)
}

/// Copies what `connection` sees. One read transaction, so that a concurrent writer neither waits
/// nor restarts the copy; the copy is compact.
pub fn copy(connection: &Connection, target: &Path) -> Result<Backup, BackupError> {
    let written = |detail: String| BackupError::Target {
        path: target.to_owned(),
        detail,
    };
    let damaged = |detail: String| BackupError::Damaged {
        path: target.to_owned(),
        detail,
    };
    if target.exists() {
        return Err(BackupError::Exists {
            path: target.to_owned(),
        });
    }
    let unfinished = file::sibling(target, ".unfinished");
    let name = unfinished
        .to_str()
        .ok_or_else(|| written("its file name is not UTF-8".to_owned()))?;
    // A missing directory is reported here, before SQLite reports "unable to open".
    File::create(&unfinished).map_err(|error| written(reason(&error)))?;
    let copied = connection
        .execute("VACUUM INTO ?1", [name])
        .map_err(|error| {
            if error::is_damage(&error) {
                damaged(error.to_string())
            } else {
                written(error::describe(&error))
            }
        })
        .and_then(|_| {
            let synced = File::open(&unfinished).and_then(|file| file.sync_all());
            synced.map_err(|error| written(reason(&error)))
        })
        .and_then(|()| match inspect(&unfinished) {
            Ok(backup) => backup.map_err(damaged),
            Err(error) if error::is_damage(&error) => Err(damaged(error.to_string())),
            // An I/O error or no memory: not damage.
            Err(error) => Err(written(error::describe(&error))),
        })
        .and_then(|backup| {
            std::fs::rename(&unfinished, target)
                .and_then(|()| file::sync_directory(target))
                .map_err(|error| written(reason(&error)))?;
            Ok(backup)
        });
    if copied.is_err() {
        // Our own incomplete file.
        let _ = std::fs::remove_file(&unfinished);
    }
    copied
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

/// The backups beside a database, oldest first.
pub fn list_backups(database: &Path) -> Vec<PathBuf> {
    let (Some(directory), Some(name)) = (database.parent(), database.file_name()) else {
        return Vec::new();
    };
    let prefix = format!("{}{SUFFIX}", name.to_string_lossy());
    let directory = match directory {
        empty if empty == Path::new("") => Path::new("."),
        directory => directory,
    };
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // `…-20251030T200000Z`, not `…-20251030T200000Z.unfinished` and the like.
            name.starts_with(&prefix) && name.ends_with('Z')
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// What the name of an automatic backup has between the database's and its date.
const SUFFIX: &str = ".backup-";

/// The newest backup beside a database that passes its check.
pub fn newest_verified(database: &Path) -> Option<PathBuf> {
    let mut found = list_backups(database);
    found.reverse();
    found.into_iter().find(|path| verify(path).is_ok())
}

/// Makes a dated backup beside the database and removes all but the `keep` newest.
pub fn rotate(database: &Path, keep: usize, now: Wall) -> Result<Backup, BackupError> {
    let date = now.to_string().replace([':', '-'], "");
    let target = file::sibling(database, &format!("{SUFFIX}{date}"));
    let made = backup(database, &target)?;
    let mut all = list_backups(database);
    // One dated ahead was made under a wrong clock, before the others or among them.
    all.sort_by_key(|path| parse_date(path).is_none_or(|date| date <= now));
    for old in &all[..all.len().saturating_sub(keep.max(1))] {
        if let Err(error) = std::fs::remove_file(old) {
            log::warn!(
                "the old backup {} cannot be removed: {error}",
                old.display()
            );
        }
    }
    Ok(made)
}

/// Makes a backup `every` so often and keeps the newest, until told to stop: the loop of a
/// thread of its own, since a copy may take minutes that no commit should wait.
pub fn run_schedule(
    database: &Path,
    every: Duration,
    keep: usize,
    clock: &dyn Clock,
    stopping: &StopToken,
) {
    let mut tried_at: Option<Mono> = None;
    while !stopping.wait(every.min(CHECK_INTERVAL)) {
        let now = clock.now();
        // Whatever the wall clock says, there is one in `every` at most.
        let is_early = tried_at.is_some_and(|tried| now.mono.since(tried) < every);
        let dates = list_backups(database);
        let dates = dates.iter().filter_map(|path| parse_date(path));
        // Names are dates, so they wait for a trusted clock.
        if is_early || !now.trust.is_trusted() || !is_due(dates, every, now.wall) {
            continue;
        }
        let made = catch_panic("the backup", || rotate(database, keep, now.wall));
        match made {
            Some(Ok(backup)) => log::info!("backup of {} records made", backup.records),
            Some(Err(error)) => {
                log::error!("{error}");
                if let BackupError::Damaged { .. } = error {
                    open_files::report_damage(database);
                }
            }
            // Counted and logged; it is tried again when the next would be due.
            None => {}
        }
        // One that failed is tried again when the next would be due.
        tried_at = Some(now.mono);
    }
}

const CHECK_INTERVAL: Duration = Duration::from_secs(60);

fn is_due(dates: impl Iterator<Item = Wall>, every: Duration, now: Wall) -> bool {
    // A date ahead of us was written by a clock that was wrong.
    let newest = dates.filter(|date| *date <= now).max();
    newest.is_none_or(|newest| now.since(newest) >= every)
}

/// The date in an automatic backup's name.
fn parse_date(path: &Path) -> Option<Wall> {
    let name = path.file_name()?.to_str()?;
    let date = &name[name.rfind(SUFFIX)? + SUFFIX.len()..];
    let instant: jiff::Timestamp = date.parse().ok()?;
    Some(Wall::from_second(instant.as_second()))
}

#[cfg(test)]
#[path = "tests/backup.rs"]
mod tests;
