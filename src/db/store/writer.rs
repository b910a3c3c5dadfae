//! Loop of the storage thread: commits what is due, continues a salvage, runs retention.
//!
//! Owned by the thread `store`. Every turn takes the time as an argument; failures end a
//! turn, never the thread.

mod commit;
mod maintenance;
mod rebuild;
mod recovery;
mod removed_channels;
mod report;
mod retention;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::StoreShared;
use crate::db::database::Database;
use crate::db::derived_windows::rebuild::RebuildScan;
use crate::db::detached::DetachedDatabase;
use crate::db::error::OpenError;
use crate::db::maintenance::state::MaintenanceState;
use crate::db::maintenance::{Maintenance, request};
use crate::db::salvage::Salvage;
use crate::db::service_lock::ServiceLock;
use crate::domain::back_off::BackOff;
use crate::domain::ledger::Forecast;
use crate::domain::time::{Moment, Mono};
use crate::limits;
use crate::sys::clock::Clock;
use crate::sys::thread::catch_panic;

/// The thread's own state.
pub(super) struct Writer {
    shared: Arc<StoreShared>,
    /// All forecasts of this run, for a database that is opened anew.
    forecasts: BTreeMap<Arc<str>, Forecast>,
    /// Those that the open database does not have.
    unsaved_forecasts: BTreeSet<Arc<str>>,
    /// Failures in a row, and when to try again.
    failures: u32,
    retry_at: Mono,
    has_more_to_delete: bool,
    retention_at: Mono,
    /// When the outbox is next searched for alerts of channels that are not configured.
    removed_channels_at: Mono,
    has_told_removed_channels: bool,
    /// When it was first searched.
    removed_channels_from: Option<Mono>,
    /// A damaged database whose rows are being recovered.
    salvage: Option<Salvage>,
    /// A window of a derived key that is being rebuilt.
    rebuild: Option<RebuildScan>,
    /// What a command has asked for.
    maintenance: Option<Maintenance>,
    /// Whether the windows of this run know nothing of what a command has changed.
    has_stale_windows: bool,
    /// That this service uses the database.
    lock: Option<ServiceLock>,
    /// A database whose files were replaced while open; nothing is opened until its data is kept.
    detached: Option<DetachedDatabase>,
    /// A database that was replaced, whose alerts the one in its place still lacks.
    replaced: Option<PathBuf>,
    /// When the salvage continues, where it waits for free disk space.
    salvage_at: Mono,
    /// When a database was last quarantined.
    damaged_at: Option<Mono>,
    /// When the database was last checked because a reader has met damage.
    checked_at: Option<Mono>,
}

/// Between checks of files that another program is still writing or reading.
const FILES_SETTLE: Duration = Duration::from_secs(1);
/// The same when the node stops.
const CLOSING_WAIT: Duration = Duration::from_millis(100);
const CLOSING_ATTEMPTS: u32 = 25;

impl Writer {
    pub(super) fn new(shared: Arc<StoreShared>, opened: Result<Database, OpenError>) -> Writer {
        let mut writer = Writer {
            shared,
            forecasts: BTreeMap::new(),
            unsaved_forecasts: BTreeSet::new(),
            failures: 0,
            retry_at: Mono(0),
            has_more_to_delete: false,
            retention_at: Mono(0),
            removed_channels_at: Mono(0),
            has_told_removed_channels: false,
            removed_channels_from: None,
            salvage: None,
            rebuild: None,
            maintenance: None,
            has_stale_windows: false,
            lock: None,
            detached: None,
            replaced: None,
            salvage_at: Mono(0),
            damaged_at: None,
            checked_at: None,
        };
        match opened.and_then(|database| writer.lock().map(|()| database)) {
            Ok(mut database) => {
                writer.resume_salvage(&mut database);
                writer.report_maintenance(MaintenanceState::read(database.connection()));
                writer.report_size(&database);
                // A read error is retried at the next commit.
                let _ = writer.shared.load_cursors(&database, Mono(0));
                *writer.shared.database.lock() = Some(database);
            }
            // The first turn reopens it, and quarantines it if it is damaged.
            Err(error) => writer.report_failure(&error.to_string()),
        }
        writer.report_volatile();
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
            let has_news =
                !queue.alerts.is_empty() || queue.has_urgent || !queue.rebuilds.is_empty();
            if !wait.is_zero() && !queue.is_closing && !has_news {
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
        drop(queue);
        let has_more = self.has_more_to_delete || self.has_rebuild() || self.maintenance.is_some();
        let queue = self.shared.queue.lock();
        let mut idle = match has_more {
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
        let was_detached = self.detached.is_some();
        let is_in_place = self.check_files(now);
        if !is_in_place && may_try && !self.preserve_detached(now) {
            // Alerts are delivered all the same.
            self.flush_first(now, StoreShared::flush_reservations);
            self.flush_first(now, StoreShared::flush_alerts);
            return;
        }
        let is_due = is_due || was_detached || !is_in_place;
        let mut is_written = self.flush_first(now, StoreShared::flush_reservations);
        if has_news || is_due || is_closing || (self.failures > 0 && may_try) {
            is_written &= self.flush_first(now, StoreShared::flush_alerts);
        }
        // A commit that may have nothing to write is no proof that the disk is well again.
        let is_due = is_due || is_closing || self.failures > 0;
        if is_written && is_due && may_try && self.detached.is_none() {
            self.commit(now, is_closing);
        }
        if !is_closing && self.failures == 0 {
            match self.salvage.take_if(|_| self.salvage_at <= now.mono) {
                Some(salvage) => self.continue_salvage(salvage, now),
                None => {
                    self.run_retention(now);
                    if self.failures == 0 {
                        self.age_removed_channels(now);
                    }
                    if self.failures == 0 {
                        self.continue_rebuild(now);
                    }
                    if self.failures == 0 {
                        self.continue_maintenance(now);
                    }
                }
            }
        }
    }

    /// Writes what cannot wait for a commit: quota reservations, for which a request waits, and
    /// alerts. Alerts that cannot be written are delivered from memory.
    fn flush_first(
        &mut self,
        now: Moment,
        flush: fn(&StoreShared) -> rusqlite::Result<()>,
    ) -> bool {
        loop {
            match flush(&self.shared) {
                Ok(()) => return true,
                // At most once: a second database is not quarantined so soon.
                Err(error) if self.handle_write_error(now, &error) => {}
                Err(_) => return false,
            }
        }
    }

    /// Handles a failed write. A damaged database is quarantined and replaced (true); any other
    /// error is reported, and retried later.
    fn handle_write_error(&mut self, now: Moment, error: &rusqlite::Error) -> bool {
        *self.shared.database.lock() = None;
        self.maintenance = None;
        let mut error = OpenError::from_sqlite(&self.shared.settings.location.path, error);
        if let OpenError::Corrupt { detail, .. } = &mut error
            && self.quarantine(detail, now)
        {
            return true;
        }
        self.back_off(now, &error);
        false
    }

    fn back_off(&mut self, now: Moment, error: &OpenError) {
        let back_off = BackOff {
            shortest: Duration::from_secs(1),
            longest: limits::MAX_STORAGE_BACK_OFF,
        };
        let pause = back_off.pause(self.failures.into());
        self.failures = self.failures.saturating_add(1);
        self.retry_at = now.mono.after(pause);
        // It is open only here; what is left of the task is resumed.
        self.maintenance = None;
        request::make_room(&self.shared.settings.location.path);
        self.report_failure(&error.summary());
    }

    fn recover_from_panic(&mut self, now: Moment) {
        // The cache may be half updated.
        *self.shared.database.lock() = None;
        self.maintenance = None;
        let mut queue = self.shared.queue.lock();
        queue.lost += queue.in_flight as u64;
        queue.in_flight = 0;
        queue.working_since = None;
        drop(queue);
        self.failures = self.failures.saturating_add(1);
        self.retry_at = now.mono.after(limits::MAX_STORAGE_BACK_OFF);
        self.report_failure("internal error in the storage thread (see the log); it retries");
    }
}
