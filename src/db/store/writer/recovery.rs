//! Recovery on the store thread: files that were replaced while open, damage, and the salvage of
//! a damaged database.
//!
//! Runs on the store thread, a step at a time between commits.

use rusqlite::ffi;

use super::{StoreShared, Writer};
use crate::db::database::Database;
use crate::db::detached::{DetachedDatabase, Preservation};
use crate::db::error::OpenError;
use crate::db::file;
use crate::db::file_change::{self, FileChange};
use crate::db::open_files;
use crate::db::progress::Progress;
use crate::db::salvage::{self, Salvage};
use crate::domain::health::Salvaged;
use crate::domain::time::{Moment, Mono};
use crate::limits;
use crate::sys::disk;

impl StoreShared {
    pub(super) fn resume_salvage(
        &self,
        database: &mut Database,
    ) -> rusqlite::Result<Option<Salvage>> {
        let backups = &self.settings.backups_named_after;
        let salvage = Salvage::resume(database)?;
        Ok(salvage.map(|salvage| salvage.with_backups(backups)))
    }
}

impl Writer {
    /// Whether the open files are still at their paths. If not, nothing more is written to them.
    pub(super) fn check_files(&mut self, now: Moment) -> bool {
        let shared = self.shared.clone();
        let mut open = shared.database.lock();
        let change = open.as_ref().and_then(Database::detect_file_change);
        let damage = match change {
            Some(FileChange::Damage) => Some("another program wrote to the file"),
            None if open.is_some() && self.has_damage_for_readers(now) => {
                Some("history or a backup could not be read")
            }
            _ => None,
        };
        if let Some(reason) = damage {
            drop(open);
            let code = ffi::Error::new(ffi::SQLITE_CORRUPT);
            let error = rusqlite::Error::SqliteFailure(code, Some(reason.to_owned()));
            self.handle_write_error(now, &error);
        } else if let Some(change) = change
            && let Some(database) = open.take()
        {
            let path = database.path().display();
            log::warn!("{path}: its files were moved, removed or overwritten while in use");
            self.detached = Some(DetachedDatabase::new(database, change));
            // It goes on by what the database says that is opened next.
            self.maintenance = None;
        }
        self.detached.is_none()
    }

    /// Whether readers have met damage that SQLite confirms, and there is free disk space for a
    /// new copy.
    pub(super) fn has_damage_for_readers(&mut self, now: Moment) -> bool {
        let path = &self.shared.settings.location.path;
        let is_early = |at: Option<Mono>| {
            at.is_some_and(|at| now.mono.since(at) < limits::MIN_SALVAGE_INTERVAL)
        };
        if is_early(self.damaged_at) || !open_files::take_damage(path) || is_early(self.checked_at)
        {
            return false;
        }
        self.checked_at = Some(now.mono);
        let size = file::size_on_disk(path);
        let free = disk::free_bytes(&file::parent_directory(path)).unwrap_or(0);
        if free < size.saturating_add(limits::SALVAGE_FREE_BYTES) {
            log::error!(
                "{} is damaged in a part that only history reads; it is recovered when there is free \
                 disk space for a second copy",
                path.display()
            );
            return false;
        }
        file_change::is_damaged(path, size)
    }

    /// Keeps the data of a database whose files were replaced, so that another can be opened;
    /// false if that has to wait.
    pub(super) fn preserve_detached(&mut self, now: Moment) -> bool {
        let Some(detached) = &self.detached else {
            return true;
        };
        match detached.preserve(now.wall) {
            Ok(Preservation::Wait) => false,
            Ok(Preservation::Done { notice, kept }) => {
                self.detached = None;
                self.replaced = kept.or(self.replaced.take());
                log::warn!("{notice}");
                let mut report = self.shared.report.lock();
                // The salvage of the old file ends with it.
                if self.salvage.take().is_some() {
                    report.notice = None;
                    if let Some(salvage) = &mut report.salvage {
                        salvage.is_complete = true;
                    }
                }
                report.file_change = Some(notice);
                true
            }
            Err(error) => {
                self.back_off(now, &error);
                false
            }
        }
    }

    /// Quarantines a damaged database and creates a new one, into which the readable data is
    /// recovered; false if that cannot be done now, and then `detail` has the reason.
    pub(super) fn quarantine(&mut self, detail: &mut String, now: Moment) -> bool {
        let is_again = self
            .damaged_at
            .is_some_and(|at| now.mono.since(at) < limits::MIN_SALVAGE_INTERVAL);
        if is_again {
            return false;
        }
        let settings = &self.shared.settings;
        let path = &settings.location.path;
        self.maintenance = None;
        let mut open = self.shared.database.lock();
        *open = None;
        let quarantined = salvage::quarantine(&settings.location, &settings.boot, now.wall);
        let quarantined = quarantined.map(|database| open.insert(database));
        match quarantined {
            Ok(database) => {
                log::error!("{} is damaged ({detail})", path.display());
                let resumed = self.shared.resume_salvage(database);
                if resumed.is_err() {
                    // It is tried again at the next opening.
                    *open = None;
                }
                drop(open);
                self.damaged_at = Some(now.mono);
                self.salvage = resumed.unwrap_or_default();
                if let Some(salvage) = &self.salvage {
                    self.report_salvage(salvage, false, now.mono);
                }
                true
            }
            Err(error) => {
                *detail += &format!("; a new database cannot be created yet: {}", error.detail());
                false
            }
        }
    }

    pub(super) fn resume_salvage(&mut self, database: &mut Database) {
        // A read error is retried at the next opening.
        if let Ok(Some(salvage)) = self.shared.resume_salvage(database) {
            self.shared.report.lock().notice = Some(salvage.notice(false));
            self.salvage = Some(salvage);
        }
    }

    /// One step of the salvage.
    pub(super) fn continue_salvage(&mut self, mut salvage: Salvage, now: Moment) {
        let mut open = self.shared.database.lock();
        let Some(database) = &mut *open else {
            self.salvage = Some(salvage);
            return;
        };
        if !salvage.has_room() {
            drop(open);
            self.salvage_at = now.mono.after(limits::SALVAGE_RETRY_INTERVAL);
            let notice = format!(
                "{}; recovery is paused: too little free disk space",
                salvage.notice(false)
            );
            self.shared.report.lock().notice = Some(notice);
            self.salvage = Some(salvage);
            return;
        }
        let step = salvage.step(database);
        let is_complete = matches!(step, Ok(Progress::Done));
        if is_complete {
            log::warn!("{}", salvage.notice(is_complete));
            self.shared.salvage_ended();
        }
        self.report_salvage(&salvage, is_complete, now.mono);
        if let Err(error) = step {
            *open = None;
            drop(open);
            let error = OpenError::from_sqlite(&self.shared.settings.location.path, &error);
            // The salvage restarts when the database is reopened; rows are inserted once.
            self.back_off(now, &error);
        } else if !is_complete {
            self.salvage = Some(salvage);
        }
    }

    pub(super) fn report_salvage(&self, salvage: &Salvage, is_complete: bool, now: Mono) {
        let mut report = self.shared.report.lock();
        report.notice = Some(salvage.notice(is_complete));
        let since = report.salvage.as_ref().map_or(now, |known| known.since);
        report.salvage = Some(Salvaged {
            since,
            quarantine_path: salvage.damaged_file().display().to_string(),
            is_complete,
        });
    }
}
