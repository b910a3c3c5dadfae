//! Which files are refused, migrated, repaired or made when a database is opened.

use super::*;
use crate::db::connection::{open_best_effort, open_read_only};
use crate::db::test_support::{Directory, T0, entries, golden, row};

fn location(path: &Path) -> DatabaseLocation {
    DatabaseLocation {
        path: path.to_owned(),
        is_default: false,
    }
}

fn foreign(path: &Path) {
    let connection = Connection::open(path).expect("a database can be made");
    connection
        .execute_batch("PRAGMA application_id = 77; CREATE TABLE theirs (x)")
        .expect("and filled");
}

/// Whatever is refused must be there unchanged afterwards.
#[test]
fn foreign_files_are_refused_and_not_changed() {
    let directory = Directory::new();
    let mut messages = String::new();
    let text = directory.path("notes.txt");
    std::fs::write(&text, "buy milk\n").expect("a file can be written");
    let theirs = directory.path("theirs.db");
    foreign(&theirs);
    let newer = directory.path("newer.db");
    drop(open(&location(&newer), "boot").expect("a database can be made"));
    Connection::open(&newer)
        .and_then(|connection| connection.pragma_update(None, "user_version", 9))
        .expect("its version can be changed");
    for path in [
        directory.path("missing/main-node.db"),
        directory.path(""),
        text,
        theirs,
        newer,
    ] {
        let before = std::fs::read(&path).ok();
        let error = open(&location(&path), "boot").expect_err("it is refused");
        assert!(error.is_fatal(), "{error}");
        assert_eq!(std::fs::read(&path).ok(), before, "{error}");
        messages += &format!("{error}\n\n");
    }
    let names = directory.names();
    assert!(!names.iter().any(|name| name.contains("theirs.db-")));
    golden(
        "tests/golden/db/refusals.txt",
        &messages.replace(&directory.path("").display().to_string(), "/data/"),
    );
}

#[test]
fn an_empty_file_becomes_a_database_and_so_does_an_empty_sqlite_file() {
    let directory = Directory::new();
    let path = directory.path("touched.db");
    std::fs::write(&path, "").expect("a file can be written");
    open(&location(&path), "boot").expect("an empty file is nobody's");
    let path = directory.path("vacuumed.db");
    Connection::open(&path)
        .and_then(|connection| connection.execute_batch("PRAGMA user_version = 0; VACUUM"))
        .expect("an empty SQLite file can be made");
    assert!(std::fs::metadata(&path).is_ok_and(|m| m.len() > 0));
    open(&location(&path), "boot").expect("an empty SQLite file is nobody's");
    let version = schema::VERSION;
    assert_eq!(
        probe(&path).expect("it can be read"),
        FileKind::MainNode { version }
    );
}

#[test]
fn a_log_without_its_database_does_not_get_into_a_new_one() {
    let directory = Directory::new();
    let path = directory.path("main-node.db");
    let kept = open(&location(&path), "boot").expect("a database can be made");
    // A crash: the file goes, its log stays.
    std::mem::forget(kept);
    std::fs::remove_file(&path).expect("the file can be removed");
    assert!(sibling(&path, "-wal").exists());
    open(&location(&path), "boot").expect("a new one is made");
}

/// A database with rows that stand in its log alone, as a crash leaves it.
fn crashed(path: &Path) -> i64 {
    let mut database = open(&location(path), "boot").expect("a database can be made");
    let rows = (0..100).map(|second| row("t", T0 + second, 1.0));
    database.commit(&entries(rows), 0).expect("rows are stored");
    std::mem::forget(database);
    100
}

fn count(database: &Database) -> i64 {
    let sql = "SELECT count(*) FROM records";
    let count = database.connection().query_row(sql, [], |row| row.get(0));
    count.expect("it can be read")
}

#[test]
fn a_log_of_another_database_is_kept_and_not_played_into_a_backup() {
    let directory = Directory::new();
    let path = directory.path("main-node.db");
    let copy = directory.path("copy.db");
    crashed(&path);
    let backup = backup::backup(&path, &copy).expect("a backup can be made");
    assert_eq!(backup.records, 100);
    let mut kept = open(&location(&path), "boot").expect("it can be opened");
    let rows = (100..200).map(|second| row("t", T0 + second, 2.0));
    kept.commit(&entries(rows), 0).expect("rows are stored");
    std::mem::forget(kept);
    // Restored by hand while the node is stopped, and the log forgotten. In a place of its
    // own, since a process that is killed has nothing open.
    let place_of_its_own = directory.path("restored");
    std::fs::create_dir(&place_of_its_own).expect("a directory can be made");
    let restored = place_of_its_own.join("main-node.db");
    std::fs::copy(&copy, &restored).expect("it can be copied");
    let log = sibling(&path, "-wal");
    std::fs::copy(&log, sibling(&restored, "-wal")).expect("it can be copied");
    let seen = open_read_only(&restored).and_then(|connection| {
        connection.query_row("SELECT count(*) FROM records", [], |row| {
            row.get::<_, i64>(0)
        })
    });
    assert_eq!(seen, Ok(100), "a reader is not misled either");
    let opened = open(&location(&restored), "boot").expect("the backup is used");
    assert_eq!(count(&opened), 100);
    let names = std::fs::read_dir(&place_of_its_own).expect("it can be read");
    let aside = names.flatten().find(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.contains(".set-aside-") && name.ends_with("-wal")
    });
    let aside = aside.expect("it is kept").path();
    assert_eq!(std::fs::read(aside).ok(), std::fs::read(log).ok());
}

#[test]
fn a_journal_beside_a_database_with_a_log_is_not_played_back() {
    let directory = Directory::new();
    let path = directory.path("main-node.db");
    let rows = crashed(&path);
    let journal = sibling(&path, "-journal");
    std::fs::write(&journal, [0xd9; 2_000]).expect("a file can be written");
    let opened = open(&location(&path), "boot").expect("it can be opened");
    assert_eq!(count(&opened), rows);
    assert!(!journal.exists());
    let names = directory.names();
    assert!(
        names.iter().any(|name| name.ends_with("-journal")),
        "{names:?}"
    );
}

#[test]
fn what_a_removed_database_left_in_its_log_is_kept() {
    let directory = Directory::new();
    let path = directory.path("main-node.db");
    crashed(&path);
    std::fs::remove_file(&path).expect("it can be removed");
    drop(open(&location(&path), "boot").expect("a new one is made"));
    let names = directory.names();
    assert!(
        names.iter().any(|name| name.contains(".set-aside-")),
        "{names:?}"
    );
}

/// Without its lock on the file any program that closes the database last removes the log
/// under the node. The kernel drops the locks with any descriptor that this process closes.
#[test]
fn an_open_database_keeps_its_lock_while_files_are_probed() {
    let directory = Directory::new();
    let path = directory.path("main-node.db");
    drop(open(&location(&path), "boot").expect("a database can be made"));
    let _open = open(&location(&path), "boot").expect("it can be opened");
    let is_locked = || {
        let (_, inode) = file::file_id(&path).expect("it is there");
        let own = format!(" {} ", std::process::id());
        let locks = std::fs::read_to_string("/proc/locks").expect("the kernel lists them");
        let is_ours = |line: &&str| line.contains(&own) && line.contains(&format!(":{inode} "));
        locks.lines().any(|line| is_ours(&line))
    };
    assert!(is_locked(), "after opening");
    probe(&path).expect("it can be looked at");
    drop(open_read_only(&path).expect("it can be read"));
    drop(open(&location(&path), "boot").expect("it can be opened twice"));
    assert!(is_locked(), "after looking");
}

#[test]
fn a_lock_of_another_program_is_not_waited_for_at_start() {
    let directory = Directory::new();
    let path = directory.path("main-node.db");
    drop(open(&location(&path), "boot").expect("a database can be made"));
    let other = Connection::open(&path).expect("it can be opened");
    other
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE")
        .expect("it can be locked");
    let begun = std::time::Instant::now();
    let error = open_at_start(&location(&path), "boot").expect_err("it is locked");
    assert!(
        error
            .to_string()
            .contains("another program has locked the database"),
        "{error}"
    );
    open_best_effort(&path).expect("what the file holds can be shown");
    assert!(begun.elapsed() < limits::SQLITE_BUSY_TIMEOUT);
}

#[test]
fn a_file_at_the_default_path_that_is_no_database_was_ours() {
    let directory = Directory::new();
    let path = directory.path("main-node.db");
    std::fs::write(&path, [0; 8192]).expect("a file can be written");
    let location = DatabaseLocation {
        path,
        is_default: true,
    };
    let error = open(&location, "boot").expect_err("it is damaged");
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
}

#[test]
fn an_older_database_is_upgraded_after_a_backup() {
    let directory = Directory::new();
    let path = directory.path("main-node.db");
    drop(open(&location(&path), "boot").expect("a database can be made"));
    let mut steps = schema::STEPS.to_vec();
    steps.push("CREATE TABLE added (x)");
    let mut connection = Connection::open(&path).expect("it can be opened");
    migrate_after_backup(&mut connection, &path, &steps).expect("it can be upgraded");
    assert_eq!(schema::version(&connection), Ok(schema::VERSION + 1));
    drop(connection);
    let error = open(&location(&path), "boot").expect_err("the old program refuses it");
    assert!(matches!(error, OpenError::Newer { .. }), "{error}");
    let kept = sibling(&path, &format!(".before-version-{}", schema::VERSION + 1));
    std::fs::rename(kept, &path).expect("the backup was made where the message says");
    open(&location(&path), "boot").expect("and the old program takes it");
}
