//! Private addresses: of this machine, its network, or special ranges.
//!
//! Redirects from public servers must not reach them (server-side request forgery). The
//! address is checked, not the name, since a name may resolve to any address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Whether redirects from public servers must not reach `address`.
pub fn is_private(address: IpAddr) -> bool {
    is_private_range(address) || is_own_address(address)
}

pub fn is_private_range(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_private_v4(address),
        IpAddr::V6(address) => is_private_v6(address),
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_multicast()
        // "This network": Linux treats 0.0.0.0 as itself (RFC 1122).
        || a == 0
        // Carrier-grade NAT and overlay networks (RFC 6598).
        || (a == 100 && b & 0xc0 == 64)
        // Benchmarks (RFC 2544), reserved (RFC 1112).
        || (a == 198 && b & 0xfe == 18)
        || a >= 240
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_private_v4(Ipv4Addr::new(a, b, c, d))
    };
    address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        // Site-local, deprecated (RFC 3879) and still routed by some.
        || parts[0] & 0xffc0 == 0xfec0
        // An IPv4 address inside: IPv4-compatible (RFC 4291), NAT64 (RFC 6052), 6to4 (RFC 3056).
        || (parts[..6] == [0; 6] && v4(parts[6], parts[7]))
        || (parts[..6] == [0x64, 0xff9b, 0, 0, 0, 0] && v4(parts[6], parts[7]))
        // NAT64 of a network's own (RFC 8215).
        || parts[..3] == [0x64, 0xff9b, 1]
        || (parts[0] == 0x2002 && v4(parts[1], parts[2]))
}

/// Whether the address belongs to this machine. The kernel tells without sending a packet: the
/// source address for it is the address itself.
fn is_own_address(address: IpAddr) -> bool {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let from = || {
        let socket = UdpSocket::bind((any, 0))?;
        // The discard port; nothing is sent.
        socket.connect((address, 9))?;
        socket.local_addr()
    };
    from().is_ok_and(|from| from.ip() == address)
}

/// Whether a host name is one of the local network, without resolving it.
pub fn is_local_name(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let ends = [
        ".local",
        ".localhost",
        ".lan",
        ".home",
        ".internal",
        ".intranet",
        ".home.arpa",
    ];
    !host.contains('.') || ends.iter().any(|end| host.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_ranges_are_recognised_in_every_notation() {
        for (address, expected) in [
            ("127.0.0.1", true),
            ("127.255.0.9", true),
            ("0.0.0.0", true),
            ("0.1.2.3", true),
            ("10.0.0.1", true),
            ("172.16.0.1", true),
            ("172.31.255.1", true),
            ("172.32.0.1", false),
            ("192.168.1.1", true),
            ("169.254.169.254", true),
            ("100.64.0.1", true),
            ("100.127.255.255", true),
            ("100.128.0.1", false),
            ("198.19.0.1", true),
            ("224.0.0.1", true),
            ("255.255.255.255", true),
            ("1.1.1.1", false),
            ("93.184.215.14", false),
            ("::", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("::ffff:192.168.0.1", true),
            ("::ffff:1.1.1.1", false),
            ("::7f00:1", true),
            ("fe80::1", true),
            ("febf::1", true),
            ("fec0::1", true),
            ("fd00::1", true),
            ("fc00::1", true),
            ("ff02::1", true),
            ("64:ff9b::7f00:1", true),
            ("64:ff9b::c0a8:101", true),
            ("64:ff9b::101:101", false),
            ("64:ff9b:1::1", true),
            ("2002:7f00:1::", true),
            ("2002:c0a8:101::1", true),
            ("2002:101:101::1", false),
            ("2606:4700:4700::1111", false),
        ] {
            let parsed: IpAddr = address.parse().expect("an address");
            assert_eq!(is_private_range(parsed), expected, "{address}");
        }
        assert!(is_own_address("127.0.0.1".parse().expect("an address")));
    }

    #[test]
    fn local_names_are_recognised() {
        for (name, expected) in [
            ("localhost", true),
            ("nas", true),
            ("nas.LOCAL.", true),
            ("printer.lan", true),
            ("x.home.arpa", true),
            ("api.example.org", false),
            ("local.example.org", false),
        ] {
            assert_eq!(is_local_name(name), expected, "{name}");
        }
    }
}
