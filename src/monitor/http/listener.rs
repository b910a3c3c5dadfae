//! Listening sockets, opened first, so that a port in use is reported at start.
//!
//! [`bind`] runs on whatever thread calls it and blocks for nothing.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use crate::limits;

/// Why the node cannot listen.
#[derive(Debug)]
pub struct BindError {
    pub address: SocketAddr,
    pub error: io::Error,
}

impl BindError {
    /// Another process has the port: waiting may help.
    pub fn is_in_use(&self) -> bool {
        self.error.kind() == io::ErrorKind::AddrInUse
    }

    /// The address is not there yet: waiting for the network may help.
    pub fn is_not_there(&self) -> bool {
        self.error.kind() == io::ErrorKind::AddrNotAvailable
    }

    /// This machine has no such address family.
    pub fn is_missing_family(&self) -> bool {
        is_missing_family(self.address, &self.error)
    }

    /// Descriptors or memory are short; that may pass.
    pub fn is_short_of_resources(&self) -> bool {
        is_resource_exhaustion(&self.error)
    }
}

/// Whether no file descriptor or no memory is left for a socket; that passes.
pub fn is_resource_exhaustion(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS)
    )
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, port) = (self.address, self.address.port());
        match self.error.kind() {
            io::ErrorKind::AddrInUse => write!(
                f,
                "cannot listen on {address}: the port is in use by another program. \
                 `ss -ltnp 'sport = :{port}'` names it; or choose another port with `listen` \
                 or --listen"
            ),
            io::ErrorKind::AddrNotAvailable => write!(
                f,
                "cannot listen on {address}: no interface of this machine has that address. \
                 Listen on 0.0.0.0:{port} for all, or correct `listen`"
            ),
            io::ErrorKind::PermissionDenied => write!(
                f,
                "cannot listen on {address}: not permitted. Ports below 1024 need \
                 CAP_NET_BIND_SERVICE, or `sudo sysctl net.ipv4.ip_unprivileged_port_start={port}`; \
                 or choose a higher one with `listen` or --listen"
            ),
            _ => write!(f, "cannot listen on {address}: {}", self.error),
        }
    }
}

impl std::error::Error for BindError {}

/// Opens every address, or takes the one of the `inherited` sockets that listens on it. A family that
/// this machine does not have is left out with a note, as long as another address is left; any other
/// failure is an error.
pub fn bind(
    addresses: &[SocketAddr],
    inherited: &[TcpListener],
) -> Result<Vec<TcpListener>, BindError> {
    let mut listeners = Vec::with_capacity(addresses.len());
    let mut missing = None;
    for address in addresses {
        let inherited = inherited
            .iter()
            .find(|it| it.local_addr().is_ok_and(|bound| bound == *address));
        let listener = match inherited {
            Some(inherited) => inherited.try_clone(),
            None => listener(*address),
        };
        match listener {
            Ok(listener) => listeners.push(listener),
            Err(error) if is_missing_family(*address, &error) => {
                log::info!(
                    "not listening on {address}: this machine has no such network ({error})"
                );
                missing = Some((*address, error));
            }
            Err(error) => {
                let address = *address;
                return Err(BindError { address, error });
            }
        }
    }
    match missing {
        Some((address, error)) if listeners.is_empty() => Err(BindError { address, error }),
        _ => Ok(listeners),
    }
}

/// Without IPv6 the socket cannot be made; with it switched off by sysctl, `[::]` and `[::1]` cannot
/// be bound.
fn is_missing_family(address: SocketAddr, error: &io::Error) -> bool {
    match error.raw_os_error() {
        Some(libc::EAFNOSUPPORT | libc::EPFNOSUPPORT | libc::EPROTONOSUPPORT) => true,
        Some(libc::EADDRNOTAVAIL) => {
            address.is_ipv6() && (address.ip().is_unspecified() || address.ip().is_loopback())
        }
        _ => false,
    }
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    // A restart must not wait for the connections of the run before.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        // So that 0.0.0.0 and [::] can be open together, whatever the sysctl is.
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    // Linux hands these on to every accepted connection, which saves a call each.
    sockopt::set_tcp_nodelay(&socket, true)?;
    sockopt::set_socket_send_buffer_size(&socket, limits::SEND_BUFFER_BYTES)?;
    let unacknowledged_ms = limits::TCP_USER_TIMEOUT.as_millis() as u32;
    sockopt::set_tcp_user_timeout(&socket, unacknowledged_ms)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, limits::LISTEN_BACKLOG)?;
    Ok(TcpListener::from(socket))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    fn any_port(ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().expect("an address"), 0)
    }

    #[test]
    fn both_families_share_a_port() {
        let v4 = bind(&[any_port("0.0.0.0")], &[]).expect("IPv4 is there");
        let port = v4[0].local_addr().expect("bound").port();
        let v6 = bind(
            &[SocketAddr::new("::".parse().expect("an address"), port)],
            &[],
        );
        // Where there is no IPv6, only that is reported.
        if let Err(error) = v6 {
            assert!(!error.is_in_use(), "{error}");
        }
    }

    #[test]
    fn a_port_in_use_is_reported_as_such() {
        let first = bind(&[any_port("127.0.0.1")], &[]).expect("a free port");
        let taken = first[0].local_addr().expect("bound");
        let error = bind(&[taken], &[]).expect_err("the port is taken");
        assert!(error.is_in_use());
        assert_eq!(
            error.to_string(),
            format!(
                "cannot listen on {taken}: the port is in use by another program. \
                 `ss -ltnp 'sport = :{}'` names it; or choose another port with `listen` or --listen",
                taken.port()
            )
        );
    }

    #[test]
    fn an_address_of_another_machine_is_reported_as_such() {
        let error = bind(&[any_port("192.0.2.1")], &[]).expect_err("a documentation address");
        assert!(error.is_not_there(), "{error}");
    }

    #[test]
    fn accepted_connections_inherit_the_options() {
        let listeners = bind(&[any_port("127.0.0.1")], &[]).expect("a free port");
        listeners[0].set_nonblocking(false).expect("a socket");
        let address = listeners[0].local_addr().expect("bound");
        let _client = TcpStream::connect(address).expect("the backlog takes it");
        let (accepted, _) = listeners[0].accept().expect("it is there");
        assert!(sockopt::tcp_nodelay(&accepted).expect("an option"));
        assert_eq!(
            sockopt::tcp_user_timeout(&accepted).expect("an option"),
            limits::TCP_USER_TIMEOUT.as_millis() as u32
        );
    }
}
