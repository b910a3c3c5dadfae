//! `main-node serve`: the service.

use std::io::{self, IsTerminal};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use super::{FAILED, USAGE_ERROR, load_config_for, page_addresses, reload};
use crate::config::{ApiFileUse, Config, Overrides, Severity};
use crate::limits;
use crate::monitor::http::listener::bind;
use crate::node::{Node, StartError};
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::os_error::reason;
use crate::sys::reexec::{self, Reexec, inherited_listeners};
use crate::sys::signals::{SignalRequest, Signals};
use crate::sys::{log as logging, privileges, systemd};

/// Wait between attempts to bind a port that is in use, under a supervisor.
const BIND_RETRY_INTERVAL: Duration = Duration::from_secs(5);

pub fn serve(overrides: &Overrides) -> u8 {
    logging::init();
    privileges::keep_new_files_private();
    reexec::restore_process_name();
    let mut config = match load_config_for(overrides, ApiFileUse::Service) {
        Ok(config) => config,
        // It was valid a moment ago, so somebody is writing it: the supervisor tries once more.
        Err(_) if reexec::is_reload() => return FAILED,
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
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    config.loaded = Some(clock.now());
    run(overrides, &config, &clock)
}

/// Runs the node until a signal asks for the stop; its exit status. A reload with a good configuration
/// ends here too: a new run of the program takes this process over. A restart stays in the process, which
/// has the configuration that runs: the one on the disk may be another by now, or none.
fn run(overrides: &Overrides, config: &Config, clock: &Arc<dyn Clock>) -> u8 {
    let can_reload = systemd::is_supervised();
    let mut signals = match register_signals(can_reload) {
        Ok(signals) => signals,
        Err(status) => return status,
    };
    let inherited = inherited_listeners(&config.listen);
    let listeners = match listen(&config.listen, &inherited, &mut signals) {
        Ok(listeners) => listeners,
        Err(NotListening::Failed) => return USAGE_ERROR,
        Err(NotListening::Signalled(SignalRequest::Stop(_))) => return 0,
        Err(NotListening::Signalled(SignalRequest::Reload | SignalRequest::Restart)) => {
            let prepared = Reexec::prepare(&inherited);
            return prepared.map_or_else(cannot_start_anew, |it| replace_process(it, &signals));
        }
    };
    drop(inherited);
    // For the next run, since those of the node end with it.
    let passed_on: io::Result<Vec<TcpListener>> =
        listeners.iter().map(TcpListener::try_clone).collect();
    let passed_on = passed_on.unwrap_or_else(|error| {
        log::warn!("a reload will refuse connections: {}", reason(&error));
        Vec::new()
    });
    let restart: Arc<dyn Fn() + Send + Sync> = match signals.restart_trigger() {
        Ok(trigger) => Arc::new(trigger),
        Err(error) => return cannot_start_anew(error),
    };
    let mut node = match start_with(config, listeners, restart.clone(), clock) {
        Ok(node) => node,
        Err(status) => return status,
    };
    loop {
        match signals.wait() {
            SignalRequest::Stop(signal) => {
                drop(passed_on);
                return stop(node, signal, || ());
            }
            SignalRequest::Reload => {
                match reload::check(overrides, config, &node, &passed_on, clock) {
                    Ok(new_run) => return reload(node, new_run, &signals),
                    Err(problems) => reload::refuse(&node, config, problems, clock.now()),
                }
            }
            SignalRequest::Restart if reload::may_restart(&node) => {
                match start_anew(
                    node,
                    config,
                    &passed_on,
                    restart.clone(),
                    clock,
                    &mut signals,
                ) {
                    Ok(next) => node = next,
                    Err(status) => return status,
                }
            }
            SignalRequest::Restart => {}
        }
    }
}

/// Commits everything, and starts the program anew, which reads the new configuration.
fn reload(node: Node, new_run: Reexec, signals: &Signals) -> u8 {
    log::info!("starting anew: the configuration is valid");
    systemd::reloading();
    node.stop(limits::RELOAD_RESPONSE_TIMEOUT);
    replace_process(new_run, signals)
}

/// Ends the node, and starts it anew with the configuration that it has, so that it reads what a command
/// has changed of what is stored. Connections wait meanwhile.
fn start_anew(
    node: Node,
    config: &Config,
    passed_on: &[TcpListener],
    restart: Arc<dyn Fn() + Send + Sync>,
    clock: &Arc<dyn Clock>,
    signals: &mut Signals,
) -> Result<Node, u8> {
    log::info!("starting anew: a command has changed what is stored");
    systemd::reloading();
    let refused = node.refused_configuration();
    node.stop(limits::RELOAD_RESPONSE_TIMEOUT);
    let listeners = listen(&config.listen, passed_on, signals).map_err(|error| match error {
        NotListening::Failed => USAGE_ERROR,
        NotListening::Signalled(SignalRequest::Stop(_)) => 0,
        NotListening::Signalled(_) => FAILED,
    })?;
    let node = start_with(config, listeners, restart, clock)?;
    if let Some(refused) = refused {
        node.refuse_configuration(refused);
    }
    Ok(node)
}

/// Returns only if that fails, when the supervisor starts the program again; or if a stop was asked for
/// meanwhile.
fn replace_process(new_run: Reexec, signals: &Signals) -> u8 {
    match signals.block() {
        Ok(None | Some(SignalRequest::Reload | SignalRequest::Restart)) => {
            cannot_start_anew(new_run.run())
        }
        Ok(Some(SignalRequest::Stop(signal))) => {
            log::info!("received {}, stopping", signal.unwrap_or("a signal"));
            systemd::stopping();
            0
        }
        Err(error) => cannot_start_anew(error),
    }
}

fn cannot_start_anew(error: io::Error) -> u8 {
    log::error!("main-node cannot start itself anew: {}", reason(&error));
    FAILED
}

pub(super) fn register_signals(can_reload: bool) -> Result<Signals, u8> {
    Signals::register(can_reload).map_err(|error| {
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
    let listeners = listen(&config.listen, &[], signals).map_err(|error| match error {
        NotListening::Failed => USAGE_ERROR,
        NotListening::Signalled(_) => 0,
    })?;
    start_with(config, listeners, Arc::new(|| ()), clock)
}

/// The node, which calls `on_readings_changed` when a command has changed what is stored.
fn start_with(
    config: &Config,
    listeners: Vec<TcpListener>,
    on_readings_changed: Arc<dyn Fn() + Send + Sync>,
    clock: &Arc<dyn Clock>,
) -> Result<Node, u8> {
    let node =
        Node::start(config, listeners, on_readings_changed, clock).map_err(
            |error| match error {
                StartError::Misconfigured(message) => {
                    eprintln!("{message}");
                    USAGE_ERROR
                }
                StartError::OutOfResources(message) => {
                    log::error!("{message}");
                    FAILED
                }
            },
        )?;
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
    match signals.wait() {
        SignalRequest::Stop(signal) => stop(node, signal, stop_others),
        SignalRequest::Reload | SignalRequest::Restart => stop(node, None, stop_others),
    }
}

fn stop(node: Node, signal: Option<&str>, stop_others: impl FnOnce()) -> u8 {
    if let Some(signal) = signal {
        log::info!("received {signal}, stopping");
    }
    systemd::stopping();
    stop_others();
    if node.stop(limits::SHUTDOWN_RESPONSE_TIMEOUT) {
        0
    } else {
        FAILED
    }
}

/// Why the node does not listen.
enum NotListening {
    /// The addresses cannot be bound, which is reported.
    Failed,
    /// A signal came first.
    Signalled(SignalRequest),
}

/// The sockets, of which some may be `inherited`.
///
/// At a terminal it fails at once. Under a supervisor it tries again: an old instance may be
/// stopping, or DHCP may not have given the address yet.
fn listen(
    addresses: &[SocketAddr],
    inherited: &[TcpListener],
    signals: &mut Signals,
) -> Result<Vec<TcpListener>, NotListening> {
    let mut last_error = String::new();
    loop {
        let error = match bind(addresses, inherited) {
            Ok(listeners) => return Ok(listeners),
            Err(error) => error,
        };
        let may_pass = error.is_in_use() || error.is_not_there() || error.is_short_of_resources();
        if !may_pass || std::io::stderr().is_terminal() {
            eprintln!("{error}");
            return Err(NotListening::Failed);
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
        if let Some(request) = signals.wait_for(BIND_RETRY_INTERVAL) {
            return Err(NotListening::Signalled(request));
        }
    }
}
