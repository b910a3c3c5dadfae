//! Byte stream to a broker: TCP, or TLS over it, without blocking.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use crate::limits;
use crate::sys::name_lookup::{self, LookupError, LookupRequest};
use crate::sys::os_error::reason;
use crate::sys::shutdown::StopToken;
use crate::sys::thread::{self, catch_panic};

/// Why a stream has ended.
#[derive(Debug)]
pub enum StreamError {
    Closed,
    Io(io::Error),
    Tls(rustls::Error),
}

impl From<io::Error> for StreamError {
    fn from(error: io::Error) -> StreamError {
        match error.kind() {
            ErrorKind::UnexpectedEof => StreamError::Closed,
            _ => StreamError::Io(error),
        }
    }
}

pub struct BrokerStream {
    socket: TcpStream,
    tls: Option<ClientConnection>,
    /// What the socket has not taken yet, without TLS.
    output: Vec<u8>,
}

impl BrokerStream {
    /// `tls`: its configuration, and the name that the certificate must have.
    pub fn new(
        socket: TcpStream,
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    ) -> Result<BrokerStream, StreamError> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let session = tls.map(|(config, name)| {
            let mut session = ClientConnection::new(config, name)?;
            // The caller bounds what is queued.
            session.set_buffer_limit(None);
            Ok(session)
        });
        Ok(BrokerStream {
            socket,
            tls: session.transpose().map_err(StreamError::Tls)?,
            output: Vec::new(),
        })
    }

    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Adds to what [`BrokerStream::flush`] sends.
    pub fn queue(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        match &mut self.tls {
            Some(session) => session.writer().write_all(bytes)?,
            None => self.output.extend_from_slice(bytes),
        }
        Ok(())
    }

    /// Sends as much as the socket takes now.
    pub fn flush(&mut self) -> Result<(), StreamError> {
        while self.has_output() {
            let sent = match &mut self.tls {
                Some(session) => session.write_tls(&mut self.socket),
                None => self.socket.write(&self.output),
            };
            match sent {
                Ok(0) => return Err(StreamError::Closed),
                Ok(count) if self.tls.is_none() => {
                    self.output.drain(..count);
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.output.shrink_to(limits::MQTT_BUFFER_BYTES);
        Ok(())
    }

    /// Whether something waits to be sent.
    pub fn has_output(&self) -> bool {
        match &self.tls {
            Some(session) => session.wants_write(),
            None => !self.output.is_empty(),
        }
    }

    /// Appends what has come to `input`, at most one buffer.
    pub fn read(&mut self, input: &mut Vec<u8>) -> Result<(), StreamError> {
        let mut buffer = [0; limits::MQTT_BUFFER_BYTES];
        let Some(session) = &mut self.tls else {
            return match read_now(&mut self.socket, &mut buffer)? {
                Some(0) => Err(StreamError::Closed),
                Some(count) => {
                    input.extend_from_slice(&buffer[..count]);
                    Ok(())
                }
                None => Ok(()),
            };
        };
        let is_end = match session.read_tls(&mut self.socket) {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) if is_not_yet(&error) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if let Err(error) = session.process_new_packets() {
            // The alert that says why; the socket may be gone.
            let _ = session.write_tls(&mut self.socket);
            return Err(StreamError::Tls(error));
        }
        while let Some(count @ 1..) = read_now(&mut session.reader(), &mut buffer)? {
            input.extend_from_slice(&buffer[..count]);
        }
        if is_end {
            Err(StreamError::Closed)
        } else {
            Ok(())
        }
    }
}

fn is_not_yet(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// `None` if nothing has come.
fn read_now(from: &mut impl Read, buffer: &mut [u8]) -> Result<Option<usize>, StreamError> {
    match from.read(buffer) {
        Ok(count) => Ok(Some(count)),
        Err(error) if is_not_yet(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Connects to the first address of `host` that accepts; the stop ends the wait. `Err` completes
/// "HOST: …".
pub fn connect(host: &str, port: u16, stop: &StopToken) -> Result<TcpStream, String> {
    let (results, result) = channel();
    let (helper_results, helper_stop) = (results.clone(), stop.clone());
    let name = host.to_owned();
    let spawned = thread::spawn("connect", move || {
        let found = catch_panic("a connection to a broker", || {
            connect_any(&name, port, &helper_stop)
        });
        // The receiver is gone once the node stops.
        let _ = helper_results
            .send(found.unwrap_or_else(|| Err("internal error; see the log".to_owned())));
    });
    spawned.map_err(|error| format!("cannot start a thread: {}", reason(&error)))?;
    let _on_stop = stop.on_stop(move || {
        // The receiver is gone once the connection is made.
        let _ = results.send(Err("main-node is stopping".to_owned()));
    });
    let most = limits::RESOLVE_TIMEOUT + limits::CONNECT_TIMEOUT + limits::CONNECT_GRACE;
    let received = result.recv_timeout(most);
    received.unwrap_or_else(|_| Err("the name could not be resolved in time".to_owned()))
}

fn connect_any(host: &str, port: u16, stop: &StopToken) -> Result<TcpStream, String> {
    let request = LookupRequest {
        host,
        port,
        timeout: limits::RESOLVE_TIMEOUT,
        is_stopping: &|| stop.is_stopping(),
    };
    let system = |_: Duration| -> io::Result<Vec<SocketAddr>> {
        Ok((host, port).to_socket_addrs()?.collect())
    };
    let found = name_lookup::look_up(&request, system).map_err(|error| match error {
        LookupError::NoAddress(why, _) => format!("the name cannot be resolved: {why}"),
        LookupError::System(error) => {
            format!("the name cannot be resolved: {}", reason(&error))
        }
    })?;
    let deadline = Instant::now() + limits::CONNECT_TIMEOUT;
    let mut failed = "the name has no address".to_owned();
    let count = found.len().min(limits::RESOLVED_ADDRESSES);
    for (index, address) in found.into_iter().take(count).enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        // Each gets half of the time left, the last one all of it.
        let share = if index + 1 == count { left } else { left / 2 };
        if share.is_zero() || stop.is_stopping() {
            break;
        }
        match TcpStream::connect_timeout(&address, share) {
            Ok(socket) => return Ok(socket),
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                failed = "no answer to the connection".to_owned();
            }
            Err(error) => failed = reason(&error),
        }
    }
    Err(failed)
}
