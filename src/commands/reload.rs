//! Reload of the configuration by a running service: whether the new one can take over.
//!
//! Runs on the main thread of `serve`. Nothing of the running node is changed: it goes on with what it
//! has, or ends, and a new run of the program reads the new configuration.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use super::check::database_problem;
use crate::api::client::APIS;
use crate::config::environment::Environment;
use crate::config::{self, ApiFileUse, Config, Overrides};
use crate::domain::text::count_noun;
use crate::domain::time::Moment;
use crate::monitor::RefusedConfiguration;
use crate::monitor::http::listener::{BindError, bind};
use crate::node::Node;
use crate::sys::clock::Clock;
use crate::sys::os_error::reason;
use crate::sys::reexec::Reexec;
use crate::sys::systemd;

/// The run that takes over with the new configuration, and with those of `listeners` that it has too; or
/// why it cannot.
pub fn check(
    overrides: &Overrides,
    running: &Config,
    node: &Node,
    listeners: &[TcpListener],
    clock: &Arc<dyn Clock>,
) -> Result<Reexec, Vec<String>> {
    let environment = Environment::of_process().with_api_files(ApiFileUse::Reload);
    let config = config::load(overrides, environment, &APIS)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    if let (Some(file), None) = (&running.file, &config.file) {
        // Without a file the new run would fetch the example.
        return Err(vec![format!("{} is not there any more", file.display())]);
    }
    if let Some(would_be_lost) = unstored(node) {
        return Err(vec![format!(
            "{would_be_lost}. Reload again when they can; `systemctl restart main-node` gives them up"
        )]);
    }
    Node::check(&config, clock).map_err(|error| vec![error])?;
    if !is_same_file(&config.database, &running.database)
        && let Some(problem) = database_problem(&config)
    {
        return Err(vec![problem]);
    }
    let listeners = listen(&config.listen, listeners).map_err(|error| vec![error.to_string()])?;
    Reexec::prepare(&listeners).map_err(|error| {
        vec![format!(
            "main-node cannot start itself anew: {}. `systemctl restart main-node` loads the configuration",
            reason(&error)
        )]
    })
}

/// The readings in memory that a stop would lose.
fn unstored(node: &Node) -> Option<String> {
    let storage = node.store().status();
    let waiting = usize::try_from(storage.rows_waiting).unwrap_or(usize::MAX);
    let trouble = storage.trouble.filter(|_| waiting > 0)?;
    Some(format!(
        "{} in memory cannot be stored ({trouble}) and would be lost",
        count_noun(waiting, "reading")
    ))
}

/// Whether the node can be started anew to read what a command has changed of what is stored; reports why
/// it cannot. The configuration is the one that it has: that of the disk is loaded when somebody asks for it.
pub fn may_restart(node: &Node) -> bool {
    let would_be_lost = unstored(node);
    if let Some(would_be_lost) = &would_be_lost {
        log::error!(
            "{would_be_lost}: derived keys and today's values do not know what a command has changed until \
             the next reload or restart"
        );
    }
    would_be_lost.is_none()
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| path.metadata().ok().map(|it| (it.dev(), it.ino()));
    one == other || identity(one).is_some_and(|it| Some(it) == identity(other))
}

/// The sockets on `addresses`, of which those of `own` are taken over. An address that is only free once
/// one of them is closed, as 127.0.0.1 is after 0.0.0.0 with the same port, is left to the new run.
fn listen(addresses: &[SocketAddr], own: &[TcpListener]) -> Result<Vec<TcpListener>, BindError> {
    let closed: Vec<SocketAddr> = own.iter().filter_map(|it| it.local_addr().ok()).collect();
    let closed: Vec<SocketAddr> = closed
        .into_iter()
        .filter(|it| !addresses.contains(it))
        .collect();
    let (later, now): (Vec<SocketAddr>, Vec<SocketAddr>) = addresses
        .iter()
        .partition(|address| closed.iter().any(|it| excludes(*it, **address)));
    for address in later {
        let any_port = SocketAddr::new(address.ip(), 0);
        bind(&[any_port], &[]).map_err(|error| BindError { address, ..error })?;
    }
    bind(&now, own)
}

/// Whether the second address cannot be bound while a socket listens on the first.
fn excludes(bound: SocketAddr, wanted: SocketAddr) -> bool {
    bound.port() == wanted.port()
        && bound.is_ipv4() == wanted.is_ipv4()
        && (bound.ip().is_unspecified() || wanted.ip().is_unspecified())
}

/// Reports that the node goes on with the configuration that it has.
pub fn refuse(node: &Node, running: &Config, problems: Vec<String>, now: Moment) {
    let file = running.file.as_ref().map(|it| it.display().to_string());
    let file = file.unwrap_or_else(|| "the configuration".to_owned());
    for problem in &problems {
        log::error!("{problem}");
    }
    let text = format!("{file} is not reloaded: the configuration from before stays in use");
    log::error!("{text}");
    systemd::status(&text);
    node.refuse_configuration(RefusedConfiguration { at: now, problems });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_is_given_up_is_in_the_way_of_these_addresses() {
        for (bound, wanted, expected) in [
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "0.0.0.0:80", true),
            ("[::]:80", "[::1]:80", true),
            ("0.0.0.0:80", "127.0.0.1:81", false),
            // Sockets of IPv6 are for IPv6 alone.
            ("[::]:80", "127.0.0.1:80", false),
            ("127.0.0.1:80", "192.0.2.1:80", false),
        ] {
            let address = |text: &str| text.parse().expect("an address");
            assert_eq!(
                excludes(address(bound), address(wanted)),
                expected,
                "{bound} {wanted}"
            );
        }
    }
}
