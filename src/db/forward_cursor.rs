//! Cursors of outputs in the database: the last row that each has forwarded, in `node` as
//! `forward:<name>`.
//!
//! Written by the store thread, which knows when ([`super::store::cursors`]).

use rusqlite::Connection;

use super::error;
use super::tiers::read_meta;
use crate::domain::stored_rows::ForwardName;

const PREFIX: &str = "forward:";
/// The text after all that begin with the prefix.
const PREFIX_END: &str = "forward;";

pub(super) fn entry_name(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// Whether an entry of `node` is of this kind.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// As text, so that a salvage can tell it from damage.
pub(super) fn read(connection: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    let saved = read_meta(connection, &entry_name(name));
    let saved: Option<String> = error::readable(saved)?.flatten();
    Ok(saved.and_then(|text| text.parse().ok()))
}

/// Where an output begins that the database does not know.
pub(super) fn first(
    connection: &Connection,
    forward: &ForwardName,
    last_id: i64,
) -> rusqlite::Result<i64> {
    if !forward.backfill {
        return Ok(last_id);
    }
    let oldest = "SELECT min(id) FROM records";
    let oldest: Option<i64> = connection.query_row(oldest, [], |row| row.get(0))?;
    Ok(oldest.map_or(last_id, |id| id.saturating_sub(1)))
}

pub(super) fn newest_row(connection: &Connection) -> rusqlite::Result<i64> {
    let newest = "SELECT max(id) FROM records";
    let newest: Option<i64> = connection.query_row(newest, [], |row| row.get(0))?;
    Ok(newest.unwrap_or(0))
}

/// Entries of outputs that are not among `forwards`.
pub(super) fn obsolete(
    connection: &Connection,
    forwards: &[ForwardName],
) -> rusqlite::Result<Vec<String>> {
    let mut entries = connection.prepare("SELECT name FROM node WHERE name >= ?1 AND name < ?2")?;
    let entries = entries.query_map([PREFIX, PREFIX_END], |row| row.get::<_, String>(0))?;
    let mut obsolete = Vec::new();
    for entry in entries {
        let is_known = |name: &String| forwards.iter().any(|it| entry_name(&it.name) == *name);
        obsolete.extend(error::readable(entry)?.filter(|name| !is_known(name)));
    }
    Ok(obsolete)
}
