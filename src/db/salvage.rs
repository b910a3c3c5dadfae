//! Salvage of a damaged database: quarantined, never deleted, and read as far as it can be.
//!
//! Driven by the store thread, a step at a time between commits. Alerts, quotas and the newest
//! values are in the new database before it takes the damaged one's place ([`replace`]), so
//! that no crash and no full card loses them; hours and rows follow, the newest first. Rows
//! keep their ids, so that what `hourly` says about them stays true, and a row that is taken
//! over twice (from the damaged file and from a backup, or after a restart) is there once.

mod copy;
mod pages;
mod scan;
mod source;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

pub use self::copy::merge_alerts_from;
use self::copy::{
    copy_alerts, copy_cursors, copy_forecasts, copy_keys_and_tiers, copy_quotas, copy_windows,
    insert_rollup, integer, meta_values,
};
use self::scan::{SourceScan, insert_row};
use self::source::DamagedDatabase;
use super::backup::schedule::newest_verified;
use super::database::Database;
use super::error::{self, OpenError};
use super::open::{self, DatabaseLocation};
use super::progress::Progress;
use super::rollup::RollupUpdate;
use super::tiers::{Tiers, write_meta};
use super::{connection, file, replace, schema};
use crate::domain::time::Wall;
use crate::limits;

/// Opens the database at `location`. A damaged one is quarantined and replaced by a new one;
/// [`Salvage::resume`] recovers the rest of its data.
pub fn open(location: &DatabaseLocation, boot: &str, now: Wall) -> Result<Database, OpenError> {
    match open::open_at_start(location, boot) {
        Err(OpenError::Corrupt { path, detail }) => {
            let corrupt = OpenError::Corrupt { path, detail };
            log::error!("{corrupt}");
            quarantine(location, boot, now).map_err(|error| {
                log::error!("the database could not be quarantined: {error}");
                corrupt
            })
        }
        opened => opened,
    }
}

/// Replaces a damaged database by a new one with its alerts, quotas and newest values. Where it
/// cannot be created (disk full), the damaged one stays in place.
pub fn quarantine(
    location: &DatabaseLocation,
    boot: &str,
    now: Wall,
) -> Result<Database, OpenError> {
    let path = &replace::resolve_links(&location.path);
    let io = |error: std::io::Error| OpenError::from_io(path, &error);
    // One that an earlier run has prepared.
    replace::complete(path).map_err(io)?;
    let suffix = replace::free_suffix(path, QUARANTINED, now);
    let quarantined = file::sibling(path, &suffix);
    let prepared = open::create_beside(path)?;
    if let Err(error) = fill(&prepared, path, &quarantined) {
        let _ = std::fs::remove_file(&prepared);
        return Err(OpenError::from_sqlite(path, &error));
    }
    replace::schedule(path, &prepared, &suffix).map_err(io)?;
    log::warn!(
        "{} is quarantined as {}; its readable data is being recovered",
        path.display(),
        quarantined.display()
    );
    open::open(location, boot)
}

/// What a damaged database is moved to: `DATABASE.damaged-DATE`.
const QUARANTINED: &str = "damaged";

/// Alerts, quotas and newest values of a damaged database that cannot be quarantined now: a copy
/// in memory, to be read.
pub fn copy_in_memory(damaged: &Path) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    schema::create(&mut connection)?;
    copy_essentials(&mut connection, damaged, damaged)?;
    Ok(connection)
}

fn fill(prepared: &Path, damaged: &Path, quarantined: &Path) -> rusqlite::Result<()> {
    let mut connection = Connection::open(prepared)?;
    connection::configure(&connection)?;
    copy_essentials(&mut connection, damaged, quarantined)
}

/// Fills a new database with alerts, quotas and newest values, in one transaction.
fn copy_essentials(
    connection: &mut Connection,
    damaged: &Path,
    quarantined: &Path,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut damaged_files = vec![quarantined.to_owned()];
    let mut last = UNKNOWN_ID_START;
    match DamagedDatabase::open(damaged) {
        Ok(source) => {
            let metadata = meta_values(&source);
            if let Some(Value::Text(earlier)) = metadata.get(PROGRESS_ENTRY) {
                damaged_files.extend(paths(damaged, earlier));
            }
            // Once, and never from a backup: events delivered since must not be delivered again.
            copy_alerts(&source, &transaction)?;
            copy_quotas(&metadata, &transaction)?;
            copy_cursors(&metadata, &transaction)?;
            copy_windows(&source, &transaction)?;
            let before = Tiers::read(&transaction)?;
            let mut tiers = before;
            copy_keys_and_tiers(&source, &transaction, &mut tiers)?;
            // Not from a backup, whose forecasts are out of date.
            copy_forecasts(&source, &transaction)?;
            tiers.write(&transaction, &before)?;
            last = last_id(&source, &metadata);
        }
        Err(error) => log::error!("{}: it cannot be read: {error}", damaged.display()),
    }
    write_progress(&transaction, &damaged_files)?;
    // New rows must not take the ids of those that are still to come.
    write_meta(&transaction, "last_id", last)?;
    transaction.commit()
}

/// Recovery of the readable data of a damaged database.
pub struct Salvage {
    /// The damaged files, the newest first.
    damaged_files: Vec<PathBuf>,
    /// Those that are still to be read, the next one last; a backup comes after them.
    sources: Vec<PathBuf>,
    has_tried_backup: bool,
    /// Path that backups in another directory than the database's are named after.
    backups_named_after: Option<PathBuf>,
    scan: Option<SourceScan>,
    /// Rows recovered.
    pub rows: u64,
    /// Rows or parts of the file that could not be read.
    pub unreadable: u64,
}

/// Entry of `node` while a salvage is under way: a file a line.
pub(super) const PROGRESS_ENTRY: &str = "salvage";

/// Ids given to new rows where the damaged file does not say which it has used.
const UNKNOWN_ID_START: i64 = 1 << 40;
/// Added where the newest may be among what cannot be read.
const ID_MARGIN: i64 = 1_000_000;

impl Salvage {
    /// Continues the salvage that began when the database was quarantined, also after a restart.
    pub fn resume(database: &mut Database) -> rusqlite::Result<Option<Salvage>> {
        let entry = "SELECT value FROM node WHERE name = ?1";
        let entry = database
            .connection()
            .query_row(entry, [PROGRESS_ENTRY], |row| row.get::<_, String>(0));
        let damaged_files = match error::readable(entry.optional())? {
            Some(None) => return Ok(None),
            Some(Some(text)) => paths(database.path(), &text),
            // The entry is damaged: the newest quarantined file is used.
            None => replace::list_moved(&replace::resolve_links(database.path()), QUARANTINED)
                .pop()
                .into_iter()
                .collect(),
        };
        Ok(Some(Salvage {
            sources: damaged_files.iter().rev().cloned().collect(),
            damaged_files,
            has_tried_backup: false,
            backups_named_after: None,
            scan: None,
            rows: 0,
            unreadable: 0,
        }))
    }

    /// Looks for backups named after this path too.
    pub fn with_backups(mut self, named_after: &Path) -> Salvage {
        self.backups_named_after = Some(named_after.to_owned());
        self
    }

    /// Path of the damaged file.
    pub fn damaged_file(&self) -> &Path {
        self.damaged_files
            .first()
            .map_or(Path::new(""), PathBuf::as_path)
    }

    /// The notice for people.
    pub fn notice(&self, is_over: bool) -> String {
        let progress = match (is_over, self.unreadable) {
            (false, _) => format!("{} rows recovered so far", self.rows),
            (true, 0) => format!("all {} rows were recovered", self.rows),
            (true, 1) => format!("{} rows were recovered, 1 part was unreadable", self.rows),
            (true, unreadable) => format!(
                "{} rows were recovered, {unreadable} parts were unreadable",
                self.rows
            ),
        };
        format!(
            "the database is damaged and quarantined as {}; {progress}",
            self.damaged_file().display()
        )
    }

    /// Recovers the next batch.
    pub fn step(&mut self, database: &mut Database) -> rusqlite::Result<Progress> {
        if self.scan.is_none() && !self.open_next(database)? {
            database.change(|transaction, _| {
                transaction.execute("DELETE FROM node WHERE name = ?1", [PROGRESS_ENTRY])
            })?;
            database.reload()?;
            return Ok(Progress::Done);
        }
        let Some(scan) = &mut self.scan else {
            return Ok(Progress::More);
        };
        let batch = scan.next_batch();
        let key_ids = &scan.key_ids;
        let inserted = database.change(|transaction, tiers| {
            for (table, row) in &batch.rollups {
                insert_rollup(transaction, table, row, key_ids)?;
            }
            let mut changes = RollupUpdate::new(*tiers);
            let mut inserted = 0;
            for row in &batch.rows {
                inserted += u64::from(insert_row(transaction, tiers, &mut changes, row)?);
            }
            changes.write(transaction)?;
            Ok(inserted)
        })?;
        self.rows += inserted;
        self.unreadable += batch.unreadable;
        if scan.tasks.is_empty() {
            self.scan = None;
        }
        // There may be new keys, which the cache must know.
        database.reload()?;
        Ok(Progress::More)
    }

    fn next_source(&mut self, database: &Path) -> Option<(PathBuf, bool)> {
        if let Some(quarantined) = self.sources.pop() {
            return Some((quarantined, false));
        }
        if self.has_tried_backup {
            return None;
        }
        self.has_tried_backup = true;
        let mut named_after = vec![database];
        let elsewhere = self.backups_named_after.as_deref();
        named_after.extend(elsewhere.filter(|it| *it != database));
        newest_verified(&named_after).map(|backup| (backup, true))
    }

    /// Whether there is free disk space for more, beside what new readings need.
    pub fn has_room(&self) -> bool {
        file::has_room(self.damaged_file())
    }

    /// Opens the next source and copies its small tables; false when there is none.
    fn open_next(&mut self, database: &mut Database) -> rusqlite::Result<bool> {
        while let Some((path, is_backup)) = self.next_source(database.path()) {
            let Ok(source) = DamagedDatabase::open(&path) else {
                self.unreadable += 1;
                continue;
            };
            let found = database
                .change(|transaction, tiers| copy_keys_and_tiers(&source, transaction, tiers))?;
            database.reload()?;
            let (key_ids, unreadable) = found;
            self.unreadable += unreadable;
            self.scan = Some(SourceScan::new(
                source,
                key_ids,
                is_backup,
                &mut self.unreadable,
            ));
            return Ok(true);
        }
        Ok(false)
    }
}

/// The damaged files that a note names. They are where the database is, should both have been
/// moved since.
fn paths(database: &Path, note: &str) -> Vec<PathBuf> {
    let here = |line: &str| {
        let path = PathBuf::from(line);
        let moved = path
            .file_name()
            .map(|name| file::parent_directory(database).join(name));
        match moved {
            Some(moved) if !path.exists() && moved.exists() => moved,
            _ => path,
        }
    };
    note.lines().map(here).collect()
}

fn write_progress(transaction: &Transaction, damaged_files: &[PathBuf]) -> rusqlite::Result<()> {
    let lines: Vec<_> = damaged_files
        .iter()
        .map(|path| path.to_string_lossy())
        .collect();
    write_meta(transaction, PROGRESS_ENTRY, lines.join("\n"))
}

/// The highest id used in the damaged file.
fn last_id(source: &DamagedDatabase, metadata: &HashMap<String, Value>) -> i64 {
    let mut ids = Vec::new();
    if let Some(Value::Integer(id)) = metadata.get("last_id") {
        ids.push(*id);
    }
    let (latest, mut unreadable) = source.all("latest");
    ids.extend(latest.iter().filter_map(|row| integer(row, "id")));
    for (table, column) in [("records", "id"), ("hourly", "last_id")] {
        let tree = source.pages_of(table);
        if table == "records" {
            unreadable += tree.unreadable;
        }
        // The newest are at the end; damage may be before it.
        for number in tree.pages.iter().rev().take(4) {
            let (rows, missed) = source.rows_of(table, *number);
            unreadable += missed;
            ids.extend(rows.iter().filter_map(|row| integer(row, column)));
        }
    }
    let known = ids
        .into_iter()
        .filter(|id| limits::VALID_IDS.contains(id))
        .max();
    match known {
        Some(id) if unreadable == 0 => id,
        Some(id) => id.saturating_add(ID_MARGIN).min(*limits::VALID_IDS.end()),
        None => UNKNOWN_ID_START,
    }
}

#[cfg(test)]
#[path = "tests/salvage.rs"]
mod tests;
