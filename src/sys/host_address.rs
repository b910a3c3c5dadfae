//! IP addresses as hosts of URLs: with or without brackets, IPv6 ones with a zone (RFC 4007).
//!
//! Any thread. A zone is the name of an interface or its number, behind `%` or, in a URL, behind
//! `%25` (RFC 6874).

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use ureq::http::{HeaderValue, Uri};

use super::mdns::links;

/// The address that `host` is; `None` if it is a name. `Err` completes "cannot resolve HOST: …".
pub fn parse(host: &str, port: u16) -> Option<Result<SocketAddr, String>> {
    let bare = without_brackets(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(Ok(SocketAddr::new(address, port)));
    }
    let (address, zone) = split_zone(bare)?;
    let index = match zone.parse::<u32>() {
        Ok(index) if index > 0 => index,
        _ => match index_of(zone) {
            Ok(index) => index,
            Err(why) => return Some(Err(why)),
        },
    };
    Some(Ok(SocketAddrV6::new(address, port, 0, index).into()))
}

/// The port of a URL: its own, else that of its scheme.
pub fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or_else(|| scheme_port(uri))
}

pub fn scheme_port(uri: &Uri) -> u16 {
    match uri.scheme_str() {
        Some("https") => 443,
        _ => 80,
    }
}

/// The host without the zone, which has a meaning on this machine alone; `None` if it has none.
pub fn without_zone(host: &str) -> Option<String> {
    split_zone(without_brackets(host)).map(|(address, _)| format!("[{address}]"))
}

/// The `Host` field where the host has a zone, which is never sent (RFC 6874, 4).
pub fn host_field(uri: &Uri) -> Option<HeaderValue> {
    let host = without_zone(uri.host()?)?;
    let field = match uri.port_u16() {
        Some(port) => format!("{host}:{port}"),
        None => host,
    };
    HeaderValue::from_str(&field).ok()
}

fn without_brackets(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn split_zone(bare: &str) -> Option<(Ipv6Addr, &str)> {
    let (address, zone) = bare.split_once('%')?;
    let address = address.parse().ok()?;
    Some((address, zone.strip_prefix("25").unwrap_or(zone))).filter(|it| !it.1.is_empty())
}

fn index_of(zone: &str) -> Result<u32, String> {
    let index = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        None,
    )
    .and_then(|socket| rustix::net::netdevice::name_to_index(socket, zone));
    index.map_err(|_| {
        let links = links().unwrap_or_default();
        let names: Vec<&str> = links.iter().map(|it| it.name.as_str()).collect();
        format!(
            "this machine has no network interface {zone:?}; it has: {}",
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_brackets_and_zones() {
        // `lo` is the first interface of every Linux.
        for (host, expected) in [
            ("192.168.1.20", Some("192.168.1.20:80")),
            ("[::1]", Some("[::1]:80")),
            ("::1", Some("[::1]:80")),
            ("[fe80::1%25lo]", Some("[fe80::1%1]:80")),
            ("fe80::1%lo", Some("[fe80::1%1]:80")),
            ("[fe80::1%257]", Some("[fe80::1%7]:80")),
            ("[fe80::1%7]", Some("[fe80::1%7]:80")),
            ("plug.local", None),
            ("plug%25lo", None),
            ("192.168.1.20%25lo", None),
            ("fe80::1%25", None),
        ] {
            let parsed = parse(host, 80).map(|it| it.map(|address| address.to_string()));
            assert_eq!(parsed, expected.map(|it| Ok(it.to_owned())), "{host}");
        }
        let unknown = parse("[fe80::1%25none0]", 80).expect("an address");
        let why = unknown.expect_err("there is no such interface");
        assert!(
            why.starts_with("this machine has no network interface \"none0\"; it has: "),
            "{why}"
        );
    }

    #[test]
    fn the_zone_is_not_sent() {
        for (host, expected) in [
            ("[fe80::1%25eth0]", Some("[fe80::1]")),
            ("[fe80::1%eth0]", Some("[fe80::1]")),
            ("[fe80::1]", None),
            ("plug.local", None),
        ] {
            assert_eq!(without_zone(host).as_deref(), expected, "{host}");
        }
        for (url, expected) in [
            ("http://[fe80::1%25eth0]/x", Some("[fe80::1]")),
            (
                "http://me:a@[fe80::1%25eth0]:8080/x",
                Some("[fe80::1]:8080"),
            ),
            ("http://[fe80::1]/x", None),
        ] {
            let field = host_field(&url.parse().expect("a URL"));
            let field = field.as_ref().map(|it| it.to_str().expect("ASCII"));
            assert_eq!(field, expected, "{url}");
        }
    }
}
