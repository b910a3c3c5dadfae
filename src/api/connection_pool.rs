//! Connection pool of one server: a limit of open connections, a queue of fetches by due time,
//! and idle connections for reuse.
//!
//! Shared by the sources of one server (scheme, host, port, proxy, trusted certificates) and used on their
//! fetch threads. A fetch needs a [`PoolPermit`] before it opens or reuses a connection. Must
//! not resolve names, log, or classify errors.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::unversioned::transport::Transport;

use super::fetch_control::{FetchControl, TcpConnection};
use super::private_address;
use crate::domain::time::Mono;
use crate::limits;
use crate::sys::sync::{Condvar, Mutex};

/// Connections to one server at once, where no source says how many: a small device at home
/// has few sockets.
pub fn default_connections(host: &str) -> usize {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_home = match bare.parse::<IpAddr>() {
        Ok(address) => private_address::is_private_range(address),
        Err(_) => private_address::is_local_name(bare),
    };
    if is_home {
        limits::CONNECTIONS_PER_DEVICE
    } else {
        limits::CONNECTIONS_PER_SERVER
    }
}

pub struct ConnectionPool {
    /// Host, with its port where that is not the scheme's own.
    host: String,
    /// Connections at once, idle ones included.
    limit: usize,
    /// How long an idle connection is kept.
    idle_timeout: Duration,
    state: Mutex<ConnectionPoolState>,
    changed: Condvar,
}

#[derive(Default)]
struct ConnectionPoolState {
    /// Fetches that hold a permit.
    active: usize,
    /// Waiting fetches, by due time.
    queue: BTreeSet<(Mono, u64)>,
    tickets: u64,
    /// The longest idle first.
    idle: Vec<IdleConnection>,
}

pub struct IdleConnection {
    pub origin: String,
    pub transport: Box<dyn Transport>,
    pub connection: Arc<TcpConnection>,
    pub since: Instant,
}

impl fmt::Debug for ConnectionPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionPool({})", self.limit)
    }
}

impl ConnectionPool {
    /// Pool of the server at `origin`, with at most `limit` connections.
    pub fn new(origin: &str, limit: usize) -> Arc<ConnectionPool> {
        ConnectionPool::with_idle_timeout(origin, limit, limits::KEEP_ALIVE_TIMEOUT)
    }

    fn with_idle_timeout(
        origin: &str,
        limit: usize,
        idle_timeout: Duration,
    ) -> Arc<ConnectionPool> {
        let host = origin.split("://").last().unwrap_or_default();
        Arc::new(ConnectionPool {
            host: host.to_owned(),
            limit: limit.max(1),
            idle_timeout,
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ConnectionPoolState> {
        self.state.lock()
    }

    /// The warning when fetches wait for a whole interval.
    pub fn overload_warning(&self) -> String {
        let host = &self.host;
        format!("{host} answers slower than its sources ask: raise `connections` or `every`")
    }

    /// Queues a fetch that was due at `due`.
    pub fn queue(self: &Arc<Self>, due: Mono) -> PoolPermit {
        let mut state = self.lock();
        state.tickets += 1;
        let ticket = (due, state.tickets);
        state.queue.insert(ticket);
        PoolPermit {
            pool: self.clone(),
            ticket,
            is_active: false,
        }
    }

    /// Wakes all waiting fetches, to check the stop flag.
    pub fn wake(&self) {
        // Under the lock, so that no wake-up is lost.
        let _state = self.lock();
        self.changed.notify_all();
    }

    /// Closes every idle connection.
    pub fn close_idle(&self) {
        drop(std::mem::take(&mut self.lock().idle));
    }

    /// Closes expired idle connections; returns when the next one expires.
    pub fn close_expired(&self) -> Option<Duration> {
        let now = Instant::now();
        let mut state = self.lock();
        state
            .idle
            .retain(|idle| now.duration_since(idle.since) < self.idle_timeout);
        let oldest = state.idle.first()?;
        Some(self.idle_timeout - now.duration_since(oldest.since))
    }

    /// An idle connection to `origin` that is still open.
    pub fn take_idle(&self, origin: &str) -> Option<IdleConnection> {
        self.close_expired();
        let mut state = self.lock();
        while let Some(newest) = state.idle.iter().rposition(|it| it.origin == origin) {
            let mut idle = state.idle.remove(newest);
            if idle.transport.is_open() {
                return Some(idle);
            }
        }
        None
    }

    /// Closes idle connections to make room for a new one.
    pub fn evict_idle(&self) {
        let mut state = self.lock();
        let room = self.limit.saturating_sub(state.active);
        let surplus = state.idle.len().saturating_sub(room);
        drop(state.idle.drain(..surplus));
    }

    pub fn return_idle(&self, idle: IdleConnection) {
        let mut state = self.lock();
        state.idle.push(idle);
        let surplus = state.idle.len().saturating_sub(self.limit);
        drop(state.idle.drain(..surplus));
    }
}

/// How the wait for a permit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitResult {
    Ready,
    /// Not within the timeout; the place in the queue is kept.
    TimedOut,
    Stopped,
}

/// A place in the queue, then the permit for one connection; released on drop.
#[derive(Debug)]
pub struct PoolPermit {
    pool: Arc<ConnectionPool>,
    ticket: (Mono, u64),
    is_active: bool,
}

impl PoolPermit {
    /// Waits for a free connection; without a timeout if it is `None`.
    pub fn wait(&mut self, control: &FetchControl, timeout: Option<Duration>) -> WaitResult {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let pool = &self.pool;
        let mut state = pool.lock();
        loop {
            if control.is_stopped() {
                return WaitResult::Stopped;
            }
            if state.active < pool.limit && state.queue.first() == Some(&self.ticket) {
                state.queue.remove(&self.ticket);
                state.active += 1;
                self.is_active = true;
                // The next one may be ready as well.
                pool.changed.notify_all();
                return WaitResult::Ready;
            }
            let left = deadline.map(|it| it.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return WaitResult::TimedOut;
            }
            let span = left.unwrap_or(limits::FETCH_TIMEOUT);
            state = pool.changed.wait_timeout(state, span);
        }
    }
}

impl Drop for PoolPermit {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        if self.is_active {
            state.active -= 1;
        } else {
            state.queue.remove(&self.ticket);
        }
        self.pool.changed.notify_all();
    }
}

#[cfg(test)]
#[path = "tests/connection_pool.rs"]
mod tests;
