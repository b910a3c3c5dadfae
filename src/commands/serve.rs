//! `main-node serve` and `main-node demo`: the service, and the service without a network.

use std::io::IsTerminal;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{FAILED, USAGE_ERROR, load_config, print_problems};
use crate::api::client::APIS;
use crate::api::demo_server::DemoServer;
use crate::config::{self, Config, Overrides, Severity};
use crate::monitor::http::listener::bind;
use crate::node::demo_history::{self, SteppedClock};
use crate::node::{Node, StartError};
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::os_error::reason;
use crate::sys::signals::Signals;
use crate::sys::{log as logging, systemd};

/// Wait between attempts to bind a port that is in use, under a supervisor.
const BIND_RETRY_INTERVAL: Duration = Duration::from_secs(5);

pub fn serve(overrides: &Overrides) -> u8 {
    logging::init();
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

/// The service with simulated sources. Its data is deleted at the end, unless a file is named.
pub fn demo(overrides: &Overrides) -> u8 {
    logging::init();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::always_trusted());
    let simulated = match DemoServer::start(&APIS, clock.clone()) {
        Ok(simulated) => simulated,
        Err(error) => {
            eprintln!(
                "the simulated API cannot be started on 127.0.0.1: {}",
                reason(&error)
            );
            return FAILED;
        }
    };
    let database = match &overrides.database {
        Some(file) => Ok(DemoDatabase::Named(file.clone())),
        None => DemoDatabase::temporary(),
    };
    let database = match database {
        Ok(database) => database,
        Err(error) => {
            eprintln!(
                "the temporary directory for the demo's database cannot be created: {}. Name a file \
                 with --database",
                reason(&error)
            );
            return FAILED;
        }
    };
    if let DemoDatabase::Temporary(_) = &database {
        generate_history(database.file(), &*clock, overrides);
    }
    let base = |api: &str| simulated.base_url(api);
    let status = match config::demo(&base, database.file(), overrides, &APIS) {
        Ok(config) => run(&config, clock),
        Err(problems) => {
            print_problems(&problems);
            USAGE_ERROR
        }
    };
    simulated.stop();
    status
}

/// Fills the temporary database with a day of readings. Without them only the charts are empty.
fn generate_history(database: PathBuf, clock: &dyn Clock, overrides: &Overrides) {
    let stepped = Arc::new(SteppedClock::a_day_before(clock.now()));
    let Ok(simulated) = DemoServer::start(&APIS, stepped.clone()) else {
        return;
    };
    let base = |api: &str| simulated.base_url(api);
    if let Ok(config) = config::demo(&base, database, overrides, &APIS)
        && let Err(error) = demo_history::generate(&config, &stepped)
    {
        log::warn!("demo history could not be generated: {error}");
    }
    simulated.stop();
}

fn run(config: &Config, clock: Arc<dyn Clock>) -> u8 {
    let mut signals = match Signals::register() {
        Ok(signals) => signals,
        Err(error) => {
            eprintln!("signal handlers cannot be installed: {}", reason(&error));
            return FAILED;
        }
    };
    let Some(listeners) = listen(&config.listen, &mut signals) else {
        return USAGE_ERROR;
    };
    let Some(listeners) = listeners else {
        return 0;
    };
    let node = match Node::start(config, listeners, &clock) {
        Ok(node) => node,
        Err(StartError::Misconfigured(message)) => {
            eprintln!("{message}");
            return USAGE_ERROR;
        }
        Err(StartError::OutOfResources(message)) => {
            log::error!("{message}");
            return FAILED;
        }
    };
    let page = config.page();
    log::info!(
        "{}",
        describe_addresses(node.addresses(), &page, default_route_address())
    );
    systemd::ready();
    if let Some(signal) = signals.wait() {
        log::info!("received {signal}, stopping");
    }
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

/// The addresses it listens on, and URLs for a browser on this machine or on others of the
/// network.
fn describe_addresses(addresses: &[SocketAddr], page: &str, outward: Option<IpAddr>) -> String {
    let listed: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
    let listed = listed.join(" and ");
    let url = |address: &SocketAddr| format!("http://{address}/web");
    let mut open: Vec<String> = Vec::new();
    if addresses.iter().any(|it| !it.ip().is_loopback()) {
        open.push(format!("{page}/web"));
    }
    for address in addresses {
        let reachable = match (address.ip().is_unspecified(), outward) {
            (true, Some(outward)) => SocketAddr::new(outward, address.port()),
            (true, None) => continue,
            (false, _) => *address,
        };
        if !open.contains(&url(&reachable)) {
            open.push(url(&reachable));
        }
    }
    let only = if addresses.iter().all(|it| it.ip().is_loopback()) {
        " (this machine only)"
    } else {
        ""
    };
    format!("listening on {listed}{only}: open {}", open.join(" or "))
}

/// This machine's address in the network that its default route leads to. Connecting a datagram
/// socket asks the routing table and sends nothing.
fn default_route_address() -> Option<IpAddr> {
    // For documentation (RFC 5737, RFC 3849): reached by the default route, and by nothing else.
    [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")]
        .into_iter()
        .find_map(|(any, far)| {
            let socket = UdpSocket::bind(any).ok()?;
            socket.connect(far).ok()?;
            Some(socket.local_addr().ok()?.ip())
        })
}

/// The demo's database.
enum DemoDatabase {
    Named(PathBuf),
    /// Removed at the end.
    Temporary(PathBuf),
}

impl DemoDatabase {
    fn temporary() -> std::io::Result<DemoDatabase> {
        let name = format!("main-node-demo-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory)?;
        Ok(DemoDatabase::Temporary(directory))
    }

    fn file(&self) -> PathBuf {
        match self {
            DemoDatabase::Named(file) => file.clone(),
            DemoDatabase::Temporary(directory) => directory.join("main-node.db"),
        }
    }
}

impl Drop for DemoDatabase {
    fn drop(&mut self) {
        if let DemoDatabase::Temporary(directory) = self {
            remove(directory);
        }
    }
}

fn remove(directory: &Path) {
    if let Err(error) = std::fs::remove_dir_all(directory) {
        log::warn!(
            "{} could not be removed: {}",
            directory.display(),
            reason(&error)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logged_urls_can_be_opened_from_other_machines() {
        let outward: IpAddr = [192, 168, 1, 20].into();
        for (listening, outward, expected) in [
            (
                &["0.0.0.0:8000", "[::]:8000"][..],
                Some(outward),
                "listening on 0.0.0.0:8000 and [::]:8000: open http://pi.local:8000/web or \
                 http://192.168.1.20:8000/web",
            ),
            (
                &["0.0.0.0:8000"],
                None,
                "listening on 0.0.0.0:8000: open http://pi.local:8000/web",
            ),
            (
                &["127.0.0.1:8000"],
                Some(outward),
                "listening on 127.0.0.1:8000 (this machine only): open http://127.0.0.1:8000/web",
            ),
            (
                &["10.0.0.2:80"],
                Some(outward),
                "listening on 10.0.0.2:80: open http://pi.local:8000/web or http://10.0.0.2:80/web",
            ),
        ] {
            let addresses: Vec<SocketAddr> = listening
                .iter()
                .map(|it| it.parse().expect("an address"))
                .collect();
            assert_eq!(
                describe_addresses(&addresses, "http://pi.local:8000", outward),
                expected
            );
        }
    }
}
