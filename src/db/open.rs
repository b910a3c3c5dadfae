//! Opening the database: whose file it is, its version, the pragmas.
//!
//! Called by `main` at start and by the store thread whenever the storage must be opened
//! anew. Touches nothing that is not ours: a file is judged before SQLite sees it.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::backup::BackupError;
use super::connection::configure;
use super::database::Database;
use super::error::{OpenError, READ_ONLY};
use super::file::{self, FileKind, probe, sibling, sync_directory};
use super::{backup, replace, schema};
use crate::domain::time::Wall;
use crate::limits;

/// Where the database is.
#[derive(Debug, Clone)]
pub struct DatabaseLocation {
    pub path: PathBuf,
    /// Whether this is the path that the node takes unasked. A file there that is no
    /// database was ours once; elsewhere it may be anything that somebody mistyped.
    pub is_default: bool,
}

/// Opens the database at `location`, makes it if there is none, upgrades an older one after
/// making a backup of it. `boot` tells monotonic times of this boot from earlier ones.
pub fn open(location: &DatabaseLocation, boot: &str) -> Result<Database, OpenError> {
    open_within(location, boot, limits::DATABASE_BUSY)
}

/// The same at start: another program's lock is not waited for, since displays are served
/// without a database too. The store thread opens it when it is free.
pub fn open_at_start(location: &DatabaseLocation, boot: &str) -> Result<Database, OpenError> {
    let database = open_within(location, boot, limits::DATABASE_BUSY_AT_START)?;
    database
        .connection()
        .busy_timeout(limits::DATABASE_BUSY)
        .map_err(|error| OpenError::from_sqlite(&location.path, &error))?;
    Ok(database)
}

fn open_within(
    location: &DatabaseLocation,
    boot: &str,
    busy: Duration,
) -> Result<Database, OpenError> {
    let path = &location.path;
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);
    replace::complete(path).map_err(|error| OpenError::from_io(path, &error))?;
    let found = probe(path)?;
    match &found {
        FileKind::Absent => create_file(path)?,
        FileKind::EmptySqlite | FileKind::MainNode { .. } => {}
        FileKind::Damaged { begins } => {
            return Err(OpenError::Corrupt {
                path: path.clone(),
                detail: format!("its header is damaged, found {begins}"),
            });
        }
        FileKind::NotSqlite { begins } if location.is_default => {
            return Err(OpenError::Corrupt {
                path: path.clone(),
                detail: format!("it begins with {begins}"),
            });
        }
        FileKind::NotSqlite { begins } => {
            return Err(OpenError::NotSqlite {
                path: path.clone(),
                begins: begins.clone(),
            });
        }
        FileKind::Foreign { application_id } => {
            return Err(OpenError::Foreign {
                path: path.clone(),
                application_id: *application_id,
            });
        }
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)
        .map_err(|error| explain_failure(path, sqlite(error)))?;
    // SQLite settles for reading where it may not write.
    if connection.is_readonly("main").map_err(sqlite)? {
        let read_only = OpenError::Unusable {
            path: path.clone(),
            detail: READ_ONLY.to_owned(),
        };
        return Err(explain_failure(path, read_only));
    }
    quarantine_foreign_logs(path, &connection)?;
    connection
        .busy_timeout(busy)
        .and_then(|()| configure(&connection))
        .map_err(sqlite)?;
    if found == FileKind::EmptySqlite {
        schema::create(&mut connection).map_err(sqlite)?;
    }
    migrate_after_backup(&mut connection, path, schema::STEPS)?;
    Database::load(connection, path, boot).map_err(sqlite)
}

/// SQLite's "unable to open" does not say why; the system does.
fn explain_failure(path: &Path, error: OpenError) -> OpenError {
    match OpenOptions::new().append(true).open(path) {
        Err(error) => OpenError::from_io(path, &error),
        Ok(_) => error,
    }
}

/// What SQLite would play into this database though it belongs to another: a log beside a
/// file that is not used with one (a backup that was put in place), a journal beside one
/// that is. `connection` has read nothing yet.
fn quarantine_foreign_logs(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let head =
        file::read_header(connection).map_err(|error| OpenError::from_sqlite(path, &error))?;
    let foreign = match file::is_wal_mode(&head) {
        true => "-journal",
        false => "-wal",
    };
    let real = file::without_links(path);
    let now = Wall::from_second(jiff::Timestamp::now().as_second());
    let aside = file::quarantine_log(&real, foreign, now);
    let Some(aside) = aside.map_err(|error| OpenError::from_io(path, &error))? else {
        return Ok(());
    };
    log::warn!(
        "{}{foreign} belongs to another database than {}, which is a copy; it is kept as {}",
        real.display(),
        path.display(),
        aside.display()
    );
    if foreign == "-wal" {
        file::remove_if_exists(&sibling(&real, "-shm"))
            .map_err(|error| OpenError::from_io(path, &error))?;
    }
    Ok(())
}

/// Leads the database to the version that `steps` make, after a backup of what it was.
fn migrate_after_backup(
    connection: &mut Connection,
    path: &Path,
    steps: &[&str],
) -> Result<(), OpenError> {
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);
    let found = schema::version(connection).map_err(sqlite)?;
    let wanted = i32::try_from(steps.len()).unwrap_or(i32::MAX);
    if !(0..=limits::SCHEMA_VERSIONS).contains(&found) {
        return Err(OpenError::Corrupt {
            path: path.to_owned(),
            detail: format!("it says that it has version {found}"),
        });
    }
    if found > wanted {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            found,
        });
    }
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .map_err(sqlite)?;
    if found < wanted {
        let kept = sibling(path, &format!(".before-version-{wanted}"));
        if found > 0 && !kept.exists() {
            backup::copy(connection, &kept).map_err(|error| backup_failed(path, error))?;
        }
        schema::migrate(connection, steps).map_err(sqlite)?;
    }
    Ok(())
}

/// Why there is no backup to upgrade after. Of a damaged database there can be none: it is
/// set aside as it is, and the salvage reads every version.
fn backup_failed(path: &Path, error: BackupError) -> OpenError {
    let path = path.to_owned();
    match error {
        BackupError::Damaged { detail, .. } => OpenError::Corrupt { path, detail },
        error => OpenError::Unusable {
            path,
            detail: format!("before the upgrade it could not be backed up: {error}"),
        },
    }
}

/// Makes a database under another name and moves it into place when it is complete, so that
/// a file that stands there is always whole.
fn create_file(path: &Path) -> Result<(), OpenError> {
    let io = |error: std::io::Error| OpenError::from_io(path, &error);
    // A log without its database would be played into the new one.
    let now = Wall::from_second(jiff::Timestamp::now().as_second());
    for leftover in ["-wal", "-journal"] {
        if let Some(aside) = file::quarantine_log(path, leftover, now).map_err(io)? {
            log::warn!(
                "{}{leftover} was left without its database; it is kept as {}",
                path.display(),
                aside.display()
            );
        }
    }
    file::remove_if_exists(&sibling(path, "-shm")).map_err(io)?;
    let unfinished = create_beside(path)?;
    std::fs::rename(&unfinished, path).map_err(io)?;
    sync_directory(path).map_err(io)
}

fn remove_siblings(path: &Path, leftovers: &[&str]) -> Result<(), OpenError> {
    for leftover in leftovers {
        let removed = file::remove_if_exists(&sibling(path, leftover));
        removed.map_err(|error| OpenError::from_io(path, &error))?;
    }
    Ok(())
}

/// Makes an empty database of the current version beside the one at `path`. What an earlier
/// attempt has left goes.
pub(super) fn create_beside(path: &Path) -> Result<PathBuf, OpenError> {
    remove_siblings(path, &[".new", ".new-journal", ".new-wal", ".new-shm"])?;
    let unfinished = sibling(path, ".new");
    let made = Connection::open(&unfinished).and_then(|mut connection| {
        connection.busy_timeout(limits::DATABASE_BUSY)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        schema::create(&mut connection)
    });
    if let Err(error) = made {
        // Of no use to anybody, and there may be no room.
        let _ = remove_siblings(path, &[".new", ".new-journal"]);
        return Err(OpenError::from_sqlite(path, &error));
    }
    Ok(unfinished)
}

#[cfg(test)]
mod tests {
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
    fn what_is_not_ours_is_refused_in_words_and_left_alone() {
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
    fn an_open_database_keeps_its_lock_whatever_is_looked_at() {
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
                .contains("another program holds it locked"),
            "{error}"
        );
        open_best_effort(&path).expect("what the file holds can be shown");
        assert!(begun.elapsed() < limits::DATABASE_BUSY);
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
}
