//! Windows of derived keys in the storage thread: saved with commits, rebuilt between them.
//!
//! `ingest` only queues, and fetches what was rebuilt.

use std::sync::Arc;

use super::Store;
use crate::domain::derived::{RebuiltWindow, SavedWindow, WindowRebuild, WindowStorage};

/// The storage of windows, for `ingest`.
pub struct StoredWindows(pub Arc<Store>);

impl WindowStorage for StoredWindows {
    fn save(&self, windows: Vec<SavedWindow>) {
        self.0.shared.queue.lock().windows = windows;
    }

    fn rebuild(&self, rebuild: WindowRebuild) {
        self.0.shared.queue.lock().rebuilds.push_back(rebuild);
        self.0.shared.changed.notify_all();
    }

    fn take_rebuilt(&self) -> Vec<RebuiltWindow> {
        std::mem::take(&mut self.0.shared.queue.lock().rebuilt)
    }
}
