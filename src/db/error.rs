//! Database errors: why it cannot be opened or used, and what to check.
//!
//! Values; any thread.

use std::fmt;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::ops::RangeInclusive;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::schema;
use crate::sys::os_error::reason;
use crate::sys::private_file::parent_directory;
use crate::sys::service_access::drop_in;
use crate::sys::{disk, privileges, systemd};

/// Why there is no database, by what is to be done: refuse to start, salvage, or wait.
#[derive(Debug)]
pub enum OpenError {
    /// The directory that should hold it does not exist.
    NoDirectory { path: PathBuf, directory: PathBuf },
    /// The path is a directory or a device.
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

    /// What SQLite or the system said, without the advice.
    pub fn detail(&self) -> String {
        match self {
            OpenError::Corrupt { detail, .. } | OpenError::Unusable { detail, .. } => {
                detail.clone()
            }
            error => error.to_string(),
        }
    }

    /// The error in one sentence without its full stop, to be continued.
    pub fn summary(&self) -> String {
        let (OpenError::NoDirectory { path, .. }
        | OpenError::NotAFile { path }
        | OpenError::NotSqlite { path, .. }
        | OpenError::Foreign { path, .. }
        | OpenError::Newer { path, .. }
        | OpenError::Corrupt { path, .. }
        | OpenError::Unusable { path, .. }) = self;
        let (path, why) = (path.display(), self.reason());
        format!("the database {path} cannot be used: {why}")
    }

    /// The reason, to follow the path and a colon.
    pub fn reason(&self) -> String {
        match self {
            OpenError::NoDirectory { directory, .. } => {
                format!("there is no directory {}", directory.display())
            }
            OpenError::NotAFile { .. } => {
                "expected a database file, found a directory or a device".to_owned()
            }
            OpenError::NotSqlite { begins, .. } => {
                format!("expected main-node's database, found a file that begins with {begins}")
            }
            OpenError::Foreign { application_id, .. } => format!(
                "expected main-node's database, found another program's SQLite database \
                 (application_id {application_id})"
            ),
            OpenError::Newer { found, .. } => format!(
                "its schema version is {found}; this main-node supports versions up to {}: use the \
                 newer main-node that wrote it",
                schema::VERSION
            ),
            OpenError::Corrupt { detail, .. } => format!("it is damaged ({detail})"),
            OpenError::Unusable { detail, .. } => detail.clone(),
        }
    }

    /// An error of SQLite while the database at `path` was used.
    pub fn from_sqlite(path: &Path, error: &rusqlite::Error) -> OpenError {
        let path = path.to_owned();
        if is_damage(error) {
            let detail = error.to_string();
            OpenError::Corrupt { path, detail }
        } else {
            let detail = match error.sqlite_error_code() {
                Some(ErrorCode::CannotOpen) => permission_denied(&path, &error.to_string()),
                _ => describe(error),
            };
            OpenError::Unusable { path, detail }
        }
    }

    pub fn from_io(path: &Path, error: &std::io::Error) -> OpenError {
        let detail = match error.kind() {
            ErrorKind::ReadOnlyFilesystem => read_only(path, systemd::is_supervised()),
            ErrorKind::PermissionDenied => permission_denied(path, &reason(error)),
            _ => reason(error),
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
                "the database {} cannot be created: there is no directory {}\n\
                 Create the directory, or name another file with `database = …` or --database.",
                path.display(),
                directory.display()
            ),
            OpenError::NotAFile { path } => write!(
                f,
                "expected a database file at {}, found a directory or a device\n\
                 Name a file with `database = …` or --database.",
                path.display()
            ),
            OpenError::NotSqlite { path, begins } => write!(
                f,
                "expected main-node's database at {}, found a file that begins with {begins}\n\
                 It is not changed. Name another file with `database = …` or --database.",
                path.display()
            ),
            OpenError::Foreign {
                path,
                application_id,
            } => write!(
                f,
                "expected main-node's database at {}, found another program's SQLite database \
                 (application_id {application_id}, main-node's is {})\n\
                 It is not changed. Name another file with `database = …` or --database.",
                path.display(),
                schema::APPLICATION_ID
            ),
            OpenError::Newer { path, found } => write!(
                f,
                "the database {} has schema version {found}; this main-node supports versions up to {}\n\
                 A newer main-node wrote it. Install that version again, or restore the backup \
                 that it made before the migration ({}.before-version-{found}).",
                path.display(),
                schema::VERSION,
                path.display()
            ),
            OpenError::Corrupt { path, detail } => write!(
                f,
                "the database {} is damaged ({detail})\n\
                 It will be quarantined, not deleted, and its readable data recovered.",
                path.display()
            ),
            OpenError::Unusable { path, detail } => write!(
                f,
                "the database {} cannot be used: {detail}\n\
                 Readings are kept in memory until it can.",
                path.display()
            ),
        }
    }
}

impl std::error::Error for OpenError {}

const PERMISSION_DENIED: &str = "permission denied; check its owner and permissions";

/// Says whose file or directory it is that this user may not write to: a volume of another
/// user, a file that root made.
pub(super) fn permission_denied(path: &Path, cause: &str) -> String {
    let directory = parent_directory(path);
    let is_closed = |it: &&Path| it.exists() && !disk::is_writable(it);
    let closed = [path, directory].into_iter().find(is_closed);
    match closed.and_then(|it| Some((std::path::absolute(it).ok()?, it.metadata().ok()?))) {
        Some((closed, metadata)) => not_writable(&closed, &metadata, privileges::user_id()),
        None => format!("{PERMISSION_DENIED} ({cause})"),
    }
}

fn not_writable(path: &Path, metadata: &Metadata, user: u32) -> String {
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    let path = path.display();
    let change = match (owner == user, metadata.is_dir()) {
        (true, _) => format!("allow it with `chmod u+w {path}`"),
        (false, true) => format!("change its owner with `chown -R {user} {path}`"),
        (false, false) => format!("change its owner with `chown {user} {path}*`"),
    };
    format!(
        "permission denied: user {user} may not write to {path}, which belongs to user {owner} \
         (mode {mode:o}); {change}, in a container on the directory or volume of the host"
    )
}

/// Why a file is read-only: the unit of the service allows the state directory alone.
fn read_only(path: &Path, is_service: bool) -> String {
    let directory = parent_directory(path);
    let is_own = std::env::var_os("STATE_DIRECTORY").is_some_and(|own| directory.starts_with(own));
    if is_service && !is_own {
        return format!(
            "{READ_ONLY}, or the unit of the service does not allow {}: {}",
            directory.display(),
            drop_in(directory)
        );
    }
    READ_ONLY.to_owned()
}

pub const READ_ONLY: &str = "read-only file system or file; the SD card may be worn out";

/// Whether an error of one of our own statements can only mean that the file is damaged: what
/// SQLite calls corrupt, and everything that the schema and the writer of the file rule out.
pub fn is_damage(error: &rusqlite::Error) -> bool {
    if is_bad_cell(error) || matches!(error, rusqlite::Error::QueryReturnedNoRows) {
        return true;
    }
    let code = match error {
        rusqlite::Error::SqlInputError { error, .. } => Some(error.code),
        error => error.sqlite_error_code(),
    };
    match code {
        Some(
            ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch,
        ) => true,
        // SQLITE_ERROR also stands for mistakes of a program; these are about the file.
        Some(ErrorCode::Unknown) => {
            let text = error.to_string();
            SCHEMA_DAMAGE.iter().any(|part| text.contains(part))
        }
        _ => false,
    }
}

/// Messages of SQLite where a table does not match its schema version.
const SCHEMA_DAMAGE: &[&str] = &[
    "no such table",
    "no such column",
    "no such index",
    "has no column named",
    "already exists",
    "malformed",
    "integer overflow",
    "columns but",
    "error in",
];

/// Whether a cell holds something that its column cannot hold.
pub fn is_bad_cell(error: &rusqlite::Error) -> bool {
    use rusqlite::Error;
    matches!(
        error,
        Error::FromSqlConversionFailure(..)
            | Error::InvalidColumnType(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::Utf8Error(..)
    )
}

/// What was read, or nothing where the cell is damaged: for readers, who skip damaged rows.
pub fn readable<T>(read: rusqlite::Result<T>) -> rusqlite::Result<Option<T>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_bad_cell(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A number that must lie within `range`; elsewhere it is damage.
pub fn in_range(range: &RangeInclusive<i64>, value: i64) -> rusqlite::Result<i64> {
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(rusqlite::Error::IntegralValueOutOfRange(0, value))
    }
}

/// An error of SQLite with what to check.
pub fn describe(error: &rusqlite::Error) -> String {
    let advice = match error.sqlite_error_code() {
        Some(ErrorCode::ReadOnly) => READ_ONLY,
        Some(ErrorCode::DiskFull) => "disk full",
        Some(ErrorCode::SystemIoFailure) => "disk I/O error; the SD card may be failing or removed",
        Some(ErrorCode::CannotOpen) => PERMISSION_DENIED,
        Some(ErrorCode::PermissionDenied) => "permission denied; check its permissions",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program has locked the database"
        }
        _ => return error.to_string(),
    };
    format!("{advice} ({error})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::test_support::{Directory, golden};

    #[test]
    fn what_the_schema_rules_out_is_damage_and_what_may_pass_is_not() {
        let failure = |code, text: &str| {
            let error = rusqlite::ffi::Error::new(code);
            rusqlite::Error::SqliteFailure(error, Some(text.to_owned()))
        };
        let memory = rusqlite::Connection::open_in_memory().expect("memory is a database");
        memory
            .execute_batch(
                "CREATE TABLE a (x, y UNIQUE); INSERT INTO a VALUES (cast(x'ff' AS TEXT), 1)",
            )
            .expect("it can be filled");
        let read = |sql: &str| memory.query_row(sql, [], |row| row.get::<_, String>(0));
        for (error, expected) in [
            (read("SELECT x FROM a").unwrap_err(), true),
            (read("SELECT NULL").unwrap_err(), true),
            (read("SELECT 5").unwrap_err(), true),
            (read("SELECT y FROM a WHERE y = 2").unwrap_err(), true),
            (read("SELECT x FROM b").unwrap_err(), true),
            (read("SELECT z FROM a").unwrap_err(), true),
            (read("SELECT abs(-9223372036854775808)").unwrap_err(), true),
            (
                memory
                    .execute("INSERT INTO a VALUES (1, 1)", [])
                    .unwrap_err(),
                true,
            ),
            (in_range(&(0..=1), 2).unwrap_err(), true),
            (failure(rusqlite::ffi::SQLITE_CORRUPT, "malformed"), true),
            (failure(rusqlite::ffi::SQLITE_NOTADB, ""), true),
            (
                failure(rusqlite::ffi::SQLITE_ERROR, "SQL logic error"),
                false,
            ),
            (failure(rusqlite::ffi::SQLITE_FULL, ""), false),
            (failure(rusqlite::ffi::SQLITE_IOERR, ""), false),
            (failure(rusqlite::ffi::SQLITE_BUSY, ""), false),
            (failure(rusqlite::ffi::SQLITE_READONLY, ""), false),
            (rusqlite::Error::InvalidQuery, false),
        ] {
            assert_eq!(is_damage(&error), expected, "{error}");
        }
    }

    #[test]
    fn what_may_not_be_written_is_named_with_its_owner_and_the_command() {
        let directory = Directory::new();
        let (path, file) = (directory.path(""), directory.path("main-node.db"));
        std::fs::write(&file, "").expect("a file can be written");
        let owner = privileges::user_id();
        for (path, user, command) in [
            (
                &path,
                owner + 1,
                format!("`chown -R {} {}`", owner + 1, path.display()),
            ),
            (
                &file,
                owner + 1,
                format!("`chown {} {}*`", owner + 1, file.display()),
            ),
            (&path, owner, format!("`chmod u+w {}`", path.display())),
        ] {
            let metadata = path.metadata().expect("it exists");
            let message = not_writable(path, &metadata, user);
            assert!(message.contains(&command), "{message}");
            assert!(
                message.contains(&format!("belongs to user {owner} ")),
                "{message}"
            );
        }
    }

    #[test]
    fn a_service_is_told_what_its_unit_must_allow() {
        let path = Path::new("/srv/data/main-node.db");
        assert_eq!(read_only(path, false), READ_ONLY);
        let found = read_only(path, true);
        assert!(found.contains("`ReadWritePaths=-/srv`"), "{found}");
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
}
