//! Threads with a name, a stated stack, a shield against panics, and a join that ends.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crate::limits;

/// A running thread of ours.
pub struct Thread {
    name: String,
    handle: JoinHandle<()>,
    /// Disconnects when the thread has ended, however it did.
    ended: Receiver<()>,
}

/// Starts a thread. `name` is what the kernel shows, cut at 15 bytes.
pub fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    let (alive, ended) = channel();
    let handle = Builder::new()
        .name(name.to_owned())
        .stack_size(limits::STACK_BYTES)
        .spawn(move || {
            let _alive = alive;
            run();
        })?;
    Ok(Thread {
        name: name.to_owned(),
        handle,
        ended,
    })
}

/// Whether `count` more threads can be started now. Libraries panic where one cannot, so it
/// is tried before they are needed.
pub fn have_room(count: usize) -> io::Result<()> {
    let mut waiting = Vec::with_capacity(count);
    for _ in 0..count {
        let (release, wait) = channel::<()>();
        let run = move || {
            // Ends when the sender is dropped.
            let _ = wait.recv();
        };
        waiting.push((release, spawn("room", run)?));
    }
    for (release, thread) in waiting {
        drop(release);
        thread.join_by(Instant::now() + limits::STOP);
    }
    Ok(())
}

/// From now on this thread lets others go first when all want the processor: its nice value
/// grows by 5. Where the kernel forbids that, all stay equal.
pub fn give_way() {
    if let Err(error) = rustix::process::nice(5) {
        log::debug!("a thread keeps its priority: {error}");
    }
}

/// Called now and then by work that takes milliseconds without a system call. Kernels that
/// preempt lazily (Linux from 6.13 on) let a thread that was woken wait for the next tick, 4 ms,
/// unless the one that runs enters the kernel; where nobody waits this takes a microsecond.
pub fn let_others_run() {
    std::thread::yield_now();
}

impl Thread {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits for the end, at most until `deadline`; false leaves the thread behind.
    pub fn join_by(self, deadline: Instant) -> bool {
        let rest = deadline.saturating_duration_since(Instant::now());
        // Nobody ever sends: only the disconnection ends the wait early.
        let _ = self.ended.recv_timeout(rest.max(Duration::from_millis(1)));
        let ended = self.handle.is_finished() || {
            // The channel closes a moment before the thread is seen as finished.
            matches!(
                self.ended.try_recv(),
                Err(std::sync::mpsc::TryRecvError::Disconnected)
            )
        };
        if ended {
            // A panic was logged by its hook; there is nobody to pass it on to.
            let _ = self.handle.join();
        }
        ended
    }
}

static PANICS: AtomicU64 = AtomicU64::new(0);

/// Panics caught since start, for `/metrics`.
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// Runs one turn of a loop; a panic in it is logged, counted, and costs that turn alone.
pub fn shielded<T>(name: &str, turn: impl FnOnce() -> T) -> Option<T> {
    // A loop's state may be half changed by the panic; each loop here holds values that
    // stay meaningful so (counters, maps of whole entries).
    let result = catch_unwind(AssertUnwindSafe(turn));
    if result.is_err() {
        PANICS.fetch_add(1, Ordering::Relaxed);
        log::error!("{name}: a defect in main-node cost one turn of this loop; it goes on");
    }
    result.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_costs_one_turn() {
        let before = panics();
        assert_eq!(shielded("test", || 1), Some(1));
        assert_eq!(shielded("test", || -> u8 { panic!("on purpose") }), None);
        assert!(panics() > before);
    }

    #[test]
    fn room_for_threads_is_tried_and_given_back() {
        have_room(8).expect("eight threads can be started");
        assert!(have_room(0).is_ok());
    }

    #[test]
    fn a_thread_that_does_not_end_is_left_behind_in_time() {
        let (release, wait) = channel::<()>();
        let thread = spawn("test", move || {
            // Ends with an error when the test releases it.
            let _ = wait.recv();
        })
        .expect("a thread starts");
        assert!(!thread.join_by(Instant::now()));
        drop(release);
        let thread = spawn("test", || ()).expect("a thread starts");
        assert!(thread.join_by(Instant::now() + Duration::from_secs(60)));
    }
}
