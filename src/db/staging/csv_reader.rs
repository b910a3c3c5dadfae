//! Records of a CSV file with the lines where they stand, and quotes that are never closed.
//!
//! The crate `csv` gives a field that is never closed all the rest of the file. So a mark stands behind the
//! file: where it arrives within a field, the field was open.

use std::io::{Chain, Cursor, Read};

use csv::{ByteRecord, Terminator};

use crate::sys::os_error::reason;

/// No text has it.
const END_MARK: &[u8] = b"\n\0";

pub struct CsvReader<R> {
    reader: csv::Reader<Chain<R, Cursor<&'static [u8]>>>,
    format: CsvFormat,
}

/// How a file separates fields and records.
#[derive(Debug, Clone, Copy)]
pub struct CsvFormat {
    pub delimiter: u8,
    /// Whether lines end with CR LF, not LF alone.
    pub has_returns: bool,
}

/// One record. Its memory is used again.
#[derive(Debug, Default)]
pub struct CsvRecord {
    /// Of the file, from 1, where it begins.
    pub line: u64,
    /// Lines that it stands on.
    pub lines: u64,
    fields: ByteRecord,
    has_returns: bool,
}

impl<R: Read> CsvReader<R> {
    pub fn new(input: R, format: CsvFormat) -> CsvReader<R> {
        CsvReader {
            reader: csv::ReaderBuilder::new()
                .delimiter(format.delimiter)
                .terminator(Terminator::Any(b'\n'))
                .has_headers(false)
                .flexible(true)
                .from_reader(input.chain(Cursor::new(END_MARK))),
            format,
        }
    }

    /// The next record; false where there is none. The error is a text to follow a colon.
    pub fn read(&mut self, record: &mut CsvRecord) -> Result<bool, String> {
        record.has_returns = self.format.has_returns;
        loop {
            let begin = self.reader.position().line();
            match self.reader.read_byte_record(&mut record.fields) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) => return Err(format!("line {begin}: {}", describe(&error))),
            }
            let breaks = record
                .fields
                .as_slice()
                .iter()
                .filter(|byte| **byte == b'\n');
            record.lines = breaks.count() as u64 + 1;
            // Blank lines before it are skipped.
            record.line = (self.reader.position().line()).saturating_sub(record.lines);
            let last = record.fields.iter().next_back().unwrap_or_default();
            if last == &END_MARK[1..] && record.fields.len() == 1 {
                return Ok(false);
            }
            if last.ends_with(END_MARK) {
                // No end of a line comes behind it.
                let line = record.line + 1;
                return Err(format!(
                    "line {line}: a quote is opened and never closed; close it. One that belongs to the text \
                     is written twice, in a field in quotes"
                ));
            }
            if record.len() > 1 || record.get(0) != Some(b"") {
                return Ok(true);
            }
        }
    }

    /// A record as the file has it, but for quotes.
    pub fn join(&self, record: &CsvRecord) -> Vec<u8> {
        let fields: Vec<&[u8]> = record.fields().collect();
        fields.join(&self.format.delimiter)
    }
}

impl CsvRecord {
    /// Its number of fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    pub fn get(&self, field: usize) -> Option<&[u8]> {
        let found = self.fields.get(field)?;
        let is_end_of_line = self.has_returns && field + 1 == self.len();
        let without = found.strip_suffix(b"\r").filter(|_| is_end_of_line);
        Some(without.unwrap_or(found))
    }

    pub fn fields(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|field| self.get(field))
    }
}

fn describe(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Io(error) => reason(error),
        _ => error.to_string(),
    }
}

#[cfg(test)]
#[path = "tests/csv_reader.rs"]
mod tests;
