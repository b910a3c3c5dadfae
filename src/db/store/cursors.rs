//! Cursors of outputs in the storage thread: the last row that each has forwarded.
//!
//! Outputs hand theirs in; the store thread saves them with commits that it makes anyway, and not
//! with each: after a crash an output repeats the rows since then.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::types::Value;

use super::{Store, StoreShared};
use crate::db::database::{CommitCounts, Database};
use crate::db::file::FileId;
use crate::db::forward_cursor::{self, entry_name};
use crate::db::salvage;
use crate::db::tiers::{MetaChange, read_meta};
use crate::domain::stored_rows::FeedPlace;
use crate::domain::time::Mono;
use crate::limits;

/// The cursors of all outputs.
#[derive(Default)]
pub(super) struct ForwardCursors {
    epoch: u64,
    /// The database that they are of.
    database: Option<FileId>,
    /// Rows with lower ids than the newest may still come.
    is_salvaging: bool,
    newest: i64,
    forecast_changes: u64,
    cursors: BTreeMap<Arc<str>, ForwardCursor>,
    /// Entries of outputs that are not configured any more.
    obsolete: Vec<String>,
}

struct ForwardCursor {
    through: i64,
    saved: Option<i64>,
    saved_at: Mono,
}

impl ForwardCursor {
    /// Whether it is worth a write: a commit writes the page of `node` only for this.
    fn is_due(&self, now: Mono, is_closing: bool) -> bool {
        let Some(saved) = self.saved else {
            return true;
        };
        let rows = self.through.saturating_sub(saved);
        let is_old = now.since(self.saved_at) >= limits::FORWARD_CURSOR_INTERVAL;
        rows != 0 && (is_closing || is_old || rows.abs() >= limits::FORWARD_CURSOR_ROWS)
    }
}

impl StoreShared {
    /// Reads the cursors of a database that was opened, unless they are known.
    pub(super) fn load_cursors(&self, database: &Database, now: Mono) -> rusqlite::Result<()> {
        let mut known = self.cursors.lock();
        let file = database.files().database;
        let is_first = known.epoch == 0;
        let newest_cursor = known.cursors.values().map(|it| it.through).max();
        let are_possible = newest_cursor.is_none_or(|id| id <= database.last_id());
        if !is_first && known.database == file && are_possible {
            return Ok(());
        }
        let connection = database.connection();
        let is_salvaging = read_meta::<Value>(connection, salvage::PROGRESS_ENTRY)?.is_some();
        let mut cursors = BTreeMap::new();
        for forward in &self.settings.forwards {
            let saved = forward_cursor::read(connection, &forward.name)?;
            let saved = saved.filter(|id| (0..=database.last_id()).contains(id));
            let through = match saved {
                Some(id) => id,
                // Another database than at start, or what is left of a damaged one: all of it.
                None if !is_first || is_salvaging => 0,
                None => forward_cursor::first(connection, forward, database.last_id())?,
            };
            let saved_at = now;
            let cursor = ForwardCursor {
                through,
                saved,
                saved_at,
            };
            cursors.insert(forward.name.clone(), cursor);
        }
        let obsolete = forward_cursor::obsolete(connection, &self.settings.forwards)?;
        *known = ForwardCursors {
            epoch: known.epoch + 1,
            database: file,
            is_salvaging,
            newest: forward_cursor::newest_row(connection)?,
            forecast_changes: known.forecast_changes + 1,
            cursors,
            obsolete,
        };
        drop(known);
        (self.settings.on_rows_stored)();
        Ok(())
    }

    /// What the next commit has to write.
    pub(super) fn cursors_to_save(&self, now: Mono, is_closing: bool) -> Vec<MetaChange> {
        let known = self.cursors.lock();
        let due = known.cursors.iter();
        let due = due.filter(|(_, cursor)| cursor.is_due(now, is_closing));
        let due = due.map(|(name, cursor)| (entry_name(name), Some(cursor.through.to_string())));
        let obsolete = known.obsolete.iter().map(|name| (name.clone(), None));
        due.chain(obsolete).collect()
    }

    /// After a commit that has written `saved`.
    pub(super) fn cursors_saved(&self, saved: &[MetaChange], now: Mono) {
        if saved.is_empty() {
            return;
        }
        let mut known = self.cursors.lock();
        known.obsolete.clear();
        for (name, cursor) in &mut known.cursors {
            let name = entry_name(name);
            let value = saved.iter().find(|(of, _)| *of == name);
            if let Some(id) = value.and_then(|(_, value)| value.as_ref()?.parse().ok()) {
                cursor.saved = Some(id);
                cursor.saved_at = now;
            }
        }
    }

    /// After a commit: tells the outputs what is new.
    pub(super) fn rows_stored(&self, committed: CommitCounts, last_id: i64, forecasts: usize) {
        if committed.stored == 0 && forecasts == 0 {
            return;
        }
        let mut known = self.cursors.lock();
        if committed.stored > 0 {
            known.newest = last_id;
        }
        known.forecast_changes += u64::from(forecasts > 0);
        drop(known);
        (self.settings.on_rows_stored)();
    }

    /// All rows of the damaged database that can be read are there: outputs go back to where they
    /// were when it was quarantined, because they have passed some.
    pub(super) fn salvage_ended(&self) {
        let mut known = self.cursors.lock();
        if !known.is_salvaging {
            return;
        }
        known.is_salvaging = false;
        known.epoch += 1;
        drop(known);
        (self.settings.on_rows_stored)();
    }

    /// Where an output stands; `None` while no database is open.
    fn forward_place(&self, name: &str) -> Option<FeedPlace> {
        let known = self.cursors.lock();
        let cursor = known.cursors.get(name)?;
        Some(FeedPlace {
            epoch: known.epoch,
            through: cursor.through,
            newest: known.newest,
            forecast_changes: known.forecast_changes,
        })
    }

    fn settle_forward(&self, name: &str, epoch: u64, through: i64) {
        let mut known = self.cursors.lock();
        let is_kept = known.epoch == epoch && !known.is_salvaging;
        if is_kept && let Some(cursor) = known.cursors.get_mut(name) {
            cursor.through = through;
        }
    }
}

impl Store {
    /// Where an output stands; `None` while no database is open.
    pub fn forward_place(&self, name: &str) -> Option<FeedPlace> {
        self.shared.forward_place(name)
    }

    /// Takes note of the last row that an output need not read again.
    pub fn settle_forward(&self, name: &str, epoch: u64, through: i64) {
        self.shared.settle_forward(name, epoch, through);
    }
}

#[cfg(test)]
#[path = "tests/cursors.rs"]
mod tests;
