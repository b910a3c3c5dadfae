//! Export of stored readings as CSV or JSON lines.
//!
//! Runs on the thread of the command that asks, with a connection that cannot write. Memory
//! does not grow with the database: hours are read in parts, each in a transaction of its
//! own, so that the writer's log does not grow meanwhile either.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::periods::{DAY, HOUR, second_of_hour};
use super::rollup::{self, Aggregate};
use super::row_codec::{decode_is_untrusted, decode_value};
use super::tiers::Tiers;
use super::{connection, error};
use crate::domain::reading::{Value, round_computed};
use crate::domain::text::format_number;
use crate::domain::time::Wall;
use crate::limits;
use crate::sys::os_error::reason;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    Csv,
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
}

/// Why an export ended early.
#[derive(Debug)]
pub enum ExportError {
    /// Keys that were never stored, and those that were.
    UnknownKeys { unknown: Vec<String>, path: String },
    /// It cannot be opened.
    Source { path: String, detail: String },
    /// It cannot be read to its end.
    Database(String),
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
            ExportError::Source { path, detail } => {
                write!(f, "the database {path} cannot be read: {detail}")
            }
            ExportError::Database(detail) => write!(f, "the database cannot be read: {detail}"),
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

/// Writes the rows of `query`, oldest first: rows as far back as rows are kept, hours before
/// that, days before those. Rows that were corrected are left out. Returns how many lines of data
/// there are.
pub fn export(
    database: &Path,
    query: &ExportQuery,
    format: ExportFormat,
    out: &mut impl Write,
) -> Result<u64, ExportError> {
    let connection =
        connection::open_for_command(database).map_err(|detail| ExportError::Source {
            path: database.display().to_string(),
            detail,
        })?;
    let mut export = ExportJob {
        keys: keys(&connection, query, database)?,
        connection,
        from: query.from.map_or(i64::MIN, Wall::second),
        to: query.to.map_or(i64::MAX, Wall::second),
        format,
        out,
        lines: 0,
    };
    if format == ExportFormat::Csv {
        export.out.write_all(HEADER.as_bytes())?;
    }
    let tiers = Tiers::read(&export.connection)?;
    let summed_up = tiers.daily_until.unwrap_or(i64::MIN / DAY);
    let days_until = summed_up.min(tiers.hourly_from.div_euclid(24));
    export.days(days_until)?;
    export.hours(days_until.saturating_mul(24), tiers.raw_from)?;
    export.rows(tiers.raw_from.max(days_until.saturating_mul(24)))?;
    export.out.flush()?;
    Ok(export.lines)
}

/// `seconds`, `count`, `min`, `max` and `last` are for what is left of many rows: `value`
/// is their mean then.
const HEADER: &str = "timestamp,key,value,unit,text,clock,seconds,count,min,max,last\r\n";

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
    keys: HashMap<i64, Arc<ExportKey>>,
    /// Seconds: inclusive, exclusive.
    from: i64,
    to: i64,
    format: ExportFormat,
    out: &'a mut W,
    lines: u64,
}

/// One line.
struct ExportLine<'a> {
    at: i64,
    key: &'a ExportKey,
    value: Value,
    untrusted: bool,
    /// Of what is left of many rows: their span and summary.
    aggregate: Option<(i64, Aggregate)>,
}

impl<W: Write> ExportJob<'_, W> {
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

    fn rows(&mut self, from: i64) -> Result<(), ExportError> {
        let mut hour = self.from.div_euclid(HOUR).max(from);
        loop {
            let next: Option<i64> = self.first("hourly", "hour", hour, self.end(HOUR))?;
            let Some(found) = next else {
                return Ok(());
            };
            let (first, last): (i64, i64) = self.connection.query_row(
                "SELECT min(first_id), max(last_id) FROM hourly WHERE hour = ?1",
                [found],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            // An hour of very many rows is held in parts.
            let parts = (1 + last.saturating_sub(first) / limits::EXPORT_ROWS).min(HOUR);
            let seconds = HOUR.div_euclid(parts).max(1);
            for part in (0..HOUR).step_by(seconds.unsigned_abs() as usize) {
                let begin = found.saturating_mul(HOUR).saturating_add(part);
                let end = begin.saturating_add(seconds.min(HOUR - part));
                self.write_rows(first, last, begin.max(self.from), end.min(self.to))?;
            }
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
                    at,
                    key: &key,
                    value: Value::Number(round_computed(summary.mean)),
                    untrusted: false,
                    aggregate: Some((seconds, *summary)),
                })?;
            }
        }
        Ok(())
    }

    fn write_rows(
        &mut self,
        first: i64,
        last: i64,
        begin: i64,
        end: i64,
    ) -> Result<(), ExportError> {
        let by_name: HashMap<&str, i64> = self
            .keys
            .iter()
            .map(|(k, key)| (key.key.as_str(), *k))
            .collect();
        // By second and key; of one identity the highest id comes last and stays.
        let mut held: BTreeMap<(i64, i64), (Value, bool)> = BTreeMap::new();
        let mut statement = self.connection.prepare_cached(
            "SELECT timestamp, key, value, meta FROM records WHERE id BETWEEN ?1 AND ?2 \
             AND timestamp >= ?3 AND timestamp < ?4 ORDER BY id",
        )?;
        let mut rows = statement.query(params![
            first,
            last,
            Wall::from_second(begin).to_string(),
            Wall::from_second(end).to_string()
        ])?;
        while let Some(row) = rows.next()? {
            let Some(k) = by_name.get(row.get_ref(1)?.as_str().unwrap_or("")) else {
                continue;
            };
            let at = second_of_hour(row.get_ref(0)?.as_str().unwrap_or(""));
            // Damaged rows are skipped.
            let (Ok(number), Ok(meta)) = (row.get(2), row.get::<_, Option<String>>(3)) else {
                continue;
            };
            if let Some(value) = decode_value(number, meta.as_deref()) {
                let untrusted = decode_is_untrusted(meta.as_deref());
                held.insert((at, *k), (value, untrusted));
            }
        }
        drop(rows);
        drop(statement);
        let hour = begin.div_euclid(HOUR) * HOUR;
        for ((at, k), (value, untrusted)) in held {
            if let Some(key) = self.keys.get(&k).cloned() {
                self.write(&ExportLine {
                    at: hour.saturating_add(at),
                    key: &key,
                    value,
                    untrusted,
                    aggregate: None,
                })?;
            }
        }
        Ok(())
    }

    fn write(&mut self, line: &ExportLine) -> io::Result<()> {
        self.lines += 1;
        match self.format {
            ExportFormat::Csv => write_csv(self.out, line),
            ExportFormat::JsonLines => write_json(self.out, line),
        }
    }
}

fn write_csv(out: &mut impl Write, line: &ExportLine) -> io::Result<()> {
    let number = |value: Option<f64>| value.map(format_number).unwrap_or_default();
    let sum = line.aggregate.map(|(seconds, summary)| {
        [
            seconds.to_string(),
            summary.count.to_string(),
            format_number(summary.min),
            format_number(summary.max),
            format_number(summary.last),
        ]
    });
    let head = [
        Wall::from_second(line.at).to_string(),
        csv_text(&line.key.key),
        number(line.value.number()),
        csv_text(line.key.unit.as_deref().unwrap_or_default()),
        csv_text(line.value.text().unwrap_or_default()),
        if line.untrusted { "untrusted" } else { "" }.to_owned(),
    ];
    let fields: Vec<String> = head.into_iter().chain(sum.unwrap_or_default()).collect();
    write!(out, "{}\r\n", fields.join(","))
}

/// A text field. A spreadsheet runs a cell that begins with one of these signs as a formula,
/// and keys and texts come from servers: an apostrophe in front makes it text (CSV injection).
/// What begins with apostrophes before such a sign gets one too, so that taking one away
/// always gives the original. A text that is a number is harmless and stays one.
fn csv_text(text: &str) -> String {
    let begin = text.trim_start_matches('\'');
    let is_formula = begin.starts_with(['\t', '\r', '\n'])
        || begin.trim_start().starts_with([
            '=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
        ]);
    let is_number = || {
        let digits = text.bytes().all(|byte| b"0123456789+-.eE".contains(&byte));
        digits && text.parse::<f64>().is_ok()
    };
    if is_formula && !is_number() {
        csv_quote(&format!("'{text}"))
    } else {
        csv_quote(text)
    }
}

/// A field as RFC 4180 wants it.
fn csv_quote(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn write_json(out: &mut impl Write, line: &ExportLine) -> io::Result<()> {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let mut json = format!(
        "{{\"timestamp\":\"{}\",\"key\":{},\"value\":{}",
        Wall::from_second(line.at),
        text(&line.key.key),
        line.value.number().map_or("null".to_owned(), format_number)
    );
    if let Some(unit) = &line.key.unit {
        json += &format!(",\"unit\":{}", text(unit));
    }
    if let Some(text_value) = line.value.text() {
        json += &format!(",\"text\":{}", text(text_value));
    }
    if line.untrusted {
        json += ",\"clock\":\"untrusted\"";
    }
    if let Some((seconds, s)) = &line.aggregate {
        json += &format!(
            ",\"seconds\":{seconds},\"count\":{},\"min\":{},\"max\":{},\"last\":{}",
            s.count,
            format_number(s.min),
            format_number(s.max),
            format_number(s.last)
        );
    }
    writeln!(out, "{json}}}")
}

#[cfg(test)]
#[path = "tests/export.rs"]
mod tests;
