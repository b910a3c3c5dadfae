//! Storage thread: queues rows, and commits many at once.
//!
//! `ingest` hands rows to a [`Store`] and never waits: they queue, bounded, until many are
//! committed at once. The thread `store` alone touches the database through [`Writer`], whose
//! turn takes the time as an argument. While storage fails it keeps the rows, reports the error,
//! and retries; it ends only when asked to.

pub mod alerts;
pub mod cursors;
pub mod derived_windows;
mod quotas;
mod writer;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::cursors::ForwardCursors;
use self::quotas::Reservations;
use self::writer::Writer;
use super::database::Database;
use super::error::OpenError;
use super::open::DatabaseLocation;
use super::outbox::OutboxBuffer;
use super::retention::policy::RetentionPolicy;
use crate::domain::alert::AlertCommit;
use crate::domain::derived::{RebuiltWindow, SavedWindow, WindowRebuild};
use crate::domain::health::{BackupState, Storage};
use crate::domain::ledger::{Forecast, RecordRow};
use crate::domain::outbox::OutboxChannel;
use crate::domain::stored_rows::ForwardName;
use crate::domain::text::human_duration;
use crate::domain::time::Mono;
use crate::limits;
use crate::sys::clock::Clock;
use crate::sys::sync::{Condvar, Mutex};
use crate::sys::thread::{Thread, spawn};

/// Storage settings of the configuration.
#[derive(Clone)]
pub struct StoreSettings {
    pub location: DatabaseLocation,
    /// How long rows wait so that one commit serves many.
    pub commit_every: Duration,
    /// Rows that wait at most; past it the oldest are given up.
    pub rows_waiting: usize,
    pub retention: RetentionPolicy,
    /// Path that automatic backups are named after: the database's, or one in another directory.
    pub backups_named_after: PathBuf,
    /// Whether the database is deleted at the end, and may be lost.
    pub is_temporary: bool,
    /// The kernel's name for this boot.
    pub boot: String,
    /// The alert channels.
    pub channels: Vec<OutboxChannel>,
    /// Called on the store thread when there may be something new to deliver.
    pub on_outbox_changed: Arc<dyn Fn() + Send + Sync>,
    /// The outputs that forward rows.
    pub forwards: Vec<ForwardName>,
    /// Called on the store thread when there may be something new to forward.
    pub on_rows_stored: Arc<dyn Fn() + Send + Sync>,
    /// Called on the store thread when a command has changed what is stored: what was read of it before
    /// is out of date.
    pub on_readings_changed: Arc<dyn Fn() + Send + Sync>,
}

impl StoreSettings {
    pub fn new(location: DatabaseLocation, boot: String) -> StoreSettings {
        StoreSettings {
            backups_named_after: location.path.clone(),
            location,
            commit_every: limits::COMMIT_EVERY,
            rows_waiting: limits::WRITE_BUFFER_ROWS,
            retention: RetentionPolicy::default(),
            is_temporary: false,
            boot,
            channels: Vec::new(),
            on_outbox_changed: Arc::new(|| ()),
            forwards: Vec::new(),
            on_rows_stored: Arc::new(|| ()),
            on_readings_changed: Arc::new(|| ()),
        }
    }
}

/// Handle of the store: takes rows, reports status. StoreShared by all threads.
pub struct Store {
    shared: Arc<StoreShared>,
    clock: Arc<dyn Clock>,
    thread: Mutex<Option<Thread>>,
}

/// What the thread and its callers share. No lock is held while the disk works, but the
/// database's own, which only the thread and those who read its outbox take.
struct StoreShared {
    settings: StoreSettings,
    queue: Mutex<Queue>,
    /// The queue has changed, or the thread has ended.
    changed: Condvar,
    report: Mutex<StoreReport>,
    database: Mutex<Option<Database>>,
    /// Alerts that wait for the disk. Taken before `database`, where both are.
    outbox_buffer: Mutex<OutboxBuffer>,
    /// How far outputs have come. Taken after `database`, where both are.
    cursors: Mutex<ForwardCursors>,
}

/// Status that the thread reports.
#[derive(Default)]
struct StoreReport {
    storage: Storage,
    /// Notice about files that were replaced while in use.
    file_change: Option<String>,
}

impl std::ops::Deref for StoreReport {
    type Target = Storage;

    fn deref(&self) -> &Storage {
        &self.storage
    }
}

impl std::ops::DerefMut for StoreReport {
    fn deref_mut(&mut self) -> &mut Storage {
        &mut self.storage
    }
}

#[derive(Default)]
struct Queue {
    rows: VecDeque<RecordRow>,
    /// By key; each replaces the one before.
    forecasts: BTreeMap<Arc<str>, Forecast>,
    /// Each state replaces the one before; their events are few.
    alerts: VecDeque<AlertCommit>,
    reservations: Reservations,
    /// Windows of derived keys to be saved with the next commit.
    windows: Vec<SavedWindow>,
    /// Those to be built again, and those that were.
    rebuilds: VecDeque<WindowRebuild>,
    rebuilt: Vec<RebuiltWindow>,
    /// A reservation has come that somebody waits for.
    has_urgent: bool,
    /// Rows that the thread has taken and not yet committed.
    in_flight: usize,
    /// Rows that came since a commit last took all.
    new_rows: usize,
    /// When the next commit is due; `None` while no row waits.
    due: Option<Mono>,
    lost: u64,
    /// When the thread's turn began, while it lasts.
    working_since: Option<Mono>,
    is_closing: bool,
    has_ended: bool,
}

impl Queue {
    /// Gives up the oldest rows past `bound`.
    fn trim(&mut self, bound: usize) {
        let bound = bound.saturating_sub(self.in_flight);
        let excess = self.rows.len().saturating_sub(bound);
        self.rows.drain(..excess);
        self.lost += excess as u64;
    }
}

/// Starts the thread. `opened` is what opening the database at start gave; an error that is
/// fatal is the caller's to refuse before.
pub fn start(
    settings: StoreSettings,
    opened: Result<Database, OpenError>,
    clock: Arc<dyn Clock>,
) -> std::io::Result<Store> {
    let shared = Arc::new(StoreShared::new(settings));
    let mut writer = Writer::new(shared.clone(), opened);
    let thread_clock = clock.clone();
    let thread = spawn("store", move || writer.run(&*thread_clock))?;
    Ok(Store {
        shared,
        clock,
        thread: Mutex::new(Some(thread)),
    })
}

impl Store {
    /// Takes rows for a later commit. Never waits for the disk.
    pub fn append(&self, rows: Vec<RecordRow>) {
        self.shared.append(rows, self.clock.now().mono);
    }

    /// Takes what is stored ahead of its time, for a later commit.
    pub fn set_forecasts(&self, forecasts: Vec<Forecast>) {
        self.shared.set_forecasts(forecasts, self.clock.now().mono);
    }

    /// Where the database is.
    pub fn path(&self) -> &Path {
        &self.shared.settings.location.path
    }

    /// Has the status show how automatic backups are doing.
    pub fn set_backup_state(&self, state: BackupState) {
        self.shared.report.lock().backup = Some(state);
    }

    /// Storage status.
    pub fn status(&self) -> Storage {
        self.shared.status(self.clock.now().mono)
    }

    /// Has everything committed and the thread ended, within `deadline`. Rows that could not be
    /// written are lost with the process, and reported.
    pub fn stop(&self, deadline: Duration) -> UnsavedAtStop {
        let until = Instant::now() + deadline;
        self.shared.queue.lock().is_closing = true;
        self.shared.changed.notify_all();
        let thread = self.thread.lock().take();
        let has_ended = thread.is_none_or(|thread| thread.join_by(until));
        let queue = self.shared.queue.lock();
        let mut stopped = UnsavedAtStop {
            rows: queue.rows.len() + queue.in_flight,
            alerts: !queue.alerts.is_empty(),
            why: None,
        };
        drop(queue);
        if has_ended {
            stopped.alerts |= !self.shared.outbox_buffer.lock().is_empty();
        }
        if !stopped.is_complete() {
            stopped.why = self.status().trouble;
        }
        if !has_ended && stopped.why.is_none() {
            stopped.why = Some("the database did not store them in time".to_owned());
        }
        stopped
    }
}

/// How a stop went for what waited.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct UnsavedAtStop {
    /// Readings that are not stored.
    pub rows: usize,
    /// Whether alerts, or their outcomes, are not stored.
    pub alerts: bool,
    /// Why not, or why it is not known.
    pub why: Option<String>,
}

impl UnsavedAtStop {
    /// Whether all that waited is on the disk.
    pub fn is_complete(&self) -> bool {
        self.rows == 0 && !self.alerts && self.why.is_none()
    }
}

impl fmt::Display for UnsavedAtStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.rows, self.alerts) {
            _ if self.is_complete() => return f.write_str("readings and alerts are committed"),
            (0, false) => f.write_str("the last readings may be lost")?,
            (0, true) => f.write_str("alerts are not stored and are lost")?,
            (1, _) => f.write_str("1 reading is not stored and is lost")?,
            (rows, _) => write!(f, "{rows} readings are not stored and are lost")?,
        }
        if self.rows > 0 && self.alerts {
            f.write_str(", and alerts")?;
        }
        match &self.why {
            Some(why) => write!(f, ": {why}"),
            None => Ok(()),
        }
    }
}

impl Drop for Store {
    /// Ends the thread after it has committed the queue.
    fn drop(&mut self) {
        self.shared.queue.lock().is_closing = true;
        self.shared.changed.notify_all();
    }
}

impl StoreShared {
    fn new(settings: StoreSettings) -> StoreShared {
        StoreShared {
            settings,
            queue: Mutex::default(),
            changed: Condvar::new(),
            report: Mutex::default(),
            database: Mutex::default(),
            outbox_buffer: Mutex::default(),
            cursors: Mutex::default(),
        }
    }

    fn append(&self, rows: Vec<RecordRow>, now: Mono) {
        if rows.is_empty() {
            return;
        }
        let mut queue = self.queue.lock();
        queue.new_rows += rows.len();
        queue.rows.extend(rows);
        queue.trim(self.settings.rows_waiting);
        // Many quick sources fill the queue before the time is up: a disk that can take them
        // gets them early, while there is room for what comes meanwhile.
        let is_half_full = queue.new_rows >= self.settings.rows_waiting / 2;
        if queue.due.is_none() {
            queue.due = Some(now.after(self.settings.commit_every));
            self.changed.notify_all();
        }
        if is_half_full && queue.due.is_some_and(|due| due > now) {
            queue.due = Some(now);
            self.changed.notify_all();
        }
    }

    fn set_forecasts(&self, forecasts: Vec<Forecast>, now: Mono) {
        let mut queue = self.queue.lock();
        let by_key = forecasts.into_iter().map(|it| (it.key.clone(), it));
        queue.forecasts.extend(by_key);
        if queue.due.is_none() {
            queue.due = Some(now.after(self.settings.commit_every));
            self.changed.notify_all();
        }
    }

    fn status(&self, now: Mono) -> Storage {
        let report = self.report.lock();
        let mut storage = report.storage.clone();
        let notices = [storage.notice.take(), report.file_change.clone()];
        let notices: Vec<String> = notices.into_iter().flatten().collect();
        storage.notice = (!notices.is_empty()).then(|| notices.join("; "));
        drop(report);
        let queue = self.queue.lock();
        storage.rows_waiting = (queue.rows.len() + queue.in_flight) as u64;
        storage.rows_lost = queue.lost;
        let busy = queue.working_since.map(|since| now.since(since));
        if let Some(busy) = busy.filter(|busy| *busy > limits::SLOW_COMMIT) {
            storage.trouble = Some(format!(
                "a write has not finished for {}; the SD card may be failing",
                human_duration(busy)
            ));
        } else if storage.rows_lost > 0
            && let Some(trouble) = &mut storage.trouble
        {
            *trouble += &format!("; {} readings were dropped", storage.rows_lost);
        }
        storage
    }
}

#[cfg(test)]
#[path = "store/tests/maintenance.rs"]
mod maintenance_tests;
#[cfg(test)]
#[path = "tests/store.rs"]
mod tests;
