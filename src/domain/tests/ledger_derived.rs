//! Derived keys in the ledger: values, rows, staleness, issues, restarts.

use super::tests::{at, observation, readings, values};
use super::*;
use crate::domain::derived_key::{DERIVED_SOURCE, DerivedKey, DerivedKeys, DerivedRule};
use crate::domain::formula::Formula;
use crate::domain::plan::test_plan;
use crate::domain::reading::Reason;
use crate::domain::time::{ClockTrust, Mono};

pub(super) fn formula(key: &str, text: &str) -> DerivedKey {
    DerivedKey {
        key: key.into(),
        rule: DerivedRule::Formula(Formula::parse(text).expect("it is valid")),
        unit: Some("W".into()),
        stale_after: None,
    }
}

/// Sources that are fetched each minute, so that values are stale after three.
pub(super) fn deriving(sources: usize, keys: Vec<DerivedKey>) -> Ledger {
    let plan = Plan {
        derived: DerivedKeys::new(keys).expect("there is no cycle"),
        ..test_plan(sources, Duration::from_secs(60))
    };
    Ledger::new(Arc::new(plan))
}

/// One turn of the ingest loop; the rows of derived keys as `key value second`.
pub(super) fn fetch(
    ledger: &mut Ledger,
    source: usize,
    second: u64,
    pairs: &[(&str, f64)],
) -> Vec<String> {
    turn(ledger, observation(source, second, readings(None, pairs)))
}

pub(super) fn turn(ledger: &mut Ledger, observation: Observation) -> Vec<String> {
    let now = observation.at;
    let applied = ledger.apply(observation);
    let rows = ledger.derive(now, &applied);
    let line = |row: &RecordRow| {
        let second = row.stamp.observed.second() - at(0).wall.second();
        format!("{} {} {second}", row.key, row.value)
    };
    rows.iter().map(line).collect()
}

pub(super) fn issue_of(ledger: &Ledger, second: u64) -> Option<String> {
    let snapshot = ledger.snapshot(at(second));
    let issue = snapshot.derived.first()?.issue.clone()?;
    Some(issue.to_string())
}

#[test]
fn a_formula_follows_its_inputs_and_is_stored_with_the_time_of_the_newest() {
    let mut ledger = deriving(2, vec![formula("house", "grid + solar")]);
    assert_eq!(fetch(&mut ledger, 0, 1, &[("grid", 100.0)]), [""; 0]);
    assert_eq!(values(&ledger.snapshot(at(1))), ["grid 100"]);
    assert_eq!(
        fetch(&mut ledger, 1, 2, &[("solar", 50.0)]),
        ["house 150 2"]
    );
    assert_eq!(
        fetch(&mut ledger, 0, 11, &[("grid", 80.0)]),
        ["house 130 11"]
    );
    assert_eq!(ledger.derive(at(12), &[]), [], "nothing changed");
    let snapshot = ledger.snapshot(at(12));
    assert_eq!(values(&snapshot), ["grid 80", "solar 50", "house 130"]);
    let house = snapshot.record("house").expect("it has a value");
    assert_eq!(house.unit.as_deref(), Some("W"));
    assert_eq!(house.sources, ["source0".into(), "source1".into()]);
    assert_eq!(house.stamp.observed, at(11).wall);
}

#[test]
fn an_equal_value_of_a_new_observation_is_a_row_and_a_304_is_none() {
    let mut ledger = deriving(1, vec![formula("double", "t * 2")]);
    assert_eq!(fetch(&mut ledger, 0, 1, &[("t", 4.0)]), ["double 8 1"]);
    assert_eq!(fetch(&mut ledger, 0, 60, &[("t", 4.0)]), ["double 8 60"]);
    let unchanged = observation(0, 150, FetchOutcome::Unchanged);
    assert_eq!(turn(&mut ledger, unchanged), [""; 0]);
    // It is as fresh as its input.
    assert_eq!(values(&ledger.snapshot(at(320))), ["t 4", "double 8"]);
    assert_eq!(
        ledger.snapshot(at(320)).records[1].stamp.observed,
        at(150).wall
    );
}

#[test]
fn a_correction_of_an_input_corrects_the_row() {
    let mut ledger = deriving(1, vec![formula("double", "t * 2")]);
    let own = |second, value| observation(0, second, readings(Some(0), &[("t", value)]));
    assert_eq!(turn(&mut ledger, own(5, 1.0)), ["double 2 0"]);
    assert_eq!(turn(&mut ledger, own(6, 1.0)), [""; 0]);
    assert_eq!(turn(&mut ledger, own(7, 3.0)), ["double 6 0"]);
}

#[test]
fn derived_keys_are_inputs_of_others_in_whatever_order() {
    let keys = vec![
        formula("share", "100 * solar / house"),
        formula("house", "grid + solar"),
    ];
    let mut ledger = deriving(1, keys);
    let rows = fetch(&mut ledger, 0, 1, &[("grid", 75.0), ("solar", 25.0)]);
    assert_eq!(rows, ["house 100 1", "share 25 1"]);
    assert_eq!(
        values(&ledger.snapshot(at(1))),
        ["grid 75", "solar 25", "share 25", "house 100"],
        "in the configuration's order"
    );
}

#[test]
fn a_stale_input_makes_it_stale_with_its_last_value() {
    let mut ledger = deriving(2, vec![formula("house", "grid + solar")]);
    fetch(&mut ledger, 0, 0, &[("grid", 1.0)]);
    assert_eq!(fetch(&mut ledger, 1, 1, &[("solar", 2.0)]), ["house 3 1"]);
    // Solar is stale after 181 s; grid goes on.
    assert_eq!(
        fetch(&mut ledger, 0, 180, &[("grid", 5.0)]),
        ["house 7 180"]
    );
    let snapshot = ledger.snapshot(at(181));
    assert_eq!(values(&snapshot), ["grid 5", "solar 2", "house 7"]);
    assert_eq!(snapshot.changes_at, Some(Mono(181_001)));
    assert_eq!(fetch(&mut ledger, 0, 240, &[("grid", 9.0)]), [""; 0]);
    assert_eq!(
        values(&ledger.snapshot(at(240))),
        ["grid 9", "solar 2 stale", "house 7 stale"]
    );
    assert_eq!(
        fetch(&mut ledger, 1, 250, &[("solar", 4.0)]),
        ["house 13 250"]
    );
    assert_eq!(
        values(&ledger.snapshot(at(250))),
        ["grid 9", "solar 4", "house 13"]
    );
}

#[test]
fn stale_after_of_its_own_goes_by_the_oldest_input() {
    let patient = DerivedKey {
        stale_after: Some(Duration::from_secs(600)),
        ..formula("patient", "grid + solar")
    };
    let strict = DerivedKey {
        stale_after: Some(Duration::from_secs(30)),
        ..formula("strict", "patient + 0 * solar")
    };
    let mut ledger = deriving(2, vec![patient, strict]);
    fetch(&mut ledger, 0, 0, &[("solar", 1.0)]);
    fetch(&mut ledger, 1, 20, &[("grid", 1.0)]);
    let stale = |ledger: &Ledger, second| {
        let records = ledger.snapshot(at(second)).records;
        let stale = records.into_iter().filter(|it| it.stale);
        stale.map(|it| it.key.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(stale(&ledger, 30), [""; 0]);
    assert_eq!(ledger.snapshot(at(30)).changes_at, Some(Mono(30_001)));
    assert_eq!(stale(&ledger, 31), ["strict"]);
    assert_eq!(
        fetch(&mut ledger, 1, 500, &[("grid", 8.0)]),
        ["patient 9 500"]
    );
    assert_eq!(stale(&ledger, 600), ["solar", "strict"]);
    assert_eq!(stale(&ledger, 601), ["solar", "patient", "strict"]);
}

#[test]
fn what_cannot_be_computed_keeps_the_last_value_stale_and_says_why() {
    let mut ledger = deriving(1, vec![formula("ratio", "a / b")]);
    assert_eq!(
        issue_of(&ledger, 0),
        None,
        "before anything was tried there is nothing to say"
    );
    ledger.derive(at(0), &[]);
    assert_eq!(
        issue_of(&ledger, 0).as_deref(),
        Some("missing: a / b: expected a value of \"a\", found none yet")
    );
    assert_eq!(
        fetch(&mut ledger, 0, 1, &[("a", 6.0), ("b", 3.0)]),
        ["ratio 2 1"]
    );
    assert_eq!(issue_of(&ledger, 1), None);
    assert_eq!(fetch(&mut ledger, 0, 2, &[("a", 6.0), ("b", 0.0)]), [""; 0]);
    assert_eq!(
        issue_of(&ledger, 2).as_deref(),
        Some("not_finite: a / b: expected a finite number, found a division by zero: 6 / 0")
    );
    assert_eq!(
        values(&ledger.snapshot(at(2))),
        ["a 6", "b 0", "ratio 2 stale"]
    );
    assert_eq!(
        fetch(&mut ledger, 0, 3, &[("a", 6.0), ("b", 2.0)]),
        ["ratio 3 3"]
    );
    assert_eq!(issue_of(&ledger, 3), None);
}

#[test]
fn a_text_and_a_key_that_no_source_gives_are_named() {
    let mut ledger = deriving(1, vec![formula("x", "state + gone")]);
    let text = FetchOutcome::Readings {
        series: Vec::new(),
        observed: None,
        readings: vec![Reading {
            key: "state".into(),
            value: Value::Text("open".into()),
            unit: None,
            is_stated: false,
            is_boolean: false,
            observed: None,
        }],
        issues: Vec::new(),
    };
    turn(&mut ledger, observation(0, 1, text));
    assert_eq!(
        issue_of(&ledger, 1).as_deref(),
        Some("wrong_type: state + gone: expected a number of \"state\", found the text \"open\"")
    );
    fetch(&mut ledger, 0, 2, &[("state", 1.0)]);
    assert_eq!(
        issue_of(&ledger, 2).as_deref(),
        Some("missing: state + gone: expected a value of \"gone\", found no source that gives it")
    );
    assert_eq!(ledger.snapshot(at(2)).missing_keys, ["gone".into()]);
}

#[test]
fn a_derived_input_without_a_value_is_told_from_one_that_no_source_gives() {
    let mut ledger = deriving(1, vec![formula("x", "1 / a"), formula("y", "x + 1")]);
    fetch(&mut ledger, 0, 1, &[("a", 0.0)]);
    let snapshot = ledger.snapshot(at(1));
    let issue = snapshot.derived[1].issue.as_ref().map(ToString::to_string);
    let expected = "missing: x + 1: expected a value of \"x\", found none, because it cannot be computed itself";
    assert_eq!(issue.as_deref(), Some(expected));
}

#[test]
fn a_source_that_gives_the_key_too_is_told_so() {
    let mut ledger = deriving(1, vec![formula("house", "grid * 2")]);
    let rows = ledger.apply(observation(
        0,
        1,
        readings(None, &[("grid", 1.0), ("house", 9.0)]),
    ));
    assert_eq!(rows.len(), 1, "that of grid");
    ledger.derive(at(1), &[]);
    let snapshot = ledger.snapshot(at(1));
    assert_eq!(values(&snapshot), ["grid 1", "house 2"]);
    let issue = &snapshot.sources[0].health.issues[0];
    assert_eq!(issue.reason, Reason::DuplicateKey);
    assert_eq!(issue.found, "[derived.house] provides it too");
    assert_eq!(
        snapshot.sources[0].conflict.as_deref(),
        Some(
            "its key \"house\" is left out, which is given by [derived.house]: give \
             [derived.house] another name, or add prefix = \"source0.\" to [[source]] \"source0\""
        )
    );
}

#[test]
fn the_last_value_survives_a_restart_as_fresh_as_its_inputs() {
    let row = |key: &str, value, source: &str| RestoredRecord {
        key: key.into(),
        value: Value::Number(value),
        unit: None,
        source: source.into(),
        stamp: Stamp::restored(at(100).wall, false),
        is_boolean: false,
        absence: Absence::default(),
    };
    let restored = || {
        let mut ledger = deriving(1, vec![formula("double", "t * 2")]);
        ledger.restore(vec![
            row("t", 4.0, "source0"),
            row("double", 8.0, DERIVED_SOURCE),
        ]);
        ledger
    };
    let mut ledger = restored();
    assert_eq!(values(&ledger.snapshot(at(150))), ["t 4", "double 8"]);
    assert_eq!(ledger.derive(at(150), &[]), [], "it is stored already");
    assert_eq!(
        values(&ledger.snapshot(at(281))),
        ["t 4 stale", "double 8 stale"]
    );
    assert_eq!(fetch(&mut ledger, 0, 300, &[("t", 5.0)]), ["double 10 300"]);
    let untrusted = Moment {
        trust: ClockTrust::Untrusted,
        ..at(150)
    };
    assert_eq!(
        values(&restored().snapshot(untrusted)),
        ["t 4 stale", "double 8 stale"]
    );
    // The formula alone: its inputs are not there, so nothing says how old it is.
    let mut alone = deriving(1, vec![formula("double", "t * 2")]);
    alone.restore(vec![row("double", 8.0, DERIVED_SOURCE)]);
    assert_eq!(values(&alone.snapshot(at(110))), ["double 8 stale"]);
}

#[test]
fn a_clock_that_is_set_later_moves_the_row_along() {
    let mut ledger = deriving(1, vec![formula("double", "t * 2")]);
    let mut early = observation(0, 1, readings(None, &[("t", 4.0)]));
    early.at.wall = Wall(0);
    early.at.trust = ClockTrust::Untrusted;
    let now = early.at;
    let applied = ledger.apply(early);
    let rows = ledger.derive(now, &applied);
    assert_eq!(rows.len(), 1);
    assert!(!rows[0].stamp.has_trusted_time());
    ledger.fix_timestamps(at(10));
    assert_eq!(
        ledger.derive(at(10), &[]),
        [],
        "the store settles the row by itself"
    );
    let snapshot = ledger.snapshot(at(10));
    assert_eq!(
        snapshot.record("double").map(|it| it.stamp.observed),
        Some(at(1).wall)
    );
}

#[test]
fn inputs_are_never_forgotten() {
    let mut ledger = deriving(1, vec![formula("double", "t * 2")]);
    fetch(&mut ledger, 0, 0, &[("t", 4.0), ("other", 1.0)]);
    for hour in 1..=500 {
        fetch(&mut ledger, 0, hour * 3600, &[("kept", 1.0)]);
    }
    let now = 500 * 3600;
    assert_eq!(
        values(&ledger.snapshot(at(now))),
        ["kept 1", "t 4 stale", "double 8 stale"]
    );
}
