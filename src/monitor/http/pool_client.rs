//! Client of the worker pool: sends a request to tiny_http and reads its response.
//!
//! Owned by the server's thread. It sends what the parser has checked, over at most as many
//! connections as there are workers; each is pinged before it is used. The size of a response
//! is counted from the moment it is known. A page that was rendered a moment ago comes from
//! the [`MicroCache`].

use std::io;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use smol::Async;
use smol::io::{AsyncReadExt, AsyncWriteExt};

use super::deadline_timer::DeadlineTimer;
use super::event_log::EventLog;
use super::handler::{Overload, Request};
use super::listener::is_resource_exhaustion;
use super::micro_cache::MicroCache;
use super::parser::PRIVATE_PREFIX;
use super::pool_slots::{PoolConnection, PoolSlots, SlotGuard};
use super::response_writer::{self, EncodedResponse, ResponseBody};
use super::send_budget::SendBudget;
use super::server_limits::HttpLimits;
use super::stats::HttpStats;
use super::worker_pool::{self, PoolState};
use crate::limits;

/// Why there is no response from the pool.
#[derive(Debug, PartialEq, Eq)]
pub enum PoolError {
    /// It does not respond, or not as it should.
    Unavailable,
    /// Its response does not fit beside those that clients have not read yet.
    OverBudget(Overload),
}

pub struct PoolClient {
    workers: Arc<PoolState>,
    events: Arc<EventLog>,
    cache: MicroCache,
    slots: Rc<PoolSlots>,
    send_budget: Rc<SendBudget>,
    stats: Arc<HttpStats>,
    /// Held while a connection is being opened.
    opening: smol::lock::Mutex<()>,
    ping_timeout: Duration,
}

enum ExchangeError {
    /// The connection was already closed when the request was sent.
    ConnectionClosed,
    Failed(PoolError),
}

impl PoolClient {
    pub fn new(
        workers: Arc<PoolState>,
        events: Arc<EventLog>,
        send_budget: Rc<SendBudget>,
        stats: Arc<HttpStats>,
        timer: Rc<DeadlineTimer>,
        limits: &HttpLimits,
    ) -> PoolClient {
        PoolClient {
            slots: PoolSlots::new(workers.clone(), timer, limits),
            workers,
            events,
            cache: MicroCache::new(limits.page_cache_ttl),
            send_budget,
            stats,
            opening: smol::lock::Mutex::new(()),
            ping_timeout: limits.pool_ping_timeout,
        }
    }

    /// The response, from the cache or a worker. The caller bounds the time; a call that is
    /// dropped gives its slot back.
    pub async fn request(&self, request: &Request) -> Result<EncodedResponse, PoolError> {
        let newest_event = self.events.newest();
        if let Some(mut cached) = self.cache.get(request, newest_event) {
            if let ResponseBody::Shared(body) = &cached.body {
                cached.reservation = self.send_budget.reserve_shared(body);
            }
            if cached.reservation.is_some() {
                return Ok(cached);
            }
        }
        let requested_at = Instant::now();
        let response = self.request_from_worker(request).await?;
        Ok(self
            .cache
            .insert(request, requested_at, newest_event, response))
    }

    async fn request_from_worker(&self, request: &Request) -> Result<EncodedResponse, PoolError> {
        let slot = self.slots.acquire(request.peer).await;
        let mut slot = slot.ok_or(PoolError::Unavailable)?;
        // A connection that was closed while it was not used is replaced, once.
        if let Some(connection) = slot.connection.take()
            && connection.server == self.workers.server_number()
        {
            match self.exchange(&mut slot, connection, request).await {
                Err(ExchangeError::ConnectionClosed) => {}
                Err(ExchangeError::Failed(error)) => return Err(error),
                Ok(response) => return Ok(response),
            }
        }
        let connection = self.open().await?;
        match self.exchange(&mut slot, connection, request).await {
            Err(ExchangeError::ConnectionClosed) => Err(PoolError::Unavailable),
            Err(ExchangeError::Failed(error)) => Err(error),
            Ok(response) => Ok(response),
        }
    }

    async fn exchange(
        &self,
        slot: &mut SlotGuard,
        mut connection: PoolConnection,
        request: &Request,
    ) -> Result<EncodedResponse, ExchangeError> {
        let request_id = self.slots.next_id();
        let bytes = encode_request(request, slot.index, request_id);
        if connection.stream.write_all(&bytes).await.is_err() {
            return Err(ExchangeError::ConnectionClosed);
        }
        slot.pending_request = Some(request_id);
        let head = match read_head(&mut connection.stream).await {
            Ok(head) => head,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                slot.pending_request = None;
                return Err(ExchangeError::ConnectionClosed);
            }
            Err(error) => {
                log::debug!("the page workers' response could not be read: {error}");
                return Err(ExchangeError::Failed(PoolError::Unavailable));
            }
        };
        if head.length > limits::POOL_RESPONSE_BYTES {
            return Err(ExchangeError::Failed(PoolError::Unavailable));
        }
        let reservation = self
            .send_budget
            .reserve(head.length, request.peer)
            .map_err(|limit| ExchangeError::Failed(PoolError::OverBudget(limit)))?;
        let mut body = head.body_start;
        let have = body.len().min(head.length);
        body.resize(head.length, 0);
        let rest = connection.stream.read_exact(&mut body[have..]);
        if rest.await.is_err() {
            return Err(ExchangeError::Failed(PoolError::Unavailable));
        }
        slot.pending_request = None;
        slot.connection = Some(connection);
        Ok(EncodedResponse {
            status: head.status,
            fields: head.fields,
            body: ResponseBody::Own(body),
            reservation: Some(reservation),
        })
    }

    /// Frees slots and drops expired pages; returns when to call again.
    pub fn maintain(&self, now: Instant) -> Option<Instant> {
        let due = [self.slots.reclaim(now), self.cache.expire(now)];
        due.into_iter().flatten().min()
    }

    /// [`PoolSlots::is_making_progress`].
    pub fn is_making_progress(&self) -> bool {
        self.slots.is_making_progress()
    }

    /// A new connection that has responded to a ping. One at a time: tiny_http's own pool stalls on
    /// bursts. A server that does not respond is replaced, and tried once more.
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
            // With an idle worker it is tiny_http that does not accept, not the work that is
            // slow. A lack of descriptors is neither; it passes.
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
        let pinged = async {
            let mut stream = Async::<UnixStream>::connect(self.workers.socket_path()).await?;
            stream.write_all(&ping()).await?;
            let head = read_head(&mut stream).await?;
            match (head.status, head.length) {
                (200, 0) => Ok(stream),
                _ => Err(io::Error::other("unexpected response to a ping")),
            }
        };
        let timed_out = async {
            smol::Timer::after(self.ping_timeout).await;
            Err(io::Error::from(io::ErrorKind::TimedOut))
        };
        smol::future::or(pinged, timed_out).await
    }
}

/// A request that shows that a connection is being served.
fn ping() -> Vec<u8> {
    format!("GET / HTTP/1.1\r\n{}: 1\r\n\r\n", worker_pool::PING_FIELD).into_bytes()
}

/// A checked request, as tiny_http gets it.
fn encode_request(request: &Request, slot: usize, request_id: u64) -> Vec<u8> {
    let mut bytes = String::with_capacity(512);
    bytes.push_str("GET ");
    bytes.push_str(&request.target);
    bytes.push_str(" HTTP/1.1\r\n");
    let mut field = |name: &str, value: &str| {
        bytes.push_str(name);
        bytes.push_str(": ");
        bytes.push_str(value);
        bytes.push_str("\r\n");
    };
    field(worker_pool::PEER_FIELD, &request.peer.to_string());
    field(
        worker_pool::REQUEST_ID_FIELD,
        &format!("{slot}-{request_id}"),
    );
    if request.is_head {
        field(worker_pool::HEAD_FIELD, "1");
    }
    if request.is_https {
        field(worker_pool::HTTPS_FIELD, "1");
    }
    if !request.base.is_empty() {
        field(worker_pool::BASE_FIELD, &worker_pool::escape(&request.base));
    }
    if let Some(token) = &request.token {
        field(worker_pool::TOKEN_FIELD, &worker_pool::escape(token));
    }
    for (name, value) in &request.headers {
        debug_assert!(
            !name.starts_with(PRIVATE_PREFIX),
            "the head parser drops these"
        );
        field(name, &worker_pool::escape(value));
    }
    bytes.push_str("\r\n");
    bytes.into_bytes()
}

/// The head of a response of the pool.
struct PoolResponseHead {
    status: u16,
    fields: Vec<u8>,
    length: usize,
    /// The part of the body that was read with it.
    body_start: Vec<u8>,
}

async fn read_head(stream: &mut Async<UnixStream>) -> io::Result<PoolResponseHead> {
    let mut bytes = vec![0; 2048];
    let mut filled = 0;
    loop {
        if filled == bytes.len() {
            if filled >= 2 * limits::REQUEST_HEAD_BYTES {
                return Err(io::Error::other("a response head is too long"));
            }
            bytes.resize(filled * 2, 0);
        }
        let read = stream.read(&mut bytes[filled..]).await?;
        if read == 0 {
            // Closed before the first byte: the connection is at fault, not the response.
            let kind = match filled {
                0 => io::ErrorKind::UnexpectedEof,
                _ => io::ErrorKind::InvalidData,
            };
            return Err(kind.into());
        }
        filled += read;
        if let Some((mut head, used)) = parse_head(&bytes[..filled])? {
            bytes.truncate(filled);
            bytes.drain(..used);
            head.body_start = bytes;
            return Ok(head);
        }
    }
}

fn parse_head(bytes: &[u8]) -> io::Result<Option<(PoolResponseHead, usize)>> {
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
        body_start: Vec::new(),
    };
    let mut length = None;
    for header in parsed.headers.iter() {
        let value = std::str::from_utf8(header.value).map_err(io::Error::other)?;
        if header.name.eq_ignore_ascii_case("content-length") {
            length = value.parse().ok();
        } else if header.name == worker_pool::STATUS_FIELD {
            head.status = value.parse().map_err(io::Error::other)?;
        } else if let Some(name) = header.name.strip_prefix(worker_pool::FIELD_PREFIX)
            && !response_writer::is_writer_field(name)
        {
            let value = worker_pool::unescape(value).unwrap_or_default();
            response_writer::append_checked(&mut head.fields, name, &value);
        }
    }
    head.length = length.ok_or_else(|| io::Error::other("a response without Content-Length"))?;
    Ok(Some((head, used)))
}
