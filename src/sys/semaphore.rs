//! Counting semaphore: limits how much CPU-heavy work runs at once.
//!
//! Any thread; the permit is given back when it is dropped.

use std::thread::available_parallelism;
use std::time::Duration;

use super::sync::{Condvar, Mutex};

/// A number of permits; [`Semaphore::acquire`] waits while none is free.
pub struct Semaphore {
    free: Mutex<usize>,
    freed: Condvar,
}

/// One permit, for as long as it is held.
pub struct SemaphorePermit<'a>(&'a Semaphore);

impl Semaphore {
    /// As many as leave one processor to others; at least one.
    pub fn leaving_one_cpu() -> Semaphore {
        let processors = available_parallelism().map_or(1, |count| count.get());
        Semaphore::new(processors.saturating_sub(1).max(1))
    }

    fn new(count: usize) -> Semaphore {
        Semaphore {
            free: Mutex::new(count),
            freed: Condvar::new(),
        }
    }

    /// None if no permit was free within `time`.
    pub fn acquire(&self, time: Duration) -> Option<SemaphorePermit<'_>> {
        let free = self.free.lock();
        let mut free = self.freed.wait_timeout_while(free, time, |free| *free == 0);
        if *free == 0 {
            return None;
        }
        *free -= 1;
        Some(SemaphorePermit(self))
    }
}

impl Drop for SemaphorePermit<'_> {
    /// Also when its holder panics.
    fn drop(&mut self) {
        *self.0.free.lock() += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn concurrency_is_limited_to_the_permits_and_every_thread_gets_one() {
        let semaphore = Semaphore::new(2);
        let (now, most, done) = (
            AtomicUsize::new(0),
            AtomicUsize::new(0),
            AtomicUsize::new(0),
        );
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let _permit = semaphore
                        .acquire(LONG)
                        .expect("each permit is held briefly");
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::yield_now();
                    now.fetch_sub(1, Ordering::SeqCst);
                    done.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(done.into_inner(), 8);
        assert!((1..=2).contains(&most.into_inner()));
    }

    #[test]
    fn a_panic_releases_its_permit() {
        let semaphore = Semaphore::new(1);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _permit = semaphore.acquire(LONG);
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        assert!(semaphore.acquire(Duration::ZERO).is_some());
    }

    #[test]
    fn an_acquire_times_out() {
        let semaphore = Semaphore::new(1);
        let permit = semaphore.acquire(Duration::ZERO);
        assert!(permit.is_some());
        assert!(semaphore.acquire(Duration::from_millis(1)).is_none());
        drop(permit);
        assert!(semaphore.acquire(Duration::ZERO).is_some());
    }
}
