//! Decimal marks: numbers of an import that are texts.
//!
//! Pure.

use rusqlite::types::ValueRef;

use super::input_row::InputSummary;
use super::report::SkipReason;
use crate::domain::normalise::parse_quantity;
use crate::domain::plan::Decimal;

/// How the numbers of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberStyle {
    /// As programs print them.
    Plain,
    /// Of a file with semicolons between fields, as spreadsheets write them where the comma is the decimal
    /// mark; programs write such files with a point.
    Spreadsheet,
    /// As `--decimal` says.
    Given(Decimal),
}

impl NumberStyle {
    /// A number that is no plain one as a number; what is none stays.
    pub fn read(self, cell: ValueRef<'_>) -> Result<ValueRef<'_>, SkipReason> {
        let ValueRef::Text(bytes) = cell else {
            return Ok(cell);
        };
        let number = |decimal| {
            let text = std::str::from_utf8(bytes).ok()?;
            let read = parse_quantity(text, decimal).ok()?;
            read.unit.is_empty().then_some(ValueRef::Real(read.number))
        };
        let read = match self {
            NumberStyle::Plain => None,
            NumberStyle::Spreadsheet if bytes.contains(&b',') => number(Some(Decimal::Comma)),
            NumberStyle::Spreadsheet if has_thousands_or_decimals(bytes.trim_ascii()) => {
                return Err(SkipReason::AmbiguousNumber);
            }
            NumberStyle::Spreadsheet => None,
            // What can only be written with the other mark has it.
            NumberStyle::Given(decimal) => number(Some(decimal)).or_else(|| number(None)),
        };
        Ok(read.unwrap_or(cell))
    }

    /// The mean of a summary, and the summary.
    pub fn read_summary<'r>(
        self,
        mean: ValueRef<'r>,
        summary: &InputSummary<'r>,
    ) -> Result<(ValueRef<'r>, InputSummary<'r>), SkipReason> {
        let read = InputSummary {
            min: self.read(summary.min)?,
            max: self.read(summary.max)?,
            last: self.read(summary.last)?,
            ..*summary
        };
        Ok((self.read(mean)?, read))
    }
}

/// Whether the points of a number may be marks of thousands: `1.236`, `12.345.678`, but not `0.236`.
fn has_thousands_or_decimals(number: &[u8]) -> bool {
    let unsigned = number.strip_prefix(b"-").or(number.strip_prefix(b"+"));
    let mut groups = unsigned.unwrap_or(number).split(|byte| *byte == b'.');
    let first = groups.next().unwrap_or_default();
    let mut others = groups.peekable();
    let is_digits = |group: &[u8]| group.iter().all(u8::is_ascii_digit);
    (1..=3).contains(&first.len())
        && is_digits(first)
        && !first.starts_with(b"0")
        && others.peek().is_some()
        && others.all(|group| group.len() == 3 && is_digits(group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_by_its_decimal_mark_and_never_guessed() {
        let comma = NumberStyle::Given(Decimal::Comma);
        let point = NumberStyle::Given(Decimal::Point);
        for (text, sheet, with_comma, with_point) in [
            ("1.236", None, Some(1_236.0), Some(1.236)),
            ("-1.236", None, Some(-1_236.0), Some(-1.236)),
            ("+12.345.678", None, Some(12_345_678.0), None),
            ("1,236", Some(1.236), Some(1.236), Some(1_236.0)),
            ("1.234,5", Some(1_234.5), Some(1_234.5), None),
            ("1,234.5", None, Some(1_234.5), Some(1_234.5)),
            ("21,5", Some(21.5), Some(21.5), Some(21.5)),
            ("21.5", None, Some(21.5), Some(21.5)),
            ("0.236", None, Some(0.236), Some(0.236)),
            ("1234.567", None, Some(1_234.567), Some(1_234.567)),
            ("clear, 5", None, None, None),
            ("21,5 °C", None, None, None),
            ("", None, None, None),
        ] {
            let cell = ValueRef::Text(text.as_bytes());
            for (style, expected) in [
                (NumberStyle::Plain, None),
                (NumberStyle::Spreadsheet, sheet),
                (comma, with_comma),
                (point, with_point),
            ] {
                let read = match style.read(cell) {
                    Ok(ValueRef::Real(number)) => Some(number),
                    Ok(same) => {
                        assert_eq!(same, cell, "{text:?}");
                        None
                    }
                    Err(reason) => {
                        assert_eq!(reason, SkipReason::AmbiguousNumber);
                        assert_eq!(style, NumberStyle::Spreadsheet, "{text:?}");
                        None
                    }
                };
                assert_eq!(read, expected, "{text:?} {style:?}");
            }
        }
    }

    #[test]
    fn what_may_be_two_numbers_is_told_from_what_is_one() {
        for (text, expected) in [
            ("1.236", true),
            (" 999.000 ", true),
            ("-12.345.678", true),
            ("0.236", false),
            ("1.23", false),
            ("1.2345", false),
            ("1234.567", false),
            ("1.234.56", false),
            ("1.23a", false),
            (".236", false),
            ("123", false),
            ("1.", false),
            ("", false),
        ] {
            let read = NumberStyle::Spreadsheet.read(ValueRef::Text(text.as_bytes()));
            assert_eq!(read.is_err(), expected, "{text:?}");
        }
    }
}
