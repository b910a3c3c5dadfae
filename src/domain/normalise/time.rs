//! Parser for timestamps of sources, in the formats that APIs use.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value as Json;

use super::sample;
use crate::domain::time::Wall;

/// Parses a timestamp; `Err` describes what was found instead.
pub fn read_time(json: Option<&Json>, zone: &TimeZone) -> Result<Wall, String> {
    let json = json.ok_or("nothing")?;
    let wall = match json {
        Json::Number(number) => {
            let epoch = || number.as_str().parse::<f64>().ok().and_then(epoch);
            compact(number.as_str(), zone).or_else(epoch)
        }
        Json::String(text) => {
            let text = text.trim();
            let instant = text.parse::<jiff::Timestamp>().ok();
            let instant = instant.or_else(|| {
                let local: DateTime = text.parse().ok()?;
                zone.to_timestamp(local).ok()
            });
            instant
                .map(|instant| Wall(instant.as_millisecond()))
                .or_else(|| compact(text, zone))
                .or_else(|| text.parse::<f64>().ok().and_then(epoch))
        }
        _ => None,
    };
    wall.ok_or_else(|| sample(json))
}

/// `YYYYMMDDhhmmss`, or without the seconds.
fn compact(text: &str, zone: &TimeZone) -> Option<Wall> {
    if !matches!(text.len(), 12 | 14) || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let two = |at: usize| text.get(at..at + 2)?.parse::<i8>().ok();
    let year = text.get(..4)?.parse::<i16>().ok();
    // Twelve digits are milliseconds of the last century too.
    let year = year.filter(|year| (1990..2100).contains(year))?;
    let second = if text.len() == 14 { two(12)? } else { 0 };
    let local = DateTime::new(year, two(4)?, two(6)?, two(8)?, two(10)?, second, 0).ok()?;
    let instant = zone.to_timestamp(local).ok()?;
    Some(Wall(instant.as_millisecond()))
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
