//! Comparison with an earlier period: the query parameter `vs`.
//!
//! Pure; any thread.

use jiff::ToSpan;
use jiff::tz::TimeZone;

use super::period::Period;
use crate::domain::time::Wall;
use crate::monitor::format::to_zoned;
use crate::monitor::problem::ProblemDetails;
use crate::monitor::routes::table::RequestTarget;

/// How far back the second line of a chart is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Day,
    Week,
    Year,
}

impl Comparison {
    pub const ALL: [Comparison; 3] = [Comparison::Day, Comparison::Week, Comparison::Year];

    /// Reads `vs`; the problem says what is expected.
    pub fn read(target: &RequestTarget) -> Result<Option<Comparison>, ProblemDetails> {
        let Some(text) = target.parameter("vs") else {
            return Ok(None);
        };
        let found = Comparison::ALL.into_iter().find(|it| it.name() == text);
        found.map(Some).ok_or_else(|| {
            let detail = format!("`vs` is {text:?}; expected day, week or year.");
            ProblemDetails::new(400, detail)
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Comparison::Day => "day",
            Comparison::Week => "week",
            Comparison::Year => "year",
        }
    }

    /// What a line of it is called.
    pub fn label(self) -> &'static str {
        match self {
            Comparison::Day => "the day before",
            Comparison::Week => "the week before",
            Comparison::Year => "the year before",
        }
    }

    /// Those that a period is compared with: with an earlier one that it does not touch.
    pub fn of_period(period: &Period) -> impl Iterator<Item = Comparison> {
        const DAY: u64 = 86_400;
        let seconds = period.length().as_secs();
        let is_all = period.is_all();
        Comparison::ALL.into_iter().filter(move |it| {
            let apart = match it {
                Comparison::Day => DAY,
                Comparison::Week => 7 * DAY,
                Comparison::Year => 366 * DAY,
            };
            // A day of 25 hours too.
            !is_all && seconds <= apart + 3_600
        })
    }

    /// How much earlier, in milliseconds, the same local time was.
    pub fn offset_ms(self, at: Wall, zone: &TimeZone) -> Option<i64> {
        let local = to_zoned(at, zone).datetime();
        let earlier = match self {
            Comparison::Day => local.checked_sub(1.day()),
            Comparison::Week => local.checked_sub(7.days()),
            Comparison::Year => local.checked_sub(1.year()),
        };
        let earlier = zone.to_timestamp(earlier.ok()?).ok()?;
        at.0.checked_sub(earlier.as_millisecond())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_local_time_was_earlier_by_so_many_hours() {
        let berlin = TimeZone::get("Europe/Berlin").expect("time zones are compiled in");
        for (at, comparison, hours) in [
            ("2026-11-28T12:00:00Z", Comparison::Day, 24),
            ("2026-11-28T12:00:00Z", Comparison::Week, 168),
            ("2026-11-28T12:00:00Z", Comparison::Year, 365 * 24),
            // The clock was set back in between, or forward.
            ("2026-10-25T12:00:00Z", Comparison::Day, 25),
            ("2026-03-29T12:00:00Z", Comparison::Day, 23),
            // There was no 29 February the year before.
            ("2024-02-29T12:00:00Z", Comparison::Year, 366 * 24),
        ] {
            let at: jiff::Timestamp = at.parse().expect("a time");
            let offset = comparison.offset_ms(Wall(at.as_millisecond()), &berlin);
            assert_eq!(offset, Some(hours * 3_600_000), "{at} {comparison:?}");
        }
    }
}
