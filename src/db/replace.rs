//! Crash-safe replacement of the database file: a crash at any moment loses neither file.
//!
//! Runs on the thread that opens the database, while it is closed. The file that is to come is
//! complete and synced before it is announced, by renaming it to `DATABASE.next.SUFFIX`. From
//! then on the replacement happens, if not now then at the next opening: the database goes to
//! `DATABASE.SUFFIX` with its log, then the announced file takes its name. Names alone say how
//! far it has come. Nothing is deleted but an index of the log.

use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use super::file::{parent_directory, sibling, sync_directory};
use crate::domain::compact_sort::CompactSort;
use crate::domain::time::Wall;

/// What the name of an announced file has between the database's and the suffix.
const NEXT: &str = ".next";

/// An unused suffix for the file to move away: `.KIND-DATE`.
pub fn free_suffix(path: &Path, kind: &str, now: Wall) -> String {
    let date = now.to_string().replace([':', '-'], "");
    let first = format!(".{kind}-{date}");
    let more = (2..).map(|count| format!("{first}-{count}"));
    std::iter::once(first.clone())
        .chain(more)
        .find(|suffix| is_free(path, suffix))
        .unwrap_or(first)
}

/// The target of a link, which need not exist: SQLite names the WAL after it.
pub fn resolve_links(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    // As many links as systems follow at most.
    for _ in 0..40 {
        match std::fs::read_link(&path) {
            Ok(target) => path = parent_directory(&path).join(target),
            Err(_) => break,
        }
    }
    path
}

fn is_free(path: &Path, suffix: &str) -> bool {
    let next = format!("{NEXT}{suffix}");
    [suffix, &format!("{suffix}-wal"), &next]
        .iter()
        .all(|suffix| !sibling(path, suffix).exists())
}

/// Has `prepared`, which is complete and synced, take the place of the database at `path`, which
/// goes to `path` with `suffix` appended. [`complete`] does it.
pub fn schedule(path: &Path, prepared: &Path, suffix: &str) -> std::io::Result<()> {
    std::fs::rename(prepared, sibling(path, &format!("{NEXT}{suffix}")))?;
    sync_directory(path)
}

/// Takes the steps that are left of a replacement that was announced; none if there is none.
pub fn complete(path: &Path) -> std::io::Result<()> {
    let path = &resolve_links(path);
    for suffix in scheduled(path)? {
        move_away(path, &suffix)?;
        std::fs::rename(sibling(path, &format!("{NEXT}{suffix}")), path)?;
        sync_directory(path)?;
    }
    Ok(())
}

/// Suffixes of announced files, the oldest first.
fn scheduled(path: &Path) -> std::io::Result<Vec<String>> {
    let Some(name) = path.file_name() else {
        return Ok(Vec::new());
    };
    let prefix = format!("{}{NEXT}.", name.to_string_lossy());
    let entries = match std::fs::read_dir(parent_directory(path)) {
        // A directory that may not be listed is none that a replacement was announced in.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::PermissionDenied
            ) =>
        {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    let mut suffixes = Vec::new();
    for entry in entries {
        let found = entry?.file_name();
        let found = found.to_string_lossy();
        if let Some(suffix) = found.strip_prefix(&prefix)
            && !suffix.contains('/')
        {
            suffixes.push(format!(".{suffix}"));
        }
    }
    suffixes.sort();
    Ok(suffixes)
}

/// Moves the database and its log to the suffix, whatever of them is still here.
fn move_away(path: &Path, suffix: &str) -> std::io::Result<()> {
    let mut target = sibling(path, suffix);
    // Something made a database after this one was moved away: it is kept as well.
    let mut count = 1;
    while path.exists() && target.exists() {
        count += 1;
        target = sibling(path, &format!("{suffix}-{count}"));
    }
    // The WAL is moved first: it never lies beside a database that it does not belong to.
    for part in ["-wal", "-journal"] {
        ignore_missing(std::fs::rename(sibling(path, part), sibling(&target, part)))?;
    }
    sync_directory(path)?;
    ignore_missing(std::fs::rename(path, &target))?;
    ignore_missing(std::fs::remove_file(sibling(path, "-shm")))?;
    sync_directory(path)
}

fn ignore_missing(done: Result<(), Error>) -> std::io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Whether a name is one that something was moved to as `kind`.
pub fn is_moved(database: &Path, candidate: &Path, kind: &str) -> bool {
    let (Some(name), Some(found)) = (database.file_name(), candidate.file_name()) else {
        return false;
    };
    let prefix = format!("{}.{kind}-", name.to_string_lossy());
    let found = found.to_string_lossy();
    found.starts_with(&prefix) && !found.ends_with("-wal") && !found.ends_with("-journal")
}

/// What was moved away as `kind`, the newest last.
pub fn list_moved(database: &Path, kind: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent_directory(database));
    let mut found: Vec<PathBuf> = entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| is_moved(database, path, kind))
        .collect();
    found.compact_sort_by(Ord::cmp);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::test_support::Directory;

    fn write(path: &Path, text: &str) {
        std::fs::write(path, text).expect("a file can be written");
    }

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// Every state of the directory that a crash can leave, from the announcement on.
    #[test]
    fn wherever_it_is_interrupted_it_comes_to_the_same_end() {
        let steps: [&[(&str, &str)]; 5] = [
            &[("db", "old"), ("db-wal", "log"), ("db-shm", "index")],
            &[("db", "old"), ("db.was-1-wal", "log"), ("db-shm", "index")],
            &[
                ("db.was-1", "old"),
                ("db.was-1-wal", "log"),
                ("db-shm", "index"),
            ],
            &[("db.was-1", "old"), ("db.was-1-wal", "log")],
            // The rename of the log was not yet on the disk when the power went.
            &[("db.was-1", "old"), ("db-wal", "log")],
        ];
        for (at, files) in steps.into_iter().enumerate() {
            let directory = Directory::new();
            for (name, text) in files {
                write(&directory.path(name), text);
            }
            write(&directory.path("db.next.was-1"), "new");
            complete(&directory.path("db")).expect("it can be finished");
            assert_eq!(
                directory.names(),
                ["db", "db.was-1", "db.was-1-wal"],
                "{at}"
            );
            for (name, text) in [("db", "new"), ("db.was-1", "old"), ("db.was-1-wal", "log")] {
                assert_eq!(read(&directory.path(name)), text, "{at}: {name}");
            }
            complete(&directory.path("db")).expect("nothing is left to do");
            assert_eq!(read(&directory.path("db")), "new");
        }
    }

    #[test]
    fn what_was_made_in_between_is_kept_too() {
        let directory = Directory::new();
        for (name, text) in [
            ("db", "between"),
            ("db-wal", "its log"),
            ("db.was-1", "old"),
        ] {
            write(&directory.path(name), text);
        }
        write(&directory.path("db.next.was-1"), "new");
        complete(&directory.path("db")).expect("it can be finished");
        for (name, text) in [
            ("db", "new"),
            ("db.was-1", "old"),
            ("db.was-1-2", "between"),
            ("db.was-1-2-wal", "its log"),
        ] {
            assert_eq!(read(&directory.path(name)), text, "{name}");
        }
    }

    #[test]
    fn a_link_stays_and_what_it_leads_to_is_replaced() {
        let directory = Directory::new();
        let link = directory.path("link");
        std::os::unix::fs::symlink("db", &link).expect("a link can be made");
        for (name, text) in [("db", "old"), ("db-wal", "log"), ("db.next.was-1", "new")] {
            write(&directory.path(name), text);
        }
        // Between two steps the link leads to nothing.
        let moved = std::fs::rename(directory.path("db"), directory.path("db.was-1"));
        moved.expect("it can be moved");
        complete(&link).expect("it can be finished");
        assert_eq!(read(&link), "new");
        assert!(link.is_symlink());
        assert_eq!(read(&directory.path("db.was-1-wal")), "log");
    }

    #[test]
    fn existing_files_are_never_overwritten() {
        let directory = Directory::new();
        let path = directory.path("db");
        let now = Wall::from_second(0);
        let first = free_suffix(&path, "was", now);
        assert_eq!(first, ".was-19700101T000000Z");
        write(&sibling(&path, &first), "old");
        assert_eq!(free_suffix(&path, "was", now), ".was-19700101T000000Z-2");
        let moved = list_moved(&path, "was");
        assert_eq!(moved, [sibling(&path, &first)]);
    }
}
