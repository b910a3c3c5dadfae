//! Text formatting for pages and `/status`: bytes, ages, local times, details from elsewhere.
//!
//! Pure; any thread.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::domain::locale::Locale;
use crate::domain::text::human_duration;
use crate::domain::time::{Moment, Wall};

/// An error detail as it may be shown: one line, and no query string in any URL.
pub fn sanitize(detail: &str) -> String {
    let word = |word: &str| match word
        .find("://")
        .and_then(|at| Some(at + word[at..].find(['?', '#'])?))
    {
        Some(query) => format!("{}?…", &word[..query]),
        None => word.to_owned(),
    };
    let line: String = detail
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let words: Vec<String> = line.split(' ').map(word).collect();
    words.join(" ")
}

/// The wall time of an earlier moment, by what is known of the clock now: a time stamped
/// before the clock was set is corrected.
pub fn corrected_wall(moment: Moment, now: Moment) -> Wall {
    if moment.trust.is_trusted() || !now.trust.is_trusted() {
        moment.wall
    } else {
        now.wall_at(moment.mono)
    }
}

/// An earlier local time as `since` needs it: `22:14`, on an earlier day `Fri 22:14`, before the
/// last six days `27 Nov`.
pub fn format_since(wall: Wall, now: Wall, zone: &TimeZone, locale: Locale) -> String {
    let (then, today) = (to_zoned(wall, zone), to_zoned(now, zone).date());
    let (date, time) = (then.date(), then.strftime("%H:%M"));
    let days = today.since(date).map_or(i32::MAX, |span| span.get_days());
    match days {
        0 => time.to_string(),
        1..=6 => format!("{} {time}", locale.weekday(date)),
        _ if date.year() == today.year() => locale.day_and_month(date),
        _ => locale.date(date),
    }
}

/// Local time for a `title`: `2025-10-30 21:00:00 CET`.
pub fn format_local(wall: Wall, zone: &TimeZone) -> String {
    to_zoned(wall, zone)
        .strftime("%Y-%m-%d %H:%M:%S %Z")
        .to_string()
}

pub fn to_zoned(wall: Wall, zone: &TimeZone) -> jiff::ZonedDateTime {
    let instant = jiff::Timestamp::from_millisecond(wall.0).unwrap_or_default();
    instant.to_zoned_datetime(zone.clone())
}

/// An age: `now`, `8 s ago`, `5 h ago`; from an hour on without minutes.
pub fn format_age(age: Duration) -> String {
    match age.as_secs() {
        0..=1 => "now".to_owned(),
        7_200..=172_799 => format!("{} h ago", age.as_secs() / 3_600),
        _ => format!("{} ago", human_duration(age)),
    }
}

/// A span of time ahead.
pub fn format_wait(wait: Duration) -> String {
    match wait.as_secs() {
        0..=1 => "now".to_owned(),
        _ => format!("in {}", human_duration(wait)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_shown_without_queries_and_on_one_line() {
        for (detail, expected) in [
            (
                "the name api.example cannot be resolved",
                "the name api.example cannot be resolved",
            ),
            (
                "GET https://a.example/v1?key=secret&x=1 gave 500",
                "GET https://a.example/v1?… gave 500",
            ),
            ("why? nobody knows", "why? nobody knows"),
            ("a\nb", "a b"),
        ] {
            assert_eq!(sanitize(detail), expected);
        }
    }

    #[test]
    fn since_when_is_told_as_far_back_as_it_was() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        // Fri 2025-10-31 00:30 in this zone.
        let now = Wall(1_761_867_000_000);
        for (hours, expected) in [
            (0, "00:30"),
            (1, "Thu 23:30"),
            (6 * 24, "Sat 00:30"),
            (7 * 24, "24 Oct"),
            (400 * 24, "26 Sep 2024"),
        ] {
            let then = now.before(Duration::from_secs(hours * 3_600));
            let since = format_since(then, now, &zone, Locale::default());
            assert_eq!(since, expected, "{hours} h ago");
        }
    }

    #[test]
    fn ages_and_waits() {
        assert_eq!(format_age(Duration::from_millis(900)), "now");
        assert_eq!(format_age(Duration::from_secs(8)), "8 s ago");
        assert_eq!(format_age(Duration::from_secs(18_720)), "5 h ago");
        assert_eq!(format_wait(Duration::from_secs(300)), "in 5 min");
    }
}
