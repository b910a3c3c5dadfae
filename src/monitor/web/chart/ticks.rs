//! Ticks of a time axis: round local times with their names, and local midnights.
//!
//! Pure.

use jiff::ToSpan;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::domain::locale::Locale;
use crate::domain::time::Wall;
use crate::monitor::format::to_zoned;
use crate::monitor::web::local_periods::PeriodLength;

/// A round local time on the axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    pub at: Wall,
    pub label: String,
    /// The label where the screen is narrow; none where it has no room.
    pub narrow: Option<String>,
}

/// Between two ticks.
#[derive(Debug, Clone, Copy)]
enum TickStep {
    Minutes(i32),
    Days(i32),
    Months(i32),
    Years(i32),
}

#[rustfmt::skip]
const STEPS: [TickStep; 30] = [
    TickStep::Minutes(1), TickStep::Minutes(2), TickStep::Minutes(5), TickStep::Minutes(10), TickStep::Minutes(15),
    TickStep::Minutes(30), TickStep::Minutes(60), TickStep::Minutes(120), TickStep::Minutes(180),
    TickStep::Minutes(360), TickStep::Minutes(720), TickStep::Days(1), TickStep::Days(2), TickStep::Days(7),
    TickStep::Days(14), TickStep::Months(1), TickStep::Months(2), TickStep::Months(3), TickStep::Months(6),
    TickStep::Years(1), TickStep::Years(2), TickStep::Years(5), TickStep::Years(10), TickStep::Years(20),
    TickStep::Years(50), TickStep::Years(100), TickStep::Years(200), TickStep::Years(500), TickStep::Years(1_000),
    TickStep::Years(2_000),
];

/// Labels that fit on a narrow screen.
const NARROW_LABELS: usize = 5;
/// Days with a line at each midnight.
const MIDNIGHTS: usize = 15;

impl TickStep {
    fn seconds(self) -> i64 {
        match self {
            TickStep::Minutes(minutes) => i64::from(minutes) * 60,
            TickStep::Days(days) => i64::from(days) * 86_400,
            TickStep::Months(months) => i64::from(months) * 2_629_746,
            TickStep::Years(years) => i64::from(years) * 31_556_952,
        }
    }

    /// The first tick, not after `at`.
    fn first(self, at: DateTime) -> DateTime {
        let date = at.date();
        let date = match self {
            TickStep::Minutes(_) | TickStep::Days(1 | 2) => date,
            TickStep::Days(_) => {
                let since_monday = i32::from(date.weekday().to_monday_zero_offset());
                date.saturating_sub(since_monday.days())
            }
            TickStep::Months(months) => {
                let since = (i32::from(date.month()) - 1) % months;
                date.first_of_month().saturating_sub(since.months())
            }
            TickStep::Years(years) => {
                let since = i32::from(date.year()).rem_euclid(years);
                date.first_of_year().saturating_sub(since.years())
            }
        };
        let midnight = date.to_datetime(Time::midnight());
        match self {
            TickStep::Minutes(step) => {
                let minute = i32::from(at.hour()) * 60 + i32::from(at.minute());
                midnight.saturating_add((minute / step * step).minutes())
            }
            _ => midnight,
        }
    }

    fn after(self, at: DateTime) -> Option<DateTime> {
        let next = match self {
            TickStep::Minutes(minutes) => at.checked_add(minutes.minutes()),
            TickStep::Days(days) => at.checked_add(days.days()),
            TickStep::Months(months) => at.checked_add(months.months()),
            TickStep::Years(years) => at.checked_add(years.years()),
        };
        next.ok()
    }

    fn label(self, at: DateTime, locale: Locale) -> (String, String) {
        let date = at.date();
        let both = |text: String| (text.clone(), text);
        match self {
            TickStep::Minutes(_) if at.time() != Time::midnight() => {
                both(at.strftime("%H:%M").to_string())
            }
            TickStep::Minutes(_) | TickStep::Days(1 | 2) => (
                locale.weekday_and_date(date),
                locale.weekday(date).to_owned(),
            ),
            TickStep::Days(_) => both(locale.day_and_month(date)),
            TickStep::Months(_) if date.month() > 1 => both(locale.month(date.month()).to_owned()),
            TickStep::Months(_) | TickStep::Years(_) => both(date.year().to_string()),
        }
    }
}

/// At most nine round local times from `from` to before `to`.
pub fn ticks(from: Wall, to: Wall, zone: &TimeZone, locale: Locale) -> Vec<Tick> {
    ticks_apart(STEPS[0], (from, to), zone, locale)
}

/// The same below bars: each tick is where a period of `length` begins.
pub fn period_ticks(
    length: PeriodLength,
    span: (Wall, Wall),
    zone: &TimeZone,
    locale: Locale,
) -> Vec<Tick> {
    let shortest = match length {
        PeriodLength::Hour => TickStep::Minutes(60),
        PeriodLength::Day => TickStep::Days(1),
        PeriodLength::Month => TickStep::Months(1),
        PeriodLength::Year => TickStep::Years(1),
    };
    ticks_apart(shortest, span, zone, locale)
}

/// Ticks that are `shortest` apart, or further.
fn ticks_apart(
    shortest: TickStep,
    (from, to): (Wall, Wall),
    zone: &TimeZone,
    locale: Locale,
) -> Vec<Tick> {
    // A day of 25 hours has a label every three too.
    let least = to.second().saturating_sub(from.second()).saturating_mul(2) / 17;
    let least = least.max(shortest.seconds());
    let step = STEPS.into_iter().find(|step| step.seconds() >= least);
    let step = step.unwrap_or(TickStep::Years(2_000));
    let first = step.first(to_zoned(from, zone).datetime());
    let times = std::iter::successors(Some(first), |at| step.after(*at)).take(12);
    let found: Vec<(Wall, DateTime)> = times
        .filter_map(|at| Some((instant(at, zone)?, at)))
        .filter(|(wall, _)| *wall >= from && *wall < to)
        .collect();
    let is_whole = |at: DateTime| at.time() == Time::midnight();
    // Midnight keeps its label on a narrow screen, and so does every other tick from there.
    let every = found.len().div_ceil(NARROW_LABELS).max(1);
    let kept = found.iter().position(|(_, at)| is_whole(*at)).unwrap_or(0) % every;
    found
        .iter()
        .enumerate()
        .map(|(index, (wall, at))| {
            let (label, narrow) = step.label(*at, locale);
            Tick {
                at: *wall,
                label,
                narrow: (index % every == kept).then_some(narrow),
            }
        })
        .collect()
}

/// Local midnights between two instants; none in a span of weeks.
pub fn midnights(from: Wall, to: Wall, zone: &TimeZone) -> Vec<Wall> {
    let first = to_zoned(from, zone).date().to_datetime(Time::midnight());
    let all: Vec<Wall> = std::iter::successors(Some(first), |at| TickStep::Days(1).after(*at))
        .filter_map(|at| instant(at, zone))
        .skip_while(|wall| *wall <= from)
        .take_while(|wall| *wall < to)
        .take(MIDNIGHTS)
        .collect();
    if all.len() < MIDNIGHTS {
        all
    } else {
        Vec::new()
    }
}

fn instant(at: DateTime, zone: &TimeZone) -> Option<Wall> {
    let instant = zone.to_timestamp(at).ok()?;
    Some(Wall(instant.as_millisecond()))
}

/// The name of a time below the axis, shorter or left out where the screen is narrow; `share` is
/// its place from 0 to 1.
pub fn tick_name(tick: &Tick, share: f64, y: f64) -> Markup {
    let (anchor, x) = (anchor(share), percent(share));
    html! {
        @match &tick.narrow {
            Some(narrow) if *narrow == tick.label => {
                text class=(anchor) x=(x) y=(y) { (tick.label) }
            }
            narrow => {
                text class=(format!("wide {anchor}")) x=(x) y=(y) { (tick.label) }
                @if let Some(narrow) = narrow {
                    text class=(format!("narrow {anchor}")) x=(x) y=(y) { (narrow) }
                }
            }
        }
    }
}

/// Labels at the edges stay inside.
pub fn anchor(share: f64) -> &'static str {
    match share {
        share if share < 0.06 => "start",
        share if share > 0.94 => "end",
        _ => "middle",
    }
}

pub fn percent(share: f64) -> String {
    format!("{:.2}%", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wall(text: &str) -> Wall {
        let instant: jiff::Timestamp = text.parse().expect("a time");
        Wall(instant.as_millisecond())
    }

    #[test]
    fn labels_are_few_and_round_in_local_time() {
        let berlin = TimeZone::get("Europe/Berlin").expect("time zones are compiled in");
        for (from, to, wide, narrow) in [
            (
                "2026-11-27T22:30:01Z",
                "2026-11-28T22:30:01Z",
                "Sat 28 Nov,03:00,06:00,09:00,12:00,15:00,18:00,21:00",
                "Sat,06:00,12:00,18:00",
            ),
            // A day of 25 hours, and one of 23.
            (
                "2026-10-24T22:00:00Z",
                "2026-10-25T23:00:00Z",
                "Sun 25 Oct,03:00,06:00,09:00,12:00,15:00,18:00,21:00",
                "Sun,06:00,12:00,18:00",
            ),
            (
                "2026-03-28T23:00:00Z",
                "2026-03-29T22:00:00Z",
                "Sun 29 Mar,03:00,06:00,09:00,12:00,15:00,18:00,21:00",
                "Sun,06:00,12:00,18:00",
            ),
            (
                "2026-11-21T22:30:00Z",
                "2026-11-28T22:30:00Z",
                "Sun 22 Nov,Mon 23 Nov,Tue 24 Nov,Wed 25 Nov,Thu 26 Nov,Fri 27 Nov,Sat 28 Nov",
                "Sun,Tue,Thu,Sat",
            ),
            (
                "2026-10-29T22:30:00Z",
                "2026-11-28T22:30:00Z",
                "2 Nov,9 Nov,16 Nov,23 Nov",
                "2 Nov,9 Nov,16 Nov,23 Nov",
            ),
            (
                "2025-11-28T22:30:00Z",
                "2026-11-28T22:30:00Z",
                "2026,Mar,May,Jul,Sep,Nov",
                "2026,May,Sep",
            ),
            (
                "2010-01-10T00:00:00Z",
                "2026-01-10T00:00:00Z",
                "2012,2014,2016,2018,2020,2022,2024,2026",
                "2012,2016,2020,2024",
            ),
            (
                "2026-11-28T09:58:00Z",
                "2026-11-28T10:03:30Z",
                "10:58,10:59,11:00,11:01,11:02,11:03",
                "10:58,11:00,11:02",
            ),
        ] {
            let ticks = ticks(wall(from), wall(to), &berlin, Locale::default());
            let labels: Vec<&str> = ticks.iter().map(|tick| &*tick.label).collect();
            assert_eq!(labels.join(","), wide, "{from}");
            let labels: Vec<&str> = ticks.iter().filter_map(|it| it.narrow.as_deref()).collect();
            assert_eq!(labels.join(","), narrow, "{from}");
        }
    }

    #[test]
    fn bars_have_ticks_where_they_begin() {
        let berlin = TimeZone::get("Europe/Berlin").expect("time zones are compiled in");
        for (length, from, to, expected) in [
            (
                PeriodLength::Hour,
                "2026-11-28T09:00:00Z",
                "2026-11-28T11:00:00Z",
                "10:00,11:00",
            ),
            (
                PeriodLength::Day,
                "2026-11-27T23:00:00Z",
                "2026-11-30T23:00:00Z",
                "Sat 28 Nov,Sun 29 Nov,Mon 30 Nov",
            ),
            (
                PeriodLength::Month,
                "2026-08-31T22:00:00Z",
                "2026-11-30T23:00:00Z",
                "Sep,Oct,Nov",
            ),
            (
                PeriodLength::Month,
                "2025-11-30T23:00:00Z",
                "2026-11-30T23:00:00Z",
                "2026,Mar,May,Jul,Sep,Nov",
            ),
            (
                PeriodLength::Year,
                "2023-12-31T23:00:00Z",
                "2026-12-31T23:00:00Z",
                "2024,2025,2026",
            ),
        ] {
            let span = (wall(from), wall(to));
            let ticks = period_ticks(length, span, &berlin, Locale::default());
            let labels: Vec<&str> = ticks.iter().map(|tick| &*tick.label).collect();
            assert_eq!(labels.join(","), expected, "{from}");
            for tick in &ticks {
                assert_eq!(length.begin(tick.at, &berlin), tick.at, "{}", tick.label);
            }
        }
    }

    #[test]
    fn every_span_has_a_bounded_number_of_ticks() {
        let berlin = TimeZone::get("Europe/Berlin").expect("time zones are compiled in");
        let from = wall("0001-01-02T00:00:00Z");
        for seconds in (6..38).map(|power| 1_i64 << power) {
            let to = Wall::from_second(from.second() + seconds);
            let count = ticks(from, to, &berlin, Locale::default()).len();
            assert!(count <= 9, "{seconds} s: {count}");
            assert!(midnights(from, to, &berlin).len() < MIDNIGHTS);
        }
    }
}
