//! Export of the hours that rows are kept of: their rows, and the summaries of keys that have none
//! there.
//!
//! Runs as the rest of the export does.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::ops::Range;

use rusqlite::params;

use super::line::{ExportLine, RowContent};
use super::{ExportError, ExportJob};
use crate::db::error;
use crate::db::id_ranges::{self, IdRange};
use crate::db::periods::{HOUR, second_of_hour};
use crate::db::rollup::{Aggregate, HourRollup, read_aggregate};
use crate::domain::time::Wall;
use crate::limits;

/// A part of an hour.
struct HourPart {
    /// What is left of rows: of keys with numbers in this hour and without a row.
    summaries: Vec<(i64, Aggregate)>,
    /// By second and key; of one identity the row with the highest id.
    rows: BTreeMap<(i64, i64), RowContent>,
}

impl<W: Write> ExportJob<'_, W> {
    /// Hours from `from` on.
    pub(super) fn raw_hours(&mut self, from: i64) -> Result<(), ExportError> {
        let mut hour = self.from.div_euclid(HOUR).max(from);
        while let Some(found) = self.first("hourly", "hour", hour, self.end(HOUR))? {
            // An hour of very many rows is held in parts.
            let ids = id_ranges::count(&id_ranges(&self.rollups(found)?));
            let parts = (1 + ids / limits::EXPORT_ROWS).min(HOUR);
            let seconds = HOUR.div_euclid(parts).max(1);
            for begin in (0..HOUR).step_by(seconds.unsigned_abs() as usize) {
                let part = self.read_part(found, begin..HOUR.min(begin + seconds))?;
                self.write_part(found, part)?;
            }
            hour = found + 1;
        }
        Ok(())
    }

    /// Reads some seconds of an hour. The transaction ends before anything is written: who reads the
    /// output may take long.
    fn read_part(&self, hour: i64, seconds: Range<i64>) -> rusqlite::Result<HourPart> {
        let _transaction = self.connection.unchecked_transaction()?;
        let rollups = self.rollups(hour)?;
        let ranges = id_ranges(&rollups);
        let rows = self.rows(&ranges, hour, &seconds)?;
        let is_first = seconds.start == 0;
        let with_rows: BTreeSet<i64> = if seconds == (0..HOUR) {
            rows.keys().map(|(_, k)| *k).collect()
        } else if is_first {
            self.keys_with_rows(&ranges, hour)?
        } else {
            BTreeSet::new()
        };
        let summaries = rollups.iter().filter_map(|(k, rollup)| {
            let summary = rollup.aggregate?;
            (is_first && !with_rows.contains(k)).then_some((*k, summary))
        });
        let summaries = summaries.collect();
        Ok(HourPart { summaries, rows })
    }

    fn write_part(&mut self, hour: i64, part: HourPart) -> Result<(), ExportError> {
        let begin = hour.saturating_mul(HOUR);
        self.write_aggregates(begin, HOUR, &part.summaries)?;
        for ((second, k), content) in part.rows {
            let at = begin.saturating_add(second);
            if (self.from..self.to).contains(&at)
                && let Some(key) = self.keys.get(&k).cloned()
            {
                self.write(&ExportLine {
                    timestamp: Wall::from_second(at).to_string(),
                    key: &key,
                    content,
                    aggregate: None,
                    id: None,
                })?;
            }
        }
        Ok(())
    }

    /// The hour of those keys that are exported.
    fn rollups(&self, hour: i64) -> rusqlite::Result<Vec<(i64, HourRollup)>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT count, min, mean, max, last, last_s, k, first_id, last_id FROM hourly \
             WHERE hour = ?1 ORDER BY k",
        )?;
        let rollups = statement.query_map([hour], |row| {
            let rollup = HourRollup {
                aggregate: error::readable(read_aggregate(row))?.flatten(),
                first_id: row.get(7)?,
                last_id: row.get(8)?,
            };
            Ok((row.get(6)?, rollup))
        })?;
        let mut found = Vec::new();
        for rollup in rollups {
            let rollup = error::readable(rollup)?;
            found.extend(rollup.filter(|(k, _)| self.keys.contains_key(k)));
        }
        Ok(found)
    }

    fn rows(
        &self,
        ranges: &[IdRange],
        hour: i64,
        seconds: &Range<i64>,
    ) -> rusqlite::Result<BTreeMap<(i64, i64), RowContent>> {
        let mut held = BTreeMap::new();
        let mut statement = self.connection.prepare_cached(
            "SELECT timestamp, key, value, meta FROM records WHERE id BETWEEN ?1 AND ?2 \
             AND timestamp >= ?3 AND timestamp < ?4 ORDER BY id",
        )?;
        let [begin, end] = timestamps(hour, seconds);
        for (first, last) in ranges {
            let mut rows = statement.query(params![first, last, begin, end])?;
            while let Some(row) = rows.next()? {
                let Some(k) = self.by_name.get(row.get_ref(1)?.as_str().unwrap_or("")) else {
                    continue;
                };
                let second = second_of_hour(row.get_ref(0)?.as_str().unwrap_or(""));
                // Damaged rows are skipped.
                let (Ok(number), Ok(meta)) = (row.get(2), row.get_ref(3)?.as_str_or_null()) else {
                    continue;
                };
                if let Some(content) = RowContent::decode(number, meta) {
                    held.insert((second, *k), content);
                }
            }
        }
        Ok(held)
    }

    fn keys_with_rows(&self, ranges: &[IdRange], hour: i64) -> rusqlite::Result<BTreeSet<i64>> {
        let mut found = BTreeSet::new();
        let mut statement = self.connection.prepare_cached(
            "SELECT DISTINCT key FROM records WHERE id BETWEEN ?1 AND ?2 \
             AND timestamp >= ?3 AND timestamp < ?4",
        )?;
        let [begin, end] = timestamps(hour, &(0..HOUR));
        for (first, last) in ranges {
            let mut rows = statement.query(params![first, last, begin, end])?;
            while let Some(row) = rows.next()? {
                found.extend(self.by_name.get(row.get_ref(0)?.as_str().unwrap_or("")));
            }
        }
        Ok(found)
    }
}

/// Some seconds of an hour as `records` spells them: inclusive, exclusive.
fn timestamps(hour: i64, seconds: &Range<i64>) -> [String; 2] {
    [seconds.start, seconds.end].map(|second| {
        let at = hour.saturating_mul(HOUR).saturating_add(second);
        Wall::from_second(at).to_string()
    })
}

/// The ids that rows of these hours lie among. Hours without rows have none.
fn id_ranges(rollups: &[(i64, HourRollup)]) -> Vec<IdRange> {
    let with_rows = rollups.iter().filter(|(_, hour)| hour.last_id > 0);
    id_ranges::merge(with_rows.map(|(_, hour)| (hour.first_id, hour.last_id)))
}
