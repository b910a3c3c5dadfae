//! Local hours, days, months and years: the periods that bars and the year are made of.
//!
//! Pure; any thread.

use jiff::tz::TimeZone;

use crate::domain::derived::CalendarPeriod;
use crate::domain::time::Wall;

/// What a bar stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeriodLength {
    Hour,
    Day,
    Month,
    Year,
}

const HOUR: i64 = 3_600;

impl PeriodLength {
    /// What suits a span: about 6 to 60 bars.
    pub fn for_span(from: Wall, to: Wall) -> PeriodLength {
        match to.since(from).as_secs() / 3_600 {
            0..=49 => PeriodLength::Hour,
            50..=1_500 => PeriodLength::Day,
            1_501..=44_000 => PeriodLength::Month,
            _ => PeriodLength::Year,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            PeriodLength::Hour => "hour",
            PeriodLength::Day => "day",
            PeriodLength::Month => "month",
            PeriodLength::Year => "year",
        }
    }

    /// The instant at or before `at` at which a local period begins.
    pub fn begin(self, at: Wall, zone: &TimeZone) -> Wall {
        Wall::from_second(self.bounds_of(at, zone).0)
    }

    /// The beginning of the period after that which contains `at`.
    pub fn next(self, at: Wall, zone: &TimeZone) -> Wall {
        Wall::from_second(self.bounds_of(at, zone).1)
    }

    /// The beginning of the period before one.
    pub fn previous(self, begin: Wall, zone: &TimeZone) -> Wall {
        self.begin(Wall(begin.0.saturating_sub(1)), zone)
    }

    fn bounds_of(self, at: Wall, zone: &TimeZone) -> (i64, i64) {
        let calendar = match self {
            PeriodLength::Hour => {
                let instant = jiff::Timestamp::from_second(at.second()).unwrap_or_default();
                // By elapsed time: an hour that a change of the clock repeats is two.
                let offset = i64::from(zone.to_offset(instant).seconds());
                let begin = at.second() - (at.second() + offset).rem_euclid(HOUR);
                return (begin, begin + HOUR);
            }
            PeriodLength::Day => CalendarPeriod::Day,
            PeriodLength::Month => CalendarPeriod::Month,
            PeriodLength::Year => CalendarPeriod::Year,
        };
        calendar.bounds(at.second(), zone)
    }

    /// The bounds of consecutive periods from `first`, which is one, until `to` is covered; at
    /// most `most` periods.
    pub fn bounds(self, first: Wall, to: Wall, zone: &TimeZone, most: usize) -> Vec<Wall> {
        let mut bounds = vec![first];
        let mut at = first;
        while at < to && bounds.len() <= most {
            let next = self.next(at, zone);
            if next <= at {
                break;
            }
            bounds.push(next);
            at = next;
        }
        bounds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> Wall {
        let instant: jiff::Timestamp = text.parse().expect("it is an instant");
        Wall(instant.as_millisecond())
    }

    #[test]
    fn periods_begin_at_local_bounds() {
        for (zone, length, at, begin, next) in [
            (
                "Europe/Berlin",
                PeriodLength::Day,
                "2026-11-29T22:59:59Z",
                "2026-11-28T23:00:00Z",
                "2026-11-29T23:00:00Z",
            ),
            (
                "Europe/Berlin",
                PeriodLength::Day,
                "2026-03-29T10:00:00Z",
                "2026-03-28T23:00:00Z",
                "2026-03-29T22:00:00Z",
            ),
            (
                "Europe/Berlin",
                PeriodLength::Day,
                "2026-10-25T10:00:00Z",
                "2026-10-24T22:00:00Z",
                "2026-10-25T23:00:00Z",
            ),
            // 02:30 is there twice: an hour each.
            (
                "Europe/Berlin",
                PeriodLength::Hour,
                "2026-10-25T00:30:00Z",
                "2026-10-25T00:00:00Z",
                "2026-10-25T01:00:00Z",
            ),
            (
                "Asia/Kolkata",
                PeriodLength::Hour,
                "2026-11-29T10:29:59Z",
                "2026-11-29T09:30:00Z",
                "2026-11-29T10:30:00Z",
            ),
            (
                "Asia/Kolkata",
                PeriodLength::Month,
                "2026-11-30T18:30:00Z",
                "2026-11-30T18:30:00Z",
                "2026-12-31T18:30:00Z",
            ),
            // There was no midnight: the clock went from 23:59 to 01:00.
            (
                "America/Sao_Paulo",
                PeriodLength::Day,
                "2018-11-04T12:00:00Z",
                "2018-11-04T03:00:00Z",
                "2018-11-05T02:00:00Z",
            ),
            (
                "UTC",
                PeriodLength::Year,
                "2026-11-29T10:29:59Z",
                "2026-01-01T00:00:00Z",
                "2027-01-01T00:00:00Z",
            ),
        ] {
            let zone = TimeZone::get(zone).expect("it is known");
            let found = length.begin(instant(at), &zone);
            assert_eq!(found, instant(begin), "{length:?} {at}");
            assert_eq!(length.next(found, &zone), instant(next), "{length:?} {at}");
            assert_eq!(
                length.previous(instant(next), &zone),
                found,
                "{length:?} {at}"
            );
        }
    }

    #[test]
    fn bounds_cover_the_span_or_end_at_the_most() {
        let zone = TimeZone::get("Europe/Berlin").expect("it is known");
        let from = instant("2026-03-28T23:00:00Z");
        let to = instant("2026-03-29T22:00:00Z");
        let hours = PeriodLength::Hour.bounds(from, to, &zone, 400);
        assert_eq!(hours.len(), 24, "23 hours");
        assert_eq!(hours.last(), Some(&to));
        assert_eq!(PeriodLength::Hour.bounds(from, to, &zone, 5).len(), 6);
        let far = PeriodLength::Year.bounds(from, Wall(i64::MAX), &zone, 400);
        assert!(far.len() <= 401);
    }
}
