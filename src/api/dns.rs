//! DNS resolver: lookups that the stop and the deadline interrupt.
//!
//! Runs on the fetch thread; a lookup by the system's resolver on a helper thread. Must not log or
//! retry.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::connect_error::ConnectError;
use super::fetch_control::{FetchControl, Lookup};
use crate::limits;
use crate::sys::host_address;
use crate::sys::name_lookup::{self, LookupError, LookupRequest};

/// Resolves host names.
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
        let found = self.look_up(
            host,
            host_address::port(uri),
            self.0.time_left(timeout.after),
        )?;
        let mut addresses = self.empty();
        for address in config
            .ip_family()
            .keep_wanted(found.into_iter())
            .take(limits::RESOLVED_ADDRESSES)
        {
            addresses.push(address);
        }
        if addresses.is_empty() {
            Err(Error::HostNotFound)
        } else {
            Ok(addresses)
        }
    }
}

impl DnsResolver {
    /// Every address of a host; empty if it is unknown.
    pub fn addresses(&self, uri: &Uri) -> Result<Vec<IpAddr>, ConnectError> {
        let host = uri.host().unwrap_or_default();
        let timeout = self.0.time_left(limits::RESOLVE_TIMEOUT.into());
        match self.look_up(host, 80, timeout) {
            Ok(found) => Ok(found.iter().map(SocketAddr::ip).collect()),
            Err(ConnectError::Stopped) => Err(ConnectError::Stopped),
            Err(_) => Ok(Vec::new()),
        }
    }

    fn look_up(
        &self,
        host: &str,
        port: u16,
        timeout: Duration,
    ) -> Result<Vec<SocketAddr>, ConnectError> {
        let request = LookupRequest {
            host,
            port,
            timeout: timeout.min(limits::RESOLVE_TIMEOUT),
            is_stopping: &|| self.0.is_stopped(),
        };
        let system = |timeout| self.lookup(&format!("{host}:{port}"), timeout);
        name_lookup::look_up(&request, system).map_err(|error| match error {
            LookupError::System(error)
            | LookupError::NoAddress(_, Some(error @ ConnectError::Stopped)) => error,
            LookupError::NoAddress(why, _) => ConnectError::NoAddress(why),
        })
    }

    /// By the system's resolver.
    fn lookup(&self, name: &str, timeout: Duration) -> Result<Vec<SocketAddr>, ConnectError> {
        let mut earlier = self.0.lookup.lock();
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
        self.0
            .spawn_helper("lookup", look_up)
            .map_err(ConnectError::Lookup)
    }
}
