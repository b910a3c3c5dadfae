//! TCP connector and transport: connect, read and write end with the fetch.
//!
//! Runs on the fetch thread; the handshake on a helper thread. Must not log, retry or classify.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, ShutdownHandle,
    Transport,
};
use ureq::{Error, Timeout};

use super::connect_error::ConnectError;
use super::fetch_control::{FetchControl, TcpConnection};
use crate::limits;
use crate::sys::sync::Mutex;

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
        let (input, output) = if details.needs_tls() {
            (limits::TLS_BUFFER_BYTES, limits::TLS_BUFFER_BYTES)
        } else {
            (
                details.config.input_buffer_size(),
                details.config.output_buffer_size(),
            )
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
            connection,
            buffers: LazyBuffers::new(input, output),
            buffer_sizes: (input, output),
        })))
    }
}

impl TcpConnector {
    /// Connects to the first address that accepts. Each gets half of the time left, the last one
    /// all of it, so that one dead address family does not use up the fetch.
    fn connect_any(
        &self,
        addresses: &[SocketAddr],
        timeout: Duration,
    ) -> Result<TcpStream, ConnectError> {
        let deadline = Instant::now() + timeout;
        let mut failed = ConnectError::Connect(io::ErrorKind::AddrNotAvailable.into());
        for (index, address) in addresses.iter().enumerate() {
            if let Some(error) = self.0.forbids(address.ip()) {
                // An error of an allowed address is the more useful one.
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
            let share = if index + 1 == addresses.len() {
                left
            } else {
                left / 2
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
        let answer = self
            .0
            .spawn_helper("connect", connect)
            .map_err(ConnectError::Connect)?;
        // The kernel's own timeout ends first and says why.
        let timeout = timeout + limits::CONNECT_GRACE;
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

/// A TCP connection whose waits end with the fetch.
pub struct TcpTransport {
    connection: Arc<TcpConnection>,
    buffers: LazyBuffers,
    /// Of input and output.
    buffer_sizes: (usize, usize),
}

impl fmt::Debug for TcpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TcpTransport")
    }
}

/// Runs one read or write with a socket timeout.
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
        let control = self.connection.control.lock().clone();
        *control.peer.lock() = Some(peer);
        // A pooled connection was not checked by the connector.
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
        let control = self.connection.control.lock().clone();
        let (deadline, reason) = control.deadline(timeout.for_read());
        let room = self.buffers.input_append_buf();
        let set = TcpStream::set_read_timeout;
        let came = with_timeout(&self.connection.stream, deadline, reason, set, |mut it| {
            it.read(room)
        })?;
        self.buffers.input_appended(came);
        Ok(came > 0)
    }

    /// Whether the connection can be reused: neither data nor EOF has arrived.
    fn is_open(&mut self) -> bool {
        let mut probe = [0];
        let quiet = self.connection.stream.set_nonblocking(true).is_ok()
            && matches!(
                self.connection.stream.peek(&mut probe),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock
            );
        let is_open = quiet && self.connection.stream.set_nonblocking(false).is_ok();
        if is_open && self.buffers.input().is_empty() {
            // An idle connection holds no memory: 24 kB each where sources have many servers.
            let (input, output) = self.buffer_sizes;
            self.buffers = LazyBuffers::new(input, output);
        }
        is_open
    }
}
