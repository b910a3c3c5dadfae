//! Rename and forget: hour by hour through what is stored of a key, within a range of time.
//!
//! On the thread that owns the database. Each hour is either still the old key's or already the new
//! one's, so that readers always see all of it, and a step that is repeated finds nothing to do.

use std::collections::BTreeSet;

use rusqlite::params;

use super::edit::{Edit, StoredKey, StoredRow, counts_more_than};
use super::latest;
use super::state::{MaintenanceState, Position};
use crate::db::periods::{DAY, HOUR};
use crate::db::progress::Progress;
use crate::db::rollup::{Aggregate, HourRollup, read_aggregate};
use crate::domain::compact_sort::CompactSort;
use crate::limits;

/// What is done with readings of `keys` from `from` until before `to`, seconds since 1970.
pub(super) struct KeyEdit<'a> {
    pub keys: &'a [String],
    pub from: i64,
    pub to: i64,
    pub action: KeyAction<'a>,
}

#[derive(Clone, Copy)]
pub(super) enum KeyAction<'a> {
    /// Gives them to the key of this name.
    Rename(&'a str),
    /// Deletes them, of rows those with ids up to this one.
    Forget(i64),
}

/// The key, and with a rename the other.
struct EditedKeys {
    key: StoredKey,
    new: Option<StoredKey>,
}

impl KeyEdit<'_> {
    /// Takes the next step from where the last one ended.
    pub fn step(
        &self,
        edit: &mut Edit<'_>,
        state: &mut MaintenanceState,
    ) -> rusqlite::Result<Progress> {
        let (at, hour) = match state.position {
            Position::Begin => (0, i64::MIN),
            Position::Hours { key, hour } => (key, hour),
            Position::Rest { key } => (key, i64::MAX),
            _ => return Ok(Progress::Done),
        };
        let Some(name) = self.keys.get(at) else {
            state.position = Position::End;
            return Ok(Progress::Done);
        };
        let Some(keys) = self.find_keys(edit, name)? else {
            state.position = Position::Hours {
                key: at + 1,
                hour: i64::MIN,
            };
            return Ok(Progress::More);
        };
        if hour < i64::MAX {
            state.position = match self.hours(edit, state, &keys, hour)? {
                Some(next) => Position::Hours {
                    key: at,
                    hour: next,
                },
                None => Position::Rest { key: at },
            };
            return Ok(Progress::More);
        }
        self.days(edit, state, &keys)?;
        self.finish_key(edit, &keys)?;
        state.position = Position::Hours {
            key: at + 1,
            hour: i64::MIN,
        };
        Ok(Progress::More)
    }

    /// The key of a name, and the one that it is renamed to, which is added where there is none.
    fn find_keys(&self, edit: &Edit<'_>, name: &str) -> rusqlite::Result<Option<EditedKeys>> {
        let Some(key) = edit.find_key(name)? else {
            return Ok(None);
        };
        let KeyAction::Rename(new) = self.action else {
            return Ok(Some(EditedKeys { key, new: None }));
        };
        if edit.find_key(new)?.is_none() {
            let sql = "INSERT INTO keys (key, unit, source, boolean) \
                       SELECT ?2, unit, source, boolean FROM keys WHERE k = ?1";
            edit.transaction.execute(sql, params![key.k, new])?;
        }
        let new = edit.find_key(new)?;
        Ok(Some(EditedKeys { key, new }))
    }

    /// Edits some hours; returns where to go on, `None` when all are done.
    fn hours(
        &self,
        edit: &mut Edit<'_>,
        state: &mut MaintenanceState,
        keys: &EditedKeys,
        from: i64,
    ) -> rusqlite::Result<Option<i64>> {
        let mut from = from.max(self.from.div_euclid(HOUR));
        let end = self.to.saturating_sub(1).div_euclid(HOUR).saturating_add(1);
        let mut scanned = 0;
        // Hours are in the order of time, so that those of one key are among those of all.
        while scanned < limits::MAINTENANCE_STEP_ROWS {
            let next: Option<i64> = edit
                .transaction
                .prepare_cached("SELECT min(hour) FROM hourly WHERE hour >= ?1 AND hour < ?2")?
                .query_row([from, end], |row| row.get(0))?;
            let Some(first) = next else {
                return Ok(None);
            };
            from = first
                .saturating_add(limits::MAINTENANCE_STEP_HOURS)
                .min(end);
            let found: Vec<i64> = edit
                .transaction
                .prepare_cached(
                    "SELECT hour FROM hourly WHERE hour >= ?1 AND hour < ?2 AND k = ?3 ORDER BY hour",
                )?
                .query_map([first, from, keys.key.k], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            scanned += limits::MAINTENANCE_STEP_HOURS.unsigned_abs();
            for hour in found {
                if scanned >= limits::MAINTENANCE_STEP_ROWS {
                    return Ok(Some(hour));
                }
                if let Some(rollup) = edit.hour(hour, keys.key.k)? {
                    scanned += rollup.id_count().unsigned_abs();
                    self.hour(edit, state, keys, (hour, &rollup))?;
                }
            }
        }
        Ok(Some(from))
    }

    /// The last row that it is about.
    fn through_id(&self) -> i64 {
        match self.action {
            KeyAction::Rename(_) => i64::MAX,
            KeyAction::Forget(through_id) => through_id,
        }
    }

    fn hour(
        &self,
        edit: &mut Edit<'_>,
        state: &mut MaintenanceState,
        keys: &EditedKeys,
        (hour, found): (i64, &HourRollup),
    ) -> rusqlite::Result<()> {
        let begin = hour.saturating_mul(HOUR);
        let is_whole = self.from <= begin && begin.saturating_add(HOUR) <= self.to;
        if !found.has_rows() {
            if !is_whole {
                state.counts.partial += 1;
                return Ok(());
            }
            state.counts.summaries += 1;
            return match &keys.new {
                None => edit.delete_hour(hour, keys.key.k),
                Some(new) => self.give_summary(edit, keys, new, (hour, found)),
            };
        }
        if is_whole
            && let Some(new) = &keys.new
            && edit.hour(hour, new.k)?.is_none()
        {
            state.counts.renamed += edit.rename_rows((&keys.key, new), hour, found)?;
            return edit.move_hour(hour, keys.key.k, new.k);
        }
        let rows = edit.rows(&keys.key, hour, found)?;
        let other = match &keys.new {
            Some(new) => read_other(edit, new, hour)?,
            None => None,
        };
        let through_id = self.through_id();
        let is_expired = hour < edit.tiers.raw_from || rows.is_empty();
        if is_expired
            || counts_more_than(found, &rows)
            || other.as_ref().is_some_and(OtherHour::is_mixed)
        {
            if !is_whole {
                state.counts.partial += 1;
                return Ok(());
            }
            state.counts.summaries += 1;
            return edit_whole_hour(edit, keys, (hour, found), (rows, through_id));
        }
        let is_taken =
            |row: &StoredRow| (self.from..self.to).contains(&row.second) && row.id <= through_id;
        let (taken, left): (Vec<StoredRow>, Vec<StoredRow>) = rows.into_iter().partition(is_taken);
        if taken.is_empty() {
            return Ok(());
        }
        edit.delete_ids(&taken)?;
        edit.write_rollup(keys.key.k, hour, &left)?;
        let Some(new) = &keys.new else {
            // Of one second one reading holds.
            let seconds: BTreeSet<i64> = taken.iter().map(|row| row.second).collect();
            state.counts.deleted += seconds.len() as u64;
            return Ok(());
        };
        state.counts.renamed += taken.len() as u64;
        let mut all = taken;
        let mut summary = None;
        if let Some(OtherHour { rollup, rows }) = other {
            if rollup.has_rows() {
                all.extend(rows);
                edit.delete_rows(new, hour, &rollup)?;
            } else {
                summary = Some(rollup);
            }
        }
        // Of one second the row that came last holds.
        all.compact_sort_by_key(|row| row.id);
        edit.write_rows(new, hour, all)?;
        match summary {
            Some(summary) => edit.add_to_hour(hour, new.k, &summary),
            None => Ok(()),
        }
    }

    /// Gives an hour without rows to the other key.
    fn give_summary(
        &self,
        edit: &mut Edit<'_>,
        keys: &EditedKeys,
        new: &StoredKey,
        (hour, found): (i64, &HourRollup),
    ) -> rusqlite::Result<()> {
        if edit.hour(hour, new.k)?.is_none() {
            return edit.move_hour(hour, keys.key.k, new.k);
        }
        edit.delete_hour(hour, keys.key.k)?;
        edit.add_to_hour(hour, new.k, found)
    }

    /// Days of which no hours are kept.
    fn days(
        &self,
        edit: &mut Edit<'_>,
        state: &mut MaintenanceState,
        keys: &EditedKeys,
    ) -> rusqlite::Result<()> {
        let first = self.from.div_euclid(DAY);
        let end = edit.tiers.hourly_from.div_euclid(DAY / HOUR);
        let end = end.min(self.to.saturating_sub(1).div_euclid(DAY).saturating_add(1));
        let days: Vec<(i64, Option<Aggregate>)> = edit
            .transaction
            .prepare_cached(
                "SELECT count, min, mean, max, last, day * 86400, day FROM daily \
                 WHERE k = ?1 AND day >= ?2 AND day < ?3 ORDER BY day",
            )?
            .query_map([keys.key.k, first, end], |row| {
                Ok((row.get(6)?, read_aggregate(row)?))
            })?
            .collect::<rusqlite::Result<_>>()?;
        for (day, summary) in days {
            let begin = day.saturating_mul(DAY);
            if self.from > begin || begin.saturating_add(DAY) > self.to {
                state.counts.partial += 1;
                continue;
            }
            state.counts.summaries += 1;
            edit.delete_day(day, keys.key.k)?;
            if let (Some(new), Some(mut summary)) = (&keys.new, summary) {
                if let Some(other) = edit.day(day, new.k)? {
                    summary.merge(&other);
                    edit.delete_day(day, new.k)?;
                }
                edit.add_day(day, new.k, &summary)?;
            }
        }
        Ok(())
    }

    /// The newest rows and what is stored ahead; a key of which nothing is left is not known any more.
    fn finish_key(&self, edit: &mut Edit<'_>, keys: &EditedKeys) -> rusqlite::Result<()> {
        let k = keys.key.k;
        let times = self.from..self.to;
        let is_open = self.to == i64::MAX;
        if let Some(new) = &keys.new {
            latest::hand_over(edit, (k, new.k), &times)?;
            latest::offer_stored(edit, new)?;
        }
        latest::refresh(edit, &keys.key, &times)?;
        let is_left: bool = edit.transaction.query_row(
            "SELECT EXISTS (SELECT 1 FROM hourly WHERE k = ?1) \
             OR EXISTS (SELECT 1 FROM daily WHERE k = ?1) \
             OR EXISTS (SELECT 1 FROM latest WHERE k = ?1)",
            [k],
            |row| row.get(0),
        )?;
        if let Some(new) = &keys.new
            && (is_open || !is_left)
        {
            give_forecast(edit, &keys.key.key, &new.key)?;
        }
        // What is ahead of times that have an end is not within them.
        if is_left || (!is_open && has_forecast(edit, &keys.key.key)?) {
            return Ok(());
        }
        edit.transaction
            .execute("DELETE FROM forecast WHERE key = ?1", [&keys.key.key])?;
        edit.transaction
            .execute("DELETE FROM keys WHERE k = ?1", [k])?;
        Ok(())
    }
}

/// Gives what is stored ahead of a key to another one, where that has none of its own.
fn give_forecast(edit: &Edit<'_>, old: &str, new: &str) -> rusqlite::Result<()> {
    for sql in [
        "DELETE FROM forecast WHERE key = ?1 AND EXISTS (SELECT 1 FROM forecast WHERE key = ?2)",
        "UPDATE forecast SET key = ?2 WHERE key = ?1",
    ] {
        edit.transaction.execute(sql, params![old, new])?;
    }
    Ok(())
}

fn has_forecast(edit: &Edit<'_>, key: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM forecast WHERE key = ?1)";
    edit.transaction.query_row(sql, [key], |row| row.get(0))
}

/// An hour of the key that readings are given to.
struct OtherHour {
    rollup: HourRollup,
    rows: Vec<StoredRow>,
}

impl OtherHour {
    /// Whether it has rows and more than those.
    fn is_mixed(&self) -> bool {
        self.rollup.has_rows() && counts_more_than(&self.rollup, &self.rows)
    }
}

fn read_other(edit: &Edit<'_>, new: &StoredKey, hour: i64) -> rusqlite::Result<Option<OtherHour>> {
    let Some(rollup) = edit.hour(hour, new.k)? else {
        return Ok(None);
    };
    let rows = if rollup.has_rows() {
        edit.rows(new, hour, &rollup)?
    } else {
        Vec::new()
    };
    Ok(Some(OtherHour { rollup, rows }))
}

/// Edits a whole hour whose rollup knows of more than its rows: they are being deleted, or are, or an hour
/// without rows was added to it.
fn edit_whole_hour(
    edit: &mut Edit<'_>,
    keys: &EditedKeys,
    (hour, found): (i64, &HourRollup),
    (rows, through_id): (Vec<StoredRow>, i64),
) -> rusqlite::Result<()> {
    if let Some(new) = &keys.new {
        edit.rename_rows((&keys.key, new), hour, found)?;
        edit.delete_hour(hour, keys.key.k)?;
        return edit.add_to_hour(hour, new.k, found);
    }
    let (deleted, left): (Vec<StoredRow>, Vec<StoredRow>) =
        rows.into_iter().partition(|row| row.id <= through_id);
    edit.delete_ids(&deleted)?;
    // Of a clock that is not set rows may still come into an hour before all.
    edit.write_rollup(keys.key.k, hour, &left)
}
