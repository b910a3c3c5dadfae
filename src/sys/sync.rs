//! Locks and condition variables that ignore poisoning.
//!
//! A panic is caught at the edge of an iteration (`sys::thread`) and the node goes on, so a lock
//! whose holder panicked must stay usable: what it guards is valid between any two statements.

use std::sync::{self, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// [`sync::Mutex`] without poisoning.
#[derive(Debug, Default)]
pub struct Mutex<T>(sync::Mutex<T>);

impl<T> Mutex<T> {
    pub const fn new(value: T) -> Mutex<T> {
        Mutex(sync::Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` while another thread holds it.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// [`sync::Condvar`] for guards of [`Mutex`].
#[derive(Debug, Default)]
pub struct Condvar(sync::Condvar);

impl Condvar {
    pub const fn new() -> Condvar {
        Condvar(sync::Condvar::new())
    }

    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    pub fn notify_all(&self) {
        self.0.notify_all();
    }

    /// Waits for a notification, at most for `span`; wakes spuriously too.
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        span: Duration,
    ) -> MutexGuard<'a, T> {
        let waited = self.0.wait_timeout(guard, span);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits as long as `condition` holds, at most for `span`.
    pub fn wait_timeout_while<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        span: Duration,
        condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        let waited = self.0.wait_timeout_while(guard, span, condition);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_lock_whose_holder_panicked_stays_usable() {
        let shared = Arc::new((Mutex::new(1), Condvar::new()));
        let holder = shared.clone();
        let panicked = std::thread::spawn(move || {
            let mut value = holder.0.lock();
            *value = 2;
            panic!("on purpose");
        });
        assert!(panicked.join().is_err());
        let (mutex, changed) = &*shared;
        let guard = mutex.lock();
        assert_eq!(*guard, 2);
        assert!(mutex.try_lock().is_none());
        drop(guard);
        assert!(mutex.try_lock().is_some());
        let value = changed.wait_timeout(mutex.lock(), Duration::ZERO);
        let value = changed.wait_timeout_while(value, Duration::ZERO, |value| *value == 2);
        assert_eq!(*value, 2);
    }
}
