//! Keys that their sources no longer provide: when they are forgotten, and which is evicted first.

use std::cmp::Reverse;

use super::tests::{at, ledger, merging, observation, readings, values};
use super::*;
use crate::domain::failure::{Cause, Failure};
use crate::domain::plan::{KeyPlan, RecordSelector, test_plan};
use crate::domain::reading::Reason;
use crate::domain::time::Wall;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

fn failed() -> FetchOutcome {
    FetchOutcome::Failed {
        failure: Failure::new(Cause::Timeout, "too slow."),
        issues: Vec::new(),
    }
}

fn keys(ledger: &Ledger) -> Vec<String> {
    let records = ledger.snapshot(at(0)).records;
    records
        .iter()
        .map(|record| record.key.to_string())
        .collect()
}

fn numbered(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}{n:04}")).collect()
}

fn answer(keys: &[String]) -> FetchOutcome {
    let pairs: Vec<(&str, f64)> = keys.iter().map(|key| (key.as_str(), 1.0)).collect();
    readings(None, &pairs)
}

fn every(interval: u64) -> Ledger {
    Ledger::new(Arc::new(test_plan(1, Duration::from_secs(interval))))
}

/// An interval, what comes instead of a good answer in some turns, and the second in which a
/// key that only the first answer values is forgotten.
#[test]
fn a_key_is_forgotten_after_thirty_good_answers_over_a_day() {
    type Row = (&'static str, u64, fn(u64) -> Option<FetchOutcome>, u64);
    let rows: [Row; 5] = [
        (
            "thirty answers are a day and more",
            HOUR,
            |_| None,
            30 * HOUR,
        ),
        (
            "a day is more than thirty answers",
            10 * MINUTE,
            |_| None,
            DAY,
        ),
        (
            "a 304 is a good answer",
            HOUR,
            |turn| (turn % 2 == 0).then_some(FetchOutcome::Unchanged),
            30 * HOUR,
        ),
        (
            "a week of failures counts neither as time nor as answers",
            HOUR,
            // The pause until the first failure still counts.
            |turn| (10..178).contains(&turn).then(failed),
            30 * HOUR + 168 * HOUR,
        ),
        (
            "with a failure between any two, half of the time counts",
            30 * MINUTE,
            |turn| (turn % 2 == 1).then(failed),
            2 * DAY - 30 * MINUTE,
        ),
    ];
    for (case, interval, instead, expected) in rows {
        let mut ledger = every(interval);
        ledger.apply(observation(
            0,
            0,
            readings(None, &[("gone", 1.0), ("t", 1.0)]),
        ));
        let mut forgotten = None;
        for turn in 1..1_000 {
            let whole = || readings(None, &[("t", 1.0)]);
            // The first answer without the key is a whole one: a 304 repeats the last.
            let outcome = instead(turn).filter(|_| turn > 1).unwrap_or_else(whole);
            ledger.apply(observation(0, turn * interval, outcome));
            if !keys(&ledger).contains(&"gone".to_owned()) {
                forgotten = Some(turn * interval);
                break;
            }
        }
        let forgotten = forgotten.map(|second| second as i64 - expected as i64);
        assert!(
            forgotten.is_some_and(|off| off.unsigned_abs() <= interval),
            "{case}: {forgotten:?} s after what was expected"
        );
        assert_eq!(ledger.stored.len(), 1, "{case}");
    }
}

#[test]
fn what_a_suspended_machine_slept_is_nobodys_absence() {
    let mut ledger = every(MINUTE);
    ledger.apply(observation(
        0,
        0,
        readings(None, &[("gone", 1.0), ("t", 1.0)]),
    ));
    for turn in 1..=40 {
        ledger.apply(observation(0, turn * DAY, readings(None, &[("t", 1.0)])));
    }
    assert_eq!(keys(&ledger), ["gone", "t"]);
}

#[test]
fn a_key_that_returns_is_published_and_stored_again() {
    let mut ledger = every(HOUR);
    ledger.apply(observation(
        0,
        0,
        readings(None, &[("back", 1.0), ("t", 1.0)]),
    ));
    for turn in 1..=30 {
        ledger.apply(observation(0, turn * HOUR, readings(None, &[("t", 1.0)])));
    }
    assert_eq!(keys(&ledger), ["t"]);
    let forgotten = ledger.snapshot(at(31 * HOUR)).forgotten;
    assert_eq!(*forgotten, BTreeSet::from(["back".into()]));
    let both = readings(None, &[("back", 1.0), ("t", 1.0)]);
    assert_eq!(ledger.apply(observation(0, 31 * HOUR, both)).len(), 2);
    assert_eq!(values(&ledger.snapshot(at(31 * HOUR))), ["back 1", "t 1"]);
    assert!(ledger.snapshot(at(31 * HOUR)).forgotten.is_empty());
}

#[test]
fn a_value_that_is_refused_is_no_absence() {
    let mut ledger = every(HOUR);
    ledger.apply(observation(0, 0, readings(None, &[("a", 1.0), ("t", 1.0)])));
    for turn in 1..=40 {
        let mut outcome = readings(None, &[("t", 1.0)]);
        if let FetchOutcome::Readings { issues, .. } = &mut outcome {
            issues.push(Issue {
                reason: Reason::Missing,
                key: Some("a".into()),
                pointer: "/a".to_owned(),
                expected: "a number".to_owned(),
                found: "null".to_owned(),
            });
        }
        ledger.apply(observation(0, turn * HOUR, outcome));
    }
    assert_eq!(keys(&ledger), ["a", "t"]);
}

#[test]
fn keys_that_the_configuration_names_are_never_forgotten() {
    let mut plan = test_plan(2, Duration::from_secs(HOUR));
    let each = RecordSelector {
        each: Some("/rooms".into()),
        ..RecordSelector::new("room.{id}", "/t")
    };
    plan.sources[1].selection =
        Selection::Selectors(vec![RecordSelector::new("pick", "/pick"), each]);
    plan.keys.insert("configured".into(), KeyPlan::default());
    plan.alert_keys.insert("watched".into());
    let mut ledger = Ledger::new(Arc::new(plan));
    let first = ["configured", "other", "t", "watched"].map(|key| (key, 1.0));
    let second = ["pick", "room.7", "room.8"].map(|key| (key, 1.0));
    ledger.apply(observation(0, 0, readings(None, &first)));
    ledger.apply(observation(1, 0, readings(None, &second)));
    for turn in 1..=40 {
        ledger.apply(observation(0, turn * HOUR, readings(None, &[("t", 1.0)])));
        let outcome = readings(None, &[("room.7", 1.0)]);
        ledger.apply(observation(1, turn * HOUR, outcome));
    }
    let kept = ["configured", "t", "watched", "pick", "room.7"];
    assert_eq!(keys(&ledger), kept);
}

#[test]
fn a_key_of_several_sources_is_forgotten_when_all_have_forgotten_it() {
    let mut ledger = merging(2, "unrelated", Merge::Mean);
    let mut plan = (*ledger.plan).clone();
    plan.sources[1].forget_after = Duration::from_secs(2 * DAY);
    // The rule for the key itself would name it.
    ledger.plan = Arc::new(plan);
    let both = || readings(None, &[("t", 1.0)]);
    ledger.apply(observation(1, 0, both()));
    ledger.apply(observation(0, 0, both()));
    let mut forgotten = Vec::new();
    for minute in 1..=(2 * DAY / MINUTE) {
        ledger.apply(observation(
            0,
            minute * MINUTE,
            readings(None, &[("a", 1.0)]),
        ));
        ledger.apply(observation(
            1,
            minute * MINUTE,
            readings(None, &[("b", 1.0)]),
        ));
        let holds = |it: &SourceLedger| it.values.iter().any(|values| &*values.key == "t");
        let holders = ledger.sources.iter().filter(|it| holds(it)).count();
        if holders < 2 - forgotten.len() {
            forgotten.push(minute * MINUTE);
            let shown = ledger.snapshot(at(0)).record("t").is_some();
            assert_eq!(shown, holders > 0);
            assert_eq!(ledger.stored.contains_key("t"), holders > 0);
        }
    }
    assert_eq!(forgotten, [DAY, 2 * DAY]);
}

#[test]
fn junk_yields_to_what_a_source_gives_now() {
    let mut ledger = ledger(1);
    let junk = numbered("junk", limits::RECORDS_PER_SOURCE);
    let real = numbered("real", 10);
    ledger.apply(observation(0, 0, answer(&junk)));
    let rows = ledger.apply(observation(0, 60, answer(&real)));
    assert_eq!(rows.len(), real.len());
    let snapshot = ledger.snapshot(at(60));
    assert_eq!(snapshot.omitted, 0);
    assert_eq!(snapshot.records.len(), limits::RECORDS_PER_SOURCE);
    assert!(real.iter().all(|key| snapshot.record(key).is_some()));
    // And what is given in every answer yields to nothing that appears.
    let mut full = real.clone();
    full.extend(numbered("junk", limits::RECORDS_PER_SOURCE - 10));
    ledger.apply(observation(0, 120, answer(&full)));
    full.extend(numbered("new", 7));
    ledger.apply(observation(0, 180, answer(&full)));
    let snapshot = ledger.snapshot(at(180));
    assert_eq!(snapshot.omitted, 7);
    assert_eq!(snapshot.omitted_by_total_limit, 0);
    assert!(snapshot.records.iter().all(|it| !it.key.starts_with("new")));
    let issue = &snapshot.sources[0].health.issues[0];
    assert!(
        issue
            .expected
            .starts_with("at most 256 records of one source (`max_records`):")
    );
    assert_eq!(issue.found, "7 more: new0000, new0001, new0002, …");
}

#[test]
fn the_names_of_the_forgotten_are_bounded() {
    let mut ledger = every(HOUR);
    for turn in 0..10 {
        let junk = numbered(&format!("{turn}."), limits::RECORDS_PER_SOURCE);
        ledger.apply(observation(0, turn * HOUR, answer(&junk)));
    }
    assert_eq!(ledger.forgotten.len(), limits::RECORDS_TOTAL);
    assert_eq!(ledger.forgotten_order.len(), limits::RECORDS_TOTAL);
    assert_eq!(ledger.stored.len(), limits::RECORDS_PER_SOURCE);
    assert!(ledger.forgotten.contains("8.0255") && !ledger.forgotten.contains("0.0000"));
}

#[test]
fn a_limit_takes_the_key_longest_absent_and_a_named_key_always_finds_a_place() {
    let mut plan = test_plan(1, Duration::from_secs(60));
    plan.alert_keys.insert("watched".into());
    let mut ledger = Ledger::new(Arc::new(plan));
    let all = numbered("k", limits::RECORDS_PER_SOURCE);
    ledger.apply(observation(0, 0, answer(&all)));
    ledger.apply(observation(0, 60, answer(&all[1..])));
    let mut next = all[2..].to_vec();
    next.extend(numbered("new", 1));
    ledger.apply(observation(0, 120, answer(&next)));
    let values = keys(&ledger);
    assert!(!values.contains(&all[0]), "absent twice");
    assert!(values.contains(&all[1]), "absent once");
    next.extend(numbered("newer", 1));
    ledger.apply(observation(0, 180, answer(&next)));
    assert!(!keys(&ledger).contains(&all[1]));
    next.push("watched".to_owned());
    ledger.apply(observation(0, 240, answer(&next)));
    assert!(keys(&ledger).contains(&"watched".to_owned()));
    assert_eq!(ledger.snapshot(at(240)).records.len(), 256);
}

#[test]
fn the_limit_in_all_is_told_apart_and_takes_from_any_source() {
    let mut ledger = ledger(9);
    for source in 0..8 {
        let all = numbered(&format!("{source}."), limits::RECORDS_PER_SOURCE);
        ledger.apply(observation(source, 0, answer(&all)));
    }
    let snapshot = ledger.snapshot(at(0));
    assert_eq!(
        (snapshot.omitted, snapshot.omitted_by_total_limit),
        (48, 48)
    );
    let issue = &snapshot.sources[7].health.issues[0];
    assert!(
        issue.expected.starts_with(
            "at most 2000 records of all sources together (`max_records` at the top):"
        ),
        "{issue}"
    );
    ledger.apply(observation(8, 60, answer(&numbered("8.", 2))));
    assert_eq!(
        ledger.snapshot(at(60)).sources[8].keys,
        0,
        "nothing is absent"
    );
    ledger.apply(observation(3, 60, answer(&numbered("3.", 250))));
    ledger.apply(observation(8, 120, answer(&numbered("8.", 2))));
    let snapshot = ledger.snapshot(at(120));
    assert_eq!(snapshot.sources[8].keys, 2);
    assert_eq!(snapshot.sources[3].keys, 254);
    assert_eq!(snapshot.records.len(), limits::RECORDS_TOTAL);
}

#[test]
fn configured_limits_count_and_a_named_key_that_comes_last_finds_a_place() {
    let mut plan = test_plan(2, Duration::from_secs(60));
    plan.max_records = 12;
    plan.sources[0].max_records = 10;
    plan.alert_keys.insert("watched".into());
    let mut ledger = Ledger::new(Arc::new(plan));
    let mut all = numbered("k", 11);
    all.push("watched".to_owned());
    ledger.apply(observation(0, 0, answer(&all)));
    let snapshot = ledger.snapshot(at(0));
    assert_eq!(snapshot.sources[0].keys, 10);
    assert!(snapshot.record("watched").is_some());
    assert_eq!((snapshot.omitted, snapshot.max_records), (1, 12));
    assert_eq!(
        (snapshot.sources[0].omitted, snapshot.sources[0].max_records),
        (1, 10)
    );
    ledger.apply(observation(1, 0, answer(&numbered("l", 5))));
    let snapshot = ledger.snapshot(at(0));
    assert_eq!(snapshot.records.len(), 12);
    assert_eq!((snapshot.omitted, snapshot.omitted_by_total_limit), (4, 3));
    let issue = &snapshot.sources[1].health.issues[0];
    assert!(
        issue
            .expected
            .starts_with("at most 12 records of all sources"),
        "{issue}"
    );
}

fn restored(key: &str, second: u64, hours: u64) -> RestoredRecord {
    RestoredRecord {
        key: key.into(),
        value: Value::Number(7.0),
        unit: None,
        source: "source0".into(),
        stamp: Stamp::restored(Wall(at(second).wall.0), false),
        is_boolean: false,
        absence: Absence {
            responses: hours,
            time: Duration::from_secs(hours * HOUR),
        },
    }
}

#[test]
fn a_restart_goes_on_counting_and_brings_nothing_forgotten_back() {
    let mut plan = test_plan(1, Duration::from_secs(HOUR));
    plan.alert_keys.insert("watched".into());
    let plan = Arc::new(plan);
    let mut ledger = Ledger::new(plan.clone());
    let rows = [("forgotten", 30), ("soon", 28), ("t", 0), ("watched", 900)];
    let rows = rows.map(|(key, hours)| restored(key, 0, hours));
    ledger.restore(rows.to_vec());
    assert_eq!(keys(&ledger), ["soon", "t", "watched"]);
    ledger.apply(observation(0, HOUR, readings(None, &[("t", 1.0)])));
    assert_eq!(keys(&ledger), ["soon", "t", "watched"]);
    ledger.apply(observation(0, 2 * HOUR, readings(None, &[("t", 1.0)])));
    assert_eq!(keys(&ledger), ["t", "watched"]);
    // Another node says of each value when it was observed: nothing follows from old ones.
    let mut follows = (*plan).clone();
    follows.sources[0].is_upstream_node = true;
    let mut ledger = Ledger::new(Arc::new(follows));
    ledger.restore(rows.to_vec());
    assert_eq!(keys(&ledger), ["forgotten", "soon", "t", "watched"]);
}

#[test]
fn a_restart_takes_no_more_than_the_limits_the_newest_first() {
    let mut plan = test_plan(1, Duration::from_secs(60));
    plan.alert_keys.insert("watched".into());
    let mut ledger = Ledger::new(Arc::new(plan));
    let mut rows: Vec<RestoredRecord> = (0..1_000)
        .map(|n| restored(&format!("k{n:04}"), n, 0))
        .collect();
    rows.push(restored("watched", 0, 0));
    ledger.restore(rows);
    let values = keys(&ledger);
    assert_eq!(values.len(), limits::RECORDS_PER_SOURCE);
    assert_eq!(values[0], "k0745");
    assert_eq!(values[255], "watched");
    // What its source has not given since the start yields before what it has.
    let kept: Vec<String> = values[..200].to_vec();
    ledger.apply(observation(0, 2_000, answer(&kept)));
    ledger.apply(observation(0, 2_060, answer(&numbered("new", 50))));
    let after = keys(&ledger);
    assert!(kept.iter().all(|key| after.contains(key)));
    assert_eq!(after.len(), limits::RECORDS_PER_SOURCE);
}

/// What the ledger must do, spelled naively: every attempt is remembered, every absence is
/// counted from them anew.
#[derive(Default)]
struct Model {
    /// When, and whether good.
    attempts: Vec<(u64, bool)>,
    /// The attempt that last gave each key.
    values: BTreeMap<String, usize>,
    newest: BTreeSet<String>,
}

impl Model {
    fn absence(&self, given: usize, longest: u64) -> (u64, u64) {
        let good = self.attempts[given + 1..].iter().filter(|it| it.1);
        let pauses = self.attempts[given..].windows(2);
        let time = pauses
            .filter(|pair| pair[0].1)
            .map(|pair| (pair[1].0 - pair[0].0).min(longest));
        (good.count() as u64, time.sum())
    }

    fn attempt(&mut self, second: u64, answer: Option<Option<&[String]>>, longest: u64) {
        self.attempts.push((second, answer.is_some()));
        let now = self.attempts.len() - 1;
        let Some(keys) = answer else {
            return;
        };
        if let Some(keys) = keys {
            self.newest = keys.iter().cloned().collect();
        }
        for (key, given) in &mut self.values {
            if self.newest.contains(key) {
                *given = now;
            }
        }
        let over: Vec<String> = self
            .values
            .iter()
            .filter(|(_, given)| {
                let (answers, time) = self.absence(**given, longest);
                answers >= 30 && time >= DAY
            })
            .map(|(key, _)| key.clone())
            .collect();
        self.values.retain(|key, _| !over.contains(key));
        for key in keys.into_iter().flatten() {
            if !self.values.contains_key(key) && self.values.len() >= limits::RECORDS_PER_SOURCE {
                let absent = self.values.iter().filter(|(_, given)| **given < now);
                let longest = absent.min_by_key(|(key, given)| (**given, Reverse(*key)));
                let Some((gone, _)) = longest else {
                    continue;
                };
                let gone = gone.clone();
                self.values.remove(&gone);
            }
            self.values.insert(key.clone(), now);
        }
    }
}

#[test]
fn whatever_a_source_does_the_ledger_does_as_the_model() {
    for seed in 1..=4_u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut below = move |bound: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % bound
        };
        let interval = [MINUTE, HOUR, 3 * HOUR, 12 * HOUR][seed as usize - 1];
        let longest = interval * u64::from(limits::MAX_CREDITED_INTERVALS);
        let mut ledger = every(interval);
        let mut model = Model::default();
        let mut second = 0;
        let mut most = 0;
        for _ in 0..160 {
            second += interval * [1, 1, 1, 2, 9][below(5) as usize];
            match below(8) {
                0 => {
                    ledger.apply(observation(0, second, failed()));
                    model.attempt(second, None, longest);
                }
                1 => {
                    ledger.apply(observation(0, second, FetchOutcome::Unchanged));
                    model.attempt(second, Some(None), longest);
                }
                _ => {
                    // A steady part, a part that moves on, and now and then a flood.
                    let flood = [0, 0, 0, 250][below(4) as usize];
                    let moving = second / interval;
                    let mut keys = numbered("steady", 4);
                    keys.extend((moving..moving + 3).map(|n| format!("moving{n:05}")));
                    keys.extend((0..flood).map(|_| format!("junk{:04}", below(400))));
                    let given: BTreeSet<String> = keys.into_iter().collect();
                    let keys: Vec<String> = given.into_iter().collect();
                    ledger.apply(observation(0, second, answer(&keys)));
                    model.attempt(second, Some(Some(&keys)), longest);
                    assert!(model.values.contains_key("steady0000"));
                }
            }
            let values = ledger.sources[0]
                .values
                .iter()
                .map(|values| values.key.to_string());
            let values: Vec<String> = values.collect();
            let expected: Vec<String> = model.values.keys().cloned().collect();
            assert_eq!(values, expected, "seed {seed}, second {second}");
            assert_eq!(ledger.stored.len(), values.len());
            most = most.max(values.len());
        }
        assert_eq!(most, limits::RECORDS_PER_SOURCE, "the limit was met");
    }
}
