//! Calendar periods: local days, weeks, months and years, which begin at local midnight.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::domain::time::Wall;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalendarPeriod {
    Day,
    /// Begins on Monday.
    Week,
    Month,
    Year,
}

impl CalendarPeriod {
    pub const ALL: [CalendarPeriod; 4] = [
        CalendarPeriod::Day,
        CalendarPeriod::Week,
        CalendarPeriod::Month,
        CalendarPeriod::Year,
    ];

    /// As it is written in `since`.
    pub fn name(self) -> &'static str {
        match self {
            CalendarPeriod::Day => "day",
            CalendarPeriod::Week => "week",
            CalendarPeriod::Month => "month",
            CalendarPeriod::Year => "year",
        }
    }

    /// Seconds at which the period that contains `second` begins, and the one after it.
    pub fn bounds(self, second: i64, zone: &TimeZone) -> (i64, i64) {
        let first = Timestamp::MIN.as_second() + 400 * 86_400;
        let last = Timestamp::MAX.as_second() - 400 * 86_400;
        let instant = Timestamp::from_second(second.clamp(first, last)).unwrap_or_default();
        let date = zone.to_datetime(instant).date();
        let first = self.first_date(date);
        let begin = first.and_then(|date| first_instant(date, zone));
        let next = first
            .and_then(|first| first.checked_add(self.span()).ok())
            .and_then(|date| first_instant(date, zone));
        // A date that the zone left out, or had twice, ends where it is left.
        let begin = begin.unwrap_or(second).min(second);
        let next = next.unwrap_or(i64::MAX).max(second.saturating_add(1));
        (begin, next)
    }

    /// When the period that contains `now` began.
    pub fn begin(self, now: Wall, zone: &TimeZone) -> Wall {
        Wall::from_second(self.bounds(now.second(), zone).0)
    }

    fn first_date(self, date: Date) -> Option<Date> {
        match self {
            CalendarPeriod::Day => Some(date),
            CalendarPeriod::Week => {
                let days = i64::from(date.weekday().to_monday_zero_offset());
                date.checked_sub(Span::new().days(days)).ok()
            }
            CalendarPeriod::Month => Some(date.first_of_month()),
            CalendarPeriod::Year => Some(date.first_of_year()),
        }
    }

    fn span(self) -> Span {
        match self {
            CalendarPeriod::Day => Span::new().days(1),
            CalendarPeriod::Week => Span::new().days(7),
            CalendarPeriod::Month => Span::new().months(1),
            CalendarPeriod::Year => Span::new().years(1),
        }
    }
}

/// The first second whose local date is `date`; of a date that the zone leaves out, the first
/// after it.
fn first_instant(date: Date, zone: &TimeZone) -> Option<i64> {
    let midnight = date.at(0, 0, 0, 0);
    let instant = zone.to_timestamp(midnight).ok()?;
    // Where clocks skip midnight, the day begins with the transition.
    let skipped = zone.to_datetime(instant) != midnight;
    let transition = skipped.then(|| zone.preceding(instant + Span::new().seconds(1)).next());
    Some(match transition.flatten() {
        Some(transition) => transition.timestamp().as_second(),
        None => instant.as_second(),
    })
}

#[cfg(test)]
#[path = "tests/period.rs"]
mod tests;
