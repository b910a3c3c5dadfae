//! Reload of the configuration by a running service: whether the new one can take over.
//!
//! Runs on the main thread of `serve`. Nothing of the running node is changed: it goes on with what it
//! has, or ends, and a new run of the program reads the new configuration.

use std::net::TcpListener;
use std::sync::Arc;

use crate::api::client::APIS;
use crate::config::environment::Environment;
use crate::config::{self, Config, Overrides};
use crate::domain::time::Moment;
use crate::monitor::RefusedConfiguration;
use crate::monitor::http::listener::bind;
use crate::node::Node;
use crate::sys::clock::Clock;
use crate::sys::systemd;

/// The sockets that the new configuration listens on, of which those of `listeners` are taken over; or why
/// it cannot be used.
pub fn check(
    overrides: &Overrides,
    running: &Config,
    node: &Node,
    listeners: &[TcpListener],
    clock: &Arc<dyn Clock>,
) -> Result<Vec<TcpListener>, Vec<String>> {
    let environment = Environment::of_process();
    let config = config::load(overrides, environment, &APIS)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let storage = node.store().status();
    if let Some(trouble) = storage.trouble.filter(|_| storage.rows_waiting > 0) {
        return Err(vec![format!(
            "{} readings wait in memory and would be lost, since they cannot be stored ({trouble}). \
             Reload again when they can; `systemctl restart main-node` gives them up",
            storage.rows_waiting
        )]);
    }
    Node::check(&config, &running.database, clock).map_err(|error| vec![error])?;
    bind(&config.listen, listeners).map_err(|error| vec![error.to_string()])
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
