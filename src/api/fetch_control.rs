//! Stop flag, deadline and current connection of one source's fetches.
//!
//! ureq's own resolver and connector cannot be interrupted, and report a failed lookup, a
//! refused connection and a reset answer alike. `dns` and `tcp` can and do not: each wait looks at
//! the stop flag here, each failure is a [`ConnectError`]. Runs on the fetch thread; a lookup and
//! a TCP handshake wait on a helper thread, one of each kind per source at most. Must not log,
//! retry or judge.

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
use crate::sys::sync::Mutex;
use crate::sys::thread::{catch_panic, spawn};

/// What the fetches of one source share with its sockets.
#[derive(Debug, Default)]
pub struct FetchControl {
    stop: StopSource,
    /// The end of the fetch that runs.
    deadline: Mutex<Option<Instant>>,
    pub connections_opened: AtomicU64,
    /// Whether any connection went to this machine, whose clock is ours.
    used_loopback: AtomicBool,
    /// Where requests may go now.
    scope: Mutex<RedirectScope>,
    /// The other end of the connection that was last written to.
    pub peer: Mutex<Option<IpAddr>>,
    /// The connection that the fetch uses.
    connection: Mutex<Weak<TcpConnection>>,
    /// A lookup that outlived its fetch: the next one waits for it instead of piling up.
    pub lookup: Mutex<Option<(String, Receiver<Lookup>)>>,
}

pub type Lookup = io::Result<Vec<SocketAddr>>;

impl FetchControl {
    /// Ends every wait of this line, now and in future.
    pub fn stop(&self) {
        self.stop.stop();
        // Another source's agent may have opened it.
        if let Some(connection) = self.connection() {
            connection.shutdown();
        }
    }

    /// The connection that the fetch uses, if it is open.
    pub fn connection(&self) -> Option<Arc<TcpConnection>> {
        self.connection.lock().upgrade()
    }

    /// Makes a kept connection, which another source may have opened, this one's.
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

    /// Where the next requests may go.
    pub fn set_scope(&self, scope: RedirectScope) {
        *self.scope.lock() = scope;
    }

    pub fn forbids(&self, address: IpAddr) -> Option<ConnectError> {
        self.scope.lock().forbids(address)
    }

    /// The address that the last request was sent to: the proxy's, where there is one.
    pub fn peer(&self) -> Option<IpAddr> {
        *self.peer.lock()
    }

    /// What is left of `after` and of the whole fetch, whichever is less.
    pub fn time_left(&self, after: time::Duration) -> Duration {
        let left = self
            .deadline
            .lock()
            .map_or(limits::FETCH_TIMEOUT, |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
        left.min(*after)
    }

    /// When a read or write has to be over, and what is to be said if it is not.
    pub fn deadline(&self, timeout: NextTimeout) -> (Instant, Timeout) {
        let left = self.time_left(timeout.after);
        let reason = if left < *timeout.after {
            Timeout::Global
        } else {
            timeout.reason
        };
        (Instant::now() + left, reason)
    }

    /// Waits for a helper's answer; `None` when the time is up.
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

    /// Runs `work` beside the fetch, so that the fetch can walk away from it.
    pub fn spawn_helper<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Receiver<T>> {
        let (sender, answer) = sync_channel(1);
        let token = self.stop.token();
        spawn(name, move || {
            if let Some(answer) = catch_panic("a helper of a fetch", work) {
                // A fetch that walked away no longer listens.
                let _ = sender.send(answer);
            }
            drop(sender);
            token.wake();
        })?;
        Ok(answer)
    }
}

/// An open connection, and the line of the source whose fetch uses it.
pub struct TcpConnection {
    pub control: Mutex<Arc<FetchControl>>,
    pub stream: TcpStream,
    pub peer: IpAddr,
}

impl fmt::Debug for TcpConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link to {}", self.peer)
    }
}

impl ShutdownHandle for TcpConnection {
    /// Ends what another thread reads or writes.
    fn shutdown(&self) {
        // It may be closed already.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}
