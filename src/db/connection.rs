//! SQLite connections: the settings of those that write, and opening those that only read.
//!
//! Any thread. Creates and migrates nothing; that is [`super::open`]'s.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::{self, OpenError};
use super::file::{self, FileKind, sibling};
use super::{open_files, schema};
use crate::domain::percent;
use crate::limits;

/// What the node sets on every connection that writes.
pub fn configure(connection: &Connection) -> rusqlite::Result<()> {
    // A commit that was reported is on the card, whatever happens to the power then.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", limits::WAL_CHECKPOINT_PAGES)?;
    // After a burst the log shrinks to what it usually is.
    connection.pragma_update(
        None,
        "journal_size_limit",
        limits::WAL_CHECKPOINT_PAGES * 4096,
    )?;
    connection.pragma_update(None, "cache_size", -i64::from(limits::PAGE_CACHE_KIB))?;
    connection.pragma_update(None, "temp_store", "memory")?;
    // More than a commit, retention and the status between them have.
    connection.set_prepared_statement_cache_capacity(limits::PREPARED_STATEMENTS);
    // Damage is found when a page is first read.
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)
}

/// A connection that cannot write, for readers beside the store thread.
pub fn open_read_only(path: &Path) -> rusqlite::Result<Connection> {
    read_only_within(path, limits::SQLITE_BUSY_TIMEOUT)
}

/// The same for a command; the error is a text to follow a colon, the same for every command.
pub fn open_for_command(path: &Path) -> Result<Connection, String> {
    let found = file::probe(path).map_err(|error| error.reason())?;
    let clause = match found {
        FileKind::Absent => {
            "no such file: name the database with --database, or the configuration with --config"
                .to_owned()
        }
        FileKind::EmptySqlite => "the database is empty".to_owned(),
        FileKind::NotSqlite { begins } => {
            let path = path.to_owned();
            OpenError::NotSqlite { path, begins }.reason()
        }
        FileKind::Damaged { begins } => {
            format!(
                "it is damaged (it begins with {begins}); main-node recovers it at the next start"
            )
        }
        FileKind::Foreign { application_id } => {
            let path = path.to_owned();
            OpenError::Foreign {
                path,
                application_id,
            }
            .reason()
        }
        FileKind::MainNode { version } if version > schema::VERSION => {
            let path = path.to_owned();
            OpenError::Newer {
                path,
                found: version,
            }
            .reason()
        }
        FileKind::MainNode { .. } => {
            return open_read_only(path).map_err(|error| error::describe(&error));
        }
    };
    Err(clause)
}

/// The same for people who wait for a page: a lock is not waited for.
pub fn open_for_web(path: &Path) -> rusqlite::Result<Connection> {
    read_only_within(path, limits::SQLITE_BUSY_TIMEOUT_AT_START)
}

/// What can be read at start where the database cannot be opened for writing: without
/// waiting for a lock, and without its log if need be.
pub fn open_best_effort(path: &Path) -> rusqlite::Result<Connection> {
    read_only_within(path, limits::SQLITE_BUSY_TIMEOUT_AT_START).or_else(|_| open_immutable(path))
}

fn read_only_within(path: &Path, busy: Duration) -> rusqlite::Result<Connection> {
    open_files::check_not_replaced(path)?;
    // A backup names its file by a URI; a path that looks like one is none.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(Path::new(".").join(path), flags)?;
    connection.busy_timeout(busy)?;
    let log = sibling(&file::without_links(path), "-wal");
    if !file::is_wal_mode(&file::read_header(&connection)?)
        && log.metadata().is_ok_and(|log| log.len() > 0)
    {
        // The WAL is another database's; the next writer quarantines it.
        return open_immutable(path);
    }
    match read_schema(&connection) {
        // On a medium that nobody can write to, SQLite cannot make the file that readers of
        // a log share. Where there is no log, none is needed.
        Err(error)
            if error.sqlite_error_code() == Some(ErrorCode::CannotOpen)
                && sibling(path, "-wal").metadata().map_or(0, |log| log.len()) == 0 =>
        {
            open_immutable(path)
        }
        Err(error) => Err(error),
        Ok(()) => {
            connection.pragma_update(None, "temp_store", "memory")?;
            connection.pragma_update(None, "cache_size", -i64::from(limits::PAGE_CACHE_KIB))?;
            Ok(connection)
        }
    }
}

/// The first read, which is when SQLite really opens a file.
fn read_schema(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
}

/// A connection to a file on a medium that nobody can write to, which SQLite otherwise refuses in
/// WAL mode; pages that are only in the WAL are not seen.
pub fn open_immutable(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let path = percent::encode_set(&path.to_string_lossy(), percent::PATH);
    Connection::open_with_flags(format!("file:{path}?immutable=1"), flags)
}
