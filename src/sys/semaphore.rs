//! Work that would take every processor, kept to fewer.

use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

/// Turns at something; whoever finds none free waits.
pub struct Turns {
    free: Mutex<usize>,
    freed: Condvar,
}

/// One turn, for as long as it is held.
pub struct Turn<'a>(&'a Turns);

impl Turns {
    /// As many as leave one processor to others; at least one.
    pub fn sparing_one_processor() -> Turns {
        let processors = available_parallelism().map_or(1, |count| count.get());
        Turns::new(processors.saturating_sub(1).max(1))
    }

    fn new(count: usize) -> Turns {
        Turns {
            free: Mutex::new(count),
            freed: Condvar::new(),
        }
    }

    /// None if no turn came within `time`.
    pub fn wait(&self, time: Duration) -> Option<Turn<'_>> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut free, _) = self
            .freed
            .wait_timeout_while(free, time, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        if *free == 0 {
            return None;
        }
        *free -= 1;
        Some(Turn(self))
    }
}

impl Drop for Turn<'_> {
    /// Also when its holder panics.
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
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
    fn no_more_than_there_are_turns_work_at_once_and_all_come_to_it() {
        let turns = Turns::new(2);
        let (now, most, done) = (
            AtomicUsize::new(0),
            AtomicUsize::new(0),
            AtomicUsize::new(0),
        );
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let _turn = turns.wait(LONG).expect("each turn is short");
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
    fn a_panic_gives_its_turn_back() {
        let turns = Turns::new(1);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _turn = turns.wait(LONG);
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        assert!(turns.wait(Duration::ZERO).is_some());
    }

    #[test]
    fn who_finds_no_turn_in_time_goes_without() {
        let turns = Turns::new(1);
        let turn = turns.wait(Duration::ZERO);
        assert!(turn.is_some());
        assert!(turns.wait(Duration::from_millis(1)).is_none());
        drop(turn);
        assert!(turns.wait(Duration::ZERO).is_some());
    }
}
