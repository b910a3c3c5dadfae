//! The gate: the only thing of the node that strangers' bytes reach.
//!
//! Owns the listening sockets and every connection, on one thread named `gate` (a smol
//! `LocalExecutor`, a task for each connection). It frames requests strictly, keeps the caps
//! and deadlines of `limits`, answers from memory what the answerer can answer from memory,
//! streams events, and hands the rest, cleaned, to tiny_http's pool on a Unix socket. It must
//! not block: no disk, no database, no name resolution on this thread.
//!
//! A panic in one connection ends that connection; one in a loop of the gate restarts the loop.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use smol::future::FutureExt as _;
use smol::{Async, LocalExecutor, Timer};

use super::connection_table::{ConnectionTable, LimitReached};
use super::event_stream::{EventLog, WakerSet};
use super::handler::{Handler, Overload};
use super::micro_cache::MicroCache;
use super::pool_client::PoolClient;
use super::private_dir::PrivateDir;
use super::response_writer::{EncodedResponse, ResponseFraming};
use super::send_budget::SendBudget;
use super::stats::{HttpStats, Rejection};
use super::worker_pool::{PoolState, WorkerPool};
use super::{connection, parser, response_writer};
use crate::limits;
use crate::sys::shutdown::{StopSource, StopToken};
use crate::sys::thread::{Thread, spawn};

/// What the gate is made of.
pub struct HttpServerParts {
    /// From [`listen::bind`].
    pub listeners: Vec<TcpListener>,
    /// Networks that may connect beside this machine itself; none is all.
    pub allow: Vec<IpNet>,
    pub handler: Arc<dyn Handler>,
    pub events: Arc<EventLog>,
    pub stats: Arc<HttpStats>,
    /// Where the private directory of the pool's socket may be made, best first:
    /// [`PrivateDir::bases`].
    pub private_bases: Vec<PathBuf>,
    /// Called on the gate's thread at every tick: the proof, for a watchdog, that it turns.
    pub heartbeat: Box<dyn Fn() + Send>,
    /// Called likewise while no request waits for the page workers, or one of them has
    /// finished one since the last tick.
    pub workers_heartbeat: Box<dyn Fn() + Send>,
    pub limits: HttpLimits,
}

/// The bounds that the gate keeps; the default is `limits`'s, tests take shorter ones.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    pub connections: usize,
    pub connections_per_address: usize,
    pub head_timeout: Duration,
    pub idle_timeout: Duration,
    pub write_timeout: Duration,
    pub write_bytes_per_s: usize,
    pub worker_timeout: Duration,
    pub page_cache_ttl: Duration,
    pub pool_ping_timeout: Duration,
    pub linger_timeout: Duration,
    pub bytes_outstanding: usize,
    pub bytes_outstanding_per_address: usize,
    pub event_streams: usize,
    pub event_keepalive: Duration,
    pub evict_idle_after: Duration,
    pub tick: Duration,
    pub idle_tick: Duration,
}

impl Default for HttpLimits {
    fn default() -> HttpLimits {
        HttpLimits {
            connections: limits::CONNECTIONS,
            connections_per_address: limits::CONNECTIONS_PER_ADDRESS,
            head_timeout: limits::REQUEST_HEAD_TIME,
            idle_timeout: limits::IDLE_TIME,
            write_timeout: limits::WRITE_TIME,
            write_bytes_per_s: limits::WRITE_BYTES_PER_S,
            worker_timeout: limits::BACKEND_TIME,
            page_cache_ttl: limits::REPEAT_TIME,
            pool_ping_timeout: limits::PROOF_TIME,
            linger_timeout: limits::LINGER_TIME,
            bytes_outstanding: limits::BYTES_OUTSTANDING,
            bytes_outstanding_per_address: limits::BYTES_OUTSTANDING_PER_ADDRESS,
            event_streams: limits::EVENT_STREAMS,
            event_keepalive: limits::EVENT_HEARTBEAT,
            evict_idle_after: limits::SHED_AFTER,
            tick: limits::GATE_TICK,
            idle_tick: limits::IDLE_TICK,
        }
    }
}

/// The running gate. Dropping it stops it at once; [`Gate::stop`] lets answers finish.
pub struct HttpServer {
    addresses: Vec<SocketAddr>,
    stop: StopSource,
    /// Until when answers in flight may take, once it stops.
    deadline: Arc<OnceLock<Instant>>,
    thread: Option<Thread>,
    pool: WorkerPool,
}

impl HttpServer {
    /// Starts the pool and the gate's thread; requests are answered from now on.
    pub fn start(parts: HttpServerParts) -> io::Result<HttpServer> {
        let mut addresses = Vec::with_capacity(parts.listeners.len());
        for listener in &parts.listeners {
            addresses.push(listener.local_addr()?);
        }
        let directory = PrivateDir::create(&parts.private_bases)?;
        let pool = WorkerPool::start(parts.handler.clone(), parts.stats.clone(), directory)?;
        let desk = pool.state();
        let stop = StopSource::new();
        let deadline = Arc::new(OnceLock::new());
        let (token, until) = (stop.token(), deadline.clone());
        let thread = spawn("gate", move || run(&parts, &desk, &token, &until))?;
        Ok(HttpServer {
            addresses,
            stop,
            deadline,
            thread: Some(thread),
            pool,
        })
    }

    /// Where it listens, with the ports that the kernel chose.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops accepting, ends event streams and idle connections, lets answers in flight finish,
    /// then ends the pool and removes its directory: all within `time`. True if nothing was
    /// left behind.
    pub fn stop(mut self, time: Duration) -> bool {
        self.end(time)
    }

    fn end(&mut self, time: Duration) -> bool {
        let begun = Instant::now();
        // The workers' answers are among those in flight, so they end after them.
        let _ = self.deadline.set(begun + time.mul_f32(0.8));
        self.stop.stop();
        // It keeps the deadline itself, unless an answerer blocks it, which it must not.
        let thread = self.thread.take();
        let latest = begun + time + limits::STOP_GRACE;
        let gate_ended = thread.is_none_or(|thread| thread.join_by(latest));
        if !gate_ended {
            log::error!("the gate's thread did not end; it is left behind");
        }
        let rest = time.saturating_sub(begun.elapsed());
        self.pool.stop(rest.max(limits::STOP_GRACE)) && gate_ended
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.end(Duration::ZERO);
        }
    }
}

/// What all connections share, on the gate's thread.
pub(super) struct ServerState {
    pub allow: Vec<IpNet>,
    pub answerer: Arc<dyn Handler>,
    pub feed: Arc<EventLog>,
    pub traffic: Arc<HttpStats>,
    pub limits: HttpLimits,
    pub connections: Rc<ConnectionTable>,
    pub send_budget: Rc<SendBudget>,
    pub pool: Rc<PoolClient>,
    pub micro_cache: MicroCache,
    pub wakers: Rc<WakerSet>,
    pub date: RefCell<Option<Rc<str>>>,
    refreshed: Cell<Instant>,
    /// What is said to a connection that finds no place; made when first needed after a tick,
    /// so that a flood costs a copy each.
    total_limit_response: RefCell<Option<Rc<[u8]>>>,
    /// Likewise to one of an address that has as many as it may.
    address_limit_response: RefCell<Option<Rc<[u8]>>>,
    /// Likewise to one from a network that is not allowed.
    forbidden_response: RefCell<Option<Rc<[u8]>>>,
    /// Weak, since the tasks that the executor owns hold the hall.
    pub executor: Weak<LocalExecutor<'static>>,
}

impl ServerState {
    /// What an answer of this size has, until the client has taken it.
    pub fn write_timeout(&self, bytes: usize) -> Duration {
        let seconds = bytes / self.limits.write_bytes_per_s;
        self.limits.write_timeout + Duration::from_secs(seconds as u64)
    }

    /// Makes the date anew, and with it what is kept that says it.
    fn refresh(&self, now: Instant) {
        self.refreshed.set(now);
        *self.date.borrow_mut() = self.answerer.date().map(Rc::from);
        *self.total_limit_response.borrow_mut() = None;
        *self.address_limit_response.borrow_mut() = None;
        *self.forbidden_response.borrow_mut() = None;
    }

    pub fn date(&self) -> Option<Rc<str>> {
        self.date.borrow().clone()
    }

    /// A whole answer that refuses a connection before it has said a word.
    fn rejection(&self, why: ConnectionRejection) -> Rc<[u8]> {
        let kept = match why {
            ConnectionRejection::ForbiddenNetwork => &self.forbidden_response,
            ConnectionRejection::Limit(LimitReached::Total) => &self.total_limit_response,
            ConnectionRejection::Limit(LimitReached::PerAddress) => &self.address_limit_response,
        };
        let made = kept.borrow().clone();
        made.unwrap_or_else(|| {
            let (in_all, of_one) = self.connections.limits();
            let answer = match why {
                ConnectionRejection::ForbiddenNetwork => self.answerer.rejection(403, None),
                ConnectionRejection::Limit(LimitReached::Total) => self
                    .answerer
                    .overloaded(Overload::Connections(in_all), None),
                ConnectionRejection::Limit(LimitReached::PerAddress) => {
                    let limit = Overload::ConnectionsPerAddress(of_one);
                    self.answerer.overloaded(limit, None)
                }
            };
            let mut reply = EncodedResponse::new(answer);
            if reply.status == 503 {
                reply.add_if_missing("Retry-After", "5");
            }
            let framing = ResponseFraming {
                is_head: false,
                version: parser::Version::Http11,
                keep_alive: false,
            };
            let mut bytes = response_writer::head(&reply, framing, self.date().as_deref());
            bytes.extend_from_slice(reply.body.bytes());
            let made: Rc<[u8]> = bytes.into();
            *kept.borrow_mut() = Some(made.clone());
            made
        })
    }
}

/// The gate's thread.
fn run(
    parts: &HttpServerParts,
    desk: &Arc<PoolState>,
    token: &StopToken,
    deadline: &OnceLock<Instant>,
) {
    loop {
        // Every task catches its own panics; this is for those of the loop itself.
        let turned = catch_unwind(AssertUnwindSafe(|| {
            serve_until_stopped(parts, desk, token, deadline)
        }));
        match turned {
            Ok(Ok(())) => return,
            Ok(Err(error)) => log::error!("the gate cannot serve: {error}; it tries again"),
            Err(_) => parts.stats.record_panic("the gate's loop"),
        }
        if token.wait(limits::ACCEPT_PAUSE) {
            return;
        }
    }
}

fn serve_until_stopped(
    parts: &HttpServerParts,
    desk: &Arc<PoolState>,
    token: &StopToken,
    deadline: &OnceLock<Instant>,
) -> io::Result<()> {
    let executor = Rc::new(LocalExecutor::new());
    let gate_limits = parts.limits.clone();
    let connections = connection_limit(gate_limits.connections);
    let register = Rc::new(ConnectionTable::new(
        connections,
        gate_limits.connections_per_address,
        parts.stats.clone(),
    ));
    let outstanding = SendBudget::new(
        gate_limits.bytes_outstanding,
        gate_limits.bytes_outstanding_per_address,
        parts.stats.clone(),
    );
    let hall = Rc::new(ServerState {
        allow: parts.allow.clone(),
        answerer: parts.handler.clone(),
        feed: parts.events.clone(),
        traffic: parts.stats.clone(),
        pool: PoolClient::new(
            desk.clone(),
            outstanding.clone(),
            parts.stats.clone(),
            gate_limits.pool_ping_timeout,
        ),
        micro_cache: MicroCache::new(gate_limits.page_cache_ttl),
        limits: gate_limits,
        connections: register,
        send_budget: outstanding,
        wakers: Rc::default(),
        date: RefCell::default(),
        refreshed: Cell::new(Instant::now()),
        total_limit_response: RefCell::default(),
        address_limit_response: RefCell::default(),
        forbidden_response: RefCell::default(),
        executor: Rc::downgrade(&executor),
    });
    let mut accepting = Vec::with_capacity(parts.listeners.len());
    for listener in &parts.listeners {
        let listener = Async::new(listener.try_clone()?)?;
        accepting.push(executor.spawn(accept_loop(listener, hall.clone())));
    }
    let announcing = {
        let hall = hall.clone();
        executor.spawn(async move {
            loop {
                hall.feed.wait().await;
                hall.wakers.wake_all();
            }
        })
    };
    smol::block_on(executor.run(async {
        let ticking = tick_loop(&hall, &parts.heartbeat, &parts.workers_heartbeat);
        smol::future::or(token.stopped(), ticking).await;
        let deadline = deadline.get().copied().unwrap_or_else(Instant::now);
        drop(accepting);
        drop(announcing);
        hall.connections.stop();
        while hall.connections.len() > 0 && Instant::now() < deadline {
            hall.connections.expire(Instant::now());
            hall.pool.reclaim_slots(Instant::now());
            Timer::after(Duration::from_millis(5)).await;
        }
    }));
    Ok(())
}

/// Looks at every deadline, for ever: rarely while there is nothing to look at.
async fn tick_loop(hall: &ServerState, beat: &(dyn Fn() + Send), workers_beat: &(dyn Fn() + Send)) {
    loop {
        let turned = catch_unwind(AssertUnwindSafe(|| {
            let now = Instant::now();
            hall.connections.expire(now);
            hall.pool.reclaim_slots(now);
            hall.micro_cache.expire(now);
            hall.feed.publish_new_times(now);
            hall.refresh(now);
            if hall.pool.is_making_progress() {
                workers_beat();
            }
            beat();
        }));
        if turned.is_err() {
            hall.traffic.record_panic("the gate's tick");
        }
        let is_idle = hall.connections.len() == 0 && hall.pool.is_unused();
        if is_idle {
            smol::future::or(
                async {
                    Timer::after(hall.limits.idle_tick).await;
                },
                hall.connections.first_admitted(),
            )
            .await;
        } else {
            Timer::after(hall.limits.tick).await;
        }
    }
}

/// As many connections as descriptors allow beside the rest of the node.
fn connection_limit(wanted: usize) -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let limit = limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX);
    // With very few, half of them: better a node that serves little than one that serves none.
    let most = limit
        .saturating_sub(limits::DESCRIPTORS_KEPT)
        .max(limit / 2)
        .max(1);
    if most < wanted {
        log::warn!(
            "serving at most {most} connections instead of {wanted}: only {limit} file \
             descriptors are allowed. Raise LimitNOFILE (systemd) or `ulimit -n`"
        );
    }
    wanted.min(most)
}

/// Takes connections from one listening socket, for ever.
async fn accept_loop(listener: Async<TcpListener>, hall: Rc<ServerState>) {
    let mut spare = File::open("/dev/null").ok();
    let (mut in_a_row, mut errors_in_a_row) = (0, 0);
    loop {
        match listener.read_with(|listener| listener.accept()).await {
            Ok((stream, address)) => {
                errors_in_a_row = 0;
                // After a long tick, which the admission ends, but later.
                if hall.refreshed.get().elapsed() > hall.limits.tick {
                    hall.refresh(Instant::now());
                }
                // A newcomer may have the place of who has been idle for a while.
                if hall.connections.is_full()
                    && hall.connections.evict_idle(hall.limits.evict_idle_after)
                {
                    smol::future::yield_now().await;
                }
                let admitted = catch_unwind(AssertUnwindSafe(|| {
                    accept_connection(stream, address.ip(), &hall)
                }));
                if admitted.is_err() {
                    hall.traffic.record_panic("accepting a connection");
                }
                in_a_row += 1;
                if in_a_row % limits::ACCEPTS_IN_A_ROW == 0 {
                    smol::future::yield_now().await;
                }
            }
            Err(error) if is_resource_exhaustion(&error) => {
                // The waiting connection stays in the kernel's queue until somebody made room;
                // if nobody can, the spare descriptor takes it in to be closed, so that its
                // client learns at once and the loop does not spin.
                let shed = hall.connections.evict_idle(Duration::ZERO);
                smol::future::yield_now().await;
                if !shed
                    && spare.take().is_some()
                    && let Ok((stream, address)) = listener.get_ref().accept()
                {
                    hall.traffic
                        .record_rejection(Rejection::Descriptors, address.ip());
                    drop(stream);
                }
                if spare.is_none() {
                    spare = File::open("/dev/null").ok();
                }
                if !shed {
                    Timer::after(limits::ACCEPT_PAUSE).await;
                }
            }
            // The client left while it waited; Linux reports other errors of the network here
            // as well, none of which concerns the next connection.
            Err(error) => {
                log::debug!("a connection was lost while it was accepted: {error}");
                errors_in_a_row += 1;
                match errors_in_a_row < limits::ACCEPTS_IN_A_ROW {
                    true => smol::future::yield_now().await,
                    false => drop(Timer::after(limits::ACCEPT_PAUSE).await),
                }
            }
        }
    }
}

/// Errors that mean: there is a connection, but nothing to hold it with.
pub(super) fn is_resource_exhaustion(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS)
    )
}

/// Gives a new connection its task, or turns it away.
fn accept_connection(stream: TcpStream, peer: IpAddr, hall: &Rc<ServerState>) {
    let peer = peer.to_canonical();
    if !is_allowed(&hall.allow, peer) {
        hall.traffic
            .record_rejection(Rejection::ForbiddenNetwork, peer);
        return reject(stream, hall, ConnectionRejection::ForbiddenNetwork);
    }
    let lease = match hall.connections.admit(peer) {
        Ok(lease) => lease,
        Err(full) => {
            let abuse = match full {
                LimitReached::Total => Rejection::Connections,
                LimitReached::PerAddress => Rejection::ConnectionsPerAddress,
            };
            hall.traffic.record_rejection(abuse, peer);
            return reject(stream, hall, ConnectionRejection::Limit(full));
        }
    };
    let (Some(executor), Ok(stream)) = (hall.executor.upgrade(), Async::new(stream)) else {
        return;
    };
    let served = connection::serve(stream, lease, hall.clone());
    let traffic = hall.traffic.clone();
    let caught = async move {
        if AssertUnwindSafe(served).catch_unwind().await.is_err() {
            traffic.record_panic("a connection");
        }
    };
    executor.spawn(caught).detach();
}

/// Whether the owner lets this address in. This machine itself always may: whoever is on it
/// needs no network.
fn is_allowed(allow: &[IpNet], peer: IpAddr) -> bool {
    let is_named = || allow.iter().any(|network| network.contains(&peer));
    allow.is_empty() || peer.is_loopback() || is_named()
}

/// Why a connection is turned away.
#[derive(Clone, Copy)]
enum ConnectionRejection {
    /// It comes from a network that is not allowed.
    ForbiddenNetwork,
    Limit(LimitReached),
}

/// Refuses as far as that goes without waiting.
fn reject(stream: TcpStream, hall: &ServerState, why: ConnectionRejection) {
    if stream.set_nonblocking(true).is_err() {
        return;
    }
    let bytes = hall.rejection(why);
    let status = match why {
        ConnectionRejection::ForbiddenNetwork => 403,
        ConnectionRejection::Limit(_) => 503,
    };
    let mut socket = &stream;
    let _ = socket.write(&bytes);
    let _ = stream.shutdown(Shutdown::Write);
    // What has come already is taken, so that closing is less likely to reset.
    let mut scratch = [0; 4096];
    let _ = socket.read(&mut scratch);
    hall.traffic.record_response("refused", status);
}

#[cfg(test)]
#[path = "tests/mod.rs"]
mod tests;
