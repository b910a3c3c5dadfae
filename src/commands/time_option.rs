//! Times of the command line, as `--from` and `--to` give them, and the time zone that dates are of.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{USAGE_ERROR, installed_service, print_problems, suggest_sudo};
use crate::config::environment::Environment;
use crate::config::{self, Overrides};
use crate::domain::derived::CalendarPeriod;
use crate::domain::text::parse_duration;
use crate::domain::time::Wall;
use crate::sys::clock::{Clock, SystemClock};

/// The time zone of the configuration.
pub fn timezone(overrides: &Overrides) -> Result<TimeZone, u8> {
    let service = installed_service(overrides);
    let environment = Environment::of_process().with_service(service.clone());
    config::timezone(overrides, environment).map_err(|problems| {
        print_problems(&problems);
        suggest_sudo(&service);
        USAGE_ERROR
    })
}

/// Whether a time is a date, for which the time zone matters.
pub fn is_date(text: Option<&str>) -> bool {
    text.and_then(date).is_some()
}

/// Reads an option's time; the error says what was expected.
pub fn read_option(
    option: &str,
    text: Option<&str>,
    now: Wall,
    zone: &TimeZone,
    bound: Bound,
) -> Result<Option<Wall>, String> {
    let Some(text) = text else {
        return Ok(None);
    };
    read_time(text, now, zone, bound).map(Some).ok_or_else(|| {
        format!(
            "{option}: expected a time such as 2025-10-30T20:00:00Z, a date such as 2025-10-30, -24h, or \
             seconds or milliseconds since 1970, found {text:?}"
        )
    })
}

/// The range that `--from` and `--to` name, in seconds since 1970: inclusive, exclusive.
#[derive(Debug, Clone, Copy)]
pub struct TimeRange {
    pub from: Option<i64>,
    pub to: Option<i64>,
}

/// Reads it; on errors prints them and returns the exit status.
pub fn read_range(
    overrides: &Overrides,
    from: &Option<String>,
    to: &Option<String>,
) -> Result<TimeRange, u8> {
    let (from, to) = (from.as_deref(), to.as_deref());
    let zone = if is_date(from) || is_date(to) {
        timezone(overrides)?
    } else {
        TimeZone::UTC
    };
    let now = SystemClock::new().now().wall;
    let read = |option, text, bound| {
        let read = read_option(option, text, now, &zone, bound);
        read.map(|time| time.map(Wall::second)).map_err(|message| {
            eprintln!("{message}");
            USAGE_ERROR
        })
    };
    let range = TimeRange {
        from: read("--from", from, Bound::Begin)?,
        to: read("--to", to, Bound::End)?,
    };
    if let (Some(begin), Some(end)) = (range.from, range.to)
        && begin >= end
    {
        eprintln!("--from must be before --to");
        return Err(USAGE_ERROR);
    }
    Ok(range)
}

/// Which end of a date is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    Begin,
    End,
}

fn date(text: &str) -> Option<Date> {
    let is_date = text.len() == 10 && text.contains('-');
    is_date.then(|| text.parse().ok())?
}

/// RFC 3339; a duration before now (`-24h`); a date, whose begin or end in the time zone counts;
/// seconds or milliseconds since 1970.
fn read_time(text: &str, now: Wall, zone: &TimeZone, bound: Bound) -> Option<Wall> {
    if let Some(span) = text.strip_prefix('-') {
        return parse_duration(span).map(|span| now.before(span));
    }
    if let Some(date) = date(text) {
        // Midnight may be skipped or twice; noon never is.
        let noon = zone.to_timestamp(date.at(12, 0, 0, 0)).ok()?;
        let (begin, end) = CalendarPeriod::Day.bounds(noon.as_second(), zone);
        return Some(Wall::from_second(match bound {
            Bound::Begin => begin,
            Bound::End => end,
        }));
    }
    if let Some(instant) = Wall::from_epoch_text(text) {
        return Some(instant);
    }
    let instant: Timestamp = text.parse().ok()?;
    Some(Wall(instant.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Wall = Wall(1_761_854_400_000);

    #[test]
    fn times_are_read_in_every_form() {
        let berlin = TimeZone::get("Europe/Berlin").expect("it is known");
        for (text, begin, end) in [
            ("2025-10-30T20:00:00Z", Some("2025-10-30T20:00:00Z"), None),
            (
                "2025-10-30T21:00:00+01:00",
                Some("2025-10-30T20:00:00Z"),
                None,
            ),
            ("-24h", Some("2025-10-29T20:00:00Z"), None),
            ("1761854400", Some("2025-10-30T20:00:00Z"), None),
            ("1761854400000", Some("2025-10-30T20:00:00Z"), None),
            (
                "2025-10-30",
                Some("2025-10-29T23:00:00Z"),
                Some("2025-10-30T23:00:00Z"),
            ),
            // It has 25 hours.
            (
                "2025-10-26",
                Some("2025-10-25T22:00:00Z"),
                Some("2025-10-26T23:00:00Z"),
            ),
            ("176185440", None, None),
            ("2025-10-30T20:00:00", None, None),
            ("2025-13-01", None, None),
            ("yesterday", None, None),
            ("", None, None),
        ] {
            let read = |bound| read_time(text, NOW, &berlin, bound).map(|it| it.to_string());
            assert_eq!(read(Bound::Begin).as_deref(), begin, "{text:?}");
            assert_eq!(read(Bound::End).as_deref(), end.or(begin), "{text:?}");
        }
    }
}
