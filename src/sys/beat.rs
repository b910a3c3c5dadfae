//! Signs of life of the loops, for `/healthz` and the watchdog.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::domain::time::Mono;

/// When a loop last ended a turn.
#[derive(Clone, Default)]
pub struct Beat(Arc<AtomicU64>);

impl Beat {
    pub fn turned(&self, now: Mono) {
        self.0.store(now.0, Ordering::Relaxed);
    }

    /// Time since the last turn.
    pub fn silence(&self, now: Mono) -> Duration {
        now.since(Mono(self.0.load(Ordering::Relaxed)))
    }
}
