//! The gate: the only thing of the node that strangers' bytes reach.
//!
//! Owns the listening sockets and every connection, on one thread named `gate` (a smol
//! `LocalExecutor`, a task for each connection). It frames requests strictly, keeps the caps
//! and deadlines of `limits`, answers from memory what the answerer can answer from memory,
//! streams events, and hands the rest, cleaned, to tiny_http's pool on a Unix socket. It must
//! not block: no disk, no database, no name resolution on this thread.
//!
//! A panic in one connection ends that connection; one in a loop of the gate restarts the loop.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use smol::future::FutureExt as _;
use smol::{Async, LocalExecutor, Timer};

use super::connection_table::{Full, Register};
use super::event_stream::{Feed, Hub};
use super::handler::{Handler, Overload};
use super::micro_cache::Repeats;
use super::pool_client::Backend;
use super::private_dir::PrivateDir;
use super::response_writer::{Framing, Reply};
use super::send_budget::Outstanding;
use super::stats::{HttpStats, Rejection};
use super::worker_pool::{Desk, Pool};
use super::{connection, parser, response_writer};
use crate::limits;

/// What the gate is made of.
pub struct Parts {
    /// From [`listen::bind`].
    pub listeners: Vec<TcpListener>,
    /// Networks that may connect beside this machine itself; none is all.
    pub allow: Vec<IpNet>,
    pub answerer: Arc<dyn Handler>,
    pub feed: Arc<Feed>,
    pub traffic: Arc<HttpStats>,
    /// Where the private directory of the pool's socket may be made, best first:
    /// [`PrivateDir::bases`].
    pub private_bases: Vec<PathBuf>,
    /// Called on the gate's thread at every tick: the proof, for a watchdog, that it turns.
    pub beat: Box<dyn Fn() + Send>,
    /// Called likewise while no request waits for the page workers, or one of them has
    /// finished one since the last tick.
    pub workers_beat: Box<dyn Fn() + Send>,
    pub limits: GateLimits,
}

/// The bounds that the gate keeps; the default is `limits`'s, tests take shorter ones.
#[derive(Debug, Clone)]
pub struct GateLimits {
    pub connections: usize,
    pub connections_per_address: usize,
    pub head_time: Duration,
    pub idle_time: Duration,
    pub write_time: Duration,
    pub write_bytes_per_s: usize,
    pub backend_time: Duration,
    pub repeat_time: Duration,
    pub proof_time: Duration,
    pub linger_time: Duration,
    pub bytes_outstanding: usize,
    pub bytes_outstanding_per_address: usize,
    pub event_streams: usize,
    pub heartbeat: Duration,
    pub shed_after: Duration,
    pub tick: Duration,
}

impl Default for GateLimits {
    fn default() -> GateLimits {
        GateLimits {
            connections: limits::CONNECTIONS,
            connections_per_address: limits::CONNECTIONS_PER_ADDRESS,
            head_time: limits::REQUEST_HEAD_TIME,
            idle_time: limits::IDLE_TIME,
            write_time: limits::WRITE_TIME,
            write_bytes_per_s: limits::WRITE_BYTES_PER_S,
            backend_time: limits::BACKEND_TIME,
            repeat_time: limits::REPEAT_TIME,
            proof_time: limits::PROOF_TIME,
            linger_time: limits::LINGER_TIME,
            bytes_outstanding: limits::BYTES_OUTSTANDING,
            bytes_outstanding_per_address: limits::BYTES_OUTSTANDING_PER_ADDRESS,
            event_streams: limits::EVENT_STREAMS,
            heartbeat: limits::EVENT_HEARTBEAT,
            shed_after: limits::SHED_AFTER,
            tick: limits::GATE_TICK,
        }
    }
}

/// The running gate. Dropping it stops it at once; [`Gate::stop`] lets answers finish.
pub struct Gate {
    addresses: Vec<SocketAddr>,
    stop: smol::channel::Sender<Instant>,
    thread: Option<JoinHandle<()>>,
    pool: Pool,
}

impl Gate {
    /// Starts the pool and the gate's thread; requests are answered from now on.
    pub fn start(parts: Parts) -> io::Result<Gate> {
        let mut addresses = Vec::with_capacity(parts.listeners.len());
        for listener in &parts.listeners {
            addresses.push(listener.local_addr()?);
        }
        let directory = PrivateDir::create(&parts.private_bases)?;
        let pool = Pool::start(parts.answerer.clone(), parts.traffic.clone(), directory)?;
        let desk = pool.desk();
        let (stop, stopped) = smol::channel::bounded(1);
        let thread = thread::Builder::new()
            .name("gate".to_owned())
            .stack_size(limits::STACK_BYTES)
            .spawn(move || run(&parts, &desk, &stopped))?;
        Ok(Gate {
            addresses,
            stop,
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
        let _ = self.stop.try_send(begun + time.mul_f32(0.8));
        let mut gate_ended = true;
        if let Some(thread) = self.thread.take() {
            // It keeps the deadline itself, unless an answerer blocks it, which it must not.
            while !thread.is_finished() && begun.elapsed() < time + limits::STOP_GRACE {
                thread::sleep(Duration::from_millis(1));
            }
            gate_ended = thread.is_finished() && thread.join().is_ok();
        }
        if !gate_ended {
            log::error!("the gate's thread did not end; it is left behind");
        }
        let rest = time.saturating_sub(begun.elapsed());
        self.pool.stop(rest.max(limits::STOP_GRACE)) && gate_ended
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.end(Duration::ZERO);
        }
    }
}

/// What all connections share, on the gate's thread.
pub(super) struct Hall {
    pub allow: Vec<IpNet>,
    pub answerer: Arc<dyn Handler>,
    pub feed: Arc<Feed>,
    pub traffic: Arc<HttpStats>,
    pub limits: GateLimits,
    pub register: Rc<Register>,
    pub outstanding: Rc<Outstanding>,
    pub backend: Rc<Backend>,
    pub repeats: Repeats,
    pub hub: Rc<Hub>,
    pub date: RefCell<Option<Rc<str>>>,
    /// What is said to a connection that finds no place; made when first needed after a tick,
    /// so that a flood costs a copy each.
    no_place: RefCell<Option<Rc<[u8]>>>,
    /// Likewise to one of an address that has as many as it may.
    no_place_of_one: RefCell<Option<Rc<[u8]>>>,
    /// Likewise to one from a network that is not allowed.
    not_allowed: RefCell<Option<Rc<[u8]>>>,
    /// Weak, since the tasks that the executor owns hold the hall.
    pub executor: Weak<LocalExecutor<'static>>,
}

impl Hall {
    /// What an answer of this size has, until the client has taken it.
    pub fn write_time(&self, bytes: usize) -> Duration {
        let seconds = bytes / self.limits.write_bytes_per_s;
        self.limits.write_time + Duration::from_secs(seconds as u64)
    }

    pub fn date(&self) -> Option<Rc<str>> {
        self.date.borrow().clone()
    }

    /// A whole answer that refuses a connection before it has said a word.
    fn refusal(&self, why: Unwelcome) -> Rc<[u8]> {
        let kept = match why {
            Unwelcome::Foreign => &self.not_allowed,
            Unwelcome::Full(Full::InAll) => &self.no_place,
            Unwelcome::Full(Full::OfOneAddress) => &self.no_place_of_one,
        };
        let made = kept.borrow().clone();
        made.unwrap_or_else(|| {
            let (in_all, of_one) = self.register.most();
            let answer = match why {
                Unwelcome::Foreign => self.answerer.rejection(403, None),
                Unwelcome::Full(Full::InAll) => self
                    .answerer
                    .overloaded(Overload::Connections(in_all), None),
                Unwelcome::Full(Full::OfOneAddress) => {
                    let limit = Overload::ConnectionsPerAddress(of_one);
                    self.answerer.overloaded(limit, None)
                }
            };
            let mut reply = Reply::new(answer);
            if reply.status == 503 {
                reply.ensure("Retry-After", "5");
            }
            let framing = Framing {
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
fn run(parts: &Parts, desk: &Arc<Desk>, stopped: &smol::channel::Receiver<Instant>) {
    loop {
        // Every task catches its own panics; this is for those of the loop itself.
        let turned = catch_unwind(AssertUnwindSafe(|| serve(parts, desk, stopped)));
        match turned {
            Ok(Ok(())) => return,
            Ok(Err(error)) => log::error!("the gate cannot serve: {error}; it tries again"),
            Err(_) => parts.traffic.record_panic("the gate's loop"),
        }
        thread::sleep(limits::ACCEPT_PAUSE);
        if stopped.is_closed() {
            return;
        }
    }
}

fn serve(
    parts: &Parts,
    desk: &Arc<Desk>,
    stopped: &smol::channel::Receiver<Instant>,
) -> io::Result<()> {
    let executor = Rc::new(LocalExecutor::new());
    let gate_limits = parts.limits.clone();
    let connections = affordable(gate_limits.connections);
    let register = Rc::new(Register::new(
        connections,
        gate_limits.connections_per_address,
        parts.traffic.clone(),
    ));
    let outstanding = Outstanding::new(
        gate_limits.bytes_outstanding,
        gate_limits.bytes_outstanding_per_address,
        parts.traffic.clone(),
    );
    let hall = Rc::new(Hall {
        allow: parts.allow.clone(),
        answerer: parts.answerer.clone(),
        feed: parts.feed.clone(),
        traffic: parts.traffic.clone(),
        backend: Backend::new(
            desk.clone(),
            outstanding.clone(),
            parts.traffic.clone(),
            gate_limits.proof_time,
        ),
        repeats: Repeats::new(gate_limits.repeat_time),
        limits: gate_limits,
        register,
        outstanding,
        hub: Rc::default(),
        date: RefCell::default(),
        no_place: RefCell::default(),
        no_place_of_one: RefCell::default(),
        not_allowed: RefCell::default(),
        executor: Rc::downgrade(&executor),
    });
    let mut accepting = Vec::with_capacity(parts.listeners.len());
    for listener in &parts.listeners {
        let listener = Async::new(listener.try_clone()?)?;
        accepting.push(executor.spawn(accept(listener, hall.clone())));
    }
    let announcing = {
        let hall = hall.clone();
        executor.spawn(async move {
            loop {
                hall.feed.announced().await;
                hall.hub.wake_all();
            }
        })
    };
    smol::block_on(executor.run(async {
        let ticking = tick(&hall, &parts.beat, &parts.workers_beat);
        let stopping = async { stopped.recv().await.unwrap_or_else(|_| Instant::now()) };
        let deadline = smol::future::or(stopping, ticking).await;
        drop(accepting);
        drop(announcing);
        hall.register.stop();
        while hall.register.len() > 0 && Instant::now() < deadline {
            hall.register.look(Instant::now());
            hall.backend.look(Instant::now());
            Timer::after(Duration::from_millis(5)).await;
        }
    }));
    Ok(())
}

/// Looks at every deadline, for ever.
async fn tick<T>(hall: &Hall, beat: &(dyn Fn() + Send), workers_beat: &(dyn Fn() + Send)) -> T {
    loop {
        let turned = catch_unwind(AssertUnwindSafe(|| {
            let now = Instant::now();
            hall.register.look(now);
            hall.backend.look(now);
            hall.repeats.look(now);
            hall.feed.look(now);
            *hall.date.borrow_mut() = hall.answerer.date().map(Rc::from);
            *hall.no_place.borrow_mut() = None;
            *hall.no_place_of_one.borrow_mut() = None;
            *hall.not_allowed.borrow_mut() = None;
            if hall.backend.is_getting_on() {
                workers_beat();
            }
            beat();
        }));
        if turned.is_err() {
            hall.traffic.record_panic("the gate's tick");
        }
        Timer::after(hall.limits.tick).await;
    }
}

/// As many connections as descriptors allow beside the rest of the node.
fn affordable(wanted: usize) -> usize {
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
async fn accept(listener: Async<TcpListener>, hall: Rc<Hall>) {
    let mut spare = File::open("/dev/null").ok();
    let (mut in_a_row, mut errors_in_a_row) = (0, 0);
    loop {
        match listener.read_with(|listener| listener.accept()).await {
            Ok((stream, address)) => {
                errors_in_a_row = 0;
                // A newcomer may have the place of who has been idle for a while.
                if hall.register.is_full() && hall.register.shed(hall.limits.shed_after) {
                    smol::future::yield_now().await;
                }
                let admitted =
                    catch_unwind(AssertUnwindSafe(|| admit(stream, address.ip(), &hall)));
                if admitted.is_err() {
                    hall.traffic.record_panic("accepting a connection");
                }
                in_a_row += 1;
                if in_a_row % limits::ACCEPTS_IN_A_ROW == 0 {
                    smol::future::yield_now().await;
                }
            }
            Err(error) if is_want(&error) => {
                // The waiting connection stays in the kernel's queue until somebody made room;
                // if nobody can, the spare descriptor takes it in to be closed, so that its
                // client learns at once and the loop does not spin.
                let shed = hall.register.shed(Duration::ZERO);
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
pub(super) fn is_want(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS)
    )
}

/// Gives a new connection its task, or turns it away.
fn admit(stream: TcpStream, peer: IpAddr, hall: &Rc<Hall>) {
    let peer = peer.to_canonical();
    if !is_allowed(&hall.allow, peer) {
        hall.traffic
            .record_rejection(Rejection::ForbiddenNetwork, peer);
        return turn_away(stream, hall, Unwelcome::Foreign);
    }
    let lease = match hall.register.enter(peer) {
        Ok(lease) => lease,
        Err(full) => {
            let abuse = match full {
                Full::InAll => Rejection::Connections,
                Full::OfOneAddress => Rejection::ConnectionsPerAddress,
            };
            hall.traffic.record_rejection(abuse, peer);
            return turn_away(stream, hall, Unwelcome::Full(full));
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
enum Unwelcome {
    /// It comes from a network that is not allowed.
    Foreign,
    Full(Full),
}

/// Refuses as far as that goes without waiting.
fn turn_away(stream: TcpStream, hall: &Hall, why: Unwelcome) {
    if stream.set_nonblocking(true).is_err() {
        return;
    }
    let bytes = hall.refusal(why);
    let status = match why {
        Unwelcome::Foreign => 403,
        Unwelcome::Full(_) => 503,
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
