//! Automatic backups: how they are named, how many are kept, when the next is due.
//!
//! A thread of its own runs the schedule, since a copy may take minutes that no commit should wait.
//! Between two copies it looks once a minute what is in the directory of the backups: a disk that is
//! gone is told soon, and so is a newest copy that is. It reads names alone, which wakes no disk.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Backup, BackupError, UNFINISHED, backup, directory, verify};
use crate::db::{file, open_files};
use crate::domain::compact_sort::CompactSort;
use crate::domain::health::BackupState;
use crate::domain::time::{Moment, Mono, Wall};
use crate::sys::clock::Clock;
use crate::sys::shutdown::StopToken;
use crate::sys::thread::catch_panic;

/// What the name of an automatic backup has between `named_after` and its date.
const SUFFIX: &str = ".backup-";

const CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// Which database is copied where, and how often.
#[derive(Debug, Clone)]
pub struct BackupSchedule {
    pub database: PathBuf,
    /// Path that the backups are named after: `NAMED_AFTER.backup-DATE`. The database itself, or a
    /// path in another directory.
    pub named_after: PathBuf,
    pub every: Duration,
    /// How many are kept.
    pub keep: usize,
}

/// The backups named after a path, oldest first.
pub fn list_backups(named_after: &Path) -> Vec<PathBuf> {
    // `…-20251030T200000Z`, not `…-20251030T200000Z.unfinished` and the like.
    list(named_after, |rest| date_of(rest).is_some())
}

/// Files whose names go on with a rest that is wanted.
fn list(named_after: &Path, is_wanted: fn(&str) -> bool) -> Vec<PathBuf> {
    let Some(name) = named_after.file_name() else {
        return Vec::new();
    };
    let prefix = format!("{}{SUFFIX}", name.to_string_lossy());
    let entries = std::fs::read_dir(file::parent_directory(named_after));
    let mut found: Vec<PathBuf> = entries
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.strip_prefix(&prefix).is_some_and(is_wanted)
        })
        .map(|entry| entry.path())
        .collect();
    found.compact_sort_by(Ord::cmp);
    found
}

/// The newest backup that passes its check, of those named after one of these paths.
pub fn newest_verified(named_after: &[&Path]) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = named_after.iter().flat_map(|it| list_backups(it)).collect();
    found.compact_sort_by_key(|path| std::cmp::Reverse(parse_date(path)));
    found.into_iter().find(|path| verify(path).is_ok())
}

/// The date in an automatic backup's name.
fn parse_date(path: &Path) -> Option<Wall> {
    let name = path.file_name()?.to_str()?;
    date_of(&name[name.rfind(SUFFIX)? + SUFFIX.len()..])
}

fn date_of(text: &str) -> Option<Wall> {
    let instant: jiff::Timestamp = text.parse().ok()?;
    Some(Wall::from_second(instant.as_second()))
}

impl BackupSchedule {
    /// Makes a dated backup and removes all but the newest.
    pub fn rotate(&self, now: Wall) -> Result<Backup, BackupError> {
        let path = self.directory();
        if let Some(detail) = directory::problem(&path) {
            return Err(BackupError::Directory { path, detail });
        }
        // Left by a power cut: they take the space of a backup.
        for unfinished in list(&self.named_after, |rest| rest.contains(UNFINISHED)) {
            remove(&unfinished);
        }
        let date = now.to_string().replace([':', '-'], "");
        let target = file::sibling(&self.named_after, &format!("{SUFFIX}{date}"));
        let made = backup(&self.database, &target)?;
        let mut all = list_backups(&self.named_after);
        // One dated ahead was made under a wrong clock, before the others or among them.
        all.compact_sort_by_key(|path| parse_date(path).is_none_or(|date| date <= now));
        for old in &all[..all.len().saturating_sub(self.keep.max(1))] {
            remove(old);
        }
        Ok(made)
    }

    /// Makes the backups that are due until told to stop. Each new state is reported.
    pub fn run(&self, clock: &dyn Clock, stopping: &StopToken, report: &dyn Fn(BackupState)) {
        let mut run = BackupRun::new(self);
        loop {
            report(run.state(clock.now()));
            if stopping.wait(self.every.min(CHECK_INTERVAL)) {
                return;
            }
            run.check(clock.now());
        }
    }

    fn directory(&self) -> PathBuf {
        file::parent_directory(&self.named_after)
    }

    /// Whether another directory was named, which is on the file system of the database all the same.
    fn shares_disk_with_database(&self) -> bool {
        self.named_after != self.database
            && directory::is_same_file_system(&self.directory(), &self.database)
    }
}

fn remove(old: &Path) {
    if let Err(error) = std::fs::remove_file(old) {
        log::warn!(
            "the old backup {} cannot be removed: {error}",
            old.display()
        );
    }
}

/// A schedule while it runs.
struct BackupRun<'a> {
    schedule: &'a BackupSchedule,
    /// The dates of the backups, as far as they could be read.
    dates: Vec<Wall>,
    /// When a copy was last begun. Whatever the wall clock says, there is one in `every` at most.
    tried_at: Option<Mono>,
    /// Whether the directory was on another file system than the database.
    has_own_disk: bool,
    /// Why the directory cannot be used; asked again at each check.
    absent: Option<String>,
    /// Why the last copy failed.
    failure: Option<String>,
}

impl BackupRun<'_> {
    fn new(schedule: &BackupSchedule) -> BackupRun<'_> {
        let mut run = BackupRun {
            schedule,
            dates: Vec::new(),
            tried_at: None,
            has_own_disk: false,
            absent: None,
            failure: None,
        };
        run.look();
        if run.absent.is_none() && schedule.shares_disk_with_database() {
            log::warn!(
                "backup_to = {:?} is on the file system of the database: a disk that dies takes \
                 both. Is the disk for the backups mounted?",
                schedule.directory()
            );
        }
        run
    }

    /// Whether the directory can be used; reads what is there when it appears.
    fn look(&mut self) -> bool {
        let path = self.schedule.directory();
        let is_shared = self.schedule.shares_disk_with_database();
        let problem = directory::problem(&path);
        // An empty mount point is a directory like any other.
        let unmounted = (self.has_own_disk && is_shared)
            .then(|| "its disk is not mounted any more: mount it again".to_owned());
        match problem.or(unmounted) {
            Some(detail) => {
                let text = BackupError::Directory { path, detail }.to_string();
                if self.absent.as_ref() != Some(&text) {
                    log::error!("{text}");
                }
                self.absent = Some(text);
            }
            None => {
                if self.absent.take().is_some() {
                    log::info!("the directory of backups {} can be used", path.display());
                    // It may be another disk, without the last copy.
                    self.tried_at = None;
                }
                self.has_own_disk = !is_shared;
                self.read_dates();
            }
        }
        self.absent.is_none()
    }

    fn read_dates(&mut self) {
        let backups = list_backups(&self.schedule.named_after);
        self.dates = backups.iter().filter_map(|path| parse_date(path)).collect();
    }

    /// Makes a backup if one is due.
    fn check(&mut self, now: Moment) {
        let BackupSchedule { every, .. } = *self.schedule;
        // Also where nothing is due: it is told when the disk is gone.
        if !self.look() {
            return;
        }
        let is_early = self
            .tried_at
            .is_some_and(|tried| now.mono.since(tried) < every);
        // Names are dates, so they wait for a trusted clock.
        let is_named = now.trust.is_trusted();
        if is_early || !is_named || !is_due(self.dates.iter().copied(), every, now.wall) {
            return;
        }
        let schedule = self.schedule;
        let made = catch_panic("the backup", || schedule.rotate(now.wall));
        self.failure = match made {
            Some(Ok(backup)) => {
                log::info!("backup of {} records made", backup.records);
                None
            }
            Some(Err(error)) => {
                log::error!("{error}");
                if let BackupError::Damaged { .. } = error {
                    open_files::report_damage(&schedule.database);
                }
                Some(error.to_string())
            }
            // Counted and logged.
            None => Some("internal error while the backup was made (see the log)".to_owned()),
        };
        // A stick that was pulled: it is tried again when that is back.
        if self.look() || self.failure.is_none() {
            // One that failed is tried again when the next would be due.
            self.tried_at = Some(now.mono);
        }
    }

    fn state(&self, now: Moment) -> BackupState {
        let every = self.schedule.every;
        let last = newest(self.dates.iter().copied(), now.wall);
        let by_date = last.map_or(now.wall, |last| last.after(every));
        let by_attempt = self.tried_at.map(|tried| {
            let passed = now.mono.since(tried);
            now.wall.after(every.saturating_sub(passed))
        });
        let next = by_attempt.map_or(by_date, |it| it.max(by_date));
        BackupState {
            directory: self.schedule.directory().display().to_string(),
            last,
            // At once when the directory is there.
            next: self.absent.is_none().then_some(next),
            error: self.absent.clone().or_else(|| self.failure.clone()),
        }
    }
}

fn is_due(dates: impl Iterator<Item = Wall>, every: Duration, now: Wall) -> bool {
    newest(dates, now).is_none_or(|newest| now.since(newest) >= every)
}

/// The newest date. One ahead of now was written by a clock that was wrong.
fn newest(dates: impl Iterator<Item = Wall>, now: Wall) -> Option<Wall> {
    dates.filter(|date| *date <= now).max()
}

#[cfg(test)]
#[path = "tests/schedule.rs"]
mod tests;
