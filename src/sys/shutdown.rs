//! The wish to stop, as a value that every wait listens to.
//!
//! [`Shutdown`] is held by whoever may stop a part; dropping it stops too, so that a part
//! cannot outlive its owner by an early return. [`Stopping`] is what threads wait on
//! instead of sleeping.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

#[derive(Default)]
struct Flag {
    stopping: Mutex<bool>,
    nudges: AtomicU64,
    changed: Condvar,
}

/// Why a wait has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    Stop,
    /// Somebody wants it to look now.
    Nudge,
    Elapsed,
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
        self.listen(span, None) == Woken::Stop
    }

    /// The same, but a nudge that is not among those `heard` ends it too.
    pub fn wait_or_nudge(&self, span: Duration, heard: &mut u64) -> Woken {
        self.listen(span, Some(heard))
    }

    /// Ends every wait that listens for it, once.
    pub fn nudge(&self) {
        // Under the lock, so that nobody looks just before and sleeps just after.
        let _stopping = self
            .0
            .stopping
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.0.nudges.fetch_add(1, Ordering::AcqRel);
        self.0.changed.notify_all();
    }

    fn listen(&self, span: Duration, mut heard: Option<&mut u64>) -> Woken {
        let deadline = Instant::now().checked_add(span);
        let mut stopping = self
            .0
            .stopping
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while !*stopping {
            let nudges = self.0.nudges.load(Ordering::Acquire);
            if let Some(heard) = &mut heard
                && std::mem::replace(*heard, nudges) != nudges
            {
                return Woken::Nudge;
            }
            let rest = match deadline {
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
                None => span,
            };
            if rest.is_zero() {
                return Woken::Elapsed;
            }
            (stopping, _) = self
                .0
                .changed
                .wait_timeout(stopping, rest)
                .unwrap_or_else(PoisonError::into_inner);
        }
        Woken::Stop
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
    fn a_nudge_ends_one_wait_of_those_who_listen_for_it() {
        let (shutdown, stopping) = shutdown();
        let waiter = stopping.clone();
        let (tell, told) = std::sync::mpsc::channel();
        let waiter = std::thread::spawn(move || {
            let mut heard = 0;
            let woken = waiter.wait_or_nudge(Duration::from_secs(3600), &mut heard);
            tell.send(woken).expect("the test listens");
            waiter.wait(Duration::from_secs(3600))
        });
        stopping.nudge();
        assert_eq!(told.recv(), Ok(Woken::Nudge));
        assert!(!stopping.wait(Duration::from_millis(1)), "it stops nobody");
        shutdown.begin();
        assert!(waiter.join().expect("the waiter does not panic"));
        let (_owner, stopping) = super::shutdown();
        stopping.nudge();
        let mut heard = 0;
        let mut wait = || stopping.wait_or_nudge(Duration::from_millis(1), &mut heard);
        assert_eq!([wait(), wait()], [Woken::Nudge, Woken::Elapsed]);
    }

    #[test]
    fn dropping_the_owner_stops_too() {
        let (shutdown, stopping) = shutdown();
        assert!(!stopping.wait(Duration::from_millis(1)));
        drop(shutdown);
        assert!(stopping.is_stopping());
    }
}
