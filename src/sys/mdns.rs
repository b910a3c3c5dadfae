//! Multicast DNS querier (RFC 6762, 5.1): one-shot questions for the addresses of a `.local` name, on
//! every interface, over IPv4 and IPv6.
//!
//! On the caller's thread. From ephemeral ports, so that nothing is bound between questions and no
//! daemon of the machine is in the way; it answers nobody. Only answers count that come from
//! port 5353 of a neighbour on the link, with the question's id, for the name that was asked.

mod link;
mod message;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt;

pub use self::link::{Link, links};
use self::message::AddressRecord;
use crate::domain::compact_sort::CompactSort;
use crate::limits;

const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
const PORT: u16 = 5353;
/// So that a receiver could see that no router has passed it on (RFC 6762, 11).
const HOPS: u32 = 255;

/// An address of a name, and where its answer came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkAddress {
    /// With the zone if it is link-local; the port is 0.
    pub address: SocketAddr,
    pub interface: String,
    pub ttl: Duration,
}

/// What a question found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MdnsResult {
    /// IPv4 first, addresses of the link alone last; empty if nobody answered.
    pub addresses: Vec<LinkAddress>,
    /// Interfaces on which the question was sent.
    pub interfaces: Vec<String>,
}

/// A socket by which one interface is asked.
struct LinkSocket {
    socket: UdpSocket,
    group: SocketAddr,
    link: Link,
}

/// How long each of the tries waits, how long more is collected after the first address, and the
/// whole.
#[derive(Debug, Clone, Copy)]
struct Timing {
    wait: Duration,
    gather: Duration,
    budget: Duration,
}

/// Asks for `name` on every interface, for at most `budget`.
pub fn ask(name: &str, budget: Duration, is_stopping: &dyn Fn() -> bool) -> MdnsResult {
    let timing = Timing {
        wait: limits::MDNS_WAIT,
        gather: limits::MDNS_GATHER,
        budget,
    };
    ask_sockets(name, &open_sockets(), timing, is_stopping)
}

/// A socket per interface and family; what cannot be opened (no address yet, no multicast) is left
/// out.
fn open_sockets() -> Vec<LinkSocket> {
    let links = links().unwrap_or_default();
    let mut sockets = Vec::new();
    for link in &links {
        let opened = [open_v4(link), open_v6(link)].into_iter().flatten();
        sockets.extend(opened.filter_map(|opened| {
            let (socket, group) = opened.ok()?;
            let link = link.clone();
            Some(LinkSocket {
                socket,
                group,
                link,
            })
        }));
    }
    sockets.truncate(limits::MDNS_SOCKETS);
    sockets
}

fn open_v4(link: &Link) -> Option<io::Result<(UdpSocket, SocketAddr)>> {
    let address = link.v4.first()?.0;
    Some(UdpSocket::bind((address, 0)).and_then(|socket| {
        socket.set_nonblocking(true)?;
        sockopt::set_ip_multicast_if(&socket, &address)?;
        sockopt::set_ip_multicast_ttl(&socket, HOPS)?;
        Ok((socket, (GROUP_V4, PORT).into()))
    }))
}

fn open_v6(link: &Link) -> Option<io::Result<(UdpSocket, SocketAddr)>> {
    let here = SocketAddrV6::new(link.link_local_v6()?, 0, 0, link.index);
    Some(UdpSocket::bind(here).and_then(|socket| {
        socket.set_nonblocking(true)?;
        sockopt::set_ipv6_multicast_if(&socket, link.index)?;
        sockopt::set_ipv6_multicast_hops(&socket, HOPS)?;
        let group = SocketAddrV6::new(GROUP_V6, PORT, 0, link.index);
        Ok((socket, group.into()))
    }))
}

fn ask_sockets(
    name: &str,
    sockets: &[LinkSocket],
    timing: Timing,
    is_stopping: &dyn Fn() -> bool,
) -> MdnsResult {
    let mut result = MdnsResult::default();
    let id = fastrand::u16(..);
    let questions: Option<Vec<Vec<u8>>> = message::ADDRESS_TYPES
        .iter()
        .map(|it| message::question(id, name, *it))
        .collect();
    let Some(questions) = questions else {
        return result;
    };
    let mut collector = Collector {
        name,
        id,
        sockets,
        packets_left: limits::MDNS_PACKETS,
        addresses: Vec::new(),
        complete_at: None,
        gather: timing.gather,
    };
    let deadline = Instant::now() + timing.budget;
    for _ in 0..limits::MDNS_TRIES {
        send(&questions, sockets, &mut result.interfaces);
        if result.interfaces.is_empty() {
            break;
        }
        let until = deadline.min(Instant::now() + timing.wait);
        if collector.collect(until, is_stopping) || Instant::now() >= deadline {
            break;
        }
    }
    result.addresses = sorted(collector.addresses);
    result
}

fn send(questions: &[Vec<u8>], sockets: &[LinkSocket], interfaces: &mut Vec<String>) {
    for it in sockets {
        // An interface without a carrier or without multicast cannot be asked.
        let sent = questions
            .iter()
            .filter(|question| it.socket.send_to(question, it.group).is_ok());
        if sent.count() > 0 && !interfaces.contains(&it.link.name) {
            interfaces.push(it.link.name.clone());
        }
    }
}

/// What has been received for one question.
struct Collector<'a> {
    name: &'a str,
    id: u16,
    sockets: &'a [LinkSocket],
    packets_left: usize,
    addresses: Vec<LinkAddress>,
    /// When what has come is enough.
    complete_at: Option<Instant>,
    gather: Duration,
}

impl Collector<'_> {
    /// Receives until then; true if there is no reason to ask again.
    fn collect(&mut self, until: Instant, is_stopping: &dyn Fn() -> bool) -> bool {
        loop {
            let now = Instant::now();
            if is_stopping() || self.packets_left == 0 {
                return true;
            }
            let end = self.complete_at.unwrap_or(until);
            if now >= end {
                return self.complete_at.is_some();
            }
            self.wait((end - now).min(limits::MDNS_STOP_CHECK));
            self.receive();
        }
    }

    /// Waits for a packet on any socket.
    fn wait(&self, span: Duration) {
        let sockets = self.sockets.iter();
        let mut waiting: Vec<PollFd<'_>> = sockets
            .map(|it| PollFd::new(&it.socket, PollFlags::IN))
            .collect();
        let span = Timespec::try_from(span).ok();
        // An interruption by a signal only ends the wait early.
        let _ = poll(&mut waiting, span.as_ref());
    }

    fn receive(&mut self) {
        let mut packet = vec![0; limits::MDNS_PACKET_BYTES];
        for it in self.sockets {
            while self.packets_left > 0 {
                let Ok((length, source)) = it.socket.recv_from(&mut packet) else {
                    break;
                };
                self.packets_left -= 1;
                if source.port() != it.group.port() || !it.link.is_neighbour(source.ip()) {
                    continue;
                }
                let found = message::addresses(&packet[..length], self.id, self.name);
                for record in found {
                    self.add(record, &it.link);
                }
            }
        }
    }

    fn add(&mut self, record: AddressRecord, link: &Link) {
        let address = match record.address {
            IpAddr::V6(it) if it.is_unicast_link_local() => {
                SocketAddrV6::new(it, 0, 0, link.index).into()
            }
            it => SocketAddr::new(it, 0),
        };
        let is_known = self.addresses.iter().any(|it| it.address == address);
        if is_known || self.addresses.len() == limits::MDNS_ADDRESSES {
            return;
        }
        self.addresses.push(LinkAddress {
            address,
            interface: link.name.clone(),
            ttl: Duration::from_secs(record.ttl_s.into()),
        });
        let has = |is_v4| {
            self.addresses
                .iter()
                .any(|it| it.address.is_ipv4() == is_v4)
        };
        let now = Instant::now();
        let end = if has(true) && has(false) {
            now
        } else {
            now + self.gather
        };
        self.complete_at = Some(self.complete_at.map_or(end, |earlier| earlier.min(end)));
    }
}

/// In the order in which they are worth trying: a small device answers on IPv4 first of all.
fn sorted(mut addresses: Vec<LinkAddress>) -> Vec<LinkAddress> {
    addresses.compact_sort_by_key(|it| match it.address.ip() {
        IpAddr::V4(_) => 0,
        IpAddr::V6(it) if !it.is_unicast_link_local() => 1,
        IpAddr::V6(_) => 2,
    });
    addresses
}

#[cfg(test)]
#[path = "tests/mdns.rs"]
mod tests;
