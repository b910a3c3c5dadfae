//! What goes and what stays, counted exactly.

use rusqlite::Connection;

use super::*;
use crate::db::testing::{Directory, database, entries, row};

fn count(connection: &Connection, table: &str) -> i64 {
    connection
        .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
            row.get(0)
        })
        .expect("the table can be counted")
}

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

fn keep(database: &mut Database, kept: &Retention, now: i64) {
    for _ in 0..1_000_000 {
        let taken = step(database, kept, Wall::from_second(now)).expect("a step can be taken");
        if taken == Step::Done {
            return;
        }
    }
    panic!("retention comes to an end");
}

/// Some simulated days of some keys, with a restart every day, and the exact counts of what
/// must be left.
fn soak(length_days: i64, keys: i64, every_s: i64) {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let kept = Retention {
        raw: days(3),
        hourly: days(10),
        ..Retention::default()
    };
    let begin = 1_767_225_600 - 12 * DAY;
    let names: Vec<String> = (0..keys).map(|key| format!("key.{key}")).collect();
    let mut largest = 0;
    for day in 0..length_days {
        let mut database = database(&path);
        for hour in 0..24 {
            let from = begin + day * DAY + hour * HOUR;
            let rows = (from..from + HOUR)
                .step_by(every_s as usize)
                .flat_map(|at| names.iter().map(move |name| row(name, at, at as f64)));
            let now = from + HOUR;
            let oldest = kept.oldest_hour(Wall::from_second(now));
            database
                .commit(&entries(rows), oldest)
                .expect("it is committed");
            keep(&mut database, &kept, now);
        }
        if day >= 5 {
            let size = crate::db::file::size_on_disk(&path);
            largest = largest.max(size);
            assert!(size < largest * 3 / 2, "the file is bounded");
        }
    }
    let database = database(&path);
    let connection = database.connection();
    let per_hour = keys * HOUR / every_s;
    // Three days, and the hour that is going with the next commits.
    assert_eq!(count(connection, "records"), (3 * 24 + 1) * per_hour);
    assert_eq!(count(connection, "hourly"), length_days.min(10) * 24 * keys);
    assert_eq!(count(connection, "daily"), length_days * keys);
    let observed: i64 = connection
        .query_row("SELECT sum(count) FROM daily", [], |row| row.get(0))
        .expect("days can be summed");
    assert_eq!(
        observed,
        length_days * 24 * per_hour,
        "nothing stored is lost"
    );
    let verdict: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("it can be checked");
    assert_eq!(verdict, "ok");
}

#[test]
fn a_fortnight_leaves_exact_counts_in_every_tier() {
    soak(14, 2, 900);
}

/// 30 days of 50 keys once a minute: 2,160,000 rows. `make bench` runs it.
#[test]
#[ignore = "a soak of half a minute (optimised)"]
fn thirty_days_of_fifty_keys_leave_exact_counts() {
    soak(30, 50, 60);
}

/// One key every ten seconds.
fn two_days(path: &std::path::Path, begin: i64) -> Database {
    let mut database = database(path);
    let rows = (0..48 * 360).map(|at| row("t", begin + at * 10, at as f64));
    database
        .commit(&entries(rows), i64::MIN)
        .expect("it is committed");
    database
}

#[test]
fn a_file_that_is_too_large_loses_its_oldest_rows_and_shrinks() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let begin = 1_767_225_600;
    let mut database = two_days(&path, begin);
    let now = begin + 2 * DAY;
    let kept = Retention {
        bytes: 500_000,
        ..Retention::default()
    };
    keep(&mut database, &kept, now);
    let left = count(database.connection(), "records");
    assert!((1_000..14_000).contains(&left), "{left}");
    let oldest: String = database
        .connection()
        .query_row("SELECT min(timestamp) FROM records", [], |row| row.get(0))
        .expect("rows are left");
    let whole_hours = Wall::from_second(begin + (48 * 360 - left) * 10).to_string();
    assert_eq!(oldest, whole_hours, "the oldest went");
    assert_eq!(
        count(database.connection(), "hourly"),
        48,
        "their hours stay"
    );
    drop(database);
    assert!(crate::db::file::size_on_disk(&path) <= 500_000);
}

#[test]
fn hours_that_must_wait_for_their_rows_do_not_hold_up_the_bound() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let begin = 1_767_225_600;
    let mut database = two_days(&path, begin);
    let kept = Retention {
        hourly: days(1),
        bytes: 500_000,
        ..Retention::default()
    };
    keep(&mut database, &kept, begin + 2 * DAY);
    drop(database);
    assert!(crate::db::file::size_on_disk(&path) <= 500_000);
}

#[test]
fn a_bound_that_nothing_fits_in_comes_to_an_end_too() {
    let directory = Directory::new();
    let mut database = database(&directory.path("a.db"));
    let begin = 1_767_225_600;
    let rows = (0..5_000).map(|at| row("t", begin + at * 60, at as f64));
    database
        .commit(&entries(rows), i64::MIN)
        .expect("it is committed");
    let kept = Retention {
        bytes: 1,
        ..Retention::default()
    };
    let now = begin + 5_000 * 60;
    keep(&mut database, &kept, now);
    assert!(
        count(database.connection(), "daily") > 0,
        "days are kept for ever"
    );
    let committed = database.commit(&entries([row("t", now, 1.0)]), i64::MIN);
    assert_eq!(committed.map(|c| c.stored), Ok(1), "what is new is stored");
}

#[test]
fn one_step_is_small() {
    let directory = Directory::new();
    let mut database = database(&directory.path("a.db"));
    let begin = 1_767_225_600;
    let names: Vec<String> = (0..20).map(|key| format!("key.{key}")).collect();
    let rows = (0..HOUR).step_by(4);
    let rows = rows.flat_map(|at| names.iter().map(move |name| row(name, begin + at, 1.0)));
    database
        .commit(&entries(rows), i64::MIN)
        .expect("it is committed");
    let kept = Retention::default();
    let now = Wall::from_second(begin + 40 * DAY);
    let mut before = count(database.connection(), "records");
    assert_eq!(before, 18_000);
    while step(&mut database, &kept, now).expect("a step can be taken") == Step::More {
        let after = count(database.connection(), "records");
        assert!(before - after <= limits::RETENTION_STEP_IDS + 1);
        before = after;
    }
    assert_eq!(before, 0);
}

#[test]
fn a_row_dated_years_ahead_does_not_hold_up_the_rest() {
    let directory = Directory::new();
    let mut database = database(&directory.path("a.db"));
    let begin = 1_767_225_600;
    let batch = entries([
        row("ahead", begin + 3_650 * DAY, 1.0),
        row("t", begin, 1.0),
        row("ahead", begin, 2.0),
    ]);
    database.commit(&batch, i64::MIN).expect("it is committed");
    keep(&mut database, &Retention::default(), begin + 31 * DAY);
    assert_eq!(count(database.connection(), "records"), 1);
    assert_eq!(count(database.connection(), "daily"), 2);
}
