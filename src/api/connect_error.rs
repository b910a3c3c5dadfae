//! Why no connection was opened: the error of each step, and where a redirect may lead.
//!
//! Values.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ureq::Error;

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
    pub fn forbids(self, address: IpAddr) -> Option<ConnectError> {
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
