//! Links: the network interfaces of this machine with their addresses.
//!
//! Any thread. Changes nothing.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use if_addrs::IfAddr;

/// An interface and the networks of its addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    pub name: String,
    pub index: u32,
    /// Addresses with the lengths of their prefixes.
    pub v4: Vec<(Ipv4Addr, u8)>,
    pub v6: Vec<(Ipv6Addr, u8)>,
}

impl Link {
    /// The address by which its neighbours reach this machine without a router.
    pub fn link_local_v6(&self) -> Option<Ipv6Addr> {
        let mut addresses = self.v6.iter().map(|it| it.0);
        addresses.find(Ipv6Addr::is_unicast_link_local)
    }

    /// Whether packets from `source` come from the link itself (RFC 6762, 11).
    pub fn is_neighbour(&self, source: IpAddr) -> bool {
        match source {
            IpAddr::V4(source) => {
                source.is_link_local()
                    || self.v4.iter().any(|(address, length)| {
                        let (one, other) = (u32::from(*address), u32::from(source));
                        is_same_prefix(one.into(), other.into(), *length, 32)
                    })
            }
            IpAddr::V6(source) => {
                source.is_unicast_link_local()
                    || self.v6.iter().any(|(address, length)| {
                        is_same_prefix((*address).into(), source.into(), *length, 128)
                    })
            }
        }
    }
}

fn is_same_prefix(one: u128, other: u128, length: u8, bits: u32) -> bool {
    let shift = bits.saturating_sub(u32::from(length));
    let differing = one ^ other;
    // A shift by all 128 bits leaves nothing.
    differing.checked_shr(shift).unwrap_or(0) == 0
}

/// Interfaces with an address, without the loopback.
pub fn links() -> io::Result<Vec<Link>> {
    let mut links: Vec<Link> = Vec::new();
    for interface in if_addrs::get_if_addrs()? {
        let Some(index) = interface.index.filter(|_| !interface.is_loopback()) else {
            continue;
        };
        let known = links.iter().position(|it| it.index == index);
        let at = known.unwrap_or_else(|| {
            links.push(Link {
                name: interface.name.clone(),
                index,
                ..Link::default()
            });
            links.len() - 1
        });
        match &interface.addr {
            IfAddr::V4(it) => links[at].v4.push((it.ip, it.prefixlen)),
            IfAddr::V6(it) => links[at].v6.push((it.ip, it.prefixlen)),
        }
    }
    Ok(links)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_have_an_address_of_the_links_own_networks() {
        let link = Link {
            name: "eth0".to_owned(),
            index: 2,
            v4: vec![("192.168.1.7".parse().expect("v4"), 24)],
            v6: vec![
                ("fe80::7".parse().expect("v6"), 64),
                ("2001:db8:1:2::7".parse().expect("v6"), 64),
            ],
        };
        for (source, expected) in [
            ("192.168.1.20", true),
            ("192.168.2.20", false),
            ("169.254.7.1", true),
            ("8.8.8.8", false),
            ("fe80::20", true),
            ("2001:db8:1:2::20", true),
            ("2001:db8:1:3::20", false),
        ] {
            let source: IpAddr = source.parse().expect("an address");
            assert_eq!(link.is_neighbour(source), expected, "{source}");
        }
        // A point-to-point link and a whole address space.
        for (length, expected) in [(32, false), (0, true)] {
            let link = Link {
                v4: vec![("10.0.0.1".parse().expect("v4"), length)],
                ..Link::default()
            };
            let source = "10.0.0.2".parse().expect("an address");
            assert_eq!(link.is_neighbour(source), expected, "{length}");
        }
    }
}
