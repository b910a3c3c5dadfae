//! Fives beside what the rows themselves say.

use std::sync::Arc;

use super::*;
use crate::db::database::Database;
use crate::db::history::HistoryReader;
use crate::db::periods::DAY;
use crate::db::retention::policy::{RetentionPolicy, RetentionTimes, step};
use crate::db::salvage;
use crate::db::test_support::{Dice, Directory, database, entries, row};
use crate::domain::history::{Bucket, HistoryQuery};
use crate::sys::budget::Budget;

const KEYS: [&str; 3] = ["a", "b", "c"];
/// 2025-12-31T20:00:00Z: four hours before the year ends.
const START: i64 = 1_767_225_600 - 4 * HOUR;
const HOURS: i64 = 8;

/// Everything that was ever observed: the last word for each key and second.
type Model = BTreeMap<(usize, i64), f64>;

fn keep_up(database: &mut Database, now: i64) {
    while step(
        database,
        &RetentionPolicy::default(),
        RetentionTimes::exact(Wall::from_second(now)),
    )
    .expect("a step")
        == Progress::More
    {}
}

fn store(database: &mut Database, model: &mut Model, said: &[(usize, i64, f64)]) {
    model.extend(said.iter().map(|(key, at, value)| ((*key, *at), *value)));
    let rows = said
        .iter()
        .map(|(key, at, value)| row(KEYS[*key], *at, *value));
    database
        .commit(&entries(rows), i64::MIN)
        .expect("it is committed");
}

/// Hours of busy keys, as they come; every hour is kept up with when it is over.
fn busy(database: &mut Database, model: &mut Model, dice: &mut Dice) {
    for minute in 0..HOURS * 60 {
        let now = START + minute * 60;
        let mut said = Vec::new();
        for at in (now..now + 60).step_by(10) {
            for key in 0..KEYS.len() {
                said.push((key, at, dice.below(1_000) as f64 / 8.0));
            }
        }
        store(database, model, &said);
        if minute % 60 == 15 {
            keep_up(database, now);
        }
    }
    keep_up(database, START + HOURS * HOUR + limits::FIVE_MINUTE_DELAY_S);
}

/// The buckets that the model gives.
fn expected(model: &Model, key: usize, width: i64) -> Vec<(i64, Aggregate)> {
    let mut buckets: BTreeMap<i64, Option<Aggregate>> = BTreeMap::new();
    for ((_, at), value) in model.iter().filter(|((of, _), _)| *of == key) {
        let begin = at.div_euclid(width) * width;
        rollup::add(
            buckets.entry(begin).or_default(),
            &Aggregate::of(*value, *at),
        );
    }
    let some = |(at, summary): (i64, Option<Aggregate>)| summary.map(|summary| (at, summary));
    buckets.into_iter().filter_map(some).collect()
}

#[track_caller]
fn assert_agrees(found: &[Bucket], expected: &[(i64, Aggregate)]) {
    assert_eq!(found.len(), expected.len());
    for (found, (begin, sum)) in found.iter().zip(expected) {
        assert_eq!(found.from.second(), *begin);
        assert_eq!(
            (found.count, found.min, found.max, found.last),
            (sum.count, sum.min, sum.max, sum.last)
        );
        assert!((found.mean - sum.mean).abs() < 1e-6, "{found:?} {sum:?}");
    }
}

/// Asks for all of it, at every width that fives have a part in.
#[track_caller]
fn assert_history(path: &std::path::Path, model: &Model) {
    let reader = HistoryReader::new(path);
    for (points, width) in [(HOURS * 12, 300), (HOURS * 6, 600), (HOURS * 2, 1_800)] {
        for (index, key) in KEYS.into_iter().enumerate() {
            let query = HistoryQuery {
                key: Arc::from(key),
                from: Wall::from_second(START),
                to: Wall::from_second(START + HOURS * HOUR),
                points: points as usize,
            };
            let budget = Budget::new(limits::HISTORY_ROWS, std::time::Duration::from_secs(3600));
            let found = reader.history(&query, &budget).expect("it answers");
            assert_agrees(&found, &expected(model, index, width));
        }
    }
}

fn hours_with_fives(database: &Database) -> i64 {
    database
        .connection()
        .query_row("SELECT count(DISTINCT hour) FROM fives", [], |row| {
            row.get(0)
        })
        .expect("it can be counted")
}

#[test]
fn a_busy_day_reads_the_same_by_fives_as_by_rows() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut database = database(&path);
    let (mut model, mut dice) = (Model::new(), Dice(11));
    busy(&mut database, &mut model, &mut dice);
    assert_eq!(hours_with_fives(&database), HOURS);
    assert_history(&path, &model);

    // The rows are not asked: without them the answer is the same.
    database
        .connection()
        .execute("DELETE FROM records", [])
        .expect("rows can be deleted");
    assert_history(&path, &model);
}

#[test]
fn late_and_corrected_readings_find_their_five() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut database = database(&path);
    let (mut model, mut dice) = (Model::new(), Dice(12));
    busy(&mut database, &mut model, &mut dice);
    for _ in 0..40 {
        let said: Vec<_> = (0..3)
            .map(|_| {
                // Half of these seconds have a reading already.
                let at = START + dice.below(HOURS as u64 * 720) as i64 * 5;
                (dice.below(3) as usize, at, dice.below(99) as f64)
            })
            .collect();
        store(&mut database, &mut model, &said);
    }
    assert_history(&path, &model);
}

#[test]
fn an_hour_that_becomes_busy_late_gets_its_fives_then() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut database = database(&path);
    let mut model = Model::new();
    for at in (START..START + HOURS * HOUR).step_by(600) {
        store(
            &mut database,
            &mut model,
            &[(0, at, 1.5), (1, at, 2.5), (2, at, 3.5)],
        );
    }
    keep_up(&mut database, START + HOURS * HOUR + 600);
    assert_eq!(
        hours_with_fives(&database),
        0,
        "few rows answer for themselves"
    );
    assert_history(&path, &model);

    // What comes in between puts much between the first row of an hour and its last.
    let other = (0..700)
        .map(|at| (0, START + HOURS * HOUR + at, 9.0))
        .collect::<Vec<_>>();
    let mut elsewhere = Model::new();
    store(&mut database, &mut elsewhere, &other);
    store(&mut database, &mut model, &[(1, START + 30, -7.0)]);
    assert_eq!(hours_with_fives(&database), 1);
    assert_history(&path, &model);
    // And once more, now that it has them.
    store(
        &mut database,
        &mut model,
        &[(1, START + 1_830, 70.0), (1, START + 1_200, 8.0)],
    );
    assert_history(&path, &model);
}

#[test]
fn rows_out_of_order_are_rolled_up_by_the_highest_id_of_a_second() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut database = database(&path);
    let mut model = Model::new();
    let at = |second: i64| START + second;
    let mut said: Vec<_> = (0..360)
        .flat_map(|step| (0..3).map(move |key| (key, at(step * 10), step as f64)))
        .collect();
    said.reverse();
    store(&mut database, &mut model, &said);
    store(
        &mut database,
        &mut model,
        &[(1, at(100), -1.0), (1, at(100), -2.0)],
    );
    keep_up(&mut database, at(2 * HOUR));
    assert_eq!(hours_with_fives(&database), 1);
    assert_history(&path, &model);
}

#[test]
fn a_database_that_comes_from_an_earlier_version_gets_its_fives_in_small_steps() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut database = database(&path);
    let (mut model, mut dice) = (Model::new(), Dice(13));
    busy(&mut database, &mut model, &mut dice);
    database
        .change(|transaction, tiers| {
            tiers.five_minute_until = None;
            transaction.execute("DELETE FROM fives", [])
        })
        .expect("it can be made one");
    assert_history(&path, &model);
    let now = Wall::from_second(START + HOURS * HOUR + 600);
    let mut before = 0;
    while step(
        &mut database,
        &RetentionPolicy::default(),
        RetentionTimes::exact(now),
    )
    .expect("a step")
        == Progress::More
    {
        let hours = hours_with_fives(&database);
        assert!(
            hours - before <= limits::RETENTION_STEP_IDS / 1_080 + 1,
            "{hours}"
        );
        before = hours;
        assert_history(&path, &model);
    }
    assert_eq!(before, HOURS);
}

#[test]
fn a_salvaged_database_gets_its_fives_again() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let (mut model, mut dice) = (Model::new(), Dice(15));
    busy(&mut database(&path), &mut model, &mut dice);
    let now = Wall::from_second(START);
    let database = salvage::quarantine(&crate::db::test_support::location(&path), "this-boot", now);
    let mut database = database.expect("it can be set aside");
    let salvage = salvage::Salvage::resume(&mut database).expect("it can be read");
    let mut salvage = salvage.expect("it is under way");
    while salvage.step(&mut database).expect("a step") == Progress::More {}
    assert_eq!(hours_with_fives(&database), 0);
    assert_history(&path, &model);
    keep_up(
        &mut database,
        START + HOURS * HOUR + limits::FIVE_MINUTE_DELAY_S,
    );
    assert_eq!(hours_with_fives(&database), HOURS);
    assert_history(&path, &model);
}

#[test]
fn fives_go_with_their_rows() {
    let directory = Directory::new();
    let mut database = database(&directory.path("a.db"));
    let (mut model, mut dice) = (Model::new(), Dice(14));
    busy(&mut database, &mut model, &mut dice);
    let kept = RetentionPolicy {
        raw: std::time::Duration::from_secs(DAY as u64),
        ..RetentionPolicy::default()
    };
    let now = Wall::from_second(START + 5 * HOUR + DAY);
    while step(&mut database, &kept, RetentionTimes::exact(now)).expect("a step") == Progress::More
    {
    }
    let first: i64 = database
        .connection()
        .query_row("SELECT min(hour) FROM fives", [], |row| row.get(0))
        .expect("some are left");
    let rows_from = database.tiers().rows_from;
    assert_eq!(first, rows_from, "no more and no less than rows");
    assert_eq!(
        rows_from,
        START / HOUR + 4,
        "the newest hour that is over goes with commits"
    );
}
