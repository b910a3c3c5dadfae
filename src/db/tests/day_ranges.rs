//! Days that a start finds in the database.

use jiff::tz::TimeZone;

use super::*;
use crate::db::test_support::{Directory, T0, database, entries, row, row_of, trusted};
use crate::domain::reading::Value;
use crate::domain::time::ClockTrust;

/// Seconds from `T0`, which is 20:00 UTC of 30 October 2025: in Berlin the day began at -21 h, in
/// Kolkata at -1.5 h and the one before it at -25.5 h.
const ROWS: [(i64, f64); 8] = [
    (-26 * HOUR, 90.0),
    (-21 * HOUR - 1, 80.0),
    (-21 * HOUR, 70.0),
    (-6_000, 60.0),
    (-5_400, 50.0),
    (-60, 5.0),
    (0, 10.0),
    (60, 20.0),
];

#[test]
fn the_ranges_of_a_local_day_are_read() {
    let directory = Directory::new();
    let mut database = database(&directory.path("a.db"));
    let now = trusted(120);
    let unset = |wall| Moment {
        wall,
        trust: ClockTrust::Untrusted,
        ..now
    };
    let read = |database: &crate::db::database::Database, zone: &str, now| {
        let zone = TimeZone::get(zone).expect("it is known");
        let wanted = |key: &str| key != "other";
        read_day(database.connection(), &zone, now, &wanted).expect("it can be read")
    };
    assert_eq!(read(&database, "UTC", now), None);
    let numbers = ROWS.map(|(at, value)| row("t", T0 + at, value));
    let others = [
        row("other", T0, 1.0),
        row_of("text", T0, Value::Text("on".into())),
    ];
    let rows = entries(numbers.into_iter().chain(others));
    database.commit(&rows, i64::MIN).expect("it is committed");
    let yesterday = crate::domain::time::Wall::from_second(T0 - 24 * HOUR);
    for (zone, now, expected) in [
        ("UTC", now, Some((5.0, 60.0))),
        ("Europe/Berlin", now, Some((5.0, 70.0))),
        // 80 is of the last second before midnight in Berlin.
        ("Etc/GMT-3", now, Some((5.0, 80.0))),
        ("Asia/Kolkata", now, Some((5.0, 50.0))),
        ("Pacific/Kiritimati", now, Some((5.0, 60.0))),
        ("UTC", trusted(24 * HOUR), None),
        ("Europe/Berlin", unset(yesterday), Some((5.0, 70.0))),
    ] {
        let day = read(&database, zone, now).expect("there are hours");
        let found = day.ranges.get("t").map(|it| (it.min, it.max));
        assert_eq!(found, expected, "{zone}");
        assert!(day.ranges.keys().all(|key| **key == *"t"), "{zone}");
    }
}
