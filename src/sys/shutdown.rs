//! The wish to stop, as a value that every wait listens to.
//!
//! [`Shutdown`] is held by whoever may stop a part; dropping it stops too, so that a part
//! cannot outlive its owner by an early return. [`Stopping`] is what threads wait on
//! instead of sleeping.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

#[derive(Default)]
struct Flag {
    stopping: Mutex<bool>,
    changed: Condvar,
}

/// The right to stop everything that holds the matching [`Stopping`].
pub struct Shutdown(Arc<Flag>);

/// Listens for the stop. Cheap to clone, one per thread.
#[derive(Clone)]
pub struct Stopping(Arc<Flag>);

pub fn shutdown() -> (Shutdown, Stopping) {
    let flag = Arc::new(Flag::default());
    (Shutdown(flag.clone()), Stopping(flag))
}

impl Shutdown {
    pub fn begin(&self) {
        *self
            .0
            .stopping
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }
}

impl Drop for Shutdown {
    fn drop(&mut self) {
        self.begin();
    }
}

impl Stopping {
    /// Sleeps for `span` or until the stop; true if stopping.
    pub fn wait(&self, span: Duration) -> bool {
        let deadline = Instant::now().checked_add(span);
        let mut stopping = self
            .0
            .stopping
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while !*stopping {
            let rest = match deadline {
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
                None => span,
            };
            if rest.is_zero() {
                return false;
            }
            (stopping, _) = self
                .0
                .changed
                .wait_timeout(stopping, rest)
                .unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    pub fn is_stopping(&self) -> bool {
        *self
            .0
            .stopping
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_when_the_stop_begins() {
        let (shutdown, stopping) = shutdown();
        let waiter = std::thread::spawn(move || stopping.wait(Duration::from_secs(3600)));
        shutdown.begin();
        assert!(waiter.join().expect("the waiter does not panic"));
    }

    #[test]
    fn dropping_the_owner_stops_too() {
        let (shutdown, stopping) = shutdown();
        assert!(!stopping.wait(Duration::from_millis(1)));
        drop(shutdown);
        assert!(stopping.is_stopping());
    }
}
