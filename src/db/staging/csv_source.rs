//! CSV as the input of an import: a header, columns by name, separated by commas, semicolons or tabs.

use rusqlite::types::ValueRef;

use super::StageError;
use super::csv_reader::{CsvFormat, CsvReader, CsvRecord};
use super::input::{Lines, sample};
use super::input_row::{InputRow, InputSummary};
use super::number_style::NumberStyle;
use super::stager::Stager;
use crate::domain::csv_field::is_escaped_formula;

/// Columns, of which the first three are required.
const COLUMNS: [&str; 12] = [
    "timestamp",
    "key",
    "value",
    "unit",
    "text",
    "clock",
    "seconds",
    "count",
    "min",
    "max",
    "last",
    "meta",
];
const REQUIRED: usize = 3;
/// Written by exports; which row is the last one of an observation is told by their order.
const IGNORED: &str = "id";

/// Hands all rows to the stager. `failed` makes an error of a text about the input.
pub fn read(
    lines: Lines,
    stager: &mut Stager,
    failed: &dyn Fn(String) -> StageError,
) -> Result<(), StageError> {
    let has_returns = lines.first.ends_with(b"\r");
    let first = lines.first.trim_ascii_end();
    if first.contains(&b'\r') {
        let advice =
            "its lines end with CR alone; as a pipe: `tr '\\r' '\\n' <FILE | main-node import -`";
        return Err(failed(advice.to_owned()));
    }
    let declared = declared_delimiter(first);
    let delimiter = declared.unwrap_or_else(|| delimiter_of(first));
    let Lines {
        reader,
        meter,
        bytes,
        ..
    } = lines;
    let format = CsvFormat {
        delimiter,
        has_returns,
    };
    let mut reader = CsvReader::new(reader, format);
    stager.place_name = "line";
    stager.report.kind = "CSV".to_owned();
    if delimiter == b';' && stager.numbers == NumberStyle::Plain {
        stager.numbers = NumberStyle::Spreadsheet;
    }
    let mut record = CsvRecord::default();
    if declared.is_some() {
        reader.read(&mut record).map_err(failed)?;
    }
    let mut columns: Option<Columns> = None;
    while reader.read(&mut record).map_err(failed)? {
        meter.end_record();
        let place = i64::try_from(record.line).unwrap_or(i64::MAX);
        let Some(columns) = &columns else {
            let line = reader.join(&record);
            let found = Columns::of(&record, &line).map_err(failed)?;
            stager.report.notes.extend(found.note.clone());
            columns = Some(found);
            continue;
        };
        stager.position = bytes.map(|all| (meter.bytes(), all));
        columns.check_quotes(&record).map_err(failed)?;
        if !columns.fits(&record) {
            stager.take_broken(place, &reader.join(&record))?;
            continue;
        }
        stager.take(&columns.row(place, &record))?;
    }
    Ok(())
}

/// Delimiters; of several that a header has as often the last is taken.
const DELIMITERS: [u8; 3] = [b'\t', b';', b','];

/// The delimiter that a line before the header names, as Excel reads and writes it: `sep=;`.
fn declared_delimiter(first: &[u8]) -> Option<u8> {
    let quoted = first
        .strip_prefix(b"\"")
        .and_then(|it| it.strip_suffix(b"\""));
    let (name, delimiter) = quoted.unwrap_or(first).split_at_checked(4)?;
    match delimiter {
        [delimiter] if name.eq_ignore_ascii_case(b"sep=") => {
            Some(*delimiter).filter(|it| DELIMITERS.contains(it))
        }
        _ => None,
    }
}

/// The delimiter that the header has most of.
fn delimiter_of(header: &[u8]) -> u8 {
    let count = |delimiter: &u8| header.iter().filter(|byte| *byte == delimiter).count();
    DELIMITERS.into_iter().max_by_key(count).unwrap_or(b',')
}

/// Where the columns are.
struct Columns {
    /// Index in the record, in the order of [`COLUMNS`].
    at: [Option<usize>; COLUMNS.len()],
    count: usize,
    /// Fields that a record has at least.
    least: usize,
    /// Whether blanks around fields are no part of them, as in `timestamp, key, value`.
    has_blanks: bool,
    note: Option<String>,
}

impl Columns {
    /// From the header; the error is a text to follow a colon.
    fn of(header: &CsvRecord, line: &[u8]) -> Result<Columns, String> {
        let names: Vec<String> = header
            .fields()
            .map(|name| String::from_utf8_lossy(name).trim().to_owned())
            .collect();
        let at = COLUMNS.map(|column| names.iter().position(|it| it.eq_ignore_ascii_case(column)));
        let missing: Vec<&str> = COLUMNS
            .iter()
            .zip(at)
            .take(REQUIRED)
            .filter_map(|(column, at)| at.is_none().then_some(*column))
            .collect();
        if !missing.is_empty() {
            return Err(format!(
                "expected a first line that names the columns, such as `timestamp,key,value`, \
                 found no {} in the first line: {}",
                missing.join(" and no "),
                sample(&String::from_utf8_lossy(line))
            ));
        }
        check_twice(&names)?;
        let unknown: Vec<String> = names
            .iter()
            .filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case(IGNORED))
            .filter(|name| !COLUMNS.iter().any(|it| name.eq_ignore_ascii_case(it)))
            .map(|name| sample(name))
            .collect();
        let required = at.iter().take(REQUIRED).flatten().max();
        Ok(Columns {
            at,
            count: names.len(),
            least: required.map_or(0, |last| last + 1),
            has_blanks: header.fields().any(|name| name != name.trim_ascii()),
            note: (!unknown.is_empty()).then(|| super::ignored_columns(&unknown)),
        })
    }

    fn fits(&self, record: &CsvRecord) -> bool {
        (self.least..=self.count).contains(&record.len())
    }

    /// An open quote takes in other rows: the row has too many fields or too few, or lines end in a column
    /// that is no text.
    fn check_quotes(&self, record: &CsvRecord) -> Result<(), String> {
        let texts = COLUMNS.iter().zip(self.at);
        let mut others = texts.filter(|(column, _)| !["text", "meta"].contains(column));
        let is_taken = |at: Option<usize>| {
            let field = at.and_then(|at| record.get(at)).unwrap_or_default();
            field.contains(&b'\n')
        };
        let is_sound =
            record.lines == 1 || (self.fits(record) && !others.any(|(_, at)| is_taken(at)));
        if is_sound {
            return Ok(());
        }
        Err(format!(
            "line {}: a field in quotes goes on to line {}; is a quote not closed? Line breaks are read in the \
             columns text and meta",
            record.line,
            record.line + record.lines - 1
        ))
    }

    fn row<'r>(&self, place: i64, record: &'r CsvRecord) -> InputRow<'r> {
        let [
            time,
            key,
            value,
            unit,
            text,
            clock,
            seconds,
            count,
            min,
            max,
            last,
            meta,
        ] = self.at.map(|at| match at.and_then(|at| record.get(at)) {
            Some(field) if self.has_blanks => field_cell(field.trim_ascii()),
            Some(field) => field_cell(field),
            None => ValueRef::Null,
        });
        let summary = (seconds != ValueRef::Null).then_some(InputSummary {
            seconds,
            count,
            min,
            max,
            last,
        });
        InputRow {
            text: original_text(text),
            unit: original_text(unit),
            is_untrusted: clock == ValueRef::Text(b"untrusted"),
            summary,
            ..InputRow::of(place, time, original_text(key), value, meta)
        }
    }
}

/// Refuses a column that the header names twice: which one is meant is not known.
fn check_twice(names: &[String]) -> Result<(), String> {
    for column in COLUMNS {
        let mut places = (1..)
            .zip(names)
            .filter(|(_, name)| name.eq_ignore_ascii_case(column));
        if let (Some((first, _)), Some((second, _))) = (places.next(), places.next()) {
            return Err(format!(
                "the first line names the column {column} twice, as column {first} and as column {second}; \
                 give one of them another name"
            ));
        }
    }
    Ok(())
}

/// CSV does not tell an empty text from nothing.
fn field_cell(field: &[u8]) -> ValueRef<'_> {
    match field {
        b"" => ValueRef::Null,
        field => ValueRef::Text(field),
    }
}

/// Without the apostrophe that an export puts before what a spreadsheet would run.
fn original_text(cell: ValueRef) -> ValueRef {
    match cell {
        ValueRef::Text(bytes) if std::str::from_utf8(bytes).is_ok_and(is_escaped_formula) => {
            ValueRef::Text(&bytes[1..])
        }
        cell => cell,
    }
}
