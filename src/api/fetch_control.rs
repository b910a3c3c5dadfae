//! Fetch control: stop flag, deadline and current connection of one source's fetches.
//!
//! ureq's own resolver and connector cannot be interrupted, and report a failed lookup, a
//! refused connection and a reset alike. `dns` and `tcp` replace them: each wait checks the
//! stop flag here, each error is a [`ConnectError`]. Runs on the fetch thread; a lookup and
//! a TCP handshake wait on a helper thread, one of each kind per source at most. Must not log,
//! retry or classify.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ureq::Timeout;
use ureq::unversioned::transport::{NextTimeout, ShutdownHandle, time};

use super::connect_error::{ConnectError, RedirectScope};
use crate::limits;
use crate::sys::shutdown::{StopSource, WakeReason};
use crate::sys::sync::{Condvar, Mutex};
use crate::sys::thread::{catch_panic, spawn};

/// State that the fetches of one source share with its connections.
#[derive(Debug, Default)]
pub struct FetchControl {
    stop: StopSource,
    /// Deadline of the current fetch.
    deadline: Mutex<Option<Instant>>,
    pub connections_opened: AtomicU64,
    /// Whether any connection went to this machine, whose clock is the same.
    used_loopback: AtomicBool,
    /// Whether anything of a response has arrived.
    has_input: AtomicBool,
    /// Whether TLS said that the server closed the connection on purpose.
    is_tls_closed: AtomicBool,
    /// Which addresses requests may connect to now.
    scope: Mutex<RedirectScope>,
    /// Peer of the connection that was last written to.
    pub peer: Mutex<Option<IpAddr>>,
    /// The connection in use.
    connection: Mutex<Weak<TcpConnection>>,
    /// Whether the response to the current request must not be lost.
    is_kept: Mutex<bool>,
    kept_ended: Condvar,
    /// A lookup that outlived its fetch: the next fetch waits for it instead of starting another.
    pub lookup: Mutex<Option<(String, Receiver<Lookup>)>>,
}

pub type Lookup = io::Result<Vec<SocketAddr>>;

impl FetchControl {
    /// Ends every wait, now and in future; that for a response that must not be lost a little later.
    pub fn stop(self: &Arc<Self>) {
        self.stop.stop();
        if *self.is_kept.lock() {
            let control = self.clone();
            let later = spawn("stop-request", move || {
                control.wait_for_kept_response();
                control.shut_down_connection();
            });
            if later.is_ok() {
                return;
            }
        }
        self.shut_down_connection();
    }

    fn shut_down_connection(&self) {
        // Another source's agent may have opened it.
        if let Some(connection) = self.connection() {
            connection.shutdown();
        }
    }

    fn wait_for_kept_response(&self) {
        let is_kept = self.is_kept.lock();
        let span = limits::AUTH_STOP_GRACE;
        drop(self.kept_ended.wait_timeout_while(is_kept, span, |it| *it));
    }

    /// While the result exists, a stop waits [`limits::AUTH_STOP_GRACE`] for the response to the
    /// current request.
    pub fn keep_response(&self) -> KeptResponse<'_> {
        *self.is_kept.lock() = true;
        KeptResponse(self)
    }

    /// The connection in use, if it is open.
    pub fn connection(&self) -> Option<Arc<TcpConnection>> {
        self.connection.lock().upgrade()
    }

    /// Takes over a pooled connection, which another source may have opened.
    pub fn adopt(self: &Arc<Self>, connection: &Arc<TcpConnection>) -> Result<(), ConnectError> {
        *connection.control.lock() = self.clone();
        *self.connection.lock() = Arc::downgrade(connection);
        self.note_loopback(connection.peer);
        if self.is_stopped() {
            Err(ConnectError::Stopped)
        } else {
            Ok(())
        }
    }

    fn note_loopback(&self, peer: IpAddr) {
        if peer.to_canonical().is_loopback() {
            self.used_loopback.store(true, Ordering::Relaxed);
        }
    }

    pub fn is_stopped(&self) -> bool {
        self.stop.token().is_stopping()
    }

    pub fn set_deadline(&self, deadline: Instant) {
        *self.deadline.lock() = Some(deadline);
    }

    /// Connections opened so far: unchanged by a request that used a pooled one.
    pub fn connections_opened(&self) -> u64 {
        self.connections_opened.load(Ordering::Relaxed)
    }

    pub fn used_loopback(&self) -> bool {
        self.used_loopback.load(Ordering::Relaxed)
    }

    pub fn forget_input(&self) {
        self.has_input.store(false, Ordering::Relaxed);
    }

    pub fn note_input(&self) {
        self.has_input.store(true, Ordering::Relaxed);
    }

    /// Whether anything of a response has arrived since it was forgotten.
    pub fn has_input(&self) -> bool {
        self.has_input.load(Ordering::Relaxed)
    }

    /// Notes the close_notify of TLS: what was sent is complete.
    pub fn note_tls_close(&self) {
        self.is_tls_closed.store(true, Ordering::Relaxed);
    }

    /// Whether it came since the last call.
    pub fn take_tls_close(&self) -> bool {
        self.is_tls_closed.swap(false, Ordering::Relaxed)
    }

    /// Sets which addresses the next requests may connect to.
    pub fn set_scope(&self, scope: RedirectScope) {
        *self.scope.lock() = scope;
    }

    /// The same; returns what held before.
    pub fn replace_scope(&self, scope: RedirectScope) -> RedirectScope {
        std::mem::replace(&mut *self.scope.lock(), scope)
    }

    pub fn forbids(&self, address: IpAddr) -> Option<ConnectError> {
        self.scope.lock().forbids(address)
    }

    /// The address that the last request was sent to; the proxy's, if there is one.
    pub fn peer(&self) -> Option<IpAddr> {
        *self.peer.lock()
    }

    /// Time left: the less of `after` and the whole fetch.
    pub fn time_left(&self, after: time::Duration) -> Duration {
        let left = self
            .deadline
            .lock()
            .map_or(limits::FETCH_TIMEOUT, |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
        left.min(*after)
    }

    /// Deadline of a read or write, and the reason to report when it passes.
    pub fn deadline(&self, timeout: NextTimeout) -> (Instant, Timeout) {
        let left = self.time_left(timeout.after);
        let reason = if left < *timeout.after {
            Timeout::Global
        } else {
            timeout.reason
        };
        (Instant::now() + left, reason)
    }

    /// Waits for a helper's result; `None` on timeout.
    pub fn wait_for<T>(
        &self,
        answer: &Receiver<T>,
        timeout: Duration,
    ) -> Result<Option<T>, ConnectError> {
        let (token, deadline) = (self.stop.token(), Instant::now() + timeout);
        let mut seen = 0;
        loop {
            if token.is_stopping() {
                return Err(ConnectError::Stopped);
            }
            match answer.try_recv() {
                Ok(answer) => return Ok(Some(answer)),
                Err(TryRecvError::Disconnected) => return Ok(None),
                Err(TryRecvError::Empty) => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if token.wait_or_wake(left, &mut seen) == WakeReason::Elapsed {
                return Ok(None);
            }
        }
    }

    /// Runs `work` on a helper thread, so that the fetch can abandon it.
    pub fn spawn_helper<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Receiver<T>> {
        let (sender, answer) = sync_channel(1);
        let token = self.stop.token();
        spawn(name, move || {
            if let Some(answer) = catch_panic("a helper of a fetch", work) {
                // The fetch may have abandoned it.
                let _ = sender.send(answer);
            }
            drop(sender);
            token.wake();
        })?;
        Ok(answer)
    }
}

/// See [`FetchControl::keep_response`].
pub struct KeptResponse<'a>(&'a FetchControl);

impl Drop for KeptResponse<'_> {
    fn drop(&mut self) {
        *self.0.is_kept.lock() = false;
        self.0.kept_ended.notify_all();
    }
}

/// An open connection, and the control of the source that uses it.
pub struct TcpConnection {
    pub control: Mutex<Arc<FetchControl>>,
    pub stream: TcpStream,
    pub peer: IpAddr,
}

impl fmt::Debug for TcpConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TcpConnection to {}", self.peer)
    }
}

impl ShutdownHandle for TcpConnection {
    /// Interrupts reads and writes of another thread.
    fn shutdown(&self) {
        // It may be closed already.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}
