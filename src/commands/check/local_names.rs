//! `.local` names of the configuration: which device each is, by multicast DNS.
//!
//! Sends questions with `--online` only.

use std::net::ToSocketAddrs;

use ureq::http::Uri;

use super::Finding::{self, Fine, NotChecked, Problem};
use crate::config::Config;
use crate::limits;
use crate::sys::name_lookup::{self, LookupError, LookupRequest};
use crate::sys::os_error::reason;

/// What the `.local` names of the configuration are, each once. After the sources were fetched: their
/// failures say already which of their names nobody knows.
pub fn findings(config: &Config, online: bool) -> Vec<Finding> {
    let of_sources = source_hosts(config);
    let mut hosts = alert_hosts(config);
    hosts.extend(of_sources.iter().cloned());
    hosts.retain(|host| name_lookup::is_mdns_name(host));
    hosts.sort();
    hosts.dedup();
    if hosts.is_empty() {
        return Vec::new();
    }
    if !online {
        return vec![NotChecked(format!(
            "which device has the name {}: `check --online` asks by multicast DNS",
            hosts.join(", ")
        ))];
    }
    // At once: nobody answers to a name whose device is off.
    std::thread::scope(|scope| {
        let lookups: Vec<_> = hosts
            .iter()
            .map(|host| scope.spawn(|| local_name(host)))
            .collect();
        let findings = lookups.into_iter().filter_map(|it| it.join().ok());
        let is_new = |(host, finding): &(&String, Finding)| {
            matches!(finding, Fine(_)) || !of_sources.contains(*host)
        };
        let findings = hosts.iter().zip(findings).filter(is_new);
        findings.map(|(_, finding)| finding).collect()
    })
}

fn local_name(host: &str) -> Finding {
    let request = LookupRequest {
        host,
        port: 80,
        timeout: limits::RESOLVE_TIMEOUT,
        is_stopping: &|| false,
    };
    let system = |_| -> std::io::Result<_> { Ok((host, 80).to_socket_addrs()?.collect()) };
    match name_lookup::look_up(&request, system) {
        Ok(found) => Fine(match name_lookup::describe(host) {
            Some(text) => format!("{host} is {text}"),
            None => {
                let texts: Vec<String> = found.iter().map(|it| it.ip().to_string()).collect();
                format!("{host} is {}", texts.join(", "))
            }
        }),
        Err(LookupError::NoAddress(why, _)) => Problem(format!("cannot resolve {host}: {why}")),
        Err(LookupError::System(error)) => {
            Problem(format!("cannot resolve {host}: {}", reason(&error)))
        }
    }
}

/// Hosts that the sources connect to. Where one has a proxy, that resolves the source's own.
fn source_hosts(config: &Config) -> Vec<String> {
    let hosts = config.sources.iter().filter_map(|source| {
        let proxy = source.proxy.as_ref();
        proxy.map_or_else(|| source.host(), |proxy| host_of(proxy))
    });
    hosts.collect()
}

fn alert_hosts(config: &Config) -> Vec<String> {
    let notifications = &config.notifications;
    let mail = notifications.mail.iter().map(|mail| mail.host.clone());
    let webhook = notifications.webhooks.iter().map(|it| &it.url);
    let urls = webhook.chain(notifications.ping.iter().map(|it| &it.url));
    mail.chain(urls.filter_map(|url| host_of(url.reveal())))
        .collect()
}

fn host_of(url: &str) -> Option<String> {
    Some(url.parse::<Uri>().ok()?.host()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::environment::Environment;
    use crate::config::{self, Overrides};

    #[test]
    fn every_local_name_that_the_node_connects_to_is_asked_for() {
        let directory = crate::golden::scratch("check-local-names");
        let file = directory.join("main-node.toml");
        let text = r#"
[[source]]
name = "plug"
url = "http://Plug.local:8080/x"
[[source]]
name = "again"
url = "http://Plug.local:8080/y"
[[source]]
name = "nas"
url = "http://nas/x"
[[source]]
name = "attic"
prefix = "attic."
follow = "http://attic.local:8000"
[[source]]
name = "far"
url = "http://far.local/"
proxy = "http://squid.local:3128"
[alert]
webhook = "http://hook.local/x"
ping = "http://ping.local/x"
[mail]
to = ["a@example.org"]
from = "b@example.org"
host = "mail.local"
tls = "none"
"#;
        std::fs::write(&file, text).expect("it can be written");
        let overrides = Overrides {
            file: Some(file),
            ..Overrides::default()
        };
        let config = config::load(&overrides, Environment::default(), &[]);
        let config = config.expect("it is valid");
        let [NotChecked(text)] = &findings(&config, false)[..] else {
            panic!("expected one finding");
        };
        assert_eq!(
            text,
            "which device has the name Plug.local, attic.local, hook.local, mail.local, ping.local, \
             squid.local: `check --online` asks by multicast DNS"
        );
    }
}
