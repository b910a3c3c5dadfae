//! CSV (RFC 4180) to an array of rows: objects by column name, or arrays if there is no header.
//!
//! Pure.

use csv::{ReaderBuilder, StringRecord, Trim};
use serde_json::{Map, Value as Json};

use super::{FormatError, UniqueNames, ValueBudget, leaf, quote_sample};
use crate::domain::reading::{Issue, Reason};
use crate::domain::text::{count_noun, shorten};
use crate::limits;

/// Parses a text whose last line is whole.
pub fn parse(text: &str) -> Result<(Json, Vec<Issue>), FormatError> {
    let (mut skipped, mut table) = skip_preamble(text);
    let mut delimiter = detect_delimiter(table.lines().next().unwrap_or_default());
    if let Some((named, rest)) = take_delimiter_line(table) {
        (skipped, table, delimiter) = (skipped + 1, rest, named);
    }
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .trim(Trim::All)
        .from_reader(table.as_bytes());
    let mut rows = TableRows::default();
    let mut record = StringRecord::new();
    let mut is_first = true;
    loop {
        let line = skipped + reader.position().line() as usize;
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(_) => return Err(FormatError::malformed(line, "a row of CSV", "")),
        }
        let line = record
            .position()
            .map_or(line, |it| skipped + it.line() as usize);
        let is_last = reader.position().byte() as usize >= table.len();
        if is_last && has_open_quote(&record, table) {
            rows.issues.push(open_quote(line, &record));
        } else if is_annotation(&record) {
            is_first = true;
        } else if std::mem::take(&mut is_first) && is_header(&record)
            || rows.is_header_again(&record)
        {
            rows.set_columns(&record)?;
        } else if record.iter().any(|cell| !cell.is_empty()) {
            rows.add(&record, line)?;
        }
    }
    Ok(rows.finish())
}

/// Skips blank lines, comments and titles in front of the table; also gives their number. A title
/// is a line without a delimiter, where one of the next lines has one.
fn skip_preamble(text: &str) -> (usize, &str) {
    let has_delimiter = |line: &str| delimiters(line).iter().any(|(_, count)| *count > 0);
    let table_begins = |line: &str| has_delimiter(line) && !line.starts_with('#');
    let first = text.lines().take(limits::CSV_TITLE_LINES);
    let has_columns = first.map(str::trim).any(table_begins);
    let (mut skipped, mut rest) = (0, text);
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let line = line.trim();
        let is_title = has_columns && !line.contains([',', ';', '\t', '|']);
        if !line.is_empty() && !line.starts_with('#') && !is_title {
            break;
        }
        (skipped, rest) = (skipped + 1, after);
    }
    (skipped, rest)
}

/// The delimiter that a first line `sep=;` names, as Excel writes it, and the table below it.
fn take_delimiter_line(table: &str) -> Option<(u8, &str)> {
    let (line, rest) = table.split_once('\n')?;
    let name = line.trim_end_matches('\r').strip_prefix("sep=")?;
    match name.as_bytes() {
        [delimiter @ (b',' | b';' | b'\t' | b'|')] => Some((*delimiter, rest)),
        _ => None,
    }
}

/// The delimiter that is most frequent in a line.
pub fn detect_delimiter(line: &str) -> u8 {
    let mut best = (b',', 0);
    for (delimiter, count) in delimiters(line) {
        if count > best.1 {
            best = (delimiter, count);
        }
    }
    best.0
}

/// How often each delimiter is in a line outside quotes. Commas between digits may be decimal
/// commas: they do not count.
fn delimiters(line: &str) -> [(u8, usize); 4] {
    let bytes = line.as_bytes();
    let is_digit = |at: Option<usize>| {
        let byte = at.and_then(|at| bytes.get(at));
        byte.is_some_and(u8::is_ascii_digit)
    };
    let mut counts = [(b';', 0), (b'\t', 0), (b'|', 0), (b',', 0)];
    let mut in_quotes = false;
    for (at, byte) in bytes.iter().enumerate() {
        let is_decimal = *byte == b',' && is_digit(at.checked_sub(1)) && is_digit(Some(at + 1));
        if *byte == b'"' {
            in_quotes = !in_quotes;
        } else if !in_quotes && !is_decimal {
            let known = counts.iter_mut().find(|(delimiter, _)| delimiter == byte);
            if let Some((_, count)) = known {
                *count += 1;
            }
        }
    }
    counts
}

/// Whether the first row names the columns: no cell of it is a number, a date or a time.
fn is_header(record: &StringRecord) -> bool {
    let is_data = |cell: &str| {
        cell.contains(|c: char| c.is_ascii_digit())
            && cell
                .chars()
                .all(|c| c.is_ascii_digit() || " +-.,:/%TZeE".contains(c))
    };
    !record.iter().any(is_data) && record.iter().any(|cell| !cell.is_empty())
}

/// Whether a row annotates the columns of the table below it (InfluxDB's annotated CSV).
fn is_annotation(record: &StringRecord) -> bool {
    let first = record.get(0).unwrap_or_default();
    ["#datatype", "#group", "#default"].contains(&first)
}

/// Whether the quote of the last cell is never closed, so that the cell goes on to the end.
fn has_open_quote(last: &StringRecord, table: &str) -> bool {
    let cell = last.iter().next_back().unwrap_or_default();
    cell.contains(['\n', '\r']) && !table.trim_end().ends_with('"')
}

fn open_quote(line: usize, record: &StringRecord) -> Issue {
    Issue {
        reason: Reason::WrongType,
        key: None,
        pointer: String::new(),
        expected: format!("a closing quote in the row of line {line}"),
        found: quote_sample(record.iter().next_back().unwrap_or_default()),
    }
}

#[derive(Default)]
struct TableRows {
    columns: Option<Vec<String>>,
    rows: Vec<Json>,
    issues: Vec<Issue>,
    /// Rows with more cells than columns; the first is an issue.
    too_long: usize,
    budget: ValueBudget,
}

impl TableRows {
    /// Whether a row is a header: the same one again, or that of InfluxDB's next table.
    fn is_header_again(&self, record: &StringRecord) -> bool {
        let begin = |cells: &[&str]| record.iter().take(3).eq(cells.iter().copied());
        let columns = self.columns.as_deref().unwrap_or_default();
        begin(&["", "result", "table"])
            || columns.len() > 1 && record.iter().eq(columns.iter().map(String::as_str))
    }

    fn set_columns(&mut self, header: &StringRecord) -> Result<(), FormatError> {
        let mut names = UniqueNames::default();
        let mut columns = Vec::new();
        for (index, name) in header.iter().enumerate() {
            // The name is kept twice.
            self.budget.take(2)?;
            let name = match name {
                "" => format!("_{}", index + 1),
                // No key can be longer, and every row repeats it.
                name => shorten(name, limits::KEY_BYTES),
            };
            columns.push(names.unique(name));
        }
        self.columns = Some(columns);
        Ok(())
    }

    fn add(&mut self, record: &StringRecord, line: usize) -> Result<(), FormatError> {
        let Some(columns) = &self.columns else {
            self.budget.take(1 + record.len())?;
            self.rows
                .push(Json::Array(record.iter().map(leaf).collect()));
            return Ok(());
        };
        let mut fields = Map::new();
        self.budget.take(1 + limits::OBJECT_VALUES)?;
        for (name, cell) in columns.iter().zip(record) {
            // A name of many bytes is as large as several values.
            self.budget
                .take(1 + name.len() / limits::VALUE_NAME_BYTES)?;
            fields.insert(name.clone(), leaf(cell));
        }
        if record
            .iter()
            .skip(columns.len())
            .any(|cell| !cell.is_empty())
        {
            self.too_long += 1;
            if self.too_long == 1 {
                self.issues.push(Issue {
                    reason: Reason::WrongType,
                    key: None,
                    pointer: format!("/{}", self.rows.len()),
                    expected: format!("{}, as the header has", count_noun(columns.len(), "cell")),
                    found: format!("{} in line {line}", count_noun(record.len(), "cell")),
                });
            }
        }
        self.rows.push(Json::Object(fields));
        Ok(())
    }

    fn finish(mut self) -> (Json, Vec<Issue>) {
        if self.too_long > 1 {
            let more = count_noun(self.too_long - 1, "more row");
            let first = self.issues.iter_mut().find(|it| !it.pointer.is_empty());
            if let Some(issue) = first {
                issue.found += &format!(" and too many in {more}");
            }
        }
        (Json::Array(self.rows), self.issues)
    }
}

#[cfg(test)]
#[path = "tests/csv.rs"]
mod tests;
