//! An open database whose files were replaced under it: keeping what it holds.
//!
//! Owned by the store thread. Nothing is deleted that is not kept elsewhere.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::backup::{self, BackupError};
use super::database::Database;
use super::error::OpenError;
use super::file::{self, sibling};
use super::file_change::FileChange;
use crate::domain::time::Wall;
use crate::limits;

/// An open database whose files were replaced.
pub struct DetachedDatabase {
    database: Database,
    change: FileChange,
}

/// How far it has come.
pub enum Preservation {
    /// Somebody is still writing or reading: to be tried again in a moment.
    Wait,
    Done {
        /// The notice for people.
        notice: String,
        /// Path of the old database, if it is not the one at the path.
        kept: Option<PathBuf>,
    },
}

impl DetachedDatabase {
    pub fn new(database: Database, change: FileChange) -> DetachedDatabase {
        if change == FileChange::Content {
            // The WAL must not be checkpointed into the new file. If this cannot be set, the
            // connection is closed and checkpoints nothing.
            let keep = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
            let _ = database.connection().set_db_config(keep, true);
        }
        DetachedDatabase { database, change }
    }

    /// Keeps the data that the connection still reads, and removes the files that would damage
    /// the new file at the path. When it is done the connection may be closed.
    pub fn preserve(&self, now: Wall) -> Result<Preservation, OpenError> {
        let path = self.database.path();
        let is_quiet = match self.change {
            FileChange::Log => true,
            _ => !file::is_being_written(path, now, limits::FILE_QUIET_TIME),
        };
        if !is_quiet || !super::open_files::close_readers(path) {
            return Ok(Preservation::Wait);
        }
        match self.change {
            FileChange::Database => self.preserve_replaced(now),
            FileChange::Log => self.checkpoint_log(now),
            FileChange::Content => self.preserve_overwritten(now),
            // Never detached: the salvage handles damage.
            FileChange::Damage => Ok(Preservation::Wait),
        }
    }

    fn preserve_replaced(&self, now: Wall) -> Result<Preservation, OpenError> {
        let path = self.database.path();
        let is_whole = checkpoint(self.database.connection()).unwrap_or(false);
        let linked = self
            .database
            .files()
            .database
            .and_then(file::path_of_open_file);
        let is_moved = linked.is_some();
        let kept = match linked {
            Some(linked) if is_whole => linked,
            linked => match self.copy_beside("replaced", now) {
                Ok(copy) => copy,
                Err(BackupError::Damaged { .. }) => self.preserve_damaged(linked, now)?,
                Err(error) => return Err(self.copy_failed(&error)),
            },
        };
        self.remove_own_logs()?;
        let (what, then) = match (path.exists(), is_moved) {
            (true, _) => (
                "it was replaced by another file",
                "the new file is used".to_owned(),
            ),
            (false, true) => ("it was moved", "a new database is created".to_owned()),
            (false, false) => ("it was removed", "a new database is created".to_owned()),
        };
        let notice = format!(
            "{} was in use when {what}; {then}, and the old one is kept as {}",
            path.display(),
            kept.display()
        );
        Ok(Preservation::Done {
            notice,
            kept: Some(kept),
        })
    }

    fn checkpoint_log(&self, now: Wall) -> Result<Preservation, OpenError> {
        let path = self.database.path();
        let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);
        if !checkpoint(self.database.connection()).map_err(sqlite)? {
            return Ok(Preservation::Wait);
        }
        // The file there belongs to another database, and SQLite would remove it.
        let (real, own) = (self.database.canonical_path(), self.database.files());
        if file::file_id(&sibling(real, "-wal")) != own.log {
            let quarantined = file::quarantine_log(real, "-wal", now);
            if let Some(quarantined) =
                quarantined.map_err(|error| OpenError::from_io(path, &error))?
            {
                log::warn!(
                    "found the WAL of another database; it is quarantined as {}",
                    quarantined.display()
                );
            }
        }
        remove_sibling(path, real, "-shm")?;
        let notice = format!(
            "{}-wal or -shm was removed or replaced while in use; no data is lost. Stop main-node \
             before changing its files",
            path.display()
        );
        Ok(Preservation::Done { notice, kept: None })
    }

    fn preserve_overwritten(&self, now: Wall) -> Result<Preservation, OpenError> {
        let (path, real) = (self.database.path(), self.database.canonical_path());
        let io = |error: std::io::Error| OpenError::from_io(path, &error);
        // Where the WAL still holds all pages of the old content, the copy is complete.
        let copied = self.copy_beside("overwritten", now);
        let kept = match copied {
            Ok(copy) => {
                remove_sibling(path, real, "-wal")?;
                Some(copy)
            }
            Err(_) => file::quarantine_log(real, "-wal", now).map_err(io)?,
        };
        remove_sibling(path, real, "-shm")?;
        let rest = match &kept {
            Some(kept) => format!("the data of its WAL is kept as {}", kept.display()),
            None => "its WAL was empty".to_owned(),
        };
        let notice = format!(
            "{} was overwritten while in use; the new content is used, and {rest}. Stop main-node \
             before changing its files",
            path.display()
        );
        Ok(Preservation::Done { notice, kept: None })
    }

    /// Copies what the connection sees to a dated file.
    fn copy_beside(&self, suffix: &str, now: Wall) -> Result<PathBuf, BackupError> {
        let copy = file::free_sibling(self.database.canonical_path(), suffix, now);
        backup::copy(self.database.connection(), &copy).map(|_| copy)
    }

    fn copy_failed(&self, why: &dyn std::fmt::Display) -> OpenError {
        OpenError::Unusable {
            path: self.database.path().to_owned(),
            detail: format!(
                "its file was removed or replaced, and the old database cannot be copied ({why}); \
                 free disk space, or restart main-node to give the old data up"
            ),
        }
    }

    /// Keeps a damaged database byte by byte, with its log: there is no better copy of it.
    /// `linked` is the current path of its file.
    fn preserve_damaged(&self, linked: Option<PathBuf>, now: Wall) -> Result<PathBuf, OpenError> {
        let (real, own) = (self.database.canonical_path(), self.database.files());
        let kept = match linked {
            Some(linked) => linked,
            None => {
                let kept = file::free_sibling(real, "replaced", now);
                let copied = own
                    .database
                    .and_then(file::descriptor_path)
                    .ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotFound))
                    .and_then(|open| copy_bytes(&open, &kept));
                copied.map_err(|error| self.copy_failed(&error))?;
                kept
            }
        };
        // Closing must not take the log away from it.
        let keep = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        let _ = self.database.connection().set_db_config(keep, true);
        let log = sibling(real, "-wal");
        if own.log.is_some() && file::file_id(&log) == own.log {
            std::fs::rename(&log, sibling(&kept, "-wal"))
                .and_then(|()| file::sync_directory(&kept))
                .map_err(|error| self.copy_failed(&error))?;
        }
        Ok(kept)
    }

    /// Removes the log from the place where it would be played into another file. All that it
    /// holds was kept before.
    fn remove_own_logs(&self) -> Result<(), OpenError> {
        let (path, real, own) = (
            self.database.path(),
            self.database.canonical_path(),
            self.database.files(),
        );
        if file::file_id(real) == own.database {
            // The link has another target now: the files themselves are all in place, and closing
            // removes the WAL.
            return Ok(());
        }
        for (suffix, own) in [("-wal", own.log), ("-shm", own.index)] {
            if own.is_some() && file::file_id(&sibling(real, suffix)) == own {
                remove_sibling(path, real, suffix)?;
            }
        }
        Ok(())
    }
}

/// Copies the log into the file that is open; false while a reader keeps it from that.
fn checkpoint(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
        row.get(0).map(|busy: i64| busy == 0)
    })
}

/// Copies a file; `target` appears complete.
fn copy_bytes(from: &Path, target: &Path) -> std::io::Result<()> {
    let unfinished = sibling(target, ".unfinished");
    let copied = std::fs::copy(from, &unfinished)
        .and_then(|_| std::fs::File::open(&unfinished)?.sync_all())
        .and_then(|()| std::fs::rename(&unfinished, target))
        .and_then(|()| file::sync_directory(target));
    if copied.is_err() {
        // Our own incomplete file.
        let _ = std::fs::remove_file(&unfinished);
    }
    copied
}

fn remove_sibling(path: &Path, real: &Path, suffix: &str) -> Result<(), OpenError> {
    file::remove_if_exists(&sibling(real, suffix)).map_err(|error| OpenError::from_io(path, &error))
}
