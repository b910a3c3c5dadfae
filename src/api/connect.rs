//! Names and sockets: what lies between a fetch and the network.
//!
//! ureq's own resolver and connector cannot be interrupted, and report a failed lookup, a
//! refused connection and a reset answer alike. These ones can and do not: each wait looks
//! at the control's stop flag, each failure says which step it was ([`ConnectError`]). Runs on
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
pub struct FetchControl {
    stopped: AtomicBool,
    /// The end of the fetch that runs.
    deadline: Mutex<Option<Instant>>,
    connections_opened: AtomicU64,
    /// Whether any connection went to this machine, whose clock is ours.
    used_loopback: AtomicBool,
    /// Where requests may go now.
    scope: Mutex<RedirectScope>,
    /// The other end of the connection that was last written to.
    peer: Mutex<Option<IpAddr>>,
    /// The connection that the fetch uses.
    connection: Mutex<Weak<TcpConnection>>,
    /// A lookup that outlived its fetch: the next one waits for it instead of piling up.
    lookup: Mutex<Option<(String, Receiver<Lookup>)>>,
}

/// Where a request may go, judged by the address that is connected to. Where a proxy does the
/// connecting its own address says nothing; `transport` judges the names then.
#[derive(Debug, Clone, Copy, Default)]
pub enum RedirectScope {
    /// What the owner wrote.
    #[default]
    Anywhere,
    /// What an answer from outside named: to no address that this calls inside.
    PublicOnly(fn(IpAddr) -> bool),
    /// What an answer from inside named: to the machine that answered.
    SameMachine(IpAddr),
}

impl RedirectScope {
    fn forbids(self, address: IpAddr) -> Option<ConnectError> {
        match self {
            RedirectScope::Anywhere => None,
            RedirectScope::PublicOnly(is_inside) => {
                is_inside(address).then_some(ConnectError::PrivateAddress)
            }
            RedirectScope::SameMachine(machine) => {
                let (one, other) = (address.to_canonical(), machine.to_canonical());
                // `localhost` is both.
                let is_localhost =
                    |it: IpAddr| it == Ipv4Addr::LOCALHOST || it == Ipv6Addr::LOCALHOST;
                let is_same = one == other || (is_localhost(one) && is_localhost(other));
                (!is_same).then_some(ConnectError::OtherMachine)
            }
        }
    }
}

type Lookup = io::Result<Vec<SocketAddr>>;

/// Why no connection came about; travels inside `ureq::Error::Other`.
#[derive(Debug)]
pub enum ConnectError {
    /// The node is stopping.
    Stopped,
    Lookup(io::Error),
    LookupTimeout,
    Connect(io::Error),
    ConnectTimeout,
    /// An answer from outside leads inside.
    PrivateAddress,
    /// An answer from inside leads to another machine.
    OtherMachine,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::Stopped => f.write_str("stopped"),
            ConnectError::Lookup(error) => write!(f, "lookup: {error}"),
            ConnectError::LookupTimeout => f.write_str("lookup timed out"),
            ConnectError::Connect(error) => write!(f, "connect: {error}"),
            ConnectError::ConnectTimeout => f.write_str("connect timed out"),
            ConnectError::PrivateAddress => f.write_str("an address inside"),
            ConnectError::OtherMachine => f.write_str("another machine"),
        }
    }
}

impl std::error::Error for ConnectError {}

impl From<ConnectError> for Error {
    fn from(error: ConnectError) -> Error {
        Error::Other(Box::new(error))
    }
}

impl FetchControl {
    /// Ends every wait of this line, now and in future.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Another source's agent may have opened it.
        if let Some(connection) = self.connection() {
            connection.shutdown();
        }
    }

    /// The connection that the fetch uses, if it is open.
    pub fn connection(&self) -> Option<Arc<TcpConnection>> {
        lock(&self.connection).upgrade()
    }

    /// Makes a kept connection, which another source may have opened, this one's.
    pub fn adopt(self: &Arc<Self>, connection: &Arc<TcpConnection>) -> Result<(), ConnectError> {
        *lock(&connection.control) = self.clone();
        *lock(&self.connection) = Arc::downgrade(connection);
        self.note_loopback(connection.peer);
        match self.is_stopped() {
            true => Err(ConnectError::Stopped),
            false => Ok(()),
        }
    }

    fn note_loopback(&self, peer: IpAddr) {
        if peer.to_canonical().is_loopback() {
            self.used_loopback.store(true, Ordering::Relaxed);
        }
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    pub fn set_deadline(&self, deadline: Instant) {
        *lock(&self.deadline) = Some(deadline);
    }

    /// Connections opened so far: unchanged by a request that used a pooled one.
    pub fn connections_opened(&self) -> u64 {
        self.connections_opened.load(Ordering::Relaxed)
    }

    pub fn used_loopback(&self) -> bool {
        self.used_loopback.load(Ordering::Relaxed)
    }

    /// Where the next requests may go.
    pub fn set_scope(&self, scope: RedirectScope) {
        *lock(&self.scope) = scope;
    }

    fn forbids(&self, address: IpAddr) -> Option<ConnectError> {
        lock(&self.scope).forbids(address)
    }

    /// The address that the last request was sent to: the proxy's, where there is one.
    pub fn peer(&self) -> Option<IpAddr> {
        *lock(&self.peer)
    }

    /// What is left of `after` and of the whole fetch, whichever is less.
    fn time_left(&self, after: time::Duration) -> Duration {
        let left = lock(&self.deadline).map_or(limits::FETCH_TIMEOUT, |deadline| {
            deadline.saturating_duration_since(Instant::now())
        });
        left.min(*after)
    }

    /// When a read or write has to be over, and what is to be said if it is not.
    fn deadline(&self, timeout: NextTimeout) -> (Instant, Timeout) {
        let left = self.time_left(timeout.after);
        let reason = match left < *timeout.after {
            true => Timeout::Global,
            false => timeout.reason,
        };
        (Instant::now() + left, reason)
    }

    /// Waits for a helper's answer; `None` when the time is up.
    fn wait_for<T>(
        &self,
        answer: &Receiver<T>,
        timeout: Duration,
    ) -> Result<Option<T>, ConnectError> {
        let deadline = Instant::now() + timeout;
        loop {
            if self.is_stopped() {
                return Err(ConnectError::Stopped);
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
fn spawn_helper<T: Send + 'static>(
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
pub struct DnsResolver(pub Arc<FetchControl>);

impl Resolver for DnsResolver {
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
            Err(_) => self.lookup(&format!("{host}:{port}"), self.0.time_left(timeout.after))?,
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

impl DnsResolver {
    /// Every address of a host; none where nobody knows it.
    pub fn addresses(&self, uri: &Uri) -> Result<Vec<IpAddr>, ConnectError> {
        let host = uri.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(vec![address]);
        }
        let timeout = self.0.time_left(limits::RESOLVE_TIMEOUT.into());
        match self.lookup(&format!("{host}:80"), timeout) {
            Ok(found) => Ok(found.iter().map(SocketAddr::ip).collect()),
            Err(ConnectError::Stopped) => Err(ConnectError::Stopped),
            Err(_) => Ok(Vec::new()),
        }
    }

    fn lookup(&self, name: &str, timeout: Duration) -> Result<Vec<SocketAddr>, ConnectError> {
        let mut earlier = lock(&self.0.lookup);
        let answer = match earlier.take() {
            Some((pending, answer)) if pending == name => answer,
            Some((pending, answer)) => {
                // Only a redirect asks for a second name. Its lookup waits for the first.
                match self.0.wait_for(&answer, timeout)? {
                    Some(_) => self.start_lookup(name)?,
                    None => {
                        *earlier = Some((pending, answer));
                        return Err(ConnectError::LookupTimeout);
                    }
                }
            }
            None => self.start_lookup(name)?,
        };
        match self
            .0
            .wait_for(&answer, timeout.min(limits::RESOLVE_TIMEOUT))?
        {
            Some(found) => found.map_err(ConnectError::Lookup),
            None => {
                *earlier = Some((name.to_owned(), answer));
                Err(ConnectError::LookupTimeout)
            }
        }
    }

    fn start_lookup(&self, name: &str) -> Result<Receiver<Lookup>, ConnectError> {
        let name = name.to_owned();
        let look_up = move || Ok(name.to_socket_addrs()?.collect());
        spawn_helper("lookup", look_up).map_err(ConnectError::Lookup)
    }
}

/// Opens TCP connections.
#[derive(Debug)]
pub struct TcpConnector(pub Arc<FetchControl>);

impl<In: Transport> Connector<In> for TcpConnector {
    type Out = Either<In, TcpTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if let Some(opened) = chained {
            // A proxy's tunnel.
            return Ok(Some(Either::A(opened)));
        }
        let stream = self.connect_any(&details.addrs, self.0.time_left(details.timeout.after))?;
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
        let connection = Arc::new(TcpConnection {
            control: Mutex::new(self.0.clone()),
            stream,
            peer,
        });
        let weak: Weak<TcpConnection> = Arc::downgrade(&connection);
        (details.register_shutdown)(weak as Weak<dyn ShutdownHandle>)?;
        self.0.adopt(&connection)?;
        Ok(Some(Either::B(TcpTransport {
            connection: connection,
            buffers: LazyBuffers::new(input, output),
        })))
    }
}

impl TcpConnector {
    /// The first address that takes the connection. Each gets half of the time that is
    /// left, the last one all of it, so that one dead family does not eat the fetch.
    fn connect_any(
        &self,
        addresses: &[SocketAddr],
        timeout: Duration,
    ) -> Result<TcpStream, ConnectError> {
        let deadline = Instant::now() + timeout;
        let mut failed = ConnectError::Connect(io::ErrorKind::AddrNotAvailable.into());
        for (index, address) in addresses.iter().enumerate() {
            if let Some(error) = self.0.forbids(address.ip()) {
                // One that is allowed may follow; its own trouble says more then.
                if index == 0
                    || matches!(
                        failed,
                        ConnectError::PrivateAddress | ConnectError::OtherMachine
                    )
                {
                    failed = error;
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
                    self.0.connections_opened.fetch_add(1, Ordering::Relaxed);
                    return Ok(stream);
                }
                Err(ConnectError::Stopped) => return Err(ConnectError::Stopped),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    fn connect_one(
        &self,
        address: SocketAddr,
        timeout: Duration,
    ) -> Result<TcpStream, ConnectError> {
        let connect = move || TcpStream::connect_timeout(&address, timeout);
        let answer = spawn_helper("connect", connect).map_err(ConnectError::Connect)?;
        // The kernel ends its own wait at the same time; a moment more lets it say how.
        let timeout = timeout + limits::STOP_GLANCE;
        match self.0.wait_for(&answer, timeout)? {
            Some(Ok(stream)) => Ok(stream),
            Some(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
                Err(ConnectError::ConnectTimeout)
            }
            Some(Err(error)) => Err(ConnectError::Connect(error)),
            None => Err(ConnectError::ConnectTimeout),
        }
    }
}

/// An open connection, and the line of the source whose fetch uses it.
pub struct TcpConnection {
    control: Mutex<Arc<FetchControl>>,
    stream: TcpStream,
    peer: IpAddr,
}

impl fmt::Debug for TcpConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link to {}", self.peer)
    }
}

impl ShutdownHandle for TcpConnection {
    /// Ends what another thread reads or writes.
    fn shutdown(&self) {
        // It may be closed already.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

/// A connection whose every wait ends with the fetch.
pub struct TcpTransport {
    connection: Arc<TcpConnection>,
    buffers: LazyBuffers,
}

impl fmt::Debug for TcpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Socket")
    }
}

/// Runs one read or write that the kernel ends when the time is up.
fn with_timeout<T>(
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

impl Transport for TcpTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let peer = self.connection.peer;
        let control = lock(&self.connection.control).clone();
        *lock(&control.peer) = Some(peer);
        // A kept connection passes no connector.
        if let Some(error) = control.forbids(peer) {
            return Err(error.into());
        }
        let (deadline, reason) = control.deadline(timeout.for_write());
        let mut rest = &self.buffers.output()[..amount];
        while !rest.is_empty() {
            let set = TcpStream::set_write_timeout;
            let sent = with_timeout(&self.connection.stream, deadline, reason, set, |mut it| {
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
        let control = lock(&self.connection.control).clone();
        let (deadline, reason) = control.deadline(timeout.for_read());
        let room = self.buffers.input_append_buf();
        let set = TcpStream::set_read_timeout;
        let came = with_timeout(&self.connection.stream, deadline, reason, set, |mut it| {
            it.read(room)
        })?;
        self.buffers.input_appended(came);
        Ok(came > 0)
    }

    /// Whether the connection can take another request: nothing has come meanwhile, not
    /// even its end.
    fn is_open(&mut self) -> bool {
        let mut probe = [0];
        let quiet = self.connection.stream.set_nonblocking(true).is_ok()
            && matches!(
                self.connection.stream.peek(&mut probe),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock
            );
        quiet && self.connection.stream.set_nonblocking(false).is_ok()
    }
}
