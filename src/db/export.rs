//! Export of stored readings as CSV or JSON lines.
//!
//! Runs on the thread of the command that asks, with a connection that cannot write. Memory
//! does not grow with the database: hours are read in parts, each in a transaction of its
//! own, so that the writer's log does not grow meanwhile either.

mod arrivals;
mod hours;
mod line;
mod local_days;

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;
use rusqlite::{Connection, OptionalExtension};

use self::line::{ExportLine, RowContent};
use super::database::last_id;
use super::history::HistoryError;
use super::periods::{DAY, HOUR};
use super::rollup::{self, Aggregate};
use super::tiers::Tiers;
use super::{connection, error};
use crate::domain::reading::{Value, round_computed};
use crate::domain::time::Wall;
use crate::sys::os_error::reason;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// With an apostrophe before texts that a spreadsheet would run as a formula.
    Csv,
    /// With texts as they are.
    PlainCsv,
    /// As `Csv`, and with a column of what else a row says, so that an import gives the same row.
    CompleteCsv,
    JsonLines,
}

/// What to export. No keys means all; no bound means from the first, or to the last.
#[derive(Debug, Clone, Default)]
pub struct ExportQuery {
    pub keys: Vec<String>,
    /// Inclusive.
    pub from: Option<Wall>,
    /// Exclusive.
    pub to: Option<Wall>,
    pub content: ExportContent,
}

/// What the lines of an export are.
#[derive(Debug, Clone, Default)]
pub enum ExportContent {
    /// Oldest first: rows as far back as rows are kept, hours before that, days before those. Of
    /// rows that were corrected the last. An hour that has lost its rows is a line of its own.
    #[default]
    Readings,
    /// A summary for each key and day of a time zone that the span has a part of.
    LocalDays(TimeZone),
    /// Rows with a higher id, in the order of their ids, corrected ones included.
    Arrivals { after: i64 },
}

/// What was exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exported {
    /// Lines of data.
    pub lines: u64,
    /// The highest id that was given to a row before the export began.
    pub through_id: i64,
}

/// Why an export ended early.
#[derive(Debug)]
pub enum ExportError {
    /// Keys that were never stored, and those that were.
    UnknownKeys { unknown: Vec<String>, path: String },
    /// No row was ever given the id after which rows were asked for.
    UnknownId {
        after: i64,
        newest: i64,
        path: String,
    },
    /// It cannot be opened.
    Source { path: String, detail: String },
    /// It cannot be read to its end.
    Database(String),
    /// Its days cannot be read to their end.
    Days(HistoryError),
    /// The reader of the output went away, or its disk is full.
    Output(io::Error),
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExportError::UnknownKeys { unknown, path } => write!(
                f,
                "{path} has no reading of {}; without --key all keys are exported",
                unknown.join(", ")
            ),
            ExportError::UnknownId {
                after,
                newest,
                path,
            } => write!(
                f,
                "--after {after}: expected an id of this database, whose newest row has {newest}. \
                 {path} is not the database that the id was noted of: begin again with --after 0"
            ),
            ExportError::Source { path, detail } => {
                write!(f, "the database {path} cannot be read: {detail}")
            }
            ExportError::Database(detail) => write!(f, "the database cannot be read: {detail}"),
            ExportError::Days(error) => error.fmt(f),
            ExportError::Output(error) => {
                write!(f, "the export cannot be written: {}", reason(error))
            }
        }
    }
}

impl std::error::Error for ExportError {}

impl From<rusqlite::Error> for ExportError {
    fn from(error: rusqlite::Error) -> ExportError {
        ExportError::Database(error::describe(&error))
    }
}

impl From<io::Error> for ExportError {
    fn from(error: io::Error) -> ExportError {
        ExportError::Output(error)
    }
}

/// Writes what `query` asks for.
pub fn export(
    database: &Path,
    query: &ExportQuery,
    format: ExportFormat,
    out: &mut impl Write,
) -> Result<Exported, ExportError> {
    let connection =
        connection::open_for_command(database).map_err(|detail| ExportError::Source {
            path: database.display().to_string(),
            detail,
        })?;
    let through_id = last_id(&connection)?;
    let keys = keys(&connection, query, database)?;
    let mut export = ExportJob {
        by_name: keys.iter().map(|(k, key)| (key.key.clone(), *k)).collect(),
        keys,
        connection,
        from: query.from.map_or(i64::MIN, Wall::second),
        to: query.to.map_or(i64::MAX, Wall::second),
        format,
        out,
        lines: 0,
    };
    match &query.content {
        ExportContent::Readings => {
            line::write_header(export.out, format, false)?;
            export.readings()?;
        }
        ExportContent::LocalDays(zone) => {
            line::write_header(export.out, format, false)?;
            export.local_days(zone)?;
        }
        ExportContent::Arrivals { after } if *after > through_id => {
            return Err(ExportError::UnknownId {
                after: *after,
                newest: through_id,
                path: database.display().to_string(),
            });
        }
        ExportContent::Arrivals { after } => {
            line::write_header(export.out, format, true)?;
            export.arrivals(*after, through_id)?;
        }
    }
    export.out.flush()?;
    Ok(Exported {
        lines: export.lines,
        through_id,
    })
}

struct ExportKey {
    key: String,
    unit: Option<String>,
}

fn keys(
    connection: &Connection,
    query: &ExportQuery,
    database: &Path,
) -> Result<HashMap<i64, Arc<ExportKey>>, ExportError> {
    let mut statement = connection.prepare("SELECT k, key, unit FROM keys")?;
    let keys = statement.query_map([], |row| {
        let key = ExportKey {
            key: row.get(1)?,
            unit: error::readable(row.get(2))?.flatten(),
        };
        Ok((row.get(0)?, Arc::new(key)))
    })?;
    let mut found: HashMap<i64, Arc<ExportKey>> = HashMap::new();
    for key in keys {
        found.extend(error::readable(key)?);
    }
    let mut keys = found;
    let is_known = |wanted: &&String| keys.values().any(|key| key.key == **wanted);
    let (_, unknown): (Vec<&String>, Vec<&String>) = query.keys.iter().partition(is_known);
    if !unknown.is_empty() {
        return Err(ExportError::UnknownKeys {
            unknown: unknown.into_iter().cloned().collect(),
            path: database.display().to_string(),
        });
    }
    keys.retain(|_, key| query.keys.is_empty() || query.keys.contains(&key.key));
    Ok(keys)
}

struct ExportJob<'a, W: Write> {
    connection: Connection,
    /// The keys that are exported, by `keys.k`.
    keys: HashMap<i64, Arc<ExportKey>>,
    /// `keys.k` by their names.
    by_name: HashMap<String, i64>,
    /// Seconds: inclusive, exclusive.
    from: i64,
    to: i64,
    format: ExportFormat,
    out: &'a mut W,
    lines: u64,
}

impl<W: Write> ExportJob<'_, W> {
    /// All tiers, each where there is no finer one.
    fn readings(&mut self) -> Result<(), ExportError> {
        let tiers = Tiers::read(&self.connection)?;
        let summed_up = tiers.daily_until.unwrap_or(i64::MIN / DAY);
        let days_until = summed_up.min(tiers.hourly_from.div_euclid(24));
        self.days(days_until)?;
        let first_hour = days_until.saturating_mul(24);
        self.hours(first_hour, tiers.raw_from)?;
        self.raw_hours(tiers.raw_from.max(first_hour))
    }

    fn days(&mut self, until: i64) -> Result<(), ExportError> {
        let mut day = self.from.div_euclid(DAY);
        loop {
            // One day of all keys at a time is what is held in memory.
            let next: Option<i64> = self.first("daily", "day", day, until.min(self.end(DAY)))?;
            let Some(found) = next else {
                return Ok(());
            };
            let sums = self.aggregates(
                "SELECT count, min, mean, max, last, 0, k FROM daily WHERE day = ?1 ORDER BY k",
                found,
            )?;
            self.write_aggregates(found.saturating_mul(DAY), DAY, &sums)?;
            day = found + 1;
        }
    }

    fn hours(&mut self, from: i64, until: i64) -> Result<(), ExportError> {
        let mut hour = self.from.div_euclid(HOUR).max(from);
        loop {
            let next: Option<i64> =
                self.first("hourly", "hour", hour, until.min(self.end(HOUR)))?;
            let Some(found) = next else {
                return Ok(());
            };
            let sums = self.aggregates(
                "SELECT count, min, mean, max, last, last_s, k FROM hourly \
                 WHERE hour = ?1 ORDER BY k",
                found,
            )?;
            self.write_aggregates(found.saturating_mul(HOUR), HOUR, &sums)?;
            hour = found + 1;
        }
    }

    /// The tier's unit past the last that is wanted.
    fn end(&self, unit: i64) -> i64 {
        self.to.saturating_sub(1).div_euclid(unit) + 1
    }

    fn first(&self, table: &str, unit: &str, from: i64, to: i64) -> rusqlite::Result<Option<i64>> {
        let sql = format!(
            "SELECT {unit} FROM {table} WHERE {unit} >= ?1 AND {unit} < ?2 ORDER BY {unit} LIMIT 1"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        statement.query_row([from, to], |row| row.get(0)).optional()
    }

    fn aggregates(&self, sql: &str, at: i64) -> rusqlite::Result<Vec<(i64, Aggregate)>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let sums = statement.query_map([at], |row| {
            Ok(rollup::read_aggregate(row)?.map(|summary| (row.get(6), summary)))
        })?;
        let mut found = Vec::new();
        for sum in sums {
            if let Some(Some((Ok(k), summary))) = error::readable(sum)? {
                found.push((k, summary));
            }
        }
        Ok(found)
    }

    fn write_aggregates(
        &mut self,
        at: i64,
        seconds: i64,
        sums: &[(i64, Aggregate)],
    ) -> Result<(), ExportError> {
        for (k, summary) in sums {
            if let Some(key) = self.keys.get(k).cloned() {
                self.write(&ExportLine {
                    timestamp: Wall::from_second(at).to_string(),
                    key: &key,
                    content: mean_of(summary),
                    aggregate: Some((seconds, *summary)),
                    id: None,
                })?;
            }
        }
        Ok(())
    }

    fn write(&mut self, line: &ExportLine) -> io::Result<()> {
        self.lines += 1;
        line::write_line(self.out, self.format, line)
    }
}

/// The mean of what is left of many rows, as a value.
fn mean_of(summary: &Aggregate) -> RowContent {
    RowContent {
        value: Value::Number(round_computed(summary.mean)),
        untrusted: false,
        others: None,
    }
}

#[cfg(test)]
#[path = "tests/export.rs"]
mod tests;
