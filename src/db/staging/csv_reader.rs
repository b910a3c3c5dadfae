//! Reader for the records of a CSV file (RFC 4180): their fields, lines and bytes.
//!
//! A quote that is never closed is an error, not a field that has the rest of the file. Quotes within a
//! field that is not in quotes belong to it: `5" pipe`.

use std::io::{self, BufRead};

use crate::sys::os_error::reason;

/// Splits what it reads into records. Lines end with LF, CR LF or CR; blank ones are skipped.
pub struct CsvReader<R> {
    input: R,
    splitter: RecordSplitter,
}

/// One record. Its memory is used again.
#[derive(Debug, Default)]
pub struct CsvRecord {
    /// Of the file, from 1, where it begins.
    pub line: u64,
    /// As the file has it, without the end of the line.
    pub raw: Vec<u8>,
    /// The fields one behind the other, without their quotes.
    content: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
}

impl<R: BufRead> CsvReader<R> {
    pub fn new(input: R, delimiter: u8) -> CsvReader<R> {
        CsvReader {
            input,
            splitter: RecordSplitter {
                delimiter,
                line: 1,
                quote_line: 1,
                is_after_return: false,
                state: QuoteState::BetweenRecords,
            },
        }
    }

    /// The next record; false where there is none. The error is a text to follow a colon.
    pub fn read(&mut self, record: &mut CsvRecord) -> Result<bool, String> {
        record.clear();
        loop {
            let buffer = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let line = self.splitter.begin(record);
                    return Err(format!("line {line}: {}", reason(&error)));
                }
            };
            if buffer.is_empty() {
                return self.splitter.finish(record);
            }
            let mut used = 0;
            let mut is_complete = false;
            for byte in buffer {
                used += 1;
                if self.splitter.take(*byte, record)? {
                    is_complete = true;
                    break;
                }
            }
            self.input.consume(used);
            if is_complete {
                return Ok(true);
            }
        }
    }
}

impl CsvRecord {
    /// Its number of fields.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn get(&self, field: usize) -> Option<&[u8]> {
        let end = *self.ends.get(field)?;
        let start = match field.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.content.get(start..end)
    }

    pub fn fields(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|field| self.get(field))
    }

    fn clear(&mut self) {
        self.raw.clear();
        self.content.clear();
        self.ends.clear();
    }

    fn end_field(&mut self) {
        self.ends.push(self.content.len());
    }
}

/// What a byte means, by those before it.
struct RecordSplitter {
    delimiter: u8,
    /// The line that is read.
    line: u64,
    /// Where the last quoted field begins.
    quote_line: u64,
    is_after_return: bool,
    state: QuoteState,
}

#[derive(Clone, Copy, PartialEq)]
enum QuoteState {
    BetweenRecords,
    FieldStart,
    Unquoted,
    Quoted,
    /// Behind a quote that closes the field, unless another one follows.
    AfterQuote,
}

impl RecordSplitter {
    /// Takes a byte, and tells whether the record ends with it.
    fn take(&mut self, byte: u8, record: &mut CsvRecord) -> Result<bool, String> {
        let is_line_end = matches!(byte, b'\r' | b'\n');
        if self.state == QuoteState::BetweenRecords && !is_line_end {
            record.line = self.line;
            self.state = QuoteState::FieldStart;
        }
        if is_line_end {
            self.line += u64::from(byte == b'\r' || !self.is_after_return);
        }
        self.is_after_return = byte == b'\r';
        match (self.state, byte) {
            (QuoteState::BetweenRecords, _) => return Ok(false),
            (QuoteState::Quoted, b'"') => self.state = QuoteState::AfterQuote,
            (QuoteState::Quoted, _) => record.content.push(byte),
            (QuoteState::FieldStart, b'"') => {
                self.quote_line = self.line;
                self.state = QuoteState::Quoted;
            }
            (QuoteState::AfterQuote, b'"') => {
                record.content.push(byte);
                self.state = QuoteState::Quoted;
            }
            _ if is_line_end => {
                record.end_field();
                self.state = QuoteState::BetweenRecords;
                return Ok(true);
            }
            _ if byte == self.delimiter => {
                record.end_field();
                self.state = QuoteState::FieldStart;
            }
            (state, _) => {
                // The quote that begins the next quoted field would close this one.
                if state == QuoteState::AfterQuote
                    && self.line > self.quote_line
                    && !byte.is_ascii_whitespace()
                {
                    return Err(self.open_quote());
                }
                record.content.push(byte);
                self.state = QuoteState::Unquoted;
            }
        }
        record.raw.push(byte);
        Ok(false)
    }

    /// The end of the file, which is that of a record too.
    fn finish(&mut self, record: &mut CsvRecord) -> Result<bool, String> {
        match self.state {
            QuoteState::BetweenRecords => Ok(false),
            QuoteState::Quoted => Err(self.open_quote()),
            QuoteState::FieldStart | QuoteState::Unquoted | QuoteState::AfterQuote => {
                record.end_field();
                self.state = QuoteState::BetweenRecords;
                Ok(true)
            }
        }
    }

    /// The line where what is read begins.
    fn begin(&self, record: &CsvRecord) -> u64 {
        match self.state {
            QuoteState::BetweenRecords => self.line,
            _ => record.line,
        }
    }

    fn open_quote(&self) -> String {
        format!(
            "line {}: a quote is opened and never closed; close it. One that belongs to the text is written \
             twice, in a field in quotes",
            self.quote_line
        )
    }
}

#[cfg(test)]
#[path = "tests/csv_reader.rs"]
mod tests;
