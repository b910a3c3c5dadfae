//! Deadline timer: one sleep for the deadlines of all connections.
//!
//! Owned by the server's thread. The maintenance loop sleeps until the earliest deadline it
//! knows of; setting an earlier one wakes it. Nothing here ticks while nothing is due.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};
use std::time::Instant;

use smol::Timer;

#[derive(Default)]
pub struct DeadlineTimer {
    /// Until when the loop sleeps; `None` while it does not.
    armed: Cell<Option<Instant>>,
    waker: RefCell<Option<Waker>>,
}

impl DeadlineTimer {
    /// Makes sure that the loop runs at `deadline` at the latest.
    pub fn wake_before(&self, deadline: Instant) {
        if self.armed.get().is_some_and(|armed| deadline < armed) {
            self.wake();
        }
    }

    /// Ends the sleep now.
    pub fn wake(&self) {
        self.armed.set(None);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    pub async fn sleep_until(&self, deadline: Instant) {
        self.armed.set(Some(deadline));
        let woken = poll_fn(|context| {
            if self.armed.get().is_none() {
                return Poll::Ready(());
            }
            *self.waker.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        });
        let slept = async {
            Timer::at(deadline).await;
        };
        smol::future::or(woken, slept).await;
        self.armed.set(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_earlier_deadline_ends_the_sleep_and_a_later_one_does_not() {
        let timer = DeadlineTimer::default();
        let start = Instant::now();
        let far = start + Duration::from_secs(3600);
        let earlier = async {
            timer.wake_before(far + Duration::from_secs(1));
            assert_eq!(timer.armed.get(), Some(far));
            timer.wake_before(far - Duration::from_secs(1));
        };
        smol::block_on(smol::future::zip(timer.sleep_until(far), earlier));
        assert!(start.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_sleep_ends_at_its_deadline() {
        let timer = DeadlineTimer::default();
        let deadline = Instant::now() + Duration::from_millis(5);
        smol::block_on(timer.sleep_until(deadline));
        assert!(Instant::now() >= deadline);
    }
}
