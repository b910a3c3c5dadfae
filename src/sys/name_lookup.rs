//! Name lookup: addresses as hosts, `.local` names by multicast DNS, every other name by the system's
//! resolver.
//!
//! Any thread; asks and waits on the caller's. The order for `.local` is that of Debian's
//! `nsswitch.conf` with libnss-mdns: `/etc/hosts`, multicast DNS, DNS. main-node asks by itself
//! whatever the system can do, because the static binary (musl) has no NSS, and a name must not
//! mean something else in another build. A name that only the system's resolver knew is
//! looked up there first for a while, so that a router's own `.local` costs no wait.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use super::mdns::{self, LinkAddress, MdnsResult};
use super::sync::Mutex;
use super::{container, host_address, text_file};
use crate::limits;

/// Whether a host, with or without its port, is one of multicast DNS (RFC 6762).
pub fn is_mdns_name(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |it| it.0);
    mdns_name(name).is_some()
}

/// In lower case, without a final dot.
fn mdns_name(host: &str) -> Option<String> {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name.ends_with(".local").then_some(name)
}

/// Why a host has no address, apart from an error of the system's resolver. Completes "cannot
/// resolve HOST: …".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoAddress(pub String);

impl fmt::Display for NoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoAddress {}

/// Why a lookup has failed.
#[derive(Debug)]
pub enum LookupError<E> {
    /// Neither multicast DNS nor the system's resolver knows the name; the error is the latter's.
    NoAddress(NoAddress, Option<E>),
    System(E),
}

/// A lookup on behalf of something that has a deadline and may stop.
pub struct LookupRequest<'a> {
    pub host: &'a str,
    pub port: u16,
    pub timeout: Duration,
    pub is_stopping: &'a dyn Fn() -> bool,
}

/// The addresses of a host. `system` asks the system's resolver within the time that it is given.
pub fn look_up<E>(
    request: &LookupRequest<'_>,
    system: impl FnOnce(Duration) -> Result<Vec<SocketAddr>, E>,
) -> Result<Vec<SocketAddr>, LookupError<E>> {
    if let Some(address) = host_address::parse(request.host, request.port) {
        return match address {
            Ok(address) => Ok(vec![address]),
            Err(why) => Err(LookupError::NoAddress(NoAddress(why), None)),
        };
    }
    let Some(name) = mdns_name(request.host) else {
        return system(request.timeout).map_err(LookupError::System);
    };
    let hosts = text_file::read(Path::new("/etc/hosts")).unwrap_or_default();
    if is_in_hosts(&hosts, &name) {
        return system(request.timeout).map_err(LookupError::System);
    }
    let ask = |budget| mdns::ask(&name, budget, request.is_stopping);
    NAMES.look_up(&name, request, ask, system)
}

/// Where a `.local` name was found last, in words, if it is still remembered.
pub fn describe(host: &str) -> Option<String> {
    NAMES.describe(&mdns_name(host)?, Instant::now())
}

/// Whether the text of `/etc/hosts` names `name`.
fn is_in_hosts(text: &str, name: &str) -> bool {
    text.lines().any(|line| {
        let entry = line.split('#').next().unwrap_or_default();
        let mut names = entry.split_whitespace().skip(1);
        names.any(|it| it.trim_end_matches('.').eq_ignore_ascii_case(name))
    })
}

static NAMES: LocalNames = LocalNames(Mutex::new(BTreeMap::new()));

/// What is known of `.local` names.
struct LocalNames(Mutex<BTreeMap<String, LocalName>>);

struct LocalName {
    /// By multicast DNS; empty for a name that the system's resolver knew.
    addresses: Vec<LinkAddress>,
    until: Instant,
}

impl LocalNames {
    fn look_up<E>(
        &self,
        name: &str,
        request: &LookupRequest<'_>,
        ask: impl FnOnce(Duration) -> MdnsResult,
        system: impl FnOnce(Duration) -> Result<Vec<SocketAddr>, E>,
    ) -> Result<Vec<SocketAddr>, LookupError<E>> {
        let begun = Instant::now();
        match self.known(name, begun) {
            Some(addresses) if addresses.is_empty() => {
                let found = system(request.timeout);
                if !matches!(&found, Ok(found) if !found.is_empty()) {
                    self.0.lock().remove(name);
                }
                return found.map_err(LookupError::System);
            }
            Some(addresses) => return Ok(with_port(&addresses, request.port)),
            None => {}
        }
        let most = limits::MDNS_WAIT * limits::MDNS_TRIES;
        let result = ask(most.min(request.timeout / limits::MDNS_SHARE));
        if !result.addresses.is_empty() {
            let addresses = with_port(&result.addresses, request.port);
            self.remember(name, result.addresses);
            return Ok(addresses);
        }
        let left = request.timeout.saturating_sub(begun.elapsed());
        match system(left) {
            Ok(found) if !found.is_empty() => {
                self.remember(name, Vec::new());
                Ok(found)
            }
            Ok(_) => Err(LookupError::NoAddress(unknown(&result), None)),
            Err(error) => Err(LookupError::NoAddress(unknown(&result), Some(error))),
        }
    }

    fn known(&self, name: &str, now: Instant) -> Option<Vec<LinkAddress>> {
        let names = self.0.lock();
        let known = names.get(name).filter(|it| now < it.until)?;
        Some(known.addresses.clone())
    }

    fn remember(&self, name: &str, addresses: Vec<LinkAddress>) {
        let now = Instant::now();
        let shortest = addresses.iter().map(|it| it.ttl).min();
        let span = shortest.map_or(limits::MDNS_SILENT, |ttl| ttl.min(limits::MDNS_CACHE));
        let mut names = self.0.lock();
        names.retain(|_, known| now < known.until);
        if names.len() >= limits::LOCAL_NAMES {
            names.pop_first();
        }
        let until = now + span;
        names.insert(name.to_owned(), LocalName { addresses, until });
    }

    fn describe(&self, name: &str, now: Instant) -> Option<String> {
        let addresses = self.known(name, now)?;
        if addresses.is_empty() {
            return Some("found by the system's resolver, not by multicast DNS".to_owned());
        }
        let texts = addresses.iter().map(|it| match it.address {
            SocketAddr::V6(address) if address.scope_id() > 0 => {
                format!("{}%{}", address.ip(), it.interface)
            }
            address => format!("{} (on {})", address.ip(), it.interface),
        });
        let texts: Vec<String> = texts.collect();
        Some(format!("{} by multicast DNS", texts.join(", ")))
    }
}

fn with_port(addresses: &[LinkAddress], port: u16) -> Vec<SocketAddr> {
    let addresses = addresses.iter().map(|it| {
        let mut address = it.address;
        address.set_port(port);
        address
    });
    addresses.collect()
}

fn unknown(result: &MdnsResult) -> NoAddress {
    let asked = if result.interfaces.is_empty() {
        "no network interface takes a question by multicast DNS".to_owned()
    } else {
        let interfaces = result.interfaces.join(", ");
        format!("nothing answers to that name by multicast DNS on {interfaces}")
    };
    let container = if container::has_own_network() {
        "; bridge networks of containers carry no multicast: run this one with the network of its \
         host (`--network host`)"
    } else {
        ""
    };
    NoAddress(format!(
        "{asked}, and the system's resolver does not know it; is the device on, in this network, and \
         does it announce its name (on Linux: avahi-daemon)? The address works in its place, such as \
         http://192.168.1.20/ (the router's list of devices has it){container}"
    ))
}

#[cfg(test)]
#[path = "tests/name_lookup.rs"]
mod tests;
