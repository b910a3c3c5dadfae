//! Who is connected, and until when: deadlines, caps, and who has to go.
//!
//! Owned by the gate's thread alone (`Rc`, `Cell`). One tick looks at every deadline, so that
//! a request costs no timer. A connection waits through its [`Leash`]; whoever must end it
//! says so there. It closes no socket itself: a task that ends closes its own.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
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
pub enum Phase {
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
pub enum Cut {
    /// The deadline of the phase has passed.
    Late,
    /// The connection has to go: its place is needed, or the gate stops.
    Shed,
}

/// Why a newcomer is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    InAll,
    OfOneAddress,
}

/// One connection, as the register sees it.
pub struct Leash {
    pub peer: IpAddr,
    phase: Cell<Phase>,
    since: Cell<Instant>,
    deadline: Cell<Instant>,
    cut: Cell<Option<Cut>>,
    waker: RefCell<Option<Waker>>,
}

impl Leash {
    fn new(peer: IpAddr) -> Leash {
        let now = Instant::now();
        Leash {
            peer,
            phase: Cell::new(Phase::Head),
            since: Cell::new(now),
            deadline: Cell::new(now + limits::REQUEST_HEAD_TIME),
            cut: Cell::new(None),
            waker: RefCell::new(None),
        }
    }

    /// Begins a phase that may last for `span`.
    pub fn enter(&self, phase: Phase, span: Duration) {
        let now = Instant::now();
        self.phase.set(phase);
        self.since.set(now);
        self.deadline.set(now + span);
        // What was late in the phase before is not late in this one.
        if self.cut.get() == Some(Cut::Late) {
            self.cut.set(None);
        }
    }

    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Waits for `future` for as long as this connection may.
    pub async fn within<F: Future>(&self, future: F) -> Result<F::Output, Cut> {
        let mut future = pin!(future);
        std::future::poll_fn(|context| {
            if let Some(cut) = self.cut.get() {
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

    fn cut(&self, cut: Cut) {
        self.cut.set(Some(cut));
        let waker = self.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// All connections.
pub struct Register {
    connections: RefCell<HashMap<u64, Rc<Leash>>>,
    of_address: RefCell<HashMap<IpAddr, usize>>,
    next: Cell<u64>,
    streams: Cell<usize>,
    stopping: Cell<bool>,
    in_all: usize,
    of_one_address: usize,
    traffic: Arc<HttpStats>,
}

impl Register {
    pub fn new(in_all: usize, of_one_address: usize, traffic: Arc<HttpStats>) -> Register {
        Register {
            connections: RefCell::default(),
            of_address: RefCell::default(),
            next: Cell::new(0),
            streams: Cell::new(0),
            stopping: Cell::new(false),
            in_all,
            of_one_address,
            traffic,
        }
    }

    pub fn len(&self) -> usize {
        self.connections.borrow().len()
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    pub fn is_full(&self) -> bool {
        self.len() >= self.in_all
    }

    /// How many connections there may be, and of one address.
    pub fn most(&self) -> (usize, usize) {
        (self.in_all, self.of_one_address)
    }

    /// Lets a connection in, if there is a place.
    pub fn enter(self: &Rc<Self>, peer: IpAddr) -> Result<Lease, Full> {
        let of_one = self.of_address.borrow().get(&peer).copied().unwrap_or(0);
        if of_one >= self.of_one_address {
            return Err(Full::OfOneAddress);
        }
        if self.is_full() {
            return Err(Full::InAll);
        }
        let key = self.next.get();
        self.next.set(key + 1);
        let leash = Rc::new(Leash::new(peer));
        self.connections.borrow_mut().insert(key, leash.clone());
        *self.of_address.borrow_mut().entry(peer).or_insert(0) += 1;
        self.traffic.connection_opened();
        Ok(Lease {
            register: self.clone(),
            key,
            leash,
        })
    }

    /// A place among the event streams, if one is left.
    pub fn stream(self: &Rc<Self>, at_most: usize) -> Option<StreamPlace> {
        if self.streams.get() >= at_most {
            return None;
        }
        self.streams.set(self.streams.get() + 1);
        self.traffic.stream_opened();
        Some(StreamPlace(self.clone()))
    }

    /// Ends what is late.
    pub fn look(&self, now: Instant) {
        for leash in self.connections.borrow().values() {
            if leash.deadline.get() <= now && leash.cut.get().is_none() {
                leash.cut(Cut::Late);
            }
        }
    }

    /// Asks the connection that is missed least to go, if one has done nothing for `at_least`:
    /// refused ones before idle ones before unfinished heads, the longest first. Never one
    /// that is being answered.
    pub fn shed(&self, at_least: Duration) -> bool {
        let now = Instant::now();
        let connections = self.connections.borrow();
        let candidates = connections.values().filter_map(|leash| {
            let rank = match leash.phase.get() {
                Phase::Lingering => 0,
                Phase::Idle => 1,
                Phase::Head => 2,
                Phase::Answering | Phase::Streaming => return None,
            };
            let rested = now.saturating_duration_since(leash.since.get()) >= at_least;
            (rested && leash.cut.get().is_none()).then_some((rank, leash.since.get(), leash))
        });
        let Some((_, _, leash)) = candidates.min_by_key(|(rank, since, _)| (*rank, *since)) else {
            return false;
        };
        self.traffic
            .record_rejection(Rejection::Evicted, leash.peer);
        leash.cut(Cut::Shed);
        true
    }

    /// Begins the end: whoever is not being answered goes now, the others after their answer.
    pub fn stop(&self) {
        self.stopping.set(true);
        for leash in self.connections.borrow().values() {
            if leash.phase.get() != Phase::Answering {
                leash.cut(Cut::Shed);
            }
        }
    }
}

/// A connection's place; dropping it gives the place back.
pub struct Lease {
    register: Rc<Register>,
    key: u64,
    pub leash: Rc<Leash>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.register.connections.borrow_mut().remove(&self.key);
        let mut of_address = self.register.of_address.borrow_mut();
        if let Some(count) = of_address.get_mut(&self.leash.peer) {
            *count -= 1;
            if *count == 0 {
                of_address.remove(&self.leash.peer);
            }
        }
        self.register.traffic.connection_closed();
    }
}

/// An event stream's place; dropping it gives the place back.
pub struct StreamPlace(Rc<Register>);

impl Drop for StreamPlace {
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

    fn register() -> Rc<Register> {
        Rc::new(Register::new(4, 2, Arc::new(HttpStats::new())))
    }

    #[test]
    fn places_are_capped_in_all_and_per_address_and_given_back() {
        let register = register();
        let first = register.enter(address(1)).ok();
        let _second = register.enter(address(1)).ok();
        assert_eq!(register.enter(address(1)).err(), Some(Full::OfOneAddress));
        let _others = (
            register.enter(address(2)).ok(),
            register.enter(address(3)).ok(),
        );
        assert_eq!(register.enter(address(4)).err(), Some(Full::InAll));
        drop(first);
        assert!(register.enter(address(1)).is_ok());
    }

    #[test]
    fn the_one_missed_least_is_shed_and_nobody_that_is_being_answered() {
        let register = register();
        let long = Duration::from_secs(60);
        let answering = register.enter(address(1)).expect("a place");
        answering.leash.enter(Phase::Answering, long);
        let head = register.enter(address(1)).expect("a place");
        head.leash.enter(Phase::Head, long);
        let idle = register.enter(address(2)).expect("a place");
        idle.leash.enter(Phase::Idle, long);
        let lingering = register.enter(address(2)).expect("a place");
        lingering.leash.enter(Phase::Lingering, long);
        for next in [&lingering, &idle, &head] {
            assert!(next.leash.cut.get().is_none());
            assert!(register.shed(Duration::ZERO));
            assert_eq!(next.leash.cut.get(), Some(Cut::Shed));
        }
        assert!(!register.shed(Duration::ZERO));
        assert!(answering.leash.cut.get().is_none());
    }

    #[test]
    fn who_was_active_just_now_keeps_its_place() {
        let register = register();
        let idle = register.enter(address(1)).expect("a place");
        idle.leash.enter(Phase::Idle, Duration::from_secs(60));
        assert!(!register.shed(Duration::from_secs(1)));
    }

    #[test]
    fn a_late_wait_ends_and_the_next_phase_begins_afresh() {
        let register = register();
        let lease = register.enter(address(1)).expect("a place");
        lease.leash.enter(Phase::Head, Duration::ZERO);
        register.look(Instant::now());
        let waited = smol::block_on(lease.leash.within(std::future::pending::<()>()));
        assert_eq!(waited, Err(Cut::Late));
        lease.leash.enter(Phase::Answering, Duration::from_secs(60));
        assert_eq!(smol::block_on(lease.leash.within(async { 7 })), Ok(7));
    }

    #[test]
    fn who_must_go_is_not_saved_by_a_new_phase() {
        let register = register();
        let lease = register.enter(address(1)).expect("a place");
        register.stop();
        lease.leash.enter(Phase::Idle, Duration::from_secs(60));
        let waited = smol::block_on(lease.leash.within(std::future::pending::<()>()));
        assert_eq!(waited, Err(Cut::Shed));
    }
}
