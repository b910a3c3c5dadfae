//! Database file: what is at its path, which files lie beside it, how large it is.
//!
//! Any thread. Judges a file by its first bytes and changes none. A database is only ever
//! opened through SQLite: the kernel drops a process's locks on a file with the first
//! descriptor that is closed, and a file without locks is anybody's to take the log from.

use std::fs::{File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, ffi};

use super::error::OpenError;
use super::schema;
use crate::domain::time::Wall;
use crate::limits;
use crate::sys::{disk, mounts};

/// What is at a path, by its first bytes.
#[derive(Debug, PartialEq)]
pub enum FileKind {
    Absent,
    /// An SQLite file in which nothing was ever made.
    EmptySqlite,
    /// Schema version in the file itself: while it is in use a newer one may be in the WAL only.
    MainNode {
        version: i32,
    },
    NotSqlite {
        begins: String,
    },
    /// Ours by what is left of its header.
    Damaged {
        begins: String,
    },
    Foreign {
        application_id: u32,
    },
}

pub fn probe(path: &Path) -> Result<FileKind, OpenError> {
    let unusable = |error: std::io::Error| OpenError::from_io(path, &error);
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if let Some(detail) = missing_disk(path) {
                let path = path.to_owned();
                return Err(OpenError::Unusable { path, detail });
            }
            let directory = parent_directory(path);
            return match directory.metadata() {
                Ok(_) => Ok(FileKind::Absent),
                Err(error) if error.kind() == ErrorKind::NotFound => Err(OpenError::NoDirectory {
                    path: path.to_owned(),
                    directory,
                }),
                Err(error) => Err(unusable(error)),
            };
        }
        Err(error) => return Err(unusable(error)),
    };
    if !metadata.is_file() {
        return Err(OpenError::NotAFile {
            path: path.to_owned(),
        });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    match Connection::open_with_flags(path, flags).and_then(|connection| read_header(&connection)) {
        Ok(head) => Ok(classify_header(
            &head[..head.len().min(size(metadata.len()))],
        )),
        // SQLite gives no reason; the operating system does.
        Err(error) => Err(match File::open(path) {
            Err(error) => unusable(error),
            Ok(_) => OpenError::from_sqlite(path, &error),
        }),
    }
}

/// Why a file that is not there must not be made there: it belongs on a disk that is absent.
pub fn missing_disk(path: &Path) -> Option<String> {
    for link in path.ancestors() {
        if link.is_symlink() && !link.exists() {
            let target = std::fs::read_link(link).unwrap_or_default();
            return Some(format!(
                "{} is a link to {}, which does not exist: is its disk mounted?",
                link.display(),
                target.display()
            ));
        }
    }
    let directory = parent_directory(path).canonicalize().ok()?;
    let mount_point = mounts::absent_mount_point(&directory)?;
    Some(format!(
        "{} is in /etc/fstab and not mounted: run `mount {}`",
        mount_point.display(),
        mount_point.display()
    ))
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// The first bytes of the file itself, without its WAL.
pub fn read_header(connection: &Connection) -> rusqlite::Result<[u8; HEADER_BYTES]> {
    let mut head = [0_u8; HEADER_BYTES];
    let mut file: *mut ffi::sqlite3_file = std::ptr::null_mut();
    // SAFETY: the connection is open for the whole call, SQLite stores a pointer to its own
    // file at the place given, and xRead fills at most the length of the buffer.
    let status = unsafe {
        let asked = ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_FILE_POINTER,
            (&raw mut file).cast(),
        );
        let methods = if file.is_null() {
            std::ptr::null()
        } else {
            (*file).pMethods
        };
        match methods.is_null() {
            true if asked == ffi::SQLITE_OK => ffi::SQLITE_CANTOPEN,
            true => asked,
            false => match (*methods).xRead {
                Some(read) => read(file, head.as_mut_ptr().cast(), HEADER_BYTES as i32, 0),
                None => ffi::SQLITE_CANTOPEN,
            },
        }
    };
    match status {
        // What is not there is read as zeros.
        ffi::SQLITE_OK | ffi::SQLITE_IOERR_SHORT_READ => Ok(head),
        code => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)),
    }
}

/// SQLite's header and that of its first page.
pub const HEADER_BYTES: usize = 108;

/// Whether a file that begins so is used with a write-ahead log. A backup is not, until
/// it is opened; a log beside it belongs to another file.
pub fn is_wal_mode(head: &[u8]) -> bool {
    head.get(18) == Some(&2) && head.get(19) == Some(&2)
}

/// Judges a file by its first 108 bytes.
fn classify_header(head: &[u8]) -> FileKind {
    if head.is_empty() {
        return FileKind::Absent;
    }
    if head.len() < 108 || !head.starts_with(b"SQLite format 3\0") {
        let begins = head[..head.len().min(12)].escape_ascii();
        let begins = format!("\"{begins}\"");
        let id = head.get(68..72).unwrap_or_default();
        return if *id == schema::APPLICATION_ID.to_be_bytes() {
            FileKind::Damaged { begins }
        } else {
            FileKind::NotSqlite { begins }
        };
    }
    let number =
        |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (version, application_id) = (number(60) as i32, number(68));
    // The first page is the root of sqlite_schema: a leaf (13) without cells is empty.
    let is_empty = head[100] == 13 && head[103] == 0 && head[104] == 0;
    match application_id {
        id if id == schema::APPLICATION_ID as u32 => FileKind::MainNode { version },
        _ if is_empty => FileKind::EmptySqlite,
        // One bit that has flipped.
        id if (id ^ schema::APPLICATION_ID as u32).count_ones() == 1 => FileKind::Damaged {
            begins: format!("the application_id {id}"),
        },
        application_id => FileKind::Foreign { application_id },
    }
}

/// Makes a renaming last through a power cut.
pub fn sync_directory(path: &Path) -> std::io::Result<()> {
    File::open(parent_directory(path))?.sync_all()
}

pub fn parent_directory(path: &Path) -> PathBuf {
    match path.parent() {
        Some(directory) if directory != Path::new("") => directory.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Whether the disk of a file has room for more than what new readings need.
pub fn has_room(path: &Path) -> bool {
    let directory = parent_directory(path);
    match (disk::free_bytes(&directory), disk::total_bytes(&directory)) {
        (Ok(free), Ok(total)) => {
            let part = total / limits::SALVAGE_FREE_PART;
            free >= part.min(limits::SALVAGE_FREE_BYTES)
        }
        // Whoever writes next finds out.
        _ => true,
    }
}

/// The path with something appended to its name.
pub fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Gives a complete file the owner of the database and mode 0600, and then its name: that of the
/// database with `suffix` appended.
pub fn publish_beside(unfinished: &Path, database: &Path, suffix: &str) -> std::io::Result<()> {
    let owned = database
        .metadata()
        .or_else(|_| parent_directory(database).metadata())?;
    let file = File::open(unfinished)?;
    let made = file.metadata()?;
    if (made.uid(), made.gid()) != (owned.uid(), owned.gid()) {
        std::os::unix::fs::fchown(&file, Some(owned.uid()), Some(owned.gid()))?;
    }
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.sync_all()?;
    std::fs::rename(unfinished, sibling(database, suffix))?;
    sync_directory(database)
}

/// Device and inode of a file, so that a replacement is noticed.
pub type FileId = (u64, u64);

pub fn file_id(path: &Path) -> Option<FileId> {
    let metadata = path.metadata().ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// The files of a database in use: itself, its WAL, and the shared index of the WAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseFiles {
    pub database: Option<FileId>,
    pub log: Option<FileId>,
    pub index: Option<FileId>,
}

impl DatabaseFiles {
    /// The files at `path` now. `real` is the target of `path` when it was opened: SQLite keeps
    /// the WAL beside the target of a link.
    pub fn at(path: &Path, real: &Path) -> DatabaseFiles {
        DatabaseFiles {
            database: file_id(path),
            log: file_id(&sibling(real, "-wal")),
            index: file_id(&sibling(real, "-shm")),
        }
    }
}

/// The path without links, as SQLite names the log after it.
pub fn without_links(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Size of a file, and when it was last written: seconds and nanoseconds since 1970.
pub type FileStamp = (u64, i64, i64);

pub fn file_stamp(path: &Path) -> Option<FileStamp> {
    let metadata = path.metadata().ok()?;
    Some((metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
}

/// Whether a file was written so recently that another program may still be writing.
pub fn is_being_written(path: &Path, now: Wall, settled: std::time::Duration) -> bool {
    file_stamp(path).is_some_and(|(_, second, nanosecond)| {
        let written = Wall(second * 1_000 + nanosecond / 1_000_000);
        // A file of the future was written by a clock that was wrong.
        written <= now && now.since(written) < settled
    })
}

/// The path by which a file that this process has open can be reached now; `None` once it
/// was removed.
pub fn path_of_open_file(file: FileId) -> Option<PathBuf> {
    let entries = std::fs::read_dir("/proc/self/fd").ok()?;
    for entry in entries.flatten() {
        let Ok(metadata) = entry.path().metadata() else {
            continue;
        };
        if (metadata.dev(), metadata.ino()) == file && metadata.nlink() > 0 {
            let path = std::fs::read_link(entry.path()).ok()?;
            return (file_id(&path) == Some(file)).then_some(path);
        }
    }
    None
}

/// The descriptor of a file that this process has open, as a path: valid though the file was
/// removed. Closing it drops this process's locks on the file.
pub fn descriptor_path(file: FileId) -> Option<PathBuf> {
    let entries = std::fs::read_dir("/proc/self/fd").ok()?;
    entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| file_id(path) == Some(file))
}

/// A name beside `path` that is free: with the date, and a number where that is not enough.
pub fn free_sibling(path: &Path, suffix: &str, now: Wall) -> PathBuf {
    let date = now.to_string().replace([':', '-'], "");
    let mut free = sibling(path, &format!(".{suffix}-{date}"));
    let mut count = 1;
    while free.symlink_metadata().is_ok() || sibling(&free, "-wal").symlink_metadata().is_ok() {
        count += 1;
        free = sibling(path, &format!(".{suffix}-{date}-{count}"));
    }
    free
}

/// Moves a log, or what else SQLite would play into the database, out of its way: nothing
/// that holds data is deleted. The new name, if there was something to keep.
pub fn quarantine_log(path: &Path, log: &str, now: Wall) -> std::io::Result<Option<PathBuf>> {
    let from = sibling(path, log);
    match from.metadata().map(|metadata| metadata.len()) {
        Ok(0) => std::fs::remove_file(&from).map(|()| None),
        Ok(_) => {
            let to = sibling(&free_sibling(path, "set-aside", now), log);
            std::fs::rename(&from, &to)?;
            sync_directory(path)?;
            Ok(Some(to))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes a file that may not be there.
pub fn remove_if_exists(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Bytes of the database and its log.
pub fn size_on_disk(path: &Path) -> u64 {
    let size = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
    size(path) + size(&sibling(path, "-wal"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            (&[][..], FileKind::Absent),
            (&empty, FileKind::EmptySqlite),
            (&ours, FileKind::MainNode { version: 7 }),
            (&theirs, FileKind::Foreign { application_id: 0 }),
            (
                &ours[..40],
                FileKind::NotSqlite {
                    begins: "\"SQLite forma\"".to_owned(),
                },
            ),
        ] {
            assert_eq!(classify_header(head), expected);
        }
    }

    #[test]
    fn a_link_into_nothing_is_no_place_for_a_new_file() {
        let directory = crate::golden::scratch("dangling");
        let link = directory.join("main-node.db");
        std::os::unix::fs::symlink("/no/such/disk/main-node.db", &link).expect("a link");
        std::os::unix::fs::symlink("/no/such/disk", directory.join("disk")).expect("a link");
        for path in [link.clone(), directory.join("disk/main-node.db")] {
            let error = probe(&path).expect_err("it is absent");
            assert!(!error.is_fatal(), "{error}");
            assert!(
                error.to_string().contains("is a link to /no/such/disk"),
                "{error}"
            );
        }
        assert!(link.is_symlink(), "nothing was put in its place");
        assert!(matches!(
            probe(&directory.join("new.db")),
            Ok(FileKind::Absent)
        ));
    }
}
