//! The newest snapshot, for outputs: a queue of one, in which the newest replaces what waits.

use std::sync::Arc;

use crate::domain::snapshot::{Snapshot, SnapshotSubscriber};
use crate::sys::shutdown::StopToken;
use crate::sys::sync::Mutex;

/// Written on the `ingest` thread, read by the threads of outputs.
#[derive(Clone, Default)]
pub struct LatestSnapshot(Arc<Mutex<Option<Arc<Snapshot>>>>);

impl LatestSnapshot {
    pub fn new(snapshot: Arc<Snapshot>) -> LatestSnapshot {
        LatestSnapshot(Arc::new(Mutex::new(Some(snapshot))))
    }

    pub fn get(&self) -> Option<Arc<Snapshot>> {
        self.0.lock().clone()
    }

    /// Keeps each snapshot until the next, and wakes the outputs.
    pub fn subscriber(&self, outputs: StopToken) -> SnapshotSubscriber {
        let latest = self.clone();
        Box::new(move |snapshot| {
            *latest.0.lock() = Some(snapshot.clone());
            outputs.wake();
        })
    }
}
