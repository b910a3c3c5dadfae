//! `listen`: addresses and ports to listen on, in the forms of other servers too: `8000`, `":8000"`,
//! `"*:8000"`, `"localhost:8000"`, an address without a port.
//!
//! Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The port where none is written.
pub const DEFAULT_PORT: u16 = 8000;

/// Every interface, of both address families.
pub fn all_interfaces(port: u16) -> Vec<SocketAddr> {
    let any: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    any.map(|ip| SocketAddr::new(ip, port)).into()
}

/// The addresses of one text; `Err` says what to write instead.
pub fn parse_listen(text: &str) -> Result<Vec<SocketAddr>, String> {
    if let Ok(address) = text.parse() {
        return Ok(vec![address]);
    }
    if let Some(advice) = advice_on_other_form(text) {
        return Err(advice);
    }
    let (host, port) = split_port(text);
    let port = match port {
        None => DEFAULT_PORT,
        Some(port) => port
            .parse()
            .map_err(|_| format!("a port is a number from 1 to 65535: write {DEFAULT_PORT}"))?,
    };
    if host.is_empty() || host == "*" {
        return Ok(all_interfaces(port));
    }
    if host.eq_ignore_ascii_case("localhost") {
        let own: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        return Ok(own.map(|ip| SocketAddr::new(ip, port)).into());
    }
    let inner = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let ip = match inner {
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::from),
        None => host.parse::<Ipv4Addr>().ok().map(IpAddr::from),
    };
    match ip {
        Some(ip) => Ok(vec![SocketAddr::new(ip, port)]),
        None => Err(format!(
            "write {port} for all interfaces, \"localhost:{port}\" for this machine alone, or an IP \
             address of this machine such as \"192.168.1.10:{port}\""
        )),
    }
}

/// Host and port of a text; either may be missing.
fn split_port(text: &str) -> (&str, Option<&str>) {
    if text.ends_with(']') {
        return (text, None);
    }
    match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None if text.starts_with(|c: char| c.is_ascii_digit() || c == '-')
            && !text.contains('.') =>
        {
            ("", Some(text))
        }
        None => (text, None),
    }
}

/// What to write in place of a form that other programs have and that is not meant here.
fn advice_on_other_form(text: &str) -> Option<String> {
    if text.starts_with(['/', '@']) || text.starts_with("unix:") || text.ends_with(".sock") {
        return Some(format!(
            "Unix sockets are not supported: write \"127.0.0.1:{DEFAULT_PORT}\", and let the \
             reverse proxy connect to that"
        ));
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let rest = rest.trim_end_matches('/');
        let rest = parse_listen(rest).map_or(format!(":{DEFAULT_PORT}"), |_| rest.to_owned());
        return Some(match scheme {
            "https" | "tls" | "ssl" => format!(
                "https is served by a reverse proxy (Caddy, nginx) in front: write \
                 \"localhost:{DEFAULT_PORT}\", and let the proxy connect to that"
            ),
            _ => format!("write it without {scheme}://: \"{rest}\""),
        });
    }
    let parts: Vec<&str> = text.split(':').collect();
    let is_port = |part: &&str| part.parse::<u16>().is_ok();
    let is_ipv4 = |part: &&str| part.parse::<Ipv4Addr>().is_ok();
    let ports = match parts.as_slice() {
        [address, ports @ ..] if is_ipv4(address) => ports,
        ports => ports,
    };
    if let [outer, inner] = ports
        && is_port(outer)
        && is_port(inner)
    {
        return Some(format!(
            "a mapping of ports belongs to `docker run -p` or `ports` of compose: write {inner} \
             here, the port in the container"
        ));
    }
    if text.starts_with('[') {
        return None;
    }
    if let Some((ip, port)) = text.rsplit_once(':')
        && ip.parse::<Ipv6Addr>().is_ok()
        && (port.len() >= 4 || text.parse::<Ipv6Addr>().is_err())
    {
        return Some(advice_on_brackets(ip, port));
    }
    let ip = text.parse::<Ipv6Addr>().ok()?;
    Some(advice_on_brackets(
        &ip.to_string(),
        &DEFAULT_PORT.to_string(),
    ))
}

fn advice_on_brackets(ip: &str, port: &str) -> String {
    format!("an IPv6 address with a port needs brackets: write \"[{ip}]:{port}\"")
}

/// The addresses without those that another one covers: `0.0.0.0:8000` serves `127.0.0.1:8000` too.
pub fn without_covered(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let is_covered = |address: &SocketAddr| {
        addresses.iter().any(|other| {
            other.ip().is_unspecified()
                && !address.ip().is_unspecified()
                && other.is_ipv4() == address.is_ipv4()
                && other.port() == address.port()
                && other.port() != 0
        })
    };
    let mut kept: Vec<SocketAddr> = Vec::with_capacity(addresses.len());
    for address in addresses {
        let is_twice = kept.contains(address) && address.port() != 0;
        if !is_twice && !is_covered(address) {
            kept.push(*address);
        }
    }
    kept
}

/// A port at which only IPv6 is listened on, on every interface.
pub fn ipv6_alone(addresses: &[SocketAddr]) -> Option<u16> {
    let is_any = |it: &&SocketAddr| it.is_ipv6() && it.ip().is_unspecified();
    let port = addresses.iter().find(is_any)?.port();
    let has_ipv4 = addresses.iter().any(|it| it.is_ipv4() && it.port() == port);
    (!has_ipv4).then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_other_servers_are_read() {
        for (text, expected) in [
            ("0.0.0.0:8000", "0.0.0.0:8000"),
            ("[::]:8000", "[::]:8000"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("8000", "0.0.0.0:8000 [::]:8000"),
            (":8000", "0.0.0.0:8000 [::]:8000"),
            ("*:80", "0.0.0.0:80 [::]:80"),
            ("*", "0.0.0.0:8000 [::]:8000"),
            ("localhost:9100", "127.0.0.1:9100 [::1]:9100"),
            ("LocalHost", "127.0.0.1:8000 [::1]:8000"),
            ("192.168.1.10", "192.168.1.10:8000"),
            ("0.0.0.0", "0.0.0.0:8000"),
            ("[::1]", "[::1]:8000"),
        ] {
            let found = parse_listen(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let found: Vec<String> = found.iter().map(SocketAddr::to_string).collect();
            assert_eq!(found.join(" "), expected, "{text}");
        }
    }

    #[test]
    fn other_forms_are_refused_with_what_to_write() {
        for (text, expected) in [
            ("unix:/run/main-node.sock", "write \"127.0.0.1:8000\""),
            ("/run/main-node.sock", "Unix sockets are not supported"),
            ("@main-node", "Unix sockets are not supported"),
            ("http://0.0.0.0:8080/", "without http://: \"0.0.0.0:8080\""),
            ("tcp://:8000", "without tcp://: \":8000\""),
            ("tcp://pi.local", "without tcp://: \":8000\""),
            ("https://0.0.0.0:443", "a reverse proxy"),
            ("8080:8000", "write 8000 here"),
            ("127.0.0.1:8080:8000", "write 8000 here"),
            (":::8000", "write \"[::]:8000\""),
            ("::1:8000", "write \"[::1]:8000\""),
            ("::1", "write \"[::1]:8000\""),
            ("::", "write \"[::]:8000\""),
            ("fe80::1", "write \"[fe80::1]:8000\""),
            ("2001:db8::5:80", "write \"[2001:db8::5:80]:8000\""),
            ("0.0.0.0:80000", "a number from 1 to 65535"),
            ("70000", "a number from 1 to 65535"),
            ("-1", "a number from 1 to 65535"),
            ("0.0.0.0:http", "a number from 1 to 65535"),
            ("0.0.0.0:", "a number from 1 to 65535"),
            ("pi.local:8080", "write 8080 for all interfaces"),
            ("eth0", "write 8000 for all interfaces"),
            ("192.168.1:8000", "or an IP address"),
            ("[::1%eth0]:8000", "or an IP address"),
        ] {
            let message = parse_listen(text).expect_err(text);
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn covered_and_repeated_addresses_are_left_out() {
        for (texts, expected) in [
            (&["8000", "127.0.0.1:8000"][..], "0.0.0.0:8000 [::]:8000"),
            (&["127.0.0.1:8000", "0.0.0.0:8000"], "0.0.0.0:8000"),
            (&[":8000", "[::]:8000"], "0.0.0.0:8000 [::]:8000"),
            (&["0.0.0.0:8000", "[::1]:8000"], "0.0.0.0:8000 [::1]:8000"),
            (&["0.0.0.0:1", "127.0.0.1:2"], "0.0.0.0:1 127.0.0.1:2"),
            (&["127.0.0.1:0", "127.0.0.1:0"], "127.0.0.1:0 127.0.0.1:0"),
        ] {
            let parsed = texts.iter().flat_map(|it| parse_listen(it).expect(it));
            let kept = without_covered(&parsed.collect::<Vec<_>>());
            let kept: Vec<String> = kept.iter().map(SocketAddr::to_string).collect();
            assert_eq!(kept.join(" "), expected, "{texts:?}");
        }
    }

    #[test]
    fn every_interface_of_ipv6_alone_is_noticed() {
        for (texts, expected) in [
            (&["[::]:8000"][..], Some(8000)),
            (&["8000"], None),
            (&["[::]:8000", "192.168.1.2:8000"], None),
            (&["[::]:8000", "0.0.0.0:80"], Some(8000)),
            (&["[::1]:8000"], None),
        ] {
            let parsed = texts.iter().flat_map(|it| parse_listen(it).expect(it));
            assert_eq!(
                ipv6_alone(&parsed.collect::<Vec<_>>()),
                expected,
                "{texts:?}"
            );
        }
    }
}
