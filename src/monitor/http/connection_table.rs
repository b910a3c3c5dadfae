//! Who is connected, and until when: deadlines, caps, and who has to go.
//!
//! Owned by the gate's thread alone (`Rc`, `Cell`). One tick looks at every deadline, so that
//! a request costs no timer. A connection waits through its [`Leash`]; whoever must end it
//! says so there. It closes no socket itself: a task that ends closes its own.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::stats::{HttpStats, Rejection};
use crate::limits;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionPhase {
    /// Nothing: between requests.
    Idle,
    /// Sending a head.
    Head,
    /// Being answered.
    Answering,
    /// Listening to events.
    Streaming,
    /// Refused; what it still sends is dropped.
    Lingering,
}

/// Why a wait ended before what it waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// The deadline of the phase has passed.
    TimedOut,
    /// The connection has to go: its place is needed, or the gate stops.
    Evicted,
}

/// Why a newcomer is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitReached {
    Total,
    PerAddress,
}

/// One connection, as the register sees it.
pub struct ConnectionState {
    pub peer: IpAddr,
    phase: Cell<ConnectionPhase>,
    since: Cell<Instant>,
    deadline: Cell<Instant>,
    interrupt: Cell<Option<Interrupt>>,
    waker: RefCell<Option<Waker>>,
}

impl ConnectionState {
    fn new(peer: IpAddr) -> ConnectionState {
        let now = Instant::now();
        ConnectionState {
            peer,
            phase: Cell::new(ConnectionPhase::Head),
            since: Cell::new(now),
            deadline: Cell::new(now + limits::REQUEST_HEAD_TIME),
            interrupt: Cell::new(None),
            waker: RefCell::new(None),
        }
    }

    /// Begins a phase that may last for `span`.
    pub fn enter(&self, phase: ConnectionPhase, span: Duration) {
        let now = Instant::now();
        self.phase.set(phase);
        self.since.set(now);
        self.deadline.set(now + span);
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
            if let Some(cut) = self.interrupt.get() {
                return Poll::Ready(Err(cut));
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

    fn interrupt(&self, cut: Interrupt) {
        self.interrupt.set(Some(cut));
        let waker = self.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// All connections.
pub struct ConnectionTable {
    /// Of who waits for the first connection.
    waker: RefCell<Option<Waker>>,
    connections: RefCell<HashMap<u64, Rc<ConnectionState>>>,
    per_address: RefCell<HashMap<IpAddr, usize>>,
    next: Cell<u64>,
    streams: Cell<usize>,
    stopping: Cell<bool>,
    max_total: usize,
    max_per_address: usize,
    traffic: Arc<HttpStats>,
}

impl ConnectionTable {
    pub fn new(in_all: usize, of_one_address: usize, traffic: Arc<HttpStats>) -> ConnectionTable {
        ConnectionTable {
            waker: RefCell::default(),
            connections: RefCell::default(),
            per_address: RefCell::default(),
            next: Cell::new(0),
            streams: Cell::new(0),
            stopping: Cell::new(false),
            max_total: in_all,
            max_per_address: of_one_address,
            traffic,
        }
    }

    pub fn len(&self) -> usize {
        self.connections.borrow().len()
    }

    /// Resolves when a connection has been admitted while there was none.
    pub async fn first_admitted(&self) {
        poll_fn(|context| {
            if self.len() > 0 {
                return Poll::Ready(());
            }
            *self.waker.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
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

    /// Lets a connection in, if there is a place.
    pub fn admit(self: &Rc<Self>, peer: IpAddr) -> Result<ConnectionGuard, LimitReached> {
        let of_one = self.per_address.borrow().get(&peer).copied().unwrap_or(0);
        if of_one >= self.max_per_address {
            return Err(LimitReached::PerAddress);
        }
        if self.is_full() {
            return Err(LimitReached::Total);
        }
        let key = self.next.get();
        self.next.set(key + 1);
        let leash = Rc::new(ConnectionState::new(peer));
        self.connections.borrow_mut().insert(key, leash.clone());
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
        *self.per_address.borrow_mut().entry(peer).or_insert(0) += 1;
        self.traffic.connection_opened();
        Ok(ConnectionGuard {
            register: self.clone(),
            key,
            state: leash,
        })
    }

    /// A place among the event streams, if one is left.
    pub fn open_event_stream(self: &Rc<Self>, at_most: usize) -> Option<EventStreamGuard> {
        if self.streams.get() >= at_most {
            return None;
        }
        self.streams.set(self.streams.get() + 1);
        self.traffic.stream_opened();
        Some(EventStreamGuard(self.clone()))
    }

    /// Ends what is late.
    pub fn expire(&self, now: Instant) {
        for leash in self.connections.borrow().values() {
            if leash.deadline.get() <= now && leash.interrupt.get().is_none() {
                leash.interrupt(Interrupt::TimedOut);
            }
        }
    }

    /// Asks the connection that is missed least to go, if one has done nothing for `at_least`:
    /// refused ones before idle ones before unfinished heads, the longest first. Never one
    /// that is being answered.
    pub fn evict_idle(&self, at_least: Duration) -> bool {
        let now = Instant::now();
        let connections = self.connections.borrow();
        let candidates = connections.values().filter_map(|leash| {
            let rank = match leash.phase.get() {
                ConnectionPhase::Lingering => 0,
                ConnectionPhase::Idle => 1,
                ConnectionPhase::Head => 2,
                ConnectionPhase::Answering | ConnectionPhase::Streaming => return None,
            };
            let rested = now.saturating_duration_since(leash.since.get()) >= at_least;
            (rested && leash.interrupt.get().is_none()).then_some((rank, leash.since.get(), leash))
        });
        let Some((_, _, leash)) = candidates.min_by_key(|(rank, since, _)| (*rank, *since)) else {
            return false;
        };
        self.traffic
            .record_rejection(Rejection::Evicted, leash.peer);
        leash.interrupt(Interrupt::Evicted);
        true
    }

    /// Begins the end: whoever is not being answered goes now, the others after their answer.
    pub fn stop(&self) {
        self.stopping.set(true);
        for leash in self.connections.borrow().values() {
            if leash.phase.get() != ConnectionPhase::Answering {
                leash.interrupt(Interrupt::Evicted);
            }
        }
    }
}

/// A connection's place; dropping it gives the place back.
pub struct ConnectionGuard {
    register: Rc<ConnectionTable>,
    key: u64,
    pub state: Rc<ConnectionState>,
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.register.connections.borrow_mut().remove(&self.key);
        let mut of_address = self.register.per_address.borrow_mut();
        if let Some(count) = of_address.get_mut(&self.state.peer) {
            *count -= 1;
            if *count == 0 {
                of_address.remove(&self.state.peer);
            }
        }
        self.register.traffic.connection_closed();
    }
}

/// An event stream's place; dropping it gives the place back.
pub struct EventStreamGuard(Rc<ConnectionTable>);

impl Drop for EventStreamGuard {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get() - 1);
        self.0.traffic.stream_closed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn address(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
    }

    fn register() -> Rc<ConnectionTable> {
        Rc::new(ConnectionTable::new(4, 2, Arc::new(HttpStats::new())))
    }

    #[test]
    fn places_are_capped_in_all_and_per_address_and_given_back() {
        let register = register();
        let first = register.admit(address(1)).ok();
        let _second = register.admit(address(1)).ok();
        assert_eq!(
            register.admit(address(1)).err(),
            Some(LimitReached::PerAddress)
        );
        let _others = (
            register.admit(address(2)).ok(),
            register.admit(address(3)).ok(),
        );
        assert_eq!(register.admit(address(4)).err(), Some(LimitReached::Total));
        drop(first);
        assert!(register.admit(address(1)).is_ok());
    }

    #[test]
    fn the_one_missed_least_is_shed_and_nobody_that_is_being_answered() {
        let register = register();
        let long = Duration::from_secs(60);
        let answering = register.admit(address(1)).expect("a place");
        answering.state.enter(ConnectionPhase::Answering, long);
        let head = register.admit(address(1)).expect("a place");
        head.state.enter(ConnectionPhase::Head, long);
        let idle = register.admit(address(2)).expect("a place");
        idle.state.enter(ConnectionPhase::Idle, long);
        let lingering = register.admit(address(2)).expect("a place");
        lingering.state.enter(ConnectionPhase::Lingering, long);
        for next in [&lingering, &idle, &head] {
            assert!(next.state.interrupt.get().is_none());
            assert!(register.evict_idle(Duration::ZERO));
            assert_eq!(next.state.interrupt.get(), Some(Interrupt::Evicted));
        }
        assert!(!register.evict_idle(Duration::ZERO));
        assert!(answering.state.interrupt.get().is_none());
    }

    #[test]
    fn who_was_active_just_now_keeps_its_place() {
        let register = register();
        let idle = register.admit(address(1)).expect("a place");
        idle.state
            .enter(ConnectionPhase::Idle, Duration::from_secs(60));
        assert!(!register.evict_idle(Duration::from_secs(1)));
    }

    #[test]
    fn a_late_wait_ends_and_the_next_phase_begins_afresh() {
        let register = register();
        let lease = register.admit(address(1)).expect("a place");
        lease.state.enter(ConnectionPhase::Head, Duration::ZERO);
        register.expire(Instant::now());
        let waited = smol::block_on(lease.state.wait(std::future::pending::<()>()));
        assert_eq!(waited, Err(Interrupt::TimedOut));
        lease
            .state
            .enter(ConnectionPhase::Answering, Duration::from_secs(60));
        assert_eq!(smol::block_on(lease.state.wait(async { 7 })), Ok(7));
    }

    #[test]
    fn who_must_go_is_not_saved_by_a_new_phase() {
        let register = register();
        let lease = register.admit(address(1)).expect("a place");
        register.stop();
        lease
            .state
            .enter(ConnectionPhase::Idle, Duration::from_secs(60));
        let waited = smol::block_on(lease.state.wait(std::future::pending::<()>()));
        assert_eq!(waited, Err(Interrupt::Evicted));
    }
}
