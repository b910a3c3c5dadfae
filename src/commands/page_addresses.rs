//! Page addresses: URLs under which other machines of the network open the pages of this node.
//!
//! Sends nothing. The log of `serve`, `check`, `init` and the installation name the same ones.

use std::net::{IpAddr, SocketAddr};

use crate::config::Config;
use crate::sys::{container, host_name, mdns_responder, own_address};

/// What decides how other machines reach this one.
#[derive(Debug, Clone)]
struct HostNetwork {
    host: String,
    /// A daemon of this machine answers for its `.local` name.
    answers_mdns: bool,
    /// IPv4 first.
    addresses: Vec<IpAddr>,
    /// Ports are reached only where the container's host publishes them.
    is_container: bool,
}

impl HostNetwork {
    fn of_this_machine() -> Self {
        Self {
            host: host_name::name(),
            answers_mdns: mdns_responder::is_running(),
            addresses: own_address::lan_addresses(),
            is_container: container::has_own_network(),
        }
    }
}

/// The URLs of a node with this configuration, the best first. In a container that publishes ports
/// a sentence stands in their place.
pub fn of_configuration(config: &Config) -> Vec<String> {
    let network = HostNetwork::of_this_machine();
    match open(&config.listen, configured(config), &network) {
        PageLocation::Urls(urls) => urls,
        PageLocation::Published(place) => vec![place],
    }
}

/// The log line of a node that listens on these addresses.
pub fn describe(config: &Config, addresses: &[SocketAddr]) -> String {
    let network = HostNetwork::of_this_machine();
    describe_in(addresses, configured(config), &network)
}

/// The URL of the option `page`.
fn configured(config: &Config) -> Option<String> {
    let page = config.notifications.page.as_ref();
    page.map(|_| format!("{}/web", config.page()))
}

fn describe_in(
    addresses: &[SocketAddr],
    configured: Option<String>,
    network: &HostNetwork,
) -> String {
    let listed: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
    let listed = listed.join(" and ");
    let only = if addresses.iter().all(|it| it.ip().is_loopback()) {
        " (this machine only)"
    } else {
        ""
    };
    let open = match open(addresses, configured, network) {
        PageLocation::Urls(urls) => urls.join(" or "),
        PageLocation::Published(place) => place,
    };
    format!("listening on {listed}{only}: open {open}")
}

/// What a browser opens.
enum PageLocation {
    Urls(Vec<String>),
    /// In words: this machine cannot know the URL.
    Published(String),
}

fn open(
    addresses: &[SocketAddr],
    configured: Option<String>,
    network: &HostNetwork,
) -> PageLocation {
    let outward = addresses.iter().filter(|it| !it.ip().is_loopback());
    let outward: Vec<&SocketAddr> = outward.collect();
    let mut urls: Vec<String> = configured.into_iter().collect();
    if network.is_container && !outward.is_empty() {
        if urls.is_empty() {
            let port = outward[0].port();
            return PageLocation::Published(format!(
                "/web at the address of this container's host, with the port that the host \
                 publishes for {port}"
            ));
        }
        return PageLocation::Urls(urls);
    }
    let named = outward.iter().find(|it| {
        let ip = it.ip();
        network.answers_mdns && (ip.is_unspecified() || network.addresses.contains(&ip))
    });
    if let Some(address) = named {
        let label = network.host.split('.').next().unwrap_or_default();
        urls.push(url(&format!("{label}.local"), address.port()));
    }
    let mut reached: Vec<SocketAddr> = Vec::new();
    for address in outward {
        let ip = if address.ip().is_unspecified() {
            let mut own = network.addresses.iter();
            own.find(|it| it.is_ipv4() == address.is_ipv4()).copied()
        } else {
            Some(address.ip())
        };
        reached.extend(ip.map(|ip| SocketAddr::new(ip, address.port())));
    }
    // Who has an IPv4 address to type needs no IPv6 one.
    let has_v4 = reached.iter().any(SocketAddr::is_ipv4);
    reached.retain(|it| it.is_ipv4() || !has_v4);
    urls.extend(reached.iter().map(address_url));
    if urls.is_empty() {
        urls.extend(addresses.iter().map(|address| {
            if address.ip().is_unspecified() {
                url("localhost", address.port())
            } else {
                address_url(address)
            }
        }));
    }
    let mut unique: Vec<String> = Vec::new();
    for url in urls {
        if !unique.contains(&url) {
            unique.push(url);
        }
    }
    PageLocation::Urls(unique)
}

fn address_url(address: &SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) => url(&ip.to_string(), address.port()),
        IpAddr::V6(ip) => url(&format!("[{ip}]"), address.port()),
    }
}

fn url(host: &str, port: u16) -> String {
    match port {
        80 => format!("http://{host}/web"),
        _ => format!("http://{host}:{port}/web"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERYWHERE: &[&str] = &["0.0.0.0:8000", "[::]:8000"];

    fn network() -> HostNetwork {
        HostNetwork {
            host: "pi".to_owned(),
            answers_mdns: true,
            addresses: vec![
                [192, 168, 1, 20].into(),
                "2001:db8::20".parse().expect("an address"),
            ],
            is_container: false,
        }
    }

    fn check(network: &HostNetwork, listening: &[&str], page: Option<&str>, expected: &str) {
        let addresses = listening.iter().map(|it| it.parse().expect("an address"));
        let addresses: Vec<SocketAddr> = addresses.collect();
        let page = page.map(ToOwned::to_owned);
        assert_eq!(describe_in(&addresses, page, network), expected);
    }

    #[test]
    fn the_urls_are_those_that_other_machines_open() {
        for (listening, expected) in [
            (
                EVERYWHERE,
                "listening on 0.0.0.0:8000 and [::]:8000: open http://pi.local:8000/web or \
                 http://192.168.1.20:8000/web",
            ),
            (
                &["[::]:8000"],
                "listening on [::]:8000: open http://pi.local:8000/web or \
                 http://[2001:db8::20]:8000/web",
            ),
            (
                &["127.0.0.1:8000"],
                "listening on 127.0.0.1:8000 (this machine only): open http://127.0.0.1:8000/web",
            ),
            // The name leads to the address of the network, not to that of a VPN.
            (
                &["10.0.0.2:80"],
                "listening on 10.0.0.2:80: open http://10.0.0.2/web",
            ),
            (
                &["127.0.0.1:8000", "192.168.1.20:80"],
                "listening on 127.0.0.1:8000 and 192.168.1.20:80: open http://pi.local/web or \
                 http://192.168.1.20/web",
            ),
        ] {
            check(&network(), listening, None, expected);
        }
    }

    #[test]
    fn a_name_is_shown_where_this_machine_answers_to_it() {
        let mut network = network();
        network.host = "pi.example.org".to_owned();
        let both = "listening on 0.0.0.0:8000: open http://pi.local:8000/web or \
                    http://192.168.1.20:8000/web";
        check(&network, &["0.0.0.0:8000"], None, both);
        network.answers_mdns = false;
        let address = "listening on 0.0.0.0:8000: open http://192.168.1.20:8000/web";
        check(&network, &["0.0.0.0:8000"], None, address);
        network.addresses.clear();
        let local = "listening on 0.0.0.0:8000: open http://localhost:8000/web";
        check(&network, &["0.0.0.0:8000"], None, local);
    }

    #[test]
    fn the_configured_page_comes_first() {
        let page = Some("https://home.example.org/node/web");
        let expected = "listening on 127.0.0.1:8000 (this machine only): open \
                        https://home.example.org/node/web";
        check(&network(), &["127.0.0.1:8000"], page, expected);
        let expected = "listening on 192.168.1.20:8000: open https://home.example.org/node/web or \
                        http://pi.local:8000/web or http://192.168.1.20:8000/web";
        check(&network(), &["192.168.1.20:8000"], page, expected);
    }

    #[test]
    fn in_a_container_the_port_that_the_host_publishes_counts() {
        let network = HostNetwork {
            is_container: true,
            ..network()
        };
        let expected = "listening on 0.0.0.0:8000 and [::]:8000: open /web at the address of this \
                        container's host, with the port that the host publishes for 8000";
        check(&network, EVERYWHERE, None, expected);
        let expected = "listening on 0.0.0.0:8000: open https://home.example.org/web";
        let page = Some("https://home.example.org/web");
        check(&network, &["0.0.0.0:8000"], page, expected);
    }
}
