//! `main-node serve`: the service.

use std::io::IsTerminal;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use super::{FAILED, USAGE_ERROR, load_config, page_addresses};
use crate::config::{Config, Overrides, Severity};
use crate::monitor::http::listener::bind;
use crate::node::{Node, StartError};
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::os_error::reason;
use crate::sys::signals::Signals;
use crate::sys::{log as logging, privileges, systemd};

/// Wait between attempts to bind a port that is in use, under a supervisor.
const BIND_RETRY_INTERVAL: Duration = Duration::from_secs(5);

pub fn serve(overrides: &Overrides) -> u8 {
    logging::init();
    privileges::keep_new_files_private();
    let config = match load_config(overrides) {
        Ok(config) => config,
        Err(status) => return status,
    };
    if config.file.is_none() {
        log::warn!(
            "no configuration file: fetching the weather of Berlin as an example. Write a \
             main-node.toml (README, \"Configure your sources\")"
        );
    }
    for remark in &config.remarks {
        match remark.severity {
            Severity::Problem => log::warn!("{}", remark.problem),
            Severity::Note => log::info!("{}", remark.problem),
            Severity::NotChecked => {}
        }
    }
    run(&config, Arc::new(SystemClock::new()))
}

fn run(config: &Config, clock: Arc<dyn Clock>) -> u8 {
    let mut signals = match register_signals() {
        Ok(signals) => signals,
        Err(status) => return status,
    };
    match start(config, &clock, &mut signals) {
        Ok(node) => run_until_signalled(node, &mut signals, || ()),
        Err(status) => status,
    }
}

pub(super) fn register_signals() -> Result<Signals, u8> {
    Signals::register().map_err(|error| {
        eprintln!("signal handlers cannot be installed: {}", reason(&error));
        FAILED
    })
}

/// The running node, or the exit status where it does not run.
pub(super) fn start(
    config: &Config,
    clock: &Arc<dyn Clock>,
    signals: &mut Signals,
) -> Result<Node, u8> {
    let listeners = listen(&config.listen, signals).ok_or(USAGE_ERROR)?;
    let listeners = listeners.ok_or(0)?;
    let node = Node::start(config, listeners, clock).map_err(|error| match error {
        StartError::Misconfigured(message) => {
            eprintln!("{message}");
            USAGE_ERROR
        }
        StartError::OutOfResources(message) => {
            log::error!("{message}");
            FAILED
        }
    })?;
    log::info!("{}", page_addresses::describe(config, node.addresses()));
    systemd::ready();
    Ok(node)
}

/// Waits for a signal and stops the node, after `stop_others`; its exit status.
pub(super) fn run_until_signalled(
    node: Node,
    signals: &mut Signals,
    stop_others: impl FnOnce(),
) -> u8 {
    if let Some(signal) = signals.wait() {
        log::info!("received {signal}, stopping");
    }
    stop_others();
    if node.stop() { 0 } else { FAILED }
}

/// The sockets; `Some(None)` if a signal came first, `None` if they cannot be bound.
///
/// At a terminal it fails at once. Under a supervisor it tries again: an old instance may be
/// stopping, or DHCP may not have given the address yet.
fn listen(addresses: &[SocketAddr], signals: &mut Signals) -> Option<Option<Vec<TcpListener>>> {
    let mut last_error = String::new();
    loop {
        let error = match bind(addresses) {
            Ok(listeners) => return Some(Some(listeners)),
            Err(error) => error,
        };
        let may_pass = error.is_in_use() || error.is_not_there() || error.is_short_of_resources();
        if !may_pass || std::io::stderr().is_terminal() {
            eprintln!("{error}");
            return None;
        }
        let error = error.to_string();
        if error != last_error {
            log::error!(
                "{error}; trying again every {} s",
                BIND_RETRY_INTERVAL.as_secs()
            );
            systemd::status(&error);
            last_error = error;
        }
        if signals.wait_for(BIND_RETRY_INTERVAL) {
            return Some(None);
        }
    }
}
