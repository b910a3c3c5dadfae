//! Wake signal: wakes the thread of one channel, and stops it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Wakes one who delivers, and ends it. Each has its own: a ring is heard once.
#[derive(Clone, Default)]
pub struct WakeSignal(Arc<WakeState>);

#[derive(Default)]
struct WakeState {
    is_set: Mutex<bool>,
    changed: Condvar,
    is_closed: AtomicBool,
}

impl WakeSignal {
    /// Something new waits in the outbox.
    pub fn wake(&self) {
        *self.lock() = true;
        self.0.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.0.is_set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node stops.
    pub fn close(&self) {
        self.0.is_closed.store(true, Ordering::Release);
        self.wake();
    }

    pub fn is_closed(&self) -> bool {
        self.0.is_closed.load(Ordering::Acquire)
    }

    /// Waits for so long, or until the node stops.
    pub fn sleep(&self, span: Duration) {
        let deadline = Instant::now() + span;
        while !self.is_closed() {
            let rest = deadline.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return;
            }
            self.wait(rest);
        }
    }

    /// Waits for a ring, at most so long; whether it rang.
    pub fn wait(&self, span: Duration) -> bool {
        let deadline = Instant::now() + span;
        let mut is_set = self.lock();
        loop {
            if std::mem::take(&mut *is_set) {
                return true;
            }
            let rest = deadline.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return false;
            }
            let waited = self.0.changed.wait_timeout(is_set, rest);
            (is_set, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}
