//! A row of the input of an import, and what its cells say.
//!
//! Pure.

use rusqlite::types::ValueRef;

use super::report::SkipReason;
use super::staged_file::StagedSummary;
use crate::db::periods::{DAY, HOUR};
use crate::domain::normalise::parse_plain;
use crate::domain::text::format_number;
use crate::limits;

/// One row of the input, as it stands there; what a source does not have is NULL.
pub struct InputRow<'a> {
    /// Which one, as people count: a line, or the id of a row.
    pub place: i64,
    pub time: ValueRef<'a>,
    pub key: ValueRef<'a>,
    pub value: ValueRef<'a>,
    /// The text of a reading that is none of a number.
    pub text: ValueRef<'a>,
    pub unit: ValueRef<'a>,
    /// A JSON object.
    pub meta: ValueRef<'a>,
    /// Whether the clock that stamped it was not trusted.
    pub is_untrusted: bool,
    pub summary: Option<InputSummary<'a>>,
}

/// What a row says besides of many numbers, whose mean is its value.
#[derive(Clone, Copy)]
pub struct InputSummary<'a> {
    pub seconds: ValueRef<'a>,
    pub count: ValueRef<'a>,
    pub min: ValueRef<'a>,
    pub max: ValueRef<'a>,
    pub last: ValueRef<'a>,
}

impl<'a> InputRow<'a> {
    /// A row of `records`.
    pub fn of(
        place: i64,
        time: ValueRef<'a>,
        key: ValueRef<'a>,
        value: ValueRef<'a>,
        meta: ValueRef<'a>,
    ) -> InputRow<'a> {
        InputRow {
            place,
            time,
            key,
            value,
            text: ValueRef::Null,
            unit: ValueRef::Null,
            meta,
            is_untrusted: false,
            summary: None,
        }
    }
}

/// A value as `records` has it: a number, or a text that goes into `meta`.
pub enum StagedValue<'a> {
    Number(f64),
    Text(&'a str),
}

/// A key that the node can store.
pub fn check_key(cell: ValueRef<'_>) -> Result<&str, SkipReason> {
    let ValueRef::Text(key) = cell else {
        return Err(match cell {
            ValueRef::Null => SkipReason::NoKey,
            _ => SkipReason::BadKey,
        });
    };
    let key = std::str::from_utf8(key).map_err(|_| SkipReason::NotUtf8)?;
    if key.is_empty() {
        Err(SkipReason::NoKey)
    } else if key.len() > limits::KEY_BYTES || key.chars().any(char::is_control) {
        Err(SkipReason::BadKey)
    } else {
        Ok(key)
    }
}

/// The value of a row; in its place the text. Else why there is none, and the cell that says so.
pub fn read_value<'m, 'r: 'm>(
    value: ValueRef<'r>,
    text: ValueRef<'r>,
    text_of_meta: Option<&'m str>,
) -> Result<StagedValue<'m>, (SkipReason, ValueRef<'r>)> {
    let read = match value {
        ValueRef::Integer(number) => Ok(StagedValue::Number(number as f64)),
        ValueRef::Real(number) if number.is_finite() => Ok(StagedValue::Number(number)),
        ValueRef::Real(_) => Err(SkipReason::NotFinite),
        ValueRef::Blob(_) => Err(SkipReason::WrongType),
        ValueRef::Text(bytes) if !bytes.trim_ascii().is_empty() => read_text_value(bytes),
        ValueRef::Null | ValueRef::Text(_) => match text {
            ValueRef::Text(bytes) => std::str::from_utf8(bytes)
                .map(StagedValue::Text)
                .map_err(|_| SkipReason::NotUtf8),
            _ => text_of_meta
                .map(StagedValue::Text)
                .ok_or(SkipReason::NoValue),
        },
    };
    read.map_err(|reason| match reason {
        SkipReason::NotUtf8 if matches!(value, ValueRef::Null) => (reason, text),
        _ => (reason, value),
    })
}

/// A number or a boolean in words, else a text.
fn read_text_value(bytes: &[u8]) -> Result<StagedValue<'_>, SkipReason> {
    let text = std::str::from_utf8(bytes).map_err(|_| SkipReason::NotUtf8)?;
    if let Some(number) = parse_plain(text) {
        return Ok(StagedValue::Number(number));
    }
    let word = text.trim();
    if word.eq_ignore_ascii_case("true") {
        Ok(StagedValue::Number(1.0))
    } else if word.eq_ignore_ascii_case("false") {
        Ok(StagedValue::Number(0.0))
    } else if word.parse::<f64>().is_ok() {
        Err(SkipReason::NotFinite)
    } else {
        Ok(StagedValue::Text(text))
    }
}

/// A summary of an hour or a day of UTC that does not contradict itself.
pub fn read_summary(start: i64, mean: ValueRef, it: &InputSummary) -> Option<StagedSummary> {
    let number = |cell: ValueRef| match read_value(cell, ValueRef::Null, None) {
        Ok(StagedValue::Number(number)) => Some(number),
        Ok(StagedValue::Text(_)) | Err(_) => None,
    };
    let whole = |cell: ValueRef| number(cell).filter(|it| it.fract() == 0.0 && it.abs() < 1e15);
    let seconds = whole(it.seconds)? as i64;
    let count = whole(it.count)? as i64;
    let (min, max, last) = (number(it.min)?, number(it.max)?, number(it.last)?);
    // Exports round the mean, which may leave the range of equal numbers by its last digit.
    let mean = number(mean)?;
    let slack = (min.abs().max(max.abs())) * 1e-11;
    let is_whole = [HOUR, DAY].contains(&seconds) && start.rem_euclid(seconds) == 0;
    let is_consistent =
        min <= max && (min..=max).contains(&last) && (min - slack..=max + slack).contains(&mean);
    (is_whole && count > 0 && is_consistent).then(|| StagedSummary {
        seconds,
        start,
        count,
        min,
        mean: mean.clamp(min, max),
        max,
        last,
    })
}

/// A cell for people; `None` for nothing.
pub fn describe(cell: ValueRef) -> Option<String> {
    match cell {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) if number.is_finite() => Some(format_number(number)),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(text) => Some(format!("\"{}\"", String::from_utf8_lossy(text))),
        ValueRef::Blob(_) => Some("bytes or a list".to_owned()),
    }
}
