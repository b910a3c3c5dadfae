//! Window functions in the ledger: rows, periods, staleness, a clock that is set later.

use jiff::tz::TimeZone;

use super::derived_tests::{deriving, fetch, formula, issue_of, turn};
use super::tests::{at, observation, readings, values};
use super::*;
use crate::domain::derived::{CalendarPeriod, WindowFunction, WindowRule, WindowSpan};
use crate::domain::derived_key::{DERIVED_SOURCE, DerivedKey, DerivedRule};
use crate::domain::time::{ClockTrust, Mono};

fn window(key: &str, function: WindowFunction, span: WindowSpan) -> DerivedKey {
    DerivedKey {
        key: key.into(),
        rule: DerivedRule::Window(WindowRule {
            function,
            input: "total".into(),
            span,
            zone: TimeZone::UTC,
            hold: Duration::from_secs(180),
        }),
        unit: None,
        stale_after: None,
    }
}

fn today() -> DerivedKey {
    window(
        "today",
        WindowFunction::Increase,
        WindowSpan::Since(CalendarPeriod::Day),
    )
}

fn last_minutes(function: WindowFunction) -> DerivedKey {
    window(
        "recent",
        function,
        WindowSpan::Over(Duration::from_secs(600)),
    )
}

/// The tests begin at 20:00 UTC: midnight is four hours later.
const MIDNIGHT: u64 = 4 * 3600;

#[test]
fn the_increase_of_today_follows_the_counter() {
    let mut ledger = deriving(1, vec![today()]);
    assert_eq!(fetch(&mut ledger, 0, 0, &[("total", 100.0)]), ["today 0 0"]);
    assert_eq!(
        fetch(&mut ledger, 0, 60, &[("total", 101.5)]),
        ["today 1.5 60"]
    );
    assert_eq!(
        fetch(&mut ledger, 0, 120, &[("total", 104.0)]),
        ["today 4 120"]
    );
    assert_eq!(values(&ledger.snapshot(at(121))), ["total 104", "today 4"]);
}

#[test]
fn at_midnight_it_begins_anew_without_a_fetch() {
    let mut ledger = deriving(1, vec![today()]);
    fetch(&mut ledger, 0, MIDNIGHT - 120, &[("total", 100.0)]);
    fetch(&mut ledger, 0, MIDNIGHT - 60, &[("total", 105.0)]);
    let before = ledger.snapshot(at(MIDNIGHT - 1));
    assert_eq!(values(&before), ["total 105", "today 5"]);
    assert_eq!(before.changes_at, Some(Mono(MIDNIGHT * 1000)));
    let rows = ledger.derive(at(MIDNIGHT), &[]);
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (&rows[0].value, rows[0].stamp.observed),
        (&Value::Number(0.0), at(MIDNIGHT).wall)
    );
    assert_eq!(
        values(&ledger.snapshot(at(MIDNIGHT))),
        ["total 105", "today 0"]
    );
    assert_eq!(ledger.derive(at(MIDNIGHT + 1), &[]), []);
    // The step across midnight belongs to its later row.
    assert_eq!(
        fetch(&mut ledger, 0, MIDNIGHT + 30, &[("total", 107.0)]),
        [format!("today 2 {}", MIDNIGHT + 30)]
    );
}

#[test]
fn a_late_row_corrects_the_day_that_is_over() {
    let mut ledger = deriving(1, vec![today()]);
    let own = |second: u64, observed: u64, total| {
        let own = i64::try_from(observed).expect("it is small");
        observation(0, second, readings(Some(own), &[("total", total)]))
    };
    turn(&mut ledger, own(MIDNIGHT - 100, MIDNIGHT - 100, 100.0));
    turn(&mut ledger, own(MIDNIGHT - 50, MIDNIGHT - 50, 103.0));
    assert_eq!(ledger.derive(at(MIDNIGHT), &[]).len(), 1);
    let late = own(MIDNIGHT + 5, MIDNIGHT - 1, 108.0);
    assert_eq!(
        turn(&mut ledger, late),
        [format!("today 8 {}", MIDNIGHT - 1)]
    );
    assert_eq!(
        values(&ledger.snapshot(at(MIDNIGHT + 5))),
        ["total 108", "today 0"]
    );
    let next = own(MIDNIGHT + 60, MIDNIGHT + 60, 109.0);
    assert_eq!(
        turn(&mut ledger, next),
        [format!("today 1 {}", MIDNIGHT + 60)]
    );
}

#[test]
fn an_unchanged_value_is_stored_every_five_minutes() {
    let mut ledger = deriving(1, vec![today()]);
    let mut stored = Vec::new();
    for second in (0..900).step_by(60) {
        stored.extend(fetch(&mut ledger, 0, second, &[("total", 100.0)]));
    }
    assert_eq!(stored, ["today 0 0", "today 0 300", "today 0 600"]);
}

#[test]
fn what_leaves_a_window_changes_the_value_without_a_row() {
    let mut ledger = deriving(1, vec![last_minutes(WindowFunction::MaxOverTime)]);
    assert_eq!(fetch(&mut ledger, 0, 0, &[("total", 9.0)]), ["recent 9 0"]);
    for second in (60..600).step_by(60) {
        fetch(&mut ledger, 0, second, &[("total", 3.0)]);
    }
    assert_eq!(values(&ledger.snapshot(at(599))), ["total 3", "recent 9"]);
    let changes_at = ledger.snapshot(at(599)).changes_at.expect("9 leaves");
    let second = changes_at.0.div_ceil(1000);
    assert!((600..=605).contains(&second), "{second}");
    assert_eq!(ledger.derive(at(second), &[]), []);
    assert_eq!(
        values(&ledger.snapshot(at(second))),
        ["total 3", "recent 3"]
    );
}

#[test]
fn rows_of_a_meter_that_is_hours_late_are_stored_at_their_times() {
    let mut ledger = deriving(1, vec![today()]);
    let late = |second: u64, observed: i64, total| {
        observation(0, second, readings(Some(observed), &[("total", total)]))
    };
    assert_eq!(turn(&mut ledger, late(12_000, 100, 100.0)), ["today 0 100"]);
    assert_eq!(
        turn(&mut ledger, late(12_060, 1_900, 103.0)),
        ["today 3 1900"]
    );
    let stale = ["total 103 stale", "today 3 stale"];
    assert_eq!(values(&ledger.snapshot(at(12_060))), stale);
    // Nothing is known of the new day.
    assert_eq!(ledger.derive(at(MIDNIGHT), &[]), []);
    assert_eq!(values(&ledger.snapshot(at(MIDNIGHT))), stale);
}

#[test]
fn a_stale_input_leaves_the_value_as_it_was() {
    let mut ledger = deriving(1, vec![today()]);
    fetch(&mut ledger, 0, MIDNIGHT - 300, &[("total", 100.0)]);
    fetch(&mut ledger, 0, MIDNIGHT - 240, &[("total", 105.0)]);
    assert_eq!(ledger.derive(at(MIDNIGHT + 10), &[]), []);
    assert_eq!(
        values(&ledger.snapshot(at(MIDNIGHT + 10))),
        ["total 105 stale", "today 5 stale"]
    );
    assert_eq!(
        fetch(&mut ledger, 0, MIDNIGHT + 600, &[("total", 109.0)]),
        [format!("today 4 {}", MIDNIGHT + 600)]
    );
    assert_eq!(
        values(&ledger.snapshot(at(MIDNIGHT + 600))),
        ["total 109", "today 4"]
    );
}

#[test]
fn a_rate_says_why_there_is_none_yet_and_in_what_unit_it_is() {
    let mut ledger = deriving(1, vec![last_minutes(WindowFunction::Rate)]);
    let mut with_unit = readings(None, &[("total", 0.0)]);
    let FetchOutcome::Readings { readings: list, .. } = &mut with_unit else {
        panic!("they are readings");
    };
    list[0].unit = Some("Wh".into());
    assert_eq!(turn(&mut ledger, observation(0, 0, with_unit)), [""; 0]);
    assert_eq!(
        issue_of(&ledger, 0).as_deref(),
        Some(
            "missing: rate of total over 10m: expected values of \"total\", found its values \
             cover 0 s of 10 min, less than half"
        )
    );
    for second in (60..=300).step_by(60) {
        fetch(&mut ledger, 0, second, &[("total", second as f64 / 2.0)]);
    }
    assert_eq!(
        values(&ledger.snapshot(at(300))),
        ["total 150", "recent 0.5"]
    );
}

#[test]
fn units_follow_where_they_are_certain() {
    for (function, unit, expected) in [
        (WindowFunction::Increase, "kWh", Some("kWh")),
        (WindowFunction::Rate, "l", Some("l/s")),
        (WindowFunction::Integral, "W", Some("Wh")),
        (WindowFunction::Integral, "°C", None),
        (WindowFunction::AvgOverTime, "°C", Some("°C")),
    ] {
        let mut ledger = deriving(1, vec![last_minutes(function)]);
        for second in [0, 60, 120, 180, 240, 300] {
            let mut outcome = readings(None, &[("total", 1.0)]);
            if let FetchOutcome::Readings { readings, .. } = &mut outcome {
                readings[0].unit = Some(unit.into());
            }
            turn(&mut ledger, observation(0, second, outcome));
        }
        let snapshot = ledger.snapshot(at(300));
        let recent = snapshot.record("recent").expect("it has a value");
        assert_eq!(recent.unit.as_deref(), expected, "{function:?} {unit}");
    }
}

#[test]
fn formulas_and_windows_are_inputs_of_each_other() {
    let keys = vec![
        formula("cost", "today * 0.3"),
        today(),
        formula("total", "a + b"),
    ];
    let mut ledger = deriving(1, keys);
    fetch(&mut ledger, 0, 0, &[("a", 1.0), ("b", 2.0)]);
    let rows = fetch(&mut ledger, 0, 60, &[("a", 2.0), ("b", 11.0)]);
    assert_eq!(rows, ["total 13 60", "today 10 60", "cost 3 60"]);
}

#[test]
fn a_stated_value_is_no_part_of_a_counter() {
    let mut ledger = deriving(1, vec![today()]);
    fetch(&mut ledger, 0, 0, &[("total", 100.0)]);
    let mut stated = readings(None, &[("total", 0.0)]);
    if let FetchOutcome::Readings { readings, .. } = &mut stated {
        readings[0].is_stated = true;
    }
    turn(&mut ledger, observation(0, 60, stated));
    assert_eq!(
        fetch(&mut ledger, 0, 120, &[("total", 103.0)]),
        ["today 3 120"]
    );
}

#[test]
fn an_untrusted_clock_shows_a_value_and_moves_its_rows_when_it_is_set() {
    let mut ledger = deriving(1, vec![today()]);
    let untrusted = |second: u64, total| {
        let mut observation = observation(0, second, readings(None, &[("total", total)]));
        observation.at.wall = Wall(second as i64 * 1000);
        observation.at.trust = ClockTrust::Untrusted;
        observation
    };
    turn(&mut ledger, untrusted(10, 100.0));
    assert_eq!(
        turn(&mut ledger, untrusted(70, 104.0)),
        ["today 4 -1761854330"]
    );
    assert_eq!(
        ledger
            .windows()
            .next()
            .and_then(|(_, it)| it.newest_second()),
        None
    );
    ledger.fix_timestamps(at(80));
    assert_eq!(ledger.derive(at(80), &[]), []);
    let newest = ledger
        .windows()
        .next()
        .and_then(|(_, it)| it.newest_second());
    assert_eq!(newest, Some(at(70).wall.second()), "with its true time");
    assert_eq!(values(&ledger.snapshot(at(80))), ["total 104", "today 4"]);
    assert_eq!(
        fetch(&mut ledger, 0, 130, &[("total", 106.0)]),
        ["today 6 130"]
    );
}

#[test]
fn a_clock_behind_the_rows_of_an_earlier_run_gives_no_value() {
    let mut ledger = deriving(1, vec![today()]);
    fetch(&mut ledger, 0, 0, &[("total", 100.0)]);
    let saved = ledger.windows().next().map(|(_, it)| it.clone());
    let mut ledger = deriving(1, vec![today()]);
    ledger.restore(vec![RestoredRecord {
        key: "today".into(),
        value: Value::Number(5.0),
        unit: None,
        source: DERIVED_SOURCE.into(),
        stamp: Stamp::restored(at(0).wall, false),
        is_boolean: false,
        absence: Absence::default(),
    }]);
    if let (Some((_, window)), Some(saved)) = (ledger.windows_mut().next(), saved) {
        *window = saved;
    }
    ledger.windows_changed();
    let mut early = observation(0, 10, readings(None, &[("total", 101.0)]));
    early.at.wall = Wall(0);
    early.at.trust = ClockTrust::Untrusted;
    let now = early.at;
    assert_eq!(turn(&mut ledger, early), [""; 0]);
    assert_eq!(
        values(&ledger.snapshot(now)),
        ["total 101", "today 5 stale"]
    );
    ledger.fix_timestamps(at(20));
    ledger.derive(at(20), &[]);
    assert_eq!(values(&ledger.snapshot(at(20))), ["total 101", "today 1"]);
}
