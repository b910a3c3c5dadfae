//! Opening the database: probe the file, create or migrate it, load the handle.
//!
//! Called by `main` at start and by the store thread whenever the storage must be reopened.
//! Changes no file that is not a main-node database: the header is checked before SQLite opens
//! it.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::backup::BackupError;
use super::connection::configure;
use super::database::Database;
use super::error::{OpenError, READ_ONLY};
use super::file::{self, FileKind, probe, sibling, sync_directory};
use super::{backup, replace, schema};
use crate::domain::time::Wall;
use crate::limits;

/// Where the database is.
#[derive(Debug, Clone)]
pub struct DatabaseLocation {
    pub path: PathBuf,
    /// Whether this is the default path. A file there that is no database is a damaged one; at a
    /// configured path it may be a file that was named by mistake.
    pub is_default: bool,
}

/// Opens the database at `location`, creates it if there is none, migrates an older one after a
/// backup. `boot` tells monotonic times of this boot from earlier ones.
pub fn open(location: &DatabaseLocation, boot: &str) -> Result<Database, OpenError> {
    open_within(location, boot, limits::SQLITE_BUSY_TIMEOUT)
}

/// The same at start: another program's lock is not waited for, since displays are served without
/// a database. The store thread opens it once it is unlocked.
pub fn open_at_start(location: &DatabaseLocation, boot: &str) -> Result<Database, OpenError> {
    let database = open_within(location, boot, limits::SQLITE_BUSY_TIMEOUT_AT_START)?;
    database
        .connection()
        .busy_timeout(limits::SQLITE_BUSY_TIMEOUT)
        .map_err(|error| OpenError::from_sqlite(&location.path, &error))?;
    Ok(database)
}

fn open_within(
    location: &DatabaseLocation,
    boot: &str,
    busy: Duration,
) -> Result<Database, OpenError> {
    let path = &location.path;
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);
    replace::complete(path).map_err(|error| OpenError::from_io(path, &error))?;
    let found = probe(path)?;
    match &found {
        FileKind::Absent => create_file(path)?,
        FileKind::EmptySqlite | FileKind::MainNode { .. } => {}
        FileKind::Damaged { begins } => {
            return Err(OpenError::Corrupt {
                path: path.clone(),
                detail: format!("its header is damaged, found {begins}"),
            });
        }
        FileKind::NotSqlite { begins } if location.is_default => {
            return Err(OpenError::Corrupt {
                path: path.clone(),
                detail: format!("expected an SQLite file, found a file that begins with {begins}"),
            });
        }
        FileKind::NotSqlite { begins } => {
            return Err(OpenError::NotSqlite {
                path: path.clone(),
                begins: begins.clone(),
            });
        }
        FileKind::Foreign { application_id } => {
            return Err(OpenError::Foreign {
                path: path.clone(),
                application_id: *application_id,
            });
        }
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)
        .map_err(|error| explain_failure(path, sqlite(error)))?;
    // SQLite settles for reading where it may not write.
    if connection.is_readonly("main").map_err(sqlite)? {
        let read_only = OpenError::Unusable {
            path: path.clone(),
            detail: READ_ONLY.to_owned(),
        };
        return Err(explain_failure(path, read_only));
    }
    quarantine_foreign_logs(path, &connection)?;
    connection
        .busy_timeout(busy)
        .and_then(|()| configure(&connection))
        .map_err(sqlite)?;
    if found == FileKind::EmptySqlite {
        schema::create(&mut connection).map_err(sqlite)?;
    }
    migrate_after_backup(&mut connection, path, schema::STEPS)?;
    Database::load(connection, path, boot).map_err(sqlite)
}

/// SQLite's "unable to open" gives no reason; the operating system does.
fn explain_failure(path: &Path, error: OpenError) -> OpenError {
    match OpenOptions::new().append(true).open(path) {
        Err(error) => OpenError::from_io(path, &error),
        Ok(_) => error,
    }
}

/// Quarantines what SQLite would replay into this database though it belongs to another: a log
/// beside a file that is not used with one (a backup that was put in place), a journal beside one
/// that is. `connection` has read nothing yet.
fn quarantine_foreign_logs(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let head =
        file::read_header(connection).map_err(|error| OpenError::from_sqlite(path, &error))?;
    let foreign = if file::is_wal_mode(&head) {
        "-journal"
    } else {
        "-wal"
    };
    let real = file::without_links(path);
    let now = Wall::from_second(jiff::Timestamp::now().as_second());
    let quarantined = file::quarantine_log(&real, foreign, now);
    let Some(quarantined) = quarantined.map_err(|error| OpenError::from_io(path, &error))? else {
        return Ok(());
    };
    log::warn!(
        "{}{foreign} belongs to another database than {}; it is quarantined as {}",
        real.display(),
        path.display(),
        quarantined.display()
    );
    if foreign == "-wal" {
        file::remove_if_exists(&sibling(&real, "-shm"))
            .map_err(|error| OpenError::from_io(path, &error))?;
    }
    Ok(())
}

/// Migrates the database to the version that `steps` make, after a backup.
fn migrate_after_backup(
    connection: &mut Connection,
    path: &Path,
    steps: &[&str],
) -> Result<(), OpenError> {
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);
    let found = schema::version(connection).map_err(sqlite)?;
    let wanted = i32::try_from(steps.len()).unwrap_or(i32::MAX);
    if !(0..=limits::MAX_SCHEMA_VERSION).contains(&found) {
        return Err(OpenError::Corrupt {
            path: path.to_owned(),
            detail: format!("invalid schema version {found}"),
        });
    }
    if found > wanted {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            found,
        });
    }
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .map_err(sqlite)?;
    if found < wanted {
        let kept = sibling(path, &format!(".before-version-{wanted}"));
        if found > 0 && !kept.exists() {
            backup::copy(connection, &kept).map_err(|error| backup_failed(path, error))?;
        }
        schema::migrate(connection, steps).map_err(sqlite)?;
    }
    Ok(())
}

/// The error of a failed backup before a migration. A damaged database is not migrated: it is
/// quarantined as it is, and the salvage reads every version.
fn backup_failed(path: &Path, error: BackupError) -> OpenError {
    let path = path.to_owned();
    match error {
        BackupError::Damaged { detail, .. } => OpenError::Corrupt { path, detail },
        error => OpenError::Unusable {
            path,
            detail: format!("the backup before the migration failed: {error}"),
        },
    }
}

/// Creates a database under another name and renames it when it is complete, so that the file at
/// the path is always complete.
fn create_file(path: &Path) -> Result<(), OpenError> {
    let io = |error: std::io::Error| OpenError::from_io(path, &error);
    // SQLite would replay a WAL without its database into the new one.
    let now = Wall::from_second(jiff::Timestamp::now().as_second());
    for leftover in ["-wal", "-journal"] {
        if let Some(quarantined) = file::quarantine_log(path, leftover, now).map_err(io)? {
            log::warn!(
                "{}{leftover} has no database; it is quarantined as {}",
                path.display(),
                quarantined.display()
            );
        }
    }
    file::remove_if_exists(&sibling(path, "-shm")).map_err(io)?;
    let unfinished = create_beside(path)?;
    std::fs::rename(&unfinished, path).map_err(io)?;
    sync_directory(path).map_err(io)
}

fn remove_siblings(path: &Path, leftovers: &[&str]) -> Result<(), OpenError> {
    for leftover in leftovers {
        let removed = file::remove_if_exists(&sibling(path, leftover));
        removed.map_err(|error| OpenError::from_io(path, &error))?;
    }
    Ok(())
}

/// Makes an empty database of the current version beside the one at `path`. Files that an earlier
/// attempt left are removed.
pub(super) fn create_beside(path: &Path) -> Result<PathBuf, OpenError> {
    remove_siblings(path, &[".new", ".new-journal", ".new-wal", ".new-shm"])?;
    let unfinished = sibling(path, ".new");
    let made = Connection::open(&unfinished).and_then(|mut connection| {
        connection.busy_timeout(limits::SQLITE_BUSY_TIMEOUT)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        schema::create(&mut connection)
    });
    if let Err(error) = made {
        // Useless, and the disk may be full.
        let _ = remove_siblings(path, &[".new", ".new-journal"]);
        return Err(OpenError::from_sqlite(path, &error));
    }
    Ok(unfinished)
}

#[cfg(test)]
#[path = "tests/open.rs"]
mod tests;
