//! Stories of rows: what is stored once, what counts, what is known after a restart.

use std::sync::Arc;

use rusqlite::Connection;

use super::*;
use crate::db::open::open;
use crate::db::rollup::Aggregate;
use crate::db::rollup::read_hour;
use crate::db::test_support::{Directory, T0, database, entries, location, row, row_of, trusted};
use crate::domain::freshness::Stamp;
use crate::domain::ledger::RestoredRecord;
use crate::domain::reading::Value;
use crate::domain::time::{ClockTrust, Moment};

type Stored = (i64, String, String, Option<f64>, Option<String>);

fn all_records(database: &Database) -> Vec<Stored> {
    let mut statement = database
        .connection()
        .prepare("SELECT id, timestamp, key, value, meta FROM records ORDER BY id")
        .expect("the table is there");
    let rows = statement.query_map([], |row| {
        Ok((
            row.get(0)?,
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
        ))
    });
    rows.expect("it can be queried")
        .collect::<Result<_, _>>()
        .expect("every row has these types")
}

fn hour_of(database: &Database, k: i64, second: i64) -> Aggregate {
    read_hour(database.connection(), second.div_euclid(HOUR), k)
        .expect("hourly can be read")
        .and_then(|hour| hour.aggregate)
        .expect("the hour has numbers")
}

#[test]
fn rows_are_stored_exactly() {
    let directory = Directory::new();
    let mut database = database(&directory.path("a.db"));
    let mut batch = entries([
        row("temperature", T0, 21.4),
        row_of("sky", T0 + 1, Value::Text(Arc::from("\"clear\" ☀"))),
        row("humidity", T0 + 2, 45.0),
        row("rain", T0 + 3, 0.0),
    ]);
    batch[2].untrusted = true;
    batch[3].row.is_stated = true;
    let committed = database.commit(&batch, i64::MIN).expect("it is committed");
    assert_eq!(committed.stored, 4);
    let at = |second: &str| format!("2025-10-30T20:00:0{second}Z");
    assert_eq!(
        all_records(&database),
        [
            (1, at("0"), "temperature".to_owned(), Some(21.4), None),
            (
                2,
                at("1"),
                "sky".to_owned(),
                None,
                Some("{\"text\":\"\\\"clear\\\" ☀\"}".to_owned())
            ),
            (
                3,
                at("2"),
                "humidity".to_owned(),
                Some(45.0),
                Some("{\"clock\":\"untrusted\"}".to_owned())
            ),
            (
                4,
                at("3"),
                "rain".to_owned(),
                Some(0.0),
                Some("{\"stated\":true}".to_owned())
            ),
        ]
    );
}

/// One table for identity: batches of (second, value), what becomes of them, and the hour.
#[test]
fn duplicates_are_stored_once_and_corrections_win() {
    type Rows = &'static [(i64, f64)];
    /// Count, min, max, last.
    type Hour = (u64, f64, f64, f64);
    let cases: [(&str, &[Rows], CommitCounts, Hour); 7] = [
        (
            "delivered twice in a batch",
            &[&[(0, 5.0), (0, 5.0)]],
            CommitCounts {
                stored: 1,
                duplicates: 1,
                too_old: 0,
            },
            (1, 5.0, 5.0, 5.0),
        ),
        (
            "delivered again later",
            &[&[(0, 5.0)], &[(0, 5.0)]],
            CommitCounts {
                stored: 1,
                duplicates: 1,
                too_old: 0,
            },
            (1, 5.0, 5.0, 5.0),
        ),
        (
            "delivered again after newer ones",
            &[&[(0, 5.0), (10, 7.0)], &[(0, 5.0)]],
            CommitCounts {
                stored: 2,
                duplicates: 1,
                too_old: 0,
            },
            (2, 5.0, 7.0, 7.0),
        ),
        (
            "an equal value observed anew is a row",
            &[&[(0, 5.0)], &[(10, 5.0)]],
            CommitCounts {
                stored: 2,
                duplicates: 0,
                too_old: 0,
            },
            (2, 5.0, 5.0, 5.0),
        ),
        (
            "the newest corrected",
            &[&[(0, 5.0), (10, 99.0)], &[(10, 6.0)]],
            CommitCounts {
                stored: 3,
                duplicates: 0,
                too_old: 0,
            },
            (2, 5.0, 6.0, 6.0),
        ),
        (
            "an older one corrected, twice, back to what it was",
            &[
                &[(0, -50.0), (10, 6.0)],
                &[(0, 4.0)],
                &[(0, -50.0), (0, 5.0)],
            ],
            CommitCounts {
                stored: 5,
                duplicates: 0,
                too_old: 0,
            },
            (2, 5.0, 6.0, 6.0),
        ),
        (
            "late ones find their place",
            &[&[(3000, 9.0)], &[(10, 1.0)], &[(2000, 2.0)]],
            CommitCounts {
                stored: 3,
                duplicates: 0,
                too_old: 0,
            },
            (3, 1.0, 9.0, 9.0),
        ),
    ];
    for (story, batches, expected, (count, min, max, last)) in cases {
        let directory = Directory::new();
        let mut database = database(&directory.path("a.db"));
        let mut committed = CommitCounts::default();
        for batch in batches {
            let rows = batch
                .iter()
                .map(|(second, value)| row("t", T0 + second, *value));
            let one = database
                .commit(&entries(rows), i64::MIN)
                .expect("it is committed");
            committed.stored += one.stored;
            committed.duplicates += one.duplicates;
        }
        assert_eq!(committed, expected, "{story}");
        let hour = hour_of(&database, 1, T0);
        assert_eq!(
            (hour.count, hour.min, hour.max, hour.last),
            (count, min, max, last),
            "{story}"
        );
    }
}

#[test]
fn what_a_number_was_corrected_to_a_text_counts_no_longer() {
    let directory = Directory::new();
    let mut database = database(&directory.path("a.db"));
    let batch = entries([row("t", T0, 5.0), row("t", T0 + 1, 6.0)]);
    database.commit(&batch, i64::MIN).expect("it is committed");
    let error = row_of("t", T0 + 1, Value::Text(Arc::from("broken")));
    database
        .commit(&entries([error]), i64::MIN)
        .expect("it is committed");
    let hour = hour_of(&database, 1, T0);
    assert_eq!((hour.count, hour.last), (1, 5.0));
}

#[test]
fn rows_of_hours_that_are_kept_no_longer_are_refused() {
    let directory = Directory::new();
    let mut database = database(&directory.path("a.db"));
    let batch = entries([
        row("t", T0 - HOUR, 1.0),
        row("t", T0 - 1, 2.0),
        row("t", T0, 3.0),
    ]);
    let committed = database
        .commit(&batch, T0.div_euclid(HOUR))
        .expect("it is committed");
    assert_eq!((committed.stored, committed.too_old), (1, 2));
}

#[test]
fn an_instant_that_no_calendar_has_is_stored_as_the_nearest() {
    let directory = Directory::new();
    let mut database = database(&directory.path("a.db"));
    let batch = entries([
        row("t", i64::MAX / 1000, 1.0),
        row("t", i64::MIN / 1000, 2.0),
    ]);
    database.commit(&batch, i64::MIN).expect("it is committed");
    let rows = all_records(&database);
    assert_eq!(rows[0].1, "9999-12-30T22:00:00Z");
    assert_eq!(rows[1].1, "0001-01-01T00:00:00Z");
}

#[test]
fn a_correction_across_the_year_mends_both_sides() {
    const NEW_YEAR: i64 = 1_767_225_600;
    let directory = Directory::new();
    let mut database = database(&directory.path("a.db"));
    let batch = entries([
        row("t", NEW_YEAR - 1, 1.0),
        row("t", NEW_YEAR, 2.0),
        row("t", NEW_YEAR + 1, 3.0),
    ]);
    database.commit(&batch, i64::MIN).expect("it is committed");
    let batch = entries([row("t", NEW_YEAR - 1, 10.0), row("t", NEW_YEAR, 20.0)]);
    database.commit(&batch, i64::MIN).expect("it is committed");
    let rows = all_records(&database);
    assert_eq!(rows[0].1, "2025-12-31T23:59:59Z");
    assert_eq!(rows[1].1, "2026-01-01T00:00:00Z");
    let old = hour_of(&database, 1, NEW_YEAR - 1);
    assert_eq!(
        (old.count, old.min, old.max, old.last),
        (1, 10.0, 10.0, 10.0)
    );
    let new = hour_of(&database, 1, NEW_YEAR);
    assert_eq!((new.count, new.min, new.max, new.last), (2, 3.0, 20.0, 3.0));
}

#[test]
fn restored_ages_continue_within_a_boot_and_depend_on_the_clock_after_it() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let received = trusted(0);
    let untrusted = Moment {
        trust: ClockTrust::Untrusted,
        ..received
    };
    let ten_s_old = Some(Wall(received.wall.0 - 10_000));
    let stamped = |key, stamp| RecordRow {
        stamp,
        ..row(key, T0, 1.0)
    };
    let mut batch = entries([
        stamped("own", Stamp::received(received, ten_s_old)),
        stamped("ours", Stamp::received(received, None)),
        stamped("doubted", Stamp::received(untrusted, None)),
        stamped("own under doubt", Stamp::received(untrusted, ten_s_old)),
    ]);
    batch[2].untrusted = true;
    database(&path)
        .commit(&batch, i64::MIN)
        .expect("it is committed");
    let later = trusted(60);
    let doubtful = Moment {
        wall: Wall(0),
        trust: ClockTrust::Untrusted,
        ..later
    };
    let ages = |boot: &str, now: Moment| -> Vec<Option<u64>> {
        let database = open(&location(&path), boot).expect("it opens");
        let restored = database.last_values(&|_| false).expect("it can be read");
        let keys: Vec<&str> = restored.iter().map(|row| &*row.key).collect();
        assert_eq!(keys, ["own", "ours", "doubted", "own under doubt"]);
        let age_s = |row: &RestoredRecord| row.stamp.age(now).map(|age| age.as_secs());
        restored.iter().map(age_s).collect()
    };
    let same_boot = ages("this-boot", later);
    assert_eq!(same_boot, [Some(70), Some(60), Some(60), Some(70)]);
    let same_boot = ages("this-boot", doubtful);
    assert_eq!(same_boot, [Some(70), Some(60), Some(60), None]);
    assert_eq!(ages("another", later), [Some(70), Some(60), None, Some(70)]);
    assert_eq!(ages("another", doubtful), [None; 4]);
    assert_eq!(ages("", doubtful), [None; 4], "a kernel that names no boot");
    // The first commit of another boot ends what was true in the one before.
    let mut database = open(&location(&path), "another").expect("it opens");
    let batch = entries([row("new", T0 + 1, 1.0)]);
    database.commit(&batch, i64::MIN).expect("it is committed");
    drop(database);
    let mut database = open(&location(&path), "this-boot").expect("it opens");
    let restored = database.last_values(&|_| false).expect("it can be read");
    assert_eq!(restored[0].stamp.age(doubtful), None);
    assert!(database.commit(&[], i64::MIN).is_ok());
}

#[test]
fn another_program_that_wrote_meanwhile_is_noticed() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let (mut one, mut two) = (database(&path), database(&path));
    for (database, second) in [(true, 0), (false, 1), (true, 2), (false, 3)] {
        let database = if database { &mut one } else { &mut two };
        let batch = entries([row("t", T0 + second, 1.0), row("u", T0 + second, 1.0)]);
        let committed = database.commit(&batch, i64::MIN).expect("it is committed");
        assert_eq!(committed.stored, 2);
    }
    assert_eq!(hour_of(&one, 1, T0).count, 4);
}

#[test]
fn ids_are_not_used_again() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut before = database(&path);
    let batch = entries([row("t", T0, 1.0), row("t", T0 + 1, 1.0)]);
    before.commit(&batch, i64::MIN).expect("it is committed");
    Connection::open(&path)
        .and_then(|connection| connection.execute("DELETE FROM records", []))
        .expect("rows can be dropped");
    drop(before);
    let mut after = database(&path);
    let batch = entries([row("t", T0 + 2, 1.0)]);
    after.commit(&batch, i64::MIN).expect("it is committed");
    assert_eq!(all_records(&after)[0].0, 3);
}

/// The keys that a database knows are on disk; memory holds those used lately.
#[test]
fn any_number_of_keys_takes_bounded_memory_and_none_is_stored_twice() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut database = database(&path);
    let rows = |from: usize, second: i64| {
        entries((from..from + 1_500).map(move |n| row(&format!("k{n}"), second, n as f64)))
    };
    for batch in 0..6 {
        let batch = rows(batch * 1_500, T0 + batch as i64);
        let committed = database.commit(&batch, i64::MIN).expect("it is committed");
        assert_eq!(committed.stored, 1_500);
        assert!(database.state.keys.len() <= limits::KEY_CACHE_ENTRIES + 1_500);
    }
    assert!(!database.state.keys.contains_key("k0"));
    let again = database.commit(&rows(0, T0), i64::MIN).expect("committed");
    assert_eq!((again.stored, again.duplicates), (0, 1_500));
    let later = database.commit(&rows(0, T0 + 9), i64::MIN);
    assert_eq!(later.expect("committed").stored, 1_500);
    let count = |sql: &str| -> i64 {
        let connection = database.connection();
        let count = connection.query_row(sql, [], |row| row.get(0));
        count.expect("it can be counted")
    };
    assert_eq!(count("SELECT count(*) FROM keys"), 9_000);
    assert_eq!(count("SELECT count(*) FROM records"), 10_500);
    let restored = database.last_values(&|key| key == "k1500");
    let restored = restored.expect("it can be read");
    assert_eq!(restored.len(), limits::RECORDS_PER_SOURCE + 1);
    let keys: Vec<&str> = restored.iter().map(|row| &*row.key).collect();
    let newest: Vec<String> = (0..256).map(|n| format!("k{n}")).collect();
    assert_eq!(keys[..256], newest, "the newest rows");
    assert_eq!(keys[256], "k1500", "and what is named");
}

/// Hours in which other keys of its source have rows prove that a key was absent.
#[test]
fn a_start_knows_for_how_long_keys_were_absent() {
    const H: i64 = 3_600;
    let directory = Directory::new();
    let mut database = database(&directory.path("a.db"));
    let of = |source: &str, key: &str, second: i64| {
        let mut row = row(key, second, 1.0);
        row.source = source.into();
        row
    };
    let begin = T0 - T0.rem_euclid(H);
    let mut batch = entries([
        of("a", "gone", begin),
        of("a", "doubtful", begin),
        of("b", "other", begin),
    ]);
    batch[1].untrusted = true;
    for hour in 0..=40 {
        // A night without answers.
        if (10..20).contains(&hour) {
            continue;
        }
        let answers = (0..6).map(|n| of("a", "t", begin + hour * H + n * 600));
        batch.extend(entries(answers));
        if hour == 25 {
            batch.extend(entries([of("a", "late", begin + hour * H)]));
        }
    }
    let committed = database.commit(&batch, i64::MIN).expect("it is committed");
    assert_eq!(committed.stored, batch.len() as u64);
    let restored = database.last_values(&|_| false).expect("it can be read");
    let absences: Vec<(&str, u64, u64)> = restored
        .iter()
        .map(|row| {
            let absence = row.absence;
            (&*row.key, absence.responses, absence.time.as_secs() / 3_600)
        })
        .collect();
    assert_eq!(
        absences,
        [
            ("gone", 180, 29),
            ("doubtful", 0, 0),
            ("other", 0, 0),
            ("t", 0, 0),
            ("late", 90, 14),
        ]
    );
}
