//! What goes and what stays, counted exactly.

use rusqlite::Connection;

use super::*;
use crate::db::database::NewRow;
use crate::db::retention::clock::advance_clock;
use crate::db::test_support::{Directory, database, entries, row};
use crate::domain::freshness::Stamp;
use crate::domain::ledger::RecordRow;
use crate::domain::time::{ClockTrust, Moment, Mono};

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

fn keep(database: &mut Database, kept: &RetentionPolicy, now: i64) {
    for _ in 0..1_000_000 {
        let taken = step(
            database,
            kept,
            RetentionTimes::exact(Wall::from_second(now)),
        )
        .expect("a step can be taken");
        if taken == Progress::Done {
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
    let kept = RetentionPolicy {
        raw: days(3),
        hourly: days(10),
        ..RetentionPolicy::default()
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
    let kept = RetentionPolicy {
        bytes: 500_000,
        ..RetentionPolicy::default()
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
    let kept = RetentionPolicy {
        hourly: days(1),
        bytes: 500_000,
        ..RetentionPolicy::default()
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
    let kept = RetentionPolicy {
        bytes: 1,
        ..RetentionPolicy::default()
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
    let kept = RetentionPolicy::default();
    let now = Wall::from_second(begin + 40 * DAY);
    let mut before = count(database.connection(), "records");
    assert_eq!(before, 18_000);
    while step(&mut database, &kept, RetentionTimes::exact(now)).expect("a step can be taken")
        == Progress::More
    {
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
    keep(&mut database, &RetentionPolicy::default(), begin + 31 * DAY);
    assert_eq!(count(database.connection(), "records"), 1);
    assert_eq!(count(database.connection(), "daily"), 2);
}

/// A year, in seconds.
const YEAR: i64 = 365 * DAY;

/// The clocks `second` seconds after 2026-01-01, the wall clock `ahead` of what it should be.
fn reading(second: i64, ahead: i64) -> Moment {
    Moment {
        mono: Mono((1_000_000 + second).unsigned_abs() * 1_000),
        wall: Wall::from_second(1_767_225_600 + second + ahead),
        trust: ClockTrust::Trusted,
    }
}

/// A row that the node stamps itself.
fn stamped(now: Moment) -> NewRow {
    let row = RecordRow {
        stamp: Stamp::received(now, None),
        ..row("t", 0, now.mono.0 as f64)
    };
    NewRow {
        untrusted: !now.trust.is_trusted(),
        row,
    }
}

/// What the store thread does in a turn: a commit, then retention. True if the row is stored.
fn store(database: &mut Database, kept: &RetentionPolicy, now: Moment) -> bool {
    let time = advance_clock(database, kept, now).expect("the clock can be read");
    let oldest = time.map_or(i64::MIN, |time| kept.oldest_hour(time));
    let committed = database
        .commit(&[stamped(now)], oldest)
        .expect("it is committed");
    let times = time
        .filter(|_| now.trust.is_trusted())
        .map(|time| RetentionTimes {
            wall: now.wall,
            deletion: time,
        });
    for _ in 0..100_000 {
        if step(database, kept, times).expect("a step can be taken") == Progress::Done {
            return committed.stored == 1;
        }
    }
    panic!("retention comes to an end");
}

/// Forty days of a row each hour.
fn forty_days(path: &std::path::Path) -> Database {
    let mut database = database(path);
    let hours = (0..40 * 24).map(|hour| stamped(reading(hour * HOUR, 0)));
    database
        .commit(&hours.collect::<Vec<_>>(), i64::MIN)
        .expect("it is committed");
    let last = reading(40 * DAY, 0);
    assert!(store(&mut database, &RetentionPolicy::default(), last));
    database
}

const NOW: i64 = 40 * DAY;

#[test]
fn a_clock_jump_deletes_nothing_and_storing_continues() {
    let kept = RetentionPolicy::default();
    let template = Directory::new();
    drop(forty_days(&template.path("a.db")));
    for (ahead, restarts) in [
        (40 * DAY, false),
        (YEAR, true),
        (100 * YEAR, false),
        (100 * YEAR, true),
        (-YEAR, false),
        (-10 * YEAR, true),
    ] {
        let directory = Directory::new();
        let path = directory.path("a.db");
        std::fs::copy(template.path("a.db"), &path).expect("a file can be copied");
        let mut database = database(&path);
        let before = count(database.connection(), "records");
        for second in [1, 30, 60] {
            if restarts {
                drop(database);
                database = crate::db::test_support::database(&path);
            }
            store(&mut database, &kept, reading(NOW + second, ahead));
        }
        for second in [70, 80] {
            let is_stored = store(&mut database, &kept, reading(NOW + second, 0));
            assert!(is_stored, "{ahead}");
        }
        let after = count(database.connection(), "records");
        assert!(after >= before, "{ahead}: {before} rows, then {after}");
        // And what is due goes; first what the wrong clock stamped.
        for later in [1, 2, 3, 24, 48, 72, 96, 120, 240] {
            assert!(store(&mut database, &kept, reading(NOW + later * HOUR, 0)));
        }
        let left = count(database.connection(), "records");
        assert!(left <= 20 * 24 + 20, "{ahead}: {left} rows are left");
    }
}

#[test]
fn a_wrong_clock_at_twenty_moments_costs_little() {
    let kept = RetentionPolicy::default();
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut database = forty_days(&path);
    let before = count(database.connection(), "records");
    let mut dice = crate::db::test_support::Dice(20);
    let mut second = NOW;
    for _ in 0..20 {
        let ahead = (dice.below(110) as i64 - 10) * YEAR + dice.below(YEAR as u64) as i64;
        second += 60;
        store(&mut database, &kept, reading(second, ahead));
        if dice.below(2) == 0 {
            drop(database);
            database = crate::db::test_support::database(&path);
        }
        second += 60;
        store(&mut database, &kept, reading(second, ahead));
        second += 60;
        assert!(
            store(&mut database, &kept, reading(second, 0)),
            "storing goes on"
        );
    }
    let after = count(database.connection(), "records");
    assert!(after >= before, "{before} rows, then {after}");
}

#[test]
fn a_database_that_an_earlier_version_has_emptied_takes_rows_again() {
    let kept = RetentionPolicy::default();
    for ahead in [40 * DAY, 100 * YEAR] {
        let directory = Directory::new();
        let path = directory.path("a.db");
        let mut database = forty_days(&path);
        // As 0.1 did: everything by the wall clock, and no clock is saved.
        keep(&mut database, &kept, 1_767_225_600 + NOW + ahead);
        database
            .connection()
            .execute("DELETE FROM node WHERE name = 'retention_clock'", [])
            .expect("it can be removed");
        drop(database);
        let mut database = crate::db::test_support::database(&path);
        assert!(database.tiers().raw_from > (1_767_225_600 + NOW) / HOUR);
        assert!(store(&mut database, &kept, reading(NOW + 60, 0)), "{ahead}");
        let tiers = database.tiers();
        let hour = (1_767_225_600 + NOW) / HOUR;
        assert!(tiers.raw_from <= hour && tiers.hourly_from <= hour);
        assert!(tiers.daily_until.is_some_and(|until| until <= hour / 24));
        assert!(tiers.five_minute_until.is_some_and(|until| until <= hour));
        for day in (2..60).step_by(2) {
            assert!(store(&mut database, &kept, reading(NOW + day * DAY, 0)));
        }
        let left = count(database.connection(), "records");
        assert!(
            (14..=17).contains(&left),
            "{left}: every other day for 30 days"
        );
    }
}

#[test]
fn what_was_stamped_ahead_is_not_the_newest_for_ever() {
    let kept = RetentionPolicy::default();
    let directory = Directory::new();
    let path = directory.path("a.db");
    // The very first start is a year ahead.
    let mut database = database(&path);
    assert!(store(&mut database, &kept, reading(0, YEAR)));
    assert!(store(&mut database, &kept, reading(60, YEAR)));
    drop(database);
    let mut database = crate::db::test_support::database(&path);
    assert!(store(&mut database, &kept, reading(120, 0)));
    assert!(store(&mut database, &kept, reading(180, 0)));
    let latest: i64 = database
        .connection()
        .query_row("SELECT second FROM latest", [], |row| row.get(0))
        .expect("there is one");
    assert_eq!(latest, 1_767_225_600 + 180);
    assert_eq!(
        count(database.connection(), "records"),
        4,
        "nothing is deleted"
    );
    // The wrong clock comes again.
    store(&mut database, &kept, reading(240, YEAR));
    store(&mut database, &kept, reading(300, 0));
    assert_eq!(count(database.connection(), "records"), 6);
}

#[test]
fn a_start_in_1970_is_neither_the_oldest_nor_deleted() {
    let kept = RetentionPolicy::default();
    for has_a_past in [false, true] {
        let directory = Directory::new();
        let path = directory.path("a.db");
        let mut database = if has_a_past {
            forty_days(&path)
        } else {
            database(&path)
        };
        let oldest = |database: &Database| database.reach().expect("it can be read").rows;
        let first = oldest(&database);
        for second in 0..5 {
            let now = Moment {
                wall: Wall::from_second(second),
                trust: ClockTrust::Untrusted,
                ..reading(NOW + second, 0)
            };
            assert!(store(&mut database, &kept, now), "it is stored");
        }
        for second in [60, 120, 3_600] {
            assert!(store(&mut database, &kept, reading(NOW + second, 0)));
        }
        assert_eq!(
            count(database.connection(), "records WHERE meta IS NOT NULL"),
            5
        );
        let clock = database.retention_clock().expect("it runs");
        assert_eq!(clock.time, reading(NOW + 3_600, 0).wall, "it does not lag");
        let since = oldest(&database).expect("there are rows");
        if has_a_past {
            assert!(Some(since) > first && since < reading(12 * DAY, 0).wall);
        } else {
            assert_eq!(since, reading(NOW + 60, 0).wall);
        }
    }
}

#[test]
fn the_size_is_kept_to_without_any_clock() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let begin = 1_767_225_600;
    let mut database = two_days(&path, begin);
    // Among them rows that a wrong clock has stamped, the lowest ids of all included.
    for (id, second) in [(1, begin + 50 * YEAR), (2, 60), (5_000, begin + 9 * YEAR)] {
        database
            .connection()
            .execute(
                "UPDATE records SET timestamp = ?2 WHERE id = ?1",
                rusqlite::params![id, Wall::from_second(second).to_string()],
            )
            .expect("it can be stamped anew");
    }
    let kept = RetentionPolicy {
        bytes: 500_000,
        ..RetentionPolicy::default()
    };
    for _ in 0..100_000 {
        if step(&mut database, &kept, None).expect("a step can be taken") == Progress::Done {
            break;
        }
    }
    let (first, left): (i64, i64) = database
        .connection()
        .query_row("SELECT min(id), count(*) FROM records", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .expect("rows are left");
    assert_eq!(
        first + left - 1,
        48 * 360,
        "the lowest ids went, and no other"
    );
    assert!(database.tiers().raw_from <= (begin + 2 * DAY) / HOUR);
    drop(database);
    assert!(crate::db::file::size_on_disk(&path) <= 500_000);
}

/// They have the highest ids, and are the first to go nevertheless.
#[test]
fn rows_that_were_imported_make_room_before_those_that_are_newer() {
    let directory = Directory::new();
    let mut database = database(&directory.path("a.db"));
    let now = 1_767_225_600 + 100 * DAY + 1_800;
    // Some live rows of the running hour alone, then months of two years ago.
    let live = (0..100).map(|at| row("t", now - 1_000 + at * 10, at as f64));
    let old = (0..40_000).map(|at| row("t", now - 700 * DAY + at * 300, at as f64));
    for rows in [entries(live), entries(old)] {
        database.commit(&rows, i64::MIN).expect("it is committed");
    }
    let kept = RetentionPolicy {
        raw: days(800),
        hourly: days(4_000),
        bytes: 1_000_000,
    };
    keep(&mut database, &kept, now);
    let stored = |condition: &str| count(database.connection(), condition);
    let running = Wall::from_second(now - 1_000).to_string();
    let live = stored(&format!("records WHERE timestamp >= '{running}'"));
    assert_eq!(live, 100, "what is live stays");
    let all = stored("records");
    assert!((1_000..40_000).contains(&all), "{all}");
    let sums: i64 = database
        .connection()
        .query_row("SELECT sum(count) FROM daily", [], |row| row.get(0))
        .expect("days are there");
    assert_eq!(sums, 40_000, "the sums of those that went stay");
}
