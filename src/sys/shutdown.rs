//! Graceful shutdown signal for blocking and asynchronous waits.
//!
//! [`StopSource`] is held by the owner of a part; dropping it stops too, so that a part cannot
//! outlive its owner after an early return. [`StopToken`] is what threads wait on
//! instead of sleeping: any thread. What cannot wait on it (a socket, another condition
//! variable) registers a callback.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::sync::{Condvar, Mutex};

#[derive(Default)]
struct StopShared {
    state: Mutex<StopState>,
    changed: Condvar,
}

#[derive(Default)]
struct StopState {
    is_stopping: bool,
    wakes: u64,
    callbacks: BTreeMap<u64, Box<dyn FnOnce() + Send>>,
    wake_callbacks: BTreeMap<u64, Arc<dyn Fn() + Send + Sync>>,
    next_callback: u64,
}

/// Why a wait has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WakeReason {
    Stop,
    /// [`StopToken::wake`] was called.
    Wake,
    Elapsed,
}

/// Stops everything that holds a [`StopToken`] of it.
#[derive(Default)]
pub struct StopSource(Arc<StopShared>);

/// Listens for the stop. Cheap to clone, one per thread. The default one is never stopped.
#[derive(Clone, Default)]
pub struct StopToken(Arc<StopShared>);

impl StopSource {
    pub fn new() -> StopSource {
        StopSource::default()
    }

    pub fn token(&self) -> StopToken {
        StopToken(self.0.clone())
    }

    /// Ends every wait, now and in future, and runs the callbacks.
    pub fn stop(&self) {
        let mut state = self.0.state.lock();
        state.is_stopping = true;
        let callbacks = std::mem::take(&mut state.callbacks);
        drop(state);
        self.0.changed.notify_all();
        for callback in callbacks.into_values() {
            callback();
        }
    }
}

impl std::fmt::Debug for StopSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StopSource")
    }
}

impl Drop for StopSource {
    fn drop(&mut self) {
        self.stop();
    }
}

impl StopToken {
    /// Sleeps for `span` or until the stop; true if stopping.
    pub fn wait(&self, span: Duration) -> bool {
        self.wait_for(span, None) == WakeReason::Stop
    }

    /// The same, but a wake-up that is not among those `seen` ends it too.
    pub fn wait_or_wake(&self, span: Duration, seen: &mut u64) -> WakeReason {
        self.wait_for(span, Some(seen))
    }

    /// Ends every [`StopToken::wait_or_wake`] once.
    pub fn wake(&self) {
        let mut state = self.0.state.lock();
        state.wakes += 1;
        let callbacks: Vec<_> = state.wake_callbacks.values().cloned().collect();
        drop(state);
        self.0.changed.notify_all();
        for callback in callbacks {
            callback();
        }
    }

    pub fn is_stopping(&self) -> bool {
        self.0.state.lock().is_stopping
    }

    /// Resolves when the stop begins.
    pub fn stopped(&self) -> Stopped<'_> {
        Stopped {
            token: self,
            registered: None,
        }
    }

    /// Calls `callback` when the stop begins, on the thread that stops; at once if it has begun.
    /// It must be short. Dropping the result unregisters it.
    pub fn on_stop(&self, callback: impl FnOnce() + Send + 'static) -> StopCallback {
        let mut state = self.0.state.lock();
        let id = state.next_callback;
        if state.is_stopping {
            drop(state);
            callback();
        } else {
            state.next_callback += 1;
            state.callbacks.insert(id, Box::new(callback));
        }
        StopCallback {
            token: self.clone(),
            id,
        }
    }

    /// Calls `callback` at each [`StopToken::wake`], on the thread that wakes. It must be short.
    /// Dropping the result unregisters it.
    pub fn on_wake(&self, callback: impl Fn() + Send + Sync + 'static) -> WakeCallback {
        let mut state = self.0.state.lock();
        let id = state.next_callback;
        state.next_callback += 1;
        state.wake_callbacks.insert(id, Arc::new(callback));
        WakeCallback {
            token: self.clone(),
            id,
        }
    }

    fn wait_for(&self, span: Duration, mut seen: Option<&mut u64>) -> WakeReason {
        let deadline = Instant::now().checked_add(span);
        let mut state = self.0.state.lock();
        while !state.is_stopping {
            if let Some(seen) = &mut seen
                && std::mem::replace(*seen, state.wakes) != state.wakes
            {
                return WakeReason::Wake;
            }
            let rest = match deadline {
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
                None => span,
            };
            if rest.is_zero() {
                return WakeReason::Elapsed;
            }
            state = self.0.changed.wait_timeout(state, rest);
        }
        WakeReason::Stop
    }
}

/// See [`StopToken::stopped`].
pub struct Stopped<'a> {
    token: &'a StopToken,
    registered: Option<StopCallback>,
}

impl Future for Stopped<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.token.is_stopping() {
            return Poll::Ready(());
        }
        // Called at once if the stop begins just now; dropped with this future.
        let waker = context.waker().clone();
        self.registered = Some(self.token.on_stop(move || waker.wake()));
        Poll::Pending
    }
}

/// A registered callback; see [`StopToken::on_stop`].
pub struct StopCallback {
    token: StopToken,
    id: u64,
}

/// See [`StopToken::on_wake`].
pub struct WakeCallback {
    token: StopToken,
    id: u64,
}

impl Drop for WakeCallback {
    fn drop(&mut self) {
        let callback = self.token.0.state.lock().wake_callbacks.remove(&self.id);
        drop(callback);
    }
}

impl Drop for StopCallback {
    fn drop(&mut self) {
        let callback = self.token.0.state.lock().callbacks.remove(&self.id);
        // What it holds is dropped without the lock.
        drop(callback);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_wait_ends_when_the_stop_begins() {
        let source = StopSource::new();
        let token = source.token();
        let waiter = std::thread::spawn(move || token.wait(LONG));
        source.stop();
        assert!(waiter.join().expect("the waiter does not panic"));
    }

    #[test]
    fn an_asynchronous_wait_ends_when_the_stop_begins() {
        let source = StopSource::new();
        let token = source.token();
        let waiter = std::thread::spawn(move || smol::block_on(token.stopped()));
        source.stop();
        waiter.join().expect("the waiter does not panic");
        smol::block_on(source.token().stopped());
    }

    #[test]
    fn a_wake_ends_one_wait_or_wake_and_no_plain_wait() {
        let source = StopSource::new();
        let waiter = source.token();
        let (send, reasons) = std::sync::mpsc::channel();
        let waiter = std::thread::spawn(move || {
            let mut seen = 0;
            let reason = waiter.wait_or_wake(LONG, &mut seen);
            send.send(reason).expect("the test listens");
            waiter.wait(LONG)
        });
        let token = source.token();
        token.wake();
        assert_eq!(reasons.recv(), Ok(WakeReason::Wake));
        assert!(!token.wait(Duration::from_millis(1)), "a wake is no stop");
        source.stop();
        assert!(waiter.join().expect("the waiter does not panic"));
        let source = StopSource::new();
        let token = source.token();
        token.wake();
        let mut seen = 0;
        let mut wait = || token.wait_or_wake(Duration::from_millis(1), &mut seen);
        assert_eq!([wait(), wait()], [WakeReason::Wake, WakeReason::Elapsed]);
    }

    #[test]
    fn dropping_the_source_stops_too() {
        let source = StopSource::new();
        let token = source.token();
        assert!(!token.wait(Duration::from_millis(1)));
        drop(source);
        assert!(token.is_stopping());
    }

    #[test]
    fn callbacks_run_once_at_the_stop_and_not_after_they_are_dropped() {
        let source = StopSource::new();
        let (token, calls) = (source.token(), Arc::new(AtomicU32::new(0)));
        let callback = || {
            let calls = calls.clone();
            move || {
                calls.fetch_add(1, Ordering::SeqCst);
            }
        };
        let registered = token.on_stop(callback());
        drop(token.on_stop(callback()));
        source.stop();
        source.stop();
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        drop(registered);
        let late = token.on_stop(callback());
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        drop(late);
    }
}
