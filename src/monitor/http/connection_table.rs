//! Connection table: deadlines, limits, eviction of idle connections.
//!
//! Owned by the server's thread alone (`Rc`, `Cell`). One [`DeadlineTimer`] serves all
//! deadlines, so that a request costs no timer. A connection waits through its
//! [`ConnectionState`], where it can be interrupted. The table closes no socket: a
//! task that ends closes its own.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::deadline_timer::DeadlineTimer;
use super::stats::{HttpStats, Rejection};
use crate::limits;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionPhase {
    /// Nothing: between requests.
    Idle,
    /// Sending a head.
    Head,
    /// Processing a request.
    Answering,
    /// Listening to events.
    Streaming,
    /// Rejected; what it still sends is dropped.
    Lingering,
}

/// Why a wait ended before what it waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// The deadline of the phase has passed.
    TimedOut,
    /// The connection has to end: another needs its place, or the server stops.
    Evicted,
}

/// Why a connection is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitReached {
    Total,
    PerAddress,
}

/// One connection, as the table sees it.
pub struct ConnectionState {
    pub peer: IpAddr,
    phase: Cell<ConnectionPhase>,
    since: Cell<Instant>,
    deadline: Cell<Instant>,
    interrupt: Cell<Option<Interrupt>>,
    waker: RefCell<Option<Waker>>,
    timer: Rc<DeadlineTimer>,
}

impl ConnectionState {
    fn new(peer: IpAddr, timer: Rc<DeadlineTimer>) -> ConnectionState {
        let now = Instant::now();
        ConnectionState {
            peer,
            phase: Cell::new(ConnectionPhase::Head),
            since: Cell::new(now),
            deadline: Cell::new(now + limits::REQUEST_HEAD_TIMEOUT),
            interrupt: Cell::new(None),
            waker: RefCell::new(None),
            timer,
        }
    }

    /// Begins a phase that may last for `span`.
    pub fn enter(&self, phase: ConnectionPhase, span: Duration) {
        let now = Instant::now();
        self.phase.set(phase);
        self.since.set(now);
        self.deadline.set(now + span);
        self.timer.wake_before(now + span);
        // What was late in the phase before is not late in this one.
        if self.interrupt.get() == Some(Interrupt::TimedOut) {
            self.interrupt.set(None);
        }
    }

    pub fn phase(&self) -> ConnectionPhase {
        self.phase.get()
    }

    /// Waits for `future` for as long as this connection may.
    pub async fn wait<F: Future>(&self, future: F) -> Result<F::Output, Interrupt> {
        let mut future = pin!(future);
        poll_fn(|context| {
            if let Some(interrupt) = self.interrupt.get() {
                return Poll::Ready(Err(interrupt));
            }
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            let mut waker = self.waker.borrow_mut();
            match waker.as_mut() {
                Some(waker) => waker.clone_from(context.waker()),
                None => *waker = Some(context.waker().clone()),
            }
            Poll::Pending
        })
        .await
    }

    fn interrupt(&self, interrupt: Interrupt) {
        self.interrupt.set(Some(interrupt));
        let waker = self.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// All connections.
pub struct ConnectionTable {
    connections: RefCell<HashMap<u64, Rc<ConnectionState>>>,
    per_address: RefCell<HashMap<IpAddr, usize>>,
    next: Cell<u64>,
    streams: Cell<usize>,
    stopping: Cell<bool>,
    max_total: usize,
    max_per_address: usize,
    stats: Arc<HttpStats>,
    timer: Rc<DeadlineTimer>,
}

impl ConnectionTable {
    pub fn new(
        max_total: usize,
        max_per_address: usize,
        stats: Arc<HttpStats>,
        timer: Rc<DeadlineTimer>,
    ) -> ConnectionTable {
        ConnectionTable {
            connections: RefCell::default(),
            per_address: RefCell::default(),
            next: Cell::new(0),
            streams: Cell::new(0),
            stopping: Cell::new(false),
            max_total,
            max_per_address,
            stats,
            timer,
        }
    }

    pub fn len(&self) -> usize {
        self.connections.borrow().len()
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    pub fn is_full(&self) -> bool {
        self.len() >= self.max_total
    }

    /// How many connections there may be, and of one address.
    pub fn limits(&self) -> (usize, usize) {
        (self.max_total, self.max_per_address)
    }

    /// Admits a connection, if no limit is reached.
    pub fn admit(self: &Rc<Self>, peer: IpAddr) -> Result<ConnectionGuard, LimitReached> {
        let from_address = self.per_address.borrow().get(&peer).copied().unwrap_or(0);
        if from_address >= self.max_per_address {
            return Err(LimitReached::PerAddress);
        }
        if self.is_full() {
            return Err(LimitReached::Total);
        }
        let key = self.next.get();
        self.next.set(key + 1);
        let connection = Rc::new(ConnectionState::new(peer, self.timer.clone()));
        self.connections
            .borrow_mut()
            .insert(key, connection.clone());
        *self.per_address.borrow_mut().entry(peer).or_insert(0) += 1;
        self.stats.connection_opened();
        Ok(ConnectionGuard {
            table: self.clone(),
            key,
            state: connection,
        })
    }

    /// Counts an event stream, if the limit is not reached.
    pub fn open_event_stream(self: &Rc<Self>, at_most: usize) -> Option<EventStreamGuard> {
        if self.streams.get() >= at_most {
            return None;
        }
        self.streams.set(self.streams.get() + 1);
        self.stats.stream_opened();
        Some(EventStreamGuard(self.clone()))
    }

    /// Interrupts the connections whose deadline has passed; returns the next deadline.
    pub fn expire(&self, now: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        for connection in self.connections.borrow().values() {
            let deadline = connection.deadline.get();
            if connection.interrupt.get().is_some() {
                continue;
            }
            if deadline <= now {
                connection.interrupt(Interrupt::TimedOut);
            } else {
                next = Some(next.map_or(deadline, |next| next.min(deadline)));
            }
        }
        next
    }

    /// Evicts a connection, if one has been inactive for `at_least`: lingering ones before idle
    /// ones before unfinished heads, the longest inactive first. Never one with a request
    /// in progress.
    pub fn evict_idle(&self, at_least: Duration) -> bool {
        let now = Instant::now();
        let connections = self.connections.borrow();
        let candidates = connections.values().filter_map(|connection| {
            let rank = match connection.phase.get() {
                ConnectionPhase::Lingering => 0,
                ConnectionPhase::Idle => 1,
                ConnectionPhase::Head => 2,
                ConnectionPhase::Answering | ConnectionPhase::Streaming => return None,
            };
            let is_inactive = now.saturating_duration_since(connection.since.get()) >= at_least;
            (is_inactive && connection.interrupt.get().is_none()).then_some((
                rank,
                connection.since.get(),
                connection,
            ))
        });
        let Some((_, _, connection)) = candidates.min_by_key(|(rank, since, _)| (*rank, *since))
        else {
            return false;
        };
        self.stats
            .record_rejection(Rejection::EvictedIdle, connection.peer);
        connection.interrupt(Interrupt::Evicted);
        true
    }

    /// Ends all connections: idle ones now, the others after their response.
    pub fn stop(&self) {
        self.stopping.set(true);
        for connection in self.connections.borrow().values() {
            if connection.phase.get() != ConnectionPhase::Answering {
                connection.interrupt(Interrupt::Evicted);
            }
        }
    }
}

/// An admitted connection; dropping it removes it from the table.
pub struct ConnectionGuard {
    table: Rc<ConnectionTable>,
    key: u64,
    pub state: Rc<ConnectionState>,
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.table.connections.borrow_mut().remove(&self.key);
        let mut of_address = self.table.per_address.borrow_mut();
        if let Some(count) = of_address.get_mut(&self.state.peer) {
            *count -= 1;
            if *count == 0 {
                of_address.remove(&self.state.peer);
            }
        }
        self.table.stats.connection_closed();
        if self.table.is_stopping() && self.table.len() == 0 {
            self.table.timer.wake();
        }
    }
}

/// An open event stream; dropping it counts it out.
pub struct EventStreamGuard(Rc<ConnectionTable>);

impl Drop for EventStreamGuard {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get() - 1);
        self.0.stats.stream_closed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn address(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
    }

    fn table() -> Rc<ConnectionTable> {
        Rc::new(ConnectionTable::new(
            4,
            2,
            Arc::new(HttpStats::new()),
            Rc::default(),
        ))
    }

    #[test]
    fn connections_are_limited_in_total_and_per_address() {
        let table = table();
        let first = table.admit(address(1)).ok();
        let _second = table.admit(address(1)).ok();
        assert_eq!(
            table.admit(address(1)).err(),
            Some(LimitReached::PerAddress)
        );
        let _others = (table.admit(address(2)).ok(), table.admit(address(3)).ok());
        assert_eq!(table.admit(address(4)).err(), Some(LimitReached::Total));
        drop(first);
        assert!(table.admit(address(1)).is_ok());
    }

    #[test]
    fn the_longest_idle_is_evicted_and_none_with_a_request_in_progress() {
        let table = table();
        let long = Duration::from_secs(60);
        let answering = table.admit(address(1)).expect("admitted");
        answering.state.enter(ConnectionPhase::Answering, long);
        let head = table.admit(address(1)).expect("admitted");
        head.state.enter(ConnectionPhase::Head, long);
        let idle = table.admit(address(2)).expect("admitted");
        idle.state.enter(ConnectionPhase::Idle, long);
        let lingering = table.admit(address(2)).expect("admitted");
        lingering.state.enter(ConnectionPhase::Lingering, long);
        for next in [&lingering, &idle, &head] {
            assert!(next.state.interrupt.get().is_none());
            assert!(table.evict_idle(Duration::ZERO));
            assert_eq!(next.state.interrupt.get(), Some(Interrupt::Evicted));
        }
        assert!(!table.evict_idle(Duration::ZERO));
        assert!(answering.state.interrupt.get().is_none());
    }

    #[test]
    fn a_recently_active_connection_is_not_evicted() {
        let table = table();
        let idle = table.admit(address(1)).expect("admitted");
        idle.state
            .enter(ConnectionPhase::Idle, Duration::from_secs(60));
        assert!(!table.evict_idle(Duration::from_secs(1)));
    }

    #[test]
    fn a_wait_times_out_and_the_next_phase_starts_anew() {
        let table = table();
        let guard = table.admit(address(1)).expect("admitted");
        guard.state.enter(ConnectionPhase::Head, Duration::ZERO);
        table.expire(Instant::now());
        let waited = smol::block_on(guard.state.wait(std::future::pending::<()>()));
        assert_eq!(waited, Err(Interrupt::TimedOut));
        guard
            .state
            .enter(ConnectionPhase::Answering, Duration::from_secs(60));
        assert_eq!(smol::block_on(guard.state.wait(async { 7 })), Ok(7));
    }

    #[test]
    fn an_evicted_connection_stays_evicted_in_a_new_phase() {
        let table = table();
        let guard = table.admit(address(1)).expect("admitted");
        table.stop();
        guard
            .state
            .enter(ConnectionPhase::Idle, Duration::from_secs(60));
        let waited = smol::block_on(guard.state.wait(std::future::pending::<()>()));
        assert_eq!(waited, Err(Interrupt::Evicted));
    }
}
