//! Reverse proxies: the client, the path prefix and the scheme that a trusted proxy names, in
//! `X-Forwarded-For`, `X-Forwarded-Prefix` and `X-Forwarded-Proto`.
//!
//! Pure; on the server's thread, once per parsed request. From anybody else these headers are
//! ignored, and nothing behind this sees them; `X-Forwarded-Host` is never read.

use std::net::{IpAddr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};

use super::handler::Request;
use crate::domain::path_prefix;

const CLIENT: &str = "x-forwarded-for";
const PREFIX: &str = "x-forwarded-prefix";
const SCHEME: &str = "x-forwarded-proto";

/// The networks that clients come from.
#[derive(Debug, Clone, Default)]
pub struct ClientNetworks {
    /// Those that may connect beside this machine itself; none is all.
    pub allow: Vec<IpNet>,
    pub trusted_proxies: TrustedProxies,
}

/// The option `trusted_proxies`: reverse proxies whose `X-Forwarded-…` headers are read.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    pub fn new(networks: &[IpNet]) -> TrustedProxies {
        TrustedProxies(networks.iter().map(canonical).collect())
    }

    /// Whether this address is that of a trusted proxy.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Gives a request of a trusted proxy the address of its client and the path prefix, and
    /// removes all headers of proxies from any request.
    pub fn apply(&self, request: &mut Request) {
        if self.contains(request.peer) {
            if let Some(client) = self.client(request) {
                request.peer = client;
            }
            // The last line is that of the nearest proxy.
            let prefix = values(request, PREFIX).next_back();
            let prefix = prefix.filter(|prefix| path_prefix::is_valid(prefix));
            request.base = prefix.unwrap_or_default().to_owned();
            let scheme = values(request, SCHEME).next_back();
            request.is_https = scheme.is_some_and(|it| it.eq_ignore_ascii_case("https"));
        }
        request.headers.retain(|(name, _)| !is_of_proxies(name));
    }

    /// The rightmost address that is not a trusted proxy: those further left are as the client sent
    /// them. `None` where an entry before it is no address: then it is the proxy that asks.
    fn client(&self, request: &Request) -> Option<IpAddr> {
        let mut furthest = None;
        for entry in values(request, CLIENT)
            .rev()
            .flat_map(|line| line.rsplit(','))
        {
            let address = parse_address(entry.trim())?;
            if !self.contains(address) {
                return Some(address);
            }
            furthest = Some(address);
        }
        furthest
    }
}

/// A network of IPv4 addresses written as IPv6 (`::ffff:10.0.0.0/104`) as one of IPv4.
fn canonical(network: &IpNet) -> IpNet {
    let mapped = match (network.addr().to_canonical(), network.prefix_len()) {
        (IpAddr::V4(address), 96..) if matches!(network, IpNet::V6(_)) => {
            Ipv4Net::new(address, network.prefix_len() - 96).ok()
        }
        _ => None,
    };
    mapped.map_or(*network, IpNet::V4)
}

fn values<'a>(request: &'a Request, name: &'a str) -> impl DoubleEndedIterator<Item = &'a str> {
    let lines = request
        .headers
        .iter()
        .filter(move |(given, _)| given == name);
    lines.map(|(_, value)| value.as_str())
}

/// An address as proxies write it: with a port, in brackets, with an interface.
fn parse_address(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let (address, _interface) = text.split_once('%').unwrap_or((text, ""));
    let with_port = || Some(text.parse::<SocketAddr>().ok()?.ip());
    let parsed = address.parse().ok().or_else(with_port);
    let parsed = parsed.or_else(|| Some(IpAddr::V6(inner?.parse().ok()?)));
    Some(parsed?.to_canonical())
}

fn is_of_proxies(name: &str) -> bool {
    name.starts_with("x-forwarded-") || matches!(name, "forwarded" | "x-real-ip")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::support::request;

    fn proxies(networks: &[&str]) -> TrustedProxies {
        let parse = |network: &&str| network.parse().expect("a network");
        TrustedProxies::new(&networks.iter().map(parse).collect::<Vec<_>>())
    }

    fn applied(peer: &str, headers: &[(&str, &str)]) -> Request {
        let trusted = proxies(&["127.0.0.1/32", "::1/128", "::ffff:10.0.0.0/104"]);
        let mut request = request("/web", headers);
        request.peer = peer.parse().expect("an address");
        trusted.apply(&mut request);
        request
    }

    #[test]
    fn the_client_is_the_rightmost_address_that_is_no_trusted_proxy() {
        for (lines, expected) in [
            (&["192.0.2.7"][..], "192.0.2.7"),
            // What stands further left may be the client's own invention.
            (&["127.0.0.1, 203.0.113.9, 192.0.2.7"], "192.0.2.7"),
            (&["203.0.113.9", "192.0.2.7"], "192.0.2.7"),
            (&["192.0.2.7, 10.1.2.3"], "192.0.2.7"),
            (&["192.0.2.7", "10.1.2.3", "127.0.0.1"], "192.0.2.7"),
            (&["junk, 192.0.2.7"], "192.0.2.7"),
            (&["192.0.2.7:50123"], "192.0.2.7"),
            (&["[2001:db8::1]:443"], "2001:db8::1"),
            (&["[2001:db8::1]"], "2001:db8::1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["fe80::1%eth0"], "fe80::1"),
            (&["::ffff:192.0.2.7"], "192.0.2.7"),
            // All are trusted: the furthest.
            (&["10.0.0.9, 10.1.2.3"], "10.0.0.9"),
            // No address: the proxy itself.
            (&[], "127.0.0.1"),
            (&[""], "127.0.0.1"),
            (&["unknown"], "127.0.0.1"),
            (&["192.0.2.7, _hidden"], "127.0.0.1"),
            (&["192.0.2.7", "10.1.2.3, 999.1.1.1"], "127.0.0.1"),
            (&["192.0.2.7,"], "127.0.0.1"),
            (&["[192.0.2.7]"], "127.0.0.1"),
            (&["[2001:db8::1"], "127.0.0.1"),
            (&["192.0.2.7 203.0.113.9"], "127.0.0.1"),
        ] {
            let headers: Vec<_> = lines
                .iter()
                .map(|line| ("x-forwarded-for", *line))
                .collect();
            let request = applied("127.0.0.1", &headers);
            assert_eq!(request.peer.to_string(), expected, "{lines:?}");
            assert_eq!(request.headers, [], "{lines:?}");
        }
    }

    #[test]
    fn from_anybody_else_the_headers_are_ignored_and_dropped() {
        let headers = [
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-prefix", "/node"),
            ("x-forwarded-host", "evil.example"),
            ("forwarded", "for=127.0.0.1"),
            ("x-real-ip", "127.0.0.1"),
            ("accept", "text/html"),
        ];
        for (peer, client, base) in [
            ("192.0.2.1", "192.0.2.1", ""),
            ("11.0.0.1", "11.0.0.1", ""),
            ("10.0.0.1", "127.0.0.1", "/node"),
            ("::1", "127.0.0.1", "/node"),
        ] {
            let request = applied(peer, &headers);
            assert_eq!(request.peer.to_string(), client, "{peer}");
            assert_eq!(request.base, base, "{peer}");
            assert_eq!(request.header("accept"), Some("text/html"));
            assert_eq!(request.headers.len(), 1, "{:?}", request.headers);
        }
    }

    #[test]
    fn the_scheme_is_that_of_the_nearest_proxy() {
        for (peer, lines, expected) in [
            ("::1", &["https"][..], true),
            ("::1", &["HTTPS"], true),
            ("::1", &["http", "https"], true),
            ("::1", &["https", "http"], false),
            ("::1", &["https,http"], false),
            ("::1", &[], false),
            ("192.0.2.1", &["https"], false),
        ] {
            let header = |line: &&'static str| ("x-forwarded-proto", *line);
            let headers: Vec<_> = lines.iter().map(header).collect();
            assert_eq!(applied(peer, &headers).is_https, expected, "{lines:?}");
        }
    }

    #[test]
    fn a_prefix_that_does_not_match_is_ignored() {
        for (lines, expected) in [
            (&["/node"][..], "/node"),
            (&["/a", "/node/b"], "/node/b"),
            (&["/node", "//evil.example"], ""),
            (&["/node/"], ""),
            (&["//evil.example"], ""),
            (&["/a/../b"], ""),
            (&["/a\"b"], ""),
            (&[""], ""),
        ] {
            let headers: Vec<_> = lines
                .iter()
                .map(|line| ("x-forwarded-prefix", *line))
                .collect();
            assert_eq!(applied("::1", &headers).base, expected, "{lines:?}");
        }
    }
}
