//! Times of an import, in the spellings that programs write, as seconds since 1970.
//!
//! Pure. A local time that a zone has twice is the first; one that it has not is shifted forward.

use jiff::civil::{DateTime, Time};
use jiff::fmt::temporal::Pieces;
use jiff::tz::{AmbiguousOffset, TimeZone};
use rusqlite::types::ValueRef;
use serde_json::Value as Json;

use crate::domain::normalise::read_time;

/// Reads times, and counts those that are not certain.
pub struct TimeReader {
    /// Of times without an offset.
    zone: TimeZone,
    /// The rows of one fetch follow each other and have the same time.
    last: Option<(Vec<u8>, Option<ReadTime>)>,
    /// Local times that the zone has twice.
    pub ambiguous: u64,
    /// Local times that the zone does not have.
    pub nonexistent: u64,
}

#[derive(Clone, Copy)]
struct ReadTime {
    second: i64,
    certainty: Certainty,
}

#[derive(Clone, Copy)]
enum Certainty {
    Unique,
    Ambiguous,
    Nonexistent,
}

impl TimeReader {
    pub fn new(zone: TimeZone) -> TimeReader {
        TimeReader {
            zone,
            last: None,
            ambiguous: 0,
            nonexistent: 0,
        }
    }

    /// Seconds since 1970, rounded down; `None` for what is no time.
    pub fn read(&mut self, cell: ValueRef) -> Option<i64> {
        let text = match cell {
            ValueRef::Text(text) => text,
            ValueRef::Integer(number) => return self.number(number.into()),
            ValueRef::Real(number) => return self.real(number),
            ValueRef::Null | ValueRef::Blob(_) => return None,
        };
        let read = match &self.last {
            Some((last, read)) if last == text => *read,
            _ => {
                let read = std::str::from_utf8(text)
                    .ok()
                    .and_then(|text| self.text(text.trim()));
                self.last = Some((text.to_vec(), read));
                read
            }
        };
        let read = read?;
        match read.certainty {
            Certainty::Unique => {}
            Certainty::Ambiguous => self.ambiguous += 1,
            Certainty::Nonexistent => self.nonexistent += 1,
        }
        Some(read.second)
    }

    fn number(&self, number: serde_json::Number) -> Option<i64> {
        let wall = read_time(Some(&Json::Number(number)), &self.zone).ok()?;
        Some(wall.second())
    }

    fn real(&self, number: f64) -> Option<i64> {
        // Whole numbers are spelled without a point, which 20251030200000 needs.
        if number.fract() == 0.0 && number.abs() < 1e15 {
            return self.number((number as i64).into());
        }
        self.number(serde_json::Number::from_f64(number)?)
    }

    fn text(&self, text: &str) -> Option<ReadTime> {
        let unique = |second| ReadTime {
            second,
            certainty: Certainty::Unique,
        };
        if let Ok(number) = text.parse::<i64>() {
            return self.number(number.into()).map(unique);
        }
        if let Ok(number) = text.parse::<f64>() {
            return self.real(number).map(unique);
        }
        self.iso_8601(text).or_else(|| {
            let wall = read_time(Some(&Json::from(text)), &self.zone).ok()?;
            Some(unique(wall.second()))
        })
    }

    fn iso_8601(&self, text: &str) -> Option<ReadTime> {
        let pieces = Pieces::parse(text).ok()?;
        if pieces.time_zone_annotation().is_some() {
            return None;
        }
        let time = pieces.time().unwrap_or(Time::midnight());
        let time: DateTime = pieces.date().to_datetime(time);
        if let Some(offset) = pieces.to_numeric_offset() {
            return Some(ReadTime {
                second: offset.to_timestamp(time).ok()?.as_second(),
                certainty: Certainty::Unique,
            });
        }
        let found = self.zone.to_ambiguous_timestamp(time);
        let certainty = match found.offset() {
            AmbiguousOffset::Unambiguous { .. } => Certainty::Unique,
            AmbiguousOffset::Fold { .. } => Certainty::Ambiguous,
            AmbiguousOffset::Gap { .. } => Certainty::Nonexistent,
        };
        Some(ReadTime {
            second: found.compatible().ok()?.as_second(),
            certainty,
        })
    }
}

#[cfg(test)]
#[path = "tests/time_text.rs"]
mod tests;
