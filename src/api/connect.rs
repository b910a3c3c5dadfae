//! Names and sockets: what lies between a fetch and the network.
//!
//! ureq's own resolver and connector cannot be interrupted, and report a failed lookup, a
//! refused connection and a reset answer alike. These ones can and do not: each wait looks
//! at the line's wish to stop, each failure says which step it was ([`Plight`]). Runs on
//! the fetch thread; a lookup and a handshake of the kernel's wait on a helper thread, one
//! of each kind per line at most. Must not log, retry or judge.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, ShutdownHandle,
    Transport, time,
};
use ureq::{Error, Timeout};

use crate::limits;

/// What the fetches of one source share with its sockets.
#[derive(Debug, Default)]
pub struct Line {
    stopped: AtomicBool,
    /// The end of the fetch that runs.
    deadline: Mutex<Option<Instant>>,
    connections: AtomicU64,
    /// Whether any connection went to this machine, whose clock is ours.
    met_loopback: AtomicBool,
    /// Where requests may go now.
    reach: Mutex<Reach>,
    /// The other end of the connection that was last written to.
    peer: Mutex<Option<IpAddr>>,
    /// The connection that the fetch uses.
    link: Mutex<Weak<Link>>,
    /// A lookup that outlived its fetch: the next one waits for it instead of piling up.
    lookup: Mutex<Option<(String, Receiver<Lookup>)>>,
}

/// Where a request may go, judged by the address that is connected to. Where a proxy does the
/// connecting its own address says nothing; `transport` judges the names then.
#[derive(Debug, Clone, Copy, Default)]
pub enum Reach {
    /// What the owner wrote.
    #[default]
    Anywhere,
    /// What an answer from outside named: to no address that this calls inside.
    Outside(fn(IpAddr) -> bool),
    /// What an answer from inside named: to the machine that answered.
    Only(IpAddr),
}

impl Reach {
    fn forbids(self, address: IpAddr) -> Option<Plight> {
        match self {
            Reach::Anywhere => None,
            Reach::Outside(is_inside) => is_inside(address).then_some(Plight::Inside),
            Reach::Only(machine) => {
                let (one, other) = (address.to_canonical(), machine.to_canonical());
                // `localhost` is both.
                let is_localhost =
                    |it: IpAddr| it == Ipv4Addr::LOCALHOST || it == Ipv6Addr::LOCALHOST;
                let is_same = one == other || (is_localhost(one) && is_localhost(other));
                (!is_same).then_some(Plight::AnotherMachine)
            }
        }
    }
}

type Lookup = io::Result<Vec<SocketAddr>>;

/// Why no connection came about; travels inside `ureq::Error::Other`.
#[derive(Debug)]
pub enum Plight {
    /// The node is stopping.
    Stopped,
    Lookup(io::Error),
    LookupTimeout,
    Connect(io::Error),
    ConnectTimeout,
    /// An answer from outside leads inside.
    Inside,
    /// An answer from inside leads to another machine.
    AnotherMachine,
}

impl fmt::Display for Plight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Plight::Stopped => f.write_str("stopped"),
            Plight::Lookup(error) => write!(f, "lookup: {error}"),
            Plight::LookupTimeout => f.write_str("lookup timed out"),
            Plight::Connect(error) => write!(f, "connect: {error}"),
            Plight::ConnectTimeout => f.write_str("connect timed out"),
            Plight::Inside => f.write_str("an address inside"),
            Plight::AnotherMachine => f.write_str("another machine"),
        }
    }
}

impl std::error::Error for Plight {}

impl From<Plight> for Error {
    fn from(plight: Plight) -> Error {
        Error::Other(Box::new(plight))
    }
}

impl Line {
    /// Ends every wait of this line, now and in future.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Another source's agent may have opened it.
        if let Some(link) = self.link() {
            link.shutdown();
        }
    }

    /// The connection that the fetch uses, if it is open.
    pub fn link(&self) -> Option<Arc<Link>> {
        lock(&self.link).upgrade()
    }

    /// Makes a kept connection, which another source may have opened, this one's.
    pub fn take_over(self: &Arc<Self>, link: &Arc<Link>) -> Result<(), Plight> {
        *lock(&link.line) = self.clone();
        *lock(&self.link) = Arc::downgrade(link);
        self.note_loopback(link.peer);
        match self.is_stopped() {
            true => Err(Plight::Stopped),
            false => Ok(()),
        }
    }

    fn note_loopback(&self, peer: IpAddr) {
        if peer.to_canonical().is_loopback() {
            self.met_loopback.store(true, Ordering::Relaxed);
        }
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    pub fn set_deadline(&self, deadline: Instant) {
        *lock(&self.deadline) = Some(deadline);
    }

    /// Connections opened so far: unchanged by a request that used a pooled one.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    pub fn met_loopback(&self) -> bool {
        self.met_loopback.load(Ordering::Relaxed)
    }

    /// Where the next requests may go.
    pub fn set_reach(&self, reach: Reach) {
        *lock(&self.reach) = reach;
    }

    fn forbids(&self, address: IpAddr) -> Option<Plight> {
        lock(&self.reach).forbids(address)
    }

    /// The address that the last request was sent to: the proxy's, where there is one.
    pub fn peer(&self) -> Option<IpAddr> {
        *lock(&self.peer)
    }

    /// What is left of `after` and of the whole fetch, whichever is less.
    fn left(&self, after: time::Duration) -> Duration {
        let left = lock(&self.deadline).map_or(limits::FETCH_TIMEOUT, |deadline| {
            deadline.saturating_duration_since(Instant::now())
        });
        left.min(*after)
    }

    /// When a read or write has to be over, and what is to be said if it is not.
    fn deadline(&self, timeout: NextTimeout) -> (Instant, Timeout) {
        let left = self.left(timeout.after);
        let reason = match left < *timeout.after {
            true => Timeout::Global,
            false => timeout.reason,
        };
        (Instant::now() + left, reason)
    }

    /// Waits for a helper's answer; `None` when the time is up.
    fn await_helper<T>(
        &self,
        answer: &Receiver<T>,
        patience: Duration,
    ) -> Result<Option<T>, Plight> {
        let deadline = Instant::now() + patience;
        loop {
            if self.is_stopped() {
                return Err(Plight::Stopped);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match answer.recv_timeout(left.min(limits::STOP_GLANCE)) {
                Ok(answer) => return Ok(Some(answer)),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }
}

/// Runs `work` beside the fetch, so that the fetch can walk away from it.
fn helper<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Receiver<T>> {
    let (tell, answer) = sync_channel(1);
    let builder = std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(limits::STACK_BYTES);
    // A fetch that walked away no longer listens, which is no fault of the helper's.
    builder.spawn(move || drop(tell.send(work())))?;
    Ok(answer)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Host names to addresses, by the system's resolver.
#[derive(Debug)]
pub struct Names(pub Arc<Line>);

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(match uri.scheme_str() {
            Some("https") => 443,
            _ => 80,
        });
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found = match bare.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => self.look_up(&format!("{host}:{port}"), self.0.left(timeout.after))?,
        };
        let mut addresses = self.empty();
        for address in config
            .ip_family()
            .keep_wanted(found.into_iter())
            .take(ADDRESSES)
        {
            addresses.push(address);
        }
        match addresses.is_empty() {
            true => Err(Error::HostNotFound),
            false => Ok(addresses),
        }
    }
}

/// As many as ureq's list of addresses holds.
const ADDRESSES: usize = 16;

impl Names {
    /// Every address of a host; none where nobody knows it.
    pub fn addresses(&self, uri: &Uri) -> Result<Vec<IpAddr>, Plight> {
        let host = uri.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(vec![address]);
        }
        let patience = self.0.left(limits::RESOLVE_TIMEOUT.into());
        match self.look_up(&format!("{host}:80"), patience) {
            Ok(found) => Ok(found.iter().map(SocketAddr::ip).collect()),
            Err(Plight::Stopped) => Err(Plight::Stopped),
            Err(_) => Ok(Vec::new()),
        }
    }

    fn look_up(&self, name: &str, patience: Duration) -> Result<Vec<SocketAddr>, Plight> {
        let mut earlier = lock(&self.0.lookup);
        let answer = match earlier.take() {
            Some((pending, answer)) if pending == name => answer,
            Some((pending, answer)) => {
                // Only a redirect asks for a second name. Its lookup waits for the first.
                match self.0.await_helper(&answer, patience)? {
                    Some(_) => self.begin(name)?,
                    None => {
                        *earlier = Some((pending, answer));
                        return Err(Plight::LookupTimeout);
                    }
                }
            }
            None => self.begin(name)?,
        };
        match self
            .0
            .await_helper(&answer, patience.min(limits::RESOLVE_TIMEOUT))?
        {
            Some(found) => found.map_err(Plight::Lookup),
            None => {
                *earlier = Some((name.to_owned(), answer));
                Err(Plight::LookupTimeout)
            }
        }
    }

    fn begin(&self, name: &str) -> Result<Receiver<Lookup>, Plight> {
        let name = name.to_owned();
        let look_up = move || Ok(name.to_socket_addrs()?.collect());
        helper("lookup", look_up).map_err(Plight::Lookup)
    }
}

/// Opens TCP connections.
#[derive(Debug)]
pub struct Sockets(pub Arc<Line>);

impl<In: Transport> Connector<In> for Sockets {
    type Out = Either<In, Socket>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if let Some(opened) = chained {
            // A proxy's tunnel.
            return Ok(Some(Either::A(opened)));
        }
        let stream = self.connect_any(&details.addrs, self.0.left(details.timeout.after))?;
        stream.set_nodelay(true)?;
        let peer = stream.peer_addr()?.ip();
        let (input, output) = match details.needs_tls() {
            // TLS has buffers of its own above these.
            true => (limits::TLS_BUFFER_BYTES, limits::TLS_BUFFER_BYTES),
            false => (
                details.config.input_buffer_size(),
                details.config.output_buffer_size(),
            ),
        };
        let link = Arc::new(Link {
            line: Mutex::new(self.0.clone()),
            stream,
            peer,
        });
        let weak: Weak<Link> = Arc::downgrade(&link);
        (details.register_shutdown)(weak as Weak<dyn ShutdownHandle>)?;
        self.0.take_over(&link)?;
        Ok(Some(Either::B(Socket {
            link,
            buffers: LazyBuffers::new(input, output),
        })))
    }
}

impl Sockets {
    /// The first address that takes the connection. Each gets half of the time that is
    /// left, the last one all of it, so that one dead family does not eat the fetch.
    fn connect_any(
        &self,
        addresses: &[SocketAddr],
        patience: Duration,
    ) -> Result<TcpStream, Plight> {
        let deadline = Instant::now() + patience;
        let mut failed = Plight::Connect(io::ErrorKind::AddrNotAvailable.into());
        for (index, address) in addresses.iter().enumerate() {
            if let Some(plight) = self.0.forbids(address.ip()) {
                // One that is allowed may follow; its own trouble says more then.
                if index == 0 || matches!(failed, Plight::Inside | Plight::AnotherMachine) {
                    failed = plight;
                }
                continue;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let share = match index + 1 == addresses.len() {
                true => left,
                false => left / 2,
            };
            if share.is_zero() {
                break;
            }
            match self.connect_one(*address, share) {
                Ok(stream) => {
                    self.0.connections.fetch_add(1, Ordering::Relaxed);
                    return Ok(stream);
                }
                Err(Plight::Stopped) => return Err(Plight::Stopped),
                Err(plight) => failed = plight,
            }
        }
        Err(failed)
    }

    fn connect_one(&self, address: SocketAddr, patience: Duration) -> Result<TcpStream, Plight> {
        let connect = move || TcpStream::connect_timeout(&address, patience);
        let answer = helper("connect", connect).map_err(Plight::Connect)?;
        // The kernel ends its own wait at the same time; a moment more lets it say how.
        let patience = patience + limits::STOP_GLANCE;
        match self.0.await_helper(&answer, patience)? {
            Some(Ok(stream)) => Ok(stream),
            Some(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
                Err(Plight::ConnectTimeout)
            }
            Some(Err(error)) => Err(Plight::Connect(error)),
            None => Err(Plight::ConnectTimeout),
        }
    }
}

/// An open connection, and the line of the source whose fetch uses it.
pub struct Link {
    line: Mutex<Arc<Line>>,
    stream: TcpStream,
    peer: IpAddr,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link to {}", self.peer)
    }
}

impl ShutdownHandle for Link {
    /// Ends what another thread reads or writes.
    fn shutdown(&self) {
        // It may be closed already.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

/// A connection whose every wait ends with the fetch.
pub struct Socket {
    link: Arc<Link>,
    buffers: LazyBuffers,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Socket")
    }
}

/// Runs one read or write that the kernel ends when the time is up.
fn timed<T>(
    stream: &TcpStream,
    deadline: Instant,
    reason: Timeout,
    set: impl Fn(&TcpStream, Option<Duration>) -> io::Result<()>,
    mut act: impl FnMut(&TcpStream) -> io::Result<T>,
) -> Result<T, Error> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::Timeout(reason));
        }
        set(stream, Some(left))?;
        match act(stream) {
            Ok(done) => return Ok(done),
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    return Err(Error::Timeout(reason));
                }
                _ => return Err(Error::Io(error)),
            },
        }
    }
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let peer = self.link.peer;
        let line = lock(&self.link.line).clone();
        *lock(&line.peer) = Some(peer);
        // A kept connection passes no connector.
        if let Some(plight) = line.forbids(peer) {
            return Err(plight.into());
        }
        let (deadline, reason) = line.deadline(timeout.for_write());
        let mut rest = &self.buffers.output()[..amount];
        while !rest.is_empty() {
            let set = TcpStream::set_write_timeout;
            let sent = timed(&self.link.stream, deadline, reason, set, |mut it| {
                it.write(rest)
            })?;
            if sent == 0 {
                return Err(Error::Io(io::ErrorKind::WriteZero.into()));
            }
            rest = &rest[sent..];
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let line = lock(&self.link.line).clone();
        let (deadline, reason) = line.deadline(timeout.for_read());
        let room = self.buffers.input_append_buf();
        let set = TcpStream::set_read_timeout;
        let came = timed(&self.link.stream, deadline, reason, set, |mut it| {
            it.read(room)
        })?;
        self.buffers.input_appended(came);
        Ok(came > 0)
    }

    /// Whether the connection can take another request: nothing has come meanwhile, not
    /// even its end.
    fn is_open(&mut self) -> bool {
        let mut probe = [0];
        let quiet = self.link.stream.set_nonblocking(true).is_ok()
            && matches!(
                self.link.stream.peek(&mut probe),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock
            );
        quiet && self.link.stream.set_nonblocking(false).is_ok()
    }
}
