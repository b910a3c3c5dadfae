//! What the snapshot has of today, for keys of all kinds.

use std::collections::BTreeMap;

use super::derived_tests::{deriving, formula, turn};
use super::tests::{at, ledger, merging, observation, readings};
use super::*;
use crate::domain::day_range::DayRange;
use crate::domain::plan::test_plan;
use crate::domain::reading::{Series, ShownElement, TimedValue};

/// `at(0)` is 20:00 UTC.
const MIDNIGHT: u64 = 4 * 3_600;

fn today(ledger: &Ledger, second: u64, key: &str) -> Option<(f64, f64)> {
    let snapshot = ledger.snapshot(at(second));
    let range = snapshot.record(key).and_then(|record| record.today);
    range.map(|it| (it.min, it.max))
}

/// One turn of the ingest loop.
fn fetch(ledger: &mut Ledger, source: usize, second: u64, pairs: &[(&str, f64)]) {
    ledger.fix_timestamps(at(second));
    turn(ledger, observation(source, second, readings(None, pairs)));
}

#[test]
fn derived_and_merged_values_have_ranges_of_their_own() {
    let mut derived = deriving(2, vec![formula("house", "grid + solar")]);
    for (second, grid, solar) in [(0, 10.0, 1.0), (60, 30.0, 5.0), (120, 20.0, -50.0)] {
        fetch(&mut derived, 0, second, &[("grid", grid)]);
        fetch(&mut derived, 1, second, &[("solar", solar)]);
    }
    assert_eq!(today(&derived, 120, "grid"), Some((10.0, 30.0)));
    // Also of the moments at which one input alone was new.
    assert_eq!(today(&derived, 120, "house"), Some((-30.0, 35.0)));
    let mut merged = merging(2, "t", Merge::Mean);
    fetch(&mut merged, 0, 0, &[("t", 10.0)]);
    fetch(&mut merged, 1, 1, &[("t", 20.0)]);
    assert_eq!(today(&merged, 1, "t"), Some((10.0, 15.0)));
}

#[test]
fn at_midnight_today_begins_anew_without_a_reading() {
    let mut ledger = ledger(1);
    fetch(&mut ledger, 0, MIDNIGHT - 60, &[("t", 5.0)]);
    let changes_at = ledger.snapshot(at(MIDNIGHT - 1)).changes_at;
    assert_eq!(changes_at, Some(at(MIDNIGHT).mono));
    assert_eq!(today(&ledger, MIDNIGHT - 1, "t"), Some((5.0, 5.0)));
    ledger.fix_timestamps(at(MIDNIGHT));
    assert_eq!(today(&ledger, MIDNIGHT, "t"), None);
    fetch(&mut ledger, 0, MIDNIGHT + 60, &[("t", 7.0)]);
    assert_eq!(today(&ledger, MIDNIGHT + 60, "t"), Some((7.0, 7.0)));
}

#[test]
fn the_day_goes_on_after_a_restart() {
    let stored = |range| StoredDay {
        second: at(0).wall.second(),
        ranges: BTreeMap::from([("t".into(), range)]),
    };
    let morning = DayRange {
        min: -4.0,
        max: 11.0,
    };
    let berlin = TimeZone::get("Europe/Berlin").expect("it is known");
    for (zone, day, second, expected) in [
        (TimeZone::UTC, Some(morning), 60, (-4.0, 12.0)),
        (TimeZone::UTC, None, 60, (12.0, 12.0)),
        (TimeZone::UTC, Some(morning), MIDNIGHT, (12.0, 12.0)),
        // Midnight is an hour earlier.
        (berlin, Some(morning), MIDNIGHT - 3_600, (12.0, 12.0)),
    ] {
        let mut ledger = ledger(1);
        ledger.restore_day_ranges(zone, day.map(stored));
        fetch(&mut ledger, 0, second, &[("t", 12.0)]);
        assert_eq!(today(&ledger, second, "t"), Some(expected), "{second}");
    }
}

#[test]
fn of_a_series_what_was_observed_today_counts() {
    let hour = |hour: i64, value: f64| TimedValue {
        start: Wall::from_second(at(0).wall.second() + hour * 3_600),
        end: None,
        value: Value::Number(value),
        is_stated: false,
    };
    // Yesterday, today, ahead of now, tomorrow.
    let elements = vec![
        hour(-21, 90.0),
        hour(-2, 2.0),
        hour(0, 3.0),
        hour(2, 70.0),
        hour(5, 80.0),
    ];
    let outcome = FetchOutcome::Readings {
        observed: None,
        readings: Vec::new(),
        series: vec![Series {
            key: "t".into(),
            unit: None,
            shown: ShownElement::Newest,
            elements,
        }],
        issues: Vec::new(),
    };
    let mut ledger = ledger(1);
    ledger.fix_timestamps(at(60));
    ledger.apply(observation(0, 60, outcome));
    ledger.advance(at(60));
    assert_eq!(today(&ledger, 60, "t"), Some((2.0, 3.0)));
    ledger.advance(at(2 * 3_600));
    assert_eq!(today(&ledger, 2 * 3_600, "t"), Some((2.0, 70.0)));
}

#[test]
fn a_key_that_is_forgotten_leaves_nothing() {
    let mut plan = test_plan(1, Duration::from_secs(60));
    plan.sources[0].forget_after = Duration::ZERO;
    let mut ledger = Ledger::new(Arc::new(plan));
    fetch(&mut ledger, 0, 0, &[("gone", 5.0), ("t", 1.0)]);
    assert!(ledger.day_ranges.get("gone").is_some());
    for minute in 1..=2 * limits::FORGET_AFTER_RESPONSES {
        fetch(&mut ledger, 0, minute * 60, &[("t", 1.0)]);
    }
    assert!(ledger.day_ranges.get("gone").is_none());
    fetch(&mut ledger, 0, 3_600, &[("gone", 7.0)]);
    assert_eq!(today(&ledger, 3_600, "gone"), Some((7.0, 7.0)));
}
