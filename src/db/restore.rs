//! Restoring a copy: it is staged beside the database by a command, and takes its place when
//! the node starts next.
//!
//! [`stage`] runs in the command, beside a running node whose database it does not touch: the
//! staged file gets its name when it is complete, checked, of this program's version and on
//! the disk. [`apply_staged`] runs at start, before the database is opened: the staged file is given
//! what the database knows of alerts and quotas, and then takes its place ([`replace`]). Each
//! step can be repeated, so that a crash between any two costs nothing.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::backup::{self, Backup};
use super::database::last_id;
use super::error::{self, OpenError};
use super::file::{self, FileKind, file_id, probe, sibling};
use super::maintenance::request;
use super::maintenance::state::MaintenanceState;
use super::open::DatabaseLocation;
use super::tiers::write_meta;
use super::{connection, quota, replace, schema};
use crate::domain::time::Wall;
use crate::limits;
use crate::sys::os_error::reason;

/// The staged copy, complete: the database's name and this.
const STAGED_SUFFIX: &str = ".restore";
/// It before it is complete.
const UNFINISHED_SUFFIX: &str = ".restore.copy";
/// What the database before a restore is called: `DATABASE.replaced-DATE`.
const REPLACED: &str = "replaced";

/// Tables of the alerts, copied completely in this order.
const ALERT_TABLES: [&str; 5] = [
    "alert_state",
    "incidents",
    "outbox",
    "outbox_dropped",
    "deliveries",
];

/// Stages `file` to take the place of the database at `location`.
pub fn stage(file: &Path, location: &DatabaseLocation) -> Result<Backup, String> {
    // Beside the database itself, where that is named by a link.
    let database = &replace::resolve_links(&location.path);
    check_replaceable(location)?;
    if file_id(file).is_some() && file_id(file) == file_id(database) {
        return Err(format!(
            "{} is the database itself; name a backup of it",
            file.display()
        ));
    }
    let rejected = |why: String| format!("{} cannot be restored: {why}", file.display());
    let unreadable = |error: rusqlite::Error| rejected(error::describe(&error));
    match probe(file).map_err(|error| rejected(error.to_string()))? {
        FileKind::MainNode { .. } => {}
        FileKind::Absent => {
            return Err(rejected("no such file, or it is empty".to_owned()));
        }
        _ => {
            return Err(rejected("it is not a main-node database".to_owned()));
        }
    }
    let connection = connection::open_read_only(file).map_err(unreadable)?;
    let version = schema::version(&connection).map_err(unreadable)?;
    if version > schema::VERSION {
        return Err(rejected(format!(
            "its schema version is {version}; this main-node supports versions up to {}. A newer \
             main-node wrote it: install that version first",
            schema::VERSION
        )));
    }
    let verdict: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(unreadable)?;
    if verdict != "ok" {
        return Err(rejected(format!("it is damaged ({verdict})")));
    }
    let unfinished = sibling(database, UNFINISHED_SUFFIX);
    remove_unfinished(&unfinished).map_err(|error| write_failed(&unfinished, &error))?;
    let backup = backup::copy(&connection, &unfinished).map_err(|error| error.to_string())?;
    let finished = migrate_copy(&unfinished)
        .map_err(|error| rejected(error::describe(&error)))
        .and_then(|()| {
            file::publish_beside(&unfinished, database, STAGED_SUFFIX)
                .map_err(|error| write_failed(&unfinished, &error))
        });
    if finished.is_err() {
        // Our own incomplete file.
        let _ = remove_unfinished(&unfinished);
    }
    finished.map(|()| backup)
}

/// The complete copy that takes the place of the database at the next start, if one waits.
pub fn staged_copy(database: &Path) -> Option<PathBuf> {
    let staged = sibling(&replace::resolve_links(database), STAGED_SUFFIX);
    staged.exists().then_some(staged)
}

/// What is not ours stays where it is, as at a start.
fn check_replaceable(location: &DatabaseLocation) -> Result<(), String> {
    match probe(&location.path) {
        Ok(FileKind::Foreign { .. }) => {}
        Ok(FileKind::NotSqlite { .. }) if !location.is_default => {}
        Err(error @ (OpenError::NoDirectory { .. } | OpenError::NotAFile { .. })) => {
            return Err(error.to_string());
        }
        _ => return Ok(()),
    }
    Err(format!(
        "expected main-node's database at {}, found another program's file, which is not changed; \
         name the database with `database = …` or --database",
        location.path.display()
    ))
}

fn write_failed(path: &Path, error: &std::io::Error) -> String {
    format!("{} cannot be written: {}", path.display(), reason(error))
}

fn remove_unfinished(unfinished: &Path) -> std::io::Result<()> {
    for suffix in ["", "-journal", "-wal", "-shm", ".unfinished"] {
        match std::fs::remove_file(sibling(unfinished, suffix)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Migrates the copy to this program's version; the original is not changed.
fn migrate_copy(path: &Path) -> rusqlite::Result<()> {
    let mut connection = open(path)?;
    schema::migrate(&mut connection, schema::STEPS)?;
    // What the database was asked for when the copy was made is not asked of the copy.
    MaintenanceState::delete(&connection)
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection::configure(&connection)?;
    Ok(connection)
}

/// Puts a staged copy in the place of the database, if there is one. Returns where the
/// database before it is now.
pub fn apply_staged(database: &Path, now: Wall) -> Result<Option<PathBuf>, OpenError> {
    let database = &*replace::resolve_links(database);
    let io = |error: std::io::Error| OpenError::from_io(database, &error);
    // One that a crash has interrupted.
    replace::complete(database).map_err(io)?;
    let staged = sibling(database, STAGED_SUFFIX);
    if !staged.exists() {
        return Ok(None);
    }
    copy_alerts_and_quotas(database, &staged)?;
    set_wal_mode(&staged).map_err(|error| OpenError::from_sqlite(&staged, &error))?;
    // It was asked of the database that is replaced.
    request::remove(database).map_err(io)?;
    let suffix = replace::free_suffix(database, REPLACED, now);
    replace::schedule(database, &staged, &suffix).map_err(io)?;
    replace::complete(database).map_err(io)?;
    Ok(Some(sibling(database, &suffix)))
}

/// Has the staged copy used with a write-ahead log, before it has the database's name: there, a
/// journal that a crash leaves beside a file in this mode counts as another database's.
fn set_wal_mode(staged: &Path) -> rusqlite::Result<()> {
    let connection = open(staged)?;
    // The log stays empty: nothing is lost with it.
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.close().map_err(|(_, error)| error)
}

/// Copies alerts (state, history and outbox) and quotas of the database into the staged copy, in
/// one transaction.
fn copy_alerts_and_quotas(database: &Path, staged: &Path) -> Result<(), OpenError> {
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(staged, &error);
    let mut target = open(staged).map_err(sqlite)?;
    // A crash may have left it with a WAL ([`set_wal_mode`]), which the rename does not move.
    let journal = target.pragma_update(None, "journal_mode", "delete");
    journal.map_err(sqlite)?;
    let source = match connection::open_read_only(database) {
        Ok(source) => source,
        Err(error) if !database.exists() => {
            log::debug!("{}: {error}", database.display());
            return Ok(());
        }
        Err(error) => match OpenError::from_sqlite(database, &error) {
            // Damage is a reason to restore.
            OpenError::Corrupt { .. } => {
                log::error!(
                    "{}: unsent alerts cannot be read: {error}",
                    database.display()
                );
                return Ok(());
            }
            error => return Err(error),
        },
    };
    let transaction = target
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(sqlite)?;
    // A database that knows of no alert was made after the one that is restored was lost.
    let knows_alerts = ALERT_TABLES.iter().any(|table| {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {table})");
        source
            .query_row(&sql, [], |row| row.get(0))
            .unwrap_or(false)
    });
    let tables = ALERT_TABLES.iter().filter(|_| knows_alerts);
    for table in tables {
        let delete = format!("DELETE FROM {table}");
        transaction.execute(&delete, []).map_err(sqlite)?;
        copy_rows(&source, &transaction, table, &|_| true).map_err(sqlite)?;
    }
    let is_quota = |row: &[Value]| matches!(row, [Value::Text(name), ..] if quota::is_name(name));
    copy_rows(&source, &transaction, "node", &is_quota).map_err(sqlite)?;
    keep_ids_unused(&source, &transaction).map_err(sqlite)?;
    transaction.commit().map_err(sqlite)
}

/// Has no id given again that the database has used: whoever reads rows by id (`export --after`) would
/// miss the new ones. Cursors of outputs stay those of the copy, since ids are; what they forward
/// again has the same times and values.
fn keep_ids_unused(source: &Connection, target: &Connection) -> rusqlite::Result<()> {
    let last = match last_id(source) {
        Ok(last) if limits::VALID_IDS.contains(&last) => last,
        // A damaged database, or one of an early version.
        Ok(_) | Err(_) => return Ok(()),
    };
    if last > last_id(target)? {
        write_meta(target, "last_id", last)?;
    }
    Ok(())
}

/// Copies the rows of a table for which `is_wanted`, by the columns that both have. A damaged row
/// of the source is skipped, a damaged page ends the copy of its table, both are logged; errors
/// are the target's.
fn copy_rows(
    source: &Connection,
    target: &Connection,
    table: &str,
    is_wanted: &dyn Fn(&[Value]) -> bool,
) -> rusqlite::Result<()> {
    let known: BTreeSet<String> = columns(source, table)
        .unwrap_or_default()
        .into_iter()
        .collect();
    let mut common = columns(target, table)?;
    common.retain(|column| known.contains(column));
    if common.is_empty() {
        return Ok(());
    }
    let placeholders: Vec<String> = (1..=common.len()).map(|at| format!("?{at}")).collect();
    let (names, placeholders) = (common.join(", "), placeholders.join(", "));
    let mut insert = target.prepare(&format!(
        "INSERT OR REPLACE INTO {table} ({names}) VALUES ({placeholders})"
    ))?;
    let mut write = |row: &[Value]| insert.execute(rusqlite::params_from_iter(row)).map(|_| ());
    let mut read = || -> rusqlite::Result<rusqlite::Result<()>> {
        let mut select = source.prepare(&format!("SELECT {names} FROM {table}"))?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let row = (0..common.len()).map(|at| row.get(at));
            // One damaged row must not cost the others.
            let row = match row.collect::<rusqlite::Result<Vec<Value>>>() {
                Ok(row) => row,
                Err(error) => {
                    log::error!("a row of the table {table} is damaged: {error}");
                    continue;
                }
            };
            match is_wanted(&row).then(|| write(&row)) {
                Some(Err(error)) if is_constraint_violation(&error) => {
                    log::error!("a row of the table {table} is damaged: {error}");
                }
                Some(Err(error)) => return Ok(Err(error)),
                Some(Ok(())) | None => {}
            }
        }
        Ok(Ok(()))
    };
    read().unwrap_or_else(|error| {
        log::error!("the table {table} cannot be read to its end: {error}");
        Ok(())
    })
}

/// Whether a row violates a constraint of the table.
fn is_constraint_violation(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch)
    )
}

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let names = statement.query_map([table], |row| row.get(0))?;
    names.collect()
}

#[cfg(test)]
#[path = "tests/restore.rs"]
mod tests;
