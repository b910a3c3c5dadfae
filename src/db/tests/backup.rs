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
    assert_eq!(schedule::newest_verified(&[&path]), Some(whole));
}
