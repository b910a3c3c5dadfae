//! Opening the database: whose file it is, its version, the pragmas.
//!
//! Called by `main` at start and by the store thread whenever the storage must be opened
//! anew. Touches nothing that is not ours: a file is judged by its first bytes before
//! SQLite sees it.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::repository::Database;
use super::{backup, schema};
use crate::limits;

/// Where the database is.
#[derive(Debug, Clone)]
pub struct Place {
    pub path: PathBuf,
    /// Whether this is the path that the node takes unasked. A file there that is no
    /// database was ours once; elsewhere it may be anything that somebody mistyped.
    pub is_default: bool,
}

/// Why there is no database, by what is to be done: refuse to start, salvage, or wait.
#[derive(Debug)]
pub enum OpenError {
    /// The directory that should hold it does not exist.
    NoDirectory { path: PathBuf, directory: PathBuf },
    /// Something that is no file stands there.
    NotAFile { path: PathBuf },
    /// A file that is no SQLite database.
    NotSqlite { path: PathBuf, begins: String },
    /// Another program's SQLite database.
    Foreign { path: PathBuf, application_id: u32 },
    /// Written by a later main-node.
    Newer { path: PathBuf, found: i32 },
    /// Ours, but damaged.
    Corrupt { path: PathBuf, detail: String },
    /// It cannot be used now: read-only, full, failing, locked.
    Unusable { path: PathBuf, detail: String },
}

impl OpenError {
    /// Whether waiting cannot help, so that `serve` must not start (exit 2).
    pub fn is_fatal(&self) -> bool {
        match self {
            OpenError::NoDirectory { .. }
            | OpenError::NotAFile { .. }
            | OpenError::NotSqlite { .. }
            | OpenError::Foreign { .. }
            | OpenError::Newer { .. } => true,
            OpenError::Corrupt { .. } | OpenError::Unusable { .. } => false,
        }
    }

    /// An error of SQLite while the database at `path` was used.
    pub fn from_sqlite(path: &Path, error: &rusqlite::Error) -> OpenError {
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => OpenError::Corrupt {
                path,
                detail: error.to_string(),
            },
            _ => OpenError::Unusable {
                path,
                detail: words(error),
            },
        }
    }

    fn from_io(path: &Path, error: &std::io::Error) -> OpenError {
        let detail = match error.kind() {
            ErrorKind::ReadOnlyFilesystem => READ_ONLY.to_owned(),
            ErrorKind::PermissionDenied => {
                format!("it may not be opened; see its owner and permissions ({error})")
            }
            _ => error.to_string(),
        };
        OpenError::Unusable {
            path: path.to_owned(),
            detail,
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::NoDirectory { path, directory } => write!(
                f,
                "the database {} cannot be made: there is no directory {}\n\
                 Create the directory, or name another file with `database = …` or --database.",
                path.display(),
                directory.display()
            ),
            OpenError::NotAFile { path } => write!(
                f,
                "expected a database file at {}, found a directory or a device\n\
                 Name a file in it with `database = …` or --database.",
                path.display()
            ),
            OpenError::NotSqlite { path, begins } => write!(
                f,
                "expected main-node's database at {}, found a file that begins with {begins}\n\
                 It is left alone. Name another file with `database = …` or --database.",
                path.display()
            ),
            OpenError::Foreign {
                path,
                application_id,
            } => write!(
                f,
                "expected main-node's database at {}, found another program's SQLite database \
                 (application_id {application_id}, main-node's is {})\n\
                 It is left alone. Name another file with `database = …` or --database.",
                path.display(),
                schema::APPLICATION_ID
            ),
            OpenError::Newer { path, found } => write!(
                f,
                "the database {} has version {found}; this main-node knows versions up to {}\n\
                 A newer main-node wrote it. Install that one again, or put the backup in place \
                 that it made before upgrading ({}.before-version-{found}).",
                path.display(),
                schema::VERSION,
                path.display()
            ),
            OpenError::Corrupt { path, detail } => write!(
                f,
                "the database {} is damaged ({detail})\n\
                 It will be set aside, not deleted, and what can be read of it recovered.",
                path.display()
            ),
            OpenError::Unusable { path, detail } => write!(
                f,
                "the database {} cannot be used now: {detail}\n\
                 Readings wait in memory until it can.",
                path.display()
            ),
        }
    }
}

impl std::error::Error for OpenError {}

/// Opens the database at `place`, makes it if there is none, upgrades an older one after
/// making a backup of it. `boot` tells monotonic times of this boot from earlier ones.
pub fn open(place: &Place, boot: &str) -> Result<Database, OpenError> {
    let path = &place.path;
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);
    match look(path)? {
        Found::Nothing => make(path)?,
        Found::EmptySqlite | Found::Ours { .. } => {}
        Found::NotSqlite { begins } if place.is_default => {
            return Err(OpenError::Corrupt {
                path: path.clone(),
                detail: format!("it begins with {begins}"),
            });
        }
        Found::NotSqlite { begins } => {
            return Err(OpenError::NotSqlite {
                path: path.clone(),
                begins,
            });
        }
        Found::Foreign { application_id } => {
            return Err(OpenError::Foreign {
                path: path.clone(),
                application_id,
            });
        }
    }
    // SQLite's "unable to open" does not say why; the system does.
    if let Err(error) = OpenOptions::new().append(true).open(path) {
        return Err(OpenError::from_io(path, &error));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
    tune(&connection).map_err(sqlite)?;
    // SQLite settles for reading where it may not write.
    if connection.is_readonly("main").map_err(sqlite)? {
        return Err(OpenError::Unusable {
            path: path.clone(),
            detail: READ_ONLY.to_owned(),
        });
    }
    if matches!(look(path)?, Found::EmptySqlite) {
        schema::create(&mut connection).map_err(sqlite)?;
    }
    upgrade(&mut connection, path, schema::STEPS)?;
    Database::load(connection, path, boot).map_err(sqlite)
}

/// Leads the database to the version that `steps` make, after a backup of what it was.
fn upgrade(connection: &mut Connection, path: &Path, steps: &[&str]) -> Result<(), OpenError> {
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);
    let found = schema::version(connection).map_err(sqlite)?;
    let wanted = i32::try_from(steps.len()).unwrap_or(i32::MAX);
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
        let kept = beside(path, &format!(".before-version-{wanted}"));
        if found > 0 && !kept.exists() {
            backup::copy(connection, &kept).map_err(|error| OpenError::Unusable {
                path: path.to_owned(),
                detail: format!("before the upgrade it could not be backed up: {error}"),
            })?;
        }
        schema::migrate(connection, steps).map_err(sqlite)?;
    }
    Ok(())
}

/// A connection that cannot write, for readers beside the store thread.
pub fn open_read_only(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(limits::DATABASE_BUSY)?;
    match probe(&connection) {
        // On a medium that nobody can write to, SQLite cannot make the file that readers of
        // a log share. Where there is no log, none is needed.
        Err(error)
            if error.sqlite_error_code() == Some(ErrorCode::CannotOpen)
                && beside(path, "-wal").metadata().map_or(0, |log| log.len()) == 0 =>
        {
            open_immutable(path)
        }
        Err(error) => Err(error),
        Ok(()) => {
            connection.pragma_update(None, "temp_store", "memory")?;
            connection.pragma_update(None, "cache_size", -i64::from(limits::PAGE_CACHE_KIB))?;
            Ok(connection)
        }
    }
}

/// The first read, which is when SQLite really opens a file.
fn probe(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
}

/// A connection to a file on a medium that nobody can write to, which SQLite otherwise
/// refuses in WAL mode; what only stands in the log is not seen.
pub fn open_immutable(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let mut uri = "file:".to_owned();
    for byte in path.to_string_lossy().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(byte));
            }
            _ => uri += &format!("%{byte:02X}"),
        }
    }
    Connection::open_with_flags(uri + "?immutable=1", flags)
}

/// What the node sets on every connection that writes.
pub(super) fn tune(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(limits::DATABASE_BUSY)?;
    // A commit that was reported is on the card, whatever happens to the power then.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", limits::WAL_PAGES)?;
    // After a burst the log shrinks to what it usually is.
    connection.pragma_update(None, "journal_size_limit", limits::WAL_PAGES * 4096)?;
    connection.pragma_update(None, "cache_size", -i64::from(limits::PAGE_CACHE_KIB))?;
    connection.pragma_update(None, "temp_store", "memory")?;
    // Damage shows when a page is first read, not when its cells lead astray.
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)
}

/// What stands at a path, judged without SQLite.
#[derive(Debug, PartialEq)]
pub enum Found {
    Nothing,
    /// An SQLite file in which nothing was ever made.
    EmptySqlite,
    /// Its version as the file itself has it: while it is in use a newer one may stand in its
    /// log alone.
    Ours {
        version: i32,
    },
    NotSqlite {
        begins: String,
    },
    Foreign {
        application_id: u32,
    },
}

pub fn look(path: &Path) -> Result<Found, OpenError> {
    let unusable = |error: std::io::Error| OpenError::from_io(path, &error);
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let directory = directory(path);
            return match directory.metadata() {
                Ok(_) => Ok(Found::Nothing),
                Err(error) if error.kind() == ErrorKind::NotFound => Err(OpenError::NoDirectory {
                    path: path.to_owned(),
                    directory,
                }),
                Err(error) => Err(unusable(error)),
            };
        }
        Err(error) => return Err(unusable(error)),
    };
    if !file.metadata().map_err(unusable)?.is_file() {
        return Err(OpenError::NotAFile {
            path: path.to_owned(),
        });
    }
    let mut head = Vec::new();
    file.by_ref()
        .take(108)
        .read_to_end(&mut head)
        .map_err(unusable)?;
    Ok(judge(&head))
}

/// Judges a file by its first 108 bytes: SQLite's header and that of its first page.
fn judge(head: &[u8]) -> Found {
    if head.is_empty() {
        return Found::Nothing;
    }
    if head.len() < 108 || !head.starts_with(b"SQLite format 3\0") {
        let begins = head[..head.len().min(12)].escape_ascii();
        return Found::NotSqlite {
            begins: format!("\"{begins}\""),
        };
    }
    let number =
        |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (version, application_id) = (number(60) as i32, number(68));
    // The first page is the root of sqlite_schema: a leaf (13) without cells is empty.
    let is_empty = head[100] == 13 && head[103] == 0 && head[104] == 0;
    match application_id {
        id if id == schema::APPLICATION_ID as u32 => Found::Ours { version },
        _ if is_empty => Found::EmptySqlite,
        application_id => Found::Foreign { application_id },
    }
}

/// Makes a database under another name and moves it into place when it is complete, so that
/// a file that stands there is always whole.
fn make(path: &Path) -> Result<(), OpenError> {
    let io = |error: std::io::Error| OpenError::from_io(path, &error);
    // A log without its database would be played into the new one.
    for leftover in ["-wal", "-shm", "-journal", ".new", ".new-journal"] {
        match std::fs::remove_file(beside(path, leftover)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
    }
    let unfinished = beside(path, ".new");
    let made = Connection::open(&unfinished).and_then(|mut connection| {
        connection.busy_timeout(limits::DATABASE_BUSY)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        schema::create(&mut connection)
    });
    made.map_err(|error| OpenError::from_sqlite(path, &error))?;
    std::fs::rename(&unfinished, path).map_err(io)?;
    sync_directory(path).map_err(io)
}

/// Makes a renaming last through a power cut.
pub fn sync_directory(path: &Path) -> std::io::Result<()> {
    File::open(directory(path))?.sync_all()
}

fn directory(path: &Path) -> PathBuf {
    match path.parent() {
        Some(directory) if directory != Path::new("") => directory.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The path with something appended to its name.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Which file a path leads to, so that one put in its place is noticed.
pub type FileId = (u64, u64);

pub fn file_id(path: &Path) -> Option<FileId> {
    let metadata = path.metadata().ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Bytes of the database and its log.
pub fn size_on_disk(path: &Path) -> u64 {
    let size = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
    size(path) + size(&beside(path, "-wal"))
}

const READ_ONLY: &str = "it or its directory is read-only; is the card worn out?";

/// An error of SQLite in words that say what to look at.
pub fn words(error: &rusqlite::Error) -> String {
    let advice = match error.sqlite_error_code() {
        Some(ErrorCode::ReadOnly) => READ_ONLY,
        Some(ErrorCode::DiskFull) => "no room is left on the card",
        Some(ErrorCode::SystemIoFailure) => "the card fails, or was removed",
        Some(ErrorCode::CannotOpen) => "it may not be opened; see its owner and permissions",
        Some(ErrorCode::PermissionDenied) => "it may not be opened; see its permissions",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program holds it locked"
        }
        _ => return error.to_string(),
    };
    format!("{advice} ({error})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::{Directory, golden};

    fn place(path: &Path) -> Place {
        Place {
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
        drop(open(&place(&newer), "boot").expect("a database can be made"));
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
            let error = open(&place(&path), "boot").expect_err("it is refused");
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
    fn what_may_pass_is_no_reason_not_to_start() {
        let directory = Directory::new();
        let path = directory.path("main-node.db");
        let mut messages = String::new();
        for code in [
            rusqlite::ffi::SQLITE_READONLY,
            rusqlite::ffi::SQLITE_FULL,
            rusqlite::ffi::SQLITE_IOERR,
            rusqlite::ffi::SQLITE_CANTOPEN,
            rusqlite::ffi::SQLITE_BUSY,
            rusqlite::ffi::SQLITE_CORRUPT,
        ] {
            let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
            let error = OpenError::from_sqlite(&path, &error);
            assert!(!error.is_fatal(), "{error}");
            messages += &format!("{error}\n\n");
        }
        golden(
            "tests/golden/db/troubles.txt",
            &messages.replace(&directory.path("").display().to_string(), "/data/"),
        );
    }

    #[test]
    fn a_file_is_judged_by_its_first_bytes() {
        let mut empty = vec![0; 108];
        empty[..16].copy_from_slice(b"SQLite format 3\0");
        empty[100] = 13;
        let mut ours = empty.clone();
        ours[68..72].copy_from_slice(&schema::APPLICATION_ID.to_be_bytes());
        ours[63] = 7;
        ours[104] = 1;
        let mut theirs = ours.clone();
        theirs[68..72].copy_from_slice(&0u32.to_be_bytes());
        for (head, expected) in [
            (&[][..], Found::Nothing),
            (&empty, Found::EmptySqlite),
            (&ours, Found::Ours { version: 7 }),
            (&theirs, Found::Foreign { application_id: 0 }),
            (
                &ours[..40],
                Found::NotSqlite {
                    begins: "\"SQLite forma\"".to_owned(),
                },
            ),
        ] {
            assert_eq!(judge(head), expected);
        }
    }

    #[test]
    fn an_empty_file_becomes_a_database_and_so_does_an_empty_sqlite_file() {
        let directory = Directory::new();
        let path = directory.path("touched.db");
        std::fs::write(&path, "").expect("a file can be written");
        open(&place(&path), "boot").expect("an empty file is nobody's");
        let path = directory.path("vacuumed.db");
        Connection::open(&path)
            .and_then(|connection| connection.execute_batch("PRAGMA user_version = 0; VACUUM"))
            .expect("an empty SQLite file can be made");
        assert!(std::fs::metadata(&path).is_ok_and(|m| m.len() > 0));
        open(&place(&path), "boot").expect("an empty SQLite file is nobody's");
        let version = schema::VERSION;
        assert_eq!(
            look(&path).expect("it can be read"),
            Found::Ours { version }
        );
    }

    #[test]
    fn a_log_without_its_database_does_not_get_into_a_new_one() {
        let directory = Directory::new();
        let path = directory.path("main-node.db");
        let kept = open(&place(&path), "boot").expect("a database can be made");
        // A crash: the file goes, its log stays.
        std::mem::forget(kept);
        std::fs::remove_file(&path).expect("the file can be removed");
        assert!(beside(&path, "-wal").exists());
        open(&place(&path), "boot").expect("a new one is made");
    }

    #[test]
    fn a_file_at_the_default_path_that_is_no_database_was_ours() {
        let directory = Directory::new();
        let path = directory.path("main-node.db");
        std::fs::write(&path, [0; 8192]).expect("a file can be written");
        let place = Place {
            path,
            is_default: true,
        };
        let error = open(&place, "boot").expect_err("it is damaged");
        assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
    }

    #[test]
    fn an_older_database_is_upgraded_after_a_backup() {
        let directory = Directory::new();
        let path = directory.path("main-node.db");
        drop(open(&place(&path), "boot").expect("a database can be made"));
        let mut steps = schema::STEPS.to_vec();
        steps.push("CREATE TABLE added (x)");
        let mut connection = Connection::open(&path).expect("it can be opened");
        upgrade(&mut connection, &path, &steps).expect("it can be upgraded");
        assert_eq!(schema::version(&connection), Ok(schema::VERSION + 1));
        drop(connection);
        let error = open(&place(&path), "boot").expect_err("the old program refuses it");
        assert!(matches!(error, OpenError::Newer { .. }), "{error}");
        let kept = beside(&path, &format!(".before-version-{}", schema::VERSION + 1));
        std::fs::rename(kept, &path).expect("the backup was made where the message says");
        open(&place(&path), "boot").expect("and the old program takes it");
    }
}
