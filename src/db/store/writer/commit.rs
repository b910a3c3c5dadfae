//! Commit of queued rows: what the store thread takes from the queue and writes in one transaction.
//!
//! Runs on the store thread. What cannot be stored yet goes back to the queue.

use super::Writer;
use crate::db::database::{CommitCounts, NewRow};
use crate::db::error::OpenError;
use crate::db::open;
use crate::db::retention::clock;
use crate::db::salvage;
use crate::domain::derived::SavedWindow;
use crate::domain::ledger::{Forecast, RecordRow};
use crate::domain::time::Moment;
use crate::limits;

impl Writer {
    /// Commits the rows that can be stored now; the others stay queued.
    pub(super) fn commit(&mut self, now: Moment, is_closing: bool) {
        let (ready, waiting) = self.take_rows(now, is_closing);
        let changed = std::mem::take(&mut self.shared.queue.lock().forecasts);
        self.unsaved_forecasts.extend(changed.keys().cloned());
        self.forecasts.extend(changed);
        let mut windows = std::mem::take(&mut self.shared.queue.lock().windows);
        if self.has_stale_windows {
            windows.clear();
        }
        let mut result = self.write_batch(&ready, &windows, now);
        if let Err(OpenError::Corrupt { detail, .. }) = &mut result
            && self.quarantine(detail, now)
        {
            result = self.write_batch(&ready, &windows, now);
        }
        // Replaced during the commit: the batch is stored again in the new file.
        if result.is_ok() && !self.check_files(now) && self.preserve_detached(now) {
            result = self.write_batch(&ready, &windows, now);
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
            if queue.windows.is_empty() {
                queue.windows = windows;
            }
            queue.due = Some(now.mono);
            drop(queue);
            if let Err(error) = result {
                self.back_off(now, &error);
            }
            return;
        }
        // Rows that came while the disk worked, and those that wait for the clock.
        queue.due = if queue.rows.is_empty() && queue.forecasts.is_empty() {
            None
        } else {
            Some(now.mono.after(self.shared.settings.commit_every))
        };
        drop(queue);
        self.report_success();
    }

    /// After a commit: those that have ended are not needed any more.
    fn forget_saved_forecasts(&mut self) {
        for key in std::mem::take(&mut self.unsaved_forecasts) {
            let forecast = self.forecasts.get(&key);
            if forecast.is_some_and(|forecast| forecast.elements.is_empty()) {
                self.forecasts.remove(&key);
            }
        }
    }

    /// Takes all rows out of the queue: those to store now, and those that wait for a trusted
    /// clock (elements of series, which are promoted when it can be relied on, do not). The latter
    /// have a quarter of the queue: the oldest past it are stored with an untrusted time, before
    /// they would have to be dropped.
    pub(super) fn take_rows(
        &mut self,
        now: Moment,
        is_closing: bool,
    ) -> (Vec<NewRow>, Vec<RecordRow>) {
        let mut queue = self.shared.queue.lock();
        let rows = std::mem::take(&mut queue.rows);
        queue.in_flight = rows.len();
        queue.new_rows = 0;
        drop(queue);
        let may_wait = self.shared.settings.rows_waiting / 4;
        let crowded_out = rows.len().saturating_sub(may_wait);
        let (mut ready, mut waiting) = (Vec::new(), Vec::new());
        for (index, mut row) in rows.into_iter().enumerate() {
            // The clock that said its time has come was ahead: it comes again.
            if row.is_element && now.trust.is_trusted() && row.stamp.observed > now.wall {
                continue;
            }
            row.stamp.apply_trusted_clock(now);
            let is_right = row.stamp.has_trusted_time();
            let waited = row.stamp.receipt().map(|(mono, _)| now.mono.since(mono));
            let is_patient = waited.is_some_and(|waited| waited < limits::CLOCK_TRUST_TIMEOUT);
            let is_patient = is_patient && !row.is_element;
            if !is_right && is_patient && !is_closing && index >= crowded_out {
                waiting.push(row);
            } else {
                ready.push(NewRow {
                    // A source's own time is taken as trusted.
                    untrusted: !is_right && !row.stamp.has_source_time,
                    row,
                });
            }
        }
        (ready, waiting)
    }

    /// Brings a batch to the disk, opening the database first if it is not.
    pub(super) fn write_batch(
        &mut self,
        batch: &[NewRow],
        windows: &[SavedWindow],
        now: Moment,
    ) -> Result<CommitCounts, OpenError> {
        let shared = self.shared.clone();
        let location = &shared.settings.location;
        let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(&location.path, &error);
        let is_closing = shared.queue.lock().is_closing;
        if shared.database.lock().is_none() {
            self.lock()?;
            // Another database may be in its place.
            self.maintenance = None;
            // Without the lock: those who ask for alerts must not wait for another's.
            let mut database = open::open(location, &shared.settings.boot)?;
            if self.salvage.is_none() {
                self.salvage = shared.resume_salvage(&mut database).map_err(sqlite)?;
            }
            if let Some(replaced) = &self.replaced {
                salvage::merge_alerts_from(replaced, &mut database).map_err(sqlite)?;
                self.replaced = None;
            }
            *shared.database.lock() = Some(database);
            self.report_volatile();
            self.unsaved_forecasts = self.forecasts.keys().cloned().collect();
        }
        let mut open = shared.database.lock();
        let Some(database) = &mut *open else {
            return Ok(CommitCounts::default());
        };
        let unsaved = self.unsaved_forecasts.iter();
        let unsaved = unsaved.filter_map(|key| self.forecasts.get(key));
        let forecasts: Vec<&Forecast> = unsaved.collect();
        shared.load_cursors(database, now.mono).map_err(sqlite)?;
        let cursors = shared.cursors_to_save(now.mono, is_closing);
        let is_idle = batch.is_empty() && forecasts.is_empty() && windows.is_empty();
        // A cursor alone is worth no commit, except the last.
        if is_idle && (cursors.is_empty() || !is_closing) {
            return Ok(CommitCounts::default());
        }
        let retention = &shared.settings.retention;
        let committed = clock::advance_clock(database, retention, now).and_then(|time| {
            let oldest_hour = time.map_or(i64::MIN, |time| retention.oldest_hour(time));
            let through_id = database.last_id();
            let committed =
                database.commit_with_forecasts(batch, &forecasts, &cursors, oldest_hour)?;
            database.save_windows(windows, through_id)?;
            Ok(committed)
        });
        match &committed {
            Ok(counts) => {
                shared.cursors_saved(&cursors, now.mono);
                shared.rows_stored(*counts, database.last_id(), forecasts.len());
                self.forget_saved_forecasts();
            }
            Err(_) => *open = None,
        }
        committed.map_err(sqlite)
    }
}
