//! Detection of database files that were moved, removed or overwritten while they were open.
//!
//! Runs on the store thread. What becomes of the open database is [`super::detached`]'s.

use std::path::Path;

use rusqlite::Connection;

use super::file;
use super::{connection, error};
use crate::limits;

/// What happened to the files of an open database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileChange {
    /// Another file is at the path, or none.
    Database,
    /// The WAL or its index was removed or replaced.
    Log,
    /// The file was overwritten with another database by something else than SQLite.
    Content,
    /// Something else has written to the file, and it is damaged now.
    Damage,
}

/// Judges a file that something else has written to while `connection` had it open. `None`
/// if that was another program that used it as SQLite does.
pub fn classify_write(
    connection: &Connection,
    path: &Path,
    size_before: u64,
) -> Option<FileChange> {
    let size = file::file_stamp(path).map_or(0, |(size, ..)| size);
    let is_ours = file::read_header(connection)
        .is_ok_and(|head| head.starts_with(b"SQLite format 3\0") && file::is_wal_mode(&head));
    if !is_ours || size < size_before {
        return Some(FileChange::Content);
    }
    is_damaged(path, size).then_some(FileChange::Damage)
}

/// Whether SQLite finds damage in a database of ours of `size` bytes; false where that would
/// take too long, or cannot be found out now.
pub fn is_damaged(path: &Path, size: u64) -> bool {
    if size > limits::INTEGRITY_CHECK_BYTES {
        return false;
    }
    // With a cache of its own.
    let verdict = connection::open_read_only(path).and_then(|connection| {
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
    });
    match verdict {
        Ok(verdict) => verdict != "ok",
        // Locked, or no memory: not damage.
        Err(error) => error::is_damage(&error),
    }
}
