//! The source's own time, in whatever spelling it says it.

use jiff::tz::TimeZone;
use serde_json::Value as Json;

use super::sample;
use crate::domain::time::Wall;

/// Reads the source's own time; `Err` says what was found instead.
pub fn read_time(json: Option<&Json>, zone: &TimeZone) -> Result<Wall, String> {
    let json = json.ok_or("nothing")?;
    let wall = match json {
        Json::Number(number) => number.as_str().parse::<f64>().ok().and_then(epoch),
        Json::String(text) => {
            let text = text.trim();
            let instant = text.parse::<jiff::Timestamp>().ok();
            let instant = instant.or_else(|| {
                let local: jiff::civil::DateTime = text.parse().ok()?;
                zone.to_timestamp(local).ok()
            });
            instant
                .map(|instant| Wall(instant.as_millisecond()))
                .or_else(|| text.parse::<f64>().ok().and_then(epoch))
        }
        _ => None,
    };
    wall.ok_or_else(|| sample(json))
}

/// Seconds or milliseconds since 1970, told apart by size: as seconds, 10^11 lies in the
/// year 5138; as milliseconds, in 1973.
fn epoch(number: f64) -> Option<Wall> {
    const LATEST_MS: f64 = 253_402_207_200_000.0;
    let ms = if number.abs() < 1e11 {
        number * 1000.0
    } else {
        number
    };
    (0.0..=LATEST_MS).contains(&ms).then_some(Wall(ms as i64))
}
