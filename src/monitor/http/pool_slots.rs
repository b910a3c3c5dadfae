//! Slots of the worker pool: one request per worker, and a fair queue for the rest.
//!
//! Owned by the server's thread. A slot whose response was not read to its end stays taken
//! until its worker is free again, so that a stuck disk cannot pile up work.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use smol::Async;

use super::deadline_timer::DeadlineTimer;
use super::server_limits::HttpLimits;
use super::worker_pool::PoolState;
use crate::limits;

/// Slots that one address may have at once, so that it alone never blocks another.
const SLOTS_PER_ADDRESS: usize = limits::POOL_WORKERS - 1;

pub struct PoolSlots {
    workers: Arc<PoolState>,
    timer: Rc<DeadlineTimer>,
    slots: RefCell<Vec<Slot>>,
    queue: RefCell<VecDeque<QueuedRequest>>,
    next_id: Cell<u64>,
    /// Requests that the workers had finished at the last tick.
    finished: Cell<u64>,
    /// A slot that was abandoned for longer has a stuck worker.
    stuck_after: Duration,
    /// How often it is checked whether an abandoned slot's worker is free again.
    reclaim_interval: Duration,
}

enum Slot {
    Free(Option<PoolConnection>),
    Taken(IpAddr),
    /// Its request was given up; a worker may still be rendering. Until then it counts for the
    /// address of the request, or sending and resetting would get an address the whole pool.
    Abandoned {
        peer: IpAddr,
        request_id: u64,
        since: Instant,
    },
}

/// An open connection to tiny_http.
pub struct PoolConnection {
    pub stream: Async<UnixStream>,
    /// Which of tiny_http's servers it leads to.
    pub server: u64,
}

struct QueuedRequest {
    id: u64,
    peer: IpAddr,
    granted: Option<usize>,
    waker: Option<Waker>,
}

/// A place in the queue.
struct QueueGuard {
    slots: Rc<PoolSlots>,
    id: u64,
}

/// A slot in use; dropping it frees or abandons it.
pub struct SlotGuard {
    slots: Rc<PoolSlots>,
    peer: IpAddr,
    pub index: usize,
    pub connection: Option<PoolConnection>,
    /// The request whose response has not been read to its end.
    pub pending_request: Option<u64>,
}

impl PoolSlots {
    pub fn new(
        workers: Arc<PoolState>,
        timer: Rc<DeadlineTimer>,
        limits: &HttpLimits,
    ) -> Rc<PoolSlots> {
        let free = (0..limits::POOL_WORKERS).map(|_| Slot::Free(None));
        Rc::new(PoolSlots {
            workers,
            timer,
            slots: RefCell::new(free.collect()),
            queue: RefCell::default(),
            next_id: Cell::new(1),
            finished: Cell::new(0),
            stuck_after: limits.pool_ping_timeout,
            reclaim_interval: limits.tick,
        })
    }

    pub fn next_id(&self) -> u64 {
        self.next_id.replace(self.next_id.get() + 1)
    }

    /// Frees abandoned slots whose workers are free again; returns when to call again.
    pub fn reclaim(&self, now: Instant) -> Option<Instant> {
        let mut next = None;
        for (index, slot) in self.slots.borrow_mut().iter_mut().enumerate() {
            let Slot::Abandoned {
                request_id, since, ..
            } = slot
            else {
                continue;
            };
            // A request that no worker ever got never finishes; an idle worker proves that.
            let lost = self.workers.idle_workers() > 0
                && now.saturating_duration_since(*since) >= limits::POOL_TIMEOUT;
            if lost || self.workers.has_finished(index, *request_id) {
                *slot = Slot::Free(None);
            } else {
                next = Some(now + self.reclaim_interval);
            }
        }
        self.assign();
        next
    }

    /// Whether a worker has finished a request since the last call, or no request
    /// waits: none is queued or in progress, and a worker is free for the next one. Called once a
    /// tick.
    pub fn is_making_progress(&self) -> bool {
        let finished = self.workers.finished_requests();
        if self.finished.replace(finished) != finished {
            return true;
        }
        let slots = self.slots.borrow();
        let is_taken = slots.iter().any(|slot| matches!(slot, Slot::Taken(_)));
        let is_queued = !self.queue.borrow().is_empty();
        // With every worker busy for clients that have left, the next request is rejected.
        let all_abandoned = slots
            .iter()
            .all(|slot| matches!(slot, Slot::Abandoned { .. }));
        !is_taken && !is_queued && !all_abandoned
    }

    /// Waits for a slot, first come first served, except that one address never has them all.
    /// None if workers are stuck.
    pub async fn acquire(self: &Rc<Self>, peer: IpAddr) -> Option<SlotGuard> {
        self.reclaim(Instant::now());
        // Slots abandoned long ago have stuck workers: waiting is of no use. Those abandoned just
        // now (a reader who clicked on) will be free soon.
        let (mut abandoned, mut by_peer) = (0, 0);
        for slot in self.slots.borrow().iter() {
            if let Slot::Abandoned {
                peer: by, since, ..
            } = slot
                && since.elapsed() >= self.stuck_after
            {
                abandoned += 1;
                by_peer += usize::from(*by == peer);
            }
        }
        if abandoned == limits::POOL_WORKERS || by_peer >= SLOTS_PER_ADDRESS {
            return None;
        }
        let id = self.next_id();
        self.queue.borrow_mut().push_back(QueuedRequest {
            id,
            peer,
            granted: None,
            waker: None,
        });
        // Leaves the queue when this wait is given up.
        let queued = QueueGuard {
            slots: self.clone(),
            id,
        };
        self.assign();
        let granted = poll_fn(|context| {
            let mut queue = self.queue.borrow_mut();
            let Some(found) = queue.iter_mut().find(|one| one.id == id) else {
                return Poll::Ready(None);
            };
            if found.granted.is_some() {
                return Poll::Ready(found.granted);
            }
            found.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
        let index = granted?;
        // Taken before the queue is left: leaving gives free slots to the next.
        let taken = std::mem::replace(&mut self.slots.borrow_mut()[index], Slot::Taken(peer));
        drop(queued);
        let connection = match taken {
            Slot::Free(connection) => connection,
            Slot::Taken(_) | Slot::Abandoned { .. } => None,
        };
        Some(SlotGuard {
            slots: self.clone(),
            peer,
            index,
            connection,
            pending_request: None,
        })
    }

    /// Gives free slots to queued requests.
    fn assign(&self) {
        let slots = self.slots.borrow();
        let mut queue = self.queue.borrow_mut();
        loop {
            let is_granted_to_another =
                |slot: usize| queue.iter().any(|one| one.granted == Some(slot));
            // Those with an open connection first.
            let free = |open: bool| {
                (0..slots.len()).find(|slot| {
                    matches!(&slots[*slot], Slot::Free(connection) if connection.is_some() == open)
                        && !is_granted_to_another(*slot)
                })
            };
            let Some(slot) = free(true).or_else(|| free(false)) else {
                return;
            };
            let has = |peer: IpAddr| {
                let is_of = |slot: &&Slot| match slot {
                    Slot::Taken(by) | Slot::Abandoned { peer: by, .. } => *by == peer,
                    Slot::Free(_) => false,
                };
                let taken = slots.iter().filter(is_of);
                let is_granted = |one: &&QueuedRequest| one.granted.is_some() && one.peer == peer;
                let granted = queue.iter().filter(is_granted);
                taken.count() + granted.count()
            };
            let next = queue
                .iter()
                .position(|one| one.granted.is_none() && has(one.peer) < SLOTS_PER_ADDRESS);
            let Some(next) = next.and_then(|at| queue.get_mut(at)) else {
                return;
            };
            next.granted = Some(slot);
            if let Some(waker) = next.waker.take() {
                waker.wake();
            }
        }
    }
}

impl Drop for QueueGuard {
    fn drop(&mut self) {
        let mut queue = self.slots.queue.borrow_mut();
        queue.retain(|one| one.id != self.id);
        drop(queue);
        // It may have been granted a slot that it no longer wants.
        self.slots.assign();
    }
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        let slot = match self.pending_request {
            None => Slot::Free(self.connection.take()),
            Some(request_id) => {
                let timer = &self.slots.timer;
                timer.wake_before(Instant::now() + self.slots.reclaim_interval);
                Slot::Abandoned {
                    peer: self.peer,
                    request_id,
                    since: Instant::now(),
                }
            }
        };
        self.slots.slots.borrow_mut()[self.index] = slot;
        self.slots.assign();
    }
}
