//! What history says, beside a model that keeps everything in a map.

use std::sync::Arc;

use super::*;
use crate::db::repository::Database;
use crate::db::retention::{Retention, Step, Times, step};
use crate::db::testing::{Dice, Directory, T0, database, entries, row};

fn query(key: &str, from: i64, to: i64, points: usize) -> HistoryQuery {
    HistoryQuery {
        key: Arc::from(key),
        from: Wall::from_second(from),
        to: Wall::from_second(to),
        points,
    }
}

fn keep_up(database: &mut Database, now: i64) {
    let kept = Retention::default();
    while step(database, &kept, Times::right(Wall::from_second(now))).expect("a step can be taken")
        == Step::More
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
        assert_eq!(width(0, span, points), expected, "{span} in {points}");
    }
    // A span that begins within a bucket touches one more.
    assert_eq!(width(30, 3_630, 60), 120);
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
    let reader = Reader::new(&path);
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
            let found = reader
                .history(&query(key, from, to, points))
                .expect("it answers");
            assert!(found.len() <= points.max(9));
            let width = width(from, to, points);
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
                    expected.add(*second, width, &Summary::of(*value, *second));
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
    let reader = Reader::new(&path);
    let found = reader
        .history(&query("t", T0, T0 + 6_000, 10))
        .expect("it answers");
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
    let kept = Retention {
        raw: std::time::Duration::from_secs(DAY as u64),
        hourly: std::time::Duration::from_secs(2 * DAY as u64),
        ..Retention::default()
    };
    let now = Wall::from_second(begin + 4 * DAY);
    while step(&mut database, &kept, Times::right(now)).expect("a step can be taken") == Step::More
    {
    }
    let reader = Reader::new(&path);
    let whole = query("t", begin, begin + 4 * DAY, 1_000);
    let found = reader.history(&whole).expect("it answers");
    let widths: Vec<u32> = found.iter().map(|bucket| bucket.seconds).collect();
    let of = |width| widths.iter().filter(|found| **found == width).count();
    assert_eq!((of(86_400), of(3_600), of(600)), (2, 24, 96), "{widths:?}");
    let count: u64 = found.iter().map(|bucket| bucket.count).sum();
    assert_eq!(count, 4 * 24 * 4, "nothing is counted twice or left out");
}

#[test]
fn a_reader_survives_a_file_that_comes_and_goes() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let reader = Reader::new(&path);
    let asked = query("t", T0, T0 + 60, 10);
    assert!(matches!(
        reader.history(&asked),
        Err(HistoryError::Unavailable(_))
    ));
    let store = |value| {
        let mut database = database(&path);
        let batch = entries([row("t", T0, value)]);
        database.commit(&batch, i64::MIN).expect("it is committed");
    };
    store(1.0);
    assert_eq!(reader.history(&asked).expect("it answers")[0].last, 1.0);
    assert_eq!(
        reader.history(&query("u", T0, T0 + 60, 10)),
        Err(HistoryError::UnknownKey)
    );
    std::fs::rename(&path, directory.path("aside.db")).expect("a file can be moved");
    assert!(matches!(
        reader.history(&asked),
        Err(HistoryError::Unavailable(_))
    ));
    store(2.0);
    assert_eq!(reader.history(&asked).expect("it answers")[0].last, 2.0);
    assert_eq!(reader.keys(), Ok(vec!["t".to_owned()]));
}

#[test]
fn a_reader_cannot_write() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    drop(database(&path));
    let connection = session::open_read_only(&path).expect("it opens");
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
    let reader = Reader::new(&path);
    for (from, to) in [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (0, i64::MAX)] {
        let asked = HistoryQuery {
            from: Wall(from),
            to: Wall(to),
            ..query("t", 0, 0, usize::MAX)
        };
        let found = reader.history(&asked).expect("it answers");
        let count: u64 = found.iter().map(|bucket| bucket.count).sum();
        assert_eq!(count, u64::from(from < to));
    }
}
