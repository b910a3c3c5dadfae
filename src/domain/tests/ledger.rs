//! What sources say, and the rows and snapshots that follow.

use super::*;
use crate::domain::failure::{Cause, Failure};
use crate::domain::plan::{KeyPlan, RecordSelector, test_plan};
use crate::domain::reading::{Reading, Reason, UpstreamLabel, UpstreamRecord};
use crate::domain::snapshot::{Record, Snapshot};
use crate::domain::time::{ClockTrust, Mono, Wall};

const T0: i64 = 1_761_854_400;

pub(super) fn at(second: u64) -> Moment {
    Moment {
        mono: Mono(second * 1000),
        wall: Wall((T0 + second as i64) * 1000),
        trust: ClockTrust::Trusted,
    }
}

pub(super) fn observation(source: usize, second: u64, outcome: FetchOutcome) -> Observation {
    Observation {
        source,
        at: at(second),
        duration: Duration::from_millis(5),
        bytes: 1,
        outcome,
        next_in: Duration::from_secs(60),
        server_wait: Duration::ZERO,
        late_notice: None,
        skipped_polls: 0,
        upstream: None,
    }
}

pub(super) fn readings(own: Option<i64>, pairs: &[(&str, f64)]) -> FetchOutcome {
    let reading = |(key, value): &(&str, f64)| Reading {
        key: (*key).into(),
        value: Value::Number(*value),
        unit: None,
        is_stated: false,
        is_boolean: false,
        observed: None,
    };
    FetchOutcome::Readings {
        observed: own.map(|second| Wall::from_second(T0 + second)),
        series: Vec::new(),
        readings: pairs.iter().map(reading).collect(),
        issues: Vec::new(),
    }
}

pub(super) fn ledger(sources: usize) -> Ledger {
    Ledger::new(Arc::new(test_plan(sources, Duration::from_secs(60))))
}

pub(super) fn merging(sources: usize, key: &str, how: Merge) -> Ledger {
    let mut plan = test_plan(sources, Duration::from_secs(60));
    let key_plan = KeyPlan {
        merge: Some(how),
        ..KeyPlan::default()
    };
    plan.keys.insert(key.into(), key_plan);
    Ledger::new(Arc::new(plan))
}

pub(super) fn values(snapshot: &Snapshot) -> Vec<String> {
    let line = |record: &Record| {
        let stale = if record.stale { " stale" } else { "" };
        format!("{} {}{stale}", record.key, record.value)
    };
    snapshot.records.iter().map(line).collect()
}

#[test]
fn without_a_time_of_its_own_each_answer_is_a_new_row() {
    let mut ledger = ledger(1);
    for second in [1, 2] {
        let rows = ledger.apply(observation(0, second, readings(None, &[("t", 1.0)])));
        assert_eq!(rows.len(), 1);
    }
}

#[test]
fn the_same_observation_is_stored_once_and_a_correction_again() {
    let mut ledger = ledger(1);
    let mut rows = |second, own, value| {
        let outcome = readings(Some(own), &[("t", value)]);
        ledger.apply(observation(0, second, outcome)).len()
    };
    assert_eq!(rows(10, 0, 1.0), 1, "new");
    assert_eq!(rows(20, 0, 1.0), 0, "the same");
    assert_eq!(rows(30, 0, 2.0), 1, "corrected");
    assert_eq!(rows(40, 30, 2.0), 1, "an equal value observed anew");
}

#[test]
fn rows_say_whether_their_value_was_stated() {
    let stated = |value, is_stated| {
        let mut outcome = readings(None, &[("t", value)]);
        if let FetchOutcome::Readings { readings, .. } = &mut outcome {
            readings[0].is_stated = is_stated;
        }
        outcome
    };
    let mut ledger = merging(2, "t", Merge::Mean);
    let mut row = |source, second, outcome| {
        let rows = ledger.apply(observation(source, second, outcome));
        (rows[0].value.number(), rows[0].is_stated)
    };
    assert_eq!(row(0, 0, stated(0.0, true)), (Some(0.0), true));
    assert_eq!(row(1, 1, stated(4.0, false)), (Some(2.0), true), "a part");
    assert_eq!(row(0, 2, stated(2.0, false)), (Some(3.0), false));
}

#[test]
fn the_same_observation_renews_no_age() {
    let mut ledger = ledger(1);
    for second in [10, 100, 170] {
        ledger.apply(observation(0, second, readings(Some(5), &[("t", 1.0)])));
    }
    assert_eq!(values(&ledger.snapshot(at(185))), ["t 1"]);
    assert_eq!(values(&ledger.snapshot(at(186))), ["t 1 stale"]);
}

#[test]
fn a_304_renews_what_the_last_answer_held_and_stores_nothing() {
    let mut ledger = ledger(1);
    ledger.apply(observation(
        0,
        0,
        readings(None, &[("gone", 1.0), ("t", 1.0)]),
    ));
    ledger.apply(observation(0, 60, readings(None, &[("t", 1.0)])));
    assert!(
        ledger
            .apply(observation(0, 150, FetchOutcome::Unchanged))
            .is_empty()
    );
    assert_eq!(values(&ledger.snapshot(at(300))), ["gone 1 stale", "t 1"]);
}

#[test]
fn a_failure_keeps_what_is_known_until_it_is_stale() {
    let mut ledger = ledger(1);
    ledger.apply(observation(0, 0, readings(None, &[("t", 1.0)])));
    let failed = FetchOutcome::Failed {
        failure: Failure::new(Cause::Timeout, "too slow."),
        issues: Vec::new(),
    };
    ledger.apply(observation(0, 60, failed));
    let snapshot = ledger.snapshot(at(60));
    assert_eq!(values(&snapshot), ["t 1"]);
    assert_eq!(snapshot.changes_at, Some(Mono(180_001)));
    assert_eq!(snapshot.sources[0].health.failures[&Cause::Timeout], 1);
    assert_eq!(values(&ledger.snapshot(at(181))), ["t 1 stale"]);
}

#[test]
fn of_two_sources_with_one_key_and_no_rule_the_first_configured_wins() {
    let mut ledger = ledger(2);
    ledger.apply(observation(1, 1, readings(None, &[("t", 2.0)])));
    ledger.apply(observation(0, 2, readings(None, &[("t", 1.0)])));
    let rows = ledger.apply(observation(1, 3, readings(None, &[("t", 2.0)])));
    assert!(rows.is_empty());
    let snapshot = ledger.snapshot(at(3));
    assert_eq!(values(&snapshot), ["t 1"]);
    let rejected = &snapshot.sources[1].health.rejected;
    assert_eq!(rejected[&Reason::DuplicateKey], 1);
}

#[test]
fn a_source_without_a_key_of_its_own_is_failing_and_says_what_to_write() {
    let mut ledger = ledger(2);
    ledger.apply(observation(0, 1, readings(None, &[("a", 1.0), ("t", 1.0)])));
    let both = readings(None, &[("a", 2.0), ("t", 2.0)]);
    assert!(ledger.apply(observation(1, 2, both.clone())).is_empty());
    let failure = |ledger: &Ledger| {
        let source = &ledger.snapshot(at(9)).sources[1];
        source.health.current_failure().cloned()
    };
    let found = failure(&ledger).expect("it gives nothing");
    assert_eq!(found.cause, Cause::DuplicateKey);
    let line = "add prefix = \"source1.\" to [[source]] \"source1\"";
    assert!(found.detail.ends_with(line), "{}", found.detail);
    // A 304 repeats an answer of which nothing could be published.
    ledger.apply(observation(1, 3, FetchOutcome::Unchanged));
    assert_eq!(failure(&ledger), Some(found));
    // A failure of the network is reported as that.
    let failed = Failure::new(Cause::Dns, "no name");
    let issues = Vec::new();
    ledger.apply(observation(
        1,
        4,
        FetchOutcome::Failed {
            failure: failed,
            issues,
        },
    ));
    assert_eq!(failure(&ledger).map(|it| it.cause), Some(Cause::Dns));

    let rows = ledger.apply(observation(1, 5, readings(None, &[("t", 2.0), ("u", 3.0)])));
    assert_eq!(rows.len(), 1, "what is its own is published");
    assert_eq!(failure(&ledger), None);
    let source = ledger.snapshot(at(5)).sources[1].clone();
    let conflict = source.conflict.expect("one key is left out");
    assert!(conflict.contains("\"t\" is left out"), "{conflict}");
    assert!(conflict.ends_with("under [key.t]"), "{conflict}");
    assert_eq!(source.health.issues[0].reason, Reason::DuplicateKey);
    ledger.apply(observation(1, 6, readings(None, &[("u", 3.0)])));
    assert_eq!(ledger.conflict(1), None);
}

#[test]
fn keys_given_by_a_template_are_told_apart_by_a_prefix() {
    let mut plan = test_plan(2, Duration::from_secs(60));
    for source in &mut plan.sources {
        let each = Some("/l".to_owned());
        let pick = RecordSelector {
            each: each.map(Into::into),
            ..RecordSelector::new("{id}.power", "/p")
        };
        source.selection = Selection::Selectors(vec![pick]);
    }
    let mut ledger = Ledger::new(Arc::new(plan));
    for source in 0..2 {
        ledger.apply(observation(source, 1, readings(None, &[("a.power", 1.0)])));
    }
    let conflict = ledger.conflict(1).expect("both give it");
    let line = "add prefix = \"source1.\" to [[source]] \"source1\", or say how to merge them";
    assert!(conflict.contains(line), "{conflict}");
    assert!(conflict.ends_with("under [key.\"a.power\"]"), "{conflict}");
}

#[test]
fn a_time_ahead_is_not_believed_and_moves_nothing_into_the_future() {
    let mut ledger = ledger(2);
    // A little ahead is what clocks are.
    let rows = ledger.apply(observation(0, 10, readings(Some(300), &[("near", 1.0)])));
    assert_eq!(rows[0].stamp.observed, Wall::from_second(T0 + 300));
    let year = 31_536_000;
    let rows = ledger.apply(observation(1, 20, readings(Some(9 * year), &[("t", 1.0)])));
    assert_eq!(rows[0].stamp.observed, Wall::from_second(T0 + 20));
    assert!(!rows[0].stamp.has_source_time);
    let snapshot = ledger.snapshot(at(20));
    let health = &snapshot.sources[1].health;
    assert_eq!(health.issues[0].reason, Reason::BadTime);
    assert_eq!(health.issues[0].found, "2034-10-28T20:00:00Z");
    // It goes stale like any other.
    assert_eq!(values(&ledger.snapshot(at(201)))[1], "t 1 stale");
}

#[test]
fn a_record_counts_from_the_time_of_its_newest_element() {
    let mut ledger = ledger(1);
    let mut newest = |second: u64, own: i64| {
        let mut outcome = readings(Some(second as i64), &[("t", own as f64)]);
        if let FetchOutcome::Readings { readings, .. } = &mut outcome {
            readings[0].observed = Some(Wall::from_second(T0 + own));
        }
        let rows = ledger.apply(observation(0, second, outcome));
        let issues = ledger.snapshot(at(second)).sources[0].health.issues.len();
        (rows[0].stamp.observed.second() - T0, issues)
    };
    assert_eq!(newest(100, 5), (5, 0));
    // A clock that is ahead.
    assert_eq!(newest(200, 9_000), (200, 1));
    assert_eq!(newest(300, 250), (250, 0));
}

#[test]
fn a_time_told_before_the_clock_is_set_is_judged_when_it_is() {
    let slow = |second: u64| Moment {
        trust: ClockTrust::Untrusted,
        wall: Wall(1_000 + second as i64 * 1000),
        ..at(second)
    };
    let mut ledger = ledger(2);
    let mut rows = Vec::new();
    for (source, key, own) in [(0, "good", 5), (1, "bad", 99_999)] {
        for second in [10, 20] {
            let mut late = observation(source, second, readings(Some(own), &[(key, 1.0)]));
            late.at = slow(second);
            rows.extend(ledger.apply(late));
        }
    }
    // Both seem to be ahead, by a clock that shows 1970.
    let observed: Vec<i64> = rows.iter().map(|row| row.stamp.observed.second()).collect();
    assert_eq!(observed, [11, 11], "each once, at its receipt");
    assert!(
        ledger.snapshot(slow(20)).sources[0]
            .health
            .issues
            .is_empty()
    );

    ledger.fix_timestamps(at(30));
    let observed = |key: &str| {
        let snapshot = ledger.snapshot(at(30));
        let record = snapshot.record(key).expect("it is held").clone();
        (
            record.stamp.observed.second() - T0,
            record.stamp.has_source_time,
        )
    };
    assert_eq!(observed("good"), (5, true));
    assert_eq!(observed("bad"), (10, false));
    // The rows that wait in the store settle alike, before they are written.
    for (row, expected) in rows.iter_mut().zip([5, 10]) {
        row.stamp.apply_trusted_clock(at(30));
        assert_eq!(row.stamp.observed.second() - T0, expected);
    }
    // The same observation again is no new row.
    let again = ledger.apply(observation(0, 40, readings(Some(5), &[("good", 1.0)])));
    assert!(again.is_empty());
}

#[test]
fn what_was_stored_with_a_time_ahead_does_not_stay_the_latest() {
    let mut ledger = ledger(1);
    let ahead = Wall::from_second(T0 + 999_999_999);
    ledger.restore(vec![RestoredRecord {
        key: "t".into(),
        value: Value::Number(7.0),
        unit: None,
        source: "source0".into(),
        stamp: Stamp::restored(ahead, true),
        is_boolean: false,
        absence: Absence::default(),
    }]);
    ledger.fix_timestamps(at(20));
    let snapshot = ledger.snapshot(at(20));
    assert_eq!(values(&snapshot), ["t 7 stale"]);
    assert_eq!(snapshot.records[0].stamp.observed.second(), T0 + 20);
    let rows = ledger.apply(observation(0, 30, readings(Some(29), &[("t", 8.0)])));
    assert_eq!(rows.len(), 1);
    assert_eq!(values(&ledger.snapshot(at(30))), ["t 8"]);
}

#[test]
fn a_key_that_an_alert_is_about_and_nobody_gives_is_told_when_all_have_answered() {
    let mut plan = test_plan(2, Duration::from_secs(60));
    plan.alert_keys = ["a".into(), "typo".into()].into();
    plan.keys.insert("other".into(), KeyPlan::default());
    let mut ledger = Ledger::new(Arc::new(plan));
    ledger.apply(observation(0, 1, readings(None, &[("a", 1.0)])));
    assert!(ledger.snapshot(at(1)).missing_keys.is_empty());
    ledger.apply(observation(1, 2, readings(None, &[("b", 1.0)])));
    assert_eq!(
        ledger.snapshot(at(2)).missing_keys,
        ["other".into(), "typo".into()]
    );
}

#[test]
fn a_source_that_dies_leaves_the_merge_when_it_is_stale() {
    let mut ledger = merging(2, "t", Merge::Mean);
    ledger.apply(observation(0, 0, readings(None, &[("t", 1.0)])));
    let rows = ledger.apply(observation(1, 100, readings(None, &[("t", 2.0)])));
    assert_eq!(rows[0].value, Value::Number(1.5));
    let both = ledger.snapshot(at(100));
    assert_eq!(both.records[0].sources.len(), 2);
    let alone = ledger.snapshot(at(181));
    assert_eq!(values(&alone), ["t 2"]);
    assert_eq!(*alone.records[0].sources, ["source1".into()]);
}

#[test]
fn records_stand_in_the_configurations_order() {
    let mut plan = test_plan(2, Duration::from_secs(60));
    let pick = |key: &str| RecordSelector::new(key, format!("/{key}"));
    plan.sources[1].selection = Selection::Selectors(vec![pick("z"), pick("a")]);
    let mut ledger = Ledger::new(Arc::new(plan));
    ledger.apply(observation(1, 0, readings(None, &[("a", 1.0), ("z", 2.0)])));
    ledger.apply(observation(0, 0, readings(None, &[("m", 3.0)])));
    ledger.apply(observation(0, 1, readings(None, &[("b", 4.0), ("m", 3.0)])));
    assert_eq!(
        values(&ledger.snapshot(at(1))),
        ["b 4", "m 3", "z 2", "a 1"]
    );
}

#[test]
fn restored_records_are_shown_at_once_and_stale_until_their_age_is_known() {
    let mut ledger = ledger(1);
    let restored = |key: &str, source: &str| RestoredRecord {
        key: key.into(),
        value: Value::Number(7.0),
        unit: None,
        source: source.into(),
        stamp: Stamp::restored(Wall::from_second(T0), false),
        is_boolean: false,
        absence: Absence::default(),
    };
    ledger.restore(vec![restored("t", "source0"), restored("old", "removed")]);
    let untrusted = Moment {
        trust: ClockTrust::Untrusted,
        ..at(10)
    };
    assert_eq!(values(&ledger.snapshot(untrusted)), ["t 7 stale"]);
    ledger.fix_timestamps(at(20));
    assert_eq!(values(&ledger.snapshot(at(20))), ["t 7"]);
    let rows = ledger.apply(observation(0, 30, readings(Some(0), &[("t", 7.0)])));
    assert!(
        rows.is_empty(),
        "the observation that was stored before the restart"
    );
}

#[test]
fn a_followed_nodes_word_on_time_staleness_and_alerts_stands() {
    let mut ledger = ledger(1);
    let told = |second, stale| UpstreamRecord {
        observed: Wall::from_second(T0 + second),
        stale,
    };
    let mut followed = observation(0, 100, readings(None, &[("a", 1.0), ("b", 2.0)]));
    followed.upstream = Some(Arc::new(UpstreamNode {
        node: "cellar".into(),
        via: vec!["cellar".into()],
        alert: Some("pump: no data".into()),
        records: [
            ("a".into(), told(-9000, false)),
            ("b".into(), told(95, true)),
        ]
        .into(),
        labels: [
            ("a", Some("Pump")),
            ("b", Some("Valve")),
            ("c", Some("Valve")),
        ]
        .map(|(key, label)| {
            let label = UpstreamLabel {
                label: label.map(Into::into),
                decimals: Some(2),
                is_shared: false,
            };
            (key.into(), label)
        })
        .into(),
    }));
    let rows = ledger.apply(followed);
    assert_eq!(rows[0].stamp.observed, Wall::from_second(T0 - 9000));
    let snapshot = ledger.snapshot(at(100));
    assert_eq!(values(&snapshot), ["a 1", "b 2 stale"]);
    // A label that several keys have names none of them.
    let labels: Vec<String> = ["a", "b", "c"]
        .map(|key| ledger.labelled_plan().full_label(key))
        .into();
    assert_eq!(labels, ["Pump", "B", "C"]);
    assert_eq!(
        ledger.labelled_plan().shown_value(&snapshot.records[0]),
        "1.00"
    );
    assert_eq!(snapshot.alert.as_deref(), Some("pump: no data"));
    assert_eq!(snapshot.via, ["cellar".into()]);
    ledger.apply(observation(0, 200, FetchOutcome::Unchanged));
    assert_eq!(
        values(&ledger.snapshot(at(380))),
        ["a 1", "b 2 stale"],
        "the upstream node still reports it"
    );
    assert_eq!(
        values(&ledger.snapshot(at(381))),
        ["a 1 stale", "b 2 stale"],
        "silent"
    );
}

#[test]
fn whoever_waits_as_the_server_ordered_is_not_stale_for_it() {
    let mut plan = test_plan(2, Duration::from_secs(60));
    plan.sources[1].stale_after = Some(Duration::from_secs(300));
    let mut ledger = Ledger::new(Arc::new(plan));
    for (source, key) in [(0, "a"), (1, "b")] {
        ledger.apply(observation(source, 0, readings(None, &[(key, 1.0)])));
        let failure = Failure::new(Cause::RateLimited, "asked too often");
        let issues = Vec::new();
        let mut busy = observation(source, 60, FetchOutcome::Failed { failure, issues });
        busy.server_wait = Duration::from_secs(7_200);
        ledger.apply(busy);
    }
    let snapshot = ledger.snapshot(at(3 * 7_200));
    assert_eq!(
        values(&snapshot),
        ["a 1", "b 1 stale"],
        "the configured value counts"
    );
    assert_eq!(snapshot.sources[0].interval, Duration::from_secs(7_200));
    assert_eq!(values(&ledger.snapshot(at(3 * 7_200 + 1)))[0], "a 1 stale");
    // The next answer orders nothing: the old interval rules again.
    ledger.apply(observation(0, 30_000, readings(None, &[("a", 2.0)])));
    assert_eq!(values(&ledger.snapshot(at(30_180)))[0], "a 2");
    assert_eq!(values(&ledger.snapshot(at(30_181)))[0], "a 2 stale");
    // A wait that outlived a restart counts until the first answer.
    ledger.expect_wait(0, Duration::from_secs(600));
    assert_eq!(values(&ledger.snapshot(at(31_800)))[0], "a 2");
}

#[test]
fn what_is_too_much_is_counted() {
    let mut ledger = ledger(9);
    let names: Vec<String> = (0..limits::RECORDS_PER_SOURCE)
        .map(|n| n.to_string())
        .collect();
    for source in 0..9 {
        let keys: Vec<String> = names
            .iter()
            .map(|name| format!("{source}.{name}"))
            .collect();
        let pairs: Vec<(&str, f64)> = keys.iter().map(|key| (key.as_str(), 1.0)).collect();
        ledger.apply(observation(source, 1, readings(None, &pairs)));
    }
    let snapshot = ledger.snapshot(at(1));
    assert_eq!(snapshot.records.len(), limits::RECORDS_TOTAL);
    assert_eq!(snapshot.omitted, 9 * 256 - 2000);
    assert_eq!(snapshot.sources[8].health.rejected[&Reason::TooMany], 1);
}

#[test]
fn an_empty_answer_is_a_good_one_that_renews_no_key() {
    let mut ledger = ledger(1);
    ledger.apply(observation(0, 0, readings(None, &[("a", 1.0)])));
    ledger.apply(observation(0, 60, FetchOutcome::Empty));
    ledger.apply(observation(0, 120, FetchOutcome::Unchanged));
    let snapshot = ledger.snapshot(at(600));
    assert!(snapshot.records[0].stale, "no source provided it since");
    let health = &snapshot.sources[0].health;
    assert_eq!(
        (health.failures_in_a_row, health.successes_in_a_row),
        (0, 3)
    );
    assert_eq!(health.last_success, Some(at(120)));
}

#[test]
fn a_boolean_is_one_in_the_snapshot_in_rows_and_after_a_restart() {
    let boolean = |value: f64, is_boolean| FetchOutcome::Readings {
        observed: None,
        series: Vec::new(),
        readings: vec![Reading {
            key: "on".into(),
            value: Value::Number(value),
            unit: None,
            is_stated: false,
            is_boolean,
            observed: None,
        }],
        issues: Vec::new(),
    };
    let mut ledger = ledger(1);
    for (second, outcome, expected) in [
        (0, boolean(1.0, true), true),
        (60, boolean(3.0, false), false),
        (120, boolean(0.0, true), true),
        (180, boolean(0.0, false), false),
    ] {
        let rows = ledger.apply(observation(0, second, outcome));
        assert_eq!(rows[0].is_boolean, expected);
        assert_eq!(ledger.snapshot(at(second)).records[0].is_boolean, expected);
    }
    let mut later = self::ledger(1);
    later.restore(vec![RestoredRecord {
        key: "on".into(),
        value: Value::Number(1.0),
        unit: None,
        source: "source0".into(),
        stamp: Stamp::restored(Wall(0), false),
        is_boolean: true,
        absence: Absence::default(),
    }]);
    assert!(later.snapshot(at(0)).records[0].is_boolean);
    // Two booleans have a mean that is none.
    let mut merged = merging(2, "on", Merge::Mean);
    merged.apply(observation(0, 0, boolean(1.0, true)));
    merged.apply(observation(1, 0, boolean(0.0, true)));
    assert!(!merged.snapshot(at(0)).records[0].is_boolean);
}
