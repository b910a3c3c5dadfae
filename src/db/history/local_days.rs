//! Buckets of local days, for spans whose buckets last a day or longer.
//!
//! Pure; any thread.

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::buckets::{Grid, grid};
use crate::db::periods::DAY;
use crate::domain::derived::CalendarPeriod;

const EPOCH: Date = date(1970, 1, 1);

/// The bounds of the buckets that the span from `from` to `to` (in seconds, within years 1 to
/// 9999, not empty) has parts of, at local midnights; `None` where buckets are shorter than a day,
/// and where days are those of UTC.
pub(super) fn local_bounds(from: i64, to: i64, points: usize, zone: &TimeZone) -> Option<Vec<i64>> {
    if *zone == TimeZone::UTC || grid(from, to, points).width < DAY {
        return None;
    }
    let (first, end) = (day_of(from, zone)?, day_of(to - 1, zone)? + 1);
    // A grid of UTC fits the points; one of local days counts their numbers in its place.
    let Grid { origin, width } = grid(first * DAY, end * DAY, points);
    let width = width.max(DAY);
    let place = |day: i64| (day * DAY - origin).div_euclid(width);
    let bounds = (place(first)..=place(end - 1) + 1).map(|place| {
        let day = (origin + place * width).div_euclid(DAY);
        midnight(day, zone).unwrap_or(day.saturating_mul(DAY))
    });
    Some(bounds.collect())
}

/// The number of the local date since 1970.
fn day_of(second: i64, zone: &TimeZone) -> Option<i64> {
    let instant = Timestamp::from_second(second).ok()?;
    let date = zone.to_datetime(instant).date();
    Some(EPOCH.duration_until(date).as_secs().div_euclid(DAY))
}

/// When the local date with this number begins.
fn midnight(day: i64, zone: &TimeZone) -> Option<i64> {
    let date = EPOCH.checked_add(Span::new().try_days(day).ok()?).ok()?;
    // Midnight may be skipped or twice; noon never is.
    let noon = zone.to_timestamp(date.at(12, 0, 0, 0)).ok()?;
    Some(CalendarPeriod::Day.bounds(noon.as_second(), zone).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600;

    #[test]
    fn buckets_of_a_day_or_longer_are_local_days() {
        // 2026-03-20T00:00:00Z.
        let begin = 1_773_964_800;
        for (zone, from, to, points, count, first, lengths) in [
            // 29 March has 23 hours in Berlin.
            ("Europe/Berlin", 0, 20 * DAY, 21, 21, -HOUR, vec![24, 23]),
            (
                "Europe/Berlin",
                -HOUR,
                20 * DAY - 2 * HOUR,
                20,
                20,
                -HOUR,
                vec![24, 23],
            ),
            // Even numbers of days since 1970.
            ("Europe/Berlin", 0, 20 * DAY, 20, 11, -HOUR, vec![48, 47]),
            (
                "Asia/Kolkata",
                0,
                20 * DAY,
                21,
                21,
                -5 * HOUR - 1_800,
                vec![24],
            ),
            (
                "America/New_York",
                0,
                20 * DAY,
                21,
                21,
                -20 * HOUR,
                vec![24],
            ),
        ] {
            let case = format!("{zone} {from} {to} {points}");
            let zone = TimeZone::get(zone).expect("it is known");
            let bounds = local_bounds(begin + from, begin + to, points, &zone);
            let bounds = bounds.expect("they are days");
            assert_eq!(bounds.len() - 1, count, "{case}");
            assert_eq!(bounds[0] - begin, first, "{case}");
            let mut found: Vec<i64> = bounds.windows(2).map(|it| (it[1] - it[0]) / HOUR).collect();
            found.sort_unstable();
            found.dedup();
            let mut lengths = lengths;
            lengths.sort_unstable();
            assert_eq!(found, lengths, "{case}");
        }
        let berlin = TimeZone::get("Europe/Berlin").expect("it is known");
        assert_eq!(local_bounds(begin, begin + 20 * DAY, 100, &berlin), None);
        assert_eq!(
            local_bounds(begin, begin + 20 * DAY, 20, &TimeZone::UTC),
            None
        );
    }

    #[test]
    fn every_span_has_few_enough_buckets() {
        let (least, most) = (-62_135_596_800, 253_402_300_800);
        for zone in ["Europe/Berlin", "Pacific/Kiritimati", "America/Havana"] {
            let zone = TimeZone::get(zone).expect("it is known");
            for (from, to) in [(least, most), (most - 1, most), (least, least + 1), (-1, 1)] {
                for points in [1, 2, 7, 2_000] {
                    let Some(bounds) = local_bounds(from, to, points, &zone) else {
                        continue;
                    };
                    assert!(bounds.len() <= points + 1, "{from} {to} {points}");
                    assert!(bounds.is_sorted(), "{from} {to} {points}");
                    assert!(bounds[0] <= from, "{from} {to} {points}");
                }
            }
        }
    }
}
