//! Alerts in the storage thread: commits of `ingest` at once, the outbox for those who deliver.
//!
//! `ingest` only queues; the store thread writes. The delivery threads wait for the disk: what
//! they get is on it, or the disk has refused it.

use std::sync::Arc;

use super::{Store, StoreShared};
use crate::db::database::Database;
use crate::db::error;
use crate::db::outbox;
use crate::db::retry_request;
use crate::domain::alert::AlertCommit;
use crate::domain::outbox::{DeliveryOutcome, Incident, Outbox, PendingItems};

impl Store {
    /// Takes the alerts' state and events; they are committed at once. Never waits for the
    /// disk.
    pub fn commit_alerts(&self, commit: AlertCommit) {
        self.shared.queue.lock().alerts.push_back(commit);
        self.shared.changed.notify_all();
    }

    /// The newest incidents, the newest first.
    pub fn incidents(&self, most: usize) -> Result<Vec<Incident>, String> {
        match &*self.shared.database.lock() {
            Some(database) => outbox::incidents(database.connection(), most)
                .map_err(|error| error::describe(&error)),
            None => Err("the database cannot be read".to_owned()),
        }
    }
}

/// The outbox, for one who delivers.
pub struct StoredOutbox(pub Arc<Store>);

impl Outbox for StoredOutbox {
    fn pending(&self, channel: &str) -> PendingItems {
        let buffer = self.0.shared.outbox_buffer.lock();
        let database = self.0.shared.database.lock();
        buffer.pending(database.as_ref().map(Database::connection), channel)
    }

    fn record(&self, channel: &str, outcome: DeliveryOutcome) {
        let mut buffer = self.0.shared.outbox_buffer.lock();
        let mut database = self.0.shared.database.lock();
        let connection = database.as_mut().map(Database::connection_mut);
        if let Err(error) = buffer.record(connection, channel, outcome) {
            log::debug!("{channel}: the delivery status of an alert cannot be stored yet: {error}");
        }
        if let Some(database) = &*database {
            database.note_write();
        }
    }

    fn is_retry_requested(&self, channel: &str) -> bool {
        retry_request::take(&self.0.shared.settings.location.path, channel)
    }
}

impl StoreShared {
    /// Moves the queue of `ingest` to the write buffer; whether an event is to be delivered.
    pub(super) fn buffer_alerts(&self) -> bool {
        let queued = std::mem::take(&mut self.queue.lock().alerts);
        let mut buffer = self.outbox_buffer.lock();
        if queued.is_empty() {
            return buffer.is_urgent();
        }
        let database = self.database.lock();
        let connection = database.as_ref().map(Database::connection);
        for commit in queued {
            buffer.add(commit, &self.settings.channels, connection);
        }
        buffer.is_urgent()
    }

    /// Writes what waits, if there is a database, and wakes those who deliver.
    pub(super) fn flush_alerts(&self) -> rusqlite::Result<()> {
        let mut buffer = self.outbox_buffer.lock();
        if buffer.is_empty() {
            return Ok(());
        }
        let written = match &mut *self.database.lock() {
            Some(database) => {
                let written = buffer.flush(database.connection_mut());
                database.note_write();
                written
            }
            None => {
                buffer.mark_disk_failed();
                Ok(())
            }
        };
        drop(buffer);
        (self.settings.on_outbox_changed)();
        written
    }
}
