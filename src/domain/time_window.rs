//! Time window: hours of some days of the week, by the local clock (`mute`, `dim`, `quiet`).

use std::time::Duration;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use crate::domain::time::Wall;

/// Hours of some days of the week, by the local clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeWindow {
    /// From Monday; on which days it begins.
    days: [bool; 7],
    /// Minutes of the day. An end at or before the beginning is on the next day.
    from: u16,
    until: u16,
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY: u16 = 24 * 60;
const MINUTE_MS: i64 = 60_000;

impl TimeWindow {
    /// Reads `Sat 22:00-23:00`, `Mon-Fri 08:00-09:30`, `Sat,Sun 23:00-01:00`,
    /// `daily 02:00-02:30`, or the hours alone.
    pub fn parse(text: &str) -> Option<TimeWindow> {
        let mut parts = text.split_whitespace().rev();
        let (from, until) = parts.next()?.split_once('-')?;
        let days = match parts.next() {
            None => [true; 7],
            Some(days) if days.eq_ignore_ascii_case("daily") => [true; 7],
            Some(days) => parse_days(days)?,
        };
        let window = TimeWindow {
            days,
            from: parse_time(from)?,
            until: parse_time(until)?,
        };
        (parts.next().is_none() && window.from < DAY).then_some(window)
    }

    /// Whether `wall` lies within, by the clocks of `zone`.
    pub fn contains(&self, wall: Wall, zone: &TimeZone) -> bool {
        let Ok(instant) = jiff::Timestamp::from_millisecond(wall.0) else {
            return false;
        };
        let local = instant.to_zoned_datetime(zone.clone());
        let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute()));
        let minute = minute.unwrap_or(0);
        let today = day_index(local.weekday());
        let yesterday = (today + 6) % 7;
        if self.from < self.until {
            return self.days[today] && (self.from..self.until).contains(&minute);
        }
        (self.days[today] && minute >= self.from) || (self.days[yesterday] && minute < self.until)
    }

    /// How long it still lasts at `wall`, to the minute, a day at most; none outside of it.
    pub fn remaining(&self, wall: Wall, zone: &TimeZone) -> Option<Duration> {
        if !self.contains(wall, zone) {
            return None;
        }
        // Local time may jump, so that minutes are tried and not reckoned.
        let minute = |at: i64| Wall((wall.0.div_euclid(MINUTE_MS) + at) * MINUTE_MS);
        let end = (1..i64::from(DAY)).find(|at| !self.contains(minute(*at), zone));
        let end = minute(end.unwrap_or(i64::from(DAY)));
        u64::try_from(end.0 - wall.0)
            .ok()
            .map(Duration::from_millis)
    }

    /// In the syntax of the configuration.
    pub fn to_text(&self) -> String {
        let time = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        let hours = format!("{}-{}", time(self.from), time(self.until));
        if self.days == [true; 7] {
            return format!("daily {hours}");
        }
        let names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        let days: Vec<&str> = (0..7)
            .filter(|day| self.days[*day])
            .map(|day| names[day])
            .collect();
        format!("{} {hours}", days.join(","))
    }
}

fn day_index(day: Weekday) -> usize {
    usize::try_from(day.to_monday_zero_offset()).unwrap_or(0)
}

fn parse_days(text: &str) -> Option<[bool; 7]> {
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (parse_day(first)?, parse_day(last)?);
        days[day] = true;
        while day != last {
            day = (day + 1) % 7;
            days[day] = true;
        }
    }
    Some(days)
}

/// `Sat`, in any case; of longer names the first three letters count.
fn parse_day(text: &str) -> Option<usize> {
    let lower = text.to_ascii_lowercase();
    let short = lower.get(..3)?;
    let is_word = lower.chars().all(|c| c.is_ascii_alphabetic());
    DAYS.iter().position(|day| *day == short && is_word)
}

fn parse_time(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let is_number = |part: &str| {
        (1..=2).contains(&part.len()) && part.chars().all(|digit| digit.is_ascii_digit())
    };
    if !is_number(hour) || !is_number(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= DAY).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn muted(window: &str, local: &str) -> bool {
        let zone = TimeZone::get("Europe/Berlin").unwrap_or(TimeZone::fixed(jiff::tz::offset(1)));
        let civil: jiff::civil::DateTime = local.parse().expect("a local time");
        let wall = civil.to_zoned_datetime(zone.clone()).expect("it exists");
        let window = TimeWindow::parse(window).expect(window);
        window.contains(Wall(wall.timestamp().as_millisecond()), &zone)
    }

    #[test]
    fn mute_windows_follow_local_time() {
        // 2025-11-01 was a Saturday.
        for (window, local, expected) in [
            ("Sat 22:00-23:00", "2025-11-01T21:59", false),
            ("Sat 22:00-23:00", "2025-11-01T22:00", true),
            ("Sat 22:00-23:00", "2025-11-01T22:59", true),
            ("Sat 22:00-23:00", "2025-11-01T23:00", false),
            ("Sat 22:00-23:00", "2025-11-02T22:30", false),
            ("sat,Sunday 23:00-01:00", "2025-11-02T00:30", true),
            ("Sat 23:00-01:00", "2025-11-01T00:30", false),
            ("Mon-Fri 8:00-9:30", "2025-11-03T09:29", true),
            ("Mon-Fri 8:00-9:30", "2025-11-01T09:29", false),
            ("Fri-Mon 8:00-9:30", "2025-11-02T08:00", true),
            ("daily 00:00-24:00", "2025-11-02T23:59", true),
            ("02:00-02:30", "2025-11-02T02:10", true),
        ] {
            assert_eq!(muted(window, local), expected, "{window} at {local}");
        }
    }

    #[test]
    fn what_remains_of_a_window_follows_local_time() {
        let zone = TimeZone::get("Europe/Berlin").expect("it is built in");
        for (window, local, expected) in [
            ("23:00-06:00", "2025-11-01T22:59", None),
            ("23:00-06:00", "2025-11-01T23:00", Some(7 * 3600)),
            ("23:00-06:00", "2025-11-02T05:59:30", Some(30)),
            // In that night the clocks are set back by an hour, in this one forward.
            ("23:00-06:00", "2025-10-25T23:00", Some(8 * 3600)),
            ("23:00-06:00", "2025-03-29T23:00", Some(6 * 3600)),
            ("00:00-24:00", "2025-11-01T12:00", Some(24 * 3600)),
        ] {
            let civil: jiff::civil::DateTime = local.parse().expect("a local time");
            let wall = civil.to_zoned_datetime(zone.clone()).expect("it exists");
            let window = TimeWindow::parse(window).expect(window);
            let wall = Wall(wall.timestamp().as_millisecond());
            let remaining = window.remaining(wall, &zone).map(|it| it.as_secs());
            assert_eq!(remaining, expected, "{local}");
        }
    }

    #[test]
    fn invalid_mute_windows_are_rejected_and_valid_ones_are_printed_as_parsed() {
        for text in [
            "",
            "Sat",
            "Sat 22-23",
            "Sat 22:00",
            "Say 22:00-23:00",
            "Sat 22:60-23:00",
            "Sat 25:00-26:00",
            "24:00-01:00",
            "Sat Sun 22:00-23:00",
            "Sat 22:00-23:00 CET",
        ] {
            assert_eq!(TimeWindow::parse(text), None, "{text:?}");
        }
        for text in [
            "Sat 22:00-23:00",
            "daily 02:00-02:30",
            "Mon,Tue 08:00-09:00",
        ] {
            let window = TimeWindow::parse(text).expect(text);
            assert_eq!(window.to_text(), text);
        }
    }
}
