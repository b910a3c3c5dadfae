//! Ranges over midnights, clocks that are set, and restarts.

use super::*;
use crate::domain::time::ClockTrust;

/// 2026-11-29T10:00:00+01:00 in Berlin.
const TEN: i64 = 1_795_942_800;
const HOUR: i64 = 3_600;
/// The machine has run for so long then.
const UPTIME: i64 = 100_000;

fn berlin() -> DayRanges {
    DayRanges::new(TimeZone::get("Europe/Berlin").expect("it is known"))
}

/// A moment some seconds after ten, of a clock that is right.
fn at(second: i64) -> Moment {
    Moment {
        mono: Mono((UPTIME + second).unsigned_abs() * 1000),
        wall: Wall::from_second(TEN + second),
        trust: ClockTrust::Trusted,
    }
}

/// The same by a clock that was not set and is `behind` seconds.
fn unset(second: i64, behind: i64) -> Moment {
    Moment {
        wall: Wall::from_second(TEN + second - behind),
        trust: ClockTrust::Untrusted,
        ..at(second)
    }
}

fn key() -> Arc<str> {
    "t".into()
}

fn found(ranges: &DayRanges) -> Option<(f64, f64)> {
    ranges.get("t").map(|it| (it.min, it.max))
}

fn stored(second: i64, min: f64, max: f64) -> StoredDay {
    StoredDay {
        second: TEN + second,
        ranges: BTreeMap::from([(key(), DayRange { min, max })]),
    }
}

/// Observes a number for each moment, and says what is today's range then.
fn run(ranges: &mut DayRanges, steps: &[(Moment, f64)]) -> Vec<Option<(f64, f64)>> {
    let step = |(now, number): &(Moment, f64)| {
        ranges.advance(*now);
        ranges.insert(&key(), now.wall, *number);
        found(ranges)
    };
    steps.iter().map(step).collect()
}

#[test]
fn a_range_is_that_of_the_day_and_ends_at_local_midnight() {
    let mut ranges = berlin();
    assert_eq!(found(&ranges), None);
    let day = [(at(0), 5.0), (at(60), 7.0), (at(13 * HOUR), 6.0)];
    let expected = [Some((5.0, 5.0)), Some((5.0, 7.0)), Some((5.0, 7.0))];
    assert_eq!(run(&mut ranges, &day), expected);
    // Midnight is 14 hours after ten, without an observation too.
    let midnight = at(14 * HOUR);
    assert_eq!(ranges.changes_at(at(0)), Some(midnight.mono));
    ranges.advance(at(14 * HOUR - 1));
    assert_eq!(found(&ranges), Some((5.0, 7.0)));
    ranges.advance(midnight);
    assert_eq!(found(&ranges), None);
    assert_eq!(ranges.changes_at(midnight), Some(at(38 * HOUR).mono));
    // What comes late or is ahead is of another day.
    ranges.insert(&key(), at(14 * HOUR - 1).wall, 99.0);
    ranges.insert(&key(), at(38 * HOUR).wall, 99.0);
    assert_eq!(found(&ranges), None);
    ranges.insert(&key(), midnight.wall, -1.0);
    assert_eq!(found(&ranges), Some((-1.0, -1.0)));
    ranges.remove("t");
    assert_eq!(found(&ranges), None);
}

#[test]
fn days_have_23_24_or_25_hours() {
    // Noon of a day in Berlin, and how long it is until the next midnight, in minutes.
    for (noon, zone, minutes) in [
        ("2026-11-29T12:00:00Z", "UTC", 720),
        ("2026-03-28T23:30:00Z", "Europe/Berlin", 22 * 60 + 30),
        ("2026-10-24T22:30:00Z", "Europe/Berlin", 24 * 60 + 30),
        ("2026-11-29T12:00:00Z", "Asia/Kolkata", 6 * 60 + 30),
        ("2026-11-29T12:00:00Z", "Pacific/Kiritimati", 22 * 60),
        // On 8 March 2026 clocks skip midnight in Havana: Saturday ends at 01:00 of Sunday.
        ("2026-03-08T04:30:00Z", "America/Havana", 30),
    ] {
        let wall: jiff::Timestamp = noon.parse().expect("a time");
        let mut ranges = DayRanges::new(TimeZone::get(zone).expect("it is known"));
        let now = Moment {
            wall: Wall(wall.as_millisecond()),
            ..at(0)
        };
        ranges.advance(now);
        let until = ranges.changes_at(now).expect("it ends").since(now.mono);
        assert_eq!(until.as_secs() / 60, minutes, "{noon} {zone}");
    }
}

#[test]
fn what_was_stored_counts_for_its_day() {
    for (case, stored, now, expected) in [
        ("today", stored(-HOUR, 1.0, 9.0), at(0), Some((1.0, 9.0))),
        (
            "at midnight",
            stored(-10 * HOUR, 1.0, 9.0),
            at(0),
            Some((1.0, 9.0)),
        ),
        ("yesterday", stored(-10 * HOUR - 1, 1.0, 9.0), at(0), None),
        ("tomorrow", stored(14 * HOUR, 1.0, 9.0), at(0), None),
        (
            "a clock of the same day",
            stored(-HOUR, 1.0, 9.0),
            unset(0, 600),
            Some((1.0, 9.0)),
        ),
        (
            "a clock of 1970",
            stored(-HOUR, 1.0, 9.0),
            unset(0, TEN),
            None,
        ),
    ] {
        let mut ranges = berlin();
        ranges.restore(stored);
        ranges.advance(now);
        assert_eq!(found(&ranges), expected, "{case}");
        ranges.insert(&key(), now.wall, 20.0);
        let low = expected.map_or(20.0, |it| it.0);
        assert_eq!(found(&ranges), Some((low, 20.0)), "{case}");
        // The next day nothing is left of it.
        ranges.advance(at(15 * HOUR));
        assert_eq!(found(&ranges), None, "{case}");
    }
}

#[test]
fn a_clock_that_is_set_later_takes_along_what_was_observed_today() {
    for (case, steps, expected) in [
        (
            "from 1970",
            vec![(unset(0, TEN), 5.0), (at(60), 7.0)],
            Some((5.0, 7.0)),
        ),
        (
            "from yesterday, which was saved",
            vec![(unset(0, 24 * HOUR), 5.0), (at(60), 7.0)],
            Some((5.0, 7.0)),
        ),
        (
            "by an hour of today",
            vec![(unset(0, HOUR), 5.0), (at(60), 7.0)],
            Some((5.0, 7.0)),
        ),
        (
            "ahead of it",
            vec![(unset(0, -48 * HOUR), 5.0), (at(60), 7.0)],
            Some((5.0, 7.0)),
        ),
        (
            "after a midnight that it did not know",
            vec![(unset(13 * HOUR, TEN), 5.0), (at(15 * HOUR), 7.0)],
            Some((7.0, 7.0)),
        ),
        (
            "a trusted one that is set to another day",
            vec![(at(0), 5.0), (at(24 * HOUR), 7.0), (at(10), 6.0)],
            Some((6.0, 6.0)),
        ),
    ] {
        let mut ranges = berlin();
        let last = run(&mut ranges, &steps).pop().flatten();
        assert_eq!(last, expected, "{case}");
    }
    // What the database has of today is counted in when the clock says that it is today.
    let mut ranges = berlin();
    ranges.restore(stored(-HOUR, 1.0, 2.0));
    let steps = [(unset(0, TEN), 5.0), (at(60), 7.0)];
    let expected = [Some((5.0, 5.0)), Some((1.0, 7.0))];
    assert_eq!(run(&mut ranges, &steps), expected);
    // A saved clock of the day of the last run, and it is tomorrow.
    let mut ranges = berlin();
    ranges.restore(stored(-24 * HOUR, 1.0, 2.0));
    let steps = [(unset(0, 24 * HOUR), 5.0), (at(60), 7.0)];
    let expected = [Some((1.0, 5.0)), Some((5.0, 7.0))];
    assert_eq!(run(&mut ranges, &steps), expected);
}
