//! `Host` check: which host names are accepted, against DNS rebinding.
//!
//! Pure; any thread. A foreign web page can point its own name at this node's
//! address and read what it serves through a browser in the local network; so a name
//! from the public DNS is rejected unless it is configured.

use std::net::{IpAddr, Ipv6Addr};

/// Suffixes that the public DNS does not hand out.
const LOCAL_SUFFIXES: [&str; 5] = [".local", ".lan", ".home.arpa", ".internal", ".fritz.box"];

/// The names of one node.
#[derive(Debug, Clone, Default)]
pub struct AllowedHosts {
    names: Vec<String>,
    suffixes: Vec<String>,
}

impl AllowedHosts {
    /// `own` is the machine's name; `configured` the option `hosts`, where `*.example.org`
    /// matches all names below one.
    pub fn new(own: &str, configured: &[String]) -> AllowedHosts {
        let mut hosts = AllowedHosts::default();
        for name in configured.iter().map(String::as_str).chain([own]) {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            match name.strip_prefix('*') {
                Some(suffix) if suffix.len() > 1 => hosts.suffixes.push(suffix.to_owned()),
                _ if name.is_empty() => {}
                _ => hosts.names.push(name),
            }
        }
        hosts
    }

    /// Whether a `Host` field names this node. An empty one is accepted.
    pub fn allows(&self, field: &str) -> bool {
        let Some(name) = host_name(field) else {
            return false;
        };
        let name = name.strip_suffix('.').unwrap_or(&name);
        if name.is_empty() || name.parse::<IpAddr>().is_ok() {
            return true;
        }
        if !name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        {
            return name.starts_with('[') && is_bracketed_address(name);
        }
        !name.contains('.')
            || LOCAL_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
            || self.names.iter().any(|own| own == name)
            || self
                .suffixes
                .iter()
                .any(|suffix| name.ends_with(suffix.as_str()))
    }
}

/// The name of a `Host` field in lower case, without its port; `None` if the port is none.
pub fn host_name(field: &str) -> Option<String> {
    let field = field.trim();
    let (name, port) = match field.rfind(']') {
        Some(end) => field.split_at(end + 1),
        None => field.split_at(field.find(':').unwrap_or(field.len())),
    };
    let is_port = match port.strip_prefix(':') {
        Some(digits) => digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit()),
        None => port.is_empty(),
    };
    is_port.then(|| name.to_ascii_lowercase())
}

fn is_bracketed_address(name: &str) -> bool {
    let inner = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let Some(inner) = inner else {
        return false;
    };
    // A link-local address may carry its interface.
    let address = inner.split_once('%').map_or(inner, |(address, _)| address);
    address.parse::<Ipv6Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_local_names_and_no_others() {
        let hosts = AllowedHosts::new(
            "pi.example.net",
            &["node.example.org".to_owned(), "*.Home.Example".to_owned()],
        );
        for (field, expected) in [
            ("192.168.0.7", true),
            ("192.168.0.7:8000", true),
            ("[fe80::1]", true),
            ("[fe80::1%25eth0]:8000", true),
            ("localhost:8000", true),
            ("main-node", true),
            ("main-node.local", true),
            ("MAIN-NODE.Local.:8000", true),
            ("node.lan", true),
            ("node.home.arpa", true),
            ("node.internal", true),
            ("node.fritz.box", true),
            ("pi.example.net", true),
            ("node.example.org", true),
            ("a.b.home.example", true),
            ("", true),
            ("evil.example", false),
            ("192.168.0.7.evil.example", false),
            ("local.evil.example", false),
            ("evillocal.example", false),
            ("home.example", false),
            ("node.example.org.evil.example", false),
            ("node.local:80a", false),
            ("node.local:123456", false),
            ("user@node.local", false),
            ("[::1", false),
            ("[evil]", false),
            ("a b", false),
            ("évil", false),
        ] {
            assert_eq!(hosts.allows(field), expected, "{field:?}");
        }
    }
}
