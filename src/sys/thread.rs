//! Thread runner: names, stack size, panics caught and counted, joins with a deadline.
//!
//! Every thread of the node is started here. A loop runs each iteration in [`catch_panic`]: a
//! panic costs that iteration, is logged and counted by thread, and the loop goes on. One that
//! escapes a thread's function is counted likewise.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::sync::Mutex;
use crate::limits;

/// A running thread.
pub struct Thread {
    name: String,
    handle: JoinHandle<()>,
    /// Disconnects when the thread has ended, however it did.
    ended: Receiver<()>,
}

/// Starts a thread. `name` is what the kernel shows, cut at 15 bytes; what is before its first
/// `-` is its label in [`panics`].
pub fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    let label = name.split('-').next().unwrap_or(name).to_owned();
    PANICS.lock().entry(label.clone()).or_default();
    start(name, move || {
        LABEL.set(Some(label));
        catch_panic("the thread", run);
    })
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
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

/// Checks that `count` more threads can be started now. Libraries panic where one cannot, so it
/// is tried before they are needed.
pub fn check_spawn(count: usize) -> io::Result<()> {
    let mut waiting = Vec::with_capacity(count);
    for _ in 0..count {
        let (release, wait) = channel::<()>();
        let run = move || {
            // Ends when the sender is dropped.
            let _ = wait.recv();
        };
        waiting.push((release, start("room", run)?));
    }
    for (release, thread) in waiting {
        drop(release);
        thread.join_by(Instant::now() + limits::SHUTDOWN_TIMEOUT);
    }
    Ok(())
}

/// Lowers the CPU priority of this thread: its nice value grows by 5. Where the kernel forbids
/// that, it keeps its priority.
pub fn lower_priority() {
    if let Err(error) = rustix::process::nice(5) {
        log::debug!("a thread keeps its priority: {error}");
    }
}

/// Called now and then by work that takes milliseconds without a system call. Kernels that
/// preempt lazily (Linux from 6.13 on) let a thread that was woken wait for the next tick, 4 ms,
/// unless the one that runs enters the kernel; if no thread waits this takes a microsecond.
pub fn yield_cpu() {
    std::thread::yield_now();
}

impl Thread {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits for the end, at most until `deadline`; false leaves the thread behind.
    pub fn join_by(self, deadline: Instant) -> bool {
        let rest = deadline.saturating_duration_since(Instant::now());
        // Nothing is ever sent: it disconnects when the thread has ended.
        let ended = self.ended.recv_timeout(rest.max(Duration::from_millis(1)));
        let has_ended = ended == Err(RecvTimeoutError::Disconnected);
        if has_ended {
            // `run` catches panics; there is nothing to learn from the result.
            let _ = self.handle.join();
        }
        has_ended
    }
}

/// By label of the thread.
static PANICS: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

thread_local! {
    static LABEL: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Panics caught since start, by label of the thread; a thread that never panicked has 0.
pub fn panics() -> BTreeMap<String, u64> {
    PANICS.lock().clone()
}

/// Runs one iteration of a loop; a panic in it is logged, counted, and costs that iteration
/// alone. `what` names the iteration in the log.
pub fn catch_panic<T>(what: &str, iteration: impl FnOnce() -> T) -> Option<T> {
    // A loop's state may be half changed by the panic; each loop here holds values that
    // stay meaningful so (counters, maps of whole entries).
    let result = catch_unwind(AssertUnwindSafe(iteration));
    if result.is_err() {
        count_panic(what);
    }
    result.ok()
}

/// Counts a panic that was caught on this thread. The 1st, 2nd, 4th, 8th … of a thread is
/// logged, so that repeated panics cannot fill the log.
pub fn count_panic(what: &str) {
    let label = LABEL.with_borrow(|label| label.clone());
    let label = label.unwrap_or_else(|| "other".to_owned());
    let mut panics = PANICS.lock();
    let count = panics.entry(label).or_default();
    *count += 1;
    let count = *count;
    drop(panics);
    if count.is_power_of_two() {
        log::error!(
            "{what}: internal error; this iteration was skipped ({count} so far on this thread)"
        );
    }
}

/// Waits for all until `deadline`: the names of those that did not end in time.
pub fn join_all(threads: Vec<Thread>, deadline: Instant) -> Vec<String> {
    let late = threads.into_iter().filter_map(|thread| {
        let name = thread.name().to_owned();
        (!thread.join_by(deadline)).then_some(name)
    });
    late.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn count(label: &str) -> u64 {
        panics().get(label).copied().unwrap_or(0)
    }

    #[test]
    fn a_panic_costs_one_iteration_and_is_counted_by_thread() {
        let (send, results) = channel();
        let thread = spawn("panicking-7", move || {
            for result in [
                catch_panic("test", || 1),
                catch_panic("test", || -> u8 { panic!("on purpose") }),
            ] {
                send.send(result).expect("the test listens");
            }
        })
        .expect("a thread starts");
        assert!(thread.join_by(Instant::now() + LONG));
        assert_eq!(results.iter().collect::<Vec<_>>(), [Some(1), None]);
        assert_eq!(count("panicking"), 1);
    }

    #[test]
    fn a_panic_that_ends_a_thread_is_counted_too() {
        let thread = spawn("ending", || panic!("on purpose")).expect("a thread starts");
        assert!(thread.join_by(Instant::now() + LONG));
        assert_eq!(count("ending"), 1);
        let well = spawn("well", || ()).expect("a thread starts");
        assert!(well.join_by(Instant::now() + LONG));
        assert_eq!(panics().get("well"), Some(&0));
    }

    #[test]
    fn the_spawn_check_ends_its_threads() {
        check_spawn(8).expect("eight threads can be started");
        assert!(check_spawn(0).is_ok());
    }

    #[test]
    fn a_join_of_a_thread_that_does_not_end_times_out() {
        let (release, wait) = channel::<()>();
        let thread = spawn("test", move || {
            // Ends with an error when the test releases it.
            let _ = wait.recv();
        })
        .expect("a thread starts");
        assert!(!thread.join_by(Instant::now()));
        drop(release);
        let thread = spawn("test", || ()).expect("a thread starts");
        assert!(thread.join_by(Instant::now() + LONG));
    }
}
