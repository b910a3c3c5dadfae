//! What history says, beside a model that keeps everything in a map.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::buckets::{Buckets, Grid, grid};
use super::*;
use crate::db::database::Database;
use crate::db::periods::{DAY, HOUR};
use crate::db::progress::Progress;
use crate::db::retention::policy::{RetentionPolicy, RetentionTimes, step};
use crate::db::rollup::Aggregate;
use crate::db::test_support::{Dice, Directory, T0, database, entries, row};
use crate::domain::time::Wall;
use crate::limits;

fn query(key: &str, from: i64, to: i64, points: usize) -> HistoryQuery {
    HistoryQuery {
        key: Arc::from(key),
        from: Wall::from_second(from),
        to: Wall::from_second(to),
        points,
    }
}

/// What `/history` may cost.
fn budget() -> Budget {
    Budget::new(limits::HISTORY_ROWS, std::time::Duration::from_secs(3600))
        .with_reserve(limits::HISTORY_COARSE_ROWS)
}

/// As a request asks.
fn ask(reader: &HistoryReader, query: &HistoryQuery) -> Result<Vec<Bucket>, HistoryError> {
    reader.history(query, &budget())
}

fn keep_up(database: &mut Database, now: i64) {
    let kept = RetentionPolicy::default();
    while step(
        database,
        &kept,
        RetentionTimes::exact(Wall::from_second(now)),
    )
    .expect("a step can be taken")
        == Progress::More
    {}
}

#[test]
fn widths_fit_the_points_and_are_what_people_count_in() {
    for (span, points, expected) in [
        (60, 60, 1),
        (60, 59, 2),
        (HOUR, 100, 60),
        (DAY, 300, 300),
        (DAY, 2_000, 60),
        (7 * DAY, 500, 1_800),
        (30 * DAY, 500, 2 * HOUR),
        (364 * DAY, 500, DAY),
        (10 * 364 * DAY, 500, 14 * DAY),
        (9_000 * 364 * DAY, 10, 1_024 * 364 * DAY),
        (1, 0, 1),
    ] {
        assert_eq!(grid(0, span, points).width, expected, "{span} in {points}");
    }
    // A span that begins within a bucket touches one more.
    assert_eq!(grid(30, 3_630, 60).width, 120);
}

#[test]
fn history_agrees_with_a_model_that_forgets_nothing() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut database = database(&path);
    let mut dice = Dice(7);
    let mut model: BTreeMap<(usize, i64), f64> = BTreeMap::new();
    let keys = ["a", "b", "c"];
    let start = 1_767_225_600 - 3 * DAY;
    // Six days over the new year, with late rows, corrections and days already summed up.
    for step in 0..400 {
        let now = start + step * 1_296;
        let rows = (0..8).map(|_| {
            let key = dice.below(3) as usize;
            let late = match dice.below(4) {
                0 => dice.below(2 * DAY as u64) as i64,
                _ => dice.below(600) as i64,
            };
            // Few distinct seconds, so that corrections are many.
            let second = (now - late).div_euclid(300) * 300;
            let value = dice.below(1_000) as f64 / 8.0;
            model.insert((key, second), value);
            row(keys[key], second, value)
        });
        let batch = entries(rows.collect::<Vec<_>>());
        database.commit(&batch, i64::MIN).expect("it is committed");
        if step % 16 == 0 {
            keep_up(&mut database, now);
        }
    }
    keep_up(&mut database, start + 6 * DAY);
    let reader = HistoryReader::new(&path);
    for (from, to, points) in [
        (start, start + 3 * DAY, 2_000),
        (start - DAY, start + 7 * DAY, 150),
        (start - DAY, start + 7 * DAY, 100),
        (start - DAY, start + 8 * DAY, 9),
        (start + 100, start + DAY + 77, 2_000),
        (start + 300, start + DAY + 600, 500),
        (start + DAY, start + DAY + 1_800, 3),
        (start, start, 10),
    ] {
        for (index, key) in keys.iter().enumerate() {
            let found = ask(&reader, &query(key, from, to, points)).expect("it answers");
            assert!(found.len() <= points.max(1));
            let width = grid(from, to.max(from + 1), points).width;
            let mut expected = Buckets::default();
            // Hours and days take part as wholes.
            let unit = if width >= DAY {
                DAY
            } else if width >= HOUR {
                HOUR
            } else {
                1
            };
            let from = from.div_euclid(unit) * unit;
            let to = (to + unit - 1).div_euclid(unit) * unit;
            for ((key, second), value) in &model {
                if *key == index && (from..to).contains(second) {
                    expected.add(*second, width, &Aggregate::of(*value, *second));
                }
            }
            let expected = expected.finish();
            assert_eq!(found.len(), expected.len(), "{key} {points}");
            for (found, expected) in found.iter().zip(&expected) {
                assert!(
                    (found.mean - expected.mean).abs() < 1e-6,
                    "{found:?} {expected:?}"
                );
                let mean = expected.mean;
                assert_eq!(Bucket { mean, ..*found }, *expected);
            }
        }
    }
}

/// Seconds at which something could go wrong: the ends of what RFC 3339 can say, both sides
/// of 1970, the ends of `i64`, and anything between.
fn any_second(dice: &mut Dice) -> i64 {
    let edge = [
        -62_135_596_800,
        253_402_300_799,
        i64::MIN / 1000,
        i64::MAX / 1000,
        0,
        T0,
        728 * DAY,
    ][dice.below(7) as usize];
    let spread = [1, 2, HOUR, 3 * DAY, 364 * DAY, 9_000 * 364 * DAY][dice.below(6) as usize];
    let off = dice.below(2 * spread.unsigned_abs()) as i64 - spread;
    edge.saturating_add(off)
}

fn any_points(dice: &mut Dice) -> usize {
    let most = limits::HISTORY_POINTS;
    match dice.below(3) {
        0 => 1 + dice.below(3) as usize,
        1 => 1 + dice.below(most as u64) as usize,
        _ => most,
    }
}

#[test]
fn every_span_fits_its_points() {
    let mut dice = Dice(11);
    let year = |at: i64| at.clamp(-62_135_596_800, 253_402_300_800);
    for _ in 0..20_000 {
        let (one, other) = (year(any_second(&mut dice)), year(any_second(&mut dice)));
        let (from, to) = (one.min(other), one.max(other).max(one.min(other) + 1));
        let points = any_points(&mut dice);
        let Grid { origin, width } = grid(from, to, points);
        let bucket = |at: i64| (at - origin).div_euclid(width);
        let count = bucket(to - 1) - bucket(from) + 1;
        assert!(
            (1..=points as i64).contains(&count),
            "{from} to {to} in {points}: {count} of {width} from {origin}"
        );
    }
    // One that spans 1970, where every width has a bucket that begins.
    let whole = grid(-1, 1, 1);
    assert_eq!((whole.origin, whole.width), (-DAY, 2 * DAY));
}

#[test]
fn every_query_stays_within_its_points_and_counts_all_rows() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut database = database(&path);
    // Rows of both sides of 1970, some of the far past and future, and a dense day that has
    // lost its rows but for its last hours.
    let far = [
        -62_000_000_000,
        -40 * 364 * DAY,
        -DAY,
        -1,
        0,
        1,
        5 * DAY,
        200_000_000_000,
    ];
    let begin = T0.div_euclid(DAY) * DAY;
    let dense = (0..3 * 24 * 60).map(|minute| begin + minute * 60);
    let seconds: Vec<i64> = far.into_iter().chain(dense).collect();
    let rows = seconds.iter().map(|second| row("t", *second, 1.0));
    database
        .commit(&entries(rows), i64::MIN)
        .expect("it is committed");
    let kept = RetentionPolicy {
        raw: std::time::Duration::from_secs(DAY as u64),
        hourly: std::time::Duration::from_secs(2 * DAY as u64),
        ..RetentionPolicy::default()
    };
    let now = Wall::from_second(begin + 3 * DAY);
    while step(&mut database, &kept, RetentionTimes::exact(now)).expect("a step can be taken")
        == Progress::More
    {}
    let reader = HistoryReader::new(&path);
    let mut dice = Dice(5);
    for _ in 0..400 {
        let (from, to) = (any_second(&mut dice), any_second(&mut dice));
        let points = any_points(&mut dice);
        let asked = query("t", from, to, points);
        let found = ask(&reader, &asked).expect("it answers");
        assert!(found.len() <= points, "{asked:?}: {}", found.len());
        assert!(
            found
                .windows(2)
                .all(|two| two[0].from.0 + two[0].seconds as i64 * 1000 <= two[1].from.0),
            "{asked:?}"
        );
        let counted: u64 = found.iter().map(|bucket| bucket.count).sum();
        // Those of the first and last day may be counted as wholes.
        let within = |slack: i64| {
            let (from, to) = (from.saturating_sub(slack), to.saturating_add(slack));
            let is_within = |second: &&i64| (from..to).contains(*second);
            seconds.iter().filter(is_within).count() as u64
        };
        assert!(from < to || counted == 0, "{asked:?}");
        assert!(
            from >= to || (within(0)..=within(DAY)).contains(&counted),
            "{asked:?}: {counted} of {}",
            within(0)
        );
    }
    let all = ask(&reader, &query("t", i64::MIN / 1000, i64::MAX / 1000, 1)).expect("it answers");
    assert_eq!((all.len(), all[0].count), (1, seconds.len() as u64));
    assert!(all[0].from.second() <= far[0]);
    assert!(all[0].from.second() + all[0].seconds as i64 > far[7]);
}

#[test]
fn a_query_that_would_cost_too_much_is_ended_and_leaves_nothing_open() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut database = database(&path);
    let rows = (0..3_000).map(|at| row(["t", "u", "v"][at as usize % 3], T0 + at, 1.0));
    database
        .commit(&entries(rows), i64::MIN)
        .expect("it is committed");
    let reader = HistoryReader::new(&path);
    let asked = query("t", T0, T0 + 3_000, 2_000);
    let with = |budget: Budget| reader.history(&asked, &budget);
    let long = std::time::Duration::from_secs(3600);
    assert_eq!(
        with(Budget::new(4_000, long)).expect("it answers").len(),
        1_000
    );
    // Where rows are too many, the hour answers for them.
    assert_eq!(with(Budget::new(2_000, long)).expect("it answers").len(), 1);
    let kept_for_hours = Budget::new(4_000, long).with_reserve(3_000);
    assert_eq!(with(kept_for_hours).expect("it answers").len(), 1);
    for (budget, limit) in [
        (Budget::new(1, long), Exceeded::Rows(1)),
        (
            Budget::new(4_000, std::time::Duration::ZERO),
            Exceeded::Time(std::time::Duration::ZERO),
        ),
    ] {
        assert_eq!(with(budget), Err(HistoryError::Exceeded(limit)));
        // No transaction is left that keeps the log from being emptied.
        let busy: i64 = database
            .connection()
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .expect("it can be asked");
        assert_eq!(busy, 0);
    }
    assert_eq!(with(budget()).expect("it answers").len(), 1_000);
}

#[test]
fn gaps_stay_gaps_and_extremes_survive() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let rows = (0..100)
        .filter(|at| !(40..60).contains(at))
        .map(|at| row("t", T0 + at * 60, if at == 13 { -99.0 } else { at as f64 }));
    database(&path)
        .commit(&entries(rows), i64::MIN)
        .expect("it is committed");
    let reader = HistoryReader::new(&path);
    let found = ask(&reader, &query("t", T0, T0 + 6_000, 10)).expect("it answers");
    let begins: Vec<i64> = found.iter().map(|b| (b.from.second() - T0) / 60).collect();
    assert_eq!(begins, [0, 10, 20, 30, 60, 70, 80, 90]);
    assert!(found.iter().all(|bucket| bucket.seconds == 600));
    assert_eq!(
        (found[1].min, found[1].max, found[1].last),
        (-99.0, 19.0, 19.0)
    );
}

#[test]
fn a_part_that_has_lost_its_rows_is_answered_by_hours_and_then_by_days() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut database = database(&path);
    let begin = T0.div_euclid(DAY) * DAY;
    let rows = (0..4 * 24 * 4).map(|quarter| row("t", begin + quarter * 900, quarter as f64));
    database
        .commit(&entries(rows), i64::MIN)
        .expect("it is committed");
    let kept = RetentionPolicy {
        raw: std::time::Duration::from_secs(DAY as u64),
        hourly: std::time::Duration::from_secs(2 * DAY as u64),
        ..RetentionPolicy::default()
    };
    let now = Wall::from_second(begin + 4 * DAY);
    while step(&mut database, &kept, RetentionTimes::exact(now)).expect("a step can be taken")
        == Progress::More
    {}
    let reader = HistoryReader::new(&path);
    let whole = query("t", begin, begin + 4 * DAY, 1_000);
    let found = ask(&reader, &whole).expect("it answers");
    let widths: Vec<u64> = found.iter().map(|bucket| bucket.seconds).collect();
    let of = |width| widths.iter().filter(|found| **found == width).count();
    assert_eq!((of(86_400), of(3_600), of(600)), (2, 24, 96), "{widths:?}");
    let count: u64 = found.iter().map(|bucket| bucket.count).sum();
    assert_eq!(count, 4 * 24 * 4, "nothing is counted twice or left out");
}

#[test]
fn a_reader_survives_removal_and_replacement_of_the_file() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let reader = HistoryReader::new(&path);
    let asked = query("t", T0, T0 + 60, 10);
    assert!(matches!(
        ask(&reader, &asked),
        Err(HistoryError::Unavailable(_))
    ));
    let store = |value| {
        let mut database = database(&path);
        let batch = entries([row("t", T0, value)]);
        database.commit(&batch, i64::MIN).expect("it is committed");
    };
    store(1.0);
    assert_eq!(ask(&reader, &asked).expect("it answers")[0].last, 1.0);
    assert_eq!(
        ask(&reader, &query("u", T0, T0 + 60, 10)),
        Err(HistoryError::UnknownKey)
    );
    std::fs::rename(&path, directory.path("aside.db")).expect("a file can be moved");
    assert!(matches!(
        ask(&reader, &asked),
        Err(HistoryError::Unavailable(_))
    ));
    store(2.0);
    assert_eq!(ask(&reader, &asked).expect("it answers")[0].last, 2.0);
    assert_eq!(reader.keys(), Ok(vec!["t".to_owned()]));
}

#[test]
fn a_reader_cannot_write() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    drop(database(&path));
    let connection = connection::open_read_only(&path).expect("it opens");
    connection
        .execute("DELETE FROM records", [])
        .expect_err("it is refused");
}

#[test]
fn absurd_spans_are_answered() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    database(&path)
        .commit(&entries([row("t", T0, 1.0)]), i64::MIN)
        .expect("it is committed");
    let reader = HistoryReader::new(&path);
    for (from, to) in [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (0, i64::MAX)] {
        let asked = HistoryQuery {
            from: Wall(from),
            to: Wall(to),
            ..query("t", 0, 0, usize::MAX)
        };
        let found = ask(&reader, &asked).expect("it answers");
        let count: u64 = found.iter().map(|bucket| bucket.count).sum();
        assert_eq!(count, u64::from(from < to));
    }
}

#[test]
fn a_forecast_is_what_begins_after_now_in_the_buckets_of_the_span() {
    let directory = Directory::new();
    let path = directory.path("main-node.db");
    let mut database = database(&path);
    let elements = (-1..48).map(|hour| crate::domain::reading::TimedValue {
        start: Wall::from_second(T0 + hour * HOUR),
        end: Some(Wall::from_second(T0 + (hour + 1) * HOUR)),
        value: crate::domain::reading::Value::Number(hour as f64),
        is_stated: false,
    });
    let forecast = crate::domain::ledger::Forecast {
        key: "price".into(),
        unit: None,
        source: "market".into(),
        elements: elements.collect(),
    };
    let stored = database.commit_with_forecasts(&[], &[&forecast], &[], i64::MIN);
    stored.expect("it is committed");
    let reader = HistoryReader::new(&path);
    for (now, from, to, points, count, first) in [
        (
            T0,
            T0 - DAY,
            T0 + DAY,
            2_000,
            23,
            Some((HOUR, HOUR, 1, 1.0)),
        ),
        (
            T0 - 1,
            T0 - DAY,
            T0 + DAY,
            2_000,
            24,
            Some((0, HOUR, 1, 0.0)),
        ),
        // From noon on by twelve hours; the first three elements of them.
        (
            T0,
            T0 - DAY,
            T0 + DAY,
            8,
            3,
            Some((-8 * HOUR, 12 * HOUR, 3, 2.0)),
        ),
        (
            T0,
            T0 + 10 * HOUR,
            T0 + 12 * HOUR,
            9,
            2,
            Some((10 * HOUR, HOUR, 1, 10.0)),
        ),
        (T0, T0 - DAY, T0, 9, 0, None),
        (T0, T0 + 9 * DAY, T0 + 10 * DAY, 9, 0, None),
    ] {
        let query = query("price", from, to, points);
        let found = reader.forecast(&query, Wall::from_second(now), &budget());
        let found = found.expect("it can be read");
        let bucket = |it: &Bucket| {
            let from = it.from.second() - T0;
            (from, it.seconds.cast_signed(), it.count, it.mean)
        };
        let found_first = found.first().map(bucket);
        assert_eq!((found.len(), found_first), (count, first), "{query:?}");
        let observed = ask(&reader, &query).expect("the key is known");
        assert_eq!(observed, [], "no forecast among what was observed");
    }
}
