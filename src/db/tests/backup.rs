//! Backups made, checked, refused and rotated.

use super::*;
use crate::db::test_support::{Directory, T0, database, entries, row};

#[test]
fn a_backup_of_a_database_in_use_is_that_database() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut source = database(&path);
    let rows = (0..1_000).map(|at| row("t", T0 + at, at as f64));
    source
        .commit(&entries(rows), i64::MIN)
        .expect("it is committed");
    let target = directory.path("backup.db");
    let made = backup(&path, &target).expect("a backup is made");
    assert_eq!(made.records, 1_000);
    // Restoring is: put the file there.
    drop(source);
    std::fs::rename(&target, &path).expect("a file can be moved");
    let mut restored = database(&path);
    let again = entries([row("t", T0 + 999, 999.0), row("t", T0 + 1_000, 1.0)]);
    let committed = restored.commit(&again, i64::MIN).expect("it is committed");
    assert_eq!((committed.stored, committed.duplicates), (1, 1));
    let auto_vacuum: i64 = restored
        .connection()
        .pragma_query_value(None, "auto_vacuum", |row| row.get(0))
        .expect("it can be asked");
    assert_eq!(auto_vacuum, 2, "space can still be given back");
}

#[test]
fn a_failed_backup_is_reported_and_leaves_no_file() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    drop(database(&path));
    let text = directory.path("notes.txt");
    std::fs::write(&text, "buy milk").expect("a file can be written");
    let theirs = directory.path("theirs.db");
    Connection::open(&theirs)
        .and_then(|connection| connection.execute_batch("CREATE TABLE theirs (x)"))
        .expect("a database can be made");
    let before = directory.names();
    for (source, target, expected) in [
        (&path, &text, "exists already and is not overwritten"),
        (&path, &directory.path("no/where.db"), "cannot be written"),
        (
            &directory.path("none.db"),
            &directory.path("b.db"),
            "no such file",
        ),
        (
            &text,
            &directory.path("b.db"),
            "found a file that begins with",
        ),
        (
            &theirs,
            &directory.path("b.db"),
            "another program's SQLite database",
        ),
    ] {
        let error = backup(source, target).expect_err("it is refused");
        assert!(error.to_string().contains(expected), "{error}");
    }
    // A reader leaves SQLite's own files beside a database that it may not write.
    let mut after = directory.names();
    after.retain(|name| !name.ends_with("-shm") && !name.ends_with("-wal"));
    assert_eq!(after, before);
}

#[test]
fn the_newest_backups_are_kept() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    drop(database(&path));
    std::fs::write(directory.path("a.db.backup-mine"), "").expect("a file can be written");
    for day in 0..5 {
        rotate(&path, 2, Wall::from_second(T0 + day * 86_400)).expect("a backup is made");
    }
    let names: Vec<String> = directory
        .names()
        .into_iter()
        .filter(|name| name.contains("backup"))
        .collect();
    let expected = ["20251102T200000Z", "20251103T200000Z", "mine"];
    assert_eq!(names, expected.map(|date| format!("a.db.backup-{date}")));
}

#[test]
fn a_damaged_backup_fails_verification() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let rows = (0..5_000).map(|at| row("t", T0 + at, at as f64));
    database(&path)
        .commit(&entries(rows), i64::MIN)
        .expect("it is committed");
    let whole = directory.path("a.db.backup-20250101T000000Z");
    backup(&path, &whole).expect("a backup is made");
    let damaged = directory.path("a.db.backup-20260101T000000Z");
    let mut bytes = std::fs::read(&whole).expect("it can be read");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4_096].fill(0xAA);
    std::fs::write(&damaged, bytes).expect("it can be written");
    assert!(verify(&damaged).is_err());
    assert_eq!(newest_verified(&path), Some(whole));
}

#[test]
fn a_backup_is_due_when_the_newest_is_old_or_dated_ahead() {
    let every = Duration::from_secs(86_400);
    let now = Wall::from_second(T0);
    let dated = |name: &str| parse_date(Path::new(name));
    for (newest, expected) in [
        (None, true),
        (dated("/data/a.db.backup-20251030T195959Z"), false),
        (dated("/data/a.db.backup-20251029T200001Z"), false),
        (dated("/data/a.db.backup-20251029T200000Z"), true),
        (dated("/data/a.db.backup-20351029T200000Z"), true),
        (dated("/data/a.db.backup-mine"), true),
    ] {
        let due = is_due(newest.into_iter(), every, now);
        assert_eq!(due, expected, "{newest:?}");
    }
    let ahead = dated("/data/a.db.backup-20351029T200000Z");
    let recent = dated("/data/a.db.backup-20251030T195959Z");
    let both = recent.into_iter().chain(ahead);
    assert!(!is_due(both, every, now), "one dated ahead changes nothing");
}

#[test]
fn a_backup_dated_ahead_does_not_stay_in_place_of_newer_ones() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    drop(database(&path));
    for second in [T0, T0 + 3_650 * 86_400, T0 + 86_400, T0 + 2 * 86_400] {
        rotate(&path, 2, Wall::from_second(second)).expect("a backup is made");
    }
    let names = list_backups(&path)
        .into_iter()
        .filter_map(|path| parse_date(&path));
    let days: Vec<i64> = names.map(|date| (date.second() - T0) / 86_400).collect();
    assert_eq!(days, [1, 2]);
}

#[test]
fn backups_are_made_until_the_stop() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    drop(database(&path));
    let clock = crate::sys::clock::ManualClock::new(crate::db::test_support::trusted(0));
    let shutdown = crate::sys::shutdown::StopSource::new();
    let stopping = shutdown.token();
    std::thread::scope(|scope| {
        scope.spawn(|| run_schedule(&path, Duration::from_millis(1), 2, &clock, &stopping));
        while list_backups(&path).is_empty() {
            std::thread::yield_now();
        }
        shutdown.stop();
    });
    assert_eq!(list_backups(&path).len(), 1, "the clock stood still");
}
