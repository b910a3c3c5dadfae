//! Keys that come and go over months, with restarts between.

use super::*;
use crate::db::database::NewRow;
use crate::db::test_support::{Directory, T0, database, entries, row, trusted};
use crate::db::tiers::write_meta;
use crate::domain::failure::{Cause, Failure};
use crate::domain::ledger::{Ledger, RecordRow};
use crate::domain::plan::test_plan;
use crate::domain::reading::{FetchOutcome, Observation, Reading, Value};

const SECONDS: i64 = 3_600;

fn readings(observed: Option<Wall>, keys: &[String]) -> FetchOutcome {
    let reading = |key: &String| Reading {
        key: key.as_str().into(),
        value: Value::Number(1.0),
        unit: None,
        is_stated: false,
        is_boolean: false,
        observed: None,
    };
    FetchOutcome::Readings {
        observed,
        readings: keys.iter().map(reading).collect(),
        series: Vec::new(),
        issues: Vec::new(),
    }
}

fn failed() -> FetchOutcome {
    FetchOutcome::Failed {
        failure: Failure::new(Cause::Timeout, "too slow."),
        issues: Vec::new(),
    }
}

/// Fetches every hour for `hours`, with a restart after every `restart` hours. `check` gets the
/// hour, and the keys that are current then.
fn run(
    hours: i64,
    restart: i64,
    outcome: impl Fn(i64) -> FetchOutcome,
    mut check: impl FnMut(i64, &[String]),
) {
    let directory = Directory::new();
    let mut database = database(&directory.path("a.db"));
    let plan = Arc::new(test_plan(1, Duration::from_secs(3_600)));
    let mut ledger = Ledger::new(plan.clone());
    for hour in 0..hours {
        let now = trusted(hour * SECONDS);
        if hour % restart == restart - 1 {
            ledger = Ledger::new(plan.clone());
            ledger.restore(database.last_values(&|_| false).expect("it can be read"));
        }
        let rows = ledger.apply(Observation {
            source: 0,
            at: now,
            duration: Duration::ZERO,
            bytes: 0,
            outcome: outcome(hour),
            next_in: Duration::from_secs(3_600),
            server_wait: Duration::ZERO,
            late_notice: None,
            skipped_polls: 0,
            upstream: None,
        });
        let rows = rows.into_iter().map(|row| NewRow {
            row,
            untrusted: false,
        });
        let rows: Vec<NewRow> = rows.collect();
        database.commit(&rows, i64::MIN).expect("it is committed");
        let absences = ledger.absences(now).expect("the clock is trusted");
        write_meta(database.connection(), ABSENCES, absences.to_text()).expect("it is saved");
        let records = ledger.snapshot(now).records;
        let keys: Vec<String> = records.iter().map(|it| it.key.to_string()).collect();
        check(hour, &keys);
    }
}

fn names(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

#[test]
fn keys_with_dates_come_and_go_for_months_whatever_is_restarted() {
    for restart in [5, 30] {
        let day_keys = |hour: i64| {
            let day = hour / 24;
            vec![
                "code".to_owned(),
                format!("day{day:03}"),
                format!("day{:03}", day + 1),
            ]
        };
        let outcome = |hour| readings(None, &day_keys(hour));
        run(60 * 24, restart, outcome, |hour, keys| {
            for key in day_keys(hour) {
                assert!(keys.contains(&key), "{key} at hour {hour}: {keys:?}");
            }
            assert!(keys.len() <= 6, "hour {hour}, restart {restart}: {keys:?}");
        });
    }
}

/// The hour in which a key that only the first response has is no longer current; it never comes
/// back.
fn forgotten_at(restart: i64, outcome: impl Fn(i64) -> FetchOutcome) -> Option<i64> {
    let mut forgotten = None;
    let first = |hour| match hour {
        0 => readings(Some(Wall::from_second(T0)), &names(&["gone", "t"])),
        _ => outcome(hour),
    };
    run(400, restart, first, |hour, keys| {
        let is_current = keys.contains(&"gone".to_owned());
        match forgotten {
            None if !is_current => forgotten = Some(hour),
            Some(at) => assert!(!is_current, "forgotten at {at}, back at {hour}"),
            None => {}
        }
    });
    forgotten
}

#[test]
fn restarts_neither_reset_nor_extend_an_absence() {
    type Case = (
        &'static str,
        fn(i64) -> FetchOutcome,
        std::ops::RangeInclusive<i64>,
    );
    let cases: [Case; 4] = [
        (
            "responses with values",
            |_| readings(None, &names(&["t"])),
            28..=33,
        ),
        (
            "the same observation again",
            |_| readings(Some(Wall::from_second(T0)), &names(&["t"])),
            28..=42,
        ),
        ("nothing but empty lists", |_| FetchOutcome::Empty, 28..=42),
        (
            // Each good one counts until the attempt after it.
            "five failures between good ones",
            |hour| match hour % 6 {
                0 => readings(None, &names(&["t"])),
                _ => failed(),
            },
            170..=200,
        ),
    ];
    for (case, outcome, expected) in cases {
        for restart in [1_000_000, 30, 7] {
            let at = forgotten_at(restart, outcome);
            assert!(
                at.is_some_and(|at| expected.contains(&at)),
                "{case}, restart every {restart} h: {at:?}"
            );
        }
    }
}

#[test]
fn whether_a_key_is_a_boolean_is_kept() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut database = database(&path);
    for (second, is_boolean) in [
        (0, false),
        (60, true),
        (120, true),
        (180, false),
        (240, true),
    ] {
        let row = RecordRow {
            is_boolean,
            ..row("switch", T0 + second, 1.0)
        };
        database
            .commit(&entries([row]), i64::MIN)
            .expect("it is committed");
        let restored = database.last_values(&|_| true).expect("it can be read");
        assert_eq!(restored[0].is_boolean, is_boolean, "{second}");
    }
    // A database of the version before that cannot be migrated is read as it is.
    database
        .connection()
        .execute_batch("ALTER TABLE keys DROP COLUMN boolean")
        .expect("it is as it was");
    let restored = database.last_values(&|_| true).expect("it can be read");
    assert_eq!(restored[0].key, "switch".into());
    assert!(!restored[0].is_boolean);
}
