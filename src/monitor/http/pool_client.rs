//! The gate's side of the pool: at most as many connections as there are workers, opened one
//! at a time, each proved by a request before it is used.
//!
//! Owned by the gate's thread. It hands over what the head parser has cleaned and brings back
//! an answer whose size is counted from the moment it is known. A connection whose answer was
//! not fully read is closed, and its place stays empty until the worker is free again, so that
//! a stuck disk cannot pile up work.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use smol::Async;
use smol::io::{AsyncReadExt, AsyncWriteExt};

use super::deadline_timer::DeadlineTimer;
use super::handler::{Overload, Request};
use super::listener::is_resource_exhaustion;
use super::pool_protocol;
use super::response_writer::{self, EncodedResponse, ResponseBody};
use super::send_budget::SendBudget;
use super::server_limits::HttpLimits;
use super::stats::HttpStats;
use super::worker_pool::PoolState;
use crate::limits;

/// Slots that one address may have at once, so that another is never kept waiting by it alone.
const SLOTS_PER_ADDRESS: usize = limits::POOL_WORKERS - 1;

/// Why there is no answer from the pool.
#[derive(Debug, PartialEq, Eq)]
pub enum PoolError {
    /// It does not answer, or not as it should.
    Unavailable,
    /// Its answer does not fit beside those that clients have not taken yet.
    OverBudget(Overload),
}

pub struct PoolClient {
    workers: Arc<PoolState>,
    send_budget: Rc<SendBudget>,
    stats: Arc<HttpStats>,
    timer: Rc<DeadlineTimer>,
    slots: RefCell<Vec<Slot>>,
    queue: RefCell<VecDeque<QueuedRequest>>,
    /// Held while a connection is being opened.
    opening: smol::lock::Mutex<()>,
    next_id: Cell<u64>,
    /// Requests that the workers had finished at the last tick.
    done: Cell<u64>,
    ping_timeout: Duration,
    /// How often it is asked whether an abandoned slot's worker is free again.
    reclaim_interval: Duration,
}

enum Slot {
    Free(Option<PoolConnection>),
    Taken(IpAddr),
    /// Its request was given up; a worker may still be at it. Until then it is part of the
    /// share of who asked, or asking and resetting would get an address the whole pool.
    Abandoned {
        peer: IpAddr,
        ticket: u64,
        since: Instant,
    },
}

struct PoolConnection {
    stream: Async<UnixStream>,
    /// Which of tiny_http's servers it leads to.
    server: u64,
}

struct QueuedRequest {
    number: u64,
    peer: IpAddr,
    granted: Option<usize>,
    waker: Option<Waker>,
}

impl PoolClient {
    pub fn new(
        workers: Arc<PoolState>,
        send_budget: Rc<SendBudget>,
        stats: Arc<HttpStats>,
        timer: Rc<DeadlineTimer>,
        limits: &HttpLimits,
    ) -> Rc<PoolClient> {
        Rc::new(PoolClient {
            workers,
            send_budget,
            stats,
            timer,
            slots: RefCell::new(
                (0..limits::POOL_WORKERS)
                    .map(|_| Slot::Free(None))
                    .collect(),
            ),
            queue: RefCell::default(),
            opening: smol::lock::Mutex::new(()),
            next_id: Cell::new(1),
            done: Cell::new(0),
            ping_timeout: limits.pool_ping_timeout,
            reclaim_interval: limits.tick,
        })
    }

    /// Asks the pool. The caller bounds the time; a call that is dropped gives its place back.
    pub async fn request(self: &Rc<Self>, request: &Request) -> Result<EncodedResponse, PoolError> {
        let mut place = self.acquire_slot(request.peer).await?;
        // A connection that was closed while it was not used is replaced, once.
        if let Some(link) = place.link.take()
            && link.server == self.workers.server_number()
        {
            match place.exchange(link, request).await {
                Err(ExchangeError::ConnectionClosed) => {}
                Err(ExchangeError::Failed(trouble)) => return Err(trouble),
                Ok(reply) => return Ok(reply),
            }
        }
        let link = self.open().await?;
        match place.exchange(link, request).await {
            Err(ExchangeError::ConnectionClosed) => Err(PoolError::Unavailable),
            Err(ExchangeError::Failed(trouble)) => Err(trouble),
            Ok(reply) => Ok(reply),
        }
    }

    /// Frees abandoned slots whose workers are free again; returns when to call again.
    pub fn reclaim_slots(&self, now: Instant) -> Option<Instant> {
        let mut next = None;
        for (number, slot) in self.slots.borrow_mut().iter_mut().enumerate() {
            let Slot::Abandoned { ticket, since, .. } = slot else {
                continue;
            };
            // A request that no worker ever saw ends nowhere; an idle worker proves that.
            let lost = self.workers.idle_workers() > 0
                && now.saturating_duration_since(*since) >= limits::POOL_TIMEOUT;
            if lost || self.workers.has_finished(number, *ticket) {
                *slot = Slot::Free(None);
            } else {
                next = Some(now + self.reclaim_interval);
            }
        }
        self.assign_slots();
        next
    }

    /// Whether a worker has finished a request since this was last asked, or no request
    /// waits: none is queued or being answered, and a worker is free for the next one. Once a
    /// tick.
    pub fn is_making_progress(&self) -> bool {
        let done = self.workers.finished_requests();
        if self.done.replace(done) != done {
            return true;
        }
        let slots = self.slots.borrow();
        let is_asked = slots.iter().any(|slot| matches!(slot, Slot::Taken(_)));
        let is_queued = !self.queue.borrow().is_empty();
        // With every worker busy for those who have left, the next to ask is refused.
        let all_are_kept = slots
            .iter()
            .all(|slot| matches!(slot, Slot::Abandoned { .. }));
        !is_asked && !is_queued && !all_are_kept
    }

    /// Waits for a slot, in the order of coming, except that one address never has them all.
    async fn acquire_slot(self: &Rc<Self>, peer: IpAddr) -> Result<SlotGuard, PoolError> {
        self.reclaim_slots(Instant::now());
        // Slots given up long ago have stuck workers: no use to wait. Those given up just now
        // (a reader who clicked on) will be free soon.
        let (mut abandoned, mut by_peer) = (0, 0);
        for slot in self.slots.borrow().iter() {
            if let Slot::Abandoned {
                peer: by, since, ..
            } = slot
                && since.elapsed() >= self.ping_timeout
            {
                abandoned += 1;
                by_peer += usize::from(*by == peer);
            }
        }
        if abandoned == limits::POOL_WORKERS || by_peer >= SLOTS_PER_ADDRESS {
            return Err(PoolError::Unavailable);
        }
        let number = self.next_id.get();
        self.next_id.set(number + 1);
        self.queue.borrow_mut().push_back(QueuedRequest {
            number,
            peer,
            granted: None,
            waker: None,
        });
        // Leaves the queue when this wait is given up.
        let queued = QueueGuard {
            backend: self.clone(),
            number,
        };
        self.assign_slots();
        let granted = poll_fn(|context| {
            let mut waiting = self.queue.borrow_mut();
            let Some(found) = waiting.iter_mut().find(|one| one.number == number) else {
                return Poll::Ready(None);
            };
            if found.granted.is_some() {
                return Poll::Ready(found.granted);
            }
            found.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
        let slot = granted.ok_or(PoolError::Unavailable)?;
        // Taken before the queue is left: leaving hands free slots to the next.
        let taken = std::mem::replace(&mut self.slots.borrow_mut()[slot], Slot::Taken(peer));
        drop(queued);
        let link = match taken {
            Slot::Free(link) => link,
            Slot::Taken(_) | Slot::Abandoned { .. } => None,
        };
        Ok(SlotGuard {
            backend: self.clone(),
            peer,
            slot,
            link,
            pending_id: None,
        })
    }

    /// Hands free slots to those who wait.
    fn assign_slots(&self) {
        let slots = self.slots.borrow();
        let mut waiting = self.queue.borrow_mut();
        loop {
            let promised = |slot: usize| waiting.iter().any(|one| one.granted == Some(slot));
            // One with an open connection first.
            let free = |open: bool| {
                (0..slots.len()).find(|slot| {
                    matches!(&slots[*slot], Slot::Free(link) if link.is_some() == open)
                        && !promised(*slot)
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
                let granted = waiting.iter().filter(is_granted);
                taken.count() + granted.count()
            };
            let next = waiting
                .iter()
                .position(|one| one.granted.is_none() && has(one.peer) < SLOTS_PER_ADDRESS);
            let Some(next) = next.and_then(|at| waiting.get_mut(at)) else {
                return;
            };
            next.granted = Some(slot);
            if let Some(waker) = next.waker.take() {
                waker.wake();
            }
        }
    }

    /// A new connection, proved. One at a time: tiny_http's own pool stalls on bursts. A server
    /// that turns out deaf is replaced, and asked once more.
    async fn open(&self) -> Result<PoolConnection, PoolError> {
        let _one = self.opening.lock().await;
        for _ in 0..2 {
            let server = self.workers.server_number();
            let error = match self.connect().await {
                Ok(stream) => {
                    self.stats.pool_connection_opened();
                    return Ok(PoolConnection { stream, server });
                }
                Err(error) => error,
            };
            log::debug!("a connection to the page workers failed: {error}");
            // With an idle worker at hand it is tiny_http that is deaf, not the work that is
            // slow. Want of descriptors is neither; it passes.
            if is_resource_exhaustion(&error) || self.workers.idle_workers() == 0 {
                break;
            }
            if let Err(error) = self.workers.replace(server) {
                log::debug!("{error}");
                break;
            }
        }
        Err(PoolError::Unavailable)
    }

    async fn connect(&self) -> io::Result<Async<UnixStream>> {
        let proved = async {
            let mut stream = Async::<UnixStream>::connect(self.workers.socket_path()).await?;
            stream.write_all(&pool_protocol::ping()).await?;
            let answer = read_head(&mut stream).await?;
            match (answer.status, answer.length) {
                (200, 0) => Ok(stream),
                _ => Err(io::Error::other("the proof was answered wrongly")),
            }
        };
        let patience = async {
            smol::Timer::after(self.ping_timeout).await;
            Err(io::Error::from(io::ErrorKind::TimedOut))
        };
        smol::future::or(proved, patience).await
    }
}

/// A place in the queue.
struct QueueGuard {
    backend: Rc<PoolClient>,
    number: u64,
}

impl Drop for QueueGuard {
    fn drop(&mut self) {
        self.backend
            .queue
            .borrow_mut()
            .retain(|one| one.number != self.number);
        // It may have been granted a slot that it no longer wants.
        self.backend.assign_slots();
    }
}

/// A slot in use.
struct SlotGuard {
    backend: Rc<PoolClient>,
    peer: IpAddr,
    slot: usize,
    link: Option<PoolConnection>,
    /// The ticket of a request whose answer has not been read to its end.
    pending_id: Option<u64>,
}

enum ExchangeError {
    /// The connection turned out closed before it took or answered anything.
    ConnectionClosed,
    Failed(PoolError),
}

impl SlotGuard {
    async fn exchange(
        &mut self,
        mut link: PoolConnection,
        request: &Request,
    ) -> Result<EncodedResponse, ExchangeError> {
        let backend = self.backend.clone();
        let ticket = backend.next_id.get();
        backend.next_id.set(ticket + 1);
        let bytes = pool_protocol::encode_request(request, self.slot, ticket);
        if link.stream.write_all(&bytes).await.is_err() {
            return Err(ExchangeError::ConnectionClosed);
        }
        self.pending_id = Some(ticket);
        let head = match read_head(&mut link.stream).await {
            Ok(head) => head,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.pending_id = None;
                return Err(ExchangeError::ConnectionClosed);
            }
            Err(error) => {
                log::debug!("the page workers' answer could not be read: {error}");
                return Err(ExchangeError::Failed(PoolError::Unavailable));
            }
        };
        if head.length > limits::POOL_RESPONSE_BYTES {
            return Err(ExchangeError::Failed(PoolError::Unavailable));
        }
        let reservation = backend
            .send_budget
            .reserve(head.length, request.peer)
            .map_err(|limit| ExchangeError::Failed(PoolError::OverBudget(limit)))?;
        let mut body = head.begun;
        let have = body.len().min(head.length);
        body.resize(head.length, 0);
        if link.stream.read_exact(&mut body[have..]).await.is_err() {
            return Err(ExchangeError::Failed(PoolError::Unavailable));
        }
        self.pending_id = None;
        self.link = Some(link);
        Ok(EncodedResponse {
            status: head.status,
            fields: head.fields,
            body: ResponseBody::Own(body),
            reservation: Some(reservation),
        })
    }
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        let slot = match self.pending_id {
            None => Slot::Free(self.link.take()),
            Some(ticket) => Slot::Abandoned {
                peer: self.peer,
                ticket,
                since: Instant::now(),
            },
        };
        if matches!(slot, Slot::Abandoned { .. }) {
            let timer = &self.backend.timer;
            timer.wake_before(Instant::now() + self.backend.reclaim_interval);
        }
        self.backend.slots.borrow_mut()[self.slot] = slot;
        self.backend.assign_slots();
    }
}

/// The head of an answer of the pool.
struct PoolResponseHead {
    status: u16,
    fields: Vec<u8>,
    length: usize,
    /// What of the body came with it.
    begun: Vec<u8>,
}

async fn read_head(stream: &mut Async<UnixStream>) -> io::Result<PoolResponseHead> {
    let mut bytes = vec![0; 2048];
    let mut filled = 0;
    loop {
        if filled == bytes.len() {
            if filled >= 2 * limits::REQUEST_HEAD_BYTES {
                return Err(io::Error::other("an answer's head is too long"));
            }
            bytes.resize(filled * 2, 0);
        }
        let read = stream.read(&mut bytes[filled..]).await?;
        if read == 0 {
            // Closed before the first byte: the connection, not the answer, is at fault.
            let kind = match filled {
                0 => io::ErrorKind::UnexpectedEof,
                _ => io::ErrorKind::InvalidData,
            };
            return Err(kind.into());
        }
        filled += read;
        if let Some((mut head, used)) = parse(&bytes[..filled])? {
            bytes.truncate(filled);
            bytes.drain(..used);
            head.begun = bytes;
            return Ok(head);
        }
    }
}

fn parse(bytes: &[u8]) -> io::Result<Option<(PoolResponseHead, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; limits::REQUEST_HEADERS];
    let mut parsed = httparse::Response::new(&mut fields);
    let used = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(used)) => used,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(io::Error::other(error)),
    };
    let mut head = PoolResponseHead {
        status: parsed.code.unwrap_or(0),
        fields: Vec::with_capacity(256),
        length: 0,
        begun: Vec::new(),
    };
    let mut length = None;
    for header in parsed.headers.iter() {
        let value = std::str::from_utf8(header.value).map_err(io::Error::other)?;
        if header.name.eq_ignore_ascii_case("content-length") {
            length = value.parse().ok();
        } else if header.name == pool_protocol::STATUS {
            head.status = value.parse().map_err(io::Error::other)?;
        } else if let Some(name) = header.name.strip_prefix(pool_protocol::FIELD)
            && !response_writer::is_writer_field(name)
        {
            let value = pool_protocol::unescape(value).unwrap_or_default();
            response_writer::append_checked(&mut head.fields, name, &value);
        }
    }
    head.length = length.ok_or_else(|| io::Error::other("an answer without its length"))?;
    Ok(Some((head, used)))
}
