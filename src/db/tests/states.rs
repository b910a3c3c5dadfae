//! Runs of texts and states, beside what the rows say one by one.

use std::sync::Arc;
use std::time::Duration;

use super::HistoryReader;
use crate::db::database::Database;
use crate::db::periods::HOUR;
use crate::db::progress::Progress;
use crate::db::retention::policy::{RetentionPolicy, RetentionTimes, step};
use crate::db::test_support::{Dice, Directory, T0, database, entries, row_of};
use crate::domain::history::{StateHistory, StateQuery};
use crate::domain::reading::Value;
use crate::domain::time::Wall;
use crate::limits;
use crate::sys::budget::Budget;

/// An hour's begin.
const BEGIN: i64 = T0.div_euclid(HOUR) * HOUR;

fn query(key: &str, from: i64, to: i64) -> StateQuery {
    StateQuery {
        key: Arc::from(key),
        from: Wall::from_second(BEGIN + from),
        to: Wall::from_second(BEGIN + to),
        runs: 1_000,
        gap: Duration::from_secs(180),
    }
}

fn ask(reader: &HistoryReader, query: &StateQuery) -> StateHistory {
    let budget = Budget::new(limits::PAGE_ROWS, Duration::from_secs(3600))
        .with_reserve(limits::PAGE_COARSE_ROWS);
    reader.states(query, &budget).expect("it answers")
}

/// Runs as seconds since the begin.
fn found(history: &StateHistory) -> Vec<(i64, i64, String)> {
    let second = |at: Wall| at.second() - BEGIN;
    let runs = history.runs.iter();
    runs.map(|run| (second(run.from), second(run.to), run.value.to_string()))
        .collect()
}

fn store(database: &mut Database, rows: &[(i64, Value)]) {
    let rows = rows
        .iter()
        .map(|(at, value)| row_of("state", BEGIN + at, value.clone()));
    database
        .commit(&entries(rows), i64::MIN)
        .expect("it is committed");
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

#[test]
fn a_run_lasts_until_the_next_value_or_a_gap() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut database = database(&path);
    let rows = [
        (0, "idle"),
        (60, "idle"),
        (120, "heating"),
        (180, "heating"),
        // Nothing for an hour.
        (4_000, "heating"),
        (4_060, "idle"),
        (4_120, "off"),
        // Late and a correction.
        (240, "idle"),
        (4_120, "idle"),
    ];
    store(&mut database, &rows.map(|(at, value)| (at, text(value))));
    let reader = HistoryReader::new(&path);
    let run = |from, to, value: &str| (from, to, value.to_owned());
    for (asked, expected) in [
        (
            query("state", 0, 7_200),
            vec![
                run(0, 120, "idle"),
                run(120, 240, "heating"),
                run(240, 240, "idle"),
                run(4_000, 4_060, "heating"),
                run(4_060, 4_120, "idle"),
            ],
        ),
        (
            StateQuery {
                gap: Duration::from_secs(7_200),
                ..query("state", 0, 7_200)
            },
            vec![
                run(0, 120, "idle"),
                run(120, 240, "heating"),
                run(240, 4_000, "idle"),
                run(4_000, 4_060, "heating"),
                run(4_060, 4_120, "idle"),
            ],
        ),
        (
            query("state", 60, 181),
            vec![run(60, 120, "idle"), run(120, 180, "heating")],
        ),
        (query("state", 300, 3_000), vec![]),
        (query("state", 50, 50), vec![]),
        (query("state", 100, 50), vec![]),
    ] {
        let answer = ask(&reader, &asked);
        assert_eq!(found(&answer), expected, "{asked:?}");
        assert!(!answer.is_cut);
    }
    let newest = StateQuery {
        runs: 2,
        ..query("state", 0, 7_200)
    };
    let answer = ask(&reader, &newest);
    assert!(answer.is_cut);
    assert_eq!(answer.known_from, Wall::from_second(BEGIN + 4_000));
    let two = [run(4_000, 4_060, "heating"), run(4_060, 4_120, "idle")];
    assert_eq!(found(&answer), two);
}

/// A switch among other keys, whose rows make hours that have five-minute rollups.
fn busy_day(database: &mut Database) -> Vec<(i64, f64)> {
    let mut dice = Dice(9);
    let mut switch = 0.0;
    let mut rows = Vec::new();
    for minute in 0..30 * 60 {
        let at = minute * 60;
        // Off for the night, out of reach for a while.
        if dice.below(20) == 0 && !(300..800).contains(&minute) {
            switch = 1.0 - switch;
        }
        let mut batch: Vec<_> = (0..20)
            .map(|index| row_of(&format!("other{index}"), BEGIN + at, Value::Number(1.0)))
            .collect();
        if !(900..960).contains(&minute) {
            batch.push(row_of("state", BEGIN + at, Value::Number(switch)));
            rows.push((at, switch));
        }
        // A source that is late: rows are not in the order of their times.
        batch.push(row_of("late", BEGIN + at - 1_000, Value::Number(switch)));
        database
            .commit(&entries(batch), i64::MIN)
            .expect("it is committed");
    }
    let now = RetentionTimes::exact(Wall::from_second(BEGIN + 31 * HOUR));
    let policy = RetentionPolicy::default();
    while step(database, &policy, now).expect("a step can be taken") == Progress::More {}
    rows
}

/// The runs of rows one by one.
fn expected(rows: &[(i64, f64)], gap: i64) -> Vec<(i64, i64, String)> {
    let mut runs: Vec<(i64, i64, String)> = Vec::new();
    for (at, value) in rows {
        let value = value.to_string();
        let is_adjacent = runs.last().is_some_and(|run| at - run.1 <= gap);
        match runs.last_mut() {
            Some(run) if is_adjacent && run.2 == value => run.1 = *at,
            Some(run) if is_adjacent => {
                run.1 = *at;
                runs.push((*at, *at, value));
            }
            _ => runs.push((*at, *at, value)),
        }
    }
    runs
}

#[test]
fn states_of_rollups_are_those_of_the_rows() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut database = database(&path);
    let rows = busy_day(&mut database);
    let reader = HistoryReader::new(&path);
    let answer = ask(&reader, &query("state", 0, 31 * HOUR));
    assert!(!answer.is_cut);
    assert_eq!(found(&answer), expected(&rows, 180));
    // A source whose rows lie elsewhere than the others of their time.
    let late: Vec<(i64, f64)> = rows
        .iter()
        .map(|(at, value)| (at - 1_000, *value))
        .collect();
    let answer = ask(&reader, &query("late", -HOUR, 31 * HOUR));
    let changes = |runs: Vec<(i64, i64, String)>| {
        runs.into_iter()
            .map(|run| (run.0, run.2))
            .collect::<Vec<_>>()
    };
    let late = changes(expected(&late, 180));
    assert_eq!(changes(found(&answer)).last(), late.last());
}

#[test]
fn what_is_too_much_to_read_is_said() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut database = database(&path);
    let rows: Vec<(i64, Value)> = (0..10 * HOUR)
        .map(|second| (second, text(if second % 600 < 300 { "a" } else { "b" })))
        .collect();
    store(&mut database, &rows);
    let reader = HistoryReader::new(&path);
    let all = ask(&reader, &query("state", 0, 10 * HOUR));
    assert!(!all.is_cut);
    assert_eq!(all.runs.len(), 120);
    let budget = Budget::new(limits::PAGE_ROWS, Duration::from_secs(3600))
        .with_reserve(limits::PAGE_ROWS - 5 * HOUR.unsigned_abs());
    let asked = query("state", 0, 10 * HOUR);
    let part = reader.states(&asked, &budget).expect("it answers");
    assert!(part.is_cut);
    assert!(part.known_from >= Wall::from_second(BEGIN + 5 * HOUR));
    assert_eq!(part.runs.last(), all.runs.last());
    assert_eq!(part.runs.first().map(|run| run.from), Some(part.known_from));
}
