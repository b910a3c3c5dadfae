//! One step's change of readings: rows of a key's hour, and the rollups above them, in one transaction.
//!
//! On the thread that owns the database. Rows that are written have new ids, in the order of time and
//! close together, since readers look for rows of an hour among the ids that `hourly` names.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{OptionalExtension, Transaction, params};

use crate::db::periods::{DAY, HOUR, second_of_hour};
use crate::db::rollup::five_minute::{self, FiveMinuteRollup};
use crate::db::rollup::old_elements::{self, NO_ROW};
use crate::db::rollup::{Aggregate, HourRollup, add, daily, read_aggregate, read_hour, write_hour};
use crate::db::row_codec::decode_value;
use crate::db::tiers::{Tiers, write_meta};
use crate::domain::compact_sort::CompactSort;
use crate::domain::reading::Value;
use crate::domain::time::Wall;

/// A key of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredKey {
    pub k: i64,
    pub key: String,
}

/// A row of `records` without its key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StoredRow {
    /// Its id; 0 before it has one.
    pub id: i64,
    /// When it was observed, seconds since 1970.
    pub second: i64,
    pub value: Option<f64>,
    pub meta: Option<String>,
}

impl StoredRow {
    pub fn reading(&self) -> Option<Value> {
        decode_value(self.value, self.meta.as_deref())
    }
}

/// The transaction of a step.
pub(super) struct Edit<'a> {
    pub transaction: &'a Transaction<'a>,
    pub tiers: &'a mut Tiers,
    /// The id of the next row.
    pub next_id: i64,
    /// Days and keys whose hours have changed.
    days: BTreeSet<(i64, i64)>,
}

impl<'a> Edit<'a> {
    pub fn new(transaction: &'a Transaction<'a>, tiers: &'a mut Tiers, next_id: i64) -> Edit<'a> {
        Edit {
            transaction,
            tiers,
            next_id,
            days: BTreeSet::new(),
        }
    }

    /// Sums changed days up, and has no id be used again.
    pub fn finish(self) -> rusqlite::Result<()> {
        let until = self.tiers.daily_until.unwrap_or(i64::MIN);
        for (day, k) in self.days {
            if day < until {
                daily::recompute_day(self.transaction, day, Some(k))?;
            }
        }
        write_meta(self.transaction, "last_id", self.next_id - 1)
    }

    pub fn hour(&self, hour: i64, k: i64) -> rusqlite::Result<Option<HourRollup>> {
        read_hour(self.transaction, hour, k)
    }

    fn touch(&mut self, hour: i64, k: i64) {
        self.days.insert((hour.div_euclid(DAY / HOUR), k));
    }

    /// The rows of a key's hour, in the order of ids. Damaged ones are left out.
    pub fn rows(
        &self,
        key: &StoredKey,
        hour: i64,
        found: &HourRollup,
    ) -> rusqlite::Result<Vec<StoredRow>> {
        let mut rows = self.transaction.prepare_cached(
            "SELECT id, timestamp, value, meta FROM records WHERE id BETWEEN ?1 AND ?2 \
             AND key = ?3 AND timestamp >= ?4 AND timestamp < ?5 ORDER BY id",
        )?;
        let (begin, end) = bounds(hour);
        let mut rows = rows.query(params![found.first_id, found.last_id, key.key, begin, end])?;
        let mut read = Vec::new();
        while let Some(row) = rows.next()? {
            let (Ok(timestamp), Ok(value), Ok(meta)) =
                (row.get_ref(1)?.as_str(), row.get(2), row.get(3))
            else {
                continue;
            };
            read.push(StoredRow {
                id: row.get(0)?,
                second: hour * HOUR + second_of_hour(timestamp),
                value,
                meta,
            });
        }
        Ok(read)
    }

    /// Deletes the rows of a key's hour, not its rollup.
    pub fn delete_rows(
        &self,
        key: &StoredKey,
        hour: i64,
        found: &HourRollup,
    ) -> rusqlite::Result<()> {
        let mut delete = self.transaction.prepare_cached(
            "DELETE FROM records WHERE id BETWEEN ?1 AND ?2 \
             AND key = ?3 AND timestamp >= ?4 AND timestamp < ?5",
        )?;
        let (begin, end) = bounds(hour);
        delete.execute(params![found.first_id, found.last_id, key.key, begin, end])?;
        Ok(())
    }

    /// Deletes these rows, not their rollup.
    pub fn delete_ids(&self, rows: &[StoredRow]) -> rusqlite::Result<()> {
        let mut delete = self
            .transaction
            .prepare_cached("DELETE FROM records WHERE id = ?1")?;
        for row in rows {
            delete.execute([row.id])?;
        }
        Ok(())
    }

    /// Gives the rows of a key's hour to another key, which has none in it; not the rollup.
    pub fn rename_rows(
        &self,
        (key, new): (&StoredKey, &StoredKey),
        hour: i64,
        found: &HourRollup,
    ) -> rusqlite::Result<u64> {
        let mut update = self.transaction.prepare_cached(
            "UPDATE records SET key = ?6 WHERE id BETWEEN ?1 AND ?2 \
             AND key = ?3 AND timestamp >= ?4 AND timestamp < ?5",
        )?;
        let (begin, end) = bounds(hour);
        let (first, last) = (found.first_id, found.last_id);
        let changed = update.execute(params![first, last, key.key, begin, end, new.key])?;
        Ok(changed as u64)
    }

    /// Writes the rows of a key's hour, of which none is in the database, and its rollup. Of one
    /// second the last row holds.
    pub fn write_rows(
        &mut self,
        key: &StoredKey,
        hour: i64,
        mut rows: Vec<StoredRow>,
    ) -> rusqlite::Result<Vec<StoredRow>> {
        rows.compact_sort_by_key(|row| row.second);
        let mut insert = self.transaction.prepare_cached(
            "INSERT INTO records (id, timestamp, key, value, meta) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        for row in &mut rows {
            row.id = self.next_id;
            self.next_id += 1;
            let timestamp = Wall::from_second(row.second).to_string();
            insert.execute(params![row.id, timestamp, key.key, row.value, row.meta])?;
        }
        drop(insert);
        self.write_rollup(key.k, hour, &rows)?;
        Ok(rows)
    }

    /// Writes the rollup of a key's hour by its rows, which are in the order of ids; without rows it
    /// is deleted.
    pub fn write_rollup(&mut self, k: i64, hour: i64, rows: &[StoredRow]) -> rusqlite::Result<()> {
        self.touch(hour, k);
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return self.delete_hour(hour, k);
        };
        let seconds: BTreeMap<i64, Option<f64>> = rows
            .iter()
            .map(|row| (row.second.rem_euclid(HOUR), row.value))
            .collect();
        let parts = five_minute::from_seconds(&seconds);
        let mut rollup = HourRollup {
            aggregate: None,
            first_id: first.id,
            last_id: last.id,
        };
        for part in parts.iter().flatten() {
            add(&mut rollup.aggregate, part);
        }
        write_hour(self.transaction, hour, k, &rollup)?;
        let is_late = self.tiers.five_minute_until.is_some_and(|it| hour < it);
        let parts = if is_late && five_minute::is_eligible(&rollup) {
            parts
        } else {
            FiveMinuteRollup::default()
        };
        five_minute::write(self.transaction, hour, k, &parts)
    }

    /// Deletes the rollup of a key's hour.
    pub fn delete_hour(&mut self, hour: i64, k: i64) -> rusqlite::Result<()> {
        self.touch(hour, k);
        for table in ["hourly", "fives"] {
            let delete = format!("DELETE FROM {table} WHERE hour = ?1 AND k = ?2");
            self.transaction
                .prepare_cached(&delete)?
                .execute([hour, k])?;
        }
        Ok(())
    }

    /// Gives the rollup of a key's hour to another key, which has none of it.
    pub fn move_hour(&mut self, hour: i64, k: i64, new: i64) -> rusqlite::Result<()> {
        self.touch(hour, k);
        self.touch(hour, new);
        for table in ["hourly", "fives"] {
            let update = format!("UPDATE {table} SET k = ?3 WHERE hour = ?1 AND k = ?2");
            self.transaction
                .prepare_cached(&update)?
                .execute([hour, k, new])?;
        }
        Ok(())
    }

    /// Writes a key's hour of which there are no rows.
    pub fn write_summary(
        &mut self,
        hour: i64,
        k: i64,
        aggregate: Aggregate,
    ) -> rusqlite::Result<()> {
        self.touch(hour, k);
        let rollup = HourRollup {
            aggregate: Some(aggregate),
            first_id: NO_ROW,
            last_id: NO_ROW,
        };
        write_hour(self.transaction, hour, k, &rollup)
    }

    /// Adds what was another key's hour to a key's hour; neither's rows are counted again.
    pub fn add_to_hour(&mut self, hour: i64, k: i64, other: &HourRollup) -> rusqlite::Result<()> {
        self.touch(hour, k);
        let Some(mut rollup) = self.hour(hour, k)? else {
            return Ok(());
        };
        if let Some(summary) = &other.aggregate {
            add(&mut rollup.aggregate, summary);
        }
        if other.has_rows() && rollup.has_rows() {
            rollup.first_id = rollup.first_id.min(other.first_id);
            rollup.last_id = rollup.last_id.max(other.last_id);
        } else if other.has_rows() {
            (rollup.first_id, rollup.last_id) = (other.first_id, other.last_id);
        }
        write_hour(self.transaction, hour, k, &rollup)
    }

    pub fn day(&self, day: i64, k: i64) -> rusqlite::Result<Option<Aggregate>> {
        let mut day_of_key = self.transaction.prepare_cached(
            "SELECT count, min, mean, max, last, day * 86400 FROM daily WHERE day = ?1 AND k = ?2",
        )?;
        let found = day_of_key.query_row([day, k], read_aggregate).optional()?;
        Ok(found.flatten())
    }

    pub fn delete_day(&self, day: i64, k: i64) -> rusqlite::Result<()> {
        self.transaction
            .prepare_cached("DELETE FROM daily WHERE day = ?1 AND k = ?2")?
            .execute([day, k])?;
        Ok(())
    }

    /// Adds a day of a key that has none; whether it is added.
    pub fn add_day(&self, day: i64, k: i64, aggregate: &Aggregate) -> rusqlite::Result<bool> {
        old_elements::add_day(self.transaction, day, k, aggregate)
    }

    /// The key of a name.
    pub fn find_key(&self, key: &str) -> rusqlite::Result<Option<StoredKey>> {
        let mut find = self
            .transaction
            .prepare_cached("SELECT k FROM keys WHERE key = ?1")?;
        let k = find.query_row([key], |row| row.get(0)).optional()?;
        let key = key.to_owned();
        Ok(k.map(|k| StoredKey { k, key }))
    }
}

/// The timestamps at which an hour begins and ends.
fn bounds(hour: i64) -> (String, String) {
    let at = |hour: i64| Wall::from_second(hour.saturating_mul(HOUR)).to_string();
    (at(hour), at(hour.saturating_add(1)))
}

/// Whether the rollup of an hour counts more numbers than these rows of it, so that it cannot be made of
/// them again.
pub(super) fn counts_more_than(rollup: &HourRollup, rows: &[StoredRow]) -> bool {
    let numbers = rows.iter().filter(|row| row.value.is_some()).count() as u64;
    rollup.aggregate.is_some_and(|it| it.count > numbers)
}
