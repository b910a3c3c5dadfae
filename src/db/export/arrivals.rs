//! Export of rows in the order of their arrival, so that a script goes on where it ended.
//!
//! Runs as the rest of the export does.

use std::io::Write;

use rusqlite::params;

use super::line::{ExportLine, RowContent};
use super::{ExportError, ExportJob};
use crate::db::periods::second_of;
use crate::domain::time::Wall;
use crate::limits;

/// A row of a key that is exported.
struct Arrival {
    id: i64,
    second: i64,
    k: i64,
    content: RowContent,
}

impl<W: Write> ExportJob<'_, W> {
    /// Writes every row with an id above `after`, up to the newest that there was at the begin.
    pub(super) fn arrivals(&mut self, after: i64, through: i64) -> Result<(), ExportError> {
        let mut next = after;
        while next < through {
            let (read_to, arrivals) = self.read_arrivals(next, through)?;
            for arrival in arrivals {
                self.write_arrival(arrival)?;
            }
            next = read_to;
        }
        Ok(())
    }

    /// Some of the rows behind an id, and the id up to which they were read.
    fn read_arrivals(&self, after: i64, through: i64) -> rusqlite::Result<(i64, Vec<Arrival>)> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, timestamp, key, value, meta FROM records WHERE id > ?1 AND id <= ?2 \
             ORDER BY id LIMIT ?3",
        )?;
        let mut rows = statement.query(params![after, through, limits::EXPORT_ROWS])?;
        let mut read_to = through;
        let (mut count, mut arrivals) = (0, Vec::new());
        while let Some(row) = rows.next()? {
            count += 1;
            let id: i64 = row.get(0)?;
            if count == limits::EXPORT_ROWS {
                read_to = id;
            }
            // Damaged rows are skipped.
            let (Ok(timestamp), Ok(key)) = (row.get_ref(1)?.as_str(), row.get_ref(2)?.as_str())
            else {
                continue;
            };
            let (Some(k), Some(second)) = (self.by_name.get(key), second_of(timestamp)) else {
                continue;
            };
            let meta = row.get_ref(4)?.as_str_or_null().unwrap_or_default();
            let number = row.get(3).unwrap_or_default();
            if (self.from..self.to).contains(&second)
                && let Some(content) = RowContent::decode(number, meta)
            {
                let k = *k;
                arrivals.push(Arrival {
                    id,
                    second,
                    k,
                    content,
                });
            }
        }
        Ok((read_to, arrivals))
    }

    fn write_arrival(&mut self, arrival: Arrival) -> Result<(), ExportError> {
        let Some(key) = self.keys.get(&arrival.k).cloned() else {
            return Ok(());
        };
        self.write(&ExportLine {
            timestamp: Wall::from_second(arrival.second).to_string(),
            key: &key,
            content: arrival.content,
            aggregate: None,
            id: Some(arrival.id),
        })?;
        Ok(())
    }
}
