//! Loop of the storage thread: commits what is due, continues a salvage, runs retention.
//!
//! Owned by the thread `store`. Every turn takes the time as an argument; failures end a
//! turn, never the thread.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use crate::db::database::{CommitCounts, Database, NewRow};
use crate::db::detached::{DetachedDatabase, Preservation};
use crate::db::error::OpenError;
use crate::db::file;
use crate::db::file_change::{self, FileChange};
use crate::db::open;
use crate::db::open_files;
use crate::db::progress::Progress;
use crate::db::retention::policy::{self, RetentionTimes};
use crate::db::salvage::{self, Salvage};
use crate::domain::back_off::BackOff;
use crate::domain::health::Salvaged;
use crate::domain::ledger::RecordRow;
use crate::domain::time::{Moment, Mono};
use crate::limits;
use crate::sys::clock::Clock;
use crate::sys::disk;
use crate::sys::thread::catch_panic;

/// The thread's own state.
pub(super) struct Writer {
    shared: Arc<Shared>,
    /// Failures in a row, and when to try again.
    failures: u32,
    retry_at: Mono,
    has_more_to_delete: bool,
    retention_at: Mono,
    /// A damaged database whose rows are being taken over.
    salvage: Option<Salvage>,
    /// A database whose files were exchanged under it; nothing is opened until what it holds
    /// is kept.
    detached: Option<DetachedDatabase>,
    /// A database that was replaced, whose alerts the one in its place still lacks.
    replaced: Option<PathBuf>,
    /// When the salvage goes on, where it waits for room.
    salvage_at: Mono,
    /// When a database was last set aside.
    damaged_at: Option<Mono>,
    /// When the database was last checked because a reader has met damage.
    checked_at: Option<Mono>,
}

/// Retention looks this often; what it drops is an hour at least.
const RETENTION_EVERY: Duration = Duration::from_secs(60);
/// Between looks at files that somebody is still writing or reading.
const FILES_SETTLE: Duration = Duration::from_secs(1);
/// The same when the node stops: as long as a file that was put in place takes to settle.
const CLOSING_WAIT: Duration = Duration::from_millis(100);
const CLOSING_ATTEMPTS: u32 = 25;

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, opened: Result<Database, OpenError>) -> Writer {
        let mut writer = Writer {
            shared,
            failures: 0,
            retry_at: Mono(0),
            has_more_to_delete: false,
            retention_at: Mono(0),
            salvage: None,
            detached: None,
            replaced: None,
            salvage_at: Mono(0),
            damaged_at: None,
            checked_at: None,
        };
        match opened {
            Ok(mut database) => {
                writer.resume_salvage(&mut database);
                writer.report_size(&database);
                *writer.shared.database.lock() = Some(database);
            }
            // The first turn opens it again, and sets it aside if it is damaged.
            Err(error) => writer.report_failure(&error.to_string()),
        }
        writer
    }

    pub(super) fn run(&mut self, clock: &dyn Clock) {
        let mut closing_turns = 0;
        loop {
            let is_closing = self.shared.queue.lock().is_closing;
            let now = clock.now();
            let turn = catch_panic("the store", || self.run_due(now, is_closing));
            let wake_at = turn.unwrap_or_else(|| {
                self.recover_from_panic(now);
                now.mono.after(limits::MAX_STORAGE_BACK_OFF)
            });
            let mut queue = self.shared.queue.lock();
            if is_closing && self.detached.is_some() && closing_turns < CLOSING_ATTEMPTS {
                closing_turns += 1;
                drop(self.shared.changed.wait_timeout(queue, CLOSING_WAIT));
                continue;
            }
            if is_closing {
                break;
            }
            let now = clock.now().mono;
            let sooner = queue.due.filter(|_| self.failures == 0).unwrap_or(wake_at);
            let wait = wake_at.min(sooner).since(now);
            if !wait.is_zero() && !queue.is_closing && queue.alerts.is_empty() && !queue.has_urgent
            {
                queue = self.shared.changed.wait_timeout(queue, wait);
            }
            drop(queue);
        }
        // Closing the last connection takes the log into the database.
        self.detached = None;
        *self.shared.database.lock() = None;
        self.shared.queue.lock().has_ended = true;
        self.shared.changed.notify_all();
    }

    /// What is due at `now`: a commit, then steps of retention. Returns when to come again.
    pub(super) fn run_due(&mut self, now: Moment, is_closing: bool) -> Mono {
        let mut queue = self.shared.queue.lock();
        let is_due = queue.due.is_some_and(|due| due <= now.mono);
        queue.working_since = Some(now.mono);
        drop(queue);
        self.work(now, is_due, is_closing);
        let mut queue = self.shared.queue.lock();
        queue.working_since = None;
        if self.failures > 0 {
            return self.retry_at;
        }
        let mut idle = match self.has_more_to_delete {
            _ if self.detached.is_some() => return now.mono.after(FILES_SETTLE),
            true => now.mono,
            false => now.mono.after(limits::FILE_CHECK_INTERVAL),
        };
        if self.salvage.is_some() {
            idle = idle.min(self.salvage_at.max(now.mono));
        }
        queue.due.map_or(idle, |due| due.min(idle))
    }

    fn work(&mut self, now: Moment, is_due: bool, is_closing: bool) {
        let may_try = self.retry_at <= now.mono || is_closing;
        let has_news = self.shared.buffer_alerts();
        let was_displaced = self.detached.is_some();
        let is_in_place = self.check_files(now);
        if !is_in_place && may_try && !self.preserve_detached(now) {
            // People are told of alerts all the same.
            self.flush_first(now, Shared::flush_reservations);
            self.flush_first(now, Shared::flush_alerts);
            return;
        }
        let is_due = is_due || was_displaced || !is_in_place;
        let mut is_fine = self.flush_first(now, Shared::flush_reservations);
        if has_news || is_due || is_closing || (self.failures > 0 && may_try) {
            is_fine &= self.flush_first(now, Shared::flush_alerts);
        }
        // A commit that may have nothing to write is no proof that the disk is well again.
        let is_due = is_due || is_closing || self.failures > 0;
        if is_fine && is_due && may_try && self.detached.is_none() {
            self.commit(now, is_closing);
        }
        if !is_closing && self.failures == 0 {
            match self.salvage.take_if(|_| self.salvage_at <= now.mono) {
                Some(salvage) => self.continue_salvage(salvage, now),
                None => self.run_retention(now),
            }
        }
    }

    /// Whether all files that are open still stand at their paths. If not, nothing more is
    /// written to them.
    fn check_files(&mut self, now: Moment) -> bool {
        let shared = self.shared.clone();
        let mut open = shared.database.lock();
        let exchange = open.as_ref().and_then(Database::detect_file_change);
        let damage = match exchange {
            Some(FileChange::Damage) => Some("another program wrote to it"),
            None if open.is_some() && self.has_damage_for_readers(now) => {
                Some("history or a backup could not be read")
            }
            _ => None,
        };
        if let Some(words) = damage {
            drop(open);
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
            let error = rusqlite::Error::SqliteFailure(code, Some(words.to_owned()));
            self.handle_write_error(now, &error);
        } else if let Some(exchange) = exchange
            && let Some(database) = open.take()
        {
            let path = database.path().display();
            log::warn!("{path}: its files were moved, removed or overwritten while in use");
            self.detached = Some(DetachedDatabase::new(database, exchange));
        }
        self.detached.is_none()
    }

    /// Whether readers have met damage that SQLite confirms, and that a new database can be
    /// rid of now: nothing depends on it but those rows, so that there has to be room for all.
    fn has_damage_for_readers(&mut self, now: Moment) -> bool {
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
                "{} is damaged where only history reads; it is recovered when the card has \
                 room for a second one",
                path.display()
            );
            return false;
        }
        file_change::is_damaged(path, size)
    }

    /// Keeps what a database holds whose files were exchanged, so that another can be opened;
    /// false if that has to wait.
    fn preserve_detached(&mut self, now: Moment) -> bool {
        let Some(displaced) = &self.detached else {
            return true;
        };
        match displaced.preserve(now.wall) {
            Ok(Preservation::Wait) => false,
            Ok(Preservation::Done { notice, kept }) => {
                self.detached = None;
                self.replaced = kept.or(self.replaced.take());
                log::warn!("{notice}");
                let mut report = self.shared.report.lock();
                // What was read of the old file ends with it; a new one says what it needs.
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

    /// Writes what goes first and at once: reservations, for which a request waits, and
    /// alerts. What the disk refuses of these is told all the same: above all that it does.
    fn flush_first(&mut self, now: Moment, flush: fn(&Shared) -> rusqlite::Result<()>) -> bool {
        loop {
            match flush(&self.shared) {
                Ok(()) => return true,
                // At most once: a second database is not set aside so soon.
                Err(error) if self.handle_write_error(now, &error) => {}
                Err(_) => return false,
            }
        }
    }

    /// What the disk has refused. A damaged database is set aside and another stands in its
    /// place (true); anything else is told, and tried again later.
    fn handle_write_error(&mut self, now: Moment, error: &rusqlite::Error) -> bool {
        *self.shared.database.lock() = None;
        let mut error = OpenError::from_sqlite(&self.shared.settings.location.path, error);
        if let OpenError::Corrupt { detail, .. } = &mut error
            && self.quarantine(detail, now)
        {
            return true;
        }
        self.back_off(now, &error);
        false
    }

    /// Commits what can be stored now; what cannot goes on waiting.
    fn commit(&mut self, now: Moment, is_closing: bool) {
        let (ready, waiting) = self.take_rows(now, is_closing);
        let mut result = self.write_batch(&ready, now);
        if let Err(OpenError::Corrupt { detail, .. }) = &mut result
            && self.quarantine(detail, now)
        {
            result = self.write_batch(&ready, now);
        }
        // Exchanged while it was written to: what went into the old files is stored anew.
        if result.is_ok() && !self.check_files(now) && self.preserve_detached(now) {
            result = self.write_batch(&ready, now);
        }
        if result.is_ok() && self.detached.is_none() {
            self.report_commit(result.as_ref().copied().unwrap_or_default());
        }
        let mut queue = self.shared.queue.lock();
        queue.in_flight = 0;
        for row in waiting.into_iter().rev() {
            queue.rows.push_front(row);
        }
        if result.is_err() || self.detached.is_some() {
            for entry in ready.into_iter().rev() {
                queue.rows.push_front(entry.row);
            }
            queue.trim(self.shared.settings.rows_waiting);
            queue.due = Some(now.mono);
            drop(queue);
            if let Err(error) = result {
                self.back_off(now, &error);
            }
            return;
        }
        // Rows that came while the disk worked, and those that wait for the clock.
        queue.due = if queue.rows.is_empty() {
            None
        } else {
            Some(now.mono.after(self.shared.settings.commit_every))
        };
        drop(queue);
        self.report_success();
    }

    /// Takes all rows out of the queue: those to store now, and those whose stamp may still
    /// become right. These have a quarter of the queue: the oldest past it are stored as what
    /// they are, with an untrusted time, before they would have to be given up.
    fn take_rows(&mut self, now: Moment, is_closing: bool) -> (Vec<NewRow>, Vec<RecordRow>) {
        let mut queue = self.shared.queue.lock();
        let rows = std::mem::take(&mut queue.rows);
        queue.in_flight = rows.len();
        queue.new_rows = 0;
        drop(queue);
        let may_wait = self.shared.settings.rows_waiting / 4;
        let crowded_out = rows.len().saturating_sub(may_wait);
        let (mut ready, mut waiting) = (Vec::new(), Vec::new());
        for (place, mut row) in rows.into_iter().enumerate() {
            row.stamp.apply_trusted_clock(now);
            let is_right = row.stamp.has_trusted_time();
            let waited = row.stamp.receipt().map(|(mono, _)| now.mono.since(mono));
            let is_patient = waited.is_some_and(|waited| waited < limits::CLOCK_TRUST_TIMEOUT);
            if !is_right && is_patient && place >= crowded_out && !is_closing {
                waiting.push(row);
            } else {
                ready.push(NewRow {
                    // A source's own time holds, as far as anybody can say.
                    untrusted: !is_right && !row.stamp.has_source_time,
                    row,
                });
            }
        }
        (ready, waiting)
    }

    /// Brings a batch to the disk, opening the database first if it is not.
    fn write_batch(&mut self, batch: &[NewRow], now: Moment) -> Result<CommitCounts, OpenError> {
        let place = &self.shared.settings.location;
        let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(&place.path, &error);
        if self.shared.database.lock().is_none() {
            // Without the lock: those who ask for alerts must not wait for another's.
            let mut database = open::open(place, &self.shared.settings.boot)?;
            if self.salvage.is_none() {
                self.salvage = Salvage::resume(&mut database).map_err(sqlite)?;
            }
            if let Some(replaced) = &self.replaced {
                salvage::merge_alerts_from(replaced, &mut database).map_err(sqlite)?;
                self.replaced = None;
            }
            *self.shared.database.lock() = Some(database);
        }
        let mut open = self.shared.database.lock();
        let Some(database) = &mut *open else {
            return Ok(CommitCounts::default());
        };
        if batch.is_empty() {
            return Ok(CommitCounts::default());
        }
        let retention = &self.shared.settings.retention;
        let committed = policy::advance_clock(database, retention, now).and_then(|time| {
            let oldest_hour = time.map_or(i64::MIN, |time| retention.oldest_hour(time));
            database.commit(batch, oldest_hour)
        });
        if committed.is_err() {
            *open = None;
        }
        committed.map_err(sqlite)
    }

    /// Puts a damaged database aside and begins a new one that takes over what can be read;
    /// false if that cannot be done now, and then `detail` says why.
    fn quarantine(&mut self, detail: &mut String, now: Moment) -> bool {
        let is_again = self
            .damaged_at
            .is_some_and(|at| now.mono.since(at) < limits::MIN_SALVAGE_INTERVAL);
        if is_again {
            return false;
        }
        let settings = &self.shared.settings;
        let path = &settings.location.path;
        let mut open = self.shared.database.lock();
        *open = None;
        let begun = salvage::quarantine(&settings.location, &settings.boot, now.wall);
        let begun = begun.map(|database| open.insert(database));
        match begun {
            Ok(database) => {
                log::error!("{} was damaged ({detail})", path.display());
                let resumed = Salvage::resume(database);
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
                *detail += &format!("; a new one cannot be made yet: {}", error.detail());
                false
            }
        }
    }

    fn resume_salvage(&mut self, database: &mut Database) {
        // What cannot be read now is read at the next opening.
        if let Ok(Some(salvage)) = Salvage::resume(database) {
            self.shared.report.lock().notice = Some(salvage.notice(false));
            self.salvage = Some(salvage);
        }
    }

    fn report_salvage(&self, salvage: &Salvage, is_over: bool, now: Mono) {
        let mut report = self.shared.report.lock();
        report.notice = Some(salvage.notice(is_over));
        let since = report.salvage.as_ref().map_or(now, |known| known.since);
        report.salvage = Some(Salvaged {
            since,
            quarantine_path: salvage.damaged_file().display().to_string(),
            is_complete: is_over,
        });
    }

    /// Takes over some more of a damaged database.
    fn continue_salvage(&mut self, mut salvage: Salvage, now: Moment) {
        let mut open = self.shared.database.lock();
        let Some(database) = &mut *open else {
            self.salvage = Some(salvage);
            return;
        };
        if !salvage.has_room() {
            drop(open);
            self.salvage_at = now.mono.after(limits::SALVAGE_RETRY_INTERVAL);
            let notice = format!(
                "{}; the rest waits for room on the card",
                salvage.notice(false)
            );
            self.shared.report.lock().notice = Some(notice);
            self.salvage = Some(salvage);
            return;
        }
        let step = salvage.step(database);
        let is_over = matches!(step, Ok(Progress::Done));
        if is_over {
            log::warn!("{}", salvage.notice(is_over));
        }
        self.report_salvage(&salvage, is_over, now.mono);
        if let Err(error) = step {
            *open = None;
            drop(open);
            let error = OpenError::from_sqlite(&self.shared.settings.location.path, &error);
            // It begins anew when the database is open again; what is there stays once.
            self.back_off(now, &error);
        } else if !is_over {
            self.salvage = Some(salvage);
        }
    }

    fn run_retention(&mut self, now: Moment) {
        if !self.has_more_to_delete && now.mono < self.retention_at {
            return;
        }
        self.has_more_to_delete = false;
        self.retention_at = now.mono.after(RETENTION_EVERY);
        let retention = self.shared.settings.retention;
        let mut open = self.shared.database.lock();
        let Some(database) = &mut *open else {
            return;
        };
        let times = match policy::advance_clock(database, &retention, now) {
            Ok(time) => time
                .filter(|_| now.trust.is_trusted())
                .map(|time| RetentionTimes {
                    wall: now.wall,
                    deletion: time,
                }),
            Err(error) => {
                drop(open);
                self.handle_write_error(now, &error);
                return;
            }
        };
        for _ in 0..limits::RETENTION_STEPS {
            let step = policy::step(database, &retention, times);
            database.note_write();
            match step {
                Ok(Progress::Done) => {
                    self.report_size(database);
                    return;
                }
                Ok(Progress::More) => {}
                Err(error) => {
                    drop(open);
                    self.handle_write_error(now, &error);
                    return;
                }
            }
        }
        self.has_more_to_delete = true;
    }

    fn back_off(&mut self, now: Moment, error: &OpenError) {
        let back_off = BackOff {
            shortest: Duration::from_secs(1),
            longest: limits::MAX_STORAGE_BACK_OFF,
        };
        let pause = back_off.pause(self.failures.into());
        self.failures = self.failures.saturating_add(1);
        self.retry_at = now.mono.after(pause);
        self.report_failure(&error.summary());
    }

    /// Tells a trouble, once in the log, and in every status until it is over.
    fn report_failure(&mut self, trouble: &str) {
        let mut report = self.shared.report.lock();
        if report.trouble.as_deref() != Some(trouble) {
            log::error!("{trouble}");
            report.trouble = Some(trouble.to_owned());
        }
        self.failures = self.failures.max(1);
    }

    fn report_success(&mut self) {
        self.failures = 0;
        if self.shared.report.lock().trouble.take().is_some() {
            log::info!("storage works again");
        }
    }

    fn recover_from_panic(&mut self, now: Moment) {
        // What the database keeps in memory may be half of a change.
        *self.shared.database.lock() = None;
        let mut queue = self.shared.queue.lock();
        queue.lost += queue.in_flight as u64;
        queue.in_flight = 0;
        queue.working_since = None;
        drop(queue);
        self.failures = self.failures.saturating_add(1);
        self.retry_at = now.mono.after(limits::MAX_STORAGE_BACK_OFF);
        self.report_failure("internal error in the storage thread (see the log); it tries again");
    }

    fn report_commit(&self, committed: CommitCounts) {
        let mut report = self.shared.report.lock();
        report.rows_stored += committed.stored;
        report.rows_too_old += committed.too_old;
        drop(report);
        if let Some(database) = &*self.shared.database.lock() {
            self.report_size(database);
        }
    }

    fn report_size(&self, database: &Database) {
        let mut report = self.shared.report.lock();
        report.database_bytes = file::size_on_disk(database.path());
        report.written_bytes = written_bytes();
        // What cannot be read is found by whoever writes next.
        report.extent = database.reach().unwrap_or(report.extent);
    }
}

/// Bytes that this process has sent to storage, by the kernel's account. Kernels that count
/// whole folios overstate `write_bytes` several times, and `wchar` counts sockets and pipes
/// too: the truth is at most the lesser.
fn written_bytes() -> u64 {
    let Ok(account) = std::fs::read_to_string("/proc/self/io") else {
        return 0;
    };
    let read = |name: &str| -> Option<u64> {
        let line = account.lines().find(|line| line.starts_with(name))?;
        line[name.len()..].trim().parse().ok()
    };
    let written = [read("write_bytes:"), read("wchar:")];
    written.into_iter().flatten().min().unwrap_or(0)
}
