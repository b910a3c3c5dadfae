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
use super::handler::Overload;
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
    PerProxy,
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

    /// Revokes an eviction: its client has sent a request meanwhile.
    pub fn revoke_eviction(&self) {
        if self.interrupt.get() == Some(Interrupt::Evicted) {
            self.interrupt.set(None);
        }
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

    /// The limit as a response names it.
    pub fn overload(&self, limit: LimitReached) -> Overload {
        match limit {
            LimitReached::Total => Overload::Connections(self.max_total),
            LimitReached::PerAddress => Overload::ConnectionsPerAddress(self.max_per_address),
            LimitReached::PerProxy => Overload::ConnectionsPerProxy(self.max_per_proxy()),
        }
    }

    /// Admits a connection, if no limit is reached. `is_proxy`: it is of a trusted proxy, which has
    /// a share of all connections.
    pub fn admit(
        self: &Rc<Self>,
        peer: IpAddr,
        is_proxy: bool,
    ) -> Result<ConnectionGuard, LimitReached> {
        let (most, limit) = if is_proxy {
            (self.max_per_proxy(), LimitReached::PerProxy)
        } else {
            (self.max_per_address, LimitReached::PerAddress)
        };
        let counted = self.count_address(peer, most).ok_or(limit)?;
        if self.is_full() {
            return Err(LimitReached::Total);
        }
        let key = self.next.get();
        self.next.set(key + 1);
        let connection = Rc::new(ConnectionState::new(peer, self.timer.clone()));
        self.connections
            .borrow_mut()
            .insert(key, connection.clone());
        self.stats.connection_opened();
        Ok(ConnectionGuard {
            table: self.clone(),
            key,
            state: connection,
            _counted: counted,
        })
    }

    /// Counts a request that came through a trusted proxy as a connection of its client, for as
    /// long as it takes.
    pub fn admit_client(self: &Rc<Self>, client: IpAddr) -> Result<AddressGuard, LimitReached> {
        let counted = self.count_address(client, self.max_per_address);
        counted.ok_or(LimitReached::PerAddress)
    }

    /// How many connections one trusted proxy may have.
    fn max_per_proxy(&self) -> usize {
        (self.max_total / limits::PROXY_SHARE).max(self.max_per_address)
    }

    /// `None` if so many are counted already.
    fn count_address(self: &Rc<Self>, address: IpAddr, most: usize) -> Option<AddressGuard> {
        let mut per_address = self.per_address.borrow_mut();
        let count = per_address.entry(address).or_insert(0);
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(AddressGuard {
            table: self.clone(),
            address,
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

    /// Ends all connections: idle ones and streams now, the others after their response. One that
    /// was accepted a moment ago has a request on its way, which nobody else can respond to.
    pub fn stop(&self) {
        self.stopping.set(true);
        for connection in self.connections.borrow().values() {
            match connection.phase.get() {
                ConnectionPhase::Head | ConnectionPhase::Answering => {}
                ConnectionPhase::Idle | ConnectionPhase::Lingering | ConnectionPhase::Streaming => {
                    connection.interrupt(Interrupt::Evicted);
                }
            }
        }
    }
}

/// An admitted connection; dropping it removes it from the table.
pub struct ConnectionGuard {
    table: Rc<ConnectionTable>,
    key: u64,
    pub state: Rc<ConnectionState>,
    _counted: AddressGuard,
}

/// One connection or request of an address; dropping it counts it out.
pub struct AddressGuard {
    table: Rc<ConnectionTable>,
    address: IpAddr,
}

impl Drop for AddressGuard {
    fn drop(&mut self) {
        let mut per_address = self.table.per_address.borrow_mut();
        if let Some(count) = per_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                per_address.remove(&self.address);
            }
        }
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.table.connections.borrow_mut().remove(&self.key);
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
#[path = "tests/connection_table.rs"]
mod tests;
