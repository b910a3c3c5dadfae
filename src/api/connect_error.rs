//! Connect errors, and the scope of redirects: which addresses may be connected to.
//!
//! Values.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ureq::Error;

use crate::sys::name_lookup::NoAddress;

/// Why no connection was opened; carried inside `ureq::Error::Other`.
#[derive(Debug)]
pub enum ConnectError {
    /// The node is stopping.
    Stopped,
    Lookup(io::Error),
    LookupTimeout,
    /// A `.local` name that nobody knows, or the zone of an address.
    NoAddress(NoAddress),
    Connect(io::Error),
    ConnectTimeout,
    /// A public server redirects to a private address.
    PrivateAddress,
    /// A private server redirects to another machine.
    OtherMachine,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::Stopped => f.write_str("stopped"),
            ConnectError::Lookup(error) => write!(f, "lookup: {error}"),
            ConnectError::LookupTimeout => f.write_str("lookup timed out"),
            ConnectError::NoAddress(why) => write!(f, "lookup: {why}"),
            ConnectError::Connect(error) => write!(f, "connect: {error}"),
            ConnectError::ConnectTimeout => f.write_str("connect timed out"),
            ConnectError::PrivateAddress => f.write_str("a private address"),
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

/// Which addresses a request may connect to. Behind a proxy the peer is the proxy itself;
/// `transport` checks the host names then.
#[derive(Debug, Clone, Copy, Default)]
pub enum RedirectScope {
    /// A configured URL.
    #[default]
    Anywhere,
    /// A redirect by a public server: to no address for which this is true.
    PublicOnly(fn(IpAddr) -> bool),
    /// A redirect by a private server: to the same machine only.
    SameMachine(IpAddr),
}

impl RedirectScope {
    pub fn forbids(self, address: IpAddr) -> Option<ConnectError> {
        match self {
            RedirectScope::Anywhere => None,
            RedirectScope::PublicOnly(is_private) => {
                is_private(address).then_some(ConnectError::PrivateAddress)
            }
            RedirectScope::SameMachine(machine) => {
                let (one, other) = (address.to_canonical(), machine.to_canonical());
                // `localhost` resolves to both.
                let is_localhost =
                    |it: IpAddr| it == Ipv4Addr::LOCALHOST || it == Ipv6Addr::LOCALHOST;
                let is_same = one == other || (is_localhost(one) && is_localhost(other));
                (!is_same).then_some(ConnectError::OtherMachine)
            }
        }
    }
}
