//! Connection pool of one server: at most so many connections at once, in the order in which
//! sources fell due, and the idle ones that are kept for the next fetch.
//!
//! Shared by the sources of one server (scheme, host, port, proxy, `ca_file`) and used on their
//! fetch threads. A fetch needs a [`Turn`] before it opens or reuses a connection. It must not
//! resolve names, log, or judge what fails.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::Error;
use ureq::http::Uri;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

use super::connect::{FetchControl, TcpConnection};
use super::{private_address, redirect};
use crate::domain::time::Mono;
use crate::limits;

/// Connections to one server at once, where no source says how many: a small device at home
/// has few sockets.
pub fn default_connections(host: &str) -> usize {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_home = match bare.parse::<IpAddr>() {
        Ok(address) => private_address::is_private_range(address),
        Err(_) => private_address::is_local_name(bare),
    };
    match is_home {
        true => limits::CONNECTIONS_TO_A_DEVICE,
        false => limits::CONNECTIONS_TO_A_SERVER,
    }
}

pub struct ConnectionPool {
    /// Host, with its port where that is not the scheme's own.
    host: String,
    /// Connections at once, idle ones included.
    limit: usize,
    /// How long an idle connection is kept.
    idle_timeout: Duration,
    state: Mutex<PoolState>,
    changed: Condvar,
}

#[derive(Default)]
struct PoolState {
    /// Fetches that have their turn.
    active: usize,
    /// Fetches that wait, by the time at which they fell due.
    queue: BTreeSet<(Mono, u64)>,
    tickets: u64,
    /// The one idle for longest first.
    idle: Vec<IdleConnection>,
}

struct IdleConnection {
    origin: String,
    transport: Box<dyn Transport>,
    connection: Arc<TcpConnection>,
    since: Instant,
}

impl fmt::Debug for ConnectionPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool of {}", self.limit)
    }
}

impl ConnectionPool {
    /// Of the server at `origin`, with at most so many connections.
    pub fn new(origin: &str, most: usize) -> Arc<ConnectionPool> {
        ConnectionPool::with_idle_timeout(origin, most, limits::KEPT_CONNECTION)
    }

    fn with_idle_timeout(origin: &str, most: usize, kept_for: Duration) -> Arc<ConnectionPool> {
        let host = origin.split("://").last().unwrap_or_default();
        Arc::new(ConnectionPool {
            host: host.to_owned(),
            limit: most.max(1),
            idle_timeout: kept_for,
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be said where its sources ask for more than the server can answer.
    pub fn overload_warning(&self) -> String {
        let host = &self.host;
        format!("{host} answers slower than its sources ask: raise `connections` or `every`")
    }

    /// Queues a fetch that fell due at `due`.
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

    /// Has everybody who waits look again whether the node stops.
    pub fn wake(&self) {
        // Under the lock, so that nobody is between looking and waiting.
        let _state = self.lock();
        self.changed.notify_all();
    }

    /// Closes every idle connection.
    pub fn close_idle(&self) {
        drop(std::mem::take(&mut self.lock().idle));
    }

    /// Closes what has been idle for too long; how soon the next connection will have been.
    pub fn close_expired(&self) -> Option<Duration> {
        let now = Instant::now();
        let mut state = self.lock();
        state
            .idle
            .retain(|idle| now.duration_since(idle.since) < self.idle_timeout);
        let oldest = state.idle.first()?;
        Some(self.idle_timeout - now.duration_since(oldest.since))
    }

    /// An open connection to `origin` that nobody uses.
    fn take_idle(&self, origin: &str) -> Option<IdleConnection> {
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

    /// Closes idle connections, so that a new one is within the limit.
    fn evict_idle(&self) {
        let mut state = self.lock();
        let room = self.limit.saturating_sub(state.active);
        let surplus = state.idle.len().saturating_sub(room);
        drop(state.idle.drain(..surplus));
    }

    fn return_idle(&self, idle: IdleConnection) {
        let mut state = self.lock();
        state.idle.push(idle);
        let surplus = state.idle.len().saturating_sub(self.limit);
        drop(state.idle.drain(..surplus));
    }
}

/// How a wait for a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitResult {
    Ready,
    /// Not within the time given; the place in the queue is kept.
    TimedOut,
    Stopped,
}

/// A place in the queue, and then the right to one connection; given up when it is dropped.
#[derive(Debug)]
pub struct PoolPermit {
    pool: Arc<ConnectionPool>,
    ticket: (Mono, u64),
    is_active: bool,
}

impl PoolPermit {
    /// Waits until it is this one's turn; `patience` of `None` is without end.
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
                // The next one may have its turn as well.
                pool.changed.notify_all();
                return WaitResult::Ready;
            }
            let left = deadline.map(|it| it.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return WaitResult::TimedOut;
            }
            let span = left.unwrap_or(limits::FETCH_TIMEOUT);
            let woken = pool.changed.wait_timeout(state, span);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for PoolPermit {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        match self.is_active {
            true => state.active -= 1,
            false => drop(state.queue.remove(&self.ticket)),
        }
        self.pool.changed.notify_all();
    }
}

/// Reuses an idle connection of the pool, or opens one.
pub struct PoolingConnector<C> {
    pub connector: C,
    pub pool: Arc<ConnectionPool>,
    pub control: Arc<FetchControl>,
    /// The connection to a proxy is opened through this connector as well, without a proxy in
    /// its configuration: it is part of another one and not kept by itself.
    pub has_proxy: bool,
}

impl<C> fmt::Debug for PoolingConnector<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pooled")
    }
}

impl<C: Connector<()>> Connector<()> for PoolingConnector<C> {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        if self.has_proxy && details.config.proxy().is_none() {
            let opened = self.connector.connect(details, chained)?;
            return Ok(opened.map(Transport::boxed));
        }
        let origin = origin(details.uri);
        if let Some(idle) = self.pool.take_idle(&origin) {
            self.control.adopt(&idle.connection)?;
            return Ok(Some(Box::new(PooledConnection {
                origin,
                transport: Some(idle.transport),
                connection: idle.connection,
                pool: self.pool.clone(),
                is_reusable: false,
            })));
        }
        self.pool.evict_idle();
        let Some(opened) = self.connector.connect(details, chained)? else {
            return Ok(None);
        };
        Ok(Some(match self.control.connection() {
            Some(connection) => Box::new(PooledConnection {
                origin,
                transport: Some(opened.boxed()),
                connection,
                pool: self.pool.clone(),
                is_reusable: false,
            }),
            None => opened.boxed(),
        }))
    }
}

/// Scheme, host and port, the same for every spelling.
pub fn origin(uri: &Uri) -> String {
    redirect::display_origin(uri).to_ascii_lowercase()
}

/// A connection in use. The agent keeps none itself: when it has read an answer to its end it
/// asks whether the connection is open, and drops it; it is then given back to the pool.
struct PooledConnection {
    origin: String,
    /// Always there until it is dropped.
    transport: Option<Box<dyn Transport>>,
    connection: Arc<TcpConnection>,
    pool: Arc<ConnectionPool>,
    /// What the agent was last told, if it has not used the connection since.
    is_reusable: bool,
}

impl fmt::Debug for PooledConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lease")
    }
}

impl Transport for PooledConnection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.as_mut().expect(HELD).buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.is_reusable = false;
        let transport = self.transport.as_mut().expect(HELD);
        transport.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.is_reusable = false;
        self.transport.as_mut().expect(HELD).await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.is_reusable = self.transport.as_mut().expect(HELD).is_open();
        self.is_reusable
    }

    fn is_tls(&self) -> bool {
        self.transport.as_ref().expect(HELD).is_tls()
    }
}

const HELD: &str = "a lease holds its connection until it is dropped";

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if let Some(transport) = self.transport.take()
            && self.is_reusable
        {
            self.pool.return_idle(IdleConnection {
                origin: std::mem::take(&mut self.origin),
                transport,
                connection: self.connection.clone(),
                since: Instant::now(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::sync::mpsc::channel;

    use super::super::fault_server::{AfterResponse, FaultServer, send};
    use super::super::faults::{clock_at_noon, fetcher, good_response, long_timeout};
    use super::super::fetcher::Fetcher;
    use super::super::transport::TransportSettings;
    use super::super::url_source;
    use super::*;
    use crate::domain::reading::FetchOutcome;

    fn device() -> FaultServer {
        FaultServer::start(Arc::new(|_: &str, wire, _: &_| {
            match send(wire, good_response()) {
                true => AfterResponse::Keep,
                false => AfterResponse::Close,
            }
        }))
    }

    fn source(server: &FaultServer, pool: &Arc<ConnectionPool>) -> Fetcher {
        let settings = TransportSettings {
            pool: pool.clone(),
            ..long_timeout()
        };
        let request = url_source::prepare_request(&server.url(), &[], &[]).expect("a URL");
        fetcher(request, settings, clock_at_noon())
    }

    fn succeeds(fetcher: &mut Fetcher) -> bool {
        let outcome = fetcher.fetch_once().expect("nobody cancels").outcome;
        matches!(outcome, FetchOutcome::Readings { .. })
    }

    fn connections(server: &FaultServer) -> usize {
        server.server.connections.load(Ordering::SeqCst)
    }

    #[test]
    fn sources_of_one_device_share_its_one_connection() {
        let server = device();
        let pool = ConnectionPool::new("http://meter", 1);
        let mut sources = [source(&server, &pool), source(&server, &pool)];
        for _ in 0..3 {
            assert!(sources.iter_mut().all(succeeds));
        }
        assert_eq!(connections(&server), 1);
    }

    #[test]
    fn at_most_so_many_connections_are_open_at_once() {
        let server = device();
        let pool = ConnectionPool::new("http://meter", 2);
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| assert!(succeeds(&mut source(&server, &pool))));
            }
        });
        let found = connections(&server);
        assert!((1..=2).contains(&found), "{found} connections");
        assert_eq!(pool.lock().active, 0);
    }

    #[test]
    fn another_origin_of_the_pool_gets_the_place_of_an_idle_connection() {
        let (one, other) = (device(), device());
        let pool = ConnectionPool::new("http://meter", 1);
        assert!(succeeds(&mut source(&one, &pool)));
        assert!(succeeds(&mut source(&other, &pool)));
        let state = pool.lock();
        let origins: Vec<&str> = state.idle.iter().map(|it| it.origin.as_str()).collect();
        assert_eq!(origins, [format!("http://{}", other.address)]);
    }

    #[test]
    fn a_connection_is_closed_when_its_time_is_over_and_not_by_the_next_fetch() {
        let server = device();
        let pool = ConnectionPool::with_idle_timeout("http://meter", 1, Duration::ZERO);
        assert!(succeeds(&mut source(&server, &pool)));
        assert_eq!(pool.lock().idle.len(), 1);
        assert_eq!(pool.close_expired(), None);
        assert!(pool.lock().idle.is_empty());

        let pool = ConnectionPool::new("http://meter", 1);
        assert!(succeeds(&mut source(&server, &pool)));
        let left = pool.close_expired().expect("it is kept");
        assert!(left <= limits::KEPT_CONNECTION);
        assert_eq!(pool.lock().idle.len(), 1);
    }

    #[test]
    fn a_kept_connection_that_the_server_closed_costs_no_fetch() {
        let server = FaultServer::start(Arc::new(|_: &str, wire, _: &_| {
            send(wire, good_response());
            AfterResponse::Close
        }));
        let pool = ConnectionPool::new("http://meter", 1);
        let mut source = source(&server, &pool);
        assert!((0..3).all(|_| succeeds(&mut source)));
    }

    #[test]
    fn turns_are_taken_in_the_order_in_which_sources_fell_due() {
        let pool = ConnectionPool::new("http://meter", 1);
        let control = FetchControl::default();
        let now = Some(Duration::ZERO);
        let mut running = pool.queue(Mono(1));
        assert_eq!(running.wait(&control, now), WaitResult::Ready);
        let mut later = pool.queue(Mono(3));
        let mut earlier = pool.queue(Mono(2));
        assert_eq!(earlier.wait(&control, now), WaitResult::TimedOut);
        drop(running);
        assert_eq!(
            later.wait(&control, now),
            WaitResult::TimedOut,
            "it is not its turn"
        );
        assert_eq!(earlier.wait(&control, now), WaitResult::Ready);
        drop(earlier);
        assert_eq!(later.wait(&control, now), WaitResult::Ready);
        drop(later);

        // One that gave up waiting holds up nobody.
        drop(pool.queue(Mono(4)));
        assert_eq!(pool.queue(Mono(5)).wait(&control, now), WaitResult::Ready);
    }

    #[test]
    fn the_stop_ends_the_wait_for_a_turn() {
        let pool = ConnectionPool::new("http://meter", 1);
        let control = FetchControl::default();
        let mut running = pool.queue(Mono(1));
        assert_eq!(running.wait(&control, None), WaitResult::Ready);
        let (tell, told) = channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut waiting = pool.queue(Mono(2));
                tell.send(()).expect("the test listens");
                assert_eq!(waiting.wait(&control, None), WaitResult::Stopped);
            });
            told.recv().expect("it is queued");
            control.stop();
            pool.wake();
        });
    }

    #[test]
    fn a_device_at_home_gets_one_connection_and_other_servers_more() {
        for (host, expected) in [
            ("127.0.0.1", 1),
            ("192.168.1.20", 1),
            ("[fe80::1]", 1),
            ("meter.local", 1),
            ("localhost", 1),
            ("nas", 1),
            ("1.1.1.1", 4),
            ("api.example.org", 4),
        ] {
            assert_eq!(default_connections(host), expected, "{host}");
        }
    }
}
