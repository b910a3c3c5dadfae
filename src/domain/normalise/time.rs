//! Parser for timestamps of sources, in the formats that APIs use.
//!
//! A local time that a zone has twice, or not at all, is read with the offset that held before
//! the clocks were set. A date is its first instant.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::tz::TimeZone;
use serde_json::Value as Json;

use super::sample;
use crate::domain::time::Wall;

/// What [`read_time`] reads, in messages.
pub const TIME_FORMATS: &str = "a time: RFC 3339, ISO 8601, RFC 2822, YYYYMMDDhhmmss, or seconds, milliseconds, \
     microseconds or nanoseconds since 1970";

/// Parses a timestamp; `Err` describes what was found instead.
pub fn read_time(json: Option<&Json>, zone: &TimeZone) -> Result<Wall, String> {
    let json = json.ok_or("nothing")?;
    let wall = match json {
        Json::Number(number) => {
            let text = number.as_str();
            let instant = compact(text, zone).map(wall_of);
            instant.or_else(|| text.parse::<f64>().ok().and_then(epoch))
        }
        Json::String(text) => read_text(text.trim(), zone),
        _ => None,
    };
    wall.ok_or_else(|| sample(json))
}

fn read_text(text: &str, zone: &TimeZone) -> Option<Wall> {
    let instant = compact(text, zone)
        .or_else(|| text.parse::<Timestamp>().ok())
        .or_else(|| instant_with_spaced_offset(text))
        .or_else(|| local(text, zone))
        .or_else(|| local_in_other_formats(text, zone))
        .or_else(|| DateTimeParser::new().parse_timestamp(text).ok());
    instant
        .map(wall_of)
        .or_else(|| epoch(text.parse().ok()?))
        .or_else(|| dot_net(text))
}

fn wall_of(instant: Timestamp) -> Wall {
    Wall(instant.as_millisecond())
}

/// `2026-11-29 10:00:00 +0100`, also with `UTC`, `GMT` or `Z`.
fn instant_with_spaced_offset(text: &str) -> Option<Timestamp> {
    let (time, offset) = text.rsplit_once(' ')?;
    let time = time.trim_end();
    let offset = match offset {
        "UTC" | "GMT" | "Z" => "Z",
        _ if offset.starts_with(['+', '-']) => offset,
        _ => return None,
    };
    // A date alone would be taken for midnight of another zone.
    if !time.contains(':') {
        return None;
    }
    let time = time.replace('/', "-");
    format!("{time}{offset}").parse().ok()
}

/// ISO 8601 without an offset.
fn local(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    if text.contains(['T', 't', ' ', ':']) {
        let local: DateTime = text.parse().ok()?;
        return zone.to_timestamp(local).ok();
    }
    let is_date = text.len() == 10 && text.matches('-').count() == 2;
    first_instant(text.parse().ok().filter(|_| is_date)?, zone)
}

/// Local times with `%f` and the like of strptime; those with a time first.
const OTHER_FORMATS: [&str; 6] = [
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    // asctime of C, as in RFC 9110.
    "%a %b %d %H:%M:%S %Y",
    "%Y-%m-%dT%H:%M:%S,%f",
];

const OTHER_DATES: [&str; 2] = ["%Y/%m/%d", "%d.%m.%Y"];

fn local_in_other_formats(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let time = OTHER_FORMATS
        .iter()
        .find_map(|format| DateTime::strptime(format, text).ok());
    if let Some(time) = time {
        return zone.to_timestamp(time).ok();
    }
    let date = OTHER_DATES
        .iter()
        .find_map(|format| Date::strptime(format, text).ok());
    first_instant(date?, zone)
}

fn first_instant(date: Date, zone: &TimeZone) -> Option<Timestamp> {
    let midnight = date.to_datetime(jiff::civil::Time::midnight());
    let zoned = zone
        .to_ambiguous_zoned_datetime(midnight)
        .compatible()
        .ok()?;
    Some(zoned.start_of_day().ok()?.timestamp())
}

/// `YYYYMMDDhhmmss`, or without the seconds, or the date alone.
fn compact(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    if !matches!(text.len(), 8 | 12 | 14) || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let two = |at: usize| text.get(at..at + 2)?.parse::<i8>().ok();
    let year = text.get(..4)?.parse::<i16>().ok();
    // Twelve digits are milliseconds of the last century too.
    let year = year.filter(|year| (1990..2100).contains(year))?;
    let date = Date::new(year, two(4)?, two(6)?).ok()?;
    if text.len() == 8 {
        return first_instant(date, zone);
    }
    let second = if text.len() == 14 { two(12)? } else { 0 };
    let time = jiff::civil::Time::new(two(8)?, two(10)?, second, 0).ok()?;
    zone.to_timestamp(date.to_datetime(time)).ok()
}

/// `/Date(1795946400000)/` of .NET, in milliseconds; an offset behind them is only for display.
fn dot_net(text: &str) -> Option<Wall> {
    let inner = text.strip_prefix("/Date(")?.strip_suffix(")/")?;
    let digits = inner.split(['+', '-']).next()?;
    let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    epoch(digits.parse().ok().filter(|_| is_whole)?)
}

/// Seconds, milliseconds, microseconds or nanoseconds since 1970: whichever of them lies in
/// the years 1990 to 2100. At most one does.
fn epoch(number: f64) -> Option<Wall> {
    const YEAR_1990_S: f64 = 631_152_000.0;
    const YEAR_2100_S: f64 = 4_102_444_800.0;
    let seconds = [1.0, 1e3, 1e6, 1e9].map(|unit| number / unit);
    let fits = |seconds: &f64| (YEAR_1990_S..YEAR_2100_S).contains(seconds);
    let seconds = seconds.into_iter().find(fits)?;
    Some(Wall((seconds * 1000.0).round() as i64))
}

#[cfg(test)]
#[path = "tests/time.rs"]
mod tests;
