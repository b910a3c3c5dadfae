//! CSV as the input of an import: a header, columns by name, separated by commas, semicolons or tabs.

use csv::ByteRecord;
use rusqlite::types::ValueRef;

use super::StageError;
use super::input::{Lines, sample};
use super::input_row::{InputRow, InputSummary};
use super::stager::Stager;
use crate::domain::csv_field::is_escaped_formula;
use crate::domain::normalise::parse_quantity;
use crate::domain::plan::Decimal;

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
    let delimiter = delimiter_of(&lines.first);
    let Lines {
        reader,
        meter,
        bytes,
        ..
    } = lines;
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(reader);
    stager.place_name = "line";
    stager.report.kind = "CSV".to_owned();
    let mut record = ByteRecord::new();
    let mut columns: Option<Columns> = None;
    loop {
        let line = reader.position().line();
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => return Err(failed(format!("line {line}: {}", describe(&error)))),
        }
        meter.end_record();
        let line = record.position().map_or(line, csv::Position::line);
        let place = i64::try_from(line).unwrap_or(i64::MAX);
        let Some(columns) = &columns else {
            let found = Columns::of(&record, delimiter).map_err(failed)?;
            stager.report.notes.extend(found.note.clone());
            columns = Some(found);
            continue;
        };
        stager.position = bytes.map(|all| (meter.bytes(), all));
        if !columns.fits(&record) {
            stager.take_broken(place, record.as_slice())?;
            continue;
        }
        stager.take(&columns.row(place, &record))?;
    }
}

/// The delimiter that the header has most of.
fn delimiter_of(header: &[u8]) -> u8 {
    let count = |delimiter: &u8| header.iter().filter(|byte| *byte == delimiter).count();
    // Of several the last counts.
    [b'\t', b';', b',']
        .into_iter()
        .max_by_key(count)
        .unwrap_or(b',')
}

fn describe(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Io(error) => crate::sys::os_error::reason(error),
        _ => error.to_string(),
    }
}

/// Where the columns are.
struct Columns {
    /// Index in the record, in the order of [`COLUMNS`].
    at: [Option<usize>; COLUMNS.len()],
    count: usize,
    /// Fields that a record has at least.
    least: usize,
    has_decimal_comma: bool,
    /// Whether blanks around fields are no part of them, as in `timestamp, key, value`.
    has_blanks: bool,
    note: Option<String>,
}

impl Columns {
    /// From the header; the error is a text to follow a colon.
    fn of(header: &ByteRecord, delimiter: u8) -> Result<Columns, String> {
        let names: Vec<String> = header
            .iter()
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
                sample(&names.join(" "))
            ));
        }
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
            has_decimal_comma: delimiter == b';',
            has_blanks: header.iter().any(|name| name != name.trim_ascii()),
            note: (!unknown.is_empty()).then(|| super::ignored_columns(&unknown)),
        })
    }

    fn fits(&self, record: &ByteRecord) -> bool {
        (self.least..=self.count).contains(&record.len())
    }

    fn row<'r>(&self, place: i64, record: &'r ByteRecord) -> InputRow<'r> {
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
        let number = |cell| self.number(cell);
        let summary = (seconds != ValueRef::Null).then(|| InputSummary {
            seconds,
            count,
            min: number(min),
            max: number(max),
            last: number(last),
        });
        InputRow {
            text: original_text(text),
            unit: original_text(unit),
            is_untrusted: clock == ValueRef::Text(b"untrusted"),
            summary,
            ..InputRow::of(place, time, original_text(key), number(value), meta)
        }
    }

    /// With semicolons between fields a number may have a decimal comma.
    fn number<'r>(&self, cell: ValueRef<'r>) -> ValueRef<'r> {
        let ValueRef::Text(bytes) = cell else {
            return cell;
        };
        if !self.has_decimal_comma || !bytes.contains(&b',') {
            return cell;
        }
        let text = std::str::from_utf8(bytes).ok();
        let read = text.and_then(|text| parse_quantity(text, Some(Decimal::Comma)).ok());
        match read {
            Some(read) if read.unit.is_empty() => ValueRef::Real(read.number),
            _ => cell,
        }
    }
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
