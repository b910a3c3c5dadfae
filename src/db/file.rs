//! The database as a file: what stands at its path, what lies beside it, how large it is.
//!
//! Any thread. Judges a file by its first bytes, without SQLite, and changes none.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::schema;
use super::trouble::OpenError;

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

/// Makes a renaming last through a power cut.
pub fn sync_directory(path: &Path) -> std::io::Result<()> {
    File::open(directory(path))?.sync_all()
}

pub fn directory(path: &Path) -> PathBuf {
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
pub type Id = (u64, u64);

pub fn id(path: &Path) -> Option<Id> {
    let metadata = path.metadata().ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Bytes of the database and its log.
pub fn size_on_disk(path: &Path) -> u64 {
    let size = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
    size(path) + size(&beside(path, "-wal"))
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
}
