//! Series: which element is shown, which become rows, and what is stored ahead of its time.

use super::derived_tests::formula;
use super::promotion::{Forecast, SeriesChanges};
use super::tests::{at, observation, readings, values};
use super::*;
use crate::domain::derived_key::{DERIVED_SOURCE, DerivedKeys};
use crate::domain::failure::{Cause, Failure};
use crate::domain::plan::{ElementTime, Plan, RecordSelector, Selection, test_plan};
use crate::domain::reading::{Reason, Series, ShownElement, TimedValue};
use crate::domain::time::ClockTrust;

const T0: i64 = 1_761_854_400;
const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;

/// One source, asked every five minutes, that gives the key `price` as a series.
fn plan(shown: ShownElement) -> Arc<Plan> {
    let mut plan = test_plan(1, Duration::from_secs(300));
    let mut selector = RecordSelector::new("price", "/data");
    let time = Some(ElementTime::Path("/start".into()));
    match shown {
        ShownElement::Current => selector.elements.now = time,
        ShownElement::Newest => selector.elements.element_time = time,
    }
    plan.sources[0].selection = Selection::Selectors(vec![selector]);
    Arc::new(plan)
}

fn second(second: i64) -> Wall {
    Wall::from_second(T0 + second)
}

/// Elements by start and value, in seconds; each ends where the next begins.
fn elements(pairs: &[(i64, f64)]) -> Vec<TimedValue> {
    let ends = pairs.iter().skip(1).map(|next| Some(second(next.0)));
    let elements = pairs.iter().zip(ends.chain([None]));
    elements
        .map(|((start, value), end)| TimedValue {
            start: second(*start),
            end,
            value: Value::Number(*value),
            is_stated: false,
        })
        .collect()
}

fn series_of(key: &str, shown: ShownElement, elements: Vec<TimedValue>) -> FetchOutcome {
    FetchOutcome::Readings {
        observed: None,
        readings: Vec::new(),
        series: vec![Series {
            key: key.into(),
            unit: Some("ct/kWh".into()),
            shown,
            elements,
        }],
        issues: Vec::new(),
    }
}

fn prices(shown: ShownElement, pairs: &[(i64, f64)]) -> FetchOutcome {
    series_of("price", shown, elements(pairs))
}

/// Rows as second and value.
fn rows(changes: &SeriesChanges) -> Vec<(i64, String)> {
    let row = |row: &RecordRow| (row.stamp.observed.second() - T0, row.value.to_string());
    changes.rows.iter().map(row).collect()
}

fn row_pairs(pairs: &[(i64, f64)]) -> Vec<(i64, String)> {
    let row = |pair: &(i64, f64)| (pair.0, Value::Number(pair.1).to_string());
    pairs.iter().map(row).collect()
}

/// The forecast of the one key that changed.
fn forecast(changes: &SeriesChanges) -> Option<Vec<i64>> {
    let elements = changes.forecasts.first()?.elements.iter();
    Some(elements.map(|it| it.start.second() - T0).collect())
}

#[test]
fn the_element_that_contains_now_is_shown_until_the_last_is_over() {
    let mut ledger = Ledger::new(plan(ShownElement::Current));
    let list = [(0, 1.0), (HOUR, 2.0), (2 * HOUR, 3.0)];
    ledger.apply(observation(0, 60, prices(ShownElement::Current, &list)));
    let changes = ledger.advance(at(60));
    assert_eq!(rows(&changes), row_pairs(&list[..1]));
    assert_eq!(forecast(&changes), Some(vec![0, HOUR, 2 * HOUR]));
    for (second, shown, changes_at) in [
        (60, "price 1", Some(3_600)),
        (3_599, "price 1", Some(3_600)),
        (3_600, "price 2", Some(7_200)),
        // The last hour ends as an hour.
        (10_799, "price 3", Some(10_800)),
        (10_800, "price 3 stale", None),
        (999_999, "price 3 stale", None),
    ] {
        ledger.advance(at(second));
        let snapshot = ledger.snapshot(at(second));
        assert_eq!(values(&snapshot), [shown], "at {second}");
        let expected: Option<Mono> = changes_at.map(|at: u64| Mono(at * 1000));
        assert_eq!(snapshot.changes_at, expected, "at {second}");
    }
}

#[test]
fn each_element_becomes_a_row_when_its_time_has_come() {
    let mut ledger = Ledger::new(plan(ShownElement::Newest));
    let list = [(-HOUR, 1.0), (0, 2.0), (HOUR, 3.0), (2 * HOUR, 4.0)];
    ledger.apply(observation(0, 60, prices(ShownElement::Newest, &list)));
    let changes = ledger.advance(at(60));
    assert_eq!(rows(&changes), row_pairs(&list[..2]));
    assert!(changes.rows.iter().all(|row| row.is_element));
    assert_eq!(forecast(&changes), Some(vec![HOUR, 2 * HOUR]));
    assert_eq!(values(&ledger.snapshot(at(60))), ["price 2"]);
    // Nothing comes before its time, and nothing twice.
    assert_eq!(ledger.advance(at(3_599)), SeriesChanges::default());
    let changes = ledger.advance(at(3_600));
    assert_eq!(rows(&changes), row_pairs(&list[2..3]));
    assert_eq!(forecast(&changes), Some(vec![2 * HOUR]));
    assert_eq!(ledger.advance(at(3_601)), SeriesChanges::default());
}

#[test]
fn an_unchanged_response_writes_nothing_and_a_corrected_element_a_row() {
    let mut ledger = Ledger::new(plan(ShownElement::Newest));
    let mut turn = |second: u64, list: &[(i64, f64)]| {
        let outcome = prices(ShownElement::Newest, list);
        ledger.apply(observation(0, second, outcome));
        let changes = ledger.advance(at(second));
        (rows(&changes), forecast(&changes))
    };
    let (a, b, c) = ((0, 1.0), (MINUTE, 2.0), (HOUR, 3.0));
    assert_eq!(turn(60, &[a, b, c]).0.len(), 2);
    assert_eq!(turn(360, &[a, b, c]), (Vec::new(), None));
    assert_eq!(turn(660, &[b, c]), (Vec::new(), None), "the list moves on");
    let corrected = (MINUTE, 2.5);
    assert_eq!(
        turn(960, &[corrected, c]),
        (row_pairs(&[corrected]), None),
        "of several rows the last holds"
    );
    let dearer = (HOUR, 4.0);
    assert_eq!(turn(1_260, &[corrected, dearer]).1, Some(vec![HOUR]));
    assert_eq!(
        turn(1_560, &[corrected]).1,
        Some(Vec::new()),
        "what is cancelled is no forecast any more"
    );
}

#[test]
fn a_304_a_failure_and_an_answer_without_the_list_keep_what_is_shown() {
    let list = [(0, 1.0), (HOUR, 2.0)];
    let failed = FetchOutcome::Failed {
        failure: Failure::new(Cause::Timeout, "too slow."),
        issues: Vec::new(),
    };
    let rejected = FetchOutcome::Readings {
        observed: None,
        readings: Vec::new(),
        series: Vec::new(),
        issues: vec![Issue {
            reason: Reason::WrongType,
            key: Some("price".into()),
            pointer: "/data".to_owned(),
            expected: "a list".to_owned(),
            found: "a text".to_owned(),
        }],
    };
    let without = readings(None, &[("other", 1.0)]);
    for (case, outcome, later) in [
        ("304", FetchOutcome::Unchanged, "price 2"),
        ("failure", failed, "price 2"),
        ("rejected", rejected, "price 2"),
        // Cancelled: the hour that was shown goes on to its end.
        ("empty", FetchOutcome::Empty, "price 1 stale"),
        ("without", without, "price 1 stale"),
    ] {
        let mut ledger = Ledger::new(plan(ShownElement::Current));
        ledger.apply(observation(0, 60, prices(ShownElement::Current, &list)));
        ledger.advance(at(60));
        ledger.apply(observation(0, 360, outcome));
        ledger.advance(at(360));
        assert!(
            values(&ledger.snapshot(at(360))).contains(&"price 1".to_owned()),
            "{case}"
        );
        ledger.advance(at(3_700));
        let shown = values(&ledger.snapshot(at(3_700)));
        assert!(shown.contains(&later.to_owned()), "{case}: {shown:?}");
    }
}

#[test]
fn before_the_first_element_there_is_no_record() {
    let mut ledger = Ledger::new(plan(ShownElement::Current));
    let list = [(HOUR, 1.0), (2 * HOUR, 2.0)];
    ledger.apply(observation(0, 60, prices(ShownElement::Current, &list)));
    let changes = ledger.advance(at(60));
    assert_eq!(rows(&changes), []);
    assert_eq!(forecast(&changes), Some(vec![HOUR, 2 * HOUR]));
    let snapshot = ledger.snapshot(at(60));
    assert_eq!(values(&snapshot), Vec::<String>::new());
    assert_eq!(snapshot.changes_at, Some(Mono(3_600_000)));
    // The next list begins later; what is shown holds until then.
    ledger.advance(at(3_600));
    let later = [(5_400, 7.0), (9_000, 8.0)];
    ledger.apply(observation(0, 3_660, prices(ShownElement::Current, &later)));
    ledger.advance(at(3_660));
    assert_eq!(values(&ledger.snapshot(at(3_660))), ["price 1"]);
    ledger.advance(at(5_400));
    assert_eq!(values(&ledger.snapshot(at(5_400))), ["price 7"]);
}

#[test]
fn nothing_is_promoted_until_the_clock_can_be_relied_on() {
    let mut ledger = Ledger::new(plan(ShownElement::Current));
    let list = [(0, 1.0), (HOUR, 2.0)];
    // Behind by ten minutes, until it is set.
    let doubtful = |second: u64| Moment {
        wall: at(second).wall.before(Duration::from_secs(4_000)),
        trust: ClockTrust::Untrusted,
        ..at(second)
    };
    let outcome = prices(ShownElement::Current, &list);
    let mut fetched = observation(0, 100, outcome);
    fetched.at = doubtful(100);
    ledger.apply(fetched);
    assert_eq!(ledger.advance(doubtful(100)), SeriesChanges::default());
    assert!(ledger.snapshot(doubtful(100)).records.is_empty());
    let changes = ledger.advance(at(200));
    assert_eq!(rows(&changes), row_pairs(&list[..1]));
    assert_eq!(values(&ledger.snapshot(at(200))), ["price 1"]);
    // A clock that nothing ever sets counts after the time for which rows wait, too.
    let mut ledger = Ledger::new(plan(ShownElement::Current));
    let mut fetched = observation(0, 4_700, prices(ShownElement::Current, &list));
    fetched.at = doubtful(4_700);
    ledger.apply(fetched);
    assert_eq!(rows(&ledger.advance(doubtful(4_700))).len(), 1);
}

#[test]
fn a_series_that_another_source_gives_already_is_a_duplicate_even_with_a_merge_rule() {
    let mut plan = test_plan(2, Duration::from_secs(60));
    let merged = crate::domain::plan::KeyPlan {
        merge: Some(Merge::Mean),
        ..Default::default()
    };
    plan.keys.insert("price".into(), merged);
    let mut ledger = Ledger::new(Arc::new(plan));
    let list = [(0, 1.0), (HOUR, 2.0)];
    for source in 0..2 {
        let outcome = prices(ShownElement::Current, &list);
        ledger.apply(observation(source, 60, outcome));
    }
    assert!(ledger.conflict(0).is_none());
    assert!(ledger.conflict(1).is_some());
}

#[test]
fn a_long_list_becomes_rows_in_parts_of_whole_days() {
    let mut ledger = Ledger::new(plan(ShownElement::Newest));
    let days: Vec<(i64, f64)> = (0..2_000)
        .map(|at| ((at - 2_000) * 15 * MINUTE, at as f64))
        .collect();
    let series: Vec<Series> = ["a", "b", "c", "d"]
        .map(|key| Series {
            key: key.into(),
            unit: None,
            shown: ShownElement::Newest,
            elements: elements(&days),
        })
        .into();
    ledger.apply(observation(
        0,
        60,
        FetchOutcome::Readings {
            observed: None,
            readings: Vec::new(),
            series,
            issues: Vec::new(),
        },
    ));
    let mut parts = Vec::new();
    for second in 60..120 {
        let changes = ledger.advance(at(second));
        if !changes.rows.is_empty() {
            parts.push(changes.rows);
        }
    }
    assert_eq!(parts.len(), 2);
    assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), 8_000);
    let day = |row: &RecordRow| row.stamp.observed.second() / 86_400;
    assert!(parts[0].last().map(day) < parts[1].first().map(day));
}

#[test]
fn a_restart_goes_on_with_the_forecast_and_drops_that_of_keys_without_one() {
    let forecast = |key: &str, source: &str| Forecast {
        key: key.into(),
        unit: Some("ct/kWh".into()),
        source: source.into(),
        elements: elements(&[(0, 1.0), (HOUR, 2.0), (2 * HOUR, 3.0)]).into(),
    };
    let restored = |key: &str| RestoredRecord {
        key: key.into(),
        value: Value::Number(1.0),
        unit: None,
        source: "source0".into(),
        stamp: Stamp::restored(second(0), true),
        is_boolean: false,
        absence: Absence::default(),
    };
    let mut ledger = Ledger::new(plan(ShownElement::Current));
    ledger.restore(vec![restored("price")]);
    ledger.restore_forecasts(vec![
        forecast("gone", "source0"),
        forecast("price", "source9"),
    ]);
    // Until the clock tells, what was shown may be over.
    let doubtful = Moment {
        trust: ClockTrust::Untrusted,
        ..at(60)
    };
    let changes = ledger.advance(doubtful);
    assert_eq!(values(&ledger.snapshot(doubtful)), ["price 1 stale"]);
    assert_eq!(changes.rows, []);
    assert_eq!(forecast_keys(&changes), [("gone", 0)]);
    // Two elements began while the node was off.
    let changes = ledger.advance(at(7_300));
    let began = [(0, 1.0), (HOUR, 2.0), (2 * HOUR, 3.0)];
    assert_eq!(rows(&changes), row_pairs(&began));
    assert_eq!(changes.rows[0].unit.as_deref(), Some("ct/kWh"));
    assert_eq!(values(&ledger.snapshot(at(7_300))), ["price 3"]);
    assert_eq!(forecast_keys(&changes), [("price", 1)]);
}

#[test]
fn a_formula_of_a_series_is_stored_at_each_element_also_after_a_restart() {
    let with_formula = || {
        let mut plan = Plan::clone(&plan(ShownElement::Current));
        let keys = vec![formula("gross", "price * 2")];
        plan.derived = DerivedKeys::new(keys).expect("there is no cycle");
        Ledger::new(Arc::new(plan))
    };
    let stored_at = |ledger: &mut Ledger, second: u64| -> Vec<(i64, String)> {
        let rows = ledger.advance(at(second)).rows;
        let derived = ledger.derive(at(second), &rows);
        let row = |row: &RecordRow| (row.stamp.observed.second() - T0, row.value.to_string());
        derived.iter().map(row).collect()
    };
    let list = [(0, 1.0), (HOUR, 2.0), (2 * HOUR, 3.0), (3 * HOUR, 4.0)];
    let mut ledger = with_formula();
    ledger.apply(observation(0, 60, prices(ShownElement::Current, &list)));
    assert_eq!(stored_at(&mut ledger, 60), row_pairs(&[(0, 2.0)]));
    assert_eq!(stored_at(&mut ledger, 3_600), row_pairs(&[(HOUR, 4.0)]));
    let restored = |key: &str, value, source: &str| RestoredRecord {
        key: key.into(),
        value: Value::Number(value),
        unit: None,
        source: source.into(),
        stamp: Stamp::restored(second(HOUR), false),
        is_boolean: false,
        absence: Absence::default(),
    };
    let mut ledger = with_formula();
    ledger.restore(vec![
        restored("price", 2.0, "source0"),
        restored("gross", 4.0, DERIVED_SOURCE),
    ]);
    ledger.restore_forecasts(vec![Forecast {
        key: "price".into(),
        unit: None,
        source: "source0".into(),
        elements: elements(&list[1..]).into(),
    }]);
    assert_eq!(stored_at(&mut ledger, 3_700), [], "it is stored already");
    assert_eq!(stored_at(&mut ledger, 7_200), row_pairs(&[(2 * HOUR, 6.0)]));
    assert_eq!(
        stored_at(&mut ledger, 10_800),
        row_pairs(&[(3 * HOUR, 8.0)])
    );
}

/// The clock of the run before was never trusted, so the age of what it stored is unknown.
#[test]
fn an_answer_makes_a_restored_element_of_unknown_age_fresh() {
    for shown in [ShownElement::Current, ShownElement::Newest] {
        let mut ledger = Ledger::new(plan(shown));
        ledger.restore(vec![RestoredRecord {
            key: "price".into(),
            value: Value::Number(1.0),
            unit: None,
            source: "source0".into(),
            stamp: Stamp::unknown_age(second(0), true),
            is_boolean: false,
            absence: Absence::default(),
        }]);
        assert_eq!(values(&ledger.snapshot(at(59))), ["price 1 stale"]);
        ledger.apply(observation(0, 60, prices(shown, &[(0, 1.0), (HOUR, 2.0)])));
        assert_eq!(values(&ledger.snapshot(at(60))), ["price 1"], "{shown:?}");
    }
}

/// Keys and how many elements each is to have.
fn forecast_keys(changes: &SeriesChanges) -> Vec<(&str, usize)> {
    let forecasts = changes.forecasts.iter();
    forecasts.map(|it| (&*it.key, it.elements.len())).collect()
}

#[test]
fn a_key_that_is_forgotten_takes_its_forecast_along() {
    let mut plan = test_plan(1, Duration::from_secs(300));
    plan.sources[0].selection = Selection::Selectors(vec![RecordSelector::new("other", "/o")]);
    plan.sources[0].forget_after = Duration::from_secs(3_600);
    let mut ledger = Ledger::new(Arc::new(plan));
    let list = [(0, 1.0), (999 * HOUR, 2.0)];
    ledger.apply(observation(0, 60, prices(ShownElement::Current, &list)));
    ledger.advance(at(60));
    for turn in 1..=40 {
        let outcome = readings(None, &[("other", 1.0)]);
        ledger.apply(observation(0, 60 + turn * 300, outcome));
        let changes = ledger.advance(at(60 + turn * 300));
        let expected: &[(&str, usize)] = match turn {
            // What was ahead is cancelled at once, what is shown goes with its key.
            1 => &[("price", 1)],
            30 => &[("price", 0)],
            _ => &[],
        };
        assert_eq!(forecast_keys(&changes), expected, "answer {turn}");
    }
}

/// What a database would hold, and what follows from it at a restart.
#[derive(Default)]
struct Disk {
    rows: BTreeMap<i64, Value>,
    forecast: Option<Forecast>,
    written: usize,
}

impl Disk {
    fn store(&mut self, changes: SeriesChanges, now: Wall) {
        for row in changes.rows {
            let start = row.stamp.observed;
            assert!(start <= now, "a row of the future");
            // The same row twice is stored once.
            if self.rows.get(&start.second()) != Some(&row.value) {
                self.rows.insert(start.second(), row.value);
                self.written += 1;
            }
        }
        self.written += changes.forecasts.len();
        self.forecast = changes
            .forecasts
            .into_iter()
            .last()
            .or(self.forecast.take());
    }

    fn restart(&self, plan: &Arc<Plan>) -> Ledger {
        let mut ledger = Ledger::new(plan.clone());
        let last = self.rows.last_key_value();
        let restored = last.map(|(second, value)| RestoredRecord {
            key: "price".into(),
            value: value.clone(),
            unit: None,
            source: "source0".into(),
            stamp: Stamp::restored(Wall::from_second(*second), true),
            is_boolean: false,
            absence: Absence::default(),
        });
        ledger.restore(restored.into_iter().collect());
        ledger.restore_forecasts(self.forecast.iter().cloned().collect());
        ledger
    }
}

/// The definition: what is shown, and which rows there are, of responses and time alone.
#[derive(Default)]
struct Model {
    list: Vec<TimedValue>,
    shown: Option<TimedValue>,
    rows: BTreeMap<i64, Value>,
}

impl Model {
    fn respond(&mut self, mut list: Vec<TimedValue>) {
        if let [.., before, last] = &mut list[..] {
            last.end = Some(Wall(2 * last.start.0 - before.start.0));
        }
        self.list = list;
    }

    fn advance(&mut self, now: Wall) {
        for element in self.list.iter().filter(|it| it.start <= now) {
            let second = element.start.second();
            self.rows.insert(second, element.value.clone());
            self.shown = Some(element.clone());
        }
        // Until a list says otherwise, the one before holds on.
        let first = self.list.first().map(|it| it.start);
        if let (Some(shown), Some(first)) = (&mut self.shown, first)
            && shown.start < first
        {
            shown.end = Some(shown.end.map_or(first, |end| end.min(first)));
        }
    }

    fn line(&self, now: Wall) -> Vec<String> {
        let line = |it: &TimedValue| {
            // Where nothing says the end it is as old as any other value may be.
            let end = it
                .end
                .unwrap_or(it.start.after(Duration::from_millis(900_001)));
            let is_over = end <= now;
            format!("price {}{}", it.value, if is_over { " stale" } else { "" })
        };
        self.shown.iter().map(line).collect()
    }
}

/// Random lists, times of fetches and restarts. Between its deadlines the ledger is not touched.
#[test]
fn what_is_shown_and_stored_follows_the_definition_at_every_minute() {
    for seed in 1..=60_u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut random = |below: i64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below.unsigned_abs()).cast_signed()
        };
        let plan = plan(ShownElement::Current);
        let mut ledger = Ledger::new(plan.clone());
        let (mut disk, mut model) = (Disk::default(), Model::default());
        let mut list: Vec<TimedValue> = Vec::new();
        let mut deadline = None;
        for minute in 0..600_i64 {
            let now = at((minute * MINUTE).unsigned_abs());
            let is_fetch = random(25) == 0;
            model.advance(now.wall);
            if is_fetch || deadline.is_some_and(|at| at <= now.mono) {
                disk.store(ledger.advance(now), now.wall);
            }
            if is_fetch {
                let first = minute + random(60) - 40;
                let length = 7 + random(13);
                let count = 1 + random(20);
                let mut pairs: Vec<(i64, f64)> = Vec::new();
                for at in 0..count {
                    if random(8) > 0 {
                        pairs.push(((first + at * length) * MINUTE, random(5) as f64));
                    }
                }
                if !pairs.is_empty() && random(3) > 0 {
                    list = elements(&pairs);
                }
                if !list.is_empty() {
                    let outcome = series_of("price", ShownElement::Current, list.clone());
                    let second = (minute * MINUTE).unsigned_abs();
                    ledger.apply(observation(0, second, outcome.clone()));
                    disk.store(ledger.advance(now), now.wall);
                    model.respond(list.clone());
                    model.advance(now.wall);
                    let written = disk.written;
                    ledger.apply(observation(0, second, outcome));
                    disk.store(ledger.advance(now), now.wall);
                    assert_eq!(disk.written, written, "an equal response writes nothing");
                }
            }
            if random(50) == 0 {
                ledger = disk.restart(&plan);
                let written = disk.written;
                disk.store(ledger.advance(now), now.wall);
                assert_eq!(disk.written, written, "nor does a restart");
                // What was in the response and has become rows is not known any more.
                let ahead = |it: &TimedValue| it.start > now.wall;
                model.list.retain(ahead);
                list.retain(ahead);
            }
            let snapshot = ledger.snapshot(now);
            deadline = snapshot.changes_at;
            assert_eq!(values(&snapshot), model.line(now.wall), "{seed}, {minute}");
            assert_eq!(disk.rows, model.rows, "{seed}, minute {minute}");
            let kept = disk.forecast.iter().flat_map(|it| it.elements.iter());
            let ahead = kept.filter(|it| it.start > now.wall);
            let expected = model.list.iter().filter(|it| it.start > now.wall);
            assert!(ahead.eq(expected), "{seed}, minute {minute}");
        }
    }
}
