//! Scan of one damaged file: which pages are still to be read, and the rows on them.
//!
//! Owned by [`super::Salvage`], on the store thread; reads a batch a step, the newest first.

use std::collections::{HashMap, HashSet};

use rusqlite::types::Value;
use rusqlite::{Transaction, params};

use super::copy::{integer, key_id_of, real, text};
use super::pages::{self, PageSource};
use super::source::{DamagedDatabase, NamedRow};
use crate::db::periods::{HOUR, second_of, second_of_hour};
use crate::db::rollup::{RollupUpdate, read_hour};
use crate::db::tiers::Tiers;
use crate::limits;

/// One file as it is read.
pub(super) struct SourceScan {
    pub source: DamagedDatabase,
    /// Key ids in the damaged file, and here.
    pub key_ids: HashMap<i64, i64>,
    /// Remaining tasks, the next one last.
    pub tasks: Vec<ScanTask>,
    /// Pages whose rows are known already, or are none.
    pub seen: HashSet<u32>,
}

pub(super) enum ScanTask {
    /// A page of a table of summaries.
    Rollups(&'static str, u32),
    /// A page of `records`.
    Rows(u32),
    /// All pages from this one on, for rows that no tree references.
    Unreferenced(u32),
}

#[derive(Default)]
pub(super) struct SalvageBatch {
    pub rollups: Vec<(&'static str, NamedRow)>,
    pub rows: Vec<SalvagedRow>,
    pub unreadable: u64,
}

pub(super) struct SalvagedRow {
    pub id: i64,
    pub timestamp: String,
    pub key: String,
    pub value: Option<f64>,
    pub meta: Option<String>,
}

impl SourceScan {
    pub fn new(
        source: DamagedDatabase,
        key_ids: HashMap<i64, i64>,
        is_backup: bool,
        unreadable: &mut u64,
    ) -> SourceScan {
        let mut tasks = Vec::new();
        let records = source.pages_of("records");
        *unreadable += records.unreadable;
        let mut seen = HashSet::new();
        if !is_backup {
            seen = source.free_pages();
            seen.extend(&records.pages);
            tasks.push(ScanTask::Unreferenced(1));
        }
        tasks.extend(records.pages.into_iter().map(ScanTask::Rows));
        for table in ["hourly", "daily"] {
            let tree = source.pages_of(table);
            *unreadable += tree.unreadable;
            let pages = tree.pages.into_iter();
            tasks.extend(pages.map(|number| ScanTask::Rollups(table, number)));
        }
        SourceScan {
            source,
            key_ids,
            tasks,
            seen,
        }
    }

    /// The newest of what is still to be read, until it is much.
    pub fn next_batch(&mut self) -> SalvageBatch {
        let mut batch = SalvageBatch::default();
        let mut pages = 0;
        while batch.rows.len() + batch.rollups.len() < limits::SALVAGE_STEP_ROWS
            && pages < limits::SALVAGE_STEP_PAGES
        {
            pages += 1;
            match self.tasks.pop() {
                None => break,
                Some(ScanTask::Rollups(table, number)) => {
                    let (rows, unreadable) = self.source.rows_of(table, number);
                    batch.unreadable += unreadable;
                    batch
                        .rollups
                        .extend(rows.into_iter().map(|row| (table, row)));
                }
                Some(ScanTask::Rows(number)) => {
                    let (rows, unreadable) = self.source.rows_of("records", number);
                    batch.unreadable += unreadable;
                    for row in rows {
                        match SalvagedRow::of(&row) {
                            Some(found) => batch.rows.push(found),
                            None => batch.unreadable += 1,
                        }
                    }
                }
                Some(ScanTask::Unreferenced(number)) => self.unreferenced(number, &mut batch),
            }
        }
        batch.rows.sort_unstable_by_key(|row| row.id);
        batch
    }

    fn unreferenced(&mut self, number: u32, batch: &mut SalvageBatch) {
        let image = self.source.image();
        if number < image.count() {
            self.tasks.push(ScanTask::Unreferenced(number + 1));
        }
        let is_leaf = |page: Vec<u8>| pages::is_table_leaf(&page, number);
        if !self.seen.contains(&number) && image.page(number).is_some_and(is_leaf) {
            // Rows of other tables are none of these.
            let (rows, _) = self.source.rows_of("records", number);
            batch.rows.extend(rows.iter().filter_map(SalvagedRow::of));
        }
    }
}

/// Replaces metadata that cannot be read: the time is untrusted.
pub(super) const UNTRUSTED_META: &str = "{\"clock\":\"untrusted\"}";

impl SalvagedRow {
    /// A row of `records`, if it can be one of ours.
    fn of(row: &NamedRow) -> Option<SalvagedRow> {
        let found = SalvagedRow {
            id: integer(row, "id")?,
            timestamp: text(row, "timestamp")?,
            key: text(row, "key")?,
            value: match row.get("value")? {
                Value::Null => None,
                _ => Some(real(row, "value")?),
            },
            meta: match row.get("meta") {
                Some(Value::Null) => None,
                _ => Some(text(row, "meta").unwrap_or_else(|| UNTRUSTED_META.to_owned())),
            },
        };
        found.is_valid().then_some(found)
    }

    fn second(&self) -> Option<i64> {
        second_of(&self.timestamp).filter(|_| self.timestamp.len() == 20)
    }

    fn is_valid(&self) -> bool {
        let is_value = self.value.is_none_or(f64::is_finite);
        let is_key = !self.key.is_empty() && self.key.len() <= limits::KEY_BYTES;
        let hour = self.second().map(|second| second.div_euclid(HOUR));
        let is_hour = hour.is_some_and(|hour| limits::VALID_HOURS.contains(&hour));
        is_value && is_key && is_hour && limits::VALID_IDS.contains(&self.id)
    }
}

/// Inserts a row, if it is not there; true if it was not.
pub(super) fn insert_row(
    transaction: &Transaction,
    tiers: &Tiers,
    changes: &mut RollupUpdate,
    row: &SalvagedRow,
) -> rusqlite::Result<bool> {
    let Some(second) = row.second() else {
        return Ok(false);
    };
    let hour = second.div_euclid(HOUR);
    if hour < tiers.raw_from {
        return Ok(false);
    }
    let mut insert = transaction.prepare_cached(
        "INSERT OR IGNORE INTO records (id, timestamp, key, value, meta) \
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    if insert.execute(params![row.id, row.timestamp, row.key, row.value, row.meta])? == 0 {
        return Ok(false);
    }
    let k = key_id_of(transaction, &row.key)?;
    // Where the hour's own summary was recovered it counts this row already.
    let is_counted = read_hour(transaction, hour, k)?
        .is_some_and(|known| (known.first_id..=known.last_id).contains(&row.id));
    if !is_counted {
        debug_assert_eq!(second.rem_euclid(HOUR), second_of_hour(&row.timestamp));
        changes.correct(k, second, row.id);
    }
    Ok(true)
}
